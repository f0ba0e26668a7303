"""Which currents flow in a site: its own sums, from the laws of circuits, apart from those of `cloud`.

Angles are those of the line-to-neutral voltages of the node that a current flows in. Where a site does not say what
lines something is on, they are drawn, as they are something in fact; so is the power factor of each member's vehicles.
"""

import cmath
from collections.abc import Sequence
from math import acos, inf, pi, sqrt
from random import Random
from typing import NamedTuple

from cloud.site import Kind, Node, Phases, Rule, Site

Amps = tuple[float, ...]
_NAMES = {Phases.SINGLE: ("",), Phases.SPLIT: ("L1", "L2"), Phases.THREE: ("A", "B", "C")}
_DEGREES = {"": 0.0, "L1": 0.0, "L2": 180.0, "A": 0.0, "B": -120.0, "C": 120.0, "N": 0.0}
_PAIRS = {Phases.SPLIT: ("L1L2",), Phases.THREE: ("AB", "BC", "CA")}
_PARTS = {"L1L2": ("L1", "L2"), "L1N": ("L1", "N"), "L2N": ("L2", "N")}


class Slot(NamedTuple):
    """One thing that is limited."""

    node: int
    line: int
    """Of the node; -1 = the node as a whole."""
    limit: float
    """Amperes; watts of a budget."""
    watts: bool


class Truth:
    """A site's circuits. `paths[i]` says what one ampere of a member is in each slot, as a phasor where lines are
    judged and as a magnitude where amperes just add."""

    def __init__(self, site: Site, rng: Random) -> None:
        self.site = site
        self.nodes = site.nodes
        self._index = {node.name: n for n, node in enumerate(site.nodes)}
        self.parents = [-1 if node.parent is None else self._index[node.parent] for node in site.nodes]
        self.lines = [_NAMES[node.phases] for node in site.nodes]
        self._on = [self._connection(n, node, rng) for n, node in enumerate(site.nodes)]
        self.slots: list[Slot] = []
        self._first_slot = [self._add_slots(n, node) for n, node in enumerate(site.nodes)]
        self.volts: list[float] = []
        """Between the lines of each member."""
        self.currents: list[dict[int, tuple[complex, ...]]] = []
        """Of each member, for each node above it: what one ampere is in its lines."""
        self.paths = [self._path(i, rng) for i in range(len(site.members))]
        self._upwards = sorted(range(len(self.nodes)), key=self._depth, reverse=True)

    def _depth(self, n: int) -> int:
        return 0 if self.parents[n] < 0 else 1 + self._depth(self.parents[n])

    def _connection(self, n: int, node: Node, rng: Random) -> str:
        """Which lines of its parent a node of fewer phases is on."""
        p = self.parents[n]
        if p < 0 or node.phases is self.nodes[p].phases or self.nodes[p].kind is Kind.BUDGET:
            return ""
        return node.lines or rng.choice(_PAIRS[self.nodes[p].phases])

    def _add_slots(self, n: int, node: Node) -> int:
        first = len(self.slots)
        if node.limit_w < inf:
            self.slots.append(Slot(n, -1, node.limit_w, watts=True))
        elif node.limit_a < inf and (node.rule is Rule.SCALAR or node.phases is Phases.SINGLE):
            self.slots.append(Slot(n, -1, node.limit_a, watts=False))
        elif node.limit_a < inf:
            self.slots += [Slot(n, line, node.limit_a, watts=False) for line in range(len(self.lines[n]))]
        return first

    def _path(self, i: int, rng: Random) -> list[tuple[int, complex]]:
        member = self.site.members[i]
        n = self._index[member.node]
        node = self.nodes[n]
        lines = member.lines if node.phases is not Phases.SINGLE else ""
        if not lines and node.phases is not Phases.SINGLE:
            lines = rng.choice(_PAIRS[node.phases])
        self.volts.append(_volts(node, lines))
        current = _load(node.phases, lines)
        chain = [n]
        while self.parents[chain[-1]] >= 0:
            chain.append(self.parents[chain[-1]])
        worst = min(acos(self.nodes[c].min_power_factor) for c in chain)
        turn = cmath.rect(1.0, rng.choice([-worst, 0.0, worst]))
        current = tuple(turn * line for line in current)
        path: list[tuple[int, complex]] = []
        self.currents.append({})
        for c in chain:
            if self.nodes[c].kind is not Kind.BUDGET:
                self.currents[i][c] = current
            path += self._counted(c, current, i)
            p = self.parents[c]
            if p >= 0 and self.nodes[p].kind is not Kind.BUDGET:
                current = self._feed(c, current)
        return path

    def _counted(self, n: int, current: tuple[complex, ...], i: int) -> list[tuple[int, complex]]:
        first, found = self._first_slot[n], []
        for s in range(first, len(self.slots)):
            slot = self.slots[s]
            if slot.node != n:
                break
            if slot.watts:
                watts = self.volts[i] * (sqrt(3) if self.site.members[i].lines == "ABC" else 1)
                found.append((s, complex(watts)))
            elif slot.line < 0:
                found.append((s, complex(max(map(abs, current)))))
            elif abs(current[slot.line]) > 1e-12:
                found.append((s, current[slot.line]))
        return found

    def _feed(self, n: int, current: tuple[complex, ...]) -> tuple[complex, ...]:
        """The currents that a node draws from its parent. Kirchhoff at the node, ampere-turns in its transformer."""
        node, parent = self.nodes[n], self.nodes[self.parents[n]]
        if node.phases is parent.phases:
            turns = parent.voltage_v / node.voltage_v if node.winding else 1.0
            if node.winding != "delta-wye":
                return tuple(line / turns for line in current)
            return _delta(current, turns)
        ampere = current[0]
        if node.phases is Phases.SPLIT:  # each half of the winding has half of the turns
            ampere = (current[0] - current[1]) / 2
        if node.winding:
            ampere *= node.voltage_v / _volts(parent, self._on[n])
        return tuple(ampere * line for line in _load(parent.phases, self._on[n]))

    # The building's load

    def building(self, own: Sequence[Amps]) -> list[Amps]:
        """In the lines of each node with all that is below it, at worst: its angles are not known."""
        total = [list(amps) or [0.0] * len(self.lines[n]) for n, amps in enumerate(own)]
        for n in self._upwards:
            p = self.parents[n]
            if p >= 0 and self.nodes[p].kind is not Kind.BUDGET and any(total[n]):
                for line, amps in enumerate(self._building_above(n, total[n])):
                    total[p][line] += amps
        return [tuple(amps) for amps in total]

    def _building_above(self, n: int, amps: Sequence[float]) -> list[float]:
        node, parent = self.nodes[n], self.nodes[self.parents[n]]
        if node.phases is parent.phases:
            turns = parent.voltage_v / node.voltage_v if node.winding else 1.0
            if node.winding != "delta-wye":
                return [line / turns for line in amps]
            a, b, c = (line / turns / sqrt(3) for line in amps)
            return [a + b, b + c, c + a]
        one = max(amps)
        if node.winding:
            one = sum(amps) / len(amps) * node.voltage_v / _volts(parent, self._on[n])
        touched = _load(parent.phases, self._on[n])
        return [one if abs(line) else 0.0 for line in touched]


def _unit(degrees: float) -> complex:
    return cmath.rect(1.0, degrees * pi / 180)


def unit(phases: Phases, line: int) -> complex:
    """The voltage of a line to neutral."""
    return _unit(_DEGREES[_NAMES[phases][line]])


def _ends(lines: str) -> tuple[str, str]:
    return _PARTS.get(lines) or (lines[0], lines[1])


def _load(phases: Phases, lines: str) -> tuple[complex, ...]:
    """One ampere, in phase with the voltage between its lines, in each line of the node."""
    names = _NAMES[phases]
    if phases is Phases.SINGLE:
        return (1.0 + 0j,)
    if lines == "ABC":
        return tuple(_unit(_DEGREES[name]) for name in names)
    one, other = _ends(lines)
    voltage = _unit(_DEGREES[one]) - (0 if other == "N" else _unit(_DEGREES[other]))
    ampere = voltage / abs(voltage)
    return tuple(ampere if name == one else -ampere if name == other else 0j for name in names)


def _volts(node: Node, lines: str) -> float:
    """Between these lines of a node."""
    if lines.endswith("N"):
        return node.voltage_v / (2 if node.phases is Phases.SPLIT else sqrt(3))
    return node.voltage_v


def _delta(current: Sequence[complex], turns: float) -> tuple[complex, ...]:
    """The lines of a delta whose secondary is a wye 30 degrees behind it (ANSI C57.12: Dyn1). The winding that feeds a
    lies between A and C, and so around; its turns are to those of the secondary as `turns` times sqrt 3."""
    lag = _unit(-30)
    a, b, c = (lag * line / (turns * sqrt(3)) for line in current)
    return (a - b, b - c, c - a)
