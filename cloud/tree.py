"""A site made ready to be decided on: members in classes, nodes with rows, everything that does not fit refused.

The members of a node that have the same footprint in its lines are one *class*; they compete for the same things
there and above. A *row* is one thing that may not be exceeded: a line of a node, a node as a whole, a power. Its load
is `sum c_k X_k + sqrt(sum g_kl X_k X_l)` with the summed amperes X_k of the classes: not negative, convex and never
less when a member draws more. Where phasors of a row could cancel (behind a delta-wye transformer), there is a row for
each set of classes that can be worst, so that a vehicle that draws less never overloads a line.
"""

from cmath import phase
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from math import degrees, inf, sqrt
from typing import NamedTuple

from cloud.lines import LINES, Footprint, above, building_above, cos_between, on, watts_per_ampere
from cloud.site import Kind, Node, Rule, Site
from cloud.site_rules import SiteError, problems

__all__ = ["Branch", "Row", "SiteError", "Tree"]


class Row(NamedTuple):
    """A limit and what counts against it; `classes` are those that do."""

    line: str
    """Of its node; empty = the node as a whole."""
    limit: float
    linear: tuple[tuple[int, float], ...]
    squares: tuple[tuple[int, int, float], ...]
    classes: tuple[int, ...]

    def load(self, amps: Sequence[float]) -> float:
        """With these amperes in the classes of the node."""
        total = 0.0
        for k, gain in self.linear:
            total += gain * amps[k]
        if not self.squares:
            return total
        square = 0.0
        for k, other, gain in self.squares:
            square += gain * amps[k] * amps[other]
        return total + sqrt(square) if square > 0 else total


class Branch(NamedTuple):
    """A node of the compiled tree."""

    node: Node
    parent: int
    """-1 = the root."""
    classes: int
    up: tuple[int, ...]
    """For each class the one that it belongs to in the parent."""
    rows: tuple[Row, ...]
    members: tuple[tuple[int, ...], ...]
    """Of each class those that are on this node itself."""


class _Class(NamedTuple):
    footprint: Footprint
    watts: float


class Tree:
    """A site that fits together. `branches` are in order: parents before their children."""

    def __init__(self, site: Site) -> None:
        """Raise `SiteError` with everything that does not fit."""
        found = problems(site)
        if found:
            raise SiteError(found)
        self.site = site
        self.timing = site.timing
        nodes = _in_order(site.nodes)
        self.index = {node.name: n for n, node in enumerate(nodes)}
        self.parents = [-1 if node.parent is None else self.index[node.parent] for node in nodes]
        classes: list[dict[_Class, int]] = [{} for _ in nodes]
        self.places = [self._place(nodes, classes, i) for i in range(len(site.members))]
        """Of each member its node and its class there."""
        ups = self._climb(nodes, classes)
        self._classes = [list(there) for there in classes]
        members: list[list[list[int]]] = [[[] for _ in there] for there in classes]
        for i, (n, k) in enumerate(self.places):
            members[n][k].append(i)
        self.branches = [
            Branch(node, parent, len(there), up, tuple(_rows(node, list(there))), tuple(tuple(some) for some in mine))
            for node, parent, there, up, mine in zip(nodes, self.parents, classes, ups, members, strict=True)
        ]

    def _place(self, nodes: Sequence[Node], classes: list[dict[_Class, int]], i: int) -> tuple[int, int]:
        member = self.site.members[i]
        n = self.index[member.node]
        node = nodes[n]
        made = _Class(on(node.phases, member.lines), watts_per_ampere(node, member.lines))
        return n, classes[n].setdefault(made, len(classes[n]))

    def _climb(self, nodes: Sequence[Node], classes: list[dict[_Class, int]]) -> list[tuple[int, ...]]:
        """Bring every class to its parent, from the leaves up."""
        ups: list[tuple[int, ...]] = [()] * len(nodes)
        for n in range(len(nodes) - 1, 0, -1):
            p = self.parents[n]
            there = classes[p]
            up = []
            for one in classes[n]:
                budget = nodes[p].kind is Kind.BUDGET
                footprint = Footprint((0,), known=False) if budget else above(one.footprint, nodes[n], nodes[p])
                up.append(there.setdefault(_Class(footprint, one.watts), len(there)))
            ups[n] = tuple(up)
        return ups

    @cached_property
    def paths(self) -> list[tuple[tuple[int, int], ...]]:
        """Of each member its node and class, those above included, upwards."""
        found = []
        for place in self.places:
            path, (n, k) = [], place
            while n >= 0:
                path.append((n, k))
                n, k = self.parents[n], (self.branches[n].up[k] if self.parents[n] >= 0 else 0)
            found.append(tuple(path))
        return found

    @cached_property
    def written(self) -> list[tuple[float, ...]]:
        """The limit of each row of each branch, without building load."""
        return [tuple(row.limit for row in branch.rows) for branch in self.branches]

    def limits(self, building: Mapping[str, Sequence[float]]) -> list[tuple[float, ...]]:
        """What is left of each row beside the building's load: A in each line of a node, by its name."""
        if not building:
            return self.written
        loads = self.building(building)
        return [
            tuple(max(0.0, row.limit - _beside(row.line, branch.node, load)) for row in branch.rows)
            if load
            else written
            for branch, load, written in zip(self.branches, loads, self.written, strict=True)
        ]

    def building(self, known: Mapping[str, Sequence[float]]) -> list[tuple[float, ...]]:
        """The building's load in each branch: its own where it is known, else what its children have."""
        loads: list[tuple[float, ...]] = [()] * len(self.branches)
        for n in range(len(loads) - 1, -1, -1):
            branch = self.branches[n]
            if branch.node.name in known:
                loads[n] = tuple(known[branch.node.name])
            p = branch.parent
            if loads[n] and p >= 0 and self.branches[p].node.kind is not Kind.BUDGET:
                brought = building_above(loads[n], branch.node, self.branches[p].node)
                loads[p] = tuple(map(sum, zip(loads[p], brought, strict=True))) if loads[p] else brought
        return loads

    def node(self, name: str) -> Node:
        """By its name."""
        return self.branches[self.index[name]].node

    def watts_per_ampere(self, i: int) -> float:
        """Of a member."""
        return self._classes[self.places[i][0]][self.places[i][1]].watts

    def magnitudes(self, name: str) -> Callable[[Sequence[float]], list[float]]:
        """What the amperes of all members make in each line of a node; the lines of those below it are known."""
        n = self.index[name]
        gains = [one.footprint.lines for one in self._classes[n]]

        def add(amps: Sequence[float]) -> list[float]:
            sums = self.sums(amps)[n]
            return [abs(sum(gain[line] * x for gain, x in zip(gains, sums, strict=True))) for line in range(lines)]

        lines = self.lines(name)
        return add

    def lines(self, name: str) -> int:
        """How many lines a node has that a meter can measure."""
        return len(LINES[self.branches[self.index[name]].node.phases])

    def below(self, name: str) -> list[int]:
        """The members on a node and on those below it."""
        n = self.index[name]
        return [i for i, path in enumerate(self.paths) if any(there == n for there, _ in path)]

    def sums(self, amps: Sequence[float]) -> list[list[float]]:
        """Of each branch the amperes of its classes, with these of the members."""
        sums = [[0.0] * branch.classes for branch in self.branches]
        for i, (n, k) in enumerate(self.places):
            sums[n][k] += amps[i]
        for n in range(len(sums) - 1, 0, -1):
            branch = self.branches[n]
            there = sums[branch.parent]
            for k, up in enumerate(branch.up):
                there[up] += sums[n][k]
        return sums


def _in_order(nodes: Sequence[Node]) -> list[Node]:
    """Parents before their children, otherwise as they are written."""
    below: dict[str | None, list[Node]] = {}
    for node in nodes:
        below.setdefault(node.parent, []).append(node)
    order = list(below[None])
    for node in order:
        order += below.get(node.name, ())
    return order


def _beside(line: str, node: Node, load: Sequence[float]) -> float:
    """Of the building's load what counts against a row of a line, or of the whole node."""
    return load[LINES[node.phases].index(line)] if line else max(load)


# Rows


def _rows(node: Node, classes: Sequence[_Class]) -> list[Row]:
    everyone = range(len(classes))
    rows = []
    if node.limit_w < inf:
        rows.append(_sum("", node.limit_w, [(k, classes[k].watts) for k in everyone]))
    if node.limit_a < inf and node.rule is Rule.SCALAR:
        rows.append(_sum("", node.limit_a, [(k, classes[k].footprint.most) for k in everyone]))
    elif node.limit_a < inf:
        for number, line in enumerate(LINES[node.phases]):
            rows += _line_rows(line, node, [one.footprint for one in classes], number)
    return rows


def _sum(line: str, limit: float, terms: Sequence[tuple[int, float]]) -> Row:
    linear = tuple((k, gain) for k, gain in terms if gain)
    return Row(line, limit, linear, (), tuple(k for k, _ in linear))


def _line_rows(line: str, node: Node, footprints: Sequence[Footprint], number: int) -> list[Row]:
    """The rows of one line: more than one where the currents of some classes could cancel those of others."""
    flat, phasors = [], []
    for k, footprint in enumerate(footprints):
        amps = footprint.lines[number]
        if abs(amps) and footprint.known:
            phasors.append((k, amps))
        elif abs(amps):
            flat.append((k, abs(amps)))
    if not phasors:
        return [_sum(line, node.limit_a, flat)]
    return [_line_row(line, node, flat, worst) for worst in _worst_sets(phasors, node.min_power_factor)]


def _line_row(line: str, node: Node, flat: list[tuple[int, float]], worst: list[tuple[int, complex]]) -> Row:
    if all(_gram(a, b, node.min_power_factor) > abs(a) * abs(b) * (1 - 1e-12) for _, a in worst for _, b in worst):
        return _sum(line, node.limit_a, sorted([*flat, *((k, abs(a)) for k, a in worst)]))  # all in phase
    squares = tuple(
        (k, other, (1 if k == other else 2) * _gram(a, b, node.min_power_factor))
        for i, (k, a) in enumerate(worst)
        for other, b in worst[i:]
    )
    return Row(line, node.limit_a, tuple(flat), squares, tuple(sorted(k for k, _ in [*flat, *worst])))


def _gram(one: complex, other: complex, min_power_factor: float) -> float:
    return abs(one) * abs(other) * cos_between(one, other, min_power_factor)


def _worst_sets(phasors: Sequence[tuple[int, complex]], min_power_factor: float) -> list[list[tuple[int, complex]]]:
    """Sets of classes that can be the worst: whatever is not in a set cancels something that is."""
    by_angle: dict[int, list[tuple[int, complex]]] = {}
    for k, amps in phasors:
        by_angle.setdefault(round(degrees(phase(amps))) % 360, []).append((k, amps))
    groups = list(by_angle.values())

    def cancel(one: list[tuple[int, complex]], other: list[tuple[int, complex]]) -> bool:
        return cos_between(one[0][1], other[0][1], min_power_factor) < -1e-12

    sets = (chosen for size in range(len(groups), 0, -1) for chosen in combinations(groups, size))
    return [
        [one for group in chosen for one in group]
        for chosen in sets
        if all(any(cancel(group, one) for one in chosen) for group in groups if group not in chosen)
    ]
