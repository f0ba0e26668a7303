"""Serial ports on real ptys: a bus restarts, a port is busy, missing or forbidden, and nothing raises."""

import os
import random
import select
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import serial

from hal.api import LiveBus
from hal.serial.port import SerialPort
from hal.simulated.ptys import PtyLine

pytestmark = pytest.mark.bench

PATIENCE_S = 20.0


class Clock:
    """Monotonic seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Pair(NamedTuple):
    """A pty; the slave is held open, the master may be closed by the test."""

    master: int
    slave: int
    path: Path


@pytest.fixture
def pair() -> Iterator[Pair]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield Pair(master, slave, Path(os.ttyname(slave)))
    os.close(slave)
    with suppress(OSError):
        os.close(master)


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """Whatever the test does, the process does not outlive it."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def arrived(port: SerialPort, expected: int) -> bytes:
    """Read until that many bytes are there; fails rather than hangs."""
    data = b""
    while len(data) < expected:
        assert select.select(port.filenos(), [], [], PATIENCE_S)[0], "nothing arrived"
        data += port.receive()
    return data


def test_bytes_go_both_ways_without_blocking(pair: Pair, clock: Clock) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        bus: LiveBus = port
        port.must_open()
        assert (bus.problem, bus.receive(), len(bus.filenos())) == ("", b"", 1)
        bus.send(b"\x00\x11\x13\x03\x04\r\n\xff")  # nothing of it is a control character here
        assert bus.next_send() == inf
        assert b"".join(os.read(pair.master, 1) for _ in range(8)) == b"\x00\x11\x13\x03\x04\r\n\xff"
        os.write(pair.master, b"\xff\r\n\x03\x13\x00")
        assert arrived(port, 6) == b"\xff\r\n\x03\x13\x00"
        assert port.dropped_frames == 0


def heard(pair: Pair, data: bytes, port: SerialPort) -> None:
    """Bytes have come to the port and it has read them."""
    os.write(pair.master, data)
    assert arrived(port, len(data)) == data


def written(pair: Pair) -> bytes:
    """All that has been written to the pty since the last look."""
    os.set_blocking(pair.master, False)
    try:
        return os.read(pair.master, 4096)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize(("baud", "silence_s"), [(9600, 38.5 / 9600), (19200, 38.5 / 19200), (115200, 0.00175)])
def test_an_answer_is_held_until_the_line_has_been_silent(
    pair: Pair, clock: Clock, baud: int, silence_s: float
) -> None:
    with closing(SerialPort(pair.path, baud, clock)) as port:
        heard(pair, b"question", port)
        port.send(b"answer")
        assert port.next_send() == clock.now + silence_s
        clock.now += silence_s * 0.99
        port.flush()
        assert written(pair) == b""
        clock.now = port.next_send()
        port.flush()
        assert written(pair) == b"answer"
        port.flush()
        assert (written(pair), port.next_send(), port.dropped_frames) == (b"", inf, 0)


def test_a_frame_waits_for_the_end_of_the_one_before_and_the_silence_after_it(pair: Pair, clock: Clock) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        port.send(b"x" * 21)
        assert written(pair) == b"x" * 21
        port.send(b"next")
        assert port.next_send() == pytest.approx(clock.now + (21 + 3.5) * 11 / 19200)
        port.flush()
        assert written(pair) == b""
        clock.now = port.next_send()
        port.flush()
        assert written(pair) == b"next"


def test_after_a_silence_it_sends_at_once(pair: Pair, clock: Clock) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        heard(pair, b"question", port)
        clock.now += 1.0
        port.send(b"answer")
        assert written(pair) == b"answer"


def test_a_held_frame_is_dropped_when_somebody_talks_and_the_silence_begins_anew(pair: Pair, clock: Clock) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        heard(pair, b"question", port)
        port.send(b"too late")
        clock.now += 0.001
        heard(pair, b"!", port)
        assert (port.next_send(), port.dropped_frames) == (inf, 1)
        port.send(b"answer")
        assert port.next_send() == clock.now + 38.5 / 19200
        clock.now = port.next_send()
        port.flush()
        assert (written(pair), port.dropped_frames) == (b"answer", 1)


def test_a_held_frame_is_dropped_with_the_port(pair: Pair, clock: Clock) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        heard(pair, b"question", port)
        port.send(b"lost")
        os.close(pair.master)
        clock.now = port.next_send()
        port.flush()
        assert (port.next_send(), port.dropped_frames) == (inf, 1)
        assert "vanished" in port.problem


def test_it_asks_for_low_latency(pair: Pair, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", lambda _, on: asked.append(on))  # no pty knows it
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        assert (asked, port.problem) == ([True], "")


def test_a_pty_opens_again_and_again(pair: Pair, clock: Clock) -> None:
    for _ in range(5):
        with closing(SerialPort(pair.path, 19200, clock)) as port:
            assert not port.problem


def test_what_came_before_it_was_opened_is_thrown_away(pair: Pair, clock: Clock) -> None:
    os.write(pair.master, b"stale")
    assert select.select([pair.slave], [], [], PATIENCE_S)[0]
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        os.write(pair.master, b"fresh")
        assert arrived(port, 5) == b"fresh"


def test_a_port_that_is_not_there_is_said_and_opened_when_it_comes(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "bus" / "1"
    with closing(SerialPort(path, 19200, clock)) as port:
        assert port.problem == f"serial port {path} is not there"
        assert (list(port.filenos()), port.receive()) == ([], b"")
        with pytest.raises(OSError, match=f"^serial port {path} is not there$"):
            port.must_open()
        port.send(b"lost")
        assert port.dropped_frames == 1
        with closing(PtyLine(tmp_path, 2, 19200, random.Random(1))):
            clock.now += 0.99
            port.receive()
            assert port.problem
            clock.now += 0.02
            port.receive()
            port.must_open()


def test_a_busy_port_is_said_and_opened_when_it_is_free(pair: Pair, clock: Clock) -> None:
    path = pair.path
    holder = [sys.executable, "-c", "import serial, sys; s = serial.Serial(sys.argv[1], exclusive=True);"]
    holder[2] += "print('held', flush=True); sys.stdin.read()"
    command = [*holder, str(path)]
    with ended(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        port = SerialPort(path, 19200, clock)
        assert port.problem == f"serial port {path} is busy: another process holds it"
        process.communicate()
    with closing(port):
        clock.now += 1.1
        port.receive()
        port.must_open()


def test_a_forbidden_port_names_the_group(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> serial.Serial:
        raise serial.SerialException(13, "could not open port: [Errno 13] Permission denied")

    device = tmp_path / "ttyUSB0"
    device.touch()
    monkeypatch.setattr(serial, "Serial", forbidden)  # root may open anything
    port = SerialPort(device, 19200, clock)
    assert port.problem == (f"serial port {device} may not be opened by this user: add the user to the group dialout")


def test_what_is_not_a_serial_port_is_said(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file", "loop", "."):
        port = SerialPort(tmp_path / name, 19200, clock)
        assert port.problem.startswith(f"serial port {tmp_path / name} can't be used: ")


@pytest.mark.parametrize("notice", ["receive", "send"])
def test_a_port_that_vanishes_is_closed_and_said(pair: Pair, clock: Clock, notice: str) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        os.close(pair.master)
        if notice == "send":
            port.send(b"lost")
            assert port.dropped_frames == 1
        else:
            assert port.receive() == b""
        assert port.problem == f"serial port {pair.path} vanished: it was unplugged, or its line was stopped"
        assert list(port.filenos()) == []
        for _ in range(5):
            clock.now += 0.6
            port.send(b"lost")
            assert port.receive() == b""
        assert port.problem


def test_it_comes_back_with_the_line_at_another_pty(tmp_path: Path, clock: Clock) -> None:
    line = PtyLine(tmp_path, 2, 19200, random.Random(1))
    before = line.paths[0].readlink()
    with closing(SerialPort(line.paths[0], 19200, clock)) as port:
        line.close()
        assert port.receive() == b""
        assert "vanished" in port.problem
        clock.now += 1.1
        port.receive()
        assert "vanished" in port.problem  # still not there: what happened says more
        spare, other = os.openpty()  # takes the old pty's number
        with closing(PtyLine(tmp_path, 2, 19200, random.Random(1))) as again:
            assert again.paths[0].readlink() != before
            clock.now += 1.1
            port.receive()
            port.must_open()
            port.send(b"back")
            with serial.Serial(str(again.paths[1]), timeout=0) as far:
                assert pumped(again, lambda: far.read(100), 4) == b"back"
        os.close(spare)
        os.close(other)


def pumped(line: PtyLine, read: Callable[[], bytes], expected: int) -> bytes:
    data, give_up = b"", time.monotonic() + PATIENCE_S
    while len(data) < expected:
        assert time.monotonic() < give_up, "nothing arrived"
        select.select(line.filenos(), [], [], 0.002)
        line.pump(time.monotonic())
        data += read()
    return data


def test_two_ports_talk_over_the_line(tmp_path: Path, clock: Clock) -> None:
    with (
        closing(PtyLine(tmp_path, 2, 115200, random.Random(1))) as line,
        closing(SerialPort(line.paths[0], 115200, clock)) as one,
        closing(SerialPort(line.paths[1], 115200, clock)) as two,
    ):
        for number in range(10):
            frame = bytes([number]) * 21
            clock.now += 1.0
            one.send(frame)
            assert pumped(line, two.receive, 21) == frame
            clock.now += 1.0
            two.send(frame + b"!")
            assert pumped(line, one.receive, 22) == frame + b"!"


def test_a_full_port_drops_the_frame_and_goes_on(pair: Pair, clock: Clock) -> None:
    with closing(SerialPort(pair.path, 19200, clock)) as port:
        for _ in range(10000):
            clock.now += 1.0
            port.send(b"x" * 21)
            if port.dropped_frames:
                break
        assert port.dropped_frames == 1
        assert not port.problem


def test_it_works_on_a_socat_pair(tmp_path: Path, clock: Clock, need_tool: Callable[[str], str]) -> None:
    ends = [tmp_path / "a", tmp_path / "b"]
    command = [need_tool("socat"), *(f"pty,raw,echo=0,link={end}" for end in ends)]
    with ended(subprocess.Popen(command)) as socat:
        give_up = time.monotonic() + PATIENCE_S
        while not all(end.exists() for end in ends):
            assert time.monotonic() < give_up, "socat made no pair"
            time.sleep(0.01)
        with (
            closing(SerialPort(ends[0], 19200, clock)) as one,
            closing(SerialPort(ends[1], 19200, clock)) as two,
        ):
            one.send(b"over socat")
            assert arrived(two, 10) == b"over socat"
            clock.now += 1.0
            two.send(b"and back")
            assert arrived(one, 8) == b"and back"
            socat.terminate()
            socat.wait(PATIENCE_S)
            assert select.select(one.filenos(), [], [], PATIENCE_S)[0]
            assert one.receive() == b""
            assert "vanished" in one.problem
