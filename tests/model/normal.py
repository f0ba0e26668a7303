"""The normal form of a member: of states that can't be told apart any more, one. It makes the states finitely many."""

from collections.abc import Iterable

from tests.model.lease_model import Grant, Member, Row, Status, refuses
from tests.model.rules import Rules


def normal(member: Member, rules: Rules) -> Member:
    """Without what can make no difference any more; sessions, questions and grants numbered by their order alone."""
    row, former = _worth_keeping(member.row, rules), _worth_keeping(member.former, rules)
    member = member._replace(row=row, former=former)
    polls = tuple([grant for grant in member.polls if not hopeless(member, grant, rules)])
    statuses = tuple([status for status in member.statuses if not proves_nothing(member, status, rules)])
    return _ranked(_plain(member._replace(polls=polls, statuses=statuses), rules), rules)


def hopeless(member: Member, grant: Grant, rules: Rules) -> bool:
    """Whether it will never be accepted."""
    if not rules.sessions_differ:
        return False
    return grant.session != member.session or refuses(rules, member, grant)


def proves_nothing(member: Member, status: Status, rules: Rules) -> bool:
    """Whether no row will ever hear it."""
    rows = [row for row in (member.row, member.former) if row and row.session == status.session]
    return not rows or (status.question <= rows[0].answered and rules.newer_questions_only)


def _worth_keeping(row: Row | None, rules: Rules) -> Row | None:
    """A row that counts nothing makes no difference once its member is lost."""
    return row if row and (row.exposure or row.heard < rules.lease) else None


def _plain(member: Member, rules: Rules) -> Member:
    if not member.session:
        member = member._replace(number=0, polled=0, asked=())
    if not member.closed and rules.reclose:  # the time alone still matters
        member = member._replace(highs=tuple([(1, age) for _, age in member.highs[:1]]))
    asked = {question: age for question, age in member.asked if question >= member.first and age < rules.lease}
    row = member.row
    if row:
        answered = row.answered if row.session == member.session and row.answered in asked else 0
        sent = (max(row.confirmed, row.sent[0]), row.sent[1]) if row.sent else ()
        row = row._replace(
            answered=answered if rules.newer_questions_only else row.answered,
            sent=sent,
            confirmed=0 if sent else row.confirmed,
        )
    used = {grant.question for grant in member.polls} | {status.question for status in member.statuses}
    used.add(row.answered if row else 0)
    return member._replace(
        sessions=0,
        row=row,
        asked=tuple([(question, age) for question, age in asked.items() if question in used]),
        statuses=tuple([_told(status, row, rules) for status in member.statuses]),
    )


def _told(status: Status, row: Row | None, rules: Rules) -> Status:
    """What a report still proves: an echo of another grant than the last never confirms."""
    if row is None or status.session != row.session or not rules.echo_confirms:
        return status
    if status.holds and status.granted == row.number:
        return status
    return status._replace(granted=0, offered=0)


def _ranked(member: Member, rules: Rules) -> Member:
    rows = [row for row in (member.row, member.former) if row]
    sessions: list[int] = [member.session, *(row.session for row in rows)]
    questions = [(member.session, member.question), *((row.session, row.answered) for row in rows)]
    numbers = [(member.session, member.number), *((row.session, row.number) for row in rows)]
    for grant in member.polls:
        sessions.append(grant.session)
        questions.append((grant.session, grant.question))
        numbers.append((grant.session, grant.number))
    for status in member.statuses:
        questions.append((status.session, status.question))
        numbers.append((status.session, status.granted))
    questions += [(member.session, question) for question, _ in member.asked]
    apart = rules.sessions_differ
    return _renumbered(member, _ranks(sessions), _Order(questions, apart), _Order(numbers, apart))


def _ranks(used: Iterable[int]) -> dict[int, int]:
    """By order; 0 stays 0."""
    return {value: i for i, value in enumerate(sorted({0, *used}))}


class _Order:
    """Numbers by their order; those of several sessions are set `apart` unless somebody mixes them up."""

    def __init__(self, used: list[tuple[int, int]], apart: bool) -> None:
        self._apart = apart
        of: dict[int, set[int]] = {}
        for session, number in used:
            of.setdefault(session if apart else 0, set()).add(number)
        self._of = {session: _ranks(found) for session, found in of.items()}

    def __call__(self, session: int, number: int) -> int:
        return self._of[session if self._apart else 0][number]

    def at_least(self, session: int, number: int) -> int:
        """The rank of the lowest that is not below `number`, or the next."""
        ranks = self._of[session if self._apart else 0]
        return min((rank for used, rank in ranks.items() if used >= number), default=len(ranks))


def _renumbered(member: Member, sessions: dict[int, int], question: _Order, number: _Order) -> Member:
    def row_of(row: Row | None) -> Row | None:
        if row is None:
            return None
        s = row.session
        return row._replace(session=sessions[s], number=number(s, row.number), answered=question(s, row.answered))

    mine = member.session
    return member._replace(
        session=sessions[mine],
        question=question(mine, member.question),
        first=question.at_least(mine, member.first),
        asked=tuple([(question(mine, q), age) for q, age in member.asked]),
        number=number(mine, member.number),
        row=row_of(member.row),
        former=row_of(member.former),
        polls=tuple([Grant(sessions[s], number(s, n), question(s, q), amps) for s, n, q, amps in member.polls]),
        statuses=tuple(
            [
                Status(sessions[s], question(s, q), number(s, n), holds, offered)
                for s, q, n, holds, offered in member.statuses
            ]
        ),
    )
