"""`watti bench`: a line, a plant and a firmware process for each station, in real time.

This process is the physical world: the line and the plants. Stations are processes of their own, so that one
can be killed or stopped without taking its outputs along. So is the live screen, which must not hold up the line.
"""

import os
import random
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from math import inf
from pathlib import Path
from select import select
from signal import SIGCHLD, SIGCONT, SIGINT
from signal import Signals as SignalNames
from typing import Any

from firmware.runtime import Signals
from hal.simulated.plant import Plant
from hal.simulated.ptys import PtyLine
from hal.simulated.server import PlantServer, listen
from watti.names import held
from watti.page_process import INTERRUPTED, QUIT, PageProcess, can_show
from watti.screen import Row, Screen, row, table
from watti.where import bench_dir

DRAW_S = 0.5
PATIENCE_S = 2.0


def run(args: Namespace) -> int:
    """`args`: switches, models, baud, dir, headless, duration (s, or None)."""
    signals = Signals(SIGCHLD)
    folder = bench_dir(args.dir).absolute()
    names = [f"s{number}" for number in range(1, len(args.switches) + 1)]
    with ExitStack() as stack:
        stack.callback(signals.close)
        line = PtyLine(folder, len(names) + 1, args.baud, random.Random())
        stack.callback(line.close)
        _clear(folder, names)
        listener = listen(folder / "bench.sock")
        server = PlantServer(listener, _plants(names, args.switches), time.monotonic(), _bus_port(line, names))
        stack.callback((folder / "bench.sock").unlink, missing_ok=True)
        stack.callback(server.close)
        bench = Bench(folder, line, server, signals)
        stack.callback(bench.close)
        bench.start(names, args)
        if not args.headless and sys.stdout.isatty():
            bench.show()
        return bench.run(inf if args.duration is None else time.monotonic() + args.duration)


def _plants(names: Sequence[str], switches: Sequence[int]) -> dict[str, Plant]:
    return {name: Plant(switch) for name, switch in zip(names, switches, strict=True)}


def _bus_port(line: PtyLine, names: Sequence[str]) -> Callable[[str, bool], None]:
    """What makes the port of a station vanish and come back."""

    def change(name: str, works: bool) -> None:
        (line.restore if works else line.hang_up)(names.index(name))

    return change


def _clear(folder: Path, names: Sequence[str]) -> None:
    """These stations are new: they remember nothing. Raises `NameTaken`."""
    for part in ("state", "log", "stations"):
        try:
            (folder / part).mkdir(exist_ok=True)
        except FileExistsError:
            raise OSError(f"{folder / part} is a file where a folder is needed: move it away, or give --dir") from None
    for name in names:
        with held(folder, name):
            _forget(folder, name)


def _forget(folder: Path, name: str) -> None:
    """What a station remembers is of no use to the next bench."""
    for kept in (f"{name}.json", f"{name}.session.json"):
        (folder / "state" / kept).unlink(missing_ok=True)


class Bench:
    """What runs, and what is said about it."""

    def __init__(self, folder: Path, line: PtyLine, server: PlantServer, signals: Signals) -> None:
        self._folder = folder
        self._line = line
        self._server = server
        self._signals = signals
        self._page: PageProcess | None = None
        self._screen: Screen | None = None
        """The plain table, where there is no live screen."""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: dict[str, str] = {}
        """By station: how its process has ended, in a sentence."""
        self._shown: dict[str, Row] = {}
        self._began = self._draw_at = time.monotonic()

    def start(self, names: Sequence[str], args: Namespace) -> None:
        """One process for each station, and the lines that say where everything is."""
        print(f"bench in {self._folder}: {len(names)} stations on a line at {args.baud} baud, 8E1")
        for name, switch, model, port in zip(names, args.switches, args.models, self._line.paths, strict=False):
            print(f"  {name}  switch {switch:X}, {model}, {port}")
            config = self._configure(name, model, args.baud, port)
            self._processes[name] = self._spawn(name, config)
        print(f"  free port: {self._line.paths[-1]}; logs: {self._folder / 'log'}")
        watti, where = os.environ.get("WATTI_COMMAND", "watti"), "" if args.dir is None else f" --dir {args.dir}"
        acts = ", ".join(f"{watti} {words}{where}" for words in ("status", "plug s2", "switch s1 6"))
        print(f"look and act from another terminal: {acts}", flush=True)

    def show(self) -> None:
        """Show the stations on this terminal, live where that is possible, else as a table."""
        if can_show():
            self._page = PageProcess(self._folder)
        else:
            self._screen = Screen()

    def run(self, until: float) -> int:
        """Until the time is up, a signal asks for the end, or the user quits the screen; the exit code."""
        while True:
            self._turn(until)
            now = time.monotonic()
            numbers = self._signals.received()
            if SIGCHLD in numbers:
                self._reap()
            asked = [number for number in numbers if number != SIGCHLD]
            if asked:
                return INTERRUPTED if asked[0] == SIGINT else 0
            code = self._page_ended()
            if code is not None or now >= until:
                return code or 0
            if now >= self._draw_at:
                self._draw_at = now + DRAW_S
                self._show(now)

    def close(self) -> None:
        """End the screen, then all stations: politely first, and also those that have been stopped."""
        if self._page is not None:
            self._page.close()
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
                process.send_signal(SIGCONT)
        give_up = time.monotonic() + PATIENCE_S
        for process in self._processes.values():
            try:
                process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in self._processes:
            (self._folder / "stations" / f"{name}.toml").unlink(missing_ok=True)
            _forget(self._folder, name)
        for part in ("stations", "state"):
            with suppress(OSError):  # somebody else keeps something there
                (self._folder / part).rmdir()

    # Stations

    def _configure(self, name: str, model: str, baud: int, port: Path) -> Path:
        path = self._folder / "stations" / f"{name}.toml"
        path.write_text(
            f'[station]\nmodel = "{model}"\nname = "{name}"\n\n[bus]\nport = "{port}"\nbaud = {baud}\n\n'
            '[board]\nkind = "simulated"\n'
        )
        return path

    def _spawn(self, name: str, config: Path) -> subprocess.Popen[bytes]:
        """Start a station in a process group of its own, so that Ctrl-C is the bench's alone."""
        arguments = [sys.executable, "-m", "watti", "run", str(config), "--dir", str(self._folder)]
        with (self._folder / "log" / f"{name}.log").open("wb") as log:
            return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)

    def _reap(self) -> None:
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None and name not in self._ended:
                config = self._folder / "stations" / f"{name}.toml"
                self._ended[name] = f"process ended ({_how(code)}); again: watti run {config} --dir {self._folder}"
                self._event(name, self._ended[name])

    def _page_ended(self) -> int | None:
        """The exit code of the bench when the user has quit the live screen. One that failed is replaced."""
        code = None if self._page is None else self._page.ended()
        if self._page is None or code in (None, QUIT, INTERRUPTED):
            return code
        print(f"the live screen has ended ({_how(code)}), see {self._page.log}; the bench goes on", flush=True)
        self._page, self._screen = None, Screen()
        return None

    # Time

    def _turn(self, until: float) -> None:
        line, server = self._line, self._server
        due = min(line.next_wakeup(), server.next_wakeup(), self._draw_at, until)
        timeout = max(0.0, due - time.monotonic())
        reading = [self._signals.fileno(), *line.filenos(), *server.filenos()]
        readable, writable, _ = select(reading, server.backlog(), [], timeout)
        now = time.monotonic()
        line.pump(now)
        server.pump(now, {*readable, *writable})

    # What is seen

    def _show(self, now: float) -> None:
        rows = [row(status) for status in self._server.status(now)]
        for entry in rows:
            self._compare(entry)
        if self._screen is not None:
            gone = [entry["station"] for entry in rows if entry["pid"] is None]
            ends = [f"{name}: {self._ended[name]}" for name in gone if name in self._ended]
            self._screen.draw([*table(rows), *ends])

    def _compare(self, entry: Row) -> None:
        """Say what is new about a station, where there is no screen to see it on."""
        name = entry["station"]
        before, self._shown[name] = self._shown.get(name), entry
        if before is None or entry["pid"] is None:
            return
        for key in ("alive", "role", "fault"):
            if entry[key] != before[key]:
                self._event(name, self._words(key, entry[key]))

    def _event(self, name: str, what: str) -> None:
        if self._screen is None and self._page is None:
            print(f"{time.monotonic() - self._began:8.1f} s  {name}: {what}", flush=True)

    @staticmethod
    def _words(key: str, value: Any) -> str:
        if key == "alive":
            return "up" if value else "does not answer"
        return f"{key} {value or 'gone'}"


def _how(code: int) -> str:
    """How a process has ended, by its return code."""
    return f"exit {code}" if code >= 0 else SignalNames(-code).name
