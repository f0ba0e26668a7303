"""Newline-delimited JSON objects over a connected socket, never blocking: what the plants' server speaks."""

import json
import socket
from collections.abc import Mapping
from typing import Any

_LONGEST = 1 << 20  # bytes of one line, or that wait to be sent: nobody who works ever gets there


class Channel:
    """One end of a connection."""

    __slots__ = ("_inbox", "_outbox", "_socket", "gone")

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._inbox = b""
        self._outbox = b""
        self.gone = False
        """The other end has closed, speaks nonsense or does not read: nothing more comes or goes."""

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def backlog(self) -> bool:
        """Whether something waits to be sent: `flush` when the socket can be written."""
        return bool(self._outbox)

    def send(self, message: Mapping[str, Any]) -> None:
        self._outbox += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self.flush()
        self.gone |= len(self._outbox) > _LONGEST

    def flush(self) -> None:
        """Send what can be sent now."""
        try:
            while self._outbox and not self.gone:
                self._outbox = self._outbox[self._socket.send(self._outbox) :]
        except BlockingIOError:
            pass
        except OSError:
            self._outbox = b""  # not `gone` yet: what the other end said last is still to be read

    def receive(self) -> list[dict[str, Any]]:
        """All messages that have come whole."""
        self._fill()
        *lines, self._inbox = self._inbox.split(b"\n")
        self.gone |= len(self._inbox) > _LONGEST
        messages = []
        for line in lines:
            message = _parse(line)
            if message is None:
                self.gone = True
                break
            messages.append(message)
        return messages

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> None:
        try:
            while not self.gone:
                data = self._socket.recv(65536)
                self._inbox += data
                self.gone = not data
                if len(data) < 65536:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
