"""A value that one thread measures and another one looks at."""

from collections.abc import Callable
from math import inf, nan


class Latest:
    """What was measured last, as long as it is fresh."""

    __slots__ = ("_clock", "_fresh_s", "_reading")

    def __init__(self, fresh_s: float, clock: Callable[[], float]) -> None:
        self._fresh_s = fresh_s
        self._clock = clock
        self._reading = (nan, -inf)  # in one piece, as the other thread may look at any moment

    def take(self, value: float, now: float) -> None:
        """`value` was measured at `now` (monotonic s); NaN = the one before no longer counts."""
        self._reading = (value, now)

    @property
    def value(self) -> float:
        """The last value, NaN when it is older than `fresh_s`."""
        value, at = self._reading
        return value if self._clock() < at + self._fresh_s else nan
