"""Groups built in code, and watched at every change."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from math import inf
from pathlib import Path
from typing import Any, cast

from firmware.app import App
from firmware.rotary import Chart
from firmware.sharing.primary import Primary
from firmware.sharing.secondary import Secondary
from firmware.timing import Timing
from hal.simulated.plant import Plant
from hal.simulated.vehicle_spec import VehicleSpec
from watti.scenario import CONFIGS, Event, Scenario, StationSpec
from watti.simulation import Simulation
from watti.torture.inspector import Inspector

TIMING = Timing()
CHART = Chart.load(CONFIGS / "rotary.toml")
OFFLINE = sorted(path for path in (CONFIGS / "scenarios").glob("*.toml") if not path.name.startswith("site_"))
"""The scenarios of one circuit that come along."""
WORST = VehicleSpec("worst", start_delay_s=0.0, ramp_a_per_s=0.0)
"""Follows the pilot as late as the standard allows, and then takes all of it at once."""
SLOW = replace(WORST, name="slow", reaction_s=6.0)
REFUSER = replace(WORST, name="refuser", obeys=False)
SMALL = replace(WORST, name="small", max_a=16.0)
READY_S = 20.0
"""From power-up until a group gives: quiet start and enrolment are over."""


def event(at_s: float, do: str, station: int | None = None, **args: Any) -> Event:
    """One event; stations by number from 1. Defaults are those of the scenario format."""
    defaults: dict[str, dict[str, Any]] = {
        "plug": {"vehicle": "worst"},
        "power_on": {"lose_state": False},
        "restart": {"lose_state": False},
        "bus_cut": {"direction": "both"},
        "bus_join": {"direction": "both"},
    }
    name = None if station is None else f"s{station}"
    return Event(at_s, do, name, {**defaults.get(do, {}), **args})


def plugs(*stations: int, at_s: float = READY_S, vehicle: str = "worst") -> list[Event]:
    return [event(at_s, "plug", station, vehicle=vehicle) for station in stations]


def scenario(
    events: Sequence[Event] = (),
    switches: str = "BFFFF",
    *,
    baud: int = 19200,
    models: Sequence[str] = (),
    serials: Sequence[int | None] = (),
    drift_ppm: Sequence[float] = (),
    off: Sequence[int] = (),
    vehicles: Sequence[VehicleSpec] = (),
    bit_error_rate: float = 0.0,
    duration_s: float = 1e9,
) -> Scenario:
    """Stations s1, s2 ... by their switches; those whose numbers are in `off` are not powered."""
    stations = tuple(
        StationSpec(
            f"s{i + 1}",
            models[i] if models else "48A",
            serials[i] if serials else None,
            int(digit, 16),
            i + 1 not in off,
            drift_ppm[i] if drift_ppm else 0.0,
        )
        for i, digit in enumerate(switches)
    )
    cars = {spec.name: spec for spec in (WORST, SLOW, REFUSER, SMALL, *vehicles)}
    return Scenario(duration_s, 1, 240.0, baud, bit_error_rate, stations, cars, tuple(events), Path("-"))


class Bench:
    """A scenario on its way in virtual time. Stations by number from 1."""

    def __init__(self, scenario: Scenario, seed: int = 1) -> None:
        self.trace = StringIO()
        self.simulation = Simulation(scenario, CHART, seed, self.trace)
        self.world = self.simulation.world

    @property
    def now(self) -> float:
        return self.world.now

    @property
    def violations(self) -> list[dict[str, float]]:
        return self.simulation.violations

    def run(self, until: float) -> None:
        self.world.run(until)

    def until(self, done: Callable[[], bool], within_s: float, step_s: float = 0.001) -> float:
        """Seconds until `done`, to `step_s`; inf when it does not happen within a time."""
        begin = self.now
        while not done():
            if self.now > begin + within_s:
                return inf
            self.run(self.now + step_s)
        return self.now - begin

    def plant(self, station: int) -> Plant:
        return self.world.slots[station - 1].plant

    def app(self, station: int) -> App:
        return cast(App, self.world.slots[station - 1].node)

    def primary(self, station: int = 1) -> Primary:
        role = self.app(station).role
        assert isinstance(role, Primary)
        return role

    def secondary(self, station: int) -> Secondary:
        role = self.app(station).role
        assert isinstance(role, Secondary)
        return role

    def offered(self) -> list[float]:
        return [slot.plant.offered_a for slot in self.world.slots]

    def drawn(self) -> list[float]:
        return [slot.plant.current_a for slot in self.world.slots]

    def reasons(self) -> list[str]:
        return [self.simulation.row(i).reason for i in range(len(self.world.slots))]

    def faults(self) -> list[str]:
        return [self.simulation.row(i).fault for i in range(len(self.world.slots))]

    def roles(self) -> list[str]:
        return [self.simulation.row(i).role for i in range(len(self.world.slots))]


@contextmanager
def judged(bench: Bench) -> Iterator[None]:
    """Nothing may be above the limit, nor any contactor closed that may not, up to the end of the block."""
    inspector = Inspector(bench.simulation)
    yield
    wrong = [str(verdict) for verdict in inspector.verdicts]
    assert not wrong, wrong
    assert inspector.fouls or not bench.violations, bench.violations


def random_serials(rng: random.Random, count: int) -> list[int]:
    """Half of the time one batch, as from the factory, else any."""
    first = rng.getrandbits(40) + 1
    if rng.random() < 0.5:
        return [first + i for i in range(count)]
    return [rng.getrandbits(47) + 1 for _ in range(count)]
