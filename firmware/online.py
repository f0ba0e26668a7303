"""Online control: the limit that a controller lends a station, or through its primary a group.

A command is a lease, as a grant is (`firmware.sharing.lease`): its life runs from the time that was noted before the
report that it answers had left, so it ends here no later than the controller believes. While it lives the limit is
its own; for its hold after that, the smaller of limit and fallback; then the fallback, for ever. The fallback is
kept: a station that starts offers nothing until every lease and hold of its former life is over.
"""

import json
from collections import Counter
from math import inf
from typing import NamedTuple

from hal.api import Store

_REMEMBERED = 64  # questions whose time is kept; a command that answers an older one is refused
_MOST_DA = 10_000  # a limit or fallback above this is none (I)


class OnlineCommand(NamedTuple):
    """The most that a station or group may offer from now on, and what happens when no other follows."""

    boot: int
    """The life that it is for."""
    number: int
    """Rises; one that is not above the last is refused."""
    question: int
    """The report that it answers."""
    limit_da: int
    lease_s: float
    hold_s: float
    fallback_da: int


class Kept(NamedTuple):
    """What outlives a restart."""

    fallback_da: int | None = None
    """What is offered without a controller; None = there has never been one."""
    lease_s: float = 0.0
    hold_s: float = 0.0
    others_wh: float = 0.0
    """What the secondaries of its group have drawn."""

    def record(self) -> bytes:
        return json.dumps(self._asdict()).encode()


class OnlineLimit:
    """What a controller has said last, and what is left of it."""

    __slots__ = (
        "_asked",
        "_hold_ends",
        "_lease_ends",
        "_limit_da",
        "_oldest",
        "_store",
        "boot",
        "kept",
        "number",
        "question",
        "refused",
        "turns",
    )

    def __init__(self, store: Store, boot: int, now: float) -> None:
        """`store`: a record of its own. `boot`: names this life; another number after every start."""
        self._store = store
        self.boot = boot
        self.question = 0
        """Number of the last report."""
        self._asked: dict[int, float] = {}
        self._oldest = 1
        """No command that answers a question before this one counts."""
        self.number = 0
        """Of the last command taken; 0 = none in this life."""
        self.turns = 0
        """Counts the commands that changed what may be offered; the others only keep it."""
        self.refused: Counter[str] = Counter()
        """Commands that were not taken, by the reason in words."""
        known = _known(store.load()) if not store.problem else None
        self.kept = known or Kept(fallback_da=0)
        if known is None:
            store.save(self.kept.record())  # what can't be read must not pass for nothing at the next start
        self._limit_da = 0
        self._lease_ends = self._hold_ends = inf if known is None else now + known.lease_s + known.hold_s

    def limit_da(self, now: float) -> int | None:
        """The most that may be offered now; None = no controller has ever said anything."""
        fallback = self.kept.fallback_da
        if fallback is None:
            return None
        if now < self._lease_ends:
            return self._limit_da
        return min(self._limit_da, fallback) if now < self._hold_ends else fallback

    def next_wakeup(self, now: float) -> float:
        """When the limit may change by itself, after `now`; inf = never."""
        if self.kept.fallback_da is None:
            return inf
        return next((end for end in (self._lease_ends, self._hold_ends) if end > now), inf)

    def ask(self, now: float) -> int:
        """Number of a new report, which leaves after `now`."""
        self.question += 1
        self._asked[self.question] = now
        if len(self._asked) > _REMEMBERED:
            del self._asked[next(iter(self._asked))]
        return self.question

    def take(self, command: OnlineCommand, now: float) -> bool:
        """Follow a command from now on, or refuse it and count why."""
        why = self._objection(command, now)
        if why:
            self.refused[why] += 1
            return False
        before_da = self.limit_da(now)
        self.number, self._oldest = command.number, command.question
        self._limit_da = command.limit_da
        self._lease_ends = self._asked[command.question] + command.lease_s
        self._hold_ends = self._lease_ends + command.hold_s
        kept = self.kept._replace(fallback_da=command.fallback_da, lease_s=command.lease_s, hold_s=command.hold_s)
        self._keep(kept)
        self.turns += self.limit_da(now) != before_da
        return True

    def count_others(self, wh: float) -> None:
        """Keep what the secondaries have drawn in all lives."""
        self._keep(self.kept._replace(others_wh=wh))

    def _keep(self, kept: Kept) -> None:
        if kept != self.kept:
            self.kept = kept
            self._store.save(kept.record())

    def _objection(self, command: OnlineCommand, now: float) -> str:
        """Why a command is not to be taken; empty when it is."""
        asked = self._asked.get(command.question)
        if command.boot != self.boot:
            return "for another life"
        if command.number <= self.number:
            return "number not above the last"
        if command.question < self._oldest:
            return "answers an older question than the last"
        if asked is None:
            return "answers no question that is remembered"
        if not _fits(command.fallback_da, command.lease_s, command.hold_s) or not 0 <= command.limit_da <= _MOST_DA:
            return "out of range"
        return "" if now < asked + command.lease_s else "over before it came"


def _fits(fallback_da: int, lease_s: float, hold_s: float) -> bool:
    return 0 <= fallback_da <= _MOST_DA and 0 < lease_s < inf and 0 <= hold_s < inf


def _known(record: bytes) -> Kept | None:
    """What a record says; None when it is spoilt, so that nobody knows what may be offered."""
    if not record:
        return Kept()
    try:
        fields = json.loads(record)
        numbers = [fields[name] for name in ("lease_s", "hold_s", "others_wh")]
        kept = Kept(fields["fallback_da"], *map(float, numbers))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    fallback = kept.fallback_da
    sound = fallback is None or (type(fallback) is int and _fits(fallback, kept.lease_s, kept.hold_s))
    sound &= all(type(number) in (int, float) for number in numbers)
    return kept if sound and 0 <= kept.others_wh < inf else None
