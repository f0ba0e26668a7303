"""Breadth-first search through all that a model can reach, and the shortest way to what is wrong."""

from array import array
from itertools import pairwise
from math import inf
from typing import NamedTuple

from tests.model.circuit import Circuit, Model
from tests.model.lease_model import Action


class Found(NamedTuple):
    """What a search has seen."""

    states: int
    transitions: int
    depth: int
    wrong: str
    """What is wrong at the end of `trace`; empty when nothing is."""
    trace: list[Action]
    stuck: int | None = None
    """States from which none where all vehicles are fed can be reached; None when not asked for."""


def explore(model: Model, deepest: float = inf, liveness: bool = False) -> Found:
    """All states that can be reached, or those within so many steps."""
    search = _Search(model, liveness)
    while search.layer and not search.wrong and search.depth < deepest:
        search.advance()
    trace = search.trace() if search.wrong else []
    stuck = search.stuck() if liveness and not search.wrong else None
    return Found(len(search.states), search.transitions, search.depth, search.wrong, trace, stuck)


class _Search:
    def __init__(self, model: Model, liveness: bool) -> None:
        self.model = model
        self.states = [model.first]
        self.layer = range(1)
        self.transitions = self.depth = 0
        self.wrong = model.wrong(model.first)
        self._number = {model.first: 0}
        self._parent = array("q", [0])
        self._ways = (array("q"), array("q")) if liveness else None
        """All transitions, from and to."""

    def advance(self) -> None:
        """One layer deeper, or to the first that is wrong."""
        begin = len(self.states)
        for source in self.layer:
            for _, state in self.model.steps(self.states[source]):
                self.transitions += 1
                target = self._number.get(state)
                if target is None:
                    target = self._add(state, source)
                if self._ways:
                    self._ways[0].append(source)
                    self._ways[1].append(target)
                if self.wrong:
                    self.depth += 1
                    return
        self.layer = range(begin, len(self.states))
        self.depth += bool(self.layer)

    def _add(self, state: Circuit, source: int) -> int:
        target = self._number[state] = len(self.states)
        self.states.append(state)
        self._parent.append(source)
        self.wrong = self.model.wrong(state)
        return target

    def trace(self) -> list[Action]:
        """Steps to the last state, for members that keep their places."""
        way = [len(self.states) - 1]
        while way[-1]:
            way.append(self._parent[way[-1]])
        way.reverse()
        found, circuit = [], self.model.first
        for before, after in pairwise(way):
            steps = self.model.steps(self.states[before])
            action = self.model.placed(circuit, next(a for a, s in steps if s == self.states[after]))
            found.append(action)
            circuit = self.model.apply(circuit, action)
        return found

    def stuck(self) -> int:
        assert self._ways
        before: list[list[int]] = [[] for _ in self.states]
        for source, target in zip(*self._ways, strict=True):
            before[target].append(source)
        fed = [i for i, state in enumerate(self.states) if self.model.shares(state)]
        seen = set(fed)
        while fed:
            for source in before[fed.pop()]:
                if source not in seen:
                    seen.add(source)
                    fed.append(source)
        return len(self.states) - len(seen)
