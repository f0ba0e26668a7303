"""Commands that look at a running bench and do things to it: status, switch, plug, unplug, fault."""

import json
import re
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import voluptuous as vol

from firmware.config import name, suggestion
from hal.simulated.remote import Refused, ask
from watti.scenario import HEATS, load_vehicles
from watti.screen import Row, Screen, digit, row, table
from watti.where import bench_dir

WATCH_S = 0.5
_BAD_INPUT = 2


class NothingRuns(Exception):
    """No station answers in a folder; the message says so and what to do."""


Found = dict[str, tuple[Path, Mapping[str, Any]]]
"""Stations by name: the socket of their server, and how they stand."""


def find(folder: Path) -> Found:
    """The stations that run in a folder, in the order of their names. Raises `NothingRuns`."""
    found: Found = {}
    silent = []
    for path in sorted(folder.glob("*.sock")):
        try:
            found |= _served(path)
        except TimeoutError:
            silent.append(f"{path} does not answer: the process behind it stands still")
        except OSError:  # left behind by one that was killed, or somebody else's
            continue
    if silent and not found:
        raise NothingRuns("; ".join(silent))
    if not found:
        raise NothingRuns(f"no bench runs in {folder}: start one with `watti bench`")
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def _served(path: Path) -> Found:
    """The stations of the server at a socket. Raises `Refused`, TimeoutError, or OSError where none knows stations."""
    answer = ask(path, {"do": "status"})
    try:
        return {name(status["station"]): (path, status) for status in answer["stations"]}
    except (KeyError, TypeError, vol.Invalid):
        raise OSError(f"{path} is not the socket of stations") from None


def _natural(station: str) -> list[tuple[int, str]]:
    """s2 before s10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", station)]


# Commands


def status(args: Namespace) -> int:
    if not args.watch:
        return _reporting(lambda: _show(args, None))
    screen = None if args.json or not sys.stdout.isatty() else Screen()
    while True:
        code = _reporting(lambda: _show(args, screen))
        if code:
            return code
        time.sleep(WATCH_S)


def switch(args: Namespace) -> int:
    request = None if args.position is None else {"do": "switch", "position": args.position}
    return _reporting(lambda: _turn(args, request))


def plug(args: Namespace) -> int:
    vehicles = load_vehicles()
    if args.vehicle not in vehicles:
        return _bad(_unknown("vehicle", args.vehicle, vehicles))
    return _reporting(lambda: _do(args, {"do": "plug", "vehicle": asdict(vehicles[args.vehicle])}))


def unplug(args: Namespace) -> int:
    return _reporting(lambda: _do(args, {"do": "unplug"}))


def fault(args: Namespace) -> int:
    if args.celsius is not None and (args.clear or args.kind != HEATS):
        return _bad(f"--celsius goes with {HEATS} alone")
    heat = {} if args.celsius is None else {"celsius": args.celsius}
    return _reporting(lambda: _do(args, {"do": "clear" if args.clear else "fault", "kind": args.kind, **heat}))


# How they do it


def _reporting(command: Callable[[], object]) -> int:
    """Run it; what can't be done becomes one line and an exit code."""
    try:
        command()
    except NothingRuns as nothing:
        print(f"watti: {nothing}", file=sys.stderr)
        return 1
    except Refused as refused:
        return _bad(str(refused))
    return 0


def _bad(what: str) -> int:
    print(f"watti: {what}", file=sys.stderr)
    return _BAD_INPUT


def _unknown(what: str, word: str, known: Mapping[str, object]) -> str:
    return f"unknown {what} {word}, expected {', '.join(known)}{suggestion(word, known)}"


def _show(args: Namespace, screen: Screen | None) -> None:
    rows: list[Row] = [row(status) for _, status in find(bench_dir(args.dir)).values()]
    if args.json:
        print(json.dumps(rows, indent=None if args.watch else 2), flush=True)
    elif screen is not None:
        screen.draw(table(rows))
    else:
        print("\n".join(table(rows)), end="\n\n" if args.watch else "\n", flush=True)


def _do(args: Namespace, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """One request to the server of a station. Raises `Refused` and `NothingRuns`."""
    found = find(bench_dir(args.dir))
    if args.station not in found:
        raise Refused(_unknown("station", args.station, found))
    path, before = found[args.station]
    try:
        return ask(path, {**request, "station": args.station}) if request else before
    except Refused as refused:
        raise Refused(f"{args.station}: {refused}") from None
    except OSError as error:
        raise NothingRuns(f"{path}: {error}") from None


def _turn(args: Namespace, request: Mapping[str, Any] | None) -> None:
    position = digit(_do(args, request or {})["switch"])
    print(json.dumps({"station": args.station, "position": position}) if args.json else position)
