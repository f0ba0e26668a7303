"""The standard's tables of control pilot and timing, row by row, over a simulated plant in virtual time.

`pytest --clauses` lists the rows with their tests; those of debounce, pauses and wake-up are in test_station.py.
"""

from dataclasses import replace

import pytest

from hal.api import PilotReading
from hal.simulated.plant import CONTACTOR_S
from hal.simulated.vehicle_spec import VehicleSpec
from tests.unit.evse import CAR, EDGE_S, POLL_S, REFUSER, Evse, at_every_phase

S3 = VehicleSpec("s3", start_delay_s=0.0, ramp_a_per_s=0.0, s3_s=3.0)
"""Its driver presses the button before the plug comes out: it goes from C to B."""
LETTER_OF_V = {12.0: "A", 9.0: "B", 6.0: "C", 3.0: "D", 0.0: "E"}


# Control pilot


@pytest.mark.clause("pilot")
def test_the_pilot_is_12_v_steady_or_a_wave_of_12_v_either_way() -> None:
    evse = Evse()
    assert evse.plant.inputs.pilot == PilotReading(12.0, 12.0)
    evse.charge()
    assert evse.plant.duty == pytest.approx(32 / 0.6)
    assert evse.plant.inputs.pilot.low_v == -12.0
    evse.plant.inject("meter_implausible", evse.now)
    assert evse.until(lambda: evse.offered_a == 0) < 10
    assert evse.plant.inputs.pilot.low_v == evse.plant.inputs.pilot.high_v > 0


@pytest.mark.clause("state voltages")
@pytest.mark.parametrize("volts", LETTER_OF_V)
def test_each_voltage_is_its_state(volts: float) -> None:
    evse = Evse()
    evse.hold_pilot(volts, volts)
    evse.run(0.3)
    assert evse.station.state[0] == LETTER_OF_V[volts]


@pytest.mark.clause("state voltages")
def test_a_station_that_is_out_of_order_shows_f_at_minus_12_v() -> None:
    evse = Evse()
    evse.plant.inject("ground_fault_self_test", evse.now)
    evse.plug()
    assert evse.until(lambda: evse.station.state == "F") < 20
    assert evse.plant.inputs.pilot == PilotReading(-12.0, -12.0)


@pytest.mark.clause("suffix")
def test_the_digit_says_whether_there_is_pwm_and_the_contactor_closes_with_pwm_alone() -> None:
    evse = Evse()
    evse.plug()
    seen = {("A1", False)}
    for amps in (32.0, 0.0, 20.0):
        evse.amps = amps
        for _ in range(1500):
            was_closed = evse.station._contactor.commanded
            evse.run(0.01)
            state, closed = evse.station.state, evse.station._contactor.commanded
            assert (state[1:] == "2") == evse.plant.snapshot().pwm
            assert state == "C2" or was_closed or not closed
            seen.add((state, closed))
    assert seen == {("A1", False), ("B1", False), ("B2", False), ("C2", False), ("C2", True), ("C1", True)}


@pytest.mark.clause("windows")
@pytest.mark.parametrize("volts", LETTER_OF_V)
@pytest.mark.parametrize("off_v", [-0.99, 0.99])
def test_a_state_is_seen_a_volt_either_way(volts: float, off_v: float) -> None:
    evse = Evse()
    evse.hold_pilot(volts + off_v, volts + off_v)
    evse.run(0.3)
    assert (evse.station.state[0], evse.fault) == (LETTER_OF_V[volts], "pilot_short" if volts == 0 else "")


@pytest.mark.clause("windows")
@pytest.mark.parametrize("volts", list(LETTER_OF_V)[:-1])
def test_noise_between_two_windows_changes_nothing(volts: float) -> None:
    evse = Evse(ready=False)
    evse.granting = False
    evse.hold_pilot(volts, volts)
    evse.run(1)
    before = evse.station.state
    for i in range(200):
        high_v = volts + (-0.9, -1.4, -1.9, -1.1)[i % 4]
        evse.hold_pilot(high_v, high_v)
        evse.run(0.02)
    evse.hold_pilot(volts - 1.9, volts - 1.9)
    evse.run(1)
    assert (evse.station.state, evse.fault) == (before, "")


@pytest.mark.clause("diode check")
@pytest.mark.parametrize(("high_v", "state"), [(9.0, "B2"), (6.0, "C2"), (3.0, "D2")])
@pytest.mark.parametrize(("low_v", "fault"), [(-12.0, ""), (-10.01, ""), (-9.99, "diode"), (-0.5, "diode")])
def test_a_low_half_above_minus_10_v_is_a_fault_while_there_is_pwm(
    high_v: float, state: str, low_v: float, fault: str
) -> None:
    evse = Evse()
    evse.show("B")
    assert evse.until(lambda: evse.offered_a > 0) < 10
    evse.show(state[0])
    evse.run(1)
    assert evse.station.state == state
    evse.hold_pilot(high_v, low_v)
    evse.run(0.25 + EDGE_S)
    assert evse.fault == fault
    assert (evse.station.state == state) == (not fault)


@pytest.mark.clause("diode check")
def test_a_diode_that_fails_opens_the_contactor() -> None:
    for evse in at_every_phase():
        evse.plant.inject("diode", evse.now)
        begin = evse.now
        evse.run(1)
        assert evse.opened_after(begin) <= 0.1
        assert evse.fault == "diode"


@pytest.mark.clause("amps to duty")
def test_every_offer_has_its_duty_and_is_understood() -> None:
    """A vehicle reads 85 % and less as 0.6 A a percent: of 51.1 to 52.5 A it understands a little less."""
    evse = Evse(amps=80.0, rating_da=800)
    evse.charge(VehicleSpec("large", max_a=80.0, start_delay_s=0.0, ramp_a_per_s=0.0, reaction_s=0.1))
    for offer_da in range(800, 59, -1):
        evse.amps = offer_da / 10
        evse.run(POLL_S)
        assert evse.plant.duty == pytest.approx(evse.amps / 0.6 if evse.amps <= 51 else evse.amps / 2.5 + 64)
        understood = 0.6 * evse.plant.duty if evse.amps <= 52.5 else evse.amps
        assert evse.plant.current_a == pytest.approx(understood)
        assert evse.plant.current_a <= evse.amps + EDGE_S


@pytest.mark.clause("amps to duty")
def test_less_than_6_a_is_never_offered() -> None:
    evse = Evse(amps=5.9)
    evse.plug()
    evse.run(600)
    assert {seen.offered_a for _, seen in evse.log} <= {0.0, 6.0}
    assert not any(seen.contactor_closed for _, seen in evse.log)


# Opening


@pytest.mark.clause("unplug")
@pytest.mark.parametrize("spec", [CAR, replace(CAR, ventilated=True)])
def test_the_contactor_is_open_within_100_ms_of_the_unplug_at_every_phase(spec: VehicleSpec) -> None:
    for evse in at_every_phase(spec):
        evse.unplug()
        begin = evse.now
        evse.run(1)
        assert evse.opened_after(begin) == pytest.approx(0.025 + CONTACTOR_S, abs=EDGE_S)
        assert evse.opened_after(begin) < 0.1
        assert evse.station.state == "A1"


@pytest.mark.clause("c to b")
@pytest.mark.parametrize("spec", [S3, replace(S3, ventilated=True)])
def test_the_contactor_is_open_within_100_ms_of_c_to_b_at_every_phase(spec: VehicleSpec) -> None:
    for evse in at_every_phase(spec):
        evse.unplug()
        begin = evse.now
        evse.run(1)
        assert evse.plant.letter == "B"
        assert evse.opened_after(begin) == pytest.approx(0.025 + CONTACTOR_S, abs=EDGE_S)
        assert evse.opened_after(begin) <= 0.1


@pytest.mark.clause("stopping")
@pytest.mark.parametrize("spec", [CAR, REFUSER])
def test_a_stop_leaves_the_vehicle_3_s_and_opens_under_load_after_6_s_at_the_earliest(spec: VehicleSpec) -> None:
    for evse in at_every_phase(spec):
        evse.amps = 0.0
        begin = evse.now
        evse.run(15)
        stopped = evse.first(lambda seen: not seen.pwm, since=begin)
        opened = evse.first(lambda seen: not seen.contactor_closed, since=begin)
        drawn_a = next(seen.drawn_a for at, seen in reversed(evse.log) if at < opened)
        assert (drawn_a == 0.0) is spec.obeys, "under load only where the vehicle does not stop"
        assert opened - stopped <= 3.1 if spec.obeys else 6.0 <= opened - stopped <= 6.1


@pytest.mark.clause("closing")
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.5, 0.9, 1.2, 1.5])
def test_pwm_in_c_means_supply_within_3_s_although_the_offer_is_cut_meanwhile(after_s: float) -> None:
    """A vehicle may show a cable fault when it is offered current and gets none."""
    evse = Evse(amps=32)
    evse.plug()
    assert evse.until(lambda: evse.offered_a > 0) < 10
    evse.run(after_s)
    evse.amps = 12
    evse.run(30)
    assert evse.plant.current_a == 12.0
    closed = evse.first(lambda seen: seen.contactor_closed)
    ready = max(at for at, seen in evse.log if at < closed and (seen.letter != "C" or not seen.pwm))
    asked = evse.first(lambda seen: seen.letter == "C" and seen.pwm, since=ready)
    assert closed - asked <= 3.0
