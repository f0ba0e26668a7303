"""What processes leave behind: descriptors, threads and memory while they live, and what their event logs say."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from endurance_group import Failed
from hal.clock import BUILT, SYNCHRONISED, UNSET, UNSYNCHRONISED, kernel_disciplines
from watti.logs import Logs, Record

_LOOKS = 5
_PAUSE_S = 0.2
_SETTLES_S = 1.5
"""Until a process has seen that its wall clock was set, and what it wrote meanwhile is on the disk."""
_WALL_S = 2.0
_CIRCUIT_WH_PER_S = 48.0 * 240.0 / 3600.0

Offsets = Mapping[str, Sequence[tuple[float, float]]]
"""By station: since when (monotonic s) its wall clock is off by how much (s)."""


class Sample(NamedTuple):
    descriptors: int
    threads: int
    rss_kb: int


def samples(pids: Iterable[int]) -> dict[int, Sample]:
    """By process: the least of some looks, as somebody who asks for the status, or a file being written, is no leak."""
    looks: dict[int, list[Sample]] = {pid: [] for pid in pids}
    for _ in range(_LOOKS):
        for pid, seen in looks.items():
            seen.append(_look(Path(f"/proc/{pid}")))
        time.sleep(_PAUSE_S)
    return {pid: Sample(*map(min, zip(*seen, strict=True))) for pid, seen in looks.items()}


def _look(process: Path) -> Sample:
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Sample(len(list((process / "fd").iterdir())), int(status["Threads"]), int(status["VmRSS"].split()[0]))


def check_logs(folder: Path, offsets: Offsets) -> str:
    """Every line is whole, every session has its begin and its end, every date is what the station's clock showed, and
    every session's times are those of the monotonic clock. What was looked at, as a sentence. Raises `Failed`."""
    logs = Logs(folder)
    records = [record for history in logs.news() for record in history]
    if logs.broken:
        raise Failed(f"{logs.broken} lines of the event logs are no records")
    began = time.time() - time.monotonic()
    for record in records:
        if record["event"] in ("lost", "repaired"):
            raise Failed(f"the event log is not whole: {record}")
        _check_stamp(record, began, offsets[record["station"]])
        if record["event"] == "session":
            _check_session(record)
    begun, ended = (Counter(r["session"] for r in records if r["event"] == event) for event in ("plug_in", "session"))
    if begun != ended:
        raise Failed(f"sessions without begin or end: {(begun - ended) + (ended - begun)}")
    unset = sum(record["clock"] == UNSET for record in records)
    return f"event logs: {len(records)} records, {unset} of them before 2026, {len(ended)} sessions: whole and sound"


def _check_stamp(record: Record, began: float, offsets: Sequence[tuple[float, float]]) -> None:
    """`began`: when the monotonic clock was 0, s since 1970."""
    t_s = record["t_s"]
    before = [offset_s for since, offset_s in offsets if since < t_s]
    if not before or any(0 <= t_s - since < _SETTLES_S for since, _ in offsets):
        return
    wall = began + t_s + before[-1]
    if wall < BUILT.timestamp():
        right = record["wall"] is None and record["clock"] == UNSET
    else:
        word = SYNCHRONISED if kernel_disciplines() else UNSYNCHRONISED
        shown = record["wall"] and datetime.fromisoformat(record["wall"]).timestamp()
        right = bool(shown) and abs(shown - wall) < _WALL_S and record["clock"] == word
    if not right:
        raise Failed(f"a clock that is off by {before[-1]:.0f} s was written down as {record}")


def _check_session(record: Record) -> None:
    lasted_s = record["t_s"] - record["began"]["t_s"]
    spent_s = record["charging_s"] + record["waiting_s"]
    if not (0 <= spent_s <= lasted_s + 1 and 0 <= record["energy_wh"] <= lasted_s * _CIRCUIT_WH_PER_S):
        raise Failed(f"a session of {lasted_s:.1f} s that can't be: {record}")
