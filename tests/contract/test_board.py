"""The `Board` of hal/api.py, one suite for every backend. All of it in virtual time, the socket's server too."""

import random
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path

import pytest

from hal.api import Board, Colour, Inputs, Light, PilotReading
from hal.simulated.defects import AMBIENT_C, HOT_C
from hal.simulated.plant import CONTACTOR_S, DEAD_MAN_S, RELEASE_S, TRIP_S, Plant
from hal.simulated.vehicle_spec import VehicleSpec
from tests.contract.board_rigs import RIGS, SWITCH, InMemory, OverSocket, Rig

CAR = VehicleSpec("car", start_delay_s=0.0, reaction_s=0.0, ramp_a_per_s=0.0)
STEADY = PilotReading(12.0, 12.0)
FAULTED = PilotReading(-12.0, -12.0)
PWM = PilotReading(12.0, -12.0)


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = RIGS[request.param](tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def held(rig: Rig) -> Rig:
    """A rig whose dead-man was refreshed just now."""
    rig.refresh()
    assert rig.refresh()
    return rig


def near(rig: Rig, true: float) -> object:
    """What a meter or thermometer may show."""
    return pytest.approx(true, abs=rig.accuracy)


def charging(rig: Rig) -> Rig:
    """A car draws 24 A."""
    rig.plant.plug(CAR, rig.now)
    rig.board.pilot.pwm(40.0)
    rig.live(2.0)
    rig.board.contactor.close()
    rig.live(2.0)
    assert rig.board.meter.current_a() == near(rig, 24.0)
    return rig


# Outputs


def test_outputs_are_safe_at_the_start_and_nothing_holds_them(rig: Rig) -> None:
    assert rig.inputs() == Inputs(SWITCH, STEADY, False)
    assert rig.board.meter.current_a() == near(rig, 0.0)
    rig.board.pilot.pwm(50.0)
    rig.board.contactor.close()
    rig.run(CONTACTOR_S)
    assert rig.inputs() == Inputs(SWITCH, STEADY, False)


def test_pilot_verbs_show_in_the_inputs(held: Rig) -> None:
    pilot = held.board.pilot
    verbs: list[tuple[Callable[[], None], PilotReading]] = [
        (lambda: pilot.pwm(50.0), PWM),
        (pilot.fault, FAULTED),
        (pilot.steady, STEADY),
        (lambda: pilot.pwm(10), PWM),
    ]
    for verb, expected in verbs:
        verb()
        held.run(0.0)
        assert held.inputs().pilot == expected


def test_the_duty_is_the_one_asked_for(held: Rig) -> None:
    for duty in (10.0, 26.666666666666668, 96.0):
        held.board.pilot.pwm(duty)
        held.run(0.0)
        assert held.plant.duty == pytest.approx(duty, abs=1e-4)  # a generator counts nanoseconds


def test_contactor_verbs_show_in_the_feedback_once_it_has_moved(held: Rig) -> None:
    held.board.contactor.close()
    held.run(CONTACTOR_S / 2)
    assert not held.inputs().contactor_closed
    held.run(CONTACTOR_S / 2)
    assert held.inputs().contactor_closed
    held.board.contactor.open()
    held.run(CONTACTOR_S)
    assert not held.inputs().contactor_closed


def test_the_switch_shows_and_is_none_where_it_can_not_be_read(held: Rig) -> None:
    def shown() -> int | None:
        held.inputs()  # a board that sees it move may wait until it stands
        held.run(0.1)
        return held.inputs().switch

    held.plant.turn(15, held.now)
    assert shown() == 15
    held.plant.inject("switch_unreadable", held.now)
    assert shown() is None


# Meter


def test_the_meter_shows_what_the_vehicle_draws(held: Rig) -> None:
    charging(held).board.pilot.pwm(20.0)
    held.live(1.0)
    assert held.board.meter.current_a() == near(held, 12.0)
    held.plant.unplug(held.now)
    held.live(1.0)
    assert held.board.meter.current_a() == near(held, 0.0)


def test_a_meter_that_does_not_answer_is_nan_until_it_does(held: Rig) -> None:
    charging(held).plant.inject("meter", held.now)
    held.live(1.0)
    assert isnan(held.board.meter.current_a())
    held.plant.clear("meter", held.now)
    held.live(1.0)
    assert held.board.meter.current_a() == near(held, 24.0)


def test_the_meter_shows_the_voltage(rig: Rig) -> None:
    assert rig.board.meter.voltage_v() == rig.plant.voltage_v == 240.0


# Ground


def test_the_sensor_trips_while_its_winding_is_driven_and_lets_go_after(held: Rig) -> None:
    held.board.ground_fault.test(True)
    held.run(TRIP_S * 0.9)
    assert not held.inputs().ground_fault
    held.run(TRIP_S * 0.2)
    assert held.inputs().ground_fault
    held.board.ground_fault.test(False)
    held.run(RELEASE_S * 0.9)
    assert held.inputs().ground_fault
    held.run(RELEASE_S * 0.2)
    assert not held.inputs().ground_fault


def test_a_deaf_sensor_does_not_trip(held: Rig) -> None:
    held.plant.inject("ground_fault_self_test", held.now)
    held.board.ground_fault.test(True)
    held.run(TRIP_S * 2)
    assert not held.inputs().ground_fault


def test_a_leak_trips_the_sensor_while_the_output_is_live(held: Rig) -> None:
    charging(held).plant.inject("ground_fault", held.now)
    held.run(TRIP_S)
    assert held.inputs().ground_fault
    held.board.contactor.open()
    held.run(CONTACTOR_S + RELEASE_S)
    assert not held.inputs().ground_fault


def test_a_missing_ground_shows_while_the_output_is_live(held: Rig) -> None:
    held.plant.inject("no_ground", held.now)
    held.run(0.0)
    assert held.inputs().grounded
    held.board.contactor.close()
    held.run(CONTACTOR_S)
    assert not held.inputs().grounded


def test_the_winding_is_not_driven_by_one_that_the_dead_man_has_dropped(rig: Rig) -> None:
    rig.board.ground_fault.test(True)
    rig.run(TRIP_S * 2)
    assert not rig.inputs().ground_fault


def test_the_dead_man_lets_go_of_the_winding(held: Rig) -> None:
    held.board.ground_fault.test(True)
    held.live(DEAD_MAN_S * 2)
    assert held.inputs().ground_fault
    held.run(DEAD_MAN_S + RELEASE_S)
    assert not held.inputs().ground_fault


# Thermometer and lamp


def test_the_thermometer_shows_the_temperature_and_nan_when_it_does_not_answer(held: Rig) -> None:
    def shown() -> float:
        held.run(1.0)
        held.inputs()
        return held.board.thermometer.celsius()

    assert shown() == near(held, AMBIENT_C)
    held.plant.inject("over_temperature", held.now, 66.5)
    assert shown() == near(held, 66.5)
    held.plant.inject("over_temperature", held.now)
    assert shown() == near(held, HOT_C)
    held.plant.inject("thermometer", held.now)
    assert isnan(shown())
    held.plant.clear("thermometer", held.now)
    held.plant.clear("over_temperature", held.now)
    assert shown() == near(held, AMBIENT_C)


def test_the_lamp_shows_what_it_is_told_and_no_dead_man_holds_it(rig: Rig) -> None:
    assert rig.plant.light == Light(Colour.OFF)
    lights = [Light(colour, blinks) for colour in Colour for blinks in ((), (2,), (3, 1))]
    for light in lights:
        rig.board.indicator.show(light)
        rig.run(DEAD_MAN_S * 2)
        assert rig.lamp_shows(light)


def test_a_lamp_without_power_is_off(rig: Rig) -> None:
    rig.board.indicator.show(Light(Colour.GREEN))
    rig.run(0.0)
    rig.plant.power_off(rig.now)
    rig.board.indicator.show(Light(Colour.RED))
    rig.run(0.0)
    assert rig.plant.light == Light(Colour.OFF)


# Event log


def test_records_reach_the_journal_that_the_board_was_given(rig: Rig) -> None:
    rig.board.journal.write("fault", {"fault": "diode"}, 100.5)
    assert rig.records == [("fault", {"fault": "diode"})]
    assert rig.board.journal.stamp(100.5)["t_s"] == 100.5
    assert rig.board.journal.problem == ""


# Dead-man


def test_outputs_stay_while_the_dead_man_is_refreshed(held: Rig) -> None:
    charging(held).live(20.0)
    assert held.inputs().contactor_closed


def test_outputs_are_let_go_when_nobody_refreshes_and_not_before(held: Rig) -> None:
    charging(held)
    assert held.refresh()
    held.run(DEAD_MAN_S * 0.99)
    assert held.inputs().contactor_closed
    held.run(DEAD_MAN_S * 0.01 + CONTACTOR_S)
    inputs = held.inputs()
    assert inputs.pilot.high_v == inputs.pilot.low_v > 0.0
    assert not inputs.contactor_closed
    held.run(1.0)
    assert held.board.meter.current_a() == near(held, 0.0)


def test_a_drop_is_told_exactly_once_and_verbs_count_from_then_on(held: Rig) -> None:
    charging(held)
    held.run(DEAD_MAN_S + CONTACTOR_S)
    held.board.contactor.close()  # by one that does not know
    held.board.pilot.pwm(50.0)
    held.run(CONTACTOR_S)
    assert held.plant.offered_a == 0.0
    assert not held.inputs().contactor_closed
    assert not held.refresh()
    held.run(CONTACTOR_S)
    assert held.plant.offered_a == 0.0
    assert not held.inputs().contactor_closed
    assert held.refresh()
    held.board.pilot.pwm(50.0)
    held.board.contactor.close()
    held.live(CONTACTOR_S)
    assert held.plant.offered_a == 30.0
    assert held.inputs().contactor_closed


def test_each_drop_is_told(held: Rig) -> None:
    for _ in range(3):
        held.run(DEAD_MAN_S)
        assert [held.refresh() for _ in range(3)] == [False, True, True]


# What outlives a process


def closed_after(rig: Rig, for_s: float) -> bool:
    rig.run(for_s)
    return rig.plant.inputs.contactor_closed


def test_outputs_outlive_a_killed_process_until_the_dead_man_acts(held: Rig) -> None:
    charging(held).refresh()
    held.kill()
    assert closed_after(held, DEAD_MAN_S * 0.99)
    assert not closed_after(held, DEAD_MAN_S * 0.01 + CONTACTOR_S)
    held.start()
    assert not held.inputs().contactor_closed


def test_each_store_is_empty_at_first_and_survives_a_restart(rig: Rig) -> None:
    assert (rig.board.store.load(), rig.board.session_store.load()) == (b"", b"")
    for record in (b"first", bytes(range(256)), b""):
        rig.board.store.save(record)
        rig.board.session_store.save(record + b"!")
        assert rig.board.store.load() == record
        rig.kill()
        rig.start()
        assert (rig.board.store.load(), rig.board.session_store.load()) == (record, record + b"!")


# Back to back


def act(rig: Rig, action: str, number: float) -> object:
    """Do one thing to a board or its plant."""
    if action == "refresh":
        return rig.refresh()
    drive(rig.board, action, number)
    befall(rig.plant, action, number, rig.now)
    rig.run(number * 0.6)
    return None


def drive(board: Board, action: str, number: float) -> None:
    match action:
        case "pwm":
            board.pilot.pwm(10.0 + 86.0 * number)
        case "close":
            board.contactor.close()
        case "open":
            board.contactor.open()
        case "steady":
            board.pilot.steady()
        case "fault":
            board.pilot.fault()
        case "test":
            board.ground_fault.test(number < 0.7)
        case "light":
            board.indicator.show(Light(Colour.AMBER, (int(6 * number), 1)))


def befall(plant: Plant, action: str, number: float, now: float) -> None:
    match action:
        case "turn":
            plant.turn(int(15 * number), now)
        case "car":
            plant.unplug(now) if plant.connected else plant.plug(CAR, now)
        case "meter" | "ground_fault" | "no_ground" | "over_temperature" | "thermometer":
            (plant.inject if number < 0.5 else plant.clear)(action, now)


def seen(rig: Rig) -> object:
    """All that can be read of it; NaN is not equal to itself, its word is."""
    inputs, board = rig.inputs(), rig.board
    return (
        inputs,
        repr((board.meter.current_a(), board.meter.voltage_v(), board.thermometer.celsius())),
        rig.plant.light,
    )


@pytest.mark.parametrize("seed", range(10))
def test_all_backends_do_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rigs: list[Rig] = [InMemory(), OverSocket(tmp_path)]
    for rig in rigs:
        rig.refresh()
    words = ["refresh"] * 12 + ["pwm", "close", "open", "steady", "fault", "test", "light", "turn", "car", "meter"]
    words += ["ground_fault", "no_ground", "over_temperature", "thermometer"]
    for _ in range(100):
        action, number = rng.choice(words), rng.random()
        one, other = ((act(rig, action, number), seen(rig)) for rig in rigs)
        assert one == other
    for rig in rigs:
        rig.close()
