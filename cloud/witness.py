"""What every member's current is in every row of a site, worked out from the site alone, for `cloud.optimality`.

Shares no code with `cloud.lines` and `cloud.tree`: it is the other opinion. Every member is followed as phasors through
every node above it.
"""

from cmath import phase, rect
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import acos, cos, inf, pi, radians, sqrt
from typing import NamedTuple

from cloud.site import Kind, Member, Node, Phases, Rule, Site

_LINES = {Phases.SINGLE: ("",), Phases.SPLIT: ("L1", "L2"), Phases.THREE: ("A", "B", "C")}


# Currents


class Wires(NamedTuple):
    """One ampere of a member in the lines of a node."""

    amps: tuple[complex, ...]
    known: bool
    """False: at any angle, so that magnitudes add."""


def _at(degrees: float) -> complex:
    return rect(1.0, radians(degrees))


def own_wires(node: Node, lines: str) -> Wires:
    """In the node that the load is on, against its own line-to-neutral voltages."""
    names = _LINES[node.phases]
    if node.phases is Phases.SINGLE:
        return Wires((1.0,), known=True)
    if not lines:
        return Wires((1.0,) * len(names), known=False)
    volts = dict(zip("ABC", (_at(0), _at(-120), _at(120)), strict=True)) | {"L1": 0.5, "L2": -0.5, "N": 0.0}
    if lines == "ABC":
        return Wires(tuple(volts[name] for name in names), known=True)
    there, back = (lines[:2], lines[2:]) if lines.startswith("L") else (lines[0], lines[1])
    across = volts[there] - volts[back]
    unit = across / abs(across)
    return Wires(tuple(unit * ((name == there) - (name == back)) for name in names), known=True)


def wires_above(wires: Wires, node: Node, parent: Node) -> Wires:
    """What they are in the lines of the parent: power is kept, delta-wye as the North American one (low lags by 30)."""
    if node.phases is not parent.phases:
        return _one_phase_above(wires, node, parent)
    turns = node.voltage_v / parent.voltage_v if node.winding else 1.0
    if node.winding != "delta-wye":
        return Wires(tuple(turns * amps for amps in wires.amps), wires.known)
    if not wires.known:
        return Wires(tuple(2 * turns / sqrt(3) * amps for amps in wires.amps), known=False)
    # a's core is wound between A and C, b's between B and A, c's between C and B
    ac, ba, cb = (turns / sqrt(3) * amps * _at(-30) for amps in wires.amps)
    return Wires((ac - ba, ba - cb, cb - ac), known=True)


def _one_phase_above(wires: Wires, node: Node, parent: Node) -> Wires:
    ampere = max(map(abs, wires.amps))
    if node.phases is Phases.SPLIT and wires.known:
        ampere = abs(wires.amps[0] - wires.amps[1]) / 2
    if node.winding:
        ampere *= node.voltage_v / _volts(parent, node.lines)
    there = own_wires(parent, node.lines)
    return Wires(tuple(ampere * amps for amps in there.amps), there.known)


def _volts(node: Node, lines: str) -> float:
    """Volts that a load on these lines gets, all its lines together: watts of one ampere."""
    if node.phases is Phases.SINGLE:
        return node.voltage_v
    if lines == "ABC":
        return sqrt(3) * node.voltage_v
    if lines.endswith("N"):
        return node.voltage_v / (2 if node.phases is Phases.SPLIT else sqrt(3))
    return node.voltage_v


# Rows


class Group(NamedTuple):
    """Members of a row whose currents are in phase, with what one ampere of each is in it."""

    angle: float
    gains: tuple[tuple[int, float], ...]

    def sum(self, amps: Sequence[float]) -> float:
        return sum(gain * amps[i] for i, gain in self.gains)


class Part(NamedTuple):
    """Some of a row's groups beside its `flat` ones: those that draw at once."""

    flat: Group
    groups: tuple[Group, ...]
    squares: tuple[tuple[int, int, float], ...]

    def load(self, amps: Sequence[float]) -> float:
        """Every two currents at the least angle that they can have: never less than it can be."""
        sums = [group.sum(amps) for group in self.groups]
        return self.flat.sum(amps) + sqrt(max(0.0, sum(gain * sums[i] * sums[j] for i, j, gain in self.squares)))

    @property
    def members(self) -> list[int]:
        return [i for group in (self.flat, *self.groups) for i, _ in group.gains]


class Row:
    """A thing that must not be overloaded: a line of a node, a node as a whole, a power."""

    def __init__(
        self, node: str, line: str, limit: float, terms: Sequence[tuple[int, complex, bool]], swing: float
    ) -> None:
        """`terms`: one ampere of a member, and whether its angle is known; `swing` is the most that a current is off
        unity power factor, radians."""
        self.node = node
        self.line = line
        self.limit = limit
        self._swing = swing
        self._flat = Group(0.0, tuple((i, abs(gain)) for i, gain, known in terms if not known))
        by_angle: dict[int, list[tuple[int, complex]]] = {}
        for i, gain, known in terms:
            if known:
                by_angle.setdefault(round(phase(gain) * 1e6) % round(2e6 * pi), []).append((i, gain))
        self._groups = [Group(phase(some[0][1]), tuple((i, abs(g)) for i, g in some)) for some in by_angle.values()]
        self.parts = [self._part(some) for some in self._worst_sets()]
        self.members = {i for i, _, _ in terms}

    def worst(self, amps: Sequence[float]) -> float:
        """The most that it can carry while nobody draws more than these: exact."""
        return self._flat.sum(amps) + _reach([(group.angle, group.sum(amps)) for group in self._groups], self._swing)

    def counted(self, amps: Sequence[float]) -> float:
        """As `worst`, every two currents at the least angle that they can have; with unity power factor the same."""
        return max(part.load(amps) for part in self.parts)

    def _cancels(self, one: Group, other: Group) -> bool:
        return _apart(one.angle, other.angle) - 2 * self._swing > pi / 2 + 1e-6

    def _worst_sets(self) -> Iterator[tuple[Group, ...]]:
        """A group that takes nothing away from the others is part of the worst set."""
        for size in range(len(self._groups) + 1):
            for some in combinations(self._groups, size):
                rest = [group for group in self._groups if group not in some]
                if all(any(self._cancels(group, other) for other in some) for group in rest):
                    yield some

    def _part(self, groups: tuple[Group, ...]) -> Part:
        squares = tuple(
            (i, j, cos(max(0.0, _apart(one.angle, other.angle) - 2 * self._swing)))
            for i, one in enumerate(groups)
            for j, other in enumerate(groups)
        )
        return Part(self._flat, groups, squares)


def _apart(one: float, other: float) -> float:
    turn = abs(one - other) % (2 * pi)
    return min(turn, 2 * pi - turn)


def _off(angle: float, direction: float) -> float:
    """From a direction to an angle, -pi to pi."""
    return (angle - direction + pi) % (2 * pi) - pi


def _reach(angles: Sequence[tuple[float, float]], swing: float) -> float:
    """The most of a sum of phasors each of which may be shorter, and turned by `swing`: over all directions."""
    if len(angles) < 2:
        return sum(amount for _, amount in angles)
    turns = (-swing - pi / 2, -swing, swing, swing + pi / 2)
    edges = sorted({(angle + turn) % (2 * pi) for angle, _ in angles for turn in turns})
    best = 0.0
    for start, end in zip(edges, [*edges[1:], edges[0] + 2 * pi], strict=True):
        middle, sure, turned = (start + end) / 2, 0.0, 0j
        for angle, amount in angles:
            off = _off(angle, middle)
            if abs(off) <= swing:
                sure += amount
            elif abs(off) < swing + pi / 2:
                turned += rect(amount, angle - (swing if off > 0 else -swing))
        if not turned:
            best = max(best, sure)
            continue
        peak = min(max(middle + _off(phase(turned), middle), start), end)
        best = max(best, sure + abs(turned) * cos(phase(turned) - peak))
    return best


def rows(site: Site, building: Mapping[str, Sequence[float]]) -> list[Row]:
    """Every row of a site, the building's load (A per line, by node) taken from its limit."""
    nodes = {node.name: node for node in site.nodes}
    wires: dict[str, dict[int, Wires]] = {node.name: {} for node in site.nodes}
    watts = []
    for i, member in enumerate(site.members):
        watts.append(_volts(nodes[member.node], member.lines))
        _follow(i, member, nodes, wires)
    found: list[Row] = []
    for node in site.nodes:
        below = wires[node.name]
        if node.limit_w < inf:
            found.append(Row(node.name, "", node.limit_w, [(i, watts[i], False) for i in below], 0.0))
        if node.limit_a < inf:
            found += _node_rows(node, below, _loads(node, site, building))
    return found


def _follow(i: int, member: Member, nodes: Mapping[str, Node], wires: Mapping[str, dict[int, Wires]]) -> None:
    """Note a member's wires in its node and all above; a budget has none."""
    node = nodes[member.node]
    here = own_wires(node, member.lines)
    wires[node.name][i] = here
    while node.parent is not None:
        parent = nodes[node.parent]
        here = Wires((), known=False) if parent.kind is Kind.BUDGET else wires_above(here, node, parent)
        wires[parent.name][i] = here
        node = parent


def _node_rows(node: Node, below: Mapping[int, Wires], loads: Sequence[float]) -> Iterator[Row]:
    if node.rule is Rule.SCALAR:
        most = [(i, max(map(abs, wires.amps)), False) for i, wires in below.items()]
        yield Row(node.name, "", node.limit_a - max(loads), most, 0.0)
        return
    for number, line in enumerate(_LINES[node.phases]):
        terms = [(i, w.amps[number], w.known) for i, w in below.items() if abs(w.amps[number]) > 1e-9]
        yield Row(node.name, line, node.limit_a - loads[number], terms, acos(node.min_power_factor))


def _loads(node: Node, site: Site, building: Mapping[str, Sequence[float]]) -> Sequence[float]:
    """A node's building load: its own where it is known, else all that its children have, at whatever angles."""
    if node.name in building:
        return building[node.name]
    loads = [0.0] * len(_LINES[node.phases])
    for child in site.nodes:
        if child.parent == node.name:
            loads = [x + y for x, y in zip(loads, _load_above(_loads(child, site, building), child, node), strict=True)]
    return loads


def _load_above(loads: Sequence[float], node: Node, parent: Node) -> Sequence[float]:
    """Magnitudes in the parent; those of a transformer's three cores add in twos."""
    turns = node.voltage_v / parent.voltage_v if node.winding else 1.0
    if node.phases is not parent.phases:
        one = sum(loads) / 2 if node.phases is Phases.SPLIT else max(loads)
        one *= node.voltage_v / _volts(parent, node.lines) if node.winding else 1.0
        return [one * bool(abs(amps)) for amps in own_wires(parent, node.lines).amps]
    if node.winding != "delta-wye":
        return [turns * amps for amps in loads]
    a, b, c = (turns / sqrt(3) * amps for amps in loads)
    return [a + b, b + c, c + a]
