"""The `BusPort` of hal/api.py, one suite for every backend: three ports on a line, in virtual time.

Ptys take a moment of real time to pass bytes on; the clock of the ports and of the line stands still meanwhile.
"""

import random
import select
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.bus.rtu import air_s, silence_s
from hal.api import BusPort, Inputs
from hal.serial.direction import AUTOMATIC, Direction
from hal.serial.port import RETRY_S, SerialPort
from hal.simulated.plant import Plant
from hal.simulated.ptys import PtyLine
from hal.simulated.world import Boot, World
from tests.uart import ENABLED, ON_SEND, Uarts

BAUD = 19200
PORTS = 3
PATIENCE_S = 20.0


class Passage(NamedTuple):
    """A frame that has ended at one port."""

    port: int
    data: bytes
    end: float

    @property
    def begin(self) -> float:
        return self.end - air_s(len(self.data), BAUD)


class Rig(ABC):
    """A line and the ports on it."""

    ports: list[BusPort]

    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self.heard = [b""] * PORTS
        """What each port has given to its firmware."""
        self.answers: dict[bytes, tuple[int, bytes]] = {}
        """What a port (its number) sends as soon as it has heard this frame."""

    def hear(self, port: int, data: bytes) -> None:
        self.heard[port] += data
        answers = [answer for asked, answer in self.answers.items() if self.heard[port].endswith(asked)]
        for speaker, answer in answers:
            if speaker == port:
                self.ports[port].send(answer)

    def send(self, port: int, data: bytes) -> None:
        """Send one frame and wait until the two others have heard it."""
        before = [len(heard) for heard in self.heard]
        self.ports[port].send(data)
        others = [other for other in range(PORTS) if other != port and self.works(other)]
        self.run(lambda: all(len(self.heard[other]) >= before[other] + len(data) for other in others))

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass until something has happened; fails rather than hangs."""
        give_up = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < give_up, "it did not happen"
            self.turn()

    @abstractmethod
    def turn(self) -> None:
        """A little time passes."""

    @abstractmethod
    def works(self, port: int) -> bool: ...

    @abstractmethod
    def take_away(self, port: int) -> None: ...

    @abstractmethod
    def give_back(self, port: int) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class _Listener:
    """Firmware that does nothing but listen."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self.works = True

    def next_wakeup(self) -> float:
        return inf

    def step(self, now: float) -> None:
        """Never due."""

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """It looks at nothing."""

    def on_bytes(self, data: bytes, now: float) -> bool:
        self._hear(data)
        return True

    def on_outputs_dropped(self, now: float) -> None:
        """It holds nothing."""

    def on_bus(self, works: bool, now: float) -> None:
        self.works = works


class Virtual(Rig):
    """The ports of the virtual world."""

    def __init__(self) -> None:
        super().__init__()
        self.ports = []
        self._listeners: list[_Listener] = []
        self._world = World(1, BAUD, silence_s(BAUD), self._boot)
        for _ in range(PORTS):
            self._world.power_on(self._world.add(Plant(15, powered=False)))

    def _boot(self, boot: Boot) -> _Listener:
        def hear(data: bytes) -> None:
            self.passages.append(Passage(boot.station, data, self._world.now))
            self.hear(boot.station, data)

        self.ports.append(boot.board.bus)
        self._listeners.append(_Listener(hear))
        return self._listeners[-1]

    def turn(self) -> None:
        self._world.refresh(0)
        self._world.run(self._world.now + 0.001)

    def works(self, port: int) -> bool:
        return self._listeners[port].works

    def take_away(self, port: int) -> None:
        self._world.bus_port(port, False)

    def give_back(self, port: int) -> None:
        self._world.bus_port(port, True)

    def close(self) -> None:
        """It holds nothing."""


class OnPtys(Rig):
    """`SerialPort` on the ptys of a `PtyLine`."""

    def __init__(self, folder: Path, uarts: Uarts, direction: Direction) -> None:
        super().__init__()
        self._now = 100.0
        self._sends_while_rts_is = direction.rts_sends == "low"
        if direction.mode == "rts":
            uarts.moved = self._turn
        elif direction.mode == "kernel":
            uarts.moded = lambda path, flags: self._sends(path, flags & (ENABLED | ON_SEND) == ENABLED | ON_SEND)
        uarts.empty = lambda path: self._line.line.busy_until(self._port(path)) <= self._now
        self._line = PtyLine(folder, PORTS, BAUD, random.Random(1))
        deliver = self._line.line._deliver

        def note(port: int, data: bytes, at: float) -> None:
            self.passages.append(Passage(port, data, at))
            deliver(port, data, at)

        self._line.line._deliver = note
        if direction.mode != "automatic":
            for port in range(PORTS):
                self._line.line.cut(port, "send")
        self._live = [SerialPort(path, BAUD, lambda: self._now, direction) for path in self._line.paths]
        self.ports = [*self._live]
        self._line.pump(self._now)

    def _port(self, path: str) -> int:
        return [str(link.resolve()) for link in self._line.paths].index(path)

    def _sends(self, path: str, sends: bool) -> None:
        """What the port's transceiver lets through to the line."""
        (self._line.line.join if sends else self._line.line.cut)(self._port(path), "send")

    def _turn(self, path: str, rts: bool) -> None:
        """A transceiver whose RE and DE are one: while it sends it hears nothing."""
        sends = rts == self._sends_while_rts_is
        self._sends(path, sends)
        (self._line.line.cut if sends else self._line.line.join)(self._port(path), "receive")

    def turn(self) -> None:
        descriptors = [*self._line.filenos(), *(fd for port in self._live for fd in port.filenos())]
        if not select.select(descriptors, [], [], 0.001)[0]:
            due = [self._line.next_wakeup(), *(port.next_send() for port in self._live), self._now + 0.001]
            self._now = max(self._now, min(due))
        self._line.pump(self._now)
        for number, port in enumerate(self._live):
            data = port.receive()
            if data:
                self.hear(number, data)
            port.flush()

    def works(self, port: int) -> bool:
        return not self._live[port].problem

    def take_away(self, port: int) -> None:
        self._line.hang_up(port)
        self.run(lambda: not self.works(port))

    def give_back(self, port: int) -> None:
        self._line.restore(port)
        self._now += RETRY_S
        self.run(lambda: self.works(port))

    def close(self) -> None:
        for port in self._live:
            port.close()
        self._line.close()


DIRECTIONS = {
    "on ptys": AUTOMATIC,
    "kernel": Direction("kernel"),
    "rts": Direction("rts"),
    "rts, low sends": Direction("rts", "low"),
}


@pytest.fixture(params=["virtual", *DIRECTIONS])
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """With a direction, the drivers that ptys lack are put in at the system call, and the line obeys them."""
    virtual = request.param == "virtual"
    rig = Virtual() if virtual else OnPtys(tmp_path, Uarts(monkeypatch), DIRECTIONS[request.param])
    yield rig
    rig.close()


def frames(count: int) -> list[bytes]:
    """Random ones of all lengths."""
    rng = random.Random(count)
    return [rng.randbytes(rng.randint(4, 256)) for _ in range(count)]


def test_frames_come_whole_and_in_order_at_all_others(rig: Rig) -> None:
    sent = frames(12)
    for number, data in enumerate(sent):
        rig.send(number % 2, data)
    assert rig.heard[2] == b"".join(sent)
    assert [passage.data for passage in rig.passages if passage.port == 2] == sent


def test_nothing_comes_back_to_the_sender(rig: Rig) -> None:
    rig.send(0, b"from the first")
    rig.send(1, b"from the second")
    assert rig.heard == [b"from the second", b"from the first", b"from the firstfrom the second"]


def test_an_answer_leaves_after_the_silence_and_then_at_once(rig: Rig) -> None:
    rig.answers[b"question"] = (1, b"the answer")
    rig.ports[0].send(b"question")
    rig.run(lambda: rig.heard[2] == b"questionthe answer")
    question, answer = (passage for passage in rig.passages if passage.port == 2)
    assert answer.begin >= question.end + silence_s(BAUD) - 1e-9
    assert answer.begin < question.end + 2 * silence_s(BAUD)


def test_one_that_sends_again_keeps_the_silence_after_its_own_frame(rig: Rig) -> None:
    for data in frames(5):
        rig.send(0, data)
    passages = [passage for passage in rig.passages if passage.port == 1]
    assert len(passages) == 5
    for before, after in pairwise(passages):
        assert after.begin >= before.end + silence_s(BAUD) - 1e-9


def test_a_port_that_is_gone_drops_what_it_is_given_and_works_again_when_it_is_back(rig: Rig) -> None:
    rig.take_away(0)
    rig.ports[0].send(b"lost")
    rig.send(1, b"to the third alone")
    assert rig.heard == [b"", b"", b"to the third alone"]
    rig.give_back(0)
    rig.send(0, b"back")
    rig.send(1, b"to both")
    assert rig.heard == [b"to both", b"back", b"to the third alonebackto both"]
