"""What a station stands on: the board that its file names, opened, with whom to tell how it stands."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from firmware.app import App
from firmware.config import DEFAULT_BAUD, ConfigError, StationConfig
from firmware.rotary import FACTORY_POSITION
from hal.api import Journal, LiveBoard, LiveBus, Store
from hal.raspberry.spec import BoardSpec
from hal.serial.port import SerialPort
from hal.simulated.board import MemoryStore, PlantJournal
from hal.simulated.remote import RemoteBoard, ask
from hal.simulated.server import listen
from hal.store import FileStore
from watti.board_file import load_board
from watti.calibrate import calibrated, calibration_path
from watti.desk import Desk, StoredSwitch
from watti.notify import say
from watti.scenario import serial_of

if TYPE_CHECKING:
    from hal.raspberry.board import Hardware
    from hal.simulated.pi import SimulatedPi


class Kept(NamedTuple):
    """What a station has whatever it stands on."""

    bus: LiveBus
    stores: tuple[Store, Store]
    """Of the group, and of the session."""
    journal: Journal


class Stand(NamedTuple):
    """A board, and what goes with it."""

    serial: int
    board: LiveBoard
    show: Callable[[App, Mapping[str, Any], float], None]
    """Is told how the station stands, now and then: what its firmware says of itself."""
    problem: Callable[[], str]
    """What of the board does not work, for a person; empty when all does."""


@contextmanager
def opened(config: StationConfig, folder: Path, name: str, switch: int | None, kept: Kept) -> Iterator[Stand]:
    """The board of this station. `switch`: a position to begin with. Raises `BoardGone`, `ConfigError`, `Refused`."""
    needs_drivers(config.board.kind)
    kind = {"simulated": _simulated, "mock_raspberry": _mock_raspberry, "raspberry": _raspberry}[config.board.kind]
    with kind(config, folder, name, switch, kept) as stand:
        yield stand


def needs_drivers(kind: str) -> None:
    """Raise `ConfigError` where the drivers of a Raspberry Pi, an extra, are wanted and not installed."""
    if kind != "simulated" and find_spec("gpiozero") is None:
        raise ConfigError([f'board.kind: "{kind}" needs gpiozero: pip install "watti[raspberry]"'])


def unnamed(path: Path, config: StationConfig, given: str | None) -> list[str]:
    """What is wrong with a station without a name (`given`, else in its file at `path`), if anything: on hardware its
    switch, calibration and energy are kept by it, and the first free name may be another one tomorrow."""
    if config.board.kind != "raspberry" or given or config.name:
        return []
    return [f"{path}: station.name: expected this key, or --name: what a station on hardware stores is kept by it"]


@contextmanager
def _simulated(config: StationConfig, folder: Path, name: str, switch: int | None, kept: Kept) -> Iterator[Stand]:
    with _behind(config.model, folder, name, switch, kept) as board:
        yield Stand(serial_of(name, config.serial), board, _Told(board, nullcontext()).show, lambda: "")


@contextmanager
def _mock_raspberry(config: StationConfig, folder: Path, name: str, switch: int | None, kept: Kept) -> Iterator[Stand]:
    """The drivers of a Raspberry Pi on a simulated one, whose plant is the simulated board's."""
    from hal.raspberry.board import Parts, RaspberryBoard

    spec = calibrated(calibration_path(folder, name), load_board(config.board.file))
    with ExitStack() as stack:
        behind = stack.enter_context(_behind(config.model, folder, name, switch, kept))
        pi = stack.enter_context(_simulated_pi(spec, behind))
        parts = partial(Parts, spec, pi.hardware, time.monotonic)
        board = RaspberryBoard(parts, lambda: pi.pump().switch, *kept)
        stack.callback(board.close)
        yield Stand(serial_of(name, config.serial), board, _Told(behind, pi.lock).show, lambda: board.problem)


@contextmanager
def _simulated_pi(spec: BoardSpec, behind: RemoteBoard) -> "Iterator[SimulatedPi]":
    from hal.simulated.pi import SimulatedPi

    with tempfile.TemporaryDirectory(prefix="watti-pi-") as root:
        yield SimulatedPi(spec, behind, Path(root), time.monotonic)


@contextmanager
def _raspberry(config: StationConfig, folder: Path, name: str, switch: int | None, kept: Kept) -> Iterator[Stand]:
    from hal.raspberry.board import Hardware, Parts, RaspberryBoard
    from hal.raspberry.identity import chip_serial

    hardware = Hardware()
    spec = calibrated(calibration_path(folder, name), load_board(config.board.file))
    serial = config.serial or chip_serial(hardware.places.serial_number)
    with ExitStack() as stack:
        stored = None if spec.rotary is not None else _stored_switch(folder, name)
        if switch is not None:
            if stored is None:
                raise ConfigError([f"--switch: {spec.name} has a rotary switch of its own: turn that"])
            stored.turn(switch)
        if stored is not None and stored.position is None:
            say(f"{name}: {spec.name} has no rotary switch, and no position is stored: watti switch {name} F")
        position = (lambda: None) if stored is None else (lambda: stored.position)
        desk = Desk(folder / f"{name}.sock", name, stored)
        stack.callback(desk.close)  # after the board, as it may take half a second
        board = RaspberryBoard(partial(Parts, spec, hardware, time.monotonic), position, *kept)
        stack.callback(board.close)
        yield Stand(serial, board, desk.show, lambda: board.problem)


def _stored_switch(folder: Path, name: str) -> StoredSwitch:
    return StoredSwitch(FileStore(folder / "state" / f"{name}.switch", say))


# Without firmware


class Bare(NamedTuple):
    """What the parts of a board stand on while no firmware does."""

    hardware: "Hardware"
    switch: Callable[[], int | None]
    """The position where no switch is mounted."""


@contextmanager
def bare(kind: str, spec: BoardSpec, folder: Path, name: str, model: str) -> Iterator[Bare]:
    """A Pi's own hardware, or that of a simulated one with a plant of its own in `folder`, by the `kind` of board.
    Raises `BoardGone`, `Refused`."""
    needs_drivers(kind)
    from hal.raspberry.board import Hardware

    if kind == "raspberry":
        yield Bare(Hardware(), lambda: _stored_switch(folder, name).position)
        return
    with _behind(model, folder, name, None, unkept()) as behind, _simulated_pi(spec, behind) as pi:
        yield Bare(pi.hardware, lambda: pi.pump().switch)


def unkept() -> Kept:
    """What a station has that is only tried: no bus, and no memory."""
    bus = SerialPort(Path(os.devnull), DEFAULT_BAUD, time.monotonic)
    return Kept(bus, (MemoryStore(), MemoryStore()), PlantJournal("", lambda _event, _fields: None))


class _Told:
    """Tells the plant's server what the firmware says of itself, when that has changed."""

    def __init__(self, board: RemoteBoard, lock: AbstractContextManager[object]) -> None:
        """`lock`: held while something is said to it."""
        self._board = board
        self._lock = lock
        self._told: Mapping[str, Any] = {}

    def show(self, _: App, said: Mapping[str, Any], _now: float) -> None:
        if said != self._told:
            self._told = said
            with self._lock:
                self._board.publish(said)


# A simulated plant


@contextmanager
def _behind(model: str, folder: Path, name: str, switch: int | None, kept: Kept) -> Iterator[RemoteBoard]:
    with _plant(folder, name, switch, model) as path:
        board = RemoteBoard(path, name, kept.bus, *kept.stores, kept.journal)
        try:
            yield board
        finally:
            board.close()


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
