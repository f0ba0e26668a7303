"""The plants of a bench behind their socket, and the live screen that looks at them."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from select import select
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from hal.simulated.plant import Plant
from hal.simulated.remote import ask
from hal.simulated.server import PlantServer, listen
from watti.page import Page

SWITCHES = (0xB, 0xF, 0xF, 0xF, 0xF)
WIDE, NARROW = (120, 40), (80, 24)
PATIENCE_S = 20.0
VIEW = {"role": "secondary", "limit_a": 48.0, "reason": "share", "fault": "", "why": "", "bus": None}
STATION = '[station]\nmodel = "48A"\n\n[bus]\nport = "none"\n\n[board]\nkind = "simulated"\n'

Play = Callable[[Pilot[int]], Awaitable[None]]


class Desk:
    """The plants of a bench behind their socket, pumped by a thread."""

    def __init__(self, folder: Path, switches: tuple[int, ...] = SWITCHES) -> None:
        self.folder = folder
        self.socket = folder / "bench.sock"
        self.cut: list[tuple[str, bool]] = []
        (folder / "log").mkdir()
        (folder / "stations").mkdir()
        names = [f"s{number}" for number in range(1, len(switches) + 1)]
        for name in names:
            (folder / "stations" / f"{name}.toml").write_text(STATION)
        plants = {name: Plant(switch, dead_man_s=600.0) for name, switch in zip(names, switches, strict=True)}
        self._server = PlantServer(listen(self.socket), plants, time.monotonic(), self._port)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._pump)
        self._thread.start()
        self._stations: dict[str, socket.socket] = {}

    def _port(self, name: str, works: bool) -> None:
        self.cut.append((name, works))

    def _pump(self) -> None:
        server = self._server
        while True:
            due = min(1.0, max(0.0, server.next_wakeup() - time.monotonic()))
            ready, writable, _ = select([self._stopped.fileno(), *server.filenos()], server.backlog(), [], due)
            if self._stopped.fileno() in ready:
                return
            server.pump(time.monotonic(), {*ready, *writable})

    def status(self) -> dict[str, dict[str, Any]]:
        return {status["station"]: status for status in ask(self.socket, {"do": "status"})["stations"]}

    def attach(self, name: str, **view: object) -> None:
        """A process of this station comes and says how it is."""
        station = self._stations[name] = socket.socket(socket.AF_UNIX)
        station.connect(str(self.socket))
        self.drive(name, {"do": "attach", "station": name, "pid": 1}, {"do": "refresh"})
        self.say(name, **view)

    def say(self, name: str, **view: object) -> None:
        """How it is, from a process that is there."""
        self.drive(name, {"do": "view", "view": VIEW | view})

    def drive(self, name: str, *verbs: dict[str, object]) -> None:
        for verb in verbs:
            self._stations[name].sendall(json.dumps(verb | {"drops": 0}).encode() + b"\n")

    def stop(self) -> None:
        """The bench goes."""
        if self._thread.is_alive():
            self._stop.send(b"x")
            self._thread.join()
            self._server.close()
            self.socket.unlink()

    def close(self) -> None:
        self.stop()
        for end in (self._stop, self._stopped, *self._stations.values()):
            end.close()

    def play(self, play: Play, size: tuple[int, int] = WIDE) -> Page:
        """Show the screen and do something with it."""
        page = Page(self.folder)

        async def run() -> None:
            async with page.run_test(size=size) as pilot:
                await wait_for(pilot, lambda: bool(tiles(page)))
                await play(pilot)

        asyncio.run(run())
        return page


async def wait_for(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "it did not happen:\n" + shown(pilot)
        await pilot.pause(0.02)


def tiles(page: Page) -> list[str]:
    return [str(tile.content) for tile in page.screen_stack[0].query(".tile").results(Static)]


def part(pilot: Pilot[int], selector: str) -> str:
    return str(pilot.app.screen_stack[0].query_one(selector, Static).content)


def shown(pilot: Pilot[int]) -> str:
    """All that stands on the screen, line by line."""
    screen = pilot.app.screen
    return "\n".join("".join(segment.text for segment in strip) for strip in screen._compositor.render_strips())


def said(pilot: Pilot[int]) -> list[str]:
    """The messages that have popped up."""
    return [notice.message for notice in pilot.app._notifications]


def tiles_of(pilot: Pilot[int]) -> list[str]:
    assert isinstance(pilot.app, Page)
    return tiles(pilot.app)
