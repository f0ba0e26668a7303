"""The line in real time: its ports are ptys that any program can open as a serial port.

A write to a pty has no pace, so the `Line` behind it sets it: a frame comes out at the other ends when its
last bit would have. Ptys carry 8 bits and have no parity bit; the pace is that of 8E1 all the same.
"""

import fcntl
import os
import pty
import random
import tty
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hal.simulated.line import Line

READ_BYTES = 256  # the longest Modbus RTU frame (S)


class PtyLine:
    """A line of ptys, linked as DIR/bus/1 to DIR/bus/N. Port numbers of `line` count from 0.

    The links of a run that died are replaced; where one still lives, OSError says so.
    What nobody reads is dropped once the pty is full, never waited for; who opens a port flushes it first.
    """

    def __init__(self, directory: Path, ports: int, baud: int, rng: random.Random) -> None:
        self.dropped_bytes = 0
        self.line = Line(baud, rng, self._deliver)
        self._folder = directory / "bus"
        self._lock = _locked(self._folder)
        self._now = 0.0
        self._masters: list[int] = []
        self._slaves: list[int] = []
        try:
            _unlink_ports(self._folder)
            self.paths = tuple(self._open_port(number) for number in range(1, ports + 1))
        except BaseException:
            self.close()
            raise

    def filenos(self) -> Sequence[int]:
        """Descriptors to wait on: the ports that are not sending. What is written meanwhile stays with the
        kernel, so a client that writes faster than the baud rate is held up as by a real port."""
        return [fd for port, fd in enumerate(self._masters) if self.line.busy_until(port) <= self._now]

    def next_wakeup(self) -> float:
        """When `pump` is due without a descriptor being ready, s; inf when nothing is on its way."""
        return self.line.next_wakeup()

    def pump(self, now: float) -> None:
        """Give out the frames that have ended and take in what was written; `now` in s, monotonic."""
        self._now = now
        self.line.step(now)
        for port, fd in enumerate(self._masters):
            if self.line.busy_until(port) <= now:
                with suppress(BlockingIOError):
                    self.line.send(port, os.read(fd, READ_BYTES), now)

    def close(self) -> None:
        """Hang up all ports and leave no file behind."""
        with suppress(OSError):  # others may keep files there, or have removed it
            _unlink_ports(self._folder)
            (self._folder / "lock").unlink()
            self._folder.rmdir()
        for fd in (*self._masters, *self._slaves, self._lock):
            os.close(fd)
        self._masters.clear()
        self._slaves.clear()

    def _open_port(self, number: int) -> Path:
        master, slave = pty.openpty()
        self._masters.append(master)
        self._slaves.append(slave)  # held open: else a client that closes makes the master fail with EIO
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.line.attach()
        link = self._folder / str(number)
        link.symlink_to(os.ttyname(slave))
        return link

    def _deliver(self, port: int, data: bytes, _at: float) -> None:
        try:
            written = os.write(self._masters[port], data)
        except BlockingIOError:
            written = 0
        self.dropped_bytes += len(data) - written


def _locked(folder: Path) -> int:
    """Descriptor of the folder's lock, held. The kernel lets it go however the process ends."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / "lock"
        try:
            fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # a run that ends has just removed the folder
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.path.samestat(lock.stat(), os.fstat(fd)):
                return fd
        except BlockingIOError:
            os.close(fd)
            raise OSError(f"a bus is already running in {folder}") from None
        os.close(fd)  # locked the file of a run that has just ended


def _unlink_ports(folder: Path) -> None:
    for link in folder.iterdir():
        if link.is_symlink() and link.name.isdecimal():
            link.unlink()
