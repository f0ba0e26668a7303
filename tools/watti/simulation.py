"""A scenario in virtual time, with the same firmware, judged by what the plants really do."""

import csv
from collections.abc import Mapping
from functools import partial
from math import inf
from random import Random
from typing import Any, NamedTuple, TextIO, cast

from firmware.app import App, Setup
from firmware.bus.rtu import silence_s
from firmware.config import MODELS
from firmware.diary import NOT_WAITING
from firmware.rotary import Chart
from hal.simulated.defects import HOT_C
from hal.simulated.plant import Plant
from hal.simulated.world import Boot, World
from watti.judge import Judge, Tally
from watti.progress import watched
from watti.recording import Got, Recording, Stand
from watti.scenario import Event, Scenario, serial_of

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
_CHARGING_A = 0.5
_NOT_WAITING = [reason.word for reason in NOT_WAITING]


def _spoilt(record: bytes, rng: Random) -> bytes:
    """What a failing memory makes of a record: its beginning, or the same with some bytes changed."""
    spoilt = bytearray(record or rng.randbytes(40))
    for _ in range(rng.randint(1, 4)):
        spoilt[rng.randrange(len(spoilt))] = rng.getrandbits(8)
    return bytes(spoilt[: rng.randint(1, 2 * len(spoilt))])


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


class Simulation:
    """One scenario on its way. `trace` gets a line for each row, `recording` what a report is made of."""

    def __init__(
        self,
        scenario: Scenario,
        chart: Chart,
        seed: int,
        trace: TextIO | None = None,
        recording: Recording | None = None,
    ) -> None:
        self.scenario = scenario
        self.timing = scenario.timing
        self._chart = chart
        self._writer = csv.writer(trace, lineterminator="\n") if trace is not None else None
        self.apps: list[App] = []
        self._last: list[object] = [None] * len(scenario.stations)
        """What each station's row was made of: cheaper to compare than the row."""
        self._rows: list[Row | None] = [None] * len(scenario.stations)
        self._tallies = [Tally() for _ in scenario.stations]
        self._seed = seed
        self.serials = [serial_of(spec.name, spec.serial) for spec in scenario.stations]
        self._memories: dict[int, tuple[bytes, ...]] = {}
        """Of units that were taken out, by serial."""
        self._index = {spec.name: i for i, spec in enumerate(scenario.stations)}
        self._drawn = [0.0] * len(scenario.stations)
        self._recording = recording
        self._judge = Judge(self.timing.release_s)
        self.world = World(seed, scenario.baud, silence_s(scenario.baud), self._boot)
        self.world.observe = self._observe
        if recording is not None:
            self.world.record = recording.event
        if self._writer is not None:
            self._writer.writerow(COLUMNS)
        self._build()
        self._limit_turned()

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
            self.serials[boot.station],
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
                world.touch(i, lambda plant, now: plant.inject(args["kind"], now, args.get("celsius", HOT_C)))
            case "clear_fault":
                world.touch(i, lambda plant, now: plant.clear(args["kind"], now))

    def _happen_to_process(self, event: Event, i: int) -> None:
        world, args = self.world, event.args
        match event.do:
            case "power_off":
                world.power_off(i)
            case "power_on":
                self._remember(i, args)
                world.power_on(i, args["lose_state"])
            case "restart":
                self._remember(i, args)
                world.restart(i, args["lose_state"])
            case "stall":
                world.stall(i, args["for_s"])

    def _remember(self, i: int, args: Mapping[str, Any]) -> None:
        """Bring a station's memory to what its next life finds: another unit brings its own."""
        slot = self.world.slots[i]
        stores = (slot.board.store, slot.board.session_store)
        if slot.node is None and "serial" in args:
            self._memories[self.serials[i]] = tuple(store.load() for store in stores)
            self.serials[i] = args["serial"]
            for store, record in zip(stores, self._memories.pop(self.serials[i], (b"", b"")), strict=True):
                store.save(record)
        if args.get("corrupt_state"):
            rng = Random(f"{self._seed}/{i}/{self.world.now}")
            for store in stores:
                store.save(_spoilt(store.load(), rng))

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
        while plant.connected:  # the first call may only press S3
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
        binds_at = self._judge.turned(self._switches_a(), self.world.now)
        if binds_at is not None:
            self.world.at(binds_at, self._check)
        self._record_limit()

    def limit_a(self) -> float:
        """What binds now: a lower limit binds one release time after it was set."""
        return self._judge.limit_a(self.world.now)

    @property
    def highest_limit_a(self) -> float:
        return self._judge.highest_limit_a

    @property
    def violations(self) -> list[dict[str, float]]:
        """Each moment (`t_s`) when the total (`total_a`) was above the limit that binds (`limit_a`)."""
        return self._judge.violations

    def _check(self) -> None:
        self._judge.look(sum(self._drawn), self.world.now)
        self._record_limit()

    def _record_limit(self) -> None:
        if self._recording is not None:
            self._recording.limit(self.limit_a(), self.world.now)

    # What is seen

    def _observe(self, i: int) -> None:
        slot = self.world.slots[i]
        plant, node = slot.plant, cast(App | None, slot.node)
        current = plant.current_a
        if current != self._drawn[i]:
            self._drawn[i] = current
            self._check()
        if self._recording is not None:
            self._record(i, self._recording)
        view = None if node is None else node.view()
        seen = (view, plant.inputs, plant.offered_a, current)
        if seen == self._last[i]:
            return
        self._last[i] = seen
        row = self.row(i)
        if row == self._rows[i]:
            return
        self._rows[i] = row
        waits = plant.connected and not plant.contactor_closed and row.reason not in _NOT_WAITING
        kind = "charging" if current > _CHARGING_A else "waiting" if waits else ""
        if kind != self._tallies[i].kind:
            self._tallies[i].turn(kind, self.world.now)
        if self._writer is not None:
            self._writer.writerow((f"{self.world.now:.3f}", *row))
        if self._recording is not None:
            stand = Stand(self.world.now, row.role, row.switch, row.state, plant.offered_a, row.reason, row.fault)
            self._recording.tracks[i].stand(stand)

    def _record(self, i: int, recording: Recording) -> None:
        now, spec, track = self.world.now, self.world.slots[i].plant.vehicle, recording.tracks[i]
        name = None if spec is None else spec.name
        if self._drawn[i] != track.drawn.value:
            recording.draw(i, self._drawn[i], sum(self._drawn), now)
        if name != track.vehicle_name:
            track.vehicle(name, self._got(i), now)

    def _got(self, i: int) -> Got:
        now, tally = self.world.now, self._tallies[i]
        tally.turn(tally.kind, now)
        return Got(self.world.slots[i].plant.energy_kwh(now), tally.charging_s, tally.waiting_s)

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

    def run(self, terminal: TextIO | None = None) -> None:
        """The whole scenario; a terminal is shown how far it is."""
        if terminal is None:
            self.world.run(self.scenario.duration_s)
        else:
            watched(self.world.run, self.scenario.duration_s, terminal)
        got = [self._got(i) for i in range(len(self._tallies))]
        if self._recording is not None:
            self._recording.end(got, self.world.now)

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
            "peak_total_a": round(self._judge.peak_a, 2),
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
