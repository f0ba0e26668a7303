"""The lease protocol as a small model: one primary, its stations, their vehicles, and a line that does its worst.

The names are the firmware's: `Row` is that of `firmware.sharing.ledger`, `first`, `number` and `question` are those
of `firmware.sharing.lease`. A station with its vehicle, its row and its messages is a `Member`; members meet only
in what is free (`Ledger.free_da`), in time, and in the primary's restarts.

Time: whole ticks of true time, TICK_S long; between two ticks any number of steps happen, in any order. A time by a
drifting clock is rounded for the worse: what the primary waits for may be over at the first tick that the fastest
clock allows, what a holder must give up lasts to the first tick by which the slowest clock is through. So every
interval of every clock may be wrong by the drift, independent of all others, which is more than clocks can do. A
primary that is later than that grants less than it might. A holder may give up as early as the fastest clock says.

What the adversary may do, at any moment and as often as it likes:
- lose any message, deliver any that is kept at any later time, whatever was sent since, and repeat polls. Kept are
  `Bounds.polls` and `Bounds.statuses` each way and station; an older one is lost when another takes its place;
- let a process stand still: a station acts up to W late on what its own clock tells it; after that the dead-man has
  let go (`open`), after a lease it is a new life (`restart`); a primary acts as late as it likes;
- restart the primary, or a station as long as no row of an older life still waits for its release;
- plug out, trip, leave (`open`), and want any of `Bounds.levels` for anyone.
A vehicle draws the most that its pilot said within R; its meter says 0, so that R alone protects.

Not in the model: the primary's own station (a member whose messages all arrive at once, so a tamer one), a meter that
fails or contradicts (it only keeps rows higher), late copies of enrolment messages, a second primary, ratings, the
contactor's 0.1 s and other times far below a tick (they are in the release time, and `replay` has them).
"""

from typing import NamedTuple

from tests.model.rules import Rules


class Row(NamedTuple):
    """One life's exposure, in the primary's book."""

    session: int = 0
    """0: the primary has not heard that it was joined."""
    number: int = 0
    answered: int = 0
    confirmed: int = 0
    sent: tuple[int, ...] = ()
    """The highest and the last of what may or may not have arrived."""
    settling: tuple[tuple[int, int], ...] = ()
    """(amps, ticks since) of what is being given up."""
    heard: int = 0
    """Ticks since a report."""

    @property
    def exposure(self) -> int:
        return max(self.confirmed, *self.sent, *(amps for amps, _ in self.settling), 0)


class Grant(NamedTuple):
    """A poll on its way."""

    session: int
    number: int
    question: int
    amps: int


class Status(NamedTuple):
    """A report on its way."""

    session: int
    question: int
    granted: int
    holds: bool
    offered: int


class Member(NamedTuple):
    """A station, its vehicle, its row and the messages between."""

    session: int = 0
    question: int = 0
    first: int = 1
    asked: tuple[tuple[int, int], ...] = ()
    """(question, ticks since), the latest last."""
    polled: int = 0
    """Ticks since a poll."""
    number: int = 0
    amps: int = 0
    age: int = 0
    """Ticks since the question of what is held."""
    pilot: int = 0
    highs: tuple[tuple[int, int], ...] = ()
    """(amps, ticks since) of what the pilot was."""
    paused: bool = False
    closed: bool = False
    row: Row | None = None
    former: Row | None = None
    """Of the life before, until its release."""
    polls: tuple[Grant, ...] = ()
    statuses: tuple[Status, ...] = ()
    sessions: int = 0
    """How often it has been enrolled."""

    @property
    def draw(self) -> int:
        """The most its vehicle may draw."""
        return max(self.pilot, *(amps for amps, _ in self.highs), 0) if self.closed else 0


Action = tuple[str | int | bool, ...]
"""What happens, with its arguments."""


def refuses(rules: Rules, member: Member, grant: Grant) -> bool:
    """Whether `LeaseHolder.accept` does not believe it; within one session that is for ever."""
    age = dict(member.asked).get(grant.question)
    return (
        age is None
        or grant.question < member.first
        or (rules.numbers_rise and grant.number <= member.number)
        or (rules.lease_from_question and age >= rules.lease)
    )


def undominated(highs: tuple[tuple[int, int], ...], above: int) -> tuple[tuple[int, int], ...]:
    """Those of (amps, ticks since) that a later one of as much does not hide."""
    kept: list[tuple[int, int]] = []
    for amps, age in sorted(highs, key=lambda high: (high[1], -high[0])):
        if amps > above:
            kept.append((amps, age))
            above = amps
    return tuple(kept)


class Protocol:
    """The rules at work: every function takes a member or a row and returns what becomes of it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    # The primary's book

    def commit(self, row: Row, amps: int) -> Row:
        """`Row.send`."""
        rules, number = self.rules, row.number + 1
        if not rules.cut_counts_when_confirmed and amps < row.exposure:
            return row._replace(number=number, confirmed=amps, sent=(amps, amps), settling=())
        return row._replace(number=number, sent=(max(amps, *row.sent[:1], 0), amps))

    def on_status(self, row: Row, status: Status) -> Row:
        """`Group.on_status`, `Row.on_status`."""
        if status.question <= row.answered and self.rules.newer_questions_only:
            return row
        row = row._replace(answered=status.question, heard=0)
        if not status.holds:
            return row._replace(confirmed=0, sent=(), settling=())
        echoed = status.granted == row.number and status.offered <= row.sent[-1] if row.sent else False
        if not row.sent or not (echoed or not self.rules.echo_confirms):
            return row
        before, amps = max(row.confirmed, row.sent[0]), row.sent[-1]
        settling = ((before, 0), *row.settling) if before > amps and self.rules.settle else row.settling
        return row._replace(confirmed=amps, sent=(), settling=undominated(settling, amps))

    def counted(self, row: Row | None) -> int:
        """`Row.exposure_da`."""
        if row is None:
            return 0
        return (row if self.rules.raise_counts_when_sent else row._replace(sent=())).exposure

    def reserved(self, row: Row | None) -> int:
        """What the others may not get: `Ledger.free_da`."""
        if row is None or self.rules.free_by_exposure:
            return self.counted(row)
        return row.sent[-1] if row.sent else row.confirmed

    def age_row(self, row: Row | None) -> Row | None:
        """One tick; `Ledger.expire`."""
        if row is None or row.heard + 1 >= self.rules.release:
            return None
        settling = tuple((amps, age + 1) for amps, age in row.settling if age + 1 < self.rules.settle)
        return row._replace(heard=row.heard + 1, settling=settling)

    # The station

    def drive(self, member: Member) -> Member:
        """`Station._drive_pilot` and `_drive_contactor`: the pilot follows the lease; once stopped it stays steady
        until the contactor has opened, and that closes only when the pilot has not been higher within R."""
        if member.closed and not member.pilot and not member.highs:
            return self.open(member)
        if member.closed:
            want = member.amps if member.pilot else 0
            if want > member.pilot and member.paused:
                return member
            if want < member.pilot:
                member = member._replace(highs=((member.pilot, 0), *member.highs))
            return self._offer(member, want)
        if member.amps and not member.paused and not (member.highs and self.rules.reclose):
            return self._offer(member, member.amps)._replace(closed=True)
        return member

    def _offer(self, member: Member, amps: int) -> Member:
        paused = self.rules.pauses and (member.paused or amps != member.pilot)
        return member._replace(pilot=amps, paused=paused, highs=undominated(member.highs, amps))

    def end(self, member: Member) -> Member:
        """`LeaseHolder.end`."""
        return member._replace(amps=0, age=0, first=member.question + 1)

    def open(self, member: Member) -> Member:
        """`Station._give_up`: unplugged, tripped, stopped, or the dead-man has let go."""
        highs = ((member.pilot, 0), *member.highs) if member.pilot else member.highs
        return self.end(member)._replace(pilot=0, paused=self.rules.pauses, closed=False, highs=undominated(highs, 0))

    def due(self, member: Member, lease: int) -> bool:
        """Whether the process has something to do, by a clock that makes so many ticks of a lease."""
        return (member.amps > 0 and member.age >= lease) or (member.session > 0 and member.polled >= lease)

    def late(self, member: Member) -> bool:
        """Whether it has, by any clock."""
        return self.due(member, self.rules.lease)

    def run(self, member: Member, lease: int) -> Member:
        """The process does what is due: `LeaseHolder.step`, `Secondary._lapse`."""
        if member.amps and member.age >= lease:
            member = self.drive(member._replace(amps=0, age=0))
        if member.session and member.polled >= lease:
            member = self.drive(self.end(member)._replace(session=0))
        return member

    def join(self, member: Member, session: int) -> Member:
        """`Secondary._join`: a new holder, whose questions are numbered on. Not polled by the next tick, it leaves."""
        member = self.drive(self.end(member))
        return member._replace(
            session=session, number=0, first=member.question + 1, asked=(), polled=self.rules.lease - 1
        )

    def hear_poll(self, member: Member, grant: Grant) -> tuple[Member, Status | None]:
        """`Secondary._on_poll`."""
        member = self.run(member, self.rules.lease)
        if not member.session or (self.rules.sessions_differ and grant.session != member.session):
            return member, None
        member = self.accept(member._replace(polled=0), grant)
        return self.report(member)

    def accept(self, member: Member, grant: Grant) -> Member:
        """`LeaseHolder.accept`."""
        if refuses(self.rules, member, grant):
            return member
        age = dict(member.asked)[grant.question] if self.rules.lease_from_question else 0
        return self.drive(member._replace(number=grant.number, amps=grant.amps, age=age if grant.amps else 0))

    def report(self, member: Member) -> tuple[Member, Status]:
        """`Station.report`."""
        holds = member.closed or (member.amps > 0 and self.rules.lease_is_held)
        question = member.question + 1
        first = question if not holds and self.rules.idle_voids_questions else member.first
        member = member._replace(question=question, first=first, asked=(*member.asked, (question, 0)))
        return member, Status(member.session, question, member.number, holds, member.pilot)

    def tick(self, member: Member) -> Member:
        """Time passes; who was late enough has run, or the dead-man has let go."""
        rules = self.rules
        kept = rules.reaction if member.closed else rules.reclose
        highs = tuple((amps, age + 1) for amps, age in member.highs if age + 1 < kept)
        member = member._replace(
            asked=tuple((question, min(age + 1, rules.lease)) for question, age in member.asked),
            polled=member.polled + 1,
            age=member.age + 1 if member.amps else 0,
            highs=highs,
            paused=False,
            row=self.age_row(member.row),
            former=self.age_row(member.former),
        )
        if self.due(member, rules.lease + rules.dead_man):
            return self.run(member, rules.lease)
        if self.late(member):
            return member
        after = self.drive(member)
        just_closed = after.closed and not member.closed  # as R was over
        return after._replace(paused=rules.pauses and just_closed)
