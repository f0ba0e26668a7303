"""The faults: one table for code, documentation and screen. No code serves two causes.

`python -m firmware.protection` prints the table of the documentation.
"""

from enum import Enum
from typing import NamedTuple


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
