"""Is the promise kept? No node above its limit because of the vehicles, at any instant.

Two sums are held against every limit: what vehicles draw, and what they may draw by what their pilots say and have said
a reaction ago. Where there is a building's load, which may jump, these sums must fit beside the least that it has been
for `bound_s`: the longest that it may take from a jump to the last vehicle that has followed. So neither is the limit
ever exceeded for longer than that, nor for another reason than a jump.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from watti.sites.truth import Amps, Truth

TOLERANCE_A = 1e-6
_MOST_VERDICTS = 20


class Verdict(NamedTuple):
    """A promise that was broken."""

    t_s: float
    check: str
    """"drawn" or "exposed"."""
    what: str


@dataclass(slots=True)
class Above:
    """How a slot was above its limit, building's load and all."""

    total_s: float = 0.0
    longest_s: float = 0.0
    most: float = 0.0
    """A above it, or W."""
    since: float = inf


@dataclass(slots=True)
class _Sums:
    """One kind of current of all members, in every slot."""

    check: str
    amps: list[float]
    slots: list[complex]
    touched: set[int] = field(default_factory=set)
    watched: set[int] = field(default_factory=set)
    """Slots that are above their limit beside the building's present load."""
    fouls: set[int] = field(default_factory=set)
    """Slots that were told of, until they are in order again."""


class Judge:
    """Fed with each change, in order of time. `verdicts` says what was wrong, empty when nothing was."""

    def __init__(self, truth: Truth, bound_s: Sequence[float]) -> None:
        """`bound_s`: of each node."""
        self._truth = truth
        self._bound_s = bound_s
        self.verdicts: list[Verdict] = []
        self.above: dict[int, Above] = {}
        self.peaks = [0.0] * len(truth.slots)
        """The most that was drawn in each slot, with the building's load."""
        count = len(truth.paths)
        self.drawn = _Sums("drawn", [0.0] * count, [0j] * len(truth.slots))
        self.exposed = _Sums("exposed", [0.0] * count, [0j] * len(truth.slots))
        self._history: list[tuple[float, list[Amps]]] = [(-inf, truth.building([()] * len(truth.nodes)))]
        self._building = self._history[0][1]
        self._members_of: list[list[tuple[int, complex]]] = [[] for _ in truth.slots]
        for i, path in enumerate(truth.paths):
            for s, gain in path:
                self._members_of[s].append((i, gain))
        self._on_node: list[list[int]] = [[] for _ in truth.nodes]
        for s, slot in enumerate(truth.slots):
            self._on_node[slot.node].append(s)

    def set_building(self, own: Sequence[Amps], now: float) -> None:
        """The load of each node itself, from now on."""
        self.wait(now)
        before, self._building = self._building, self._truth.building(own)
        oldest = now - max(self._bound_s, default=0.0)
        while len(self._history) > 1 and self._history[1][0] <= oldest:
            self._history.pop(0)
        self._history.append((now, self._building))
        for n, (old, new) in enumerate(zip(before, self._building, strict=True)):
            if old != new:
                for sums in (self.drawn, self.exposed):
                    sums.touched.update(self._on_node[n])

    def set_member(self, i: int, drawn_a: float, exposed_a: float) -> None:
        """What a member draws and may draw from now on."""
        for sums, amps in ((self.drawn, drawn_a), (self.exposed, exposed_a)):
            change = amps - sums.amps[i]
            if change:
                sums.amps[i] = amps
                for s, gain in self._truth.paths[i]:
                    sums.slots[s] += gain * change
                    sums.touched.add(s)

    @property
    def watching(self) -> bool:
        """Whether anything is above its limit."""
        return bool(self.drawn.watched or self.exposed.watched)

    def wait(self, now: float) -> None:
        """Time has passed up to now: what was above its limit beside a jump may be so no longer."""
        for sums in (self.drawn, self.exposed):
            for s in sums.watched:
                self._excuse(sums, s, now)

    def look(self, now: float) -> None:
        """Everything that changes now has been told."""
        for sums in (self.drawn, self.exposed):
            if sums.touched:
                for s in sums.touched:
                    self._judge(sums, s, now)
                sums.touched.clear()

    def end(self, now: float) -> None:
        self.wait(now)
        for s in self.above:
            self._count_above(s, 0.0, now)

    def loads(self) -> list[float]:
        """What is drawn in each slot now, with the building's load."""
        return [self._load(self.drawn, s) for s in range(len(self._truth.slots))]

    def _load(self, sums: _Sums, s: int) -> float:
        return abs(sums.slots[s]) + self._beside(s, (self._building,))

    def _beside(self, s: int, loads: Iterable[Sequence[Amps]]) -> float:
        """The least of the building's loads in a slot."""
        slot = self._truth.slots[s]
        if slot.watts:
            return 0.0
        found = [load[slot.node] for load in loads]
        return min(map(max, found)) if slot.line < 0 else min(amps[slot.line] for amps in found)

    def _judge(self, sums: _Sums, s: int, now: float) -> None:
        limit = self._truth.slots[s].limit
        load = self._load(sums, s)
        if load > limit + TOLERANCE_A:
            sums.slots[s] = sum((gain * sums.amps[i] for i, gain in self._members_of[s]), 0j)  # no rounding errors
            load = self._load(sums, s)
        if sums is self.drawn:
            self.peaks[s] = max(self.peaks[s], load)
            self._count_above(s, load - limit, now)
        if load > limit + TOLERANCE_A:
            sums.watched.add(s)
            self._excuse(sums, s, now)
        else:
            sums.watched.discard(s)
            sums.fouls.discard(s)

    def _excuse(self, sums: _Sums, s: int, now: float) -> None:
        """What is above its limit must be there because of a jump of the building's load, not long ago."""
        over = abs(sums.slots[s]) + self._least(s, now) - self._truth.slots[s].limit
        if s not in sums.fouls and over > TOLERANCE_A:
            sums.fouls.add(s)
            self._say(sums, s, over, now)

    def _least(self, s: int, now: float) -> float:
        """Of the building's load within the bound."""
        oldest = now - self._bound_s[self._truth.slots[s].node]
        held = [
            load
            for (_, load), (until, _) in zip(self._history, [*self._history[1:], (inf, [])], strict=True)
            if until >= oldest
        ]
        return self._beside(s, held)

    def _count_above(self, s: int, over: float, now: float) -> None:
        above = self.above.get(s)
        if over > TOLERANCE_A:
            if above is None:
                above = self.above[s] = Above()
            above.most = max(above.most, over)
            above.since = min(above.since, now)
        elif above is not None and above.since < inf:
            above.total_s += now - above.since
            above.longest_s = max(above.longest_s, now - above.since)
            above.since = inf

    def _say(self, sums: _Sums, s: int, over: float, now: float) -> None:
        if len(self.verdicts) >= _MOST_VERDICTS:
            return
        slot = self._truth.slots[s]
        where = self._truth.nodes[slot.node].name
        if slot.line >= 0:
            where += f", line {self._truth.lines[slot.node][slot.line]}"
        unit = "W" if slot.watts else "A"
        beside = self._beside(s, (self._building,))
        what = f"{where}: {abs(sums.slots[s]):.2f} {unit}" + (f" beside {beside:.2f} A" if beside else "")
        text = f"{what} of {slot.limit:.2f} {unit}, {over:.2f} {unit} too much"
        self.verdicts.append(Verdict(round(now, 3), sums.check, text))
