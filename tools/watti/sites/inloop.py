"""The members of a site as real firmware over simulated plants: for small sites, and to check the model against.

Each member is a world of its own: nothing goes between two of them but through their controller.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from math import inf
from typing import cast

from cloud.link import Command, Report
from cloud.site import Member, Site
from cloud.site import Timing as SiteTiming
from cloud.site_rules import Problem, SiteError
from firmware.app import App, Setup
from firmware.bus.rtu import silence_s
from firmware.config import DEFAULT_BAUD, MODELS
from firmware.online import Kept, OnlineCommand
from firmware.rotary import Chart
from firmware.sharing.group import MAX_SECONDARIES
from firmware.timing import Timing
from hal.simulated.board import MemoryStore
from hal.simulated.plant import Plant
from hal.simulated.vehicle_spec import VehicleSpec
from hal.simulated.world import Boot, World
from watti.scenario import CONFIGS, serial_of

_TIMING = Timing()


class FirmwareMembers:
    """`watti.sites.members.Members` by firmware: a station alone, or a primary with its secondaries on one line."""

    def __init__(
        self,
        site: Site,
        fallbacks_a: Sequence[float | None],
        volts: Sequence[float],
        drifts: Sequence[float] = (),
        seed: int = 1,
    ) -> None:
        """Of each member: the fallback that was stored when it was set up (None = none), the voltage of its vehicles,
        and how much faster its clocks are than others (0.01 = by 1 %). Raises `SiteError` for a member that no firmware
        is."""
        chart = Chart.load(CONFIGS / "rotary.toml")
        problems = [
            Problem(("member", i, key), text) for i, m in enumerate(site.members) for key, text in _unfit(m, chart)
        ]
        if problems:
            raise SiteError(problems)
        self._members = [
            _FirmwareMember(
                member, site.timing, fallbacks_a[i], volts[i], drifts[i] * 1e6 if drifts else 0.0, chart, seed + i
            )
            for i, member in enumerate(site.members)
        ]
        self._due = [member.world.next_wakeup() for member in self._members]
        self._reports: list[tuple[int, Report]] = []
        self._changed: set[int] = set(range(len(self._members)))

    # Time

    def next_wakeup(self) -> float:
        return min(self._due)

    def advance(self, now: float) -> None:
        for i, due in enumerate(self._due):
            if due <= now:
                self._run(i, now)

    def _run(self, i: int, now: float) -> "_FirmwareMember":
        """A member as it is now."""
        member = self._members[i]
        member.world.run(now)
        self._gather(i)
        return member

    def _gather(self, i: int) -> None:
        member = self._members[i]
        self._due[i] = member.world.next_wakeup()
        self._reports += [(i, report) for report in member.sent]
        member.sent.clear()
        if member.changed:
            member.changed = False
            self._changed.add(i)

    # What goes between it and its controller

    def deliver(self, member: int, command: Command, now: float) -> None:
        self._run(member, now).deliver(command)
        self._gather(member)

    def take_reports(self) -> list[tuple[int, Report]]:
        taken, self._reports = self._reports, []
        return taken

    def take_changed(self) -> Iterable[int]:
        taken, self._changed = self._changed, set()
        return taken

    # What is done to it

    def plug(self, member: int, station: int, vehicle: VehicleSpec, now: float) -> None:
        self._run(member, now).world.touch(station, partial(_plug, vehicle))
        self._gather(member)

    def unplug(self, member: int, station: int, now: float) -> None:
        self._run(member, now).world.touch(station, _unplug)
        self._gather(member)

    def power(self, member: int, on: bool, now: float) -> None:
        world = self._run(member, now).world
        for station in range(len(world.slots)):
            (world.power_on if on else world.power_off)(station)
        self._gather(member)

    def restart(self, member: int, now: float) -> None:
        self.power(member, False, now)
        self.power(member, True, now)

    # What is true of it

    def offered_a(self, member: int) -> float:
        return sum(slot.plant.offered_a for slot in self._members[member].world.slots)

    def drawn_a(self, member: int) -> float:
        return sum(slot.plant.current_a for slot in self._members[member].world.slots)

    def exposed_a(self, member: int, now: float) -> float:
        return sum(said.exposed_a(now) for said in self._members[member].said)

    def energy_kwh(self, member: int, now: float) -> float:
        return sum(slot.plant.energy_kwh(now) for slot in self._run(member, now).world.slots)

    def world(self, member: int) -> World:
        """To look into, or to hurt; whoever does calls `advance` next."""
        return self._members[member].world


class _FirmwareMember:
    """One member: its world, and what its primary sends."""

    def __init__(
        self,
        member: Member,
        timing: SiteTiming,
        fallback_a: float | None,
        voltage_v: float,
        drift_ppm: float,
        chart: Chart,
        seed: int,
    ) -> None:
        self._name = member.name
        self._model = _model(member)
        self._chart = chart
        self._report_s = timing.report_s
        self._memory = MemoryStore()
        if fallback_a is not None:
            self._memory.save(Kept(int(fallback_a * 10), timing.lease_s, timing.hold_s).record())
        self.sent: list[Report] = []
        self.changed = False
        self._reports_at = 0.0
        self._sends = False
        """A report is about to leave."""
        self.said = [_Said() for _ in range(member.stations)]
        self.world = World(seed, DEFAULT_BAUD, silence_s(DEFAULT_BAUD), self._boot)
        self.world.observe = self._observe
        for station in range(member.stations):
            switch = _positions(chart)[member.rating_a] if station == 0 else _secondary(chart)
            self.world.add(Plant(switch, voltage_v, _TIMING.dead_man_s, powered=False), drift_ppm)
            self.world.at(0.0, partial(self.world.power_on, station))

    def _boot(self, boot: Boot) -> App:
        serial = serial_of(f"{self._name}/{boot.station}", None)
        setup = Setup(serial, self._model, MODELS[self._model], DEFAULT_BAUD, _TIMING, self._chart)
        memory = self._memory if boot.station == 0 else None
        return App(setup, boot.board, boot.rng, boot.inputs, boot.now, memory)

    def _observe(self, station: int) -> None:
        said = self.said[station]
        if said.see(self.world.slots[station].plant, self.world.now):
            self.changed = True
            if said.falls_at > self.world.now:
                self.world.at(said.falls_at, self._fall)
        if station == 0 and not self._sends:
            app = cast(App | None, self.world.slots[0].node)
            due = app is not None and (app.has_news or self.world.now >= self._reports_at)
            if due:  # not from here: the firmware may be in the middle of something
                self._sends = True
                self.world.at(self.world.now, self._send)

    def _fall(self) -> None:
        """No vehicle follows an offer of before any longer."""
        self.changed = True

    def _send(self) -> None:
        """A report leaves, unless its station has died or stands still."""
        self._sends = False
        slot = self.world.slots[0]
        if slot.node is None or slot.stalled:
            return
        report = cast(App, slot.node).report(slot.local(self.world.now))
        if report is not None:
            self.sent.append(Report(*report))
            self._reports_at = self.world.now + self._report_s
            self.world.at(self._reports_at, partial(self._observe, 0))

    def deliver(self, command: Command) -> None:
        slot = self.world.slots[0]
        if slot.node is not None and not slot.stalled:
            cast(App, slot.node).on_online(OnlineCommand(*command[:-1]), slot.local(self.world.now))
            self.world.refresh(0)


class _Said:
    """What one station's pilot says and has said within a vehicle's reaction."""

    def __init__(self) -> None:
        self._seen = (0.0, 0.0, False)
        """Offer, current, contactor."""
        self._before: list[tuple[float, float]] = []
        """Higher offers, and until when a vehicle may follow them."""

    def see(self, plant: Plant, now: float) -> bool:
        """Whether something has changed."""
        seen = (plant.offered_a, plant.current_a, plant.contactor_closed)
        if seen == self._seen:
            return False
        if seen[0] < self._seen[0]:
            self._before = [(amps, until) for amps, until in self._before if until > now]
            self._before.append((self._seen[0], now + _TIMING.reaction_s))
        self._seen = seen
        return True

    @property
    def falls_at(self) -> float:
        """When the newest of the higher offers is over."""
        return self._before[-1][1] if self._before else -inf

    def exposed_a(self, now: float) -> float:
        offered, drawn, closed = self._seen
        if not closed:
            return 0.0
        return max(offered, drawn, *(amps for amps, until in self._before if until > now))


def _plug(vehicle: VehicleSpec, plant: Plant, now: float) -> None:
    while plant.connected:  # the first call may only press S3
        plant.unplug(now)
    plant.plug(vehicle, now)


def _unplug(plant: Plant, now: float) -> None:
    if plant.connected:
        plant.unplug(now)


# What a member needs of its switch


def _positions(chart: Chart) -> dict[float, int]:
    return {float(row.amps): row.digit for row in chart.rows if row.amps is not None}


def _secondary(chart: Chart) -> int:
    return next(row.digit for row in chart.rows if row.amps is None)


def _model(member: Member) -> str:
    return next(model for model, rating_a in MODELS.items() if member.rating_a <= rating_a)


def _unfit(member: Member, chart: Chart) -> list[tuple[str, str]]:
    """Key and sentence for each thing that no firmware does."""
    found = []
    amps = sorted(_positions(chart))
    if member.rating_a not in amps:
        listed = ", ".join(f"{a:g}" for a in amps)
        found.append(("rating_a", f"expected a position of the rotary switch, {listed} (got {member.rating_a:g})"))
    if member.stations > MAX_SECONDARIES + 1:
        most = MAX_SECONDARIES + 1
        found.append(("stations", f"expected at most {most} stations in an offline group (got {member.stations})"))
    if not member.keeps_quiet:
        found.append(("keeps_quiet", "expected true: this firmware takes its fallback only after its hold (got false)"))
    return found
