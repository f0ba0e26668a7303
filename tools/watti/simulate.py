"""`watti simulate`: a scenario in virtual time, with the same firmware, judged by what the plants really do."""

import csv
import json
import time
from argparse import Namespace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

from firmware.app import App, Setup
from firmware.bus.rtu import silence_s
from firmware.config import MODELS
from firmware.rotary import Chart
from firmware.timing import Timing
from hal.simulated.plant import Plant
from hal.simulated.world import Boot, World
from watti.scenario import CONFIGS, Event, Scenario, load_scenario, serial_of

COLUMNS = (
    "t_s",
    "station",
    "role",
    "switch",
    "state",
    "offered_a",
    "drawn_a",
    "limit_a",
    "contactor",
    "reason",
    "fault",
)
_ROUNDING_A = 0.005  # sums of floats that were never meant to be exact
_CHARGING_A = 0.5
_WAITING = (
    "share",
    "settling",
    "waiting",
    "quiet_start",
    "no_primary",
    "group_full",
    "more_than_one_primary",
    "switch",
)


class Row(NamedTuple):
    """A station's line in the trace, without the time."""

    station: str
    role: str
    switch: str
    state: str
    offered_a: str
    drawn_a: str
    limit_a: str
    contactor: str
    reason: str
    fault: str


class Tally:
    """What one station's vehicle got."""

    def __init__(self) -> None:
        self.charging_s = 0.0
        self.waiting_s = 0.0
        self.since = 0.0
        self.kind = ""

    def turn(self, kind: str, now: float) -> None:
        """From now on the station's time is of this kind."""
        if self.kind == "charging":
            self.charging_s += now - self.since
        elif self.kind == "waiting":
            self.waiting_s += now - self.since
        self.kind, self.since = kind, now


class Simulation:
    """One scenario on its way. `writer` gets the trace's rows."""

    def __init__(
        self, scenario: Scenario, timing: Timing, chart: Chart, seed: int, trace: TextIO | None = None
    ) -> None:
        self.scenario = scenario
        self.timing = timing
        self._chart = chart
        self._writer = csv.writer(trace, lineterminator="\n") if trace is not None else None
        self.apps: list[App] = []
        self._last: list[object] = [None] * len(scenario.stations)
        """What each station's row was made of: cheaper to compare than the row."""
        self._rows: list[Row | None] = [None] * len(scenario.stations)
        self._tallies = [Tally() for _ in scenario.stations]
        self._index = {spec.name: i for i, spec in enumerate(scenario.stations)}
        self._drawn = [0.0] * len(scenario.stations)
        self._former: list[tuple[float, float]] = []
        """(until, limit) of limits that were turned down and still bind."""
        self.peak_a = 0.0
        self.violations: list[dict[str, float]] = []
        self.world = World(seed, scenario.baud, silence_s(scenario.baud), self._boot)
        self.world.observe = self._observe
        if self._writer is not None:
            self._writer.writerow(COLUMNS)
        self._build()
        self._limit_a = self._switches_a()
        self.highest_limit_a = self._limit_a

    # Building

    def _build(self) -> None:
        scenario, world = self.scenario, self.world
        for spec in scenario.stations:
            world.add(
                Plant(spec.switch, scenario.voltage_v, self.timing.dead_man_s, powered=False),
                spec.clock_drift_ppm,
            )
        if scenario.bit_error_rate:
            world.line.noise(scenario.bit_error_rate)
        for i, spec in enumerate(scenario.stations):
            world.at(0.0, partial(world.power_on if spec.powered else world.refresh, i))
        for event in sorted(scenario.events, key=lambda event: event.at_s):
            world.at(event.at_s, partial(self._happen, event))

    def _boot(self, boot: Boot) -> App:
        spec = self.scenario.stations[boot.station]
        setup = Setup(
            serial_of(spec.name, spec.serial),
            spec.model,
            MODELS[spec.model],
            self.scenario.baud,
            self.timing,
            self._chart,
        )
        app = App(setup, boot.board, boot.rng, boot.inputs, boot.now)
        self.apps.append(app)
        return app

    # Events

    def _happen(self, event: Event) -> None:
        i = self._index[event.station] if event.station is not None else None
        if event.do.startswith("bus_"):
            self._happen_on_line(event, i)
        elif i is not None and event.do in ("power_off", "power_on", "restart", "stall"):
            self._happen_to_process(event, i)
        elif i is not None:
            self._happen_to_plant(event, i)

    def _happen_to_plant(self, event: Event, i: int) -> None:
        world, args = self.world, event.args
        match event.do:
            case "plug":
                world.touch(i, lambda plant, now: self._plug(plant, args["vehicle"], now))
            case "unplug":
                world.touch(i, lambda plant, now: plant.unplug(now) if plant.connected else None)
            case "switch":
                world.touch(i, lambda plant, now: plant.turn(args["position"], now))
                self._limit_turned()
            case "fault" | "clear_fault" if args["kind"] == "bus_port":
                world.bus_port(i, event.do == "clear_fault")
            case "fault":
                world.touch(i, lambda plant, now: plant.inject(args["kind"], now))
            case "clear_fault":
                world.touch(i, lambda plant, now: plant.clear(args["kind"], now))

    def _happen_to_process(self, event: Event, i: int) -> None:
        world, args = self.world, event.args
        match event.do:
            case "power_off":
                world.power_off(i)
            case "power_on":
                world.power_on(i, args["lose_state"])
            case "restart":
                world.restart(i, args["lose_state"])
            case "stall":
                world.stall(i, args["for_s"])

    def _happen_on_line(self, event: Event, i: int | None) -> None:
        world, args, line = self.world, event.args, self.world.line
        match event.do:
            case "bus_cut" if i is not None:
                line.cut(i, args["direction"])
            case "bus_join" if i is not None:
                line.join(i, args["direction"])
            case "bus_noise":
                line.noise(args["rate"], i)
            case "bus_disturb":
                line.disturb(args["kind"], args["rate"], world.now + args["for_s"], i)
        world.refresh(i or 0)

    def _plug(self, plant: Plant, vehicle: str, now: float) -> None:
        if plant.connected:
            plant.unplug(now)
        plant.plug(self.scenario.vehicles[vehicle], now)

    # The limit that binds

    def _switches_a(self) -> float:
        """The highest setting of any primary of the circuit, powered or not."""
        settings = (
            self._chart.setting(slot.plant.switch, MODELS[spec.model]).limit_a
            for slot, spec in zip(self.world.slots, self.scenario.stations, strict=True)
        )
        return float(max((amps for amps in settings if amps is not None), default=0))

    def _limit_turned(self) -> None:
        now = self.world.now
        before, self._limit_a = self._limit_a, self._switches_a()
        self.highest_limit_a = max(self.highest_limit_a, self._limit_a)
        if self._limit_a < before:
            until = now + self.timing.release_s
            self._former.append((until, before))
            self.world.at(until, self._check)

    def limit_a(self) -> float:
        """What binds now: a lower limit binds one release time after it was set."""
        now = self.world.now
        self._former = [(until, amps) for until, amps in self._former if until > now]
        return max([self._limit_a, *(amps for _, amps in self._former)])

    def _check(self) -> None:
        total = sum(self._drawn)
        self.peak_a = max(self.peak_a, total)
        if total > self._limit_a + _ROUNDING_A:
            limit = self.limit_a()
            if total > limit + _ROUNDING_A:
                self.violations.append({"t_s": round(self.world.now, 3), "total_a": round(total, 2), "limit_a": limit})

    # What is seen

    def _observe(self, i: int) -> None:
        slot = self.world.slots[i]
        plant, node = slot.plant, cast(App | None, slot.node)
        current = plant.current_a
        if current != self._drawn[i]:
            self._drawn[i] = current
            self._check()
        view = None if node is None else node.view()
        seen = (view, plant.inputs, plant.offered_a, current)
        if seen == self._last[i]:
            return
        self._last[i] = seen
        row = self.row(i)
        if row == self._rows[i]:
            return
        self._rows[i] = row
        waits = plant.connected and not plant.contactor_closed and row.reason in _WAITING
        kind = "charging" if current > _CHARGING_A else "waiting" if waits else ""
        if kind != self._tallies[i].kind:
            self._tallies[i].turn(kind, self.world.now)
        if self._writer is not None:
            self._writer.writerow((f"{self.world.now:.3f}", *row))

    def row(self, i: int) -> Row:
        """How a station stands now: state, offer, current and contactor from the plant, the rest from the firmware."""
        slot = self.world.slots[i]
        plant, name = slot.plant, self.scenario.stations[i].name
        contactor = "closed" if plant.contactor_closed else "open"
        measured = (f"{plant.offered_a:.1f}", f"{plant.current_a:.2f}")
        if not isinstance(slot.node, App):
            return Row(name, "none", f"{plant.switch:X}", "off", *measured, "0.0", contactor, "idle", "")
        view = slot.node.view()
        state = plant.letter if plant.letter in "EF" else plant.letter + ("2" if plant.offered_a else "1")
        limit = f"{view.limit_da / 10:.1f}"
        return Row(
            name,
            view.role,
            f"{plant.switch:X}",
            state,
            *measured,
            limit,
            contactor,
            view.reason.word,
            view.fault,
        )

    def run(self) -> None:
        self.world.run(self.scenario.duration_s)
        for tally in self._tallies:
            tally.turn("", self.world.now)

    def result(self, wall_s: float) -> dict[str, Any]:
        """What `simulate --json` prints."""
        busiest = max(self.apps, key=lambda app: app.health.cycles, default=None)
        health = [app.health for app in self.apps]
        now = self.world.now
        return {
            "duration_s": self.scenario.duration_s,
            "wall_s": round(wall_s, 3),
            "speedup": round(self.scenario.duration_s / wall_s, 1) if wall_s else inf,
            "limit_a": self.highest_limit_a,
            "peak_total_a": round(self.peak_a, 2),
            "violations": self.violations,
            "bus": {
                "cycles": sum(h.cycles for h in health),
                "cycle_s_p50": round(busiest.health.cycle_s_p50, 4) if busiest else 0.0,
                "cycle_limit_s": round(busiest.health.cycle_limit_s, 4) if busiest else 0.0,
                "poll_s": self.timing.poll_s,
                "crc_errors": sum(h.crc_errors for h in health),
                "missed": sum(h.missed for h in health),
                "late": sum(h.late for h in health),
            },
            "stations": {
                spec.name: {
                    "energy_kwh": round(slot.plant.energy_kwh(now), 3),
                    "charging_s": round(tally.charging_s, 3),
                    "waiting_s": round(tally.waiting_s, 3),
                }
                for spec, slot, tally in zip(self.scenario.stations, self.world.slots, self._tallies, strict=True)
            },
        }


def run(args: Namespace) -> int:
    scenario = load_scenario(args.scenario)
    chart = Chart.load(CONFIGS / "rotary.toml")
    seed = scenario.seed if args.seed is None else args.seed
    trace: Path | None = args.trace
    if trace is None:
        simulation = Simulation(scenario, Timing(), chart, seed)
        wall_s = _timed(simulation)
    else:
        with trace.open("w", newline="") as file:
            simulation = Simulation(scenario, Timing(), chart, seed, file)
            wall_s = _timed(simulation)
    result = simulation.result(wall_s)
    print(json.dumps(result, indent=2) if args.json else _text(result, simulation))
    return 1 if result["violations"] else 0


def _timed(simulation: Simulation) -> float:
    begun = time.perf_counter()
    simulation.run()
    return time.perf_counter() - begun


def _text(result: dict[str, Any], simulation: Simulation) -> str:
    bus = result["bus"]
    lines = [
        (
            f"{result['duration_s']:g} s in {result['wall_s']:.2f} s ({result['speedup']:.0f} x real time), "
            f"poll every {bus['poll_s']:g} s"
        ),
        (
            f"limit {result['limit_a']:g} A, highest total {result['peak_total_a']:.2f} A, "
            f"violations {len(result['violations'])}"
        ),
        (
            f"bus: {bus['cycles']} cycles, p50 {bus['cycle_s_p50'] * 1e3:.1f} ms (line's limit "
            f"{bus['cycle_limit_s'] * 1e3:.1f} ms), {bus['missed']} missed, {bus['crc_errors']} CRC errors"
        ),
        simulation.timing.terms(),
        f"{'station':10} {'kWh':>8} {'charging':>10} {'waiting':>10}",
    ]
    for name, got in result["stations"].items():
        lines.append(f"{name:10} {got['energy_kwh']:8.3f} {got['charging_s']:8.0f} s {got['waiting_s']:8.0f} s")
    lines += [
        f"ABOVE THE LIMIT at {v['t_s']:.3f} s: {v['total_a']} A of {v['limit_a']} A" for v in result["violations"]
    ]
    return "\n".join(lines)
