"""One seed, one site and what happens to it: a random tree, vehicles that come and go, and faults.

Whatever is drawn is within what the promise assumes: vehicles follow within the time that their member's `settle_s`
says, clocks differ by at most `drift`, buildings take no more than their nodes carry and than `worst_a` says, each load
is behind a meter, and lines of a meter are mixed up only where nobody has said that they are sure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import acos, degrees, inf
from random import Random
from typing import Any, Final, NamedTuple

from cloud.fallback import choose
from cloud.link import Wish
from cloud.site import Kind, Measures, Member, Meter, Node, Phases, Rule, Site, Timing
from cloud.site_rules import least_hold_s
from cloud.tree import SiteError, Tree
from hal.simulated.vehicle_spec import VehicleSpec
from watti.sites.load import Load
from watti.sites.truth import Truth
from watti.sites.world import METER_FAULTS, Clock, MeterState, Wire

FIRST_S, LAST_S = 30.0, 600.0
"""When things happen; afterwards the site is left alone."""
HEALS_S = 300.0
LATELY_S = 120.0
"""At the end of this everybody who is to be offered something has been."""

_WORST: Final = VehicleSpec("worst", start_delay_s=0.0, ramp_a_per_s=0.0, reaction_s=6.49)
_CARS: Final = (
    _WORST,
    replace(_WORST, name="large", max_a=80.0),
    replace(_WORST, name="small", max_a=16.0),
    replace(_WORST, name="quick", reaction_s=1.0),
    replace(_WORST, name="gentle", draw_ratio=0.96, ramp_a_per_s=4.0, reaction_s=2.0, start_delay_s=2.0),
    replace(_WORST, name="late", start_delay_s=30.0),
    replace(_WORST, name="nearly", soc=0.9995),
)
_PLANS_S: Final = 2.0
"""The controller may take this long to plan again."""


class Happening(NamedTuple):
    """A verb of `SiteWorld`, called then."""

    at_s: float
    verb: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The world of a seed."""

    seed: int
    site: Site
    policy: str
    stored_a: tuple[float, ...]
    """Fallbacks that the members were set up with."""
    drifts: tuple[float, ...]
    clock: Clock
    loads: Mapping[str, Load]
    happenings: tuple[Happening, ...]
    bound_s: float
    """The longest from a jump of the building's load to the last vehicle that has followed."""
    until_s: float = LAST_S + HEALS_S


def draw(seed: int) -> Plan:
    """The world of a seed, whole: the same on every machine."""
    rng = Random(f"site/{seed}")
    while True:
        site = _Sites(rng).draw()
        try:
            tree = Tree(site)
            stored_a = [amps / 10 for amps in choose(tree)]
        except SiteError:
            continue
        return _happens(seed, rng, site, stored_a)


def _happens(seed: int, rng: Random, site: Site, stored_a: Sequence[float]) -> Plan:
    most = site.timing.drift / 2
    calm = rng.random() < 0.3
    events = _Events(rng, site, calm=calm)
    happenings = sorted(events.draw(), key=lambda happening: happening.at_s)
    return Plan(
        seed,
        site,
        rng.choice(["equal", "priority", "first_come"]),
        tuple(0.0 if rng.random() < 0.1 else amps for amps in stored_a),
        tuple(rng.choice([0.0, most, -most]) for _ in site.members),
        Clock(rng.choice([0.0, most, -most]), rng.choice([0.0, 1e6])),
        _loads(rng, site),
        tuple(happenings),
        _bound_s(site, calm=calm),
    )


def _bound_s(site: Site, *, calm: bool) -> float:
    """From a jump to the last vehicle: the meter's turn, the command or the end of a lease, the vehicle."""
    timing = site.timing
    slow = (1 + timing.drift) ** 2
    settle_s = max(member.settle_s for member in site.members)
    seen_s = max((meter.period_s + (0 if calm else meter.stale_after_s) for meter in site.meters), default=0.0)
    if any(meter.measures is Measures.TOTAL for meter in site.meters):
        seen_s += timing.report_s * (4 if calm else 8)  # each of two readings waits for reports that were made after it
    told_s = 0.5 if calm else timing.lease_s
    return (seen_s + told_s + settle_s + _PLANS_S) * slow


# A site


class _Sites:
    """Draws one; it may be refused, as fallbacks may not fit."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.nodes: list[Node] = []
        self.members: list[Member] = []
        self.meters: list[Meter] = []

    def draw(self) -> Site:
        rng = self.rng
        if rng.random() < 0.1:
            self.nodes.append(Node("budget", Kind.BUDGET, limit_w=1.0))
            for s in range(rng.choice([1, 2])):
                self._service(f"site{s}", "budget")
        else:
            self._service("service", None)
        self.nodes = [self._limited(node) for node in self.nodes]
        self._metered()
        report_s = rng.choice([2.0, 5.0, 10.0])
        timing = Timing(report_s=report_s, lease_s=report_s * rng.choice([4, 6]), turn_s=rng.choice([60.0, 900.0]))
        hold_s = round(least_hold_s(timing, self.members) + rng.choice([0.1, 20.0]), 1)
        return Site("drawn", tuple(self.nodes), tuple(self.members), tuple(self.meters), replace(timing, hold_s=hold_s))

    def _service(self, name: str, parent: str | None) -> None:
        rng = self.rng
        phases = rng.choice([Phases.THREE, Phases.THREE, Phases.THREE, Phases.SPLIT, Phases.SINGLE])
        if phases is not Phases.THREE:
            self._node(Node(name, Kind.SERVICE, parent, phases, 240.0, rule=self._rule()), 1)
        elif rng.random() < 0.4:
            self.nodes.append(Node(name, Kind.SERVICE, parent, Phases.THREE, 480.0, rule=self._rule()))
            for t in range(rng.choice([1, 1, 2])):
                winding = rng.choice(["delta-wye", "delta-wye", "wye-wye"])
                kind, below = Kind.TRANSFORMER, f"{name}.t{t}"
                self._node(Node(below, kind, name, Phases.THREE, 208.0, rule=self._rule(), winding=winding), 2)
        else:
            self._node(Node(name, Kind.SERVICE, parent, Phases.THREE, 208.0, rule=self._rule()), 1)

    def _rule(self) -> Rule:
        return self.rng.choice([Rule.SCALAR, Rule.PHASOR, Rule.PHASOR])

    def _node(self, node: Node, level: int) -> None:
        """With its members and what is below it."""
        rng = self.rng
        self.nodes.append(node)
        below = rng.choice([0, 0, 1, 2, 3]) if level < 4 else 0
        for c in range(below):
            self._child(node, f"{node.name}.{c}", level + 1)
        for m in range(rng.choice([0, 1, 2]) if below else rng.choice([1, 2, 3, 4])):
            self._member(node, f"{node.name}/{m}")

    def _child(self, node: Node, name: str, level: int) -> None:
        rng = self.rng
        kind = rng.choice([Kind.PANEL, Kind.CIRCUIT]) if node.kind is not Kind.CIRCUIT else Kind.CIRCUIT
        if node.phases is Phases.SINGLE or rng.random() < 0.6:
            self._node(Node(name, kind, node.name, node.phases, node.voltage_v, rule=self._rule()), level)
        else:
            lines = rng.choice(["AB", "BC", "CA", ""] if node.phases is Phases.THREE else ["L1L2", ""])
            self._node(Node(name, Kind.CIRCUIT, node.name, Phases.SINGLE, node.voltage_v, lines=lines), level)

    def _member(self, node: Node, name: str) -> None:
        rng = self.rng
        pairs = {
            Phases.SINGLE: [""],
            Phases.SPLIT: ["L1L2", ""],
            Phases.THREE: ["AB", "BC", "CA", "AB", "BC", "AN", ""],
        }
        group = rng.random() < 0.2
        rating_a = rng.choice([16.0, 32.0, 48.0, 48.0, 80.0])
        quiet = rng.random() < 0.85
        fallback_a = rng.choice([None, None, None, 0.0, 6.0, 8.0])
        self.members.append(
            Member(
                name,
                node.name,
                rating_a,
                rng.choice(pairs[node.phases]),
                stations=rng.choice([2, 3, 4]) if group else 1,
                min_a=6.0,
                weight=rng.choice([1.0, 1.0, 2.0, 0.5]),
                priority=rng.choice([0, 0, 0, 1]),
                fallback_a=fallback_a,
                keeps_quiet=quiet,
                settle_s=13.5 if group else rng.choice([6.5, 6.5, 8.0]),
            )
        )

    def _limited(self, node: Node) -> Node:
        """Mostly less than all that is below it would take."""
        rng = self.rng
        volts = {other.name: other.voltage_v / node.voltage_v for other in self.nodes}
        below = [member for member in self.members if self._is_below(member.node, node.name)]
        most_a = sum(member.rating_a * volts[member.node] for member in below) * rng.choice([0.3, 0.5, 0.7, 1.2])
        if node.kind is Kind.BUDGET:
            return replace(node, limit_w=max(2000.0, most_a * 208.0))
        power_factor = rng.choice([1.0, 1.0, 0.95])
        return replace(node, limit_a=round(max(10.0, most_a), 1), min_power_factor=power_factor)

    def _is_below(self, name: str, top: str) -> bool:
        parents = {node.name: node.parent for node in self.nodes}
        at: str | None = name
        while at is not None and at != top:
            at = parents[at]
        return at == top

    def _metered(self) -> None:
        rng = self.rng
        possible = [node for node in self.nodes if node.kind is not Kind.BUDGET]
        for node in rng.sample(possible, min(len(possible), rng.choice([0, 1, 1, 2]))):
            measures = Measures.TOTAL if self._may_be_total(node) and rng.random() < 0.5 else Measures.BUILDING
            period_s = rng.choice([1.0, 2.0])
            self.meters.append(
                Meter(
                    f"ct {node.name}",
                    node.name,
                    measures,
                    period_s,
                    stale_after_s=period_s * rng.choice([3, 8]),
                    worst_a=rng.choice([inf, round(node.limit_a * rng.uniform(0.3, 0.9), 1)]),
                    margin_a=rng.choice([0.0, 1.0]),
                    lines_sure=rng.random() < 0.5,
                    angle_deg=self._angle_deg(),
                    ramp_a_per_s=rng.choice([0.5, 2.0, 5.0]),
                )
            )

    def _may_be_total(self, node: Node) -> bool:
        return node.rule is Rule.PHASOR or node.phases is Phases.SINGLE

    def _angle_deg(self) -> float:
        """Between stations on two lines and a building at unity; behind a delta it may be as much again."""
        delta = any(node.winding == "delta-wye" for node in self.nodes)
        worst = max(degrees(acos(node.min_power_factor)) for node in self.nodes)
        return min(90.0, (60.0 if delta else 30.0) + worst)


# The building's load


def _loads(rng: Random, site: Site) -> dict[str, Load]:
    """Of the metered nodes; all together no more than every node may carry and every meter was told to expect."""
    names = [node.name for node in site.nodes]
    metered = {meter.node: meter for meter in site.meters}
    truth = Truth(site, Random(0))
    lines = {node.name: len(truth.lines[n]) for n, node in enumerate(site.nodes)}
    steps = {}
    for name in metered:
        moments = sorted(round(rng.uniform(0, LAST_S), 3) for _ in range(rng.choice([0, 2, 6, 20])))
        steps[name] = [(at_s, tuple(rng.random() for _ in range(lines[name]))) for at_s in [0.0, *moments]]
    full = truth.building([(1.0,) * lines[name] if name in metered else () for name in names])
    room = inf
    for n, node in enumerate(site.nodes):
        if node.kind is not Kind.BUDGET and any(full[n]):
            worst_a = metered[node.name].worst_a if node.name in metered else inf
            room = min(room, min(node.limit_a, worst_a) / max(full[n]))
    part = rng.choice([0.5, 0.9, 1.0])
    return {
        name: Load(lines[name], [(t, tuple(room * part * a for a in amps)) for t, amps in steps[name]])
        for name in metered
    }


# What happens


class _Events:
    """Vehicles, and faults that end. `calm`: the network and the meters are sound."""

    def __init__(self, rng: Random, site: Site, *, calm: bool) -> None:
        self.rng = rng
        self.site = site
        self.chances: list[Callable[[float, int], Iterator[Happening]]] = [self._comes, self._goes, self._wishes]
        if not calm:
            self.chances += [
                self._is_cut,
                self._is_bad,
                self._restarts,
                self._restarts_twice,
                self._is_off,
                self._is_blind,
            ]
            self.chances += [self._controller, self._is_cut, self._is_bad]
            self.chances += [self._meter] * (2 if site.meters else 0)

    def draw(self) -> Iterator[Happening]:
        rng = self.rng
        for i, member in enumerate(self.site.members):
            for station in range(member.stations):
                if rng.random() < 0.8:
                    yield self._plug(round(rng.uniform(0, 120), 3), i, station)
        for _ in range(rng.randint(1, 30)):
            at_s = round(rng.uniform(FIRST_S, LAST_S), 3)
            yield from rng.choice(self.chances)(at_s, rng.randrange(len(self.site.members)))

    def _later(self, at_s: float, *choices: float) -> float:
        return min(LAST_S, at_s + self.rng.choice(choices))

    def _station(self, i: int) -> int:
        return self.rng.randrange(self.site.members[i].stations)

    def _plug(self, at_s: float, i: int, station: int) -> Happening:
        return Happening(at_s, "plug", (i, station, self.rng.choice(_CARS)))

    def _comes(self, at_s: float, i: int) -> Iterator[Happening]:
        yield self._plug(at_s, i, self._station(i))

    def _goes(self, at_s: float, i: int) -> Iterator[Happening]:
        station = self._station(i)
        yield Happening(at_s, "unplug", (i, station))
        if self.rng.random() < 0.5:
            yield self._plug(self._later(at_s, 1.0, 10.0, 60.0), i, station)

    def _wishes(self, at_s: float, i: int) -> Iterator[Happening]:
        rng = self.rng
        wish = Wish(
            rng.choice([None, 1000.0, 50_000.0]),
            rng.choice([None, at_s + 60.0, at_s + 7200.0, at_s - 5.0]),
            rng.choice([None, 0.5, 3.0]),
            rng.choice([None, 0, 2]),
        )
        yield Happening(at_s, "wish", (i, wish))

    def _is_cut(self, at_s: float, i: int) -> Iterator[Happening]:
        ways = self.rng.choice([(True, True), (True, False), (False, True)])
        up, down = (Wire(loss=1.0) if cut else Wire() for cut in ways)
        yield Happening(at_s, "wires", (i, up, down))
        yield Happening(self._later(at_s, 5.0, 30.0, 90.0, 200.0, 400.0), "wires", (i, Wire(), Wire()))

    def _is_bad(self, at_s: float, i: int) -> Iterator[Happening]:
        up, down = (self._bad_wire() for _ in "ud")
        yield Happening(at_s, "wires", (i, up, down))
        yield Happening(self._later(at_s, 30.0, 120.0, 400.0), "wires", (i, Wire(), Wire()))

    def _bad_wire(self) -> Wire:
        rng = self.rng
        lease_s = self.site.timing.lease_s
        delay_s, jitter_s = rng.choice([0.05, 1.0, lease_s / 3]), rng.choice([0.0, 2.0, lease_s, 2 * lease_s])
        return Wire(delay_s, jitter_s, rng.choice([0.0, 0.1, 0.5, 0.9]), rng.choice([0.0, 0.3]))

    def _restarts(self, at_s: float, i: int) -> Iterator[Happening]:
        yield Happening(at_s, "restart", (i,))

    def _restarts_twice(self, at_s: float, i: int) -> Iterator[Happening]:
        """What the life between has said comes when another has long been heard."""
        late = Wire(delay_s=self.rng.choice([0.3, 0.9, 1.2]) * self.site.timing.lease_s)
        yield Happening(at_s, "wires", (i, late, Wire()))
        yield Happening(at_s, "restart", (i,))
        yield Happening(self._later(at_s, 0.5, 2.0), "wires", (i, Wire(), Wire()))
        yield Happening(self._later(at_s, 2.0), "restart", (i,))

    def _is_off(self, at_s: float, i: int) -> Iterator[Happening]:
        yield Happening(at_s, "power", (i, False))
        yield Happening(self._later(at_s, 0.5, 5.0, 60.0, 200.0), "power", (i, True))

    def _is_blind(self, at_s: float, i: int) -> Iterator[Happening]:
        yield Happening(at_s, "blind", (i, True))
        yield Happening(self._later(at_s, 5.0, 100.0), "blind", (i, False))

    def _controller(self, at_s: float, i: int) -> Iterator[Happening]:
        yield Happening(at_s, "stop_controller", ())
        yield Happening(self._later(at_s, 0.0, 3.0, 60.0, 250.0), "start_controller", ())

    def _meter(self, at_s: float, i: int) -> Iterator[Happening]:
        meter = self.rng.choice(self.site.meters)
        faults = [fault for fault in METER_FAULTS if not (fault == "swapped" and meter.lines_sure)]
        sound, late_s = MeterState(), meter.stale_after_s / 2
        state = self.rng.choice([MeterState(self.rng.choice(faults)), MeterState("", 0.05, late_s)])
        yield Happening(at_s, "meter", (meter.name, state))
        yield Happening(self._later(at_s, 2.0, 10.0, 60.0, 200.0), "meter", (meter.name, sound))
