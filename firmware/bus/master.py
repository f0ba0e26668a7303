"""The asking side of the bus: one request at a time, its answer or the end of its time, silence in between."""

from math import inf
from typing import Generic, TypeVar

from firmware.bus.health import BusHealth
from firmware.bus.rtu import Splitter, air_s, silence_s
from hal.api import BusPort

_STRAGGLER_S = 0.003  # colliding answers end this close together (I)

What = TypeVar("What")


class Master(Generic[What]):
    """Keeps the silences and the one open exchange; what is asked, and why, is its owner's business."""

    def __init__(self, port: BusPort, baud: int, turnaround_s: float, health: BusHealth, now: float) -> None:
        self._port = port
        self._baud = baud
        self._turnaround_s = turnaround_s
        self.silence_s = silence_s(baud)
        self._splitter = Splitter(health)
        self.waiting: What | None = None
        """What the open exchange is about."""
        self._deadline = inf
        self._answer_length = 0
        self._garbled = False
        self.clear_at = now
        """When the line has been silent long enough to speak."""

    def next_wakeup(self) -> float:
        """When the open exchange has had its time; without one, when the line is clear."""
        return self._deadline if self.waiting is not None else self.clear_at

    def say(self, frame: bytes, what: What, answer_length: int, now: float) -> None:
        """Send a request about `what` that `answer_length` bytes answer; 0 = nothing answers it. The port keeps the
        silence before it."""
        spoken = max(now, self.clear_at) + air_s(len(frame), self._baud)
        self.clear_at = spoken + self.silence_s
        self.waiting, self._garbled, self._answer_length = what, False, answer_length
        self._deadline = spoken + self.wait_s(answer_length)
        self._port.send(frame)

    def wait_s(self, answer_length: int) -> float:
        """How long after a request its answer must be through."""
        if not answer_length:
            return self.silence_s
        return self.silence_s + self._turnaround_s + air_s(answer_length, self._baud)

    def feed(self, data: bytes, now: float) -> list[bytes]:
        """Whole frames out of what was heard."""
        frames = self._splitter.feed(data)
        self.clear_at = max(self.clear_at, now + self.silence_s)
        pending = self._splitter.pending
        if pending:
            self._garbled = True
            if pending >= self._answer_length:  # no partial answer: waiting for more of it is in vain
                self._deadline = min(self._deadline, now + self.silence_s + _STRAGGLER_S)
        return frames

    def answered(self) -> None:
        """The open exchange has its answer."""
        self.waiting = None

    def spoil(self) -> None:
        """What came was no answer."""
        self._garbled = True

    def timed_out(self, now: float) -> bool:
        """Whether an open exchange has had its time."""
        return self.waiting is not None and now >= self._deadline

    def give_up(self) -> bool:
        """End the open exchange without an answer. Whether something was heard that made no sense."""
        garbled, self._garbled = self._garbled, False
        self.waiting = None
        self._splitter.drop()
        return garbled
