"""The desk of a station on hardware: `watti status` and `watti switch` through its socket."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.simulated.board import MemoryStore
from hal.simulated.remote import Refused, ask
from hal.store import FileStore
from tests.scenario.helpers import Bench, plugs, scenario
from watti.boards import _served_by
from watti.cli import main
from watti.desk import Desk, StoredSwitch
from watti.run import described


@pytest.fixture(scope="module")
def bench() -> Bench:
    """A station that charges, and one that does not."""
    bench = Bench(scenario(plugs(1), "BF"))
    bench.run(60.0)
    return bench


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def desk(tmp_path: Path, bench: Bench, store: MemoryStore) -> Iterator[Desk]:
    desk = Desk(tmp_path / "left.sock", "left", StoredSwitch(store))
    desk.show(bench.app(1), described(bench.app(1)), bench.now)
    yield desk
    desk.close()


def test_a_station_on_hardware_is_shown_as_one_of_a_bench(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json", "--dir", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["station"], row["role"], row["switch"], row["state"]) == ("left", "primary", "B", "C2")
    assert (row["offered_a"], row["drawn_a"], row["contactor"], row["lamp"]) == (48.0, 48.0, "closed", "blue")
    assert (row["alive"], row["vehicle"], len(row["bus"]["members"])) == (True, None, 1)
    assert main(["status", "--dir", str(tmp_path)]) == 0
    assert "left" in capsys.readouterr().out


def test_a_switch_that_is_not_mounted_is_stored(
    desk: Desk, tmp_path: Path, store: MemoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["switch", "left", "f", "--dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "F\n"
    assert StoredSwitch(store).position == 15


def test_a_switch_that_can_not_be_stored_is_not_turned(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be back where it was after the next restart, and nobody would know."""
    (tmp_path / "state").mkdir()
    stored = StoredSwitch(FileStore(tmp_path / "state" / "left.switch", lambda _: None))
    stored.turn(11)
    (tmp_path / "state" / "left.new").mkdir()
    desk = Desk(tmp_path / "left.sock", "left", stored)
    desk.show(bench.app(1), described(bench.app(1)), bench.now)
    assert main(["switch", "left", "f", "--dir", str(tmp_path)]) == 2
    told = f"watti: left: the switch is not turned, as {tmp_path}/state/left.switch: Is a directory\n"
    assert capsys.readouterr().err == told
    assert stored.position == 11
    (tmp_path / "state" / "left.new").rmdir()
    assert main(["switch", "left", "f", "--dir", str(tmp_path)]) == 0
    assert stored.position == 15
    desk.close()


@pytest.mark.parametrize("record", [b"", b"G", b"1F", b"\xff\xfe"])
def test_what_is_no_position_was_never_stored(record: bytes) -> None:
    store = MemoryStore()
    store.save(record)
    assert StoredSwitch(store).position is None


def test_a_switch_that_can_t_be_read_is_shown_as_such(
    desk: Desk, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk._status = {**desk._status, "switch": None}
    for words in (["status"], ["status", "--json"], ["switch", "left"]):
        assert main([*words, "--dir", str(tmp_path)]) == 0
        assert "?" in capsys.readouterr().out


def test_a_mounted_switch_is_turned_by_hand_alone(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path / "left.sock", "left", None)
    desk.show(bench.app(1), described(bench.app(1)), bench.now)
    assert main(["switch", "left", "F", "--dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "watti: left: this board has a rotary switch of its own: turn that\n"
    assert main(["plug", "left", "--dir", str(tmp_path)]) == 2
    assert "can only be asked for its status and told its switch" in capsys.readouterr().err
    desk.close()
    assert not (tmp_path / "left.sock").exists()


def test_a_station_that_is_only_starting_is_not_there_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], store: MemoryStore
) -> None:
    desk = Desk(tmp_path / "left.sock", "left", StoredSwitch(store))
    assert _served_by(tmp_path, "left") is None
    assert main(["switch", "left", "f", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("watti: no bench runs in")
    desk.close()


@pytest.mark.parametrize("position", [-1, 16, "F", True, None, 1.5])
def test_a_request_that_names_no_position_is_refused(desk: Desk, tmp_path: Path, position: object) -> None:
    with pytest.raises(Refused, match="from 0 to 15"):
        ask(tmp_path / "left.sock", {"do": "switch", "station": "left", "position": position})


def test_nonsense_and_silence_at_the_socket_hold_nobody_up(desk: Desk, tmp_path: Path) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for one in silent:
        one.connect(str(tmp_path / "left.sock"))
    silent[0].sendall(b"\x00\xff{[\n")
    silent[1].sendall(b'{"do": ["status"]}\n')
    assert ask(tmp_path / "left.sock", {"do": "status"})["stations"][0]["station"] == "left"
    for one in silent:
        one.close()


def test_a_socket_that_a_killed_process_left_is_taken(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left.sock"))
    left.close()
    desk = Desk(tmp_path / "left.sock", "left", None)
    assert [thread.name for thread in threading.enumerate()].count("Desk") == 1
    desk.close()
