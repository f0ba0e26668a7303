"""What a record of the event log says, as a sentence for people."""

from collections.abc import Callable, Mapping
from typing import Any

from watti.page_words import REASONS

_STAMP = ("boot", "t_s", "wall", "clock", "station", "event")
_NAMELESS: Mapping[str, str] = {}
_ENDED = {
    "unplug": "unplugged",
    "vehicle": "the vehicle has stopped",
    "fault": "a fault",
    "contactor": "the contactor fell open, or its process stood still",
}


def sentence(record: Mapping[str, Any], names: Mapping[str, str] = _NAMELESS) -> str:
    """Any record, also of an event that is not known here. `names`: what stations are called, by serial number."""
    try:
        if record["event"] == "group":
            return _group(record, names)
        return _SENTENCES[record["event"]](record)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):  # a later version's, or somebody's editor
        fields = (f"{key}={value}" for key, value in record.items() if key not in _STAMP)
        return " ".join((record["event"], *fields))


def printable(line: str) -> str:
    """With what a terminal would not show but obey, or can't show, as an escape of Python's."""
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 3:05:09."""
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def _boot(record: Mapping[str, Any]) -> str:
    return f"starts: {record['model']}, serial {record['serial']}, version {record['version']}"


def _role(record: Mapping[str, Any]) -> str:
    switch = "unreadable" if record["switch"] is None else record["switch"]
    return f"role {record['role']}, switch {switch}, limit {record['limit_a']:.1f} A"


def _group(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if "members" in record:
        parts = [f"shares with {', '.join(names.get(serial, serial) for serial in record['members']) or 'nobody'}"]
        parts += [f"refuses {_refusal(refused, names)}" for refused in record.get("refused", ())]
    else:
        parts = [f"follows {names.get(record['primary'], record['primary']) or 'nobody'}"]
        if record.get("refused_by"):
            parts.append(f"refused by {_refusal(record['refused_by'], names)}")
    return "; ".join(parts)


def _refusal(refused: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The other station: why, and with which firmware."""
    serial, why = refused["serial"], refused["why"]
    versions = f", protocol {refused['protocol']}, firmware {refused['firmware']}" if "firmware" in refused else ""
    return f"{names.get(serial, serial)} ({why}{versions})"


def _offer(record: Mapping[str, Any]) -> str:
    reason, offered = record["reason"], f"offers {record['offered_a']:.1f} A"
    if reason == "share":
        return f"{offered}: its share of {record['limit_a']:.1f} A"
    return f"{offered}: {_reason(reason)}"


def _stop(record: Mapping[str, Any]) -> str:
    return f"stops: {_ENDED.get(record['why']) or _reason(record['why'])}"


def _reason(word: str) -> str:
    return REASONS.get(word) or word.replace("_", " ")


def _fault(record: Mapping[str, Any]) -> str:
    return f"fault {record['fault']} ({record['lamp']}): {record['sentence']}"


def _session(record: Mapping[str, Any]) -> str:
    return (
        f"session {record['session']} ended ({record['ended']}): {record['energy_wh'] / 1000:.2f} kWh, "
        f"charging {duration(record['charging_s'])}, waiting {duration(record['waiting_s'])}, "
        f"peak {record['peak_a']:.1f} A"
    )


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "boot": _boot,
    "role": _role,
    "plug_in": lambda record: f"vehicle plugged in, session {record['session']}",
    "resume": lambda record: f"goes on with session {record['session']}: its vehicle is still there",
    "start": lambda record: f"charging starts, {record['offered_a']:.1f} A offered",
    "offer": _offer,
    "stop": _stop,
    "unplug": lambda record: "vehicle unplugged",
    "fault": _fault,
    "clear": lambda record: f"fault {record['fault']} is over after {duration(record['after_s'])}",
    "session": _session,
    "end": lambda record: f"its process ends ({record['signal']})",
    "stall": lambda record: f"its process stood still for {record['for_s']:.1f} s",
    "lost": lambda record: f"{record['records']} events are missing before this: they could not be written",
    "repaired": lambda record: f"{record['bytes']} bytes of a line that a power cut had left unfinished were cut off",
}
