"""The pilot circuit against SAE J1772's levels and duty table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.simulated.circuit import B_OHM, C_OHM, D_OHM, Defect, Drive, duty_to_amps, plateaus


@pytest.mark.parametrize(("ohm", "high_v"), [(None, 12.0), (B_OHM, 8.98), (C_OHM, 6.00), (D_OHM, 2.93)])
def test_high_plateau_of_each_state(ohm: float | None, high_v: float) -> None:
    steady, pwm = plateaus(Drive.STEADY, ohm), plateaus(Drive.PWM, ohm)
    assert steady.high_v == steady.low_v == pwm.high_v == pytest.approx(high_v, abs=0.005)
    assert pwm.low_v == -12.0


@pytest.mark.parametrize("ohm", [None, B_OHM, C_OHM])
def test_fault_drive_is_steady_minus_12_through_the_diode(ohm: float | None) -> None:
    assert plateaus(Drive.FAULT, ohm) == (-12.0, -12.0)


@pytest.mark.parametrize("ohm", [B_OHM, C_OHM, D_OHM])
def test_shorted_diode_loads_the_low_plateau_above_minus_10(ohm: float) -> None:
    reading = plateaus(Drive.PWM, ohm, Defect.DIODE_SHORTED)
    assert -10.0 < reading.low_v < 0.0
    assert reading.low_v == -reading.high_v
    assert abs(reading.high_v - plateaus(Drive.PWM, ohm).high_v) < 1.0, "the state is still recognised"


def test_shorted_diode_shows_only_with_a_vehicle() -> None:
    assert plateaus(Drive.PWM, None, Defect.DIODE_SHORTED) == (12.0, -12.0)


@pytest.mark.parametrize("drive", Drive)
def test_short_to_ground_is_zero_whatever_the_generator_does(drive: Drive) -> None:
    assert plateaus(drive, C_OHM, Defect.SHORT_TO_GROUND) == (0.0, 0.0)


@pytest.mark.parametrize("ohm", [None, B_OHM, C_OHM])
def test_out_of_range_is_in_no_window(ohm: float | None) -> None:
    high = plateaus(Drive.PWM, ohm, Defect.OUT_OF_RANGE).high_v
    assert all(abs(high - nominal) > 1.0 for nominal in (12, 9, 6, 3, 0, -12))


def test_no_power_no_volts() -> None:
    assert plateaus(Drive.OFF, C_OHM) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("duty", "amps"),
    [
        (0, 0), (2.9, 0), (5, 0), (7.5, 0), (8, 6), (9.99, 6), (10, 6), (40, 24), (80, 48), (85, 51),
        (85.2, 53), (90, 65), (96, 80), (96.5, 80), (97, 80), (97.1, 0), (100, 0),
    ],
)  # fmt: skip
def test_duty_table(duty: float, amps: float) -> None:
    assert duty_to_amps(duty) == amps


@given(st.integers(60, 800))
def test_a_duty_made_from_amps_never_reads_as_more(deciamps: int) -> None:
    amps = deciamps / 10
    read = duty_to_amps(amps / 0.6 if amps <= 51 else amps / 2.5 + 64)
    assert read <= amps
    if not 51 < amps <= 52.5:  # there the two laws of the standard overlap
        assert read == amps
