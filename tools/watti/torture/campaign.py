"""Many worlds, judged by a crew: the same seeds give the same results whoever judges them, in whatever order."""

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
_HANDED_OUT = 5
"""So often a batch is handed out to a crew that dies of it."""
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
        self.station_s = 0.0
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
        self.station_s += outcome.station_s
        self.faults += outcome.faults
        self.excused.update(outcome.excused)
        if outcome.verdicts:
            self.failures.append(Failure(outcome.seed, *outcome.verdicts[0]))
            self.failures.sort()
        elif outcome.recovered_s is not None and not outcome.excused:
            self.recoveries.append((outcome.recovered_s, outcome.seed))

    def as_json(self) -> dict[str, Any]:
        times = sorted(self.recoveries) or [(0.0, -1)]
        return {
            "worlds": self.worlds,
            "station_hours": round(self.station_s / 3600, 2),
            "injected": self.faults.total(),
            "faults": dict(self.faults.most_common()),
            "recovery_s": {
                "worlds": len(self.recoveries),
                "p50": times[len(times) // 2][0],
                "p99": times[len(times) * 99 // 100][0],
                "max": times[-1][0],
                "seed_of_max": times[-1][1],
            },
            "excused": dict(self.excused.most_common()),
            "failures": [failure._asdict() for failure in self.failures],
            "digest": self.digest,
        }


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
            try:
                yield from judged.result()
            except self._crew.lost:
                if times == _HANDED_OUT:
                    raise
                self._out[self._crew.submit(batch)] = (batch, times + 1)

    def _hand_out(self) -> None:
        """Enough that nobody waits for work; small batches at the end, so that all end together."""
        enough = _AHEAD * max(1, self._crew.count())
        while self._seeds and len(self._out) < enough:
            size = min(_BATCH, max(1, len(self._seeds) // enough))
            batch, self._seeds = self._seeds[:size], self._seeds[size:]
            self._out[self._crew.submit(batch)] = (batch, 1)
