"""`watti doctor --group`: the group as its primary sees it: who is there, and what is wrong with the circuit."""

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from firmware.config import MODELS
from firmware.protection import BY_CODE
from firmware.rotary import Chart, Role, parse_position
from firmware.timing import MIN_OFFER_DA
from hal.simulated.remote import Refused
from watti.control import NothingRuns, find
from watti.scenario import CONFIGS
from watti.screen import Row, row
from watti.where import bench_dir

UNREADABLE = "?"
"""What a station shows for a switch that has no position."""
MISSED = 0.02
"""Part of polls without an answer, from where on a line is worth looking at (I)."""
FEW_POLLS = 50
"""Fewer tell nothing yet."""
_MIN_A = MIN_OFFER_DA / 10
_LOOK = "check the wires A and B to it, termination at both ends only, and bias at one place"


class Present(NamedTuple):
    """One station of the circuit, as far as anybody here knows it."""

    serial: str
    name: str
    """Empty where only the bus tells of it."""
    role: str
    address: int | None
    rating_a: float | None
    firmware: str
    protocol: int | None
    switch: str
    polls: int
    missed: int
    bad: int
    fault: str


class Trouble(NamedTuple):
    """Something that is wrong with the circuit."""

    result: str
    """warn or fail."""
    code: str
    """Of the fault that the station shows; empty where the lamp says nothing."""
    lamp: str
    who: str
    saw: str
    advice: str


def run(args: Namespace) -> int:
    """`args`: config, name, dir, json."""
    try:
        found = find(bench_dir(args.dir))
    except (NothingRuns, Refused) as nothing:
        print(f"watti: {nothing}", file=sys.stderr)
        return 1
    rows = {name: _row(status) for name, (_, status) in found.items()}
    present = roll_call(rows)
    troubles = list(troubles_of(rows, present, Chart.load(CONFIGS / "rotary.toml")))
    if args.json:
        findings = [trouble._asdict() for trouble in troubles]
        print(json.dumps({"stations": [one._asdict() for one in present], "findings": findings}, indent=2))
    else:
        print("\n".join([*table(present), "", *told(troubles)]))
    return 1 if any(trouble.result == "fail" for trouble in troubles) else 0


def _row(status: Mapping[str, Any]) -> Row:
    """As scripts get it, with what the firmware says of itself; `bus` is empty where it says nothing."""
    entry = row(status)
    return {**entry, "firmware": status["firmware"] or {}, "bus": entry["bus"] or {}}


# Who is there


def roll_call(rows: Mapping[str, Row]) -> list[Present]:
    """Each station once: those that run here, and those that a primary here has enrolled. By role, then address."""
    members = {one["serial"]: one for entry in rows.values() for one in entry["bus"].get("members", ())}
    here = [_here(name, entry, members.get(entry["firmware"].get("serial"))) for name, entry in rows.items()]
    known = {one.serial for one in here}
    far = [_far(member) for serial, member in members.items() if serial not in known]
    return sorted([*here, *far], key=lambda one: (one.role != Role.PRIMARY, one.address or 0, one.serial))


def _here(name: str, entry: Row, member: Mapping[str, Any] | None) -> Present:
    said = entry["firmware"]
    seen = member or {}
    return Present(
        said.get("serial", "-"),
        name,
        entry["role"],
        seen.get("address"),
        said.get("rating_a"),
        said.get("firmware", "-"),
        said.get("protocol"),
        entry["switch"],
        seen.get("polls", 0),
        seen.get("missed", 0),
        seen.get("bad", 0),
        entry["fault"],
    )


def _far(member: Mapping[str, Any]) -> Present:
    return Present(
        member["serial"],
        "",
        Role.SECONDARY,
        member["address"],
        member.get("rating_a"),
        member.get("firmware", "-"),
        member.get("protocol"),
        "F",
        member["polls"],
        member["missed"],
        member["bad"],
        member.get("fault", ""),
    )


# What is wrong


def troubles_of(rows: Mapping[str, Row], present: Sequence[Present], chart: Chart) -> Iterator[Trouble]:
    """Everything that keeps a station from its share, the worst kind first."""
    yield from _switches(rows, chart)
    yield from _primaries(rows)
    yield from _refused(rows)
    yield from _twins(present)
    yield from _total(rows, present)
    yield from _lines(present)
    yield from _others(rows, present)


def _trouble(result: str, code: str, who: str, saw: str, advice: str) -> Trouble:
    return Trouble(result, code, BY_CODE[code].light.words if code else "", who, saw, advice)


def _switches(rows: Mapping[str, Row], chart: Chart) -> Iterator[Trouble]:
    for name, entry in rows.items():
        rating_a = entry["firmware"].get("rating_a", max(MODELS.values()))
        position = None if entry["switch"] == UNREADABLE else parse_position(entry["switch"])
        setting = chart.setting(position, int(rating_a))
        if setting.fault:
            yield _trouble("fail", setting.fault, name, setting.why, f"turn it to F, or to at most {rating_a:g} A")


def _primaries(rows: Mapping[str, Row]) -> Iterator[Trouble]:
    advice = "turn all but one station of the circuit to F"
    amps = [name for name, entry in rows.items() if entry["role"] not in (Role.SECONDARY, Role.NONE)]
    rivals = {entry["bus"].get("rival") for entry in rows.values()} - {None}
    if len(amps) > 1:
        yield _trouble(
            "fail", "more_than_one_primary", ", ".join(amps), f"{len(amps)} stations are set to amps", advice
        )
    elif rivals or any("more_than_one_primary" in entry["faults"] for entry in rows.values()):
        who = ", ".join(sorted(rivals)) or "a station that is not known here"
        saw = f"another primary is on the line: {who}"
        yield _trouble("fail", "more_than_one_primary", ", ".join(amps), saw, advice)
    alone = [name for name, entry in rows.items() if entry["fault"] == "no_primary"]
    if alone and not amps:
        saw = "every station that is known here stands at F, and none is set to amps"
        yield _trouble("fail", "no_primary", ", ".join(alone), saw, "set one station to the amps of the circuit")
    elif alone:
        yield _trouble("fail", "no_primary", ", ".join(alone), "it hears no primary", _LOOK)


_REFUSED = {
    "group_full": "the group has four secondaries already: put it on a circuit of its own",
    "duplicate_serial": "two stations have this serial number: give one a station.serial of its own",
    "protocol": "its firmware speaks another protocol: install the same version on all stations",
}


def _refused(rows: Mapping[str, Row]) -> Iterator[Trouble]:
    for entry in rows.values():
        for one in entry["bus"].get("refused", ()):
            code = one["why"]
            version = f", firmware {one['firmware']}, protocol {one['protocol']}" if "firmware" in one else ""
            advice = _REFUSED.get(code, _REFUSED["protocol"])
            yield _trouble("fail", code if code in BY_CODE else "", one["serial"], f"refused: {code}{version}", advice)


def _twins(present: Sequence[Present]) -> Iterator[Trouble]:
    counts = Counter(one.serial for one in present if one.serial != "-")
    for serial, count in counts.items():
        if count > 1:
            names = ", ".join(one.name or "?" for one in present if one.serial == serial)
            saw = f"{count} stations have the serial number {serial}"
            yield _trouble("fail", "duplicate_serial", names, saw, "leave station.serial out: the chip's own is unique")


def _total(rows: Mapping[str, Row], present: Sequence[Present]) -> Iterator[Trouble]:
    for name, entry in rows.items():
        count = 1 + len(entry["bus"].get("members", ()))
        if entry["role"] == Role.PRIMARY and entry["limit_a"] < _MIN_A * count:
            at_once = int(entry["limit_a"] // _MIN_A)
            saw = f"{entry['limit_a']:g} A for {count} stations: {at_once} at a time can have {_MIN_A:g} A, by turns"
            yield _trouble("warn", "", name, saw, f"a circuit of {_MIN_A * count:g} A or more serves all at once")


def _lines(present: Sequence[Present]) -> Iterator[Trouble]:
    for one in present:
        if one.polls < FEW_POLLS:
            continue
        lost = (one.missed + one.bad) / one.polls
        if lost > MISSED:
            saw = f"{lost:.1%} of {one.polls} polls without a sound answer"
            yield _trouble("warn", "", one.name or one.serial, saw, _LOOK)


_TOLD = ("switch_unsupported", "switch_unreadable", "more_than_one_primary", "no_primary", "group_full")
"""Faults that have been told by now."""


def _others(rows: Mapping[str, Row], present: Sequence[Present]) -> Iterator[Trouble]:
    """What any station of the circuit shows besides."""
    for name, entry in rows.items():
        if not entry["alive"]:
            yield _trouble("fail", "", name, "its process does not run", "systemctl status watti tells why")
    for one in present:
        if one.fault and one.fault not in _TOLD and one.fault in BY_CODE:
            advice = "see the table of faults in the documentation, and try its parts: watti doctor"
            yield _trouble("fail", one.fault, one.name or one.serial, BY_CODE[one.fault].sentence, advice)


# For people


def table(present: Sequence[Present]) -> list[str]:
    """The roll call."""
    heads = ("serial", "station", "role", "address", "model", "switch", "firmware", "polls", "missed %", "bad")
    lines = [_cells(one) for one in present]
    widths = [max(len(line[i]) for line in (heads, *lines)) for i in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *lines)
    ]


def _cells(one: Present) -> tuple[str, ...]:
    polled = one.polls > 0
    return (
        one.serial,
        one.name or "-",
        one.role,
        "-" if one.address is None else str(one.address),
        "-" if one.rating_a is None else f"{one.rating_a:g}A",
        one.switch,
        one.firmware + (f" (protocol {one.protocol})" if one.protocol is not None else ""),
        str(one.polls) if polled else "-",
        f"{100 * one.missed / one.polls:.1f}" if polled else "-",
        str(one.bad) if polled else "-",
    )


def told(troubles: Sequence[Trouble]) -> list[str]:
    """What is wrong and what to do, or that nothing is."""
    lines = []
    for one in troubles:
        lamp = f" [{one.lamp}]" if one.lamp else ""
        lines += [f"{one.result:<5} {one.who}: {one.saw}{lamp}", f"{'':<5} do: {one.advice}"]
    return lines or ["ok    nothing is wrong with this group"]
