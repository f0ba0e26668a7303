"""What the live screen shows of what the plants' server and the logs say."""

import json
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual", reason="the screen is an extra: pip install -e '.[screen]'")

from textual.pilot import Pilot

from firmware.bus.messages import Reason
from firmware.protection import BY_CODE
from hal.clock import boot_id
from hal.simulated.remote import ask
from tests.unit.page_desk import NARROW, WIDE, Desk, part, shown, tiles_of, wait_for
from watti.page_tiles import circuit
from watti.page_words import REASONS, BusWatch
from watti.scenario import FAULT_KINDS, serial_of


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("size", [WIDE, NARROW, (200, 60), (40, 10), (20, 5)])
def test_a_station_is_shown_in_words_at_any_size(desk: Desk, size: tuple[int, int]) -> None:
    desk.attach("s2", fault="diode", reason="fault", role="secondary")
    ask(desk.socket, {"do": "plug", "station": "s2", "vehicle": {"name": "old", "max_a": 16}})

    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await wait_for(pilot, lambda: "diode" in tiles_of(pilot)[1])
        assert "secondary" in tiles_of(pilot)[1] or size < WIDE
        assert "B1" in tiles_of(pilot)[1]
        assert "old" in tiles_of(pilot)[1]
        assert "no process" in tiles_of(pilot)[0]

    desk.play(play, size)


def test_narrow_and_wide_screens_hold_all_five_stations_and_the_keys(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.pause(0.1)
        text = shown(pilot)
        assert all(f"s{number}" in text for number in range(1, 6))
        assert all(word in text for word in ("Switch", "Plug in", "Unplug", "Fault", "Help", "Quit"))

    desk.play(play, NARROW)
    desk.play(play, WIDE)


def test_thirty_two_stations_scroll(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (0xB,) + (0xF,) * 31)

    async def play(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: "▶s1" in shown(pilot))
        assert "s32" not in shown(pilot)
        await pilot.press("left")
        await wait_for(pilot, lambda: "s32" in shown(pilot))
        await pilot.press("p", "enter")
        await wait_for(pilot, lambda: desk.status()["s32"]["vehicle"] == "sedan")

    try:
        desk.play(play, NARROW)
    finally:
        desk.close()


def test_the_circuit_is_compared_with_the_limit_of_its_primary(desk: Desk) -> None:
    desk.attach("s1", role="primary", limit_a=48.0)

    async def play(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: "0.0 A drawn of 48.0 A" in part(pilot, "#circuit"))

    desk.play(play)


MEMBER = {"serial": f"{serial_of('s2', None):012X}", "polls": 0, "missed": 0}


@pytest.mark.parametrize(
    ("polls", "missed", "crc_errors", "hint"),
    [
        (0, 0, 0, ""),
        (100, 5, 10, ""),
        (5, 5, 0, ""),
        (100, 6, 0, "s2: 6 of 100 polls missed: termination, A and B swapped, a busy computer?"),
        (100, 0, 11, "s2: 11 CRC errors in 30 s: termination, bias, noise?"),
        (-100, 9, 99, ""),
    ],
)
def test_counters_that_grow_become_a_hint(polls: int, missed: int, crc_errors: int, hint: str) -> None:
    """-100: the counters have begun anew with another process."""

    def rows(polls: int, missed: int, crc_errors: int) -> list[dict[str, Any]]:
        members = [MEMBER | {"polls": polls, "missed": missed}]
        primary = {"station": "s1", "alive": True, "bus": {"crc_errors": 0, "members": members}}
        return [primary, {"station": "s2", "alive": True, "bus": {"crc_errors": crc_errors}}]

    watch = BusWatch()
    assert watch.update(rows(1000, 500, 200), 10.0) == []
    assert watch.update(rows(1000 + polls, 500 + missed, 200 + crc_errors), 30.0) == [hint] * bool(hint)
    assert watch.update(rows(1000 + polls, 500 + missed, 200 + crc_errors), 71.0) == []


def test_every_reason_and_every_fault_that_can_be_injected_has_words() -> None:
    assert {reason.word for reason in Reason} == REASONS.keys()
    assert set(FAULT_KINDS) <= BY_CODE.keys()


@pytest.mark.parametrize(
    ("total_a", "coming_down", "said"),
    [
        (30.0, False, "30.0 A drawn of 48.0 A, 32.0 A offered, 18.0 A not drawn"),
        (48.0, False, "48.0 A drawn of 48.0 A, 32.0 A offered, 0.0 A not drawn"),
        (50.0, True, "50.0 A drawn of 48.0 A  coming down by 2.0 A"),
        (50.0, False, "50.0 A drawn of 48.0 A  2.0 A ABOVE"),
    ],
)
def test_the_circuit_is_said_and_drawn(total_a: float, coming_down: bool, said: str) -> None:
    row = {"station": "s1", "role": "primary", "limit_a": 48.0, "drawn_a": total_a / 2, "offered_a": 16.0}
    rows = [row, row | {"station": "s2", "role": "secondary"}]
    figures, bar = str(circuit(rows, coming_down, 48)).splitlines()
    assert figures == said
    assert len(bar) == 48
    free = bar.count("░")
    assert free == round(48 - min(48.0, total_a))
    assert bar.index("s1") < 24 < bar.index("s2") or total_a == 30.0


def test_above_a_limit_that_was_lowered_is_coming_down_and_above_any_other_is_above(desk: Desk) -> None:
    car = {"name": "quick", "start_delay_s": 0.0, "ramp_a_per_s": 0.0}
    ask(desk.socket, {"do": "plug", "station": "s1", "vehicle": car})
    desk.attach("s1", role="primary", limit_a=20.0)
    desk.drive("s1", {"do": "pwm", "duty": 40.0}, {"do": "close"})

    async def play(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: "24.0 A drawn of 20.0 A  4.0 A ABOVE" in part(pilot, "#circuit"))
        desk.say("s1", role="primary", limit_a=23.0)
        await wait_for(pilot, lambda: "24.0 A drawn of 23.0 A  1.0 A ABOVE" in part(pilot, "#circuit"))
        desk.say("s1", role="primary", limit_a=16.0)
        await wait_for(pilot, lambda: "24.0 A drawn of 16.0 A  coming down by 8.0 A" in part(pilot, "#circuit"))

    desk.play(play)


def test_events_of_this_bench_are_told_in_words(desk: Desk) -> None:
    now = time.monotonic()
    stamp = {"boot": boot_id(), "wall": None, "clock": "unset", "station": "s2"}
    records: list[dict[str, object]] = [
        stamp | {"t_s": now - 999, "event": "unplug", "session": "of an earlier bench"},
        stamp | {"boot": "00000000", "t_s": now + 1, "event": "unplug", "session": "of an earlier boot"},
        stamp | {"t_s": now + 1, "event": "offer", "offered_a": 24.0, "reason": "share", "limit_a": 48.0},
        stamp | {"t_s": now + 2, "event": "fault", "fault": "diode", "lamp": "red 2-2", "sentence": "It is missing."},
        stamp | {"t_s": now + 3, "event": "hover"},
        stamp | {"t_s": now + 4, "event": "start"},
    ]
    log = desk.folder / "log" / "s2.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records) + "half a li")

    async def play(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: "s2   start" in part(pilot, "#events"))
        lines = part(pilot, "#events").splitlines()
        assert [line.partition(" s  ")[2] for line in lines] == [
            "s2   offers 24.0 A: its share of 48.0 A",
            "s2   fault diode (red 2-2): It is missing.",
            "s2   hover",
            "s2   start",
        ]
        with log.open("a") as grown:
            grown.write("ne\n" + json.dumps(stamp | {"t_s": now + 5, "event": "unplug"}) + "\n")
        await wait_for(pilot, lambda: "vehicle unplugged" in part(pilot, "#events"))

    desk.play(play)


def test_the_extra_of_the_project_is_what_is_installed() -> None:
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras["screen"]) <= set(extras["dev"])
