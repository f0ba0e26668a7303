"""Who gets what: minimums in turn, strict priorities, what departures need, then weighted max-min fair shares.

A pure function of the claims. In order: members of a higher priority are served in full before anyone below gets
anything; among equals everyone gets its minimum (as many as fit, in the order of their ranks; the rest waits); then
those with a departure get the rate that they need; then the rest is shared by weight. Amperes are floored to the
pilot's step of 0.1 A.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cloud.fill import Limits, fill, until_full
from cloud.tree import Tree

STEP_A = 0.1
"""What pilots and charging profiles can say (OCPP 1.6: limits are multiples of 0.1)."""
_SLACK = 1e-9


class Claim(NamedTuple):
    """What a member asks for (A). `most_a` 0 = nothing."""

    min_a: float
    max_a: float
    weight: float = 1.0
    priority: int = 0
    needed_a: float = 0.0
    """The rate that its departure needs."""
    rank: float = 0.0
    """Who has the lower one gets its minimum first."""
    standing_a: float = 0.0
    """Counts whatever is decided: what a member that can't be told otherwise may take."""


class Bound(NamedTuple):
    """Why a member gets no more."""

    why: str
    """`idle` (asks for nothing), `demand` (has all it asks for), `node` (that one is full), `waiting` (its minimum did
    not fit there)."""
    node: str = ""
    line: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.why, self.node, self.line)))


class Share(NamedTuple):
    """What a member gets (A) and why no more."""

    amps: float
    bound: Bound


_IDLE = Bound("idle")
_DEMAND = Bound("demand")
_NOTHING = Share(0.0, _IDLE)


def allocate(tree: Tree, claims: Sequence[Claim], building: Mapping[str, Sequence[float]] | None = None) -> list[Share]:
    """A share for each member of the site, in its order. `building`: A in each line of a node, by the node's name."""
    return _Allocation(tree, claims, tree.limits(building or {})).shares()


class _Allocation:
    """One decision on its way: `least` and `most` close in on what everyone gets."""

    def __init__(self, tree: Tree, claims: Sequence[Claim], limits: Limits) -> None:
        self._tree = tree
        self._claims = claims
        self._limits = limits
        self._least = [claim.standing_a for claim in claims]
        self._most = list(self._least)
        self._weights = [claim.weight for claim in claims]
        self._bounds = [_IDLE] * len(claims)
        self._sums: list[list[float]] | None = None
        """Of each branch the amperes of its classes, while members are served one by one."""

    def shares(self) -> list[Share]:
        claims = self._claims
        by_priority: dict[int, list[int]] = {}
        for i, claim in enumerate(claims):
            if claim.max_a > 0:
                by_priority.setdefault(claim.priority, []).append(i)
        for priority in sorted(by_priority, reverse=True):
            self._serve(by_priority[priority])
        return [
            Share(int(amps * 10 + 1e-6) / 10, bound) if amps or bound is not _IDLE else _NOTHING
            for amps, bound in zip(self._least, self._bounds, strict=True)
        ]

    def _serve(self, asking: list[int]) -> None:
        """Give to members of one priority; what they get stands when the next are served."""
        if len(asking) == 1:
            self._serve_one(asking[0])
            return
        self._sums = None
        served = self._admit(asking)
        claims = self._claims
        if any(claims[i].needed_a for i in served):
            for i in served:
                self._most[i] = max(self._least[i], min(claims[i].needed_a, claims[i].max_a))
            self._pour(served)
            served = [i for i in served if self._bounds[i] is _DEMAND]
        for i in served:
            self._most[i] = max(self._least[i], claims[i].max_a)
        self._pour(served)

    def _serve_one(self, i: int) -> None:
        """Nobody to share with: all that is left on the way to the root."""
        if self._sums is None:
            self._sums = self._tree.sums(self._least)
        claim, stands = self._claims[i], self._least[i]
        room, bound = max(claim.max_a, claim.min_a) - stands, _DEMAND
        for n, k in self._tree.paths[i]:
            branch = self._tree.branches[n]
            rise = [0.0] * branch.classes
            rise[k] = 1.0
            for row, limit in zip(branch.rows, self._limits[n], strict=True):
                if k in row.classes:
                    left = until_full(row, limit, self._sums[n], rise)
                    if left < room - _SLACK:
                        room, bound = left, Bound("node", branch.node.name, row.line)
        if stands + room < claim.min_a - _SLACK:
            self._bounds[i] = bound._replace(why="waiting")
            return
        self._bounds[i] = bound
        self._least[i] = self._most[i] = stands + max(0.0, room)
        for n, k in self._tree.paths[i]:
            self._sums[n][k] += max(0.0, room)

    def _pour(self, served: Sequence[int]) -> None:
        tree = self._tree
        amps, rows = fill(tree, self._least, self._most, self._weights, self._limits)
        bounds: dict[tuple[int, int] | None, Bound] = {None: _DEMAND}
        for i in served:
            self._least[i] = self._most[i] = amps[i]
            row = rows[i]
            bound = bounds.get(row)
            if bound is None:
                assert row is not None
                branch = tree.branches[row[0]]
                bound = bounds[row] = Bound("node", branch.node.name, branch.rows[row[1]].line)
            self._bounds[i] = bound

    # Minimums

    def _admit(self, asking: list[int]) -> list[int]:
        """Those whose minimums fit, by rank; the others wait."""
        claims = self._claims
        least = self._least
        for i in asking:
            if claims[i].min_a > least[i]:
                least[i] = claims[i].min_a
        sums = self._tree.sums(least)
        if all(
            row.load(amps) <= limit + _SLACK * limit
            for branch, amps, limits in zip(self._tree.branches, sums, self._limits, strict=True)
            for row, limit in zip(branch.rows, limits, strict=True)
        ):
            return asking
        for i in asking:
            least[i] = claims[i].standing_a
        sums = self._tree.sums(least)
        served = [i for i in sorted(asking, key=lambda i: (claims[i].rank, i)) if self._fits(i, sums)]
        for i in served:
            least[i] = max(claims[i].standing_a, claims[i].min_a)
        return served

    def _overfull(self, n: int, k: int, amps: Sequence[float]) -> str | None:
        """The line of a branch on which a class is too much, empty for the node as a whole; None = it fits."""
        for row, limit in zip(self._tree.branches[n].rows, self._limits[n], strict=True):
            if k in row.classes and row.load(amps) > limit + _SLACK * limit:
                return row.line
        return None

    def _fits(self, i: int, sums: list[list[float]]) -> bool:
        """Whether a member's minimum fits beside `sums`, to which it is added then."""
        path, amps = self._tree.paths[i], max(0.0, self._claims[i].min_a - self._least[i])
        for done, (n, k) in enumerate(path):
            sums[n][k] += amps
            line = self._overfull(n, k, sums[n])
            if line is not None:
                for back, there in path[: done + 1]:
                    sums[back][there] -= amps
                self._bounds[i] = Bound("waiting", self._tree.branches[n].node.name, line)
                return False
        return True
