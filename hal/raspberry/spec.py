"""What a board is made of: one value for each part, as a file of `configs/boards` describes it.

Pins are GPIO numbers (BCM), 2 to 27. An active-low output would be driven while the Pi starts and whenever a pin is
claimed, so contactor, dead-man and test winding are active high always: a board inverts behind the pin if it must.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Active = Literal["high", "low"]
"""The level that means yes."""

CLIPS = 0.005
"""Of its reference: what an ADC reads as near to either end may have been cut off (I)."""


@dataclass(frozen=True, slots=True)
class RotarySpec:
    """A 16-position coded switch: contacts to ground, lines pulled up."""

    pins: tuple[int, int, int, int]
    """Of the contacts 1, 2, 4, 8."""
    coding: Literal["real", "complement"]
    """real: a closed contact is a 1; complement: a 0."""
    complement_pins: tuple[int, int, int, int] | None
    """Where the switch has both codes, its other four contacts: what contradicts itself stands between positions."""


@dataclass(frozen=True, slots=True)
class PilotSpec:
    """The generator (kernel PWM: high = +12 V, low = -12 V behind 1 kohm) and its way back to the ADC."""

    pin: int
    """That the PWM comes out of; it belongs to the kernel."""
    pwm_chip: str
    """Below /sys/class/pwm: `pwmchip0`."""
    pwm_channel: int
    adc_channel: int
    zero_v: float
    """Volts at the ADC's input while the pilot is at 0 V."""
    gain: float
    """Volts of the pilot for each volt at the ADC's input."""


@dataclass(frozen=True, slots=True)
class AdcSpec:
    """The converter on the SPI bus."""

    chip: Literal["MCP3208", "ADC128S102"]
    bus: int
    device: int
    speed_hz: int
    reference_v: float


@dataclass(frozen=True, slots=True)
class ContactorSpec:
    """The driver of its coil, and the feedback of its output side."""

    pin: int
    feedback_pin: int
    feedback_active: Active
    """The level while the output is live."""


@dataclass(frozen=True, slots=True)
class DeadManSpec:
    """The retriggerable one-shot (or charge pump) that lets contactor and pilot go when its pin stands still."""

    pin: int
    window_s: float
    """It holds this long after an edge."""
    held_pin: int | None
    """Tells whether it holds (high = yes); None where it is not wired back."""


@dataclass(frozen=True, slots=True)
class GroundFaultSpec:
    """The CCID20 module: its trip, its test winding, and the monitor of protective earth."""

    pin: int
    active: Active
    """The level of a trip."""
    test_pin: int
    earth_pin: int | None
    """High while the monitor finds protective earth; None where there is no monitor."""


@dataclass(frozen=True, slots=True)
class EnergyMeterSpec:
    """A Modbus energy meter on a serial port of its own or over TCP."""

    kind: Literal["SDM120", "SDM630"]
    port: str | None
    """A serial device (8N1), or None where it has a host."""
    host: str | None
    """`name` or `name:502`."""
    unit: int
    baud: int
    word_order: Literal["big", "little"]
    """Of the two registers of a number; Eastron's manuals say big."""
    lines: tuple[int, ...]
    """The lines (1-3) that the station is wired to; their largest current counts."""


@dataclass(frozen=True, slots=True)
class CtSpec:
    """A current transformer with burden, biased to the middle of the ADC's range."""

    adc_channel: int
    amps_per_volt: float
    """RMS to RMS at the ADC's input."""
    voltage_v: float
    """Of the line: nothing measures it."""
    mains_hz: float


@dataclass(frozen=True, slots=True)
class KernelThermometerSpec:
    """A sensor that a kernel driver reads: DS18B20 (w1) or LM75, TMP102 ... (hwmon)."""

    path: str
    """The file with its reading in 0.001 degrees C, `*` allowed: sys/bus/w1/devices/28-*/temperature."""


@dataclass(frozen=True, slots=True)
class ThermistorSpec:
    """An NTC thermistor from the ADC's input to ground, a resistor from there to the reference."""

    adc_channel: int
    series_ohm: float
    ohm_25c: float
    beta_k: float


@dataclass(frozen=True, slots=True)
class LampSpec:
    """An RGB LED."""

    red: int
    green: int
    blue: int
    active: Active


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """A whole board."""

    name: str
    rotary: RotarySpec | None
    """None: no switch is mounted, its position is stored by `watti switch`."""
    pilot: PilotSpec
    adc: AdcSpec
    contactor: ContactorSpec
    dead_man: DeadManSpec
    ground_fault: GroundFaultSpec
    meter: EnergyMeterSpec | CtSpec
    thermometer: KernelThermometerSpec | ThermistorSpec
    lamp: LampSpec


@dataclass(frozen=True, slots=True)
class Places:
    """Where a Pi keeps its hardware; a test's tree of files has them elsewhere."""

    root: Path = Path("/")

    @property
    def pwm(self) -> Path:
        return self.root / "sys/class/pwm"

    @property
    def serial_number(self) -> Path:
        """Of the chip: a copied card brings it to no other board."""
        return self.root / "proc/device-tree/serial-number"

    @property
    def model(self) -> Path:
        return self.root / "proc/device-tree/model"
