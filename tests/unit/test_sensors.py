"""Sensors that lie on a true plant: the station goes on or stops safely, says which, never raises, and its group stays
within its limit."""

import random
from collections.abc import Callable
from functools import partial
from math import inf, nan

import pytest

from firmware.bus.messages import NO_CURRENT
from firmware.contactor import FEEDBACK_FELL_S
from firmware.current import FAILED_S, CurrentWatch
from firmware.energy import Energy
from firmware.protection import BY_CODE, Severity
from firmware.timing import RECLOSE_S
from hal.api import Inputs, PilotReading
from hal.simulated.board import PlantMeter, PlantThermometer
from hal.simulated.plant import Plant
from tests.scenario.helpers import WORST, Bench, judged, plugs, scenario
from tests.unit.evse import Evse


class _Meter(PlantMeter):
    __slots__ = ("amps", "volts")

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant)
        self.amps: Callable[[float], float] = lambda true: true
        self.volts: Callable[[float], float] = lambda true: true

    def current_a(self) -> float:
        return self.amps(super().current_a())

    def voltage_v(self) -> float:
        return self.volts(super().voltage_v())


class _Thermometer(PlantThermometer):
    __slots__ = ("shown",)

    def __init__(self, plant: Plant) -> None:
        super().__init__(plant)
        self.shown: Callable[[float], float] = lambda true: true

    def celsius(self) -> float:
        return self.shown(super().celsius())


class Liar(Bench):
    """Three stations charge on 48 A; the sensors of s3 say what they are told to."""

    def __init__(self) -> None:
        super().__init__(scenario(plugs(1, 2, 3), "BFF", off=[3]))
        slot = self.world.slots[2]
        self.meter, self.thermometer = _Meter(slot.plant), _Thermometer(slot.plant)
        slot.board.meter, slot.board.thermometer = self.meter, self.thermometer
        self.inputs: Callable[[Inputs], Inputs] = lambda true: true
        slot.plant.on_inputs = lambda inputs: self.world._on_inputs(2, self.inputs(inputs))
        self.world.power_on(2)
        self.run(80.0)
        assert self.drawn() == [16.0, 16.0, 16.0]

    def sense(self, every_s: float, for_s: float) -> None:
        """The board looks again and again."""
        end = self.now + for_s
        while self.now < end:
            plant = self.plant(3)
            plant.on_inputs(plant.inputs)
            self.world.refresh(2)
            self.run(self.now + every_s)

    @property
    def codes(self) -> set[str]:
        return set(self.app(3).station.faults.codes)

    @property
    def stopped(self) -> bool:
        return not self.plant(3).contactor_closed and self.plant(3).offered_a == 0.0


def noise(spread: float) -> Callable[[float], float]:
    rng = random.Random(1)
    return lambda true: true + rng.uniform(-spread, spread)


def alternating(*values: float) -> Callable[[float], float]:
    """One value after another; inf stands for the truth."""
    turn = [0]

    def shown(true: float) -> float:
        turn[0] += 1
        value = values[turn[0] % len(values)]
        return true if value == inf else value

    return shown


# Meter


@pytest.mark.parametrize(
    ("amps", "code"),
    [
        (nan, "meter"),
        (inf, "meter_implausible"),
        (-inf, "meter_implausible"),
        (1e9, "meter_implausible"),
        (1e308, "meter_implausible"),
        (500.0, "meter_implausible"),
        (-50.0, "meter_implausible"),
    ],
)
def test_a_meter_that_shows_what_can_t_be_stops_its_station_alone(amps: float, code: str) -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = lambda true: amps
        bench.run(bench.now + FAILED_S + 1.0)
        assert bench.codes == {code}
        assert bench.plant(3).offered_a == 0.0
        bench.run(bench.now + 30.0)
        assert bench.stopped
        assert bench.drawn() == [24.0, 24.0, 0.0]
        bench.meter.amps = lambda true: true
        bench.run(bench.now + 80.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


def test_a_meter_that_is_bad_in_two_ways_in_turn_is_as_bad_as_in_one() -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = alternating(nan, 5000.0)
        bench.run(bench.now + 20.0)
        assert bench.codes & {"meter", "meter_implausible"}
        assert bench.stopped
        assert bench.drawn() == [24.0, 24.0, 0.0]


def test_a_meter_that_misses_every_second_reading_is_put_up_with() -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = alternating(nan, inf)
        bench.run(bench.now + 60.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


def _once(shown: list[float], true: float) -> float:
    return shown.pop() if shown else true


def test_one_absurd_reading_takes_nothing_from_anybody() -> None:
    bench = Liar()
    with judged(bench):
        for amps in (nan, inf, -50.0, 5000.0):
            bench.meter.amps = partial(_once, [amps])
            for _ in range(20):
                bench.run(bench.now + 0.1)
                assert bench.offered() == [16.0, 16.0, 16.0]
        assert bench.codes == set()


def test_a_meter_frozen_while_the_contactor_opens_is_found_and_gives_the_amps_back() -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = lambda true: 16.0
        bench.world.touch(2, lambda plant, now: plant.unplug(now))
        bench.run(bench.now + 0.2)
        assert not bench.plant(3).contactor_closed
        bench.run(bench.now + 10.0)
        assert bench.codes == {"meter_implausible"}
        assert bench.drawn()[:2] == [24.0, 24.0]


def test_a_meter_frozen_at_more_than_the_offer_trips_its_station_and_then_gives_the_amps_back() -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = lambda true: 30.0
        bench.run(bench.now + 60.0)
        assert bench.codes == {"overdraw", "meter_implausible"}
        assert bench.stopped
        assert bench.drawn() == [24.0, 24.0, 0.0]


@pytest.mark.parametrize("unplugged_first", [True, False])
def test_an_overdraw_that_only_a_meter_saw_leaves_with_the_vehicle(unplugged_first: bool) -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = lambda true: 60.0
        bench.run(bench.now + 15.0)
        assert "overdraw" in bench.codes
        for mends in (not unplugged_first, unplugged_first):
            if mends:
                bench.meter.amps = lambda true: true
            else:
                bench.world.touch(2, lambda plant, now: plant.unplug(now))
            bench.run(bench.now + 5.0)
        assert bench.codes <= {"meter_implausible"}, "nobody is there who could draw"
        bench.run(bench.now + 30.0)
        bench.world.touch(2, lambda plant, now: plant.plug(WORST, now))
        bench.run(bench.now + 60.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


@pytest.mark.parametrize("spread_a", [0.4, 5.0, 15.0])
def test_a_noisy_meter_keeps_the_group_within_its_limit(spread_a: float) -> None:
    bench = Liar()
    with judged(bench):
        before = [bench.plant(station).energy_kwh(bench.now) for station in (1, 2)]
        bench.meter.amps = noise(spread_a)
        bench.run(bench.now + 300.0)
        assert bench.codes <= {"overdraw", "meter_implausible"}
        if spread_a < 1.0:
            assert bench.drawn() == pytest.approx([16.0, 16.0, 16.0], abs=1.0)
        took = [bench.plant(station).energy_kwh(bench.now) - had for station, had in zip((1, 2), before, strict=True)]
        assert min(took) > 0.01, "the others go on"


def test_the_noise_of_a_transformer_behind_an_open_contactor_keeps_nobody_from_charging() -> None:
    bench = Liar()
    with judged(bench):
        bench.world.touch(2, lambda plant, now: plant.unplug(now))
        bench.meter.amps = lambda true: true + 0.2
        bench.run(bench.now + 30.0)
        assert bench.offered()[:2] == [24.0, 24.0], "noise is not drawn"
        bench.world.touch(2, lambda plant, now: plant.plug(WORST, now))
        bench.run(bench.now + 60.0)
        assert bench.drawn() == pytest.approx([16.0, 16.0, 16.0], abs=0.3)


def test_a_transformer_that_reads_too_much_keeps_no_share_for_ever() -> None:
    bench = Liar()
    with judged(bench):
        bench.meter.amps = lambda true: true * 1.02
        bench.run(bench.now + 30.0)
        bench.world.touch(0, lambda plant, now: plant.unplug(now))
        bench.run(bench.now + 60.0)
        assert bench.drawn() == pytest.approx([0.0, 24.0, 24.0], abs=1.0)
        bench.world.touch(0, lambda plant, now: plant.plug(WORST, now))
        bench.run(bench.now + 60.0)
        assert bench.drawn() == pytest.approx([16.0, 16.0, 16.0], abs=1.0)


def test_a_meter_that_fails_is_a_fault_within_2_s_and_two_readings_whoever_asks() -> None:
    evse = Evse()
    evse.charge()
    evse.plant.inject("meter", evse.now)
    evse._poll_at = inf  # no primary asks: the station looks by itself
    assert evse.until(lambda: evse.fault == "meter", 10.0) <= 2.0 + FAILED_S + 2.0


# Voltage and energy


@pytest.mark.parametrize("volts", [nan, inf, -inf, 0.0, -240.0, 1e9])
def test_energy_of_an_absurd_voltage_is_not_counted_and_harms_nothing(volts: float) -> None:
    bench = Liar()
    with judged(bench):
        before_wh = bench.app(3).station.sensors.energy.wh
        bench.meter.volts = lambda true: volts
        bench.run(bench.now + 120.0)
        assert bench.app(3).station.sensors.energy.wh == pytest.approx(before_wh, abs=2.0)
        bench.meter.volts = lambda true: true
        bench.run(bench.now + 120.0)
        assert bench.app(3).station.sensors.energy.wh > before_wh + 100.0
        assert bench.app(3)._registers
        assert bench.drawn() == [16.0, 16.0, 16.0]


def test_energy_of_a_meter_that_misses_every_second_reading() -> None:
    bench = Liar()
    energy = bench.app(3).station.sensors.energy
    before_wh = energy.wh
    bench.meter.amps = alternating(nan, inf)
    bench.run(bench.now + 600.0)
    assert energy.wh - before_wh == pytest.approx(16.0 * 240.0 * 600.0 / 3600.0, rel=0.02)


@pytest.mark.parametrize("offset_a", [0.4, 0.9])
def test_what_a_meter_shows_behind_an_open_contactor_is_no_energy(offset_a: float) -> None:
    bench = Liar()
    energy = bench.app(3).station.sensors.energy
    bench.meter.amps = lambda true: true + offset_a
    bench.run(bench.now + 20.0)
    bench.world.touch(2, lambda plant, now: plant.unplug(now))
    bench.run(bench.now + 3.0)
    before_wh = energy.wh
    assert before_wh > 20.0, "it counts what has flowed"
    bench.run(bench.now + 3600.0)
    assert energy.wh == before_wh


def test_energy_is_the_mean_of_two_readings_for_the_time_between_them() -> None:
    energy = Energy()
    for now, amps in ((10.0, 0.0), (12.0, 10.0), (14.0, 10.0), (15.0, 0.0)):
        energy.add(amps, 360.0, now)
    assert energy.wh == pytest.approx(1.0 + 2.0 + 0.5)
    assert energy.peak_a == 10.0


@pytest.mark.parametrize("gap_s", [5.1, 3600.0])
def test_what_flowed_in_a_long_gap_is_not_known(gap_s: float) -> None:
    energy = Energy()
    energy.add(10.0, 240.0, 10.0)
    energy.add(10.0, 240.0, 10.0 + gap_s)
    assert energy.wh == 0.0


@pytest.mark.parametrize(("amps", "volts"), [(-0.5, 240.0), (None, 240.0), (10.0, nan), (10.0, inf), (10.0, -240.0)])
def test_energy_never_runs_backwards_nor_jumps(amps: float | None, volts: float) -> None:
    energy = Energy()
    for now in range(10):
        before_wh = energy.wh
        energy.add(amps if now % 3 else 10.0, volts if now % 3 else 240.0, float(now))
        assert before_wh <= energy.wh <= before_wh + 3 * 2400.0 / 3600.0 + 1e-9


# One reading after another


class _Shown(PlantMeter):
    __slots__ = ("amps",)

    def __init__(self) -> None:
        super().__init__(Plant(0))
        self.amps = 0.0

    def current_a(self) -> float:
        return self.amps


def readings(*amps: float, closed: bool = True, offered_da: int = 160) -> tuple[CurrentWatch, list[int]]:
    """One a second."""
    meter = _Shown()
    watch, reported = CurrentWatch(meter, 48.0), []
    for now, shown in enumerate(amps):
        meter.amps = shown
        reported.append(watch.read(offered_da, closed, float(now)))
    return watch, reported


@pytest.mark.parametrize(
    ("amps", "reported_da"),
    [
        (0.0, 0),
        (-0.9, 0),
        (0.01, 1),
        (15.96, 160),
        (16.0, 160),
        (nan, NO_CURRENT),
        (inf, NO_CURRENT),
        (-inf, NO_CURRENT),
        (-1.1, NO_CURRENT),
        (1e9, NO_CURRENT),
    ],
)
def test_what_is_reported_of_a_reading(amps: float, reported_da: int) -> None:
    assert readings(amps)[1] == [reported_da]


def test_noise_behind_an_open_contactor_is_no_current() -> None:
    assert readings(0.2, 1.0, 1.1, closed=False)[1] == [0, 0, 11]


def test_a_current_behind_an_open_contactor_counts_until_the_meter_has_failed() -> None:
    watch, reported = readings(20.0, 20.0, 20.0, closed=False)
    assert reported == [200, 200, NO_CURRENT]
    assert (watch.failed, watch.amps) == ("meter_implausible", None)


def test_one_sound_reading_begins_anew() -> None:
    watch, _ = readings(nan, nan, 16.0, nan, nan)
    assert watch.failed == ""
    watch, _ = readings(nan, nan, 16.0, nan, nan, nan)
    assert watch.failed == "meter"


@pytest.mark.parametrize("bad", [nan, inf, -50.0])
def test_bad_readings_hide_no_overdraw(bad: float) -> None:
    watch, _ = readings(20.0, bad, 20.0, bad, 20.0, bad, 20.0, 20.0)
    assert watch.overdrawn


# Thermometer


@pytest.mark.parametrize("celsius", [nan, inf, 1e9, -300.0])
def test_a_thermometer_that_shows_what_can_t_be_leaves_a_quarter(celsius: float) -> None:
    bench = Liar()
    with judged(bench):
        bench.thermometer.shown = lambda true: celsius
        bench.run(bench.now + 20.0)
        assert (bench.codes, bench.drawn()[2]) == ({"thermometer"}, 12.0)
        assert bench.app(3)._registers
        bench.thermometer.shown = lambda true: true
        bench.run(bench.now + 30.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


def test_a_thermometer_with_20_c_of_noise_does_not_disturb_a_charge() -> None:
    bench = Liar()
    with judged(bench):
        bench.thermometer.shown = noise(20.0)
        bench.run(bench.now + 300.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


# Ground sensor, contactor feedback, pilot, switch


def flicker(bench: Liar, change: Callable[[Inputs], Inputs], every_s: float, for_s: float) -> None:
    """Every second look is changed; then all are true again."""
    turn = [0]

    def inputs(true: Inputs) -> Inputs:
        turn[0] += 1
        return change(true) if turn[0] % 2 else true

    bench.inputs = inputs
    bench.sense(every_s, for_s)
    bench.inputs = lambda true: true
    bench.sense(0.01, 0.01)


@pytest.mark.parametrize("every_s", [0.003, 0.02, 0.4])
def test_a_ground_sensor_that_chatters_stops_its_station(every_s: float) -> None:
    bench = Liar()
    with judged(bench):
        flicker(bench, lambda true: true._replace(ground_fault=True), every_s, 20.0)
        assert bench.codes == {"ground_fault"}
        assert bench.stopped
        bench.run(bench.now + 10.0)
        assert bench.drawn() == [24.0, 24.0, 0.0]
        bench.run(bench.now + 950.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


@pytest.mark.parametrize("every_s", [0.001, 0.02, 0.4, 0.95])
def test_a_ground_monitor_that_chatters_within_a_second_is_put_up_with(every_s: float) -> None:
    bench = Liar()
    with judged(bench):
        flicker(bench, lambda true: true._replace(grounded=False), every_s, 5.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


@pytest.mark.parametrize("every_s", [1.05, 3.0])
def test_a_ground_monitor_that_misses_the_earth_for_more_than_a_second_stops_its_station(every_s: float) -> None:
    bench = Liar()
    with judged(bench):
        flicker(bench, lambda true: true._replace(grounded=False), every_s, 5.0)
        assert bench.codes == {"no_ground"}
        assert bench.stopped


@pytest.mark.parametrize("every_s", [0.003, 0.015, 0.03, 0.4])
@pytest.mark.parametrize("charges", [True, False])
def test_a_contactor_feedback_that_chatters_is_survived(every_s: float, charges: bool) -> None:
    bench = Liar()
    with judged(bench):
        if not charges:
            bench.world.touch(2, lambda plant, now: plant.unplug(now))
            bench.run(bench.now + 20.0)
        flicker(bench, lambda true: true._replace(contactor_closed=not true.contactor_closed), every_s, 20.0)
        fallen = charges and every_s > FEEDBACK_FELL_S
        assert bench.codes == ({"contactor_fell"} if fallen else set())
        if not charges:
            bench.world.touch(2, lambda plant, now: plant.plug(WORST, now))
        bench.run(bench.now + 90.0 + (RECLOSE_S if fallen else 0.0))
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


@pytest.mark.parametrize(
    ("closed", "charges", "code"),
    [
        (True, True, "contactor_stuck"),
        (True, False, "contactor_stuck"),
        (False, True, "contactor_fell"),
        (False, False, "contactor_open"),
    ],
)
def test_a_contactor_feedback_that_sticks_stops_its_station(closed: bool, charges: bool, code: str) -> None:
    bench = Liar()
    with judged(bench):
        if not charges:
            bench.world.touch(2, lambda plant, now: plant.unplug(now))
            bench.run(bench.now + 1.0)
        bench.inputs = lambda true: true._replace(contactor_closed=closed)
        bench.sense(0.01, 0.01)
        if charges and closed:
            bench.world.touch(2, lambda plant, now: plant.unplug(now))
        if not charges and not closed:
            bench.world.touch(2, lambda plant, now: plant.plug(WORST, now))
        assert bench.until(lambda: bool(bench.codes), 30.0, 0.05) < inf
        assert bench.codes == {code}
        bench.run(bench.now + 8.0)
        assert bench.plant(3).offered_a == 0.0
        assert BY_CODE[code].severity in (Severity.STOP, Severity.PAUSE, Severity.DISABLED)
        assert not bench.plant(3).contactor_closed


@pytest.mark.parametrize("volts", [0.3, 0.9, 1.4])
def test_pilot_noise_up_to_the_edges_of_the_windows_is_survived(volts: float) -> None:
    """Within the window it is no noise at all; up to 1.4 V it reaches between two windows but into no other."""
    bench = Liar()
    with judged(bench):
        shift = noise(volts)

        def inputs(true: Inputs) -> Inputs:
            high_v, low_v = true.pilot
            return true._replace(pilot=PilotReading(high_v + shift(0.0), low_v + shift(0.0)))

        bench.inputs = inputs
        bench.sense(0.01, 30.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


def test_pilot_noise_that_reaches_other_states_ends_safely_and_all_charge_afterwards() -> None:
    bench = Liar()
    with judged(bench):
        shift = noise(8.0)
        bench.inputs = lambda true: true._replace(pilot=PilotReading(true.pilot.high_v + shift(0.0), -12.0))
        bench.sense(0.03, 60.0)
        bench.inputs = lambda true: true
        bench.sense(0.01, 0.01)
        bench.run(bench.now + 90.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


@pytest.mark.parametrize("reading", [PilotReading(nan, nan), PilotReading(inf, -inf), PilotReading(-inf, inf)])
def test_a_pilot_that_reads_nonsense_is_a_fault(reading: PilotReading) -> None:
    bench = Liar()
    with judged(bench):
        bench.inputs = lambda true: true._replace(pilot=reading)
        bench.sense(0.1, 2.0)
        assert bench.codes == {"pilot_range"}
        assert bench.stopped
        bench.inputs = lambda true: true
        bench.sense(0.01, 0.01)
        bench.run(bench.now + 90.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])


@pytest.mark.parametrize("position", [None, 0, 12])
def test_a_switch_that_flickers_for_less_than_half_a_second_changes_nothing(position: int | None) -> None:
    bench = Liar()
    with judged(bench):
        flicker(bench, lambda true: true._replace(switch=position), 0.3, 20.0)
        assert (bench.codes, bench.drawn()) == (set(), [16.0, 16.0, 16.0])
