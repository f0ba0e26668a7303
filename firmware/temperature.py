"""What the temperature of the station allows (OpenEVSE's steps; S): 65 C half of the rating, 68 C a quarter, 71 C
nothing, and all again at 62 C.

A thermometer that hangs at a plausible value can't be told from a steady temperature.
"""

import math
from bisect import bisect_right

_STEPS_C = (65.0, 68.0, 71.0)
_RESTORE_C = 62.0
_SHARES = (1.0, 0.5, 0.25, 0.0)
_UNKNOWN = 2  # the step to go to when nobody knows the temperature
_SOUND_C = (-40.0, 125.0)  # the range of a usual sensor (I)
_LOST = 3  # readings in a row that must be missing (I)


class Temperature:
    """Judges one reading after another. Two in a row must agree: one alone may be noise."""

    __slots__ = ("_before", "_missing", "_step")

    def __init__(self) -> None:
        self._step = 0
        self._missing = 0
        self._before = math.nan

    def read(self, celsius: float) -> None:
        """A reading, degrees C; NaN when there is none."""
        if not _SOUND_C[0] <= celsius <= _SOUND_C[1]:  # NaN is not within either
            self._missing += 1
            return
        before, self._before, self._missing = self._before, celsius, 0
        if math.isnan(before):
            return
        if max(celsius, before) <= _RESTORE_C:
            self._step = 0
        else:
            self._step = max(self._step, bisect_right(_STEPS_C, min(celsius, before)))

    @property
    def lost(self) -> bool:
        """The sensor has failed."""
        return self._missing >= _LOST

    @property
    def too_hot(self) -> bool:
        return self._step == len(_STEPS_C)

    @property
    def share(self) -> float:
        """Part of the rating that may be offered, 0..1."""
        return _SHARES[max(self._step, _UNKNOWN) if self.lost else self._step]
