"""The files of configs/scenarios in virtual time: what each is there to show, and what all must keep."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from io import StringIO
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from firmware.bus.messages import Reason
from firmware.protection import BY_CODE
from firmware.sharing.fair import TURN_S
from firmware.sharing.ledger import Ledger
from tests.scenario.helpers import CHART, OFFLINE, TIMING, event, plugs, scenario
from watti.cli import main
from watti.scenario import CONFIGS, Scenario, load_scenario
from watti.simulation import COLUMNS, Simulation

pytestmark = pytest.mark.scenario

_LONGEST_S = 4 * 3600.0
FILES = [path for path in OFFLINE if load_scenario(path).duration_s <= _LONGEST_S]
"""Those of a day have tests of their own."""
REASONS = {
    *("idle", "rating", "switch", "share", "vehicle", "settling", "waiting", "quiet_start", "no_primary"),
    *("group_full", "more_than_one_primary", "online", "temperature", "fault"),
}
STATES = {"A1", "A2", "B1", "B2", "C1", "C2", "D1", "D2", "E", "F", "off"}
_SHORT = ["bus_cut_join", "switch_turned", "two_primaries", "worst_cars"]
"""Enough to run twice."""


class Line(NamedTuple):
    """One row of a trace, numbers as numbers."""

    t_s: float
    station: str
    role: str
    switch: str
    state: str
    offered_a: float
    drawn_a: float
    limit_a: float
    contactor: str
    reason: str
    fault: str


class Run(NamedTuple):
    """A finished scenario and its trace."""

    simulation: Simulation
    text: str

    @property
    def lines(self) -> list[Line]:
        return _lines(self.text)

    def stations_at(self, t_s: float) -> dict[str, Line]:
        """Each station's last row up to a moment."""
        return {line.station: line for line in self.lines if line.t_s <= t_s}

    def offered_at(self, t_s: float) -> list[float]:
        """What stations with a vehicle are offered, in their order."""
        return [line.offered_a for line in self.stations_at(t_s).values() if line.offered_a]


@cache
def _lines(text: str) -> list[Line]:
    _, *rows = csv.reader(StringIO(text))
    return [_line(row) for row in rows]


def _line(row: list[str]) -> Line:
    assert len(row) == len(COLUMNS)
    t_s, station, role, switch, state, offered_a, drawn_a, limit_a, contactor, reason, fault = row
    measured = (float(offered_a), float(drawn_a), float(limit_a))
    return Line(float(t_s), station, role, switch, state, *measured, contactor, reason, fault)


def simulate(scenario: Scenario, seed: int) -> Run:
    trace = StringIO()
    simulation = Simulation(scenario, CHART, seed, trace)
    simulation.run()
    return Run(simulation, trace.getvalue())


@cache
def shown(name: str) -> Run:
    loaded = load_scenario(CONFIGS / "scenarios" / f"{name}.toml")
    return simulate(loaded, loaded.seed)


every_file = pytest.mark.parametrize("name", [path.stem for path in FILES])


# What all must keep


@every_file
def test_no_violation(name: str) -> None:
    assert shown(name).simulation.violations == []


@every_file
def test_every_row_keeps_to_the_closed_lists(name: str) -> None:
    for line in shown(name).lines:
        assert line.reason in REASONS
        assert line.fault in {"", *BY_CODE}
        assert line.state in STATES
        assert line.role in {"standalone", "primary", "secondary", "none"}
        assert line.contactor in {"open", "closed"}
        assert line.contactor == "closed" or line.drawn_a == 0.0


def test_the_closed_list_of_reasons_is_the_firmware_s() -> None:
    assert {reason.word for reason in Reason} == REASONS


@every_file
def test_the_trace_has_a_row_only_for_a_change(name: str) -> None:
    by_station: dict[str, Line] = {}
    for line in shown(name).lines:
        before = by_station.get(line.station)
        assert before is None or before[1:] != line[1:], f"the same row again at {line.t_s}"
        by_station[line.station] = line


def test_the_trace_has_a_row_for_each_tenth_of_an_ampere_of_a_climb() -> None:
    lines = [line for line in shown("mixed_models").lines if line.station == "s1" and 30 <= line.t_s < 330]
    climb = [line.drawn_a for line in lines if line.contactor == "closed" and line.drawn_a > 0]
    assert max(climb) > 75
    assert all(after - before <= 0.11 for before, after in pairwise(climb))


@every_file
def test_drawn_in_the_trace_is_never_above_the_limit_of_any_primary_ever(name: str) -> None:
    """From the trace alone, without the judge of the simulation."""
    drawn: dict[str, float] = {}
    highest = shown(name).simulation.highest_limit_a
    for _, rows in groupby(shown(name).lines, key=lambda line: line.t_s):
        for line in rows:
            drawn[line.station] = line.drawn_a
        assert sum(drawn.values()) <= highest + 0.01 * len(drawn)


@pytest.mark.parametrize("name", _SHORT)
def test_same_scenario_and_seed_give_the_same_bytes(name: str) -> None:
    loaded = load_scenario(CONFIGS / "scenarios" / f"{name}.toml")
    assert simulate(loaded, loaded.seed).text == shown(name).text


@pytest.mark.parametrize("name", ["worst_cars"])
def test_another_process_with_other_hashes_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    command = [sys.executable, "-m", "watti", "simulate", str(CONFIGS / "scenarios" / f"{name}.toml")]
    root = Path(__file__).parents[2]
    paths = os.pathsep.join((str(root), str(root / "tools")))
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": paths}
    subprocess.run([*command, "--trace", str(path)], check=True, env=environment, stdout=subprocess.DEVNULL)
    assert path.read_text() == shown(name).text


def test_the_seed_decides_what_a_noisy_line_does() -> None:
    noisy = replace(load_scenario(CONFIGS / "scenarios" / "noisy_line.toml"), duration_s=400.0)
    first = simulate(noisy, 1).text
    assert simulate(noisy, 1).text == first
    assert simulate(noisy, 2).text != first


# The maker's page


@pytest.mark.parametrize(
    ("t_s", "each"),
    [
        *[(320, [48.0]), (620, [24.0] * 2), (920, [16.0] * 3), (1220, [12.0] * 4), (1520, [9.6] * 5)],
        *[(1820, [12.0] * 4), (2120, [16.0] * 3), (2420, [24.0] * 2), (2720, [48.0]), (2990, [])],
    ],
)
def test_the_maker_s_page(t_s: float, each: list[float]) -> None:
    run = shown("maker_page")
    assert run.offered_at(t_s) == each
    assert [line.drawn_a for line in run.stations_at(t_s).values() if line.drawn_a] == each


def test_the_maker_s_page_settles_within_the_standard_s_times() -> None:
    """A newcomer has its share within R and a little more, and everybody draws it R later."""
    run = shown("maker_page")
    for t_s, each in [(345, 24.0), (645, 16.0), (945, 12.0), (1245, 9.6)]:
        assert set(run.offered_at(t_s)) == {each}


def test_alone_it_is_the_switch_that_limits_and_together_the_share() -> None:
    run = shown("maker_page")
    assert run.stations_at(320)["s1"].reason == "switch"
    assert {run.stations_at(1520)[f"s{i}"].reason for i in range(1, 6)} == {"share"}
    assert any(line.reason == "settling" for line in run.lines)


# Mixed models


def test_unused_amps_go_to_the_others_and_come_back() -> None:
    run = shown("mixed_models")
    assert run.offered_at(320) == [80.0]
    by_two = run.stations_at(620)
    assert by_two["s2"].drawn_a == pytest.approx(16.0, abs=0.5)
    assert by_two["s1"].offered_a > 60.0, "what the small charger leaves goes to the big one"
    assert run.stations_at(1220)["s4"].drawn_a == pytest.approx(20.5, abs=1.0)
    assert run.stations_at(1520)["s1"].offered_a == pytest.approx(16.0, abs=2.0), "and comes back"
    alone = run.stations_at(2990)["s2"]
    assert (alone.offered_a, alone.reason) == (48.0, "rating")


def test_a_small_charger_is_limited_by_its_vehicle() -> None:
    run = shown("mixed_models")
    assert run.stations_at(620)["s2"].reason == "vehicle"


def test_no_48a_model_ever_offers_more_than_48_a() -> None:
    assert all(line.offered_a <= 48.0 for line in shown("mixed_models").lines if line.station in {"s2", "s4", "s5"})


# Rotation


def _spells(run: Run, station: str, charging: bool) -> list[tuple[float, float]]:
    """(from, to) while a station's contactor was closed, or open after its vehicle came."""
    spells: list[tuple[float, float]] = []
    since: float | None = None
    for line in run.lines:
        if line.station != station or line.state[0] not in "BC":
            continue
        if (line.contactor == "closed") == charging:
            since = line.t_s if since is None else since
        elif since is not None:
            spells.append((since, line.t_s))
            since = None
    return [*spells, (since, run.simulation.world.now)] if since is not None else spells


@pytest.mark.parametrize("station", ["s1", "s2", "s3", "s4", "s5"])
def test_rotation_turns_are_long_and_waits_are_short(station: str) -> None:
    run = shown("rotation_16a")
    turns, waits = _spells(run, station, charging=True), _spells(run, station, charging=False)
    assert all(end - begin >= TURN_S - 15 for begin, end in turns if end < run.simulation.world.now)
    assert all(end - begin <= 3600 for begin, end in waits)
    assert len(turns) <= 10800 / TURN_S / 2 + 1, "nobody flaps"
    assert len(turns) >= 2, "nobody starves"


def test_rotation_gives_all_about_the_same_energy() -> None:
    run = shown("rotation_16a")
    got = [slot.plant.energy_kwh(run.simulation.world.now) for slot in run.simulation.world.slots]
    assert min(got) >= 0.75 * max(got)
    possible_kwh = 16 * 0.24 * 10800 / 3600
    assert sum(got) >= 0.85 * possible_kwh, "a shortage never stops everyone"


def test_rotation_never_stops_everyone() -> None:
    run = shown("rotation_16a")
    closed: dict[str, bool] = {}
    none_since = 0.0
    for line in run.lines:
        closed[line.station] = line.contactor == "closed"
        if not any(closed.values()) and line.t_s > 120:
            assert line.t_s - none_since < 15
        else:
            none_since = line.t_s


# The other files


def test_sixth_station_finds_the_group_full_and_takes_the_place_that_becomes_free() -> None:
    run = shown("sixth_station")
    full, taken, back = run.stations_at(690)["s6"], run.stations_at(1190), run.stations_at(2090)
    assert (full.reason, full.fault, full.offered_a) == ("group_full", "group_full", 0.0)
    assert taken["s6"].offered_a == 9.6
    assert run.stations_at(1590)["s5"].fault == "group_full"
    assert back["s5"].offered_a == 9.6


def test_sixth_station_keeps_saying_so() -> None:
    """It does not fall back to another reason between two tries."""
    run = shown("sixth_station")
    between = [line for line in run.lines if line.station == "s6" and 302 < line.t_s < 700]
    assert {line.fault for line in between} <= {"group_full"}


def test_a_cut_station_stops_and_comes_back_by_itself() -> None:
    run = shown("bus_cut_join")
    for cut_s, joined_s, station in [(300, 600, "s3"), (1500, 1800, "s2"), (2100, 2400, "s2")]:
        assert run.offered_at(cut_s - 1) == [16.0] * 3
        assert run.stations_at(cut_s + 20)[station].offered_a == 0.0
        assert run.stations_at(cut_s + 20)[station].reason == "no_primary"
        assert run.offered_at(cut_s + 40) == [24.0] * 2
        assert run.offered_at(joined_s + 60) == [16.0] * 3
    assert run.offered_at(940) == [48.0], "the primary alone"
    assert run.offered_at(1260) == [16.0] * 3


def test_a_turned_switch_moves_limit_and_role() -> None:
    run = shown("switch_turned")
    assert {line.role for line in run.stations_at(850).values()} == {"secondary"}
    assert {line.reason for line in run.stations_at(850).values()} == {"no_primary"}
    assert run.offered_at(1190) == [16.0] * 3
    assert run.stations_at(1190)["s2"].role == "primary"
    refused = run.stations_at(2090)["s1"]
    assert (refused.role, refused.state, refused.fault) == ("none", "F", "switch_unsupported")
    assert run.offered_at(2390) == [16.0] * 3


def test_the_newcomer_of_two_primaries_yields_and_the_sitting_one_goes_on() -> None:
    run = shown("two_primaries")
    at = run.stations_at(690)
    assert (at["s2"].reason, at["s2"].fault, at["s2"].offered_a) == (*("more_than_one_primary",) * 2, 0.0)
    assert at["s1"].fault == "more_than_one_primary", "it names the intruder"
    assert at["s1"].offered_a == at["s3"].offered_a == 24.0
    assert run.offered_at(1170) == [16.0] * 3
    stopped = run.stations_at(1890)
    assert {stopped[name].reason for name in ("s1", "s2")} == {"more_than_one_primary"}
    assert run.offered_at(1890) == []
    assert run.offered_at(2690) == [16.0] * 3


# `simulate --json` and exit codes


def test_json_has_the_keys_of_the_interface(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(CONFIGS / "scenarios" / "maker_page.toml"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    keys = {"duration_s", "wall_s", "speedup", "limit_a", "peak_total_a", "violations", "bus", "stations"}
    assert keys <= result.keys()
    assert {"cycles", "cycle_s_p50", "cycle_limit_s", "crc_errors", "missed"} <= result["bus"].keys()
    assert list(result["stations"]) == ["s1", "s2", "s3", "s4", "s5"]
    assert {"energy_kwh", "charging_s", "waiting_s"} <= result["stations"]["s1"].keys()
    assert (result["duration_s"], result["limit_a"], result["peak_total_a"]) == (3000, 48.0, 48.0)
    assert result["violations"] == []
    assert result["bus"]["cycle_s_p50"] <= 1.15 * result["bus"]["cycle_limit_s"]
    energy_kwh = (48 + 24 + 16 + 12 + 9.6) * 0.24 * 300 / 3600
    assert result["stations"]["s1"]["energy_kwh"] == pytest.approx(energy_kwh, abs=0.1)
    assert result["stations"]["s1"]["charging_s"] == pytest.approx(1500, abs=10)


def test_the_judge_sees_a_ledger_that_forgets_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check of the total must be able to fail: raises that do not wait for the cuts, exit code 1."""
    monkeypatch.setattr(Ledger, "free_da", lambda ledger, row, now: ledger.limit_da)
    assert main(["simulate", str(CONFIGS / "scenarios" / "worst_cars.toml"), "--json"]) == 1
    violation = json.loads(capsys.readouterr().out)["violations"][0]
    assert violation["total_a"] > violation["limit_a"] == 48.0
    assert violation["t_s"] > 30


def test_a_lowered_limit_binds_one_release_time_later() -> None:
    turn = event(60, "switch", 1, position=6)
    run = simulate(scenario([*plugs(1, 2), turn], "BF", duration_s=120), 1)
    assert run.simulation.violations == []
    run.simulation.world.run(60 + TIMING.release_s)
    assert run.simulation.limit_a() == 24.0
