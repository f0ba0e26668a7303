"""`watti simulate --report` of a site: one page on which policies stand side by side."""

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from firmware import __version__
from watti.progress import clock
from watti.report import framed, numbers, table
from watti.sites.compare import compared, violations
from watti.sites.figure import figure
from watti.sites.run import Outcome
from watti.sites.scenario import SiteScenario
from watti.sites.scenario_rules import UNCONTROLLED

_TABLES = """<p class="note">Drawn are $samples moments, evenly spaced; the figures below know every instant. A node's
plot shows its fullest line, the building's load included.</p>
<h2>Policies</h2>
<div class="scroll">$policies</div>
<p class="note">Wanted: what each vehicle lacks, as far as its charger and its stay allow. Waiting: plugged in, lacking
energy, and nothing offered. Fairness: Jain's index over delivered/wanted of all stays, 1 when all got the same part.
Above a limit: of the node that was above longest; bound: how long that may last after the building's load has
jumped, until meter, command and vehicles have followed.</p>
<h2>Nodes</h2>
<div class="scroll">$nodes</div>
<h2>Stations</h2>
<div class="scroll">$stays</div>
$violations
"""


def page(scenario: SiteScenario, outcomes: Sequence[Outcome], by_policy: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of finished runs; `by_policy`: their figures. The same for the same seed."""
    tables = Template(_TABLES).substitute(
        samples=len(outcomes[0].samples),
        policies=table(["", *by_policy], compared(by_policy), "policies"),
        nodes=_nodes(by_policy),
        stays=_stays(scenario, outcomes),
        violations=_violations(outcomes),
    )
    return framed(
        scenario.path,
        _subtitle(scenario),
        verdict=_verdict(outcomes),
        figures=_numbers(scenario, by_policy),
        tables=tables,
        plots=figure(scenario, outcomes),
    )


def _subtitle(scenario: SiteScenario) -> str:
    stations = sum(member.stations for member in scenario.site.members)
    inside = "firmware in all stations" if scenario.firmware else "modelled stations"
    parts = (scenario.site.name, clock(scenario.duration_s), f"{stations} stations", inside, f"seed {scenario.seed}")
    return " · ".join([*parts, f"watti {__version__}"])


def _verdict(outcomes: Sequence[Outcome]) -> str:
    if all(outcome.policy == UNCONTROLLED for outcome in outcomes):
        return '<p class="verdict bad">Uncontrolled: nothing is promised</p>'
    count = violations(outcomes)
    if count:
        words = "1 violation" if count == 1 else f"{count} violations"
        return f'<p class="verdict bad">&#10007; {words}: a node was above its limit because of vehicles</p>'
    return '<p class="verdict good">&#10003; 0 violations: no node was above its limit because of vehicles</p>'


def _numbers(scenario: SiteScenario, by_policy: Mapping[str, Mapping[str, Any]]) -> str:
    wanted_kwh = next(iter(by_policy.values()))["wanted_kwh"]
    delivered = ((f"{its['energy_kwh']:.1f} kWh", f"delivered, {escape(name)}") for name, its in by_policy.items())
    return numbers([(str(len(scenario.visits)), "vehicles"), (f"{wanted_kwh:.1f} kWh", "wanted"), *delivered])


# Tables


def _nodes(by_policy: Mapping[str, Mapping[str, Any]]) -> str:
    head = ("node", "policy", "limit", "highest in each line", "above, s", "longest, s", "bound, s")
    rows = [
        (
            name,
            policy,
            f"{node['limit']:g} {node['unit']}",
            ", ".join(f"{line} {amps:.1f}".strip() for line, amps in node["peaks"].items()),
            f"{node['above_s']:,.1f}",
            f"{node['longest_above_s']:,.1f}",
            f"{node['bound_s']:.1f}",
        )
        for name in next(iter(by_policy.values()))["nodes"]
        for policy, node in ((policy, its["nodes"][name]) for policy, its in by_policy.items())
    ]
    return table(head, rows, "nodes")


def _stays(scenario: SiteScenario, outcomes: Sequence[Outcome]) -> str:
    """Every stay, what it got under each policy and how long it waited."""
    head = ["station", "from", "to", "wanted, kWh", *(f"{o.policy}, kWh" for o in outcomes)]
    head += [f"{outcome.policy}, waiting" for outcome in outcomes]
    rows = []
    for stays in zip(*(outcome.stays for outcome in outcomes), strict=True):
        one = stays[0]
        name = scenario.site.members[one.member].name
        row = [name, clock(one.from_s), clock(one.until_s), f"{one.wanted_kwh:.2f}"]
        rows.append([*row, *(f"{stay.got_kwh:.2f}" for stay in stays), *(clock(stay.waiting_s) for stay in stays)])
    return table(head, rows, "stays")


def _violations(outcomes: Sequence[Outcome]) -> str:
    rows = [
        (outcome.policy, clock(verdict.t_s), verdict.check, verdict.what)
        for outcome in outcomes
        for verdict in outcome.verdicts
    ]
    return "<h2>Above the limit</h2>" + table(("policy", "at", "check", "what"), rows, "violations") if rows else ""
