"""What the building takes beside the stations, out of the readings of current transformers.

They give magnitudes. A reading that is not one (too few lines, not a number) is not heard; a negative one is a
transformer the wrong way round, or power that flows back: the conductor carries its magnitude. Where nobody has checked
which transformer is on which line, every line counts what the fullest one carries. What is not heard for
`stale_after_s` is the worst case. Load that comes counts at once; load that goes is believed at `ramp_a_per_s`.

A meter of the *total* sees the stations too. What they drew while it measured is taken off: the less of what each
reported before and after, added up as phasors; the most of three readings counts, as a vehicle may have paused at one
of them and said nothing of it. Building and stations may be out of phase by `angle_deg`, so from
|T| = |B + E| follows |B| <= sqrt(T^2 - E^2 sin^2) - E cos. Two things count at once: what exceeds even the most that
the stations may draw, and all that is not theirs when a total is above its limit.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import cos, inf, isfinite, radians, sin, sqrt

from cloud.site import Measures, Meter

_READINGS = 3
"""Of a total that are believed together."""

Magnitudes = Callable[[Sequence[float]], Sequence[float]]
"""Amperes of all members -> A in each line of the metered node."""


class Building:
    """The load of one metered node."""

    def __init__(
        self, meter: Meter, lines: int, limit_a: float, members: Sequence[int], magnitudes: Magnitudes
    ) -> None:
        """`lines` of the node, each of which may carry `limit_a`; the members below it, and what those make there."""
        self.meter = meter
        self.heard_at = -inf
        self.refused = 0
        """Readings that were none."""
        self._limit_a = limit_a
        self._members = frozenset(members)
        self._magnitudes = magnitudes
        self._worst = (min(meter.worst_a, limit_a),) * lines
        self._wanted = self._worst
        """What is to be believed in the end."""
        self._believed = self._worst
        self._at = -inf
        self._total: tuple[float, ...] = ()
        """A total that was read, and waits for the reports of ..."""
        self._recent = deque([self._worst] * _READINGS, _READINGS)
        self._read_at = -inf
        self._waits_for: set[int] = set()
        self._least: list[float] = []
        """What each member drew at least when it was read."""

    @property
    def sees_stations(self) -> bool:
        """What the stations draw is in its readings, and has to be taken off."""
        return self.meter.measures is Measures.TOTAL and bool(self._members)

    @property
    def awaited(self) -> tuple[int, ...]:
        """The members whose reports are still needed to make something of a reading."""
        return tuple(sorted(self._waits_for))

    def on_reading(self, amps: Sequence[float], drawn: Sequence[float], most: Sequence[float], now: float) -> None:
        """A reading: A in each line. Of all members what they have reported to draw, and the most they may draw: where
        the stations are in it."""
        if len(amps) != len(self._worst) or not all(map(isfinite, amps)):
            self.refused += 1
            return
        self._follow(now)
        self.heard_at = now
        read = [abs(a) + self.meter.margin_a for a in amps]
        if not self.meter.lines_sure:
            read = [max(read)] * len(read)
        if self.sees_stations:
            self._on_total(read, drawn, most, now)
        else:
            self._wanted = tuple(read)
        self._take_back()

    def _take_back(self) -> None:
        """Load that comes counts at once. More than the limit leaves no less room, and only takes longer to fall."""
        self._wanted = tuple(min(a, self._limit_a) for a in self._wanted)
        self._believed = tuple(map(max, self._believed, self._wanted))

    def _on_total(self, read: Sequence[float], drawn: Sequence[float], most: Sequence[float], now: float) -> None:
        if not self._waits_for:
            self._total, self._least = tuple(read), list(drawn)
            self._read_at, self._waits_for = now, set(self._members)
        at_once = [t - e for t, e in zip(read, self._magnitudes(most), strict=True)]
        if max(read) > self._limit_a:
            at_once = [t - e for t, e in zip(read, self._magnitudes(drawn), strict=True)]
        self._wanted = tuple(map(max, self._wanted, at_once))

    def on_report(self, member: int, drawn: float, noted_after: float) -> None:
        """A member has reported what it drew, A, at some time after `noted_after`; one that is lost draws nothing that
        could be taken off."""
        if member not in self._waits_for or noted_after < self._read_at:
            return
        self._waits_for.discard(member)
        self._least[member] = min(self._least[member], drawn)
        if not self._waits_for:
            self._recent.append(tuple(map(self._beside, self._total, self._magnitudes(self._least))))
            self._wanted = tuple(map(max, *self._recent))
            self._take_back()

    def _beside(self, total: float, stations: float) -> float:
        """The most that the building can have in a total (A) of which the stations have theirs."""
        angle = radians(self.meter.angle_deg)
        return max(0.0, sqrt(max(0.0, total**2 - (stations * sin(angle)) ** 2)) - stations * cos(angle))

    def load(self, now: float) -> tuple[float, ...]:
        """What is believed, A in each line."""
        if now >= self.stale_at:
            self._wanted = self._believed = tuple(map(max, self._wanted, self._worst))
            self._waits_for.clear()
        self._follow(now)
        return self._believed

    def _follow(self, now: float) -> None:
        fall = self.meter.ramp_a_per_s * (now - self._at) if self._at > -inf else 0.0
        self._at = now
        self._believed = tuple(max(w, b - fall) for w, b in zip(self._wanted, self._believed, strict=True))

    @property
    def stale_at(self) -> float:
        """When it counts as not heard, if nothing comes."""
        return self.heard_at + self.meter.stale_after_s

    @property
    def falling(self) -> bool:
        """More room comes with time alone."""
        return self._believed != self._wanted
