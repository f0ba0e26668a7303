"""The plants' server, and those who ask it: nonsense of one harms nobody else. Sockets are real, time is virtual."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from select import select
from typing import Any

import pytest

from hal.simulated.channel import LONGEST, Channel
from hal.simulated.plant import Plant
from hal.simulated.remote import Refused, ask
from hal.simulated.server import PlantServer, listen
from hal.simulated.vehicle_spec import LIMITS
from watti.cli import main

PATIENCE_S = 20.0


class Desk:
    """Two plants behind their socket, and whoever connects."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._path = folder / "bench.sock"
        self._stack = stack
        self.plant = Plant(11)
        self._server = PlantServer(listen(self._path), {"s1": self.plant, "s2": Plant(15)}, 0.0)
        stack.callback(self._server.close)

    def connect(self) -> socket.socket:
        connected = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        connected.settimeout(PATIENCE_S)
        connected.connect(str(self._path))
        return connected

    def attach(self, name: str) -> socket.socket:
        """A station's process."""
        board = self.connect()
        assert self.answer(board, {"do": "attach", "station": name})["drops"] == 0
        return board

    def say(self, speaker: socket.socket, line: bytes) -> None:
        speaker.sendall(line + b"\n")
        while ready := select(self._server.filenos(), [], [], 0)[0]:
            self._server.pump(0.0, ready)

    def answer(self, speaker: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        self.say(speaker, json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(speaker.recv(65536))
        return answer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


# What a station's process says


@pytest.mark.parametrize(
    "line",
    [
        b'{"do":[],"drops":0}',
        b'{"do":"dance","drops":0}',
        b'{"do":"light","colour":"red","blinks":["x"]}',
        b'{"do":"light","colour":"red","blinks":[[]]}',
        b'{"do":"light","colour":"red","blinks":[1e999]}',
        b'{"do":"view","view":' + b'{"x":' * 30 + b"1" + b"}" * 31,
        b"[" * 100_000,
    ],
)
def test_a_station_that_speaks_nonsense_is_hung_up_on_and_no_other_hears_of_it(desk: Desk, line: bytes) -> None:
    mad, other = desk.attach("s1"), desk.attach("s2")
    desk.say(mad, line)
    assert mad.recv(100) == b""
    statuses = desk.answer(desk.connect(), {"do": "status"})["stations"]
    assert [status["lamp"] for status in statuses] == ["off", "off"]
    desk.attach("s1")
    assert "running already" in desk.answer(desk.connect(), {"do": "attach", "station": "s2"})["error"]
    other.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.recv(100)


def test_a_station_shows_its_lamp(desk: Desk) -> None:
    desk.say(desk.attach("s1"), b'{"do":"light","colour":"red","blinks":[3,1]}')
    assert desk.plant.light.words == "red 3-1"


# What people ask


@pytest.mark.parametrize(
    ("vehicle", "error"),
    [
        ({"battery_kwh": 0}, "battery_kwh 0.0: expected 0.1 to 1000"),
        ({"ramp_step_a": 1e-300}, "ramp_step_a 1e-300: expected 0.1 to 100"),
        ({"glitches": 10**18, "glitch_s": 0}, f"glitches {10**18}: expected 0 to 100"),
        ({"glitch_pause_s": 0}, "glitch_pause_s 0.0: expected 0.001 to 316224000"),
        ({"reaction_s": float("nan")}, "reaction_s nan: expected 0 to 60"),
        ({"max_a": float("inf")}, "max_a inf: expected 0 to 100"),
        ({"max_a": 10**400}, "int too large to convert to float"),
        ({"name": "\ud800"}, "name '\\ud800': expected one line of text"),
        ({"name": ""}, "name '': expected one line of text"),
        ({"wheels": 4}, "'wheels'"),
    ],
)
def test_a_vehicle_that_can_not_be_is_refused(desk: Desk, vehicle: dict[str, Any], error: str) -> None:
    request = {"do": "plug", "station": "s1", "vehicle": {"name": "x", **vehicle}}
    assert desk.answer(desk.connect(), request) == {"error": error}
    assert desk.plant.vehicle is None


@pytest.mark.parametrize("end", [0, 1])
def test_a_vehicle_at_its_limits_is_plugged_in(desk: Desk, end: int) -> None:
    vehicle = {"name": "x", **{key: limits[end] for key, limits in LIMITS.items()}}
    assert desk.answer(desk.connect(), {"do": "plug", "station": "s1", "vehicle": vehicle})["vehicle"] == "x"


class _Torrent(socket.socket):
    """What comes over it comes as fast as it is read, at least for a while."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        self._read = getattr(self, "_read", 0) + bufsize
        assert self._read < 4 * LONGEST
        return b"x" * bufsize


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    with _Torrent() as connected:
        channel = Channel(connected)
        assert channel.receive() == []
        assert channel.gone


# What is answered


class Stranger:
    """Listens at a socket of the folder and answers whoever asks with the same bytes."""

    def __init__(self, folder: Path, answer: bytes, stack: ExitStack) -> None:
        self.path = folder / "strange.sock"
        self._listener = stack.enter_context(listen(self.path))
        self._listener.settimeout(PATIENCE_S)
        self._answer = answer
        self._done = stack.enter_context(ThreadPoolExecutor(1)).submit(self._serve)

    def _serve(self) -> None:
        connected, _ = self._listener.accept()
        with connected, suppress(ConnectionError):  # it has been hung up on
            connected.recv(65536)
            connected.sendall(self._answer)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the server has gone"),
        (b'{"half":', "the server has gone"),
        (b"\n", "the server speaks nonsense"),
        (b"[]\n", "the server speaks nonsense"),
        (b"Infinity\n", "the server speaks nonsense"),
        (b"\xb8\n", "the server speaks nonsense"),
        (b"[" * 100_000 + b"\n", "the server speaks nonsense"),
        (b'{"x":' + b"[" * 500 + b"]" * 500 + b"}\n", "the server speaks nonsense"),
        (b"x" * (LONGEST + 1_000_000), "the server's answer has no end"),
    ],
)
def test_an_answer_that_is_none_is_an_os_error(tmp_path: Path, answer: bytes, said: str) -> None:
    with ExitStack() as stack:
        stranger = Stranger(tmp_path, answer, stack)
        with pytest.raises(OSError, match=said):
            ask(stranger.path, {"do": "status"})


def test_a_refusal_is_told_whatever_it_is(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stranger = Stranger(tmp_path, b'{"error":7}\n', stack)
        with pytest.raises(Refused, match=r"^7$"):
            ask(stranger.path, {"do": "status"})


def test_a_board_whose_switch_is_turned_while_it_attaches_starts_with_what_it_senses_last(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stranger = Stranger(tmp_path, b'{"switch":1}\n{"switch":2}\n', stack)
        assert ask(stranger.path, {"do": "attach", "station": "s1"}) == {"switch": 2}


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\n",
        b"{}\n",
        b'{"stations":7}\n',
        b'{"stations":["s1"]}\n',
        b'{"stations":[{}]}\n',
        b'{"stations":[{"station":"\\u001b[2J"}]}\n',
    ],
)
def test_a_socket_that_is_no_bench_s_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    with ExitStack() as stack:
        Stranger(tmp_path, answer, stack)
        assert main(["status", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"watti: no bench runs in {tmp_path}: start one with `watti bench`\n"
