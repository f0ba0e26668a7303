"""`watti run` alone: stations that nobody put together, on the ports of `watti bus`."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hal.store import FileStore
from tests.bench.helpers import PATIENCE_S, Desk, wait_for
from watti.cli import main

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


def test_stations_alone_find_each_other_and_have_names_switches_and_cars(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.bus()
    one = desk.station(1)
    two = desk.station(2, "--switch", "F")
    desk.wait("s1", role="primary", switch="B", pid=one.pid)
    desk.wait("s2", role="secondary", switch="F", pid=two.pid, limit_a=48.0)
    assert main(["plug", "s2", "--dir", str(desk.folder)]) == 0
    desk.wait("s2", state="B1", vehicle="sedan")
    assert main(["fault", "s2", "bus_port", "--dir", str(desk.folder)]) == 2
    assert "watti: s2: only a bench has the bus port of s2 in its hands" in capsys.readouterr().err
    for process, number, code in ((one, signal.SIGINT, 130), (two, signal.SIGTERM, 0)):
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == code
    assert not list(desk.folder.glob("*.sock"))
    kept = {path.name for path in (desk.folder / "state").iterdir()}
    assert kept == {"s1.session.json", "s2.session.json"}  # what they have delivered in their lives


def test_a_killed_station_blocks_no_second_start_and_a_live_one_does(desk: Desk) -> None:
    desk.bus()
    desk.station(1, "--name", "left").kill()
    wait_for(lambda: not desk.status())
    assert (desk.folder / "left.sock").exists()
    again = desk.station(1, "--name", "left")
    desk.wait("left", pid=again.pid)
    refused = desk.station(2, "--name", "left")
    _, said = refused.communicate(timeout=PATIENCE_S)
    assert refused.returncode == 2
    assert said == f"watti: a station named left runs already in {desk.folder}\n"
    desk.wait("left", pid=again.pid)


def test_a_port_that_is_not_there_vanishes_or_comes_back_is_said_and_the_station_goes_on(desk: Desk) -> None:
    station = desk.station(1, "--switch", "F")
    desk.wait("s1", fault="bus_port", role="secondary", alive=True)
    bus = desk.bus()
    desk.wait("s1", fault="", role="secondary")
    bus.kill()
    desk.wait("s1", fault="bus_port", role="secondary", alive=True)
    desk.bus()
    desk.wait("s1", fault="", role="secondary")
    station.terminate()
    _, said = station.communicate(timeout=PATIENCE_S)
    path = desk.folder / "bus" / "1"
    assert [line for line in said.splitlines() if "port" in line and "fault" not in line] == [
        f"s1: serial port {path} is not there: waiting for it",
        "s1: the serial port works again",
        f"s1: serial port {path} vanished: it was unplugged, or its line was stopped: waiting for it",
        "s1: the serial port works again",
    ]


def test_its_plant_ends_with_it_and_it_with_its_plant(desk: Desk) -> None:
    station = desk.station(1)
    (plant,) = map(int, Path(f"/proc/{station.pid}/task/{station.pid}/children").read_text().split())
    os.kill(plant, signal.SIGKILL)
    assert station.wait(PATIENCE_S) == 1
    assert "has gone" in station.communicate()[1]
    station = desk.station(1)
    (plant,) = map(int, Path(f"/proc/{station.pid}/task/{station.pid}/children").read_text().split())
    station.kill()
    wait_for(lambda: not Path(f"/proc/{plant}/exe").exists())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[station]\nmodel = "48A"\n[board]\nkind = "simulated"\n', "bus.port: expected this key, or --port"),
        (
            '[station]\nmodel = "48A"\n[board]\nkind = "simulated"\n[bus]\nport = "x"\n[timing]\nrelease_s = 5\n',
            "timing: release_s = 5.0 is too short: ",
        ),
    ],
)
def test_a_bad_file_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(text)
    assert main(["run", str(config), "--dir", str(tmp_path / "dir")]) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert refused.err.startswith(f"{config}: {said}")
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "dir").exists()


# What a station remembers


def test_a_record_survives_and_is_replaced_whole(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "state" / "s1.json"
    store = FileStore(path, said.append)
    assert store.load() == b""
    for record in (b"first", b"second"):
        store.save(record)
        assert store.load() == FileStore(path, said.append).load() == record
    assert [file.name for file in path.parent.iterdir()] == ["s1.json"]
    assert said == []


def test_a_record_that_can_not_be_written_lives_in_memory_and_is_complained_of_once(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "state").touch()
    store = FileStore(tmp_path / "state" / "s1.json", said.append)
    for record in (b"first", b"second"):
        store.save(record)
        assert store.load() == record
    assert said == [f"{tmp_path}/state/s1.json: Not a directory: the record is kept in memory only"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "s1.new").symlink_to("/dev/full")
    store = FileStore(tmp_path / "s1.json", said.append)
    store.save(b"record")
    assert store.load() == b"record"
    assert len(said) == 1
    assert "No space left" in said[0]
