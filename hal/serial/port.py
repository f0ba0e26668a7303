"""An RS-485 port through pyserial: a USB adapter, a UART or a pty.

A port that is not there, is busy or vanishes raises nothing into the loop: `problem` says what is wrong,
frames are dropped, and `receive` opens it again as soon as it can. The path is looked up anew each time, so a
link whose target changed is followed.
"""

import errno
import os
import select
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

import serial

from hal.serial.direction import AUTOMATIC, Direction, drained

RETRY_S = 1.0
_CHARACTER_BITS = 11  # 8E1 with start bit
READ_BYTES = 4096  # all that a tty buffers
PTY_MAJORS = range(136, 144)  # Linux, devices.txt

_PROBLEMS = {
    errno.ENOENT: "is not there",
    errno.ENXIO: "is not there",
    errno.ENODEV: "is not there",
    errno.EAGAIN: "is busy: another process holds it",
    errno.EBUSY: "is busy: another process holds it",
    errno.EACCES: "may not be opened by this user: add the user to the group dialout",
    errno.EPERM: "may not be opened by this user: add the user to the group dialout",
    errno.EIO: "hung up as it was opened",
}


class SerialPort:
    """A `LiveBus` on one serial device, 8E1 (8N1 on a pty, which has no parity bit), held exclusively.

    `clock` gives monotonic seconds: it paces the attempts to open, the silence before a frame and, where RTS turns
    the transceiver round, when that is due: as soon as the last bit has left, which nobody waits for.
    """

    def __init__(self, path: Path, baud: int, clock: Callable[[], float], direction: Direction = AUTOMATIC) -> None:
        self.dropped_frames = 0
        self._character_s = _CHARACTER_BITS / baud
        self._silence_s = 3.5 * self._character_s if baud <= 19200 else 0.00175
        self._clear_at = -inf
        """When the line has been silent for t3.5."""
        self._held = b""
        self._turn_at = inf
        """When RTS may let the transceiver listen again; inf while it does."""
        self._direction = direction
        self._path = path
        self._baud = baud
        self._clock = clock
        self._retry_at = 0.0
        self._problem = ""
        self._vanished = False
        self._serial: serial.Serial | None = None
        self._open()

    @property
    def problem(self) -> str:
        """What is wrong with the port, as a sentence for a person; empty when it works."""
        return self._problem

    def must_open(self) -> None:
        """Raise OSError with the problem as its message, unless the port is open."""
        if self._problem:
            raise OSError(self._problem)

    def filenos(self) -> Sequence[int]:
        return [] if self._serial is None else [self._serial.fileno()]

    def send(self, data: bytes) -> None:
        """Send one frame, or hold it until the line has been silent for t3.5."""
        self._drop_held()
        self._held = data
        self.flush()

    def next_send(self) -> float:
        return min(self._turn_at, self._clear_at if self._held else inf)

    def flush(self) -> None:
        if self._clock() >= self._turn_at:
            self._turn_round()
        if self._held and self._clock() >= self._clear_at:
            held, self._held = self._held, b""
            self._write(held)

    def _drop_held(self) -> None:
        self.dropped_frames += bool(self._held)
        self._held = b""

    def _write(self, data: bytes) -> None:
        """What the kernel does not take at once is dropped and counted."""
        written = 0
        if self._serial is not None:
            try:
                written = self._sent(self._serial, data)
            except BlockingIOError:
                pass
            except OSError:
                self._vanish()
        self.dropped_frames += written < len(data)
        self._clear_at = self._clock() + len(data) * self._character_s + self._silence_s

    def _sent(self, port: serial.Serial, data: bytes) -> int:
        """Bytes written. The transceiver is turned round before the first."""
        if self._direction.mode != "rts":
            return os.write(port.fileno(), data)
        self._direction.point(port, sending=True)
        try:
            return os.write(port.fileno(), data)
        finally:
            self._turn_at = self._clock() + len(data) * self._character_s

    def _turn_round(self) -> None:
        """Listen, unless bits are still leaving. After the silence they are not waited for: others may speak then."""
        if self._serial is None:
            return
        now = self._clock()
        try:
            if now < self._clear_at and not drained(self._serial):
                self._turn_at = now + self._character_s
            else:
                self._direction.point(self._serial, sending=False)
                self._turn_at = inf
        except OSError:
            self._vanish()

    def receive(self) -> bytes:
        """What has arrived, never blocking; opens the port if it is gone, at most once in `RETRY_S`."""
        if self._serial is None:
            if self._clock() < self._retry_at:
                return b""
            self._open()
        data = self._read()
        if data:
            clear_at = self._clock() + self._silence_s
            self._clear_at = max(self._clear_at, clear_at)  # an echo begins before its own frame has ended
            self._drop_held()
        return data

    def close(self) -> None:
        """Release the device, its transceiver listening."""
        if self._serial is None:
            return
        if self._turn_at < inf:
            with suppress(OSError):
                self._direction.point(self._serial, sending=False)
        self._turn_at = inf
        self._serial.close()
        self._serial = None

    def _read(self) -> bytes:
        if self._serial is None:
            return b""
        try:
            data = os.read(self._serial.fileno(), READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
            self._vanish()
        else:
            if not data and _hung_up(self._serial.fileno()):
                self._vanish()
        return data

    def _open(self) -> None:
        """Try once. pyserial throws away what had arrived before."""
        self._retry_at = self._clock() + RETRY_S
        try:
            self._serial = self._opened()
        except (OSError, ValueError, termios.error) as error:
            self._problem = self._sentence(error)
        else:
            self._problem = ""
            self._vanished = False
            with suppress(ValueError, NotImplementedError):  # a pty, or a driver that knows no such thing
                self._serial.set_low_latency_mode(True)  # else FTDI adapters hold what they hear for 16 ms (S)

    def _opened(self) -> serial.Serial:
        port = serial.Serial(None, self._baud, parity=self._parity(), timeout=0, write_timeout=0, exclusive=True)
        port.port = str(self._path)
        if self._direction.mode == "rts":
            port.rts = self._direction.rts(sending=False)  # as it is opened
        port.open()
        try:
            self._direction.set_up(port)
        except BaseException:
            port.close()
            raise
        return port

    def _parity(self) -> str:
        """Even, but for a pty: that accepts parity once at most and then fails with EINVAL."""
        is_pty = os.major(self._path.stat().st_rdev) in PTY_MAJORS
        return serial.PARITY_NONE if is_pty else serial.PARITY_EVEN

    def _sentence(self, error: Exception) -> str:
        number = getattr(error, "errno", None)
        what = _PROBLEMS.get(number or 0, f"can't be used: {error}")
        if self._vanished and what == "is not there":
            return self._problem
        return f"serial port {self._path} {what}"

    def _vanish(self) -> None:
        self.close()
        self._vanished = True
        self._problem = f"serial port {self._path} vanished: it was unplugged, or its line was stopped"
        self._retry_at = self._clock() + RETRY_S


def _hung_up(fd: int) -> bool:
    """Whether reading nothing means that the device is gone; a raw port also reads nothing when idle."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))
