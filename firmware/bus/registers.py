"""The status block that any Modbus master may read, from register 0 by FC 03 or FC 04.

`python -m firmware.bus.registers` prints the table of the documentation.
"""

from collections.abc import Sequence
from typing import NamedTuple

MAP_VERSION = 2
"""Later versions append rows and change none."""


class Register(NamedTuple):
    """One row of the map; `size` in registers, most significant first."""

    name: str
    size: int
    unit: str
    meaning: str


MAP = (
    Register("map_version", 1, "", f"version of this table: {MAP_VERSION}"),
    Register("serial", 3, "", "serial number, 48 bits"),
    Register("rating", 1, "0.1 A", "the model's rating"),
    Register("switch", 1, "", "rotary switch, 0-15; 255 unreadable"),
    Register("role", 1, "", "0 none, 1 standalone, 2 primary, 3 secondary"),
    Register("state", 1, "ASCII", "pilot state, letter in the high byte, digit or 0 in the low one"),
    Register("contactor", 1, "", "1 = output live"),
    Register("offered", 1, "0.1 A", "what the pilot advertises, 0 = PWM off"),
    Register("drawn", 1, "0.1 A", "metered current; 65535 = the meter shows none"),
    Register("limit", 1, "0.1 A", "the group's total as this station knows it"),
    Register("reason", 1, "", "number of the limit that binds (table of reasons)"),
    Register("fault", 1, "", "number of the fault shown, 0 = none (table of faults)"),
    Register("secondaries", 1, "", "enrolled stations, on a primary"),
    Register("missed_polls", 2, "", "polls without an answer, on a primary"),
    Register("crc_errors", 2, "", "runs of bytes that were part of no sound frame"),
    Register("refused_grants", 2, "", "grants not believed"),
    Register("uptime", 2, "s", "since the firmware started"),
    Register("energy", 2, "Wh", "delivered in this station's life, in steps of 100"),
    Register("temperature", 1, "0.1 C", "inside the station, two's complement; 32768 = not known"),
    Register("protocol", 1, "", "version of what the stations of a group say to each other"),
    Register("firmware", 2, "", "version: major and minor in a byte each, patch in a register"),
)
LENGTH = sum(register.size for register in MAP)


def pack(values: Sequence[int]) -> list[int]:
    """Register values from one number for each row of `MAP`; numbers too large for their row are capped."""
    words: list[int] = []
    for register, value in zip(MAP, values, strict=True):
        capped = min(max(0, int(value)), (1 << 16 * register.size) - 1)
        words += ((capped >> 16 * shift) & 0xFFFF for shift in reversed(range(register.size)))
    return words


def table() -> str:
    """The map as a Markdown table."""
    lines = ["| register | name | unit | meaning |", "|---|---|---|---|"]
    at = 0
    for register in MAP:
        where = str(at) if register.size == 1 else f"{at}-{at + register.size - 1}"
        lines.append(f"| {where} | {register.name} | {register.unit} | {register.meaning} |")
        at += register.size
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
