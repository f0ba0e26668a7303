"""Which software a station runs, as enrolment says it.

Frozen in every version to come, so that any two can say why they don't work together: the frames `Probe`, `Here`,
`Refuse` and `AreYouSecondary`, to the byte and with what is done about them; address 247; how long a frame of function
code 0x41 is; a probe by every primary in every cycle. All else is a matter of `PROTOCOL`.
"""

import re
import struct
from typing import NamedTuple

from firmware import __version__

PROTOCOL = 1
"""Version of all that the stations of a group must agree on: layouts, the closed lists in them, the rules of leases.
It goes up when a station of the version before would misunderstand."""

_PACKED = struct.Struct(">BBH")  # major, minor, patch


class Software(NamedTuple):
    """What a station runs."""

    protocol: int
    firmware: int
    """Its version: major and minor in a byte each, patch in two."""

    @property
    def version(self) -> str:
        """The firmware's version as people write it."""
        return ".".join(map(str, _PACKED.unpack(self.firmware.to_bytes(_PACKED.size, "big"))))


def packed(version: str) -> int:
    """major.minor.patch as four bytes; what follows them (rc1, +local) is left out."""
    return int.from_bytes(_PACKED.pack(*map(int, re.findall(r"\d+", version)[:3])), "big")


OWN = Software(PROTOCOL, packed(__version__))
