"""Who judges worlds: the cores of this machine, or the workers of a Dask scheduler."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from hashlib import blake2s
from pathlib import Path
from textwrap import shorten
from threading import Thread
from typing import Any, Protocol

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
_WENT_AWAY = "the scheduler went away: start it, or another one, and run this again"

Outcomes = Future[list[Outcome]]


class OtherSource(Exception):
    """A worker does not run this source."""


class Crew(Protocol):
    """Those who judge worlds."""

    def count(self) -> int:
        """How many can be judged at the same time, now."""

    def submit(self, seeds: Sequence[int]) -> Outcomes:
        """Hand these out."""

    def collect(self, judged: Outcomes) -> list[Outcome] | None:
        """What became of seeds that were handed out; None when those who had them died, one after the other."""


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
    packages = [Path(package.__path__[0]) for package in (firmware, hal, watti)]
    whole = blake2s(repr(sys.version_info[:2]).encode(), digest_size=8)
    for folder, pattern in (*((package, "*.py") for package in packages), (CONFIGS, "*.toml")):
        for path in sorted(folder.rglob(pattern)):
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


# This machine


@contextmanager
def local() -> Iterator[Crew]:
    """A process for each core that this one may use. None is left when the block ends, nor when this process does."""
    count = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    executor = ProcessPoolExecutor(count, context, initializer=_begin_worker)
    try:
        yield Pool(executor, count)
    except BrokenProcessPool:
        raise ChildProcessError("a worker process was killed, perhaps for want of memory: run it again") from None
    except BaseException:  # an interruption does not wait for worlds
        for worker in multiprocessing.active_children():
            worker.kill()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Pool:
    """An executor on this machine."""

    def __init__(self, executor: Executor, count: int) -> None:
        self._executor = executor
        self._count = count

    def count(self) -> int:
        return self._count

    def submit(self, seeds: Sequence[int]) -> Outcomes:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes that this starts inherit it
        try:
            return self._executor.submit(judge_seeds, seeds)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def collect(self, judged: Outcomes) -> list[Outcome] | None:
        return judged.result()


# A cluster


@contextmanager
def cluster(address: str) -> Iterator[Crew]:
    """The workers of a Dask scheduler; each needs this very source. Raises ConfigError when they can't go on."""
    from distributed import Client

    with _quiet():
        try:
            asyncio.run(_greet(address))
            client: Any = Client(address, timeout=_ANSWERS_S, set_as_default=False)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 -- whatever may listen there
            raise _refused(address, f"no Dask scheduler has answered there in {_ANSWERS_S:.0f} s") from None
        try:
            yield _Cluster(client, address)
        finally:
            client.close()


async def _greet(address: str) -> None:
    """Raises what keeps a scheduler from answering; a client would wait for its answer for ever."""
    from distributed.comm.core import connect

    async with asyncio.timeout(_ANSWERS_S):
        comm = await connect(address, timeout=_ANSWERS_S)  # type: ignore[no-untyped-call]
        comm.abort()


def _brief(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", 200)


def _refused(address: str, why: str) -> ConfigError:
    return ConfigError([f"--cluster {address}: {why}"])


class _Cluster:
    """What a worker had that dies is given to another one by the scheduler, a few times."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._executor: Executor = client.get_executor(pure=False)
        self._address = address
        self._without_since: float | None = None

    def count(self) -> int:
        try:
            threads: dict[str, int] = self._client.nthreads(callback_timeout=_ANSWERS_S)
        except (OSError, TimeoutError):
            raise _refused(self._address, _WENT_AWAY) from None
        count = sum(threads.values())
        self._wait_for_one(count, time.monotonic())
        return count

    def _wait_for_one(self, count: int, now: float) -> None:
        if count:
            self._without_since = None
        elif self._without_since is None:
            self._without_since = now
            wipe = "\r\x1b[K" if sys.stderr.isatty() else ""  # of a line that says how far it is
            print(f"{wipe}--cluster {self._address}: it has no workers: waiting for one", file=sys.stderr)
        elif now > self._without_since + _JOINS_S:
            raise _refused(self._address, f"it has had no workers for {_JOINS_S:.0f} s")

    def submit(self, seeds: Sequence[int]) -> Outcomes:
        source = source_print()

        def judged() -> Any:  # pickled as code without names of watti: a worker that can't import one dies of it
            from watti.torture.crews import judge_seeds

            return judge_seeds(seeds, source)

        return self._executor.submit(judged)

    def collect(self, judged: Outcomes) -> list[Outcome] | None:
        from distributed import KilledWorker

        try:
            return judged.result()
        except KilledWorker:
            return None
        except CancelledError:
            why = _WENT_AWAY
        except OtherSource as other:
            why = f"{other} runs another watti or Python: give all workers this one"
        except Exception as error:  # noqa: BLE001 -- whatever may be wrong with a machine far away
            why = f"{_brief(error)}: do all workers have this very watti?"
        raise _refused(self._address, why)


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
