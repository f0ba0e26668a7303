"""Work that may wait for hardware, beside the loop: the loop only ever looks at what is there already."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol


class Work(Protocol):
    """Something to do again and again."""

    every_s: float
    """From the beginning of a turn to that of the next."""

    def turn(self) -> None:
        """Do it once. It may wait, and raises nothing that its hardware can be blamed for."""


class Worker:
    """A thread that does its work until it is closed."""

    def __init__(self, work: Work, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told what escaped, and that the work has ended with it."""
        self._work = work
        self._failed = failed
        self._end = Event()
        self._thread = Thread(target=self._run, name=type(work).__name__, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                began = time.monotonic()
                self._work.turn()
                self._end.wait(max(0.0, began + self._work.every_s - time.monotonic()))
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the loop has to know
            self._failed(error)

    def close(self) -> None:
        """End it; one that hangs in its hardware is left behind."""
        self._end.set()
        self._thread.join(1.0)
