"""The building's load beside the stations: amperes in each line of some nodes, in steps."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import voluptuous as vol

from cloud.lines import LINES
from cloud.site import Node
from firmware.config import Check, Fields, expected, number, required
from hal.simulated.vehicle_spec import SPAN_S
from watti.sites.csv_file import clock_time, headings, numeric, read_rows

DAY_S = 86400.0
MOST_A = 100_000.0
_MOMENTS = ("t_s", "time")

Amps = tuple[float, ...]


class Load:
    """Of one node: it changes at moments (s) and holds in between; nothing before the first."""

    def __init__(self, lines: int, steps: Iterable[tuple[float, Amps]] = ()) -> None:
        """`steps`: from when on, how much in each of the lines; of several at one moment the last counts."""
        held = dict(sorted({0.0: (0.0,) * lines, **dict(steps)}.items()))
        self.moments = list(held)
        self._amps = list(held.values())

    def at(self, t_s: float) -> Amps:
        return self._amps[bisect_right(self.moments, t_s) - 1]

    def raised(self, jumps: Sequence[tuple[float, Amps]]) -> "Load":
        """The same with further amperes, each from its moment on for good."""
        ordered = sorted(jumps)
        since = [t_s for t_s, _ in ordered]
        nothing = (0.0,) * len(self._amps[0])
        risen = [nothing, *accumulate((amps for _, amps in ordered), _sum)]
        steps = [(t_s, _sum(self.at(t_s), risen[bisect_right(since, t_s)])) for t_s in (*self.moments, *since)]
        return Load(len(nothing), steps)


def _sum(one: Amps, other: Amps) -> Amps:
    return tuple(map(sum, zip(one, other, strict=True)))


class Column(NamedTuple):
    """What a column of a load file is: a line of a node. A node of one phase has one line, without a name."""

    node: str
    line: int


def load_csv(path: Path, nodes: Sequence[Node], begins_s: float, until_s: float, errors: list[str]) -> dict[str, Load]:
    """The load of each node that has columns, from 0 to `until_s`; all that is wrong joins `errors`.

    With the column `time` (time of day, "17:30") rows repeat every day and the scenario begins at `begins_s` of the
    first; with `t_s` they are seconds of the scenario.
    """
    known = {_heading(node, line): Column(node.name, i) for node in nodes for i, line in enumerate(LINES[node.phases])}
    rows = read_rows(path, lambda got: _columns(got, known), errors)
    if not rows:
        return {}
    _in_order(path, rows, errors)
    daily = "time" in rows[0][1]
    lines = {node.name: len(LINES[node.phases]) for node in nodes}
    loads = {}
    for name in dict.fromkeys(known[key].node for key in rows[0][1] if key not in _MOMENTS):
        steps = [(_moment(row), _amps(row, name, lines[name], known)) for _, row in rows]
        loads[name] = Load(lines[name], _days(steps, begins_s, until_s) if daily else steps)
    return loads


def _heading(node: Node, line: str) -> str:
    return f"{node.name}.{line}" if line else node.name


def _columns(got: Sequence[str], known: Mapping[str, Column]) -> Fields:
    moment = "time" if "time" in got else "t_s"
    headings(got, (moment,), known.__contains__, f"some of {', '.join(known)}")
    if len(got) < 2:
        raise expected(f"some of the columns {', '.join(known)}", ",".join(got))
    amps: Check = numeric(number(0, MOST_A))
    fields: dict[vol.Marker, Check] = {required(key): amps for key in got if key != moment}
    return {required(moment): clock_time if moment == "time" else numeric(number(0, SPAN_S[1])), **fields}


def _moment(row: Mapping[str, Any]) -> float:
    moment: float = row["time"] if "time" in row else row["t_s"]
    return moment


def _in_order(path: Path, rows: Sequence[tuple[int, Mapping[str, Any]]], errors: list[str]) -> None:
    for (_, before), (line, row) in pairwise(rows):
        if _moment(row) <= _moment(before):
            errors.append(f"{path}: line {line}: expected a later moment than in the line before")


def _amps(row: Mapping[str, Any], node: str, lines: int, known: Mapping[str, Column]) -> Amps:
    amps = [0.0] * lines
    for key, value in row.items():
        if key not in _MOMENTS and known[key].node == node:
            amps[known[key].line] = value
    return tuple(amps)


def _days(steps: Sequence[tuple[float, Amps]], begins_s: float, until_s: float) -> Iterable[tuple[float, Amps]]:
    """Each day the same; what holds when the scenario begins is from 0 on."""
    day = -1
    while day * DAY_S - begins_s <= until_s:
        for at_s, amps in steps:
            yield max(0.0, day * DAY_S + at_s - begins_s), amps
        day += 1
