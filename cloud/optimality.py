"""Whether shares are legal and fair: a judge of `cloud.allocation` that shares nothing with it but the site.

Shares are floored to 0.1 A: what they were before is between them and 0.1 A more, and everything here allows for that.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple, Protocol

from cloud.site import Site
from cloud.witness import Row, rows

STEP_A = 0.1
_SLACK_A = 1e-6


class Asked(Protocol):
    """What a member asks for, A: `cloud.allocation.Claim`."""

    @property
    def min_a(self) -> float: ...
    @property
    def max_a(self) -> float: ...
    @property
    def weight(self) -> float: ...
    @property
    def priority(self) -> int: ...
    @property
    def needed_a(self) -> float: ...
    @property
    def rank(self) -> float: ...
    @property
    def standing_a(self) -> float: ...


class Reason(Protocol):
    """`cloud.allocation.Bound`."""

    @property
    def why(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def line(self) -> str: ...


class Got(Protocol):
    """`cloud.allocation.Share`."""

    @property
    def amps(self) -> float: ...
    @property
    def bound(self) -> Reason: ...


def excesses(site: Site, amps: Sequence[float], building: Mapping[str, Sequence[float]]) -> list[str]:
    """The rows that can carry more than they may while members draw no more than `amps`, for people."""
    return _excesses(rows(site, building), amps, [0.0] * len(amps))


def problems(
    site: Site, shares: Sequence[Got], claims: Sequence[Asked], building: Mapping[str, Sequence[float]]
) -> list[str]:
    """Everything that is wrong with shares, for people: no row is above its limit (but for what stands anyway); nobody
    is outside its claim; who has less than its most is in a full row, the one that its bound names, in which nobody is
    better off (but for minimums, needs and priorities that come first); nobody waits whose minimum would fit."""
    return _Judge(site, shares, claims, rows(site, building)).problems()


def _excesses(all_rows: Sequence[Row], amps: Sequence[float], standing: Sequence[float]) -> list[str]:
    found = []
    for row in all_rows:
        load, most = row.worst(amps), max(row.limit, row.worst(standing))
        if load > most + _SLACK_A:
            found.append(f"{row.node} {row.line}: {load:.2f} A where {most:.2f} are free")
    return found


class _Full(NamedTuple):
    """A part of a row that is full."""

    row: Row
    level: dict[tuple[int, bool], float]
    """The best level of all in it that may not be better off, by priority and whether needs come first."""


class _Judge:
    def __init__(self, site: Site, shares: Sequence[Got], claims: Sequence[Asked], all_rows: Sequence[Row]) -> None:
        self._names = [member.name for member in site.members]
        self._shares = shares
        self._claims = claims
        self._rows = all_rows
        self._amps = [share.amps for share in shares]
        self._standing = [claim.standing_a for claim in claims]
        self._least = [max(claim.min_a, claim.standing_a) for claim in claims]
        self._most = [
            max(least, claim.max_a) if _served(share, claim) else claim.standing_a
            for least, share, claim in zip(self._least, shares, claims, strict=True)
        ]
        self._before = [min(a + STEP_A, most) for a, most in zip(self._amps, self._most, strict=True)]
        """What they may have been before they were floored."""

    def problems(self) -> list[str]:
        found = _excesses(self._rows, self._amps, self._standing)
        full = self._full()
        for i, name in enumerate(self._names):
            found += (f"{name}: {text}" for text in self._member(i, full[i]))
        return found

    def _member(self, i: int, full: Sequence[_Full]) -> Iterator[str]:
        claim, amps, why = self._claims[i], self._amps[i], self._shares[i].bound.why
        if abs(amps * 10 - round(amps * 10)) > _SLACK_A:
            yield f"{amps} A are no steps of {STEP_A} A"
        if (why == "idle") != (claim.max_a <= 0):
            yield f"asks for {claim.max_a:g} A: {why}"
        least = self._least[i] if _served(self._shares[i], claim) else claim.standing_a
        if not least - STEP_A < amps <= self._most[i] + _SLACK_A:
            yield f"{amps:g} A where {least:g} to {self._most[i]:g} are right"
        elif why == "waiting":
            yield from self._waits(i)
        elif amps + STEP_A < self._most[i] - _SLACK_A:
            yield from self._is_bound(i, full)

    def _is_bound(self, i: int, full: Sequence[_Full]) -> Iterator[str]:
        """It has less than its most."""
        claim, bound = self._claims[i], self._shares[i].bound
        needy = self._amps[i] + STEP_A < min(claim.needed_a, claim.max_a)
        level = (self._amps[i] + STEP_A) / claim.weight + _SLACK_A
        binding = [one.row for one in full if one.level.get((claim.priority, needy), 0.0) <= level]
        if not full:
            yield f"has {self._amps[i]:g} of {claim.max_a:g} A and nothing is full"
        elif not binding:
            yield f"has {self._amps[i]:g} A, others more in every row that is full: {_listed(full)}"
        elif bound.why != "node" or not any((row.node, row.line) == (bound.node, bound.line) for row in binding):
            yield f"is not bound by {bound.why} {bound.node} {bound.line}"

    # Rows that are full

    def _full(self) -> list[list[_Full]]:
        """For each member the parts that it is in and that are full."""
        found: list[list[_Full]] = [[] for _ in self._names]
        for row in self._rows:
            for part in row.parts:
                if part.load(self._before) >= row.limit - _SLACK_A:
                    members = part.members
                    one = _Full(row, self._levels(members))
                    for i in members:
                        found[i].append(one)
        return found

    def _levels(self, members: Sequence[int]) -> dict[tuple[int, bool], float]:
        claims = self._claims
        priorities = {claims[i].priority for i in members}
        return {
            (priority, needy): max((self._level(j, priority, needy) for j in members), default=0.0)
            for priority in priorities
            for needy in (False, True)
        }

    def _level(self, j: int, priority: int, needy: bool) -> float:
        """Of a member, against one of this priority that still needs more or not; 0 where it comes first."""
        claim, amps = self._claims[j], self._amps[j]
        if claim.priority > priority or amps <= claim.standing_a + _SLACK_A:
            return 0.0
        if claim.priority < priority:
            return inf
        enough = max(self._least[j], min(claim.needed_a, claim.max_a)) + _SLACK_A
        if needy and amps > enough:
            return inf
        return amps / claim.weight if amps > (self._least[j] + _SLACK_A if needy else enough) else 0.0

    # Minimums

    def _waits(self, i: int) -> Iterator[str]:
        bound = self._shares[i].bound
        mine = [row for row in self._rows if i in row.members]
        amps = [self._beside(j, i) for j in range(len(self._names))]
        more = self._least[i] > amps[i]
        before = [row.counted(amps) if more else row.limit for row in mine]
        amps[i] = self._least[i]
        tight = [row for row, load in zip(mine, before, strict=True) if row.counted(amps) > max(row.limit, load)]
        if not tight:
            yield f"waits, and its {amps[i]:g} A would fit"
        elif not any((row.node, row.line) == (bound.node, bound.line) for row in tight):
            yield f"does not wait for {bound.node} {bound.line}"

    def _beside(self, j: int, i: int) -> float:
        """What a member has when another one's minimum is looked at, at most."""
        mine, other = self._claims[j], self._claims[i]
        if mine.priority > other.priority:
            return self._before[j]
        first = mine.priority == other.priority and (mine.rank, j) < (other.rank, i)
        return self._least[j] if first and _served(self._shares[j], mine) else mine.standing_a


def _served(share: Got, claim: Asked) -> bool:
    return claim.max_a > 0 and share.bound.why != "waiting"


def _listed(full: Sequence[_Full]) -> str:
    return ", ".join(f"{one.row.node} {one.row.line}".strip() for one in full)
