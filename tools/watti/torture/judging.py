"""One world from its beginning to its end: what was wrong with it, and what it went through."""

import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from firmware.rotary import Chart
from watti.scenario import CONFIGS, Scenario
from watti.simulation import Simulation
from watti.torture.aftermath import Aftermath, last_fault_s
from watti.torture.inspector import Inspector, Verdict
from watti.torture.worlds import draw

_HARMLESS = ("plug", "unplug", "bus_join", "clear_fault", "power_on")
"""What happens that is no fault, or is the end of one."""


@dataclass(slots=True)
class Outcome:
    """What became of one world."""

    seed: int
    verdicts: list[Verdict]
    """The first things that were wrong, empty when nothing was."""
    station_s: float
    """Simulated time, times the stations."""
    faults: Counter[str] = field(default_factory=Counter)
    """Injected, by kind; frames by what was done to them."""
    recovered_s: float | None = None
    """From the last fault until every willing vehicle was served for good; None when one never was."""
    excused: list[str] = field(default_factory=list)
    """Faults that only a person or a quarter of an hour ends, which kept somebody from it."""

    def as_json(self) -> dict[str, Any]:
        verdicts = [verdict._asdict() for verdict in self.verdicts]
        return asdict(self) | {"verdicts": verdicts, "faults": dict(self.faults)}


def judge_seed(seed: int) -> Outcome:
    """The world of a seed, judged."""
    return judge(draw(seed))


def judge(scenario: Scenario) -> Outcome:
    """A world, judged. Whatever the firmware raises is a verdict too."""
    simulation = Simulation(scenario, _chart(), scenario.seed)
    inspector = Inspector(simulation)
    aftermath = Aftermath(simulation, inspector)
    try:
        simulation.world.run(last_fault_s(scenario))
        aftermath.run()
    except Exception as escaped:  # noqa: BLE001 -- nothing that a station's firmware does may escape
        where = traceback.extract_tb(escaped.__traceback__)[-1]
        inspector.say("exception", f"{type(escaped).__name__}: {escaped} ({where.name}, line {where.lineno})")
    if not inspector.fouls:
        for violation in simulation.violations[:1]:
            inspector.say("drawn", f"{violation['total_a']} A were drawn of {violation['limit_a']} A")
    return Outcome(
        scenario.seed,
        inspector.verdicts,
        round(simulation.world.now * len(scenario.stations), 3),
        _injected(scenario, simulation),
        aftermath.recovered_s,
        sorted(aftermath.excused),
    )


def _injected(scenario: Scenario, simulation: Simulation) -> Counter[str]:
    faults: Counter[str] = Counter()
    for event in scenario.events:
        if event.do == "fault":
            faults[event.args["kind"]] += 1
        elif event.do not in (*_HARMLESS, "bus_disturb", "bus_noise"):
            faults[event.do] += 1
        for spoilt in ("lose_state", "corrupt_state"):
            faults[spoilt] += bool(event.args.get(spoilt))
        faults["unit_swap"] += "serial" in event.args
    for kind, frames in simulation.world.line.counts.disturbed.items():
        faults[f"frame {kind}"] += frames
    return +faults


@cache
def _chart() -> Chart:
    return Chart.load(CONFIGS / "rotary.toml")
