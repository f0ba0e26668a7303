"""Scenario files: what stands on a circuit and what happens to it, checked whole before anything starts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from pathlib import Path
from typing import Any

import voluptuous as vol

from firmware.config import (
    BAUDS,
    DEFAULT_BAUD,
    MODELS,
    SERIAL_MAX,
    Check,
    ConfigError,
    Fields,
    attempt,
    choice,
    each,
    expected,
    flag,
    integer,
    load_toml,
    name,
    number,
    read_toml,
    required,
    settle,
    table,
    text,
    timing,
    validate,
)
from firmware.rotary import position
from firmware.timing import Timing
from hal.simulated.defects import FAULT_KINDS as PLANT_FAULTS
from hal.simulated.vehicle_spec import LIMITS, SPAN_S, VehicleSpec

CONFIGS = Path(__file__).parent / "configs"
DEFAULT_VEHICLE = "sedan"
FAULT_KINDS = (*PLANT_FAULTS, "bus_port")
"""Faults that can be injected: those of the simulated plant, and a bus port that goes away."""

HEATS = "over_temperature"

SHORTEST_S, LONGEST_S = SPAN_S
SEED_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StationSpec:
    """A station of a scenario. `switch` is a position 0-15; `serial` None = the world gives it one."""

    name: str
    model: str
    serial: int | None
    switch: int
    powered: bool
    clock_drift_ppm: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a moment (s). `station` None = the whole line. `args` holds the further keys
    of this `do`, defaults filled in, a switch position as a number."""

    at_s: float
    do: str
    station: str | None
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario. `events` are in order of time; `vehicles` also has those of the library."""

    duration_s: float
    seed: int
    voltage_v: float
    baud: int
    bit_error_rate: float
    stations: tuple[StationSpec, ...]
    vehicles: Mapping[str, VehicleSpec]
    events: tuple[Event, ...]
    path: Path
    timing: Timing = field(default_factory=Timing)
    """The same on all stations."""


def serial_of(name: str, serial: int | None) -> int:
    """The serial number that a file gives, else one that comes from the name: random looking, always the same."""
    if serial is not None:
        return serial
    return int.from_bytes(blake2s(name.encode(), digest_size=5).digest(), "big") + 1


def load_scenario(path: Path, library: Path = CONFIGS / "vehicles") -> Scenario:
    """Read a scenario. Its events may name its own vehicles and those of `library`; its own win. Raises
    `ConfigError` with every error of the file."""
    vehicles = load_vehicles(library)
    document = read_toml(path)
    known_vehicles = [*names_of(document, "vehicle"), *vehicles]
    schema = _schema(names_of(document, "station"), list(dict.fromkeys(known_vehicles)), moment(document))
    valid = validate(document, schema, path)
    vehicles.update((spec["name"], _vehicle_spec(spec)) for spec in valid["vehicle"])
    return Scenario(
        **valid["scenario"],
        **valid["bus"],
        timing=valid["timing"],
        stations=tuple(StationSpec(**{"serial": None} | spec) for spec in valid["station"]),
        vehicles=vehicles,
        events=tuple(sorted(valid["event"], key=lambda event: event.at_s)),
        path=path,
    )


def is_of_a_site(document: Mapping[str, Any]) -> bool:
    """Whether it is a scenario of a site (`watti.sites.scenario`), which names the site's file."""
    head = document.get("scenario")
    return isinstance(head, dict) and "site" in head


def load_vehicles(directory: Path = CONFIGS / "vehicles") -> dict[str, VehicleSpec]:
    """The vehicles of a directory, one a file, by name. Raises `ConfigError` with the errors of all files."""
    vehicles: dict[str, VehicleSpec] = {}
    errors: list[str] = []
    for path in sorted(directory.glob("*.toml")):
        try:
            valid = load_toml(path, _VEHICLE_FILE)
        except ConfigError as refused:
            errors += refused.errors
            continue
        if valid["name"] in vehicles:
            errors.append(f'{path}: name: expected a name that no other file has (got "{valid["name"]}")')
        vehicles[valid["name"]] = _vehicle_spec(valid)
    if errors or not vehicles:
        raise ConfigError(errors or [f"{directory}: expected a directory with vehicle files (*.toml)"])
    return vehicles


# What a document says before it is checked: enough to check its events against


def names_of(document: Mapping[str, Any], key: str) -> list[str]:
    """The names that a list of tables gives, as far as they are names."""
    tables = document.get(key)
    entries = tables if isinstance(tables, list) else []
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    return list(dict.fromkeys(entry for entry in names if isinstance(entry, str)))


def _duration_s(document: Mapping[str, Any]) -> float:
    scenario = document.get("scenario")
    duration_s: float | None = None
    if isinstance(scenario, dict):
        duration_s = attempt(_DURATION, scenario.get("duration_s"), [])
    return LONGEST_S if duration_s is None else duration_s


# Checks


def _schema(stations: list[str], vehicles: list[str], at: Check) -> vol.Schema:
    event = _event(_further_keys(_known(stations), _known(vehicles)), at)
    return vol.Schema(
        table(
            {
                required("scenario"): _SCENARIO,
                vol.Optional("timing", default=dict): timing,
                vol.Optional("bus", default=dict): _BUS,
                required("station"): named(_STATION, at_least=1),
                vol.Optional("vehicle", default=list): named(VEHICLE),
                vol.Optional("event", default=list): each(event),
            }
        )
    )


def _known(names: list[str]) -> Check:
    return choice(*names) if names else name


def moment(document: Mapping[str, Any]) -> Check:
    """A moment of the scenario that this document is."""
    duration_s = _duration_s(document)
    within = number(0, duration_s)

    def check(value: Any) -> Any:
        try:
            return within(value)
        except vol.Invalid:
            raise expected(f"a moment from 0 to the scenario's duration_s, {duration_s:.15g}", value) from None

    return check


def named(entry: Check, at_least: int = 0) -> Check:
    """A list of tables, each with a name of its own."""

    def check(value: Any) -> Any:
        errors: list[vol.Invalid] = []
        valid = attempt(each(entry), value, errors)
        if isinstance(value, list) and len(value) < at_least:
            errors.append(vol.Invalid(f"expected at least {at_least} (got none)"))
        errors.extend(_repeated(value if isinstance(value, list) else []))
        settle(errors)
        return valid

    return check


def _repeated(entries: list[Any]) -> Iterator[vol.Invalid]:
    seen: list[Any] = []
    for index, entry in enumerate(entries):
        taken = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(taken, str) and taken in seen:
            yield expected("a name that no other has", taken, index, "name")
        seen.append(taken)


def _vehicle_spec(valid: Mapping[str, Any]) -> VehicleSpec:
    return VehicleSpec(**{key: value for key, value in valid.items() if key != "source"})


def _vehicle(fields: Check) -> Check:
    """A table of these fields of which none contradicts another."""

    def check(value: Any) -> Any:
        valid = fields(value)
        settle(list(_contradictions(_vehicle_spec(valid))))
        return valid

    return check


def _contradictions(spec: VehicleSpec) -> Iterator[vol.Invalid]:
    for key, amps in (("min_a", spec.min_a), ("first_module_a", spec.first_module_a)):
        if amps > spec.max_a:
            yield expected(f"at most max_a, {spec.max_a:g}", amps, key)
    if spec.top_up_kwh > spec.battery_kwh:
        yield expected(f"at most battery_kwh, {spec.battery_kwh:g}", spec.top_up_kwh, "top_up_kwh")


def _event(further_keys: Mapping[str, Fields], moment: Check) -> Check:
    do = choice(*further_keys)
    no_do = table({required("do"): do})
    checks = {
        word: table({required("at_s"): moment, required("do"): do, **fields}, f'not a key of do = "{word}"')
        for word, fields in further_keys.items()
    }

    def check(value: Any) -> Event:
        if not isinstance(value, dict):
            raise expected("a table", value)
        known = isinstance(value.get("do"), str) and value["do"] in checks
        valid = checks[value["do"]](value) if known else no_do({key: value[key] for key in value.keys() & {"do"}})
        if "celsius" in valid and valid["kind"] != HEATS:
            raise expected(f'this key only with kind = "{HEATS}"', valid["celsius"], "celsius")
        at_s, word, station = valid.pop("at_s"), valid.pop("do"), valid.pop("station", None)
        return Event(at_s, word, station, valid)

    return check


def _further_keys(station: Check, vehicle: Check) -> Mapping[str, Fields]:
    """The keys of each `do`."""
    at: Fields = {required("station"): station}
    anywhere: Fields = {vol.Optional("station"): station}
    memory: Fields = {vol.Optional("lose_state", default=False): flag, vol.Optional("corrupt_state"): flag}
    another_unit: Fields = {vol.Optional("serial"): integer(1, SERIAL_MAX)}
    direction: Fields = {vol.Optional("direction", default="both"): choice("both", "send", "receive")}
    fault: Fields = {required("kind"): choice(*FAULT_KINDS)}
    disturbance: Fields = {
        required("kind"): choice("drop", "duplicate", "delay", "truncate", "echo", "babble"),
        required("rate"): _RATE,
        required("for_s"): _SPAN,
    }
    return {
        "plug": {**at, required("vehicle"): vehicle},
        "unplug": {**at, vol.Optional("vehicle"): vehicle},
        "switch": {**at, required("position"): position},
        "power_off": at,
        "power_on": {**at, **memory, **another_unit},
        "restart": {**at, **memory},
        "stall": {**at, required("for_s"): _SPAN},
        "bus_cut": {**at, **direction},
        "bus_join": {**at, **direction},
        "bus_noise": {**anywhere, required("rate"): _RATE},
        "bus_disturb": {**anywhere, **disturbance},
        "fault": {**at, **fault, vol.Optional("celsius"): CELSIUS},
        "clear_fault": {**at, **fault},
    }


CELSIUS = number(-40, 125)
"""What `over_temperature` can heat a station to."""
_RATE = number(0, 1)
_SPAN = number(SHORTEST_S, LONGEST_S)
_DURATION = _SPAN
_SCENARIO = table(
    {
        required("duration_s"): _DURATION,
        vol.Optional("seed", default=1): integer(0, SEED_MAX),
        vol.Optional("voltage_v", default=240.0): number(90, 300),
    }
)
_BUS = table(
    {
        vol.Optional("baud", default=DEFAULT_BAUD): choice(*BAUDS),
        vol.Optional("bit_error_rate", default=0.0): _RATE,
    }
)
_STATION = table(
    {
        required("name"): name,
        required("model"): choice(*MODELS),
        vol.Optional("serial"): integer(1, SERIAL_MAX),
        required("switch"): position,
        vol.Optional("powered", default=True): flag,
        vol.Optional("clock_drift_ppm", default=0.0): number(-10_000, 10_000),
    }
)
_VEHICLE_KEYS: Fields = {
    required("name"): name,
    **{vol.Optional(key): number(lo, hi) for key, (lo, hi) in LIMITS.items()},
    vol.Optional("glitches"): integer(*map(int, LIMITS["glitches"])),
    vol.Optional("obeys"): flag,
    vol.Optional("digital_only"): flag,
    vol.Optional("ventilated"): flag,
}
VEHICLE = _vehicle(table(_VEHICLE_KEYS))
"""A vehicle in a scenario: its keys are those of `VehicleSpec`."""
_VEHICLE_FILE = vol.Schema(_vehicle(table({**_VEHICLE_KEYS, required("source"): text})))
