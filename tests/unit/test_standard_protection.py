"""The table of protections, row by row, over a simulated plant in virtual time (`pytest --clauses`)."""

from itertools import pairwise

import pytest

from firmware.protection import BY_CODE, Severity
from hal.api import Inputs
from hal.simulated.lag import Lag
from hal.simulated.plant import CONTACTOR_S, TRIP_S
from tests.scenario.helpers import READY_S, Bench, event, plugs, scenario
from tests.unit.evse import EDGE_S, REFUSER, Evse, at_every_phase


@pytest.mark.clause("ground fault")
def test_the_contactor_is_told_to_open_at_the_sensor_s_trip_at_every_phase() -> None:
    for evse in at_every_phase():
        evse.plant.inject("ground_fault", evse.now)
        begin = evse.now
        evse.run(1)
        tripped = next(at for at, inputs in evse.sensed if at >= begin and inputs.ground_fault)
        assert tripped == pytest.approx(begin + TRIP_S, abs=EDGE_S)
        assert evse.opened_after(tripped) == pytest.approx(CONTACTOR_S, abs=EDGE_S), "nothing but its travel"
        assert (evse.fault, evse.offered_a) == ("ground_fault", 0.0)


@pytest.mark.clause("ground fault")
def test_a_leak_while_the_pwm_is_stopped_and_the_car_still_draws_opens_at_the_trip() -> None:
    evse = Evse()
    evse.charge(REFUSER)
    evse.granting = False
    assert evse.until(lambda: evse.station.state == "C1") < 6
    evse.plant.inject("ground_fault", evse.now)
    assert evse.until(lambda: not evse.closed) == pytest.approx(TRIP_S + CONTACTOR_S, abs=0.0011)


@pytest.mark.clause("ground fault")
def test_a_leak_that_is_there_when_the_contactor_closes_opens_it_at_the_trip() -> None:
    evse = Evse()
    evse.plant.inject("ground_fault", evse.now)
    evse.plug()
    evse.run(30)
    closed = evse.first(lambda seen: seen.contactor_closed)
    assert evse.opened_after(closed) == pytest.approx(TRIP_S + CONTACTOR_S, abs=EDGE_S)
    assert evse.fault == "ground_fault"


@pytest.mark.clause("ground fault")
@pytest.mark.parametrize(("trip_s", "release_s"), [(0.025, 0.05), (0.45, 0.05), (0.45, 0.45)])
def test_every_closing_has_a_self_test_before_it(trip_s: float, release_s: float) -> None:
    evse = Evse()
    evse.plant._sensor = Lag(trip_s, release_s)
    for _ in range(5):
        evse.charge()
        evse.unplug()
        evse.run(8)
    moves = [
        (at, after.contactor_closed)
        for (_, before), (at, after) in pairwise(evse.log)
        if after.contactor_closed is not before.contactor_closed
    ]
    closings = [at for at, closed in moves if closed]
    openings = [0.0, *(at for at, closed in moves if not closed)]
    assert len(closings) == 5
    for opened, closed in zip(openings, closings, strict=False):
        seen = [inputs.ground_fault for at, inputs in evse.sensed if opened < at < closed]
        assert True in seen, "the sensor was made to trip while the contactor was open"
        assert not seen[-1], "and has let go"


@pytest.mark.clause("ground fault")
@pytest.mark.parametrize("flips", [1, 2, 7, 40])
def test_a_self_test_from_before_the_pilot_s_last_change_is_not_enough(flips: int) -> None:
    """C and D in turn: each begins the 500 ms anew."""
    evse = Evse()
    evse.show("B")
    assert evse.until(lambda: evse.offered_a > 0) < 10
    for i in range(flips):
        evse.show("CD"[i % 2])
        evse.run(0.4)
        assert not evse.closed
    evse.show("CD"[flips % 2])
    changed = evse.now
    assert evse.until(lambda: evse.closed) < 3.0
    assert True in [inputs.ground_fault for at, inputs in evse.sensed if at > changed]


@pytest.mark.clause("ground fault")
def test_a_self_test_that_fails_is_a_hard_fault_and_the_contactor_never_closes() -> None:
    assert BY_CODE["ground_fault_self_test"].severity is Severity.DISABLED
    evse = Evse()
    evse.plant.inject("ground_fault_self_test", evse.now)
    evse.plug()
    assert evse.until(lambda: evse.fault != "") < 20
    assert (evse.fault, evse.station.state) == ("ground_fault_self_test", "F")
    evse.plant.clear("ground_fault_self_test", evse.now)
    evse.unplug()
    evse.run(3600)
    evse.plug()
    evse.run(60)
    assert (evse.fault, evse.station.state) == ("ground_fault_self_test", "F")
    assert not any(seen.contactor_closed for _, seen in evse.log)


def leak(evse: Evse) -> None:
    """A ground fault that is there for a moment."""
    evse.plant.inject("ground_fault", evse.now)
    assert evse.until(lambda: not evse.closed) < 0.1
    evse.plant.clear("ground_fault", evse.now)


@pytest.mark.clause("reclose")
def test_a_ground_fault_is_tried_again_after_15_min_4_times_and_then_no_more() -> None:
    evse = Evse()
    evse.charge()
    for _ in range(4):
        evse.run(20)
        leak(evse)
        evse.run(15 * 60.0)
        assert not evse.closed
        assert evse.until(lambda: evse.closed) < 10.0
    evse.run(20)
    leak(evse)
    evse.run(3 * 3600)
    assert (evse.fault, evse.closed) == ("ground_fault", False)


@pytest.mark.clause("reclose")
@pytest.mark.parametrize(("after_s", "locked"), [(0.1, True), (5.0, True), (9.9, True), (10.1, False)])
def test_a_ground_fault_in_the_first_10_s_is_not_tried_again(after_s: float, locked: bool) -> None:
    evse = Evse()
    evse.plug()
    assert evse.until(lambda: evse.closed) < 10
    evse.run(after_s - TRIP_S)
    leak(evse)
    evse.run(1000)
    assert evse.closed is not locked
    if locked:
        evse.unplug()
        evse.run(10)
        evse.charge()


@pytest.mark.clause("reclose")
@pytest.mark.parametrize(("after_s", "locked"), [(0.1, True), (3.0, True), (9.9, True), (10.1, False)])
@pytest.mark.parametrize("trip_later_s", [-0.01, 0.0, 0.01, 0.09])
def test_a_ground_fault_locks_out_also_where_the_sensor_s_own_output_opens_the_contactor(
    trip_later_s: float, after_s: float, locked: bool
) -> None:
    """The feedback may be open before the trip is heard, or together with it."""
    evse = Evse()
    evse.plug()
    assert evse.until(lambda: evse.closed) < 10
    evse.run(after_s)
    opens, trips = evse.now + max(0.0, -trip_later_s), evse.now + max(0.0, trip_later_s)

    def look(true: Inputs) -> None:
        closed, tripped = true.contactor_closed and evse.now < opens, evse.now >= trips
        evse.station.on_inputs(true._replace(contactor_closed=closed, ground_fault=tripped), evse.now)

    evse.plant.on_inputs = look
    for _ in range(2):
        look(evse.plant.inputs)
        evse.run(abs(trip_later_s))
    look(evse.plant.inputs)
    assert "ground_fault" in evse.station.faults.codes
    evse.run(0.2)
    evse.plant.on_inputs = evse._sense
    evse._sense(evse.plant.inputs)
    assert not evse.closed
    evse.run(1000)
    assert evse.closed is not locked
    evse.unplug()
    evse.run(40)
    evse.charge()


@pytest.mark.clause("reclose")
@pytest.mark.parametrize("later_s", [0.0, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 1.0])
def test_a_ground_fault_leaves_with_its_vehicle_although_the_sensor_lets_go_later(later_s: float) -> None:
    evse = Evse()
    evse.charge()
    evse.run(20)
    evse.plant.inject("ground_fault", evse.now)
    evse.run(later_s)
    evse.unplug()
    evse.plant.clear("ground_fault", evse.now)
    evse.run(1)
    assert evse.fault == ""
    evse.run(8)
    evse.charge()


@pytest.mark.clause("not closing")
def test_a_contactor_that_does_not_close_is_never_shown_as_a_ground_fault() -> None:
    evse = Evse()
    evse.plant.inject("contactor_open", evse.now)
    evse.plug()
    shown: set[str] = set()
    for _ in range(2000):
        evse.run(0.1)
        shown.update(evse.station.faults.codes)
    assert shown == {"contactor_open"}


@pytest.mark.clause("ground monitor")
@pytest.mark.parametrize("for_s", [0.0, 0.5, 0.99])
def test_ground_is_not_judged_within_a_second_of_closing(for_s: float) -> None:
    evse = Evse()
    evse.plant.inject("no_ground", evse.now)
    evse.plug()
    assert evse.until(lambda: evse.closed) < 10
    evse.run(for_s)
    assert evse.closed
    evse.plant.clear("no_ground", evse.now)
    evse.run(60)
    assert (evse.fault, evse.closed) == ("", True)


@pytest.mark.clause("ground monitor")
@pytest.mark.parametrize("later_s", [-1.0, 0.0, 0.3, 30.0])
def test_a_missing_ground_opens_when_it_has_stood_for_a_second_with_the_contactor_closed(later_s: float) -> None:
    evse = Evse()
    if later_s < 0.0:
        evse.plant.inject("no_ground", evse.now)
    evse.plug()
    assert evse.until(lambda: evse.closed) < 10
    evse.run(max(0.0, later_s))
    evse.plant.inject("no_ground", evse.now)
    assert evse.until(lambda: not evse.closed) == pytest.approx(1.0 + CONTACTOR_S, abs=0.0021)
    assert evse.fault == "no_ground"


@pytest.mark.clause("ground monitor")
@pytest.mark.parametrize("for_s", [0.001, 0.1, 0.99])
def test_a_ground_that_is_missing_for_less_than_a_second_stops_nothing(for_s: float) -> None:
    evse = Evse()
    evse.charge()
    begin = evse.now
    for _ in range(5):
        evse.plant.inject("no_ground", evse.now)
        evse.run(for_s)
        evse.plant.clear("no_ground", evse.now)
        evse.run(0.01)
        assert evse.fault == ""
    evse.run(60)
    assert not [at for at, _ in evse.log if at > begin]


@pytest.mark.clause("temperature")
def test_the_offer_follows_the_temperature() -> None:
    evse = Evse(amps=48.0)
    evse.charge()
    for celsius, amps in ((64.9, 48), (65, 24), (63, 24), (67.9, 24), (68, 12), (66, 12), (62, 48), (71, 0)):
        evse.plant.inject("over_temperature", evse.now, celsius)
        evse.run(12)
        assert evse.offered_a == amps, f"at {celsius} C"
    assert (evse.fault, evse.closed) == ("over_temperature", False)
    evse.plant.inject("over_temperature", evse.now, 62.1)
    evse.run(60)
    assert (evse.fault, evse.closed) == ("over_temperature", False)
    evse.plant.inject("over_temperature", evse.now, 62.0)
    assert evse.until(lambda: evse.plant.current_a == 48.0) < 20


def back_after(seed: int) -> float:
    """From a power return until the first of a group's two cars is charged again."""
    events = [
        *plugs(1, 2),
        *(event(100.0, "power_off", i) for i in (1, 2)),
        *(event(160.0, "power_on", i) for i in (1, 2)),
    ]
    bench = Bench(scenario(events, "8F"), seed)
    bench.run(160.0)
    return bench.until(lambda: any(bench.plant(i).contactor_closed for i in (1, 2)), 3 * READY_S, 0.01)


@pytest.mark.clause("power return")
def test_after_a_power_return_groups_begin_at_random_moments() -> None:
    times = [back_after(seed) for seed in range(12)]
    assert min(times) >= 13.5, "the quiet start of the group comes first"
    assert max(times) - min(times) > 2.0
