"""Benches and lone stations as processes, seen through the commands."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from watti.cli import main
from watti.scenario import CONFIGS

PATIENCE_S = 90.0
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


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Bench:
    """A bench that runs, seen through the commands."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.process = process
        self.by_hand: list[subprocess.Popen[bytes]] = []

    def up(self) -> bool:
        """Whether every station has said how it is."""
        with redirect_stdout(StringIO()):
            answers = self.do("status") == 0
        return answers and all(row["bus"] for row in self.status().values())

    def status(self) -> dict[str, Row]:
        out = StringIO()
        with redirect_stdout(out):
            assert self.do("status", "--json") == 0
        return {row["station"]: row for row in json.loads(out.getvalue())}

    def addresses(self) -> list[int]:
        """Of the members of s1's group; 0 is one whose enrolment is on its way."""
        return sorted(member["address"] for member in self.status()["s1"]["bus"]["members"])

    def do(self, *words: str) -> int:
        return main([*words, "--dir", str(self.folder)])

    def pid(self, name: str) -> int:
        pid = self.status()[name]["pid"]
        assert isinstance(pid, int)
        return pid

    def wait(self, name: str, **expected: object) -> Row:
        """Until a station shows all this."""
        wait_for(lambda: expected.items() <= self.status()[name].items())
        return self.status()[name]

    def wait_for_amps(self, name: str) -> None:
        """Until its car charges."""
        wait_for(lambda: self.status()[name]["drawn_a"] > 10)

    def run(self, name: str) -> subprocess.Popen[bytes]:
        """Start a station's process by hand."""
        config = self.folder / "stations" / f"{name}.toml"
        command = [*WATTI, "run", str(config), "--dir", str(self.folder)]
        self.by_hand.append(subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL))
        return self.by_hand[-1]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Bench]:
    command = [*WATTI, "bench", "--headless", "--dir", str(folder), *options]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    with process:
        bench = Bench(folder, process)
        try:
            wait_for(lambda: process.poll() is not None or bench.up())
            yield bench
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            for station in bench.by_hand:
                station.wait(PATIENCE_S)


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
        """A line of three ports, running."""
        process = self.start("bus", "--ports", "3")
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(4)][3]
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
