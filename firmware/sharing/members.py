"""The primary's record of one station of its group, its own included."""

from math import inf

from firmware.bus.messages import AVAILABLE, CONNECTED, WANTS, Identity, Reason, Status
from firmware.bus.versions import OWN
from firmware.sharing.demand import Demand
from firmware.sharing.fair import TURN_S, Claim
from firmware.sharing.ledger import Row
from firmware.timing import MIN_OFFER_DA, Timing


class Member:
    """One life of one station: where it is, what it reported, what it shall get."""

    __slots__ = (
        "_served_s",
        "address",
        "bad",
        "demand",
        "identity",
        "late",
        "missed",
        "polls",
        "rating_da",
        "reason",
        "row",
        "session",
        "software",
        "status",
        "target_da",
        "turns_at",
    )

    def __init__(self, identity: Identity, row: Row, timing: Timing, now: float) -> None:
        self.identity = identity
        self.row = row
        self.demand = Demand(timing)
        self.address = 0
        self.session = 0
        self.software = OWN
        self.rating_da = 0
        """Of its model; 0 until it has said."""
        self.status: Status | None = None
        self.target_da = 0
        self.reason = Reason.IDLE
        self.turns_at = now
        """Since when it is served, or waits."""
        self._served_s = 0.0
        self.polls = self.missed = self.bad = self.late = 0

    @property
    def claims(self) -> bool:
        """Whether its vehicle wants current and its station can give it."""
        need = WANTS | AVAILABLE
        return self.status is not None and self.status.flags & need == need

    def join(self, address: int, session: int, rating_da: int) -> None:
        """It has taken an address: none of its questions in this session is answered yet."""
        self.address, self.session, self.rating_da, self.row.answered = address, session, rating_da, 0

    def on_status(self, status: Status, now: float) -> bool:
        """Take over a report. Whether anything that matters for the shares has changed."""
        before = self.status
        self.status = status
        self.row.on_status(status, now)
        changed = self.demand.on_status(status, now)
        if before is None or before.flags ^ status.flags & CONNECTED:
            self._restart_turn(status, now)
        if before is None or before.flags != status.flags or before.rating_da != status.rating_da:
            return True
        return changed

    def claim(self, limit_da: int, now: float) -> Claim:
        """Its claim; only while it `claims`."""
        assert self.status is not None
        rating = min(self.status.rating_da, limit_da)
        floor = min(self.demand.floor_da, rating)
        cap = rating if self.demand.cap_da is None else min(rating, self.demand.cap_da)
        turn = now - self.turns_at
        fed_s = turn if self.target_da else 0.0
        served_s = self._served_s + fed_s
        if self.demand.idle(now):  # it makes no use of its turn: others come first
            turn, served_s = max(turn, TURN_S), inf
        wish = min(self.demand.wish_da, rating)
        cap = max(floor, wish, cap)
        return Claim(floor, cap, turn if self.target_da else -turn, served_s, wish)

    def aim(self, target_da: int, now: float) -> None:
        """Set what it shall get."""
        if bool(target_da) != bool(self.target_da):
            if self.target_da:
                self._served_s += now - self.turns_at
            self.turns_at = now
        self.target_da = target_da

    def why(self, limit_da: int, limited_by: Reason) -> Reason:
        """The one limit that binds its target. `limited_by`: whose the group's limit is."""
        if not self.claims or self.status is None:
            return Reason.IDLE
        if self.target_da >= limit_da:
            return limited_by
        if self.target_da < MIN_OFFER_DA:
            return Reason.WAITING
        if self.target_da >= self.status.rating_da:
            return Reason.RATING
        if self.demand.cap_da is not None and self.target_da >= self.demand.cap_da:
            return Reason.VEHICLE
        return Reason.SHARE

    def _restart_turn(self, status: Status, now: float) -> None:
        if not status.flags & CONNECTED:
            self._served_s = 0.0
            self.turns_at = now
