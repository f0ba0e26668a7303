"""What may happen on a circuit of the lease model, what it leads to, and what must hold."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.lease_model import Action, Grant, Member, Protocol, Row, Status
from tests.model.normal import normal
from tests.model.rules import Bounds, Rules

_KEPT = (True, False)


class Circuit(NamedTuple):
    """A state of the whole."""

    sat: int
    """Ticks since the primary has started, up to the end of its quiet start."""
    members: tuple[int, ...]
    """By number; `Model.member` tells which state of a member that is."""


class _Facts(NamedTuple):
    """What a state of a member means."""

    draw: int
    counted: int
    """What its rows count."""
    own: int
    """What its living row keeps from the others."""
    reserved: int
    """And with the former row."""


class _Steps(NamedTuple):
    """What a state of a member leads to."""

    ticked: int
    offline: int
    """When the primary starts anew."""
    own: list[tuple[Action, int, int]]
    """Action, what it leads to, what must be free for it."""


def _asked(action: Action) -> int:
    """What must be free for it."""
    return int(action[1]) if action[0] == "poll" else 0


class Model:
    """States and steps."""

    def __init__(self, rules: Rules, bounds: Bounds, rank: bool = True) -> None:
        """Without `rank`, nothing is left out, and numbered as the firmware does it."""
        self.rules = rules
        self.bounds = bounds
        self.rank = rank
        self.protocol = Protocol(rules)
        self._members: list[Member] = []
        self._numbers: dict[Member, int] = {}
        self._known: list[_Facts] = []
        self._leads: dict[int, _Steps] = {}

    @property
    def first(self) -> Circuit:
        return Circuit(0, (self.number(Member()),) * self.bounds.members)

    def gives(self, circuit: Circuit) -> bool:
        return circuit.sat >= self.rules.quiet

    def free(self, circuit: Circuit, i: int) -> int:
        """`Ledger.free_da`, and nothing before the quiet start is over."""
        if not self.gives(circuit):
            return 0
        reserved = sum([self._known[number].reserved for number in circuit.members])
        return max(0, self.bounds.limit - reserved + self._known[circuit.members[i]].own)

    def steps(self, circuit: Circuit) -> Iterator[tuple[Action, Circuit]]:
        """Every step with what it leads to. Members are alike: their order is that of their numbers."""
        sat, members = circuit
        leads = [self._steps(number) for number in members]
        yield ("tick",), Circuit(min(sat + 1, self.rules.quiet), _sorted([steps.ticked for steps in leads]))
        yield ("restart_primary",), Circuit(0, _sorted([steps.offline for steps in leads]))
        for i, steps in enumerate(leads):
            free = self.free(circuit, i)
            for action, after, asked in steps.own:
                if asked <= free:
                    yield (i, *action), Circuit(sat, _sorted([*members[:i], after, *members[i + 1 :]]))

    def apply(self, circuit: Circuit, action: Action) -> Circuit:
        """What one step leads to; the members keep their places."""
        sat, members = circuit
        if action[0] == "tick":
            ticked = [self.number(self.protocol.tick(self.member(number))) for number in members]
            return Circuit(min(sat + 1, self.rules.quiet), tuple(ticked))
        if action[0] == "restart_primary":
            return Circuit(0, tuple([self.number(offline(self.member(number))) for number in members]))
        i = action[0]
        assert isinstance(i, int)
        after = self.number(self.moved(self.member(members[i]), action[1:]))
        return Circuit(sat, (*members[:i], after, *members[i + 1 :]))

    def placed(self, circuit: Circuit, action: Action) -> Action:
        """The step of `steps` for a circuit whose members have kept their places."""
        if not isinstance(action[0], int):
            return action
        order = sorted(range(len(circuit.members)), key=circuit.members.__getitem__)
        return (order[action[0]], *action[1:])

    def wrong(self, circuit: Circuit) -> str:
        """Which promise is broken; empty when none is."""
        known = [self._known[number] for number in circuit.members]
        draw = sum([facts.draw for facts in known])
        if draw > self.bounds.limit:
            return f"the vehicles may draw {draw}"
        if self.gives(circuit) and any(facts.draw > facts.counted for facts in known):
            return "a vehicle may draw more than its row counts"
        return ""

    def shares(self, circuit: Circuit) -> bool:
        """All vehicles are fed."""
        return all(self.member(number).pilot for number in circuit.members)

    # One member

    def member(self, number: int) -> Member:
        return self._members[number]

    def number(self, member: Member) -> int:
        """Of the state it is in, once what makes no difference is left out."""
        member = normal(member, self.rules) if self.rank else member
        number = self._numbers.get(member)
        if number is None:
            number = self._numbers[member] = len(self._members)
            self._members.append(member)
            self._known.append(self._facts(member))
        return number

    def _facts(self, member: Member) -> _Facts:
        protocol, former = self.protocol, member.former
        own = protocol.reserved(member.row)
        counted = protocol.counted(member.row) + protocol.counted(former)
        return _Facts(member.draw, counted, own, own + protocol.counted(former))

    def _steps(self, number: int) -> _Steps:
        steps = self._leads.get(number)
        if steps is None:
            member = self.member(number)
            after = [(action, self.number(self.moved(member, action))) for action in self.actions(member)]
            own = [(action, leads, _asked(action)) for action, leads in after if leads != number]
            ticked = self.number(self.protocol.tick(member))
            steps = self._leads[number] = _Steps(ticked, self.number(offline(member)), own)
        return steps

    def actions(self, member: Member) -> Iterator[Action]:
        row = member.row
        if row and row.session and row.heard < self.rules.lease:
            yield from (("poll", amps, kept) for amps in self.bounds.levels for kept in _KEPT)
        name = "hear_old_poll" if member.session else "enrol"
        yield from ((name, kept) for kept in _KEPT)
        yield from (("hear_poll", i, kept) for i in range(len(member.polls)) for kept in _KEPT)
        yield from (("hear_status", i) for i in range(len(member.statuses)))
        if self.protocol.due(member, self.rules.lapse):
            yield ("run",)
        if member.closed or member.amps:
            yield ("open",)
        if not member.former:
            yield ("restart",)

    def moved(self, member: Member, action: Action) -> Member:
        """What becomes of a member."""
        protocol = self.protocol
        match action:
            case ("poll", int(amps), bool(kept)):
                return self._poll(member, amps, kept)
            case ("enrol", bool(heard)):
                return _enrol(protocol, member, heard)
            case ("hear_poll", int(i), bool(kept)):
                polls = member.polls[:i] + member.polls[i + 1 :]
                return self._answer(member._replace(polls=polls), member.polls[i], kept)
            case ("hear_old_poll", bool(kept)):
                return self._answer(member, Grant(member.session, 0, 0, 0), kept)
            case ("hear_status", int(i)):
                return _hear_status(protocol, member, member.statuses[i])
            case ("run",):
                return protocol.run(member, self.rules.lapse)
            case ("open",):
                return protocol.open(member)
            case _:
                assert action == ("restart",)
                return _restart(protocol, member)

    def _poll(self, member: Member, amps: int, kept: bool) -> Member:
        assert member.row
        row = self.protocol.commit(member.row, amps)
        grant = Grant(row.session, row.number, row.answered, amps)
        polls = (*member.polls, grant)[-self.bounds.polls :] if kept else member.polls
        return member._replace(row=row, polls=polls)

    def _answer(self, member: Member, grant: Grant, kept: bool) -> Member:
        member, status = self.protocol.hear_poll(member, grant)
        if status is None or not kept:
            return member
        return member._replace(statuses=(*member.statuses, status)[-self.bounds.statuses :])


def offline(member: Member) -> Member:
    """The primary starts anew."""
    return member._replace(row=None, former=None, statuses=())


def _sorted(numbers: list[int]) -> tuple[int, ...]:
    return tuple(sorted(numbers))


def _hear_status(protocol: Protocol, member: Member, status: Status) -> Member:
    statuses = tuple([other for other in member.statuses if other is not status])
    member = member._replace(statuses=statuses)
    if member.row and member.row.session == status.session:
        return member._replace(row=protocol.on_status(member.row, status))
    if member.former and member.former.session == status.session:
        return member._replace(former=protocol.on_status(member.former, status))
    return member


def _enrol(protocol: Protocol, member: Member, heard: bool) -> Member:
    """`Enroller._assign`, `Secondary._join`; when the answer is heard, `Enroller.on_assigned` and a first poll,
    which answers no question. Else the station leaves again, as nobody polls it."""
    row = member.row if member.row and protocol.rules.rows_outlive_sessions else Row()
    if not heard:
        return member._replace(row=row._replace(session=0, answered=0, heard=0))
    rows = [row for row in (member.row, member.former) if row]
    known = [member.sessions, *(grant.session for grant in member.polls)]
    known += [*(status.session for status in member.statuses), *(row.session for row in rows)]
    session = 1 + max(known)
    member = member._replace(sessions=session)
    row = protocol.commit(row._replace(session=session, answered=0, heard=0), 0)
    return protocol.join(member, session)._replace(row=row)


def _restart(protocol: Protocol, member: Member) -> Member:
    former = member.row if member.row and member.row.exposure else None
    was = max([1, *(amps for amps, _ in protocol.open(member).highs)])  # it may just have ended, for all it knows
    return Member(
        highs=((was, 0),),
        former=former,
        polls=member.polls,
        statuses=member.statuses,
        sessions=member.sessions,
    )
