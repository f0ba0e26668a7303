"""Board files: the shipped ones, what is refused and in which words, and that garbage is only ever refused."""

import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import ConfigError
from hal.raspberry.spec import (
    CtSpec,
    EnergyMeterSpec,
    KernelThermometerSpec,
    PilotSpec,
    RotarySpec,
    ThermistorSpec,
)
from tests.unit.test_config import KEYS, VALUES, in_toml
from watti.board_file import BoardChoice, load_board, read_station

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted((CONFIGS / "boards").glob("*.toml"))
DOCUMENTS = [tomllib.loads(path.read_text()) for path in SHIPPED]
ADC128S102, MCP3208 = DOCUMENTS
OPTIONAL = {"bus", "bus.direction_pin", "rotary", "dead_man.held_pin", "ground_fault.earth_pin", "meter.port_pins"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boards") / "some.toml"


def written(file: Path, document: dict[str, Any]) -> Path:
    file.write_text("\n".join(f"{in_toml(key)} = {in_toml(value)}" for key, value in document.items()))
    return file


def errors_of(file: Path, document: dict[str, Any]) -> list[str]:
    """What a document is refused with, without the file's name; empty when it is taken."""
    try:
        load_board(written(file, document))
    except ConfigError as refused:
        errors = refused.errors
    else:
        return []
    assert errors
    assert all(line.startswith(f"{file}: ") and len(line.splitlines()) == 1 for line in errors)
    return [line.removeprefix(f"{file}: ") for line in errors]


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with other values (`table__key`); None takes the key away."""
    document = copy.deepcopy(document)
    for where, value in changes.items():
        *tables, key = where.split("__")
        inner = document[tables[0]] if tables else document
        if value is None:
            del inner[key]
        else:
            inner[key] = value
    return document


def keys_of(document: dict[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)


# What is shipped


def test_the_carrier_with_an_mcp3208() -> None:
    board = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")
    assert board.name == "carrier_mcp3208"
    assert board.rotary == RotarySpec((4, 5, 6, 13), "complement", None)
    assert board.pilot == PilotSpec(12, "pwmchip0", 0, 0, 1.65, 8.2)
    assert board.meter == CtSpec(1, 90.9, 240.0, 60.0)
    assert board.thermometer == ThermistorSpec(2, 10_000.0, 10_000.0, 3950.0)
    assert (board.dead_man.held_pin, board.ground_fault.earth_pin) == (22, 26)


def test_the_carrier_with_an_adc128s102() -> None:
    board = load_board(CONFIGS / "boards" / "carrier_adc128s102.toml")
    assert board.rotary is None
    assert board.meter == EnergyMeterSpec("SDM120", "/dev/ttyAMA2", None, 1, 2400, "big", (1,))
    assert board.thermometer == KernelThermometerSpec("sys/bus/w1/devices/28-*/temperature")
    assert board.ground_fault.earth_pin is None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_each_key_is_needed_or_may_be_left_out(file: Path, document: dict[str, Any]) -> None:
    for key in keys_of(document):
        errors = errors_of(file, changed(document, **{key.replace(".", "__"): None}))
        if key in OPTIONAL:
            assert errors == []
        elif key == "thermometer.pin":  # then it is GPIO 4, which the meter has
            assert errors == ["meter.port_pins[0]: expected a free pin: GPIO 4 belongs to thermometer.path (1-wire)"]
        else:
            assert any(error.startswith(f"{key}: ") for error in errors), (key, errors)


@pytest.mark.parametrize("wrong", ["", "?", True, -1, 1e9, [], [[]], [99] * 4, {}, {"a": 1}], ids=repr)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_each_wrong_value_is_refused_by_its_key(file: Path, document: dict[str, Any], wrong: Any) -> None:
    for key in keys_of(document):
        if wrong == "?" and key == "meter.port":
            continue  # any word may be a device
        errors = errors_of(file, changed(document, **{key.replace(".", "__"): wrong}))
        assert any(error.startswith((f"{key}: ", f"{key}[", f"{key}.")) for error in errors), (key, errors)


# The whole


def test_all_errors_of_a_file_come_at_once(file: Path) -> None:
    document = changed(MCP3208, lamp__red=12, contactor__pim=5, pilot__gain=5, adc__device=3, dead_man=None)
    errors = errors_of(file, changed(document, meter__adc_channel=0, rotary__coding="reel", contactor__pin=None))
    assert [error.partition(": ")[0] for error in errors] == [
        *("adc.device", "contactor.pim", "contactor.pin", "dead_man", "lamp.red", "meter.adc_channel"),
        *("pilot.gain", "pilot.gain", "rotary.coding"),
    ]
    assert errors[1].endswith("did you mean pin?")
    assert errors[-1].endswith("did you mean real?")


# Garbage


@given(st.sampled_from(DOCUMENTS), st.dictionaries(st.sampled_from([*MCP3208, *ADC128S102]) | KEYS, VALUES, max_size=4))
def test_random_tables_are_taken_or_refused(file: Path, document: dict[str, Any], garbage: dict[str, Any]) -> None:
    errors_of(file, {**document, **garbage})


@given(
    st.sampled_from([(at, *key.split(".")) for at, doc in enumerate(DOCUMENTS) for key in keys_of(doc) if "." in key]),
    VALUES,
)
def test_a_random_value_of_a_key_is_taken_or_refused(file: Path, where: tuple[int, str, str], value: Any) -> None:
    at, table, key = where
    errors_of(file, changed(DOCUMENTS[at], **{f"{table}__{key}": value}))


# Stations

FROM_HERE = "board.file: expected carrier_adc128s102, carrier_mcp3208, or the path of a board file from here"


@pytest.mark.parametrize("kind", ["raspberry", "mock_raspberry"])
def test_the_shipped_stations_on_a_board(kind: str) -> None:
    board = read_station(CONFIGS / "stations" / f"{kind}.toml").board
    assert (board.kind, board.file.name) == (kind, "carrier_mcp3208.toml")
    assert load_board(board.file).name == "carrier_mcp3208"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('kind = "simulated"', BoardChoice("simulated", None)),
        ('kind = "raspberry"\nfile = "mine.toml"', "mine.toml"),
        ('kind = "raspberry"\nfile = "./mine"', "mine"),
        ('kind = "simulated"\nfile = "mine.toml"', 'board.file: unknown key, expected kind (got "file")'),
        ('kind = "raspberry"', "board.file: expected this key (it is missing)"),
        (
            'kind = "raspberry"\nfile = "carrier_mcp3209"',
            f'{FROM_HERE} (got "carrier_mcp3209"), did you mean carrier_mcp3208?',
        ),
        (f'kind = "raspberry"\nfile = "{"x" * 300}"', f"{FROM_HERE} (got"),
        (
            'kind = "raspbery"',
            'board.kind: expected "simulated", "raspberry" or "mock_raspberry" (got "raspbery"), did you',
        ),
        ("", "board.kind: expected this key (it is missing)"),
    ],
)
def test_the_board_of_a_station(tmp_path: Path, table: str, told: str | BoardChoice) -> None:
    for mine in ("mine", "mine.toml"):
        (tmp_path / mine).write_text("")
    path = tmp_path / "station.toml"
    path.write_text(f'[station]\nmodel = "48A"\n[board]\n{table}')
    if isinstance(told, str) and told.startswith("board."):
        with pytest.raises(ConfigError) as refused:
            read_station(path)
        [error] = refused.value.errors
        assert error.startswith(f"{path}: {told}")
    else:
        expected = BoardChoice("raspberry", tmp_path / told) if isinstance(told, str) else told
        assert read_station(path).board == expected
