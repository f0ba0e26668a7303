"""A scenario as the text of a file that `load_scenario` reads back as the very same."""

from dataclasses import asdict, fields
from typing import Any

import tomli_w

from firmware.timing import Timing
from hal.simulated.vehicle_spec import VehicleSpec
from watti.scenario import Event, Scenario, StationSpec

_TIMES = ("reaction_s", "poll_s", "lease_s", "release_s")
"""Those that a file may set."""


def text_of(scenario: Scenario, heading: str = "") -> str:
    """The scenario in TOML, after a comment of these lines."""
    document: dict[str, Any] = {
        "scenario": {"duration_s": scenario.duration_s, "seed": scenario.seed, "voltage_v": scenario.voltage_v},
        "timing": _changed({key: getattr(scenario.timing, key) for key in _TIMES}, asdict(Timing())),
        "bus": {"baud": scenario.baud, "bit_error_rate": scenario.bit_error_rate},
        "station": [_station(spec) for spec in scenario.stations],
        "vehicle": [_vehicle(spec) for spec in scenario.vehicles.values()],
        "event": [_event(event) for event in scenario.events],
    }
    shown = "".join(letter if letter.isprintable() else "\n" for letter in heading)  # TOML bears no control character
    comment = "".join(f"# {line}\n" for line in shown.splitlines())
    return comment + tomli_w.dumps({key: value for key, value in document.items() if value})


def _changed(values: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != usual.get(key)}


def _station(spec: StationSpec) -> dict[str, Any]:
    usual = {"serial": None, "powered": True, "clock_drift_ppm": 0.0}
    return _changed(asdict(spec), usual) | {"switch": f"{spec.switch:X}"}


def _vehicle(spec: VehicleSpec) -> dict[str, Any]:
    usual = {field.name: field.default for field in fields(VehicleSpec)}
    return _changed(asdict(spec), usual)


def _event(event: Event) -> dict[str, Any]:
    head = {"at_s": event.at_s, "do": event.do} | ({} if event.station is None else {"station": event.station})
    args = dict(event.args)
    return head | args | ({"position": f"{args['position']:X}"} if "position" in args else {})
