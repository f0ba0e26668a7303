"""The faults: one table for code, documentation and screen. No code serves two causes.

`python -m firmware.protection` prints the table of the documentation.
"""

from enum import Enum
from typing import NamedTuple

from hal.api import Colour, Light


class Severity(Enum):
    """What a fault does to the station."""

    WARNING = "warning"
    """The station goes on, within what the sentence says."""
    GROUP = "group"
    """The station is sound but may offer nothing; the pilot is steady (x1)."""
    PAUSE = "pause"
    """Pilot steady (x1); the contactor opens when the vehicle has stopped, after 6 s under load."""
    STOP = "stop"
    """Contactor open at once, pilot steady (x1), so that the vehicle stays visible."""
    DISABLED = "disabled"
    """Contactor open, pilot at -12 V (F): not usable."""


class Clears(Enum):
    """What ends a fault. Only RECLOSE, UNPLUG and RESTART latch: the others end without anybody."""

    CAUSE = "by itself when the cause is gone"
    PAUSE = "30 s after the cause is gone"
    RECLOSE = "15 min after the cause is gone, 4 times a vehicle; then, as at once, when it is unplugged"
    UNPLUG = "when the vehicle is unplugged"
    RESTART = "by a restart, after the repair"


class Fault(NamedTuple):
    """One row of the table."""

    number: int
    """What stands in registers; never given to another code."""
    code: str
    severity: Severity
    clears: Clears
    blinks: tuple[int, int]
    """How the lamp tells it: so many flashes, a short pause, so many more."""
    sentence: str

    @property
    def light(self) -> Light:
        """Red where the vehicle can't be charged for a fault of this station or vehicle, else amber."""
        mild = self.severity in (Severity.GROUP, Severity.WARNING)
        return Light(Colour.AMBER if mild else Colour.RED, self.blinks)


FAULTS = (
    Fault(
        1,
        "contactor_stuck",
        Severity.DISABLED,
        Clears.RESTART,
        (4, 1),
        "The contactor did not open: switch off the breaker.",
    ),
    Fault(
        15,
        "ground_fault_self_test",
        Severity.DISABLED,
        Clears.RESTART,
        (3, 2),
        "The ground-fault sensor failed its self-test: it protects nobody.",
    ),
    Fault(
        2,
        "switch_unsupported",
        Severity.DISABLED,
        Clears.CAUSE,
        (1, 1),
        "The rotary switch is above this model's rating.",
    ),
    Fault(
        16,
        "ground_fault",
        Severity.STOP,
        Clears.RECLOSE,
        (3, 1),
        "Current leaks to ground in the vehicle or its cable.",
    ),
    Fault(
        17,
        "no_ground",
        Severity.STOP,
        Clears.RECLOSE,
        (3, 3),
        "The protective earth of this station is missing.",
    ),
    Fault(
        4,
        "pilot_short",
        Severity.STOP,
        Clears.PAUSE,
        (2, 1),
        "The control pilot reads 0 V: it is shorted to ground.",
    ),
    Fault(
        5,
        "diode",
        Severity.STOP,
        Clears.PAUSE,
        (2, 2),
        "The vehicle's pilot diode is missing: the low side is above -10 V.",
    ),
    Fault(
        6,
        "pilot_range",
        Severity.STOP,
        Clears.PAUSE,
        (2, 3),
        "The control pilot is outside every window.",
    ),
    Fault(
        7,
        "overdraw",
        Severity.STOP,
        Clears.UNPLUG,
        (4, 3),
        "The vehicle drew more than it was offered for 7 s.",
    ),
    Fault(
        8,
        "contactor_open",
        Severity.STOP,
        Clears.PAUSE,
        (4, 2),
        "The contactor did not close.",
    ),
    Fault(
        24,
        "contactor_fell",
        Severity.STOP,
        Clears.RECLOSE,
        (4, 4),
        "The contactor opened by itself: its coil loses its supply.",
    ),
    Fault(
        3,
        "switch_unreadable",
        Severity.PAUSE,
        Clears.CAUSE,
        (1, 2),
        "The rotary switch stands between two positions.",
    ),
    Fault(
        18,
        "over_temperature",
        Severity.PAUSE,
        Clears.CAUSE,
        (5, 1),
        "The station is too hot: it goes on when it has cooled down to 62 C.",
    ),
    Fault(
        9,
        "meter",
        Severity.PAUSE,
        Clears.PAUSE,
        (5, 2),
        "The meter does not answer.",
    ),
    Fault(
        19,
        "meter_implausible",
        Severity.PAUSE,
        Clears.PAUSE,
        (5, 3),
        "The meter shows a current that can't be.",
    ),
    Fault(
        20,
        "configuration",
        Severity.PAUSE,
        Clears.CAUSE,
        (1, 3),
        "The primary's leases are too long for this station: give all stations of the circuit the same [timing].",
    ),
    Fault(
        10,
        "duplicate_serial",
        Severity.GROUP,
        Clears.CAUSE,
        (6, 4),
        "Another station of the group has this serial number.",
    ),
    Fault(
        11,
        "more_than_one_primary",
        Severity.GROUP,
        Clears.CAUSE,
        (6, 2),
        "Two stations of this circuit are set to amps.",
    ),
    Fault(
        12,
        "group_full",
        Severity.GROUP,
        Clears.CAUSE,
        (6, 3),
        "The group has four secondaries already.",
    ),
    Fault(
        26,
        "protocol",
        Severity.GROUP,
        Clears.CAUSE,
        (1, 4),
        "This station's firmware speaks another protocol than the primary's: update the older one.",
    ),
    Fault(
        13,
        "bus_port",
        Severity.GROUP,
        Clears.CAUSE,
        (6, 5),
        "The RS-485 port is not there.",
    ),
    Fault(
        14,
        "no_primary",
        Severity.GROUP,
        Clears.CAUSE,
        (6, 1),
        "No station of this circuit is set to amps, or none is heard.",
    ),
    Fault(
        23,
        "unheard",
        Severity.GROUP,
        Clears.CAUSE,
        (6, 6),
        "The primary is heard but does not hear this station: check the wires A and B.",
    ),
    Fault(
        21,
        "thermometer",
        Severity.WARNING,
        Clears.CAUSE,
        (5, 4),
        "The thermometer gives no sound reading: at most a quarter of the rating is offered.",
    ),
    Fault(
        22,
        "log",
        Severity.WARNING,
        Clears.CAUSE,
        (5, 5),
        "The event log can't be written: new records are kept in memory.",
    ),
    Fault(
        25,
        "store",
        Severity.WARNING,
        Clears.CAUSE,
        (5, 6),
        "The station's memory can't be written: a restart would lose it.",
    ),
)
"""Most severe first: the first one present is the one shown. First digit of the blinks: 1 settings, 2 pilot, 3 ground,
4 contactor and current, 5 sensors and log, 6 group."""

BY_CODE = {fault.code: fault for fault in FAULTS}
NUMBER = {fault.code: fault.number for fault in FAULTS}
"""What stands in registers; 0 = no fault."""


def word(number: int) -> str:
    """The code for a number in a register; empty for 0. A later version may have one that is not known here."""
    return next((fault.code for fault in FAULTS if fault.number == number), f"fault_{number}" if number else "")


def table() -> str:
    """The faults as a Markdown table, the most severe first."""
    lines = ["| number | code | lamp | effect | clears | what it says |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {fault.number} | {fault.code} | {fault.light.words} | {fault.severity.value} | {fault.clears.value} | "
        f"{fault.sentence} |"
        for fault in FAULTS
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
