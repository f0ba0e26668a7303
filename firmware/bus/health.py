"""What a station counts on its bus, from power-up on, so that wrong termination or a swapped pair can be found."""

from collections import deque
from statistics import median

_KEPT = 1000


class BusHealth:
    """Counters of one station."""

    __slots__ = ("crc_errors", "cycle_limit_s", "cycle_s", "cycles", "intruders", "late", "missed", "polls")

    def __init__(self) -> None:
        self.crc_errors = 0
        """Runs of bytes that were part of no sound frame."""
        self.polls = 0
        self.missed = 0
        """Polls without an answer."""
        self.late = 0
        """Answers that came when nobody waited for them."""
        self.intruders = 0
        """Polls to this station's address from a primary that is not its own."""
        self.cycles = 0
        self.cycle_s: deque[float] = deque(maxlen=_KEPT)
        """How long the last cycles took on the line: all polls and the first probe."""
        self.cycle_limit_s = 0.0
        """What the frames and waits of the last cycle take at the line's own pace."""

    def end_cycle(self, took_s: float, limit_s: float) -> None:
        self.cycles += 1
        self.cycle_s.append(took_s)
        self.cycle_limit_s = limit_s

    @property
    def cycle_s_p50(self) -> float:
        return median(self.cycle_s) if self.cycle_s else 0.0
