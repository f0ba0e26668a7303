"""What the meter says of a vehicle that takes more than it is offered, and of a meter that says nothing."""

import math

from firmware.bus.messages import NO_CURRENT
from hal.api import Meter

_OVERDRAW_S = 7.0  # (pilot + 0.5 A) x 1.10 for 7 s (EVerest's rule; S)
_MOST_A = 1000.0  # what a meter says beyond this is not a current (I)
LOST_S = 2.0  # a meter may miss a reading or two (I)


class CurrentWatch:
    """Judges one reading after another; amps are deciamps."""

    __slots__ = ("_before", "_lost_since", "_meter", "_over_since", "overdrawn", "read_at")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lost_since: float | None = None
        self._over_since: float | None = None
        self._before: list[tuple[int, float]] = []
        self.read_at = -math.inf
        self.overdrawn = False
        """The vehicle has taken too much for too long."""

    @property
    def silent(self) -> bool:
        """The last reading was none."""
        return self._lost_since is not None

    @property
    def lost(self) -> bool:
        """The meter has been silent for so long that it has failed."""
        return self._lost_since is not None and self.read_at >= self._lost_since + LOST_S

    def read(self, offered_da: int, now: float) -> int:
        """The current, rounded up, or NO_CURRENT. `offered_da`: what the pilot says behind a closed contactor,
        0 when nothing is to be judged."""
        amps, self.read_at = self._meter.current_a(), now
        if not math.isfinite(amps) or amps > _MOST_A:
            self._lost_since = now if self._lost_since is None else self._lost_since
            return NO_CURRENT
        self._lost_since = None
        if not offered_da or amps <= _allowed_a(offered_da):
            self._over_since, self.overdrawn = None, False
        elif self._over_since is None:
            self._over_since = now
        elif now >= self._over_since + _OVERDRAW_S and amps > _allowed_a(max(offered_da, self._owed_da(now))):
            self.overdrawn = True
        return max(0, math.ceil(round(amps * 10, 3)))

    def lowered(self, from_da: int, until: float) -> None:
        """The pilot went down: until then the vehicle may still follow what it said before."""
        self._before.append((from_da, until))

    def _owed_da(self, now: float) -> int:
        """The highest pilot that the vehicle need not have left behind yet: of two cuts in a row it follows each
        in its time, and one that refuses gains nothing by more cuts."""
        self._before = [(da, until) for da, until in self._before if until > now]
        return max((da for da, _ in self._before), default=0)


def _allowed_a(offered_da: int) -> float:
    return (offered_da / 10 + 0.5) * 1.10
