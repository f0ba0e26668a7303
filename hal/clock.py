"""The date, and how far it can be trusted: a board without network or clock chip does not know it."""

import ctypes
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

BUILT = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock that is set shows an earlier date: this software was not there yet."""

SYNCHRONISED = "synchronised"
"""The kernel says that something disciplines the clock (NTP, PTP, GPS)."""
UNSYNCHRONISED = "unsynchronised"
"""The clock runs, but nobody vouches for it."""
UNSET = "unset"
"""The clock shows a date that can't be."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMEX_BYTES = 512  # at least sizeof(struct timex), which is 208 on 64-bit Linux
_TIME_ERROR = 5  # <sys/timex.h>: the clock is not synchronised; STA_UNSYNC and STA_CLOCKERR give it too


def boot_id() -> str:
    """8 hex digits that stand for this boot of the kernel, so for one monotonic clock; random where the kernel does not
    say."""
    try:
        return _BOOT_ID.read_text()[:8]
    except OSError:
        return os.urandom(4).hex()


def kernel_disciplines() -> bool:
    """Whether the kernel says that its clock is synchronised (adjtimex with nothing to adjust)."""
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):  # no libc that knows it
        return False
    return 0 <= state != _TIME_ERROR


class Clock:
    """Stamps of moments."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        disciplined: Callable[[], bool] = kernel_disciplines,
    ) -> None:
        """`monotonic`: s. `wall`: s since 1970. `disciplined`: whether somebody keeps the wall clock right."""
        self.monotonic = monotonic
        self._wall = wall
        self._disciplined = disciplined
        self._boot = boot_id()

    def stamp(self, now: float) -> dict[str, object]:
        """When `now` (monotonic s) is: boot, t_s, wall, clock (`hal.api.Journal`)."""
        at = self._wall() - (self.monotonic() - now)
        known = at >= BUILT.timestamp()
        return {
            "boot": self._boot,
            "t_s": round(now, 3),
            "wall": iso(at) if known else None,
            "clock": (SYNCHRONISED if self._disciplined() else UNSYNCHRONISED) if known else UNSET,
        }


def iso(at: float) -> str:
    """Seconds since 1970 as UTC, ISO 8601 with milliseconds: `2026-11-23T14:05:06.789Z`."""
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
