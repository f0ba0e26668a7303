"""A site in virtual time: its members, its controller, the network between them, meters and the building's load.

Deterministic by seed: everything random comes from the generator that is handed in. Seconds of true time; the
controller has a clock of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf, nan
from random import Random
from typing import Any, NamedTuple, Protocol

from cloud.link import Command, Report, Wish
from cloud.site import Measures, Meter, Site
from hal.simulated.vehicle_spec import VehicleSpec
from watti.sites.judge import Judge
from watti.sites.members import Members
from watti.sites.truth import Amps, Truth, unit


class Controls(Protocol):
    """What decides: `cloud.controller.Controller`, or something that it is compared with. Its own clock's seconds."""

    def next_wakeup(self) -> float: ...
    def step(self, now: float) -> None: ...
    def on_report(self, i: int, report: Report, now: float) -> None: ...
    def on_meter(self, name: str, amps: Sequence[float], now: float) -> None: ...
    def on_wish(self, i: int, wish: Wish, now: float) -> None: ...


Send = Callable[[int, Command], None]
Made = Callable[[Send, float], Controls]
"""Starts a controller at a time of its clock."""
Watcher = Callable[[float, Iterable[int]], None]
"""Is told at each instant which members may have changed."""


class Wire(NamedTuple):
    """One direction between a member and the controller; what `jitter_s` delays may overtake each other."""

    delay_s: float = 0.05
    jitter_s: float = 0.0
    loss: float = 0.0
    twice: float = 0.0


CUT = Wire(loss=1.0)


class BuildingLoad(Protocol):
    """Of one node: amperes in its lines, which change at moments."""

    moments: list[float]

    def at(self, t_s: float) -> Amps: ...


class Clock(NamedTuple):
    """One that is fast by `drift`, and began somewhere."""

    drift: float = 0.0
    begins: float = 0.0

    def tells(self, now: float) -> float:
        return self.begins + now * (1.0 + self.drift)

    def true(self, told: float) -> float:
        return (told - self.begins) / (1.0 + self.drift)


@dataclass(slots=True)
class MeterState:
    """How a meter is."""

    fault: str = ""
    """One of METER_FAULTS."""
    delay_s: float = 0.05
    jitter_s: float = 0.0


METER_FAULTS = ("dead", "nan", "negative", "swapped", "short")


class SiteWorld:
    """Verbs act now; `at` plans one. Members must be those of `truth.site`."""

    def __init__(
        self,
        truth: Truth,
        members: Members,
        made: Made,
        judge: Judge,
        rng: Random,
        loads: Mapping[str, BuildingLoad] | None = None,
        clock: Clock = Clock(),  # noqa: B008 -- a value
    ) -> None:
        self.now = 0.0
        self.site: Site = truth.site
        self.members = members
        self.judge = judge
        self.truth = truth
        self.watchers: list[Watcher] = []
        self.up = [Wire()] * len(self.site.members)
        """From each member to the controller."""
        self.down = [Wire()] * len(self.site.members)
        self.meters = {meter.name: MeterState() for meter in self.site.meters}
        self.blinded: set[int] = set()
        """Members whose meter does not answer."""
        self.controller: Controls | None = None
        self._made = made
        self._life = 0
        self._clock = clock
        self._rng = rng
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._index = {node.name: n for n, node in enumerate(self.site.nodes)}
        self._loads = loads or {}
        self._own: list[Amps] = [() for _ in self.site.nodes]
        self._total = truth.building(self._own)
        for name, load in self._loads.items():
            for moment in load.moments:
                self.at(moment, self._move_load, name, load)
        for meter in self.site.meters:
            self.at(rng.random() * meter.period_s, self._sample, meter)
        self.start_controller()

    def at(self, t_s: float, verb: Callable[..., None], *args: Any) -> None:
        """Call a verb then."""
        heappush(self._heap, (t_s, next(self._order), verb, args))

    def run(self, until: float) -> None:
        """Everything up to and with `until`."""
        while (at := self._next()) <= until:
            self._instant(at)
        self.now = until
        self.judge.wait(until)

    def _next(self) -> float:
        heap = self._heap[0][0] if self._heap else inf
        due = self._clock.true(self.controller.next_wakeup()) if self.controller is not None else inf
        return max(self.now, min(heap, self.members.next_wakeup(), due))

    def _instant(self, now: float) -> None:
        self.now = now
        if self.judge.watching:
            self.judge.wait(now)
        self.members.advance(now)
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, _, verb, args = heappop(heap)
            verb(*args)
        controller = self.controller
        if controller is not None and self._clock.true(due := controller.next_wakeup()) <= now:
            controller.step(max(due, self._clock.tells(now)))
        for i, report in self.members.take_reports():
            told = report._replace(drawn_a=nan) if i in self.blinded else report
            self._carry(self.up[i], self._hear, i, told)
        changed = self.members.take_changed()
        for i in changed:
            self.judge.set_member(i, self.members.drawn_a(i), self.members.exposed_a(i, now))
        self.judge.look(now)
        for watcher in self.watchers:
            watcher(now, changed)

    # The network

    def _carry(self, wire: Wire, verb: Callable[..., None], *message: Any) -> None:
        rng = self._rng
        if wire.loss and rng.random() < wire.loss:
            return
        for _ in range(2 if wire.twice and rng.random() < wire.twice else 1):
            delay_s = wire.delay_s + (wire.jitter_s * rng.random() if wire.jitter_s else 0.0)
            self.at(self.now + delay_s, verb, *message)

    def _hear(self, i: int, report: Report) -> None:
        if self.controller is not None:
            self.controller.on_report(i, report, self._told_time())

    def _deliver(self, i: int, command: Command) -> None:
        self.members.deliver(i, command, self.now)

    def _told_time(self) -> float:
        return self._clock.tells(self.now)

    # The controller

    def start_controller(self) -> None:
        """A new one, that knows nothing; an old one is gone."""
        self._life += 1
        life = self._life

        def send(i: int, command: Command) -> None:
            if life == self._life:
                self._carry(self.down[i], self._deliver, i, command)

        self.controller = self._made(send, self._told_time())

    def stop_controller(self) -> None:
        self._life += 1
        self.controller = None

    def wish(self, i: int, wish: Wish) -> None:
        """A driver says something; `departs_at` of the wish is true time."""
        if self.controller is not None:
            departs_at = None if wish.departs_at is None else self._clock.tells(wish.departs_at)
            self.controller.on_wish(i, wish._replace(departs_at=departs_at), self._told_time())

    # Members

    def wires(self, i: int, up: Wire, down: Wire) -> None:
        """How a member is connected from now on."""
        self.up[i], self.down[i] = up, down

    def plug(self, i: int, station: int, vehicle: VehicleSpec) -> None:
        self.members.plug(i, station, vehicle, self.now)

    def unplug(self, i: int, station: int) -> None:
        self.members.unplug(i, station, self.now)

    def power(self, i: int, on: bool) -> None:
        self.members.power(i, on, self.now)

    def restart(self, i: int) -> None:
        self.members.restart(i, self.now)

    def blind(self, i: int, on: bool) -> None:
        """The meter of a member answers no longer, or again."""
        (self.blinded.add if on else self.blinded.discard)(i)

    # The building and its meters

    def _move_load(self, name: str, load: BuildingLoad) -> None:
        n = self._index[name]
        amps = load.at(self.now)
        if amps != self._own[n]:
            self._own[n] = amps
            self._total = self.truth.building(self._own)
            self.judge.set_building(self._own, self.now)

    def meter(self, name: str, state: MeterState) -> None:
        """How a meter is from now on."""
        self.meters[name] = state

    def _sample(self, meter: Meter) -> None:
        self.at(self.now + meter.period_s, self._sample, meter)
        state = self.meters[meter.name]
        if state.fault == "dead":
            return
        amps = _spoilt(state.fault, self._reading(meter))
        delay_s = state.delay_s + state.jitter_s * self._rng.random()
        self.at(self.now + delay_s, self._read, meter.name, amps)

    def _read(self, name: str, amps: Amps) -> None:
        if self.controller is not None:
            self.controller.on_meter(name, amps, self._told_time())

    def _reading(self, meter: Meter) -> Amps:
        n = self._index[meter.node]
        building = self._total[n]
        if meter.measures is Measures.BUILDING:
            return building
        return tuple(
            abs(self._stations(n, line) + amps * unit(self.site.nodes[n].phases, line))
            for line, amps in enumerate(building)
        )

    def _stations(self, n: int, line: int) -> complex:
        """What all stations below a node draw in one of its lines."""
        drawn = self.judge.drawn.amps
        return sum(
            (currents[n][line] * drawn[i] for i, currents in enumerate(self.truth.currents) if n in currents), 0j
        )


def _spoilt(fault: str, amps: Amps) -> Amps:
    if fault == "nan":
        return (nan, *amps[1:])
    if fault == "negative":
        return tuple(-line for line in amps)
    if fault == "short":
        return amps[1:]
    return (*amps[1:], amps[0]) if fault == "swapped" else amps
