"""Who judges worlds: the cores of this machine, or the workers of a Dask scheduler."""

import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from hashlib import blake2s
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import firmware
import hal
import watti
from firmware.config import ConfigError
from watti.scenario import CONFIGS
from watti.torture.inspector import Verdict
from watti.torture.judging import Outcome, judge_seed

UNJUDGED = "unjudged"
"""The check of a world that the judge itself could not go through with."""
_ANSWERS_S = 10.0
"""A scheduler answers in this time."""
_JOINS_S = 60.0
"""How long a cluster may be without any worker."""

Outcomes = Future[list[Outcome]]


class OtherSource(Exception):
    """A worker does not run this source."""


class Crew(NamedTuple):
    """Those who judge worlds."""

    submit: Callable[[Sequence[int]], Outcomes]
    """Hands seeds out."""
    count: Callable[[], int]
    """How many of them judge at the same time, now."""
    lost: type[Exception]
    """Raised by what was handed out when those who had it died one after the other: it can be handed out again."""


def judge_seeds(seeds: Sequence[int], source: str = "") -> list[Outcome]:
    """What a worker does. Raises OtherSource when a `source` is given and this is another one."""
    if source and source != source_print():
        raise OtherSource(f"process {os.getpid()} on {os.uname().nodename}")
    return [_judged(seed) for seed in seeds]


def _judged(seed: int) -> Outcome:
    """A campaign is not given up for one world that can't be judged."""
    try:
        return judge_seed(seed)
    except Exception as error:  # noqa: BLE001 -- told with its seed, like a broken promise
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        return Outcome(seed, [Verdict(0.0, UNJUDGED, what)], 0.0)


@cache
def source_print() -> str:
    """A print of all that an outcome depends on: this source, its configuration and the version of Python."""
    folders = [Path(package.__path__[0]) for package in (firmware, hal, watti)] + [CONFIGS]
    whole = blake2s(repr(sys.version_info[:2]).encode(), digest_size=8)
    for folder in folders:
        for path in sorted(path for kind in ("*.py", "*.toml") for path in folder.rglob(kind)):
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


# This machine


@contextmanager
def local() -> Iterator[Crew]:
    """A process for each core that this one may use. None is left when the block ends, nor when this process does."""
    count = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("forkserver")
    executor = ProcessPoolExecutor(count, context, initializer=_begin_worker)
    try:
        yield Crew(partial(executor.submit, judge_seeds), lambda: count, _Never)
    except BrokenProcessPool:
        raise ChildProcessError("a worker process was killed, perhaps for want of memory: run it again") from None
    finally:
        for worker in multiprocessing.active_children():  # at a good end they have nothing left to do
            worker.kill()
        executor.shutdown(wait=True, cancel_futures=True)


class _Never(Exception):
    """A process that is killed takes the whole pool with it: nothing is handed out again."""


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's is enough
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


# A cluster


@contextmanager
def cluster(address: str) -> Iterator[Crew]:
    """The workers of a Dask scheduler; all of them must have this very source. What a worker had that is lost is given
    to another one. Raises ConfigError when it can't go on."""
    from distributed import Client, KilledWorker

    with _quiet(), _explained(address):
        client = Client(address, timeout=_ANSWERS_S, set_as_default=False)  # type: ignore[no-untyped-call]
        try:
            executor = client.get_executor(pure=False)
            submit = partial(_submit, executor, source_print())
            yield Crew(submit, _Workers(client.nthreads, address).count, KilledWorker)
        finally:
            client.close()


def _submit(executor: Executor, source: str, seeds: Sequence[int]) -> Outcomes:
    return executor.submit(judge_seeds, seeds, source)


class _Workers:
    """Counts the workers of a cluster; it may be without any for a while."""

    def __init__(self, threads: Callable[[], dict[str, int]], address: str) -> None:
        self._threads = threads
        self._address = address
        self._none_since: float | None = None

    def count(self) -> int:
        count, now = sum(self._threads().values()), time.monotonic()
        if count:
            self._none_since = None
        elif self._none_since is None:
            self._none_since = now
            print(f"--cluster {self._address}: it has no workers: waiting for one", file=sys.stderr)
        elif now > self._none_since + _JOINS_S:
            raise ConfigError([f"--cluster {self._address}: it has had no workers for {_JOINS_S:.0f} s"])
        return count


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask says nothing of its own."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """What goes wrong with a cluster, in one line."""
    try:
        yield
    except OtherSource as other:
        why = f"{other} runs another watti or Python: give all workers this one"
        raise ConfigError([f"--cluster {address}: {why}"]) from None
