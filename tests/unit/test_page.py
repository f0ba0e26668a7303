"""The live screen, driven by its keys, against the plants' server on a socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("textual", reason="the screen is an extra: pip install -e '.[screen]'")

from textual.pilot import Pilot
from textual.widgets import OptionList

from hal.simulated.remote import ask
from tests.unit.page_desk import NARROW, Desk, part, said, shown, tiles_of, wait_for
from watti.page_dialogs import Choose, Help
from watti.page_view import View
from watti.scenario import load_vehicles


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_keys_turn_the_switch_of_the_station_that_is_chosen(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("s", "6")
        await wait_for(pilot, lambda: desk.status()["s1"]["switch"] == 6)
        await pilot.press("plus", "plus")
        await wait_for(pilot, lambda: desk.status()["s1"]["switch"] == 8)
        await pilot.press("2", "plus", "minus", "minus")
        await wait_for(pilot, lambda: desk.status()["s2"]["switch"] == 0xE)
        await pilot.press("s", "down", "enter")
        await wait_for(pilot, lambda: desk.status()["s2"]["switch"] == 0xF)
        await pilot.press("s", "a")
        await wait_for(pilot, lambda: desk.status()["s2"]["switch"] == 0xA)
        assert [status["switch"] for status in desk.status().values()] == [8, 0xA, 0xF, 0xF, 0xF]

    desk.play(play)


@pytest.mark.parametrize(
    ("keys", "station"),
    [
        ("3", "s3"),
        ("right", "s2"),
        ("left", "s5"),
        ("tab tab", "s3"),
        ("shift+tab shift+tab", "s4"),
        ("5 right", "s1"),
        ("9", "s1"),
        ("down", "s2"),
        ("down down up", "s2"),
        ("up", "s5"),
    ],
)
def test_keys_choose_a_station(desk: Desk, keys: str, station: str) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press(*keys.split(), "p", "enter")
        await wait_for(pilot, lambda: any(status["vehicle"] for status in desk.status().values()))
        assert [name for name, status in desk.status().items() if status["vehicle"]] == [station]
        marked = [number for number, tile in enumerate(tiles_of(pilot), 1) if tile.startswith("▶")]
        assert [f"s{number}" for number in marked] == [station]

    desk.play(play, NARROW)


def test_up_and_down_go_by_the_rows_of_cards(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (0xB,) + (0xF,) * 8)

    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("2", "down", "p", "enter")
        await wait_for(pilot, lambda: desk.status()["s7"]["vehicle"] == "sedan")
        await pilot.press("down", "up", "u")
        await pilot.press("p", "enter")
        await wait_for(pilot, lambda: desk.status()["s2"]["vehicle"] == "sedan")

    try:
        desk.play(play, (120, 60))
    finally:
        desk.close()


def test_a_click_chooses_a_station(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await wait_for(pilot, lambda: "s3" in shown(pilot))
        assert await pilot.click(list(pilot.app.screen.query(".tile"))[2])
        await pilot.press("p", "enter")
        await wait_for(pilot, lambda: desk.status()["s3"]["vehicle"] == "sedan")

    desk.play(play)


def test_vehicles_are_plugged_in_and_unplugged(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("p", "c", "enter")
        await wait_for(pilot, lambda: desk.status()["s1"]["vehicle"] == "city")
        await wait_for(pilot, lambda: "city" in tiles_of(pilot)[0])
        await pilot.press("p", "escape", "p", "enter")
        await wait_for(pilot, lambda: "s1: city is plugged in already" in said(pilot))
        await pilot.press("u")
        await wait_for(pilot, lambda: desk.status()["s1"]["vehicle"] is None)
        await pilot.press("u")
        await wait_for(pilot, lambda: "s1: no vehicle is plugged in" in said(pilot))

    desk.play(play)


def test_a_vehicle_file_that_is_broken_is_said_and_the_screen_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = desk.folder / "broken.toml"
    broken.write_text("max_a = -3")
    monkeypatch.setattr("watti.page.load_vehicles", lambda: load_vehicles(desk.folder))

    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await wait_for(pilot, lambda: any(f"{broken}: max_a: expected" in notice for notice in said(pilot)))
        await pilot.press("plus")
        await wait_for(pilot, lambda: desk.status()["s1"]["switch"] == 0xC)

    desk.play(play)


def test_what_was_asked_before_an_act_does_not_undo_it(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        view = pilot.app.screen.query_one(View)
        before = list(desk.status().values())
        await pilot.press("plus")
        await wait_for(pilot, lambda: "s1: switch at C" in said(pilot))
        await view.take(before, [], 0.0)
        assert "│ C │" in tiles_of(pilot)[0]

    desk.play(play)


def test_a_fault_is_injected_marked_and_mended_by_choosing_it_again(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("2", "f", "d", "enter")
        await wait_for(pilot, lambda: desk.status()["s2"]["injected"] == ["diode"])
        await wait_for(pilot, lambda: "broken on purpose: diode" in part(pilot, "#detail"))
        await pilot.press("f")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Choose))
        lines = [str(option.prompt) for option in pilot.app.screen.query_one(OptionList).options]
        assert [line.split()[1] for line in lines if line.startswith("✔")] == ["diode"]
        assert any("The vehicle's pilot diode is missing" in line for line in lines)
        await pilot.press("d", "enter")
        await wait_for(pilot, lambda: desk.status()["s2"]["injected"] == [])

    desk.play(play)


def test_all_faults_of_one_station_are_mended_at_once(desk: Desk) -> None:
    for name in ("s1", "s2"):
        for kind in ("diode", "meter"):
            ask(desk.socket, {"do": "fault", "station": name, "kind": kind})

    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("c")
        await wait_for(pilot, lambda: "s1: all is mended" in said(pilot))
        assert desk.status()["s1"]["injected"] == []
        assert desk.status()["s2"]["injected"] == ["diode", "meter"]
        assert desk.cut == [("s1", True)]

    desk.play(play)


def test_help_explains_the_keys_and_any_key_closes_it(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Help))
        assert "turn its rotary switch" in shown(pilot)
        await pilot.press("u")
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, Help))
        assert said(pilot) == []

    desk.play(play)


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+q", 0), ("ctrl+c", 130)])
def test_keys_end_it(desk: Desk, key: str, code: int) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press(key)

    assert desk.play(play).return_code == code


def test_ctrl_c_ends_it_from_a_list_too(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        await pilot.press("f", "ctrl+c")

    assert desk.play(play).return_code == 130


def test_it_ends_when_the_bench_has_gone(desk: Desk) -> None:
    async def play(pilot: Pilot[int]) -> None:
        desk.stop()
        await wait_for(pilot, lambda: not pilot.app.is_running)

    assert desk.play(play).return_code == 0
