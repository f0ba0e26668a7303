"""Whether shares are legal and fair, worked out again from the site alone: a witness against `cloud.allocation`.

Shares no code with what it judges. Every member's current is followed as phasors through every node above it; a row
is judged by the worst that its members may draw, for a vehicle that draws less can raise a line behind a delta-wye
transformer.
"""

from cmath import phase, rect
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import acos, cos, inf, isclose, pi, radians, sqrt
from typing import NamedTuple, Protocol

from cloud.site import Kind, Member, Node, Phases, Rule, Site

STEP_A = 0.1
_TOLERANCE_A = 1e-6
_LINES = {Phases.SINGLE: ("",), Phases.SPLIT: ("L1", "L2"), Phases.THREE: ("A", "B", "C")}


class Asked(Protocol):
    """What a member asks for: `cloud.allocation.Claim`."""

    @property
    def min_a(self) -> float: ...
    @property
    def max_a(self) -> float: ...
    @property
    def weight(self) -> float: ...
    @property
    def priority(self) -> int: ...
    @property
    def needed_a(self) -> float: ...
    @property
    def rank(self) -> float: ...


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
    if lines == "ABC":
        return sqrt(3) * node.voltage_v
    if lines.endswith("N"):
        return node.voltage_v / (2 if node.phases is Phases.SPLIT else sqrt(3))
    return node.voltage_v


# Rows


class Term(NamedTuple):
    """One ampere of a member in a row."""

    member: int
    amps: complex
    known: bool


class Row(NamedTuple):
    """A thing that must not be overloaded: a line, a node as a whole, a power."""

    node: str
    line: str
    limit: float
    terms: tuple[Term, ...]
    swing: float
    """The most that a current is off unity power factor, radians."""

    def worst(self, amps: Sequence[float]) -> float:
        """The most that it can carry when nobody draws more than these."""
        sure, angles = self._sorted(amps)
        return sure + _reach(angles, self.swing)

    def counted(self, amps: Sequence[float]) -> float:
        """As `worst`, but every two currents at the least angle that they can have: never less."""
        sure, angles = self._sorted(amps)
        return sure + (_pairs(angles, self.swing) if self.swing else _reach(angles, 0.0))

    def _sorted(self, amps: Sequence[float]) -> tuple[float, list[tuple[float, float]]]:
        """Magnitudes that add, and those of each angle."""
        sure, angles = 0.0, dict[complex, float]()
        for i, gain, known in self.terms:
            if not known:
                sure += abs(gain) * amps[i]
            elif amps[i] > 0:
                unit = gain / abs(gain)
                key = complex(round(unit.real, 9), round(unit.imag, 9))
                angles[key] = angles.get(key, 0.0) + abs(gain) * amps[i]
        return sure, [(phase(unit), amount) for unit, amount in angles.items()]


def _apart(one: float, other: float) -> float:
    turn = abs(one - other) % (2 * pi)
    return min(turn, 2 * pi - turn)


def _reach(angles: Sequence[tuple[float, float]], swing: float) -> float:
    """The most of a sum of phasors each of which may be shorter and turned by `swing`: over all directions."""
    if len(angles) < 2:
        return sum(amount for _, amount in angles)
    edges = sorted(
        {(a + turn) % (2 * pi) for a, _ in angles for side in (swing, swing + pi / 2) for turn in (side, -side)}
    )
    best = 0.0
    for start, end in zip(edges, [*edges[1:], edges[0] + 2 * pi], strict=True):
        middle = (start + end) / 2
        sure, turned = 0.0, 0j
        for angle, amount in angles:
            off = (angle - middle + pi) % (2 * pi) - pi
            if abs(off) <= swing:
                sure += amount
            elif abs(off) < swing + pi / 2:
                turned += rect(amount, middle + off - (swing if off > 0 else -swing))
        peak = min(max(middle + ((phase(turned) - middle + pi) % (2 * pi) - pi), start), end)
        best = max(best, sure + abs(turned) * cos(phase(turned) - peak) if turned else sure)
    return best


def _pairs(angles: Sequence[tuple[float, float]], swing: float) -> float:
    best = 0.0
    for size in range(1, len(angles) + 1):
        for some in combinations(angles, size):
            square = sum(x * y * cos(max(0.0, _apart(a, b) - 2 * swing)) for a, x in some for b, y in some)
            best = max(best, square)
    return sqrt(best)


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
            found.append(Row(node.name, "", node.limit_w, tuple(Term(i, watts[i], False) for i in below), 0.0))
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
        terms = tuple(Term(i, max(map(abs, wires.amps)), False) for i, wires in below.items())
        yield Row(node.name, "", node.limit_a - max(loads), terms, 0.0)
        return
    for number, line in enumerate(_LINES[node.phases]):
        terms = tuple(Term(i, w.amps[number], w.known) for i, w in below.items() if abs(w.amps[number]) > 1e-9)
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
