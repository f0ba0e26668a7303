"""What members report, believed or not: the primary's shares hold, and every grant can be sent."""

from random import Random

from firmware.bus import messages as msg
from firmware.bus.messages import Identity
from firmware.sharing.group import Group
from firmware.timing import MIN_OFFER_DA, Timing
from tests.fuzz import kept
from tests.fuzz.fuzzer import Target

LIMIT_DA = 480
_ENTRY = 8  # bytes: member, flags, rating, offered, drawn, wait, times, echo; amounts in 2 A, 255 = the most there is
_WAITS_S = (0.1, 0.47, 2.0, 7.0, 20.0, 61.0, 601.0, 3001.0)
_MOST_TIMES = 40
_MOST_KEPT = 60


def reports(rng: Random) -> bytes:
    """Some vehicles that go on as they are for a while."""
    script = b""
    for _ in range(rng.choice((2, 10, 40))):
        amount = rng.choice((0, 0, 3, 8, 24, 40, 255))
        drawn = rng.choice((0, amount, max(0, amount - 2), 255))
        flags = rng.choice((0, 0x1F, 0x1F, 0x1B, rng.getrandbits(8)))
        about = (rng.randrange(4), flags, rng.choice((0, 3, 24, 24, 40, 255)), amount, drawn)
        script += bytes((*about, rng.randrange(8), rng.randrange(_MOST_TIMES), rng.getrandbits(8)))
    return script


def check_reports(script: bytes) -> str:
    """All grants together stay within the limit, each can be sent, and the book stays small."""
    now, group = 0.0, Group(Identity(1, 1), Timing(), LIMIT_DA, 0.0)
    group.giving = True
    questions = 0
    for at in range(0, len(script) - _ENTRY + 1, _ENTRY):
        which, flags, rating, offered, drawn, wait, times, echo = script[at : at + _ENTRY]
        for _ in range(1 + times % _MOST_TIMES):
            now += _WAITS_S[wait % len(_WAITS_S)]
            group.tend(now)
            member = group.own if which % 4 == 0 else group.enrol(Identity(1 + which % 4, 1), now)
            assert member is not None
            questions += 1
            granted = member.row.number if echo & 1 else echo
            offer, draw, most = (20 * amount if amount < 255 else 0xFFFF for amount in (offered, drawn, rating))
            group.on_status(member, msg.Status(questions, granted, flags, offer, draw, most, 0), now)
            if group.due(now):
                group.plan(now)
            _judge_grant(group, group.grant(member, now), now)
    return f"accepted {len(group.ledger.rows)} {group.own.reason.word}" if questions else "refused"


def _judge_grant(group: Group, grant: msg.Grant, now: float) -> None:
    assert grant.amps_da == 0 or MIN_OFFER_DA <= grant.amps_da <= LIMIT_DA
    assert msg.encode_poll(1, 1, 1, grant)
    assert sum(row.granted_da for row in group.ledger.rows) <= LIMIT_DA
    assert len(group.ledger.rows) <= 4
    assert all(len(row._sent) + len(row._settling) < _MOST_KEPT for row in group.ledger.rows), "grows without bound"
    assert group.settles_at(now) > now


def targets() -> list[Target]:
    return [Target("reports", reports, check_reports, kept.REPORTS)]
