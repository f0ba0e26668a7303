"""What is on the wire: frames out of a stream, messages out of frames, the search, plain Modbus, and the tap."""

import json
from collections.abc import Sequence
from random import Random
from zlib import crc32

import fastcrc

from firmware.bus import messages as msg
from firmware.bus.enrolment import SERIAL_BITS, Search
from firmware.bus.health import BusHealth
from firmware.bus.plain import PlainModbus
from firmware.bus.registers import LENGTH, MAP, pack
from firmware.bus.rtu import MAX_FRAME, Splitter, frame, is_frame
from firmware.bus.versions import PROTOCOL
from tests.fuzz import kept
from tests.fuzz.frames import SESSION, chunks, group_frame, line_script, pieces, plain_frame
from tests.fuzz.fuzzer import Target
from watti import tap

# The splitter


def plausible(data: bytes) -> Sequence[int]:
    """Lengths of the frame that begins here, after the Modbus application protocol and `messages`: said once more,
    independently of the splitter's own."""
    code, third = data[1], data[2]
    found: list[int] = []
    if code in (1, 2, 3, 4, 5, 6, 0x0F, 0x10):
        found.append(8)
    if code in (1, 2, 3, 4, 0x17):
        found.append(5 + third)
    if code in (0x0F, 0x10) and len(data) > 6:
        found.append(9 + data[6])
    if code == 0x17 and len(data) > 10:
        found.append(13 + data[10])
    if code == 0x41:
        found.append(6 + data[3])
    if code == 0x2B:
        found += (7, _identification_length(data))
    if code & 0x80 and code & 0x7F in (1, 2, 3, 4, 5, 6, 0x0F, 0x10, 0x17, 0x2B, 0x41) and 1 <= third <= 11:
        found.append(5)
    return found


def _identification_length(data: bytes) -> int:
    at = 8
    for _ in range(data[7] if len(data) > 7 else 0):
        if at + 1 >= len(data):
            return 0
        at += 2 + data[at + 1]
    return at + 2


def sound(stream: bytes) -> list[tuple[int, int]]:
    """(start, end) of all that could be a frame."""
    found = set()
    for start in range(len(stream) - 3):
        window = stream[start : start + MAX_FRAME]
        for length in plausible(window):
            if 4 <= length <= len(window) and fastcrc.crc16.modbus(window[:length]) == 0:
                found.add((start, start + length))
    return sorted(found)


def check_splitter(script: bytes) -> str:
    """Every frame that nothing else sound overlaps comes out, in order, and nothing that is none."""
    splitter, stream, lost = Splitter(BusHealth()), b"", 0
    found = 0
    for kind, data in [*pieces(script), (0, b"")]:
        if kind:
            stream += frame(data) if 1 <= kind <= 4 and len(data) >= 2 else data
            continue
        got = [one for chunk in chunks(stream) for one in _fed(splitter, chunk)]
        lost += judge_split(stream, got)
        splitter.drop()
        assert not splitter.pending
        found, stream = found + len(got), b""
    return f"accepted {min(found, 9)} {min(lost, 9)}" if found else "refused"


def _fed(splitter: Splitter, chunk: bytes) -> list[bytes]:
    frames = splitter.feed(chunk)
    assert splitter.pending < MAX_FRAME, "hoards"
    return frames


def judge_split(stream: bytes, got: Sequence[bytes]) -> int:
    """How many sound runs were not told apart, as they overlap."""
    runs = sound(stream)
    at = 0
    for one in got:
        start = next((s for s, e in runs if s >= at and stream[s:e] == one), None)
        assert start is not None, f"not a frame of the stream, or out of order: {one.hex(' ')}"
        at = start + len(one)
    clear = [(s, e) for i, (s, e) in enumerate(runs) if _stands_clear(runs, i)]
    wanted = [stream[s:e] for s, e in clear]
    rest = iter(got)
    assert all(any(one == other for other in rest) for one in wanted), "a frame after garbage is lost"
    return len(runs) - len(clear)


def _stands_clear(runs: Sequence[tuple[int, int]], i: int) -> bool:
    """Whether no other run overlaps this one; `runs` are in order."""
    start, end = runs[i]
    before = any(e > start for s, e in runs[max(0, i - 40) : i])
    return not before and (i + 1 == len(runs) or runs[i + 1][0] >= end)


# Messages


def sealed_frame(rng: Random) -> bytes:
    """A message of which a field was changed before it was sealed: checks alone don't refuse it."""
    one = bytearray(group_frame(rng)[:-2])
    if rng.random() < 0.7:
        one[rng.randrange(len(one))] = rng.choice((0, 1, 0x7F, 0xFF, rng.getrandbits(8)))
    return frame(resealed(bytes(one)))


def resealed(body: bytes) -> bytes:
    """The same with a CRC-32 that fits, as far as it has one."""
    whole = body + b"\0\0"
    if len(body) < 12:
        return body
    if msg.is_poll(whole):
        return body[:-4] + crc32(body[11:-4], int.from_bytes(body[17:21], "big")).to_bytes(4, "big")
    if msg.is_status(whole):
        return body[:-4] + crc32(body[3:-4], SESSION).to_bytes(4, "big")
    return body[:-4] + crc32(body[2:-4], PROTOCOL).to_bytes(4, "big")


def check_messages(data: bytes) -> str:
    """What is decoded says the same when it is encoded again."""
    whole = data if is_frame(data) else frame(data[:-2])
    if len(whole) < 4 or (whole[1] == msg.ENROL and len(whole) != 6 + whole[3]):
        return "refused"  # no frame that the splitter would have made
    decoded = _decoded(whole)
    if decoded is None:
        return "refused"
    again = _encoded(whole[0], decoded)
    assert _decoded(again) == decoded
    vague = isinstance(decoded, msg.Probe | msg.AreYouSecondary)  # any byte for true
    assert len(again) == len(whole)
    assert again == whole or vague
    return f"accepted {type(decoded).__name__}"


def _decoded(whole: bytes) -> msg.Poll | msg.Status | msg.Enrolment | None:
    if msg.is_poll(whole):
        return msg.decode_poll(whole)
    if msg.is_status(whole):
        return msg.decode_status(whole, SESSION)
    return msg.decode_enrolment(whole)


def _encoded(address: int, decoded: msg.Poll | msg.Status | msg.Enrolment) -> bytes:
    if isinstance(decoded, msg.Poll):
        return msg.encode_poll(address, *decoded)
    if isinstance(decoded, msg.Status):
        return msg.encode_status(address, SESSION, decoded)
    return msg.encode_enrolment(address, decoded)


# The search for stations

_MOST_PROBES = 2000


def check_search(script: bytes) -> str:
    """Whatever was heard before, an honest line gives all its stations, and then the search is over."""
    rng, search = Random(crc32(script)), Search()
    for byte in script:
        branch = search.branch
        if branch is None:
            search = Search()
            continue
        assert 0 <= branch.depth <= SERIAL_BITS
        assert branch.bits < 1 << branch.depth
        _hear(search, byte % 3)
    serials = {rng.getrandbits(rng.choice((2, 8, 48))) for _ in range(rng.randrange(6))}
    left, probes = set(serials), 0
    while search.branch is not None or left:
        search = search if search.branch is not None else Search()
        branch = search.branch
        assert branch is not None
        there = [serial for serial in left if serial & ((1 << branch.depth) - 1) == branch.bits]
        _hear(search, min(len(there), 2))
        left.difference_update(there if len(there) == 1 else ())
        probes += 1
        assert probes < _MOST_PROBES, "spins"
    return f"accepted {len(serials)}"


def _hear(search: Search, answers: int) -> None:
    if answers == 0:
        search.on_silence()
    elif answers == 1:
        search.on_found()
    else:
        search.on_garbage()


# Plain Modbus


def check_plain(data: bytes) -> str:
    """A whole frame in, a whole frame or nothing out: from the same unit, with the same function or its exception."""
    request = data if is_frame(data) else frame(data[: MAX_FRAME - 2])
    if len(request) < 4:
        return "refused"
    words = pack([int.from_bytes(data[i : i + 5], "big", signed=True) for i in range(len(MAP))])
    assert len(words) == LENGTH
    assert all(0 <= word <= 0xFFFF for word in words)
    answer = PlainModbus(lambda: words, ("Watti", "Watti Pro 48A", "0.1.0", "0000A1B2C3D4")).answer(request)
    if not answer:
        return "refused"
    assert is_frame(answer)
    assert len(answer) <= MAX_FRAME
    assert answer[0] == request[0]
    if answer[1] & 0x80:
        assert answer[1] == request[1] | 0x80
        assert 1 <= answer[2] <= 11
        return f"refused {request[1]:#x} {answer[2]}"
    assert answer[1] == request[1]
    if answer[1] in (3, 4):
        first, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        assert first + count <= LENGTH
        assert answer[3:-2] == b"".join(word.to_bytes(2, "big") for word in words[first : first + count])
    return f"accepted {answer[1]:#x}"


# The tap


def check_tap(script: bytes) -> str:
    """Each frame is told in words and as JSON; no byte is lost."""
    listener, now, heard, told = tap.Tap(19200, 0.0), 0.0, 0, 0
    for kind, data in [*pieces(script), (0, b"")]:
        now += 0.01
        stream = frame(data) if 1 <= kind <= 4 and len(data) >= 2 else data
        heard += len(stream) if kind else 0
        parts = chunks(stream) if kind else ()
        entries = [entry for part in parts for entry in listener.hear(part, now)]
        if not kind:
            entries += listener.silence(now)
        for entry in entries:
            assert tap.text(entry).isprintable()
            assert json.loads(json.dumps(entry)) == entry
            told += entry["bytes"]
    assert told == heard, "bytes were lost"
    return "accepted" if told else "refused"


def targets() -> list[Target]:
    return [
        Target("splitter", line_script, check_splitter, kept.LINE),
        Target("messages", sealed_frame, check_messages),
        Target("search", lambda rng: rng.randbytes(rng.choice((0, 5, 100))), check_search),
        Target("plain", plain_frame, check_plain),
        Target("tap", line_script, check_tap, kept.LINE),
    ]
