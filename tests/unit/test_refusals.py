"""The list of stations that a primary has refused."""

import pytest

from firmware.bus.messages import REFUSED_FULL, REFUSED_PROTOCOL, REFUSED_TWIN
from firmware.bus.versions import Software
from firmware.protection import BY_CODE
from firmware.sharing.refusals import PAUSE_S, Refusal, Refusals, code_of

LATER = Software(2, 0x00020000)


def full(serial: int) -> Refusal:
    return Refusal(serial, "group_full", LATER)


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (REFUSED_FULL, "group_full"),
        (REFUSED_TWIN, "duplicate_serial"),
        (REFUSED_PROTOCOL, "protocol"),
        (0, "protocol"),
        (4, "protocol"),
        (255, "protocol"),
    ],
)
def test_every_reason_is_a_fault_with_a_pause_also_one_of_a_later_version(why: int, code: str) -> None:
    assert code_of(why) == code
    assert code in BY_CODE
    assert PAUSE_S[code] > 0


def test_what_is_said_of_one() -> None:
    said = {"serial": "0000000000FF", "why": "protocol", "protocol": 2, "firmware": "0.2.0"}
    assert Refusal(255, "protocol", LATER).fields == said
    assert Refusal(9, "duplicate_serial", None).fields == {"serial": "000000000009", "why": "duplicate_serial"}


def test_a_station_stands_once_for_its_last_reason_and_in_the_order_of_serials() -> None:
    refusals = Refusals()
    for serial in (7, 3, 9):
        refusals.add(full(serial), 0.0)
    refusals.add(Refusal(3, "protocol", LATER), 1.0)
    assert list(refusals.rows) == [Refusal(3, "protocol", LATER), full(7), full(9)]
    refusals.end(7)
    refusals.end(8)
    assert [row.serial for row in refusals.rows] == [3, 9]
    refusals.clear()
    assert not refusals.rows


def test_one_that_asks_no_more_is_forgotten_after_a_minute() -> None:
    refusals = Refusals()
    refusals.add(full(1), 0.0)
    refusals.add(full(2), 0.0)
    refusals.add(full(1), 30.0)
    refusals.expire(59.9)
    assert [row.serial for row in refusals.rows] == [1, 2]
    refusals.expire(60.0)
    assert [row.serial for row in refusals.rows] == [1]
    refusals.expire(90.0)
    assert not refusals.rows


def test_of_more_stations_than_a_line_carries_the_oldest_make_room() -> None:
    refusals = Refusals()
    for serial in range(1000):
        refusals.add(full(serial), 0.0)
        refusals.add(full(5), 0.0)
    assert [row.serial for row in refusals.rows] == [5, *range(969, 1000)]
