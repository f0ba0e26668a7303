"""The primary's decisions: who is in the group, what each shall get, and the next grant for each."""

from math import inf

from firmware.bus.messages import Grant, Identity, Reason, Status
from firmware.sharing.fair import shares
from firmware.sharing.ledger import METER_TOLERANCE_DA, Ledger, Row
from firmware.sharing.members import Member
from firmware.timing import MIN_OFFER_DA, Timing

MAX_SECONDARIES = 4
STAGGER_S = 2.0  # vehicles start at least this far apart: after a shortage not all come at once (I)
_SOON_S = 1.0  # a raise waits this long for more to come free, as a pilot may change only each 5 s


class Group:
    """Members by identity, shares by demand, grants out of the ledger."""

    def __init__(self, own: Identity, timing: Timing, limit_da: int, now: float) -> None:
        self._timing = timing
        self._lease_ds = int(timing.lease_s * 10)
        self.ledger = Ledger(timing, limit_da)
        self._switch_da = limit_da
        self._silent: dict[Identity, Member] = {}
        """Members of which nothing is heard; their rows wait for the release."""
        self.own = Member(own, self.ledger.add(now), timing, now)
        self.secondaries: list[Member] = []
        self.giving = False
        """Whether amps may be granted at all: not before the quiet start is over."""
        self.stale = True
        """Something has changed that the targets depend on."""
        self._claimants: list[Member] = []
        self._planned_total = 0
        self._starts_at = -inf
        """When the next vehicle may start."""
        self._shortage = False
        """Somebody waits for its turn, so targets change with time alone."""

    def enrol(self, identity: Identity, now: float) -> Member | None:
        """The member for a station that answered a probe; None when the group is full."""
        known = self.member(identity) or self._silent.pop(identity, None)
        member = known or Member(identity, self.ledger.add(now), self._timing, now)
        if member not in self.secondaries:
            if len(self.secondaries) >= MAX_SECONDARIES:
                self._silent[identity] = member
                return None
            self.secondaries.append(member)
        member.row.heard_at = max(member.row.heard_at, now)
        member.address = 0
        return member

    @property
    def everyone(self) -> tuple[Member, ...]:
        """All whose rows count, also those of which nothing is heard."""
        return (self.own, *self.secondaries, *self._silent.values())

    @property
    def limited_by(self) -> Reason:
        """Whose the limit is: the switch's, or the controller's, who may only lower it."""
        return Reason.ONLINE if self.ledger.limit_da < self._switch_da else Reason.SWITCH

    def others(self, now: float) -> list[Row]:
        """The rows that count besides its own; a primary that has yielded lets its book lie."""
        since = now - self._timing.release_s
        return [row for row in self.ledger.rows if row is not self.own.row and row.heard_at > since]

    def member(self, identity: Identity) -> Member | None:
        return next((m for m in self.secondaries if m.identity == identity), None)

    def twin_of(self, identity: Identity) -> Member | None:
        """A member of this serial in another life."""
        serial, nonce = identity
        return next((m for m in self.secondaries if m.identity.serial == serial and m.identity.nonce != nonce), None)

    def lose(self, member: Member) -> None:
        """Nothing is heard of it any more: no claim, but its row stays until the release."""
        self.secondaries.remove(member)
        self._silent[member.identity] = member
        member.status = None
        self.stale = True

    def on_status(self, member: Member, status: Status, now: float) -> None:
        """Take over a report; one that is not newer than the last proves nothing."""
        if status.question > member.row.answered:
            self.stale |= member.on_status(status, now)

    def tend(self, now: float) -> None:
        """Forget what the release time has freed, and let go of members that fell silent."""
        for member in [m for m in self.secondaries if now >= m.row.heard_at + self._timing.lease_s]:
            self.lose(member)
        self.own.row.heard_at = now
        for row in self.ledger.expire(now):
            self._silent = {key: m for key, m in self._silent.items() if m.row is not row}
            self.stale = True

    def due(self, now: float) -> bool:
        """Whether targets must be computed anew."""
        return self.stale or self._shortage or self._total_da(now) != self._planned_total

    def plan(self, now: float) -> None:
        """Compute all targets."""
        self.stale = False
        members = (self.own, *self.secondaries)
        # what a meter may be wrong by is no breach: a transformer that reads 1 % too much would keep its share for ever
        fair = [m for m in members if m.claims and m.row.overdrawn_da(now) <= METER_TOLERANCE_DA]
        self._claimants = fair if self.giving else []
        total = self._planned_total = self._total_da(now)
        given = shares(total, [m.claim(total, now) for m in self._claimants])
        targets = {m.identity: amps for m, amps in zip(self._claimants, given, strict=True)}
        for member in members:
            # one that overdraws keeps its pilot, so that its station can judge and trip it; the others come down
            kept = member.row.granted_da if member.claims and member not in self._claimants else 0
            member.aim(targets.get(member.identity, kept if self.giving else 0), now)
        self._shortage = 0 in given

    def _total_da(self, now: float) -> int:
        """The limit less what is out with stations that do not take part, or taken by a vehicle that overdraws."""
        rows = [m.row for m in self._claimants]
        total = self.ledger.limit_da
        for row in self.ledger.rows:
            total -= row.overdrawn_da(now) if row in rows else row.exposure_da(now)
        return max(0, total)

    def grant(self, member: Member, now: float) -> Grant:
        """The next grant for a member, numbered, with its reason."""
        row, limit_da = member.row, self.ledger.limit_da
        before = row.granted_da
        amps = self.ledger.commit(row, self._within_reach_da(member, now), now)
        if amps and not before:
            self._starts_at = now + STAGGER_S
        if not self.giving:
            member.reason = Reason.QUIET_START
        elif amps < member.target_da:
            member.reason = Reason.SETTLING
        else:
            member.reason = member.why(limit_da, self.limited_by)
        return Grant(row.number, row.answered, amps, self._lease_ds, limit_da, member.reason)

    def _within_reach_da(self, member: Member, now: float) -> int:
        """The target, or what the member has when a raise must wait for others or is about to grow."""
        target, given = member.target_da, member.row.granted_da
        if target <= given:
            return target
        if not given and now < self._starts_at:
            return 0
        free = self.ledger.free_da(member.row, now)
        if free < target and (free < MIN_OFFER_DA or self.settles_at(now) <= now + _SOON_S):
            return given
        return min(target, free)

    def settles_at(self, now: float) -> float:
        """When the next amps that are being given up may come free; inf = nothing is."""
        soonest = inf
        for row in self.ledger.rows:
            if now < row.settles_at < soonest:
                soonest = row.settles_at
        return soonest

    def unmet(self, now: float) -> list[Member]:
        """Members that can be told something else than they were: cuts first, as they make room, then those who wait
        longest."""
        found = []
        for member in (self.own, *self.secondaries):
            given = member.row.granted_da
            if given != member.target_da and given != self._within_reach_da(member, now):
                found.append(member)
        return sorted(found, key=lambda m: (m.target_da > m.row.granted_da, m.turns_at))
