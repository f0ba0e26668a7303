"""Many worlds, on all cores or on a cluster: the same seeds give the same results wherever they run."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from hashlib import blake2s
from typing import Any, NamedTuple

from watti.torture.judging import Outcome, judge_seed

_BATCH = 8
"""Worlds that are handed out together: some seconds of work."""
_AHEAD = 4
"""Batches that wait for each worker."""

Told = Callable[["Tally"], None]
"""Is told how far a campaign is."""


def judge_seeds(seeds: Sequence[int]) -> list[Outcome]:
    """What a worker does."""
    return [judge_seed(seed) for seed in seeds]


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
        self._prints: dict[int, str] = {}

    @property
    def worlds(self) -> int:
        return len(self._prints)

    @property
    def digest(self) -> str:
        """A print of every outcome: the same for the same worlds, wherever and in whatever order they ran."""
        lines = "\n".join(f"{seed} {self._prints[seed]}" for seed in sorted(self._prints))
        return blake2s(lines.encode(), digest_size=8).hexdigest()

    def add(self, outcome: Outcome) -> None:
        """Count one world. Raises ValueError when it was counted already."""
        if outcome.seed in self._prints:
            raise ValueError(f"seed {outcome.seed} came twice")
        self._prints[outcome.seed] = blake2s(repr(outcome).encode(), digest_size=8).hexdigest()
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


def run(seeds: range, executor: Executor, workers: int, told: Told = lambda tally: None) -> Tally:
    """Judge the worlds of all these seeds. Raises what a worker that was lost for good raises."""
    tally, waiting = Tally(), set[Future[list[Outcome]]]()
    for batch in _batches(seeds):
        if len(waiting) >= workers * _AHEAD:
            waiting = _collect(waiting, tally, told)
        waiting.add(executor.submit(judge_seeds, batch))
    while waiting:
        waiting = _collect(waiting, tally, told)
    return tally


def _batches(seeds: range) -> Iterator[list[int]]:
    for begin in range(0, len(seeds), _BATCH):
        yield list(seeds[begin : begin + _BATCH])


def _collect(waiting: set[Future[list[Outcome]]], tally: Tally, told: Told) -> set[Future[list[Outcome]]]:
    done, waits = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        for outcome in future.result():
            tally.add(outcome)
    told(tally)
    return waits


@contextmanager
def local_workers() -> Iterator[tuple[Executor, int]]:
    """A process for each core that this one may use. Nothing is left running when the block ends."""
    count = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("forkserver")
    executor = ProcessPoolExecutor(count, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield executor, count
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """The workers of a Dask scheduler; they need this same version of watti. A batch of a worker that is lost is
    given to another one."""
    from distributed import Client

    with Client(address) as client:  # type: ignore[no-untyped-call]
        workers = max(1, len(client.scheduler_info()["workers"]))
        with client.get_executor(pure=False) as executor:
            yield executor, workers
