"""What stations keep: the two memories, the event log as it is read, and its file as it is written on."""

import io
import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from math import isfinite
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from firmware.app import App, Setup
from firmware.bus.messages import Reason
from firmware.bus.rtu import silence_s
from firmware.timing import Timing
from hal.api import Store
from hal.journal import Lines
from hal.simulated.plant import Plant
from hal.simulated.world import Boot, World
from tests.fuzz import kept
from tests.fuzz.fuzzer import Target
from tests.fuzz.jsons import TOKENS, spoilt_json
from tests.fuzz.stations import BAUD, CAR, CHART
from watti import log
from watti.run import described

_FOLDER = TemporaryDirectory()

# What a station remembers

_SESSION = {
    "session": "0a1b2c3d-3e8",
    "began": {"boot": "0a1b2c3d", "t_s": 1.0, "wall": None, "clock": "unset"},
    "energy_wh": 1234.5,
    "charging_s": 60.0,
    "waiting_s": 3.5,
    "peak_a": 31.9,
}


def yielded(rng: Random) -> bytes:
    return spoilt_json({"yielded_to": rng.choice((7, 0xA1B2C3D4E5F6)), "switch": rng.choice((11, 11, 8))}, rng)


def session(rng: Random) -> bytes:
    return spoilt_json({"total_wh": 123456.7, "session": rng.choice((None, _SESSION, _SESSION))}, rng)


def check_yielded(data: bytes) -> str:
    """The station starts, asks or leads, and leads once its switch has been turned."""
    world = _started(lambda store, _: store.save(data))
    world.run(4.0)
    before = _app(world).view().reason
    world.touch(0, lambda plant, now: plant.turn(0xA, now))
    world.run(5.0)
    assert _app(world).view().reason is Reason.QUIET_START
    return "accepted" if before is Reason.MORE_THAN_ONE_PRIMARY else "refused"


def check_session(data: bytes) -> str:
    """The station starts, charges, ends the session and starts another; its energy never runs backwards."""
    world = _started(lambda _, store: store.save(data))
    kwh = [_app(world).diary.total_kwh]
    refused = not kwh[0] and _app(world).diary.session is None
    if refused and len(data) % 8:  # starts like any other: one in eight is enough
        world.run(2.0)
        return "refused"
    for until in (22.0, 27.0):
        world.run(until)
        kwh.append(_app(world).diary.total_kwh)
        assert json.dumps(described(_app(world)), allow_nan=False)
        assert _app(world)._registers
    assert world.slots[0].plant.current_a > 20.0, "does not charge"
    world.touch(0, lambda plant, now: plant.unplug(now))
    world.run(28.0)
    world.restart(0)
    world.run(31.0)
    kwh.append(_app(world).diary.total_kwh)
    assert all(isfinite(value) for value in kwh)
    assert kwh == sorted(kwh), f"runs backwards: {kwh}"
    return "refused" if refused else "accepted"


def _started(remember: Callable[[Store, Store], None]) -> World:
    def boot(boot: Boot) -> App:
        setup = Setup(7, "48A", 48, BAUD, Timing(), CHART)
        return App(setup, boot.board, boot.rng, boot.inputs, boot.now)

    world = World(1, BAUD, silence_s(BAUD), boot)
    world.add(Plant(0xB, powered=False))
    remember(world.slots[0].board.store, world.slots[0].board.session_store)
    world.power_on(0)
    world.touch(0, lambda plant, now: plant.plug(CAR, now))
    return world


def _app(world: World) -> App:
    app = world.slots[0].node
    assert isinstance(app, App)
    return app


# Event logs

_STAMP = {"boot": "0a1b2c3d", "t_s": 12.345, "wall": None, "clock": "unset"}
_DATED = {"boot": "0a1b2c3d", "t_s": 13.0, "wall": "2026-11-23T14:05:06.789Z", "clock": "synchronised"}
_EVENTS: tuple[dict[str, object], ...] = (
    {"event": "boot", "version": "0.1.0", "serial": "0000A1B2C3D4", "model": "48A"},
    {"event": "role", "role": "primary", "switch": "B", "limit_a": 48.0},
    {"event": "group", "members": ["0000A1B2C3D4"]},
    {"event": "group", "primary": "0000A1B2C3D4"},
    {"event": "plug_in", "session": "x-1"},
    {"event": "resume", "session": "x-1"},
    {"event": "start", "session": "x-1", "offered_a": 24.0},
    {"event": "offer", "offered_a": 24.0, "reason": "share", "limit_a": 48.0},
    {"event": "stop", "session": "x-1", "why": "unplug"},
    {"event": "unplug", "session": "x-1"},
    {"event": "fault", "fault": "diode", "lamp": "red 3-1", "sentence": "s"},
    {"event": "clear", "fault": "diode", "after_s": 3.0},
    {"event": "stall", "for_s": 7.0},
    {"event": "end", "signal": "SIGTERM"},
    {"event": "lost", "records": 3},
    {"event": "repaired", "bytes": 12},
    {"event": "session", **_SESSION, "ended": "unplug"},
)


def event_log(rng: Random) -> bytes:
    lines = []
    for _ in range(rng.choice((1, 3, 12))):
        stamp, event = rng.choice((_STAMP, _DATED)), rng.choice(_EVENTS)
        lines.append(spoilt_json({**stamp, "t_s": rng.choice((0.0, 12.3, 9e9)), "station": "s1", **event}, rng))
    return b"\n".join(lines) + rng.choice((b"\n", b"\n", b"\n\n", b"\r\n", b""))


def check_event_log(data: bytes) -> str:
    """`watti log` shows all that are records, as events and as sessions, to people and to scripts."""
    folder = Path(_FOLDER.name, "bench")
    (folder / "log").mkdir(parents=True, exist_ok=True)
    (folder / "log" / "s1.jsonl").write_bytes(data)
    shown = 0
    for sessions in (False, True):
        for as_json in (False, True):
            with terminal() as (out, _):
                args = Namespace(dir=folder, station=None, sessions=sessions, follow=False, json=as_json, lines=None)
                assert log.run(args) == 0
            lines = out.getvalue().split("\n")[:-1]
            if as_json and sessions:
                json.loads(out.getvalue())
            elif as_json:
                shown = len([json.loads(line) for line in lines])
            else:
                assert all(line.isprintable() for line in lines), "a terminal would obey it"
    return "accepted" if shown else "refused"


class _Terminal(io.TextIOWrapper):
    """A stream that takes UTF-8 and nothing else, as a terminal does."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    def getvalue(self) -> str:
        return self._bytes.getvalue().decode()


@contextmanager
def terminal() -> Iterator[tuple[_Terminal, io.StringIO]]:
    out, err = _Terminal(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield out, err


_LINE = b'{"event":"boot"}\n'
_ROTATE_BYTES = 2000


def journal_file(rng: Random) -> bytes:
    lines = [rng.choice((_LINE, b"\n", event_log(rng), rng.randbytes(30))) for _ in range(rng.choice((0, 1, 5, 40)))]
    return b"".join(lines)


def check_journal(data: bytes) -> str:
    """Whatever stands in the file of before: whole lines stay, what a power cut left half goes, new ones follow."""
    with TemporaryDirectory(dir=_FOLDER.name) as folder:
        path = Path(folder, "s1.jsonl")
        path.write_bytes(data)
        lines = Lines(path, _ROTATE_BYTES)
        for _ in range(3):
            lines.append(_LINE)
        lines.close()
        files = [Path(f"{path}.{number}") for number in (5, 4, 3, 2, 1)] + [path]
        kept_lines = b"".join(file.read_bytes() for file in files if file.exists())
        whole = data[: data.rfind(b"\n") + 1]
        assert kept_lines == whole + 3 * _LINE
        assert lines.cut == len(data) - len(whole)
    return "accepted" if whole == data else "refused"


def targets() -> list[Target]:
    return [
        Target("yield record", yielded, check_yielded, kept.YIELDED, TOKENS),
        Target("session record", session, check_session, (), TOKENS),
        Target("event log", event_log, check_event_log, kept.EVENTS, TOKENS),
        Target("journal file", journal_file, check_journal, (), (b"\n", _LINE)),
    ]
