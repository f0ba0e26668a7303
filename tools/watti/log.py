"""`watti log`: what has happened at the stations, from their event logs."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from firmware.config import suggestion
from watti.log_words import duration, printable, sentence
from watti.logs import Dates, Logs, Record, stamped
from watti.where import bench_dir

POLL_S = 0.3
FOLLOWED_LINES = 10
"""What `--follow` shows of before, where `--lines` does not say."""
_BAD_INPUT = 2
_MOST = 1e15
"""What nothing of a session comes to, in Wh, s or A."""

Session = Mapping[str, Any]


def run(args: Namespace) -> int:
    """`args`: station or None, dir, sessions, follow, json, lines or None."""
    if args.sessions and args.follow:
        return _refuse("--follow shows events as they come: leave it out, or --sessions", _BAD_INPUT)
    folder = bench_dir(args.dir) / "log"
    history = _History(Logs(folder), args.station)
    stations = history.logs.stations()
    if not stations:
        return _refuse(f"no event log in {folder}: a station that runs there keeps one, start it with `watti bench`", 1)
    if args.station not in (None, *stations):
        known = f"expected {', '.join(stations)}{suggestion(args.station, stations)}"
        return _refuse(f"no event log of station {args.station} in {folder}, {known}", _BAD_INPUT)
    records = history.news()
    if args.sessions:
        _show_sessions(_last(sessions(records, history.dates), args.lines), args.json)
    else:
        lines = FOLLOWED_LINES if args.follow and args.lines is None else args.lines
        _show(_last(records, lines), history, args.json)
    _tell_broken(history.logs, 0)
    if args.follow:
        _follow(history, args.json)
    return 0


def _refuse(what: str, code: int) -> int:
    print(f"watti: {what}", file=sys.stderr)
    return code


def _last(items: Sequence[Mapping[str, Any]], lines: int | None) -> Sequence[Mapping[str, Any]]:
    return items if lines is None else items[-lines:]


def _tell_broken(logs: Logs, before: int) -> None:
    if logs.broken > before:
        print(f"watti: {logs.broken - before} lines were left out: they are no records", file=sys.stderr)


# Events


class _History:
    """What has happened at all stations, of which one may be asked for: the others know dates and names."""

    def __init__(self, logs: Logs, station: str | None) -> None:
        self.logs = logs
        self._station = station
        self.dates = Dates()
        self.names: dict[str, str] = {}
        """What stations are called, by serial number."""

    def news(self) -> list[Record]:
        """What is new, in the order of its time."""
        histories = self.logs.news()
        for history in histories:
            self.dates.learn(history)
            self.names |= {str(record.get("serial")): record["station"] for record in history if "serial" in record}
        wanted = [[record for record in history if self._station in (None, record["station"])] for history in histories]
        return self.dates.merged(wanted)

    def line(self, record: Record) -> str:
        return printable(f"{self.dates.words(record):<25}  {record['station']:<4}  {sentence(record, self.names)}")


def _show(records: Iterable[Record], history: _History, as_json: bool) -> None:
    for record in records:
        print(json.dumps(record) if as_json else history.line(record))
    sys.stdout.flush()


def _follow(history: _History, as_json: bool) -> None:
    """Go on until interrupted."""
    while True:
        time.sleep(POLL_S)
        broken = history.logs.broken
        _show(history.news(), history, as_json)
        _tell_broken(history.logs, broken)


# Sessions


def sessions(records: Iterable[Record], dates: Dates) -> list[Session]:
    """The charging sessions that records tell of, in order of their begin. `ended` is None where one is not finished,
    and `unknown` where its end is not in the log. `began` and `finished` are ISO 8601 in UTC, None where unknown."""
    found: dict[tuple[str, str], Session] = {}
    current: dict[str, tuple[str, str]] = {}
    for record in records:
        if record["event"] not in ("plug_in", "session"):
            continue
        key = record["station"], str(record.get("session"))
        before = current.get(record["station"], key)
        if before != key and found[before]["ended"] is None:
            found[before] = {**found[before], "ended": "unknown"}
        current[record["station"]] = key
        found[key] = _session(key, record, dates)
    return list(found.values())


def _session(key: tuple[str, str], record: Record, dates: Dates) -> Session:
    finished = record["event"] == "session"
    began = record.get("began") if finished else record
    energy_wh = _number(record, "energy_wh")
    return {
        "station": key[0],
        "session": key[1],
        "began": dates.iso(began) if stamped(began) else None,
        "finished": dates.iso(record) if finished else None,
        "energy_kwh": None if energy_wh is None else energy_wh / 1000,
        "charging_s": _number(record, "charging_s"),
        "waiting_s": _number(record, "waiting_s"),
        "peak_a": _number(record, "peak_a"),
        "ended": str(record.get("ended", "unknown")) if finished else None,
    }


def _number(record: Record, key: str) -> float | None:
    value = record.get(key)
    return value if isinstance(value, int | float) and abs(value) < _MOST else None


def _show_sessions(found: Sequence[Session], as_json: bool) -> None:
    print(json.dumps(found, indent=2) if as_json else "\n".join(_table(found)), flush=True)


def _table(found: Iterable[Session]) -> list[str]:
    layout = "{:<7}  {:<19}  {:<19}  {:>8}  {:>9}  {:>9}  {:>7}  {}"
    heading = layout.format("station", "began (UTC)", "finished (UTC)", "kWh", "charging", "waiting", "peak A", "ended")
    return [heading, *(printable(layout.format(*_cells(session)).rstrip()) for session in found)]


def _cells(session: Session) -> list[str]:
    open_ended = "not finished" if session["ended"] is None else session["ended"]
    return [
        session["station"],
        _second(session["began"]),
        _second(session["finished"]),
        _cell(session["energy_kwh"], "{:.2f}".format),
        _cell(session["charging_s"], duration),
        _cell(session["waiting_s"], duration),
        _cell(session["peak_a"], "{:.1f}".format),
        open_ended,
    ]


def _cell(value: float | None, words: Callable[[float], str]) -> str:
    return "-" if value is None else words(value)


def _second(moment: str | None) -> str:
    """To the second, where it is known."""
    return "-" if moment is None else moment[:19].replace("T", " ")
