"""AC RMS of a burst whose spacing is not what was asked for."""

from math import pi, sin, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.raspberry.rms import COUNT, rms, spacing_us


def burst(mains_hz: float, spacing: float, phase: float, harmonics: dict[int, tuple[float, float]]) -> list[float]:
    """1.65 V of bias and a sine of 1 V amplitude; harmonics with amplitude (V) and phase."""
    angles = [2 * pi * mains_hz * spacing_us(mains_hz) * 1e-6 * spacing * i + phase for i in range(COUNT)]
    further = [(1, (1.0, 0.0)), *harmonics.items()]
    return [1.65 + sum(volts * sin(n * angle + later) for n, (volts, later) in further) for angle in angles]


PHASES = st.floats(0.0, 2 * pi)


@given(
    mains_hz=st.sampled_from([50.0, 60.0]),
    spacing=st.floats(0.9, 1.1),
    phase=PHASES,
    third=st.tuples(st.floats(0.0, 0.08), PHASES),
    fifth=st.tuples(st.floats(0.0, 0.05), PHASES),
    noise_v=st.floats(0.0, 0.01),
    seed=st.integers(0, 999),
)
def test_it_is_right_within_1_3_percent_whatever_the_phase_and_the_spacing(
    mains_hz: float,
    spacing: float,
    phase: float,
    third: tuple[float, float],
    fifth: tuple[float, float],
    noise_v: float,
    seed: int,
) -> None:
    rng = Random(seed)
    volts = [volt + rng.gauss(0.0, noise_v) for volt in burst(mains_hz, spacing, phase, {3: third, 5: fifth})]
    true = sqrt((1.0 + third[0] ** 2 + fifth[0] ** 2) / 2 + noise_v**2)
    assert rms(volts) == pytest.approx(true, rel=0.013)


@given(phase=PHASES)
def test_it_is_exact_where_the_spacing_is(phase: float) -> None:
    assert rms(burst(50.0, 20_000 * 1.5 / COUNT / spacing_us(50.0), phase, {})) == pytest.approx(sqrt(0.5), rel=2e-4)


def test_it_scales_and_leaves_the_bias_out() -> None:
    volts = burst(60.0, 1.0, 0.3, {})
    assert rms([3.0 * volt - 7.0 for volt in volts]) == pytest.approx(3.0 * rms(volts))
    assert rms([1.65] * COUNT) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("mains_hz", "held_ms"), [(50.0, 30.0), (60.0, 25.0)])
def test_a_burst_holds_the_bus_for_one_and_a_half_periods(mains_hz: float, held_ms: float) -> None:
    assert COUNT * spacing_us(mains_hz) / 1000 == pytest.approx(held_ms, abs=0.1)
