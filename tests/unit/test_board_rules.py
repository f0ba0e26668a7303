"""Board files: what belongs to two parts, or can't be seen or timed, is refused with both sides named."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.raspberry.spec import EnergyMeterSpec, RotarySpec
from tests.unit.test_board_file import ADC128S102, MCP3208, changed, errors_of, written
from watti.board_file import load_board
from watti.board_rules import PWM_CHANNELS

BOTH_CODES = {"pins": [4, 5, 6, 13], "coding": "real", "complement_pins": [2, 3, 16, 17]}
ONE_PIN = [
    *("contactor.pin", "contactor.feedback_pin", "dead_man.pin", "dead_man.held_pin", "ground_fault.pin"),
    *("ground_fault.test_pin", "ground_fault.earth_pin", "lamp.red", "lamp.green", "lamp.blue"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boards") / "some.toml"


# Pins and channels


@given(st.permutations(ONE_PIN))
def test_two_parts_on_one_pin_are_both_named(file: Path, keys: list[str]) -> None:
    first, second = keys[:2]
    (table, key), (other, its_key) = first.split("."), second.split(".")
    document = changed(MCP3208, **{f"{table}__{key}": MCP3208[other][its_key]})
    [error] = errors_of(file, document)
    assert "expected a free pin: GPIO " in error
    assert first in error
    assert second in error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"lamp__red": 9}, "lamp.red: expected a free pin: GPIO 9 belongs to adc.bus (SPI 0)"),
        ({"lamp__red": 7}, "lamp.red: expected a free pin: GPIO 7 belongs to adc.bus (SPI 0)"),
        ({"lamp__red": 12}, "lamp.red: expected a free pin: GPIO 12 belongs to pilot.pin"),
        ({"lamp__red": 14}, "lamp.red: expected a free pin: GPIO 14 belongs to bus.pins[0]"),
        ({"lamp__red": 17}, "lamp.red: expected a free pin: GPIO 17 belongs to bus.direction_pin"),
        ({"lamp__red": 13}, "lamp.red: expected a free pin: GPIO 13 belongs to rotary.pins[3]"),
        ({"rotary__pins": [4, 5, 6, 13, 16]}, "rotary.pins: expected 4 pins (got 5)"),
        ({"rotary__pins": [4, 5, 6]}, "rotary.pins: expected 4 pins (got 3)"),
        ({"rotary__pins": [4, 5, 6, 5]}, "rotary.pins[3]: expected a free pin: GPIO 5 belongs to rotary.pins[1]"),
        (
            {"rotary": {**BOTH_CODES, "complement_pins": [2, 3, 16, 4]}},
            "rotary.complement_pins[3]: expected a free pin: GPIO 4 belongs to rotary.pins[0]",
        ),
        (
            {"thermometer": {"kind": "kernel", "path": "sys/bus/w1/devices/28-*/temperature"}},
            "rotary.pins[0]: expected a free pin: GPIO 4 belongs to thermometer.path (1-wire)",
        ),
        (
            {"thermometer": {"kind": "kernel", "path": "sys/bus/w1/devices/28-*/temperature", "pin": 27}},
            "lamp.red: expected a free pin: GPIO 27 belongs to thermometer.pin (1-wire)",
        ),
        (
            {
                "thermometer": {
                    "kind": "kernel",
                    "path": "sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input",
                    "pin": 16,
                }
            },
            "thermometer.pin: expected no such key: I2C has GPIO 2 and 3",
        ),
        ({"meter__adc_channel": 0}, "meter.adc_channel: expected a free channel: 0 belongs to pilot.adc_channel"),
        (
            {"thermometer__adc_channel": 1},
            "thermometer.adc_channel: expected a free channel: 1 belongs to meter.adc_channel",
        ),
    ],
)
def test_what_is_taken_already(file: Path, changes: dict[str, Any], error: str) -> None:
    assert errors_of(file, changed(MCP3208, **changes)) == [error]


def test_i2c_has_its_two_pins(file: Path) -> None:
    sensor = {"kind": "kernel", "path": "sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input"}
    assert errors_of(file, changed(MCP3208, thermometer=sensor)) == []
    [error] = errors_of(file, changed(MCP3208, thermometer=sensor, lamp__red=3))
    assert error == "lamp.red: expected a free pin: GPIO 3 belongs to thermometer.path (I2C)"


def test_a_switch_with_both_codes(file: Path) -> None:
    document = changed(MCP3208, rotary=BOTH_CODES, bus=None)
    assert load_board(written(file, document)).rotary == RotarySpec((4, 5, 6, 13), "real", (2, 3, 16, 17))


@pytest.mark.parametrize("table", ["contactor__pin", "dead_man__pin", "ground_fault__test_pin"])
def test_an_output_stands_on_no_pin_that_is_high_at_the_start(file: Path, table: str) -> None:
    for pin in (*range(2, 9), 14):
        key = table.replace("__", ".")
        message = "expected a GPIO from 9 to 27 but not 14, for the others are high while the Pi starts"
        assert f"{key}: {message} (got {pin})" in errors_of(file, changed(MCP3208, **{table: pin}))
    assert errors_of(file, changed(MCP3208, **{table: 16})) == []


def test_an_active_low_contactor_can_not_be_described(file: Path) -> None:
    [error] = errors_of(file, changed(MCP3208, contactor__active="low"))
    assert error.startswith("contactor.active: unknown key, expected pin, feedback_pin, feedback_active")


# Electrical limits


@pytest.mark.parametrize("pin", range(2, 28))
@pytest.mark.parametrize("channel", range(4))
def test_the_pilots_pin_and_channel(file: Path, pin: int, channel: int) -> None:
    without = changed(MCP3208, lamp__green=2, lamp__blue=3, rotary=None)
    errors = errors_of(file, changed(without, pilot__pin=pin, pilot__pwm_channel=channel))
    pilots = [error for error in errors if error.startswith("pilot.")]
    if pin not in PWM_CHANNELS:
        assert pilots == [f"pilot.pin: expected 12, 13, 18 or 19 (got {pin})"]
    elif channel not in {12: {0}, 13: {1}, 18: {0, 2}, 19: {1, 3}}[pin]:
        right = {12: "0", 13: "1", 18: "0, on a Pi 5 2", 19: "1, on a Pi 5 3"}[pin]
        assert pilots == [f"pilot.pwm_channel: expected {right}, the channel of GPIO {pin} (got {channel})"]
    else:
        assert errors == []


RANGE = "pilot.gain: expected the ADC to see 0 to 3.3 V (adc.reference_v): at"
OVERDRAW = "meter.amps_per_volt: expected room for 88.6 A, where overdraw of the biggest model begins"
HELD = "dead_man.window_s: expected 0.5 to 1 s, for held longer a lost station would draw on while its amps are given"
STEPS = "meter.amps_per_volt: expected steps of at most 0.2 A (with 250 one step of the ADC is 0.20 A)"
SPEED = "adc.speed_hz: expected"


@pytest.mark.parametrize(
    ("key", "value", "errors"),
    [
        ("pilot__gain", 7.6, []),
        (
            *("pilot__gain", 7.5),
            [f"{RANGE} -12 V and 0.5 V more it would see -0.02 V", f"{RANGE} +12 V and 0.5 V more it would see 3.32 V"],
        ),
        ("pilot__zero_v", 1.2, [f"{RANGE} -12 V and 0.5 V more it would see -0.32 V"]),
        ("meter__amps_per_volt", 75, [f"{OVERDRAW} (with 75 the ADC clips at 87.5 A)"]),
        ("meter__amps_per_volt", 76, []),
        ("meter__amps_per_volt", 248, []),
        ("meter__amps_per_volt", 250, [STEPS]),
        ("adc__speed_hz", 2_000_001, [f"{SPEED} 10000 to 2000000 for an MCP3208 (got 2000001)"]),
        ("adc__chip", "ADC128S102", [f"{SPEED} 8000000 to 16000000 for an ADC128S102 (got 1000000)"]),
        ("dead_man__window_s", 0.5, []),
        ("dead_man__window_s", 1, []),
        ("dead_man__window_s", 1.01, [f"{HELD} to others (got 1.01)"]),
    ],
)
def test_limits(file: Path, key: str, value: Any, errors: list[str]) -> None:
    assert errors_of(file, changed(MCP3208, **{key: value})) == errors


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"meter__host": "10.0.0.9:502"}, "meter.port: expected either port or host (got both)"),
        ({"meter__port": None}, "meter.port: expected either port or host (got neither)"),
        ({"meter__baud": None}, "meter.baud: expected this key (it is missing): a meter on a port has a baud rate"),
        ({"meter__lines": [2]}, "meter.lines: expected [1]: an SDM120 has one line"),
        (
            {"meter__kind": "SDM630", "meter__lines": [1, 1]},
            'meter.lines: expected one to three different lines of 1, 2, 3 (got "1, 1")',
        ),
        (
            {"meter__kind": "SDM12"},
            'meter.kind: expected "SDM120", "SDM630" or "CT" (got "SDM12"), did you mean SDM120?',
        ),
        ({"thermometer__path": "sys/bus/w1/devices/../../x"}, None),
        ({"thermometer__path": "sys/class/thermal/thermal_zone0/temp"}, None),
    ],
)
def test_meters_and_thermometers(file: Path, changes: dict[str, Any], error: str | None) -> None:
    [told] = errors_of(file, changed(ADC128S102, **changes))
    assert told == error or (error is None and told.startswith("thermometer.path: expected a reading below sys/bus/"))


def test_a_meter_at_a_host_has_no_line_settings(file: Path) -> None:
    at_host = changed(ADC128S102, meter__port=None, meter__host="meter.local:502")
    none = "expected no such key: a meter at a host has none"
    assert errors_of(file, at_host) == [f"meter.baud: {none}", f"meter.port_pins: {none}"]
    document = changed(at_host, meter__baud=None, meter__port_pins=None)
    assert load_board(written(file, document)).meter == EnergyMeterSpec(
        "SDM120", None, "meter.local:502", 1, 9600, "big", (1,)
    )
