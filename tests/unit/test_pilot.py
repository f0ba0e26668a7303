"""Amps to duty, volts to letters, and the filter, against the circuit's other side and J1772's figures."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.pilot import DIODE, RANGE, PilotFilter, classify, duty
from hal.api import PilotReading
from hal.simulated.circuit import B_OHM, C_OHM, D_OHM, Defect, Drive, duty_to_amps, plateaus

OHMS = {"A": None, "B": B_OHM, "C": C_OHM, "D": D_OHM}


def steady(volts: float) -> PilotReading:
    return PilotReading(volts, volts)


def pwm(volts: float, low: float = -12.0) -> PilotReading:
    return PilotReading(volts, low)


@pytest.mark.parametrize(
    ("amps", "percent"),
    [(6, 10), (12, 20), (16, 26.667), (24, 40), (32, 53.333), (48, 80), (51, 85), (64, 89.6), (80, 96)],
)
def test_duty_of_j1772(amps: int, percent: float) -> None:
    assert duty(amps * 10) == pytest.approx(percent, abs=0.001)


@given(st.integers(60, 800))
def test_a_vehicle_never_understands_more_than_is_meant(offer_da: int) -> None:
    understood = duty_to_amps(duty(offer_da))
    assert 6.0 <= understood <= offer_da / 10
    if not 510 < offer_da <= 525:  # there the standard's two lines leave a gap of a percent
        assert understood == pytest.approx(offer_da / 10, abs=0.001)


def test_more_amps_are_more_duty() -> None:
    for line in (range(60, 511), range(511, 801)):
        duties = [duty(offer_da) for offer_da in line]
        assert duties == sorted(set(duties))


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize("drive", [Drive.STEADY, Drive.PWM])
def test_every_state_of_the_circuit_is_seen(letter: str, drive: Drive) -> None:
    reading = plateaus(drive, OHMS[letter])
    assert classify(reading, drive is Drive.PWM, "A") == letter
    assert classify(reading, drive is Drive.PWM, RANGE) == letter


@pytest.mark.parametrize("letter", "ABCD")
def test_defects_of_the_circuit_are_seen(letter: str) -> None:
    ohm = OHMS[letter]
    assert classify(plateaus(Drive.PWM, ohm, Defect.SHORT_TO_GROUND), True, letter) == "E"
    assert classify(plateaus(Drive.PWM, ohm, Defect.OUT_OF_RANGE), True, letter) == RANGE
    assert classify(plateaus(Drive.FAULT, ohm), False, letter) == "F"
    shorted = classify(plateaus(Drive.PWM, ohm, Defect.DIODE_SHORTED), True, letter)
    assert shorted == ("A" if letter == "A" else DIODE)


@pytest.mark.parametrize("letter", "BCD")
def test_the_diode_is_judged_with_pwm_alone(letter: str) -> None:
    reading = plateaus(Drive.STEADY, OHMS[letter])
    assert classify(reading, False, "A") == letter
    assert classify(reading, True, "A") == DIODE


@pytest.mark.parametrize(
    ("low", "seen"),
    [(-12.0, "C"), (-11.0, "C"), (-10.1, "C"), (-10.0, "C"), (-9.99, DIODE), (0.0, DIODE), (6.0, DIODE)],
)
def test_the_diode_limit_is_minus_10_v(low: float, seen: str) -> None:
    assert classify(pwm(6.0, low), True, "B") == seen


@pytest.mark.parametrize(
    ("nominal", "letter"), [(12.0, "A"), (9.0, "B"), (6.0, "C"), (3.0, "D"), (0.0, "E"), (-12.0, "F")]
)
def test_windows_are_a_volt_either_way(nominal: float, letter: str) -> None:
    other = "C" if letter != "C" else "B"
    for volts in (nominal - 1.0, nominal - 0.99, nominal, nominal + 0.99, nominal + 1.0):
        assert classify(steady(volts), False, other) == letter


@pytest.mark.parametrize("volts", [10.5, 7.5, 4.5, 1.5, 1.01, 10.99])
@pytest.mark.parametrize("before", ["A", "B", "C", "D", "E", DIODE])
def test_between_two_windows_it_stays_what_it_was(volts: float, before: str) -> None:
    assert classify(steady(volts), False, before) == before


@pytest.mark.parametrize("volts", [13.01, 14.0, 100.0, -1.01, -6.0, -10.99, -13.01])
def test_outside_every_window_is_out_of_range(volts: float) -> None:
    assert classify(steady(volts), False, "C") == RANGE


@given(
    st.floats(-20, 20), st.floats(-20, 20), st.booleans(), st.sampled_from(["A", "B", "C", "D", "E", "F", DIODE, RANGE])
)
def test_every_reading_is_something(high: float, low: float, pwm_on: bool, before: str) -> None:
    assert classify(PilotReading(high, low), pwm_on, before) in ("A", "B", "C", "D", "E", "F", DIODE, RANGE)


# The filter


def sees(letter: str) -> PilotFilter:
    """A filter that believes in this letter, at 0 s."""
    pilot = PilotFilter()
    pilot.on_reading(plateaus(Drive.STEADY, OHMS[letter]), False, -10.0)
    pilot.step(-5.0)
    assert pilot.seen == letter
    return pilot


@pytest.mark.parametrize(
    ("before", "after", "delay"),
    [
        ("A", "B", 0.25), ("A", "C", 0.25), ("B", "C", 0.25), ("B", "D", 0.25),
        ("B", "A", 0.025), ("C", "A", 0.025), ("D", "A", 0.025),
        ("C", "B", 0.025), ("D", "B", 0.025), ("D", "C", 0.025),
    ],
)  # fmt: skip
def test_debounce_times(before: str, after: str, delay: float) -> None:
    pilot = sees(before)
    pilot.on_reading(plateaus(Drive.STEADY, OHMS[after]), False, 0.0)
    assert pilot.deadline == pytest.approx(delay)
    assert not pilot.step(delay - 0.001)
    assert pilot.seen == before
    assert pilot.step(pilot.deadline)
    assert pilot.seen == after
    assert pilot.since == pytest.approx(delay)
    assert pilot.deadline == inf
    assert not pilot.step(100.0), "once"


def test_more_readings_of_the_same_do_not_start_the_time_again() -> None:
    pilot = sees("A")
    for i in range(10):
        pilot.on_reading(steady(9.0 + i / 20), False, i / 100)
    assert pilot.deadline == pytest.approx(0.25)


def test_a_glitch_is_not_believed_and_the_time_starts_again() -> None:
    pilot = sees("B")
    pilot.on_reading(steady(6.0), False, 0.0)
    pilot.on_reading(steady(9.0), False, 0.24)
    assert pilot.deadline == inf
    pilot.on_reading(steady(6.0), False, 0.26)
    assert pilot.deadline == pytest.approx(0.51)
    assert pilot.seen == "B"


def test_a_change_on_the_way_to_another_counts_from_its_own_beginning() -> None:
    """Plugging in passes through what looks like other states."""
    pilot = sees("A")
    pilot.on_reading(steady(6.0), False, 0.0)
    pilot.on_reading(steady(9.0), False, 0.2)
    assert not pilot.step(0.25)
    assert pilot.step(0.46)
    assert pilot.seen == "B"


def test_noise_about_the_edge_of_a_window_is_no_change() -> None:
    pilot = sees("C")
    for i in range(1000):
        pilot.on_reading(steady(6.9 if i % 2 else 7.5), False, i / 100)
        pilot.step(i / 100)
    assert (pilot.seen, pilot.deadline) == ("C", inf)


def test_pwm_that_comes_on_shows_a_missing_diode() -> None:
    pilot = sees("B")
    pilot.on_pwm(True, 1.0)
    pilot.on_reading(pwm(9.0, -9.0), True, 1.1)
    assert not pilot.step(1.34)
    assert pilot.step(1.35)
    assert pilot.seen == DIODE
    pilot.on_reading(steady(9.0), False, 2.0)
    assert pilot.step(2.25)
    assert pilot.seen == "B"


def test_a_reading_from_before_the_pwm_is_no_missing_diode_until_the_board_has_had_its_time() -> None:
    pilot = sees("B")
    pilot.on_pwm(True, 1.0)
    assert not pilot.step(1.99)
    assert pilot.deadline == 2.0
    pilot.on_reading(pwm(9.0, -12.0), True, 1.995)
    assert not pilot.step(5.0)
    assert pilot.seen == "B"


def test_the_low_plateau_that_follows_the_pwm_in_time_is_no_missing_diode() -> None:
    pilot = sees("C")
    pilot.on_pwm(True, 0.0)
    pilot.on_reading(plateaus(Drive.PWM, C_OHM), True, 0.01)
    assert (pilot.seen, pilot.deadline) == ("C", inf)


@given(st.lists(st.tuples(st.floats(0, 0.3), st.floats(-13, 13), st.booleans()), max_size=60))
def test_what_is_believed_stood_long_enough(changes: list[tuple[float, float, bool]]) -> None:
    pilot, now, candidate, since = PilotFilter(), 0.0, "A", 0.0
    for after, volts, pwm_on in changes:
        now += after
        before = pilot.seen
        if pilot.step(now):
            assert pilot.seen == candidate
            quick = candidate == "A" or before in ("C", "D")
            assert now - since >= (0.0249 if quick else 0.2499)
        reading = pwm(volts) if pwm_on else steady(volts)
        seen = classify(reading, pwm_on, candidate)
        if seen != candidate:
            candidate, since = seen, now
        pilot.on_reading(reading, pwm_on, now)


@pytest.mark.parametrize("letters", ["BA", "AB", "BE", "AE", "BAE"])
@pytest.mark.parametrize("every_s", [0.001, 0.02, 0.0249])
def test_a_pilot_that_bounces_among_letters_that_do_not_ask_has_left_c(letters: str, every_s: float) -> None:
    """A plug that is pulled out slowly does that: the 25 ms run from the first moment without C."""
    volts = {"A": 12.0, "B": 9.0, "E": 0.0}
    filter_ = PilotFilter()
    filter_.on_reading(pwm(6.0), True, 0.0)
    filter_.step(1.0)
    assert filter_.seen == "C"
    for i in range(int(0.2 / every_s)):
        now = 2.0 + i * every_s
        filter_.step(now)
        assert filter_.seen == "C" or now >= 2.025
        assert filter_.seen != "C" or now < 2.025 + every_s
        filter_.on_reading(pwm(volts[letters[i % len(letters)]]), True, now)
