"""The boards that the contract of hal/api.py is held against, each over a plant and in virtual time."""

import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from hal.api import Board, Inputs, Light, LiveBoard, PilotReading
from hal.raspberry.board import Parts, RaspberryBoard
from hal.raspberry.lamp import PRIMARIES, level_at
from hal.raspberry.worker import Work
from hal.serial.port import SerialPort
from hal.simulated.board import MemoryStore, PlantBoard, PlantJournal
from hal.simulated.pi import SimulatedPi
from hal.simulated.plant import DEAD_MAN_S, Plant
from hal.simulated.remote import RemoteBoard
from hal.simulated.server import PlantServer, listen
from hal.store import FileStore
from watti.board_file import load_board
from watti.scenario import CONFIGS

SWITCH = 11


class Rig(ABC):
    """A board over a plant, and the world around them."""

    board: Board
    accuracy = 1e-6
    """Of its meter (A) and its thermometer (C)."""

    def __init__(self) -> None:
        self.now = 100.0
        self.plant = Plant(SWITCH)
        self.records: list[tuple[str, Mapping[str, object]]] = []
        self.journal = PlantJournal("test", lambda event, fields: self.records.append((event, fields)))

    @abstractmethod
    def refresh(self) -> bool: ...

    @abstractmethod
    def inputs(self) -> Inputs: ...

    @abstractmethod
    def settle(self) -> None:
        """Let everything that is due now happen and what was said arrive."""

    @abstractmethod
    def kill(self) -> None:
        """The firmware's process ends without a word."""

    @abstractmethod
    def start(self) -> None:
        """Another one starts on the same board."""

    def lamp_shows(self, light: Light) -> bool:
        """Whether the lamp is as it was told."""
        return self.plant.light == light

    def run(self, for_s: float) -> None:
        """Time passes; nobody refreshes the dead-man."""
        self.settle()
        self.now += for_s
        self.settle()

    def live(self, for_s: float) -> None:
        """Time passes; the dead-man is refreshed as the real loop does it."""
        until = self.now + for_s
        while self.now < until:
            assert self.refresh()
            self.run(DEAD_MAN_S / 4)

    @abstractmethod
    def close(self) -> None: ...


class InMemory(Rig):
    """`PlantBoard`, as virtual time runs it."""

    def __init__(self) -> None:
        super().__init__()
        self._store, self._session_store = MemoryStore(), MemoryStore()
        self.start()

    def refresh(self) -> bool:
        return self.plant.refresh(self.now)

    def inputs(self) -> Inputs:
        return self.plant.inputs

    def settle(self) -> None:
        self.plant.step(self.now)

    def kill(self) -> None:
        """It has no process."""

    def start(self) -> None:
        stores = (self._store, self._session_store)
        self.board = PlantBoard(self.plant, lambda: self.now, _NoBus(), *stores, self.journal)

    def close(self) -> None:
        """It holds nothing."""


class _NoBus:
    def send(self, data: bytes) -> None:
        raise AssertionError("the board sends nothing by itself")


class InRealTime(Rig):
    """A board that holds its dead-man itself."""

    board: LiveBoard

    def refresh(self) -> bool:
        held = self.board.dead_man.refresh()
        self.settle()
        return held


class OverSocket(InRealTime):
    """`RemoteBoard` over the socket of a `PlantServer`."""

    board: RemoteBoard

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "x.sock"
        self._records = (folder / "s1.json", folder / "s1.session.json")
        self._bus = SerialPort(folder / "none", 19200, lambda: self.now)
        self._server = PlantServer(listen(self._path), {"s1": self.plant}, self.now)
        self.board = self._attached()

    def inputs(self) -> Inputs:
        self.settle()
        return self.board.inputs()

    def settle(self) -> None:
        self._server.pump(self.now, ())
        while ready := select.select(self._server.filenos(), [], [], 0)[0]:
            self._server.pump(self.now, ready)

    def kill(self) -> None:
        self.board._link.channel.close()
        self.settle()

    def start(self) -> None:
        self.board = self._attached()

    def close(self) -> None:
        self.board.close()
        self._server.close()

    def _attached(self) -> RemoteBoard:
        """The board's own end waits for the server's answer, so it does so aside."""
        boards: list[RemoteBoard] = []
        store, session_store = (FileStore(record, _complain) for record in self._records)
        thread = threading.Thread(
            target=lambda: boards.append(RemoteBoard(self._path, "s1", self._bus, store, session_store, self.journal))
        )
        thread.start()
        while thread.is_alive():
            self.settle()
        return boards[0]


class Behind(PlantBoard):
    """The plant behind a simulated Pi, its dead-man and inputs too."""

    def __init__(self, plant: Plant, clock: Callable[[], float]) -> None:
        journal = PlantJournal("behind", lambda event, fields: None)
        super().__init__(plant, clock, _NoBus(), MemoryStore(), MemoryStore(), journal)
        self._plant, self._clock = plant, clock
        self.dead_man = self

    def refresh(self) -> bool:
        return self._plant.refresh(self._clock())

    def inputs(self) -> Inputs:
        self._plant.step(self._clock())
        return self._plant.inputs


class OnAPi(InRealTime):
    """`RaspberryBoard` on the pins, files and converter of a simulated Pi. Its threads' works are turned here."""

    board: RaspberryBoard
    accuracy = 0.5

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        spec = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")
        self._spec = replace(spec, dead_man=replace(spec.dead_man, window_s=DEAD_MAN_S))
        self._bus = SerialPort(folder / "none", 19200, lambda: self.now)
        self._works: list[Work] = []
        self._pi = SimulatedPi(self._spec, Behind(self.plant, lambda: self.now), folder / "pi", lambda: self.now)
        self.start()

    def inputs(self) -> Inputs:
        self.settle()
        inputs = self.board.inputs()
        return inputs._replace(pilot=PilotReading(*(round(volts * 2) / 2 for volts in inputs.pilot)))

    def settle(self) -> None:
        self.plant.step(self.now)
        self._pi.pump()
        self.plant.step(self.now)
        self._pi.pump()
        for work in self._works:
            work.turn()

    def lamp_shows(self, light: Light) -> bool:
        pins = (self._spec.lamp.red, self._spec.lamp.green, self._spec.lamp.blue)
        shown, since = self.board.indicator._shown
        for _ in range(200):
            self.now += 0.05
            self.board.indicator.turn()
            lit = level_at(light, self.now - since)
            if [self._pi.level(pin) for pin in pins] != [lit and primary for primary in PRIMARIES[light.colour]]:
                return False
        return shown == light

    def kill(self) -> None:
        self._works.clear()
        self._pi.kill()
        self.board.parts.alone.close()

    def close(self) -> None:
        self.board.close()

    def start(self) -> None:
        stores = (
            FileStore(self._folder / "s1.json", _complain),
            FileStore(self._folder / "s1.session.json", _complain),
        )
        self.board = RaspberryBoard(
            lambda wake: Parts(self._spec, self._pi.hardware, lambda: self.now, wake),
            lambda: None,
            self._bus,
            stores,
            self.journal,
            self._turned_here,
        )

    def _turned_here(self, work: Work, _: object) -> ExitStack:
        self._works.append(work)
        return ExitStack()


def _complain(sentence: str) -> None:
    raise AssertionError(sentence)


RIGS: Mapping[str, Callable[[Path], Rig]] = {
    "in memory": lambda _: InMemory(),
    "over a socket": OverSocket,
    "on the pins of a Pi": OnAPi,
}
