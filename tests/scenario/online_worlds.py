"""A station or a group under a controller that says wild things over a bad network, and what it may offer by the rules.

`Told` is one member as real firmware in virtual time. `Law` says what its limit is from what was sent and delivered
alone. `story` hurts one by seed; its verdict is the first thing that is wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from math import inf
from random import Random

from cloud.link import Command, Report
from cloud.site import Kind, Member, Node, Site, Timing
from hal.simulated.vehicle_spec import VehicleSpec
from hal.simulated.world import World
from tests.scenario.helpers import SLOW, SMALL, TIMING, WORST
from watti.judge import Judge
from watti.sites.inloop import FirmwareMembers

SITE_TIMING = Timing(report_s=5.0, lease_s=20.0, hold_s=30.0)
SWITCH_A = 48.0
FALLBACK_A = 12.0
_AGAIN_S = 4.0
"""The same is not said again sooner."""
_ROUNDING_S = 1e-6  # a raise may come by so much sooner: the member's clock is another
SINGLE_S = TIMING.reaction_s + 0.2
"""A station alone comes down at once: a vehicle's reaction and the contactor."""


@dataclass
class Law:
    """The limit by the rules, in true time. `rate`: of the member's clock."""

    rate: float
    starts_at: float = 0.0
    boot: int = 0
    asked: dict[int, float] = field(default_factory=dict)
    last: Command | None = None
    fallback_a: float = FALLBACK_A

    def on_report(self, report: Report, now: float) -> None:
        self.asked[report.question] = now
        self.boot = report.boot

    def on_start(self, now: float) -> None:
        self.starts_at, self.last, self.asked = now, None, {}

    def on_command(self, command: Command, now: float) -> None:
        last = self.last
        if command.boot != self.boot or command.question not in self.asked:
            return
        if last is not None and (command.number <= last.number or command.question < last.question):
            return
        if now < self.asked[command.question] + command.lease_s / self.rate:
            self.last, self.fallback_a = command, command.fallback_da / 10

    def phases(self) -> list[tuple[float, float]]:
        """Until when which limit."""
        lease_s, hold_s = SITE_TIMING.lease_s / self.rate, SITE_TIMING.hold_s / self.rate
        if self.last is None:
            return [(self.starts_at + lease_s + hold_s, 0.0), (inf, self.fallback_a)]
        ends, limit_a = self.asked[self.last.question] + lease_s, self.last.limit_da / 10
        return [(ends, limit_a), (ends + hold_s, min(limit_a, self.fallback_a)), (inf, self.fallback_a)]

    def limit_a(self, now: float) -> float:
        return min(SWITCH_A, next(limit for until, limit in self.phases() if now < until))


class Told:
    """One member and its controller, which answers each report with what `wanted_a` is, sooner or later."""

    def __init__(self, stations: int, seed: int = 1, drift: float = 0.0) -> None:
        member = Member("m", "c", SWITCH_A, stations=stations)
        site = Site("one", (Node("c", Kind.CIRCUIT),), (member,), timing=SITE_TIMING)
        self.stations = stations
        self.members = FirmwareMembers(site, [FALLBACK_A], [240.0], [drift], seed)
        self.now = 0.0
        self.wanted_a = SWITCH_A
        self.fallback_a = FALLBACK_A
        self.loss, self.delay_s, self.mute_until = 0.0, 0.0, 0.0
        self.reports: list[Report] = []
        self.wrong = ""
        """The first moment when more could be drawn than may be."""
        self.law = Law(1 + drift)
        self._judge = Judge(TIMING.release_s if stations > 1 else SINGLE_S)
        self._rng = Random(f"{seed}/network")
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._said: object = None
        self._said_at = -inf

    @property
    def world(self) -> World:
        return self.members.world(0)

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._due, (when, self._number, what))

    def run(self, until: float) -> None:
        while True:
            change = next((end for end, _ in self.law.phases() if end > self.now), inf)
            due = min(self.members.next_wakeup(), change, self._due[0][0] if self._due else inf)
            self.now = min(max(self.now, due), until)
            self.members.advance(self.now)
            self._look()
            if due > until:
                return
            while self._due and self._due[0][0] <= self.now:
                heappop(self._due)[2]()
                self.members.advance(self.now)
                self._look()

    def _look(self) -> None:
        for _, report in self.members.take_reports():
            self.law.on_report(report, self.now)
            self.reports.append(report)
            self._answer(report)
        limit_a = max(self.law.limit_a(self.now), self.law.limit_a(self.now + _ROUNDING_S))
        if limit_a != self._judge.limit_set_a:
            self._judge.turned(limit_a, self.now)
        self._judge.look(self.members.exposed_a(0, self.now), self.now)
        if self._judge.violations and not self.wrong:
            self.wrong = f"above the limit: {self._judge.violations[0]}"

    def _answer(self, report: Report) -> None:
        limit_da, fallback_da = int(self.wanted_a * 10), int(self.fallback_a * 10)
        news = (report.boot, limit_da, fallback_da)
        if (news == self._said and self.now < self._said_at + _AGAIN_S) or self.now < self.mute_until:
            return
        if self._rng.random() < self.loss:
            return
        self._said, self._said_at = news, self.now
        self._number += 1
        timing, boot, question = SITE_TIMING, report.boot, report.question
        said = Command(boot, self._number, question, limit_da, timing.lease_s, timing.hold_s, fallback_da, "node")
        self.at(self.now + self._rng.random() * self.delay_s, lambda: self.deliver(said))

    def deliver(self, command: Command) -> None:
        if self.world.slots[0].node is not None and not self.world.slots[0].stalled:
            self.law.on_command(command, self.now)
        self.members.deliver(0, command, self.now)

    # What is done to it

    def plug(self, station: int, vehicle: VehicleSpec = WORST) -> None:
        self.members.plug(0, station, vehicle, self.now)

    def unplug(self, station: int) -> None:
        self.members.unplug(0, station, self.now)

    def restart(self, station: int) -> None:
        self.world.restart(station)
        if station == 0:
            self.law.on_start(self.now)

    def power(self, on: bool) -> None:
        self.members.power(0, on, self.now)
        if on:
            self.law.on_start(self.now)

    @property
    def drawn_a(self) -> float:
        return self.members.drawn_a(0)

    @property
    def offers_a(self) -> list[float]:
        return [slot.plant.offered_a if slot.plant.contactor_closed else 0.0 for slot in self.world.slots]


END_S = 300.0
_CALM_S = 100.0
"""After everything has healed: turns, demand and the pauses of faults are through by then."""
_LAST_A = 30.0


def story(seed: int) -> str:
    """The first thing that is wrong with the world of a seed; empty when nothing is."""
    rng = Random(f"{seed}/story")
    told = Told(rng.randint(1, 4), seed, rng.choice((0.0, 0.01, -0.01)))
    for at_s, what in sorted(_happenings(told, rng), key=lambda happening: happening[0]):
        told.at(at_s, what)
    told.run(END_S)
    _heal(told)
    told.run(END_S + _CALM_S)
    if told.wrong:
        return told.wrong
    return "" if abs(told.drawn_a - _LAST_A) < 0.5 else f"not served: {told.drawn_a:.1f} A of {_LAST_A:.1f} A"


def _happenings(told: Told, rng: Random) -> Iterator[tuple[float, Callable[[], None]]]:
    told.loss, told.delay_s = rng.choice((0.0, 0.3, 0.8)), rng.choice((0.0, 1.0, 30.0))
    for _ in range(rng.randint(5, 20)):
        amps = rng.choice((0.0, 5.0, 6.0, 8.0, 12.0, 20.0, 30.0, 48.0, 60.0))
        yield rng.uniform(0, END_S), partial(setattr, told, "wanted_a", amps)
    for _ in range(rng.randint(0, 2)):
        amps = rng.choice((0.0, 6.0, 12.0, 20.0))
        yield rng.uniform(0, END_S), partial(setattr, told, "fallback_a", amps)
    for station in range(told.stations):
        for _ in range(rng.randint(1, 2)):
            car = rng.choice((WORST, WORST, SLOW, SMALL))
            yield rng.uniform(15.0, 200.0), partial(told.plug, station, car)
    for _ in range(rng.randint(0, 3)):
        yield rng.uniform(30.0, END_S), _mishap(told, rng)


def _mishap(told: Told, rng: Random) -> Callable[[], None]:
    station, for_s = rng.randrange(told.stations), rng.choice((0.4, 3.0, 8.0, 40.0))
    world = told.world

    def cut() -> None:
        world.line.cut(station, "both")
        told.at(told.now + for_s, lambda: world.line.join(station, "both"))

    def silence() -> None:
        told.mute_until = told.now + 80.0

    def outage() -> None:
        told.power(False)
        told.at(told.now + for_s, lambda: told.power(True))

    return rng.choice((cut, silence, outage, lambda: told.restart(station), lambda: world.stall(station, for_s)))


def _heal(told: Told) -> None:
    """A network without faults, and at each station a vehicle that takes all there is."""
    told.loss, told.delay_s, told.mute_until, told.wanted_a = 0.0, 0.0, 0.0, _LAST_A
    for station in range(told.stations):
        told.plug(station)
