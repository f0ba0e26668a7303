"""Parts of the Raspberry Pi board on a simulated Pi's pins and files: what the contract suite has no word for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isnan, pi, sin
from pathlib import Path
from typing import Literal

import pytest
from gpiozero import GPIOZeroError, InputDevice
from gpiozero.pins.mock import MockFactory, MockPin

from hal.api import BoardGone
from hal.raspberry import pwm
from hal.raspberry.adc import AdcError
from hal.raspberry.identity import chip_serial
from hal.raspberry.lamp import RgbLamp
from hal.raspberry.outputs import OneShot, PinContactor, PinGroundFault
from hal.raspberry.pins import told
from hal.raspberry.pwm import PERIOD_NS, KernelPwm
from hal.raspberry.rotary import DEBOUNCE_S, RotarySwitch
from hal.raspberry.sampler import FRESH_S, Channel, Sampler, ct_channel
from hal.raspberry.spec import (
    Active,
    ContactorSpec,
    CtSpec,
    DeadManSpec,
    GroundFaultSpec,
    LampSpec,
    PilotSpec,
    RotarySpec,
)

PILOT = PilotSpec(18, "pwmchip0", 0, 0, 1.65, 8.2)
ROTARY = RotarySpec((5, 6, 13, 19), "complement", None)
BOTH = replace(ROTARY, complement_pins=(20, 21, 22, 23))


class Time:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pins() -> MockFactory:
    return MockFactory()


def close_contacts(pins: MockFactory, numbers: tuple[int, ...], contacts: int) -> None:
    """A closed contact pulls its line to ground."""
    for bit, number in enumerate(numbers):
        pin = pins.pin(number)
        pin.drive_low() if contacts >> bit & 1 else pin.drive_high()


# Rotary switch


@pytest.mark.parametrize("coding", ["real", "complement"])
@pytest.mark.parametrize("position", range(16))
def test_each_position_of_each_code(
    pins: MockFactory, time: Time, coding: Literal["real", "complement"], position: int
) -> None:
    switch = RotarySwitch(replace(ROTARY, coding=coding), pins, time)
    close_contacts(pins, ROTARY.pins, position if coding == "real" else position ^ 15)
    switch.position()
    time.now += DEBOUNCE_S
    assert switch.position() == position


def test_a_switch_that_moves_has_no_position_until_it_stands(pins: MockFactory, time: Time) -> None:
    switch = RotarySwitch(ROTARY, pins, time)
    assert switch.position() == 15, "all contacts open: what it shows at first is believed"
    for contacts in (4, 5, 7):
        close_contacts(pins, ROTARY.pins, contacts)
        assert switch.position() is None
        time.now += DEBOUNCE_S * 0.9
        assert switch.position() is None
    time.now += DEBOUNCE_S * 0.2
    assert switch.position() == 7 ^ 15


def test_two_codes_that_contradict_each_other_are_no_position(pins: MockFactory, time: Time) -> None:
    switch = RotarySwitch(BOTH, pins, time)
    for main, other, position in ((4, 11, 11), (4, 4, None), (0, 0, None), (15, 0, 0), (4, 10, None)):
        close_contacts(pins, BOTH.pins, main)
        close_contacts(pins, BOTH.complement_pins or (), other)
        switch.position()
        time.now += DEBOUNCE_S
        assert switch.position() == position


# Outputs


def levels_of(pins: MockFactory, number: int) -> list[bool]:
    return [bool(state.state) for state in pins.pin(number).states]


def test_no_output_blips_from_the_claim_of_its_pin_to_the_end(pins: MockFactory, time: Time) -> None:
    contactor = PinContactor(ContactorSpec(17, 27, "low"), pins, lambda: None)
    sensor = PinGroundFault(GroundFaultSpec(24, "high", 25, None), pins, time, lambda: None)
    shot = OneShot(DeadManSpec(23, 1.0, None), pins, time, contactor.open)
    for part in (contactor, sensor, shot):
        part.release()
    assert [any(levels_of(pins, number)) for number in (17, 25, 23)] == [False, False, False]


@pytest.mark.parametrize("number", [17, 25, 23])
def test_an_output_is_pulled_down_while_it_is_driven_and_after_it_is_let_go(
    pins: MockFactory, time: Time, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """gpiozero on lgpio takes the pull away at the claim and at the end: what hangs on the pin may see anything."""
    begin, close = MockPin.clear_states, MockPin.close

    def begun(pin: MockPin) -> None:
        pin._pull = "floating"
        begin(pin)

    def closed(pin: MockPin) -> None:
        close(pin)
        pin._pull = "floating"

    monkeypatch.setattr(MockPin, "clear_states", begun)
    monkeypatch.setattr(MockPin, "close", closed)
    contactor = PinContactor(ContactorSpec(17, 27, "low"), pins, lambda: None)
    sensor = PinGroundFault(GroundFaultSpec(24, "high", 25, None), pins, time, lambda: None)
    shot = OneShot(DeadManSpec(23, 1.0, None), pins, time, contactor.open)
    pin = pins.pin(number)
    assert (pin.function, pin.pull) == ("output", "down"), "so it is what a killed process leaves"
    for part in (contactor, sensor, shot):
        part.release()
    assert (pin.function, pin.pull) == ("input", "down")


def test_a_trip_that_has_gone_before_anybody_looked_is_still_told(pins: MockFactory, time: Time) -> None:
    woken: list[float] = []
    sensor = PinGroundFault(GroundFaultSpec(24, "high", 25, None), pins, time, lambda: woken.append(time.now))
    pins.pin(24).drive_high()
    pins.pin(24).drive_low()
    assert woken
    time.now += 5.0  # the loop stood still
    assert sensor.tripped
    time.now += 0.049
    assert sensor.tripped
    time.now += 0.002
    assert not sensor.tripped


@pytest.mark.parametrize("active", ["high", "low"])
def test_feedback_and_trip_of_either_level_wake_the_loop(pins: MockFactory, time: Time, active: Active) -> None:
    woken: list[str] = []
    contactor = PinContactor(ContactorSpec(17, 27, active), pins, lambda: woken.append("contactor"))
    sensor = PinGroundFault(GroundFaultSpec(24, active, 25, 26), pins, time, lambda: woken.append("ground"))
    woken.clear()
    drive: Callable[[MockPin], None] = MockPin.drive_high if active == "high" else MockPin.drive_low
    for number in (27, 24):
        MockPin.drive_low(pins.pin(number)) if active == "high" else MockPin.drive_high(pins.pin(number))
        drive(pins.pin(number))
    assert (contactor.closed, sensor.tripped, sensor.grounded) == (True, True, False)
    assert {"contactor", "ground"} <= set(woken)
    pins.pin(26).drive_high()
    assert sensor.grounded


class Watched:
    """A dead-man and what it did, in order."""

    def __init__(self, pins: MockFactory, time: Time, held_pin: int | None) -> None:
        self.done: list[str] = []
        self.stall_s = 0.0
        """That the process stands still right before an edge."""
        self.shot = OneShot(DeadManSpec(23, 1.0, held_pin), pins, time, lambda: self.done.append("safe"))
        pulse = self.shot._pulse
        rise = pulse.on

        def watched() -> None:
            time.now += self.stall_s
            self.done.append("edge")
            rise()

        pulse.on = watched


def test_what_was_let_go_is_made_safe_before_the_edge_that_enables_it_again(pins: MockFactory, time: Time) -> None:
    watched = Watched(pins, time, held_pin=None)
    assert not watched.shot.refresh(), "nothing held it at the start"
    time.now += 0.6
    assert watched.shot.refresh()
    time.now += 0.601
    assert not watched.shot.refresh(), "a one-shot that is not wired back may have let go by then"
    assert watched.done == ["safe", "edge", "edge", "safe", "edge"]


def test_a_one_shot_that_is_wired_back_is_believed(pins: MockFactory, time: Time) -> None:
    watched = Watched(pins, time, held_pin=22)
    watched.shot.refresh()
    pins.pin(22).drive_high()
    time.now += 0.99
    assert watched.shot.refresh()
    pins.pin(22).drive_low()
    assert not watched.shot.refresh()
    assert levels_of(pins, 23) == [False, True, False, True, False, True, False], "a pulse each"


def test_a_wire_that_is_stuck_hides_no_drop(pins: MockFactory, time: Time) -> None:
    watched = Watched(pins, time, held_pin=22)
    pins.pin(22).drive_high()
    watched.shot.refresh()
    time.now += 1.01
    assert not watched.shot.refresh()


def test_a_stall_between_the_look_and_the_pulse_hides_no_drop(pins: MockFactory, time: Time) -> None:
    """The look said that it holds. By the pulse it had let go, and enabled outputs that nobody had made safe."""
    watched = Watched(pins, time, held_pin=None)
    watched.shot.refresh()
    assert watched.shot.refresh()
    watched.done.clear()
    watched.stall_s = 1.01
    assert not watched.shot.refresh()
    assert watched.done == ["edge", "safe"]


def test_a_one_shot_that_holds_nothing_is_said(pins: MockFactory, time: Time) -> None:
    """Dead, without supply, or its wire off: all of them leave a station that waits for ever."""
    shot = Watched(pins, time, held_pin=22).shot
    assert shot.problem == "", "nothing has been refreshed yet"
    shot.refresh()
    assert shot.problem.startswith("the dead-man does not hold: GPIO 22 is low after a pulse on GPIO 23")
    pins.pin(22).drive_high()
    assert shot.problem == ""
    pins.pin(22).drive_low()
    time.now += 0.61
    assert shot.problem == "", "it may let go of what stands still"


def test_a_one_shot_that_is_not_wired_back_can_say_nothing(pins: MockFactory, time: Time) -> None:
    shot = Watched(pins, time, held_pin=None).shot
    shot.refresh()
    assert shot.problem == ""


@pytest.mark.parametrize(
    ("middle", "peak", "reads"),
    [
        (1.65, 0.5, True),
        (0.3, 0.5, False),
        (0.0, 0.5, False),
        (3.3, 0.5, False),
        (1.65, 1.62, True),
        (1.66, 1.63, False),
        (1.64, 1.63, False),
    ],
)
def test_a_transformer_without_its_bias_or_that_is_cut_shows_no_current(
    time: Time, middle: float, peak: float, reads: bool
) -> None:
    class Wave(Converter):
        def volts(self, channel: int, count: int, spacing_us: int = 0) -> list[float]:
            wave = [middle + peak * sin(2 * pi * 60 * i * spacing_us * 1e-6) for i in range(count)]
            return [min(max(volt, 0.0), 3.2992) for volt in wave]

    taken: list[float] = []
    ct_channel(CtSpec(1, 90.9, 240.0, 60.0), 3.3, lambda volts, now: taken.append(volts)).sample(Wave(), time.now)
    assert isnan(taken[0]) is not reads


Made = Callable[[MockFactory, Time], object]
PARTS: Mapping[str, tuple[tuple[int, ...], Made]] = {
    "contactor": ((17, 27), lambda pins, time: PinContactor(ContactorSpec(17, 27, "low"), pins, lambda: None)),
    "ground fault": (
        (25, 24, 26),
        lambda pins, time: PinGroundFault(GroundFaultSpec(24, "high", 25, 26), pins, time, lambda: None),
    ),
    "dead-man": ((23, 22), lambda pins, time: OneShot(DeadManSpec(23, 1.0, 22), pins, time, lambda: None)),
    "lamp": ((16, 12, 4), lambda pins, time: RgbLamp(LampSpec(16, 12, 4, "high"), pins, time)),
    "rotary": ((*BOTH.pins, *(BOTH.complement_pins or ())), lambda pins, time: RotarySwitch(BOTH, pins, time)),
}


@pytest.mark.parametrize(("part", "taken"), [(part, pin) for part, (numbers, _) in PARTS.items() for pin in numbers])
def test_a_part_that_can_be_claimed_by_half_is_let_go(pins: MockFactory, time: Time, part: str, taken: int) -> None:
    numbers, made = PARTS[part]
    with InputDevice(taken, pin_factory=pins), pytest.raises(BoardGone, match=str(taken)) as refused:
        made(pins, time)
    for number in numbers:
        InputDevice(number, pin_factory=pins).close()
    assert refused.value.__traceback__ is not None, "nor was it the end of its frames that let it go"
    made(pins, time)


# Pilot


@pytest.fixture
def chip(tmp_path: Path) -> Path:
    """A PWM chip whose channel is exported already."""
    for name in ("period", "duty_cycle", "enable", "polarity"):
        path = tmp_path / "pwmchip0" / "pwm0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("normal\n" if name == "polarity" else "0\n")
    return tmp_path / "pwmchip0"


def wave(chip: Path) -> tuple[str, str, str]:
    period, duty, enable = ((chip / "pwm0" / name).read_text() for name in ("period", "duty_cycle", "enable"))
    return period, duty, enable


@pytest.fixture
def written(chip: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is written into the chip's files, in order."""
    written: list[tuple[str, str]] = []
    write = Path.write_text

    def watched(path: Path, text: str) -> int:
        if chip in path.parents:
            written.append((path.name, text))
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", watched)
    return written


def test_the_pilot_begins_steady_before_it_is_enabled(chip: Path, written: list[tuple[str, str]]) -> None:
    pilot = KernelPwm(PILOT, chip.parent)
    assert written == [("duty_cycle", "0"), ("period", "1000000"), ("duty_cycle", "1000000"), ("enable", "1")]
    written.clear()
    pilot.pwm(80.0)
    pilot.fault()
    pilot.steady()
    assert written == [("duty_cycle", "800000"), ("duty_cycle", "0"), ("duty_cycle", "1000000")], "never disabled"


def test_a_generator_that_runs_already_is_only_made_steady(chip: Path) -> None:
    for name, text in (("period", str(PERIOD_NS)), ("duty_cycle", "530000"), ("enable", "1")):
        (chip / "pwm0" / name).write_text(text)
    KernelPwm(PILOT, chip.parent)
    assert wave(chip) == ("1000000", "1000000", "1")


def test_a_generator_that_was_left_inverted_is_stopped_and_put_right(
    chip: Path, written: list[tuple[str, str]]
) -> None:
    for name, text in (("period", str(PERIOD_NS)), ("duty_cycle", "530000"), ("enable", "1"), ("polarity", "inversed")):
        (chip / "pwm0" / name).write_text(f"{text}\n")
    written.clear()
    KernelPwm(PILOT, chip.parent)
    assert written == [("enable", "0"), ("polarity", "normal"), ("duty_cycle", "1000000"), ("enable", "1")]


@pytest.mark.parametrize("name", ["period", "enable", "polarity"])
def test_a_generator_that_tells_nothing_is_a_sentence(chip: Path, name: str) -> None:
    (chip / "pwm0" / name).write_bytes(b"\xff")
    with pytest.raises(BoardGone, match=f"pwmchip0, channel 0 does not tell its {name}"):
        KernelPwm(PILOT, chip.parent)
    (chip / "pwm0" / name).unlink()
    with pytest.raises(BoardGone, match=f"pwmchip0, channel 0 does not tell its {name}: .*No such file"):
        KernelPwm(PILOT, chip.parent)


def test_a_pwm_that_can_t_be_had_is_a_sentence(tmp_path: Path, chip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwm, "_APPEARS_S", 0.0)
    with pytest.raises(BoardGone, match=r"dtoverlay=pwm,pin=18,func=2 into /boot/firmware/config\.txt"):
        KernelPwm(replace(PILOT, pwm_chip="pwmchip7"), tmp_path)
    with pytest.raises(BoardGone, match="channel 1 may not be used: add this user to the group gpio"):
        KernelPwm(replace(PILOT, pwm_channel=1), tmp_path)
    assert (chip / "export").read_text() == "1"
    (tmp_path / "1f00098000.pwm").mkdir()
    (tmp_path / "pwmchip2").mkdir()
    (tmp_path / "pwmchip2" / "device").symlink_to(tmp_path / "1f00098000.pwm")
    with pytest.raises(BoardGone, match=r'set pilot\.pwm_chip = "pwmchip2"'):
        KernelPwm(PILOT, tmp_path)


# What the ADC tells


class Converter:
    """Pilot volts, whatever is asked for; None = it gives garbage."""

    def __init__(self) -> None:
        self.pilot: float | None = 12.0

    def volts(self, channel: int, count: int, spacing_us: int = 0) -> list[float]:
        if self.pilot is None:
            raise AdcError("MCP3208 gives answers of zeros alone")
        return [PILOT.zero_v + self.pilot / PILOT.gain] * count


def sampler(adc: Converter, time: Time, channels: list[Channel], woken: list[float]) -> Sampler:
    return Sampler(PILOT, adc, channels, time, lambda: woken.append(time.now))


def test_the_loop_is_woken_by_what_is_new_and_not_by_noise(time: Time) -> None:
    adc, woken = Converter(), list[float]()
    one = sampler(adc, time, [], woken)
    assert tuple(one.reading) == pytest.approx((12.0, 12.0))
    woken.clear()
    adc.pilot = 12.1
    one.turn()
    assert woken == []
    adc.pilot = 9.0
    one.turn()
    assert woken == [time.now]
    assert one.reading.high_v == pytest.approx(9.0)


def test_garbage_and_silence_are_unread_and_said(time: Time) -> None:
    adc, woken = Converter(), list[float]()
    one = sampler(adc, time, [], woken)
    adc.pilot = None
    woken.clear()
    for _ in range(3):
        one.turn()
    assert isnan(one.reading.high_v)
    assert one.problem == "MCP3208 gives answers of zeros alone"
    assert len(woken) == 1
    adc.pilot = 9.0
    one.turn()
    assert one.problem == ""
    assert one.reading.high_v == pytest.approx(9.0)


def test_an_adc_that_hangs_is_unread_and_said(time: Time) -> None:
    one = sampler(Converter(), time, [], [])
    time.now += FRESH_S * 0.99
    assert (isnan(one.reading.high_v), one.problem) == (False, "")
    time.now += FRESH_S * 0.02
    assert isnan(one.reading.high_v)
    assert one.problem.startswith("the ADC has not answered for 0.25 s: its driver hangs")
    one.turn()
    assert (isnan(one.reading.high_v), one.problem) == (False, "")


def test_a_reading_is_as_old_as_its_first_sample(time: Time) -> None:
    class Slow(Converter):
        def volts(self, channel: int, count: int, spacing_us: int = 0) -> list[float]:
            time.now += FRESH_S * 1.01
            return super().volts(channel, count, spacing_us)

    one = sampler(Slow(), time, [], [])
    assert isnan(one.reading.high_v), "what was true so long ago"


def test_another_channel_that_can_t_be_read_leaves_the_pilot_alone(time: Time) -> None:
    class Deaf(Converter):
        def volts(self, channel: int, count: int, spacing_us: int = 0) -> list[float]:
            if channel == 1:
                raise AdcError("no bias")
            return super().volts(channel, count)

    taken: list[object] = []
    one = sampler(Deaf(), time, [Channel(1, 8, 0, 0.5, lambda volts, now: taken.append(volts))], [])
    assert (taken, one.problem) == ([None], "no bias")
    assert one.reading.high_v == pytest.approx(12.0)
    time.now += 0.4
    one.turn()
    assert taken == [None], "not yet due"
    time.now += 0.2
    one.turn()
    assert taken == [None, None]


# Who it is, and what people are told


@pytest.mark.parametrize(
    ("text", "serial"),
    [("00000000a1b2c3d4\0", 0xA1B2C3D4), ("ffff1234567890ab\0\n", 0x1234567890AB), ("10000000abcdef01", 0xABCDEF01)],
)
def test_the_serial_number_is_the_chip_s(tmp_path: Path, text: str, serial: int) -> None:
    (tmp_path / "serial").write_text(text)
    assert chip_serial(tmp_path / "serial") == serial


@pytest.mark.parametrize("text", [None, "", "none\0", "0000000000000000\0", "ffffffffffffffff\0", "\xe9"])
def test_a_chip_without_a_number_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "serial").write_text(text, "utf-8")
    with pytest.raises(BoardGone, match="tells no serial number"):
        chip_serial(tmp_path / "serial")


class _LgpioError(Exception):
    """As lgpio's own, which has no base of its own."""


_LgpioError.__module__ = "lgpio"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(13, "Permission denied"), "add this user to the group gpio"),
        (ModuleNotFoundError("x", name="lgpio"), "lgpio is not installed (apt-get install python3-lgpio)"),
        (GPIOZeroError("pin GPIO5 is already in use"), "the lamp can't be used: pin GPIO5 is already in use"),
        (_LgpioError("'GPIO busy'"), "another process holds it"),
        (_LgpioError("'can not open gpiochip'"), "add this user to the group gpio"),
        (_LgpioError("'bad pull'"), "the lamp can't be used: 'bad pull'"),
    ],
)
def test_what_keeps_a_part_from_being_used_is_said(error: Exception, sentence: str) -> None:
    with pytest.raises(BoardGone) as refused, told("the lamp"):
        raise error
    assert sentence in str(refused.value)


def test_a_defect_of_ours_stays_one() -> None:
    with pytest.raises(ZeroDivisionError), told("the lamp"):
        raise ZeroDivisionError
