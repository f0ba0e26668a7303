"""Who turns an RS-485 transceiver round, and when: the port's own code, on ptys with a UART's driver put in."""

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from hal.serial.direction import Direction
from hal.serial.port import SerialPort
from tests.uart import AFTER_SEND, ENABLED, ON_SEND, TIOCGRS485, TIOCSERGETLSR, TIOCSRS485, Uarts

pytestmark = pytest.mark.bench

BAUD = 19200
CHARACTER_S = 11 / BAUD
SILENCE_S = 3.5 * CHARACTER_S
OTHERWISE = 'use an adapter that turns itself round (bus.direction = "automatic"), or a UART of the Pi'


class Bench:
    """One pty, its clock, and all that happens to it, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = Path(os.ttyname(self.slave))
        self.uart = Uarts(patch)
        self.uart.moved = lambda _, is_set: self.events.append("set" if is_set else "clear")
        self.events: list[str] = []
        write = os.write

        def noted(fd: int, data: bytes) -> int:
            self.events.append(f"write {len(data)}")
            return write(fd, data)

        patch.setattr(os, "write", noted)

    def opened(self, direction: Direction) -> SerialPort:
        return SerialPort(self.path, BAUD, lambda: self.now, direction)

    def to(self, at: float, port: SerialPort) -> list[str]:
        """What the port does when the loop comes back to it at that instant."""
        self.now = at
        before = len(self.events)
        port.flush()
        return self.events[before:]

    def close(self) -> None:
        os.close(self.slave)
        with suppress(OSError):
            os.close(self.master)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with closing(Bench(monkeypatch)) as bench:
        yield bench


class Wiring(NamedTuple):
    """A level of the pin that sends, and the movements of RTS that make it: the pin is low while RTS is set."""

    rts_sends: Literal["high", "low"]
    sends: str
    listens: str


WIRINGS = [Wiring("high", "clear", "set"), Wiring("low", "set", "clear")]


@pytest.fixture(params=WIRINGS, ids=[wiring.rts_sends for wiring in WIRINGS])
def wiring(request: pytest.FixtureRequest) -> Wiring:
    wiring: Wiring = request.param
    return wiring


def test_rts_moves_before_the_first_byte_and_after_the_last(bench: Bench, wiring: Wiring) -> None:
    with closing(bench.opened(Direction("rts", wiring.rts_sends))) as port:
        assert not port.problem
        assert set(bench.events) == {wiring.listens}
        bench.events.clear()
        port.send(b"x" * 21)
        assert bench.events == [wiring.sends, "write 21"]
        assert port.next_send() == pytest.approx(100 + 21 * CHARACTER_S)
        assert bench.to(port.next_send() - 1e-6, port) == []
        assert bench.to(port.next_send(), port) == [wiring.listens]
        assert port.next_send() == inf


def test_the_loop_is_never_held_up_while_bits_are_still_leaving(bench: Bench) -> None:
    with closing(bench.opened(Direction("rts"))) as port:
        port.send(b"x" * 21)
        bench.uart.empty = lambda _: False
        looks = []
        while port.next_send() < inf:
            looks.append(port.next_send())
            moved = bench.to(looks[-1], port)
            assert moved == (["set"] if looks[-1] >= 100 + 21 * CHARACTER_S + SILENCE_S else [])
        assert len(looks) == 5  # at the end, and then after each further character until others may speak
        assert looks[-1] < 100 + 21 * CHARACTER_S + SILENCE_S + CHARACTER_S


def test_a_loop_that_comes_late_turns_it_round_and_then_sends_what_waits(bench: Bench) -> None:
    with closing(bench.opened(Direction("rts"))) as port:
        port.send(b"x" * 21)
        port.send(b"next")
        assert bench.to(101.0, port) == ["set", "clear", "write 4"]
        assert port.next_send() == pytest.approx(101 + 4 * CHARACTER_S)


def test_what_is_closed_is_left_listening_and_the_kernel_told_to(bench: Bench, wiring: Wiring) -> None:
    port = bench.opened(Direction("rts", wiring.rts_sends))
    hangs_up = bool(termios.tcgetattr(bench.slave)[2] & termios.HUPCL)
    assert hangs_up == (wiring.listens == "clear")  # it clears RTS when the last holder is gone
    port.send(b"x" * 21)
    port.close()
    assert bench.events[-1] == wiring.listens
    bench.events.clear()
    port.close()
    port.flush()
    assert (bench.events, port.next_send()) == ([], inf)


@pytest.mark.parametrize("at", ["send", "turn"])
def test_a_port_that_vanishes_while_it_sends_raises_nothing(bench: Bench, at: str) -> None:
    port = bench.opened(Direction("rts"))
    if at == "turn":
        port.send(b"lost")
    os.close(bench.master)
    if at == "send":
        port.send(b"lost")
    bench.to(bench.now + 4 * CHARACTER_S, port)
    assert "vanished" in port.problem
    assert port.next_send() == inf


@pytest.mark.parametrize("lacks", [termios.TIOCMBIS, TIOCSERGETLSR])
def test_a_driver_without_rts_or_without_an_end_of_frame_is_refused(bench: Bench, lacks: int) -> None:
    bench.uart.knows.remove(lacks)
    port = bench.opened(Direction("rts"))
    what = f"its driver can't set RTS, or can't tell when the last bit has left: {OTHERWISE}"
    assert port.problem == f"serial port {bench.path} can't be used: {what}"
    assert list(port.filenos()) == []


def test_the_kernel_is_asked_for_its_mode_and_then_left_alone(bench: Bench, wiring: Wiring) -> None:
    with closing(bench.opened(Direction("kernel", wiring.rts_sends))) as port:
        assert not port.problem
        sends, rests = (ON_SEND, AFTER_SEND) if wiring.rts_sends == "high" else (AFTER_SEND, ON_SEND)
        assert bench.uart.rs485 & (ENABLED | sends | rests) == ENABLED | sends
        bench.events.clear()
        port.send(b"x" * 21)
        assert (bench.events, port.next_send()) == (["write 21"], inf)


@pytest.mark.parametrize("lacks", [TIOCGRS485, TIOCSRS485])
def test_a_driver_without_an_rs485_mode_is_refused_until_it_has_one(bench: Bench, lacks: int) -> None:
    bench.uart.knows.remove(lacks)
    port = bench.opened(Direction("kernel"))
    what = f"its driver has no RS-485 mode: {OTHERWISE}"
    assert port.problem == f"serial port {bench.path} can't be used: {what}"
    assert list(port.filenos()) == []
    bench.uart.knows.add(lacks)
    bench.now += 1.1
    port.receive()
    assert not port.problem
    port.close()


@pytest.mark.parametrize(("flags", "rts_sends"), [(AFTER_SEND, "high"), (ENABLED | ON_SEND, "low"), (0, "high")])
def test_a_driver_that_takes_only_half_of_it_is_refused(
    bench: Bench, flags: int, rts_sends: Literal["high", "low"]
) -> None:
    bench.uart.flags = flags
    port = bench.opened(Direction("kernel", rts_sends))
    what = f"its driver can't hold RTS {rts_sends} while it sends: {OTHERWISE}"
    assert port.problem == f"serial port {bench.path} can't be used: {what}"


def test_an_echo_does_not_shorten_the_silence_after_the_own_frame(bench: Bench) -> None:
    with closing(bench.opened(Direction())) as port:
        port.send(b"x" * 21)
        os.write(bench.master, b"x")
        assert select.select(port.filenos(), [], [], 20.0)[0]
        assert port.receive() == b"x"
        port.send(b"next")
        assert port.next_send() == pytest.approx(100 + 21 * CHARACTER_S + SILENCE_S)
