"""`watti site`: a site as a tree with its limits, its stations, and what each gets when some of them ask."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cloud.allocation import Bound, Claim, Share, allocate
from cloud.lines import LINES
from cloud.site import Kind, Member, Meter, Node
from cloud.tree import Branch, Tree
from firmware.config import ConfigError, suggestion
from watti.site_file import SiteFile, read_site

_Building = dict[str, tuple[float, ...]]


class _Use(NamedTuple):
    """What one line of a node carries, the building's load with it; A, or W of a budget."""

    line: str
    used: float
    limit: float


class _Decision(NamedTuple):
    """Who asks, beside which building load (A on each line, by node), and what comes of it."""

    asking: frozenset[str]
    building: Mapping[str, Sequence[float]]
    given: frozenset[str]
    """The nodes whose load was given."""
    shares: Sequence[Share]
    uses: Mapping[str, Sequence[_Use]]


def run(args: Namespace) -> int:
    """Print the site. Options: `site`, `asking` (names; None = all), `building` (pairs of node and A), `json`."""
    read = read_site(args.site)
    errors: list[str] = []
    asking = frozenset(_asking(args.asking, read.tree, errors))
    building = dict(_building(args.building, read.tree, errors))
    if errors:
        raise ConfigError(errors)
    decision = _decide(read, asking, building, frozenset(name for name, _ in args.building))
    if args.json:
        print(json.dumps(_fields(read, decision), indent=2, allow_nan=False))
    else:
        _show(read, decision)
    return 0


# What was asked for


def _asking(words: Sequence[str] | None, tree: Tree, errors: list[str]) -> Iterator[str]:
    names = [member.name for member in tree.site.members]
    for word in names if words is None else words:
        if word not in names:
            near = suggestion(word, names)
            errors.append(f'watti site: argument --asking: expected "all" or names of members (got "{word}"){near}')
        yield word


def _building(
    given: Sequence[tuple[str, tuple[float, ...]]], tree: Tree, errors: list[str]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The building's load beside which shares are made: what is given, as its meter counts it, and the worst that a
    meter assumes where nothing is given."""
    nodes = {node.name: node for node in tree.site.nodes if node.kind is not Kind.BUDGET}
    meters = {meter.node: meter for meter in tree.site.meters}
    for meter in meters.values():
        node = nodes[meter.node]
        yield node.name, (min(meter.worst_a, node.limit_a),) * len(LINES[node.phases])
    for name, amps in given:
        if name not in nodes:
            near = suggestion(name, nodes)
            errors.append(f'watti site: argument --building: expected a node with lines (got "{name}"){near}')
            continue
        lines = LINES[nodes[name].phases]
        if len(amps) not in {1, len(lines)}:
            what = f"1 or {len(lines)} numbers, as {name} has {len(lines)} lines (got {len(amps)})"
            errors.append(f"watti site: argument --building: expected {what}")
        yield name, _counted(amps * (len(lines) // len(amps)), meters.get(name))


def _counted(amps: tuple[float, ...], meter: Meter | None) -> tuple[float, ...]:
    """What a load counts on each line where it is measured."""
    if meter is None:
        return amps
    return tuple((ampere if meter.lines_sure else max(amps)) + meter.margin_a for ampere in amps)


def _decide(read: SiteFile, asking: frozenset[str], building: _Building, given: frozenset[str]) -> _Decision:
    tree = read.tree
    members = zip(tree.site.members, read.fallbacks_a, strict=True)
    shares = allocate(tree, [_claim(member, fallback_a, asking) for member, fallback_a in members], building)
    sums, loads = tree.sums([share.amps for share in shares]), tree.building(building)
    uses = {
        branch.node.name: _uses(branch, amps, load)
        for branch, amps, load in zip(tree.branches, sums, loads, strict=True)
    }
    return _Decision(asking, building, given, shares, uses)


def _claim(member: Member, fallback_a: float, asking: frozenset[str]) -> Claim:
    """Of a member that asks all vehicles want all there is; a fallback that can come at once is kept free anyway."""
    kept_a = 0.0 if member.keeps_quiet else fallback_a
    if member.name not in asking:
        return Claim(member.min_a, 0.0, standing_a=kept_a)
    return Claim(member.min_a, member.rating_a, member.weight * member.stations, member.priority, standing_a=kept_a)


def _uses(branch: Branch, amps: Sequence[float], load: Sequence[float]) -> list[_Use]:
    """Of each line the row that is worst, the building's load beside the stations'."""
    lines = LINES[branch.node.phases]
    uses: dict[str, _Use] = {}
    for row in branch.rows:
        beside = load[lines.index(row.line)] if load and row.line else max(load, default=0.0)
        use = _Use(row.line, row.load(amps) + beside, row.limit)
        uses[row.line] = max(use, uses.get(row.line, use), key=lambda one: one.used)
    return list(uses.values())


# For people


def _show(read: SiteFile, decision: _Decision) -> None:
    site = read.tree.site
    print(f"{site.name}: {_count(len(site.members), 'member')} on {_count(len(site.nodes), 'node')}")
    print("", *_columns(_node_cells(read, decision)), sep="\n")
    print("", *_columns(_member_cells(read, decision)), sep="\n")
    notes = [_assumed(meter, decision) for meter in site.meters]
    if notes:
        print("", *notes, sep="\n")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of as many cells as the first one has; a column that says nothing is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _node_cells(read: SiteFile, decision: _Decision) -> list[tuple[str, ...]]:
    cells: list[tuple[str, ...]] = [("node", "kind", "phases", "lines", "volts", "limit", "rule", "in use")]
    for node, depth in _downwards(read.tree):
        conducts = node.kind is not Kind.BUDGET
        electric = (node.phases.value, node.lines, f"{node.voltage_v:.0f}") if conducts else ("", "", "")
        rule = node.rule.value if conducts else ""
        use = _used(node, decision.uses[node.name])
        cells.append(("  " * depth + node.name, node.kind.value, *electric, read.written[node.name], rule, use))
    return cells


def _downwards(tree: Tree) -> Iterator[tuple[Node, int]]:
    """Nodes with their depth, each above what it feeds."""
    below: dict[int, list[int]] = {}
    for n, branch in enumerate(tree.branches):
        below.setdefault(branch.parent, []).append(n)
    waiting = [(n, 0) for n in below[-1]]
    while waiting:
        n, depth = waiting.pop()
        yield tree.branches[n].node, depth
        waiting += [(child, depth + 1) for child in reversed(below.get(n, []))]


def _used(node: Node, uses: Sequence[_Use]) -> str:
    if node.kind is Kind.BUDGET:
        return f"{uses[0].used / 1000:.1f} of {node.limit_w / 1000:g} kW"
    each = " / ".join(f"{use.line} {use.used:.1f}".strip() for use in uses)
    return f"{each} of {node.limit_a:.4g} A"


def _member_cells(read: SiteFile, decision: _Decision) -> list[tuple[str, ...]]:
    cells: list[tuple[str, ...]] = [
        ("member", "node", "lines", "stations", "rating", "fallback", "share", "why no more")
    ]
    for member, fallback_a, share in zip(read.tree.site.members, read.fallbacks_a, decision.shares, strict=True):
        chosen = " chosen" if member.fallback_a is None else ""
        cells.append(
            (
                member.name,
                member.node,
                member.lines,
                f"{member.stations}" if member.is_group else "",
                f"{member.rating_a:g} A",
                f"{fallback_a:.1f} A{chosen}",
                f"{share.amps:.1f} A" if member.name in decision.asking else "-",
                _why(member, share.bound, share.amps),
            )
        )
    return cells


def _why(member: Member, bound: Bound, kept_a: float) -> str:
    where = f"{bound.node}, line {bound.line}" if bound.line else bound.node
    match bound.why:
        case "node":
            return f"{where} is full"
        case "waiting":
            return f"it waits: {member.min_a:g} A don't fit in {where}"
        case "demand":
            return "that is its rating"
    return f"it does not ask; its fallback of {kept_a:g} A is kept free" if kept_a else "it does not ask"


def _assumed(meter: Meter, decision: _Decision) -> str:
    """What the building is taken to draw where there is a meter."""
    amps = " / ".join(f"{ampere:g}" for ampere in decision.building[meter.node])
    how = "as this meter counts what is given" if meter.node in decision.given else "its worst, as nothing is given"
    return f"building at meter {meter.name} on {meter.node}: {amps} A ({how})"


# For scripts


def _fields(read: SiteFile, decision: _Decision) -> dict[str, Any]:
    members = zip(read.tree.site.members, read.fallbacks_a, decision.shares, strict=True)
    return {
        "name": read.tree.site.name,
        "nodes": [_node_fields(node, read, decision) for node in read.tree.site.nodes],
        "members": [
            _member_fields(member, fallback_a, share) | {"asks": member.name in decision.asking}
            for member, fallback_a, share in members
        ],
    }


def _node_fields(node: Node, read: SiteFile, decision: _Decision) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": node.kind.value,
        "parent": node.parent,
        "phases": node.phases.value,
        "lines": node.lines,
        "voltage_v": round(node.voltage_v, 2),
        "rule": node.rule.value,
        "written": read.written[node.name],
        "unit": "W" if node.kind is Kind.BUDGET else "A",
        "building_a": decision.building.get(node.name),
        "in_use": [
            {"line": use.line, "used": round(use.used, 2), "limit": use.limit} for use in decision.uses[node.name]
        ],
    }


def _member_fields(member: Member, fallback_a: float, share: Share) -> dict[str, Any]:
    return {
        "name": member.name,
        "node": member.node,
        "lines": member.lines,
        "stations": member.stations,
        "rating_a": member.rating_a,
        "fallback_a": fallback_a,
        "fallback_chosen": member.fallback_a is None,
        "share_a": share.amps,
        "bound": share.bound._asdict(),
    }
