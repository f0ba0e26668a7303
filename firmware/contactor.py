"""The contactor: what it was told, what its feedback says, and what a difference means."""

from math import inf

from hal.api import Contactor

FEEDBACK_CLOSE_S = 0.5  # a contactor that has not closed by then has failed (I)
FEEDBACK_FELL_S = 0.02  # one that has closed and is open for as long has fallen: less is a glitch (I)
FEEDBACK_OPEN_S = 1.0  # output still live > 1 s after opening: stuck (S)


class ContactorWatch:
    """Drives the contactor and judges its feedback."""

    __slots__ = ("_changed_at", "_contactor", "_moved_at", "closed", "commanded", "was_closed")

    def __init__(self, contactor: Contactor) -> None:
        self._contactor = contactor
        self.commanded = False
        """It was told to close."""
        self.closed = False
        """Feedback: the output is live."""
        self._changed_at = self._moved_at = -inf
        self.was_closed = False
        """It has been seen closed since it was told to."""

    def close(self, now: float) -> None:
        self.commanded, self._changed_at, self.was_closed = True, now, False
        self._contactor.close()

    def open(self, now: float) -> None:
        """Also where it should be open: the word is said again."""
        self.commanded, self._changed_at = False, now
        self._contactor.open()

    def on_feedback(self, closed: bool, now: float) -> None:
        if closed != self.closed:
            self._moved_at = now
        self.closed = closed
        self.was_closed |= closed

    @property
    def judged_at(self) -> float:
        """When its feedback is to be as it was told, if it is not yet; inf = it is."""
        if self.closed == self.commanded:
            return inf
        if not self.commanded:
            return max(self._changed_at, self._moved_at) + FEEDBACK_OPEN_S
        return self._moved_at + FEEDBACK_FELL_S if self.was_closed else self._changed_at + FEEDBACK_CLOSE_S
