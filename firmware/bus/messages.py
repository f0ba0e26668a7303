"""What primary and secondary say to each other, as values and as bytes.

Two kinds of exchange: the poll (function code 0x17, read/write multiple registers: the primary writes a
`Grant` and reads a `Status`), and enrolment (user-defined function code 0x41). Every frame that a primary
sends names it: by serial and boot nonce, or by serial and a session that both of these went into. All numbers
are big-endian. Besides Modbus's CRC-16, every payload carries a CRC-32 that is seeded with the session: a
frame that noise has made, or that belongs to another life of either end, does not pass.
"""

import struct
from enum import IntEnum
from hashlib import blake2s
from typing import Any, NamedTuple
from zlib import crc32

from firmware.bus.rtu import frame
from firmware.bus.versions import PROTOCOL, Software

POLL = 0x17
ENROL = 0x41
UNENROLLED = 247  # unit address of a station that no primary has enrolled
ADDRESSES = range(1, 247)

STATUS_REGISTER = 0x0100
GRANT_REGISTER = 0x0200
NO_CURRENT = 0xFFFF  # the meter does not answer


class Reason(IntEnum):
    """Why a station offers what it offers: the one limit that binds. The closed list people see."""

    IDLE = 0
    RATING = 1
    SWITCH = 2
    SHARE = 3
    VEHICLE = 4
    SETTLING = 5
    WAITING = 6
    QUIET_START = 7
    NO_PRIMARY = 8
    GROUP_FULL = 9
    MORE_THAN_ONE_PRIMARY = 10
    ONLINE = 11
    TEMPERATURE = 12
    FAULT = 13

    @property
    def word(self) -> str:
        return self.name.lower()


_REASONS = tuple(Reason)


class Identity(NamedTuple):
    """One life of one station: a serial number (48 bits) and a nonce (32 bits) drawn at each start."""

    serial: int
    nonce: int


# Bits of `Status.flags`
WANTS = 1  # a vehicle wants current
HOLDS = 2  # it may draw: a lease is held or the contactor is not confirmed open
CHARGING = 4  # contactor closed, vehicle in C or D with PWM on
CONNECTED = 8
AVAILABLE = 16  # no fault keeps it from taking a grant


class Status(NamedTuple):
    """A station's report; also the question that the next grant answers."""

    question: int
    """Number of this report, used once; the holder has noted when it asked."""
    granted: int
    """Number of the last grant accepted."""
    flags: int
    offered_da: int
    drawn_da: int
    """Metered current; NO_CURRENT when the meter does not answer."""
    rating_da: int
    fault: int
    """Index of the fault code, 0 = none."""


class Grant(NamedTuple):
    """A lease: so many deciamps for so long, counted from the question it answers."""

    number: int
    question: int
    amps_da: int
    lease_ds: int
    """Life in deciseconds."""
    limit_da: int
    """The group's total."""
    reason: Reason


class Probe(NamedTuple):
    """Who is there, unenrolled, with these low bits of the serial number?"""

    primary: Identity
    bits: int
    low_bits: int
    """How many bits."""
    sits: bool
    """The primary has done with its quiet start: it gives."""


class Here(NamedTuple):
    """Answer to a probe."""

    station: Identity
    software: Software


class Assign(NamedTuple):
    """The station named takes this address in a new session; also what it answers."""

    primary: Identity
    station: Identity
    counter: int
    address: int


class Assigned(NamedTuple):
    station: Identity
    session: int
    rating_da: int
    """Of its model."""


class Refuse(NamedTuple):
    """The station named is not taken into the group."""

    primary: Identity
    serial: int
    why: int
    """REFUSED_FULL, REFUSED_TWIN, REFUSED_PROTOCOL, or a later version's."""
    software: Software
    """The primary's."""


class AreYouSecondary(NamedTuple):
    """A primary that has yielded asks the one it yielded to whether its switch stands at F by now."""

    primary: Identity
    serial: int
    sat: bool
    """It was giving itself until it met the other: the two have grown together from two lines."""


REFUSED_FULL = 1
REFUSED_TWIN = 2
REFUSED_PROTOCOL = 3

STATUS = struct.Struct(">IIHHHHH")  # question, granted, flags, offered, drawn, rating, fault
_GRANT = struct.Struct(">HIIIIHHHH")  # serial high, serial low, session, number, question, amps, lease, limit, reason
_CHECK = struct.Struct(">I")
_POLL_HEAD = struct.Struct(">BBHHHHB")
STATUS_SIZE = STATUS.size + _CHECK.size
GRANT_SIZE = _GRANT.size + _CHECK.size
POLL_LENGTH = _POLL_HEAD.size + GRANT_SIZE + 2
STATUS_LENGTH = 3 + STATUS_SIZE + 2
_POLL_KEY = _POLL_HEAD.pack(0, POLL, STATUS_REGISTER, STATUS_SIZE // 2, GRANT_REGISTER, GRANT_SIZE // 2, GRANT_SIZE)[1:]

Enrolment = Probe | Here | Assign | Assigned | Refuse | AreYouSecondary


def session_of(primary: Identity, station: Identity, counter: int) -> int:
    """The session of one enrolment, never 0: both serials, both boot nonces and the primary's counter."""
    text = b"%012x%08x%012x%08x%08x" % (*primary, *station, counter)
    return int.from_bytes(blake2s(text, digest_size=4).digest(), "big") or 1


def encode_poll(address: int, serial: int, session: int, grant: Grant) -> bytes:
    number, question, amps, lease, limit, reason = grant
    payload = _GRANT.pack(serial >> 32, serial & 0xFFFFFFFF, session, number, question, amps, lease, limit, reason)
    return frame(bytes((address,)) + _POLL_KEY + payload + _CHECK.pack(crc32(payload, session)))


def is_poll(data: bytes) -> bool:
    """Whether a frame is a primary's poll, to whomever."""
    return len(data) == POLL_LENGTH and data[1 : _POLL_HEAD.size] == _POLL_KEY


class Poll(NamedTuple):
    """A poll as read from the bus."""

    serial: int
    session: int
    grant: Grant


def decode_poll(data: bytes) -> Poll | None:
    """The grant in a frame for which `is_poll`; None when its check fails."""
    payload = data[_POLL_HEAD.size : -6]
    high, low, session, number, question, amps, lease, limit, reason = _GRANT.unpack(payload)
    if crc32(payload, session) != int.from_bytes(data[-6:-2], "big") or reason > Reason.FAULT:
        return None
    return Poll(high << 32 | low, session, Grant(number, question, amps, lease, limit, _REASONS[reason]))


def encode_status(address: int, session: int, status: Status) -> bytes:
    payload = STATUS.pack(*status)
    return frame(bytes((address, POLL, STATUS_SIZE)) + payload + _CHECK.pack(crc32(payload, session)))


def is_status(data: bytes) -> bool:
    """Whether a frame is the answer to a poll, from whomever."""
    return len(data) == STATUS_LENGTH and data[1] == POLL and data[2] == STATUS_SIZE


def decode_status(data: bytes, session: int) -> Status | None:
    """The status in a frame for which `is_status`, or None when it is not one of this session."""
    payload = data[3:-6]
    if crc32(payload, session) != int.from_bytes(data[-6:-2], "big"):
        return None
    return Status(*STATUS.unpack(payload))


_SUBCODES: dict[type, tuple[int, struct.Struct]] = {
    Probe: (1, struct.Struct(">6sI6sB?")),
    Here: (2, struct.Struct(">6sIBI")),
    Assign: (3, struct.Struct(">6sI6sIIB")),
    Assigned: (4, struct.Struct(">6sIIH")),
    Refuse: (5, struct.Struct(">6sI6sBBI")),
    AreYouSecondary: (6, struct.Struct(">6sI6s?")),
}
"""Subcode and layout of each message; serial numbers are six bytes."""
_BY_SUBCODE = {subcode: (kind, layout) for kind, (subcode, layout) in _SUBCODES.items()}
_FROZEN = (Probe, Here, Refuse, AreYouSecondary)  # see `firmware.bus.versions`
_FROZEN_SEED = 1


def enrolment_length(kind: type) -> int:
    """Bytes of such a message on the wire, CRC included."""
    return 4 + _SUBCODES[kind][1].size + _CHECK.size + 2


def encode_enrolment(address: int, message: Enrolment) -> bytes:
    """[address, 0x41, subcode, length, fields, CRC-32, CRC-16]."""
    subcode, layout = _SUBCODES[type(message)]
    payload = layout.pack(*_fields(message))
    body = bytes((address, ENROL, subcode, len(payload) + _CHECK.size)) + payload
    return frame(body + _CHECK.pack(crc32(body[2:], _seed(type(message)))))


def _seed(kind: type) -> int:
    """Of the check: a message of another protocol does not pass, unless it is of a kind that never changes."""
    return _FROZEN_SEED if kind in _FROZEN else PROTOCOL


def _life(identity: Identity) -> tuple[bytes, int]:
    return identity.serial.to_bytes(6), identity.nonce


def _fields(message: Enrolment) -> tuple[bytes | int, ...]:
    match message:
        case Probe(primary, bits, low_bits, sits):
            return (*_life(primary), bits.to_bytes(6), low_bits, sits)
        case Here(station, software):
            return (*_life(station), *software)
        case Assign(primary, station, counter, address):
            return (*_life(primary), *_life(station), counter, address)
        case Assigned(station, session, rating_da):
            return (*_life(station), session, rating_da)
        case Refuse(primary, serial, why, software):
            return (*_life(primary), serial.to_bytes(6), why, *software)
        case AreYouSecondary(primary, serial, sat):
            return (*_life(primary), serial.to_bytes(6), sat)


def decode_enrolment(data: bytes) -> Enrolment | None:
    """The message in a frame, or None when it is not a sound one."""
    if len(data) < 10 or data[1] != ENROL or data[2] not in _BY_SUBCODE:
        return None
    kind, layout = _BY_SUBCODE[data[2]]
    payload = data[4:-6]
    if len(payload) != layout.size or crc32(data[2:-6], _seed(kind)) != int.from_bytes(data[-6:-2], "big"):
        return None
    serial, nonce, *rest = layout.unpack(payload)
    return _message(kind, Identity(int.from_bytes(serial), nonce), rest)


def _message(kind: type, sender: Identity, rest: list[Any]) -> Enrolment:
    """`rest`: the fields after the identity that every message begins with."""
    if kind is Probe:
        return Probe(sender, int.from_bytes(rest[0]), rest[1], rest[2])
    if kind is Here:
        return Here(sender, Software(*rest))
    if kind is Assign:
        return Assign(sender, Identity(int.from_bytes(rest[0]), rest[1]), rest[2], rest[3])
    if kind is Assigned:
        return Assigned(sender, *rest)
    if kind is Refuse:
        return Refuse(sender, int.from_bytes(rest[0]), rest[1], Software(*rest[2:]))
    return AreYouSecondary(sender, int.from_bytes(rest[0]), rest[1])
