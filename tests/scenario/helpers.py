"""Groups built in code, and a judge that looks at them at every change."""

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

TIMING = Timing()
CHART = Chart.load(CONFIGS / "rotary.toml")
WORST = VehicleSpec("worst", start_delay_s=0.0, ramp_a_per_s=0.0)
"""Follows the pilot as late as the standard allows, and then takes all of it at once."""
SLOW = replace(WORST, name="slow", reaction_s=6.0)
REFUSER = replace(WORST, name="refuser", obeys=False)
SMALL = replace(WORST, name="small", max_a=16.0)
READY_S = 20.0
"""From power-up until a group gives: quiet start and enrolment are over."""

_ROUNDING_A = 0.005
_MOST_AT_ONCE = 1000
"""Looks at one instant: more is a node that wakes up for ever without time passing."""


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

    def __init__(self, scenario: Scenario, seed: int = 1, timing: Timing = TIMING) -> None:
        self.trace = StringIO()
        self.simulation = Simulation(scenario, timing, CHART, seed, self.trace)
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


class Judge:
    """Looks at a bench after every change: what every vehicle may draw, and every closed contactor."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.verdicts: list[str] = []
        self.fouls: set[int] = set()
        """Stations whose vehicle or contactor breaks the standard: their own promise is not the ledger's."""
        self._since: dict[tuple[int, str], float] = {}
        self._instant, self._looks = -inf, 0
        observe = bench.world.observe

        def watched(index: int) -> None:
            observe(index)
            self._count(index)
            self._look(index)

        bench.world.observe = watched

    def _say(self, what: str) -> None:
        if len(self.verdicts) < 20:
            self.verdicts.append(f"{self.bench.now:.3f} s: {what}")

    def _count(self, index: int) -> None:
        if self.bench.now > self._instant:
            self._instant, self._looks = self.bench.now, 0
        self._looks += 1
        if self._looks > _MOST_AT_ONCE:
            raise AssertionError(f"{self.bench.now:.3f} s: s{index + 1} spins")

    def _look(self, index: int) -> None:
        slots = self.bench.world.slots
        for i, slot in enumerate(slots):
            if {"overdraw", "contactor_stuck"} & slot.plant.faults:
                self.fouls.add(i)
        possible = [0.0 if i in self.fouls else slot.plant.possible_a for i, slot in enumerate(slots)]
        limit = self.bench.simulation.limit_a()
        if sum(possible) > limit + _ROUNDING_A:
            self._say(f"the vehicles may draw {possible}, more than {limit} A")
        self._look_at_contactor(index)

    def _look_at_contactor(self, index: int) -> None:
        slot = self.bench.world.slots[index]
        plant, node = slot.plant, slot.node
        if index in self.fouls or not plant.contactor_closed:
            self._since = {key: at for key, at in self._since.items() if key[0] != index}
            return
        runs = node is not None and not slot.stalled
        lease = isinstance(node, App) and runs and node.station.holder.amps_da > 0
        empty = plant.letter not in "CD"
        self._stands(index, "a sound ground", plant.inputs.ground_fault and runs, 0.1)
        self._stands(index, "letter", empty and runs, 0.1)
        self._stands(index, "letter or process", empty and not runs, 1.2)
        self._stands(index, "lease", not lease, 7.4)  # 6 s under load, after up to W in which it may stand still

    def _stands(self, index: int, what: str, wrong: bool, allowed_s: float) -> None:
        key, now = (index, what), self.bench.now
        if not wrong:
            self._since.pop(key, None)
        elif now > self._since.setdefault(key, now) + allowed_s:
            self._say(f"s{index + 1}: contactor closed without {what} since {self._since[key]:.3f} s")


@contextmanager
def judged(bench: Bench) -> Iterator[Judge]:
    """Nothing may be above the limit, nor any contactor closed that may not, up to the end of the block."""
    judge = Judge(bench)
    yield judge
    assert not judge.verdicts
    if not judge.fouls:
        assert not bench.violations


def random_serials(rng: random.Random, count: int) -> list[int]:
    """Half of the time one batch, as from the factory, else any."""
    first = rng.getrandbits(40) + 1
    if rng.random() < 0.5:
        return [first + i for i in range(count)]
    return [rng.getrandbits(47) + 1 for _ in range(count)]
