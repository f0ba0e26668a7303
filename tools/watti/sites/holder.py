"""The limit that a modelled member holds from its controller: `cloud.link`'s rules once more, apart from the firmware.

Seconds of the member's own clock.
"""

from math import inf
from typing import NamedTuple

from cloud.link import Command

_REMEMBERED = 64


class Stored(NamedTuple):
    """What outlives a restart; `fallback_da` None = it never had a controller."""

    fallback_da: int | None
    lease_s: float
    hold_s: float


class Holder:
    """One life of a member under online control."""

    __slots__ = (
        "_asked",
        "_hold_ends",
        "_keeps_quiet",
        "_lease_ends",
        "_limit_da",
        "_oldest",
        "boot",
        "number",
        "stored",
    )

    def __init__(self, boot: int, stored: Stored, keeps_quiet: bool, now: float) -> None:
        self.boot = boot
        self.number = 0
        """Of the newest command taken; 0 = none in this life."""
        self.stored = stored
        self._keeps_quiet = keeps_quiet
        self._asked: list[float] = []
        self._oldest = 0
        self._limit_da = 0
        self._lease_ends = -inf
        self._hold_ends = now + stored.lease_s + stored.hold_s if keeps_quiet else -inf

    def ask(self, now: float) -> int:
        """A report is about to leave: its number."""
        self._asked.append(now)
        return len(self._asked)

    def take(self, command: Command, now: float) -> bool:
        """Whether the command counts, from now on."""
        question = command.question
        if command.boot != self.boot or command.number <= self.number:
            return False
        if not max(self._oldest, len(self._asked) - _REMEMBERED + 1, 1) <= question <= len(self._asked):
            return False
        ends = self._asked[question - 1] + command.lease_s
        if now >= ends:
            return False
        self.number, self._oldest, self._limit_da = command.number, question, command.limit_da
        self._lease_ends = ends
        self._hold_ends = ends + command.hold_s if self._keeps_quiet else ends
        self.stored = Stored(command.fallback_da, command.lease_s, command.hold_s)
        return True

    def limit_da(self, now: float) -> float:
        """The most that may be offered now; inf = there has never been a controller."""
        fallback = self.stored.fallback_da
        if fallback is None:
            return inf
        if now < self._lease_ends:
            return self._limit_da
        return min(self._limit_da, fallback) if now < self._hold_ends else fallback

    def next_change(self, now: float) -> float:
        """When the limit may change by itself; inf = never."""
        if now < self._lease_ends:
            return self._lease_ends
        return self._hold_ends if now < self._hold_ends else inf
