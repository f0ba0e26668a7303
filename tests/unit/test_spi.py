"""The kernel's spidev, faked where the system call is: what arrives there is read back from the addresses in it."""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.raspberry import spi
from hal.raspberry.spec import AdcSpec
from hal.raspberry.spi import SpiDevice

LAYOUT = struct.Struct("=QQIIHBBBBBB")
"""struct spi_ioc_transfer, linux/spi/spidev.h."""
WR_MODE, WR_BITS_PER_WORD, WR_MAX_SPEED_HZ = 0x40016B01, 0x40016B03, 0x40046B04
MESSAGE_OF_1, MESSAGE_OF_32 = 0x40206B00, 0x44006B00
BUFFER_BYTES = 4096


class Transfer(NamedTuple):
    """What the kernel was asked to do."""

    sent: bytes
    speed_hz: int
    delay_us: int
    cs_change: bool


class Kernel:
    """Answers each byte with its complement; keeps everything it was told."""

    def __init__(self) -> None:
        self.settings: dict[int, bytes] = {}
        self.messages: list[list[Transfer]] = []
        self.numbers: list[int] = []
        self.fails = 0

    def ioctl(self, fd: int, number: int, argument: bytes) -> int:
        os.fstat(fd)
        if self.fails:
            raise OSError(self.fails, os.strerror(self.fails))
        if number & 0xFF:
            self.settings[number] = bytes(argument)
            return 0
        self.numbers.append(number)
        data = bytes(argument)
        assert len(data) == number >> 16 & 0x3FFF
        self.messages.append([])
        room = BUFFER_BYTES
        for fields in LAYOUT.iter_unpack(data):
            room -= -(-fields[2] // 128) * 128  # arm64 gives each transfer whole lines of its cache
            if room < 0:
                raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
            self._do(fields)
        assert not self.messages[-1][-1].cs_change, "chip select would stay low"
        return sum(len(one.sent) for one in self.messages[-1])

    def _do(self, fields: Sequence[int]) -> None:
        tx, rx, size, speed_hz, delay_us, bits, cs_change, *rest = fields
        assert (bits, *rest) == (0, 0, 0, 0, 0)
        sent = ctypes.string_at(tx, size)
        ctypes.memmove(rx, bytes(byte ^ 0xFF for byte in sent), size)
        self.messages[-1].append(Transfer(sent, speed_hz, delay_us, bool(cs_change)))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(spi, "ioctl", kernel.ioctl)
    return kernel


@pytest.fixture
def device(kernel: Kernel, tmp_path: Path) -> Iterator[SpiDevice]:
    (tmp_path / "spidev0.1").touch()
    device = SpiDevice(0, 1, 1_000_000, dev=tmp_path)
    yield device
    device.close()


@pytest.mark.usefixtures("device")
def test_it_sets_mode_word_and_speed(kernel: Kernel) -> None:
    speed = (1_000_000).to_bytes(4, "little")
    assert kernel.settings == {WR_MODE: b"\0", WR_BITS_PER_WORD: b"\x08", WR_MAX_SPEED_HZ: speed}


def test_a_burst_is_one_transfer_for_each_delay_with_chip_select_high_between(
    device: SpiDevice, kernel: Kernel
) -> None:
    assert device.burst(b"\x06\x40\x00", (3, 0, 7), 900_000) == b"\xf9\xbf\xff" * 3
    frame = b"\x06\x40\x00"
    assert kernel.messages == [
        [Transfer(frame, 900_000, 3, True), Transfer(frame, 900_000, 0, True), Transfer(frame, 900_000, 7, False)]
    ]


def test_a_burst_is_cut_into_messages_that_fit_the_kernels_buffer(device: SpiDevice, kernel: Kernel) -> None:
    delays = tuple(range(65))
    assert len(device.burst(b"\x06\x00\x00", delays, 1_000_000)) == 3 * 65
    assert kernel.numbers == [MESSAGE_OF_32, MESSAGE_OF_32, MESSAGE_OF_1]
    assert [one.delay_us for message in kernel.messages for one in message] == list(delays)


def test_bursts_of_different_shape_do_not_mix(device: SpiDevice, kernel: Kernel) -> None:
    for frame, delays, speed_hz in ((b"ab", (1,), 10), (b"cd", (1,), 10), (b"ab", (2,), 10), (b"ab", (1,), 20)) * 2:
        assert device.burst(frame, delays, speed_hz) == bytes(byte ^ 0xFF for byte in frame)
        assert kernel.messages[-1] == [Transfer(frame, speed_hz, delays[0], False)]


@settings(max_examples=40)
@given(size=st.integers(1, 3 * BUFFER_BYTES), salt=st.integers(0, 255))
def test_a_stream_comes_back_whole_from_pieces_as_long_as_the_kernel_takes(size: int, salt: int) -> None:
    kernel, data = Kernel(), bytes((i * 7 + salt) & 0xFF for i in range(size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spi, "ioctl", kernel.ioctl)
        patch.setattr(os, "open", lambda *_: os.dup(0))
        device = SpiDevice(0, 0, 8_000_000)
        assert device.stream(data) == bytes(byte ^ 0xFF for byte in data)
        device.close()
    assert len(kernel.messages) == -(-size // BUFFER_BYTES)
    assert all(len(message) == 1 and message[0].speed_hz == 8_000_000 for message in kernel.messages)


def test_it_finds_the_device_of_its_converter(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def opens(path: Path, flags: int) -> int:
        assert flags & os.O_RDWR
        opened.append(path)
        return os.dup(0)

    monkeypatch.setattr(os, "open", opens)
    SpiDevice.of(AdcSpec("MCP3208", 1, 2, 500_000, 3.3)).close()
    assert (opened, kernel.settings[WR_MAX_SPEED_HZ]) == ([Path("/dev/spidev1.2")], (500_000).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOENT, "enable SPI with dtparam=spi=on in /boot/firmware/config.txt"),
        (errno.EACCES, "add the user to the group spi"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_device_that_can_not_be_opened_says_what_to_do(
    number: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=f"/dev/spidev0.0 .*{sentence}"):
        SpiDevice(0, 0, 1_000_000)


def test_a_file_that_is_no_spi_device_is_refused_and_let_go(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "spidev0.0").touch()
    kernel.fails = errno.ENOTTY
    held = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=r"spidev0.0 is no SPI device: check bus and device of \[adc\]"):
        SpiDevice(0, 0, 1_000_000, dev=tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == held


def test_a_transfer_that_fails_says_where(device: SpiDevice, kernel: Kernel) -> None:
    kernel.fails = errno.ETIMEDOUT
    with pytest.raises(OSError, match="can not be used: Connection timed out"):
        device.burst(b"abc", (0,), 1_000_000)
    with pytest.raises(OSError, match="can not be used: Connection timed out"):
        device.stream(b"abc")


def test_closing_lets_the_device_go_and_may_be_done_twice(device: SpiDevice, kernel: Kernel) -> None:
    device.close()
    device.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        device.stream(b"abc")
    assert not kernel.messages
