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

    `clock` gives monotonic seconds: it paces the attempts to open and the silence before a frame.
    """

    def __init__(self, path: Path, baud: int, clock: Callable[[], float]) -> None:
        self.dropped_frames = 0
        self._silence_s = 3.5 * _CHARACTER_BITS / baud if baud <= 19200 else 0.00175
        self._clear_at = -inf
        """When the line has been silent for t3.5."""
        self._held = b""
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
        return self._clear_at if self._held else inf

    def flush(self) -> None:
        if self._held and self._clock() >= self._clear_at:
            held, self._held = self._held, b""
            self._write(held)

    def _drop_held(self) -> None:
        self.dropped_frames += bool(self._held)
        self._held = b""

    def _write(self, data: bytes) -> None:
        """What the kernel does not take at once is dropped and counted."""
        self._clear_at = self._clock() + len(data) * _CHARACTER_BITS / self._baud + self._silence_s
        written = 0
        if self._serial is not None:
            try:
                written = os.write(self._serial.fileno(), data)
            except BlockingIOError:
                pass
            except OSError:
                self._vanish()
        self.dropped_frames += written < len(data)

    def receive(self) -> bytes:
        """What has arrived, never blocking; opens the port if it is gone, at most once in `RETRY_S`."""
        if self._serial is None:
            if self._clock() < self._retry_at:
                return b""
            self._open()
        data = self._read()
        if data:
            self._clear_at = self._clock() + self._silence_s
            self._drop_held()
        return data

    def close(self) -> None:
        """Release the device."""
        if self._serial is not None:
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
            self._serial = serial.Serial(
                str(self._path), self._baud, parity=self._parity(), timeout=0, write_timeout=0, exclusive=True
            )
        except (OSError, ValueError, termios.error) as error:
            self._problem = self._sentence(error)
        else:
            self._problem = ""
            self._vanished = False
            with suppress(ValueError, NotImplementedError):  # a pty, or a driver that knows no such thing
                self._serial.set_low_latency_mode(True)  # else FTDI adapters hold what they hear for 16 ms (S)

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
