"""How fast a contactor opens on a bench in real time: processes, ptys and sockets as `watti bench` starts them.

Seconds from the request to the first look that finds the contacts open; the looks come about a millisecond apart.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hal.simulated.remote import ask
from hal.simulated.vehicle_spec import VehicleSpec

_TOOLS = Path(__file__).parent
_NAMES = ("s1", "s2", "s3", "s4", "s5")
_PATIENCE_S = 90.0
_LOOK_S = 0.0005
_RELEASE_S = 0.2  # by then the ground-fault sensor has let go: a trip that outlasts its vehicle may need 15 min
_PAUSE_S = 7.0  # after leaving state C, and until the pilot has been low for long enough

Stations = Mapping[str, Mapping[str, Any]]


def opened(vehicle: VehicleSpec, request: Mapping[str, Any], count: int) -> list[float]:
    """Five stations charge a car each and are asked `request` one after another, `count` times each."""
    times = []
    with TemporaryDirectory() as folder, _running(Path(folder)) as socket:
        for _ in range(count):
            for name in _NAMES:
                ask(socket, {"do": "plug", "station": name, "vehicle": asdict(vehicle)})
            _wait(socket, lambda seen: all(seen[name]["closed"] for name in _NAMES))
            times += [_open(socket, {**request, "station": name}) for name in _NAMES]
            time.sleep(_RELEASE_S)
            _clear(socket)
            time.sleep(_PAUSE_S)
    return times


@contextmanager
def _running(folder: Path) -> Iterator[Path]:
    """A bench of five; the socket of its plants."""
    command = [sys.executable, "-m", "watti", "bench", "--headless", "--dir", str(folder)]
    path = os.pathsep.join([str(_TOOLS.parent), str(_TOOLS)])
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL) as process:
        try:
            socket = folder / "bench.sock"
            _until(socket.exists)
            _wait(socket, lambda seen: all(seen[name]["alive"] for name in _NAMES))
            yield socket
        finally:
            process.terminate()


def _open(socket: Path, request: Mapping[str, Any]) -> float:
    begun = time.monotonic()
    ask(socket, request)
    while _look(socket)[request["station"]]["closed"]:
        time.sleep(_LOOK_S)
    return time.monotonic() - begun


def _clear(socket: Path) -> None:
    """Whole stations without cars."""
    for name, station in _look(socket).items():
        for kind in station["injected"]:
            ask(socket, {"do": "clear", "station": name, "kind": kind})
        if station["vehicle"] is not None:
            ask(socket, {"do": "unplug", "station": name})


def _look(socket: Path) -> Stations:
    return {station["station"]: station for station in ask(socket, {"do": "status"})["stations"]}


def _wait(socket: Path, done: Callable[[Stations], bool]) -> None:
    _until(lambda: done(_look(socket)))


def _until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > give_up:
            raise TimeoutError("the bench does not come that far")
        time.sleep(0.1)
