"""Telling people, and systemd, how the station does.

Own code for systemd (sd_notify(3), a line of text in a datagram): the protocol is these few lines, the package for it
(sdnotify) has had no release since 2017 and waits when nobody reads, and the loop must never wait.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from socket import AF_UNIX, SOCK_DGRAM, socket
from typing import Any


def say(sentence: str) -> None:
    """Tell whoever listens; a full disk, or a reader that has gone, stops no station."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(sentence, file=sys.stderr, flush=True)


class Notifier:
    """Says that the loop turns. Where nobody asked to be told, it says nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """NOTIFY_SOCKET: path of the socket, or @ and an abstract name. WATCHDOG_USEC: systemd ends a process that was
        silent for so long."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket(AF_UNIX, SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self._every_s = float(environ.get("WATCHDOG_USEC", inf)) / 2e6
        self._alive_at = -inf
        self._status: str | None = None
        """The last that was taken; None before the first."""

    def alive(self, now: float, status: str) -> None:
        """The loop has turned at `now`, monotonic s; `status` is a line for people. The first call says that the
        station has started. What can't be said now is said at the next turn."""
        if now < self._alive_at and status == self._status:
            return
        ready = ["READY=1"] if self._status is None else []
        if self._say(*ready, "WATCHDOG=1", f"STATUS={status}"):
            self._status = status
            self._alive_at = now + self._every_s

    def stopping(self) -> None:
        """The loop has ended and lets the outputs go. Nothing is said after this."""
        self._say("STOPPING=1")
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, *lines: str) -> bool:
        """Whether it was taken."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:  # its reader is behind, or gone
            return False
        return True


def status_line(said: Mapping[str, Any]) -> str:
    """What `systemctl status` shows of a station, from what its firmware says of itself."""
    fault = f"fault {said['fault']}" if said["fault"] else ""
    return ", ".join(filter(None, (said["role"], f"limit {said['limit_a']:g} A", said["reason"], fault, said["why"])))
