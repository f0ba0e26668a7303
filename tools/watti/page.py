"""The live screen of a bench: `python -m watti.page --dir DIR`, a client of its socket like any other.

It is a process of its own, so that drawing holds up neither the line nor the plants. Exit code 0 when the user quits
or the bench has gone, 130 after Ctrl-C; a failure's traceback goes to DIR/log/screen.log.
"""

import asyncio
import sys
import time
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import Footer

from firmware.config import ConfigError
from firmware.protection import BY_CODE
from firmware.rotary import Chart
from hal.simulated.remote import Refused, ask
from hal.simulated.vehicle_spec import VehicleSpec
from watti.logs import Logs
from watti.page_dialogs import Choice, Choose, Help
from watti.page_process import INTERRUPTED
from watti.page_view import Status, View
from watti.scenario import CONFIGS, DEFAULT_VEHICLE, FAULT_KINDS, load_vehicles

PERIOD_S = 0.4
ACTS = ("switch", "turn", "plug", "unplug", "fault", "clear")
"""What keys do to a station."""

_THEME = Theme(
    "watti",
    primary="#56B4E9",
    accent="#E69F00",
    error="#FF5A4F",
    warning="#FFB000",
    success="#00B587",
    foreground="#E6E9EE",
    background="#101418",
    surface="#171C22",
    panel="#202731",
)


class Bench(Screen[None]):
    """A bench as it stands, and what its keys do to it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "switch", "Switch"),
        Binding("plus,equals_sign", "turn(1)", "Turn on", show=False),
        Binding("minus", "turn(-1)", "Turn back", show=False),
        Binding("p", "plug", "Plug in"),
        Binding("u", "unplug", "Unplug"),
        Binding("f", "fault", "Fault"),
        Binding("c", "clear", "Clear faults"),
        Binding("question_mark", "help", "Help"),
        Binding("q", "app.end(0)", "Quit"),
        Binding("left,shift+tab", "move(-1)", show=False),
        Binding("right,tab", "move(1)", show=False),
        Binding("up", "move(-1, True)", show=False),
        Binding("down", "move(1, True)", show=False),
        *(Binding(str(number), f"choose({number - 1})", show=False) for number in range(1, 10)),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._socket = folder / "bench.sock"
        self._logs = Logs(folder / "log")
        self._view = View(folder)
        self._silent = False

    def compose(self) -> ComposeResult:
        yield self._view
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.run_worker(self._watch())

    # What the bench says

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(PERIOD_S)

    async def _look(self) -> None:
        try:
            answer = await asyncio.to_thread(ask, self._socket, {"do": "status"})
        except TimeoutError:
            if not self._silent:
                self.notify("the bench does not answer: its process stands still", severity="warning", markup=False)
            self._silent = True
        except OSError:  # it has gone
            self.app.exit(return_code=0)
        else:
            self._silent = False
            statuses = answer["stations"]
            began = time.monotonic() - statuses[0]["t_s"]
            news = await asyncio.to_thread(self._news)
            if self.is_attached:  # the user may have quit meanwhile
                first = self._view.chosen is None
                await self._view.take(statuses, news, began)
                if first:
                    self.refresh_bindings()

    def _news(self) -> list[Mapping[str, Any]]:
        try:
            return [record for records in self._logs.news() for record in records]
        except OSError:  # a log that can't be read has a fault of its own; the stations go on
            return []

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Before the bench has answered there is nothing to act on."""
        return self._view.chosen is not None or action not in ACTS

    @property
    def _chosen(self) -> Status:
        assert self._view.chosen is not None  # check_action
        return self._view.chosen

    def action_choose(self, place: int) -> None:
        self._view.choose(place)

    def action_move(self, by: int, vertically: bool = False) -> None:
        self._view.move(by, vertically)

    def action_switch(self) -> None:
        name, position = self._chosen["station"], self._chosen["switch"]
        choices = [
            Choice(f"{place:X}", f"{entry.amps} A" if entry.amps else "secondary", place == position)
            for place, entry in enumerate(Chart.load(CONFIGS / "rotary.toml").rows)
        ]
        self._ask(Choose(f"Turn the switch of {name} to", choices, f"{position:X}", quick=True), self._turn)

    async def action_turn(self, by: int) -> None:
        await self._turn(self._chosen["station"], f"{(self._chosen['switch'] + by) % 16:X}")

    def action_plug(self) -> None:
        try:
            vehicles = load_vehicles()
        except ConfigError as refused:  # somebody has just edited one
            self.notify("\n".join(refused.errors), severity="error", markup=False)
            return
        choices = [Choice(name, f"{spec.max_a:>3.0f} A  {_about(name)}") for name, spec in sorted(vehicles.items())]
        dialog = Choose(f"Plug into {self._chosen['station']}", choices, DEFAULT_VEHICLE)
        self._ask(dialog, partial(self._plug, vehicles))

    async def action_unplug(self) -> None:
        await self._do(self._chosen["station"], {"do": "unplug"}, "unplugging")

    def action_fault(self) -> None:
        name, injected = self._chosen["station"], self._chosen["injected"]
        choices = [Choice(kind, BY_CODE[kind].sentence, kind in injected) for kind in FAULT_KINDS]
        title = f"Break something of {name}; ✔ is broken: choose it to mend it"
        self._ask(Choose(title, choices, FAULT_KINDS[0]), self._break)

    async def action_clear(self) -> None:
        name = self._chosen["station"]
        for kind in FAULT_KINDS:
            if not await self._do(name, {"do": "clear", "kind": kind}):
                return
        self.notify(f"{name}: all is mended", markup=False)

    def action_help(self) -> None:
        self.app.push_screen(Help())

    # What is done

    def _ask(self, dialog: Choose, then: Callable[[str, str], Awaitable[None]]) -> None:
        """Show the list, and do what is chosen to the station that was chosen when it was shown."""
        self.app.push_screen(dialog, partial(self._answered, self._chosen["station"], then))

    async def _answered(self, name: str, then: Callable[[str, str], Awaitable[None]], word: str | None) -> None:
        if word is not None:
            await then(name, word)

    async def _turn(self, name: str, position: str) -> None:
        await self._do(name, {"do": "switch", "position": int(position, 16)}, f"switch at {position}")

    async def _plug(self, vehicles: Mapping[str, VehicleSpec], name: str, vehicle: str) -> None:
        await self._do(name, {"do": "plug", "vehicle": asdict(vehicles[vehicle])}, f"{vehicle} plugged in")

    async def _break(self, name: str, kind: str) -> None:
        broken = kind in self._view.status(name)["injected"]
        do, done = ("clear", "mended") if broken else ("fault", "broken")
        await self._do(name, {"do": do, "kind": kind}, f"{kind} {done}")

    async def _do(self, name: str, request: Mapping[str, Any], done: str = "") -> bool:
        """Ask the bench for it and say how it went. False when it was not done."""
        try:
            self._view.replace(await asyncio.to_thread(ask, self._socket, {**request, "station": name}))
        except Refused as refused:
            self.notify(f"{name}: {refused}", severity="error", markup=False)
        except TimeoutError:
            self.notify("the bench does not answer: nothing was done", severity="error", markup=False)
        except OSError:  # it has gone, and the next look finds it
            pass
        else:
            if done:
                self.notify(f"{name}: {done}", markup=False)
            return True
        return False


def _about(vehicle: str) -> str:
    """What its file says in its first line."""
    path = CONFIGS / "vehicles" / f"{vehicle}.toml"
    first = path.read_text().partition("\n")[0] if path.exists() else ""
    return first.removeprefix("#").strip() if first.startswith("#") else ""


class Page(App[int]):
    """The screen as a program."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", f"end({INTERRUPTED})", show=False, priority=True, system=True),
        Binding("ctrl+q", "end(0)", show=False, priority=True, system=True),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def get_default_screen(self) -> Bench:
        return Bench(self._folder)

    def on_mount(self) -> None:
        self.register_theme(_THEME)
        self.theme = _THEME.name

    def action_end(self, code: int) -> None:
        self.exit(return_code=code)


def main(arguments: Sequence[str]) -> int:
    """Show the bench until the user quits or it has gone."""
    parser = ArgumentParser(prog="watti.page", description="The live screen of a bench.")
    parser.add_argument("--dir", type=Path, required=True, help="folder of the bench")
    folder: Path = parser.parse_args(arguments).dir
    with (folder / "log" / "screen.log").open("w") as log, redirect_stderr(log):
        page = Page(folder)
        page.run()
    return page.return_code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
