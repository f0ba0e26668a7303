"""Waking a vehicle that is offered current and does not ask: one step of the pilot to steady (S)."""

from firmware.timing import WAKE_AFTER_S, WAKE_STEP_S


class Wake:
    """Follows one vehicle from its first offer in B."""

    __slots__ = ("_offered_since", "_woken_at")

    def __init__(self) -> None:
        self._offered_since: float | None = None
        self._woken_at: float | None = None

    def forget(self) -> None:
        """It asks, or has gone: the next time it is woken again."""
        self._offered_since = self._woken_at = None

    def pause(self) -> None:
        """It is offered nothing now."""
        self._offered_since = None

    def next_step(self, now: float) -> tuple[bool, float]:
        """Of a vehicle in B with current to offer: whether the pilot is steady now to wake it, and until when that
        holds; after the last step, when it is taken as idle, the time is `now`."""
        if self._woken_at is not None and now < self._woken_at + WAKE_STEP_S:
            return True, self._woken_at + WAKE_STEP_S
        if self._offered_since is None:
            self._offered_since = now
        if now < self._offered_since + WAKE_AFTER_S:
            return False, self._offered_since + WAKE_AFTER_S
        self._offered_since = None
        if self._woken_at is not None:
            return False, now
        self._woken_at = now
        return True, now + WAKE_STEP_S
