"""Frames out of a stream: any chunks, garbage between them, and what looks like a frame inside another."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from firmware.bus import messages as msg
from firmware.bus.health import BusHealth
from firmware.bus.rtu import MAX_FRAME, Splitter, air_s, frame, is_frame, lengths, silence_s
from firmware.bus.versions import Software

PRIMARY, STATION = msg.Identity(0xA1B2C3D4E5F6, 0x11223344), msg.Identity(7, 8)
GRANT = msg.Grant(7, 6, 160, 50, 480, msg.Reason.SHARE)
STATUS = msg.Status(7, 6, 31, 160, 155, 480, 0)
POLL_FRAME = msg.encode_poll(3, PRIMARY.serial, 0xC0FFEE, GRANT)
STATUS_FRAME = msg.encode_status(3, 0xC0FFEE, STATUS)

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
addresses = st.integers(0, 247)
statuses = st.builds(msg.Status, u32, u32, u16, u16, u16, u16, u16)
grants = st.builds(msg.Grant, u32, u32, u16, u16, u16, st.sampled_from(msg.Reason))
identities = st.builds(msg.Identity, st.integers(0, 2**48 - 1), u32)
softwares = st.builds(Software, u8, u32)
enrolments = st.one_of(
    st.builds(msg.Probe, identities, st.integers(0, 2**48 - 1), st.integers(0, 48), st.booleans()),
    st.builds(msg.Here, identities, softwares),
    st.builds(msg.Assign, identities, identities, u32, u8),
    st.builds(msg.Assigned, identities, u32, u16),
    st.builds(msg.Refuse, identities, st.integers(0, 2**48 - 1), u8, softwares),
    st.builds(msg.AreYouSecondary, identities, st.integers(0, 2**48 - 1), st.booleans()),
)


def _plain(address: int, *body: int) -> bytes:
    return frame(bytes((address, *body)))


def _counted(code: int) -> st.SearchStrategy[bytes]:
    """An answer with a byte count."""
    return st.builds(lambda a, data: _plain(a, code, len(data), *data), addresses, st.binary(min_size=2, max_size=250))


def _identification(address: int, level: int, objects: list[bytes]) -> bytes:
    listed = b"".join(bytes((i, len(text))) + text for i, text in enumerate(objects))
    return _plain(address, 0x2B, 0x0E, level, 0x83, 0, 0, len(objects), *listed)


plain_frames = st.one_of(
    st.builds(_plain, addresses, st.sampled_from([1, 2, 3, 4, 5, 6]), u8, u8, u8, u8),
    st.builds(_plain, addresses, st.sampled_from([0x0F, 0x10]), u8, u8, u8, u8),
    st.builds(
        lambda a, at, data: _plain(a, 0x10, *at.to_bytes(2, "big"), 0, len(data) // 2, len(data), *data),
        addresses,
        u16,
        st.binary(min_size=2, max_size=246).filter(lambda data: len(data) % 2 == 0),
    ),
    _counted(0x03),
    _counted(0x04),
    _counted(0x17),
    st.builds(_plain, addresses, st.just(0x2B), st.just(0x0E), st.integers(1, 4), u8),
    st.builds(_identification, addresses, st.integers(1, 4), st.lists(st.binary(max_size=30), max_size=6)),
    st.builds(_plain, addresses, st.sampled_from([0x81, 0x83, 0x84, 0x97, 0xAB]), st.integers(1, 11)),
)
group_frames = st.one_of(
    st.builds(msg.encode_poll, addresses, st.integers(0, 2**48 - 1), u32, grants),
    st.builds(msg.encode_status, addresses, u32, statuses),
    st.builds(msg.encode_enrolment, addresses, enrolments),
)
frames = st.one_of(group_frames, plain_frames)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    """What a splitter makes of a stream that arrives in chunks cut at these places."""
    splitter = Splitter(BusHealth())
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [one for start, end in pairwise(edges) for one in splitter.feed(stream[start:end])]


def sound(stream: bytes) -> list[tuple[int, int]]:
    """All (start, end) in a stream that pass a CRC-16 which is not ours."""
    found = []
    for start in range(len(stream)):
        crc = 0xFFFF
        for end in range(start, min(len(stream), start + MAX_FRAME)):
            if end - start >= 4 and crc == 0:
                found.append((start, end))
            crc = (crc >> 8) ^ FramerRTU.crc16_table[(crc ^ stream[end]) & 0xFF]
        if crc == 0 and len(stream) - start >= 4:
            found.append((start, len(stream)))
    return found


@given(st.binary(min_size=2, max_size=254))
def test_crc_is_the_one_of_another_implementation(body: bytes) -> None:
    whole = frame(body)
    assert int.from_bytes(whole[-2:], "big") == FramerRTU.compute_CRC(body)
    assert is_frame(whole)


@given(st.binary(min_size=2, max_size=60), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_no_frame(body: bytes, at: int, change: int) -> None:
    whole = bytearray(frame(body))
    whole[at % len(whole)] ^= change
    assert not is_frame(bytes(whole))


@given(frames)
def test_the_length_of_every_frame_is_plausible(one: bytes) -> None:
    assert len(one) <= MAX_FRAME
    assert len(one) in lengths(one)


@given(st.lists(frames, min_size=1, max_size=8), st.lists(st.integers(0, 3000), max_size=20))
def test_frames_in_any_chunks_come_out_in_order(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(sent)
    edges = {0}
    for one in sent:
        edges.add(max(edges) + len(one))
    assume(all(start in edges and end in edges for start, end in sound(stream)))
    assert split(stream, cuts) == sent


@given(st.lists(frames, min_size=1, max_size=4))
def test_frames_byte_by_byte_come_out_in_order(sent: list[bytes]) -> None:
    test_frames_in_any_chunks_come_out_in_order.hypothesis.inner_test(  # type: ignore[attr-defined]
        sent, list(range(3000))
    )


_BEGINNINGS = [one[:cut] for one in (POLL_FRAME, STATUS_FRAME, _plain(1, 3, 0, 0, 0, 9)) for cut in (1, 2, 4, 7)]
garbage = st.one_of(
    st.binary(max_size=40),
    st.binary(min_size=200, max_size=600),
    st.builds(lambda a, code, third: bytes((a, code, third, third)), u8, st.sampled_from([3, 0x17, 0x41]), u8),
    st.sampled_from(_BEGINNINGS),
)


@given(
    st.lists(st.tuples(garbage, frames), min_size=1, max_size=6), garbage, st.lists(st.integers(0, 5000), max_size=20)
)
@example([(b"\x03\x17\xff", POLL_FRAME), (b"\x01\x2b", STATUS_FRAME)], b"\x01\x41\x01\xf0", [])
@example([(POLL_FRAME[:-1], POLL_FRAME), (STATUS_FRAME[1:], STATUS_FRAME)], b"", [5, 50, 60])
def test_garbage_costs_no_frame_that_it_does_not_merge_into(
    parts: list[tuple[bytes, bytes]], tail: bytes, cuts: list[int]
) -> None:
    stream, places = b"", []
    for noise, one in parts:
        places.append((len(stream) + len(noise), len(stream) + len(noise) + len(one)))
        stream += noise + one
    stream += tail
    for start, end in sound(stream):  # anything sound that is made of noise and frames together is let off
        assume(all((start, end) == place or end <= place[0] or place[1] <= start for place in places))
    got = split(stream, cuts)
    assert [one for one in got if one in [frame for _, frame in parts]] == [frame for _, frame in parts]


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_arbitrary_bytes_never_raise_and_are_not_hoarded(chunks: list[bytes]) -> None:
    health = BusHealth()
    splitter = Splitter(health)
    for chunk in chunks:
        assert all(is_frame(one) for one in splitter.feed(chunk))
        assert int(splitter.pending) < MAX_FRAME
    splitter.drop()
    assert not splitter.pending
    assert splitter.feed(POLL_FRAME) == [POLL_FRAME]


def test_hours_of_babble_leave_a_splitter_that_works() -> None:
    rng, splitter = Random(1), Splitter(BusHealth())
    for _ in range(300):
        splitter.feed(rng.randbytes(100))
    assert POLL_FRAME in splitter.feed(POLL_FRAME)


def test_errors_are_counted_by_run_and_sound_frames_count_none() -> None:
    health = BusHealth()
    splitter = Splitter(health)
    splitter.feed(POLL_FRAME[:10])
    splitter.feed(POLL_FRAME[10:] + STATUS_FRAME)
    assert (health.crc_errors, int(splitter.pending)) == (0, 0)
    splitter.feed(b"\x01\x02" + POLL_FRAME)
    assert health.crc_errors == 1
    splitter.feed(b"\x01\x02\x03")
    assert health.crc_errors == 1
    assert splitter.pending
    splitter.drop()
    splitter.drop()
    assert health.crc_errors == 2


def test_what_looks_like_an_exception_inside_a_frame_that_is_still_arriving_does_not_cost_it() -> None:
    """Numbers of a status can by chance be five bytes with a right CRC-16; no exception code is above 11 and none
    answers a function that nobody uses, so they are not plausible."""
    for start in (b"\x01\xe5\x02", b"\x01\x97\x77", b"\x01\x80\x01"):
        lookalike = frame(start)
        status = STATUS._replace(
            question=int.from_bytes(lookalike[:4], "big"), granted=int.from_bytes(lookalike[4:] + bytes(3), "big")
        )
        sent = msg.encode_status(3, 0xC0FFEE, status)
        at = sent.index(lookalike) + len(lookalike)
        assert split(sent, [at]) == [sent]


@pytest.mark.parametrize(("baud", "ms"), [(9600, 4.01), (19200, 2.005), (38400, 1.75), (115200, 1.75)])
def test_silence_between_frames(baud: int, ms: float) -> None:
    assert silence_s(baud) * 1000 == pytest.approx(ms, abs=0.005)


def test_the_time_on_the_line() -> None:
    assert air_s(21, 19200) == pytest.approx(21 * 11 / 19200)


@given(frames)
def test_a_lone_frame_is_known_as_one(one: bytes) -> None:
    splitter = Splitter(BusHealth())
    assert splitter.is_frame(one)
    assert not splitter.is_frame(one[:-1] + bytes((one[-1] ^ 1,)))
    splitter.feed(one[:3])
    assert not splitter.is_frame(one), "what is held may begin a frame that ends here"
