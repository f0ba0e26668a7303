"""What a primary remembers of another one."""

import json

import pytest

from firmware.sharing.rivals import Rivals
from hal.simulated.board import MemoryStore

OTHER = 0xA1B2C3D4E5F6


def test_nobody_is_known_at_first() -> None:
    rivals = Rivals(MemoryStore(), 11)
    assert not rivals.yielded
    assert rivals.serial is None
    assert rivals.named(0.0) is None


def test_yielding_survives_a_restart() -> None:
    store = MemoryStore()
    Rivals(store, 11).yield_to(OTHER)
    again = Rivals(store, 11)
    assert again.yielded
    assert again.serial == OTHER


def test_a_turned_switch_ends_it_for_good() -> None:
    store = MemoryStore()
    Rivals(store, 11).yield_to(OTHER)
    assert not Rivals(store, 6).yielded
    assert not Rivals(store, 11).yielded, "turned back, it is a new life"


def test_it_ends_when_the_other_has_become_a_secondary() -> None:
    store = MemoryStore()
    rivals = Rivals(store, 11)
    rivals.yield_to(OTHER)
    rivals.forget()
    assert not rivals.yielded
    assert not Rivals(store, 11).yielded


def test_the_last_one_yielded_to_counts() -> None:
    store = MemoryStore()
    rivals = Rivals(store, 11)
    rivals.yield_to(OTHER)
    rivals.yield_to(7)
    assert rivals.serial == Rivals(store, 11).serial == 7


def test_an_intruder_is_named_for_ten_seconds_after_its_last_frame() -> None:
    rivals = Rivals(MemoryStore(), 11)
    rivals.heard(OTHER, 100.0)
    rivals.heard(OTHER, 105.0)
    assert rivals.named(114.9) == OTHER
    assert rivals.named_until == 115.0
    assert rivals.named(115.0) is None
    assert not rivals.yielded, "hearing is not yielding"


@pytest.mark.parametrize(
    "record",
    [
        b"\xff\xfe",
        b"{",
        b"[]",
        b"[1]",
        b"7",
        b"null",
        b'"text"',
        b"{}",
        b'{"switch": 11}',
        b'{"switch": 11, "yielded_to": null}',
        b'{"switch": 11, "yielded_to": []}',
        b'{"switch": 11, "yielded_to": "x"}',
        b'{"switch": 11, "yielded_to": 1e999}',
        b'{"switch": 11, "yielded_to": 1e20}',
        b'{"switch": 11, "yielded_to": -1}',
        b'{"switch": 11, "yielded_to": 0}',
        b'{"switch": 11, "yielded_to": 281474976710655}',
        b'{"switch": 11, "yielded_to": "12"}',
        b'{"switch": 11, "yielded_to": true}',
        b'{"switch": 11.0, "yielded_to": 12}',
        b"[" * 100_000,
    ],
    ids=lambda record: record[:40].decode("latin-1"),
)
def test_a_record_that_cannot_be_read_is_none(record: bytes) -> None:
    store = MemoryStore()
    store.save(record)
    assert not Rivals(store, 11).yielded


def test_the_record_is_small_and_readable() -> None:
    store = MemoryStore()
    Rivals(store, 11).yield_to(OTHER)
    assert json.loads(store.load()) == {"yielded_to": OTHER, "switch": 11}
