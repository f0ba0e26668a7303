"""Scenario and vehicle files: what they become, and every way in which they are refused."""

from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import ConfigError
from hal.simulated.vehicle_spec import VehicleSpec
from tests.scenario.helpers import OFFLINE
from watti.scenario import (
    CONFIGS,
    DEFAULT_VEHICLE,
    FAULT_KINDS,
    Event,
    Scenario,
    StationSpec,
    load_scenario,
    load_vehicles,
)

HEAD = "[scenario]\nduration_s = 600\n"
STATION = '[[station]]\nname = "s1"\nmodel = "48A"\nswitch = "B"\n'
SECOND = '[[station]]\nname = "s2"\nmodel = "80A"\nswitch = "f"\n'
VEHICLE = '[[vehicle]]\nname = "van"\nmax_a = 40\n'
PLUG = '[[event]]\nat_s = 10\ndo = "plug"\nstation = "s1"\nvehicle = "van"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def scenario_of(path: Path, *parts: str) -> Scenario:
    path.write_text("".join(parts))
    return load_scenario(path)


def errors_of(path: Path, *parts: str) -> list[str]:
    """What is said of a file, without the file's name, which every line has."""
    with pytest.raises(ConfigError) as refused:
        scenario_of(path, *parts)
    assert all(line.startswith(f"{path}: ") for line in refused.value.errors)
    return [line.removeprefix(f"{path}: ") for line in refused.value.errors]


def event(do: str, *further: str, at_s: str = "10", station: str = "s1") -> str:
    lines = ["[[event]]", f"at_s = {at_s}", f'do = "{do}"', *([f'station = "{station}"'] if station else [])]
    return "\n".join([*lines, *further, ""])


# What is accepted


@pytest.mark.parametrize("path", OFFLINE, ids=lambda path: path.stem)
def test_shipped_scenarios_are_sound_and_say_what_to_see(path: Path) -> None:
    scenario = load_scenario(path)
    assert "# To see: " in path.read_text()
    assert scenario.events
    assert scenario.events[-1].at_s < scenario.duration_s


def test_the_scenarios_that_people_rely_on_are_there() -> None:
    expected = {
        "maker_page",
        "mixed_models",
        "rotation_16a",
        "primary_off_on",
        "bus_cut_join",
        "switch_turned",
    }
    expected |= {"noisy_line", "worst_cars", "two_primaries", "sixth_station"}
    assert {path.stem for path in OFFLINE} >= expected


def test_maker_page_is_five_stations_whose_cars_come_and_go_one_by_one() -> None:
    scenario = load_scenario(CONFIGS / "scenarios" / "maker_page.toml")
    assert [(station.switch, station.model) for station in scenario.stations] == [(0xB, "48A")] + [(0xF, "48A")] * 4
    plugged: set[str | None] = set()
    counts = []
    for happening in scenario.events:
        (plugged.add if happening.do == "plug" else plugged.remove)(happening.station)
        counts.append(len(plugged))
    assert counts == [1, 2, 3, 4, 5, 4, 3, 2, 1, 0]
    gaps = {later.at_s - sooner.at_s for sooner, later in zip(scenario.events, scenario.events[1:], strict=False)}
    assert gaps == {300}


def test_a_minimal_scenario_has_the_defaults(file: Path) -> None:
    scenario = scenario_of(file, HEAD, STATION)
    assert (scenario.duration_s, scenario.seed, scenario.voltage_v) == (600.0, 1, 240.0)
    assert (scenario.baud, scenario.bit_error_rate, scenario.path) == (19200, 0.0, file)
    assert scenario.stations == (StationSpec("s1", "48A", None, 0xB, True, 0.0),)
    assert scenario.vehicles == load_vehicles()
    assert scenario.events == ()


def test_every_key_reaches_its_field(file: Path) -> None:
    scenario = scenario_of(
        file,
        HEAD,
        "seed = 7\nvoltage_v = 208\n[bus]\nbaud = 9600\nbit_error_rate = 1e-5\n",
        STATION,
        "serial = 0x0000A1B2C3D4\npowered = false\nclock_drift_ppm = -10000\n",
        VEHICLE,
        "min_a = 8\ndraw_ratio = 0.9\nstart_delay_s = 3\nreaction_s = 6\n",
        "ramp_a_per_s = 0\nbattery_kwh = 100\nsoc = 0.5\nobeys = false\n",
        "ramp_step_a = 2\nfirst_module_a = 16\nsecond_module_s = 180\nsleeps_after_s = 600\ngives_up_s = 20\n",
        "glitches = 2\nglitch_s = 0.2\nglitch_pause_s = 4\ntop_up_kwh = 1\ntop_up_after_s = 60\n",
        "s3_s = 0.5\ndigital_only = true\nventilated = true\n",
    )
    assert (scenario.seed, scenario.voltage_v, scenario.baud, scenario.bit_error_rate) == (
        7,
        208.0,
        9600,
        1e-5,
    )
    assert scenario.stations == (StationSpec("s1", "48A", 0xA1B2C3D4, 0xB, False, -10000.0),)
    assert astuple(scenario.vehicles["van"]) == (
        *("van", 40.0, 8.0, 0.9, 3.0, 6.0, 0.0, 100.0, 0.5, False),
        *(2.0, 16.0, 180.0, 600.0, 20.0, 2, 0.2, 4.0, 1.0, 60.0, 0.5, True, True),
    )


def test_events_come_in_order_of_time_and_keep_the_files_order_within_a_moment(file: Path) -> None:
    late, first, second = event("unplug", at_s="20"), event("power_off"), event("power_on")
    scenario = scenario_of(file, HEAD, STATION, late, first, second)
    assert [happening.do for happening in scenario.events] == ["power_off", "power_on", "unplug"]


@pytest.mark.parametrize(
    ("written", "args"),
    [
        (event("plug", 'vehicle = "van"'), {"vehicle": "van"}),
        (event("plug", 'vehicle = "city"'), {"vehicle": "city"}),
        (event("unplug"), {}),
        (event("unplug", 'vehicle = "van"'), {"vehicle": "van"}),
        (event("switch", 'position = "e"'), {"position": 14}),
        (event("power_off"), {}),
        (event("power_on"), {"lose_state": False}),
        (event("restart", "lose_state = true"), {"lose_state": True}),
        (event("stall", "for_s = 2"), {"for_s": 2.0}),
        (event("bus_cut"), {"direction": "both"}),
        (event("bus_join", 'direction = "send"'), {"direction": "send"}),
        (event("bus_noise", "rate = 0.5"), {"rate": 0.5}),
        (
            event("bus_disturb", 'kind = "echo"', "rate = 1", "for_s = 0.5"),
            {"kind": "echo", "rate": 1.0, "for_s": 0.5},
        ),
        *((event("fault", f'kind = "{kind}"'), {"kind": kind}) for kind in FAULT_KINDS),
        (event("clear_fault", 'kind = "diode"'), {"kind": "diode"}),
    ],
)
def test_events_that_are_accepted(file: Path, written: str, args: dict[str, object]) -> None:
    [happening] = scenario_of(file, HEAD, STATION, VEHICLE, written).events
    assert happening == Event(10.0, written.split('"')[1], "s1", args)


@pytest.mark.parametrize("further", [["rate = 0.1"], ['kind = "drop"', "rate = 0.1", "for_s = 1"]])
def test_the_whole_line_is_disturbed_without_a_station(file: Path, further: list[str]) -> None:
    do = "bus_noise" if len(further) == 1 else "bus_disturb"
    [happening] = scenario_of(file, HEAD, STATION, event(do, *further, station="")).events
    assert happening.station is None


# What is refused


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([STATION], "scenario: expected this key (it is missing)"),
        (["[scenario]\n", STATION], "scenario.duration_s: expected this key (it is missing)"),
        (["[scenario]\nduration_s = 0\n", STATION], "scenario.duration_s: expected a number from 0.001 to "),
        (
            ["[scenario]\nduration_s = inf\n", STATION],
            "scenario.duration_s: expected a number from 0.001 to ",
        ),
        (
            ["[scenario]\nduration_s = true\n", STATION],
            "scenario.duration_s: expected a number from 0.001 to ",
        ),
        ([HEAD, "seed = 1.5\n", STATION], "scenario.seed: expected a whole number from 0 to "),
        ([HEAD, "sead = 1\n", STATION], "scenario.sead: unknown key, expected duration_s, seed, voltage_v"),
        (
            [HEAD, "[bus]\nbaud = 300\n", STATION],
            "bus.baud: expected 9600, 19200, 38400, 57600 or 115200 (got 300)",
        ),
        ([HEAD, "[bus]\nbit_error_rate = 2\n", STATION], "bus.bit_error_rate: expected a number from 0 to 1"),
        ([HEAD], "station: expected this key (it is missing)"),
        (["station = []\n", HEAD], "station: expected at least 1 (got none)"),
        (["station = 1\n", HEAD], "station: expected a list (got 1)"),
        (["station = [1]\n", HEAD], "station[0]: expected a table (got 1)"),
        ([HEAD, STATION, STATION], 'station[1].name: expected a name that no other has (got "s1")'),
        (
            [HEAD, STATION, "serial = 0\n"],
            "station[0].serial: expected a whole number from 1 to 281474976710654",
        ),
        (
            [HEAD, STATION, "clock_drift_ppm = 10001\n"],
            "station[0].clock_drift_ppm: expected a number from -10000",
        ),
        ([HEAD, STATION, "powered = 1\n"], "station[0].powered: expected true or false (got 1)"),
        (
            [HEAD, STATION.replace('"B"', "6")],
            'station[0].switch: expected a switch position, one hex digit from "0"',
        ),
        ([HEAD, STATION.replace('"B"', '"10"')], "station[0].switch: expected a switch position"),
        ([HEAD, STATION.replace("48A", "48")], 'station[0].model: expected "48A" or "80A" (got "48")'),
        ([HEAD, STATION, VEHICLE, VEHICLE], 'vehicle[1].name: expected a name that no other has (got "van")'),
        ([HEAD, STATION, VEHICLE, "min_a = 41\n"], "vehicle[0].min_a: expected at most max_a, 40 (got 41.0)"),
        (
            [HEAD, STATION, VEHICLE, "first_module_a = 41\n"],
            "vehicle[0].first_module_a: expected at most max_a, 40 (got",
        ),
        ([HEAD, STATION, VEHICLE, "top_up_kwh = 76\n"], "vehicle[0].top_up_kwh: expected at most battery_kwh, 75 (got"),
        ([HEAD, STATION, VEHICLE, "glitches = 1.5\n"], "vehicle[0].glitches: expected a whole number from 0 to 100"),
        ([HEAD, STATION, VEHICLE, "ramp_step_a = 0\n"], "vehicle[0].ramp_step_a: expected a number from 0.1 to 100"),
        ([HEAD, STATION, VEHICLE, "soc = 1.1\n"], "vehicle[0].soc: expected a number from 0 to 1 (got 1.1)"),
        ([HEAD, STATION, VEHICLE, "obeys = 0\n"], "vehicle[0].obeys: expected true or false (got 0)"),
        ([HEAD, STATION, VEHICLE, "range_km = 9\n"], "vehicle[0].range_km: unknown key"),
        ([HEAD, STATION, VEHICLE, 'source = "x"\n'], "vehicle[0].source: unknown key"),
        ([HEAD, STATION, event("stall")], "event[0].for_s: expected this key (it is missing)"),
        ([HEAD, STATION, event("stall", "for_s = 0")], "event[0].for_s: expected a number from 0.001 to"),
        ([HEAD, STATION, event("plug")], "event[0].vehicle: expected this key (it is missing)"),
        ([HEAD, STATION, event("plug", 'vehicle = "sedam"')], 'event[0].vehicle: expected "big", "city"'),
        (
            [HEAD, STATION, event("unplug", station="s7")],
            'event[0].station: expected "s1" (got "s7")',
        ),
        ([HEAD, STATION, event("unplug", station="")], "event[0].station: expected this key (it is missing)"),
        ([HEAD, STATION, event("switch")], "event[0].position: expected this key (it is missing)"),
        ([HEAD, STATION, event("switch", 'position = "G"')], "event[0].position: expected a switch position"),
        (
            [HEAD, STATION, event("power_off", "lose_state = true")],
            'event[0].lose_state: not a key of do = "power_off"',
        ),
        (
            [HEAD, STATION, event("stall", "for_s = 1", "rate = 1")],
            'event[0].rate: not a key of do = "stall", expected',
        ),
        (
            [HEAD, STATION, event("bus_cut", 'direction = "up"')],
            'event[0].direction: expected "both", "send" or',
        ),
        (
            [HEAD, STATION, event("bus_cut", station="")],
            "event[0].station: expected this key (it is missing)",
        ),
        (
            [HEAD, STATION, event("bus_noise", "rate = 1.5")],
            "event[0].rate: expected a number from 0 to 1 (got 1.5)",
        ),
        ([HEAD, STATION, event("fault", 'kind = "diod"')], "event[0].kind: expected "),
        ([HEAD, STATION, event("fault")], "event[0].kind: expected this key (it is missing)"),
        ([HEAD, STATION, event("unplugg")], 'event[0].do: expected "plug", "unplug"'),
        ([HEAD, STATION, "[[event]]\nat_s = 1\n"], "event[0].do: expected this key (it is missing)"),
        ([HEAD, STATION, "[[event]]\ndo = []\n"], 'event[0].do: expected "plug", "unplug"'),
        (
            [HEAD, STATION, event("unplug", at_s="601")],
            "event[0].at_s: expected a moment from 0 to the scenario's",
        ),
        (
            [HEAD, STATION, event("unplug", at_s="-1")],
            "event[0].at_s: expected a moment from 0 to the scenario's",
        ),
        (
            [HEAD, STATION, event("unplug", at_s="nan")],
            "event[0].at_s: expected a moment from 0 to the scenario's",
        ),
        (["event = [[]]\n", HEAD, STATION], "event[0]: expected a table (got a list)"),
        (
            [HEAD, STATION, "[weather]\n"],
            "weather: unknown key, expected scenario, timing, bus, station, vehicle, event",
        ),
    ],
)
def test_scenarios_with_one_error(file: Path, parts: list[str], error: str) -> None:
    found = errors_of(file, *parts)
    assert len(found) == 1
    assert found[0].startswith(error)


def test_all_errors_of_a_file_come_at_once(file: Path) -> None:
    station = STATION.replace("48A", "32A")
    found = errors_of(file, HEAD, "sed = 1\n", station, STATION, PLUG, event("switch", at_s="700", station="s3"))
    assert [line.split(": ")[0] for line in found] == [
        "event[0].vehicle",
        "event[1].at_s",
        "event[1].position",
        "event[1].station",
        "scenario.sed",
        "station[0].model",
        "station[1].name",
    ]


def test_names_that_can_not_be_compared_are_refused_as_names(file: Path) -> None:
    """Nested too deeply for that."""
    station = STATION.replace('name = "s1"', f"name{'.a' * 1500} = 1")
    found = errors_of(file, HEAD, station, station)
    assert [line.split(": expected a name of")[0] for line in found] == ["station[0].name", "station[1].name"]


def test_an_error_of_a_station_or_vehicle_is_no_error_of_the_events_that_name_it(file: Path) -> None:
    bad_vehicle = VEHICLE.replace("40", '"40"')
    found = errors_of(file, HEAD, STATION.replace('"B"', '"X"'), bad_vehicle, PLUG)
    assert [line.split(": ")[0] for line in found] == ["station[0].switch", "vehicle[0].max_a"]


LINES = "".join(
    [HEAD, "[bus]\nbaud = 9600\n", STATION, SECOND, VEHICLE, PLUG, event("stall", "for_s = 1")]
).splitlines()
KEYS = [
    "name",
    "model",
    "switch",
    "at_s",
    "do",
    "station",
    "vehicle",
    "soc",
    "duration_s",
    "kind",
    "rate",
    "event",
]
LITERALS = [
    "1",
    "-1",
    "0.5",
    "nan",
    "inf",
    "true",
    '"s1"',
    '"van"',
    '"plug"',
    '""',
    "[]",
    "{}",
    "[[1]]",
    "{a = {}}",
]
GARBAGE = st.builds("{} = {}".format, st.sampled_from(KEYS), st.sampled_from([*LITERALS, "0x" + "f" * 5000])) | (
    st.sampled_from(["", "[station]", "[[bus]]", "[[event]]", "[[event.station]]", "[scenario.duration_s]", "?"])
)


def refused_in_lines(path: Path) -> bool:
    """Whether a scenario is accepted, or refused with one proper line for each error."""
    try:
        load_scenario(path)
    except ConfigError as refused:
        proper = (line.startswith(f"{path}: ") and len(line.splitlines()) == 1 for line in refused.errors)
        return bool(refused.errors) and all(proper)
    return True


@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), GARBAGE), max_size=4))
def test_a_damaged_scenario_is_taken_or_refused_in_one_line_each(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, str]]
) -> None:
    lines = list(LINES)
    for index, line in damage:
        lines[index] = line
    path = tmp_path_factory.getbasetemp() / "damaged.toml"
    path.write_text("\n".join(lines))
    assert refused_in_lines(path)


# Vehicles


def test_the_shipped_vehicles() -> None:
    vehicles = load_vehicles()
    names = {"sedan", "city", "compact", "big", "slow_starter", "slow_reactor", "ramp", "needs_8a", "refuser"}
    assert vehicles.keys() >= names
    assert all(name == spec.name for name, spec in vehicles.items())
    assert (vehicles[DEFAULT_VEHICLE].max_a, vehicles[DEFAULT_VEHICLE].obeys) == (48.0, True)
    assert not vehicles["refuser"].obeys
    assert {vehicle.max_a for vehicle in vehicles.values()} >= {16.0, 24.0, 32.0, 40.0, 48.0, 72.0, 80.0}
    assert all(_differs(vehicles[name], key) for name, key in HABITS.items())


HABITS = {
    "digital_only": "digital_only",
    "gives_up": "gives_up_s",
    "glitch": "glitches",
    "s3": "s3_s",
    "sleeper": "sleeps_after_s",
    "steps": "ramp_step_a",
    "top_up": "top_up_kwh",
    "two_modules": "first_module_a",
    "ventilated": "ventilated",
}


def _differs(spec: VehicleSpec, key: str) -> bool:
    return bool(getattr(spec, key) != getattr(VehicleSpec("plain"), key))


def test_a_scenarios_own_vehicle_wins_over_the_librarys(file: Path) -> None:
    scenario = scenario_of(file, HEAD, STATION, VEHICLE.replace("van", "sedan"))
    assert scenario.vehicles["sedan"].max_a == 40.0


def test_vehicle_files_are_refused_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "a"\nsource = "a guess"\n')
    (tmp_path / "b.toml").write_text('name = "a"\nsource = "a guess"\n')
    (tmp_path / "c.toml").write_text('name = "c"\nmin_a = 50\nsource = "a guess"\n')
    (tmp_path / "d.toml").write_text('name = "d"\n')
    with pytest.raises(ConfigError) as refused:
        load_vehicles(tmp_path)
    assert refused.value.errors == [
        f'{tmp_path}/b.toml: name: expected a name that no other file has (got "a")',
        f"{tmp_path}/c.toml: min_a: expected at most max_a, 48 (got 50.0)",
        f"{tmp_path}/d.toml: source: expected this key (it is missing)",
    ]


def test_a_folder_without_vehicles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a directory with vehicle files"):
        load_vehicles(tmp_path)
