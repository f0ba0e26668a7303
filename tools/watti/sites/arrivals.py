"""Who comes to a site, when, for how long and with what: from a CSV file, or drawn by seed (`generator`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import voluptuous as vol

from cloud.link import Wish
from cloud.site import Member
from firmware.config import Check, Fields, choice, expected, integer, number, required
from hal.simulated.vehicle_spec import LIMITS, SPAN_S, VehicleSpec
from watti.sites.csv_file import headings, numeric, read_rows

_NEEDED = ("station", "arrives_s")
_FURTHER = ("departs_s", "energy_kwh", "max_a", "weight", "priority")
WEIGHT, PRIORITY = number(0.01, 100), integer(-100, 100)


class Place(NamedTuple):
    """A connector: a member of the site and the station in it, 0 of a single one."""

    member: int
    station: int


class Visit(NamedTuple):
    """A vehicle at a station. `departs_s` inf = it stays."""

    place: Place
    arrives_s: float
    departs_s: float
    vehicle: VehicleSpec
    wish: Wish | None = None
    """What its driver says on arrival."""

    @property
    def asks_kwh(self) -> float:
        """Until its battery is full."""
        return self.vehicle.battery_kwh * (1.0 - self.vehicle.soc)


def places(members: Sequence[Member]) -> dict[str, Place]:
    """Every station by its name: of a group its number after a point, "garage.2"."""
    return {
        f"{member.name}.{station + 1}" if member.is_group else member.name: Place(i, station)
        for i, member in enumerate(members)
        for station in range(member.stations)
    }


def wanting(base: VehicleSpec, energy_kwh: float | None, max_a: float | None = None) -> VehicleSpec:
    """A vehicle like `base` that lacks this much and takes at most `max_a`; None = as `base`."""
    taken_a = base.max_a if max_a is None else max_a
    spec = replace(
        base, max_a=taken_a, min_a=min(base.min_a, taken_a), first_module_a=min(base.first_module_a, taken_a)
    )
    if energy_kwh is None:
        return spec
    battery_kwh = max(base.battery_kwh, energy_kwh)
    return replace(spec, battery_kwh=battery_kwh, soc=1.0 - energy_kwh / battery_kwh)


def arrivals_csv(path: Path, members: Sequence[Member], base: VehicleSpec, errors: list[str]) -> list[Visit]:
    """The visits of a file in the order of its rows; all that is wrong joins `errors`."""
    known = places(members)
    visits = []
    for line, row in read_rows(path, lambda got: _columns(got, known), errors):
        place = known[row["station"]]
        refusal = _contradiction(row, members[place.member])
        if refusal is not None:
            errors.append(f"{path}: line {line}: {refusal.path[0]}: {refusal.msg}")
        else:
            leaves_s = row.get("departs_s", inf)
            visits.append(visit_of(place, members[place.member], base, row["arrives_s"], leaves_s, row))
    return visits


def _columns(got: Sequence[str], known: Mapping[str, Place]) -> Fields:
    headings(got, _NEEDED, _FURTHER.__contains__, f"some of {', '.join(_FURTHER)}")
    moment = numeric(number(0, SPAN_S[1]))
    further: dict[str, Check] = {
        "departs_s": moment,
        "energy_kwh": numeric(number(*LIMITS["battery_kwh"])),
        "max_a": numeric(number(1, LIMITS["max_a"][1])),
        "weight": numeric(WEIGHT),
        "priority": numeric(PRIORITY),
    }
    optional: Fields = {vol.Optional(key): check for key, check in further.items()}
    return {required("station"): choice(*known), required("arrives_s"): moment, **optional}


def _contradiction(row: Mapping[str, Any], member: Member) -> vol.Invalid | None:
    if row.get("departs_s", inf) <= row["arrives_s"]:
        return expected("a moment after arrives_s", row["departs_s"], "departs_s")
    for key in ("weight", "priority"):
        if key in row and member.is_group:
            return expected("nothing: vehicles of a group share by themselves", row[key], key)
    return None


def visit_of(
    place: Place, member: Member, base: VehicleSpec, arrives_s: float, departs_s: float, said: Mapping[str, Any]
) -> Visit:
    """A visit with what is said of it: `energy_kwh`, `max_a`, `weight`, `priority`."""
    vehicle = wanting(base, said.get("energy_kwh"), said.get("max_a"))
    return Visit(place, arrives_s, departs_s, vehicle, wish_of(member, departs_s, said))


def wish_of(member: Member, departs_s: float, said: Mapping[str, Any]) -> Wish | None:
    """What a driver says with `energy_kwh`, `weight`, `priority`; nobody can for one vehicle of a group."""
    if member.is_group:
        return None
    energy_kwh = said.get("energy_kwh")
    return Wish(
        energy_wh=None if energy_kwh is None else energy_kwh * 1000.0,
        departs_at=None if departs_s == inf else departs_s,
        weight=said.get("weight"),
        priority=said.get("priority"),
    )


def overlaps(visits: Iterable[Visit]) -> list[tuple[Visit, Visit]]:
    """Pairs of which the second comes to a station before the first has left it."""
    by_place: dict[Place, list[Visit]] = {}
    for visit in sorted(visits, key=lambda visit: visit.arrives_s):
        by_place.setdefault(visit.place, []).append(visit)
    return [
        (one, next_one)
        for those in by_place.values()
        for one, next_one in pairwise(those)
        if next_one.arrives_s < one.departs_s
    ]
