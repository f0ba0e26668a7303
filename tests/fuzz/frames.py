"""What is said on a line: sound frames of all kinds, and scripts of frames, garbage and silences."""

from collections.abc import Iterator
from random import Random
from zlib import crc32

from firmware.bus import messages as msg
from firmware.bus.rtu import frame
from firmware.bus.versions import PROTOCOL, Software

SESSION = 0xC0FFEE
_CODES = (1, 2, 3, 4, 5, 6, 0x0F, 0x10, 0x17, 0x2B, 0x41, 0x83, 0x97, 0xAB)

# Frames as they should be


def identity(rng: Random) -> msg.Identity:
    return msg.Identity(rng.getrandbits(rng.choice((1, 8, 48))), rng.getrandbits(32))


def software(rng: Random) -> Software:
    return Software(rng.choice((PROTOCOL, PROTOCOL + 1, rng.getrandbits(8))), rng.getrandbits(32))


def grant(rng: Random) -> msg.Grant:
    u16 = rng.choice((0, 59, 60, 160, 480, 481, 0xFFFF, rng.getrandbits(16)))
    number, question = rng.choice((0, 1, 7, 0xFFFFFFFF)), rng.choice((0, 1, 0xFFFFFFFF))
    return msg.Grant(number, question, u16, rng.choice((0, 1, 50, 51, 0xFFFF)), 480, rng.choice(tuple(msg.Reason)))


def status(rng: Random) -> msg.Status:
    return msg.Status(
        rng.getrandbits(32), rng.getrandbits(32), *(rng.getrandbits(rng.choice((1, 9, 16))) for _ in range(5))
    )


def enrolment(rng: Random) -> msg.Enrolment:
    who, serial, small = identity(rng), rng.getrandbits(48), rng.getrandbits(rng.choice((2, 6, 8)))
    return rng.choice(
        (
            msg.Probe(who, serial, small, sits=rng.random() < 0.5),
            msg.Here(who, software(rng)),
            msg.Assign(who, identity(rng), rng.getrandbits(32), small),
            msg.Assigned(who, rng.getrandbits(32), rng.getrandbits(16)),
            msg.Refuse(who, serial, small, software(rng)),
            msg.AreYouSecondary(who, serial, sat=rng.random() < 0.5),
        )
    )


def group_frame(rng: Random) -> bytes:
    """What primary and secondary say to each other."""
    address = rng.choice((0, 1, 3, 246, 247, 255))
    match rng.randrange(3):
        case 0:
            return msg.encode_poll(
                address, rng.getrandbits(48), rng.choice((0, SESSION, rng.getrandbits(32))), grant(rng)
            )
        case 1:
            return msg.encode_status(address, rng.choice((SESSION, rng.getrandbits(32))), status(rng))
    return msg.encode_enrolment(address, enrolment(rng))


def plain_frame(rng: Random) -> bytes:
    """A request or an answer of any Modbus unit, or what nearly is one."""
    address, code = rng.randrange(1, 248), rng.choice(_CODES)
    words = rng.randbytes(2) + rng.choice((0, 1, 26, 27, 125, 126, 0xFFFF)).to_bytes(2, "big")
    match rng.randrange(5):
        case 0:
            data = rng.randbytes(rng.choice((1, 2, 52, 250)))
            return frame(bytes((address, rng.choice((1, 2, 3, 4, 0x17)), len(data))) + data)
        case 1:
            return frame(bytes((address, 0x80 | rng.choice(_CODES), rng.randrange(14))))
        case 2:
            return frame(
                bytes((address, 0x2B, rng.choice((0x0E, 0x0E, 0x0D)), rng.randrange(6), rng.choice((0, 1, 3, 4, 255))))
            )
        case 3:
            data = rng.randbytes(2 * rng.randrange(120))
            return frame(bytes((address, rng.choice((0x0F, 0x10)))) + words + bytes((len(data) & 0xFF,)) + data)
    return frame(bytes((address, code)) + words)


def any_frame(rng: Random) -> bytes:
    return group_frame(rng) if rng.random() < 0.5 else plain_frame(rng)


# Scripts: what comes over a line, as pieces


def piece(kind: int, data: bytes) -> bytes:
    """`kind`: 0 = a silence, 1-4 = the data with a CRC-16 that fits, else the data as they are."""
    return bytes((kind, len(data))) + data


def pieces(script: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, data) of each piece; any bytes are a script."""
    at = 0
    while at + 2 <= len(script):
        kind, size = script[at] % 8, script[at + 1]
        yield kind, script[at + 2 : at + 2 + size]
        at += 2 + size


def line_script(rng: Random) -> bytes:
    script = b""
    for _ in range(rng.choice((2, 8, 40))):
        one = any_frame(rng)[:-2]
        match rng.randrange(8):
            case 0:
                script += piece(0, b"")
            case 1:
                script += piece(5, rng.randbytes(rng.choice((1, 3, 40, 255))))
            case 2:  # the beginning of a frame
                script += piece(5, one[: rng.randrange(len(one))])
            case 3:  # a frame within what looks like the beginning of a longer one
                script += piece(5, bytes((3, rng.choice((0x17, 0x41, 0x10, 3)), rng.getrandbits(8), 0xF0)))
            case _:
                script += piece(1, one)
    return script


def chunks(stream: bytes) -> Iterator[bytes]:
    """The stream in pieces of any size, for the same stream the same."""
    rng, at = Random(crc32(stream)), 0
    most = rng.choice((1, 8, 64, 1000, 4096)) if len(stream) < 600 else rng.choice((64, 1000, 4096))
    while at < len(stream):
        size = rng.randint(1, most)
        yield stream[at : at + size]
        at += size
