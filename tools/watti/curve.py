"""A current over time as straight lines, thinned while it grows: what a picture of a day needs of 100,000 changes.

A climb or a taper comes as a staircase of 0.1 A. It becomes one line along the stairs' inner corners, so the line is
never above the truth and less than `BELOW_A` under it. Every turn, every jump and every plateau of a minute keeps its
points.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import inf

Knot = tuple[float, float]
"""(seconds, amperes)."""
Moment = tuple[float, bool]
"""(seconds, True = just after what happened then, False = just before)."""

BELOW_A = 0.15
_PLATEAU_S = 60.0


class Curve:
    """Something that holds its value from step to step. Times never go back. `knots` is whole after `end`."""

    __slots__ = ("_from", "_held_s", "_highest", "_kept", "_lowest", "_rises", "_since", "below_a", "knots", "value")

    def __init__(self, t_s: float, value: float, below_a: float = BELOW_A) -> None:
        """`below_a`: how far the line may be below the truth; more than a stair."""
        self.below_a = below_a
        self.value, self._held_s = value, t_s
        self.knots: list[Knot] = []
        self._rises: bool | None = None
        self._keep((t_s, value))

    def step(self, t_s: float, value: float) -> None:
        """From `t_s` on it is `value`."""
        if value == self.value:
            return
        self._hold(t_s)
        rises = value > self.value
        if rises is not self._rises:
            self._keep_all()
            self._rises = rises
        self.value, self._held_s = value, t_s
        self._add((t_s, value))

    def end(self, t_s: float) -> None:
        """It stayed as it is until `t_s`."""
        self._hold(t_s)
        self._keep_all()

    def _hold(self, t_s: float) -> None:
        """It has stayed as it was until now; a long plateau is drawn as one."""
        if t_s - self._held_s >= _PLATEAU_S:
            self._keep_all()
            if self._from != (self._held_s, self.value):
                self._keep((self._held_s, self.value))
        self._add((t_s, self.value))

    def _keep(self, knot: Knot) -> None:
        self.knots.append(knot)
        self._from = knot
        self._since: list[Knot] = []
        self._kept = 0
        """How many of the points since the last knot a line may span."""
        self._lowest, self._highest = -inf, inf
        """Slopes that such a line may have."""

    def _add(self, point: Knot) -> None:
        (from_s, from_a), (t_s, amps) = self._from, point
        if t_s == from_s:
            if not from_a <= amps <= from_a + self.below_a:
                self._keep(point)
            return
        slope = (amps - from_a) / (t_s - from_s)
        self._since.append(point)
        if self._lowest <= slope <= self._highest:
            self._kept = len(self._since)
        self._highest = min(self._highest, slope)
        self._lowest = max(self._lowest, (amps - self.below_a - from_a) / (t_s - from_s))
        if self._lowest > self._highest:
            self._cut()

    def _cut(self) -> None:
        """The longest line that can be drawn ends; what it did not reach begins the next."""
        last, rest = self._since[self._kept - 1], self._since[self._kept :]
        self._keep(last)
        for point in rest:
            self._add(point)

    def _keep_all(self) -> None:
        while self._since:
            self._cut()


def thinned(knots: Sequence[Knot], most: int) -> list[Knot]:
    """At most about `most` of them: of each run of neighbours the first, the lowest, the highest and the last."""
    if len(knots) <= most:
        return list(knots)
    run = -(-len(knots) * 4 // most)
    kept: list[Knot] = []
    for begin in range(0, len(knots), run):
        those = knots[begin : begin + run]
        amps = [knot[1] for knot in those]
        kept += (those[i] for i in sorted({0, amps.index(min(amps)), amps.index(max(amps)), len(those) - 1}))
    return kept


def moments(curves: Sequence[Sequence[Knot]], steps: Sequence[float]) -> list[Moment]:
    """Every time at which any curve bends, in order; a time of `steps` and one at which a curve jumps comes twice."""
    twice = set(steps)
    for knots in curves:
        twice.update(a[0] for a, b in pairwise(knots) if a[0] == b[0])
    times = {knot[0] for knots in curves for knot in knots} | twice
    return [(t_s, after) for t_s in sorted(times) for after in ((False, True) if t_s in twice else (True,))]


def sampled(knots: Sequence[Knot], at: Sequence[Moment]) -> list[float]:
    """The curve's value at each moment; its first before it began, its last after its end."""
    times = [knot[0] for knot in knots]
    return [_value(knots, times, t_s, after) for t_s, after in at]


def _value(knots: Sequence[Knot], times: Sequence[float], t_s: float, after: bool) -> float:
    i = bisect_right(times, t_s) - 1 if after else bisect_left(times, t_s)
    i = min(max(i, 0), len(times) - 1)
    (here_s, here_a), (other_s, other_a) = knots[i], knots[min(i + 1, len(knots) - 1) if after else max(i - 1, 0)]
    if here_s in {t_s, other_s} or not times[0] < t_s < times[-1]:
        return here_a
    return here_a + (other_a - here_a) * (t_s - here_s) / (other_s - here_s)
