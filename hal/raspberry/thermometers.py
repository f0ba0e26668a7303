"""Temperature inside the station: a sensor that the kernel reads, or a thermistor on the ADC."""

from collections.abc import Callable
from math import isnan, log, nan
from pathlib import Path

from hal.raspberry.latest import Latest
from hal.raspberry.spec import KernelThermometerSpec, Places, ThermistorSpec

FRESH_S = 10.0
"""A reading counts this long. A DS18B20 takes 0.75 s for one, and now and then one is lost to noise."""
RANGE_C = (-55.0, 125.0)
"""Of the usual sensors (S). A thermistor's wire that is off, or two that touch, are far outside."""
_POWER_ON_C = 85.0  # in a DS18B20's memory until it has measured (S)
_NEAR_K = 5.0  # from one reading to the next (I)
_KELVIN = 273.15


class KernelThermometer:
    """`hal.api.Thermometer`, and the `Work` that reads the kernel's file. After a reading that fails the one before
    still counts, as long as it is fresh."""

    every_s = 1.0

    def __init__(self, spec: KernelThermometerSpec, places: Places, clock: Callable[[], float]) -> None:
        self._root = places.root
        self._pattern = spec.path.lstrip("/")
        self._is_w1 = "/w1/" in self._pattern
        self._clock = clock
        self._celsius = Latest(FRESH_S, clock)
        self._before_c = nan
        self._why = "it has not been read yet"

    def celsius(self) -> float:
        """The last reading; NaN when there was none within `FRESH_S`."""
        return self._celsius.value

    @property
    def problem(self) -> str:
        """Why there is no temperature, and what to do; empty when there is one."""
        if not isnan(self._celsius.value):
            return ""
        return f"thermometer /{self._pattern}: {self._why or f'no answer for {FRESH_S:g} s, its driver hangs: restart'}"

    def turn(self) -> None:
        """Read the file, which may take as long as the sensor measures."""
        files = sorted(self._root.glob(self._pattern))
        if len(files) == 1:
            self._why = self._read(files[0])
        elif files:
            names = ", ".join(str(file.relative_to(self._root)) for file in files)
            self._why = f"{len(files)} sensors are there, the board file must name one of them: {names}"
        else:
            self._why = self._missing()

    def _read(self, file: Path) -> str:
        """Take its reading. What is wrong with it, or nothing."""
        started = self._clock()
        try:
            celsius = int(file.read_text("ascii")) / 1000.0
        except OSError as error:
            return f"it can't be read ({error.strerror}): {self._wires}"
        except ValueError:  # the kernel leaves it empty when the checksum is wrong
            return f"its answers are broken: {self._wires}"
        if not RANGE_C[0] <= celsius <= RANGE_C[1]:
            return f"it reads {celsius:g} C, which can't be: {self._wires}"
        if self._is_w1 and celsius == _POWER_ON_C and not abs(celsius - self._before_c) <= _NEAR_K:
            return f"it reads 85 C out of nowhere, as a DS18B20 does that loses its supply: {self._wires}"
        self._before_c = celsius
        self._celsius.take(celsius, started)
        return ""

    @property
    def _wires(self) -> str:
        return "check its wires" + ", and the 4.7 kohm from data to 3.3 V" * self._is_w1

    def _missing(self) -> str:
        """What to do when there is no such file."""
        config = "/boot/firmware/config.txt and restart"
        if not self._is_w1:
            return f"there is no such sensor: check its wires, add its overlay (dtoverlay=i2c-sensor,lm75) to {config}"
        if any((self._root / "sys/bus/w1/devices").glob("w1_bus_master*")):
            return f"no sensor is found on the 1-wire bus: {self._wires}"
        return f"the 1-wire bus is not there: add dtoverlay=w1-gpio to {config}"


class ThermistorThermometer:
    """`hal.api.Thermometer` of an NTC from the ADC's input to ground, a resistor from there to the reference. The beta
    equation is good to some 1 K from 0 to 80 C (I)."""

    def __init__(self, spec: ThermistorSpec, reference_v: float, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._reference_v = reference_v
        self._celsius = Latest(FRESH_S, clock)
        self._why = "it has not been read yet"

    def take(self, volts: float, now: float) -> None:
        """`volts` were at the ADC's input at `now` (monotonic s); NaN when the ADC can't be read."""
        celsius = self._of(volts)
        self._why = "" if RANGE_C[0] <= celsius <= RANGE_C[1] else self._sentence(volts)
        self._celsius.take(nan if self._why else celsius, now)

    def celsius(self) -> float:
        """The last reading; NaN when there was none within `FRESH_S`, or the sensor is open or shorted."""
        return self._celsius.value

    @property
    def problem(self) -> str:
        """Why there is no temperature, and what to do; empty when there is one."""
        if not isnan(self._celsius.value):
            return ""
        why = self._why or f"the ADC has not been read for {FRESH_S:g} s: restart"
        return f"thermistor on ADC channel {self._spec.adc_channel}: {why}"

    def _of(self, volts: float) -> float:
        if not 0.0 < volts < self._reference_v:  # NaN is not within either
            return nan
        ohm = self._spec.series_ohm * volts / (self._reference_v - volts)
        return 1.0 / (1.0 / (25.0 + _KELVIN) + log(ohm / self._spec.ohm_25c) / self._spec.beta_k) - _KELVIN

    def _sentence(self, volts: float) -> str:
        if isnan(volts):
            return "the ADC can't be read: check its wires, and that SPI is enabled"
        if volts < self._reference_v / 2:
            return f"{volts:.3f} V at the input: it is shorted, or its series resistor is off"
        return f"{volts:.3f} V at the input: a wire of it is off"
