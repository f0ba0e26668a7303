"""AC RMS of a burst whose sampling rate is known to about 10 % only (pure).

The burst spans one and a half mains periods. Its samples are weighted by a trapezoid, which is a mean over one
period of means over half a period: the first takes the mains out of the mean, both take twice the mains out of the
mean square. What is left, whatever the phase and with harmonics of 10 %: 1.3 % of the value at +-10 % of spacing,
0.4 % at +-5 %. At no current it shows the noise.

One burst, not pieces of it at scattered moments: the pilot is looked at each 20 ms, one period of 50 Hz, so pieces
between two looks would all meet the same part of the wave, and less than a period can't tell the mains from the bias.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

COUNT = 128
"""Samples in a burst."""


def spacing_us(mains_hz: float) -> int:
    """How far apart the samples have to be: 30 ms together at 50 Hz, 25 ms at 60 Hz."""
    return round(1.5e6 / mains_hz / COUNT)


def rms(volts: Sequence[float]) -> float:
    """AC RMS of one burst, `COUNT` samples `spacing_us` apart (V)."""
    weights = _trapezoid(len(volts))
    mean = sum([weight * volt for weight, volt in zip(weights, volts, strict=True)])
    return sqrt(sum([weight * (volt - mean) ** 2 for weight, volt in zip(weights, volts, strict=True)]))


@lru_cache
def _trapezoid(count: int) -> tuple[float, ...]:
    """Rising, even, falling: a third each. The sum is 1."""
    heights = [min(i + 0.5, count - i - 0.5, count / 3) for i in range(count)]
    total = sum(heights)
    return tuple(height / total for height in heights)
