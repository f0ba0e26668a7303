"""Each kind of car at a station with the real firmware, in virtual time: it charges, or has its reason not to."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hal.simulated.vehicle_spec import VehicleSpec
from tests.scenario.helpers import READY_S, Bench, event, judged, plugs, scenario
from watti.scenario import CONFIGS, Event, load_scenario, load_vehicles

pytestmark = pytest.mark.scenario

CARS = load_vehicles()
SQUEEZE = 12.0
"""The day of ten_cars.toml in two hours."""


def bench(events: Sequence[Event], switches: str = "B", cars: Sequence[VehicleSpec] = ()) -> Bench:
    """Stations whose events may name any car of the catalogue; `cars` win over those of the same name."""
    known = CARS | {spec.name: spec for spec in cars}
    return Bench(scenario(events, switches, vehicles=list(known.values())))


def states(bench: Bench, station: int) -> list[tuple[float, str, str]]:
    """(when, state, contactor) of a station, each change."""
    seen: list[tuple[float, str, str]] = []
    for line in bench.trace.getvalue().splitlines()[1:]:
        t_s, name, _, _, state, _, _, _, contactor, *_ = line.split(",")
        if name == f"s{station}" and (not seen or seen[-1][1:] != (state, contactor)):
            seen.append((float(t_s), state, contactor))
    return seen


def charges(bench: Bench, station: int) -> bool:
    return bench.plant(station).contactor_closed and bench.plant(station).current_a > 1.0


# The whole catalogue


@pytest.mark.parametrize("name", sorted(CARS.keys() - {"digital_only"}))
def test_each_kind_alone_gets_what_it_can_take(name: str) -> None:
    spec, alone = CARS[name], bench(plugs(1, vehicle=name))
    with judged(alone):
        alone.run(READY_S + 300.0)
    assert alone.drawn() == [pytest.approx(min(spec.max_a, spec.draw_ratio * 48.0))]
    assert alone.faults() == [""]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=6)
@example(1)
def test_whichever_kinds_come_and_go_nothing_is_above_the_limit(seed: int) -> None:
    rng = random.Random(seed)
    events = []
    for station in range(1, 6):
        now = rng.uniform(0.0, 60.0)
        while now < 500.0:
            stays_s = rng.choice([5.0, 40.0, 200.0])
            events += plugs(station, at_s=now, vehicle=rng.choice(sorted(CARS)))
            events.append(event(now + stays_s, "unplug", station))
            now += stays_s + rng.choice([2.0, 20.0])
    busy = bench(sorted(events, key=lambda event: event.at_s), rng.choice(["BFFFF", "4FFFF", "0FFFF"]))
    with judged(busy):
        busy.run(600.0)


def test_the_day_of_ten_cars_in_two_hours() -> None:
    day = load_scenario(CONFIGS / "scenarios" / "ten_cars.toml")
    events = tuple(replace(event, at_s=event.at_s / SQUEEZE) for event in day.events)
    kinds = {event.args["vehicle"] for event in events if event.do == "plug"}
    assert len(kinds) >= 10
    squeezed = Bench(replace(day, events=events, duration_s=day.duration_s / SQUEEZE))
    with judged(squeezed):
        squeezed.run(day.duration_s / SQUEEZE)
    assert min(slot.plant.energy_kwh(squeezed.now) for slot in squeezed.world.slots) > 1.0


# Two charger modules


def test_what_the_second_module_does_not_take_yet_is_the_other_s_until_then() -> None:
    group = bench([*plugs(1), *plugs(2, at_s=40, vehicle="two_modules")], "BF")
    with judged(group):
        group.run(150.0)
        assert group.drawn()[1] == CARS["two_modules"].first_module_a
        assert group.offered()[0] > 24.0
        group.run(300.0)
    assert group.offered() == [24.0, 24.0]
    assert group.drawn()[1] == pytest.approx(24.0 * CARS["two_modules"].draw_ratio)


# Sleeper


def test_a_sleeper_whose_primary_was_away_is_woken() -> None:
    away = [event(60, "power_off", 1), event(60 + 700, "power_on", 1)]
    group = bench([*plugs(2, vehicle="sleeper"), *away], "BF")
    with judged(group):
        group.run(60.0)
        assert charges(group, 2)
        group.run(60 + 700 + 35.0)
        assert (group.plant(2).letter, group.plant(2).offered_a) == ("B", 48.0), "it sleeps"
        group.run(60 + 700 + 90.0)
    assert charges(group, 2)
    _assert_woken(group, 2)


def test_a_sleeper_that_slept_while_it_waited_for_its_turn_is_woken() -> None:
    light = replace(CARS["sleeper"], sleeps_after_s=300.0)
    group = bench([*plugs(1), *plugs(2, at_s=25, vehicle="sleeper")], "0F", [light])
    with judged(group):
        group.run(600.0)
        assert group.reasons()[1] == "waiting"
        group.run(760.0)
    assert charges(group, 2)
    _assert_woken(group, 2)


def test_a_sleeper_that_slept_through_the_pause_after_a_ground_fault_is_woken() -> None:
    fault = [event(at_s, do, 1, kind="ground_fault") for at_s, do in ((100, "fault"), (110, "clear_fault"))]
    alone = bench([*plugs(1, vehicle="sleeper"), *fault])
    with judged(alone):
        alone.run(1100.0)
    assert charges(alone, 1)
    _assert_woken(alone, 1)


def _assert_woken(bench: Bench, station: int) -> None:
    """Its last start came after 30 s in B2 and a step to steady of 3 to 5 s."""
    *_, (begun_s, *begun), (steady_s, *steady), (again_s, *again), (asked_s, *asked), _ = states(bench, station)
    assert [begun[0], steady[0], again[0], asked[0]] == ["B2", "B1", "B2", "C2"]
    assert 29.0 <= steady_s - begun_s <= 31.0
    assert 3.0 <= again_s - steady_s <= 5.0
    assert asked_s - again_s <= 2.0


# Glitch


def test_a_glitch_never_closes_the_contactor_and_the_car_charges_later() -> None:
    alone = bench(plugs(1, vehicle="glitch"))
    with judged(alone):
        alone.run(120.0)
    seen = states(alone, 1)
    assert [state for _, state, _ in seen].count("C2") - 1 == CARS["glitch"].glitches + 1, "each C, then closed"
    (closed_s,) = [t_s for t_s, _, contactor in seen if contactor == "closed"]
    assert max(t_s for t_s, state, _ in seen if state == "B2") < closed_s, "only the last C was answered"
    assert charges(alone, 1)


# Gives up


@pytest.mark.parametrize(
    ("switches", "events", "station"),
    [
        ("B", plugs(1, at_s=30, vehicle="gives_up"), 1),
        ("BF", plugs(2, at_s=30, vehicle="gives_up"), 2),
        ("B", plugs(1, at_s=0.1, vehicle="gives_up"), 1),
        ("BF", plugs(2, at_s=0.1, vehicle="gives_up"), 2),
        ("0F", [*plugs(1), *plugs(2, at_s=60, vehicle="gives_up")], 2),
        ("0F", [*plugs(1, at_s=0.1), *plugs(2, at_s=0.2, vehicle="gives_up")], 2),
        ("0F", [*plugs(2, at_s=0.1), *plugs(1, at_s=2, vehicle="gives_up")], 1),
        ("0F", [*plugs(1), *plugs(2, at_s=60, vehicle="gives_up"), event(65, "restart", 1)], 2),
        ("BF", [*plugs(2, at_s=60, vehicle="gives_up"), event(60.5, "bus_cut", 2), event(90, "bus_join", 2)], 2),
        ("BF", [event(30, "power_off", 1), *plugs(2, at_s=60, vehicle="gives_up"), event(90, "power_on", 1)], 2),
    ],
    ids=[
        *("alone", "secondary", "started", "secondary_started", "full", "full_started", "full_started_primary"),
        *("full_restarted", "cut", "no_primary"),
    ],
)
def test_one_that_gives_up_gets_a_pilot_in_time(switches: str, events: list[Event], station: int) -> None:
    group = bench(sorted(events, key=lambda event: event.at_s), switches)
    with judged(group):
        plugged_s = next(e.at_s for e in events if e.args.get("vehicle") == "gives_up")
        group.run(plugged_s)
        assert group.until(lambda: group.plant(station).offered_a > 0, 30.0, 0.05) < 20.0
        group.run(plugged_s + 1500.0)
    assert group.plant(station).energy_kwh(group.now) > 0.1


def test_one_that_gives_up_gets_a_pilot_in_time_where_the_group_is_full() -> None:
    group = bench(plugs(*range(1, 7), at_s=60, vehicle="gives_up"), "BFFFFF")
    with judged(group):
        group.run(60.0)
        full = group.faults().index("group_full") + 1
        assert group.until(lambda: group.plant(full).offered_a > 0, 30.0, 0.05) < 20.0
        group.run(120.0)
        assert (group.plant(full).letter, group.plant(full).offered_a) == ("B", 0.0), "it knows that it has to wait"
        group.world.power_off(1 if full != 2 else 2)
        group.run(240.0)
        assert charges(group, full)


# Top-up


def test_a_full_one_frees_its_share_and_is_served_again_for_its_top_up() -> None:
    nearly = replace(CARS["top_up"], soc=0.9999, top_up_after_s=300.0)
    group = bench([*plugs(1), *plugs(2, vehicle="top_up")], "BF", [nearly])
    with judged(group):
        full_s = group.until(lambda: group.now > 60 and group.plant(2).letter == "B", 600.0, 0.1)
        assert full_s < 600.0
        got_kwh = group.plant(2).energy_kwh(group.now)
        group.run(group.now + 60.0)
        assert (group.reasons()[1], group.offered()) == ("idle", [48.0, 6.0])
        group.run(group.now + 300.0)
        assert charges(group, 2)
        group.run(group.now + 3600.0)
    assert group.plant(2).energy_kwh(group.now) >= got_kwh + nearly.top_up_kwh - 0.001


# Digital only


def test_a_digital_only_one_ends_as_idle_and_takes_nothing_from_the_others() -> None:
    group = bench([*plugs(1), *plugs(2, at_s=40, vehicle="digital_only")], "BF")
    with judged(group):
        group.run(130.0)
        assert (group.reasons()[1], group.offered()) == ("idle", [48.0, 6.0])
        group.run(1800.0)
    assert group.drawn() == [48.0, 0.0]
    assert group.plant(2).energy_kwh(group.now) == 0.0
    assert group.faults() == ["", ""]


# Departure


@pytest.mark.parametrize(("name", "at_rest"), [("s3", True), ("sedan", False)])
def test_a_pressed_latch_lets_the_contactor_open_without_current(name: str, at_rest: bool) -> None:
    alone = bench([*plugs(1, vehicle=name), event(100, "unplug", 1)])
    with judged(alone):
        alone.run(99.999)
        assert charges(alone, 1)
        assert alone.until(lambda: not alone.plant(1).contactor_closed, 1.0) <= 0.1
        assert alone.plant(1).connected is at_rest, "with S3 the car is still there when the contactor has opened"
        alone.run(105.0)
    assert alone.plant(1).letter == "A"
    assert alone.faults() == [""]


# Ventilation


def test_one_that_needs_ventilation_charges_in_d() -> None:
    alone = bench(plugs(1, vehicle="ventilated"))
    with judged(alone):
        alone.run(120.0)
    assert charges(alone, 1)
    assert alone.app(1).station.state == "D2"
