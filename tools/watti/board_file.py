"""Board files (`configs/boards`), what is mounted on a Raspberry Pi, and the table `[board]` of a station's file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import voluptuous as vol

from firmware.config import (
    Check,
    Fields,
    StationConfig,
    attempt,
    choice,
    each,
    expected,
    integer,
    load_station,
    load_toml,
    name,
    number,
    required,
    settle,
    suggestion,
    table,
    text,
)
from firmware.timing import Timing
from hal.raspberry import spec
from watti.board_rules import PWM_CHANNELS, SPI_HZ, Sound, broken_rules

_BOARDS = Path(__file__).parent / "configs" / "boards"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?")
_READING = re.compile(r"sys/bus/(w1|i2c)/devices(/[A-Za-z0-9_*?-][A-Za-z0-9_.*?-]*)+")


# Single values


def _output(value: Any) -> int:
    """A pin that nothing drives before the firmware does: 2 to 8 have pull-ups at reset, the boot console is on 14."""
    if type(value) is int and 9 <= value <= 27 and value != 14:
        return value
    raise expected("a GPIO from 9 to 27 but not 14, for the others are high while the Pi starts", value)


def _window(value: Any) -> float:
    longest = Timing().dead_man_s
    if type(value) in (int, float) and 0.5 <= value <= longest:
        return float(value)
    why = "for held longer a lost station would draw on while its amps are given to others"
    raise expected(f"0.5 to {longest:g} s, {why}", value)


def _pins(count: int) -> Check:
    """A list of so many pins, as a tuple."""

    def check(value: Any) -> tuple[int, ...]:
        pins = each(_PIN)(value)
        if len(pins) != count:
            raise vol.Invalid(f"expected {count} pins (got {len(pins)})")
        return tuple(pins)

    return check


def _lines(value: Any) -> tuple[int, ...]:
    lines = each(integer(1, 3))(value)
    if not lines or len(set(lines)) != len(lines):
        raise expected("one to three different lines of 1, 2, 3", ", ".join(map(str, lines)))
    return tuple(lines)


def _matching(pattern: re.Pattern[str], what: str) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise expected(what, value)

    return check


# The tables

_PIN = integer(2, 27)
_CHANNEL = integer(0, 7)
_ACTIVE = choice("high", "low")

_TABLES: Mapping[str, Fields] = {
    "pilot": {
        required("pin"): choice(*PWM_CHANNELS),
        required("pwm_chip"): _matching(re.compile(r"pwmchip\d{1,3}"), "pwmchip and its number"),
        required("pwm_channel"): integer(0, 3),
        required("adc_channel"): _CHANNEL,
        required("zero_v"): number(0.1, 5),
        required("gain"): number(1, 40),
    },
    "adc": {
        required("chip"): choice(*SPI_HZ),
        required("bus"): choice(0),
        required("device"): choice(0, 1),
        required("speed_hz"): integer(10_000, 16_000_000),
        required("reference_v"): number(2.5, 5.25),
    },
    "contactor": {required("pin"): _output, required("feedback_pin"): _PIN, required("feedback_active"): _ACTIVE},
    "dead_man": {required("pin"): _output, required("window_s"): _window, vol.Optional("held_pin"): _PIN},
    "ground_fault": {
        required("pin"): _PIN,
        required("active"): _ACTIVE,
        required("test_pin"): _output,
        vol.Optional("earth_pin"): _PIN,
    },
    "lamp": {required("red"): _PIN, required("green"): _PIN, required("blue"): _PIN, required("active"): _ACTIVE},
}
_OPTIONAL: Mapping[str, Fields] = {
    "bus": {required("pins"): _pins(2), vol.Optional("direction_pin"): _PIN},
    "rotary": {
        required("pins"): _pins(4),
        required("coding"): choice("real", "complement"),
        vol.Optional("complement_pins"): _pins(4),
    },
}
_ENERGY_METER: Fields = {
    vol.Optional("port"): text,
    vol.Optional("port_pins"): _pins(2),
    vol.Optional("host"): _matching(_HOST, "a host, as name or name:502"),
    required("unit"): integer(1, 247),
    vol.Optional("baud"): choice(1200, 2400, 4800, 9600, 19200, 38400),
    required("word_order"): choice("big", "little"),
    required("lines"): _lines,
}
_KINDS: Mapping[str, Mapping[str, Fields]] = {
    "meter": {
        "SDM120": _ENERGY_METER,
        "SDM630": _ENERGY_METER,
        "CT": {
            required("adc_channel"): _CHANNEL,
            required("amps_per_volt"): number(1, 1000),
            required("voltage_v"): number(90, 300),
            required("mains_hz"): choice(50, 60),
        },
    },
    "thermometer": {
        "kernel": {
            required("path"): _matching(_READING, "a reading below sys/bus/w1/devices or sys/bus/i2c/devices"),
            vol.Optional("pin"): _PIN,
        },
        "thermistor": {
            required("adc_channel"): _CHANNEL,
            required("series_ohm"): number(100, 1e6),
            required("ohm_25c"): number(100, 1e6),
            required("beta_k"): number(1000, 10_000),
        },
    },
}


def _by_kind(kinds: Mapping[str, Fields]) -> Check:
    """A table whose `kind` says which other keys it has."""
    kind: Fields = {required("kind"): choice(*kinds)}
    alone = vol.Schema(dict(kind), extra=vol.ALLOW_EXTRA)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise expected("a table", value)
        fields = kinds[alone(value)["kind"]]
        valid: dict[str, Any] = table({**kind, **fields})(value)
        return valid

    return check


_WHOLE = table(
    {
        required("name"): name,
        **{vol.Optional(key): table(fields) for key, fields in _OPTIONAL.items()},
        **{required(key): table(fields) for key, fields in _TABLES.items()},
        **{required(key): _by_kind(kinds) for key, kinds in _KINDS.items()},
    }
)


# The whole


def _sound(document: Mapping[str, Any]) -> Sound:
    sound = {}
    for section, content in document.items():
        if not isinstance(content, dict):
            continue
        for key, check in _fields(section, content).items():
            value = attempt(check, content[key], []) if key in content else None
            if value is not None:
                sound[f"{section}.{key}"] = value
    return sound


def _fields(section: str, content: Mapping[str, Any]) -> Fields:
    kind = content.get("kind")
    if section in _KINDS and isinstance(kind, str):
        return _KINDS[section].get(kind, {})
    return _TABLES.get(section) or _OPTIONAL.get(section) or {}


def _board(document: Any) -> dict[str, Any]:
    errors: list[vol.Invalid] = []
    valid: dict[str, Any] = attempt(_WHOLE, document, errors)
    errors += broken_rules(_sound(document), document)
    settle(errors)
    return valid


def load_board(path: Path) -> spec.BoardSpec:
    """Read a board's file. Raises `ConfigError` with every error found."""
    valid = load_toml(path, vol.Schema(_board))
    rotary = valid.get("rotary")
    return spec.BoardSpec(
        name=valid["name"],
        rotary=spec.RotarySpec(**{"complement_pins": None, **rotary}) if rotary else None,
        pilot=spec.PilotSpec(**valid["pilot"]),
        adc=spec.AdcSpec(**valid["adc"]),
        contactor=spec.ContactorSpec(**valid["contactor"]),
        dead_man=spec.DeadManSpec(**{"held_pin": None, **valid["dead_man"]}),
        ground_fault=spec.GroundFaultSpec(**{"earth_pin": None, **valid["ground_fault"]}),
        meter=_meter(**valid["meter"]),
        thermometer=_thermometer(**valid["thermometer"]),
        lamp=spec.LampSpec(**valid["lamp"]),
    )


def _meter(kind: Any, **keys: Any) -> spec.EnergyMeterSpec | spec.CtSpec:
    if kind == "CT":
        return spec.CtSpec(**{**keys, "mains_hz": float(keys["mains_hz"])})
    keys.pop("port_pins", None)
    return spec.EnergyMeterSpec(kind, **{"port": None, "host": None, "baud": 9600, **keys})


def _thermometer(kind: str, **keys: Any) -> spec.KernelThermometerSpec | spec.ThermistorSpec:
    return spec.KernelThermometerSpec(keys["path"]) if kind == "kernel" else spec.ThermistorSpec(**keys)


# The table `[board]` of a station's file


@dataclass(frozen=True, slots=True)
class BoardChoice:
    """Which board a station stands on."""

    kind: Literal["simulated", "raspberry", "mock_raspberry"]
    """A simulated plant, a Raspberry Pi, or the firmware's drivers of one on a simulated Pi."""
    file: Path | None
    """The board file; None of a simulated plant."""


def board_choice(folder: Path) -> Check:
    """The check of `[board]` in a station's file in `folder`."""
    described: Fields = {required("file"): _described_in(folder)}
    chosen = _by_kind({"simulated": {}, "raspberry": described, "mock_raspberry": described})

    def check(value: Any) -> BoardChoice:
        valid = chosen(value)
        return BoardChoice(valid["kind"], valid.get("file"))

    return check


def read_station(path: Path) -> StationConfig:
    """Read a station's file; its `board` is a `BoardChoice`. Raises `ConfigError`."""
    return load_station(path, board_choice(path.parent))


def _described_in(folder: Path) -> Check:
    def check(value: Any) -> Path:
        told = text(value)
        path = folder / told if "/" in told or told.endswith(".toml") else _BOARDS / f"{told}.toml"
        if _is_file(path):
            return path
        shipped = sorted(file.stem for file in _BOARDS.glob("*.toml"))
        refused = expected(f"{', '.join(shipped)}, or the path of a board file from here", told)
        raise vol.Invalid(refused.msg + suggestion(told, shipped))

    return check


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
