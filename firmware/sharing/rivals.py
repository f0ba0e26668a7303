"""One circuit, one primary: what a primary does about another one. No timing, no bytes: only who yields.

A primary sits only after its quiet start. Until then, whatever it hears from another makes it yield. Two that sit
have grown together from two lines: both yield. A yielded primary offers nothing until its own switch is turned or
the other is heard to answer as F; never because of silence, else a brown-out of the rightful one would hand the
circuit to the wrong setting. It remembers that across restarts.
"""

import json
from enum import Enum, auto
from math import inf

from firmware.config import SERIAL_MAX
from hal.api import Store

_NAMED_S = 10.0  # how long after its last frame an intruder is shown


class Phase(Enum):
    """Where a primary stands in its life."""

    LISTENING = auto()
    QUIET = auto()
    """Speaks and enrols, grants nothing."""
    SITTING = auto()
    YIELDED = auto()


class Rivals:
    """The other primaries that this one knows of."""

    def __init__(self, store: Store, digit: int) -> None:
        self._store = store
        self._digit = digit
        self.serial: int | None = None
        """The one it yielded to."""
        self.intruder: int | None = None
        """The last other primary heard while sitting."""
        self._heard_at = -inf
        self._load()

    @property
    def yielded(self) -> bool:
        return self.serial is not None

    def heard(self, serial: int, now: float) -> None:
        self.intruder, self._heard_at = serial, now

    def named(self, now: float) -> int | None:
        """The intruder to show, while it is still about."""
        return self.intruder if now < self._heard_at + _NAMED_S else None

    @property
    def named_until(self) -> float:
        return self._heard_at + _NAMED_S

    def yield_to(self, serial: int) -> None:
        if self.serial != serial:
            self.serial = serial
            self._store.save(json.dumps({"yielded_to": serial, "switch": self._digit}).encode())

    def forget(self) -> None:
        """The other one has become a secondary."""
        self.serial = None
        self._store.save(b"")

    def _load(self) -> None:
        """A record of another switch position is of another life; one that can't be of this class is none."""
        kept = self._store.load()
        try:
            record = json.loads(kept or b"{}")
            serial, digit = record["yielded_to"], record["switch"]
        except (ValueError, KeyError, TypeError, RecursionError):
            serial = digit = None
        if type(serial) is type(digit) is int and 0 < serial <= SERIAL_MAX and digit == self._digit:
            self.serial = serial
        elif kept:
            self.forget()
