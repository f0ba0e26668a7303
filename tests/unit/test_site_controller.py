"""The controller against members that keep the rules: who gets what and when, and what is never told."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf, nan
from random import Random

import pytest

from cloud.controller import Controller
from cloud.link import Command, Report, Wish
from cloud.policies import POLICIES
from cloud.site import Kind, Measures, Member, Meter, Node, Phases, Rule, Site
from cloud.tree import Tree
from watti.sites.holder import Holder, Stored

CIRCUIT = Node("circuit", Kind.CIRCUIT, phases=Phases.SINGLE, limit_a=48.0)
PANEL = Node("panel", Kind.PANEL, limit_a=200.0)


class Car:
    """A member with one vehicle that takes all it is offered, `settle_s` late when that is less."""

    def __init__(self, member: Member, fallback_da: int) -> None:
        self.member = member
        self.holder = Holder(1, Stored(fallback_da, 60.0, 120.0), member.keeps_quiet, 0.0)
        self.asks = False
        self.plugged = 0
        self.energy_wh = 0.0
        self.online = True
        self.deaf = False
        self.most_a = member.rating_a
        self.reported: tuple[object, ...] = ()
        self.reported_at = -inf
        self.past: list[tuple[float, float]] = []

    def limit_a(self, now: float) -> float:
        return min(self.member.rating_a, self.holder.limit_da(now) / 10)

    def takes_a(self, now: float) -> float:
        """The most it may draw: what it is offered, and was within its reaction."""
        offered = min(self.limit_a(now), self.most_a) if self.asks else 0.0
        self.past = [(t, a) for t, a in self.past if t > now - self.member.settle_s] if self.asks else []
        self.past.append((now, offered))
        return max(a for _, a in self.past)


class World:
    """A controller and its members, looked at every half second; every node is judged each time."""

    def __init__(self, site: Site, policy: str = "equal") -> None:
        self.tree = Tree(site)
        self.now = 0.0
        self.sent: list[tuple[int, Command]] = []
        self.policy = POLICIES[policy]
        self.controller = Controller(self.tree, self.policy, self._send, 0.0)
        self.cars = [Car(m, amps) for m, amps in zip(site.members, self.controller.fallbacks_da, strict=True)]
        self.loses: Callable[[int], bool] = lambda i: False
        self.building: dict[str, Sequence[float]] = {}
        self.reads = True
        self.worst = 0.0

    def _send(self, i: int, command: Command) -> None:
        self.sent.append((i, command))

    def plug(self, *which: int) -> None:
        for i in which:
            self.cars[i].asks = True
            self.cars[i].plugged += 1

    def unplug(self, *which: int) -> None:
        for i in which:
            self.cars[i].asks = False

    def run(self, seconds: float) -> list[float]:
        """The limits (A) in the end."""
        end = self.now + seconds
        while self.now < end:
            for i, car in enumerate(self.cars):
                self._report(i, car)
            if self.reads:
                for meter in self.tree.site.meters:
                    self.controller.on_meter(meter.name, self.building[meter.node], self.now)
            self.controller.step(self.now)
            self._deliver()
            self._judge()
            self.now += 0.5
        return self.limits

    @property
    def limits(self) -> list[float]:
        return [car.limit_a(self.now) for car in self.cars]

    def _report(self, i: int, car: Car) -> None:
        taken = car.takes_a(self.now)
        facts = (car.asks, car.plugged, car.holder.number, taken)
        car.energy_wh += taken * 240 * 0.5 / 3600
        if facts == car.reported and self.now < car.reported_at + 10:
            return
        car.reported, car.reported_at = facts, self.now
        limit_da = round(car.limit_a(self.now) * 10)
        fallback = car.holder.stored.fallback_da or 0
        report = Report(
            1,
            car.holder.ask(self.now),
            car.holder.number,
            limit_da,
            taken,
            car.asks and taken > 0,
            int(car.asks),
            round(car.most_a * 10),
            fallback,
            car.energy_wh,
            car.plugged,
        )
        if car.online and not self.loses(i):
            self.controller.on_report(i, report, self.now)

    def _deliver(self) -> None:
        for i, command in self.sent:
            if self.cars[i].online and not self.cars[i].deaf and not self.loses(i):
                self.cars[i].holder.take(command, self.now)
        self.sent.clear()

    def _judge(self) -> None:
        """Nothing above its limit; building load is judged only where it does not move."""
        sums = self.tree.sums([car.takes_a(self.now) for car in self.cars])
        for branch, amps, left in zip(self.tree.branches, sums, self.tree.limits(self.building), strict=True):
            for row, limit in zip(branch.rows, left, strict=True):
                over = row.load(amps) - limit
                self.worst = max(self.worst, over)
                assert over < 1e-6 or self.building, f"{branch.node.name} at {self.now}: {row.load(amps)} A"


def stations(count: int, node: Node = CIRCUIT, fallback_a: float | None = None) -> tuple[Member, ...]:
    return tuple(Member(f"s{i + 1}", node.name, 48.0, fallback_a=fallback_a) for i in range(count))


def circuit(count: int, policy: str = "equal") -> World:
    return World(Site("site", (CIRCUIT,), stations(count)), policy)


def test_nothing_is_given_until_a_former_controller_s_commands_are_over() -> None:
    world = circuit(4)
    world.plug(0)
    assert world.run(67) == [0, 0, 0, 0]
    assert world.controller.bound(0) == "quiet_start"
    assert world.run(3)[0] == 12  # the others' fallbacks are reserved until they have taken a command
    assert world.run(20)[0] == 48


def test_a_circuit_is_shared_as_the_maker_says() -> None:
    world = circuit(4)
    world.run(70)
    for plugged, limits in enumerate(([48, 0, 0, 0], [24, 24, 0, 0], [16, 16, 16, 0], [12, 12, 12, 12])):
        world.plug(plugged)
        assert world.run(20) == limits
    world.unplug(1, 2, 3)
    assert world.run(10) == [48, 0, 0, 0]


def test_a_member_that_is_lost_keeps_its_amps_until_they_are_surely_over_and_then_its_fallback() -> None:
    world = circuit(2)
    world.run(70)
    world.plug(0, 1)
    world.run(20)
    world.cars[0].online = False
    assert world.run(60)[1] == 24
    assert world.run(200) == [24, 24]
    world.unplug(1)
    world.run(100)
    world.plug(1)
    assert world.run(20) == [24, 24]


def test_one_that_comes_back_after_its_lease_is_not_given_again_what_others_have_now() -> None:
    world = World(Site("site", (CIRCUIT,), stations(2, fallback_a=6.0)))
    world.run(70)
    world.plug(0)
    world.run(20)
    world.cars[0].online = False
    world.plug(1)
    assert world.run(120) == [6, 42]
    world.cars[0].online = True
    assert world.run(30) == [24, 24]


def test_when_everyone_is_lost_the_fallbacks_fit() -> None:
    world = circuit(3)
    world.run(70)
    world.plug(0)
    world.run(20)
    for car in world.cars:
        car.online = False
    world.plug(1, 2)
    assert world.run(100) == [16, 0, 0]
    assert world.run(200) == [16, 16, 16]


def test_another_controller_takes_over_without_a_breach() -> None:
    world = circuit(3)
    world.run(70)
    world.plug(0)
    world.run(20)
    world.controller = Controller(world.tree, world.policy, world._send, world.now)
    world.plug(1, 2)
    world.run(60)
    assert world.run(40) == [16, 16, 16]


def test_where_not_all_minimums_fit_vehicles_take_turns() -> None:
    world = World(Site("site", (Node("circuit", Kind.CIRCUIT, phases=Phases.SINGLE, limit_a=13.0),), stations(3)))
    world.run(70)
    world.plug(0, 1, 2)
    seen = {tuple(limit > 0 for limit in world.run(150)) for _ in range(20)}
    assert {sum(served) for served in seen} <= {1, 2}
    assert {i for served in seen for i, on in enumerate(served) if on} == {0, 1, 2}


def test_vehicles_start_apart() -> None:
    world = World(Site("site", (PANEL,), stations(4, PANEL)))
    world.run(70)
    world.plug(0, 1, 2, 3)
    begun = [sum(limit > 0 for limit in world.run(1)) for _ in range(20)]
    assert max(b - a for a, b in pairwise(begun)) == 1
    assert begun[-1] == 4


def test_priority_and_weight_and_departure_decide_who_is_first() -> None:
    world = circuit(3, "priority")
    world.run(70)
    world.plug(0, 1, 2)
    world.controller.on_wish(0, Wish(priority=1), world.now)
    world.run(20)
    assert world.limits == [16, 16, 16]  # a wish is for the vehicle that is there: it had not been seen yet
    world.controller.on_wish(0, Wish(priority=1), world.now)
    assert world.run(20) == [48, 0, 0]
    world.controller.on_wish(0, Wish(weight=4.0), world.now)
    assert world.run(30) == [32, 8, 8]
    world.controller.on_wish(0, Wish(), world.now)
    world.controller.on_wish(2, Wish(energy_wh=208 * 30.0, departs_at=world.now + 3600), world.now)
    limits = world.run(60)
    assert limits[2] == pytest.approx(30.0, abs=0.3)
    assert limits[0] == limits[1] == pytest.approx(9.0, abs=0.2)


@pytest.mark.parametrize(
    "wish",
    [
        Wish(weight=inf),
        Wish(weight=0.0),
        Wish(weight=1e-320),
        Wish(weight=nan),
        Wish(energy_wh=-1.0),
        Wish(departs_at=nan),
    ],
)
def test_a_wish_that_can_not_be_is_refused_by_name(wish: Wish) -> None:
    world = circuit(2, "priority")
    with pytest.raises(ValueError, match=r"^s1: expected"):
        world.controller.on_wish(0, wish, 0.0)


def test_what_a_deaf_member_can_not_take_others_have() -> None:
    world = World(Site("site", (CIRCUIT,), stations(2, fallback_a=12.0)))
    world.plug(0, 1)
    world.cars[0].deaf = True
    assert world.run(600) == [12.0, 36.0]
    world.cars[0].deaf = False
    assert world.run(200) == [24.0, 24.0]


def test_another_vehicle_at_a_group_takes_nothing_from_its_first() -> None:
    group = Member("group", "circuit", 48.0, stations=3)
    world = World(Site("site", (CIRCUIT,), (group, *stations(1))), "first_come")
    world.plug(0)
    world.run(200)
    world.plug(1)
    world.run(100)
    world.plug(0)
    assert world.run(100) == [48.0, 0.0]


def test_first_come_has_all_it_can_take() -> None:
    world = World(Site("site", (PANEL,), stations(6, PANEL)), "first_come")
    world.run(70)
    for i in (3, 1, 5, 0, 2, 4):
        world.plug(i)
        world.run(10)
    assert world.run(30) == [48, 48, 8, 48, 0, 48]
    assert world.controller.bound(4) == "waiting panel"


def test_a_vehicle_that_takes_less_leaves_the_rest_to_others() -> None:
    world = circuit(2)
    world.run(70)
    world.cars[0].most_a = 10.0
    world.plug(0, 1)
    assert world.run(30) == [10, 38]
    assert world.controller.bound(0) == "demand"
    assert world.controller.bound(1) == "node circuit"


# Building load


def dynamic(worst_a: float = inf) -> World:
    meter = Meter("main", "panel", stale_after_s=5.0, worst_a=worst_a, ramp_a_per_s=2.0)
    world = World(Site("site", (PANEL,), stations(4, PANEL), (meter,)))
    world.building["panel"] = (100.0, 90.0, 80.0)
    return world


def test_stations_have_what_the_building_leaves() -> None:
    world = dynamic()
    world.run(130)
    world.plug(0, 1, 2, 3)
    assert world.run(40) == [25, 25, 25, 25]
    assert world.worst < 1e-6
    world.building["panel"] = (170.0, 90.0, 80.0)
    assert world.run(1) == [7.5, 7.5, 7.5, 7.5]


def test_room_comes_back_by_its_ramp() -> None:
    world = dynamic()
    world.run(130)
    world.plug(0, 1, 2, 3)
    world.run(40)
    world.building["panel"] = (168.0, 0.0, 0.0)
    world.run(20)
    world.building["panel"] = (100.0, 0.0, 0.0)
    assert sum(world.run(10)) == pytest.approx(32 + 2 * 10, abs=5)
    assert world.run(40) == [25, 25, 25, 25]


def test_a_meter_that_goes_stale_stops_them() -> None:
    world = dynamic(worst_a=176.0)
    world.run(130)
    world.plug(0, 1, 2, 3)
    world.run(40)
    world.reads = False
    assert world.run(4) == [25, 25, 25, 25]
    assert world.run(2) == [6, 6, 6, 6]


def test_a_meter_of_the_total_finds_the_building_s_part() -> None:
    panel = Node("panel", Kind.PANEL, limit_a=200.0, rule=Rule.PHASOR)
    meter = Meter("main", "panel", Measures.TOTAL, lines_sure=True, angle_deg=0.0)
    members = tuple(Member(f"s{i}", "panel", 48.0, "AB") for i in range(4))
    world = World(Site("site", (panel,), members, (meter,)))
    beside = 80.0

    def read() -> None:
        stations_a = sum(car.takes_a(world.now) for car in world.cars)
        world.building["panel"] = (beside + stations_a, beside + stations_a, beside)

    world.building["panel"] = (beside, beside, beside)
    for _ in range(300):
        read()
        world.run(0.5)
    world.plug(0, 1, 2, 3)
    for _ in range(300):
        read()
        world.run(0.5)
    assert sum(world.limits) == pytest.approx(120.0, abs=1.0)


# Whatever is lost


@pytest.mark.parametrize("seed", range(5))
def test_no_node_is_above_its_limit_whatever_is_lost(seed: int) -> None:
    rng = Random(seed)
    nodes = (
        PANEL,
        *(Node(f"c{c}", Kind.CIRCUIT, "panel", Phases.SINGLE, limit_a=rng.choice([40.0, 60.0])) for c in range(3)),
    )
    members = tuple(
        Member(f"s{i}", f"c{i % 3}", 48.0, keeps_quiet=rng.random() < 0.8, fallback_a=rng.choice([None, 0.0, 6.0]))
        for i in range(7)
    )
    world = World(Site("site", nodes, members))
    lost = [0.0] * len(members)
    world.loses = lambda i: rng.random() < lost[i]
    for _ in range(60):
        i = rng.randrange(len(members))
        match rng.randrange(5):
            case 0 | 1:
                world.unplug(i) if world.cars[i].asks else world.plug(i)
            case 2:
                lost[i] = rng.choice([0.0, 0.3, 0.9, 1.0])
            case 3:
                world.cars[i].most_a = rng.choice([6.0, 16.0, 48.0])
            case 4 if rng.random() < 0.2:
                world.controller = Controller(world.tree, world.policy, world._send, world.now)
        world.run(rng.choice([1.0, 5.0, 30.0, 90.0]))
    assert world.worst <= 1e-6
