"""What every member may draw, given everything that was sent to it and all that it has said; deciamperes.

The online counterpart of the book that an offline primary keeps, with one thing more: a member has a fallback. When its
lease ends it offers at most that, and may come up to it `hold_s` later. So its fallback is reserved in time for all
others to come down, however they have to be told: by a command, or by the end of their own leases.
"""

from math import ceil, inf, isfinite, isnan
from typing import NamedTuple

from cloud.link import Command, Report
from cloud.site import Member, Timing

METER_TOLERANCE_DA = 10
"""What a meter may show above a limit that is kept."""
_LIVES = 64
"""Former lives that are remembered; one that is forgotten passes for a new one, which costs only time."""
_NOBODY = -1
"""No life: what was already told to others of this member's lives."""
_MOST_DA = 10_000
"""No current of a member is above this (I)."""


class Times:
    """What follows from a site's timing, with the drift of its clocks, seconds."""

    def __init__(self, timing: Timing, slowest_settle_s: float) -> None:
        self.lease_s = timing.lease_s
        self.hold_s = timing.hold_s
        self.slow = 1 + timing.drift
        self.held_s = timing.lease_s * self.slow
        """For so long a command may be in force after its question has arrived."""
        self.quiet_s = self.held_s + slowest_settle_s * self.slow
        """After this nothing of a former life of the controller is in force or still drawn."""
        self.room_s = self.quiet_s + timing.report_s + 2.0
        """From deciding that the others must come down until they surely have, told or not."""
        self.rises_s = (timing.lease_s + timing.hold_s) * (1 - timing.drift)
        """From the question of the last command taken until a member may come up to its fallback."""
        self.lost_s = 3 * timing.report_s


class _Sent(NamedTuple):
    """A command that may be in force."""

    boot: int
    """The life of the member that it is for."""
    number: int
    limit_da: int
    at: float
    ends_at: float
    """Surely over and no longer drawn by then."""
    noted_after: float
    """The member noted its question later than this."""


class Row:
    """One member."""

    def __init__(self, member: Member, fallback_da: int, times: Times) -> None:
        self.member = member
        self.fallback_da = fallback_da
        """What it is told to offer without its controller."""
        self.report: Report | None = None
        """The newest; None = nothing was heard yet."""
        self.heard_at = -inf
        self._times = times
        self._settle_s = member.settle_s * times.slow
        self._number = 0
        self._confirmed = 0
        self.noted_after = -inf
        """Its newest report was made later than this, however long it was under way."""
        self._alive_at = -inf
        """It took a command whose question it had noted later than this."""
        self._sent: list[_Sent] = []
        self._settling: list[tuple[int, float]] = []
        self._overdrawn_da = 0
        self._lapsed_da = 0
        """The most of its commands that have ended by time: of that it keeps what its fallback allows."""
        self._untaken_since = inf
        """Since when it has been told something of which it has taken nothing."""
        self._former: dict[int, int] = {}
        """Other lives, and the last question that was heard of each."""
        self.refused = 0
        """Reports that were none."""

    def alive(self, now: float) -> bool:
        """It reports, so it can be told."""
        return self.report is not None and now < self.heard_at + self._times.lost_s

    def on_report(self, report: Report, now: float) -> bool:
        """Take over a report; one that is not newer than the last of its life proves nothing."""
        last = self.report
        if not _sound(report):
            self.refused += 1
            return False
        if report.question <= (
            last.question if last and last.boot == report.boot else self._former.get(report.boot, 0)
        ):
            return False
        another = last is not None and last.boot != report.boot
        if last is not None and another:
            self._change_life(last)
        reserved_da = self.reserved_da(now)
        self.report, self.heard_at = report, now
        self._number = max(self._number, report.confirmed)
        confirmed = next((one for one in self._sent if (one.boot, one.number) == (report.boot, report.confirmed)), None)
        if confirmed and report.confirmed > self._confirmed:
            self._confirm(confirmed, reserved_da, now)
        self.noted_after = confirmed.at if confirmed else -inf
        if not report.closed and not another:
            self._settling.clear()
        over = report.drawn_a * 10 > max(self._told_da(now), self.reserved_da(now)) + METER_TOLERANCE_DA
        self._overdrawn_da = min(ceil(report.drawn_a * 10), round(self.member.rating_a * 20)) if over else 0
        return True

    def _change_life(self, last: Report) -> None:
        """It has restarted, or a report of a life before came late: which, nobody can say, as lives have no order. So
        all that it was told counts for its time, until it confirms a command, which no life but the newest can."""
        self._former[last.boot] = last.question
        if len(self._former) > _LIVES:
            del self._former[next(iter(self._former))]
        number = self._number
        self._sent += [_Sent(_NOBODY, number, amps, -inf, until, -inf) for amps, until in self._settling]
        self._sent.sort(key=lambda sent: sent.number)
        self._settling.clear()
        self._confirmed, self._untaken_since = 0, inf

    def _confirm(self, taken: _Sent, reserved_da: int, now: float) -> None:
        """A command is in force: what was told before, or taken without being told, is drawn for a while, no longer.
        One that has lapsed proves nothing: what it allowed may still be held."""
        older = [sent.limit_da for sent in self._sent if sent.number < taken.number]
        self._sent = [sent for sent in self._sent if sent.number >= taken.number]
        self._settling.append((max(older, default=0), now + self._settle_s))
        self._settling.append((reserved_da, now + self._settle_s))
        self._confirmed, self._lapsed_da, self._untaken_since = taken.number, 0, inf
        self._alive_at = max(self._alive_at, taken.noted_after)

    def command(self, limit_da: int, reason: str, now: float) -> Command:
        """The next command, which answers the newest report. It counts from now on."""
        assert self.report is not None, "nobody to tell"
        times, self._number = self._times, self._number + 1
        ends_at = self.heard_at + times.held_s + self._settle_s
        boot, question = self.report.boot, self.report.question
        self._sent.append(_Sent(boot, self._number, limit_da, now, ends_at, self.noted_after))
        self._untaken_since = min(self._untaken_since, now)
        return Command(boot, self._number, question, limit_da, times.lease_s, times.hold_s, self.fallback_da, reason)

    def exposure_da(self, now: float) -> int:
        """The most that it may draw now or, if its controller is lost to it, before the others can have made room."""
        return max(self._told_da(now), self.overdrawn_da(now), self.reserved_da(now))

    def granted_da(self, now: float) -> int:
        """What it was told last and may still offer."""
        self._lapse(now)
        last = self._sent[-1] if self._sent else None
        return last.limit_da if last and self.report and last.boot == self.report.boot else 0

    def deaf(self, now: float) -> bool:
        """It reports, and has taken nothing of all that it was told for long."""
        return now >= self._untaken_since + self._times.lost_s

    def _lapse(self, now: float) -> None:
        if any(sent.ends_at <= now for sent in self._sent):
            lapsed = [sent.limit_da for sent in self._sent if sent.ends_at <= now]
            self._lapsed_da = max(self._lapsed_da, *lapsed)
            self._sent = [sent for sent in self._sent if sent.ends_at > now]

    def _told_da(self, now: float) -> int:
        """Of what it was told, what may be in force or still drawn."""
        self._lapse(now)
        most = 0
        for sent in self._sent:
            most = max(most, sent.limit_da)
        if self._settling:
            self._settling = [(amps, until) for amps, until in self._settling if now < until]
            for amps, _ in self._settling:
                most = max(most, amps)
        return most

    def overdrawn_da(self, now: float) -> int:
        """What its meter showed in its newest report, where that was above all that it may have drawn; else 0."""
        return self._overdrawn_da if self.alive(now) else 0

    @property
    def _fallback_da(self) -> int:
        """What it may come up to: what it holds may still be an older one."""
        return max(self.fallback_da, self.report.fallback_da if self.report else 0)

    def reserved_da(self, now: float) -> int:
        """Its fallback where it may come up to it before others can have made room, else what it keeps of its lease."""
        fallback = self._fallback_da
        if not self.member.keeps_quiet or now + self._times.room_s >= self._alive_at + self._times.rises_s:
            return fallback
        return min(self._lapsed_da, fallback)


def _sound(report: Report) -> bool:
    """Whether its numbers can be any. A meter's that does not answer is not a number, and is known as that."""
    currents = (report.offered_da, report.asking, report.most_da, report.fallback_da)
    return (
        all(0 <= number <= _MOST_DA for number in currents)
        and min(report.question, report.confirmed, report.plugged) >= 0
        and (isnan(report.drawn_a) or 0 <= report.drawn_a * 10 <= _MOST_DA)
        and isfinite(report.energy_wh)
    )
