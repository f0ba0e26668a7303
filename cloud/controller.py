"""The controller of a site: told the time, what members report, what meters read and what people wish, it says who may
offer what. It reads no clock and opens nothing; whoever runs it hands its commands to the members (OCPP, a local API,
virtual time).

It plans at most every `_PLAN_S`. A plan has two halves. *Targets* are the fair shares of those that ask. *Commands*
come out of the ledger: a cut goes out at once, a raise only out of what all others have surely given up, at every node.
"""

from collections.abc import Callable, Sequence
from math import inf, isfinite, isnan

from cloud.allocation import Claim, Share, allocate
from cloud.fallback import choose
from cloud.fill import fill
from cloud.headroom import Building
from cloud.ledger import Row, Times
from cloud.link import Command, Report, Wish
from cloud.policies import Policy, Seat
from cloud.site_rules import WEIGHTS
from cloud.tree import Tree

Send = Callable[[int, Command], None]
"""Hand a command to a member, by its place in the site."""

_PLAN_S = 0.5
_IN_TURN = 1e12
"""Ranks before all who wait, in s."""
_WORTH_DA = 10
"""A raise that is not the whole is worth a new pilot from here on."""


class _Seat:
    """What the controller remembers of one member beside its row."""

    __slots__ = ("asks", "bound", "plugged", "served_until", "since", "target_da", "turn_from", "wish", "wished_wh")

    def __init__(self) -> None:
        self.asks = False
        self.since = -inf
        self.plugged = 0
        self.wish = Wish()
        self.wished_wh = 0.0
        self.target_da = 0
        self.bound = "quiet_start"
        self.turn_from = inf
        """When its turn began; inf = it has none."""
        self.served_until = -inf
        """When its last turn ended."""


class Controller:
    """Decides for one site. After its start it gives nothing until no former controller's command can be in force."""

    def __init__(self, tree: Tree, policy: Policy, send: Send, now: float) -> None:
        """Raise `SiteError` where the written fallbacks do not fit."""
        self.tree = tree
        self.policy = policy
        self._send = send
        members = tree.site.members
        self.times = Times(tree.timing, max((m.settle_s for m in members), default=0.0))
        self.fallbacks_da = choose(tree)
        self.rows = [Row(m, amps, self.times) for m, amps in zip(members, self.fallbacks_da, strict=True)]
        self._seats = [_Seat() for _ in members]
        self._volts = [tree.watts_per_ampere(i) for i in range(len(members))]
        self._weights = [1.0] * len(members)
        self.buildings = [
            Building(m, tree.lines(m.node), tree.node(m.node).limit_a, tree.below(m.node), tree.magnitudes(m.node))
            for m in tree.site.meters
        ]
        self._meters = {meter.name: j for j, meter in enumerate(tree.site.meters)}
        self._gives_from = now + self.times.quiet_s
        self._stale = True
        self._planned_at = -inf
        self._plan_again_at = now
        self._owes: set[int] = set()
        """Members whose report is to be answered."""
        self._starts_at = -inf
        """When the next vehicle may start."""

    # What happens

    def next_wakeup(self) -> float:
        """Absolute seconds; when `step` has something to do."""
        if self._stale:
            return max(self._gives_from, self._planned_at + _PLAN_S)
        return max(self._gives_from, self._plan_again_at)

    def step(self, now: float) -> None:
        """Plan, when that is due."""
        if now >= self.next_wakeup():
            self._plan(now)

    def on_report(self, i: int, report: Report, now: float) -> None:
        """A member reports; it is answered, so that its lease goes on."""
        row, last = self.rows[i], self.rows[i].report
        was_alive = row.alive(now)
        if not row.on_report(report, now):
            return
        self._see(i, report, now)
        for building in self.buildings:
            building.on_report(i, 0.0 if isnan(report.drawn_a) else report.drawn_a, row.noted_after)
        self._stale |= last is None or not was_alive or _facts(last) != _facts(report)
        if now >= self._gives_from:
            self._owes.add(i)
            self.step(now)
            if i in self._owes:
                self._tell(i, row.granted_da(now), now)

    def on_meter(self, name: str, amps: Sequence[float], now: float) -> None:
        """A meter has read: A in each line of its node."""
        building = self.buildings[self._meters[name]]
        before = building.load(now)
        drawn, most = (self._drawn(), self._exposures(now)) if building.sees_stations else ((), ())
        building.on_reading(amps, drawn, most, now)
        after = building.load(now)
        self._stale |= any(a > b for a, b in zip(after, before, strict=True)) or building.falling
        self.step(now)

    def on_wish(self, i: int, wish: Wish, now: float) -> None:
        """A driver or an operator says what is wanted; it holds until the vehicle leaves. Raise `ValueError` for a wish
        that can't be."""
        wrong = _objection(wish)
        if wrong:
            raise ValueError(f"{self.rows[i].member.name}: {wrong}")
        report = self.rows[i].report
        self._seats[i].wish = wish
        self._seats[i].wished_wh = report.energy_wh if report else 0.0
        self._stale = True

    def _see(self, i: int, report: Report, now: float) -> None:
        seat, alone = self._seats[i], self.rows[i].member.stations == 1
        if report.plugged != seat.plugged and (alone or not seat.asks):
            seat.wish, seat.since = Wish(), now
        elif report.asking and not seat.asks:
            seat.since = now
        seat.asks, seat.plugged = report.asking > 0, report.plugged
        if not seat.asks:
            seat.turn_from = inf

    # What comes of it

    def _plan(self, now: float) -> None:
        self._stale, self._planned_at = False, now
        for building in self.buildings:
            for i in [i for i in building.awaited if not self.rows[i].alive(now) or self.rows[i].deaf(now)]:
                building.on_report(i, 0.0, now)
        loads = {b.meter.node: b.load(now) for b in self.buildings}
        limits = self.tree.limits(loads)
        shares = allocate(self.tree, [self._claim(i, now) for i in range(len(self.rows))], loads)
        for i, (seat, share) in enumerate(zip(self._seats, shares, strict=True)):
            self._aim(i, seat, share, now)
        for i, (row, seat) in enumerate(zip(self.rows, self._seats, strict=True)):
            if seat.target_da < row.granted_da(now) and row.alive(now):
                self._tell(i, seat.target_da, now)
        self._raise(limits, now)
        self._plan_again_at = self._again(now)

    def _claim(self, i: int, now: float) -> Claim:
        row, seat = self.rows[i], self._seats[i]
        if not row.alive(now) or row.report is None:
            return Claim(row.member.min_a, 0.0, standing_a=row.exposure_da(now) / 10)
        stands = max(row.reserved_da(now), row.overdrawn_da(now)) / 10
        if not seat.asks:
            return Claim(row.member.min_a, 0.0, standing_a=stands)
        rank = self._rank(seat, now)
        claim = self.policy(
            Seat(row.member, row.report, seat.wish, seat.wished_wh, self._volts[i], seat.since, rank, stands), now
        )
        self._weights[i] = claim.weight
        if row.deaf(now):
            return claim._replace(max_a=min(claim.max_a, max(stands, claim.min_a)))  # what it can't take others can
        return claim

    def _rank(self, seat: _Seat, now: float) -> float:
        """Those in their turn go first, then who has waited longest since its own."""
        ends = seat.turn_from + self.tree.timing.turn_s
        if ends < inf:
            return ends if now >= ends else seat.turn_from - _IN_TURN
        return max(seat.served_until, seat.since)

    def _aim(self, i: int, seat: _Seat, share: Share, now: float) -> None:
        """Take over what a member is to get, and turn by turn who is served while not all minimums fit."""
        served = seat.asks and share.bound.why != "waiting"
        row = self.rows[i]
        seat.target_da = round(share.amps * 10) if served and row.alive(now) else 0
        if row.overdrawn_da(now):
            seat.target_da = min(seat.target_da, row.granted_da(now))  # it is not told more for taking more
        seat.bound = str(share.bound)
        if not served:
            if seat.turn_from < inf:
                seat.served_until, seat.turn_from = now, inf
        elif now >= seat.turn_from + self.tree.timing.turn_s or seat.turn_from == inf:
            seat.turn_from = now

    def _raise(self, limits: Sequence[Sequence[float]], now: float) -> None:
        """Give what the others have surely given up, as fairly as the targets are."""
        wanting = {i for i, seat in enumerate(self._seats) if seat.target_da > self.rows[i].granted_da(now)}
        if not wanting:
            return
        exposed = self._exposures(now)
        wanting -= self._crowded(exposed, limits)
        most = [max(e, self._seats[i].target_da / 10) if i in wanting else e for i, e in enumerate(exposed)]
        amps, _ = fill(self.tree, exposed, most, self._weights, limits)
        for i in sorted(wanting, key=lambda i: (self._seats[i].since, i)):
            self._raise_to(i, min(self._seats[i].target_da, int(amps[i] * 10 + 1e-6)), now)

    def _crowded(self, exposed: Sequence[float], limits: Sequence[Sequence[float]]) -> set[int]:
        """Members in rows with more out than they can carry, by a limit that fell or for want of news: there nobody is
        told more, though the book counts more for it."""
        sums = self.tree.sums(exposed)
        full = {
            (n, k)
            for n, branch in enumerate(self.tree.branches)
            for row, limit in zip(branch.rows, limits[n], strict=True)
            if row.load(sums[n]) > limit + 1e-6
            for k in row.classes
        }
        return {i for i, path in enumerate(self.tree.paths) if not full.isdisjoint(path)} if full else set()

    def _raise_to(self, i: int, amps_da: int, now: float) -> None:
        row, seat = self.rows[i], self._seats[i]
        granted = row.granted_da(now)
        worth = amps_da == seat.target_da or amps_da >= granted + _WORTH_DA
        if not worth or amps_da < round(row.member.min_a * 10):
            seat.bound = "settling"
        elif granted or now >= self._starts_at:
            if not granted:
                self._starts_at = now + self.tree.timing.stagger_s
            self._tell(i, amps_da, now)
        else:
            seat.bound = "stagger"

    def _tell(self, i: int, limit_da: int, now: float) -> None:
        self._owes.discard(i)
        self._send(i, self.rows[i].command(limit_da, self._seats[i].bound, now))

    def _again(self, now: float) -> float:
        """When to plan without anything new: soon while somebody is to be raised or room comes, else now and then."""
        unmet = any(seat.target_da != row.granted_da(now) for seat, row in zip(self._seats, self.rows, strict=True))
        if unmet or any(building.falling for building in self.buildings):
            return now + 2 * _PLAN_S
        stale = [b.stale_at for b in self.buildings if b.stale_at > now]
        return min(now + self.tree.timing.report_s, *stale) if stale else now + self.tree.timing.report_s

    def _exposures(self, now: float) -> list[float]:
        return [row.exposure_da(now) / 10 for row in self.rows]

    def _drawn(self) -> list[float]:
        """Of each member what it has reported, A; nothing where it has not, or its meter does not answer."""
        drawn = [0.0 if row.report is None else row.report.drawn_a for row in self.rows]
        return [0.0 if isnan(a) else a for a in drawn]

    # What people see

    def target_da(self, i: int) -> int:
        """What a member is to get."""
        return self._seats[i].target_da

    def bound(self, i: int) -> str:
        """Why a member gets no more: what a share is bound by, `settling`, `stagger` or `quiet_start`."""
        return self._seats[i].bound


def _facts(report: Report) -> tuple[object, ...]:
    """What a plan depends on. What is confirmed matters to those who wait for it, who are looked at all the time."""
    return report.boot, report.closed, report.asking, report.most_da, report.fallback_da, report.plugged


def _objection(wish: Wish) -> str:
    """Why a wish can't be one; empty when it can."""
    low, high = WEIGHTS
    if wish.weight is not None and not low <= wish.weight <= high:
        return f"expected a weight of {low:g} to {high:g} (got {wish.weight:g})"
    if wish.energy_wh is not None and not 0 <= wish.energy_wh < inf:
        return f"expected energy of 0 Wh or more (got {wish.energy_wh:g})"
    if wish.departs_at is not None and not isfinite(wish.departs_at):
        return f"expected a time of departure in seconds (got {wish.departs_at:g})"
    return ""
