"""Many worlds, judged by a crew: the same seeds give the same results whoever judges them, in whatever order."""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from hashlib import blake2s
from typing import Any, NamedTuple

from watti.torture.crews import Crew, Outcomes
from watti.torture.judging import Outcome

_BATCH = 8
"""Most worlds that are handed out together: some seconds of work."""
_AHEAD = 4
"""Batches handed out for each that is being judged."""
_MOST_TIMES = 5
"""So often a batch is handed out to workers that die of it."""
_LOOK_S = 0.2

Told = Callable[["Tally"], None]
"""Is told how far a campaign is, again and again."""


class Failure(NamedTuple):
    """A world that broke a promise: the first one that it broke."""

    seed: int
    t_s: float
    check: str
    what: str


class Tally:
    """All that a campaign has seen so far."""

    def __init__(self) -> None:
        self.station_ms = 0
        self.faults: Counter[str] = Counter()
        self.excused: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.recoveries: list[tuple[float, int]] = []
        """(seconds from the last fault until all were served, seed) of worlds where nothing had to be waited for."""
        self._seeds: set[int] = set()
        self._prints = 0

    @property
    def worlds(self) -> int:
        return len(self._seeds)

    @property
    def digest(self) -> str:
        """A print of all outcomes: the same for the same worlds, wherever and in whatever order they ran."""
        return f"{self._prints:016x}"

    def add(self, outcome: Outcome) -> None:
        """Count one world. Raises ValueError when it was counted already."""
        if outcome.seed in self._seeds:
            raise ValueError(f"seed {outcome.seed} came twice")
        self._seeds.add(outcome.seed)
        one = blake2s(repr(outcome).encode(), digest_size=8).digest()
        self._prints = (self._prints + int.from_bytes(one, "big")) % 2**64
        self.station_ms += round(outcome.station_s * 1000)
        self.faults += outcome.faults
        self.excused.update(outcome.excused)
        if outcome.verdicts:
            insort(self.failures, Failure(outcome.seed, *outcome.verdicts[0]))
        elif outcome.recovered_s is not None and not outcome.excused:
            self.recoveries.append((outcome.recovered_s, outcome.seed))

    def as_json(self) -> dict[str, Any]:
        return {
            "worlds": self.worlds,
            "station_hours": round(self.station_ms / 3_600_000, 2),
            "injected": self.faults.total(),
            "faults": _ranked(self.faults),
            "recovery_s": self._recovery_s(),
            "excused": _ranked(self.excused),
            "failures": [failure._asdict() for failure in self.failures],
            "digest": self.digest,
        }

    def _recovery_s(self) -> dict[str, float]:
        times = sorted(self.recoveries)
        count = len(times)
        if not times:
            return {"worlds": 0}
        slowest_s, seed = times[-1]
        p50, p99 = (times[count * percent // 100][0] for percent in (50, 99))
        return {"worlds": count, "p50": p50, "p99": p99, "max": slowest_s, "seed_of_max": seed}


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda count: (-count[1], count[0])))


def run(seeds: range, crew: Crew, told: Told = lambda tally: None) -> Tally:
    """Judge the worlds of all these seeds. Raises what a crew raises that can't go on."""
    tally, batches = Tally(), _Batches(seeds, crew)
    while batches.left:
        for outcome in batches.next():
            tally.add(outcome)
        told(tally)
    return tally


class _Batches:
    """Hands out seeds, and again those of workers that died."""

    def __init__(self, seeds: range, crew: Crew) -> None:
        self._seeds = seeds
        self._crew = crew
        self._out: dict[Outcomes, tuple[range, int]] = {}
        """What is handed out, and how often it has been."""

    @property
    def left(self) -> bool:
        return bool(self._seeds or self._out)

    def next(self) -> Iterator[Outcome]:
        """What has been judged since, after a while."""
        self._hand_out()
        done, _ = wait(self._out, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        for judged in done:
            batch, times = self._out.pop(judged)
            outcomes = self._crew.collect(judged)
            if outcomes is not None:
                yield from outcomes
            elif times < _MOST_TIMES:
                self._out[self._crew.submit(batch)] = (batch, times + 1)
            else:
                raise ChildProcessError(f"workers die again and again of seeds {batch.start}:{batch.stop}")

    def _hand_out(self) -> None:
        """Enough that nobody waits for work; small batches at the end, so that all end together."""
        enough = _AHEAD * max(1, self._crew.count())
        while self._seeds and len(self._out) < enough:
            size = min(_BATCH, max(1, len(self._seeds) // enough))
            batch, self._seeds = self._seeds[:size], self._seeds[size:]
            self._out[self._crew.submit(batch)] = (batch, 1)
