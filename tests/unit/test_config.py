"""Configuration files: what is accepted, what is refused and in which words; garbage is only ever refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import (
    Check,
    ConfigError,
    StationConfig,
    choice,
    each,
    flag,
    integer,
    load_toml,
    name,
    number,
    required,
    table,
    text,
)
from firmware.timing import Timing
from watti.board_file import BoardChoice, read_station

SHIPPED = Path(__file__).parents[2] / "configs" / "stations" / "simulated.toml"
SCHEMA = vol.Schema(
    table(
        {
            required("size"): number(0, 10),
            vol.Optional("item"): each(table({required("name"): name, vol.Optional("colour"): choice("red", "blue")})),
        }
    )
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def errors_of(path: Path, content: str) -> list[str]:
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load_toml(path, SCHEMA)
    assert str(refused.value) == "\n".join(refused.value.errors)
    return refused.value.errors


def test_a_good_file_gives_its_values(file: Path) -> None:
    file.write_text('size = 3\n[[item]]\nname = "a"\ncolour = "red"\n[[item]]\nname = "b"')
    assert load_toml(file, SCHEMA) == {"size": 3.0, "item": [{"name": "a", "colour": "red"}, {"name": "b"}]}


def test_all_errors_come_at_once_with_file_and_key(file: Path) -> None:
    content = 'sise = 1\n[[item]]\nname = "a b"\ncolour = "rad"\n[[item]]\ncolor = "red"\n["odd key"]\n'
    assert errors_of(file, content) == [
        f'{file}: item[0].colour: expected "red" or "blue" (got "rad"), did you mean red?',
        f'{file}: item[0].name: expected a name of 1 to 32 letters, digits, - and _ (got "a b")',
        f'{file}: item[1].color: unknown key, expected name, colour (got "color"), did you mean colour?',
        f"{file}: item[1].name: expected this key (it is missing)",
        f'{file}: "odd key": unknown key, expected size, item (got "odd key")',
        f'{file}: sise: unknown key, expected size, item (got "sise"), did you mean size?',
        f"{file}: size: expected this key (it is missing)",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("nan", "nan"),
        ("inf", "inf"),
        ("-inf", "-inf"),
        ("1e999", "inf"),
        ("true", "true"),
        ("-0.001", "-0.001"),
        ("11", "11"),
        ('"3"', '"3"'),
        ("[1]", "a list"),
        ("{a = 1}", "a table"),
        ("2026-01-01", "2026-01-01"),
        ("0x1" + "0" * 5000, "a huge integer"),
    ],
)
def test_what_is_no_number_within_its_bounds(file: Path, value: str, shown: str) -> None:
    assert errors_of(file, f"size = {value}") == [f"{file}: size: expected a number from 0 to 10 (got {shown})"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"size 3", "not TOML: Expected"),
        (b"size = 3\nsize = 4", "not TOML: Cannot overwrite"),
        (b"size = \xff", "not TOML: not UTF-8 text (byte 7)"),
        (b"size = " + b"[" * 100_000, "not TOML: nested too deeply"),
        (b"size = " + b"9" * 5000, "not TOML: Exceeds the limit"),
    ],
)
def test_a_file_that_is_not_toml(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        load_toml(file, SCHEMA)
    [line] = refused.value.errors
    assert line.startswith(f"{file}: {reason}")
    assert "\n" not in line


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as refused:
            load_toml(path, SCHEMA)
        assert refused.value.errors == [f"{path}: can't be read: {reason}"]


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (number(-1, 1), [-1, 0, 1, 0.5], [1.0001, -2, True, False, None, "0", [], 10**400]),
        (integer(1, 3), [1, 3], [0, 4, 2.0, True, "2", None, 10**400]),
        (choice("a", 1), ["a", 1], ["b", 1.0, True, 2, [], {}, None]),
        (flag, [True, False], [0, 1, "true", None]),
        (text, ["two words", "é"], ["", " ", "a\nb", "\x00", 1, None]),
        (name, ["s1", "a-b_C", "x" * 32], ["", "a b", "../a", "é", "s1\n", "x" * 33, 1, None]),
    ],
)
def test_checks_of_single_values(check: Check, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert check(value) == value
    for value in bad:
        with pytest.raises(vol.Invalid, match="expected"):
            check(value)


def test_an_integer_is_taken_as_a_float() -> None:
    assert isinstance(number(0, 10)(3), float)


# Stations


def test_the_shipped_station() -> None:
    assert read_station(SHIPPED) == StationConfig(
        "48A", None, None, None, 19200, BoardChoice("simulated", None), Timing()
    )


def test_a_station_with_everything(file: Path) -> None:
    file.write_text(
        '[station]\nmodel = "80A"\nname = "left-1"\nserial = 0x0000A1B2C3D4\n'
        '[bus]\nport = "/dev/ttyUSB0"\nbaud = 115200\n[board]\nkind = "simulated"\n'
        "[timing]\nreaction_s = 8\npoll_s = 0.25\nlease_s = 3\nrelease_s = 20\n"
    )
    timing = Timing(reaction_s=8.0, poll_s=0.25, lease_s=3.0, release_s=20.0)
    expected = StationConfig(
        "80A", "left-1", 0xA1B2C3D4, "/dev/ttyUSB0", 115200, BoardChoice("simulated", None), timing
    )
    assert read_station(file) == expected


@pytest.mark.parametrize(
    ("section", "line", "key"),
    [
        ("station", 'model = "64A"', "station.model"),
        ("station", "serial = 0", "station.serial"),
        ("station", "serial = 0xFFFFFFFFFFFF", "station.serial"),
        ("station", "serial = true", "station.serial"),
        ("station", 'name = "a/b"', "station.name"),
        ("station", 'switch = "B"', "station.switch"),
        ("bus", "baud = 1200", "bus.baud"),
        ("bus", 'baud = "19200"', "bus.baud"),
        ("bus", "port = 1", "bus.port"),
        ("board", 'kind = "toaster"', "board.kind"),
        ("timing", "reaction_s = 6.4", "timing.reaction_s"),
        ("timing", "reaction_s = 61", "timing.reaction_s"),
        ("timing", "poll_s = 0.1", "timing.poll_s"),
        ("timing", "lease_s = nan", "timing.lease_s"),
        ("timing", "release_s = inf", "timing.release_s"),
        ("timing", "drift = 0.01", "timing.drift"),
        ("wifi", "on = true", "wifi"),
    ],
)
def test_stations_that_are_refused(file: Path, section: str, line: str, key: str) -> None:
    sections = {"station": 'model = "48A"', "board": 'kind = "simulated"'}
    keep = sections.get(section, "")
    same_key = keep.partition(" ")[0] == line.partition(" ")[0]
    sections[section] = line if same_key else f"{keep}\n{line}"
    file.write_text("\n".join(f"[{head}]\n{body}" for head, body in sections.items()))
    with pytest.raises(ConfigError) as refused:
        read_station(file)
    [error] = refused.value.errors
    assert error.startswith(f"{file}: {key}: ")


def test_an_empty_station_lacks_its_tables(file: Path) -> None:
    file.write_text("")
    with pytest.raises(ConfigError) as refused:
        read_station(file)
    missing = "expected this key (it is missing)"
    assert refused.value.errors == [f"{file}: board: {missing}", f"{file}: station: {missing}"]


# Garbage

WORDS = [
    "station",
    "bus",
    "board",
    "timing",
    "model",
    "name",
    "serial",
    "port",
    "baud",
    "kind",
    "lease_s",
    "size",
]
SCALARS = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec="utf-8", exclude_characters="\x7f"))
    | st.sampled_from(["48A", "simulated", "s1", "B"])
)
KEYS = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def in_toml(value: Any) -> str:
    """A value as TOML: JSON but for tables and the names of special floats."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_toml(key)} = {in_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_toml, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def refused_in_lines(path: Path) -> bool:
    """Whether a station's file is accepted, or refused with one proper line for each error."""
    try:
        read_station(path)
    except ConfigError as refused:
        proper = (line.startswith(f"{path}: ") and len(line.splitlines()) == 1 for line in refused.errors)
        return bool(refused.errors) and all(proper)
    return True


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_random_tables_are_taken_or_refused_in_one_line_each(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.toml"
    path.write_text("\n".join(f"{in_toml(key)} = {in_toml(value)}" for key, value in document.items()))
    assert refused_in_lines(path)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        read_station(path)
