"""Scenario files of sites, with their CSV files and generators: what they become, and every way to be refused."""

from math import inf
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.link import Wish
from cloud.site import Kind, Member, Node, Phases
from firmware.config import ConfigError
from hal.simulated.vehicle_spec import VehicleSpec
from watti.scenario import CONFIGS, Event, is_of_a_site
from watti.sites.arrivals import Place, Visit, arrivals_csv, overlaps, places, wanting
from watti.sites.generator import HABITS, Habit, draw
from watti.sites.load import Load, load_csv
from watti.sites.scenario import Network, SiteScenario, load_site_scenario

SHIPPED = sorted((CONFIGS / "scenarios").glob("site_*.toml"))
SITE = """
[site]
name = "Yard"
voltage_v = 208
[[node]]
name = "main"
kind = "service"
phases = "three"
limit_a = 200
[[node]]
name = "shed"
kind = "circuit"
parent = "main"
phases = "single"
limit_a = 40
[[station]]
name = "gate"
node = "main"
rating_a = 48
[[group]]
name = "barn"
node = "shed"
model = "48A"
switch = "9"
stations = 2
[[meter]]
name = "ct"
node = "main"
measures = "building"
"""
HEAD = '[scenario]\nsite = "yard.toml"\nduration_s = 600\n'
SEDAN = VehicleSpec("sedan")
MAIN = Node("main", Kind.SERVICE)
SHED = Node("shed", Kind.CIRCUIT, "main", Phases.SINGLE)
MEMBERS = (Member("gate", "main", 48.0), Member("barn", "shed", 40.0, stations=2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "yard.toml").write_text(SITE)
    return tmp_path


def scenario_of(folder: Path, *parts: str) -> SiteScenario:
    path = folder / "some.toml"
    path.write_text("".join(parts))
    return load_site_scenario(path)


def errors_of(folder: Path, *parts: str) -> list[str]:
    """What is said, without the folder's name."""
    with pytest.raises(ConfigError) as refused:
        scenario_of(folder, *parts)
    return [line.removeprefix(f"{folder}/") for line in refused.value.errors]


def event(do: str, *further: str, at_s: float = 10) -> str:
    return "\n".join(["[[event]]", f"at_s = {at_s}", f'do = "{do}"', *further, ""])


# Scenarios


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_scenarios_that_come_along_are_sound_and_say_what_to_see(path: Path) -> None:
    assert load_site_scenario(path).visits
    assert "# To see:" in path.read_text()


def test_the_four_kinds_and_a_day_are_there() -> None:
    expected = {"circuit", "panel", "multi_level", "dynamic", "mixed", "portfolio", "day"}
    assert {path.stem.removeprefix("site_") for path in SHIPPED} >= expected


def test_what_a_file_leaves_out(folder: Path) -> None:
    scenario = scenario_of(folder, HEAD)
    assert scenario.site.name == "Yard"
    assert (scenario.duration_s, scenario.seed, scenario.policy, scenario.firmware) == (600.0, 1, "equal", False)
    assert scenario.network == Network(delay_s=0.1, loss=0.0)
    assert (scenario.begins_s, scenario.visits, scenario.loads, scenario.events) == (0.0, (), {}, ())


def test_what_a_file_says(folder: Path) -> None:
    head = HEAD + 'seed = 7\npolicy = "first_come"\nfirmware = true\nbegins = "07:30"\n'
    scenario = scenario_of(folder, head, "[network]\ndelay_s = 2\nloss = 0.1\n")
    assert (scenario.seed, scenario.policy, scenario.firmware) == (7, "first_come", True)
    assert scenario.network == Network(delay_s=2.0, loss=0.1)
    assert scenario.begins_s == 7.5 * 3600


def test_the_command_lines_seed_wins(folder: Path) -> None:
    (folder / "some.toml").write_text(HEAD + "seed = 7\n")
    assert load_site_scenario(folder / "some.toml", seed=9).seed == 9


@pytest.mark.parametrize(
    ("document", "said"),
    [({"scenario": {"site": "x"}}, True), ({"scenario": {}}, False), ({"scenario": 3}, False), ({}, False)],
)
def test_the_key_site_tells_it_from_one_of_a_circuit(document: dict[str, object], said: bool) -> None:
    assert is_of_a_site(document) is said


def test_plugs_become_visits_until_the_next_unplug_of_their_station(folder: Path) -> None:
    plugs = (
        event("plug", 'station = "gate"', "weight = 2", "priority = 1", at_s=20),
        event("plug", 'station = "barn.2"', 'vehicle = "city"', at_s=10),
        event("unplug", 'station = "gate"', at_s=50),
        event("plug", 'station = "gate"', at_s=60),
    )
    first, second, third = scenario_of(folder, HEAD, *plugs).visits
    assert (first.place, first.arrives_s, first.departs_s, first.vehicle.name, first.wish) == (
        (1, 1),
        10.0,
        inf,
        "city",
        None,
    )
    assert (second.place, second.arrives_s, second.departs_s, second.vehicle.name) == ((0, 0), 20.0, 50.0, "sedan")
    assert second.wish == Wish(weight=2.0, priority=1)
    assert (third.arrives_s, third.departs_s, third.wish) == (60.0, inf, Wish())


def test_a_vehicle_of_the_file(folder: Path) -> None:
    plug = event("plug", 'station = "gate"', 'vehicle = "van"')
    (visit,) = scenario_of(folder, HEAD, '[[vehicle]]\nname = "van"\nmax_a = 40\n', plug).visits
    assert visit.vehicle == VehicleSpec("van", max_a=40.0)


def test_load_events_add_to_the_building_and_end(folder: Path) -> None:
    events = (
        event("load", 'node = "main"', "amps = 30", "for_s = 100", at_s=50),
        event("load", 'node = "main"', "amps = [1, 2, 3]", at_s=100),
        event("load", 'node = "shed"', "amps = 5", at_s=0),
    )
    loads = scenario_of(folder, HEAD, *events).loads
    main = loads["main"]
    assert [main.at(t_s) for t_s in (0, 49, 50, 100, 150)] == [
        (0, 0, 0),
        (0, 0, 0),
        (30, 30, 30),
        (31, 32, 33),
        (1, 2, 3),
    ]
    assert loads["shed"].at(0) == (5,)


def test_other_events_stay_in_order_of_time(folder: Path) -> None:
    events = (
        event("meter", 'meter = "ct"', 'fault = "nan"', "for_s = 5", at_s=30),
        event("offline", 'station = "barn"', "for_s = 60", at_s=20),
    )
    assert scenario_of(folder, HEAD, *events).events == (
        Event(20.0, "offline", "barn", {"for_s": 60.0}),
        Event(30.0, "meter", None, {"meter": "ct", "fault": "nan", "for_s": 5.0}),
    )


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        (['[scenario]\nsite = "yard.toml"\n'], "scenario.duration_s: expected this key (it is missing)"),
        ([HEAD, 'policy = "fair"\n'], 'scenario.policy: expected "equal", "priority", "first_come" or "uncontrolled"'),
        ([HEAD, 'begins = "24:00"\n'], 'scenario.begins: expected a time of day such as "17:30" (got "24:00")'),
        ([HEAD, "[network]\nloss = 1\n"], "network.loss: expected a number from 0 to 0.9 (got 1)"),
        ([HEAD, "[load]\nfile = 'x'\n"], 'load.file: unknown key, expected csv (got "file")'),
        ([HEAD, "[arrivals]\ncsv = 'x'\ngenerator = { kind = 'home' }\n"], "arrivals: expected csv or generator"),
        ([HEAD, "[arrivals]\ngenerator = { kind = 'pub' }\n"], 'arrivals.generator.kind: expected "workplace", "home"'),
        ([HEAD, "[arrivals]\ngenerator = { kind = 'home', use = 2 }\n"], "arrivals.generator.use: expected a number"),
        (
            [HEAD, "[arrivals]\ngenerator = { kind = 'home', arrives_sd_h = 5 }\n"],
            "arrivals.generator.arrives_sd_h: expected a number from 0 to 4 (got 5)",
        ),
        (
            [HEAD, "[arrivals]\ngenerator = { kind = 'home', max_a = [] }\n"],
            "arrivals.generator.max_a: expected at least one number (got a list)",
        ),
        ([HEAD, "[arrivals]\nvehicle = 'sedn'\n"], "arrivals.vehicle: expected "),
        ([HEAD, event("plug", 'station = "barn"')], 'event[0].station: expected "gate", "barn.1" or "barn.2" (got "ba'),
        ([HEAD, event("plug", 'station = "barn.1"', "weight = 2")], "event[0]: expected no weight or priority: vehicl"),
        (
            [HEAD, event("unplug", 'station = "gate"')],
            "event[0]: expected a vehicle that an event has plugged in there",
        ),
        ([HEAD, event("restart", 'station = "barn.1"')], 'event[0].station: expected "gate" or "barn" (got "barn.1")'),
        ([HEAD, event("offline", 'station = "gate"')], "event[0].for_s: expected this key (it is missing)"),
        ([HEAD, event("meter", 'meter = "tc"', 'fault = "nan"', "for_s = 1")], 'event[0].meter: expected "ct" (got "'),
        ([HEAD, event("meter", 'meter = "ct"', 'fault = "on"', "for_s = 1")], 'event[0].fault: expected "dead", "nan"'),
        (
            [HEAD, event("load", 'node = "main"', "amps = [1, 2]")],
            "event[0]: amps: expected one number or 3, one for e",
        ),
        ([HEAD, event("load", 'node = "lamp"', "amps = 1")], 'event[0].node: expected "main" or "shed" (got "lamp")'),
        ([HEAD, event("dance")], 'event[0].do: expected "plug", "unplug", "power_off", "power_on", "restart", "offlin'),
        (
            [HEAD, event("restart", 'station = "gate"', at_s=601)],
            "event[0].at_s: expected a moment from 0 to the scena",
        ),
        ([HEAD, "[[event]]\nat_s = 1\n"], "event[0].do: expected this key (it is missing)"),
        ([HEAD, "event = 3\n"], "event: expected a list (got 3)"),
        ([HEAD, "[[vehicle]]\nname = 'v'\nmin_a = 50\n"], "vehicle[0].min_a: expected at most max_a, 48 (got 50"),
    ],
)
def test_scenarios_with_one_error(folder: Path, parts: list[str], error: str) -> None:
    if parts[-1] == "event = 3\n":
        parts = ["event = 3\n", HEAD]
    (said,) = errors_of(folder, *parts)
    assert said.startswith(f"some.toml: {error}")


def test_two_vehicles_at_one_station(folder: Path) -> None:
    plug = event("plug", 'station = "gate"')
    (said,) = errors_of(folder, HEAD, plug, plug.replace("10", "30"))
    assert said == (
        "some.toml: gate: expected one vehicle at a time (one comes at 30 s, another is there from 10 to inf s)"
    )


def test_the_errors_of_all_files_at_once(folder: Path) -> None:
    (folder / "yard.toml").write_text(SITE.replace('phases = "single"', 'phases = "four"'))
    said = errors_of(folder, HEAD, "seed = -1\n", event("plug", 'station = "anyone"', 'vehicle = "tram"'))
    assert [line.split(": ")[:2] for line in said] == [
        ["some.toml", "event[0].vehicle"],
        ["some.toml", "scenario.seed"],
        ["yard.toml", "node[1].phases"],
    ]


def test_the_errors_of_both_csv_files_at_once(folder: Path) -> None:
    (folder / "load.csv").write_text("t_s,main.A\n0,ten\n")
    (folder / "cars.csv").write_text("station,arrives_s\ngate,-5\n")
    said = errors_of(folder, HEAD, "[load]\ncsv = 'load.csv'\n[arrivals]\ncsv = 'cars.csv'\n")
    assert [line.split(": ")[:3] for line in sorted(said)] == [
        ["cars.csv", "line 2", "arrives_s"],
        ["load.csv", "line 2", "main.A"],
    ]


def test_a_site_that_is_not_there(folder: Path) -> None:
    (said,) = errors_of(folder, HEAD.replace("yard", "garden"))
    assert said == "garden.toml: can't be read: No such file or directory"


# The building's load


def loads_of(path: Path, text: str, begins_s: float = 0.0, until_s: float = 86400.0) -> dict[str, Load]:
    path.write_text(text)
    errors: list[str] = []
    loads = load_csv(path, (MAIN, SHED), begins_s, until_s, errors)
    assert errors == []
    return loads


def test_a_load_holds_until_the_next_row(tmp_path: Path) -> None:
    loads = loads_of(tmp_path / "l.csv", "t_s,main.C,shed,main.A\n10,3,4,1\n20,30,40,10\n")
    assert [loads["main"].at(t_s) for t_s in (0, 9.9, 10, 19.9, 20, 1e6)] == [
        (0, 0, 0),
        (0, 0, 0),
        (1, 0, 3),
        (1, 0, 3),
        (10, 0, 30),
        (10, 0, 30),
    ]
    assert loads["shed"].at(25) == (40,)
    assert loads["main"].moments == [0, 10, 20]


def test_times_of_day_repeat_and_begin_where_the_scenario_does(tmp_path: Path) -> None:
    (load,) = loads_of(tmp_path / "l.csv", "time,shed\n06:00,10\n18:00:30,20\n", 43200.0, 3 * 86400.0).values()
    six_hours_on = 6 * 3600 + 30
    assert [load.at(t_s)[0] for t_s in (0, six_hours_on - 1, six_hours_on, 18 * 3600 - 1, 18 * 3600)] == [
        10,
        10,
        20,
        20,
        10,
    ]
    assert load.at(2 * 86400 + six_hours_on) == (20,)


def test_what_holds_before_the_first_time_of_day_is_yesterdays_last(tmp_path: Path) -> None:
    (load,) = loads_of(tmp_path / "l.csv", "time,shed\n06:00,10\n18:00,20\n").values()
    assert (load.at(0), load.at(6 * 3600)) == ((20,), (10,))


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("", ["line 1: expected columns t_s and some of main.A, main.B, main.C, shed, each once"]),
        ("t_s,main.D\n0,1\n", ["line 1: expected columns t_s and some of main.A, main.B, main.C, shed, each once"]),
        (
            "t_s,shed,shed\n0,1,2\n",
            ["line 1: expected columns t_s and some of main.A, main.B, main.C, shed, each once"],
        ),
        ("t_s\n0\n", ["line 1: expected some of the columns main.A, main.B, main.C, shed"]),
        ("t_s,shed\n0,1\n0,2\n", ["line 3: expected a later moment than in the line before"]),
        ("time,shed\n6:00,1\n", ['line 2: time: expected a time of day such as "17:30"']),
        ("t_s,shed\n0,nan\n\n5,-1\n", ["line 2: shed: expected a number", "line 4: shed: expected a number"]),
        ("t_s,shed\n0,\n", ["line 2: shed: expected this key (it is missing)"]),
        ("t_s,shed\n0\n", ["line 2: expected 2 cells, as in line 1 (got 1)"]),
        ('t_s,shed\n0,"1\n', ["not CSV: unexpected end of data"]),
    ],
)
def test_load_files_with_errors(tmp_path: Path, text: str, errors: list[str]) -> None:
    path = tmp_path / "l.csv"
    path.write_text(text)
    said: list[str] = []
    load_csv(path, (MAIN, SHED), 0.0, 100.0, said)
    assert len(said) == len(errors)
    assert all(got.startswith(f"{path}: {start}") for got, start in zip(said, errors, strict=True))


def test_a_load_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"t_s,shed\n0,\xff\n")
    said: list[str] = []
    for name in ("a.csv", "b.csv"):
        load_csv(tmp_path / name, (SHED,), 0.0, 100.0, said)
    assert said[0] == f"{tmp_path}/a.csv: can't be read: No such file or directory"
    assert said[1].startswith(f"{tmp_path}/b.csv: not CSV: ")


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 50)), max_size=6),
    st.lists(st.tuples(st.integers(0, 20), st.integers(-50, 50)), min_size=1, max_size=6),
)
def test_jumps_add_up(steps: list[tuple[int, int]], jumps: list[tuple[int, int]]) -> None:
    base = Load(1, [(t_s, (amps,)) for t_s, amps in steps])
    raised = base.raised([(t_s, (amps,)) for t_s, amps in jumps])
    for t_s in range(22):
        assert raised.at(t_s)[0] == base.at(t_s)[0] + sum(amps for since, amps in jumps if since <= t_s)


# Arrivals


def visits_of(path: Path, text: str) -> list[Visit]:
    path.write_text(text)
    errors: list[str] = []
    visits = arrivals_csv(path, MEMBERS, SEDAN, errors)
    assert errors == []
    return visits


def test_stations_of_a_group_are_numbered() -> None:
    assert places(MEMBERS) == {"gate": Place(0, 0), "barn.1": Place(1, 0), "barn.2": Place(1, 1)}


def test_all_columns(tmp_path: Path) -> None:
    head = "station,arrives_s,departs_s,energy_kwh,max_a,weight,priority\n"
    first, second = visits_of(tmp_path / "a.csv", head + "gate,60,3600,30,32,2.5,-1\nbarn.2,5,,,,,\n")
    assert (first.place, first.arrives_s, first.departs_s) == (Place(0, 0), 60, 3600)
    assert first.asks_kwh == pytest.approx(30)
    assert first.vehicle.max_a == 32
    assert first.wish == Wish(energy_wh=30_000, departs_at=3600, weight=2.5, priority=-1)
    assert second == Visit(Place(1, 1), 5, inf, SEDAN, None)


def test_a_large_wish_needs_a_large_battery() -> None:
    assert wanting(SEDAN, 200.0).battery_kwh == 200.0
    assert wanting(SEDAN, 200.0).soc == 0.0
    assert wanting(SEDAN, 15.0).soc == pytest.approx(0.8)
    assert wanting(SEDAN, None) == SEDAN
    small = wanting(VehicleSpec("v", first_module_a=16.0), None, 4.0)
    assert (small.max_a, small.min_a, small.first_module_a) == (4.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "station\ngate\n",
            "line 1: expected columns station, arrives_s and some of departs_s, energy_kwh, max_a, wei",
        ),
        ("station,arrives_s,colour\n", "line 1: expected columns station, arrives_s and some of departs_s"),
        ("station,arrives_s\nbarn,1\n", 'line 2: station: expected "gate", "barn.1" or "barn.2" (got "barn")'),
        ("station,arrives_s\n,1\n", "line 2: station: expected this key (it is missing)"),
        ("station,arrives_s,departs_s\ngate,9,9\n", "line 2: departs_s: expected a moment after arrives_s (got 9"),
        ("station,arrives_s,energy_kwh\ngate,9,0\n", "line 2: energy_kwh: expected a number from 0.1 to 1000 (got 0)"),
        ("station,arrives_s,max_a\ngate,9,much\n", 'line 2: max_a: expected a number from 1 to 100 (got "much")'),
        ("station,arrives_s,priority\ngate,9,1.5\n", "line 2: priority: expected a whole number from -100 to 100"),
        ("station,arrives_s,weight\nbarn.1,9,2\n", "line 2: weight: expected nothing: vehicles of a group share by "),
    ],
)
def test_arrival_files_with_one_error(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    said: list[str] = []
    arrivals_csv(path, MEMBERS, SEDAN, said)
    assert len(said) == 1
    assert said[0].startswith(f"{path}: {error}")


def test_rows_that_are_right_are_no_reason_to_stop_at_the_first_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("station,arrives_s\ngate,1\nnobody,2\ngate,x\n")
    said: list[str] = []
    assert len(arrivals_csv(path, MEMBERS, SEDAN, said)) == 1
    assert [line.split(": ")[1] for line in said] == ["line 3", "line 4"]


def test_one_leaves_as_the_next_comes() -> None:
    one, at_once, too_early = (Visit(Place(0, 0), *span, SEDAN) for span in ((0, 10), (10, 20), (19, 30)))
    elsewhere = Visit(Place(1, 0), 5, 15, SEDAN)
    assert overlaps([too_early, elsewhere, at_once, one]) == [(at_once, too_early)]


# The generator

MANY = tuple(Member(f"s{i}", "main", 48.0) for i in range(300))


def drawn(habit: Habit, begins_h: float = 0.0, days: float = 1.0, seed: int = 1) -> list[Visit]:
    return draw(habit, MANY, SEDAN, seed, begins_h * 3600, days * 86400)


def test_the_same_seed_gives_the_same_day_and_another_another() -> None:
    habit = HABITS["workplace"]
    assert drawn(habit) == drawn(habit)
    assert drawn(habit) != drawn(habit, seed=2)


def test_a_station_keeps_its_vehicles_when_others_are_added() -> None:
    habit = HABITS["workplace"]
    few = draw(habit, MANY[:3], SEDAN, 1, 0.0, 86400.0)
    assert few == [visit for visit in drawn(habit) if visit.place.member < 3]


@pytest.mark.parametrize("kind", HABITS)
def test_a_habit_is_what_it_says(kind: str) -> None:
    habit = HABITS[kind]
    visits = drawn(habit)
    assert len(visits) == pytest.approx(300 * habit.use, rel=0.1)
    assert mean(visit.arrives_s for visit in visits) == pytest.approx(habit.arrives_h * 3600, abs=1200)
    assert mean(visit.departs_s - visit.arrives_s for visit in visits) == pytest.approx(habit.stays_h * 3600, rel=0.05)
    assert mean(visit.asks_kwh for visit in visits) == pytest.approx(habit.energy_kwh, rel=0.1)
    assert {visit.vehicle.max_a for visit in visits} == set(habit.max_a)
    assert all(visit.wish is not None and visit.wish.departs_at == visit.departs_s for visit in visits)


def test_a_scenario_that_begins_at_noon_has_the_evening_first() -> None:
    visits = drawn(HABITS["home"], begins_h=12.0)
    assert mean(visit.arrives_s for visit in visits) == pytest.approx(6 * 3600, abs=1200)


@given(st.integers(0, 50), st.floats(0, 24), st.floats(1, 40), st.floats(0, 4))
def test_visits_are_within_the_scenario_and_never_two_at_once(
    seed: int, begins_h: float, stays_h: float, spread_h: float
) -> None:
    habit = Habit(12.0, spread_h, stays_h, spread_h, 10.0, 0.0, use=1.0)
    visits = draw(habit, MANY[:4], SEDAN, seed, begins_h * 3600, 4 * 86400.0)
    assert visits == sorted(visits, key=lambda visit: visit.arrives_s)
    assert overlaps(visits) == []
    assert all(0 <= visit.arrives_s < 4 * 86400 and visit.departs_s > visit.arrives_s for visit in visits)
