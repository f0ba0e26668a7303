"""What a member may draw, given everything that was sent to it and all that it has said."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from cloud.ledger import Row, Times
from cloud.link import Command, Report
from cloud.site import Member, Timing

MEMBER = Member("s1", "panel", 48.0, settle_s=6.5)
TIMING = Timing(report_s=10.0, lease_s=60.0, hold_s=120.0, drift=0.01)
TIMES = Times(TIMING, 6.5)
FALLBACK_DA = 100
SETTLE_S = 6.5 * 1.01
HELD_S = 60 * 1.01


class Book:
    """A row with a member that answers as it is told to."""

    def __init__(self, member: Member = MEMBER) -> None:
        self.row = Row(member, FALLBACK_DA, TIMES)
        self.boot = 1
        self.question = 0
        self.confirmed = 0
        self.closed = True
        self.drawn_a = 0.0
        self.fallback_da = FALLBACK_DA

    def report(self, now: float, question: int | None = None) -> bool:
        self.question += question is None
        asked = self.question if question is None else question
        closed, drawn_a = self.closed, self.drawn_a
        report = Report(self.boot, asked, self.confirmed, 0, drawn_a, closed, 1, 480, self.fallback_da)
        return self.row.on_report(report, now)

    def tell(self, amps_da: int, now: float, confirm: bool = True) -> Command:
        command = self.row.command(amps_da, "", now)
        if confirm:
            self.confirmed = command.number
        return command

    def settled(self, amps_da: int) -> float:
        """It has been told twice and said so twice: nothing of its start is open. Returns the time."""
        for now in (0.0, 1.0, 2.0):
            self.report(now)
            self.tell(amps_da, now)
        self.report(3.0)
        return 3.0 + SETTLE_S


def test_one_that_was_never_heard_may_take_its_fallback() -> None:
    assert Row(MEMBER, FALLBACK_DA, TIMES).exposure_da(1e6) == FALLBACK_DA


def test_one_that_was_never_told_may_take_what_it_says_it_falls_back_to() -> None:
    book = Book()
    book.fallback_da = 480
    book.report(0.0)
    assert book.row.exposure_da(0.0) == 480


def test_its_fallback_is_free_once_it_surely_took_a_command_lately() -> None:
    book = Book()
    now = book.settled(0)
    assert book.row.exposure_da(now) == 0


def test_a_raise_counts_when_it_is_sent() -> None:
    book = Book()
    now = book.settled(60)
    book.tell(300, now, confirm=False)
    assert book.row.exposure_da(now) == book.row.granted_da(now) == 300


def test_a_cut_counts_only_when_it_is_confirmed_and_settled() -> None:
    book = Book()
    now = book.settled(300)
    book.tell(60, now)
    assert book.row.exposure_da(now + 5) == 300
    book.report(now + 5)
    assert book.row.exposure_da(now + 5 + SETTLE_S - 0.01) == 300
    assert book.row.exposure_da(now + 5 + SETTLE_S) == 60


def test_a_cut_counts_at_once_when_its_contactor_is_open() -> None:
    book = Book()
    now = book.settled(300)
    book.tell(60, now)
    book.closed = False
    book.report(now + 1)
    assert book.row.exposure_da(now + 1) == 60


def test_a_cut_that_was_lost_counts_when_the_lease_is_surely_over() -> None:
    book = Book()
    book.settled(300)
    now = 4.0
    book.report(now)
    book.tell(300, now)
    book.tell(60, now, confirm=False)
    over = now + HELD_S + SETTLE_S
    assert book.row.exposure_da(over - 0.01) == 300
    assert book.row.exposure_da(over) == FALLBACK_DA  # of what it was told it keeps what its fallback allows


def test_silence_brings_the_fallback_back_before_it_can_be_taken() -> None:
    book = Book()
    book.settled(0)
    rises = (
        1.0 + (60 + 120) * 0.99
    )  # it took a command whose question it had noted after the first one was sent, at 1 s
    room = (60 + 6.5) * 1.01 + 10 + 2
    assert book.row.exposure_da(rises - room - 1.1) == 0
    assert book.row.exposure_da(rises - room) == FALLBACK_DA


def test_one_that_takes_its_fallback_at_once_has_it_reserved_always() -> None:
    book = Book(replace(MEMBER, keeps_quiet=False))
    now = book.settled(0)
    assert book.row.exposure_da(now) == FALLBACK_DA


def test_what_is_not_newer_proves_nothing() -> None:
    book = Book()
    now = book.settled(300)
    book.tell(60, now)
    assert not book.report(now, question=book.question)
    assert not book.report(now, question=1)
    assert book.row.exposure_da(now + 100) >= 60


def test_what_a_former_life_was_told_counts_until_the_new_one_takes_a_command() -> None:
    book = Book()
    now = book.settled(300)
    book.boot, book.question, book.confirmed = 2, 0, 0
    assert book.report(now)
    assert book.row.granted_da(now) == 0
    assert book.row.exposure_da(now + 30) == 300
    book.tell(60, now + 30)
    assert book.report(now + 31)
    assert book.row.exposure_da(now + 31 + SETTLE_S - 0.01) == 300
    assert book.row.exposure_da(now + 31 + SETTLE_S) == 60


def test_a_late_report_of_a_life_never_heard_frees_nothing_and_makes_nobody_deaf() -> None:
    book = Book()
    now = book.settled(300)
    question, confirmed = book.question, book.confirmed
    book.boot, book.question, book.confirmed, book.closed = 2, 0, 0, False
    assert book.report(now)
    assert book.report(now + 1)
    assert book.row.exposure_da(now + 30) == 300
    book.boot, book.question, book.confirmed, book.closed = 1, question, confirmed, True
    assert book.report(now + 30)
    assert not book.report(now + 31, question=question)
    assert book.row.exposure_da(now + 31) == 300


def test_what_is_confirmed_when_it_has_lapsed_may_still_be_held_within_the_fallback() -> None:
    book = Book()
    now = book.settled(60)
    book.tell(300, now)
    late = now + HELD_S + SETTLE_S + 5
    book.report(late)
    assert book.row.exposure_da(late + SETTLE_S + 1) == FALLBACK_DA


@pytest.mark.parametrize(
    "unsound",
    [
        {"drawn_a": inf},
        {"drawn_a": -1.0},
        {"asking": 10**400},
        {"most_da": -1},
        {"fallback_da": 10**6},
        {"energy_wh": nan},
        {"plugged": -1},
    ],
)
def test_a_report_with_numbers_that_can_not_be_is_not_heard(unsound: dict[str, Any]) -> None:
    row = Row(MEMBER, FALLBACK_DA, TIMES)
    report = Report(1, 1, 0, 0, 0.0, False, 0, 480, FALLBACK_DA)
    assert not row.on_report(report._replace(**unsound), 0.0)
    assert row.refused == 1
    assert row.on_report(report._replace(drawn_a=nan), 0.0), "a meter that does not answer"


def test_a_controller_counts_on_from_what_a_member_has_taken() -> None:
    book = Book()
    book.confirmed = 41
    book.report(0.0)
    assert book.tell(0, 0.0).number == 42


def test_a_vehicle_that_takes_more_than_all_it_was_told_is_counted_by_its_meter() -> None:
    book = Book()
    now = book.settled(60)
    book.drawn_a = 20.04
    book.report(now)
    assert book.row.overdrawn_da(now) == book.row.exposure_da(now) == 201


@pytest.mark.parametrize("drawn_a", [7.0, nan])
def test_a_meter_may_be_wrong_by_an_ampere_or_say_nothing(drawn_a: float) -> None:
    book = Book()
    now = book.settled(60)
    book.drawn_a = drawn_a
    book.report(now)
    assert book.row.overdrawn_da(now) == 0


def test_one_that_is_lost_is_granted_nothing_when_its_lease_is_over() -> None:
    book = Book()
    book.settled(300)
    over = 2.0 + HELD_S + SETTLE_S
    assert book.row.granted_da(over - 0.01) == 300
    assert book.row.granted_da(over) == 0
    assert not book.row.alive(over)


def test_a_fallback_that_it_had_come_up_to_is_drawn_for_a_while_after_a_lower_command() -> None:
    book = Book()
    book.report(0.0)
    book.tell(0, 0.0)
    book.report(1.0)
    assert book.row.exposure_da(1.0 + SETTLE_S - 0.01) == FALLBACK_DA
    book.tell(0, 1.0)
    book.report(2.0)
    assert book.row.exposure_da(1.0 + SETTLE_S) == FALLBACK_DA
    assert book.row.exposure_da(2.0 + SETTLE_S) == 0
