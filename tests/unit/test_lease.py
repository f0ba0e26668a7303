"""The holder's side of a grant: what it refuses, and that no order of events lets it hold too much or too long."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firmware.bus.messages import Grant, Reason
from firmware.sharing.lease import LeaseHolder

LEASE_S = 5.0
RATING_DA = 480


def grant(number: int, question: int, amps_da: int = 160, lease_ds: int = 50, limit_da: int = 480) -> Grant:
    return Grant(number, question, amps_da, lease_ds, limit_da, Reason.SHARE)


def asked(*times: float, idle: bool = False) -> LeaseHolder:
    holder = LeaseHolder(LEASE_S)
    for now in times:
        holder.ask(now, idle=idle)
    return holder


def test_questions_are_numbered_from_one() -> None:
    holder = LeaseHolder(LEASE_S)
    assert [holder.ask(float(i), idle=False) for i in range(3)] == [1, 2, 3]


def test_life_starts_at_the_question() -> None:
    holder = asked(10.0)
    assert holder.accept(grant(1, 1), RATING_DA, 14.9)
    assert (holder.amps_da, holder.number, holder.expires_at) == (160, 1, 15.0)
    assert not holder.step(14.999)
    assert holder.amps_da == 160
    assert holder.step(15.0)
    assert holder.amps_da == 0
    assert not holder.step(16.0)


def refused(holder: LeaseHolder, one: Grant, now: float) -> bool:
    """Whether it is, with a count and without any other trace."""
    before = (holder.amps_da, holder.number, holder.expires_at, holder.grant)
    count = holder.refused
    accepted = holder.accept(one, RATING_DA, now)
    if accepted:
        return False
    assert (holder.amps_da, holder.number, holder.expires_at, holder.grant) == before
    assert holder.refused == count + 1
    return True


def test_every_refusal() -> None:
    holder = asked(10.0, 11.0)
    assert holder.accept(grant(5, 1), RATING_DA, 11.5)
    assert refused(holder, grant(5, 2), 11.5), "not above the last number"
    assert refused(holder, grant(4, 2), 11.5)
    assert refused(holder, grant(6, 3), 11.5), "answers no question of ours"
    assert refused(holder, grant(6, 2, amps_da=481), 11.5), "above the rating"
    assert refused(holder, grant(6, 2, amps_da=400, limit_da=399), 11.5), "above the announced total"
    assert refused(holder, grant(6, 2, lease_ds=51), 11.5), "a longer life than this group's"
    assert refused(holder, grant(6, 2), 16.0), "over before it came"
    assert not refused(holder, grant(6, 2, amps_da=480), 15.9)


def test_the_first_poll_of_a_session_answers_nothing_and_is_no_error() -> None:
    holder = asked(10.0)
    assert not holder.accept(grant(1, 0), RATING_DA, 10.0)
    assert (holder.amps_da, holder.refused) == (0, 0)


def test_an_old_question_is_forgotten() -> None:
    holder = asked(*(i / 100 for i in range(40)))
    assert refused(holder, grant(1, 1), 0.5)
    assert not refused(holder, grant(2, 40), 0.5)


def test_a_grant_of_nothing_ends_what_is_held_and_is_confirmed_by_its_number() -> None:
    holder = asked(10.0)
    holder.accept(grant(1, 1), RATING_DA, 10.0)
    assert holder.accept(grant(2, 1, amps_da=0), RATING_DA, 10.0)
    assert (holder.amps_da, holder.number) == (0, 2)
    assert not holder.step(1e9)


def test_after_the_end_only_a_question_still_to_be_asked_counts() -> None:
    holder = asked(10.0, 11.0)
    holder.accept(grant(1, 1), RATING_DA, 11.0)
    holder.end()
    assert holder.amps_da == 0
    assert refused(holder, grant(2, 2), 11.0)
    assert holder.ask(12.0, idle=False) == 3
    assert not refused(holder, grant(3, 3), 12.0)


def test_after_an_idle_question_older_ones_do_not_count() -> None:
    holder = asked(10.0, 11.0, idle=True)
    assert refused(holder, grant(1, 1), 11.0)
    assert not refused(holder, grant(2, 2), 11.0)


def test_a_later_question_that_is_not_idle_leaves_earlier_ones_valid() -> None:
    holder = asked(10.0, 11.0)
    assert not refused(holder, grant(1, 1), 11.0)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_any_numbers_are_judged_without_an_error(number: int, question: int, amps: int, lease_ds: int) -> None:
    holder = asked(10.0)
    accepted = holder.accept(grant(number, question, amps, lease_ds), RATING_DA, 10.0)
    assert accepted == (number > 0 and question == 1 and amps <= RATING_DA and 0 < lease_ds <= 50)


class Holder(RuleBasedStateMachine):
    """Grants delayed, repeated, in any order: a model of what was asked and sent judges what is held."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.holder = LeaseHolder(LEASE_S)
        self.asked_at: dict[int, float] = {}
        self.last_idle = 0
        self.ended_after = 0
        """The last question before the last end."""
        self.sent: list[Grant] = []
        self.accepted: Grant | None = None

    @rule(seconds=st.sampled_from([0.001, 0.4, 1.0, 4.0, 5.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.holder.step(self.now)

    @rule(idle=st.booleans())
    def ask(self, idle: bool) -> None:
        idle = idle and not self.holder.amps_da
        question = self.holder.ask(self.now, idle)
        assert question not in self.asked_at
        self.asked_at[question] = self.now
        if idle:
            self.last_idle = question

    @precondition(lambda self: self.asked_at)
    @rule(data=st.data(), amps=st.sampled_from([0, 60, 160, 480, 481]), lease_ds=st.sampled_from([10, 50, 51]))
    def send(self, data: st.DataObject, amps: int, lease_ds: int) -> None:
        question = data.draw(st.sampled_from(sorted(self.asked_at)))
        self.sent.append(grant(len(self.sent) + 1, question, amps, lease_ds))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.sent))
        last = self.accepted.number if self.accepted else 0
        if self.holder.accept(one, RATING_DA, self.now):
            assert one.number > last
            assert one.question >= self.last_idle
            assert one.question > self.ended_after
            assert one.amps_da <= RATING_DA
            assert one.lease_ds <= LEASE_S * 10
            self.accepted = one

    @rule()
    def end(self) -> None:
        self.holder.end()
        self.ended_after = max(self.asked_at, default=0)
        assert not self.holder.amps_da

    @invariant()
    def never_too_much_nor_too_long(self) -> None:
        if self.holder.amps_da:
            assert self.accepted is not None
            assert self.holder.amps_da <= self.accepted.amps_da
            assert self.now < self.asked_at[self.accepted.question] + self.accepted.lease_ds / 10
            assert self.holder.expires_at <= self.asked_at[self.accepted.question] + LEASE_S
            assert self.accepted.question > self.ended_after


test_holder = Holder.TestCase
