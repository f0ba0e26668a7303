"""How the live screen draws things: stations as cards or as two lines, the circuit's bar, the bus."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from textual.content import Content

from firmware.config import MODELS
from firmware.protection import BY_CODE
from watti import page_words
from watti.screen import Row, sentence

CARD_WIDTH, CARD_HEIGHT, LINES_HEIGHT = 24, 15, 2
"""Cells of a card with its frame; of a station in two lines."""
_CARD_TEXT = 3
"""Lines of a card for reason and fault."""

STATION_COLOURS = ("#56B4E9", "#E69F00", "#00B587", "#F0E442", "#D98FBB")
"""Told apart by colour-blind people too (Okabe and Ito, the dark ones lightened for a dark ground)."""
_LAMPS = {
    "off": "#606060",
    "white": "#FFFFFF",
    "green": "#00B587",
    "blue": "#4FA8FF",
    "amber": "#FFB000",
    "red": "#FF5A4F",
}
FAULT, _DIM = "bold #FF5A4F", "#8A93A0"
_AMBER = "bold #FFB000"

Piece = str | tuple[str, str]


def colour(index: int) -> str:
    """Of the station at this place."""
    return STATION_COLOURS[index % len(STATION_COLOURS)]


# One station


def card(row: Row, model: str, index: int) -> Content:
    """The inside of a card: `CARD_WIDTH` less frame and padding wide."""
    width = CARD_WIDTH - 4
    dial = [("╭───╮", _DIM), ("│", _DIM), ("╰───╯", _DIM)]
    pieces: list[Piece] = [
        *(dial[0], f" {row['role']}\n"),
        *(dial[1], (f" {row['switch']} ", f"bold #101418 on {colour(index)}"), dial[1], f" {model}\n"),
        *(dial[2], " ", *_lamp(row), "\n"),
        *((row["state"], "bold"), f" {page_words.state(row)}".ljust(width - len(row["state"])), "\n"),
        *(("vehicle ", _DIM), f"{_cut(row['vehicle'] or '-', width - 8):>{width - 8}}\n"),
        *(("offered ", _DIM), f"{row['offered_a']:>{width - 10}.1f} A\n"),
        *(("drawn   ", _DIM), (f"{row['drawn_a']:>{width - 10}.1f} A\n", "bold")),
        *(*_bar(row, model, index, width), "\n"),
        *_card_text(row, width),
        *(("session ", _DIM), f"{_session(row):>{width - 8}}\n"),
        *(("inside  ", _DIM), f"{_celsius(row):>{width - 8}}"),
    ]
    return Content.assemble(*pieces)


def lines(row: Row, model: str, index: int, chosen: bool, width: int) -> Content:
    """A station in two lines."""
    lamp = _lamp(row)
    first: list[Piece] = [
        ("▶" if chosen else " ", "bold"),
        (f"{_cut(row['station'], 4):<4}", f"bold {colour(index)}"),
        (f" {row['switch']} ", f"bold #101418 on {colour(index)}"),
        (f" {row['state']:<3} ", "bold"),
        f"{_cut(page_words.state(row), 16):<16} ",
        lamp[0],
        f"{_cut(lamp[1], 10):<10} ",
        f"{_cut(row['vehicle'] or '-', 12):<12} ",
        (f"{row['offered_a']:>5.1f} A offered", ""),
        (f"{row['drawn_a']:>6.1f} A", "bold"),
        "\n",
    ]
    end: list[Piece] = _bar(row, model, index, 18)
    figures = f" {_session(row):>8} {_celsius(row):>5}"
    room = max(0, width - 6 - 18 - len(figures))
    if row["fault"]:
        first += ["      ", *_fault(row, width - 6)]
    else:
        role = f"{row['role']} {model}, {page_words.reason(row)}"
        first += [f"      {_cut(role, room - 1):<{room}}", *end, figures]
    return Content.assemble(*first)


def detail(row: Row, injected: Sequence[str], again: str, width: int) -> Content:
    """What is to say of the station that is chosen, in one line. `again`: the command that starts its process."""
    pieces: list[Piece] = [(f"{row['station']}  ", "bold")]
    broken = f"  broken on purpose: {', '.join(injected)}" if injected else ""
    if row["fault"]:
        pieces += _fault(row, width - len(row["station"]) - 2 - len(broken))
    elif row["pid"] is None:
        pieces.append(f"{page_words.reason(row)}; again: {again}")
    else:
        pieces.append(f"offers {row['offered_a']:.1f} A of {row['limit_a']:.1f} A: {page_words.reason(row)}")
    pieces.append((broken, _AMBER))
    return Content.assemble(*pieces)


def _lamp(row: Row) -> tuple[Piece, str]:
    """The lamp as a dot, and in words."""
    if not row["lamp"]:
        return ("○", _DIM), " lamp off"
    return ("●", _LAMPS.get(row["lamp"].split()[0], "")), f" {row['lamp']}"


def _bar(row: Row, model: str, index: int, width: int) -> list[Piece]:
    """What is drawn, up to what is offered, up to the model's rating."""
    rating_a = MODELS[model]
    drawn = min(width, round(row["drawn_a"] / rating_a * width))
    offered = max(drawn, min(width, round(row["offered_a"] / rating_a * width)))
    return [
        ("█" * drawn, colour(index)),
        ("▒" * (offered - drawn), colour(index)),
        ("·" * (width - offered), _DIM),
    ]


def _card_text(row: Row, width: int) -> list[Piece]:
    """Why it offers what it offers, or its fault, in as many lines as there are."""
    said, style = page_words.reason(row), ""
    if row["fault"]:
        said, style = f"✖ {row['fault']}: {sentence(row)}", FAULT
    folded = wrap(said, width, max_lines=_CARD_TEXT, placeholder=" …")
    folded += [""] * (_CARD_TEXT - len(folded))
    return [("\n".join(folded) + "\n", style)]


def _fault(row: Row, width: int) -> list[Piece]:
    """The fault in one line, and how many more there are."""
    others = len(row["faults"]) - 1
    more = f" (+{others} more)" if others > 0 else ""
    return [(_cut(f"✖ {_code(row)}: {sentence(row)}", width - len(more)), FAULT), (more, _AMBER)]


def _code(row: Row) -> str:
    """The fault, with what the lamp shows for it where the lamp shows another one or nobody says."""
    fault = BY_CODE.get(row["fault"])
    lamp = row["lamp"] or (fault.light.words if fault else "")
    return f"{row['fault']} ({lamp})" if lamp else row["fault"]


def _session(row: Row) -> str:
    return f"{row['session']['energy_kwh']:.1f} kWh" if row["session"] else "-"


def _celsius(row: Row) -> str:
    return "-" if row["celsius"] is None else f"{row['celsius']:.0f} °C"


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[: max(0, width - 1)] + "…"


# All of them


def limit_a(rows: Sequence[Row]) -> float | None:
    """The circuit's limit, the lowest of those that its primaries know; None where there is none."""
    limits = [row["limit_a"] for row in rows if row["role"] in ("primary", "standalone") and row["limit_a"]]
    return min(limits, default=None)


def circuit(rows: Sequence[Row], coming_down: bool, width: int) -> Content:
    """Two lines: the figures, and a bar of all stations against the limit. `coming_down`: the limit has been lowered
    within the release time, so the total may still be above it."""
    total_a = sum(row["drawn_a"] for row in rows)
    limit = limit_a(rows)
    scale_a = max(total_a, limit or 0.0, 1.0)
    pieces = [*_figures(total_a, sum(row["offered_a"] for row in rows), limit, coming_down), "\n"]
    done_a, cells = 0.0, 0
    for index, row in enumerate(rows):
        done_a += row["drawn_a"]
        end = round(done_a / scale_a * width)
        pieces.append((_segment(row["station"], end - cells), f"bold #101418 on {colour(index)}"))
        cells = end
    pieces.append(("░" * (width - cells), _DIM))
    return Content.assemble(*pieces)


def _segment(name: str, width: int) -> str:
    return name.center(width) if len(name) <= width else " " * width


def _figures(total_a: float, offered_a: float, limit: float | None, coming_down: bool) -> list[Piece]:
    drawn = f"{total_a:.1f} A drawn"
    if limit is None:
        return [(drawn, "bold"), ", no limit known: no primary is there"]
    above = total_a - limit
    pieces: list[Piece] = [(drawn, FAULT if above > 0.05 and not coming_down else "bold"), f" of {limit:.1f} A"]
    if above > 0.05:
        said = (f"  coming down by {above:.1f} A", _AMBER) if coming_down else (f"  {above:.1f} A ABOVE", FAULT)
        return [*pieces, said]
    return [*pieces, f", {offered_a:.1f} A offered, {max(0.0, -above):.1f} A not drawn"]


def bus(rows: Sequence[Row], hints: Sequence[str]) -> Content:
    """How the line does, and what to look at."""
    primary = next((row["bus"] for row in rows if row["bus"] and row["bus"].get("members") is not None), None)
    if primary is None:
        pieces: list[Piece] = ["nobody polls"]
    else:
        crc_errors = sum(row["bus"]["crc_errors"] for row in rows if row["bus"])
        pieces = [
            f"{primary['polls']} polls in cycles of {primary['cycle_s_p50'] * 1000:.0f} ms, ",
            f"{primary['missed']} missed, {crc_errors} CRC errors",
        ]
    pieces += [(f"\n⚠ {hint}", _AMBER) for hint in hints]
    return Content.assemble(*pieces)


def members(counters: Mapping[str, page_words.Counted]) -> Content:
    """The counters of each station's bus, a line each."""
    head = [(f"\n{'':<5}{'polls':>8}{'missed':>8}{'CRC':>6}", _DIM)]
    body = [
        f"\n{name:<5}{polls:>8}{missed:>8}{crc_errors:>6}" for name, (polls, missed, crc_errors) in counters.items()
    ]
    return Content.assemble(*head, *body)
