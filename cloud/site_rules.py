"""What must fit together in a site, and what is said where it does not."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from cloud.lines import connections
from cloud.site import Kind, Measures, Member, Meter, Node, Phases, Rule, Site, Timing

_MAY_BE_BELOW = {
    Kind.BUDGET: {Kind.BUDGET},
    Kind.SERVICE: {Kind.BUDGET},
    Kind.TRANSFORMER: {Kind.BUDGET, Kind.SERVICE, Kind.TRANSFORMER, Kind.PANEL},
    Kind.PANEL: {Kind.BUDGET, Kind.SERVICE, Kind.TRANSFORMER, Kind.PANEL, Kind.CIRCUIT},
    Kind.CIRCUIT: {Kind.SERVICE, Kind.TRANSFORMER, Kind.PANEL, Kind.CIRCUIT},
}
_WINDINGS = ("", "wye-wye", "delta-wye", "single")
WEIGHTS = (0.001, 1000.0)
"""The least and the most that a weight may be (I): far enough apart, and sums of them still exact."""
_TIMES = (
    ("report_s", 0.1, 3600.0),
    ("lease_s", 1.0, 86400.0),
    ("hold_s", 0.0, 86400.0),
    ("drift", 0.0, 0.1),
    ("stagger_s", 0.0, 3600.0),
    ("turn_s", 1.0, 86400.0),
)
_FEWER = {Phases.SINGLE: 1, Phases.SPLIT: 2, Phases.THREE: 3}


class Problem(NamedTuple):
    """One thing that does not fit: where (`("node", 2, "parent")`, places counted from 0) and what was expected."""

    path: tuple[str | int, ...]
    text: str


class SiteError(ValueError):
    """A site is refused, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(f"{'.'.join(map(str, p.path))}: {p.text}" for p in problems))


def problems(site: Site) -> list[Problem]:
    """Everything that does not fit; the lines are looked at only when the tree is one."""
    found = [*_names(site), *_numbers(site), *_timing(site)]
    shape = [*_names(site), *_shape(site.nodes), *_homeless(site)]
    return found + [p for p in shape if p not in found] + ([] if shape else list(_wiring(site)))


# Names and the tree's shape


def _names(site: Site) -> Iterator[Problem]:
    lists: tuple[tuple[str, Sequence[Node | Member | Meter]], ...] = (
        ("node", site.nodes),
        ("member", site.members),
        ("meter", site.meters),
    )
    for key, things in lists:
        first: dict[str, int] = {}
        for i, thing in enumerate(things):
            if first.setdefault(thing.name, i) != i:
                where = ""
                if key == "member":
                    where = f", on {site.members[first[thing.name]].node} and on {site.members[i].node}"
                yield Problem((key, i, "name"), f"expected a name of its own (got {thing.name} twice{where})")


def _shape(nodes: Sequence[Node]) -> Iterator[Problem]:
    parents = {node.name: node.parent for node in nodes}
    roots = [i for i, node in enumerate(nodes) if node.parent is None]
    if not roots:
        yield Problem(("node",), "expected one node without a parent, the root (got none)")
    for i in roots[1:]:
        yield Problem(("node", i, "parent"), f"expected a parent: the root is {nodes[roots[0]].name}")
    for i, node in enumerate(nodes):
        if node.parent is not None and node.parent not in parents:
            yield Problem(("node", i, "parent"), f"expected the name of a node (got {node.parent})")
        elif node.parent is not None and _circles(node.name, parents):
            yield Problem(("node", i, "parent"), f"expected a tree: {node.name} is above itself")


def _circles(name: str, parents: dict[str, str | None]) -> bool:
    above, steps = parents[name], 0
    while above is not None and above != name and steps <= len(parents):
        above, steps = parents.get(above), steps + 1
    return above == name


def _homeless(site: Site) -> Iterator[Problem]:
    nodes = {node.name for node in site.nodes}
    for i, member in enumerate(site.members):
        if member.node not in nodes:
            yield Problem(("member", i, "node"), f"expected the name of a node (got {member.node})")
    for i, meter in enumerate(site.meters):
        if meter.node not in nodes:
            yield Problem(("meter", i, "node"), f"expected the name of a node (got {meter.node})")
        elif any(other.node == meter.node for other in site.meters[:i]):
            yield Problem(("meter", i, "node"), f"expected a node of its own (got {meter.node} twice)")


# Numbers


def _numbers(site: Site) -> Iterator[Problem]:
    for i, node in enumerate(site.nodes):
        yield from _node_numbers(i, node)
    for i, member in enumerate(site.members):
        yield from _member_numbers(i, member)
    for i, meter in enumerate(site.meters):
        yield from _meter_numbers(i, meter)


def _node_numbers(i: int, node: Node) -> Iterator[Problem]:
    if not (node.limit_a > 0 and node.limit_w > 0):
        yield Problem(("node", i, "limit_a"), "expected a limit above 0")
    elif (node.kind is Kind.BUDGET) != (node.limit_w < inf) or (node.kind is Kind.BUDGET and node.limit_a < inf):
        yield Problem(("node", i, "limit_a"), "expected a limit in watts on a budget, and on a budget only")
    if not 0 < node.voltage_v < inf:
        yield Problem(("node", i, "voltage_v"), f"expected volts (got {node.voltage_v:g})")
    if not 0.5 <= node.min_power_factor <= 1:
        yield Problem(("node", i, "min_power_factor"), f"expected 0.5 to 1 (got {node.min_power_factor:g})")


def _meter_numbers(i: int, meter: Meter) -> Iterator[Problem]:
    for key in ("period_s", "stale_after_s", "ramp_a_per_s"):
        if not 0 < getattr(meter, key) < inf:
            yield Problem(("meter", i, key), f"expected a number above 0 (got {getattr(meter, key):g})")
    if not (0 <= meter.margin_a < inf and meter.worst_a >= 0):
        yield Problem(("meter", i, "margin_a"), "expected no negative amperes")
    if not 0 <= meter.angle_deg <= 90:
        yield Problem(("meter", i, "angle_deg"), f"expected 0 to 90 (got {meter.angle_deg:g})")
    if meter.stale_after_s < meter.period_s:
        yield Problem(("meter", i, "stale_after_s"), f"expected at least its period (got {meter.stale_after_s:g})")


def _member_numbers(i: int, member: Member) -> Iterator[Problem]:
    if not 0 < member.min_a <= member.rating_a < inf:
        text = f"expected 0 < min_a <= rating (got {member.min_a:g} and {member.rating_a:g})"
        yield Problem(("member", i, "min_a"), text)
    for key, amps in (("min_a", member.min_a), ("fallback_a", member.fallback_a)):
        if amps is not None and (amps * 10 + 1e-6) % 1 > 2e-6:
            yield Problem(("member", i, key), f"expected steps of 0.1 A (got {amps:g})")
    low, high = WEIGHTS
    if not low <= member.weight <= high:
        yield Problem(("member", i, "weight"), f"expected {low:g} to {high:g} (got {member.weight:g})")
    if member.stations < 1:
        yield Problem(("member", i, "stations"), f"expected at least 1 (got {member.stations})")
    if not 0 <= member.settle_s < inf:
        yield Problem(("member", i, "settle_s"), f"expected seconds (got {member.settle_s:g})")
    fallback = member.fallback_a
    if fallback is not None and not (fallback == 0 or member.min_a <= fallback <= member.rating_a):
        text = f"expected 0, or {member.min_a:g} to {member.rating_a:g} (got {fallback:g})"
        yield Problem(("member", i, "fallback_a"), text)


def _timing(site: Site) -> Iterator[Problem]:
    timing = site.timing
    wrong = [
        Problem(("timing", key), f"expected {least:g} to {most:g} (got {getattr(timing, key):g})")
        for key, least, most in _TIMES
        if not least <= getattr(timing, key) <= most
    ]
    yield from wrong
    if wrong:
        return
    if timing.report_s * 4 > timing.lease_s:
        text = f"expected at least 4 reports of {timing.report_s:g} s (got {timing.lease_s:g})"
        yield Problem(("timing", "lease_s"), text)
    elif timing.hold_s < least_hold_s(timing, site.members):
        text = (
            f"expected at least {least_hold_s(timing, site.members):.1f} s, in which the others can make room for a "
            "member that is lost: lease + slowest settle_s + 6 reports + 2 s, with drift, less its lease "
            f"(got {timing.hold_s:g})"
        )
        yield Problem(("timing", "hold_s"), text)


def least_hold_s(timing: Timing, members: Sequence[Member]) -> float:
    """How long after its lease a member must wait with its fallback, so that silence is noticed and room is made."""
    settle_s = max((m.settle_s for m in members), default=0.0)
    room = (timing.lease_s + settle_s) * (1 + timing.drift) + 6 * timing.report_s + 2.0
    return room / (1 - timing.drift) - timing.lease_s


# Phases, lines, transformers


def _wiring(site: Site) -> Iterator[Problem]:
    nodes = {node.name: node for node in site.nodes}
    for i, node in enumerate(site.nodes):
        if node.parent is not None:
            yield from _feeding(i, node, nodes[node.parent])
        elif node.lines or node.winding:
            yield Problem(("node", i, "lines" if node.lines else "winding"), "expected none: it has no parent")
    for i, member in enumerate(site.members):
        yield from _member_lines(i, member, nodes[member.node])
    for i, meter in enumerate(site.meters):
        yield from _metered(i, meter, site, nodes)


def _feeding(i: int, node: Node, parent: Node) -> Iterator[Problem]:
    if parent.kind not in _MAY_BE_BELOW[node.kind]:
        yield Problem(
            ("node", i, "parent"), f"a {node.kind.value} can't be below a {parent.kind.value} ({parent.name})"
        )
    if node.winding not in _WINDINGS:
        yield Problem(("node", i, "winding"), f"expected one of wye-wye, delta-wye, single (got {node.winding})")
    elif parent.kind is Kind.BUDGET:
        if node.lines or node.winding:
            yield Problem(("node", i, "lines" if node.lines else "winding"), "expected none: a budget has no lines")
    elif _FEWER[node.phases] > _FEWER[parent.phases]:
        text = f"{node.phases.value} phase can't come from {parent.name}, which is {parent.phases.value} phase"
        yield Problem(("node", i, "phases"), text)
    elif node.phases is parent.phases:
        yield from _same_phases(i, node, parent)
    else:
        yield from _fewer_phases(i, node, parent)


def _same_phases(i: int, node: Node, parent: Node) -> Iterator[Problem]:
    if node.lines and not (node.phases is Phases.SINGLE and node.lines == parent.lines):
        yield Problem(("node", i, "lines"), f"expected none: it has all lines of {parent.name} (got {node.lines})")
    if node.winding == "single" or (node.winding == "delta-wye" and node.phases is not Phases.THREE):
        yield Problem(("node", i, "winding"), f"{node.winding} can't feed {node.phases.value} phase from {parent.name}")
    if not node.winding and node.voltage_v != parent.voltage_v:
        text = f"expected {parent.voltage_v:g} as in {parent.name}, or a winding (got {node.voltage_v:g})"
        yield Problem(("node", i, "voltage_v"), text)


def _fewer_phases(i: int, node: Node, parent: Node) -> Iterator[Problem]:
    if node.lines not in ("", *connections(parent.phases)) or node.lines == "ABC":
        text = f"expected lines of {parent.name}: {', '.join(_two(parent))} (got {node.lines})"
        yield Problem(("node", i, "lines"), text)
    elif node.phases is Phases.SPLIT and not (node.winding == "single" and node.lines):
        text = f'expected winding = "single" and the lines of {parent.name} that its primary is on'
        yield Problem(("node", i, "winding"), text)
    elif node.winding not in ("", "single"):
        yield Problem(("node", i, "winding"), f"{node.winding} can't feed {node.phases.value} phase from {parent.name}")
    elif not node.winding and node.lines and not _close(node, parent):
        text = f"expected the voltage of {node.lines} in {parent.name}, or a winding (got {node.voltage_v:g})"
        yield Problem(("node", i, "voltage_v"), text)


def _two(node: Node) -> list[str]:
    return [lines for lines in connections(node.phases) if lines != "ABC"]


def _close(node: Node, parent: Node) -> bool:
    from cloud.lines import primary_voltage

    return abs(node.voltage_v - primary_voltage(node, parent)) <= 0.02 * node.voltage_v


def _member_lines(i: int, member: Member, node: Node) -> Iterator[Problem]:
    if node.kind is Kind.BUDGET:
        yield Problem(("member", i, "node"), f"expected a node with lines (got {node.name}, a budget)")
    elif node.phases is Phases.SINGLE and member.lines not in ("", node.lines):
        yield Problem(("member", i, "lines"), f"expected the lines of {node.name}, or none (got {member.lines})")
    elif node.phases is not Phases.SINGLE and member.lines not in ("", *connections(node.phases)):
        text = f"expected one of {', '.join(connections(node.phases))} of {node.name} (got {member.lines})"
        yield Problem(("member", i, "lines"), text)


def _metered(i: int, meter: Meter, site: Site, nodes: dict[str, Node]) -> Iterator[Problem]:
    node = nodes[meter.node]
    if node.kind is Kind.BUDGET:
        yield Problem(("meter", i, "node"), f"expected a node with lines (got {node.name}, a budget)")
    elif node.limit_a == meter.worst_a == inf:
        text = f"expected the most that the building takes: {node.name} has no limit_a that would be the worst case"
        yield Problem(("meter", i, "worst_a"), text)
    elif meter.measures is Measures.TOTAL and node.phases is not Phases.SINGLE and not _all_known(node, site, nodes):
        text = (
            f"expected the lines of every station below {node.name}: what they draw can't be told from the building's "
            'load otherwise; or measures = "building"'
        )
        yield Problem(("meter", i, "measures"), text)
    elif meter.measures is Measures.TOTAL and node.rule is Rule.SCALAR and node.phases is not Phases.SINGLE:
        text = f'expected rule = "phasor" on {node.name}: a total is measured line by line'
        yield Problem(("meter", i, "measures"), text)


def _all_known(top: Node, site: Site, nodes: dict[str, Node]) -> bool:
    """Whether the lines of all members below a node are known."""
    for member in site.members:
        node, known = nodes[member.node], bool(member.lines) or nodes[member.node].phases is Phases.SINGLE
        while node is not top and node.parent is not None:
            parent = nodes[node.parent]
            known &= bool(node.lines) or node.phases is parent.phases or parent.kind is Kind.BUDGET
            node = parent
        if node is top and not known:
            return False
    return True
