"""The holder's side of a grant: amps and a lifetime that starts at the question, not at the answer's arrival.

However long bytes sat in a buffer or a process stood still, what is held here ends no later than the primary
believes: the primary counts from when the question reached it, the holder from before it left.
"""

from math import inf

from firmware.bus.messages import Grant

_REMEMBERED = 32  # questions whose time is kept; a grant that answers an older one is refused


class LeaseHolder:
    """What a station may offer, and until when. Fresh for every session."""

    __slots__ = (
        "_asked",
        "_first",
        "_lease_s",
        "amps_da",
        "expires_at",
        "grant",
        "lapsed",
        "number",
        "question",
        "refused",
    )

    def __init__(self, lease_s: float, before: "LeaseHolder | None" = None) -> None:
        """`before`: the holder of the last session; questions are numbered on, so that none is used twice."""
        self._lease_s = lease_s
        self._asked: dict[int, float] = {}
        self.question: int = before.question if before is not None else 0
        """Number of the last question."""
        self._first = self.question + 1
        self.amps_da = 0
        """What is held; only as good as the last `step`."""
        self.expires_at = inf
        """When it ends; inf when nothing is held."""
        self.number = 0
        """Number of the last grant accepted."""
        self.grant: Grant | None = None
        """The last grant accepted, whether or not it still runs."""
        self.lapsed = False
        """The last thing held ran out by itself."""
        self.refused: int = before.refused if before is not None else 0
        """Grants that were not believed."""

    def ask(self, now: float, idle: bool) -> int:
        """Number of a new question. `idle`: nothing is held and the contactor is open, and from here on only
        a grant that answers this question or a later one counts (the primary takes the amps back on it)."""
        self.question += 1
        self._asked[self.question] = now
        if len(self._asked) > _REMEMBERED:
            del self._asked[next(iter(self._asked))]
        if idle:
            self._first = self.question
        return self.question

    def accept(self, grant: Grant, rating_da: int, now: float) -> bool:
        """Take over a grant, or refuse it: not above the last number, an answer to no question of ours, above
        the station's rating or the announced total, or a lifetime longer than this group's."""
        if not grant.question:
            return False  # a session's first poll can't know a question yet
        asked = self._asked.get(grant.question)
        expires = -inf if asked is None else asked + grant.lease_ds / 10
        if (
            grant.number <= self.number
            or grant.question < self._first
            or grant.amps_da > min(rating_da, grant.limit_da)
            or grant.lease_ds > self._lease_s * 10
            or expires <= now
        ):
            self.refused += 1
            return False
        self.number, self.grant, self.lapsed = grant.number, grant, False
        self.amps_da = grant.amps_da
        self.expires_at = expires if grant.amps_da else inf
        return True

    def end(self) -> None:
        """Give up what is held; only an answer to a question still to be asked counts from here on."""
        self.amps_da, self.expires_at = 0, inf
        self._first = self.question + 1

    def step(self, now: float) -> bool:
        """Let an expired lease go. Whether it did."""
        if now < self.expires_at:
            return False
        self.amps_da, self.expires_at, self.lapsed = 0, inf, True
        return True
