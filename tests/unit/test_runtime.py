"""The real loop over a real board, a plant behind its socket and a pty; only the clock is made up."""

import os
import pty
import select
import signal
import threading
import tty
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path

import pytest

from firmware.runtime import REFRESH_S, Runtime, Signals
from hal.api import BoardGone, Inputs
from hal.serial.port import SerialPort
from hal.simulated.board import MemoryStore, PlantJournal
from hal.simulated.plant import Plant
from hal.simulated.remote import RemoteBoard
from hal.simulated.server import PlantServer, listen

SILENT = PlantJournal("test", lambda event, fields: None)


class Recorder:
    """A node that notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.due = inf

    def next_wakeup(self) -> float:
        return self.due

    def step(self, now: float) -> None:
        self.heard.append(("step", now))
        self.due = inf

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        self.heard.append(("inputs", inputs.switch, inputs.contactor_closed, now))

    def on_bytes(self, data: bytes, now: float) -> bool:
        self.heard.append(("bytes", data, now))
        return True

    def on_outputs_dropped(self, now: float) -> None:
        self.heard.append(("dropped", now))

    def on_bus(self, works: bool, now: float) -> None:
        self.heard.append(("bus", works, now))

    def told(self) -> list[tuple[object, ...]]:
        heard, self.heard = self.heard, []
        return heard


class Desk:
    """One station: plant, server, board, pty and loop, and the clock of them all."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.plant = Plant(11)
        self.server = PlantServer(listen(folder / "x.sock"), {"s1": self.plant}, self.now)
        self.line = folder / "port"
        self.master = self.open_pty()
        self.bus = SerialPort(self.line, 19200, lambda: self.now)
        self.board = self.attach(folder / "x.sock")
        self.node = Recorder()
        self.looks: list[Inputs] = []
        self.runtime = Runtime(self.board, self.boot, lambda: self.now)

    def open_pty(self) -> int:
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.line.unlink(missing_ok=True)
        self.line.symlink_to(os.ttyname(slave))
        self.slave = slave
        return master

    def boot(self, inputs: Inputs, _now: float) -> Recorder:
        self.looks.append(inputs)
        return self.node

    def attach(self, path: Path) -> RemoteBoard:
        boards: list[RemoteBoard] = []
        thread = threading.Thread(
            target=lambda: boards.append(RemoteBoard(path, "s1", self.bus, MemoryStore(), MemoryStore(), SILENT)),
            daemon=True,
        )
        thread.start()
        while thread.is_alive():
            self.pump()
        return boards[0]

    def pump(self) -> None:
        """Let the server's process have its turn."""
        ready, _, _ = select.select(self.server.filenos(), [], [], 0.01)
        self.server.pump(self.now, ready)

    def turn(self) -> None:
        """Let the station's process have its turn."""
        descriptors = [*self.board.filenos(), *self.bus.filenos()]
        self.runtime.turn(select.select(descriptors, [], [], 0)[0])

    def live(self, for_s: float) -> None:
        """Both processes run."""
        until = self.now + for_s
        while self.now < until:
            self.now += REFRESH_S / 2
            self.turn()
            self.pump()
            self.turn()

    def close(self) -> None:
        self.board.close()
        self.bus.close()
        self.server.close()
        for fd in (self.master, self.slave):
            os.close(fd)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.pump()
    yield desk
    desk.close()


def closed(desk: Desk) -> Desk:
    """Its contactor is closed, and the node knows."""
    desk.board.contactor.close()
    desk.board.pilot.pwm(50.0)
    desk.live(0.5)
    assert desk.plant.contactor_closed
    desk.node.told()
    return desk


def test_the_node_starts_with_the_first_look_and_hears_only_of_changes(desk: Desk) -> None:
    assert [look.switch for look in desk.looks] == [11]
    desk.live(1)
    assert desk.node.told() == []
    desk.plant.turn(6, desk.now)
    desk.pump()
    desk.turn()
    desk.turn()
    assert desk.node.told() == [("inputs", 6, False, desk.now)]


def test_it_waits_for_the_next_of_wakeup_and_refresh(desk: Desk) -> None:
    assert desk.runtime.wait_s() == pytest.approx(REFRESH_S)
    desk.node.due = desk.now + 0.1
    assert desk.runtime.wait_s() == pytest.approx(0.1)
    desk.turn()
    assert desk.node.told() == []
    desk.now += 0.1
    assert desk.runtime.wait_s() == 0
    desk.turn()
    assert desk.node.told() == [("step", desk.now)]


def test_the_outputs_are_held_while_it_turns(desk: Desk) -> None:
    closed(desk).live(10)
    assert desk.plant.contactor_closed
    assert desk.node.told() == []


def test_one_that_stood_still_is_told_first_that_its_outputs_were_let_go(desk: Desk) -> None:
    closed(desk)
    for _ in range(8):
        desk.now += 0.25
        desk.pump()
    assert not desk.plant.contactor_closed
    desk.turn()
    assert [entry[0] for entry in desk.node.told()] == ["dropped", "inputs"]
    desk.live(1)
    assert desk.node.told() == []
    desk.board.contactor.close()
    desk.live(0.5)
    assert desk.plant.contactor_closed


def test_a_drop_is_told_before_the_pilot_that_it_left(desk: Desk) -> None:
    """The server stood still, not the station: its refresh was read too late, and the next is not due yet."""
    closed(desk)
    desk.now += 0.95
    desk.turn()
    desk.now += 0.1
    desk.pump()
    desk.turn()
    assert [entry[0] for entry in desk.node.told()] == ["dropped", "inputs"]


def test_verbs_uttered_in_ignorance_of_a_drop_do_nothing(desk: Desk) -> None:
    closed(desk)
    desk.now += 1.1
    desk.pump()
    desk.now += 0.1
    desk.board.contactor.close()
    desk.board.pilot.pwm(50.0)
    desk.pump()
    desk.now += 0.1
    desk.pump()
    assert not desk.plant.contactor_closed
    assert desk.plant.offered_a == 0.0


def test_a_refresh_from_before_the_drop_arms_nothing(desk: Desk) -> None:
    closed(desk)
    desk.board.dead_man.refresh()  # written, not yet read by the server
    desk.now += 1.5
    desk.pump()
    desk.board.contactor.close()
    desk.pump()
    desk.now += 0.1
    desk.pump()
    assert not desk.plant.contactor_closed


def test_bytes_are_passed_on_with_the_time(desk: Desk) -> None:
    os.write(desk.master, b"\x01\x02")
    desk.now += 0.01
    desk.turn()
    assert desk.node.told() == [("bytes", b"\x01\x02", desk.now)]


def test_a_port_that_goes_and_comes_back_is_told(desk: Desk) -> None:
    for fd in (desk.master, desk.slave):
        os.close(fd)
    desk.turn()
    assert desk.node.told() == [("bus", False, desk.now)]
    desk.master = desk.open_pty()
    desk.live(2)
    assert [entry[:2] for entry in desk.node.told()] == [("bus", True)]
    os.write(desk.master, b"again")
    desk.turn()
    assert desk.node.told() == [("bytes", b"again", desk.now)]


def test_a_plant_that_is_gone_ends_the_loop(desk: Desk) -> None:
    desk.server.close()
    with pytest.raises(BoardGone, match="has gone"):
        desk.turn()


def test_closing_the_board_leaves_it_safe_at_once(desk: Desk) -> None:
    closed(desk)
    desk.board.close()
    desk.pump()
    desk.now += 0.1
    desk.pump()
    assert not desk.plant.contactor_closed
    assert desk.server.status(desk.now)[0]["pid"] is None


# Signals


@pytest.fixture
def signals() -> Iterator[Callable[..., Signals]]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    made: list[Signals] = []

    def make(*further: int) -> Signals:
        made.append(Signals(*further))
        return made[-1]

    yield make
    for each in made:
        each.close()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_loop(desk: Desk, signals: Callable[..., Signals], number: int) -> None:
    published: list[float] = []
    stop = signals()
    os.kill(os.getpid(), number)
    assert desk.runtime.run(stop, published.append) == number
    assert published == [desk.now]


def test_signals_are_told_in_order_and_once(signals: Callable[..., Signals]) -> None:
    stop = signals(signal.SIGCHLD)
    assert stop.received() == []
    for number in (signal.SIGCHLD, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert stop.received() == [signal.SIGCHLD, signal.SIGTERM]
    assert stop.received() == []


def test_a_hangup_that_is_ignored_stays_ignored(signals: Callable[..., Signals]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert stop.received() == []


def test_what_comes_between_the_wait_and_the_refresh_is_told_in_that_turn(desk: Desk) -> None:
    """The refresh takes in what the descriptor would have told of; nothing would tell of it again."""
    desk.live(2.0)
    desk.node.told()
    desk.now += REFRESH_S
    desk.plant.turn(3, desk.now)
    for _ in range(5):
        desk.pump()
    desk.runtime.turn([])
    assert [told[:2] for told in desk.node.told() if told[0] == "inputs"] == [("inputs", 3)]
