"""A trace with the messages themselves in place of their indexes: what both the full model and the firmware know."""

from collections.abc import Callable
from typing import Generic, TypeVar

from tests.model.circuit import Model
from tests.model.lease_model import Action, Grant, Member, Status
from tests.model.normal import hopeless, proves_nothing

ALL = 10_000
"""More messages than any trace has."""
M = TypeVar("M")


class _Kept(Generic[M]):
    """The messages that the small model still has, as the full one knows them."""

    def __init__(self, most: int) -> None:
        self.messages: list[M] = []
        self._most = most

    def add(self, message: M) -> None:
        self.messages = [*self.messages, message][-self._most :]

    def drop(self, gone: Callable[[M], bool]) -> None:
        self.messages = [message for message in self.messages if not gone(message)]


class Retold:
    """Walks a trace of a small model through the same model in full."""

    def __init__(self, small: Model) -> None:
        bounds = small.bounds
        self._rules = small.rules
        self.full = Model(small.rules, bounds._replace(polls=ALL, statuses=ALL), rank=False)
        self.circuit = self.full.first
        self._polls = [_Kept[Grant](bounds.polls) for _ in self.circuit.members]
        self._statuses = [_Kept[Status](bounds.statuses) for _ in self.circuit.members]

    def tell(self, action: Action) -> tuple[object, ...]:
        """One step; the same with the message that it is about."""
        told: tuple[object, ...] = action
        if isinstance(action[0], int):
            told = self._of_member(action[0], action)
        else:
            self.circuit = self.full.apply(self.circuit, action)
        for i in range(len(self.circuit.members)):
            self._forget(i)
        return told

    def _of_member(self, i: int, action: Action) -> tuple[object, ...]:
        before = self._member(i)
        told: tuple[object, ...] = action
        match action:
            case (_, "hear_poll", int(index), bool(kept)):
                grant = self._polls[i].messages.pop(index)
                told, action = (i, "hear_poll", grant, kept), (i, "hear_poll", before.polls.index(grant), kept)
            case (_, "hear_status", int(index)):
                status = self._statuses[i].messages.pop(index)
                told, action = (i, "hear_status", status), (i, "hear_status", before.statuses.index(status))
        self.circuit = self.full.apply(self.circuit, action)
        after = self._member(i)
        if len(after.polls) > len(before.polls):
            self._polls[i].add(after.polls[-1])
        if len(after.statuses) > len(before.statuses):
            self._statuses[i].add(after.statuses[-1])
        return told

    def _forget(self, i: int) -> None:
        member = self._member(i)
        self._polls[i].drop(lambda grant: hopeless(member, grant, self._rules))
        self._statuses[i].drop(lambda status: proves_nothing(member, status, self._rules))

    def _member(self, i: int) -> Member:
        return self.full.member(self.circuit.members[i])
