"""Site files (`configs/sites`): what feeds the stations of a site, checked whole before anything is decided on it.

A table `[[station]]` or `[[group]]` may stand for several: its `name` is a list, or `count` numbers it, and a list of
`lines` is taken in turns. A node has the phases and volts of its parent unless it says otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import voluptuous as vol

from cloud.fallback import choose
from cloud.lines import watts_per_ampere
from cloud.site import Kind, Measures, Member, Meter, Node, Phases, Rule, Site, Timing
from cloud.site_rules import Problem, SiteError, problems
from cloud.tree import Tree
from firmware.config import Check, attempt, load_toml, suggestion
from watti.site_rules import BARE_LEAF, BARE_METER, BARE_NODE, LIMITS, several, whole


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A checked site."""

    tree: Tree
    fallbacks_a: Sequence[float]
    """What each member offers without its controller."""
    written: Mapping[str, str]
    """The limit of each node, by name, as its file has it."""


class _Parts(NamedTuple):
    """The site that tables make. `places`: of each member and each meter its table and its number there."""

    site: Site
    places: Mapping[str, Sequence[tuple[str, int]]]


def load_site(path: Path) -> Site:
    """Read a site. Raises `ConfigError` with every error of the file."""
    return read_site(path).tree.site


def read_site(path: Path) -> SiteFile:
    """Read a site with what was made of it. Raises `ConfigError` with every error of the file."""
    return SiteFile(**load_toml(path, vol.Schema(_site_file(whole()))))


def _site_file(tables: Check) -> Check:
    def check(value: Any) -> dict[str, Any]:
        errors: list[vol.Invalid] = []
        valid = attempt(tables, value, errors)
        if errors:
            raise vol.MultipleInvalid([*errors, *_misplaced(value)])
        parts = _parts(valid)
        written = {entry["name"]: _as_written(entry) for entry in valid["node"]}
        try:
            tree = Tree(parts.site)
            return {"tree": tree, "fallbacks_a": [da / 10 for da in choose(tree)], "written": written}
        except SiteError as refused:
            raise vol.MultipleInvalid(_told(refused.problems, parts.places, value)) from None

    return check


# What the tables make


def _parts(valid: Mapping[str, Any]) -> _Parts:
    nodes = _nodes(valid["node"], valid["site"]["voltage_v"])
    meters = [Meter(**entry | {"measures": Measures(entry["measures"])}) for entry in valid["meter"]]
    leaves = [(key, i, entry) for key in ("station", "group") for i, entry in enumerate(valid[key])]
    parts = _placed(valid["site"]["name"], nodes, leaves, list(enumerate(meters)))
    return parts._replace(site=replace(parts.site, timing=Timing(**valid["timing"])))


def _placed(
    name: str,
    nodes: Sequence[Node],
    leaves: Sequence[tuple[str, int, Mapping[str, Any]]],
    meters: Sequence[tuple[int, Meter]],
) -> _Parts:
    members = [(member, (key, i)) for key, i, entry in leaves for member in _members(entry)]
    places = {"member": [place for _, place in members], "meter": [("meter", i) for i, _ in meters]}
    site = Site(name, tuple(nodes), tuple(member for member, _ in members), tuple(meter for _, meter in meters))
    return _Parts(site, places)


def _members(entry: Mapping[str, Any]) -> list[Member]:
    """The members that a table stands for."""
    lines = entry.get("lines", "")
    turns = cycle(lines if isinstance(lines, list) else [lines])
    rest = {key: value for key, value in entry.items() if key not in {"name", "count", "lines"}}
    return [Member(name=one, lines=line, **rest) for one, line in zip(several(entry), turns, strict=False)]


def _nodes(entries: Sequence[Mapping[str, Any]], voltage_v: float) -> tuple[Node, ...]:
    """The nodes in the order of their tables, made from the top."""
    made: dict[int, Node] = {}
    by_name: dict[str | None, Node] = {}
    waiting = dict(enumerate(entries))
    while waiting:
        names = {entry["name"] for entry in waiting.values()}
        ready = [i for i, entry in waiting.items() if entry.get("parent") not in names]
        for i in ready or list(waiting):  # the rest runs in a circle, which is refused later
            entry = waiting.pop(i)
            made[i] = _node(entry, by_name.get(entry.get("parent")), voltage_v)
            by_name[entry["name"]] = made[i]
    return tuple(made[i] for i in range(len(entries)))


def _node(entry: Mapping[str, Any], parent: Node | None, voltage_v: float) -> Node:
    """A node; what its table does not say comes from its parent, at the top from the site."""
    kind = Kind(entry["kind"])
    node = Node(entry["name"], kind, entry.get("parent"), voltage_v=voltage_v)
    if kind is Kind.BUDGET:
        return replace(node, limit_w=1000 * entry["limit_kw"])
    if parent is not None:
        node = replace(node, phases=parent.phases)
    given = {key: entry[key] for key in ("lines", "winding", "min_power_factor") if key in entry}
    given |= {key: enum(entry[key]) for key, enum in (("phases", Phases), ("rule", Rule)) if key in entry}
    node = replace(node, **given)
    if "voltage_v" in entry:
        node = replace(node, voltage_v=entry["voltage_v"])
    elif parent is not None:
        node = replace(node, voltage_v=_volts(node, parent))
    return replace(node, limit_a=_amps(entry, node))


def _volts(node: Node, parent: Node) -> float:
    """Of a node without a winding."""
    return parent.voltage_v if node.phases is parent.phases else watts_per_ampere(parent, node.lines)


def _amps(entry: Mapping[str, Any], node: Node) -> float:
    """What each line may carry for hours."""
    key = next(key for key in LIMITS if key in entry)
    full: float = entry[key]
    if key == "kva":
        full *= 1000 / node.voltage_v / (sqrt(3) if node.phases is Phases.THREE else 1)
    derating: float = entry.get("derating", 1.0)
    return round(full * derating, 6)


def _as_written(entry: Mapping[str, Any]) -> str:
    """The limit of a node's table, for people."""
    units = {"limit_a": "A", "breaker_a": "A breaker", "kva": "kVA", "limit_kw": "kW"}
    key = next(key for key in units if key in entry)
    derated = f" x {entry['derating']:g}" if "derating" in entry else ""
    return f"{entry[key]:g} {units[key]}{derated}"


# What does not fit together


def _told(
    found: Sequence[Problem], places: Mapping[str, Sequence[tuple[str, int]]], document: Any
) -> list[vol.Invalid]:
    """The problems of a site at their places in its file; of a table that stands for several, each once."""
    told = {}
    for problem in found:
        path = problem.path
        if path[0] in places and len(path) > 1:
            path = (*places[str(path[0])][int(path[1])], *path[2:])
        if path[-1] == "limit_a":
            path = (*path[:-1], next(key for key in (*LIMITS, "limit_kw") if key in document["node"][path[1]]))
        told[path, problem.text] = vol.Invalid(problem.text + _near(path, document), list(path))
    return list(told.values())


def _near(path: tuple[str | int, ...], document: Any) -> str:
    """`, did you mean ...?` of a node that is none."""
    if path[-1] not in {"node", "parent"} or len(path) < 3:
        return ""
    names = [entry["name"] for entry in document["node"]]
    word = document[path[0]][path[1]].get(path[-1])
    return "" if word is None or word in names else suggestion(word, names)


def _misplaced(document: Any) -> list[vol.Invalid]:
    """What can be said of names and of the tree's shape although other keys are wrong."""
    if not isinstance(document, dict) or not isinstance(document.get("node"), list):
        return []
    nodes = [entry for _, entry in _sound(BARE_NODE, document["node"])]
    if len(nodes) < len(document["node"]):  # others may mean those
        return []
    leaves = [
        (key, i, entry | {"rating_a": 6.0})
        for key in ("station", "group")
        for i, entry in _sound(BARE_LEAF, document.get(key))
    ]
    meters = [(i, Meter(**entry)) for i, entry in _sound(BARE_METER, document.get("meter"))]
    bare = [Node(entry["name"], Kind(entry["kind"]), entry.get("parent")) for entry in nodes]
    parts = _placed("", bare, leaves, meters)
    found = [problem for problem in problems(parts.site) if problem.path[-1] in {"name", "parent", "node"}]
    return _told(found, parts.places, document)


def _sound(check: Check, entries: Any) -> Iterator[tuple[int, Any]]:
    """Those that pass, with their places."""
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        valid = attempt(check, entry, [])
        if valid is not None:
            yield i, valid
