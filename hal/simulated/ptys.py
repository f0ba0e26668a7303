"""The line in real time: its ports are ptys that any program can open as a serial port.

A write to a pty has no pace, so the `Line` behind it sets it: a frame comes out at the other ends when its
last bit would have. Ptys carry 8 bits and have no parity bit; the pace is that of 8E1 all the same.
"""

import fcntl
import os
import pty
import random
import termios
import tty
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hal.simulated.line import Line
from hal.simulated.openings import Openings

READ_BYTES = 256  # the longest Modbus RTU frame (S)


class _Pty(NamedTuple):
    """Both ends of one port. The slave is held open: else a client that closes makes the master fail with EIO."""

    master: int
    slave: int
    watch: int
    """Tells whether anybody else has the slave open."""


class PtyLine:
    """A line of ptys, linked as DIR/bus/1 to DIR/bus/N. Port numbers of `line` count from 0.

    The links of a run that died are replaced; where one still lives, OSError says so.
    As with any serial port, who opens one hears what comes from then on; what is not read is dropped once the
    pty is full, never waited for.
    """

    def __init__(self, directory: Path, ports: int, baud: int, rng: random.Random) -> None:
        self.dropped_bytes = 0
        self.line = Line(baud, rng, self._deliver)
        self._folder = directory / "bus"
        self._now = 0.0
        self._lock = _locked(self._folder)
        self._openings = Openings()
        self._ptys: dict[int, _Pty] = {}
        """Those that are not hung up, by port."""
        self.paths = tuple(self._folder / str(number) for number in range(1, ports + 1))
        try:
            _unlink_ports(self._folder)
            for port in range(ports):
                self.line.attach()
                self._open(port)
        except BaseException:
            self.close()
            raise

    def filenos(self) -> Sequence[int]:
        """Descriptors to wait on: who opens and closes ports, and the ports that are not sending. What is written
        meanwhile stays with the kernel, so a client that writes faster than the baud rate is held up as by a real
        port."""
        idle = (ends.master for port, ends in self._ptys.items() if self.line.busy_until(port) <= self._now)
        return [self._openings.fileno(), *idle]

    def next_wakeup(self) -> float:
        """When `pump` is due without a descriptor being ready, s; inf when nothing is on its way."""
        return self.line.next_wakeup()

    def pump(self, now: float) -> None:
        """Give out the frames that have ended and take in what was written; `now` in s, monotonic."""
        self._now = now
        changed = self._openings.news()
        for ends in self._ptys.values():
            if ends.watch in changed:
                termios.tcflush(ends.slave, termios.TCIFLUSH)  # the last client left it unread
        self.line.step(now)
        for port, ends in self._ptys.items():
            if self.line.busy_until(port) <= now:
                with suppress(BlockingIOError):
                    self.line.send(port, os.read(ends.master, READ_BYTES), now)

    def hang_up(self, port: int) -> None:
        """The port vanishes like an adapter that is unplugged; what is on its way to or from it is lost."""
        if port in self._ptys:
            self.line.power(port, False)
            self.paths[port].unlink(missing_ok=True)
            self._close(port)

    def restore(self, port: int) -> None:
        """The port is back, as another pty behind the same link. Raises OSError where there is no pty left."""
        if port not in self._ptys:
            self._open(port)
            self.line.power(port, True)

    def close(self) -> None:
        """Hang up all ports and leave no file behind."""
        with suppress(OSError):  # others may keep files there, or have removed it
            _unlink_ports(self._folder)
            (self._folder / "lock").unlink()
            self._folder.rmdir()
        for port in list(self._ptys):
            self._close(port)
        self._openings.close()
        os.close(self._lock)

    def _open(self, port: int) -> None:
        master, slave = pty.openpty()
        name = Path(os.ttyname(slave))
        self._ptys[port] = _Pty(master, slave, self._openings.watch(name))
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.paths[port].symlink_to(name)

    def _close(self, port: int) -> None:
        ends = self._ptys.pop(port)
        os.close(ends.master)
        os.close(ends.slave)

    def _deliver(self, port: int, data: bytes, _at: float) -> None:
        ends = self._ptys.get(port)  # none: a disturbance held a copy back until the port had gone
        if ends is None or not self._openings.is_open(ends.watch):
            return
        try:
            written = os.write(ends.master, data)
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
            raise OSError(f"a bus is already running in {folder}: end it, or give another folder (--dir)") from None
        os.close(fd)  # locked the file of a run that has just ended


def _unlink_ports(folder: Path) -> None:
    for link in folder.iterdir():
        if link.is_symlink() and link.name.isdecimal():
            link.unlink()
