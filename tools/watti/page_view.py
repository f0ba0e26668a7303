"""What the live screen shows: the circuit, a tile for each station, events and the bus."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import clamp
from textual.widgets import Static

from firmware.timing import Timing
from hal.clock import boot_id
from watti import page_tiles
from watti.board_file import read_station
from watti.log_words import sentence
from watti.logs import Record
from watti.page_words import BusWatch, counted, names_by_serial
from watti.screen import Row, row

EVENTS = 100
"""So many events are remembered."""
LEAST_EVENTS = 4
"""Lines that are left for them however many stations there are."""
_AROUND_CARDS = 7
"""Lines of the circuit with its frame, the detail, and the frame of the events."""

Status = Mapping[str, Any]


class Tile(Static):
    """One station. A click chooses it."""

    def __init__(self, place: int) -> None:
        super().__init__(classes="tile", markup=False)
        self._place = place
        self.styles.border_title_color = page_tiles.colour(place)
        self.styles.border_title_style = "bold"

    async def on_click(self) -> None:
        await self.run_action(f"screen.choose({self._place})")


class View(Vertical):
    """All but the keys. Drawn anew where something has changed."""

    DEFAULT_CSS = """
    View { height: 1fr; }
    View Static { text-wrap: nowrap; text-overflow: ellipsis; }
    #circuit { height: 2; }
    #stations { layout: grid; grid-size: 1; scrollbar-size-vertical: 1; }
    #detail { height: 1; }
    #below { height: 1fr; }
    #events { width: 3fr; height: 100%; }
    #bus { width: 2fr; height: 100%; }
    .chosen { background: $panel; }
    View.-lines #detail { display: none; }
    View.-lines #below { layout: vertical; }
    View.-lines #bus { width: 100%; height: auto; max-height: 3; }
    View.-lines #events { width: 100%; height: 1fr; }
    View.-cards #circuit { height: 4; border: round $primary; padding: 0 1; }
    View.-cards #detail { padding: 0 2; }
    View.-cards .tile { border: round $foreground 30%; padding: 0 1; }
    View.-cards .tile.chosen { border: heavy $foreground; }
    View.-cards #events, View.-cards #bus { border: round $primary; padding: 0 1; }
    View.-cards #bus { text-wrap: wrap; }
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: of the bench, with a file for each station."""
        super().__init__()
        self._circuit = Static(id="circuit", markup=False)
        self._grid = VerticalScroll(id="stations", can_focus=False)
        self._detail = Static(id="detail", markup=False)
        self._bus = Static(id="bus", markup=False)
        self._events = Static(id="events", markup=False)
        self._folder = folder
        self._models = {path.stem: read_station(path).model for path in (folder / "stations").glob("*.toml")}
        self._statuses: dict[str, Status] = {}
        self._tiles: list[Tile] = []
        self._place = 0
        self._row_length = 1
        self._told: deque[Content] = deque(maxlen=EVENTS)
        self._names = names_by_serial(list(self._models))
        self._boot = boot_id()
        self._watch = BusWatch()
        self._hints: Sequence[str] = ()
        self._limit_a: float | None = None
        self._down_until = -math.inf

    def compose(self) -> ComposeResult:
        self._circuit.border_title = "Circuit"
        self._bus.border_title = "Bus"
        self._events.border_title = "Events"
        yield self._circuit
        yield self._grid
        yield self._detail
        with Horizontal(id="below"):
            yield self._bus
            yield self._events

    @property
    def chosen(self) -> Status | None:
        """How the station stands that is chosen; None before the bench has answered."""
        return list(self._statuses.values())[self._place] if self._statuses else None

    def status(self, name: str) -> Status:
        """How a station stands."""
        return self._statuses[name]

    # What is new

    async def take(self, statuses: Sequence[Status], records: Sequence[Record], began: float) -> None:
        """All stations, and the records of their logs that are new. `began`: when the bench began, monotonic s."""
        for status in statuses:
            known = self._statuses.get(status["station"], status)
            self._statuses[status["station"]] = max(known, status, key=_asked_at)  # an act may have been answered since
        rows = self._rows()
        if not self._tiles:
            self._tiles = [Tile(place) for place in range(len(rows))]
            self._arrange()
            await self._grid.mount_all(self._tiles)
        t_s = rows[0]["t_s"]
        self._hints = self._watch.update(rows, t_s)
        self._judge_limit(page_tiles.limit_a(rows), t_s)
        self._hear(records, began)
        self._draw()

    def replace(self, status: Status) -> None:
        """What has been done to one station shows at once."""
        self._statuses[status["station"]] = status
        self._draw()

    def choose(self, place: int) -> None:
        """Choose a station by its place from 0; nothing where there is none."""
        if 0 <= place < len(self._tiles):
            self._place = place
            self._tiles[place].scroll_visible(animate=False)
            self._draw()

    def move(self, by: int, vertically: bool) -> None:
        """Choose the next one (1) or the one before (-1), or the next row's."""
        if vertically and 1 < self._row_length < len(self._tiles):
            self.choose(self._place + by * self._row_length)
        elif self._tiles:
            self.choose((self._place + by) % len(self._tiles))

    def _judge_limit(self, limit_a: float | None, t_s: float) -> None:
        """A limit that is lowered binds one release time later."""
        if limit_a is not None:
            if self._limit_a is not None and limit_a < self._limit_a:
                self._down_until = t_s + Timing().release_s
            self._limit_a = limit_a

    def _hear(self, records: Sequence[Record], began: float) -> None:
        """Take in the events of this bench: a folder may have logs of earlier ones."""
        for record in sorted(records, key=lambda record: float(record["t_s"])):
            at = record["t_s"] - began
            if record["boot"] == self._boot and at >= 0:
                style = page_tiles.FAULT if record["event"] == "fault" else ""
                said = (f"{record['station']:<4} {sentence(record, self._names)}\n", style)
                self._told.append(Content.assemble((f"{at:8.1f} s  ", "dim"), said))

    def _rows(self) -> list[Row]:
        return [row(status) for status in self._statuses.values()]

    # Drawing

    def on_resize(self) -> None:
        if self._tiles:
            self._arrange()
            self._draw()

    def _arrange(self) -> None:
        """Cards where there is room for them, else two lines a station."""
        width, height = self.size
        columns = clamp(width // page_tiles.CARD_WIDTH, 1, len(self._tiles))
        cards = math.ceil(len(self._tiles) / columns) * page_tiles.CARD_HEIGHT
        roomy = cards + _AROUND_CARDS + LEAST_EVENTS <= height
        self.set_class(roomy, "-cards")
        self.set_class(not roomy, "-lines")
        self._row_length = columns if roomy else 1
        tall = page_tiles.CARD_HEIGHT if roomy else page_tiles.LINES_HEIGHT
        self._grid.styles.grid_size_columns = self._row_length
        self._grid.styles.grid_rows = (tall,)
        natural = math.ceil(len(self._tiles) / self._row_length) * tall
        self._grid.styles.height = min(natural, max(tall, height - LEAST_EVENTS - 3))

    def _draw(self) -> None:
        rows, cards = self._rows(), self.has_class("-cards")
        for place, (entry, tile) in enumerate(zip(rows, self._tiles, strict=True)):
            self._draw_tile(tile, entry, place, cards)
        coming_down = rows[0]["t_s"] < self._down_until
        _update(self._circuit, page_tiles.circuit(rows, coming_down, self._circuit.content_size.width))
        self._draw_detail(rows[self._place])
        bus = page_tiles.bus(rows, self._hints)
        _update(self._bus, bus + page_tiles.members(counted(rows)) if cards else Content("bus: ") + bus)
        self._draw_events()

    def _draw_tile(self, tile: Tile, entry: Row, place: int, cards: bool) -> None:
        chosen, model = place == self._place, self._models[entry["station"]]
        tile.set_class(chosen, "chosen")
        title = ("▶ " if chosen else "") + entry["station"]
        if tile.border_title != title:
            tile.border_title = title
        if cards:
            _update(tile, page_tiles.card(entry, model, place))
        else:
            _update(tile, page_tiles.lines(entry, model, place, chosen, self.size.width - 1))

    def _draw_detail(self, entry: Row) -> None:
        name = entry["station"]
        again = f"watti run {self._folder / 'stations' / name}.toml --dir {self._folder}"
        injected = self._statuses[name]["injected"]
        _update(self._detail, page_tiles.detail(entry, injected, again, self._detail.content_size.width))

    def _draw_events(self) -> None:
        room = max(1, self._events.content_size.height)
        _update(self._events, Content.assemble(*list(self._told)[-room:]))


def _asked_at(status: Status) -> float:
    t_s: float = status["t_s"]
    return t_s


def _update(widget: Static, content: Content) -> None:
    """Draw what differs, and nothing else: an idle bench costs next to nothing."""
    shown = widget.content
    if not isinstance(shown, Content):
        widget.update(content)
    elif not shown.is_same(content):
        # A layout draws everything; the only height that follows its content is the bus's, line by line.
        widget.update(content, layout=shown.plain.count("\n") != content.plain.count("\n"))
