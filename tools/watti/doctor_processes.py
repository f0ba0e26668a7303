"""`watti run` as a process on this machine, in a group of two on a line of ptys: what it costs, how fast it answers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from firmware.config import StationConfig
from firmware.rotary import Role
from hal.api import BoardGone
from hal.serial.port import SerialPort
from watti.control import NothingRuns, find
from watti.scenario import CONFIGS
from watti.tap import Tap

SIMULATED = CONFIGS / "stations" / "simulated.toml"
_GROUP_S = 60.0  # a Pi Zero starts three processes and enrols in less (I)


class Observed(NamedTuple):
    """What was seen of the process."""

    answers_s: list[float]
    """From the last byte of each poll to the first of its answer."""
    cpu_share: float
    rss_mb: float


def processes(path: Path, config: StationConfig, folder: Path, for_s: float) -> Observed:
    """This station as a process for `for_s`, at its baud rate. Raises `BoardGone`, `NothingRuns`."""
    with ExitStack() as stack:
        _start(stack, "bus", "--ports", "3", "--baud", str(config.baud), "--dir", str(folder))
        _wait((folder / "bus" / "3").exists)
        pid = _group(stack, path, config, folder)
        before, began = cpu_s(pid), time.monotonic()
        answers = _answers(folder / "bus" / "3", config.baud, for_s)
        if not answers:
            raise NothingRuns("the bus carried no answer: give it longer with --for")
        return Observed(answers, (cpu_s(pid) - before) / (time.monotonic() - began), rss_mb(pid))


def _group(stack: ExitStack, path: Path, config: StationConfig, folder: Path) -> int:
    """Two stations that have found each other; the process of the measured one."""
    fixed = config.board.kind == "raspberry"
    switch = [] if fixed else ["--switch", "F"]
    port = str(folder / "bus" / "1")
    with (folder / "one.err").open("wb") as said:
        process = _start(
            stack, "run", str(path), "--port", port, "--name", "one", "--dir", str(folder), *switch, said=said
        )
    _wait(lambda: process.poll() is not None or _role(folder, "one") not in (None, Role.NONE))
    if process.poll() is not None:
        raise BoardGone((folder / "one.err").read_text().strip())
    other = "B" if _role(folder, "one") == Role.SECONDARY else "F"
    port = str(folder / "bus" / "2")
    _start(stack, "run", str(SIMULATED), "--port", port, "--name", "two", "--dir", str(folder), "--switch", other)
    _wait(lambda: any(_said(folder, name).get("bus", {}).get("members") for name in ("one", "two")))
    return process.pid


def _start(stack: ExitStack, *words: str, said: IO[bytes] | int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "watti", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment())
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def environment() -> dict[str, str]:
    """Where this `watti` was found, its processes find it."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _wait(condition: Callable[[], object]) -> None:
    """Raises `NothingRuns`."""
    give_up = time.monotonic() + _GROUP_S
    while not condition():
        if time.monotonic() >= give_up:
            raise NothingRuns(f"two stations on ptys have not found each other within {_GROUP_S:g} s")
        time.sleep(0.1)


def _said(folder: Path, name: str) -> dict[str, Any]:
    try:
        _, status = find(folder)[name]
    except (NothingRuns, KeyError):
        return {}
    return status["firmware"] or {}


def _role(folder: Path, name: str) -> str | None:
    return _said(folder, name).get("role")


def _answers(port: Path, baud: int, for_s: float) -> list[float]:
    """From the last byte of each poll to the first of its answer, s, as the line had them."""
    bus = SerialPort(port, baud, time.monotonic)
    bus.must_open()
    began = time.monotonic()
    tap, answers = Tap(baud, began), list[float]()
    try:
        while time.monotonic() < began + for_s:
            time.sleep(0.0002)
            for entry in tap.hear(bus.receive(), time.monotonic()):
                if entry["what"] == "status" and entry["gap_ms"] is not None:
                    answers.append(entry["gap_ms"] / 1e3)
    finally:
        bus.close()
    return answers


def cpu_s(pid: int) -> float:
    """CPU time that a process has had, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Memory of a process that is resident."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
