"""Which way an RS-485 transceiver points: it sends or it listens, and somebody has to turn it round.

- automatic: the adapter does. Nothing is to be done, and nothing can come too late: the first choice.
- kernel: the UART's driver does, between two interrupts (TIOCSRS485). Of a Pi's UARTs the PL011 can since Linux 5.15
  (Pi 5: since the kernels of 2024), the mini UART since 5.7. The pin has to be brought out by an overlay.
- rts: this process does. It can be late, and one that is killed while it sends leaves the line driven: the last choice.
"""

import array
import fcntl
import struct
import termios
from dataclasses import dataclass
from typing import Literal

import serial
from serial.rs485 import RS485Settings

# Linux, asm-generic/ioctls.h and linux/serial.h
_TIOCGRS485 = 0x542E
_TIOCSERGETLSR = 0x5459
_TRANSMITTER_EMPTY = 1
_RS485_ENABLED, _RS485_ON_SEND, _RS485_AFTER_SEND = 1, 2, 4
_RS485_WORDS = 8

_OTHERWISE = 'use an adapter that turns itself round (bus.direction = "automatic"), or a UART of the Pi'


@dataclass(frozen=True, slots=True)
class Direction:
    """How the transceiver of a port is turned round."""

    mode: Literal["automatic", "kernel", "rts"] = "automatic"
    rts_sends: Literal["high", "low"] = "high"
    """Level of the UART's pin RTS that makes the transceiver send; of no account when the adapter turns it."""

    def rts(self, sending: bool) -> bool:
        """Whether the modem line RTS is set: its pin is low while it is."""
        return sending == (self.rts_sends == "low")

    def set_up(self, port: serial.Serial) -> None:
        """Prepare a port that was just opened, listening. Raises OSError: what its driver can't do, and what helps."""
        if self.mode == "kernel":
            self._hand_over(port)
        elif self.mode == "rts":
            self._take(port)

    def _hand_over(self, port: serial.Serial) -> None:
        high = self.rts_sends == "high"
        taken = array.array("i", [0] * _RS485_WORDS)
        try:
            port.rs485_mode = RS485Settings(rts_level_for_tx=high, rts_level_for_rx=not high)
            fcntl.ioctl(port.fileno(), _TIOCGRS485, taken)
        except (OSError, ValueError):
            raise OSError(f"its driver has no RS-485 mode: {_OTHERWISE}") from None
        levels = _RS485_ON_SEND if high else _RS485_AFTER_SEND
        if taken[0] & (_RS485_ENABLED | _RS485_ON_SEND | _RS485_AFTER_SEND) != _RS485_ENABLED | levels:
            raise OSError(f"its driver can't hold RTS {self.rts_sends} while it sends: {_OTHERWISE}")

    def _take(self, port: serial.Serial) -> None:
        try:
            self.point(port, sending=False)
            drained(port)
        except OSError:
            raise OSError(f"its driver can't set RTS, or can't tell when the last bit has left: {_OTHERWISE}") from None
        _leave_rts_at_close(port, dropped=not self.rts(sending=False))

    def point(self, port: serial.Serial, sending: bool) -> None:
        """Turn the transceiver round by RTS. Raises OSError when the port has gone."""
        port.rts = self.rts(sending)


AUTOMATIC = Direction()


def drained(port: serial.Serial) -> bool:
    """Whether the last bit has left the UART. Raises OSError when its driver can't tell."""
    (status,) = struct.unpack("i", fcntl.ioctl(port.fileno(), _TIOCSERGETLSR, struct.pack("i", 0)))
    return bool(status & _TRANSMITTER_EMPTY)


def _leave_rts_at_close(port: serial.Serial, dropped: bool) -> None:
    """The kernel drops RTS when the last holder of a port is gone, if HUPCL says so: as far as it can, let it leave the
    transceiver listening."""
    attributes = termios.tcgetattr(port.fileno())
    control = attributes[2] & ~termios.HUPCL
    attributes[2] = control | (termios.HUPCL if dropped else 0)
    termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
