"""What each vehicle came for and what it got, gathered while a site is simulated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

_FULL_KWH = 0.05  # one that lacks less than this does not wait


class Stay(NamedTuple):
    """From the first vehicle that comes to a member to the last that leaves: one vehicle at a station of its own, all
    that were there together at a group."""

    member: int
    vehicles: int
    from_s: float
    until_s: float
    wanted_kwh: float
    """What its vehicles lack, as far as the member could give it to them in their time."""
    got_kwh: float
    waiting_s: float
    """With a vehicle that lacks energy, and nothing offered."""

    @property
    def served(self) -> float:
        """Part of what was wanted."""
        return min(1.0, self.got_kwh / self.wanted_kwh) if self.wanted_kwh else 1.0


@dataclass(slots=True)
class _Going:
    """A stay that goes on."""

    from_s: float
    counter_kwh: float
    """When it began."""
    there: int = 0
    vehicles: int = 0
    wanted_kwh: float = 0.0
    lacks_kwh: float = 0.0
    nothing_since: float = inf
    waiting_s: float = 0.0


class Stays:
    """Told of each coming, leaving and offer in order of time."""

    def __init__(self, members: int, energy_kwh: Callable[[int, float], float]) -> None:
        """`energy_kwh`: the counter of a member at a time."""
        self.over: list[Stay] = []
        self._going: list[_Going | None] = [None] * members
        self._offered = [False] * members
        self._energy_kwh = energy_kwh

    def come(self, member: int, lacks_kwh: float, wanted_kwh: float, now: float) -> None:
        stay = self._going[member]
        if stay is None:
            stay = self._going[member] = _Going(now, self._energy_kwh(member, now))
            stay.nothing_since = inf if self._offered[member] else now
        stay.there += 1
        stay.vehicles += 1
        stay.lacks_kwh += lacks_kwh
        stay.wanted_kwh += wanted_kwh

    def leave(self, member: int, now: float) -> None:
        stay = self._going[member]
        if stay is not None:
            stay.there -= 1
            if stay.there == 0:
                self._close(member, stay, now)

    def offer(self, member: int, amps: float, now: float) -> None:
        """What a member offers from now on."""
        if self._offered[member] != (amps > 0):
            self._offered[member] = amps > 0
            stay = self._going[member]
            if stay is not None:
                self._wait(member, stay, now)
                stay.nothing_since = inf if amps > 0 else now

    def _wait(self, member: int, stay: _Going, now: float) -> None:
        """Count the time without an offer up to now."""
        if stay.nothing_since < inf and self._got_kwh(member, stay, now) < stay.lacks_kwh - _FULL_KWH:
            stay.waiting_s += now - stay.nothing_since
        stay.nothing_since = now if stay.nothing_since < inf else inf

    def waiters(self, now: float) -> int:
        """How many members have a vehicle that lacks energy, and offer nothing."""
        return sum(
            stay is not None and stay.nothing_since < inf and self._got_kwh(i, stay, now) < stay.lacks_kwh - _FULL_KWH
            for i, stay in enumerate(self._going)
        )

    def _got_kwh(self, member: int, stay: _Going, now: float) -> float:
        return self._energy_kwh(member, now) - stay.counter_kwh

    def _close(self, member: int, stay: _Going, now: float) -> None:
        self._wait(member, stay, now)
        got_kwh = self._got_kwh(member, stay, now)
        self.over.append(Stay(member, stay.vehicles, stay.from_s, now, stay.wanted_kwh, got_kwh, stay.waiting_s))
        self._going[member] = None

    def end(self, now: float) -> Sequence[Stay]:
        """The simulation is over: all stays, in the order in which they began."""
        for member, stay in enumerate(self._going):
            if stay is not None:
                self._close(member, stay, now)
        return sorted(self.over, key=lambda stay: (stay.from_s, stay.member))
