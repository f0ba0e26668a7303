"""A group in virtual time: how fast it shares, finds, loses and takes back its members, never above its limit."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from hal.simulated.vehicle_spec import VehicleSpec
from tests.scenario.helpers import TIMING, Bench, event, judged, plugs, random_serials, scenario
from watti.scenario import Event

SETTLED_S = 60.0
PHASES = [SETTLED_S + TIMING.poll_s * i / 12 for i in range(12)]
"""An event may fall anywhere in the poll cycle."""


def _after(events: list[Event], cause: Event, done: Callable[[Bench], bool], baud: int, seed: int) -> float:
    """Seconds from a cause until `done`; the judge watches all the time."""
    bench = Bench(scenario([*events, cause], baud=baud), seed)
    with judged(bench):
        bench.run(cause.at_s)
        return bench.until(lambda: done(bench), within_s=60, step_s=0.005)


def _others_have_more(bench: Bench) -> bool:
    return all(bench.offered()[i] >= 12.0 for i in (0, 2, 3, 4))


# Figures


@pytest.mark.parametrize("baud", [19200, 115200])
def test_freed_amps_are_offered_to_the_others_within_1_s_of_the_unplug(baud: int) -> None:
    for seed, at_s in enumerate(PHASES):
        cause = event(at_s, "unplug", 2)
        assert _after(plugs(1, 2, 3, 4, 5), cause, _others_have_more, baud, seed) <= 1.0


@pytest.mark.parametrize("baud", [19200, 115200])
def test_a_newcomer_to_a_full_circuit_is_offered_its_share_within_r_and_1_s(baud: int) -> None:
    for seed, at_s in enumerate(PHASES):
        took_s = _after(plugs(1, 2, 3, 4), event(at_s, "plug", 5), lambda bench: bench.offered()[4] > 0, baud, seed)
        assert took_s <= TIMING.reaction_s + 1.0


@pytest.mark.parametrize(
    ("do", "args"), [("power_off", {}), ("bus_cut", {}), ("stall", {"for_s": 60.0}), ("bus_cut", {"direction": "send"})]
)
def test_a_lost_member_s_amps_are_offered_to_the_others_within_15_s(do: str, args: dict[str, object]) -> None:
    for seed, at_s in enumerate(PHASES[::3]):
        took_s = _after(plugs(1, 2, 3, 4, 5), event(at_s, do, 2, **args), _others_have_more, 19200, seed)
        assert TIMING.lease_s < took_s <= 15.0


@pytest.mark.parametrize("consecutive", [False, True])
def test_four_unknown_secondaries_are_enrolled_within_1_5_s_of_the_power_up(consecutive: bool) -> None:
    took_s = []
    for seed in range(60):
        rng = random.Random(seed)
        first = rng.getrandbits(40)
        serials = [first + i if consecutive else rng.getrandbits(40) + 1 for i in range(5)]
        bench = Bench(scenario(serials=serials), seed)
        bench.run(0.0)
        took_s.append(bench.until(partial(_enrolled, bench), within_s=10, step_s=0.01))
    assert sorted(took_s)[int(len(took_s) * 0.99)] <= 1.5


def _enrolled(bench: Bench) -> bool:
    return all(bench.secondary(i).enrolled for i in range(2, 6))


@pytest.mark.parametrize("baud", [9600, 19200, 38400, 57600, 115200])
def test_a_bus_cycle_takes_little_more_than_the_line_itself(baud: int) -> None:
    bench = Bench(scenario(plugs(1, 2, 3, 4, 5), baud=baud))
    bench.run(120)
    health = bench.app(1).health
    assert health.missed == 0
    assert 0.999 <= health.cycle_s_p50 / health.cycle_limit_s <= (1.15 if baud in {19200, 115200} else 1.25)


# The first minute


def test_nothing_is_given_before_one_release_time_has_passed() -> None:
    bench = Bench(scenario(plugs(1, 2, 3, 4, 5, at_s=0.0)))
    bench.run(TIMING.release_s - 0.001)
    assert bench.offered() == [0.0] * 5
    assert set(bench.reasons()) == {"quiet_start"}
    bench.run(TIMING.release_s + 12)
    assert bench.offered() == [9.6] * 5


def test_a_restarted_primary_grants_nothing_for_one_release_time_not_even_to_itself() -> None:
    bench = Bench(scenario([*plugs(1, 2), event(60, "restart", 1)], "BF"))
    with judged(bench):
        bench.run(59.9)
        assert bench.offered() == [24.0, 24.0]
        bench.run(66)
        assert bench.offered() == [0.0, 0.0]
        bench.run(60 + TIMING.release_s - 0.001)
        assert bench.offered() == [0.0, 0.0]
        bench.run(90)
        assert bench.drawn() == [24.0, 24.0]


# Members come and go


@pytest.mark.parametrize("direction", ["both", "send", "receive"])
@pytest.mark.parametrize("station", [1, 2])
@pytest.mark.parametrize("for_s", [0.3, 3.0, 8.0, 40.0])
def test_a_cut_of_any_length_in_any_direction_heals_by_itself(direction: str, station: int, for_s: float) -> None:
    events = [
        *plugs(1, 2, 3),
        event(60, "bus_cut", station, direction=direction),
        event(60 + for_s, "bus_join", station, direction=direction),
    ]
    bench = Bench(scenario(events, "BFF"))
    with judged(bench):
        bench.run(60 + for_s + 60)
        assert bench.drawn() == [16.0] * 3


def test_a_member_that_joins_hot_gets_its_share() -> None:
    bench = Bench(scenario([*plugs(1, 2, 3, at_s=5.0), event(60, "power_on", 3)], "BFF", off=[3]))
    with judged(bench):
        bench.run(59.9)
        assert bench.drawn() == [24.0, 24.0, 0.0]
        bench.run(60)
        assert bench.until(lambda: bench.secondary(3).enrolled, within_s=5, step_s=0.01) < 1.5
        bench.run(90)
        assert bench.drawn() == [16.0] * 3


@pytest.mark.parametrize("lose_state", [False, True])
@pytest.mark.parametrize("station", [1, 2])
@pytest.mark.parametrize("off_s", [0.05, 2.0, 30.0])
def test_power_lost_for_any_time_is_survived(lose_state: bool, station: int, off_s: float) -> None:
    events = [
        *plugs(1, 2, 3),
        event(60, "power_off", station),
        event(60 + off_s, "power_on", station, lose_state=lose_state),
    ]
    bench = Bench(scenario(events, "BFF"))
    with judged(bench):
        bench.run(60 + off_s + 60)
        assert bench.drawn() == [16.0] * 3


@pytest.mark.parametrize("station", [1, 2])
@pytest.mark.parametrize("for_s", [0.2, 0.99, 1.01, 3.0, 4.99, 5.01, 9.0, 30.0])
def test_a_process_that_stands_still_is_survived(station: int, for_s: float) -> None:
    bench = Bench(scenario([*plugs(1, 2, 3), event(60, "stall", station, for_s=for_s)], "BFF"))
    with judged(bench):
        bench.run(60 + for_s + 60)
        assert bench.drawn() == [16.0] * 3


def test_a_fifth_secondary_finds_the_group_full_and_takes_the_place_of_one_that_leaves() -> None:
    events = [*plugs(1, 2, 3, 4, 5, 6), event(60, "power_on", 6), event(120, "power_off", 3)]
    bench = Bench(scenario(events, "BFFFFF", off=[6]))
    with judged(bench):
        bench.run(119.9)
        assert bench.faults() == [""] * 5 + ["group_full"]
        assert bench.reasons()[5] == "group_full"
        assert bench.offered() == [9.6] * 5 + [0.0]
        bench.run(180)
        assert bench.faults()[5] == ""
        assert bench.drawn() == [9.6, 9.6, 0.0, 9.6, 9.6, 9.6]


def test_a_row_that_waits_for_its_release_does_not_make_the_group_full() -> None:
    events = [event(60 + 2 * i, "restart", 2 + i % 4) for i in range(12)]
    bench = Bench(scenario([*plugs(1, 2, 3, 4, 5), *events]))
    with judged(bench):
        bench.run(140)
        assert bench.drawn() == [9.6] * 5
        assert "group_full" not in bench.trace.getvalue()


def test_a_unit_that_is_swapped_for_another_is_taken_in() -> None:
    events = [*plugs(1, 2, 3, at_s=5.0), event(60, "power_off", 2), event(61, "power_on", 3)]
    bench = Bench(scenario(events, "BFF", off=[3]))
    with judged(bench):
        bench.run(100)
        assert bench.drawn() == [24.0, 0.0, 24.0]


# Duplicate serials


@pytest.mark.parametrize("seed", range(4))
def test_two_units_of_one_serial_are_both_faulted_and_the_others_go_on(seed: int) -> None:
    bench = Bench(scenario(plugs(1, 2, 3, 4), "BFFF", serials=[1, 7, 9, 9]), seed)
    with judged(bench):
        bench.run(120)
        assert bench.faults()[2:] == ["duplicate_serial"] * 2
        assert bench.drawn() == [24.0, 24.0, 0.0, 0.0]


def test_a_unit_of_a_serial_that_is_in_the_group_already_is_found_and_both_are_faulted() -> None:
    bench = Bench(scenario([*plugs(1, 2, 3, 4), event(60, "power_on", 4)], "BFFF", serials=[1, 7, 9, 9], off=[4]))
    with judged(bench):
        bench.run(59.9)
        assert bench.drawn() == [16.0, 16.0, 16.0, 0.0]
        bench.run(110)
        assert bench.faults()[2:] == ["duplicate_serial"] * 2
        assert bench.drawn() == [24.0, 24.0, 0.0, 0.0]


def test_a_duplicate_serial_recovers_when_one_of_the_two_is_gone() -> None:
    events = [*plugs(1, 2, 3, 4), event(120, "power_off", 4)]
    bench = Bench(scenario(events, "BFFF", serials=[1, 7, 9, 9]))
    with judged(bench):
        bench.run(240)
        assert bench.faults()[2] == ""
        assert bench.drawn() == [16.0, 16.0, 16.0, 0.0]


def test_a_secondary_with_the_serial_of_its_primary_is_faulted() -> None:
    bench = Bench(scenario(plugs(1, 2, 3), "BFF", serials=[9, 9, 7]))
    with judged(bench):
        bench.run(100)
        assert bench.faults()[1] == "duplicate_serial"
        assert bench.drawn() == [24.0, 0.0, 24.0]


# Bad cars and bad lines


def test_the_others_come_down_by_what_a_car_overdraws() -> None:
    bench = Bench(scenario([*plugs(1, 2), event(60, "fault", 2, kind="overdraw")], "BF"))
    bench.run(59.9)
    assert bench.drawn() == [24.0, 24.0]
    bench.run(61)
    assert sum(bench.drawn()) > 48.0
    assert bench.until(lambda: sum(bench.drawn()) <= 48.0, within_s=10) < 6.5
    assert bench.drawn()[1] > 24.0, "it still does"
    bench.run(110)
    assert bench.faults()[1] == "overdraw"
    assert bench.drawn() == [48.0, 0.0]


def test_a_refuser_is_tripped_and_nobody_is_given_its_amps_before() -> None:
    events = [*plugs(2, vehicle="refuser"), *plugs(1, at_s=60)]
    bench = Bench(scenario(events, "BF"))
    with judged(bench):
        bench.run(64)
        assert bench.drawn() == [0.0, 48.0]
        bench.run(110)
        assert bench.faults()[1] == "overdraw"
        assert bench.drawn() == [48.0, 0.0]


def test_a_car_slower_than_r_is_held_against_its_meter() -> None:
    """Longer than the promise assumes, but its meter shows it, and nobody is given those amps."""
    sloth = VehicleSpec("sloth", start_delay_s=0.0, ramp_a_per_s=0.0, reaction_s=6.9)
    bench = Bench(scenario([*plugs(2, vehicle="sloth"), *plugs(1, at_s=60)], "BF", vehicles=[sloth]))
    bench.run(110)
    assert bench.violations == []
    assert bench.drawn() == [24.0, 24.0]


@pytest.mark.parametrize("kind", ["drop", "duplicate", "delay", "truncate", "echo", "babble"])
def test_a_disturbed_line_only_slows_the_group_down(kind: str) -> None:
    events = [*plugs(1, 2, 3), event(40, "bus_disturb", kind=kind, rate=0.3, for_s=60.0), event(50, "unplug", 2)]
    bench = Bench(scenario(events, "BFF"))
    with judged(bench):
        bench.run(130)
        assert bench.drawn() == [24.0, 0.0, 24.0]


def test_a_line_that_is_noisy_for_good_still_shares() -> None:
    bench = Bench(scenario(plugs(1, 2, 3, 4, 5), bit_error_rate=2e-4, serials=random_serials(random.Random(3), 5)))
    with judged(bench):
        bench.run(120)
        assert sum(bench.drawn()) >= 40.0
    assert bench.app(1).health.missed > 0


def test_an_idle_car_is_offered_a_pilot_again_after_the_primary_came_back() -> None:
    full = VehicleSpec("full", soc=1.0)
    events = [*plugs(1, 2, vehicle="full"), event(120, "restart", 1)]
    bench = Bench(scenario(events, "BF", vehicles=[full]))
    bench.run(119)
    assert bench.offered() == [6.0, 6.0]
    bench.run(300)
    assert bench.offered() == [6.0, 6.0], "it may ask at any time"


@pytest.mark.parametrize(("switches", "station"), [("B", 1), ("BF", 1), ("BF", 2), ("BFFFF", 1), ("BFFFF", 3)])
def test_a_vehicle_that_overdraws_is_tripped_in_time(switches: str, station: int) -> None:
    """Its own pilot is not cut for it: that would start its 7 s anew for ever."""
    stations = range(1, len(switches) + 1)
    bench = Bench(scenario([*plugs(*stations), event(60, "fault", station, kind="overdraw")], switches))
    bench.run(60 + 7 + 2 * TIMING.poll_s)
    assert bench.faults()[station - 1] == "overdraw"
    assert not bench.plant(station).contactor_closed


def test_a_primary_knows_its_own_echo_after_many_enrolments() -> None:
    """Sessions of long-standing members are its own, however many others have come and gone since."""
    restarts = [event(40 + 8 * k, "restart", 3) for k in range(70)]
    echo = event(20, "bus_disturb", 1, kind="echo", rate=1.0, for_s=2000)
    bench = Bench(scenario([*plugs(1, 2), echo, *restarts], "BFF"))
    bench.run(640)
    assert bench.reasons()[0] != "more_than_one_primary"
    assert bench.offered()[1] > 0


def test_a_primary_that_can_not_hear_does_not_start_to_give() -> None:
    bench = Bench(scenario([event(0.1, "fault", 2, kind="bus_port"), *plugs(1, 2)], "BB"))
    bench.run(60)
    assert bench.offered() == [48.0, 0.0]


def test_a_station_that_was_disabled_sees_its_vehicle_again_after_a_stall() -> None:
    """The dead-man lets go of the -12 V too; the vehicle needs no replug."""
    events = [
        *plugs(1, 2),
        event(40, "switch", 2, position=0xC),
        event(50, "stall", 2, for_s=2.0),
        event(60, "switch", 2, position=0xF),
    ]
    bench = Bench(scenario(events, "BF"))
    bench.run(53)
    assert bench.plant(2).letter == "F"
    bench.run(120)
    assert bench.drawn()[1] > 0


def test_garbage_does_not_keep_a_primary_from_starting() -> None:
    bench = Bench(scenario([event(0.1, "bus_disturb", kind="babble", rate=0.2, for_s=300), *plugs(1)], "B"))
    bench.run(60)
    assert bench.drawn() == [48.0]


def test_a_vehicle_that_makes_no_use_of_its_turn_loses_it_to_those_who_wait() -> None:
    """6 A for three; the first needs 8 A and takes nothing: nobody waits ten minutes for that."""
    picky = VehicleSpec("picky", min_a=8.0, start_delay_s=0.0, ramp_a_per_s=0.0)
    events = [*plugs(1, vehicle="picky"), *plugs(2, at_s=40.0), *plugs(3, at_s=50.0)]
    bench = Bench(scenario(events, "0FF", vehicles=[picky]))
    with judged(bench):
        assert bench.until(lambda: bench.drawn()[1] > 0, within_s=150.0, step_s=0.1) <= 150.0
        bench.run(3600.0)
    kwh = [slot.plant.energy_kwh(bench.now) for slot in bench.world.slots]
    assert kwh[0] == 0.0
    assert min(kwh[1:]) > 0.3
    assert sum(kwh) > 0.75 * 6.0 * 0.24
