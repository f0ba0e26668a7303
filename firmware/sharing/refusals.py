"""Why a primary does not take a station into its group, for people to see on both sides."""

from collections.abc import Mapping
from typing import NamedTuple

from firmware.bus.messages import REFUSED_FULL, REFUSED_PROTOCOL, REFUSED_TWIN
from firmware.bus.versions import Software

CODES = {REFUSED_FULL: "group_full", REFUSED_TWIN: "duplicate_serial", REFUSED_PROTOCOL: "protocol"}
"""By reason: the fault that the refused station shows."""
PAUSE_S = {"group_full": 5.0, "duplicate_serial": 30.0, "protocol": 5.0}
"""By fault: how long the station leaves the bus to the others."""
_SHOWN_S = 60.0  # one that is still there has asked again by then
_MOST = 32  # stations that an RS-485 line carries


def code_of(why: int) -> str:
    """A reason that is not known here is one of a later protocol."""
    return CODES.get(why, "protocol")


class Refusal(NamedTuple):
    """One refusal, as either side sees it: the other's serial number and software."""

    serial: int
    code: str
    software: Software | None
    """None of stations of one serial number that are only known to talk over each other."""

    @property
    def fields(self) -> Mapping[str, object]:
        """For the event log and the status."""
        fields: dict[str, object] = {"serial": f"{self.serial:012X}", "why": self.code}
        if self.software is not None:
            fields |= {"protocol": self.software.protocol, "firmware": self.software.version}
        return fields


class Refusals:
    """The stations that a primary has refused lately: each once, the oldest make room."""

    def __init__(self) -> None:
        self._at: dict[Refusal, float] = {}
        self.rows: tuple[Refusal, ...] = ()
        """By serial number."""

    def add(self, refusal: Refusal, now: float) -> None:
        """`refusal` stands for all that were before of this serial number."""
        at = {row: at for row, at in self._at.items() if row.serial != refusal.serial}
        self._set(dict([*at.items(), (refusal, now)][-_MOST:]))

    def end(self, serial: int) -> None:
        """The station was taken."""
        self._set({row: at for row, at in self._at.items() if row.serial != serial})

    def clear(self) -> None:
        self._set({})

    def expire(self, now: float) -> None:
        """Those that don't ask any more have gone."""
        self._set({row: at for row, at in self._at.items() if now < at + _SHOWN_S})

    def _set(self, at: dict[Refusal, float]) -> None:
        if at != self._at:
            self._at = at
            self.rows = tuple(sorted(at, key=lambda row: row.serial))
