"""The habits of vehicles: what each does with the pilot and the contactor that others do not."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.simulated.asking import RESET_S, S2_CLOSE_S
from hal.simulated.circuit import B_OHM, C_OHM, D_OHM
from hal.simulated.vehicle import Vehicle
from hal.simulated.vehicle_spec import VehicleSpec

INSTANT = VehicleSpec("instant", start_delay_s=0.0, reaction_s=0.0, ramp_a_per_s=0.0)
SLEEPER = replace(INSTANT, sleeps_after_s=600.0)
GLITCH = replace(INSTANT, glitches=2, glitch_s=0.25, glitch_pause_s=6.0)
TOP_UP = replace(INSTANT, soc=0.9999, battery_kwh=10.0, top_up_kwh=0.5, top_up_after_s=1800.0)
QUICK_S = S2_CLOSE_S + 0.001


def run(vehicle: Vehicle, until: float) -> list[tuple[float, str, float]]:
    """Step to `until`; the changes as (when, letter, amperes)."""
    seen: list[tuple[float, str, float]] = []
    before = (vehicle.letter, vehicle.current_a)
    while (due := vehicle.next_wakeup()) <= until:
        vehicle.step(due)
        if before != (before := (vehicle.letter, vehicle.current_a)):
            seen.append((round(due, 6), *before))
    return seen


def offered(spec: VehicleSpec, *offers: tuple[float, float], until: float = inf) -> tuple[Vehicle, list[float]]:
    """A vehicle plugged in at 0 that sees these (when, amperes), and when its letter changed."""
    vehicle = Vehicle(spec, 240.0, 0.0)
    moved: list[float] = []
    for (at, offer_a), (end, _) in pairwise([*offers, (until, 0.0)]):
        moved += [when for when, _, _ in run(vehicle, at)]
        before = vehicle.letter
        vehicle.on_pilot(offer_a, at)
        moved += [at] if vehicle.letter != before else []
        moved += [when for when, _, _ in run(vehicle, min(end, 1e6))]
    return vehicle, moved


def charging(spec: VehicleSpec, offer_a: float) -> Vehicle:
    """Offered at 0, behind a closed contactor from 2 s on."""
    vehicle = Vehicle(spec, 240.0, 0.0)
    vehicle.on_pilot(offer_a, 0.0)
    run(vehicle, 2.0)
    vehicle.on_contactor(True, 2.0)
    return vehicle


# Stepwise ramp


def test_a_stepwise_ramp_climbs_by_its_step_at_the_pace_of_its_rate() -> None:
    vehicle = charging(replace(INSTANT, ramp_a_per_s=0.5, ramp_step_a=4.0), 10.0)
    assert run(vehicle, 100.0) == [(10.0, "C", 4.0), (18.0, "C", 8.0), (26.0, "C", 10.0)]


# Two charger modules


def test_the_second_module_joins_in_some_time_after_the_first_ampere() -> None:
    vehicle = charging(replace(INSTANT, start_delay_s=3.0, first_module_a=16.0, second_module_s=180.0), 32.0)
    assert run(vehicle, 1000.0) == [(5.0, "C", 16.0), (185.0, "C", 32.0)]
    assert vehicle.possible_a == 32.0


def test_after_each_pause_the_first_module_begins_alone() -> None:
    vehicle = charging(replace(INSTANT, first_module_a=16.0, second_module_s=180.0), 32.0)
    run(vehicle, 500.0)
    vehicle.on_contactor(False, 500.0)
    vehicle.on_contactor(True, 600.0)
    assert run(vehicle, 1000.0) == [(600.0, "C", 16.0), (780.0, "C", 32.0)]


def test_an_end_before_the_second_module_leaves_nothing_pending() -> None:
    vehicle = charging(replace(INSTANT, first_module_a=16.0, second_module_s=180.0), 32.0)
    run(vehicle, 50.0)
    vehicle.on_contactor(False, 50.0)
    assert vehicle.next_wakeup() == inf


def test_an_offer_below_the_first_module_is_kept_to() -> None:
    vehicle = charging(replace(INSTANT, first_module_a=16.0, second_module_s=180.0), 10.0)
    assert run(vehicle, 1000.0) == [(2.0, "C", 10.0)]


# Sleeper


@pytest.mark.parametrize(
    ("offers", "moved"),
    [
        ([(599.0, 6.0)], [600.0]),
        ([(600.0, 6.0)], []),
        ([(600.0, 6.0), (610.0, 32.0), (1000.0, 10.0)], []),
        ([(600.0, 6.0), (630.0, 0.0), (630.0 + RESET_S - 0.1, 6.0)], []),
        ([(600.0, 6.0), (630.0, 0.0), (630.0 + RESET_S, 6.0)], [631.0 + RESET_S]),
        ([(600.0, 6.0), (630.0, 0.0), (1230.0, 6.0)], []),
        ([(600.0, 6.0), (630.0, 0.0), (1230.0, 6.0), (1260.0, 0.0), (1264.0, 6.0)], [1265.0]),
        ([(10.0, 6.0), (20.0, 0.0), (619.0, 6.0)], [11.0, 20.0, 620.0]),
        ([(10.0, 6.0), (20.0, 0.0), (620.0, 6.0)], [11.0, 20.0]),
    ],
)
def test_a_sleeper_asks_only_after_a_short_pause(offers: list[tuple[float, float]], moved: list[float]) -> None:
    assert offered(SLEEPER, *offers)[1] == moved


# Gives up


@pytest.mark.parametrize(
    ("offers", "asks"),
    [
        ([(19.9, 6.0)], True),
        ([(20.0, 6.0)], False),
        ([(20.0, 6.0), (30.0, 0.0), (34.0, 6.0)], False),
        ([(10.0, 6.0), (12.0, 0.0), (500.0, 6.0)], True),
    ],
)
def test_one_that_gives_up_never_asks_until_it_is_plugged_in_again(
    offers: list[tuple[float, float]], asks: bool
) -> None:
    vehicle, _ = offered(replace(INSTANT, gives_up_s=20.0), *offers)
    assert (vehicle.letter == "C") is asks


# Glitch


def test_a_glitch_shows_c_for_a_moment_as_often_as_it_says_and_then_asks() -> None:
    _, moved = offered(GLITCH, (10.0, 6.0), until=100.0)
    assert moved == [11.0, 11.25, 17.25, 17.5, 23.5]


def test_a_glitch_comes_again_with_pwm_and_ends_without_it() -> None:
    _, moved = offered(replace(GLITCH, glitches=1), (10.0, 6.0), (50.0, 0.0), (60.0, 6.0), (61.1, 0.0), until=100.0)
    assert moved == [11.0, 11.25, 17.25, 50.0, 61.0, 61.1]


@pytest.mark.parametrize("changed_s", [10.5, 11.1, 12.0, 17.4])
def test_a_changed_offer_changes_nothing_about_the_glitches(changed_s: float) -> None:
    _, moved = offered(GLITCH, (10.0, 6.0), (changed_s, 16.0), until=100.0)
    assert moved == [11.0, 11.25, 17.25, 17.5, 23.5]


def test_a_contactor_that_follows_a_glitch_gets_no_current() -> None:
    vehicle = Vehicle(replace(GLITCH, start_delay_s=0.3), 240.0, 0.0)
    vehicle.on_pilot(16.0, 0.0)
    run(vehicle, 1.1)
    vehicle.on_contactor(True, 1.1)
    assert run(vehicle, 5.0) == [(1.25, "B", 0.0)]


# Top-up


def test_a_full_one_comes_back_for_its_top_up_again_and_again() -> None:
    vehicle = charging(TOP_UP, 16.0)
    changes = run(vehicle, 100.0)
    full_s, letter, _ = changes[-1]
    assert letter == "B"
    assert run(vehicle, full_s + 1799.9) == []
    back_s, letter, current_a = run(vehicle, full_s + 1800.0)[0]
    assert back_s == pytest.approx(full_s + 1800.0)
    assert (letter, current_a) == ("C", 16.0)
    before_kwh = vehicle.energy_kwh(back_s)
    again_s = next(when for when, letter, _ in run(vehicle, full_s + 3500.0) if letter == "B")
    assert vehicle.energy_kwh(again_s) - before_kwh == pytest.approx(0.5)
    assert vehicle.next_wakeup() > again_s + 1799.9


def test_a_top_up_waits_for_pwm_and_asks_soon_after_it() -> None:
    vehicle = charging(TOP_UP, 16.0)
    run(vehicle, 100.0)
    vehicle.on_pilot(0.0, 100.0)
    assert run(vehicle, 1e6) == []
    vehicle.on_pilot(6.0, 9000.0)
    assert run(vehicle, 9000.0 + QUICK_S)[0][:2] == (9000.0 + S2_CLOSE_S, "C")


def test_one_that_came_full_tops_up_too() -> None:
    _, moved = offered(replace(TOP_UP, soc=1.0), (10.0, 6.0), until=5000.0)
    assert moved == [1800.0]


# S3


@pytest.mark.parametrize("spec", [INSTANT, replace(INSTANT, obeys=False), VehicleSpec("slow", reaction_s=6.0)])
def test_s3_ends_the_draw_and_opens_s2_at_once_and_for_good(spec: VehicleSpec) -> None:
    vehicle = charging(spec, 32.0)
    run(vehicle, 50.0)
    assert vehicle.current_a == 32.0
    vehicle.press_s3(50.0)
    assert (vehicle.letter, vehicle.ohm, vehicle.current_a) == ("B", B_OHM, 0.0)
    for at, offer_a in ((51.0, 16.0), (60.0, 0.0), (65.0, 48.0)):
        vehicle.on_pilot(offer_a, at)
        assert run(vehicle, at + 4.0) == []
    assert vehicle.next_wakeup() in (inf, 65.0 + spec.reaction_s)


def test_s3_before_it_has_asked_keeps_it_from_asking() -> None:
    vehicle = Vehicle(INSTANT, 240.0, 0.0)
    vehicle.on_pilot(16.0, 0.0)
    vehicle.press_s3(0.5)
    assert run(vehicle, 1e6) == []


def test_s3_in_a_glitch_ends_it() -> None:
    vehicle, _ = offered(GLITCH, (0.0, 16.0), until=1.1)
    assert vehicle.letter == "C"
    vehicle.press_s3(1.1)
    assert (vehicle.letter, vehicle.next_wakeup()) == ("B", inf)


# What it asks with, and what it asks on


def test_one_that_needs_ventilation_shows_d() -> None:
    vehicle = charging(replace(INSTANT, ventilated=True), 16.0)
    assert (vehicle.letter, vehicle.ohm) == ("D", D_OHM)
    assert run(vehicle, 10.0) == [(2.0, "D", 16.0)]
    vehicle.on_pilot(0.0, 10.0)
    assert (vehicle.letter, vehicle.ohm) == ("B", B_OHM)
    plain = charging(INSTANT, 16.0)
    assert (plain.letter, plain.ohm) == ("C", C_OHM)


def test_a_digital_only_one_never_asks_on_amperes() -> None:
    vehicle, moved = offered(replace(INSTANT, digital_only=True), (0.0, 48.0), (100.0, 0.0), (104.0, 6.0))
    assert (vehicle.letter, moved) == ("B", [])


# What all keep

HABITS: list[Callable[[VehicleSpec], VehicleSpec]] = [
    lambda spec: replace(spec, ramp_a_per_s=0.4, ramp_step_a=2.0),
    lambda spec: replace(spec, first_module_a=16.0, second_module_s=20.0),
    lambda spec: replace(spec, glitches=2),
    lambda spec: replace(spec, sleeps_after_s=30.0),
    lambda spec: replace(spec, gives_up_s=20.0),
    lambda spec: replace(spec, soc=0.999, battery_kwh=1.0, top_up_kwh=0.01, top_up_after_s=10.0),
    lambda spec: replace(spec, ventilated=True),
]


@given(
    st.lists(st.sampled_from(HABITS), max_size=4, unique=True),
    st.sampled_from([0.0, 2.0, 6.0]),
    st.lists(
        st.tuples(st.sampled_from([0.0, 6.0, 16.0, 48.0]), st.booleans(), st.floats(0.0, 40.0)),
        min_size=1,
        max_size=12,
    ),
)
def test_whatever_its_habits_it_draws_at_most_the_pilot_of_its_reaction_and_only_when_it_asks(
    habits: list[Callable[[VehicleSpec], VehicleSpec]],
    reaction_s: float,
    moves: list[tuple[float, bool, float]],
) -> None:
    spec = VehicleSpec("any", start_delay_s=0.5, reaction_s=reaction_s)
    for habit in habits:
        spec = habit(spec)
    vehicle, now = Vehicle(spec, 240.0, 0.0), 0.0
    offers = [(-inf, 0.0)]
    for offer_a, closed, wait_s in moves:
        vehicle.on_pilot(offer_a, now)
        vehicle.on_contactor(closed, now)
        offers.append((now, offer_a))
        end, steps = now + wait_s, 0
        while (due := vehicle.next_wakeup()) <= end:
            vehicle.step(now := due)
            steps += 1
            in_force = [a for (_, a), (until, _) in pairwise([*offers, (inf, 0.0)]) if until >= now - reaction_s]
            assert vehicle.current_a <= vehicle.possible_a + 1e-9
            assert vehicle.possible_a <= max(in_force)
            assert vehicle.current_a == 0.0 or (vehicle.s2_closed and closed)
        assert steps < 3000, "it moves on"
        now = end
