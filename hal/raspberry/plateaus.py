"""Both plateaus of the pilot's 1 kHz square wave out of samples at moments that nobody knows (pure).

Measured by `tools/pilot_accuracy.py` at all duties from 10 to 96 %, in all states, with edges of 3 us, 50 mV of noise,
jitter of 5 us and a wild sample now and then: within 0.2 V, never a plateau missed, never a state off. A look is one
burst of 128 samples as a rule; at 96 %, where a plateau lasts 40 us, two. There a MCP3208 is off by more than 0.2 V in
3 of 100 000 looks (0.3 V, and of the low plateau, which has 2 V of room); of 200 000 looks none missed it.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import nan

from hal.api import PilotReading

BURST = 128
"""Samples in a burst: 4.6-7.2 ms with a MCP3208, 2.0 ms with an ADC128S102. Two periods at least."""

STRAYS = (0, 0, 0, 1, 3)
"""So many samples beyond a plateau count as wild after one burst, after two, ... Earlier they may be all that was seen
of a plateau of 40 us; after four bursts the chance of that is below 1e-7."""

_AGREE = 5  # so many samples next to each other make a plateau
_AGREE_V = 0.2  # four times the noise
_SPREAD_V = 0.3  # of all the samples on a plateau
_STEADY_V = 0.5  # plateaus nearer to each other are one: no vehicle makes two of less than 2 V


def read_pilot(take: Callable[[int], Sequence[float]]) -> PilotReading:
    """The pilot, from one burst of `take` (which gives that many samples, V) and up to four more where something was
    seen too seldom to be believed. NaN where even those give no picture: the wave is no pilot's."""
    volts: list[float] = []
    for strays in STRAYS:
        volts += take(BURST)
        reading = plateaus(volts, strays)
        if reading is not None:
            return reading
    return PilotReading(nan, nan)


def plateaus(volts: Sequence[float], strays: int) -> PilotReading | None:
    """Both plateaus (V), equal while the pilot is steady. None while more than `strays` samples at an end agree with no
    others. `volts` are at least `_AGREE` + `strays`."""
    rising = sorted(volts)
    low_v = _lowest(rising, strays)
    high_v = _lowest([-one for one in reversed(rising)], strays)
    if low_v is None or high_v is None:
        return None
    if -high_v - low_v < _STEADY_V:
        low_v = rising[len(rising) // 2]
        high_v = -low_v
    return PilotReading(-high_v, low_v)


def _lowest(rising: Sequence[float], strays: int) -> float | None:
    """The lowest plateau: what leaves it (the edges) is above it, what is below it is wild."""
    for first in range(strays + 1):
        lowest = rising[first]
        if rising[first + _AGREE - 1] - lowest <= _AGREE_V:
            end = bisect_right(rising, lowest + _SPREAD_V, first)
            return rising[(first + end - 1) // 2]
    return None
