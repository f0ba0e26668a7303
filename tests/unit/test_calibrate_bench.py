"""A board held for calibration: the pilot stands where it is told for as long as a person takes to read a meter."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from hal.raspberry.board import Hardware
from hal.raspberry.spec import CtSpec
from hal.simulated.vehicle_spec import VehicleSpec
from tests.unit.doctor_table import BOARD, Table
from tests.unit.test_doctor import Garbage
from watti.calibrate import Unusable, solved_ct, solved_pilot
from watti.calibrate_bench import PartsBench, opened

CAR = VehicleSpec("car", start_delay_s=0.0, reaction_s=0.0, ramp_a_per_s=0.0, max_a=32.0, draw_ratio=1.0)


def bench_on(table: Table) -> PartsBench:
    """Held from the first turn on, and by each of its waits."""
    bench: PartsBench

    def sleep(for_s: float) -> None:
        table.settle(for_s)
        bench.turn()

    bench = PartsBench(table.parts, sleep)
    bench.turn()
    return bench


def test_both_levels_are_measured_and_solve_to_the_board_they_are_of(tmp_path: Path) -> None:
    table = Table(tmp_path)
    bench = bench_on(table)
    high = bench.pilot_v("high"), 12.0
    before = table.now
    low = bench.pilot_v("low"), -12.0
    assert table.now >= before + 0.29, "a filter at the ADC's input has settled"
    scale = solved_pilot(high, low, BOARD.adc.reference_v)
    assert scale.zero_v == pytest.approx(BOARD.pilot.zero_v, abs=0.005)
    assert scale.gain == pytest.approx(BOARD.pilot.gain, abs=0.01)


def test_a_level_that_was_let_go_comes_back(tmp_path: Path) -> None:
    table = Table(tmp_path)
    bench = bench_on(table)
    bench.pilot_v("low")
    table.settle(2.0)
    assert table.pi.behind.inputs().pilot.high_v == 12.0
    bench.turn()
    table.settle(0.1)
    assert table.pi.behind.inputs().pilot.high_v == -12.0


def test_the_current_is_measured(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.plant.plug(CAR, table.now)
    bench = bench_on(table)
    table.parts.pilot.pwm(32 / 0.6)
    table.parts.contactor.close()
    for _ in range(20):
        table.settle(0.2)
        bench.turn()
    amps = table.plant.current_a
    assert amps > 20
    volts = bench.ct_v()
    assert isinstance(BOARD.meter, CtSpec)
    assert not isnan(volts)
    assert solved_ct(volts, amps, 3.3) == pytest.approx(BOARD.meter.amps_per_volt, rel=0.02)


def test_a_converter_that_is_not_there_calibrates_nothing(tmp_path: Path) -> None:
    table = Table(tmp_path, hardware=lambda of: Hardware(of.pins, lambda _: Garbage(), of.places))
    with pytest.raises(Unusable, match="the chip is missing"):
        bench_on(table).pilot_v("high")


def test_the_board_of_a_simulated_pi_is_opened_and_left(tmp_path: Path) -> None:
    with opened("mock_raspberry", replace(BOARD, name="mine")) as bench:
        assert bench.pilot_v("low") == pytest.approx(BOARD.pilot.zero_v - 12 / BOARD.pilot.gain, abs=0.01)
