"""What `watti tap` makes of the bytes of a line."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import watti.tap
from firmware.bus import messages as msg
from firmware.bus.rtu import air_s, frame
from firmware.bus.versions import Software
from firmware.protection import NUMBER
from hal.serial.direction import AUTOMATIC, Direction
from watti.tap import Tap, decode, direction, text

PRIMARY = msg.Identity(0xA1B2C3D4E5F6, 0x11111111)
STATION = msg.Identity(0x000000000007, 0x22222222)
LATER = Software(2, 0x01020304)
POLL = msg.encode_poll(3, PRIMARY.serial, 0xABCD, msg.Grant(7, 6, 160, 50, 480, msg.Reason.SHARE))
STATUS = msg.encode_status(
    3, 0xABCD, msg.Status(8, 7, msg.CONNECTED | msg.CHARGING, 160, 155, 480, NUMBER["no_primary"])
)

KINDS: list[tuple[bytes, dict[str, Any]]] = [
    (
        POLL,
        {
            "what": "poll",
            "primary": "A1B2C3D4E5F6",
            "session": "0000ABCD",
            "grant": 7,
            "answers": 6,
            "amps_a": 16.0,
            "lease_s": 5.0,
            "limit_a": 48.0,
            "reason": "share",
        },
    ),
    (
        STATUS,
        {
            "what": "status",
            "question": 8,
            "took": 7,
            "flags": "connected charging",
            "offered_a": 16.0,
            "drawn_a": 15.5,
            "rating_a": 48.0,
            "fault": "no_primary",
        },
    ),
    (
        msg.encode_enrolment(247, msg.Probe(PRIMARY, 0x1F, 5, True)),
        {"what": "probe", "primary": "A1B2C3D4E5F6/11111111", "bits": "1F", "low_bits": 5, "sits": True},
    ),
    (
        msg.encode_enrolment(247, msg.Here(STATION, LATER)),
        {"what": "here", "station": "000000000007/22222222", "protocol": 2, "firmware": "1.2.772"},
    ),
    (
        msg.encode_enrolment(247, msg.Assign(PRIMARY, STATION, 9, 4)),
        {
            "what": "assign",
            "primary": "A1B2C3D4E5F6/11111111",
            "station": "000000000007/22222222",
            "counter": 9,
            "address": 4,
        },
    ),
    (
        msg.encode_enrolment(4, msg.Assigned(STATION, 0xABCD, 480)),
        {"what": "assigned", "station": "000000000007/22222222", "session": "ABCD", "rating_a": 48.0},
    ),
    (
        msg.encode_enrolment(247, msg.Refuse(PRIMARY, 7, msg.REFUSED_FULL, LATER)),
        {
            "what": "refuse",
            "primary": "A1B2C3D4E5F6/11111111",
            "serial": "7",
            "why": "group_full",
            "protocol": 2,
            "firmware": "1.2.772",
        },
    ),
    (
        msg.encode_enrolment(247, msg.AreYouSecondary(PRIMARY, 0xFF, False)),
        {"what": "areyousecondary", "primary": "A1B2C3D4E5F6/11111111", "serial": "FF", "sat": False},
    ),
    (frame(bytes((5, 0x83, 2))), {"what": "exception", "function": "0x03", "code": 2}),
    (
        frame(bytes((5, 0x03, 0, 0, 0, 2))),
        {"what": "modbus", "function": "0x03", "data": "00 00 00 02"},
    ),
]


def hear(data: bytes, now: float = 1.0) -> list[dict[str, Any]]:
    return list(Tap(19200, 0.0).hear(data, now))


@pytest.mark.parametrize(("sent", "says"), KINDS, ids=[str(says["what"]) for _, says in KINDS])
def test_every_kind_of_message_is_decoded(sent: bytes, says: dict[str, Any]) -> None:
    assert decode(sent) == says
    (entry,) = hear(sent)
    assert entry == {"t_s": 1.0, "address": sent[0], **says, "bytes": len(sent), "gap_ms": None}


def test_the_kinds_are_all_there_are() -> None:
    kinds = {kind.__name__.lower() for kind in msg.Enrolment.__args__}
    assert kinds | {"poll", "status", "exception", "modbus"} == {says["what"] for _, says in KINDS}


def test_a_meter_that_does_not_answer_has_no_current() -> None:
    assert decode(msg.encode_status(3, 1, msg.Status(1, 0, 0, 0, msg.NO_CURRENT, 480, 0)))["drawn_a"] is None


@pytest.mark.parametrize(
    ("sent", "at", "what"), [(POLL, 15, "poll, bad check"), (KINDS[2][0], 6, "enrolment, bad check or protocol")]
)
def test_a_frame_whose_second_check_fails_is_said_to(sent: bytes, at: int, what: str) -> None:
    wrong = bytearray(sent[:-2])
    wrong[at] ^= 1
    assert decode(frame(bytes(wrong))) == {"what": what}


@given(st.binary(min_size=2, max_size=250))
def test_no_sound_frame_is_too_strange(body: bytes) -> None:
    assert isinstance(decode(frame(body))["what"], str)


def test_garbage_comes_before_the_frame_that_ends_it() -> None:
    entries = hear(b"\x55" * 7 + POLL + STATUS)
    assert [entry["what"] for entry in entries] == ["garbage", "poll", "status"]
    assert entries[0] == {"t_s": 1.0, "what": "garbage", "bytes": 7}


def test_bytes_that_never_become_a_frame_are_garbage_after_a_silence() -> None:
    tap = Tap(19200, 0.0)
    assert list(tap.hear(POLL[:20], 1.0)) == []
    assert list(tap.silence(2.0)) == [{"t_s": 2.0, "what": "garbage", "bytes": 20}]
    assert list(tap.silence(3.0)) == []
    assert [entry["what"] for entry in tap.hear(POLL, 4.0)] == ["poll"]


@given(st.binary(max_size=700), st.lists(st.integers(1, 40), max_size=40))
def test_every_byte_is_told_of_once_whatever_its_chunks(noise: bytes, cuts: list[int]) -> None:
    stream = POLL + noise + STATUS + noise
    tap = Tap(19200, 0.0)
    entries: list[dict[str, Any]] = []
    for length in cuts:
        entries += tap.hear(stream[:length], 1.0)
        stream = stream[length:]
    entries += [*tap.hear(stream, 2.0), *tap.silence(3.0)]
    assert sum(entry["bytes"] for entry in entries) == len(POLL) + len(STATUS) + 2 * len(noise)
    assert [json.loads(json.dumps(entry)) for entry in entries] == entries


def test_the_gap_is_the_silence_between_two_frames() -> None:
    tap = Tap(19200, 10.0)
    end = 11.0 + air_s(len(POLL), 19200)
    (first,) = tap.hear(POLL, end)
    assert first["t_s"] == pytest.approx(end - 10.0, abs=1e-4)
    assert first["gap_ms"] is None
    (second,) = tap.hear(STATUS, end + 0.0125 + air_s(len(STATUS), 19200))
    assert second["gap_ms"] == pytest.approx(12.5)
    (third,) = tap.hear(POLL, end + 0.05)  # its bytes were read all at once, late: no gap is negative
    assert third["gap_ms"] == 0.0


def test_the_station_s_own_port_is_turned_round_as_its_file_says(tmp_path: Path) -> None:
    """Its RTS is set when it is opened: a transceiver that sends by it would jam the line."""
    station, port = tmp_path / "station.toml", tmp_path / "ttyAMA0"
    port.touch()
    (tmp_path / "serial0").symlink_to(port)
    bus = f'[bus]\nport = "{port}"\ndirection = "rts"\nrts_sends = "low"\n'
    station.write_text(f'[station]\nmodel = "48A"\n{bus}[board]\nkind = "simulated"\n')
    assert direction(port, station) == direction(tmp_path / "serial0", station) == Direction("rts", "low")
    assert direction(tmp_path / "ttyUSB0", station) == AUTOMATIC
    assert direction(port, tmp_path / "none.toml") == AUTOMATIC


def test_the_port_that_is_listened_to_is_opened_so(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def port(path: Path, baud: int, clock: object, turned: Direction) -> None:
        opened.append((path, baud, turned))
        raise InterruptedError

    monkeypatch.setattr(watti.tap, "direction", lambda path: Direction("kernel", "high"))
    monkeypatch.setattr(watti.tap, "SerialPort", port)
    with pytest.raises(InterruptedError):
        watti.tap.run(Namespace(port="/dev/ttyAMA0", baud=19200, json=False))
    assert opened == [(Path("/dev/ttyAMA0"), 19200, Direction("kernel", "high"))]


def test_lines_for_people_show_time_gap_address_and_fields() -> None:
    tap = Tap(19200, 0.0)
    first, second = (text(entry) for data, now in ((POLL, 1.0), (STATUS, 1.5)) for entry in tap.hear(data, now))
    assert first.split()[:4] == ["1.0000", "3", "poll", "primary=A1B2C3D4E5F6"]
    assert second.split()[:5] == ["1.5000", "+484.5", "ms", "3", "status"]
    assert "amps_a=16.0" in first
    assert "flags=connected charging" in second
    (garbage,) = (text(entry) for entry in [*tap.hear(b"\x00" * 3, 2.0), *tap.silence(3.0)])
    assert garbage.split() == ["3.0000", "garbage", "bytes=3"]
