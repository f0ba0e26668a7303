"""`watti tap PORT`: listen on the bus and print each frame decoded, with its time and the gap before it."""

import json
import select
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firmware.bus import messages as msg
from firmware.bus.health import BusHealth
from firmware.bus.rtu import Splitter, air_s
from firmware.bus.versions import Software
from firmware.config import ConfigError
from firmware.protection import word
from firmware.sharing.refusals import code_of
from hal.serial.direction import AUTOMATIC, Direction
from hal.serial.port import SerialPort
from watti.board_file import read_station
from watti.doctor_host import STATION

_LOOK_S = 1.0  # how often a port that is gone is looked for
_FLAGS = ((msg.CONNECTED, "connected"), (msg.WANTS, "wants"), (msg.HOLDS, "holds"), (msg.CHARGING, "charging"))


def decode(frame: bytes) -> dict[str, Any]:
    """What a frame says: `what`, and its fields by name (amperes, serial numbers as hex)."""
    if msg.is_poll(frame):
        poll = msg.decode_poll(frame)
        return {"what": "poll, bad check"} if poll is None else _poll(poll)
    if msg.is_status(frame):
        return _status(msg.Status(*msg.STATUS.unpack(frame[3:-6])))
    if frame[1] == msg.ENROL:
        message = msg.decode_enrolment(frame)
        return {"what": "enrolment, bad check or protocol"} if message is None else _enrolment(message)
    if frame[1] & 0x80:
        return {"what": "exception", "function": f"0x{frame[1] & 0x7F:02X}", "code": frame[2]}
    return {"what": "modbus", "function": f"0x{frame[1]:02X}", "data": frame[2:-2].hex(" ")}


def _poll(poll: msg.Poll) -> dict[str, Any]:
    grant = poll.grant
    return {
        "what": "poll",
        "primary": f"{poll.serial:012X}",
        "session": f"{poll.session:08X}",
        "grant": grant.number,
        "answers": grant.question,
        "amps_a": grant.amps_da / 10,
        "lease_s": grant.lease_ds / 10,
        "limit_a": grant.limit_da / 10,
        "reason": grant.reason.word,
    }


def _status(status: msg.Status) -> dict[str, Any]:
    return {
        "what": "status",
        "question": status.question,
        "took": status.granted,
        "flags": " ".join(name for bit, name in _FLAGS if status.flags & bit),
        "offered_a": status.offered_da / 10,
        "drawn_a": None if status.drawn_da == msg.NO_CURRENT else status.drawn_da / 10,
        "rating_a": status.rating_da / 10,
        "fault": word(status.fault),
    }


def _enrolment(message: msg.Enrolment) -> dict[str, Any]:
    fields: dict[str, Any] = {"what": type(message).__name__.lower()}
    for name, value in message._asdict().items():
        if isinstance(value, msg.Identity):
            fields[name] = f"{value.serial:012X}/{value.nonce:08X}"
        elif isinstance(value, Software):
            fields |= {"protocol": value.protocol, "firmware": value.version}
        elif name == "rating_da":
            fields["rating_a"] = value / 10
        elif name == "why":
            fields["why"] = code_of(value)
        elif name in ("serial", "bits", "session"):
            fields[name] = f"{value:X}"
        else:
            fields[name] = value
    return fields


class Tap:
    """Times frames by when their bytes arrived; a frame began its own length on the line before."""

    def __init__(self, baud: int, begun: float) -> None:
        self._baud = baud
        self._splitter = Splitter(BusHealth())
        self._begun = begun
        self._last_end: float | None = None

    def hear(self, data: bytes, now: float) -> Iterator[dict[str, Any]]:
        """The frames that these bytes complete; bytes that were part of none come before them as `garbage`."""
        held = self._splitter.pending + len(data)
        frames = self._splitter.feed(data)
        garbage = held - self._splitter.pending - sum(map(len, frames))
        if garbage:
            yield self._entry(now, {"what": "garbage", "bytes": garbage})
        for frame in frames:
            entry = self._entry(now, {"address": frame[0], **decode(frame), "bytes": len(frame)})
            begin = now - air_s(len(frame), self._baud)
            entry["gap_ms"] = None if self._last_end is None else round(max(0.0, begin - self._last_end) * 1e3, 2)
            self._last_end = now
            yield entry

    def silence(self, now: float) -> Iterator[dict[str, Any]]:
        """Nothing has come for long: what was held for the rest of a frame is `garbage`."""
        garbage = self._splitter.pending
        self._splitter.drop()
        if garbage:
            yield self._entry(now, {"what": "garbage", "bytes": garbage})

    def _entry(self, now: float, fields: dict[str, Any]) -> dict[str, Any]:
        return {"t_s": round(now - self._begun, 4), **fields}


def text(entry: dict[str, Any]) -> str:
    """One line for people."""
    gap = "" if entry.get("gap_ms") is None else f"+{entry['gap_ms']:.1f} ms"
    address = entry.get("address", "")
    rest = " ".join(f"{key}={value}" for key, value in entry.items() if key not in ("t_s", "gap_ms", "address", "what"))
    return f"{entry['t_s']:10.4f} {gap:>11} {address:>4} {entry['what']:10} {rest}"


def direction(port: Path, station: Path = STATION) -> Direction:
    """Who turns the transceiver of a port round: what this machine's station says of its own one, which might send for
    ever when it is opened otherwise; any other adapter does by itself."""
    try:
        config = read_station(station)
    except ConfigError:
        return AUTOMATIC
    is_ours = config.port is not None and Path(config.port).resolve() == port.resolve()
    return Direction(config.direction, config.rts_sends) if is_ours else AUTOMATIC


def run(args: Namespace) -> int:
    path = Path(args.port)
    port = SerialPort(path, args.baud, time.monotonic, direction(path))
    port.must_open()
    tap = Tap(args.baud, time.monotonic())
    said = ""
    while True:
        select.select(port.filenos(), [], [], _LOOK_S)
        data, now = port.receive(), time.monotonic()
        if port.problem != said:
            said = port.problem
            print(said or f"{args.port} is back", file=sys.stderr)
        for entry in tap.hear(data, now) if data else tap.silence(now):
            print(json.dumps(entry) if args.json else text(entry), flush=True)
