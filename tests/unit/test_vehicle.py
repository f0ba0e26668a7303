"""A vehicle alone, with the contactor and the pilot's offer moved by hand."""

from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.simulated.asking import S2_CLOSE_S
from hal.simulated.circuit import B_OHM, C_OHM
from hal.simulated.vehicle import PWM_OFF_S, Vehicle
from hal.simulated.vehicle_spec import VehicleSpec

VOLTS = 240.0
INSTANT = VehicleSpec("instant", start_delay_s=0.0, reaction_s=0.0, ramp_a_per_s=0.0)
WORST = VehicleSpec("worst", ramp_a_per_s=0.0)


def run(vehicle: Vehicle, until: float) -> list[tuple[float, float]]:
    """Step to `until`; the changes of current as (when, amperes)."""
    changes: list[tuple[float, float]] = []
    before = vehicle.current_a
    while (due := vehicle.next_wakeup()) <= until:
        vehicle.step(due)
        if vehicle.current_a != before:
            before = vehicle.current_a
            changes.append((due, before))
    return changes


def charging(spec: VehicleSpec, offer_a: float, now: float = 100.0) -> Vehicle:
    """A vehicle that reached its target long before `now`."""
    vehicle = Vehicle(spec, VOLTS, 0.0)
    vehicle.on_pilot(offer_a, 0.0)
    run(vehicle, 2.0)
    vehicle.on_contactor(True, 2.0)
    run(vehicle, now)
    assert vehicle.current_a == min(spec.max_a, offer_a * spec.draw_ratio)
    return vehicle


def test_asks_once_the_pilot_offers() -> None:
    vehicle = Vehicle(VehicleSpec("car"), VOLTS, 0.0)
    assert (vehicle.ohm, vehicle.next_wakeup()) == (B_OHM, inf)
    vehicle.on_pilot(6.0, 10.0)
    run(vehicle, 10.0 + S2_CLOSE_S - 0.01)
    assert vehicle.ohm == B_OHM
    run(vehicle, 10.0 + S2_CLOSE_S)
    assert (vehicle.ohm, vehicle.current_a) == (C_OHM, 0.0)


def test_an_offer_withdrawn_before_it_asked_is_forgotten() -> None:
    vehicle = Vehicle(VehicleSpec("car"), VOLTS, 0.0)
    vehicle.on_pilot(6.0, 0.0)
    vehicle.on_pilot(0.0, 0.5)
    assert vehicle.next_wakeup() == inf
    vehicle.on_pilot(6.0, 0.8)
    vehicle.on_pilot(10.0, 1.0)
    assert vehicle.next_wakeup() == 1.8, "a changed offer does not make it think again"


def test_first_ampere_comes_start_delay_after_the_contactor() -> None:
    vehicle = Vehicle(replace(WORST, start_delay_s=12.0), VOLTS, 0.0)
    vehicle.on_pilot(16.0, 0.0)
    run(vehicle, 2.0)
    vehicle.on_contactor(True, 2.0)
    assert run(vehicle, 100.0) == [(14.0, 16.0)]


def test_first_ampere_does_not_wait_for_the_reaction_to_the_first_offer() -> None:
    vehicle = Vehicle(WORST, VOLTS, 0.0)
    vehicle.on_pilot(16.0, 0.0)
    run(vehicle, 1.5)
    vehicle.on_contactor(True, 1.5)
    assert run(vehicle, 100.0) == [(3.5, 16.0)]


def test_pilot_is_followed_exactly_one_reaction_later_up_and_down() -> None:
    vehicle = charging(WORST, 20.0)
    for at, offer in ((100.0, 48.0), (101.0, 6.0), (104.5, 30.0), (105.0, 10.0)):
        run(vehicle, at)
        vehicle.on_pilot(offer, at)
    assert run(vehicle, 200.0) == [(106.0, 6.0), (109.5, 30.0), (110.0, 10.0)]


def test_a_car_that_starts_within_its_reaction_starts_at_the_old_pilot() -> None:
    vehicle = Vehicle(WORST, VOLTS, 0.0)
    vehicle.on_pilot(48.0, 0.0)
    run(vehicle, 10.0)
    vehicle.on_pilot(6.0, 10.0)
    vehicle.on_contactor(True, 10.0)
    assert vehicle.possible_a == 48.0
    assert run(vehicle, 100.0) == [(12.0, 48.0), (15.0, 6.0)]


def test_ramp_up_in_steps_of_a_tenth_with_the_last_exact_and_down_at_once() -> None:
    vehicle = charging(VehicleSpec("car", draw_ratio=0.96), 6.0)
    vehicle.on_pilot(20.0, 100.0)
    changes = run(vehicle, 200.0)
    assert changes[0] == pytest.approx((105.02, 5.86))
    assert all(0.0 < b - a <= 0.1 + 1e-9 for (_, a), (_, b) in pairwise(changes))
    reached_s, reached_a = changes[-1]
    assert reached_s == pytest.approx(105.0 + 13.44 / 5.0, abs=0.02)
    assert reached_a == 0.96 * 20.0
    vehicle.on_pilot(10.0, 200.0)
    assert run(vehicle, 300.0) == [(205.0, 9.6)]


def test_a_raise_during_a_ramp_keeps_its_pace() -> None:
    vehicle = charging(VehicleSpec("car"), 10.0)
    vehicle.on_pilot(20.0, 100.0)
    vehicle.on_pilot(30.0, 100.51)
    changes = run(vehicle, 200.0)
    assert changes[-1] == pytest.approx((109.0, 30.0))
    assert len(changes) == 200


def test_an_end_during_a_ramp_leaves_nothing_pending() -> None:
    vehicle = charging(VehicleSpec("car"), 10.0)
    vehicle.on_pilot(20.0, 100.0)
    run(vehicle, 106.0)
    assert 10.0 < vehicle.current_a < 20.0
    vehicle.on_contactor(False, 106.0)
    assert (vehicle.current_a, vehicle.next_wakeup()) == (0.0, inf)


def test_below_its_minimum_it_waits_in_c_and_comes_back() -> None:
    vehicle = charging(replace(WORST, min_a=8.0), 16.0)
    vehicle.on_pilot(6.0, 100.0)
    assert run(vehicle, 110.0) == [(105.0, 0.0)]
    assert vehicle.ohm == C_OHM
    vehicle.on_pilot(8.0, 110.0)
    assert run(vehicle, 200.0) == [(115.0, 8.0)]


@pytest.mark.parametrize(("reaction_s", "stop_s"), [(1.0, 1.0), (5.0, PWM_OFF_S), (8.0, PWM_OFF_S)])
def test_pwm_off_stops_it_and_opens_s2_in_time(reaction_s: float, stop_s: float) -> None:
    vehicle = charging(replace(WORST, reaction_s=reaction_s), 16.0)
    vehicle.on_pilot(0.0, 100.0)
    run(vehicle, 100.0 + stop_s - 0.01)
    assert (vehicle.current_a, vehicle.ohm) == (16.0, C_OHM)
    run(vehicle, 100.0 + stop_s)
    assert (vehicle.current_a, vehicle.ohm, vehicle.next_wakeup()) == (0.0, B_OHM, inf)


def test_pwm_off_overtakes_a_slower_change_before_it() -> None:
    vehicle = charging(WORST, 16.0)
    vehicle.on_pilot(32.0, 100.0)
    vehicle.on_pilot(0.0, 101.0)
    assert run(vehicle, 200.0) == [(104.0, 0.0)]


def test_pwm_that_came_back_before_the_car_stopped_is_followed_in_order() -> None:
    vehicle = charging(WORST, 16.0)
    for at, offer in ((100.0, 0.0), (101.0, 10.0), (104.0, 20.0)):
        run(vehicle, at)
        vehicle.on_pilot(offer, at)
    assert (vehicle.current_a, vehicle.possible_a, vehicle.ohm) == (0.0, 0.0, C_OHM), "stopped at 103"
    assert run(vehicle, 200.0) == [(104.0 + 2.0, 10.0), (109.0, 20.0)]


def test_pwm_back_after_a_stop_charges_again_with_the_contactor_still_closed() -> None:
    vehicle = charging(WORST, 16.0)
    vehicle.on_pilot(0.0, 100.0)
    run(vehicle, 110.0)
    vehicle.on_pilot(10.0, 110.0)
    assert run(vehicle, 200.0) == [(110.0 + S2_CLOSE_S + 2.0, 10.0)]


def test_contactor_opens_under_load_and_closes_again() -> None:
    vehicle = charging(WORST, 16.0)
    vehicle.on_contactor(False, 100.0)
    assert (vehicle.current_a, vehicle.possible_a, vehicle.ohm) == (0.0, 0.0, C_OHM)
    vehicle.on_contactor(True, 130.0)
    assert (vehicle.current_a, vehicle.possible_a) == (0.0, 16.0)
    assert run(vehicle, 200.0) == [(132.0, 16.0)]


def test_refuser_follows_raises_only_until_the_contactor_opens() -> None:
    vehicle = charging(replace(WORST, obeys=False), 16.0)
    for at, offer in ((100.0, 6.0), (110.0, 24.0), (120.0, 10.0), (130.0, 0.0)):
        vehicle.on_pilot(offer, at)
        run(vehicle, at + 9.0)
    assert (vehicle.current_a, vehicle.possible_a, vehicle.ohm) == (24.0, 24.0, C_OHM)
    vehicle.on_contactor(False, 140.0)
    assert (vehicle.current_a, vehicle.possible_a, vehicle.ohm) == (0.0, 0.0, B_OHM)


def test_refuser_starts_anew_by_the_pilot_of_the_day() -> None:
    vehicle = charging(replace(WORST, obeys=False), 16.0)
    vehicle.on_pilot(10.0, 100.0)
    run(vehicle, 110.0)
    vehicle.on_contactor(False, 110.0)
    vehicle.on_contactor(True, 120.0)
    assert run(vehicle, 200.0) == [(122.0, 10.0)]


def test_overdraw_takes_half_as_much_again_even_above_its_charger() -> None:
    vehicle = charging(WORST, 48.0)
    vehicle.overdraw(True, 100.0)
    assert (vehicle.current_a, vehicle.possible_a) == (72.0, 72.0)
    vehicle.overdraw(False, 110.0)
    assert (vehicle.current_a, vehicle.possible_a) == (48.0, 48.0)


def test_overdraw_knows_no_taper_and_stops_when_full() -> None:
    vehicle = charging(replace(INSTANT, soc=0.96, min_a=5.0), 24.0)
    vehicle.overdraw(True, 100.0)
    missing_kwh = (1.0 - vehicle.soc(100.0)) * 75.0
    ((full_s, current_a),) = run(vehicle, 1e6)
    assert (full_s - 100.0, current_a) == pytest.approx((missing_kwh / (36.0 * 0.24) * 3600.0, 0.0))
    assert (vehicle.ohm, vehicle.soc(1e6)) == (B_OHM, 1.0)


def test_energy_and_charge_in_closed_form() -> None:
    vehicle = Vehicle(INSTANT, VOLTS, 0.0)
    vehicle.on_pilot(20.0, 0.0)
    run(vehicle, 10.0)
    vehicle.on_contactor(True, 10.0)
    run(vehicle, 10.0)
    assert vehicle.energy_kwh(10.0 + 3600.0) == pytest.approx(4.8)
    assert vehicle.soc(10.0 + 3600.0) == pytest.approx(0.3 + 4.8 / 75.0)


def test_steady_charging_wakes_nobody_until_the_taper() -> None:
    vehicle = charging(INSTANT, 48.0, now=10.0)
    hours_to_taper = (0.95 - vehicle.soc(10.0)) * 75.0 / 11.52
    assert vehicle.next_wakeup() > 10.0 + hours_to_taper * 3600.0


def test_taper_follows_the_remaining_charge_then_the_floor_then_full() -> None:
    vehicle = charging(replace(INSTANT, soc=0.94), 48.0, now=3.0)
    due, floor_since = 3.0, inf
    while (due := vehicle.next_wakeup()) < inf:
        before = vehicle.current_a
        vehicle.step(due)
        if vehicle.ohm == B_OHM:
            break
        assert 0.0 < before - vehicle.current_a <= 0.1 + 1e-9
        assert vehicle.current_a == pytest.approx(max(1.0, 48.0 * (1.0 - vehicle.soc(due)) / 0.05))
        floor_since = due
    assert vehicle.current_a == 0.0
    assert vehicle.soc(due) == 1.0
    assert due - floor_since == pytest.approx(0.05 / 48.0 * 75.0 / 0.24 * 3600.0), "the last part at 1 A"
    assert vehicle.energy_kwh(due) == pytest.approx(0.06 * 75.0)
    assert vehicle.next_wakeup() == inf


def test_a_full_vehicle_does_not_ask_again() -> None:
    vehicle = Vehicle(replace(INSTANT, soc=1.0), VOLTS, 0.0)
    for at, offer in ((0.0, 16.0), (10.0, 0.0), (20.0, 48.0)):
        vehicle.on_pilot(offer, at)
    assert (vehicle.ohm, vehicle.next_wakeup()) == (B_OHM, inf)


def test_a_low_offer_tapers_later() -> None:
    vehicle = charging(replace(INSTANT, soc=0.94), 12.0, now=3.0)
    due = vehicle.next_wakeup()
    assert vehicle.soc(due) == pytest.approx(1.0 - 11.9 * 0.05 / 48.0)


@given(st.floats(0.0, 0.9999), st.floats(0.1, 100.0), st.sampled_from([6.0, 16.0, 48.0]), st.floats(0.0, 3e7))
def test_each_wakeup_is_later_than_the_last_until_full(
    soc: float, battery_kwh: float, offer_a: float, begin: float
) -> None:
    vehicle = Vehicle(replace(INSTANT, soc=soc, battery_kwh=battery_kwh), VOLTS, begin)
    vehicle.on_pilot(offer_a, begin)
    run(vehicle, now := begin + 2.0)
    vehicle.on_contactor(True, now)
    vehicle.step(now)
    while (due := vehicle.next_wakeup()) < inf:
        assert due > now
        vehicle.step(now := due)
    assert (vehicle.current_a, vehicle.soc(now)) == (0.0, 1.0)
    assert vehicle.energy_kwh(now) == pytest.approx((1.0 - soc) * battery_kwh, rel=1e-6)
