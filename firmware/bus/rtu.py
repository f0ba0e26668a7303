"""Modbus RTU on a shared line: whole frames out of a stream of bytes, whatever their chunks.

A station hears every request and every answer of the line, often several in one read and with garbage between
them, and a process that was late has no silences left to go by. So a frame is found by what it is, a plausible
length for its function code with the right CRC-16, and not by the gaps around it.
"""

import re
from collections.abc import Callable

import fastcrc

from firmware.bus.health import BusHealth

BITS_PER_CHARACTER = 11  # 8E1 with start bit
MAX_FRAME = 256
_CODES = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F, 0x10, 0x17, 0x2B, 0x41)
_LAST_EXCEPTION = 0x0B
_KNOWN = re.compile(b"[" + re.escape(bytes(code | error for code in _CODES for error in (0, 0x80))) + b"]")
"""Any of these, as request or answer or as exception: so garbage is searched at the speed of C."""
_crc16: Callable[[bytes], int] = fastcrc.crc16.modbus


def frame(body: bytes) -> bytes:
    """`body` (address, function code, data) with its CRC-16, low byte first."""
    return body + _crc16(body).to_bytes(2, "little")


def is_frame(data: bytes) -> bool:
    """Whether the CRC-16 at the end fits what is before it (the CRC over all of a sound frame is 0)."""
    return len(data) >= 4 and _crc16(data) == 0


def silence_s(baud: int) -> float:
    """t3.5, the silence between two frames, s: fixed above 19200 baud (Modbus over serial line V1.02, 2.5.1.1)."""
    return 3.5 * BITS_PER_CHARACTER / baud if baud <= 19200 else 0.00175


def air_s(length: int, baud: int) -> float:
    """How long `length` characters take on the line, s."""
    return length * BITS_PER_CHARACTER / baud


def lengths(data: bytes) -> tuple[int, ...]:
    """Lengths that a frame starting here may have, as request or as answer; unsorted, may be too long yet.

    `data` holds at least the first four bytes.
    """
    code, third = data[1], data[2]
    if code == 0x17:
        return (5 + third, 13 + data[10]) if len(data) > 10 else (5 + third, MAX_FRAME)
    if code & 0x80:
        return (5,) if code & 0x7F in _CODES and 1 <= third <= _LAST_EXCEPTION else ()
    if code in (0x01, 0x02, 0x03, 0x04):
        return (8, 5 + third)
    if code in (0x05, 0x06):
        return (8,)
    if code in (0x0F, 0x10):
        return (8, 9 + data[6]) if len(data) > 6 else (8,)
    if code == 0x2B:
        return (7, *_identification(data))
    if code == 0x41:
        return (6 + data[3],)
    return ()


def _identification(data: bytes) -> tuple[int, ...]:
    """Length of an answer to Read Device Identification: a count of (id, length, text) after eight bytes."""
    if len(data) < 8:
        return (MAX_FRAME,)
    end = 8
    for _ in range(data[7]):
        if end + 2 > len(data):
            return (MAX_FRAME,)
        end += 2 + data[end + 1]
    return (end + 2,)


class Splitter:
    """Turns what arrives into whole frames. Counts what it had to throw away."""

    __slots__ = ("_health", "_rest")

    def __init__(self, health: BusHealth) -> None:
        self._health = health
        self._rest = b""

    @property
    def pending(self) -> int:
        """How many bytes are held that are not (yet) a frame."""
        return len(self._rest)

    def is_frame(self, data: bytes) -> bool:
        """Whether these bytes are just one sound frame: the common case on a shared line."""
        return not self._rest and is_frame(data)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by `data`, in order."""
        if not self._rest and 4 <= len(data) <= MAX_FRAME and len(data) in lengths(data) and _crc16(data) == 0:
            return [data]
        frames = []
        stream = self._rest + data
        found = _next(stream)
        while found is not None:
            start, end = found
            self._health.crc_errors += start > 0
            frames.append(stream[start:end])
            stream = stream[end:]
            found = _next(stream)
        if len(stream) >= MAX_FRAME:  # what is older can't be the start of a frame any more
            self._health.crc_errors += 1
            stream = stream[1 - MAX_FRAME :]
        self._rest = stream
        return frames

    def drop(self) -> None:
        """Forget what is held: the line has been silent, so it will never be a frame."""
        if self._rest:
            self._health.crc_errors += 1
            self._rest = b""


def _next(stream: bytes) -> tuple[int, int] | None:
    """Where the first sound frame starts and ends."""
    for code in _KNOWN.finditer(stream, 1, max(1, len(stream) - 2)):
        start = code.start() - 1
        rest = stream[start : start + MAX_FRAME]
        for length in lengths(rest):
            if 4 <= length <= len(rest) and _crc16(rest[:length]) == 0:
                return start, start + length
    return None
