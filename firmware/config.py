"""Configuration files (TOML): read whole, validated whole, every error of a file with its file and key.

A check takes a value as TOML gave it and returns the value to use, or raises `voluptuous.Invalid` with a
message that says what was expected. `load_toml` turns all of a file's errors into one `ConfigError`; places
in arrays are counted from 0 (`station[0].switch`).
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import voluptuous as vol

from firmware.timing import Timing, TimingError

Check = Callable[[Any], Any]
Fields = Mapping[vol.Marker, Check]

MODELS = {"48A": 48, "80A": 80}
"""Rating (A) of each model, also the most its rotary switch may be set to."""
BAUDS = (9600, 19200, 38400, 57600, 115200)
DEFAULT_BAUD = 19200
SERIAL_MAX = 2**48 - 2

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


class ConfigError(Exception):
    """A configuration is refused. `errors`: one line each, `FILE: key.path: what was expected (got ...)`."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(self.errors))


def load_toml(path: Path, schema: vol.Schema) -> dict[str, Any]:
    """The validated content of a file. Raises `ConfigError` with every error found."""
    return validate(read_toml(path), schema, path)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file as it stands. Raises `ConfigError` when it can't be read or is not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    except UnicodeDecodeError as error:
        reason = f"not TOML: not UTF-8 text (byte {error.start})"
    except RecursionError:
        reason = "not TOML: nested too deeply"
    except ValueError as error:
        reason = f"not TOML: {error}"
    raise ConfigError([f"{path}: {' '.join(reason.split())}"])


def validate(document: Mapping[str, Any], schema: vol.Schema, path: Path) -> dict[str, Any]:
    """What `schema` makes of a document that was read from `path`. Raises `ConfigError`."""
    try:
        valid: dict[str, Any] = schema(document)
    except vol.MultipleInvalid as refused:
        in_order = sorted(refused.errors, key=lambda error: [_order(part) for part in error.path])
        raise ConfigError(f"{path}: {_key_path(error.path)}{error.msg}" for error in in_order) from None
    return valid


def _order(part: Any) -> tuple[int, str]:
    return (part, "") if isinstance(part, int) else (-1, str(part))


def _key_path(parts: Sequence[Any]) -> str:
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            key = str(part)
            path += "." * bool(path) + (key if _BARE_KEY.fullmatch(key) else _shown(key))
    return f"{path}: " if path else ""


# Checks of single values


def expected(what: str, value: object, *path: str | int) -> vol.Invalid:
    """The error of a value, at `path` below the value that is checked, that is not `what`."""
    return vol.Invalid(f"expected {what} (got {_shown(value)})", list(path))


def _shown(value: object) -> str:
    """A value as its file has it, in one short line."""
    match value:
        case bool():
            return str(value).lower()
        case int() if value.bit_length() > 64:
            return "a huge integer"
        case str():
            return json.dumps(value if len(value) <= 40 else value[:40] + "...", ensure_ascii=not value.isprintable())
        case dict():
            return "a table"
        case list():
            return "a list"
    return str(value)


def suggestion(word: object, allowed: Iterable[str]) -> str:
    """`, did you mean ...?` when one of the allowed words is close to `word`, else empty."""
    close = difflib.get_close_matches(str(word)[:80], allowed, n=1)
    return f", did you mean {close[0]}?" if close else ""


def number(lo: float, hi: float) -> Check:
    """A finite number within lo..hi, as a float; a boolean is none, an integer is one."""

    def check(value: Any) -> float:
        if type(value) in (int, float) and lo <= value <= hi:
            return float(value)
        raise expected(f"a number from {lo:.15g} to {hi:.15g}", value)

    return check


def integer(lo: int, hi: int) -> Check:
    """A whole number within lo..hi; a boolean is none."""

    def check(value: Any) -> int:
        if type(value) is int and lo <= value <= hi:
            return value
        raise expected(f"a whole number from {lo} to {hi}", value)

    return check


def choice(*options: str | int) -> Check:
    """One of a few words or whole numbers."""

    def check(value: Any) -> str | int:
        for option in options:
            if type(value) is type(option) and value == option:
                return option
        words = [_shown(option) for option in options]
        listed = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        near = suggestion(value, map(str, options)) if isinstance(value, str) else ""
        raise vol.Invalid(f"expected {listed} (got {_shown(value)}){near}")

    return check


def flag(value: Any) -> bool:
    """true or false."""
    if isinstance(value, bool):
        return value
    raise expected("true or false", value)


def text(value: Any) -> str:
    """One line of text that is not empty."""
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    raise expected("one line of text", value)


def name(value: Any) -> str:
    """A name that is safe in a file name, a log and a CSV row."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise expected("a name of 1 to 32 letters, digits, - and _", value)


# Checks of structures, which gather the errors of all their parts


def attempt(check: Check, value: Any, errors: list[vol.Invalid], *path: str | int) -> Any:
    """`check(value)`; when it is refused, None, and its errors join `errors` under `path`."""
    try:
        return check(value)
    except vol.Invalid as refused:
        refused.prepend(list(path))
        errors.extend(refused.errors if isinstance(refused, vol.MultipleInvalid) else [refused])
        return None


def settle(errors: list[vol.Invalid]) -> None:
    """Raise the errors gathered, if any."""
    if errors:
        raise vol.MultipleInvalid(errors)


def required(key: str) -> vol.Required:
    return vol.Required(key, msg="expected this key (it is missing)")


def table(fields: Fields, unknown: str = "unknown key") -> Check:
    """A table of these keys and no others. `unknown` says what is wrong with a further key."""
    allowed = [str(key) for key in fields]
    known_keys = vol.Schema(dict(fields), extra=vol.REMOVE_EXTRA)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise expected("a table", value)
        errors: list[vol.Invalid] = []
        for key in value.keys() - set(allowed):
            message = f"{unknown}, expected {', '.join(allowed)} (got {_shown(key)})"
            errors.append(vol.Invalid(message + suggestion(key, allowed), [key]))
        valid: dict[str, Any] = attempt(known_keys, value, errors)
        settle(errors)
        return valid

    return check


def each(item: Check) -> Check:
    """A list whose items all pass the same check."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise expected("a list", value)
        errors: list[vol.Invalid] = []
        valid = [attempt(item, entry, errors, index) for index, entry in enumerate(value)]
        settle(errors)
        return valid

    return check


_TIMES = table(
    {
        # Upwards only: the group's safety rests on it (standard 5 s, some cars take 6; S).
        vol.Optional("reaction_s"): number(6.5, 60),
        vol.Optional("poll_s"): number(0.2, 2),
        vol.Optional("lease_s"): number(2, 30),
        vol.Optional("release_s"): number(1, 600),
    }
)


def timing(value: Any) -> Timing:
    """A table of times (s) that replace the firmware's own, as far as they keep the promise together."""
    times = _TIMES(value)
    try:
        return Timing(**times)
    except TimingError as broken:
        raise vol.Invalid(str(broken)) from None


# A station's own file


@dataclass(frozen=True, slots=True)
class StationConfig:
    """One station, as its file in `configs/stations` describes it. None = not said there."""

    model: str
    name: str | None
    serial: int | None
    port: str | None
    baud: int
    board: Any
    """What the check of `[board]` returned: which boards there are is known to the worlds alone."""
    timing: Timing
    direction: Literal["automatic", "kernel", "rts"] = "automatic"
    """Who turns the transceiver of the bus round."""
    rts_sends: Literal["high", "low"] = "high"


_BUS = table(
    {
        vol.Optional("port"): text,
        vol.Optional("baud", default=DEFAULT_BAUD): choice(*BAUDS),
        vol.Optional("direction", default="automatic"): choice("automatic", "kernel", "rts"),
        vol.Optional("rts_sends"): choice("high", "low"),
    }
)


def _bus(value: Any) -> Any:
    bus = _BUS(value)
    if "rts_sends" in bus and bus["direction"] == "automatic":
        raise vol.Invalid(
            'expected it with direction = "kernel" or "rts" only: an automatic adapter minds no RTS', ["rts_sends"]
        )
    return bus


def _station(board: Check) -> vol.Schema:
    station: Fields = {
        required("model"): choice(*MODELS),
        vol.Optional("name"): name,
        vol.Optional("serial"): integer(1, SERIAL_MAX),
    }
    tables: Fields = {
        required("station"): table(station),
        vol.Optional("bus", default=dict): _bus,
        required("board"): board,
        vol.Optional("timing", default=dict): timing,
    }
    return vol.Schema(table(tables))


def load_station(path: Path, board: Check) -> StationConfig:
    """Read a station's file; `board` checks its table `[board]`. Raises `ConfigError`."""
    valid = load_toml(path, _station(board))
    station, bus = valid["station"], valid["bus"]
    return StationConfig(
        model=station["model"],
        name=station.get("name"),
        serial=station.get("serial"),
        port=bus.get("port"),
        baud=bus["baud"],
        board=valid["board"],
        timing=valid["timing"],
        direction=bus["direction"],
        rts_sends=bus.get("rts_sends", "high"),
    )
