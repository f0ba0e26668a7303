"""The watch over ground: its self-test step by step, and a sensor that lies. What the standard asks of the whole
station is in test_standard.py."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.ground import MONITOR_S, TEST_S, GroundWatch
from firmware.protection import Faults
from firmware.station import Station
from firmware.timing import RECLOSE_S
from hal.api import GroundFault, Inputs, PilotReading
from hal.simulated.board import MemoryStore, PlantBoard
from hal.simulated.plant import RELEASE_S, TRIP_S
from tests.unit.evse import SILENT, TIMING, Evse

OPEN = Inputs(15, PilotReading(12.0, 12.0), contactor_closed=False)
CLOSED = OPEN._replace(contactor_closed=True)


class _Sensor(GroundFault):
    """Only notes what is asked of it."""

    def __init__(self) -> None:
        self.driven = False

    def test(self, on: bool) -> None:
        self.driven = on


class Watch:
    """A watch whose sensor is played by hand."""

    def __init__(self) -> None:
        self.sensor, self.faults = _Sensor(), Faults()
        self.ground = GroundWatch(self.sensor, self.faults)
        self.ground.start(0.0)
        self.ground.on_inputs(OPEN, 0.0)

    def drives(self) -> bool:
        return self.sensor.driven

    def trip(self, tripped: bool, now: float, inputs: Inputs = OPEN) -> None:
        self.ground.on_inputs(inputs._replace(ground_fault=tripped), now)


def test_a_test_drives_the_winding_until_the_trip_and_passes_when_the_sensor_has_let_go() -> None:
    watch = Watch()
    assert not watch.drives()
    assert not watch.ground.tested(1.0)
    assert watch.drives()
    watch.trip(True, 1.02)
    assert not watch.drives()
    assert not watch.ground.tested(1.03)
    watch.trip(False, 1.07)
    assert watch.ground.tested(1.08)
    assert watch.ground.deadline == inf
    assert watch.faults.worst == ""


def test_a_test_that_has_passed_is_good_for_one_closing() -> None:
    watch = Watch()
    watch.ground.tested(1.0)
    watch.trip(True, 1.02)
    watch.trip(False, 1.07)
    assert watch.ground.tested(2.0)
    watch.ground.abandon(2.0)
    assert not watch.ground.tested(3.0)
    assert watch.drives()


@pytest.mark.parametrize("trips", [False, True])
def test_a_sensor_that_does_not_trip_or_does_not_let_go_in_time_has_failed(trips: bool) -> None:
    watch = Watch()
    watch.ground.tested(1.0)
    if trips:
        watch.trip(True, 1.0)
    assert watch.ground.deadline == 1.0 + TEST_S
    watch.ground.step(1.0 + TEST_S - 0.001)
    assert watch.faults.worst == ""
    watch.ground.step(1.0 + TEST_S)
    assert watch.faults.worst == "ground_fault_self_test"
    assert not watch.drives()
    assert not watch.ground.tested(1.0 + TEST_S)


def test_a_trip_while_the_winding_lets_go_of_an_abandoned_test_is_no_ground_fault() -> None:
    watch = Watch()
    watch.ground.tested(1.0)
    watch.trip(True, 1.02)
    watch.ground.abandon(1.03)
    assert not watch.drives()
    watch.trip(False, 1.07)
    assert watch.faults.worst == ""
    assert not watch.ground.tested(1.1), "it begins anew"
    assert watch.drives()


def test_a_sensor_that_stays_tripped_with_nothing_to_trip_it_is_a_ground_fault() -> None:
    watch = Watch()
    watch.ground.start(10.0)
    watch.trip(True, 10.0)
    watch.ground.step(10.0 + TEST_S)
    assert watch.faults.worst == "ground_fault"


@pytest.mark.parametrize("begins_s", [0.0, 9.99, 10.0, 3600.0])
def test_a_leak_is_tried_again_only_where_it_did_not_come_with_the_closing(begins_s: float) -> None:
    watch = Watch()
    watch.trip(False, 100.0, CLOSED)
    watch.trip(True, 100.0 + begins_s, CLOSED)
    assert watch.faults.worst == "ground_fault"
    gone_at = 101.0 + begins_s
    watch.trip(False, gone_at)
    assert watch.faults.step(gone_at) == (inf if begins_s < 10.0 else gone_at + RECLOSE_S)


def test_a_ground_that_chatters_in_the_first_second_is_not_judged_and_later_at_once() -> None:
    watch = Watch()
    for tenth in range(10):
        watch.trip(False, tenth / 10, CLOSED._replace(grounded=tenth % 2 == 0))
    assert watch.faults.worst == ""
    assert watch.ground.deadline == MONITOR_S
    watch.ground.step(MONITOR_S)
    assert watch.faults.worst == "no_ground", "it was missing when the second was over"
    watch.trip(False, 2.0)
    assert watch.faults.step(2.0) == 2.0 + RECLOSE_S


def test_an_open_output_says_nothing_about_ground() -> None:
    watch = Watch()
    watch.trip(False, 100.0, OPEN._replace(grounded=False))
    assert watch.faults.worst == ""


# A station whose sensor lies


def test_a_station_never_closes_onto_a_sensor_that_chatters() -> None:
    """A trip with the contactor open is a fault at once, and its pause starts anew with each trip."""
    evse = Evse()
    evse.plug()
    chatter = (evse.plant.inputs._replace(ground_fault=True), evse.plant.inputs)
    for tripped in range(400):
        evse.station.on_inputs(chatter[tripped % 2], evse.now)
        evse.run(0.05)
        assert not evse.closed
    evse.run(RECLOSE_S - 1.0)
    assert not evse.closed
    evse.run(30.0)
    assert (evse.closed, evse.station.faults.codes) == (True, ())


def test_a_sensor_that_does_not_let_go_of_its_test_disables_the_station() -> None:
    evse = Evse()
    evse.plant.on_inputs = lambda inputs: evse.station.on_inputs(
        inputs._replace(ground_fault=inputs.ground_fault or evse.station.state in ("C2", "F")), evse.now
    )
    evse.plug()
    evse.run(20.0)
    assert evse.station.faults.worst == "ground_fault_self_test"
    assert (evse.station.state, evse.closed, evse.plant.letter) == ("F", False, "F")
    assert not any(seen.contactor_closed for _, seen in evse.log)


def test_a_car_that_changes_its_mind_in_the_middle_of_a_test_leaves_nothing_behind() -> None:
    evse = Evse()
    for for_s in (0.26, 0.27, 0.28, 0.3, 0.35, 0.4, 0.7):
        evse.show("B")
        evse.run(2.0)
        evse.show("C")
        evse.run(for_s)
        evse.show("B")
        evse.run(1.0)
        assert not evse.plant._testing
    assert evse.station.faults.codes == ()
    evse.show("C")
    assert evse.until(lambda: evse.closed) < 10.0


@pytest.mark.parametrize("after_s", [0.0, TRIP_S / 2, TRIP_S, TRIP_S + RELEASE_S / 2, 0.2])
def test_a_process_that_starts_in_the_middle_of_a_test_ends_it(after_s: float) -> None:
    evse = Evse()
    evse.plug()
    assert evse.until(lambda: evse.plant._testing) < 5.0
    evse.run(after_s)
    evse.station = Station(evse.station._board, TIMING, 480)
    evse.station.start(evse.plant.inputs, evse.now)
    assert not evse.plant._testing
    evse.station.set_ready(True, evse.now)
    evse.run(30.0)
    assert (evse.station.faults.codes, evse.plant.current_a) == ((), 32.0)


def test_a_restart_ends_a_failed_self_test_after_the_repair_and_only_then() -> None:
    evse = Evse()
    evse.plant.inject("ground_fault_self_test", evse.now)
    evse.plug()
    evse.run(20.0)
    assert evse.station.state == "F"
    for repaired in (False, True):
        if repaired:
            evse.plant.clear("ground_fault_self_test", evse.now)
            evse.run(3600.0)
            assert evse.station.state == "F"
        evse.station = Station(_board(evse), TIMING, 480)
        evse.station.start(evse.plant.inputs, evse.now)
        evse.station.set_ready(True, evse.now)
        evse.run(40.0)
        assert evse.closed == repaired


def _board(evse: Evse) -> PlantBoard:
    bus = evse.station._board.bus
    return PlantBoard(evse.plant, lambda: evse.now, bus, MemoryStore(), MemoryStore(), SILENT)


MOMENTS = st.lists(
    st.tuples(st.floats(0.001, 2.0), st.sampled_from(["trip", "clear", "close", "open", "test", "abandon", "start"])),
    max_size=40,
)


@given(moments=MOMENTS)
def test_no_sequence_passes_a_test_without_a_trip_and_a_release(moments: list[tuple[float, str]]) -> None:
    watch, now, inputs, seen = Watch(), 0.0, OPEN, ""
    for later_s, what in moments:
        now += later_s
        match what:
            case "trip" | "clear":
                inputs = inputs._replace(ground_fault=what == "trip")
                seen += "t" if what == "trip" else "c"
            case "close" | "open":
                inputs = inputs._replace(contactor_closed=what == "close")
        watch.ground.on_inputs(inputs, now)
        if what == "test":
            begins = not watch.drives()
            passed = watch.ground.tested(-inf, now)
            if begins and watch.drives():
                seen = ""
            assert not passed or "tc" in seen
        elif what == "abandon":
            watch.ground.abandon(now)
            assert not watch.drives()
        elif what == "start":
            watch.ground.start(now)
            assert not watch.drives()
