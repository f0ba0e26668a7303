"""What ptys lack of a UART's driver, put in at the system call: RTS, the RS-485 mode, the empty transmitter."""

import errno
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import Any

import pytest

TIOCGRS485, TIOCSRS485, TIOCSERGETLSR = 0x542E, 0x542F, 0x5459
ENABLED, ON_SEND, AFTER_SEND = 1, 2, 4
_RTS = struct.pack("I", termios.TIOCM_RTS)


class Uarts:
    """Answers the requests of all ptys that this process opens. A driver that lacks something has it taken away."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.knows = {termios.TIOCMBIS, termios.TIOCMBIC, TIOCGRS485, TIOCSRS485, TIOCSERGETLSR}
        self.flags = 0xFF
        """What its RS-485 mode knows."""
        self.rs485 = 0
        self.moved: Callable[[str, bool], None] = lambda path, is_set: None
        """Told of each movement of RTS: the port's path, and whether it is set (the pin is low) now."""
        self.moded: Callable[[str, int], None] = lambda path, flags: None
        """Told of the flags of a port's RS-485 mode."""
        self.empty: Callable[[str], bool] = lambda path: True
        self._real = fcntl.ioctl
        patch.setattr(fcntl, "ioctl", self._ioctl)

    def _ioctl(self, fd: int, request: int, *arguments: Any) -> Any:
        if request not in {termios.TIOCMBIS, termios.TIOCMBIC, TIOCGRS485, TIOCSRS485, TIOCSERGETLSR}:
            return self._real(fd, request, *arguments)
        path = os.ttyname(fd)  # fails like the request once the other end has gone
        if request not in self.knows:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        return self._answer(path, request, *arguments)

    def _answer(self, path: str, request: int, argument: Any) -> Any:
        if request == TIOCSERGETLSR:
            return struct.pack("i", self.empty(path))
        if request == TIOCGRS485:
            argument[0] = self.rs485
        elif request == TIOCSRS485:
            self.rs485 = argument[0] & self.flags
            self.moded(path, self.rs485)
        elif argument == _RTS:  # pyserial moves DTR by the same requests
            self.moved(path, request == termios.TIOCMBIS)
        return 0
