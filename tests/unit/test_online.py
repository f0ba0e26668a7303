"""The limit that a controller lends: what is refused, what is left of a command as time goes by, what is kept."""

import json
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.online import Kept, OnlineCommand, OnlineLimit
from hal.simulated.board import MemoryStore

BOOT = 7
LEASE_S, HOLD_S = 60.0, 120.0


def command(number: int, question: int, limit_da: int = 320, **changes: Any) -> OnlineCommand:
    return OnlineCommand(BOOT, number, question, limit_da, LEASE_S, HOLD_S, 100)._replace(**changes)


def asked(*times: float, store: MemoryStore | None = None) -> OnlineLimit:
    online = OnlineLimit(store or MemoryStore(), BOOT, 0.0)
    for now in times:
        online.ask(now)
    return online


def kept(record: bytes) -> MemoryStore:
    store = MemoryStore()
    store.save(record)
    return store


def test_without_a_controller_nothing_is_limited() -> None:
    online = asked(1.0)
    assert (online.limit_da(1e9), online.next_wakeup(0.0)) == (None, inf)


def test_a_command_lives_from_its_question_then_holds_then_leaves_the_fallback() -> None:
    online = asked(10.0)
    assert online.take(command(1, 1), 40.0)
    assert [online.limit_da(at) for at in (40.0, 69.999, 70.0, 189.999, 190.0, 1e9)] == [320, 320, 100, 100, 100, 100]
    assert [online.next_wakeup(at) for at in (40.0, 70.0, 190.0)] == [70.0, 190.0, inf]


def test_while_it_holds_a_lower_limit_stays() -> None:
    online = asked(10.0)
    assert online.take(command(1, 1, 60), 11.0)
    assert [online.limit_da(at) for at in (11.0, 70.0, 189.999, 190.0)] == [60, 60, 60, 100]


def test_the_same_question_may_be_answered_again() -> None:
    online = asked(10.0)
    assert online.take(command(1, 1), 11.0)
    assert online.take(command(2, 1, 60), 12.0)
    assert online.limit_da(12.0) == 60


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (command(6, 2, boot=8), "for another life"),
        (command(5, 2), "number not above the last"),
        (command(4, 2), "number not above the last"),
        (command(6, 1), "answers an older question than the last"),
        (command(6, 4), "answers no question that is remembered"),
        (command(6, 3, lease_s=1.0), "over before it came"),
        (command(6, 3, -1), "out of range"),
        (command(6, 3, 10_001), "out of range"),
        (command(6, 3, fallback_da=-1), "out of range"),
        (command(6, 3, lease_s=0.0), "out of range"),
        (command(6, 3, lease_s=nan), "out of range"),
        (command(6, 3, lease_s=inf), "out of range"),
        (command(6, 3, hold_s=-1.0), "out of range"),
        (command(6, 3, hold_s=nan), "out of range"),
        (command(6, 3, hold_s=inf), "out of range"),
    ],
)
def test_what_is_refused_leaves_no_trace_but_its_count(wrong: OnlineCommand, why: str) -> None:
    store = MemoryStore()
    online = asked(10.0, 11.0, 12.0, store=store)
    assert online.take(command(5, 2), 13.0)
    record = store.load()
    assert not online.take(wrong, 13.0)
    assert online.refused == {why: 1}
    assert (online.number, online.limit_da(13.0), online.limit_da(1e6), store.load()) == (5, 320, 100, record)


def test_of_many_questions_the_last_are_remembered() -> None:
    online = asked(*[float(i) for i in range(65)])
    assert not online.take(command(1, 1, lease_s=100.0), 65.0)
    assert online.refused == {"answers no question that is remembered": 1}
    assert online.take(command(2, 2, lease_s=100.0), 65.0)


def test_a_start_waits_for_every_lease_and_hold_of_the_life_before() -> None:
    store = MemoryStore()
    assert asked(10.0, store=store).take(command(1, 1, lease_s=20.0, hold_s=30.0), 11.0)
    online = OnlineLimit(store, BOOT + 1, 1000.0)
    assert [online.limit_da(at) for at in (1000.0, 1049.999, 1050.0)] == [0, 0, 100]
    assert online.next_wakeup(1000.0) == 1050.0
    online.ask(1001.0)
    assert online.take(command(1, 1, boot=BOOT + 1), 1002.0)
    assert online.limit_da(1002.0) == 320


def test_only_what_differs_is_written() -> None:
    class Counting(MemoryStore):
        saved = 0

        def save(self, record: bytes) -> None:
            self.saved += 1
            super().save(record)

    store = Counting()
    online = asked(1.0, 2.0, 3.0, store=store)
    assert online.take(command(1, 1), 4.0)
    assert online.take(command(2, 2, 60), 4.0)
    assert store.saved == 1
    assert online.take(command(3, 3, fallback_da=80), 4.0)
    assert store.saved == 2


def test_what_the_others_have_drawn_is_kept_and_is_no_controller() -> None:
    store = MemoryStore()
    asked(store=store).count_others(1234.5)
    online = OnlineLimit(store, BOOT, 0.0)
    assert (online.kept.others_wh, online.limit_da(0.0)) == (1234.5, None)
    online.ask(1.0)
    assert online.take(command(1, 1), 2.0)
    assert OnlineLimit(store, BOOT, 0.0).kept == Kept(100, LEASE_S, HOLD_S, 1234.5)


SOUND = json.loads(Kept(100, LEASE_S, HOLD_S).record())
_WRONG: tuple[object, ...] = (-1, "1", [], True, inf, nan, 10**400)
SPOILT = [
    b"\xff",
    b"{",
    b"[]",
    b"{}",
    b"[" * 100_000,
    *(json.dumps(SOUND | {key: value}).encode() for key in SOUND for value in _WRONG),
    *(json.dumps(SOUND | {"fallback_da": value}).encode() for value in (1.5, 10_001)),
    *(json.dumps(SOUND | {"lease_s": value}).encode() for value in (0, None)),
]


@pytest.mark.parametrize("record", SPOILT)
def test_after_a_spoilt_record_nothing_is_offered_until_a_command(record: bytes) -> None:
    store = kept(record)
    online = OnlineLimit(store, BOOT, 0.0)
    assert (online.limit_da(0.0), online.limit_da(1e9), online.next_wakeup(0.0)) == (0, 0, inf)
    assert OnlineLimit(store, BOOT, 0.0).limit_da(1e9) == 0, "nor after the next start"
    online.ask(1.0)
    assert online.take(command(1, 1), 2.0)
    assert online.limit_da(2.0) == 320
    assert OnlineLimit(store, BOOT, 0.0).limit_da(1e9) == 100


def test_a_store_that_can_not_be_read_is_no_empty_one() -> None:
    class Unreadable(MemoryStore):
        problem = "it can't be read"

    store = Unreadable()
    assert OnlineLimit(store, BOOT, 0.0).limit_da(1e9) == 0
    store.problem = ""
    assert OnlineLimit(store, BOOT, 0.0).limit_da(1e9) == 0, "what is written once it works must not say less"


@given(st.binary(max_size=40))
def test_no_record_stops_a_station(record: bytes) -> None:
    limit_da = OnlineLimit(kept(record), BOOT, 0.0).limit_da(1e9)
    assert limit_da == (0 if record else None)


@dataclass
class Reference:
    """The rules in the words of whoever wrote them, over all that has ever happened."""

    asked: dict[int, float] = field(default_factory=dict)
    taken: list[OnlineCommand] = field(default_factory=list)

    def counts(self, command: OnlineCommand, now: float) -> bool:
        last = self.taken[-1] if self.taken else OnlineCommand(BOOT, 0, 1, 0, 0, 0, 0)
        return (
            command.boot == BOOT
            and command.number > last.number
            and command.question in self.asked
            and command.question >= last.question
            and now < self.asked[command.question] + command.lease_s
        )

    def limit_da(self, now: float) -> int | None:
        if not self.taken:
            return None
        last = self.taken[-1]
        lease_ends = self.asked[last.question] + last.lease_s
        phases = [(lease_ends, last.limit_da), (lease_ends + last.hold_s, min(last.limit_da, last.fallback_da))]
        return next((limit for end, limit in phases if now < end), last.fallback_da)


pauses = st.sampled_from((0.0, 0.5, 7.0, 59.5, 60.0, 120.0, 300.0))
commands = st.builds(
    OnlineCommand,
    boot=st.sampled_from((BOOT, BOOT, BOOT, BOOT + 1)),
    number=st.integers(1, 12),
    question=st.integers(0, 9),
    limit_da=st.sampled_from((0, 60, 100, 480)),
    lease_s=st.sampled_from((30.0, 60.0)),
    hold_s=st.sampled_from((0.0, 120.0)),
    fallback_da=st.sampled_from((0, 60, 200)),
)


@given(st.lists(st.tuples(pauses, st.none() | commands), max_size=40))
def test_it_does_what_the_rules_say(story: list[tuple[float, OnlineCommand | None]]) -> None:
    online, reference, now = OnlineLimit(MemoryStore(), BOOT, 0.0), Reference(), 0.0
    for pause_s, said in story:
        wakes_at = online.next_wakeup(now)
        for at in (now + pause_s / 2, now + pause_s):
            assert online.limit_da(at) == reference.limit_da(at)
            assert at >= wakes_at or online.limit_da(at) == online.limit_da(now), "changes without waking"
        now += pause_s
        if said is None:
            reference.asked[online.ask(now)] = now
        else:
            counts = reference.counts(said, now)
            assert online.take(said, now) == counts
            reference.taken += [said] * counts
            assert online.number == (reference.taken[-1].number if reference.taken else 0)
        assert online.limit_da(now) == reference.limit_da(now)
