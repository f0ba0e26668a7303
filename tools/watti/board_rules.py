"""What the values of a board file have to be to each other.

No pin and no ADC channel belongs to two parts, the pilot stands on a pin that has PWM, and what the ADC has to see
fits into its range. Pins that a kernel driver uses count as taken.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import voluptuous as vol

from firmware.config import MODELS

Sound = Mapping[str, Any]
"""`table.key` -> value, of all that are right by themselves."""

PWM_CHANNELS: Mapping[int, tuple[int, ...]] = {12: (0,), 13: (1,), 18: (0, 2), 19: (1, 3)}
"""Of each pin with kernel PWM, its channel; where there are two, the second is that of a Pi 5 (RP1's PWM0)."""
SPI_PINS = range(7, 12)
"""SPI 0 with both its chip selects."""
I2C_PINS = (2, 3)
ONE_WIRE_PIN = 4  # of the overlay w1-gpio without gpiopin
PILOT_SPAN_V = 12.5
"""The ADC has to see +-12 V with 0.5 V to spare."""
CT_SPAN_A = (max(MODELS.values()) + 0.5) * 1.10
"""Where overdraw of the biggest model begins: less must not clip."""
CT_STEP_A = 0.2
ADC_STEPS = 4096
SPI_HZ: Mapping[str, tuple[int, int]] = {"MCP3208": (10_000, 2_000_000), "ADC128S102": (8_000_000, 16_000_000)}
"""Clock at which each converter keeps its promise (data sheets)."""


def broken_rules(sound: Sound, document: Mapping[str, Any]) -> Iterator[vol.Invalid]:
    """The errors of a document beyond those of single values, which `sound` lacks."""
    for rule in (_taken_twice, _pilot, _adc, _ct, _thermometer):
        yield from rule(sound)
    yield from _energy_meter(document)


def _at(key: str, message: str) -> vol.Invalid:
    return vol.Invalid(message, [int(part) if part.isdigit() else part for part in re.findall(r"\w+", key)])


def _drivers_pins(sound: Sound) -> Iterator[tuple[str, str, int]]:
    """Pins of kernel drivers: key that asks for one, its owner, pin."""
    for pin in SPI_PINS:
        yield "adc.bus", "adc.bus (SPI 0)", pin
    path = sound.get("thermometer.path", "")
    if path.startswith("sys/bus/i2c"):
        for pin in I2C_PINS:
            yield "thermometer.path", "thermometer.path (I2C)", pin
    elif path:
        key = "thermometer.pin" if "thermometer.pin" in sound else "thermometer.path"
        yield key, f"{key} (1-wire)", sound.get("thermometer.pin", ONE_WIRE_PIN)


_PIN_KEYS = (
    *("bus.pins", "bus.direction_pin", "pilot.pin", "meter.port_pins", "rotary.pins", "rotary.complement_pins"),
    *("contactor.pin", "contactor.feedback_pin", "dead_man.pin", "dead_man.held_pin"),
    *("ground_fault.pin", "ground_fault.test_pin", "ground_fault.earth_pin", "lamp.red", "lamp.green", "lamp.blue"),
)


def _boards_pins(sound: Sound) -> Iterator[tuple[str, str, int]]:
    for key in _PIN_KEYS:
        match sound.get(key):
            case int(pin):
                yield key, key, pin
            case tuple(pins):
                yield from ((f"{key}[{place}]", f"{key}[{place}]", pin) for place, pin in enumerate(pins))


def _taken_twice(sound: Sound) -> Iterator[vol.Invalid]:
    owners: dict[int, str] = {}
    for key, owner, pin in (*_drivers_pins(sound), *_boards_pins(sound)):
        if owners.setdefault(pin, owner) != owner:
            yield _at(key, f"expected a free pin: GPIO {pin} belongs to {owners[pin]}")
    channels: dict[int, str] = {}
    for key in ("pilot.adc_channel", "meter.adc_channel", "thermometer.adc_channel"):
        channel = sound.get(key)
        if channel is not None and channels.setdefault(channel, key) != key:
            yield _at(key, f"expected a free channel: {channel} belongs to {channels[channel]}")


def _pilot(sound: Sound) -> Iterator[vol.Invalid]:
    pin, channel = sound.get("pilot.pin"), sound.get("pilot.pwm_channel")
    if pin is not None and channel is not None and channel not in PWM_CHANNELS[pin]:
        right = ", on a Pi 5 ".join(map(str, PWM_CHANNELS[pin]))
        yield _at("pilot.pwm_channel", f"expected {right}, the channel of GPIO {pin} (got {channel})")
    zero, gain, reference = (sound.get(key) for key in ("pilot.zero_v", "pilot.gain", "adc.reference_v"))
    if zero is None or gain is None or reference is None:
        return
    for span, word in ((-PILOT_SPAN_V, "-12 V"), (PILOT_SPAN_V, "+12 V")):
        seen = zero + span / gain
        if not 0 <= seen <= reference:
            allowed = f"expected the ADC to see 0 to {reference:g} V (adc.reference_v)"
            yield _at("pilot.gain", f"{allowed}: at {word} and 0.5 V more it would see {seen:.2f} V")


def _adc(sound: Sound) -> Iterator[vol.Invalid]:
    chip, speed = sound.get("adc.chip"), sound.get("adc.speed_hz")
    if chip is not None and speed is not None:
        slowest, fastest = SPI_HZ[chip]
        if not slowest <= speed <= fastest:
            yield _at("adc.speed_hz", f"expected {slowest} to {fastest} for an {chip} (got {speed})")


def _ct(sound: Sound) -> Iterator[vol.Invalid]:
    ratio, reference = sound.get("meter.amps_per_volt"), sound.get("adc.reference_v")
    if ratio is None or reference is None:
        return
    clips, step = reference / 2 / math.sqrt(2) * ratio, reference / ADC_STEPS * ratio
    if clips < CT_SPAN_A:
        message = f"expected room for {CT_SPAN_A:.1f} A, where overdraw of the biggest model begins"
        yield _at("meter.amps_per_volt", f"{message} (with {ratio:g} the ADC clips at {clips:.1f} A)")
    if step > CT_STEP_A:
        message = f"expected steps of at most {CT_STEP_A} A"
        yield _at("meter.amps_per_volt", f"{message} (with {ratio:g} one step of the ADC is {step:.2f} A)")


def _energy_meter(document: Mapping[str, Any]) -> Iterator[vol.Invalid]:
    """Keys of an energy meter that belong together, whatever they hold."""
    meter = document.get("meter")
    if not isinstance(meter, dict) or meter.get("kind") not in ("SDM120", "SDM630"):
        return
    port, host = "port" in meter, "host" in meter
    if port == host:
        yield _at("meter.port", f"expected either port or host (got {'both' if port else 'neither'})")
    if port and "baud" not in meter:
        yield _at("meter.baud", "expected this key (it is missing): a meter on a port has a baud rate")
    for key in ("baud", "port_pins"):
        if host and not port and key in meter:
            yield _at(f"meter.{key}", "expected no such key: a meter at a host has none")
    if meter["kind"] == "SDM120" and isinstance(meter.get("lines"), list) and meter["lines"] != [1]:
        yield _at("meter.lines", "expected [1]: an SDM120 has one line")


def _thermometer(sound: Sound) -> Iterator[vol.Invalid]:
    if "thermometer.pin" in sound and sound.get("thermometer.path", "").startswith("sys/bus/i2c"):
        yield _at("thermometer.pin", "expected no such key: I2C has GPIO 2 and 3")
