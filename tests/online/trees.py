"""Random sites, and what is asked of them: everything that a site can say, in trees small enough to be solved twice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, sqrt
from random import Random
from typing import NamedTuple

from cloud.allocation import Claim
from cloud.site import Kind, Member, Node, Phases, Rule, Site

LINES = {
    Phases.SINGLE: ("",),
    Phases.SPLIT: ("L1L2", "L1L2", "L1N", "L2N", ""),
    Phases.THREE: ("AB", "BC", "CA", "AB", "BC", "CA", "AN", "BN", "CN", "ABC", ""),
}
"""What a load may be on, the usual ones more often."""
_COUNT = {Phases.SINGLE: 1, Phases.SPLIT: 2, Phases.THREE: 3}
_ROOTS = (
    (Phases.THREE, 480.0),
    (Phases.THREE, 208.0),
    (Phases.THREE, 208.0),
    (Phases.SPLIT, 240.0),
    (Phases.SINGLE, 240.0),
)


class Case(NamedTuple):
    """A site, a claim of each member, and the building's load."""

    site: Site
    claims: Sequence[Claim]
    building: Mapping[str, Sequence[float]]


def volts(node: Node, lines: str) -> float:
    """Between the lines of a node."""
    if not lines.endswith("N"):
        return node.voltage_v
    return node.voltage_v / (2 if node.phases is Phases.SPLIT else sqrt(3))


class _Grower:
    def __init__(self, rng: Random, members: int, scalar: bool, displaced: bool) -> None:
        self.rng = rng
        self.left = members
        self.scalar = scalar
        self.displaced = displaced
        self.nodes: list[Node] = []
        self.members: list[Member] = []

    def node(
        self, kind: Kind, parent: Node | None, phases: Phases, voltage_v: float, lines: str = "", winding: str = ""
    ) -> Node:
        rule = Rule.SCALAR if self.scalar or self.rng.random() < 0.3 else Rule.PHASOR
        factor = self.rng.choice((0.8, 0.9, 0.95)) if self.displaced and self.rng.random() < 0.5 else 1.0
        name = f"n{len(self.nodes)}"
        above = None if parent is None else parent.name
        node = Node(
            name, kind, above, phases, voltage_v, rule=rule, lines=lines, winding=winding, min_power_factor=factor
        )
        self.nodes.append(node)
        return node

    def below(self, node: Node, depth: int) -> None:
        """Members and nodes of a node that has lines."""
        for _ in range(self.rng.randint(1, 6)):
            if depth < 3 and self.left > 0 and self.rng.random() < 0.45:
                self.below(self.child(node), depth + 1)
            elif self.left > 0:
                self.member(node)

    def child(self, node: Node) -> Node:
        rng = self.rng
        lines = rng.choice([x for x in LINES[node.phases] if x != "ABC"])
        way = rng.random()
        if node.phases is Phases.THREE and node.kind is not Kind.CIRCUIT and way < 0.35:
            winding = rng.choice(("delta-wye", "delta-wye", "wye-wye"))
            return self.node(Kind.TRANSFORMER, node, Phases.THREE, rng.choice((208.0, 480.0)), winding=winding)
        if node.phases is Phases.THREE and node.kind is not Kind.CIRCUIT and way < 0.5:
            lines = lines or "AB"
            return self.node(Kind.TRANSFORMER, node, Phases.SPLIT, 240.0, lines=lines, winding="single")
        if node.phases is not Phases.SINGLE and way < 0.75:
            return self.node(Kind.CIRCUIT, node, Phases.SINGLE, volts(node, lines), lines=lines)
        kind = Kind.CIRCUIT if node.kind is Kind.CIRCUIT else Kind.PANEL
        return self.node(kind, node, node.phases, node.voltage_v)

    def member(self, node: Node) -> None:
        rng = self.rng
        self.left -= 1
        rating_a = rng.choice((16.0, 32.0, 48.0, 48.0, 80.0))
        min_a = rng.choice((6.0, 6.0, 6.0, 8.0))
        lines = rng.choice(LINES[node.phases] if node.phases is not Phases.SINGLE else ("", node.lines))
        self.members.append(Member(f"m{len(self.members)}", node.name, rating_a, lines, min_a=min_a))


def _limited(rng: Random, nodes: Sequence[Node], members: Sequence[Member]) -> tuple[Node, ...]:
    """Limits that bind here and there: parts of what all members below could take."""
    amps = {node.name: 0.0 for node in nodes}
    watts = dict(amps)
    above = {node.name: node for node in nodes}
    for member in members:
        at: Node | None = above[member.node]
        while at is not None:
            amps[at.name] += member.rating_a * above[member.node].voltage_v / at.voltage_v
            watts[at.name] += member.rating_a * above[member.node].voltage_v
            at = above[at.parent] if at.parent else None
    limited = []
    for node in nodes:
        part = rng.choice((inf, 1.0, 0.8, 0.6, 0.45, 0.3, 0.2)) * rng.uniform(0.8, 1.2)
        if node.kind is Kind.BUDGET:
            limited.append(replace(node, limit_w=watts[node.name] * min(part, 2.0) + 100.0))
        else:
            limited.append(replace(node, limit_a=round((amps[node.name] + 1.0) * part + 6.0, 1)))
    return tuple(limited)


def random_site(rng: Random, members: int = 14, scalar: bool = False, displaced: bool = False) -> Site:
    """A site of at most so many members; `scalar`: no phasor rows; `displaced`: some power factors below 1."""
    grower = _Grower(rng, rng.randint(1, members), scalar, displaced)
    roots = 1
    budget = None
    if rng.random() < 0.15:
        budget = grower.node(Kind.BUDGET, None, Phases.SINGLE, 1.0)
        roots = rng.randint(1, 3)
    for _ in range(roots):
        phases, voltage_v = rng.choice(_ROOTS)
        grower.below(grower.node(Kind.SERVICE, budget, phases, voltage_v), 0)
    if not grower.members:
        grower.member(grower.nodes[-1])
    return Site("random", _limited(rng, grower.nodes, grower.members), tuple(grower.members))


def random_case(rng: Random, members: int = 14, scalar: bool = False, displaced: bool = False) -> Case:
    """A site, with vehicles that ask for different things, and building load on some nodes."""
    site = random_site(rng, members, scalar, displaced)
    plain = rng.random() < 0.4
    claims = [_claim(rng, member, plain) for member in site.members]
    building = {}
    for node in site.nodes:
        if node.limit_a < inf and rng.random() < 0.15:
            building[node.name] = [round(rng.uniform(0, 0.4) * node.limit_a, 1) for _ in range(_COUNT[node.phases])]
    return Case(site, claims, building)


def _claim(rng: Random, member: Member, plain: bool) -> Claim:
    standing_a = round(rng.uniform(0, 12.0), 1) if not plain and rng.random() < 0.15 else 0.0
    if rng.random() < 0.2:
        return Claim(member.min_a, 0.0, standing_a=standing_a)
    most_a = member.rating_a if rng.random() < 0.6 else round(rng.uniform(member.min_a, member.rating_a), 1)
    if rng.random() < 0.05:
        most_a = round(rng.uniform(0.1, member.min_a), 1)  # nearly full: it needs its minimum all the same
    if plain:
        return Claim(member.min_a, most_a, rng.choice((1.0, 1.0, 0.5, 2.0)))
    return Claim(
        member.min_a,
        most_a,
        rng.choice((1.0, 1.0, 0.5, 2.0, 3.0)),
        rng.choice((0, 0, 0, 1, 2)),
        round(rng.uniform(0, most_a), 1) if rng.random() < 0.3 else 0.0,
        rng.choice((0.0, 0.0, rng.random())),
        standing_a,
    )
