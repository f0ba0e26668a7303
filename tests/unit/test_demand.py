"""What a vehicle has shown it can use, learnt from reports as a station sends them."""

import pytest

from firmware.bus.messages import AVAILABLE, CHARGING, CONNECTED, HOLDS, NO_CURRENT, WANTS, Status
from firmware.sharing.demand import Demand
from firmware.timing import Timing

TIMING = Timing()
POLL_S = 0.5
IDLE = CONNECTED | AVAILABLE
FED = IDLE | WANTS | HOLDS | CHARGING


class Car:
    """A vehicle on one station that is offered as much of `share_da` as its demand lets through; it follows a pilot
    after 5 s."""

    def __init__(self, share_da: int = 480, max_da: float = 480, ratio: float = 0.97, min_da: int = 60) -> None:
        self.demand = Demand(TIMING)
        self.share_da, self.max_da, self.ratio, self.min_da = share_da, max_da, ratio, min_da
        self.now = 0.0
        self.offers: list[tuple[float, int]] = []
        self.offered_da = 0

    def drawn_da(self) -> int:
        followed = [offer for at, offer in self.offers if at <= self.now - 5.0]
        offer = followed[-1] if followed else 0
        return round(min(self.max_da, offer * self.ratio)) if offer >= self.min_da else 0

    def report(self, flags: int = FED, drawn_da: int | None = None) -> bool:
        drawn = self.drawn_da() if drawn_da is None else drawn_da
        return self.demand.on_status(Status(1, 1, flags, self.offered_da, drawn, 480, 0), self.now)

    def run(self, seconds: float, share_da: int | None = None) -> list[int]:
        """Let time pass; what was offered at each report."""
        self.share_da = self.share_da if share_da is None else share_da
        seen = []
        for _ in range(int(seconds / POLL_S)):
            cap = 480 if self.demand.cap_da is None else self.demand.cap_da
            want = min(self.share_da, cap)
            held = self.offers and self.now < self.offers[-1][0] + 5.0
            if want < self.offered_da or (want > self.offered_da and not held):
                self.offered_da = want
                self.offers.append((self.now, want))
            self.report()
            self.now += POLL_S
            seen.append(self.offered_da)
        return seen


def test_nothing_is_known_of_a_new_car() -> None:
    demand = Demand(TIMING)
    assert (demand.cap_da, demand.floor_da) == (None, 60)


@pytest.mark.parametrize("max_da", [60, 160, 240, 320, 400])
def test_a_small_car_is_capped_just_above_what_it_takes(max_da: int) -> None:
    car = Car(max_da=max_da)
    car.run(60.0)
    assert car.demand.cap_da is not None
    assert max_da < car.demand.cap_da <= max(max_da * 1.06 + 15, 60)
    assert set(car.run(600.0)) == {car.demand.cap_da}, "and stays there"


def test_the_cap_needs_r_and_some_time_more() -> None:
    """A car that has yet to follow the pilot, or that ramps up, has shown nothing."""
    car = Car(max_da=160)
    car.run(TIMING.reaction_s + 11.0)
    assert car.demand.cap_da is None


def test_it_says_when_something_has_changed_and_only_then() -> None:
    car = Car(max_da=160)
    car.offered_da = 480
    changes = []
    for _ in range(200):
        changes.append(car.report(drawn_da=160))
        car.now += POLL_S
    assert sum(changes) == 1


@pytest.mark.parametrize("ratio", [0.8, 0.9, 0.95, 0.98, 1.0])
@pytest.mark.parametrize("share_da", [96, 160, 240, 480])
def test_a_car_that_takes_a_part_of_any_offer_is_not_spiralled_down(ratio: float, share_da: int) -> None:
    car = Car(share_da, ratio=ratio)
    car.run(300.0)
    assert set(car.run(600.0)) == {share_da}


@pytest.mark.parametrize("ratio", [0.8, 0.97])
def test_shares_that_go_up_and_down_leave_no_mark(ratio: float) -> None:
    car = Car(ratio=ratio)
    for share_da in (480, 240, 96, 160, 480, 120, 480):
        car.run(120.0, share_da)
    car.run(120.0)
    assert set(car.run(600.0)) == {480}


def test_a_small_car_in_a_share_below_its_cap_is_not_held_there() -> None:
    car = Car(max_da=320)
    car.run(120.0)
    car.run(120.0, 100)
    assert car.demand.cap_da is None
    assert max(car.run(60.0, 480)) >= 320


def test_it_comes_back_as_soon_as_it_takes_all() -> None:
    """A second charger module that starts minutes later."""
    car = Car(max_da=160)
    car.run(240.0)
    assert car.offered_da < 200
    car.max_da = 480
    car.run(30.0)
    assert car.demand.cap_da is None
    assert car.offered_da == 480


def test_a_taper_gives_back_what_it_leaves() -> None:
    """48 A to 1 A within 40 minutes: at nearly all times no more than 6 A lie idle."""
    car = Car()
    car.run(60.0)
    idle = []
    for minute in range(40):
        car.max_da = 470 - minute * 11.5
        idle += [offer - car.max_da for offer in car.run(60.0)]
    idle = [unused for unused in idle if unused > 0]
    assert sorted(idle)[int(len(idle) * 0.9)] <= 60
    assert car.offered_da <= 100


def test_noise_of_the_meter_does_not_uncap() -> None:
    car = Car(max_da=160)
    car.run(120.0)
    cap = car.demand.cap_da
    for i in range(2000):
        car.report(drawn_da=160 + (i % 3) - 1)
        car.now += POLL_S
    assert car.demand.cap_da == cap


def wished(car: Car, seconds: int) -> list[int]:
    """Offer what it may need for so long; what that was, each once."""
    wishes = [car.demand.wish_da]
    for _ in range(seconds):
        car.run(1.0, max(60, car.demand.floor_da, car.demand.wish_da))
        if car.demand.wish_da != wishes[-1]:
            wishes.append(car.demand.wish_da)
    return wishes


def test_a_car_that_does_not_start_is_offered_more_step_by_step_and_then_left_alone() -> None:
    car = Car(share_da=60, max_da=0)
    assert wished(car, 480) == [0, 80, 100, 120, 140, 160, 0]
    assert car.demand.cap_da == car.demand.floor_da == 60


def test_a_car_that_starts_at_10_a_gets_them() -> None:
    car = Car(share_da=60, min_da=100)
    assert wished(car, 300) == [0, 80, 100, 0]
    assert (car.demand.floor_da, car.offered_da) == (100, 100)
    assert car.drawn_da() > 90
    car.run(600.0)
    assert car.demand.floor_da == 100, "and keeps them"


def test_a_wish_that_finds_no_room_is_given_up_for_a_while() -> None:
    car = Car(share_da=60, max_da=0)
    car.run(70.0)
    assert car.demand.wish_da == 80
    car.run(60.0)
    assert (car.demand.wish_da, car.demand.floor_da) == (0, 60)


def test_an_idle_car_keeps_the_least_and_is_asked_again() -> None:
    car = Car(max_da=0)
    car.run(70.0)
    assert (car.demand.cap_da, car.demand.floor_da) == (60, 60)
    car.run(580.0)
    assert car.demand.cap_da == 60
    offers = car.run(60.0)
    assert 480 in offers
    car.run(120.0)
    assert car.demand.cap_da == 60


def test_an_idle_car_that_starts_at_the_least_is_offered_all() -> None:
    car = Car(max_da=0)
    car.run(120.0)
    car.max_da = 320
    car.run(60.0)
    assert car.offered_da > 320


def test_another_car_is_another_car() -> None:
    capped, raised = Car(max_da=160), Car(share_da=60, max_da=0)
    for car in (capped, raised):
        car.run(70.0)
    assert capped.demand.cap_da is not None
    assert raised.demand.wish_da > 60
    for car in (capped, raised):
        car.report(flags=AVAILABLE)
        assert car.demand.cap_da is None
        assert (car.demand.floor_da, car.demand.wish_da) == (60, 0)


@pytest.mark.parametrize("flags", [IDLE, IDLE | WANTS, IDLE | WANTS | HOLDS])
def test_a_car_behind_an_open_contactor_shows_nothing(flags: int) -> None:
    car = Car()
    car.offered_da = 480
    for _ in range(1000):
        assert not car.report(flags, drawn_da=0)
        car.now += POLL_S
    assert (car.demand.cap_da, car.demand.floor_da) == (None, 60)


def test_without_a_meter_nothing_is_learnt() -> None:
    car = Car()
    car.offered_da = 480
    for _ in range(1000):
        assert not car.report(drawn_da=NO_CURRENT)
        car.now += POLL_S
    assert car.demand.cap_da is None


def test_a_station_that_reports_a_vehicle_charging_on_nothing_teaches_nothing() -> None:
    car = Car()
    for offered, drawn, seconds in ((160, 20, 48), (0, 0, 720), (0, 20, 30)):
        car.offered_da = offered
        for _ in range(seconds * 2):
            car.report(drawn_da=drawn)
            car.now += POLL_S
    assert car.demand.floor_da == 60
