"""Analogue to digital converters on the SPI bus: bursts of one channel, in volts at its input."""

import sys
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from hal.raspberry.spec import AdcSpec
from hal.raspberry.spi import Spi


class AdcError(Exception):
    """The converter can't be read; a sentence for a person."""


class Adc(Protocol):
    """A converter with eight inputs."""

    def volts(self, channel: int, count: int, spacing_us: int = 0) -> Sequence[float]:
        """`count` samples of one input (V), one after the other: about `spacing_us` apart (100 to 1000), or 0 = at the
        pace for the pilot. Waits for them. Raises `AdcError`."""


class Mcp3208:
    """MCP3208: 12 bits, a frame of three bytes and chip select high after each conversion. At the pilot's pace a sample
    each 36-56 us (24 us of clock, 10 us of the kernel at each chip select, the rest dither and overhead), while
    the CPU waits; slower by a slower clock, which interrupts the kernel and costs next to nothing."""

    def __init__(self, spec: AdcSpec, spi: Spi) -> None:
        self._spec = spec
        self._spi = spi

    def volts(self, channel: int, count: int, spacing_us: int = 0) -> Sequence[float]:
        frame = bytes((0x06 | channel >> 2, (channel & 3) << 6, 0))  # start bit, single-ended, three bits of channel
        speed_hz, delays_us = self._spec.speed_hz, _dither_us(count)
        if spacing_us:
            speed_hz, delays_us = _CLOCKS * 1_000_000 // (spacing_us - _OVERHEAD_US), (0,) * count
        try:
            answer = self._spi.burst(frame, delays_us, speed_hz)
        except OSError as error:
            raise AdcError(str(error)) from error
        highs = answer[1::3]
        if not _NULL_BIT_SET.isdisjoint(highs):
            raise _nonsense(self._spec, "without the null bit")
        return _scaled([(high & 0x0F) << 8 | low for high, low in zip(highs, answer[2::3], strict=True)], self._spec)


_CLOCKS = 24
_OVERHEAD_US = 14  # the kernel's between two transfers: 10 us of it at chip select (S), the rest (I)
_NULL_BIT_SET = frozenset(byte for byte in range(256) if byte & 0x10)


@lru_cache
def _dither_us(count: int) -> tuple[int, ...]:
    """Pauses of 0-8 us after each sample, steady for a while and then another: no spacing can keep step with 1 kHz. At
    most 10: the kernel waits for those, it sleeps through longer ones."""
    return tuple(int(i // 16 * 0.618 % 1.0 * 9) for i in range(count))


class Adc128s102:
    """ADC128S102: 12 bits, 16 clocks a conversion, as long as chip select is low; what is clocked in chooses the
    channel of the next one. At 8 MHz (it is specified from there) that is one each 2 us: of those, one in so many
    is kept. The SPI controller's DMA does it all."""

    def __init__(self, spec: AdcSpec, spi: Spi) -> None:
        self._spec = spec
        self._spi = spi

    def volts(self, channel: int, count: int, spacing_us: int = 0) -> Sequence[float]:
        stride = max(1, round((spacing_us or _PACE_US) * self._spec.speed_hz / 16e6))
        conversions = 2 + (count - 1) * stride  # the first is of whatever channel was chosen last
        try:
            answer = self._spi.stream(bytes((channel << 3, 0)) * conversions)
        except OSError as error:
            raise AdcError(str(error)) from error
        words = array("H", answer)[1::stride]
        if sys.byteorder == "little":
            words.byteswap()
        if max(words) > _MOST:
            raise _nonsense(self._spec, "without the four leading zeros")
        return _scaled(words, self._spec)


_PACE_US = 16
_MOST = 0x0FFF


def adc_of(spec: AdcSpec, spi: Spi) -> Adc:
    """The converter that `spec` describes."""
    return Mcp3208(spec, spi) if spec.chip == "MCP3208" else Adc128s102(spec, spi)


def _scaled(codes: Sequence[int], spec: AdcSpec) -> list[float]:
    """Volts. A row of zeros is what a bus without a chip looks like: its line is pulled down."""
    if not any(codes):
        raise _nonsense(spec, "of zeros alone, or this input is shorted to ground")
    scale = spec.reference_v / 4096
    return [code * scale for code in codes]


def _nonsense(spec: AdcSpec, what: str) -> AdcError:
    return AdcError(
        f"{spec.chip} on SPI {spec.bus}.{spec.device} gives answers {what}: the chip is missing or has no supply, or "
        "check its wires MISO, MOSI, SCLK and CS"
    )
