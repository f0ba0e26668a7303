"""What `bench` and `status` show: stations as rows, in a plain table, redrawn in place on a terminal."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from firmware.protection import BY_CODE

Row = dict[str, Any]

_IDLE: Mapping[str, Any] = {
    "role": "none",
    "limit_a": 0.0,
    "reason": "idle",
    "fault": "",
    "why": "",
    "bus": None,
}
"""What a station without a process says."""
_COLUMNS = (
    ("station", "station", "<"),
    ("role", "role", "<"),
    ("switch", "switch", "<"),
    ("state", "state", "<"),
    ("offered_a", "offered", ">"),
    ("drawn_a", "drawn", ">"),
    ("limit_a", "limit", ">"),
    ("contactor", "contactor", "<"),
    ("reason", "reason", "<"),
    ("fault", "fault", "<"),
    ("note", "note", "<"),
    ("vehicle", "vehicle", "<"),
    ("pid", "pid", ">"),
    ("missed", "missed", ">"),
    ("crc_errors", "crc", ">"),
)
"""Key, heading and alignment; what matters least is cut off first where the terminal is narrow."""


def digit(position: int | None) -> str:
    """A position of the rotary switch; `?` where it can't be read."""
    return "?" if position is None else f"{position:X}"


def row(status: Mapping[str, Any]) -> Row:
    """A station as scripts get it, from what its server says: what happens as the plant has it, why as the
    firmware has it."""
    firmware = status["firmware"] or _IDLE
    return {
        "t_s": status["t_s"],
        "station": status["station"],
        "role": firmware["role"],
        "switch": digit(status["switch"]),
        "state": _state(status),
        "offered_a": round(status["offered_a"], 1),
        "drawn_a": round(status["drawn_a"], 2),
        "limit_a": firmware["limit_a"],
        "contactor": "closed" if status["closed"] else "open",
        "reason": firmware["reason"],
        "fault": firmware["fault"],
        "faults": firmware.get("faults", [firmware["fault"]] if firmware["fault"] else []),
        "why": firmware["why"],
        "lamp": status.get("lamp") if status["pid"] is not None else None,
        "celsius": status.get("celsius"),
        "energy_kwh": firmware.get("energy_kwh"),
        "session": firmware.get("session"),
        "vehicle": status["vehicle"],
        "pid": status["pid"],
        "alive": status["alive"],
        "bus": firmware["bus"],
    }


def _state(status: Mapping[str, Any]) -> str:
    if status["pid"] is None:
        return "off"
    letter: str = status["letter"]
    return letter if letter in "EF" else letter + ("2" if status["offered_a"] else "1")


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table, and below it what takes a sentence."""
    cells = [_cells(entry) for entry in rows]
    heads = [head for _, head, _ in _COLUMNS]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = [_line(entry, widths) for entry in (heads, *cells)]
    lines.append(f"{sum(entry['drawn_a'] for entry in rows):.2f} A drawn together")
    return lines + [_said(entry) for entry in rows if sentence(entry)]


def _cells(entry: Row) -> list[str]:
    bus = entry["bus"] or {"missed": None, "crc_errors": None}
    measured = {key: f"{entry[key]:.1f}" for key in ("offered_a", "drawn_a", "limit_a")}
    shown = {**entry, **bus, **measured, "note": _note(entry)}
    return ["-" if shown[key] is None else str(shown[key]) for key, _, _ in _COLUMNS]


def sentence(entry: Row) -> str:
    """What its firmware says of its fault, else what such a fault is; empty without one."""
    fault = BY_CODE.get(entry["fault"])
    return entry["why"] or ("" if fault is None else fault.sentence)


def _said(entry: Row) -> str:
    lamp = f" (lamp: {entry['lamp']})" if entry["lamp"] else ""
    return f"{entry['station']}: {sentence(entry)}{lamp}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (f"{cell:{align}{width}}" for cell, width, (_, _, align) in zip(cells, widths, _COLUMNS, strict=True))
    return " ".join(padded).rstrip()


def _note(entry: Row) -> str:
    """What is wrong with a station's process, in a word or two; empty when nothing is."""
    if entry["pid"] is None:
        return "no process"
    return "" if entry["alive"] else "does not answer"


class Screen:
    """Lines that are written again and again at the same place. What stood above them stays."""

    def __init__(self) -> None:
        self._height = 0
        self._size = shutil.get_terminal_size()

    def draw(self, lines: Sequence[str]) -> None:
        """Replace what was drawn last; what does not fit is cut off."""
        size = shutil.get_terminal_size()
        fitting = [line[: size.columns - 1] for line in lines[: size.lines - 1]]
        # After a change of size nobody knows where the last lines stand, wrapped anew: go on below them.
        above = f"\x1b[{self._height}A" if self._height and size == self._size else ""
        self._size, self._height = size, len(fitting)
        sys.stdout.write(above + "\r" + "".join(f"{line}\x1b[K\n" for line in fitting) + "\x1b[J")
        sys.stdout.flush()
