"""`watti run`: the firmware of one station, on the board that its configuration names."""

import os
import random
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from signal import SIGINT
from signal import Signals as SignalNames
from typing import Any

from firmware.app import App, Setup
from firmware.bus.messages import HOLDS, WANTS
from firmware.bus.versions import OWN
from firmware.config import MODELS, ConfigError, StationConfig
from firmware.protection import word
from firmware.rotary import Chart
from firmware.runtime import Runtime, Signals
from firmware.sharing.members import Member
from firmware.sharing.primary import Primary
from hal.api import BoardGone
from hal.journal import FileJournal
from hal.serial.direction import Direction
from hal.serial.port import SerialPort
from hal.store import FileStore
from watti.board_file import read_station
from watti.boards import Kept, Stand, opened, unnamed
from watti.names import first_free, held
from watti.notify import Notifier, say, status_line
from watti.scenario import CONFIGS
from watti.where import bench_dir

HEALTH_S = 0.5
_INTERRUPTED = 130


def run(args: Namespace) -> int:
    """`args`: config, port, switch, name and dir, each None where it was not given."""
    config = read_station(args.config)
    port = args.port or config.port
    errors = unnamed(args.config, config, args.name)
    if port is None:
        errors.append(f"{args.config}: bus.port: expected this key, or --port")
    if port is None or errors:
        raise ConfigError(errors)
    signals, folder = Signals(), bench_dir(args.dir)
    with ExitStack() as stack:
        stack.callback(signals.close)
        wanted = args.name or config.name
        name = stack.enter_context(held(folder, wanted) if wanted else first_free(folder))
        try:
            return _station(name, config, Path(port), folder, args.switch, signals)
        except BoardGone as gone:
            say(f"{name}: {gone}")
            return 1


def _station(name: str, config: StationConfig, port: Path, folder: Path, switch: int | None, signals: Signals) -> int:
    """Raises `BoardGone`: as it is opened, as it runs, or as it is made safe at the end."""
    chart = Chart.load(CONFIGS / "rotary.toml")
    with ExitStack() as stack:
        bus = SerialPort(port, config.baud, time.monotonic, Direction(config.direction, config.rts_sends))
        stack.callback(bus.close)
        journal = FileJournal(folder / "log", name)
        stack.callback(journal.close)
        store = FileStore(folder / "state" / f"{name}.json", say, journal.submit)
        session_store = FileStore(folder / "state" / f"{name}.session.json", say, journal.submit)
        notifier = Notifier(os.environ)
        stack.callback(notifier.stopping)
        kept = Kept(bus, (store, session_store), journal)
        stand = stack.enter_context(opened(config, folder, name, switch, kept))
        setup = Setup(stand.serial, config.model, MODELS[config.model], config.baud, config.timing, chart)
        return _live(name, setup, stand, signals, notifier)


def _live(name: str, setup: Setup, stand: Stand, signals: Signals, notifier: Notifier) -> int:
    """Raises `BoardGone`."""
    say(f"{name}: serial {setup.serial:012X}, {setup.model}, {setup.baud} baud, process {os.getpid()}")
    board = stand.board
    runtime = Runtime(board, lambda inputs, now: App(setup, board, random.Random(), inputs, now))
    app = runtime.node
    assert isinstance(app, App)
    number = runtime.run(signals, Publisher(name, app, stand, notifier).publish)
    app.diary.write("end", time.monotonic(), signal=SignalNames(number).name)
    return _INTERRUPTED if number == SIGINT else 0


class Publisher:
    """Tells those who ask how the firmware sees itself, and people what matters, when it has changed."""

    def __init__(self, name: str, app: App, stand: Stand, notifier: Notifier) -> None:
        self._name = name
        self._app = app
        self._show = stand.show
        self._notifier = notifier
        self._seen: object = None
        self._told: Mapping[str, Any] = {}
        self._health_at = 0.0
        board = stand.board
        self._problems: list[tuple[Callable[[], str], str, str]] = [
            (lambda: board.bus.problem, "{}: waiting for it", "the serial port works again"),
            (lambda: board.journal.problem, "{}", "the event log is written again"),
            (stand.problem, "{}", "every part of the board works again"),
        ]
        """What may be wrong, and what is said of it and once it is mended."""
        self._known = [""] * len(self._problems)

    def publish(self, now: float) -> None:
        view = self._app.view()
        codes = self._app.station.faults.codes
        if (view, codes) != self._seen or now >= self._health_at:
            self._seen = view, codes
            self._health_at = now + HEALTH_S
            said = described(self._app)
            self._show(self._app, said, now)
            if said != self._told:
                self._tell(said)
                self._told = said
        for i, (problem, words, mended) in enumerate(self._problems):
            is_wrong = problem()
            if is_wrong != self._known[i]:
                self._known[i] = is_wrong
                say(f"{self._name}: {words.format(is_wrong) if is_wrong else mended}")
        self._notifier.alive(now, status_line(self._told))

    def _tell(self, said: Mapping[str, Any]) -> None:
        keys = ("role", "fault", "why")
        if any(said[key] != self._told.get(key) for key in keys):
            parts = [f"role {said['role']}", said["fault"] and f"fault {said['fault']}", said["why"]]
            say(f"{self._name}: {', '.join(filter(None, parts))}")


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
        bus["members"] = [_member(member) for member in role.group.secondaries]
        bus["refused"] = [refusal.fields for refusal in role.refusals]
        bus["rival"] = None if role.rival is None else f"{role.rival:012X}"
    elif role is not None:
        bus |= {"refused_by": None, **role.group_fields}
    return {
        "serial": f"{app.setup.serial:012X}",
        "rating_a": app.setup.rating_a,
        "protocol": OWN.protocol,
        "firmware": OWN.version,
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


def _member(member: Member) -> dict[str, Any]:
    """What the primary knows of one of its secondaries."""
    status = member.status
    flags, fault = (status.flags, status.fault) if status is not None else (0, 0)
    return {
        "serial": f"{member.identity.serial:012X}",
        "address": member.address,
        "rating_a": member.rating_da / 10,
        "protocol": member.software.protocol,
        "firmware": member.software.version,
        "polls": member.polls,
        "missed": member.missed,
        "bad": member.bad,
        "late": member.late,
        "wants": bool(flags & WANTS),
        "holds": bool(flags & HOLDS),
        "fault": word(fault),
    }
