"""`watti run` alone: stations that nobody put together, on the ports of `watti bus`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from hal.store import FileStore
from watti.cli import main
from watti.scenario import CONFIGS

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

PATIENCE_S = 60.0
TOOLS = Path(__file__).parents[2] / "tools"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(TOOLS.parent), str(TOOLS)])}
WATTI = [sys.executable, "-m", "watti"]
SIMULATED = CONFIGS / "stations" / "simulated.toml"

Row = dict[str, Any]


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.1)


class Desk:
    """A folder in which commands are started one by one."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [*WATTI, *words, "--dir", str(self.folder)]
        process = subprocess.Popen(command, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def bus(self) -> subprocess.Popen[str]:
        process = self.start("bus", "--ports", "2")
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)][2]
        return process

    def station(self, port: int, *options: str) -> subprocess.Popen[str]:
        """A station on a port of the bus, running."""
        path = self.folder / "bus" / str(port)
        process = self.start("run", str(SIMULATED), "--port", str(path), *options)
        wait_for(lambda: process.poll() is not None or process.pid in [row["pid"] for row in self.status().values()])
        return process

    def status(self) -> dict[str, Row]:
        """Stations that have said how they are."""
        out = StringIO()
        with redirect_stdout(out):
            main(["status", "--json", "--dir", str(self.folder)])
        rows = json.loads(out.getvalue() or "[]")
        return {row["station"]: row for row in rows if row["bus"]}

    def wait(self, name: str, **expected: object) -> None:
        wait_for(lambda: expected.items() <= self.status().get(name, {}).items())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


def test_stations_alone_find_each_other_and_have_names_switches_and_cars(desk: Desk) -> None:
    desk.bus()
    one = desk.station(1)
    two = desk.station(2, "--switch", "F")
    desk.wait("s1", role="primary", switch="B", pid=one.pid)
    desk.wait("s2", role="secondary", switch="F", pid=two.pid, limit_a=48.0)
    assert main(["plug", "s2", "--dir", str(desk.folder)]) == 0
    desk.wait("s2", state="B1", vehicle="sedan")
    for process, number, code in ((one, signal.SIGINT, 130), (two, signal.SIGTERM, 0)):
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == code
    assert not list(desk.folder.glob("*.sock"))
    assert not list((desk.folder / "state").iterdir())


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
        f"s1: serial port {path} is not there",
        "s1: the serial port works again",
        f"s1: serial port {path} vanished: it was unplugged, or its line was stopped",
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
