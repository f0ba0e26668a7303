"""The group that `tools/endurance.py` torments: the judged bench, and each station as a process of the driver's own, so
that it can be ended, started again, given another clock and another port.

Nobody starts a killed station again on a bench; here the driver does, as a supervisor (systemd) does on a board.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from signal import SIGCONT, SIGKILL
from typing import Any

from endurance_bench import LIMIT_A
from hal.simulated.remote import ask
from hal.simulated.vehicle_spec import VehicleSpec

CAR = VehicleSpec("car", start_delay_s=0.0, reaction_s=6.0, ramp_a_per_s=0.0)
"""It follows a lower pilot late and takes a higher one whole."""
DISK = "8m"
LOOK_S = 0.1
READY_S = 30.0
"""A process that has been started answers within this, on a busy machine too."""
_NOTICED_S = 0.6
"""A car that comes or goes has been noticed and written down by then."""
_TOOLS = Path(__file__).parent

Rows = Mapping[str, Mapping[str, Any]]
"""How stations stand, by name: what the bench answers to `status`."""


class Failed(Exception):
    """What must not be; the message says what was seen."""


class Group:
    """Stations whose cars charge; s2 and s3 are on adapters that can be pulled out."""

    adapted = ("s2", "s3")

    def __init__(self, folder: Path, switches: str, stack: ExitStack) -> None:
        """One station for each of `switches`. Everything that is started ends with `stack`. `folder`/bench becomes a
        small disk of its own."""
        self.names = tuple(f"s{number}" for number in range(1, len(switches) + 1))
        self.disk = folder / "bench"
        self._outside = folder
        self._socket = self.disk / "bench.sock"
        self._stations: dict[str, subprocess.Popen[bytes]] = {}
        self._adapters: dict[str, subprocess.Popen[bytes]] = {}
        self._ballast = self.disk / "ballast"
        self._kwh: dict[str, float] = {}
        self.offsets_s: dict[str, list[tuple[float, float]]] = {name: [] for name in self.names}
        """By station: since when (monotonic s) its wall clock is off by how much (s)."""
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.disk], check=True)
        stack.callback(self._end)
        self._bench = self._watti_bench(switches)
        self.wait(lambda rows: all(row["alive"] for row in rows.values()), READY_S, "the bench is not up")
        for name in self.names:
            self.set_clock(name, 0.0)
        for name in self.adapted:
            self._plug_adapter(name)
        self._take_over()

    # What is seen

    def look(self) -> Rows:
        """How all stand. Raises `Failed` where the limit was broken or an energy ran backwards."""
        rows = {row["station"]: row for row in ask(self._socket, {"do": "status"})["stations"]}
        violations = rows["s1"]["violations"]
        if violations:
            raise Failed(f"the cars may draw more than {LIMIT_A:g} A: {violations}")
        for name, row in rows.items():
            if row["firmware"]:
                before, self._kwh[name] = self._kwh.get(name, 0.0), row["firmware"]["energy_kwh"]
                if self._kwh[name] < before:
                    raise Failed(f"{name}: energy ran backwards, from {before} to {self._kwh[name]} kWh")
        return rows

    def wait(self, done: Callable[[Rows], bool], within_s: float, otherwise: str) -> float:
        """Seconds until it is so. Raises `Failed` with `otherwise` when it does not come."""
        begun = time.monotonic()
        while True:
            try:
                rows = self.look()
            except OSError:  # it starts
                rows = {}
            spent = time.monotonic() - begun
            if rows and done(rows):
                return spent
            if spent > within_s:
                raise Failed(f"{otherwise} within {within_s:g} s: {told(rows)}")
            time.sleep(LOOK_S)

    def watch(self, for_s: float) -> None:
        """Look on for a while."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            self.look()
            time.sleep(min(LOOK_S, max(0.0, until - time.monotonic())))

    def pids(self) -> dict[str, int]:
        """Of the bench and the stations that run."""
        return {"bench": self._bench.pid, **{name: process.pid for name, process in self._stations.items()}}

    # What is done to it

    def do(self, what: str, name: str, **further: object) -> None:
        ask(self._socket, {"do": what, "station": name, **further})

    def plug(self, name: str) -> None:
        self.do("plug", name, vehicle=asdict(CAR))

    def change_car(self, name: str) -> None:
        """One session ends, another begins."""
        self.do("unplug", name)
        self.watch(_NOTICED_S)
        self.plug(name)
        self.watch(_NOTICED_S)

    def kill(self, *names: str) -> None:
        for name in names:
            self._stations[name].send_signal(SIGKILL)
        for name in names:
            self._stations.pop(name).wait()

    def signal(self, number: int, *names: str) -> None:
        for name in names:
            self._stations[name].send_signal(number)

    def start(self, *names: str) -> None:
        for name in names:
            config = self.disk / "stations" / f"{name}.toml"
            port = ["--port", str(self._link(name))] if name in self.adapted else []
            arguments = ["run", str(config), "--dir", str(self.disk), *port]
            self._stations[name] = self._spawn(arguments, self._outside / f"{name}.said", self._faked(name))
        self.wait(lambda rows: all(rows[name]["alive"] for name in names), READY_S, f"{names} did not start")

    def unplug_port(self, name: str) -> None:
        """Of an adapter the owner is killed, of any other the bench closes both ends: its device is gone."""
        if name in self.adapted:
            adapter = self._adapters.pop(name)
            adapter.kill()
            adapter.wait()
            self._link(name).unlink()  # as udev does: the next pty anywhere may have the same number
        else:
            self.do("fault", name, kind="bus_port")

    def plug_port(self, name: str) -> None:
        if name in self.adapted:
            self._plug_adapter(name)
        else:
            self.do("clear", name, kind="bus_port")

    def _plug_adapter(self, name: str) -> None:
        """An adapter is a process that owns the station's serial port, and passes on what comes and goes."""
        line = f"OPEN:{self.disk / 'bus' / name[1:]},raw,echo=0"
        self._adapters[name] = subprocess.Popen(["socat", f"PTY,raw,echo=0,link={self._link(name)}", line])
        _until(self._link(name).exists)

    def set_clock(self, name: str, offset_s: float) -> None:
        """Set a station's wall clock to what the real one shows and `offset_s`; it takes up to a second."""
        new = self._outside / f"{name}.clock.new"
        new.write_text(f"{offset_s:+.0f}\n")
        new.replace(self._outside / f"{name}.clock")
        self.offsets_s[name].append((time.monotonic(), offset_s))

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Not a byte more goes onto the disk of all stations."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        try:
            yield
        finally:
            self._ballast.unlink()

    # Processes

    def _link(self, name: str) -> Path:
        return self._outside / f"{name}.port"

    def _faked(self, name: str) -> dict[str, str]:
        """The environment in which a process reads its wall clock, and that alone, from libfaketime."""
        libraries = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            raise Failed("libfaketime is missing: apt-get install faketime")
        return {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._outside / f"{name}.clock"),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # the fix is for older C libraries: with it a waiting thread spins
            "FAKETIME_CACHE_DURATION": "1",
        }

    def _spawn(self, arguments: Sequence[str], said: Path, further: Mapping[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "watti", *arguments]
        with said.open("ab") as file:
            return subprocess.Popen(
                command, env={**_environment(), **further}, stdout=file, stderr=file, process_group=0
            )

    def _watti_bench(self, switches: str) -> subprocess.Popen[bytes]:
        options = ["--headless", "--dir", str(self.disk), "--switches", ",".join(switches)]
        command = [sys.executable, str(_TOOLS / "endurance_bench.py"), "bench", *options]
        with (self._outside / "bench.said").open("ab") as file:
            return subprocess.Popen(command, env=_environment(), stdout=file, stderr=file, process_group=0)

    def _take_over(self) -> None:
        """The stations that the bench has started give way to the driver's."""
        pids = {name: row["pid"] for name, row in self.look().items()}
        for pid in pids.values():
            os.kill(pid, SIGKILL)
        self.wait(lambda rows: not any(row["pid"] for row in rows.values()), READY_S, "they were not killed")
        self.start(*self.names)

    def end(self) -> list[str]:
        """End it in order; what is then in its folder."""
        self._end_processes()
        return sorted(path.name for path in self.disk.iterdir())

    def _end(self) -> None:
        self._end_processes()
        subprocess.run(["umount", "--lazy", self.disk], check=True)

    def _end_processes(self) -> None:
        """The bench last: it removes what the stations have let go."""
        for processes in (self._stations.values(), self._adapters.values(), [self._bench]):
            for process in processes:
                process.terminate()
                process.send_signal(SIGCONT)
            for process in processes:
                process.wait()
        self._stations.clear()
        self._adapters.clear()


def told(rows: Rows) -> str:
    """How stations stand, for people."""
    return "".join(f"\n  {name}: {_told(row)}" for name, row in rows.items())


def _told(row: Mapping[str, Any]) -> str:
    firmware = row["firmware"] or {}
    says = ", ".join(f"{key} {firmware[key]}" for key in ("role", "reason", "faults", "why") if firmware.get(key))
    contactor = "closed" if row["closed"] else "open"
    return (
        f"{row['letter']}, {contactor}, offered {row['offered_a']:.1f}, drawn {row['drawn_a']:.1f} A, {says or 'off'}"
    )


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(_TOOLS.parent), str(_TOOLS)])}


def _until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + READY_S
    while not done():
        if time.monotonic() > give_up:
            raise Failed("it did not come")
        time.sleep(LOOK_S)
