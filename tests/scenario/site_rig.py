"""One member of a site, as a model or as firmware, with somebody who tells it what to do and notes all it says."""

from collections.abc import Callable
from math import inf

from cloud.link import Command, Report
from cloud.site import Kind, Member, Node, Site, Timing
from hal.simulated.vehicle_spec import VehicleSpec
from watti.sites.inloop import FirmwareMembers
from watti.sites.members import Members
from watti.sites.model import ModelMembers

TIMING = Timing(report_s=5.0, lease_s=20.0, hold_s=30.0)
RATING_A = 48.0
FALLBACK_A = 12.0
VOLTS = 240.0
SETTLE_S = {1: 6.5, 3: 13.5}
"""By stations: a station alone, a group."""

Backend = Callable[[Site, float | None, float], Members]
"""A member of this site, with a stored fallback and a clock that is fast by so much."""


def model(site: Site, fallback_a: float | None, drift: float) -> Members:
    return ModelMembers(site, [fallback_a], [VOLTS], [drift])


def firmware(site: Site, fallback_a: float | None, drift: float) -> Members:
    return FirmwareMembers(site, [fallback_a], [VOLTS], [drift])


class Rig:
    """`answers_a`: each report is answered by a command of so much; None = nobody answers."""

    def __init__(
        self, backend: Backend, stations: int = 1, fallback_a: float | None = FALLBACK_A, drift: float = 0.0
    ) -> None:
        member = Member("m", "c", RATING_A, stations=stations, settle_s=SETTLE_S[stations])
        site = Site("one", (Node("c", Kind.CIRCUIT),), (member,), timing=TIMING)
        self.members = backend(site, fallback_a, drift)
        self.stations = stations
        self.rate = 1 + drift
        self.now = 0.0
        self.answers_a: float | None = None
        self.fallback_a = FALLBACK_A
        self.reports: list[tuple[float, Report]] = []
        self.exposed: list[tuple[float, float]] = []
        """Each change of what may be drawn."""
        self.drawn: list[tuple[float, float]] = []
        self._number = 0
        self._look(0.0)

    def run(self, until: float) -> None:
        """Everything up to and with `until`. Whatever is drawn must be exposed, at any instant."""
        while (due := max(self.now, self.members.next_wakeup())) <= until:
            self._look(due)
        self._look(until)

    def wait(self, seconds: float) -> None:
        self.run(self.now + seconds)

    def _look(self, now: float) -> None:
        self.now = now
        self.members.advance(now)
        self.members.take_changed()
        while reports := self.members.take_reports():
            for _, report in reports:
                self.reports.append((now, report))
                if self.answers_a is not None:
                    self.members.deliver(0, self.command(self.answers_a), now)
        _note(self.exposed, now, self.exposed_a)
        _note(self.drawn, now, self.drawn_a)
        assert self.drawn_a <= self.exposed_a + 0.051, f"more is drawn than exposed at {now}"

    @property
    def asked_at(self) -> float:
        """When the last report left."""
        return self.reports[-1][0]

    @property
    def last(self) -> Report:
        return self.reports[-1][1]

    def command(self, amps: float) -> Command:
        """One that is to be taken."""
        self._number += 1
        limit_da, fallback_da = round(amps * 10), round(self.fallback_a * 10)
        boot, question = self.last.boot, self.last.question
        return Command(boot, self._number, question, limit_da, TIMING.lease_s, TIMING.hold_s, fallback_da, "node")

    def deliver(self, command: Command) -> None:
        self.members.deliver(0, command, self.now)
        self._look(self.now)

    def tell(self, amps: float) -> None:
        self.deliver(self.command(amps))

    def plug(self, station: int, vehicle: VehicleSpec) -> None:
        self.members.plug(0, station, vehicle, self.now)
        self._look(self.now)

    def unplug(self, station: int) -> None:
        self.members.unplug(0, station, self.now)
        self._look(self.now)

    def power(self, on: bool) -> None:
        self.members.power(0, on, self.now)
        self._look(self.now)

    @property
    def offered_a(self) -> float:
        return self.members.offered_a(0)

    @property
    def exposed_a(self) -> float:
        return self.members.exposed_a(0, self.now)

    @property
    def drawn_a(self) -> float:
        return self.members.drawn_a(0)

    @property
    def energy_kwh(self) -> float:
        return self.members.energy_kwh(0, self.now)

    def within(self, since: float, until: float) -> set[float]:
        """All that could be drawn within a time."""
        ends = [at for at, _ in self.exposed[1:]] + [inf]
        return {amps for (at, amps), end in zip(self.exposed, ends, strict=True) if end > since and at < until}


def _note(changes: list[tuple[float, float]], now: float, amps: float) -> None:
    if not changes or abs(changes[-1][1] - amps) > 1e-9:
        changes.append((now, amps))


def ampere_seconds(changes: list[tuple[float, float]], until: float) -> float:
    """What changes come to, summed over time."""
    ends = [at for at, _ in changes[1:]] + [until]
    return sum(amps * (end - at) for (at, amps), end in zip(changes, ends, strict=True))
