"""What the tools hear: requests and answers on the bench's socket, and the command line."""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hal.simulated.defects import FAULT_KINDS
from hal.simulated.plant import Plant
from hal.simulated.remote import Refused, _exchange
from hal.simulated.server import PlantServer, listen
from hal.simulated.vehicle_spec import VehicleSpec
from tests.fuzz import kept
from tests.fuzz.fuzzer import Target
from tests.fuzz.jsons import TOKENS, spoilt_json
from tests.fuzz.memories import terminal
from watti import cli

_FOLDER = TemporaryDirectory()

# The bench's socket

_ASKED: Sequence[Mapping[str, object]] = (
    {"do": "status"},
    {"do": "attach", "station": "s1", "pid": 1},
    {"do": "plug", "station": "s1", "vehicle": asdict(VehicleSpec("car"))},
    {"do": "unplug", "station": "s1"},
    {"do": "switch", "station": "s1", "position": 8},
    *({"do": do, "station": "s1", "kind": kind} for do in ("fault", "clear") for kind in (*FAULT_KINDS, "bus_port")),
    {"do": "fault", "station": "s1", "kind": "over_temperature", "celsius": 80},
)
_DRIVEN: Sequence[Mapping[str, object]] = (
    *({"do": do, "drops": 0} for do in ("refresh", "steady", "fault", "close", "open")),
    {"do": "pwm", "drops": 0, "duty": 50.0},
    {"do": "test", "drops": 0, "on": True},
    {"do": "light", "drops": 0, "colour": "red", "blinks": [3, 1]},
    {"do": "view", "drops": 0, "view": {"role": "primary"}},
)
_OFFER = (b"refresh", b"pwm", b"close") + (b"refresh",) * 40
"""What a process says that has its vehicle charge."""


def requests(rng: Random) -> bytes:
    """What a client says, or a station's process, one message a line."""
    attached = rng.random() < 0.5
    lines = [spoilt_json(rng.choice(_DRIVEN if attached else _ASKED), rng) for _ in range(rng.choice((1, 4, 20)))]
    if attached:
        lines = [json.dumps(_ASKED[1]).encode(), b'{"do":"refresh","drops":0}', *lines]
    return b"\n".join(lines) + rng.choice((b"\n", b"\n", b""))


def check_server(data: bytes) -> str:
    """Whatever one client says, the bench's plants go on: the next client is answered, the next process attached."""
    path = Path(_FOLDER.name, "bench.sock")
    server = PlantServer(listen(path), {"s1": Plant(15), "s2": Plant(15)}, 0.0)
    try:
        with _client(path) as hostile:
            answer = _told(server, hostile, data, 0.0)
        with _client(path) as honest:
            assert len(json.loads(_told(server, honest, b'{"do":"status"}\n', 10.0))["stations"]) == 2
        with _client(path) as process:
            sensed = json.loads(_told(server, process, json.dumps(_ASKED[1]).encode() + b"\n", 20.0).splitlines()[0])
            verbs = (b'{"do":"%s","drops":%d,"duty":50.0}\n' % (do, sensed["drops"]) for do in _OFFER)
            _told(server, process, b"".join(verbs), 21.0)
    finally:
        server.close()
    return "refused" if b'"error"' in answer or not answer else "accepted"


def _client(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    client.setblocking(False)
    return client


def _told(server: PlantServer, client: socket.socket, data: bytes, now: float) -> bytes:
    """Send all of it, in pieces, while ten seconds pass; what the server says."""
    answer, at = b"", 0
    for turn in range(100):
        try:
            at += client.send(data[at : at + max(1, len(data) // 50 + 1)]) if at < len(data) else 0
        except BlockingIOError:
            pass
        except OSError:  # it has hung up
            at = len(data)
        _pump(server, now + turn / 10)
        answer += _heard(client)
    assert at == len(data), "does not read"
    return answer


def _pump(server: PlantServer, now: float) -> None:
    server.pump(now, {*server.filenos(), *server.backlog()})


def _heard(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 20)
    except OSError:
        return b""


_ANSWER: dict[str, object] = {
    "t_s": 1.0,
    "station": "s1",
    "switch": 8,
    "vehicle": None,
    "firmware": {"role": "primary"},
}


def answers(rng: Random) -> bytes:
    return spoilt_json(rng.choice(({"stations": [_ANSWER]}, {"error": "no"}, _ANSWER)), rng) + b"\n"


def check_answers(data: bytes) -> str:
    """Whatever answers at a socket: an object, a refusal, or an OSError."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        theirs.send(data[:100_000])
        theirs.shutdown(socket.SHUT_WR)
        try:
            answer: object = _exchange(ours, {"do": "status"})
        except (Refused, OSError):
            return "refused"
    assert isinstance(answer, dict)
    return "accepted"


# The command line

_WORDS = (
    *("chart", "bench", "bus", "run", "status", "switch", "plug", "unplug", "fault", "simulate", "tap", "log"),
    *(
        "--model",
        "--json",
        "--switches",
        "--models",
        "--baud",
        "--dir",
        "--headless",
        "--duration",
        "--ports",
        "--noise",
    ),
    *(
        "--port",
        "--switch",
        "--name",
        "--watch",
        "--clear",
        "--celsius",
        "--trace",
        "--report",
        "--seed",
        "--lines",
        "--",
    ),
    *("48A", "80a", "B,F,F", "F", "b", "19200", "1e-4", "s1", "sedan", "diode", "over_temperature", "a.toml", "-h"),
)
_BAD_WORDS = (
    "",
    "-1",
    "nan",
    "1e999",
    "9" * 5000,
    "\u0666",
    "\u00b2",
    "1_000",
    " 1 ",
    "-",
    "=",
    "--=",
    "B" + ",B" * 200,
    "\udcff",
    "\x1b",
    "%",
)


def command_line(rng: Random) -> bytes:
    words = [rng.choice(_BAD_WORDS if rng.random() < 0.2 else _WORDS) for _ in range(rng.randrange(6))]
    return "\0".join((rng.choice(_WORDS[:12]), *words)).encode("utf-8", "surrogateescape")


def check_command_line(data: bytes) -> str:
    """Options and values are taken, or refused in one line and with exit code 2."""
    argv = data.decode("utf-8", "surrogateescape").split("\0")
    with terminal() as (_, err):
        try:
            cli._arguments(argv)
            return f"accepted {argv[0]}"
        except SystemExit as ended:
            code, said = ended.code, err.getvalue()
    assert code in (0, 2)
    assert code == 0 or (said.startswith("watti") and said.count("\n") == 1), f"not one line: {said!r}"
    return f"refused {code}"


def targets() -> list[Target]:
    return [
        Target("bench socket", requests, check_server, kept.REQUESTS, (*TOKENS, b"\n")),
        Target("answers", answers, check_answers, kept.ANSWERS, TOKENS),
        Target("command line", command_line, check_command_line, kept.COMMAND_LINES, (b"\0",)),
    ]
