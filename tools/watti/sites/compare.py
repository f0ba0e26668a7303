"""What policies came to, side by side: pure functions over the outcomes of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud.lines import LINES
from cloud.site import Site
from watti.fairness import jain
from watti.sites.run import Outcome
from watti.sites.scenario_rules import UNCONTROLLED

_WANTED_KWH = 0.01  # a stay that could not have had this much wanted nothing


def violations(outcomes: Sequence[Outcome]) -> int:
    """Promises that were broken. Without a controller nothing was promised."""
    return sum(len(outcome.verdicts) for outcome in outcomes if outcome.policy != UNCONTROLLED)


def figures(site: Site, outcome: Outcome) -> dict[str, Any]:
    """The figures of one policy, as `simulate --json` prints them."""
    stays = [stay for stay in outcome.stays if stay.wanted_kwh >= _WANTED_KWH]
    nodes = _nodes(site, outcome)
    return {
        "energy_kwh": round(sum(outcome.energy_kwh), 3),
        "wanted_kwh": round(sum(stay.wanted_kwh for stay in stays), 3),
        "unmet_kwh": round(sum(max(0.0, stay.wanted_kwh - stay.got_kwh) for stay in stays), 3),
        "jain": round(jain([stay.served for stay in stays]), 4),
        "waiting_s": round(sum(stay.waiting_s for stay in stays), 1),
        "longest_waiting_s": round(max((stay.waiting_s for stay in stays), default=0.0), 1),
        "peak_kw": round(outcome.peak_kw, 3),
        "above_s": max((node["above_s"] for node in nodes.values()), default=0.0),
        "longest_above_s": max((node["longest_above_s"] for node in nodes.values()), default=0.0),
        "bound_s": max((node["bound_s"] for node in nodes.values()), default=0.0),
        "nodes": nodes,
        "members": _members(site, outcome),
        "violations": [verdict._asdict() for verdict in outcome.verdicts],
    }


def _nodes(site: Site, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Of each node that has a limit, what its fullest line carried; A, or kW where power is limited."""
    found: dict[str, dict[str, Any]] = {}
    for n, node in enumerate(site.nodes):
        slots = [s for s, slot in enumerate(outcome.slots) if slot.node == n]
        if slots:
            slot = outcome.slots[slots[0]]
            scale, unit = (1000.0, "kW") if slot.watts else (1.0, "A")
            lines = LINES[node.phases] if slot.line >= 0 else ("",)
            found[node.name] = {
                "unit": unit,
                "limit": round(slot.limit / scale, 3),
                "peak": round(max(outcome.peaks[s] for s in slots) / scale, 3),
                "peaks": {line: round(outcome.peaks[s] / scale, 3) for line, s in zip(lines, slots, strict=True)},
                "above_s": round(max(outcome.above[s].total_s for s in slots), 3),
                "longest_above_s": round(max(outcome.above[s].longest_s for s in slots), 3),
                "bound_s": round(outcome.bound_s[slots[0]], 3),
            }
    return found


def _members(site: Site, outcome: Outcome) -> dict[str, dict[str, float]]:
    members = {}
    for i, member in enumerate(site.members):
        stays = [stay for stay in outcome.stays if stay.member == i]
        members[member.name] = {
            "energy_kwh": round(outcome.energy_kwh[i], 3),
            "wanted_kwh": round(sum(stay.wanted_kwh for stay in stays), 3),
            "waiting_s": round(sum(stay.waiting_s for stay in stays), 1),
            "peak_a": round(outcome.most_a[i], 2),
        }
    return members


ROWS = (
    ("delivered, kWh", "energy_kwh", ".1f"),
    ("wanted, kWh", "wanted_kwh", ".1f"),
    ("unmet, kWh", "unmet_kwh", ".1f"),
    ("fairness (Jain)", "jain", ".3f"),
    ("waiting, s", "waiting_s", ",.0f"),
    ("longest wait, s", "longest_waiting_s", ",.0f"),
    ("highest power, kW", "peak_kw", ".1f"),
    ("above a limit, s", "above_s", ",.1f"),
    ("longest above, s", "longest_above_s", ",.1f"),
    ("bound of that, s", "bound_s", ".1f"),
)
"""What a comparison shows: its words, the key of `figures`, the format."""


def compared(by_policy: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Rows of a table with a column for each policy; those of nodes say what their fullest line carried."""
    rows = [[words, *(format(its[key], spec) for its in by_policy.values())] for words, key, spec in ROWS]
    for name, node in next(iter(by_policy.values()))["nodes"].items():
        words = f"{name}: highest of {node['limit']:g} {node['unit']}"
        rows.append([words, *(f"{its['nodes'][name]['peak']:.1f}" for its in by_policy.values())])
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table as text: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)
