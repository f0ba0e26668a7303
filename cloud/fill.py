"""Exact weighted max-min fairness over a tree: water is poured into all members at once.

At level t a member has `clip(weight x t, least, most)`. The level rises; where a row of some node is full, the classes
that it counts stand still at that level, below that node, and the others go on. What comes out cannot be made fairer:
nobody can get more without taking from somebody in the same full row whose level is not higher (Bertsekas and Gallager,
Data Networks, 6.5.2; rows here may be convex, as that proof uses only that they never fall).

How: bottom up, each node adds the curves of its classes (amperes over level: straight between a few corners), finds
the level at which its rows are full, and hands its parent curves that are flat from there. Top down, a member's level
is the lowest of its class on the way to the root. One thing is missing from that: where a node above has stopped one
class before a row here was full, the others in this row could go on. Then everything up to the first such row is right
and is kept, and the rest is poured again.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import inf, sqrt
from operator import mul, sub
from typing import NamedTuple

from cloud.tree import Branch, Row, Tree

_SLACK = 1e-9
"""Relative: what rounding may add."""

Limits = Sequence[Sequence[float]]
"""Of each row of each branch."""


class Filling(NamedTuple):
    """What every member gets (A), and the row (branch, row) that keeps it from more; None = it has its most."""

    amps: list[float]
    bound: list[tuple[int, int] | None]


Corner = tuple[float, float]
"""A level, and by how much the slope changes there."""


class Curve:
    """Amperes over level: `base` at 0, then straight between corners."""

    __slots__ = ("_corners", "_slopes", "_values", "base", "levels")

    def __init__(self, base: float, corners: list[Corner]) -> None:
        """The corners in any order; they are kept, and sorted."""
        corners.sort()
        self.base = base
        self.levels = [level for level, _ in corners]
        self._corners = corners
        self._slopes = list(accumulate(change for _, change in corners))
        rises = map(mul, self._slopes, map(sub, self.levels[1:], self.levels))
        self._values = list(accumulate(rises, initial=base))

    def at(self, level: float) -> tuple[float, float]:
        """Amperes and slope at a level."""
        i = bisect_right(self.levels, level) - 1
        if i < 0:
            return self.base, 0.0
        slope = self._slopes[i]
        return (self._values[i] + slope * (level - self.levels[i]) if slope else self._values[i]), slope

    def until(self, level: float) -> list[Corner]:
        """Its corners when it is flat from a level on."""
        kept = bisect_right(self.levels, level)
        return [*self._corners[:kept], (level, -self._slopes[kept - 1])] if kept else []


class _Stop(NamedTuple):
    """A row of a branch was full at a level; `curves` and `until` are those of the branch then."""

    level: float
    branch: int
    row: Row
    curves: list[Curve]
    until: tuple[float, ...]


class _Flow:
    """What the classes of a branch take: at level 0, at the end, and where their slopes change."""

    __slots__ = ("base", "corners", "top")

    def __init__(self, classes: int) -> None:
        self.base = [0.0] * classes
        self.top = [0.0] * classes
        self.corners: list[list[Corner]] = [[] for _ in range(classes)]


def fill(
    tree: Tree, least: Sequence[float], most: Sequence[float], weights: Sequence[float], limits: Limits
) -> Filling:
    """Each member gets from `least` to `most` (A); a row that its leasts overfill already stops all others in it."""
    least, most = list(least), list(most)
    kept: dict[int, tuple[int, int] | None] = {}
    while True:
        levels, bounds, early = _pour(tree, least, most, weights, limits)
        amps = list(least)
        bound: list[tuple[int, int] | None] = [None] * len(amps)
        for i, ((n, k), low, high) in enumerate(zip(tree.places, least, most, strict=True)):
            if high > low:
                wanted = weights[i] * levels[n][k]
                if wanted >= high:
                    amps[i] = high
                else:
                    amps[i], bound[i] = max(low, wanted), bounds[n][k]
        for i, row in kept.items():
            bound[i] = row
        if early == inf:
            return Filling(amps, bound)
        for i, (n, k) in enumerate(tree.places):
            if levels[n][k] < early and most[i] > least[i]:
                kept[i] = bound[i]
                least[i] = most[i] = amps[i]


def _pour(
    tree: Tree, least: Sequence[float], most: Sequence[float], weights: Sequence[float], limits: Limits
) -> tuple[list[list[float]], list[list[tuple[int, int] | None]], float]:
    """Levels and binding rows of all classes, and from which level on they are not right (see the top)."""
    stopped: list[list[float]] = []
    stoppers: list[list[int]] = []
    stops: list[_Stop] = []
    flows = [_Flow(branch.classes) for branch in tree.branches]
    for n in range(len(flows) - 1, -1, -1):
        branch, flow = tree.branches[n], flows[n]
        _add_members(flow, branch, least, most, weights)
        until, by = _stop(n, branch.rows, flow, limits[n], stops)
        stopped.append(until)
        stoppers.append(by)
        if branch.parent >= 0:
            _hand_up(flow, flows[branch.parent], branch.up)
    stopped.reverse()
    stoppers.reverse()
    levels: list[list[float]] = []
    bounds: list[list[tuple[int, int] | None]] = []
    for n, branch in enumerate(tree.branches):
        mine: list[float] = stopped[n]
        bound: list[tuple[int, int] | None] = [None if by < 0 else (n, by) for by in stoppers[n]]
        if branch.parent >= 0:
            above, above_bound = levels[branch.parent], bounds[branch.parent]
            for k, up in enumerate(branch.up):
                if above[up] < mine[k]:
                    mine[k], bound[k] = above[up], above_bound[up]
        levels.append(mine)
        bounds.append(bound)
    return levels, bounds, min((stop.level for stop in stops if _is_early(stop, levels[stop.branch])), default=inf)


def _add_members(
    flow: _Flow, branch: Branch, least: Sequence[float], most: Sequence[float], weights: Sequence[float]
) -> None:
    for k, members in enumerate(branch.members):
        base, rise = 0.0, 0.0
        turns: dict[float, float] = {}  # many start from the same minimum or want the same
        for i in members:
            low, high = least[i], most[i]
            base += low
            if high > low:
                weight = weights[i]
                rise += high - low
                level = low / weight
                turns[level] = turns.get(level, 0.0) + weight
                level = high / weight
                turns[level] = turns.get(level, 0.0) - weight
        flow.corners[k] += turns.items()
        flow.base[k] += base
        flow.top[k] += base + rise


def _hand_up(flow: _Flow, parent: _Flow, up: Sequence[int]) -> None:
    for k, there in enumerate(up):
        parent.base[there] += flow.base[k]
        parent.top[there] += flow.top[k]
        if parent.corners[there]:
            parent.corners[there] += flow.corners[k]
        else:
            parent.corners[there] = flow.corners[k]


def _stop(
    n: int, rows: Sequence[Row], flow: _Flow, limits: Sequence[float], stops: list[_Stop]
) -> tuple[list[float], list[int]]:
    """The level at which each class is stopped by a row of its own branch, and by which; the flow is cut there."""
    classes = len(flow.base)
    until, by = [inf] * classes, [-1] * classes
    loads = [row.load(flow.top) for row in rows]
    full = [r for r, load in enumerate(loads) if load > limits[r] + _SLACK * abs(limits[r])]
    if not full:
        return until, by
    full.sort(key=lambda r: limits[r] / loads[r])  # most likely the first is the first that is full
    curves = [Curve(base, corners) for base, corners in zip(flow.base, flow.corners, strict=True)]
    while full:
        level, r = _first_full(rows, limits, full, curves, until)
        stops.append(_Stop(level, n, rows[r], curves, tuple(until)))
        for k in rows[r].classes:
            if level < until[k]:
                until[k], by[k] = level, r
                flow.top[k] = curves[k].at(level)[0]
        full = [
            r
            for r in full
            if any(until[k] == inf for k in rows[r].classes)
            and rows[r].load(flow.top) > limits[r] + _SLACK * abs(limits[r])
        ]
    for k, level in enumerate(until):
        if level < inf:
            flow.corners[k] = curves[k].until(level)
    return until, by


def _first_full(
    rows: Sequence[Row], limits: Sequence[float], full: Sequence[int], curves: Sequence[Curve], until: Sequence[float]
) -> tuple[float, int]:
    """The lowest level at which a row is full, and the row. All of `full` are in the end."""
    level, first = inf, -1
    for r in full:
        if first < 0 or _load(rows[r], level, curves, until)[0] > limits[r]:
            level, first = _full_at(rows[r], limits[r], curves, until), r
    return level, first


def _load(
    row: Row, level: float, curves: Sequence[Curve], until: Sequence[float]
) -> tuple[float, list[float], list[float]]:
    """Of a row at a level, with the amperes of the classes and their slopes."""
    amps, slopes = [0.0] * len(curves), [0.0] * len(curves)
    for k in row.classes:
        if level < until[k]:
            amps[k], slopes[k] = curves[k].at(level)
        else:
            amps[k] = curves[k].at(until[k])[0]
    return row.load(amps), amps, slopes


def _full_at(row: Row, limit: float, curves: Sequence[Curve], until: Sequence[float]) -> float:
    """The level at which a row is full. It is above its limit in the end."""
    corners = [level for level in until if level < inf]
    for k in row.classes:
        if until[k] == inf:
            corners += curves[k].levels
    corners.sort()
    before, after = 0, len(corners)
    while before < after:
        middle = (before + after) // 2
        if _load(row, corners[middle], curves, until)[0] > limit:
            after = middle
        else:
            before = middle + 1
    start = corners[before - 1] if before else 0.0
    _, amps, slopes = _load(row, start, curves, until)
    return start + until_full(row, limit, amps, slopes)


def until_full(row: Row, limit: float, amps: Sequence[float], slopes: Sequence[float]) -> float:
    """How much further the level may rise, from these amperes at these slopes."""
    room, rise = limit, 0.0
    for k, gain in row.linear:
        room -= gain * amps[k]
        rise += gain * slopes[k]
    if not row.squares:
        return max(0.0, room / rise) if rise > 0 else 0.0
    if room <= 0:
        return 0.0
    a, b, c = -rise * rise, 2 * room * rise, -room * room
    for k, other, gain in row.squares:
        a += gain * slopes[k] * slopes[other]
        b += gain * (amps[k] * slopes[other] + amps[other] * slopes[k])
        c += gain * amps[k] * amps[other]
    root = b + sqrt(max(0.0, b * b - 4 * a * c))
    return max(0.0, -2 * c / root) if root > 0 else 0.0


def _is_early(stop: _Stop, levels: Sequence[float]) -> bool:
    """Whether a class of the row had been stopped above before, so that those it did stop here could have gone on."""
    if all(levels[k] < stop.level for k in stop.row.classes):
        return False
    for k in stop.row.classes:
        assumed = min(stop.level, stop.until[k])
        if levels[k] < assumed and stop.curves[k].at(levels[k])[0] < stop.curves[k].at(assumed)[0] - _SLACK:
            return True
    return False
