"""What the meter says of a vehicle that takes more than it is offered, and of a meter that can't be believed."""

import math

from firmware.bus.messages import NO_CURRENT
from hal.api import Meter

_OVERDRAW_S = 7.0  # (pilot + 0.5 A) x 1.10 for 7 s (EVerest's rule; S)
_SPARE_A = 10.0  # beyond twice the rating and this a breaker would have tripped: it is not a current (I)
_LEAST_A = -1.0  # nor is what is below this (I)
_OPEN_A = 1.0  # nor more than this behind an open contactor (I)
FAILED_S = 2.0  # a meter may miss a reading or two (I)


class CurrentWatch:
    """Judges one reading after another; amps are deciamps."""

    __slots__ = ("_bad_since", "_before", "_meter", "_most_a", "_over_since", "amps", "bad", "overdrawn", "read_at")

    def __init__(self, meter: Meter, rating_a: float) -> None:
        self._meter = meter
        self._most_a = 2 * rating_a + _SPARE_A
        self._bad_since = -math.inf
        self._over_since: float | None = None
        self._before: list[tuple[int, float]] = []
        self.read_at = -math.inf
        self.amps: float | None = None
        """The last reading, A; None when it is not to be believed."""
        self.bad = ""
        """Code of the fault that the last reading may be the sign of; empty when it was sound."""
        self.overdrawn = False
        """The vehicle has taken too much for too long."""

    @property
    def failed(self) -> str:
        """Code of the latest fault, when no reading has been sound for so long that the meter has failed."""
        return self.bad if self.read_at >= self._bad_since + FAILED_S else ""

    def read(self, offered_da: int, closed: bool, now: float) -> int:
        """The current, rounded up, or NO_CURRENT where none is shown. `offered_da`: what the pilot says; `closed`: the
        contactor."""
        amps, self.read_at = self._meter.current_a(), now
        bad = self._judged(amps, closed)
        if bad:
            if not self.bad:
                self._bad_since = now
            self.bad, self.amps, self.overdrawn = bad, None, False
        else:
            self.bad, self.amps = "", amps
            self._watch_overdraw(amps, offered_da if closed else 0, now)
        if self.failed or not _LEAST_A <= amps <= self._most_a:
            return NO_CURRENT
        if not closed and amps <= _OPEN_A:
            return 0  # the noise of a transformer: where nothing flows, it must not count as drawn
        return max(0, math.ceil(round(amps * 10, 3)))  # a current behind a contactor that has just opened counts

    def _judged(self, amps: float, closed: bool) -> str:
        """Code of the fault that a reading may be the sign of."""
        if math.isnan(amps):
            return "meter"
        return "" if _LEAST_A <= amps <= (self._most_a if closed else _OPEN_A) else "meter_implausible"

    def _watch_overdraw(self, amps: float, offered_da: int, now: float) -> None:
        if not offered_da or amps <= _allowed_a(offered_da):
            self._over_since, self.overdrawn = None, False
        elif self._over_since is None:
            self._over_since = now
        elif now >= self._over_since + _OVERDRAW_S and amps > _allowed_a(max(offered_da, self._owed_da(now))):
            self.overdrawn = True

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
