"""`watti run`: the firmware of one station, on the board that its configuration names."""

import os
import random
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from signal import SIGINT
from signal import Signals as SignalNames
from typing import Any

from firmware.app import App, Setup
from firmware.config import MODELS, ConfigError
from firmware.rotary import FACTORY_POSITION, Chart
from firmware.runtime import Runtime, Signals
from firmware.sharing.primary import Primary
from hal.api import BoardGone
from hal.journal import FileJournal
from hal.serial.port import SerialPort
from hal.simulated.remote import RemoteBoard, ask
from hal.simulated.server import listen
from hal.store import FileStore
from watti.board_file import read_station
from watti.names import first_free, held
from watti.scenario import CONFIGS, serial_of
from watti.where import bench_dir

HEALTH_S = 0.5
_INTERRUPTED = 130


def run(args: Namespace) -> int:
    """`args`: config, port, switch, name and dir, each None where it was not given."""
    config = read_station(args.config)
    if config.board.kind != "simulated":
        raise ConfigError([f'{args.config}: board.kind: expected "simulated", all that runs as yet'])
    chart = Chart.load(CONFIGS / "rotary.toml")
    port = args.port or config.port
    if port is None:
        raise ConfigError([f"{args.config}: bus.port: expected this key, or --port"])
    signals = Signals()
    folder = bench_dir(args.dir)
    with ExitStack() as stack:
        stack.callback(signals.close)
        wanted = args.name or config.name
        name = stack.enter_context(held(folder, wanted) if wanted else first_free(folder))
        serial = serial_of(name, config.serial)
        setup = Setup(serial, config.model, MODELS[config.model], config.baud, config.timing, chart)
        path = stack.enter_context(_plant(folder, name, args.switch, config.model))
        bus = SerialPort(Path(port), config.baud, time.monotonic)
        stack.callback(bus.close)
        journal = FileJournal(folder / "log", name)
        stack.callback(journal.close)
        store = FileStore(folder / "state" / f"{name}.json", _say, journal.submit)
        session_store = FileStore(folder / "state" / f"{name}.session.json", _say, journal.submit)
        board = RemoteBoard(path, name, bus, store, session_store, journal)
        stack.callback(board.close)
        return _live(name, setup, board, signals)


def _say(sentence: str) -> None:
    """Tell whoever listens; a full disk, or a reader that has gone, stops no station."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(sentence, file=sys.stderr, flush=True)


def _live(name: str, setup: Setup, board: RemoteBoard, signals: Signals) -> int:
    _say(f"{name}: serial {setup.serial:012X}, {setup.model}, {setup.baud} baud, process {os.getpid()}")
    try:
        runtime = Runtime(board, lambda inputs, now: App(setup, board, random.Random(), inputs, now))
        app = runtime.node
        assert isinstance(app, App)
        number = runtime.run(signals, Publisher(name, app, board).publish)
        app.diary.write("end", time.monotonic(), signal=SignalNames(number).name)
    except BoardGone as gone:
        _say(f"{name}: {gone}")
        return 1
    return _INTERRUPTED if number == SIGINT else 0


class Publisher:
    """Tells the plant's server how the firmware sees itself, and people what matters, when it has changed."""

    def __init__(self, name: str, app: App, board: RemoteBoard) -> None:
        self._name = name
        self._app = app
        self._board = board
        self._seen: object = None
        self._told: Mapping[str, Any] = {}
        self._health_at = 0.0
        self._problem = self._log_problem = ""

    def publish(self, now: float) -> None:
        view = self._app.view()
        codes = self._app.station.faults.codes
        if (view, codes) != self._seen or now >= self._health_at:
            self._seen = view, codes
            self._health_at = now + HEALTH_S
            said = described(self._app)
            if said != self._told:
                self._board.publish(said)
                self._tell(said)
                self._told = said
        if self._board.bus.problem != self._problem:
            self._problem = self._board.bus.problem
            waits = f"{self._problem}: waiting for it" if self._problem else "the serial port works again"
            _say(f"{self._name}: {waits}")
        if self._board.journal.problem != self._log_problem:
            self._log_problem = self._board.journal.problem
            _say(f"{self._name}: {self._log_problem or 'the event log is written again'}")

    def _tell(self, said: Mapping[str, Any]) -> None:
        keys = ("role", "fault", "why")
        if any(said[key] != self._told.get(key) for key in keys):
            parts = [f"role {said['role']}", said["fault"] and f"fault {said['fault']}", said["why"]]
            _say(f"{self._name}: {', '.join(filter(None, parts))}")


def described(app: App) -> dict[str, Any]:
    """What a station's firmware says of itself: role, limit (A), reason, fault, and how its bus does."""
    view, health, role = app.view(), app.health, app.role
    bus: dict[str, Any] = {
        "polls": health.polls,
        "missed": health.missed,
        "crc_errors": health.crc_errors,
        "late": health.late,
        "intruders": health.intruders,
        "refused_grants": app.station.holder.refused,
        "cycles": health.cycles,
        "cycle_s_p50": round(health.cycle_s_p50, 4),
    }
    if isinstance(role, Primary):
        bus["members"] = [
            {
                "serial": f"{member.identity.serial:012X}",
                "address": member.address,
                "polls": member.polls,
                "missed": member.missed,
                "bad": member.bad,
                "late": member.late,
            }
            for member in role.group.secondaries
        ]
    return {
        "role": view.role,
        "limit_a": view.limit_da / 10,
        "reason": view.reason.word,
        "fault": view.fault,
        "faults": list(app.station.faults.codes),
        "why": app.why,
        "energy_kwh": app.diary.total_kwh,
        "session": app.diary.session,
        "bus": bus,
    }


# The plant


@contextmanager
def _plant(folder: Path, name: str, switch: int | None, model: str) -> Iterator[Path]:
    """The socket of the server that has this station's plant: the bench's, else one of its own."""
    path = _served_by(folder, name)
    if path is not None:
        if switch is not None:
            ask(path, {"do": "switch", "station": name, "position": switch})
        yield path
        return
    path = folder / f"{name}.sock"
    with _own_server(path, name, FACTORY_POSITION[model] if switch is None else switch):
        yield path


def _served_by(folder: Path, name: str) -> Path | None:
    for path in folder.glob("*.sock"):
        try:
            stations = ask(path, {"do": "status"})["stations"]
        except TimeoutError:
            raise OSError(f"{path} does not answer: the process behind it stands still") from None
        except OSError:  # left behind by one that was killed
            continue
        if any(station["station"] == name for station in stations):
            return path
    return None


@contextmanager
def _own_server(path: Path, name: str, switch: int) -> Iterator[None]:
    """A plant in a process of its own, which ends when this one does, however it ends."""
    with listen(path) as listener:
        fd = listener.fileno()
        arguments = [sys.executable, "-m", "hal.simulated.server", str(fd), name, str(switch)]
        server = subprocess.Popen(arguments, stdin=subprocess.PIPE, pass_fds=[fd], process_group=0)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        server.communicate()
