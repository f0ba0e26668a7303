"""Messages as bytes and back, and what is not believed."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import __version__
from firmware.bus import messages as msg
from firmware.bus.rtu import MAX_FRAME, frame, is_frame
from firmware.bus.versions import OWN, PROTOCOL, Software, packed

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
serials = st.integers(0, 2**48 - 1)
addresses = st.integers(0, 255)
identities = st.builds(msg.Identity, serials, u32)
softwares = st.builds(Software, u8, u32)
statuses = st.builds(msg.Status, u32, u32, u16, u16, u16, u16, u16)
grants = st.builds(msg.Grant, u32, u32, u16, u16, u16, st.sampled_from(msg.Reason))
enrolments: st.SearchStrategy[msg.Enrolment] = st.one_of(
    st.builds(msg.Probe, identities, serials, st.integers(0, 48), st.booleans()),
    st.builds(msg.Here, identities, softwares),
    st.builds(msg.Assign, identities, identities, u32, u8),
    st.builds(msg.Assigned, identities, u32, u16),
    st.builds(msg.Refuse, identities, serials, u8, softwares),
    st.builds(msg.AreYouSecondary, identities, serials, st.booleans()),
)

PRIMARY, STATION = msg.Identity(0xA1B2C3D4E5F6, 0x11223344), msg.Identity(0x0102030405, 0xFFFFFFFF)
LATER = Software(2, 0x01020304)
SESSION = 0xC0FFEE
POLL = msg.encode_poll(3, PRIMARY.serial, SESSION, msg.Grant(7, 6, 160, 50, 480, msg.Reason.SHARE))
STATUS = msg.encode_status(3, SESSION, msg.Status(7, 6, 31, 160, 155, 480, 0))
ENROLMENTS = [
    msg.encode_enrolment(247, message)
    for message in (
        msg.Probe(PRIMARY, 0x2A, 6, sits=True),
        msg.Here(STATION, LATER),
        msg.Assign(PRIMARY, STATION, 9, 4),
        msg.Assigned(STATION, SESSION, 480),
        msg.Refuse(PRIMARY, STATION.serial, msg.REFUSED_PROTOCOL, LATER),
        msg.AreYouSecondary(PRIMARY, STATION.serial, sat=True),
    )
]


def changed(data: bytes, at: int, by: int) -> bytes:
    """A frame with one byte changed and a CRC-16 that fits again."""
    body = bytearray(data[:-2])
    body[at] ^= by
    return frame(bytes(body))


@given(addresses, serials, u32, grants)
def test_a_poll_comes_back_as_it_was(address: int, serial: int, session: int, grant: msg.Grant) -> None:
    data = msg.encode_poll(address, serial, session, grant)
    assert len(data) == msg.POLL_LENGTH
    assert is_frame(data)
    assert data[0] == address
    assert msg.is_poll(data)
    assert not msg.is_status(data)
    assert msg.decode_poll(data) == msg.Poll(serial, session, grant)
    assert msg.decode_enrolment(data) is None


@given(addresses, u32, statuses)
def test_a_status_comes_back_as_it_was(address: int, session: int, status: msg.Status) -> None:
    data = msg.encode_status(address, session, status)
    assert len(data) == msg.STATUS_LENGTH
    assert is_frame(data)
    assert data[0] == address
    assert msg.is_status(data)
    assert not msg.is_poll(data)
    assert msg.decode_status(data, session) == status
    assert msg.decode_enrolment(data) is None


@given(addresses, enrolments)
def test_enrolment_comes_back_as_it_was(address: int, message: msg.Enrolment) -> None:
    data = msg.encode_enrolment(address, message)
    assert is_frame(data)
    assert len(data) == msg.enrolment_length(type(message)) <= MAX_FRAME
    assert data[0] == address
    decoded = msg.decode_enrolment(data)
    assert decoded == message
    assert type(decoded) is type(message)
    assert not msg.is_poll(data)
    assert not msg.is_status(data)


# Versions

FROZEN = {
    msg.Probe: "f7 41 01 16 a1b2c3d4e5f6 11223344 00000000002a 06 01 b7594d01 c2cb",
    msg.Here: "f7 41 02 13 000102030405 ffffffff 02 01020304 7de982be 81a4",
    msg.Refuse: "f7 41 05 1a a1b2c3d4e5f6 11223344 000102030405 03 02 01020304 7779a137 bebe",
    msg.AreYouSecondary: "f7 41 06 15 a1b2c3d4e5f6 11223344 000102030405 01 639b3649 032d",
}
"""What stations of every version to come understand: these bytes never change."""


@pytest.mark.parametrize("data", ENROLMENTS, ids=lambda data: str(data[2]))
@pytest.mark.parametrize("protocol", [PROTOCOL + 1, 0, 255])
def test_a_message_of_another_protocol_is_refused_unless_it_is_frozen(
    data: bytes, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = msg.decode_enrolment(data)
    assert message is not None
    monkeypatch.setattr(msg, "PROTOCOL", protocol)
    if type(message) in FROZEN:
        assert msg.encode_enrolment(247, message) == data == bytes.fromhex(FROZEN[type(message)])
        assert msg.decode_enrolment(data) == message
    else:
        assert msg.encode_enrolment(247, message) != data
        assert msg.decode_enrolment(data) is None


@pytest.mark.parametrize(
    ("version", "number"), [("0.1.0", 0x00010000), ("1.2.772", 0x01020304), ("2.0.1rc3", 0x02000001)]
)
def test_a_version_in_four_bytes(version: str, number: int) -> None:
    assert packed(version) == number
    assert version.startswith(Software(1, number).version)


def test_a_station_says_its_own_version() -> None:
    assert (OWN.protocol, OWN.firmware) == (PROTOCOL, packed(__version__))
    assert OWN.version == __version__


@given(softwares)
def test_any_number_is_a_version(software: Software) -> None:
    assert packed(software.version) == software.firmware


# What is not believed


@given(u32, u32, statuses)
def test_a_status_of_another_session_is_refused(session: int, other: int, status: msg.Status) -> None:
    decoded = msg.decode_status(msg.encode_status(3, session, status), other)
    assert (decoded == status) == (session == other)
    assert decoded is None or session == other


@pytest.mark.parametrize("at", range(3, len(STATUS) - 2))
def test_noise_that_passes_the_crc_16_of_a_status_is_refused(at: int) -> None:
    for by in range(1, 256):
        assert msg.decode_status(changed(STATUS, at, by), SESSION) is None


@pytest.mark.parametrize("at", range(11, len(POLL) - 2))
def test_noise_that_passes_the_crc_16_of_a_poll_is_refused(at: int) -> None:
    """Also in the session, which is in the payload and seeds its check."""
    for by in range(1, 256):
        bad = changed(POLL, at, by)
        assert msg.is_poll(bad)
        assert msg.decode_poll(bad) is None


@pytest.mark.parametrize("at", range(1, 11))
def test_noise_in_the_head_of_a_poll_makes_it_none(at: int) -> None:
    assert not any(msg.is_poll(changed(POLL, at, by)) for by in range(1, 256))


@pytest.mark.parametrize("data", ENROLMENTS, ids=lambda data: str(data[2]))
def test_noise_that_passes_the_crc_16_of_enrolment_is_refused(data: bytes) -> None:
    for at in range(1, len(data) - 2):
        if at == 3:
            continue  # the length: the frame would not be cut there
        for by in range(1, 256):
            assert msg.decode_enrolment(changed(data, at, by)) is None


@given(st.sampled_from([POLL, STATUS, *ENROLMENTS]), st.binary(max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_mangled_frames_are_refused_and_never_raise(data: bytes, noise: bytes, start: int, end: int) -> None:
    """Their addresses and CRC-16 apart, which others check."""
    bad = data[:start] + noise + data[end:]
    if bad[1:-2] == data[1:-2]:
        return
    assert msg.decode_enrolment(bad) is None
    assert not msg.is_poll(bad) or msg.decode_poll(bad) is None
    assert not msg.is_status(bad) or msg.decode_status(bad, SESSION) is None


@given(st.binary(max_size=MAX_FRAME), u32)
def test_arbitrary_bytes_never_raise(data: bytes, session: int) -> None:
    for one in (data, frame(data)):
        assert msg.decode_enrolment(one) is None
        assert not msg.is_poll(one)
        assert not msg.is_status(one) or msg.decode_status(one, session) is None


@given(st.binary(min_size=msg.GRANT_SIZE, max_size=msg.GRANT_SIZE))
def test_a_poll_of_arbitrary_content_is_refused(payload: bytes) -> None:
    bad = frame(POLL[:11] + payload)
    assert msg.is_poll(bad)
    assert msg.decode_poll(bad) is None


@given(st.sampled_from(ENROLMENTS), st.binary(max_size=40))
def test_enrolment_of_arbitrary_content_is_refused(data: bytes, payload: bytes) -> None:
    assert msg.decode_enrolment(frame(data[:3] + bytes((len(payload),)) + payload)) is None


def test_a_reason_that_is_not_on_the_list_is_refused() -> None:
    payload = bytearray(POLL[11:-6])
    payload[-2:] = (msg.Reason.FAULT + 1).to_bytes(2, "big")
    check = crc32(bytes(payload), SESSION).to_bytes(4, "big")
    assert msg.decode_poll(frame(POLL[:11] + bytes(payload) + check)) is None


def test_a_poll_is_fc_0x17_of_the_register_map() -> None:
    """As any Modbus tool reads it: read 11 registers from 0x0100, write the grant to 0x0200."""
    assert POLL[1] == 0x17
    assert POLL[2:4] == (0x0100).to_bytes(2, "big")
    assert int.from_bytes(POLL[4:6], "big") * 2 == STATUS[2] == len(STATUS) - 5
    assert POLL[6:8] == (0x0200).to_bytes(2, "big")
    assert int.from_bytes(POLL[8:10], "big") * 2 == POLL[10] == len(POLL) - 13


@given(identities, identities, u32, u32)
def test_sessions(primary: msg.Identity, station: msg.Identity, counter: int, other: int) -> None:
    session = msg.session_of(primary, station, counter)
    assert 0 < session < 2**32
    assert session == msg.session_of(primary, station, counter)
    if other != counter:
        assert session != msg.session_of(primary, station, other)
    if other != station.nonce:
        assert session != msg.session_of(primary, station._replace(nonce=other), counter)
    if other != primary.nonce:
        assert session != msg.session_of(primary._replace(nonce=other), station, counter)
    if primary != station:
        assert session != msg.session_of(station, primary, counter)


def test_the_closed_list_of_reasons() -> None:
    words = (
        "idle rating switch share vehicle settling waiting quiet_start no_primary group_full "
        "more_than_one_primary online temperature fault"
    )
    assert " ".join(reason.word for reason in msg.Reason) == words
