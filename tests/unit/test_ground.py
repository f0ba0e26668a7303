"""The watch over ground: its self-test step by step, and a sensor that lies. What the standard asks of the whole
station is in test_standard.py."""

from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.faults import Faults
from firmware.ground import MONITOR_S, TEST_S, GroundWatch
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

    def codes(self) -> tuple[str, ...]:
        return self.faults.codes

    def earth(self, grounded: bool, now: float) -> None:
        self.ground.on_inputs(CLOSED._replace(grounded=grounded), now)

    def passes(self, now: float) -> None:
        """A test that takes 0.07 s."""
        assert not self.ground.tested(-inf, now)
        assert self.drives()
        self.trip(True, now + 0.02)
        self.trip(False, now + 0.07)
        assert self.ground.tested(-inf, now + 0.07)


def test_a_test_drives_the_winding_until_the_trip_and_passes_when_the_sensor_has_let_go() -> None:
    watch = Watch()
    assert not watch.drives()
    assert not watch.ground.tested(-inf, 1.0)
    assert watch.drives()
    watch.trip(True, 1.02)
    assert not watch.drives()
    assert not watch.ground.tested(-inf, 1.03)
    watch.trip(False, 1.07)
    assert watch.ground.tested(-inf, 1.08)
    assert watch.ground.deadline == inf
    assert watch.faults.worst == ""


def test_a_test_that_has_passed_is_good_for_one_closing() -> None:
    watch = Watch()
    watch.passes(1.0)
    assert watch.ground.tested(-inf, 2.0)
    watch.ground.abandon(2.0)
    assert not watch.ground.tested(-inf, 3.0)
    assert watch.drives()


def test_a_test_from_before_the_last_change_of_the_pilot_is_done_again() -> None:
    watch = Watch()
    watch.passes(1.0)
    assert watch.ground.tested(1.07, 2.0)
    assert not watch.ground.tested(1.08, 2.0)
    assert watch.drives()
    watch.trip(True, 2.02)
    watch.trip(False, 2.07)
    assert watch.ground.tested(1.08, 2.1)


@pytest.mark.parametrize("trips", [False, True])
def test_a_sensor_that_does_not_trip_or_does_not_let_go_in_time_has_failed(trips: bool) -> None:
    watch = Watch()
    watch.ground.tested(-inf, 1.0)
    if trips:
        watch.trip(True, 1.0)
    assert watch.ground.deadline == 1.0 + TEST_S
    watch.ground.step(1.0 + TEST_S - 0.001)
    assert watch.faults.worst == ""
    watch.ground.step(1.0 + TEST_S)
    assert watch.faults.worst == "ground_fault_self_test"
    assert not watch.drives()
    assert not watch.ground.tested(-inf, 1.0 + TEST_S)


def test_a_trip_while_the_winding_lets_go_of_an_abandoned_test_is_no_ground_fault() -> None:
    watch = Watch()
    watch.ground.tested(-inf, 1.0)
    watch.trip(True, 1.02)
    watch.ground.abandon(1.03)
    assert not watch.drives()
    watch.trip(False, 1.07)
    assert watch.faults.worst == ""
    assert not watch.ground.tested(-inf, 1.1), "it begins anew"
    assert watch.drives()


def test_a_trip_behind_an_open_contactor_is_no_ground_fault_but_the_sensor_s_own() -> None:
    """It is not ready to be tested, and the test waits for it no longer than for a trip."""
    watch = Watch()
    watch.trip(True, 10.0)
    watch.ground.step(3600.0)
    assert (watch.codes(), watch.ground.deadline) == ((), inf)
    assert not watch.ground.tested(-inf, 4000.0)
    assert not watch.drives(), "it would trip without the winding too: that proves nothing"
    watch.ground.step(4000.0 + TEST_S - 0.001)
    assert watch.codes() == ()
    watch.ground.step(4000.0 + TEST_S)
    assert watch.codes() == ("ground_fault_self_test",)
    assert not watch.drives()


def test_a_sensor_that_lets_go_in_time_is_tested_then() -> None:
    watch = Watch()
    watch.trip(True, 10.0)
    assert not watch.ground.tested(-inf, 11.0)
    watch.trip(False, 11.4)
    watch.passes(11.4)
    assert watch.codes() == ()


def test_three_trips_in_a_row_between_test_and_closing_fail_it() -> None:
    watch = Watch()
    for second in (1.0, 2.0, 3.0):
        assert watch.codes() == ()
        watch.passes(second)
        watch.trip(True, second + 0.2)
        assert not watch.ground.tested(-inf, second + 0.2)
        assert not watch.drives()
        watch.trip(False, second + 0.3)
    assert watch.codes() == ("ground_fault_self_test",)


def test_two_trips_between_test_and_closing_are_put_up_with_each_time() -> None:
    watch = Watch()
    for second in (1.0, 2.0, 11.0, 12.0):
        watch.passes(second)
        watch.trip(True, second + 0.2)
        watch.trip(False, second + 0.3)
        if second == 2.0:
            watch.passes(3.0)
            watch.ground.abandon(4.0)  # the contactor has been told to close
    assert watch.codes() == ()


@pytest.mark.parametrize(("later_s", "code"), [(0.0, "ground_fault"), (0.099, "ground_fault"), (0.101, "")])
@pytest.mark.parametrize("charged_s", [3.0, 3600.0])
def test_a_leak_that_has_opened_the_contactor_by_itself_is_one_and_locks_out_as_any(
    later_s: float, code: str, charged_s: float
) -> None:
    """The sensor's own output is in the coil circuit: the feedback may say so before the sensor does."""
    watch = Watch()
    watch.trip(False, 100.0, CLOSED)
    opened = 100.0 + charged_s
    watch.trip(False, opened)
    watch.trip(True, opened + later_s)
    assert watch.faults.worst == code
    watch.trip(False, opened + 1.0)
    if code:
        assert watch.faults.step(opened + 1.0) == (inf if charged_s < 10.0 else opened + 1.0 + RECLOSE_S)


@pytest.mark.parametrize("begins_s", [0.0, 9.99, 10.0, 3600.0])
def test_a_leak_is_tried_again_only_where_it_did_not_come_with_the_closing(begins_s: float) -> None:
    watch = Watch()
    watch.trip(False, 100.0, CLOSED)
    watch.trip(True, 100.0 + begins_s, CLOSED)
    assert watch.faults.worst == "ground_fault"
    gone_at = 101.0 + begins_s
    watch.trip(False, gone_at)
    assert watch.faults.step(gone_at) == (inf if begins_s < 10.0 else gone_at + RECLOSE_S)


@pytest.mark.parametrize("bounce_s", [0.001, 0.05])
def test_a_feedback_that_bounces_while_a_leak_opens_it_is_no_new_closing(bounce_s: float) -> None:
    watch = Watch()
    watch.trip(False, 100.0, CLOSED)
    for i, inputs in enumerate((OPEN, CLOSED, OPEN)):
        watch.trip(True, 700.0 + i * bounce_s, inputs)
    assert watch.codes() == ("ground_fault",)
    watch.trip(False, 701.0)
    assert watch.faults.step(701.0) == 701.0 + RECLOSE_S, "it came 10 min after the closing"


def test_a_sensor_that_stays_tripped_when_the_vehicle_has_left_is_no_leak_any_more() -> None:
    watch = Watch()
    watch.trip(False, 100.0, CLOSED)
    watch.trip(True, 200.0, CLOSED)
    watch.trip(True, 200.03)
    watch.faults.on_unplugged()
    for now, codes in ((200.03 + TEST_S - 0.001, ("ground_fault",)), (200.03 + TEST_S, ())):
        watch.ground.step(now)
        watch.faults.step(now)
        assert watch.codes() == codes
    assert not watch.ground.tested(-inf, 210.0)
    watch.ground.step(210.0 + TEST_S)
    assert watch.codes() == ("ground_fault_self_test",), "and the next test finds the sensor"


@pytest.mark.parametrize("begin", [0.0, 60.0])
def test_an_earth_is_missed_when_it_is_gone_for_a_second_without_a_break(begin: float) -> None:
    watch = Watch()
    watch.earth(True, 0.0)
    for tenth in range(46):
        watch.earth(tenth % 9 == 0, begin + tenth / 10)
    assert watch.codes() == (), "never for longer than 0.8 s"
    gone_at = begin + 10.0
    watch.earth(True, gone_at - 0.1)
    watch.earth(False, gone_at)
    assert watch.ground.deadline == gone_at + MONITOR_S
    watch.ground.step(gone_at + MONITOR_S - 0.001)
    assert watch.codes() == ()
    watch.ground.step(gone_at + MONITOR_S)
    assert watch.codes() == ("no_ground",)
    watch.trip(False, gone_at + 2.0)
    assert watch.faults.step(gone_at + 2.0) == gone_at + 2.0 + RECLOSE_S


def test_an_earth_that_is_missing_since_before_the_closing_counts_from_the_closing() -> None:
    watch = Watch()
    watch.trip(False, 100.0, OPEN._replace(grounded=False))
    assert watch.ground.deadline == inf
    watch.earth(False, 200.0)
    assert watch.ground.deadline == 200.0 + MONITOR_S
    watch.ground.step(200.0 + MONITOR_S)
    assert watch.codes() == ("no_ground",)


def test_an_open_output_says_nothing_about_earth() -> None:
    watch = Watch()
    watch.trip(False, 100.0, OPEN._replace(grounded=False))
    watch.ground.step(100.0 + 2 * MONITOR_S)
    assert watch.faults.worst == ""


# A station whose sensor lies


def sense(evse: Evse, change: Callable[[Inputs], Inputs]) -> None:
    """From now on the station senses the truth so changed."""
    evse.plant.on_inputs = lambda inputs: evse.station.on_inputs(change(inputs), evse.now)
    evse.plant.on_inputs(evse.plant.inputs)


def test_a_sensor_that_is_tripped_from_the_start_shows_at_the_first_closing_and_never_closes() -> None:
    evse = Evse()
    sense(evse, lambda true: true._replace(ground_fault=True))
    evse.run(3600.0)
    assert (evse.station.faults.codes, evse.station.state) == ((), "A1")
    evse.plug()
    assert evse.until(lambda: evse.station.state == "F") < 10.0
    evse.run(60.0)
    assert evse.station.faults.codes == ("ground_fault_self_test",)
    assert not any(seen.contactor_closed for _, seen in evse.log)


@pytest.mark.parametrize("later_s", [0.0, 0.3, 5.0])
def test_a_trip_of_10_ms_on_an_empty_station_takes_nothing_from_the_next_car(later_s: float) -> None:
    evse = Evse()
    evse.station.on_inputs(evse.plant.inputs._replace(ground_fault=True), evse.now)
    evse.run(0.01)
    evse.station.on_inputs(evse.plant.inputs, evse.now)
    evse.run(later_s)
    evse.charge()
    assert evse.station.faults.codes == ()


@pytest.mark.parametrize("every_s", [0.01, 0.03, 0.05, 0.07, 0.1, 0.2, 0.4])
def test_a_sensor_that_chatters_lets_its_station_close_once_at_most_and_never_supply(every_s: float) -> None:
    evse = Evse()
    evse.plug()
    closings = 0
    for i in range(round(60.0 / every_s)):
        evse.station.on_inputs(evse.plant.inputs._replace(ground_fault=i % 2 == 0), evse.now)
        was_closed = evse.closed
        evse.run(every_s)
        closings += evse.closed and not was_closed
    assert evse.station.faults.worst in ("ground_fault_self_test", "ground_fault")
    assert closings <= 1
    evse.station.on_inputs(evse.plant.inputs, evse.now)
    evse.run(2 * RECLOSE_S)
    assert not evse.closed, "in the first 10 s: for good"


def test_a_sensor_that_does_not_let_go_of_its_test_disables_the_station() -> None:
    evse = Evse()
    sense(evse, lambda true: true._replace(ground_fault=true.ground_fault or evse.station.state in ("C2", "F")))
    evse.plug()
    evse.run(20.0)
    assert evse.station.faults.codes == ("ground_fault_self_test",)
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
