"""The kernel's spidev: many short transfers in one system call, or one long one.

Own code, as a burst has to be one call with chip select let go and a pause of its own after each conversion: spidev's
Python binding and gpiozero do one conversion a call, 0.1 ms apart at best, and spidev comes as source only. Numbers
and layout: linux/spi/spidev.h.
"""

import ctypes
import errno
import os
from collections.abc import Iterable, Sequence
from fcntl import ioctl
from pathlib import Path
from typing import Protocol, Self

from hal.raspberry.spec import AdcSpec

MESSAGE_BYTES = 4096
"""A message may have as many each way (spidev.bufsiz), counted in steps of `ALIGNED_BYTES` for each transfer (S)."""
ALIGNED_BYTES = 128  # ARCH_DMA_MINALIGN of arm64 (S): so no more than 32 transfers a message

_PROBLEMS = {
    errno.ENOENT: "is not there: enable SPI with dtparam=spi=on in /boot/firmware/config.txt and restart",
    errno.EACCES: "may not be opened by this user: add the user to the group spi",
    errno.EPERM: "may not be opened by this user: add the user to the group spi",
    errno.EINVAL: "refuses the speed or the mode: check speed_hz of [adc] in the board file",
    errno.ENOTTY: "is no SPI device: check bus and device of [adc] in the board file",
}


class Spi(Protocol):
    """One chip on an SPI bus. OSError carries a sentence for a person."""

    def burst(self, frame: bytes, delays_us: Sequence[int], speed_hz: int) -> bytes:
        """Send `frame` once for each delay, which is waited afterwards; chip select is high between. All answers, one
        after the other. The kernel sleeps through a delay above 10 us, up to twice as long."""

    def stream(self, data: bytes) -> bytes:
        """Send `data` with chip select low and no pause; the answer. What is more than `MESSAGE_BYTES` goes in pieces
        of as many, about 0.1 ms apart, chip select high between."""

    def close(self) -> None: ...


class _Transfer(ctypes.Structure):
    """struct spi_ioc_transfer: the same on 32 and 64 bit."""

    _fields_ = (
        ("tx_buf", ctypes.c_uint64),
        ("rx_buf", ctypes.c_uint64),
        ("len", ctypes.c_uint32),
        ("speed_hz", ctypes.c_uint32),
        ("delay_usecs", ctypes.c_uint16),
        ("bits_per_word", ctypes.c_uint8),
        ("cs_change", ctypes.c_uint8),
        ("tx_nbits", ctypes.c_uint8),
        ("rx_nbits", ctypes.c_uint8),
        ("word_delay_usecs", ctypes.c_uint8),
        ("pad", ctypes.c_uint8),
    )


def _write(number: int, size: int) -> int:
    """_IOW('k', number, size)."""
    return 1 << 30 | size << 16 | ord("k") << 8 | number


_WR_MODE = _write(1, 1)
_WR_BITS_PER_WORD = _write(3, 1)
_WR_MAX_SPEED_HZ = _write(4, 4)


class _Messages:
    """The messages of one burst or stream with their buffers, ready to be sent any number of times."""

    def __init__(self, sends: bytes, tx_at: Iterable[int], size: int, delays_us: Sequence[int], speed_hz: int) -> None:
        """A transfer of `size` bytes for each delay; `tx_at` says where in `sends` each begins."""
        self._sends = ctypes.create_string_buffer(sends, len(sends))  # the transfers point into it
        self.answer = ctypes.create_string_buffer(size * len(delays_us))
        tx, rx = ctypes.addressof(self._sends), ctypes.addressof(self.answer)
        transfers = [
            _Transfer(tx_buf=tx + at, rx_buf=rx + i * size, len=size, speed_hz=speed_hz, delay_usecs=us, cs_change=1)
            for i, (at, us) in enumerate(zip(tx_at, delays_us, strict=True))
        ]
        most = MESSAGE_BYTES // (-(-size // ALIGNED_BYTES) * ALIGNED_BYTES)
        self.requests = [_message(transfers[i : i + most]) for i in range(0, len(transfers), most)]


def _message(transfers: Sequence[_Transfer]) -> "tuple[int, ctypes.Array[_Transfer]]":
    """Number and argument of SPI_IOC_MESSAGE. After the last transfer cs_change would hold chip select."""
    transfers[-1].cs_change = 0
    return _write(0, len(transfers) * ctypes.sizeof(_Transfer)), (_Transfer * len(transfers))(*transfers)


class SpiDevice:
    """`Spi` on /dev/spidev<bus>.<device>. One thread at a time."""

    def __init__(self, bus: int, device: int, speed_hz: int, mode: int = 0, dev: Path = Path("/dev")) -> None:
        """Open it. Raises OSError."""
        self._path = dev / f"spidev{bus}.{device}"
        self._speed_hz = speed_hz
        self._bursts: dict[tuple[bytes, tuple[int, ...], int], _Messages] = {}
        self._fd = -1
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            ioctl(self._fd, _WR_MODE, bytes([mode]))
            ioctl(self._fd, _WR_BITS_PER_WORD, bytes([8]))
            ioctl(self._fd, _WR_MAX_SPEED_HZ, bytes(ctypes.c_uint32(speed_hz)))
        except OSError as error:
            self.close()
            raise OSError(self._sentence(error)) from error

    @classmethod
    def of(cls, spec: AdcSpec) -> Self:
        """The one that the converter hangs on: both kinds speak mode 0."""
        return cls(spec.bus, spec.device, spec.speed_hz)

    def burst(self, frame: bytes, delays_us: Sequence[int], speed_hz: int) -> bytes:
        key = frame, tuple(delays_us), speed_hz
        messages = self._bursts.get(key)
        if messages is None:
            messages = self._bursts[key] = _Messages(frame, [0] * len(delays_us), len(frame), delays_us, speed_hz)
        return self._exchange(messages)

    def stream(self, data: bytes) -> bytes:
        """The last piece is filled up with zeros."""
        size = min(len(data), MESSAGE_BYTES)
        tx_at = range(0, len(data), size)
        sends = data.ljust(size * len(tx_at), b"\0")
        return self._exchange(_Messages(sends, tx_at, size, [0] * len(tx_at), self._speed_hz))[: len(data)]

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _exchange(self, messages: _Messages) -> bytes:
        try:
            for request, transfers in messages.requests:
                ioctl(self._fd, request, transfers)
        except OSError as error:
            raise OSError(self._sentence(error)) from error
        return messages.answer.raw

    def _sentence(self, error: OSError) -> str:
        return f"{self._path} {_PROBLEMS.get(error.errno or 0, f'can not be used: {os.strerror(error.errno or 0)}')}"
