"""The faults: one table for code, documentation and screen. No code serves two causes.

`python -m firmware.protection` prints the table of the documentation.
"""

from enum import Enum
from math import inf
from typing import NamedTuple

from firmware.timing import ERROR_PAUSE_S


class Severity(Enum):
    """What a fault does to the station."""

    GROUP = "group"
    """The station is sound but may offer nothing; the pilot is steady (x1)."""
    STOP = "stop"
    """Contactor open, pilot steady (x1), so that the vehicle stays visible."""
    DISABLED = "disabled"
    """Contactor open, pilot at -12 V (F): not usable."""


class Clears(Enum):
    """What ends a fault."""

    CAUSE = "by itself when the cause is gone"
    PAUSE = "30 s after the cause is gone"
    UNPLUG = "when the vehicle is unplugged"
    RESTART = "by a restart, after the repair"


class Fault(NamedTuple):
    """One row of the table."""

    code: str
    severity: Severity
    clears: Clears
    sentence: str


FAULTS = (
    Fault(
        "contactor_stuck",
        Severity.DISABLED,
        Clears.RESTART,
        "The contactor did not open: switch off the breaker.",
    ),
    Fault(
        "switch_unsupported",
        Severity.DISABLED,
        Clears.CAUSE,
        "The rotary switch is above this model's rating.",
    ),
    Fault("switch_unreadable", Severity.STOP, Clears.CAUSE, "The rotary switch stands between two positions."),
    Fault("pilot_short", Severity.STOP, Clears.PAUSE, "The control pilot reads 0 V: shorted or disconnected."),
    Fault(
        "diode",
        Severity.STOP,
        Clears.PAUSE,
        "The vehicle's pilot diode is missing: the low side is above -10 V.",
    ),
    Fault("pilot_range", Severity.STOP, Clears.PAUSE, "The control pilot is outside every window."),
    Fault("overdraw", Severity.STOP, Clears.UNPLUG, "The vehicle drew more than it was offered for 7 s."),
    Fault("contactor_open", Severity.STOP, Clears.PAUSE, "The contactor did not close."),
    Fault("meter", Severity.STOP, Clears.PAUSE, "The meter does not answer."),
    Fault(
        "duplicate_serial",
        Severity.GROUP,
        Clears.CAUSE,
        "Another station of the group has this serial number.",
    ),
    Fault("more_than_one_primary", Severity.GROUP, Clears.CAUSE, "Two stations of this circuit are set to amps."),
    Fault("group_full", Severity.GROUP, Clears.CAUSE, "The group has four secondaries already."),
    Fault("bus_port", Severity.GROUP, Clears.CAUSE, "The RS-485 port is not there."),
    Fault(
        "no_primary",
        Severity.GROUP,
        Clears.CAUSE,
        "No station of this circuit is set to amps, or none is heard.",
    ),
)
"""Most severe first: the first one present is the one shown."""

BY_CODE = {fault.code: fault for fault in FAULTS}
NUMBER = {fault.code: number for number, fault in enumerate(FAULTS, 1)}
"""What stands in registers; 0 = no fault."""


class Faults:
    """The faults that a station has now."""

    __slots__ = ("_gone_at", "blocking", "disabling", "worst")

    def __init__(self) -> None:
        self._gone_at: dict[str, float] = {}
        """By code: since when its cause is gone; inf while it is there."""
        self._judge()

    def _judge(self) -> None:
        codes = self._gone_at
        self.worst = next((fault.code for fault in FAULTS if fault.code in codes), "")
        """Code of the most severe one; empty when there is none."""
        self.blocking = any(BY_CODE[code].severity is not Severity.GROUP for code in codes)
        """Whether one keeps the contactor open."""
        self.disabling = any(BY_CODE[code].severity is Severity.DISABLED for code in codes)
        """Whether one makes the station unusable."""

    def begin(self, code: str) -> bool:
        """The cause is there. Whether that is new."""
        is_new = self._gone_at.get(code) != inf
        self._gone_at[code] = inf
        self._judge()
        return is_new

    def end(self, code: str, now: float) -> bool:
        """The cause is gone; the fault ends when its rule says so. Whether the cause was there."""
        was_there = self._gone_at.get(code) == inf
        if was_there:
            self._gone_at[code] = now
        return was_there

    def step(self, now: float) -> float:
        """Drop what has cleared; when the next one will."""
        clears_at = {code: self._clears_at(code) for code in self._gone_at}
        if any(at <= now for at in clears_at.values()):
            self._gone_at = {code: at for code, at in self._gone_at.items() if clears_at[code] > now}
            self._judge()
        return min((at for at in clears_at.values() if at > now), default=inf)

    def on_unplugged(self) -> None:
        """Drop what the vehicle took with it."""
        self._gone_at = {code: at for code, at in self._gone_at.items() if BY_CODE[code].clears is not Clears.UNPLUG}
        self._judge()

    def _clears_at(self, code: str) -> float:
        clears = BY_CODE[code].clears
        if clears in (Clears.UNPLUG, Clears.RESTART):
            return inf
        return self._gone_at[code] + (ERROR_PAUSE_S if clears is Clears.PAUSE else 0.0)


def word(number: int) -> str:
    """The code for a number in a register; empty for 0."""
    return FAULTS[number - 1].code if 0 < number <= len(FAULTS) else ""


def table() -> str:
    """The faults as a Markdown table, by number."""
    lines = ["| number | code | effect | clears | what it says |", "|---|---|---|---|---|"]
    lines += [
        f"| {NUMBER[fault.code]} | {fault.code} | {fault.severity.value} | {fault.clears.value} | {fault.sentence} |"
        for fault in FAULTS
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
