"""Newline-delimited JSON objects over a connected socket, never blocking: what the plants' server speaks."""

import json
import socket
from collections.abc import Mapping
from typing import Any

LONGEST = 1 << 20
"""Bytes of one line, or that wait to be sent: nobody who works ever gets there."""
_DEEPEST = 20  # levels of a message: one that is nested too deeply could be read, but not written again


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
        self.gone |= len(self._outbox) > LONGEST

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
        """All messages that have come whole, but not endlessly many where they come as fast as they are read."""
        self._fill()
        *lines, self._inbox = self._inbox.split(b"\n")
        self.gone |= len(self._inbox) > LONGEST
        messages = []
        for line in lines:
            message = parse(line)
            if message is None:
                self.gone = True
                break
            messages.append(message)
        return messages

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> None:
        try:
            while not self.gone and len(self._inbox) <= LONGEST:
                data = self._socket.recv(65536)
                self._inbox += data
                self.gone = not data
                if len(data) < 65536:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True


def parse(line: bytes) -> dict[str, Any] | None:
    """The message that a line is, None where it is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    brackets = line.count(b"[") + line.count(b"{")
    return None if brackets > _DEEPEST and _nested(message, _DEEPEST) else message


def _nested(value: object, levels: int) -> bool:
    """Whether it has more levels than these."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(_nested(part, levels - 1) for part in inner))
