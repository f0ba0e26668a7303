"""The plant and its board, driven as a station and its world would."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.api import Board, Inputs, PilotReading
from hal.simulated.board import MemoryStore, PlantBoard, PlantJournal
from hal.simulated.circuit import C_OHM, duty_to_amps
from hal.simulated.defects import FAULT_KINDS
from hal.simulated.plant import CONTACTOR_S, Plant, Snapshot
from hal.simulated.vehicle_spec import VehicleSpec

CAR = VehicleSpec("car")
WORST = VehicleSpec("worst", ramp_a_per_s=0.0)

SILENT = PlantJournal("test", lambda event, fields: None)


class Recorder:
    """Steps a plant wake-up by wake-up and notes what its hooks said and when."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.now = 0.0
        self.inputs: list[tuple[float, Inputs]] = []
        self.currents: list[tuple[float, float]] = [(0.0, 0.0)]
        self.wakeups = 0
        plant.on_inputs = lambda inputs: self.inputs.append((self.now, inputs))
        plant.on_current = lambda: self.currents.append((self.now, plant.current_a))

    def run(self, until: float) -> None:
        while (due := self.plant.next_wakeup()) <= until:
            assert due >= self.now
            self.now = due
            self.plant.step(due)
            self.wakeups += 1
            assert self.plant.next_wakeup() > due, "nothing is left over"
        self.now = until


def charging(spec: VehicleSpec = WORST, duty: float = 80.0) -> Recorder:
    """At 100 s, drawing what it wants since long."""
    plant = Plant(11)
    recorder = Recorder(plant)
    plant.hold(0.0)
    plant.plug(spec, 0.0)
    plant.pilot_pwm(duty, 0.0)
    recorder.run(2.0)
    plant.contactor_close(2.0)
    recorder.run(100.0)
    assert plant.letter == "C"
    assert plant.current_a > 0.0
    return recorder


def test_a_session_as_the_board_senses_it() -> None:
    plant = Plant(11)
    recorder = Recorder(plant)
    assert plant.inputs == Inputs(11, PilotReading(12.0, 12.0), False)
    plant.hold(0.0)
    plant.plug(CAR, 1.0)
    recorder.run(2.0)
    plant.pilot_pwm(80.0, 2.0)
    recorder.run(4.0)
    plant.contactor_close(4.0)
    recorder.run(50.0)
    plant.unplug(50.0)
    plant.contactor_open(50.0)
    recorder.run(60.0)
    seen = [
        (round(t, 3), round(i.pilot.high_v, 1), round(i.pilot.low_v), i.contactor_closed) for t, i in recorder.inputs
    ]
    assert seen == [
        (1.0, 9.0, 9, False),
        (2.0, 9.0, -12, False),
        (3.0, 6.0, -12, False),
        (4.03, 6.0, -12, True),
        (50.0, 12.0, -12, True),
        (50.03, 12.0, -12, False),
    ]
    assert recorder.currents[1] == pytest.approx((6.05, 0.1))
    assert recorder.currents[-2] == pytest.approx((4.03 + 2.0 + 48.0 / 5.0, 48.0))
    assert recorder.currents[-1] == (50.0, 0.0)


def test_snapshot_shows_the_state() -> None:
    plant = charging(replace(WORST, draw_ratio=0.5)).plant
    assert plant.snapshot() == Snapshot("C", True, 48.0, 24.0, True)
    assert (plant.connected, plant.vehicle, plant.duty) == (True, replace(WORST, draw_ratio=0.5), 80.0)
    assert (plant.powered, plant.switch) == (True, 11)


def test_current_stops_when_the_contacts_part_not_before() -> None:
    recorder = charging()
    recorder.plant.contactor_open(100.0)
    recorder.run(110.0)
    assert recorder.currents[-1] == (100.0 + CONTACTOR_S, 0.0)
    assert recorder.inputs[-1] == (100.0 + CONTACTOR_S, recorder.plant.inputs)
    assert recorder.plant.possible_a == 0.0


def test_a_contactor_told_twice_is_no_later_and_one_called_back_does_not_move() -> None:
    plant = Plant(11)
    plant.hold(0.0)
    plant.contactor_close(0.0)
    plant.contactor_close(0.02)
    assert plant.next_wakeup() == CONTACTOR_S
    plant.contactor_open(0.025)
    assert plant.next_wakeup() == inf
    assert not plant.contactor_closed


def test_hooks_wait_for_the_step() -> None:
    plant = Plant(11)
    recorder = Recorder(plant)
    plant.plug(CAR, 5.0)
    assert (plant.letter, recorder.inputs, plant.next_wakeup()) == ("B", [], 5.0)
    plant.step(5.0)
    assert [i.pilot.high_v for _, i in recorder.inputs] == [plant.inputs.pilot.high_v]
    assert plant.next_wakeup() == inf


def test_a_change_that_is_undone_before_the_step_tells_nothing() -> None:
    plant = Plant(11)
    recorder = Recorder(plant)
    plant.turn(3, 1.0)
    plant.turn(11, 1.0)
    recorder.run(10.0)
    assert recorder.inputs == []


def test_switch_turns_and_refuses_what_it_has_not() -> None:
    plant = Plant(11)
    recorder = Recorder(plant)
    plant.turn(15, 1.0)
    recorder.run(1.0)
    assert [i.switch for _, i in recorder.inputs] == [15]
    with pytest.raises(ValueError, match="position 16"):
        plant.turn(16, 2.0)
    with pytest.raises(ValueError, match="position -1"):
        Plant(-1)


def test_one_vehicle_at_a_time() -> None:
    plant = Plant(11)
    with pytest.raises(ValueError, match="no vehicle"):
        plant.unplug(0.0)
    plant.plug(CAR, 0.0)
    with pytest.raises(ValueError, match="car is plugged in already"):
        plant.plug(WORST, 1.0)


def test_energy_adds_up_over_vehicles() -> None:
    recorder = charging()
    plant = recorder.plant
    first = plant.energy_kwh(100.0)
    assert first == pytest.approx(48.0 * 0.24 * (100.0 - 4.03) / 3600.0)
    plant.unplug(100.0)
    plant.plug(WORST, 200.0)
    assert plant.energy_kwh(200.0) == first
    recorder.run(203.0)
    assert plant.current_a == 48.0, "the contactor never opened: S2 after 1 s, first ampere after 2"
    assert plant.energy_kwh(300.0) == pytest.approx(first + 48.0 * 0.24 * 97.0 / 3600.0)


# Dead-man and power


def test_dead_man_lets_go_after_the_last_refresh() -> None:
    recorder = charging()
    plant = recorder.plant
    plant.release_hold(100.0)
    recorder.run(100.999)
    assert (plant.current_a, plant.duty) == (48.0, 80.0)
    recorder.run(101.0)
    assert (plant.duty, plant.inputs.pilot.low_v > 0.0, plant.contactor_closed) == (0.0, True, True)
    recorder.run(101.0 + CONTACTOR_S)
    assert (plant.contactor_closed, plant.current_a) == (False, 0.0)


def test_verbs_are_ignored_until_a_refresh_which_says_so_once() -> None:
    plant = Plant(11)
    plant.pilot_pwm(50.0, 0.0)
    plant.contactor_close(0.0)
    assert (plant.duty, plant.next_wakeup()) == (0.0, inf)
    assert not plant.refresh(1.0)
    assert plant.refresh(1.9)
    plant.pilot_pwm(50.0, 2.0)
    assert plant.duty == 50.0
    assert plant.next_wakeup() == 2.0
    plant.step(2.0)
    assert plant.next_wakeup() == 2.9
    assert not plant.refresh(2.9), "a refresh on the deadline is too late"
    assert plant.duty == 0.0


def test_the_dead_man_stops_the_car_by_its_pilot_too() -> None:
    recorder = charging()
    recorder.plant.inject("contactor_stuck", 100.0)
    recorder.plant.release_hold(100.0)
    recorder.run(200.0)
    assert recorder.currents[-1] == (101.0 + 3.0, 0.0)


def test_what_a_late_verb_found_due_is_told_by_the_next_step() -> None:
    recorder = charging()
    recorder.plant.release_hold(100.0)
    recorder.now = 105.0
    assert not recorder.plant.refresh(105.0)
    assert recorder.plant.next_wakeup() == 105.0
    recorder.run(105.0)
    assert recorder.inputs[-1] == (105.0, recorder.plant.inputs)
    assert recorder.currents[-1] == (105.0, 0.0)


def test_what_is_not_held_has_no_deadline() -> None:
    plant = Plant(11)
    plant.release_hold(1.0)
    assert plant.next_wakeup() == inf


def test_a_hold_taken_again_in_time_changes_nothing() -> None:
    recorder = charging()
    plant = recorder.plant
    plant.release_hold(100.0)
    recorder.run(100.9)
    assert plant.hold(100.9)
    recorder.run(1000.0)
    assert plant.current_a == 48.0


def test_power_off_is_no_station_to_the_car_and_on_is_safe() -> None:
    recorder = charging()
    plant = recorder.plant
    plant.power_off(100.0)
    assert (plant.letter, plant.inputs.pilot, plant.powered) == ("E", (0.0, 0.0), False)
    recorder.run(100.1)
    assert (plant.contactor_closed, plant.current_a) == (False, 0.0)
    assert not plant.hold(100.2)
    assert not plant.refresh(100.3), "without power nothing is held"
    recorder.run(110.0)
    plant.power_on(110.0)
    recorder.run(120.0)
    assert plant.snapshot() == Snapshot("B", False, 0.0, 0.0, False)
    plant.pilot_pwm(80.0, 120.0)
    assert plant.duty == 0.0
    assert not plant.hold(121.0)
    plant.pilot_pwm(80.0, 121.0)
    recorder.run(123.0)
    assert plant.letter == "C"


def test_power_off_with_a_welded_contactor_stops_the_car_by_its_pilot() -> None:
    recorder = charging()
    plant = recorder.plant
    plant.inject("contactor_stuck", 100.0)
    plant.power_off(100.0)
    recorder.run(200.0)
    assert recorder.currents[-1] == (103.0, 0.0)
    assert plant.contactor_closed


def test_a_station_off_from_the_start() -> None:
    plant = Plant(15, powered=False)
    assert (plant.letter, plant.inputs.pilot.high_v) == ("E", 0.0)
    plant.power_on(5.0)
    assert (plant.letter, plant.inputs.pilot.high_v) == ("A", 12.0)


# Faults


def test_unknown_faults_name_the_known_ones() -> None:
    plant = Plant(11)
    for verb in (plant.inject, plant.clear):
        with pytest.raises(ValueError, match=r"unknown fault 'flood': expected one of .*contactor_stuck"):
            verb("flood", 0.0)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_each_fault_shows_and_clears(kind: str) -> None:
    healthy, plant = charging().plant, charging().plant

    def view(plant: Plant, now: float) -> list[object]:
        plant.step(now)
        return [plant.inputs, plant.letter, str(plant.meter_a), plant.current_a, str(plant.celsius)]

    for moved in (healthy, plant):
        if kind == "contactor_open":
            moved.contactor_open(100.0)
            moved.step(101.0)
    plant.inject(kind, 101.0)
    for moved in (healthy, plant):
        if kind == "contactor_stuck":
            moved.contactor_open(101.0)
        if kind == "contactor_open":
            moved.contactor_close(101.0)
        if kind == "ground_fault_self_test":
            moved.ground_fault_test(True, 101.0)
    assert view(plant, 110.0) != view(healthy, 110.0)
    plant.clear(kind, 110.0)
    assert view(plant, 130.0) == view(healthy, 130.0)


@pytest.mark.parametrize(
    ("kind", "ok"),
    [
        ("diode", lambda p: p.high_v == pytest.approx(12.0 * C_OHM / 1882.0) and p.low_v > -10.0),
        ("pilot_short", lambda p: p == (0.0, 0.0)),
        ("pilot_range", lambda p: p.high_v > 13.0 and p.low_v == -12.0),
    ],
)
def test_pilot_faults_in_volts(kind: str, ok: Callable[[PilotReading], bool]) -> None:
    recorder = charging()
    recorder.plant.inject(kind, 100.0)
    recorder.run(100.0)
    assert ok(recorder.inputs[-1][1].pilot)
    assert recorder.plant.offered_a == 48.0


def test_a_shorted_pilot_stops_the_car_in_time() -> None:
    recorder = charging()
    recorder.plant.inject("pilot_short", 100.0)
    recorder.run(110.0)
    assert recorder.currents[-1] == (103.0, 0.0)


def test_a_welded_contactor_keeps_a_refuser_charging_until_it_is_mended() -> None:
    recorder = charging(replace(WORST, obeys=False))
    plant = recorder.plant
    plant.inject("contactor_stuck", 100.0)
    plant.contactor_open(100.0)
    plant.pilot_steady(100.0)
    recorder.run(200.0)
    assert (plant.current_a, plant.possible_a, plant.contactor_closed) == (48.0, 48.0, True)
    plant.clear("contactor_stuck", 200.0)
    recorder.run(201.0)
    assert recorder.currents[-1] == (200.0 + CONTACTOR_S, 0.0)


def test_a_contactor_that_does_not_close() -> None:
    plant = Plant(11)
    plant.hold(0.0)
    plant.contactor_close(0.0)
    plant.inject("contactor_open", 0.01)
    plant.step(10.0)
    assert not plant.contactor_closed
    plant.clear("contactor_open", 10.0)
    plant.step(11.0)
    assert plant.contactor_closed


def test_meter_overdraw_and_switch() -> None:
    recorder = charging(duty=40.0)
    plant = recorder.plant
    for kind in ("meter", "overdraw", "switch_unreadable"):
        plant.inject(kind, 100.0)
    recorder.run(100.0)
    assert isnan(plant.meter_a)
    assert recorder.currents[-1] == (100.0, 36.0)
    assert recorder.inputs[-1][1].switch is None
    plant.unplug(101.0)
    plant.plug(WORST, 102.0)
    recorder.run(110.0)
    assert plant.current_a == 36.0, "the fault is the station's, whichever car comes"


def test_pilot_fault_drive_is_state_f() -> None:
    plant = Plant(11)
    plant.hold(0.0)
    plant.pilot_fault(0.0)
    assert (plant.letter, plant.inputs.pilot) == ("F", (-12.0, -12.0))


# Board


class Wire:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def test_board_drives_the_plant_at_the_clocks_time() -> None:
    recorder = Recorder(Plant(11))
    plant, wire, store = recorder.plant, Wire(), MemoryStore()
    board: Board = PlantBoard(plant, lambda: recorder.now, wire, store, MemoryStore(), SILENT)
    plant.hold(0.0)
    plant.plug(WORST, 0.0)
    board.pilot.pwm(40.0)
    recorder.run(2.0)
    board.contactor.close()
    recorder.run(10.0)
    assert board.meter.current_a() == 24.0
    board.pilot.steady()
    assert plant.duty == 0.0
    board.contactor.open()
    recorder.run(10.0 + CONTACTOR_S)
    assert board.meter.current_a() == 0.0
    board.pilot.fault()
    assert plant.letter == "F"
    plant.inject("meter", recorder.now)
    assert isnan(board.meter.current_a())
    board.bus.send(b"frame")
    assert wire.sent == [b"frame"]
    assert board.store.load() == b""
    board.store.save(b"record")
    assert store.load() == b"record"


# Properties

VERBS: dict[str, Callable[[Plant, float], object]] = {
    "steady": Plant.pilot_steady,
    "fault": Plant.pilot_fault,
    "close": Plant.contactor_close,
    "open": Plant.contactor_open,
    "refresh": Plant.refresh,
    "hold": Plant.hold,
    "release": Plant.release_hold,
    "unplug": lambda plant, now: plant.unplug(now) if plant.connected else None,
    "power_off": Plant.power_off,
    "power_on": Plant.power_on,
}
Verb = Callable[[Plant, float], object]
Act = tuple[float, Verb]


def _pwm(duty: float) -> Verb:
    return lambda plant, now: plant.pilot_pwm(duty, now)


def _plug(spec: VehicleSpec) -> Verb:
    return lambda plant, now: None if plant.connected else plant.plug(spec, now)


def _fault(kind: str, on: bool) -> Verb:
    return lambda plant, now: (plant.inject if on else plant.clear)(kind, now)


SPECS = st.builds(
    VehicleSpec,
    st.just("any"),
    max_a=st.sampled_from([6.0, 16.0, 32.0, 48.0, 80.0]),
    min_a=st.sampled_from([6.0, 8.0]),
    draw_ratio=st.sampled_from([0.95, 1.0]),
    start_delay_s=st.sampled_from([0.0, 2.0, 15.0]),
    reaction_s=st.sampled_from([0.0, 0.5, 5.0, 6.0]),
    ramp_a_per_s=st.sampled_from([0.0, 1.0, 5.0]),
    battery_kwh=st.sampled_from([0.1, 0.5, 75.0]),
    soc=st.sampled_from([0.3, 0.94, 0.99, 1.0]),
)
QUIET = st.sampled_from([kind for kind in FAULT_KINDS if kind != "overdraw"])
TELLING = st.sampled_from(sorted(VERBS)).map(VERBS.__getitem__)
PWM = st.sampled_from([5.0, 9.0, 10.0, 13.5, 20.0, 40.0, 80.0, 90.0, 96.0]).map(_pwm)
WAITS = st.one_of(st.sampled_from([0.0, CONTACTOR_S, 1.0, 3.0, 5.0]), st.floats(0.0, 40.0))


def acts(*others: st.SearchStrategy[Verb]) -> st.SearchStrategy[list[Act]]:
    """A station that is held and closed more often than not, with anything in between."""
    likely = st.sampled_from([Plant.hold, Plant.contactor_close, Plant.contactor_close])
    return st.lists(st.tuples(WAITS, st.one_of(likely, PWM, PWM, TELLING, *others)), max_size=40)


OBEDIENT = acts(SPECS.map(_plug), SPECS.map(_plug), st.builds(_fault, QUIET, st.booleans()))
REFUSERS = SPECS.map(lambda spec: _plug(replace(spec, obeys=False)))
ANYTHING = acts(SPECS.map(_plug), REFUSERS, st.builds(_fault, st.sampled_from(FAULT_KINDS), st.booleans()))


def start() -> Recorder:
    recorder = Recorder(Plant(11))
    recorder.plant.hold(0.0)
    _plug(WORST)(recorder.plant, 0.0)
    _pwm(40.0)(recorder.plant, 0.0)
    recorder.run(2.0)
    recorder.plant.contactor_close(2.0)
    return recorder


def play(recorder: Recorder, script: list[Act], check: Callable[[], None] = lambda: None) -> None:
    for wait, act in script:
        until = recorder.now + wait
        while (due := recorder.plant.next_wakeup()) <= until:
            recorder.run(due)
            check()
        recorder.run(until)
        act(recorder.plant, recorder.now)
        check()


@given(ANYTHING)
def test_no_current_without_a_car_behind_a_closed_contactor(script: list[Act]) -> None:
    recorder = start()
    plant, energy = recorder.plant, [0.0]

    def check() -> None:
        assert 0.0 <= plant.current_a <= plant.possible_a + 1e-9
        if not (plant.connected and plant.contactor_closed):
            assert plant.possible_a == 0.0
        energy.append(plant.energy_kwh(recorder.now))
        assert energy[-1] >= energy[-2]

    play(recorder, script, check)
    assert recorder.plant.next_wakeup() >= recorder.now


@given(OBEDIENT)
def test_an_obedient_car_stays_below_every_offer_of_its_reaction_time(script: list[Act]) -> None:
    recorder = start()
    plant, offers = recorder.plant, [(0.0, 24.0)]

    def check() -> None:
        if plant.offered_a != offers[-1][1]:
            offers.append((recorder.now, plant.offered_a))
        if (spec := plant.vehicle) is None:
            return
        ends = [t for t, _ in offers[1:]] + [inf]
        # an offer reaches to one reaction after its end, inclusive of the instant
        live = [a for (_, a), end in zip(offers, ends, strict=True) if end + spec.reaction_s >= recorder.now]
        assert plant.possible_a <= min(spec.max_a, max(live))
        assert plant.current_a <= min(spec.max_a, spec.draw_ratio * max(live)) + 1e-9

    play(recorder, script, check)


@given(ANYTHING)
def test_whoever_listens_to_the_hook_can_add_up_the_energy(script: list[Act]) -> None:
    recorder = start()
    play(recorder, script)
    recorder.run(recorder.now + 1.0)
    times = [t for t, _ in recorder.currents[1:]] + [recorder.now]
    held = zip(recorder.currents, times, strict=True)
    kwh = sum(amps * 0.24 * (end - begin) / 3600.0 for (begin, amps), end in held)
    assert recorder.plant.energy_kwh(recorder.now) == pytest.approx(kwh, abs=1e-9)


@given(ANYTHING)
def test_a_world_that_never_steps_ends_in_the_same_state(script: list[Act]) -> None:
    recorder, late = start(), start()
    play(recorder, script)
    now = 2.0
    for wait, act in script:
        now += wait
        act(late.plant, now)
    recorder.run(now + 100.0)
    late.plant.step(now + 100.0)
    assert late.plant.snapshot() == recorder.plant.snapshot()
    assert late.plant.inputs == recorder.plant.inputs
    assert late.plant.energy_kwh(now + 100.0) == recorder.plant.energy_kwh(now + 100.0)


@given(st.sampled_from([10.0, 40.0, 80.0]), st.integers(1, 20))
def test_an_hour_of_steady_charging_wakes_nobody(duty: float, hours: int) -> None:
    recorder = charging(replace(CAR, battery_kwh=1000.0), duty)
    before = recorder.wakeups
    recorder.run(100.0 + 3600.0 * hours)
    assert (recorder.wakeups, recorder.plant.current_a) == (before, duty_to_amps(duty))
