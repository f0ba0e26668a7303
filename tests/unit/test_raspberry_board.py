"""A Raspberry Pi's board when something of it fails: what else is done all the same, and what is said."""

import fcntl
import os
import shutil
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import watti.run
from hal.api import BoardGone
from hal.raspberry.board import Hardware, Parts, RaspberryBoard
from hal.serial.port import SerialPort
from hal.simulated.board import MemoryStore, PlantJournal
from hal.simulated.pi import SimulatedPi
from hal.simulated.plant import Plant
from tests.contract.board_rigs import Behind
from watti.board_file import load_board
from watti.scenario import CONFIGS

SPEC = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")
CONTACTOR, WINDING = SPEC.contactor.pin, SPEC.ground_fault.test_pin


class Broken(Exception):
    """As lgpio's own errors: no `BoardGone`."""


def broken(*_: object) -> Any:
    raise Broken("of the driver")


@pytest.fixture
def pi(tmp_path: Path) -> SimulatedPi:
    return SimulatedPi(SPEC, Behind(Plant(11), lambda: 100.0), tmp_path / "pi", lambda: 100.0)


def parts_of(pi: SimulatedPi, hardware: Hardware | None = None) -> Parts:
    return Parts(SPEC, hardware or pi.hardware, lambda: 100.0, lambda: None)


def busy(parts: Parts) -> None:
    """Everything that has to be made safe is not."""
    parts.contactor.close()
    parts.ground_fault.test(True)
    parts.pilot.pwm(50.0)


def state(pi: SimulatedPi) -> tuple[bool, bool, str]:
    """Contactor and winding driven, and the pilot's high time."""
    return pi.level(CONTACTOR), pi.level(WINDING), (pi.hardware.places.pwm / "pwmchip0/pwm0/duty_cycle").read_text()


def test_outputs_are_made_safe_the_contactor_first(pi: SimulatedPi, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, done = parts_of(pi), list[str]()
    monkeypatch.setattr(parts.contactor, "open", lambda: done.append("contactor"))
    monkeypatch.setattr(parts.ground_fault, "test", lambda on: done.append(f"test {on}"))
    monkeypatch.setattr(parts.pilot, "steady", lambda: done.append("pilot"))
    parts.make_safe()
    assert done == ["contactor", "test False", "pilot"]


@pytest.mark.parametrize(
    ("part", "verb", "after"),
    [
        ("contactor", "open", (True, False, "1000000")),
        ("ground_fault", "test", (False, True, "1000000")),
        ("pilot", "steady", (False, False, "500000")),
    ],
)
def test_one_verb_that_fails_keeps_no_other_from_being_made_safe(
    pi: SimulatedPi, monkeypatch: pytest.MonkeyPatch, part: str, verb: str, after: tuple[bool, bool, str]
) -> None:
    parts = parts_of(pi)
    busy(parts)
    assert state(pi) == (True, True, "500000")
    with monkeypatch.context() as patched:
        patched.setattr(getattr(parts, part), verb, broken)
        with pytest.raises(Broken):
            parts.make_safe()
        assert state(pi) == after
        with pytest.raises(Broken):
            parts.close()
    assert state(pi)[:2] == (False, False), "pins are given back low"
    parts_of(pi).close()


def test_a_board_that_can_not_be_made_safe_is_let_go_all_the_same(
    pi: SimulatedPi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    class Ends:
        def close(self) -> None:
            ended.append("worker")

    bus = SerialPort(tmp_path / "none", 19200, lambda: 100.0)
    journal = PlantJournal("test", lambda event, fields: None)
    board = RaspberryBoard(
        lambda wake: parts_of(pi), lambda: None, bus, (MemoryStore(), MemoryStore()), journal, lambda work, note: Ends()
    )
    busy(board.parts)
    with monkeypatch.context() as patched:
        patched.setattr(board.contactor, "open", broken)
        with pytest.raises(Broken):
            board.close()
    assert len(ended) == len(board.parts.works)
    assert state(pi) == (False, False, "1000000")
    parts_of(pi).close()


@pytest.mark.parametrize(
    ("module", "name", "error", "sentence"),
    [
        (os, "open", PermissionError(13, "Permission denied"), r"pwmchip0/npwm can't be held: Permission denied"),
        (fcntl, "flock", OSError(37, "No locks available"), r"pwmchip0/npwm can't be held: No locks available"),
        (fcntl, "flock", BlockingIOError(11, "busy"), "another process drives this board"),
    ],
)
def test_a_board_that_can_not_be_held_is_not_driven(
    pi: SimulatedPi, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, error: OSError, sentence: str
) -> None:
    def refused(*_: object) -> Any:
        raise error

    fds = len(list(Path("/proc/self/fd").iterdir()))
    hardware = Hardware(broken, pi.hardware.spi, pi.hardware.places)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, refused)
        with pytest.raises(BoardGone, match=sentence):
            parts_of(pi, hardware)
    assert len(list(Path("/proc/self/fd").iterdir())) == fds


def test_a_board_whose_generator_is_missing_says_what_to_do(pi: SimulatedPi) -> None:
    shutil.rmtree(pi.hardware.places.pwm)
    with pytest.raises(BoardGone, match="put dtoverlay=pwm,pin=12,func=4 into"):
        parts_of(pi)


def test_what_blocks_once_the_board_is_held_is_no_other_process(pi: SimulatedPi) -> None:
    def blocks() -> Any:
        raise BlockingIOError(11, "of something else")

    with pytest.raises(BlockingIOError, match="of something else"):
        parts_of(pi, Hardware(blocks, pi.hardware.spi, pi.hardware.places))


def test_a_board_that_goes_as_it_is_closed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def opened(*_: object) -> Iterator[Any]:
        yield Namespace(serial=1)
        raise BoardGone("the contactor can't be opened: breaker off")

    monkeypatch.setattr(watti.run, "opened", opened)
    monkeypatch.setattr(watti.run, "_live", lambda *_: 0)
    (tmp_path / "station.toml").write_text('[station]\nmodel = "48A"\nname = "left"\n[board]\nkind = "simulated"\n')
    args = Namespace(config=tmp_path / "station.toml", port="none", switch=None, name=None, dir=tmp_path)
    assert watti.run.run(args) == 1
    assert capsys.readouterr().err == "left: the contactor can't be opened: breaker off\n"
