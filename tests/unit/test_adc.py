"""Both converters over a bus that answers bit by bit as their data sheets say."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.raspberry.adc import Adc, Adc128s102, AdcError, Mcp3208, adc_of
from hal.raspberry.spec import AdcSpec
from hal.raspberry.spi import MESSAGE_BYTES, Spi

SPECS = (AdcSpec("MCP3208", 0, 0, 1_000_000, 3.3), AdcSpec("ADC128S102", 0, 1, 8_000_000, 3.3))
VOLTS = (0.1, 0.5, 0.9, 1.3, 1.7, 2.1, 2.5, 2.9)
"""At the inputs of the chip."""


def code(volts: float) -> int:
    return round(volts / 3.3 * 4096)


class Chip(Spi):
    """Bits in, bits out."""

    def __init__(self) -> None:
        self.delays_us: list[int] = []
        self.speeds_hz: set[int] = set()
        self.conversions = 0
        self.floats = 1
        """What the Pi reads while the chip drives nothing."""

    def burst(self, frame: bytes, delays_us: Sequence[int], speed_hz: int) -> bytes:
        self.delays_us += delays_us
        self.speeds_hz.add(speed_hz)
        return b"".join(self.selected(frame) for _ in delays_us)

    def stream(self, data: bytes) -> bytes:
        pieces = (data[i : i + MESSAGE_BYTES] for i in range(0, len(data), MESSAGE_BYTES))
        return b"".join(self.selected(piece) for piece in pieces)

    def close(self) -> None: ...

    def selected(self, data: bytes) -> bytes:
        """Chip select low, `data`, chip select high."""
        bits = [byte >> shift & 1 for byte in data for shift in range(7, -1, -1)]
        answer = self.clocked(bits)
        return int("".join(map(str, answer)), 2).to_bytes(len(data), "big")

    @abstractmethod
    def clocked(self, bits: Sequence[int]) -> list[int]:
        """A bit out for each bit in, while chip select is low."""


def bits_of(number: int, count: int) -> list[int]:
    return [number >> shift & 1 for shift in range(count - 1, -1, -1)]


class Mcp3208Chip(Chip):
    """DS21298: start bit, single-ended, D2-D0; a clock and a half to sample; null bit, B11-B0, then B1-B11."""

    def clocked(self, bits: Sequence[int]) -> list[int]:
        self.conversions += 1
        start = bits.index(1)
        single, *channel = bits[start + 1 : start + 5]
        assert single, "a difference of two inputs"
        result = bits_of(code(VOLTS[int("".join(map(str, channel)), 2)]), 12)
        driven = [self.floats] * (start + 6) + [0, *result, *reversed(result[:-1])]
        return (driven + [0] * len(bits))[: len(bits)]


class Adc128s102Chip(Chip):
    """SNAS298: while chip select is low a conversion each 16 clocks, four zeros and the result; the bits 13-11 sent
    meanwhile choose the input of the next, and stay chosen when chip select rises."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen = 0

    def clocked(self, bits: Sequence[int]) -> list[int]:
        answer: list[int] = []
        for at in range(0, len(bits), 16):
            self.conversions += 1
            answer += bits_of(code(VOLTS[self.chosen]), 16)
            self.chosen = int("".join(map(str, bits[at + 2 : at + 5])), 2)
        return answer


CHIPS = (Mcp3208Chip, Adc128s102Chip)


@pytest.mark.parametrize("which", [0, 1])
def test_each_input_is_read_right_whichever_was_read_before(which: int) -> None:
    chip = CHIPS[which]()
    adc = adc_of(SPECS[which], chip)
    for channel in (0, 5, 3, 7, 1, 6, 2, 4, 0):
        for floats in (0, 1):
            chip.floats = floats
            assert list(adc.volts(channel, 3)) == pytest.approx([VOLTS[channel]] * 3, abs=0.0005)


@settings(max_examples=30)
@given(which=st.integers(0, 1), count=st.integers(1, 140), channel=st.integers(0, 7))
def test_a_burst_has_as_many_samples_as_asked_for(which: int, count: int, channel: int) -> None:
    volts = adc_of(SPECS[which], CHIPS[which]()).volts(channel, count)
    assert list(volts) == pytest.approx([VOLTS[channel]] * count, abs=0.0005)


def test_the_mcp3208_pauses_unevenly_and_never_long_enough_for_the_kernel_to_sleep() -> None:
    chip = Mcp3208Chip()
    Mcp3208(SPECS[0], chip).volts(0, 128)
    assert len(chip.delays_us) == 128
    assert {0 <= delay <= 10 for delay in chip.delays_us} == {True}
    assert len(set(chip.delays_us)) >= 6
    assert sum(one != other for one, other in pairwise(chip.delays_us)) == 7
    assert chip.speeds_hz == {1_000_000}


def test_the_mcp3208_is_spaced_by_its_clock() -> None:
    chip = Mcp3208Chip()
    Mcp3208(SPECS[0], chip).volts(0, 128, 234)
    assert set(chip.delays_us) == {0}
    assert chip.speeds_hz == {24_000_000 // 220}


@pytest.mark.parametrize(
    ("spacing_us", "speed_hz", "stride"), [(0, 8_000_000, 8), (234, 8_000_000, 117), (0, 500_000, 1)]
)
def test_the_adc128s102_converts_all_the_time_and_keeps_one_in_so_many(
    spacing_us: int, speed_hz: int, stride: int
) -> None:
    chip = Adc128s102Chip()
    spec = AdcSpec("ADC128S102", 0, 1, speed_hz, 3.3)
    assert len(Adc128s102(spec, chip).volts(2, 128, spacing_us)) == 128
    assert chip.conversions == 127 * stride + 2


class Line(Spi):
    """A bus that answers whatever it is told to."""

    def __init__(self, answer: bytes, error: str = "") -> None:
        self._answer = answer
        self._error = error

    def burst(self, frame: bytes, delays_us: Sequence[int], speed_hz: int) -> bytes:
        return self.stream(frame * len(delays_us))

    def stream(self, data: bytes) -> bytes:
        if self._error:
            raise OSError(self._error)
        return (self._answer * len(data))[: len(data)]

    def close(self) -> None: ...


def refused(adc: Adc) -> str:
    with pytest.raises(AdcError) as refusal:
        adc.volts(3, 16)
    return str(refusal.value)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("answer", [b"\0", b"\xff", b"\x77"])
def test_a_chip_that_is_not_there_is_named_with_what_to_check(spec: AdcSpec, answer: bytes) -> None:
    said = refused(adc_of(spec, Line(answer)))
    assert said.startswith(f"{spec.chip} on SPI 0.{spec.device} gives answers ")
    assert "check its wires MISO, MOSI, SCLK and CS" in said


@pytest.mark.parametrize("spec", SPECS)
def test_one_sound_sample_is_enough_to_believe_in_zeros(spec: AdcSpec) -> None:
    sound = b"\0\0\0" * 15 + b"\0\0\1" if spec.chip == "MCP3208" else b"\0\0" * 9 + b"\0\1" + b"\0\0" * 112
    volts = adc_of(spec, Line(sound)).volts(0, 16)
    assert sorted(volts)[-2:] == pytest.approx([0.0, 3.3 / 4096])


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_wrong_with_the_bus_is_passed_on(spec: AdcSpec) -> None:
    assert refused(adc_of(spec, Line(b"", "/dev/spidev0.0 is not there"))) == "/dev/spidev0.0 is not there"
