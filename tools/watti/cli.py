"""The command line of `watti`: every command, its options and their checks.

A command's module is imported only when it runs. Exit codes: what the command returns; 2 for bad input, with
one line on stderr for each error; 130 when interrupted; 141 when the reader of its output went away.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from voluptuous import Invalid

from firmware.config import BAUDS, DEFAULT_BAUD, MODELS, Check, ConfigError, choice, integer, name, number
from firmware.rotary import parse_position
from watti.scenario import CELSIUS, DEFAULT_VEHICLE, FAULT_KINDS, HEATS, LONGEST_S, SEED_MAX, SHORTEST_S

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Commands = _SubParsersAction["_Parser"]

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
LINE_STATIONS = 32
"""Most unit loads on one RS-485 line (S)."""
LOAD_MOST_A = 100_000
LOG_LINES_MAX = 1_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    code = 0
    try:
        code = _run(argv)
        print(end="", flush=True)  # here rather than at exit, where a reader that is gone makes a traceback
    except ConfigError as refused:
        print(*refused.errors, sep="\n", file=sys.stderr)
        code = EXIT_BAD_INPUT
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`head`) has all it wants; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    except OSError as error:  # a file or folder that was asked for can't be used
        print(f"watti: {_told(error)}", file=sys.stderr)
        code = EXIT_BAD_INPUT
    return code


def _told(error: OSError) -> str:
    """What the system has to say, without its numbers."""
    return ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = _arguments(argv)
    except SystemExit as finished:  # --help, or arguments that argparse has refused
        return int(finished.code or 0)
    module, _, function = args.runs.partition(":")
    code: int = getattr(import_module(module), function)(args)
    return code


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = _Parser(prog="watti", description="Charging stations that share one circuit.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for declare in (
        _chart,
        _bench,
        _bus,
        _run_station,
        _status,
        _switch,
        _plug,
        _unplug,
        _fault,
        _simulate,
        _torture,
        _site,
        _tap,
        _log,
        _calibrate,
        _doctor,
    ):
        declare(commands)
    args = parser.parse_args(argv)
    if "models" in args:
        _match_models(parser, args)
    return args


def _match_models(parser: ArgumentParser, args: Namespace) -> None:
    """Give every switch its model: one that stands for all, or as many as there are switches."""
    switches, models = len(args.switches), len(args.models)
    if models not in (1, switches):
        parser.error(f"argument --models: expected 1 model, or {switches}, one for each switch (got {models})")
    args.models *= switches // models


class _Parser(ArgumentParser):
    """Says what is wrong in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {' '.join(message.split())}\n")


def _command(commands: "Commands", word: str, runs: str, what: str, example: str) -> _Parser:
    """Declare a command that is done by `runs` (MODULE:FUNCTION)."""
    command = commands.add_parser(
        word,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=f"example:\n  watti {example}",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(runs=runs)
    return command


# What a value on the command line must be


def _valid(check: Check, convert: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """The argparse type of a value that a check of configuration files accepts."""

    def parse(word: str) -> Any:
        try:
            value = convert(word)
        except ValueError:
            value = word
        try:
            return check(value)
        except Invalid as refused:
            raise ArgumentTypeError(refused.msg) from None

    return parse


def _position(word: str) -> int:
    try:
        return parse_position(word)
    except ValueError as refused:
        raise ArgumentTypeError(str(refused)) from None


def _model(word: str) -> str:
    model: str = _valid(choice(*MODELS))(word.upper())
    return model


def _positions(words: str) -> list[int]:
    positions = [_position(word.strip()) for word in words.split(",")]
    if len(positions) > LINE_STATIONS:
        raise ArgumentTypeError(f"expected at most {LINE_STATIONS} positions (got {len(positions)})")
    return positions


def _models(words: str) -> list[str]:
    return [_model(word.strip()) for word in words.split(",")]


_baud = _valid(choice(*BAUDS), int)
_probability = _valid(number(0, 1), float)
_seconds = _valid(number(SHORTEST_S, LONGEST_S), float)
_name = _valid(name)


# Options that several commands have


def _dir_option(command: _Parser) -> None:
    command.add_argument("--dir", type=Path, help="folder of the bench (default: a per-user runtime folder)")


def _json_option(command: _Parser) -> None:
    command.add_argument("--json", action="store_true", help="for scripts: JSON")


def _baud_option(command: _Parser) -> None:
    bauds = ", ".join(map(str, BAUDS))
    command.add_argument(
        "--baud", type=_baud, default=DEFAULT_BAUD, help=f"{bauds} (default: {DEFAULT_BAUD})", metavar="N"
    )


def _station_argument(command: _Parser) -> None:
    command.add_argument("station", type=_name, metavar="STATION", help="name of the station, such as s1")


# The commands


def _chart(commands: "Commands") -> None:
    command = _command(commands, "chart", "watti.chart:run", "show the rotary chart", "chart --model 48A")
    command.add_argument("--model", type=_model, metavar="MODEL", help="mark what this model refuses: 48A or 80A")
    _json_option(command)


def _bench(commands: "Commands") -> None:
    command = _command(
        commands,
        "bench",
        "watti.bench:run",
        "run a bench in real time: a virtual RS-485 line, one firmware process and simulated car per station",
        "bench --switches E,F,F --models 80A,48A,48A --duration 600",
    )
    command.add_argument(
        "--switches",
        type=_positions,
        default=_positions("B,F,F,F,F"),
        metavar="B,F,...",
        help="position of each rotary switch, for the stations s1, s2, ... (default: B,F,F,F,F)",
    )
    command.add_argument(
        "--models",
        type=_models,
        default=["48A"],
        metavar="48A,...",
        help="model of each station, or one for all: 48A or 80A (default: 48A)",
    )
    _baud_option(command)
    _dir_option(command)
    command.add_argument("--headless", action="store_true", help="no live screen")
    command.add_argument("--duration", type=_seconds, metavar="S", help="end after S seconds (default: never)")


def _bus(commands: "Commands") -> None:
    command = _command(
        commands,
        "bus",
        "watti.bus:run",
        "run only the line: ptys joined as one multidrop RS-485 pair at the pace of its baud rate",
        "bus --ports 3 --baud 9600 --noise 0.0001",
    )
    ports = _valid(integer(1, LINE_STATIONS), int)
    command.add_argument("--ports", type=ports, required=True, metavar="N", help=f"how many, 1 to {LINE_STATIONS}")
    _dir_option(command)
    _baud_option(command)
    command.add_argument(
        "--noise",
        type=_probability,
        default=0.0,
        metavar="P",
        help="probability that a bit is wrong (default: 0)",
    )


def _run_station(commands: "Commands") -> None:
    command = _command(
        commands,
        "run",
        "watti.run:run",
        "run the firmware of one station, on the board that its configuration names",
        "run configs/stations/simulated.toml --port /dev/ttyUSB0 --switch F",
    )
    command.add_argument("config", type=Path, metavar="CONFIG", help="the station's file, such as simulated.toml")
    command.add_argument("--port", metavar="P", help="serial port of the bus, instead of the file's")
    command.add_argument("--switch", type=_position, metavar="X", help="position of a simulated switch, 0 to F")
    command.add_argument("--name", type=_name, help="the station's name, instead of the file's")
    _dir_option(command)


def _status(commands: "Commands") -> None:
    what = "show every station: role, switch, state, amps, reason, fault, bus health"
    command = _command(commands, "status", "watti.control:status", what, "status --watch")
    command.add_argument("--watch", action="store_true", help="keep showing, until interrupted")
    _json_option(command)
    _dir_option(command)


def _switch(commands: "Commands") -> None:
    what = "read or turn a station's rotary switch while it runs"
    command = _command(commands, "switch", "watti.control:switch", what, "switch s1 6")
    _station_argument(command)
    command.add_argument("position", type=_position, nargs="?", metavar="POSITION", help="turn it here: 0 to F")
    _dir_option(command)
    _json_option(command)


def _plug(commands: "Commands") -> None:
    what = "plug a simulated car in"
    command = _command(commands, "plug", "watti.control:plug", what, "plug s2 compact")
    _station_argument(command)
    command.add_argument(
        "vehicle",
        type=_name,
        nargs="?",
        default=DEFAULT_VEHICLE,
        metavar="VEHICLE",
        help=f"a vehicle of configs/vehicles (default: {DEFAULT_VEHICLE}, 48 A)",
    )
    _dir_option(command)


def _unplug(commands: "Commands") -> None:
    command = _command(commands, "unplug", "watti.control:unplug", "unplug the simulated car", "unplug s2")
    _station_argument(command)
    _dir_option(command)


def _fault(commands: "Commands") -> None:
    what = "inject or clear a fault on a simulated board or its cable"
    command = _command(commands, "fault", "watti.control:fault", what, "fault s2 diode --clear")
    _station_argument(command)
    kind = _valid(choice(*FAULT_KINDS))
    command.add_argument("kind", type=kind, metavar="KIND", help=f"one of: {', '.join(FAULT_KINDS)}")
    command.add_argument("--clear", action="store_true", help="take the fault away")
    command.add_argument(
        "--celsius", type=_valid(CELSIUS, float), metavar="C", help=f"what {HEATS} heats the station to (default: 75)"
    )
    _dir_option(command)


def _simulate(commands: "Commands") -> None:
    command = _command(
        commands,
        "simulate",
        "watti.simulate:run",
        "run a scenario in virtual time: a circuit with the same firmware, or a site and its controller",
        "simulate configs/scenarios/maker_page.toml --trace trace.csv --json\n"
        "  watti simulate configs/scenarios/site_day.toml --policy equal --policy uncontrolled --report day.html",
    )
    command.add_argument("scenario", type=Path, metavar="SCENARIO", help="the scenario's file")
    command.add_argument(
        "--policy",
        action="append",
        metavar="P",
        help="of a site, instead of the scenario's: equal, priority, first_come or uncontrolled; again to compare",
    )
    command.add_argument("--trace", type=Path, metavar="F.csv", help="write every change of every station to this file")
    command.add_argument(
        "--report", type=Path, metavar="F.html", help="write a page with plots and tables that opens offline"
    )
    seed = _valid(integer(0, SEED_MAX), int)
    command.add_argument("--seed", type=seed, metavar="N", help="instead of the scenario's")
    _json_option(command)


def _seeds(words: str) -> range:
    first, colon, end = words.partition(":")
    try:
        seeds = range(int(first), int(end))
    except ValueError:
        seeds = range(0)
    if not (colon and seeds) or seeds.start < 0 or seeds.stop > SEED_MAX:
        raise ArgumentTypeError(f"expected A:B, the seeds from A up to but not B, such as 0:200 (got {words})")
    return seeds


def _scheduler(word: str) -> str:
    try:
        parts = urlsplit(word)
        good = bool(parts.hostname and parts.port) and word == f"tcp://{parts.netloc}" and "@" not in word
    except ValueError:  # of a host or port that is none
        good = False
    if not good:
        raise ArgumentTypeError(f"expected the address of a Dask scheduler, such as tcp://10.0.0.5:8786 (got {word})")
    return word


def _torture(commands: "Commands") -> None:
    what = "run random groups under random faults in virtual time, one world a seed, and judge each at every instant"
    command = _command(commands, "torture", "watti.torture.command:run", what, "torture --seeds 0:1000")
    worlds = command.add_mutually_exclusive_group()
    worlds.add_argument(
        "--seeds", type=_seeds, default=_seeds("0:200"), metavar="A:B", help="from A up to but not B (default: 0:200)"
    )
    worlds.add_argument("--scenario", type=Path, metavar="F.toml", help="judge the world of this file instead")
    command.add_argument(
        "--cluster",
        type=_scheduler,
        metavar="ADDRESS",
        help="on the workers of this Dask scheduler, such as tcp://10.0.0.5:8786; they need this very watti",
    )
    command.add_argument(
        "--keep", type=Path, default=Path(), metavar="DIR", help="where failures go, made small (default: here)"
    )
    _json_option(command)


def _members(words: str) -> list[str] | None:
    """The names of a list; None = all."""
    return None if words == "all" else [_name(word.strip()) for word in words.split(",")]


def _load(words: str) -> tuple[str, tuple[float, ...]]:
    node, _, amps = words.partition("=")
    ampere = _valid(number(0, LOAD_MOST_A), float)
    return _name(node), tuple(ampere(word.strip()) for word in amps.split(","))


def _site(commands: "Commands") -> None:
    what = "show a site: its tree with limits and fallbacks, and what each station gets when some of them ask"
    command = _command(commands, "site", "watti.site:run", what, "site configs/sites/panel.toml --asking s1,s2")
    command.add_argument("site", type=Path, metavar="SITE", help="the site's file")
    command.add_argument(
        "--asking", type=_members, metavar="s1,...", help="stations and groups that ask for current (default: all)"
    )
    command.add_argument(
        "--building",
        type=_load,
        action="append",
        default=[],
        metavar="NODE=A[,B,C]",
        help="what the building draws beside them, A on each line of a node (default: its meter's worst)",
    )
    _json_option(command)


def _tap(commands: "Commands") -> None:
    what = "listen on the bus and print each frame decoded, with time and gaps"
    command = _command(commands, "tap", "watti.tap:run", what, "tap /dev/ttyUSB0 --baud 19200")
    command.add_argument("port", metavar="PORT", help="a serial port on the line")
    _baud_option(command)
    _json_option(command)


def _log(commands: "Commands") -> None:
    what = (
        "show what has happened at the stations, from their event logs; ~ before a date: nobody vouches for the clock"
    )
    command = _command(commands, "log", "watti.log:run", what, "log s2 --lines 20 --follow")
    command.add_argument("station", type=_name, nargs="?", metavar="STATION", help="only this one (default: all)")
    command.add_argument("--sessions", action="store_true", help="charging sessions instead of events")
    command.add_argument("--follow", action="store_true", help="go on as events come, until interrupted")
    lines = _valid(integer(1, LOG_LINES_MAX), int)
    command.add_argument("--lines", type=lines, metavar="N", help="only the last N (default: all; 10 with --follow)")
    _dir_option(command)
    _json_option(command)


def _calibrate(commands: "Commands") -> None:
    what = "correct a board's scales by what a voltmeter or a clamp meter shows"
    pilot_example = "calibrate pilot configs/stations/raspberry.toml --high 11.94 --low -12.02"
    command = _command(commands, "calibrate", "", what, pilot_example)
    parts = command.add_subparsers(metavar="WHAT", required=True)
    what = "the control pilot, with no vehicle connected: volts from pilot to earth"
    pilot = _command(parts, "pilot", "watti.calibrate:pilot", what, pilot_example)
    for option, level, least, most in (("--high", "+12 V", 11.4, 12.6), ("--low", "-12 V", -12.6, -11.4)):
        volts = _valid(number(least, most), float)
        pilot.add_argument(option, type=volts, metavar="V", help=f"what it shows at {level} (default: ask)")
    what = "the current transformer: lead the wire of a steady load through it and a clamp meter"
    ct = _command(parts, "ct", "watti.calibrate:ct", what, "calibrate ct configs/stations/raspberry.toml --amps 16.0")
    ct.add_argument("--amps", type=_valid(number(3, 100), float), required=True, metavar="A", help="what that shows")
    for part in (pilot, ct):
        part.add_argument("config", type=Path, metavar="CONFIG", help="the station's file, such as raspberry.toml")
        part.add_argument("--name", type=_name, help="the station's name, instead of the file's")
        _dir_option(part)


def _doctor(commands: "Commands") -> None:
    what = "try each part of a station's board, look at its group, or measure its pace, and say what to do"
    command = _command(commands, "doctor", "watti.doctor:run", what, "doctor configs/stations/mock_raspberry.toml")
    command.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG", help="the station's file (default: /etc/watti/station.toml)"
    )
    command.add_argument(
        "--close-contactor", action="store_true", help="close it once for 1 s at most, with no vehicle connected"
    )
    instead = command.add_mutually_exclusive_group()
    instead.add_argument("--group", action="store_true", help="instead: the group of the primary that runs here")
    instead.add_argument("--timing", action="store_true", help="instead: pace and cost of watti run on this machine")
    seconds = _valid(number(2, 3600), float)
    command.add_argument(
        "--for", dest="for_s", type=seconds, default=20.0, metavar="S", help="how long --timing measures (default: 20)"
    )
    command.add_argument("--name", type=_name, help="the station's name, instead of the file's")
    _dir_option(command)
    _json_option(command)
