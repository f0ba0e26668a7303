"""How well the pilot's plateaus are found in sampled PWM: `python tools/pilot_accuracy.py [looks]`.

Each duty from 10 to 96 % in steps of 1 %, each state, many looks (100), through the drivers of both converters, whose
chips sample a simulated wave. Prints a table as Markdown. A look is off when the firmware would see another state.
"""

import sys
from collections.abc import Sequence
from math import exp, inf, isnan
from random import Random
from typing import NamedTuple

from firmware.pilot import classify
from hal.api import PilotReading
from hal.raspberry.adc import Adc, adc_of
from hal.raspberry.plateaus import BURST, read_pilot
from hal.raspberry.spec import AdcSpec
from hal.simulated.circuit import B_OHM, C_OHM, D_OHM, Defect, Drive, plateaus

DUTIES = range(10, 97)
TAU_US = 3.0
"""Edges: a cable of 3 nF behind 1 kohm."""
NOISE_V = 0.05
JITTER_US = 5.0
WILD = 1 / 20000
"""Of all samples: one burst in 150 has one."""

ADCS = (AdcSpec("MCP3208", 0, 0, 1_000_000, 3.3), AdcSpec("ADC128S102", 0, 0, 8_000_000, 3.3))
ZERO_V = 1.65
GAIN = 8.0

_OVERHEAD_US = (12.0, 24.0)  # of the kernel between two transfers of a burst: with 0-8 us of dither 36-56 us a sample
_CALL_US = (40.0, 200.0)  # between two system calls
_MESSAGE = 32  # transfers a system call
_PIECE = 2048  # conversions a system call


class Wave(NamedTuple):
    """A pilot: both levels (V) and how long it is high, percent."""

    high_v: float
    low_v: float
    duty: float
    tau_us: float = TAU_US
    noise_v: float = NOISE_V
    jitter_us: float = JITTER_US
    wild: float = WILD

    def volts(self, t_us: float) -> float:
        """Without noise."""
        phase_us, high_us = t_us % 1000.0, self.duty * 10.0
        step_v = self.high_v - self.low_v
        if phase_us < high_us:
            return self.high_v - step_v * exp(-phase_us / self.tau_us)
        return self.low_v + step_v * exp(-(phase_us - high_us) / self.tau_us)


class WaveSpi:
    """`hal.raspberry.spi.Spi`: either converter, sampling a wave from a random moment on."""

    def __init__(self, wave: Wave, rng: Random) -> None:
        self._wave = wave
        self._rng = rng
        self._t_us = rng.uniform(0.0, 1000.0)
        self._overhead_us = rng.uniform(*_OVERHEAD_US)

    def burst(self, frame: bytes, delays_us: Sequence[int], speed_hz: int) -> bytes:
        answer = bytearray()
        for i, delay_us in enumerate(delays_us):
            self._t_us += 24e6 / speed_hz + self._overhead_us + delay_us
            if i % _MESSAGE == 0:
                self._call()
            code = self._code(self._rng.uniform(-1.0, 1.0) * self._wave.jitter_us)
            answer += bytes((0xFF, 0xE0 | code >> 8, code & 0xFF))
        return bytes(answer)

    def stream(self, data: bytes) -> bytes:
        """At 8 MHz. Only what the driver keeps is worked out, the rest is noise."""
        self._call()
        kept = [self._code(2.0 * i) for i in range(1, len(data) // 2, 8)]
        self._t_us += len(data)
        return b"\x0b\xad" + b"".join(code.to_bytes(2, "big") + b"\x0b\xad" * 7 for code in kept)

    def close(self) -> None: ...

    def _call(self) -> None:
        self._t_us += self._rng.uniform(*_CALL_US)

    def _code(self, later_us: float) -> int:
        wave, rng = self._wave, self._rng
        if rng.random() < wave.wild:
            return rng.randrange(1, 4096)
        volts = (wave.volts(self._t_us + later_us) + rng.gauss(0.0, wave.noise_v)) / GAIN + ZERO_V
        return min(max(round(volts / 3.3 * 4096), 1), 4095)


class Looker:
    """Looks at waves through one kind of converter, and keeps what it found."""

    def __init__(self, spec: AdcSpec, rng: Random) -> None:
        self._spec = spec
        self._rng = rng
        self.errors: list[float] = []
        self.bursts = 0
        self.missed = 0
        self.off = 0

    def look(self, wave: Wave, pwm_on: bool) -> None:
        adc = adc_of(self._spec, WaveSpi(wave, self._rng))
        seen = read_pilot(lambda count: self._take(adc, count))
        true = PilotReading(wave.high_v, wave.low_v)
        error = max(abs(seen.high_v - true.high_v), abs(seen.low_v - true.low_v))
        self.errors.append(inf if isnan(error) else error)
        self.missed += (seen.high_v == seen.low_v) != (true.high_v == true.low_v)
        self.off += classify(seen, pwm_on, "?") != classify(true, pwm_on, "?")

    def _take(self, adc: Adc, count: int) -> list[float]:
        self.bursts += 1
        return [(volts - ZERO_V) * GAIN for volts in adc.volts(0, count)]


def cases() -> list[tuple[str, PilotReading, bool]]:
    """Name, levels and whether it is PWM: the states, a missing diode, steady levels."""
    ohms = (("A", None), ("B", B_OHM), ("C", C_OHM), ("D", D_OHM))
    pwm = [(name, plateaus(Drive.PWM, ohm)) for name, ohm in ohms]
    pwm += [(f"{name}, no diode", plateaus(Drive.PWM, ohm, Defect.DIODE_SHORTED)) for name, ohm in ohms[1:]]
    steady = [(f"{name}, steady", plateaus(Drive.STEADY, ohm)) for name, ohm in ohms]
    steady += [("E", PilotReading(0.0, 0.0)), ("F", plateaus(Drive.FAULT, None))]
    return [(name, levels, True) for name, levels in pwm] + [(name, levels, False) for name, levels in steady]


def main(looks: int) -> int:
    """How many looks missed a plateau or were off."""
    rng, wrong = Random(1), 0
    print(f"Bursts of {BURST} samples, {looks} looks at each of {len(DUTIES)} duties.\n")
    print("| ADC | state | bursts a look | p99.9 V | worst V | missed | off |\n|---|---|---|---|---|---|---|")
    for spec in ADCS:
        for name, levels, pwm_on in cases():
            looker = Looker(spec, rng)
            for duty in DUTIES:
                for _ in range(looks):
                    looker.look(Wave(*levels, duty), pwm_on)
            errors = sorted(looker.errors)
            print(
                f"| {spec.chip} | {name} | {looker.bursts / len(errors):.2f} | {errors[len(errors) * 999 // 1000]:.3f} "
                f"| {errors[-1]:.3f} | {looker.missed} | {looker.off} |",
                flush=True,
            )
            wrong += looker.missed + looker.off
    return wrong


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100) > 0)
