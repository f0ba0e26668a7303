"""A Raspberry Pi that is none: what its firmware finds of one (pins, sysfs, SPI) over the plant of another board.

The wiring of a board's description, the other way round: levels of pins become verbs, and what the plant shows becomes
levels of pins and volts at the converter's inputs. The one-shot is the plant's dead-man: each edge retriggers it, and
what it enables is what the pins say at that moment.
"""

import random
from collections.abc import Callable, Sequence
from math import exp, isnan, pi, sin, sqrt
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

from gpiozero.pins.mock import MockFactory, MockPin

from hal.api import Colour, DeadMan, Drivers, Inputs, Light
from hal.raspberry.board import Hardware
from hal.raspberry.lamp import PRIMARIES
from hal.raspberry.pwm import PERIOD_NS
from hal.raspberry.spec import BoardSpec, CtSpec, KernelThermometerSpec, Places, ThermistorSpec

_DUTY = "duty_cycle"
_COLOURS = {primaries: colour for colour, primaries in PRIMARIES.items()} | {
    (True, False, True): Colour.RED,
    (False, True, True): Colour.GREEN,
}
"""Of red, green and blue; the last two are seen for a moment while one pin after the other changes."""
_NOISE_V = 0.002  # at the converter's input: 16 mV of the pilot, 0.2 A of the CT


class SimulatedPin(MockPin):
    """A pin whose other end is wired to something that keeps its level, whatever pull the firmware chooses."""

    def __init__(self, factory: "Pins", info: Any) -> None:
        self.wired: bool | None = None
        self._state = False
        self.sense: Callable[[], bool] | None = None
        """What gives its level at the moment it is asked for."""
        super().__init__(factory, info)

    def drive(self, level: bool) -> None:
        """The other end's level."""
        self.wired = level
        if self.function == "input":
            self.drive_high() if level else self.drive_low()

    def _get_state(self) -> bool:
        return self.sense() if self.sense is not None else bool(super()._get_state())

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        if self.wired is not None:
            self.drive(self.wired)

    def _change_state(self, value: bool) -> bool:
        if self._state == value:
            return False
        self._state = value
        if self._function == "output":
            self.factory.changed(self.info.name, bool(value))
        return True


class Pins(MockFactory):
    """All pins of a Pi. `changed` is told the name of an output and its level."""

    def __init__(self, changed: Callable[[str, bool], None]) -> None:
        self.changed = changed
        super().__init__(pin_class=SimulatedPin)


class Behind(Drivers, Protocol):
    """The board that has the plant."""

    @property
    def dead_man(self) -> DeadMan: ...
    def inputs(self) -> Inputs: ...


class SimulatedPi:
    """The Pi of one board. Its pins, files and converter may be used by any thread."""

    def __init__(self, spec: BoardSpec, behind: Behind, root: Path, clock: Callable[[], float]) -> None:
        """`root`: an empty folder for its files."""
        self.behind = behind
        self._spec = spec
        self._clock = clock
        self.lock = RLock()
        """For whoever says something to `behind` besides."""
        self._edge_at = -1.0
        self._duty: str | None = None
        self._between = 0
        self._places = Places(root)
        self._pwm = self._places.pwm / spec.pilot.pwm_chip / f"pwm{spec.pilot.pwm_channel}"
        self._outputs: dict[str, Callable[[bool], None]] = {
            f"GPIO{spec.contactor.pin}": self._drive_contactor,
            f"GPIO{spec.dead_man.pin}": self._retrigger,
            f"GPIO{spec.ground_fault.test_pin}": behind.ground_fault.test,
        }
        lamp = (spec.lamp.red, spec.lamp.green, spec.lamp.blue)
        self._outputs |= {f"GPIO{pin}": lambda _: self._shine() for pin in lamp}
        self._lamp, self._lit = lamp, spec.lamp.active == "high"
        self._levels: dict[str, bool] = {}
        self._factory = self._pins()
        self._boot(root)
        self.pump()

    @property
    def hardware(self) -> Hardware:
        """For `hal.raspberry.board.Parts`."""
        return Hardware(lambda: self._factory, lambda _: Converter(self, self._spec, self._clock), self._places)

    def kill(self) -> None:
        """The firmware's process has died: the kernel leaves its outputs as they are, and they are free."""
        self._factory = self._pins()

    def _pins(self) -> Pins:
        pins = Pins(self._changed)
        if self._spec.dead_man.held_pin is not None:
            pins.pin(self._spec.dead_man.held_pin).sense = self._holds
        return pins

    @property
    def duty(self) -> float:
        """Part of the pilot's period that is high."""
        return int(self._duty or 0) / PERIOD_NS

    def level(self, pin: int) -> bool:
        """Of an output, as a voltmeter shows it."""
        return self._levels.get(f"GPIO{pin}", False)

    def _boot(self, root: Path) -> None:
        """The files of a Pi that has just started, its PWM exported."""
        for name, text in ((_DUTY, "0"), ("period", "0"), ("enable", "0"), ("polarity", "normal")):
            _write(self._pwm / name, text)
        _write(self._pwm.parent / "npwm", "2")
        _write(self._places.serial_number, "00000000a1b2c3d4\0")
        _write(self._places.model, "Simulated Raspberry Pi\0")
        spec = self._spec.thermometer
        self._thermometer = root / spec.path.replace("*", "0" * 12) if isinstance(spec, KernelThermometerSpec) else None

    # What the firmware does to it

    def _changed(self, pin: str, level: bool) -> None:
        with self.lock:
            self._levels[pin] = level
            if pin in self._outputs:
                self._outputs[pin](level)

    def _drive_contactor(self, level: bool) -> None:
        self.behind.contactor.close() if level else self.behind.contactor.open()

    def _shine(self) -> None:
        """As the eye sees it now: the rhythm is in the pins."""
        red, green, blue = (self._levels.get(f"GPIO{pin}", not self._lit) == self._lit for pin in self._lamp)
        self.behind.indicator.show(Light(_COLOURS[red, green, blue]))

    def _holds(self) -> bool:
        return self._clock() < self._edge_at + self._spec.dead_man.window_s

    def _retrigger(self, level: bool) -> None:
        if not level:
            return
        self._edge_at = self._clock()
        if not self.behind.dead_man.refresh():
            self._duty = None
            self._drive_contactor(self.level(self._spec.contactor.pin))
            self.behind.ground_fault.test(self.level(self._spec.ground_fault.test_pin))
            self._drive_pilot()

    def _drive_pilot(self) -> None:
        """What the generator's files say, if that is new."""
        enabled, duty = ((self._pwm / name).read_text().strip() for name in ("enable", _DUTY))
        if enabled != "1" or not duty or duty == self._duty:
            return
        self._duty = duty
        pilot, high = self.behind.pilot, int(duty) / PERIOD_NS
        if high >= 1.0:
            pilot.steady()
        elif high <= 0.0:
            pilot.fault()
        else:
            pilot.pwm(high * 100)

    # What the firmware finds

    def pump(self) -> Inputs:
        """Everything as it stands now."""
        with self.lock:
            self._drive_pilot()
            inputs = self.behind.inputs()
            contactor, sensor = self._spec.contactor, self._spec.ground_fault
            self._turn(inputs.switch)
            self._wire(contactor.feedback_pin, inputs.contactor_closed == (contactor.feedback_active == "high"))
            self._wire(sensor.pin, inputs.ground_fault == (sensor.active == "high"))
            if sensor.earth_pin is not None:
                self._wire(sensor.earth_pin, inputs.grounded)
            self._heat()
            return inputs

    def _wire(self, pin: int, level: bool) -> None:
        self._factory.pin(pin).drive(level)

    def _turn(self, position: int | None) -> None:
        """The contacts of the rotary switch, closed to ground. Between two positions both codes are open, and the
        contacts of a single one bounce."""
        rotary = self._spec.rotary
        if rotary is None:
            return
        self._between += 1
        if position is None:
            closed = (0, 0) if rotary.complement_pins else (self._between % 16, 0)
        else:
            closed = (position, position ^ 15) if rotary.coding == "real" else (position ^ 15, position)
        for pins, contacts in zip((rotary.pins, rotary.complement_pins or ()), closed, strict=True):
            for bit, pin in enumerate(pins):
                self._wire(pin, not contacts >> bit & 1)

    def _heat(self) -> None:
        if self._thermometer is None:
            return
        celsius = self.behind.thermometer.celsius()
        if isnan(celsius):
            self._thermometer.unlink(missing_ok=True)
        else:
            _write(self._thermometer, f"{round(celsius * 1000)}\n")


class Converter:
    """`hal.raspberry.spi.Spi` of the converter: what its chip answers, from the volts at its inputs."""

    _CLOCK_S = 10e-6
    """The kernel's time between two transfers."""

    def __init__(self, pi: SimulatedPi, spec: BoardSpec, clock: Callable[[], float]) -> None:
        self._pi = pi
        self._spec = spec
        self._clock = clock
        self._rng = random.Random(spec.name)
        self._now = 0.0
        self._channel = 0

    def burst(self, frame: bytes, delays_us: Sequence[int], speed_hz: int) -> bytes:
        """MCP3208: start bit, single-ended and three bits of channel; null bit and twelve bits."""
        inputs = self._begin()
        channel = (frame[0] & 1) << 2 | frame[1] >> 6
        answers = []
        for delay_us in delays_us:
            answers.append(self._code(channel, inputs).to_bytes(3, "big"))
            self._now += len(frame) * 8 / speed_hz + self._CLOCK_S + delay_us * 1e-6
        return b"".join(answers)

    def stream(self, data: bytes) -> bytes:
        """ADC128S102: each word chooses the channel of the next one."""
        inputs = self._begin()
        answers = []
        for control in data[::2]:
            answers.append(self._code(self._channel, inputs).to_bytes(2, "big"))
            self._channel = control >> 3 & 7
            self._now += 16 / self._spec.adc.speed_hz
        return b"".join(answers)

    def close(self) -> None:
        """It goes on."""

    def _begin(self) -> Inputs:
        self._now = self._clock() + self._rng.random() * 1e-3
        return self._pi.pump()

    def _code(self, channel: int, inputs: Inputs) -> int:
        volts = self._volts(channel, inputs) + self._rng.gauss(0.0, _NOISE_V)
        return min(max(round(volts / self._spec.adc.reference_v * 4096), 0), 4095)

    def _volts(self, channel: int, inputs: Inputs) -> float:
        spec, behind = self._spec, self._pi.behind
        if channel == spec.pilot.adc_channel:
            high = self._now * 1e3 % 1.0 < self._pi.duty
            return (inputs.pilot.high_v if high else inputs.pilot.low_v) / spec.pilot.gain + spec.pilot.zero_v
        if isinstance(spec.meter, CtSpec) and channel == spec.meter.adc_channel:
            amps = behind.meter.current_a()
            if isnan(amps):
                return -1.0  # its bias is missing
            peak = amps / spec.meter.amps_per_volt * sqrt(2)
            return spec.adc.reference_v / 2 + peak * sin(2 * pi * spec.meter.mains_hz * self._now)
        if isinstance(spec.thermometer, ThermistorSpec) and channel == spec.thermometer.adc_channel:
            return self._divided(spec.thermometer, behind.thermometer.celsius())
        return 0.0

    def _divided(self, spec: ThermistorSpec, celsius: float) -> float:
        """A thermometer that does not answer is one whose wire is off."""
        if isnan(celsius):
            return self._spec.adc.reference_v
        ohm = spec.ohm_25c * exp(spec.beta_k * (1 / (celsius + 273.15) - 1 / 298.15))
        return self._spec.adc.reference_v * ohm / (ohm + spec.series_ohm)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
