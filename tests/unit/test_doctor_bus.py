"""`watti doctor`: what it makes of what it hears on the bus."""

from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

import pytest

from firmware.bus import messages as msg
from firmware.bus.rtu import frame
from tests.unit.doctor_table import Table
from watti.doctor_checks import CHECKS
from watti.doctor_exam import Finding

[BUS] = [check for check in CHECKS if check.part == "bus port"]
ANSWER = frame(bytes((msg.UNENROLLED, 0x03, 2, 0, 1)))
OTHERS = frame(bytes((5, 0x03, 0, 0, 0, 1)))


def poll(serial: int) -> bytes:
    """Of the primary with this serial number."""
    return msg.encode_poll(1, serial, 0xABCD, msg.Grant(1, 0, 60, 50, 480, msg.Reason.SHARE))


class Port:
    """A port on which some pieces are heard, and that answers what is sent."""

    problem = ""

    def __init__(self, heard: Sequence[bytes] = (), answer: Callable[[bytes], bytes] = lambda _: b"") -> None:
        self._heard = list(heard)
        self._answer = answer
        self.sent: list[bytes] = []
        self._held = b""

    def send(self, data: bytes) -> None:
        self._held = data

    def flush(self) -> None:
        if self._held:
            self.sent.append(self._held)
            self._heard.append(self._answer(self._held))
            self._held = b""

    def receive(self) -> bytes:
        return self._heard.pop(0) if self._heard else b""

    def filenos(self) -> Sequence[int]:
        return []

    def next_send(self) -> float:
        return inf


def found(folder: Path, port: Port) -> dict[str, Finding]:
    return Table(folder, bus=lambda: port).try_(BUS)


def test_a_group_that_works(tmp_path: Path) -> None:
    whole = poll(0xA1)
    port = Port([whole[:5], whole[5:], OTHERS, whole])
    line = found(tmp_path, port)["bus line"]
    assert line.result == "ok"
    assert line.saw == f"{2 * len(whole) + len(OTHERS)} bytes, 3 sound frames, 0 broken; primary 0000000000A1"
    assert port.sent == [], "nobody is disturbed"


def test_frames_of_no_primary(tmp_path: Path) -> None:
    assert found(tmp_path, Port([OTHERS]))["bus line"].saw.endswith("; no primary polls")


def test_two_primaries(tmp_path: Path) -> None:
    line = found(tmp_path, Port([poll(0xA2), poll(0xA1)]))["bus line"]
    assert line.result == "fail"
    assert line.saw.endswith("primaries 0000000000A1, 0000000000A2")


def test_nothing_but_noise(tmp_path: Path) -> None:
    line = found(tmp_path, Port([b"\xfe" * 30]))["bus line"]
    assert line.result == "fail"
    assert line.advice.startswith("swap A and B")


@pytest.mark.parametrize(("broken", "result"), [(1, "ok"), (3, "warn")])
def test_some_frames_that_are_broken(tmp_path: Path, broken: int, result: str) -> None:
    port = Port([*[b"\xfe\xfd" + OTHERS] * broken, *[OTHERS] * 5])
    line = found(tmp_path, port)["bus line"]
    assert line.result == result
    assert f" {broken} broken" in line.saw


@pytest.mark.parametrize(
    ("answer", "result", "saw"),
    [
        (lambda _: b"", "ok", "no echo, nobody answers"),
        (lambda sent: sent, "ok", "its own frame comes back, which is stood, nobody answers"),
        (lambda sent: sent + ANSWER, "ok", "its own frame comes back, which is stood, and a station answers"),
        (lambda _: ANSWER, "ok", "no echo, and a station answers"),
        (lambda _: b"\x00\x80\x00", "warn", "3 bytes that are no frame"),
    ],
)
def test_a_silent_line_is_asked(tmp_path: Path, answer: Callable[[bytes], bytes], result: str, saw: str) -> None:
    port = Port(answer=answer)
    whole = found(tmp_path, port)
    assert whole["bus line"].result == "warn"
    assert (whole["bus echo"].result, whole["bus echo"].saw) == (result, saw)
    assert port.sent == [frame(bytes((247, 3, 0, 0, 0, 1)))]


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    port = Port()
    port.problem = "serial port /dev/ttyAMA0 is not there"
    whole = found(tmp_path, port)
    assert list(whole) == ["bus port"]
    assert (whole["bus port"].result, whole["bus port"].saw) == ("fail", port.problem)


def test_a_port_that_goes_while_it_speaks(tmp_path: Path) -> None:
    port = Port()

    def vanish(_: bytes) -> bytes:
        port.problem = "serial port x vanished"
        return b""

    port._answer = vanish
    assert found(tmp_path, port)["bus echo"].result == "fail"
