"""Whether anybody has a file open, as Linux tells it (inotify, which the standard library does not have)."""

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_OPEN = 0x20
_CLOSE = 0x08 | 0x10  # opened for writing, or not
_EVENT = struct.Struct("iIII")  # watch, what happened, cookie, length of the name that follows
_LIBC = ctypes.CDLL(None, use_errno=True)


class Openings:
    """Counts how often each watched file is open, from when the watch begins."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._fd = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._counts: dict[int, int] = {}

    def fileno(self) -> int:
        """Readable when something may have changed."""
        return self._fd

    def watch(self, path: Path) -> int:
        """A number for this file, used once. Raises OSError.

        Its folder is watched too: an event that equals the one before it in the queue is left out, and so two
        that open the file at once would count as one.
        """
        self._add(path.parent)
        watch = self._add(path)
        self._counts[watch] = 0
        return watch

    def is_open(self, watch: int) -> bool:
        """As of the last `news`."""
        return self._counts[watch] > 0

    def news(self) -> set[int]:
        """Files that somebody has opened first or closed last since the last call."""
        changed: set[int] = set()
        for watch, what in self._events():
            if watch in self._counts:
                before = self._counts[watch]
                self._counts[watch] = after = max(0, before + bool(what & _OPEN) - bool(what & _CLOSE))
                if not (before and after):
                    changed.add(watch)
        return changed

    def close(self) -> None:
        os.close(self._fd)

    def _add(self, path: Path) -> int:
        return _checked(_LIBC.inotify_add_watch(self._fd, os.fsencode(path), _OPEN | _CLOSE))

    def _events(self) -> Iterator[tuple[int, int]]:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, what, _, length = _EVENT.unpack_from(data, at)
            yield watch, what
            at += _EVENT.size + length


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"inotify: {os.strerror(number)}")
    return result
