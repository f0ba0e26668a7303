"""The files that people write: refused with errors that name file and key, or taken and then fit to be used."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

from firmware.app import App, Setup
from firmware.bus.rtu import silence_s
from firmware.config import BAUDS, MODELS, ConfigError, StationConfig
from firmware.rotary import POSITIONS, Chart, Role
from firmware.timing import Timing
from hal.simulated.defects import FAULT_KINDS
from hal.simulated.plant import Plant
from hal.simulated.vehicle_spec import VehicleSpec
from hal.simulated.world import Boot, World
from tests.fuzz import kept
from tests.fuzz.documents import TOKENS, Fields, between, document, fields, flag, one_of, whole
from tests.fuzz.fuzzer import Target
from watti.board_file import read_station
from watti.scenario import CONFIGS, LONGEST_S, Scenario, load_scenario, load_vehicles, serial_of
from watti.simulation import Simulation

CHART_FILE = CONFIGS / "rotary.toml"
CHART = Chart.load(CHART_FILE)
_USED_S = 40.0
"""How long an accepted scenario or vehicle is used: the quiet start is over by then, and a vehicle draws."""
_ERROR = re.compile(r"expected |not TOML: |unknown key, |not a key of |is too (short|long): |can't |come to ")

_FOLDER = TemporaryDirectory()
_FILE = Path(_FOLDER.name, "files", "some.toml")
_LIBRARY = Path(_FOLDER.name, "library")
Loaded = TypeVar("Loaded")


def loaded(load: Callable[[Path], Loaded], data: bytes) -> Loaded | str:
    """What a loader makes of a file with these bytes; when it refuses them, `refused` and how."""
    _FILE.parent.mkdir(exist_ok=True)
    _FILE.write_bytes(data)
    try:
        return load(_FILE)
    except ConfigError as refused:
        errors = refused.errors
    assert errors
    for error in errors:
        assert error.startswith(f"{_FILE}: "), f"does not name its file: {error}"
        assert error.isprintable(), f"not one line for people: {error!r}"
        assert _ERROR.search(error), f"does not say what was expected: {error}"
    return f"refused {_kind(errors[0])}".strip()


def _kind(error: str) -> str:
    """An error without what differs from file to file; nothing of one in the syntax."""
    if "not TOML" in error:
        return ""
    return re.sub(r"\(got .*|\d+|a\.a\..*?: |\"[^\"]*\"", "", error.removeprefix(f"{_FILE}: "))[:60]


# A station's file

_STATION: Fields = {
    "model": one_of(*MODELS),
    "name": one_of("a", "garage-left", "x" * 32),
    "serial": whole(1, 2**48 - 2),
}
_BUS: Fields = {"port": one_of("/dev/ttyUSB0"), "baud": one_of(*BAUDS)}
_TIMING: Fields = {
    "reaction_s": between(6.5, 60),
    "poll_s": between(0.2, 2),
    "lease_s": between(2, 30),
    "release_s": between(60, 600),
}


def station(rng: Random) -> bytes:
    lines = ["[station]", *fields(_STATION, rng, ["model"]), "[bus]", *fields(_BUS, rng)]
    return document([*lines, "[board]", 'kind = "simulated"', "[timing]", *fields(_TIMING, rng)], rng)


def check_station(data: bytes) -> str:
    """Taken, it makes a station that starts."""
    config = loaded(read_station, data)
    if isinstance(config, str):
        return config
    assert isinstance(config, StationConfig)
    name = config.name or "s1"
    setup = Setup(serial_of(name, config.serial), config.model, MODELS[config.model], config.baud, config.timing, CHART)
    world = _one_station(setup)
    world.run(2.0)
    assert isinstance(world.slots[0].node, App)
    return "accepted"


def _one_station(setup: Setup) -> World:
    def boot(boot: Boot) -> App:
        return App(setup, boot.board, boot.rng, boot.inputs, boot.now)

    world = World(1, setup.baud, silence_s(setup.baud), boot)
    world.add(Plant(0xB, powered=False))
    world.power_on(0)
    return world


# The chart

_ROWS = CHART_FILE.read_text().replace("[[row]]", "\n[[row]]").splitlines()
_CHART = [line for line in _ROWS if line and not line.startswith("#")]


def chart(rng: Random) -> bytes:
    return document(_CHART, rng)


def check_chart(data: bytes) -> str:
    """Taken, it has a row for each position, and exactly one of a secondary."""
    read = loaded(Chart.load, data)
    if isinstance(read, str):
        return read
    assert [row.digit for row in read.rows] == list(range(POSITIONS))
    for rating in MODELS.values():
        settings = [read.setting(position, rating) for position in (None, *range(-1, POSITIONS + 1))]
        assert [setting.role for setting in settings].count(Role.SECONDARY) == 1
        assert all(6 <= setting.limit_a <= rating for setting in settings if setting.limit_a is not None)
    return "accepted"


# Vehicles

_VEHICLE: Fields = {
    "name": one_of("car", "a", "x-1"),
    "max_a": between(32, 100),
    "min_a": between(0, 32),
    "draw_ratio": between(0, 2),
    "start_delay_s": between(0, 20),
    "reaction_s": between(0, 60),
    "ramp_a_per_s": between(0, 1000),
    "battery_kwh": between(20, 1000),
    "soc": between(0, 1),
    "obeys": flag,
    "ramp_step_a": between(0.1, 100),
    "first_module_a": between(0, 32),
    "second_module_s": between(0, 60),
    "sleeps_after_s": between(0, LONGEST_S),
    "gives_up_s": between(0, 3600),
    "glitches": whole(0, 100),
    "glitch_s": between(0.001, 2),
    "glitch_pause_s": between(0.001, 10),
    "top_up_kwh": between(0, 20),
    "top_up_after_s": between(0, 100),
    "s3_s": between(0, 60),
    "digital_only": flag,
    "ventilated": flag,
}


def vehicle(rng: Random) -> bytes:
    return document([*fields(_VEHICLE, rng, ["name"]), 'source = "I"'], rng)


def check_vehicle(data: bytes) -> str:
    """Taken, it charges or does not, and can be unplugged."""
    vehicles = loaded(lambda path: load_vehicles(path.parent), data)
    if isinstance(vehicles, str):
        return vehicles
    assert len(vehicles) == 1
    drove = _driven(next(iter(vehicles.values())))
    return f"accepted {drove}"


def _driven(spec: VehicleSpec) -> str:
    world = _one_station(Setup(1, "80A", 80, 115200, Timing(), CHART))
    plant = world.slots[0].plant
    world.touch(0, lambda plant, now: plant.plug(spec, now))
    world.run(_USED_S)
    letter, draws = plant.letter, plant.current_a > 0.0
    world.touch(0, lambda plant, now: plant.unplug(now))
    world.run(_USED_S + spec.s3_s + 5.0)
    return f"{letter} {draws}"


# Scenarios

_STATIONS = ("s1", "s2", "s3")
_AT = one_of(*_STATIONS)
_EVENTS: Mapping[str, Fields] = {
    "plug": {"station": _AT, "vehicle": one_of("sedan", "own")},
    "unplug": {"station": _AT},
    "switch": {"station": _AT, "position": one_of(*"0123456789ABCDEFabcdef")},
    "power_off": {"station": _AT},
    "power_on": {"station": _AT},
    "restart": {"station": _AT},
    "stall": {"station": _AT, "for_s": between(0.001, 20)},
    "bus_cut": {"station": _AT},
    "bus_join": {"station": _AT},
    "bus_noise": {"rate": between(0, 1)},
    "bus_disturb": {
        "kind": one_of("drop", "duplicate", "delay", "truncate", "echo", "babble"),
        "rate": between(0, 1),
        "for_s": between(0.001, 20),
    },
    "fault": {"station": _AT, "kind": one_of(*FAULT_KINDS, "bus_port")},
    "clear_fault": {"station": _AT, "kind": one_of(*FAULT_KINDS, "bus_port")},
}
_MORE: Fields = {
    "lose_state": flag,
    "corrupt_state": flag,
    "direction": one_of("both", "send", "receive"),
    "celsius": between(-40, 125),
    "serial": whole(1, 9),
}
_MORE_OF = {
    "power_on": ("lose_state", "corrupt_state", "serial"),
    "restart": ("lose_state", "corrupt_state"),
    "bus_cut": ("direction",),
    "bus_join": ("direction",),
}


def scenario(rng: Random) -> bytes:
    duration_s, names, cars = rng.choice((0.001, 1.0, 45.0, 45.0, 45.0, 1e6)), _STATIONS[: rng.randint(1, 3)], ["sedan"]
    lines = ["[scenario]", f"duration_s = {duration_s}", *fields({"seed": whole(0, 2**63 - 1)}, rng)]
    lines += ["[bus]", *fields({"baud": one_of(*BAUDS), "bit_error_rate": between(0, 0.01)}, rng)]
    for name in names:
        about: Fields = {"serial": whole(1, 9), "powered": flag, "clock_drift_ppm": between(-10_000, 10_000)}
        lines += ["[[station]]", f'name = "{name}"', f"model = {one_of(*MODELS)(rng)}"]
        lines += [f'switch = "{rng.choice("BFF8")}"', *fields(about, rng)]
    if rng.random() < 0.4:
        own = {key: value for key, value in _VEHICLE.items() if key != "name"}
        lines += ["[[vehicle]]", 'name = "own"', *fields(own, rng)]
        cars.append("own")
    known: Fields = {"station": one_of(*names), "vehicle": one_of(*cars), "at_s": between(0, min(duration_s, _USED_S))}
    for _ in range(rng.choice((0, 3, 12))):
        lines += _event(known, rng)
    return document(lines, rng)


def _event(known: Fields, rng: Random) -> list[str]:
    do = rng.choice((*_EVENTS, "plug", "plug"))
    needed = {key: known.get(key, value) for key, value in {**_EVENTS[do], "at_s": known["at_s"]}.items()}
    more = {key: _MORE[key] for key in _MORE_OF.get(do, ())}
    return ["[[event]]", f'do = "{do}"', *fields(needed, rng, list(needed)), *fields(more, rng)]


def check_scenario(data: bytes) -> str:
    """Taken, it runs."""
    if not _LIBRARY.exists():
        _LIBRARY.mkdir()
        (_LIBRARY / "sedan.toml").write_bytes((CONFIGS / "vehicles" / "sedan.toml").read_bytes())
    read = loaded(lambda path: load_scenario(path, _LIBRARY), data)
    if isinstance(read, str):
        return read
    assert isinstance(read, Scenario)
    simulation = Simulation(read, CHART, read.seed)
    simulation.world.run(min(read.duration_s, _USED_S))
    assert simulation.result(1.0)["stations"].keys() == {spec.name for spec in read.stations}
    return f"accepted {len(read.stations)} {len(read.events) > 0}"


def targets() -> list[Target]:
    return [
        Target("station file", station, check_station, kept.TOML, TOKENS),
        Target("chart file", chart, check_chart, (*kept.TOML, *kept.CHART), TOKENS),
        Target("vehicle file", vehicle, check_vehicle, kept.TOML, TOKENS),
        Target("scenario file", scenario, check_scenario, (*kept.TOML, *kept.SCENARIO), TOKENS),
    ]
