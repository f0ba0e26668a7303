"""Which board this is: its chip's serial number, as that of the station."""

from pathlib import Path

from hal.api import BoardGone

_BITS = 48


def chip_serial(path: Path) -> int:
    """48 bits of the number in the chip, never 0 nor all ones. A copied card brings it to no other board.

    Raises `BoardGone`.
    """
    try:
        serial = int(path.read_text("ascii").strip("\0 \n"), 16) % (1 << _BITS)
    except (OSError, ValueError):
        raise BoardGone(f"{path} tells no serial number: is this a Raspberry Pi?") from None
    if serial in (0, (1 << _BITS) - 1):
        raise BoardGone(f"{path} tells no serial number: give station.serial in the station's file")
    return serial
