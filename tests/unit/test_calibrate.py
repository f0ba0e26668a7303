"""Calibration: two points make a scale, what was stored is read again or refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import voluptuous as vol
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import ConfigError
from hal.raspberry.spec import BoardSpec, CtSpec
from watti.board_file import load_board
from watti.calibrate import (
    Calibration,
    Scale,
    Unusable,
    calibrated,
    calibration_path,
    load_calibration,
    solved_ct,
    solved_pilot,
    store_calibration,
)

CONFIGS = Path(__file__).parents[2] / "configs"
STATION = CONFIGS / "stations" / "raspberry.toml"
BOARD = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")
METERED = load_board(CONFIGS / "boards" / "carrier_adc128s102.toml")
EITHER_WAY = "and 10 % either way"
ANOTHER = "that is no calibration but another board"


def ct_of(spec: BoardSpec) -> CtSpec:
    assert isinstance(spec.meter, CtSpec)
    return spec.meter


# Solving


@given(st.floats(1.61, 1.69), st.floats(8.2, 9.0), st.floats(11.4, 12.6), st.floats(-12.6, -11.4))
def test_two_points_give_back_the_scale_they_came_from(zero_v: float, gain: float, high: float, low: float) -> None:
    scale = solved_pilot((zero_v + high / gain, high), (zero_v + low / gain, low), 3.3)
    assert scale.zero_v == pytest.approx(zero_v)
    assert scale.gain == pytest.approx(gain)


@pytest.mark.parametrize(
    ("high_v", "low_v", "why"),
    [
        (3.3, 0.2, "the ADC sees 3.300 V of 3.3 V at +12.00 V: it clips"),
        (3.1, 0.0, "the ADC sees 0.000 V of 3.3 V at -12.00 V: it clips"),
        (1.7, 1.6, "the ADC sees 1.700 V and 1.600 V: it does not follow the pilot"),
        (0.2, 3.1, "the ADC sees 0.200 V and 3.100 V: it does not follow the pilot"),
        (math.nan, 0.2, "it clips"),
    ],
)
def test_points_that_make_no_scale(high_v: float, low_v: float, why: str) -> None:
    with pytest.raises(Unusable, match=why.replace("+", r"\+")):
        solved_pilot((high_v, 12.0), (low_v, -12.0), 3.3)


@pytest.mark.parametrize(("high", "low", "shown"), [(12.61, -12.0, r"\+12.61"), (12.0, -11.39, "-11.39")])
def test_what_no_sound_generator_shows(high: float, low: float, shown: str) -> None:
    with pytest.raises(Unusable, match=rf"the pilot shows {shown} V, expected 11.4 to 12.6: mend its generator"):
        solved_pilot((3.1, high), (0.2, low), 3.3)


def test_a_ct_is_solved_or_refused() -> None:
    assert solved_ct(0.2, 16.0, 3.3) == pytest.approx(80.0)
    for volts, why in ((1.17, "it clips"), (0.003, "check the CT"), (0.0, "check the CT"), (math.nan, "check the CT")):
        with pytest.raises(Unusable, match=why):
            solved_ct(volts, 16.0, 3.3)


# What it does to a board


def test_it_replaces_its_values_and_nothing_else() -> None:
    after = Calibration("carrier_mcp3208", Scale(1.7, 8.0), 95.0).applied(BOARD)
    assert (after.pilot.zero_v, after.pilot.gain, ct_of(after).amps_per_volt) == (1.7, 8.0, 95.0)
    assert replace(after, pilot=BOARD.pilot, meter=BOARD.meter) == BOARD
    assert replace(after.pilot, zero_v=1.65, gain=8.2) == BOARD.pilot
    assert Calibration("carrier_mcp3208").applied(BOARD) == BOARD


@pytest.mark.parametrize(
    ("key", "edge", "beyond"),
    [
        ("zero_v", 1.814, 1.816),
        ("zero_v", 1.486, 1.484),
        ("gain", 9.01, 9.03),
        ("gain", 7.39, 7.37),
        ("amps_per_volt", 99.98, 100.0),
        ("amps_per_volt", 81.82, 81.8),
    ],
)
def test_it_corrects_by_at_most_ten_percent(key: str, edge: float, beyond: float) -> None:
    def made(value: float) -> Calibration:
        if key == "amps_per_volt":
            return Calibration(BOARD.name, amps_per_volt=value)
        return Calibration(BOARD.name, replace(Scale(1.65, 8.2), **{key: value}))

    made(edge).applied(BOARD)
    with pytest.raises(vol.MultipleInvalid) as refused:
        made(beyond).applied(BOARD)
    [error] = refused.value.errors
    assert error.path[-1] == key
    assert error.msg.endswith(ANOTHER)


# The file


def refusals(path: Path, spec: BoardSpec = BOARD) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        calibrated(path, spec)
    assert all(error.startswith(f"{path}: ") for error in refused.value.errors)
    return [error.removeprefix(f"{path}: ") for error in refused.value.errors]


def test_what_was_stored_is_read_again(tmp_path: Path) -> None:
    path = calibration_path(tmp_path, "s1")
    assert load_calibration(path, BOARD) == Calibration(BOARD.name)
    for calibration in (
        Calibration(BOARD.name, Scale(1.66, 8.1), 92.5),
        Calibration(BOARD.name, Scale(1.66, 8.1)),
        Calibration(BOARD.name, amps_per_volt=92.5),
    ):
        store_calibration(path, calibration)
        assert load_calibration(path, BOARD) == calibration
        assert calibrated(path, BOARD) == calibration.applied(BOARD)
    assert path.name == "s1.calibration.json"


def test_one_that_can_not_be_stored_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"the calibration is not stored: .*s1.calibration.json: "):
        store_calibration(calibration_path(tmp_path, "s1"), Calibration(BOARD.name))


@pytest.mark.parametrize("spoilt", [b"", b"{", b"\xff", b"\0" * 40, b"[" * 100_000])
def test_a_spoilt_file_is_never_taken_for_none(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "s1.calibration.json"
    path.write_bytes(spoilt)
    assert refusals(path) == ["expected JSON: the file is spoilt, remove it and calibrate anew"]


def test_one_that_can_not_be_read_is_never_taken_for_none(tmp_path: Path) -> None:
    assert refusals(tmp_path) == ["can't be read: Is a directory"]


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        ([], ["expected a table (got a list)"]),
        ({}, ["board: expected this key (it is missing)"]),
        (
            {"board": "carrier_adc128s102"},
            ["board: expected carrier_mcp3208, the board of this station (got carrier_adc128s102): calibrate anew"],
        ),
        (
            {"board": BOARD.name, "pilot": {"zero_v": 1.65, "gian": 8}},
            [
                "pilot.gain: expected this key (it is missing)",
                'pilot.gian: unknown key, expected zero_v, gain (got "gian"), did you mean gain?',
            ],
        ),
        (
            {"board": BOARD.name, "pilot": {"zero_v": 1.4, "gain": 16}, "amps_per_volt": math.nan},
            ["amps_per_volt: expected a number from 0 to 10000 (got nan)"],
        ),
        (
            {"board": BOARD.name, "pilot": {"zero_v": 1.4, "gain": 16}, "amps_per_volt": 9.09},
            [
                f"amps_per_volt: expected 81.81 to 99.99, the board file's 90.9 {EITHER_WAY} (got 9.09): {ANOTHER}",
                f"pilot.gain: expected 7.38 to 9.02, the board file's 8.2 {EITHER_WAY} (got 16): {ANOTHER}",
                f"pilot.zero_v: expected 1.485 to 1.815, the board file's 1.65 {EITHER_WAY} (got 1.4): {ANOTHER}",
            ],
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, document: object, errors: list[str]) -> None:
    path = tmp_path / "s1.calibration.json"
    path.write_text(json.dumps(document))
    assert refusals(path) == errors


def test_a_ct_on_a_board_without_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s1.calibration.json"
    path.write_text(json.dumps({"board": METERED.name, "amps_per_volt": 90}))
    assert refusals(path, METERED) == ["amps_per_volt: expected no such key: this board's meter is an SDM120, not a CT"]


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["board", "pilot", "zero_v", "gain", "amps_per_volt"]), inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_garbage_is_only_ever_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.calibration.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_calibration(path, BOARD)
