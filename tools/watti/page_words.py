"""What the live screen says in words: states, reasons, and what the bus's counters mean."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from watti.scenario import serial_of
from watti.screen import Row

WINDOW_S = 30.0
"""Bus counters are judged by what they have grown in this time."""
LEAST_POLLS = 10
MISSED_SHARE = 0.05
CRC_GROWTH = 10
"""More of these within the window than enrolment makes by its collisions (I)."""

REASONS: Mapping[str, str] = {
    "idle": "the vehicle does not ask",
    "rating": "all that this model gives",
    "switch": "all that the switch allows",
    "share": "its equal share",
    "vehicle": "the vehicle takes no more",
    "settling": "the others come down first",
    "waiting": "waits: its turn comes",
    "quiet_start": "the group has just started",
    "no_primary": "no primary is heard",
    "group_full": "the group is full",
    "more_than_one_primary": "two stations are set to amps",
    "online": "the online limit",
    "temperature": "too warm: it offers less",
    "fault": "a fault",
}
"""By the words of `status`: why a station offers what it offers."""

_STATES: Mapping[str, str] = {
    "A": "no vehicle",
    "B": "connected",
    "C": "asks",
    "D": "asks, ventilated",
    "E": "pilot at 0 V",
    "F": "not available",
    "o": "no process",
}


def reason(row: Row) -> str:
    """Why it offers what it offers."""
    if row["pid"] is None:
        return "its process has ended"
    if not row["alive"]:
        return "its process stands still"
    if row["vehicle"] is None and row["reason"] == "idle":
        return "no vehicle"
    return REASONS.get(row["reason"], row["reason"].replace("_", " "))


def state(row: Row) -> str:
    """The pilot state as people know it."""
    if row["contactor"] == "closed":
        return "charging" if row["drawn_a"] else "ready to charge"
    return _STATES[row["state"][0]]


def names_by_serial(names: Sequence[str]) -> dict[str, str]:
    """Stations of a bench by the serial number that their names give them, as 12 hex digits."""
    return {f"{serial_of(name, None):012X}": name for name in names}


class Counted(NamedTuple):
    """The counters of one station's bus at one moment; polls are those that its primary made."""

    polls: int
    missed: int
    crc_errors: int


class BusWatch:
    """What the counters of the last `WINDOW_S` say."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, Counted]]] = deque()

    def update(self, rows: Sequence[Row], t_s: float) -> list[str]:
        """Take in how the counters stand now; a sentence for each kind of trouble that there is."""
        now = counted(rows)
        self._seen.append((t_s, now))
        while t_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        before = self._seen[0][1]
        dead = {row["station"] for row in rows if not row["alive"]}
        grown = {name: _growth(before[name], now[name]) for name in now if name in before}
        return [hint for hint in (_missed(grown, dead), _garbled(grown)) if hint]


def counted(rows: Sequence[Row]) -> dict[str, Counted]:
    """The counters of each station that says them."""
    serials = names_by_serial([row["station"] for row in rows])
    polls = {serials.get(member["serial"], ""): member for row in rows for member in _members(row)}
    none = {"polls": 0, "missed": 0}
    return {
        name: Counted(polls.get(name, none)["polls"], polls.get(name, none)["missed"], row["bus"]["crc_errors"])
        for row in rows
        if row["bus"] and (name := row["station"])
    }


def _members(row: Row) -> Sequence[Mapping[str, Any]]:
    members: Sequence[Mapping[str, Any]] = (row["bus"] or {}).get("members", [])
    return members


def _growth(before: Counted, now: Counted) -> Counted:
    """How much was counted; nothing where somebody has begun anew."""
    grown = Counted(*(b - a for a, b in zip(before, now, strict=True)))
    return grown if min(grown) >= 0 else Counted(0, 0, 0)


def _missed(grown: Mapping[str, Counted], dead: Collection[str]) -> str:
    """A process that is gone or stands still is said elsewhere: its line is sound."""
    bad = {
        name: growth
        for name, growth in grown.items()
        if growth.polls >= LEAST_POLLS and growth.missed > MISSED_SHARE * growth.polls and name not in dead
    }
    polls, missed = (sum(getattr(growth, key) for growth in bad.values()) for key in ("polls", "missed"))
    said = f"{', '.join(bad)}: {missed} of {polls} polls missed: termination, A and B swapped, a busy computer?"
    return said if bad else ""


def _garbled(grown: Mapping[str, Counted]) -> str:
    bad = {name: growth.crc_errors for name, growth in grown.items() if growth.crc_errors > CRC_GROWTH}
    said = f"{', '.join(bad)}: {sum(bad.values())} CRC errors in {WINDOW_S:.0f} s: termination, bias, noise?"
    return said if bad else ""
