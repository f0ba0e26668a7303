"""One name, one process: a station's process holds its name in a folder until it ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path


class NameTaken(OSError):
    """Another process holds the name; the message says so."""


@contextmanager
def held(folder: Path, name: str) -> Iterator[str]:
    """Hold this name. Raises `NameTaken`."""
    lock = folder / "state" / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    fd = _locked(lock)
    if fd is None:
        raise NameTaken(f"a station named {name} runs already in {folder}")
    try:
        yield name
    finally:
        lock.unlink(missing_ok=True)
        os.close(fd)


@contextmanager
def first_free(folder: Path) -> Iterator[str]:
    """Hold the first name of s1, s2, ... that nobody holds."""
    with ExitStack() as stack:
        yield _first(stack, folder)


def _first(stack: ExitStack, folder: Path) -> str:
    for number in count(1):
        try:
            return stack.enter_context(held(folder, f"s{number}"))
        except NameTaken:
            continue
    raise AssertionError("there is always a further number")


def _locked(lock: Path) -> int | None:
    """Descriptor of the lock, held; None when another has it."""
    while True:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(lock.stat(), os.fstat(fd)):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        os.close(fd)  # the file of one that has just ended
