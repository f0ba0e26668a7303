"""A group whose limit is lowered and raised while it gives: the promise of `test_ledger`, with a limit that moves."""

from random import Random

import pytest

from firmware.sharing.ledger import Ledger
from tests.unit import test_ledger as offline

LIMITS_DA = (0, 60, 130, 240, 480)


class Lowered(offline.Promise):
    """As offline, but that everybody is granted what was planned: the book keeps cuts only if somebody plans them."""

    def lower(self, limit_da: int, for_s: float) -> None:
        circuit = self.circuit
        before = circuit.group.ledger.limit_da
        circuit.group.ledger.change_limit(limit_da, circuit.local)
        circuit.limit_da, circuit.cycle_at = limit_da, circuit.now
        circuit.binding_da = max(before, limit_da)
        self._pass(offline.TIMING.release_s)
        circuit.binding_da = limit_da
        self._pass(for_s)


@pytest.mark.parametrize("seed", range(12))
def test_a_lowered_limit_binds_one_release_time_later(seed: int) -> None:
    rng = Random(seed)
    world = Lowered()
    choose = rng.choice
    world.begin([choose((0.99, 1.0, 1.01)) for _ in offline.STATIONS], seed, 480)
    for _ in range(40):
        who, for_s = choose(offline.STATIONS), choose(offline.PAUSES_S)
        match choose(("lower", "lower", "plug", "disturb", "calm", "stall", "restart")):
            case "lower":
                world.lower(choose(LIMITS_DA), for_s)
            case "plug":
                world.plug(who, choose("ABCCC"), choose(offline.PARTS), for_s)
            case "disturb":
                lost, repeated = choose(offline.LOST), choose(offline.REPEATED)
                world.disturb(who, lost, repeated, choose(offline.DELAYS_S), for_s)
            case "calm":
                world.disturb(who, (0.0, 0.0), 0.0, 0.0, for_s)
            case "stall":
                world.stall(who, choose(offline.STALLS_S), for_s)
            case "restart":
                world.restart(max(who, 1), for_s)


@pytest.fixture
def ledger() -> Ledger:
    """Of two that have 24 A each, long confirmed; the limit is 30 A since now (0.0)."""
    book = Ledger(offline.TIMING, 480)
    for _ in range(2):
        row = book.add(0.0)
        assert book.commit(row, 240, 0.0) == 240
        row._confirm(240, -100.0)
    book.change_limit(300, 0.0)
    return book


def test_while_all_come_down_nobody_has_to_stop(ledger: Ledger) -> None:
    first, second = ledger.rows
    assert ledger.commit(first, 150, 0.0) == 150
    assert ledger.commit(second, 150, 0.1) == 150
    assert ledger.commit(first, 150, 0.2) == 150, "nor afterwards"


def test_while_all_come_down_nobody_is_raised(ledger: Ledger) -> None:
    first, second = ledger.rows
    assert ledger.commit(first, 70, 0.0) == 70
    assert ledger.commit(first, 71, 0.1) == 60, "of 30 A the other one may draw 24 A"
    assert ledger.commit(second, 150, 0.1) == 150


def test_nobody_goes_on_with_more_than_the_limit(ledger: Ledger) -> None:
    ledger.change_limit(200, 0.0)
    assert ledger.commit(ledger.rows[0], 240, 0.0) == 200


def test_a_release_time_later_the_book_is_as_strict_as_ever(ledger: Ledger) -> None:
    assert ledger.commit(ledger.rows[0], 240, offline.TIMING.release_s - 0.01) == 240
    assert ledger.commit(ledger.rows[1], 240, offline.TIMING.release_s) == 60


def test_what_a_pilot_may_say_is_what_is_confirmed_or_was_sent(ledger: Ledger) -> None:
    row = ledger.rows[0]
    ledger.commit(row, 150, 0.0)
    assert row.offered_da == 240, "the cut may be lost"
    row._confirm(150, 0.1)
    assert (row.offered_da, row.exposure_da(0.1)) == (150, 240)
    ledger.change_limit(480, 0.2)
    row.send(200)
    assert row.offered_da == 200, "the raise may have arrived"


def test_a_row_of_which_nothing_is_heard_counts_for_the_release_time() -> None:
    circuit = offline.Circuit([1.0, 1.0], 0, 480)
    group, now = circuit.group, circuit.local
    row = group.ledger.add(now)
    assert group.others(now + offline.TIMING.release_s - 0.01) == [row]
    assert group.others(now + offline.TIMING.release_s) == []


def test_a_higher_limit_loosens_nothing() -> None:
    book = Ledger(offline.TIMING, 300)
    first, second = book.add(0.0), book.add(0.0)
    assert book.commit(first, 300, 0.0) == 300
    second.send(240)
    book.change_limit(480, 0.0)
    assert book.commit(first, 300, 0.0) == 240
