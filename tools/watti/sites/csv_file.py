"""CSV files of a site's scenario: a line of headings, then rows; every error with its file and line."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import voluptuous as vol

from firmware.config import Check, ConfigError, Fields, expected, table

Row = Mapping[str, Any]
Columns = Callable[[Sequence[str]], Fields]
"""What the cells of each column must be, for these headings. Raises `vol.Invalid`."""


def read_rows(path: Path, columns: Columns, errors: list[str]) -> list[tuple[int, Row]]:
    """The rows of a file with their line numbers, empty cells left out; all that is wrong joins `errors`.

    A row with an error is left out. Nothing is read on after headings that are refused.
    """
    try:
        lines = list(_lines(path))
        heading = lines[0][1] if lines else []
        check = table(columns(heading))
    except ConfigError as refused:
        errors += refused.errors
        return []
    except vol.Invalid as refused:
        errors.append(f"{path}: line 1: {refused.msg}")
        return []
    return list(_checked(path, lines[1:], heading, check, errors))


def _lines(path: Path) -> Iterable[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    except (UnicodeDecodeError, csv.Error) as error:
        reason = f"not CSV: {error}"
    else:
        return rows
    raise ConfigError([f"{path}: {reason}"])


def _checked(
    path: Path, lines: Iterable[tuple[int, list[str]]], heading: Sequence[str], check: Check, errors: list[str]
) -> Iterable[tuple[int, Row]]:
    for number, cells in lines:
        if len(cells) != len(heading):
            errors.append(f"{path}: line {number}: expected {len(heading)} cells, as in line 1 (got {len(cells)})")
            continue
        try:
            yield number, check({key: cell for key, cell in zip(heading, cells, strict=True) if cell})
        except vol.MultipleInvalid as refused:
            errors += (f"{path}: line {number}: {error.path[0]}: {error.msg}" for error in refused.errors)


def headings(got: Sequence[str], needed: Iterable[str], allowed: Callable[[str], bool], what: str) -> None:
    """Raise `vol.Invalid` unless the `needed` columns are there, none twice, and the others allowed: `what`."""
    missing = [key for key in needed if key not in got]
    unknown = [key for key in got if key not in set(needed) and not allowed(key)]
    if missing or unknown or len(set(got)) < len(got):
        raise expected(f"columns {', '.join(needed)} and {what}, each once", ",".join(got))


def numeric(check: Check) -> Check:
    """A cell with a number that passes `check`."""

    def parsed(cell: Any) -> Any:
        for convert in (int, float):
            try:
                return check(convert(cell))
            except ValueError:
                continue
        return check(cell)

    return parsed


def clock_time(cell: Any) -> float:
    """A time of day, "17:30" or "17:30:15", as seconds since midnight."""
    parts = cell.split(":") if isinstance(cell, str) else []
    if 2 <= len(parts) <= 3 and all(len(part) == 2 and part.isdecimal() for part in parts):
        hours, minutes, seconds = (*map(int, parts), 0)[:3]
        if hours < 24 and minutes < 60 and seconds < 60:
            return hours * 3600.0 + minutes * 60 + seconds
    raise expected('a time of day such as "17:30"', cell)
