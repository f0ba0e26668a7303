"""`watti simulate` of a site: its scenario under one policy, or under several in turn to compare them."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TextIO

from firmware.config import ConfigError, suggestion
from watti.outputs import whole_file
from watti.sites.compare import aligned, compared, figures, violations
from watti.sites.run import Outcome, SiteRun
from watti.sites.scenario import SiteScenario, load_site_scenario
from watti.sites.scenario_rules import CHOICES, UNCONTROLLED


def run(args: Namespace) -> int:
    """What `watti simulate` does with a scenario of a site. 1 when a node was above its limit because of vehicles."""
    policies = list(dict.fromkeys(args.policy or []))
    _check(policies, args)
    scenario = load_site_scenario(args.scenario, args.seed)
    policies = policies or [scenario.policy]
    with ExitStack() as files:
        trace = None if args.trace is None else files.enter_context(whole_file(args.trace))
        report = None if args.report is None else files.enter_context(whole_file(args.report))
        begun = time.perf_counter()
        outcomes = _outcomes(scenario, policies, trace, sampled=report is not None)
        spent_s = time.perf_counter() - begun
        by_policy = {outcome.policy: figures(scenario.site, outcome) for outcome in outcomes}
        if report is not None:
            from watti.sites.report import page

            report.write(page(scenario, outcomes, by_policy))
    result = _result(scenario, by_policy, spent_s)
    print(json.dumps(result, indent=2) if args.json else _text(result, outcomes))
    return 1 if violations(outcomes) else 0


def _check(policies: Sequence[str], args: Namespace) -> None:
    unknown = [policy for policy in policies if policy not in CHOICES]
    errors = [f"--policy {word}: expected {', '.join(CHOICES)}{suggestion(word, CHOICES)}" for word in unknown]
    if args.trace is not None and len(policies) > 1:
        errors.append(f"--trace: expected one policy (got {len(policies)})")
    if errors:
        raise ConfigError(errors)


def _outcomes(scenario: SiteScenario, policies: Sequence[str], trace: TextIO | None, sampled: bool) -> list[Outcome]:
    terminal = sys.stderr if sys.stderr.isatty() else None
    return [SiteRun(scenario, policy, trace, sampled).run(terminal) for policy in policies]


def _result(scenario: SiteScenario, by_policy: Mapping[str, Any], spent_s: float) -> dict[str, Any]:
    simulated_s = scenario.duration_s * len(by_policy)
    return {
        "scenario": scenario.path.stem,
        "site": scenario.site.name,
        "stations": sum(member.stations for member in scenario.site.members),
        "vehicles": len(scenario.visits),
        "firmware": scenario.firmware,
        "seed": scenario.seed,
        "duration_s": scenario.duration_s,
        "wall_s": round(spent_s, 3),
        "speedup": round(simulated_s / spent_s, 1),
        "policies": by_policy,
    }


def _text(result: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    by_policy = result["policies"]
    inside = "firmware in all stations" if result["firmware"] else "modelled stations"
    lines = [
        (
            f"{result['site']}: {result['stations']} stations ({inside}), {result['vehicles']} vehicles, "
            f"{result['duration_s']:g} s in {result['wall_s']:.2f} s ({result['speedup']:.0f} x real time)"
        ),
        aligned([["", *by_policy], *compared(by_policy)]),
        f"violations {violations(outcomes)}",
    ]
    lines += [
        f"ABOVE THE LIMIT at {verdict.t_s:.3f} s, {outcome.policy}, {verdict.check}: {verdict.what}"
        for outcome in outcomes
        if outcome.policy != UNCONTROLLED
        for verdict in outcome.verdicts
    ]
    return "\n".join(lines)
