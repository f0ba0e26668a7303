"""What the lamp on a station's face says: one table for code and documentation; faults have theirs in
`firmware.protection`.

`python -m firmware.lamp` prints the table of the documentation.
"""

from typing import NamedTuple

from firmware.bus.messages import Reason
from firmware.protection import BY_CODE
from hal.api import Colour, Light


class Indication(NamedTuple):
    """One row of the table."""

    light: Light
    sentence: str


READY = Indication(Light(Colour.GREEN), "Ready, no vehicle.")
CONNECTED = Indication(Light(Colour.WHITE), "A vehicle is connected and does not ask.")
WAITING = Indication(Light(Colour.BLUE, (1,)), "The vehicle waits: for its turn, or until others have come down.")
CHARGING = Indication(Light(Colour.BLUE), "Charging: the contactor is closed.")
STARTING = Indication(Light(Colour.WHITE, (2,)), "The group has just started and gives nothing yet.")
INDICATIONS = (READY, CONNECTED, WAITING, CHARGING, STARTING)


def light(state: str, closed: bool, reason: Reason, fault: str) -> Light:
    """What to show for a pilot state (A1 ... F), the contactor, the reason and the worst fault (code or empty)."""
    if fault:
        return BY_CODE[fault].light
    if closed:
        return CHARGING.light
    if reason is Reason.QUIET_START:
        return STARTING.light
    if state[0] == "A":
        return READY.light
    return (CONNECTED if reason is Reason.IDLE else WAITING).light


def table() -> str:
    """The rows as Markdown."""
    lines = ["| lamp | what it says |", "|---|---|"]
    lines += [f"| {row.light.words} | {row.sentence} |" for row in INDICATIONS]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
