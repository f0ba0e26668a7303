"""Which currents a load makes in the lines of a node, as phasors, and in those of every node above.

A `Footprint` is what one ampere of a load is in each line. Angles are those of the node's own line-to-neutral
voltages (A at 0, B at -120, C at +120 degrees), at unity power factor. A load whose lines are not known has the same
real gain in every line: it is added to whatever else they carry. (Kersting, Distribution System Modeling and Analysis,
chapter 8, for transformers.)
"""

from cmath import phase, rect
from math import acos, cos, pi, radians, sqrt
from typing import NamedTuple

from cloud.site import Node, Phases

LINES = {Phases.SINGLE: ("",), Phases.SPLIT: ("L1", "L2"), Phases.THREE: ("A", "B", "C")}
"""The lines of a node that have a limit."""


class Footprint(NamedTuple):
    """One ampere of a load in the lines of a node."""

    lines: tuple[complex, ...]
    known: bool
    """False: the angles are not known, `lines` are real gains."""

    @property
    def most(self) -> float:
        """In the line that carries most of it."""
        return max(map(abs, self.lines))


def _unit(degrees: float) -> complex:
    return rect(1.0, radians(degrees))


_AB, _BC, _CA = _unit(30), _unit(-90), _unit(150)
_A, _B, _C = _unit(0), _unit(-120), _unit(120)
_ON: dict[Phases, dict[str, tuple[complex, ...]]] = {
    Phases.SINGLE: {},
    Phases.SPLIT: {"L1L2": (1, -1), "L1N": (1, 0), "L2N": (0, -1)},
    Phases.THREE: {
        "AB": (_AB, -_AB, 0),
        "BC": (0, _BC, -_BC),
        "CA": (-_CA, 0, _CA),
        "AN": (_A, 0, 0),
        "BN": (0, _B, 0),
        "CN": (0, 0, _C),
        "ABC": (_A, _B, _C),
    },
}


def connections(phases: Phases) -> tuple[str, ...]:
    """What a load's `lines` may say in a node of these phases."""
    return tuple(_ON[phases])


def on(phases: Phases, lines: str) -> Footprint:
    """Of a load in its own node; `lines` is one of its connections or empty."""
    if phases is Phases.SINGLE:
        return Footprint((1,), known=True)
    if not lines:
        return Footprint((1,) * len(LINES[phases]), known=False)
    return Footprint(_ON[phases][lines], known=True)


def watts_per_ampere(node: Node, lines: str) -> float:
    """Of a load on these lines of a node, at unity power factor."""
    if node.phases is Phases.SINGLE:
        return node.voltage_v
    if lines == "ABC":
        return sqrt(3) * node.voltage_v
    if lines.endswith("N"):
        return node.voltage_v / (2 if node.phases is Phases.SPLIT else sqrt(3))
    return node.voltage_v


def primary_voltage(node: Node, parent: Node) -> float:
    """Of the winding of the single-phase transformer (or of the circuit) on `lines` of the parent."""
    return watts_per_ampere(parent, node.lines)


def above(footprint: Footprint, node: Node, parent: Node) -> Footprint:
    """What the footprint in the lines of a node is in those of its parent, its transformer between them."""
    if node.phases is not parent.phases:
        return _of_one_phase(footprint, node, parent)
    ratio = node.voltage_v / parent.voltage_v if node.winding else 1.0
    if node.winding != "delta-wye":
        return Footprint(tuple(ratio * line for line in footprint.lines), footprint.known)
    if not footprint.known:
        return Footprint(tuple(2 / sqrt(3) * ratio * line for line in footprint.lines), known=False)
    a, b, c = (ratio / sqrt(3) * _unit(-30) * line for line in footprint.lines)
    return Footprint(_clean(a - b, b - c, c - a), known=True)


def _of_one_phase(footprint: Footprint, node: Node, parent: Node) -> Footprint:
    """A node with fewer phases than its parent takes its current from `lines` of the parent."""
    if node.phases is Phases.SPLIT and footprint.known:
        one, two = footprint.lines
        ampere = abs(one - two) / 2
    else:
        ampere = footprint.most
    if node.winding:
        ampere *= node.voltage_v / primary_voltage(node, parent)
    there = on(parent.phases, node.lines)
    return Footprint(tuple(ampere * line for line in there.lines), there.known)


def _clean(*phasors: complex) -> tuple[complex, ...]:
    """Without the rounding errors that would make equal footprints different."""
    return tuple(complex(round(p.real, 12), round(p.imag, 12)) for p in phasors)


def building_above(amps: tuple[float, ...], node: Node, parent: Node) -> tuple[float, ...]:
    """What magnitudes (A) in the lines of a node are at most in those of its parent: angles are not known."""
    if node.phases is not parent.phases:
        most = sum(amps) / 2 if node.phases is Phases.SPLIT and node.winding else max(amps)
        ratio = node.voltage_v / primary_voltage(node, parent) if node.winding else 1.0
        return tuple(most * ratio * bool(abs(line)) for line in on(parent.phases, node.lines).lines)
    ratio = node.voltage_v / parent.voltage_v if node.winding else 1.0
    if node.winding != "delta-wye":
        return tuple(ratio * line for line in amps)
    a, b, c = (ratio / sqrt(3) * line for line in amps)
    return (a + b, b + c, c + a)


def cos_between(one: complex, other: complex, min_power_factor: float) -> float:
    """The cosine of the least angle between two currents, each displaced by at most what the power factor says."""
    angle = abs(phase(one / other))
    return cos(max(0.0, min(angle, 2 * pi - angle) - 2 * acos(min_power_factor)))
