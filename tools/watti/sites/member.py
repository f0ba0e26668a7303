"""One member of a site as a model: a station, or a group of them behind its primary's limit.

A group follows a lower limit as late as its `settle_s` allows, shares in equal parts what is in force, and takes turns
when not all minimums fit.
"""

from collections.abc import Sequence
from math import inf

from cloud.link import Command, Report
from cloud.site import Member, Site
from firmware.timing import MIN_OFFER_DA
from firmware.timing import Timing as StationTiming
from watti.sites.holder import Holder, Stored
from watti.sites.outlet import Outlet

TURN_S = 600.0
_LATE = 1.0001
"""Raises come a little after the last moment of a cut."""
_NOTHING = (-1, 0, 0, 0, 0)


class ModelMember:
    """A station, or a group of them behind its primary's limit."""

    def __init__(
        self, i: int, member: Member, site: Site, fallback_a: float | None, volts: float, drift: float, now: float
    ) -> None:
        self._first_boot = i + 1
        self._boots = len(site.members)
        self._rating_da = int(member.rating_a * 10)
        self._rate = 1.0 + drift
        self._keeps_quiet = member.keeps_quiet
        self._report_s = site.timing.report_s
        station = StationTiming()
        self._reaction_s = min(station.reaction_s, member.settle_s)
        self._follow_s = member.settle_s - self._reaction_s
        self.outlets = [Outlet(volts, self._reaction_s, station) for _ in range(member.stations)]
        self._powered = True
        stored = Stored(None if fallback_a is None else int(fallback_a * 10), site.timing.lease_s, site.timing.hold_s)
        self._holder = Holder(self._first_boot, stored, self._keeps_quiet, now * self._rate)
        self._told = _NOTHING
        """What the last report said that must be told at once: asking, plug-ins, closed, plugged in,
        how often a command has changed the limit."""
        self.report_due = now
        self.other_due = inf
        self._turns = 0
        self._cut_at = self._raise_at = inf
        self._quiet_until = -inf
        """A group raises nobody before: somebody may still draw what others shall have."""
        self._turn_ends = inf
        self._serving: list[int] = []

    # What it shows

    @property
    def offered_da(self) -> int:
        return sum([outlet.offered_da for outlet in self.outlets])

    @property
    def drawn_a(self) -> float:
        return sum([outlet.drawn_a for outlet in self.outlets])

    def exposed_da(self, now: float) -> int:
        return sum([outlet.exposed_da(now) for outlet in self.outlets])

    def energy_kwh(self, now: float) -> float:
        return sum([outlet.energy_kwh(now) for outlet in self.outlets])

    def plan(self, now: float) -> None:
        """When it does anything again: it was touched."""
        if not self._powered:
            self.report_due = self.other_due = inf
            return
        told = (
            sum([outlet.wants for outlet in self.outlets]),
            sum([outlet.plug_ins for outlet in self.outlets]),
            sum([outlet.closed for outlet in self.outlets]),
            sum([outlet.vehicle is not None for outlet in self.outlets]),
            self._turns,
        )
        if told != self._told:
            self._told, self.report_due = told, now
        changes = self._holder.next_change(now * self._rate) / self._rate
        while changes <= now < inf:  # of rounding
            changes += 1e-6
        due = min(changes, self._cut_at, self._raise_at, self._turn_ends)
        for outlet in self.outlets:
            due = min(due, outlet.next_wakeup())
        self.other_due = due

    # What happens to it

    def step(self, now: float) -> bool:
        """Run what is due; False when it was only a report."""
        if now < self.other_due:
            return False
        for outlet in self.outlets:
            outlet.step(now)
        self.share(now)
        return True

    def deliver(self, command: Command, now: float) -> None:
        if not self._powered:
            return
        here = now * self._rate
        before = self._holder.limit_da(here)
        if self._holder.take(command, here):
            self._turns += self._holder.limit_da(here) != before
            self.share(now)

    def power(self, on: bool, now: float) -> None:
        if on == self._powered:
            return
        self._powered = on
        for outlet in self.outlets:
            outlet.power(on, now)
        self._cut_at = self._raise_at = self._turn_ends = inf
        if on:
            old = self._holder
            self._holder = Holder(old.boot + self._boots, old.stored, self._keeps_quiet, now * self._rate)
            self._told, self.report_due = _NOTHING, now

    def report(self, now: float) -> Report:
        """What is told now; the next comes a period later."""
        self.report_due = now + self._report_s / self._rate
        for outlet in self.outlets:
            outlet.learn(now)
        asking, plugged, closed, _, _ = self._told
        holder, fallback_da = self._holder, self._holder.stored.fallback_da
        return Report(
            holder.boot,
            holder.ask(now * self._rate),
            holder.number,
            self.offered_da,
            self.drawn_a,
            closed > 0,
            asking,
            int(min(self._rating_da, sum([outlet.cap_da for outlet in self.outlets]))),
            self._rating_da if fallback_da is None else fallback_da,
            self.energy_kwh(now) * 1000,
            plugged,
        )

    # Sharing what is in force

    def share(self, now: float) -> None:
        """Bring the outlets to their parts: cuts as late as is allowed, raises after them."""
        if not self._powered:
            return
        parts = self._parts(now)
        self._cut(parts, now)
        outlets = self.outlets
        if not any(part > outlet.allowed_da for part, outlet in zip(parts, outlets, strict=True)):
            self._raise_at = inf
        elif self._cut_at < inf or now < self._quiet_until:
            self._raise_at = self._quiet_until if self._cut_at == inf else inf
        else:
            self._raise_at = inf
            for part, outlet in zip(parts, outlets, strict=True):
                outlet.allow(part, now)

    def _cut(self, parts: Sequence[int], now: float) -> None:
        lower = [(part, outlet) for part, outlet in zip(parts, self.outlets, strict=True) if part < outlet.allowed_da]
        for part, outlet in lower:
            if not outlet.closed:
                outlet.allow(part, now)
        closed = [(part, outlet) for part, outlet in lower if outlet.closed]
        if not closed:
            self._cut_at = inf
        elif self._cut_at == inf and self._follow_s:
            self._cut_at = now + self._follow_s
        elif now >= self._cut_at or not self._follow_s:
            self._cut_at = inf
            self._quiet_until = now + self._reaction_s * _LATE if len(self.outlets) > 1 else -inf
            for part, outlet in closed:
                outlet.allow(part, now)

    def _parts(self, now: float) -> list[int]:
        limit = int(min(self._rating_da, self._holder.limit_da(now * self._rate)))
        if len(self.outlets) == 1:
            return [limit]
        asking = [i for i, outlet in enumerate(self.outlets) if outlet.wants]
        fit = limit // MIN_OFFER_DA
        self._turn_ends = inf if len(asking) <= fit else self._turn_ends
        parts = [0] * len(self.outlets)
        chosen = asking if len(asking) <= fit else self._whose_turn(asking, fit, now)
        chosen = sorted(chosen, key=lambda i: self.outlets[i].cap_da)
        for place, i in enumerate(chosen):
            parts[i] = int(min(limit // (len(chosen) - place), max(MIN_OFFER_DA, self.outlets[i].cap_da)))
            limit -= parts[i]
        return parts

    def _whose_turn(self, asking: Sequence[int], fit: int, now: float) -> list[int]:
        """Those with least energy first; the others at the end of the turn."""
        staying = [i for i in self._serving if i in asking][:fit]
        if self._turn_ends == inf or now >= self._turn_ends:
            staying, self._turn_ends = [], now + TURN_S
        waiting = sorted((i for i in asking if i not in staying), key=lambda i: self.outlets[i].energy_kwh(now))
        self._serving = staying + waiting[: fit - len(staying)]
        return self._serving
