"""The rotary chart: the shipped one, what a station makes of it, and charts that are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import ConfigError
from firmware.rotary import (
    BREAKERS_A,
    FACTORY_POSITION,
    MODELS,
    Chart,
    Role,
    Setting,
    parse_position,
    smallest_breaker_a,
)

SHIPPED = Path(__file__).parents[2] / "configs" / "rotary.toml"
CHART = Chart.load(SHIPPED)


def test_shipped_chart_is_the_makers_ladder() -> None:
    amps = [6, 8, 10, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, None]
    breakers = [15, 15, 15, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 100, None]
    assert [row.digit for row in CHART.rows] == list(range(16))
    assert [row.amps for row in CHART.rows] == amps
    assert [row.breaker_a for row in CHART.rows] == breakers
    assert [f"{row.digit:X}" for row in CHART.rows if row.source == "published"] == ["B", "E", "F"]


def test_role_comes_from_the_switch_alone() -> None:
    assert CHART.setting(0xB, 48) == Setting(Role.PRIMARY, 48, "", "")
    assert CHART.setting(0xF, 48) == Setting(Role.SECONDARY, None, "", "")
    assert CHART.setting(0xE, 80) == Setting(Role.PRIMARY, 80, "", "")


@pytest.mark.parametrize("position", [0xC, 0xD, 0xE])
def test_position_above_the_rating_is_refused_by_name(position: int) -> None:
    setting = CHART.setting(position, 48)
    assert (setting.role, setting.limit_a, setting.fault) == (Role.NONE, None, "switch_unsupported")
    assert f"position {position:X} " in setting.why
    assert "48A model" in setting.why


@pytest.mark.parametrize("position", [None, -1, 16])
def test_what_is_no_position_is_unreadable(position: int | None) -> None:
    setting = CHART.setting(position, 80)
    assert (setting.role, setting.limit_a, setting.fault) == (Role.NONE, None, "switch_unreadable")
    assert setting.why


@given(st.none() | st.integers(-20, 40), st.sampled_from(sorted(MODELS.values())))
def test_a_limit_is_given_to_primaries_alone_and_within_the_rating(position: int | None, rating_a: int) -> None:
    setting = CHART.setting(position, rating_a)
    assert (setting.limit_a is not None) == (setting.role is Role.PRIMARY)
    assert (setting.limit_a or 0) <= rating_a
    assert (setting.role is Role.NONE) == bool(setting.fault) == bool(setting.why)


@pytest.mark.parametrize("model", MODELS)
def test_factory_position_is_the_models_rating(model: str) -> None:
    assert CHART.setting(FACTORY_POSITION[model], MODELS[model]).limit_a == MODELS[model]


@given(st.integers(1, 80))
def test_breaker_is_the_smallest_that_carries_the_amps_continuously(amps: int) -> None:
    breaker_a = smallest_breaker_a(amps)
    assert breaker_a * 0.8 >= amps - 1e-9
    assert all(smaller * 0.8 < amps - 1e-9 for smaller in BREAKERS_A if smaller < breaker_a)


@pytest.mark.parametrize(("digit", "position"), [("0", 0), ("9", 9), ("b", 11), ("B", 11), ("f", 15), ("F", 15)])
def test_position_is_one_hex_digit_in_either_case(digit: str, position: int) -> None:
    assert parse_position(digit) == position


@given(st.text().filter(lambda word: word not in set("0123456789abcdefABCDEF")))
def test_anything_else_is_no_position(word: str) -> None:
    with pytest.raises(ValueError, match="one hex digit from 0 to F"):
        parse_position(word)


def refusals(tmp_path: Path, old: str, new: str) -> list[str]:
    """What is said of the shipped chart with one place changed."""
    shipped = SHIPPED.read_text()
    assert shipped.count(old) == 1
    path = tmp_path / "chart.toml"
    path.write_text(shipped.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        Chart.load(path)
    return [error.removeprefix(f"{path}: ") for error in refused.value.errors]


ROW_B = '{ position = "B", amps = 48, breaker_a = 60, source = "published" },\n'
ROW_F = '{ position = "F", source = "published" },\n'
ROW_POSITION = 'position = "B"'
NO_POSITION = ["row: expected one row for position B (got 0)", "row[11].position: expected a switch position"]


@pytest.mark.parametrize(
    ("old", "new", "errors"),
    [
        ("breaker_a = 60", "breaker_a = 70", ["row[11].breaker_a: expected 60,"]),
        ("breaker_a = 60", "breaker_a = 61", ["row[11].breaker_a: expected 15, 20,"]),
        ("breaker_a = 60, ", "", ["row[11].breaker_a: expected 60,"]),
        ("amps = 48", "amps = 49", ["row[11].breaker_a: expected 70,"]),
        ("amps = 48", "amps = 48.0", ["row[11].amps: expected a whole number from 6 to 80 (got 48.0)"]),
        ("amps = 48", "amps = true", ["row[11].amps: expected a whole number from 6 to 80 (got true)"]),
        ("amps = 48", "amps = 5", ["row[11].amps: expected a whole number from 6 to 80 (got 5)"]),
        ("amps = 48", "volts = 48", ["row: expected one row without amps", "row[11].volts: unknown key"]),
        (ROW_B, "", ["row: expected one row for position B (got 0)"]),
        (ROW_B, ROW_B * 2, ["row: expected one row for position B (got 2)"]),
        (
            '"B"',
            '"b "',
            ["row: expected one row for position B (got 0)", "row[11].position: expected a switch"],
        ),
        (ROW_POSITION, f"position = 0x{'f' * 6000}", NO_POSITION),
        (ROW_POSITION, f"position{'.a' * 1500} = 1", NO_POSITION),
        (ROW_F, "", ["row: expected one row for position F (got 0)", "row: expected one row without amps"]),
        ('"F", ', '"F", breaker_a = 15, ', ["row[15].breaker_a: expected no breaker"]),
        ('"F", source = "published"', '"F", source = "guessed"', ['row[15].source: expected "published" or']),
    ],
)
def test_charts_that_are_refused(tmp_path: Path, old: str, new: str, errors: list[str]) -> None:
    found = refusals(tmp_path, old, new)
    assert len(found) == len(errors)
    for line, start in zip(found, errors, strict=True):
        assert line.startswith(start)


def test_order_and_case_of_the_rows_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "chart.toml"
    shipped = SHIPPED.read_text()
    path.write_text(shipped.replace(ROW_B, "").replace("row = [", "row = [" + ROW_B.replace('"B"', '"b"')))
    assert Chart.load(path) == CHART
