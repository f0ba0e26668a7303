"""Scenario files of sites: which site, who comes, what the building takes and what breaks, checked whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from cloud.lines import LINES
from cloud.site import Member, Site
from firmware.config import ConfigError, read_toml, validate
from hal.simulated.vehicle_spec import VehicleSpec
from watti.scenario import Event, load_vehicles, names_of
from watti.site_file import load_site
from watti.sites.arrivals import Visit, arrivals_csv, overlaps, places, wish_of
from watti.sites.generator import HABITS, draw
from watti.sites.load import Amps, Load, load_csv
from watti.sites.scenario_rules import Known, rules


@dataclass(frozen=True, slots=True)
class Network:
    """Between the controller and each member, both ways."""

    delay_s: float
    loss: float
    """The probability that a message is lost."""


@dataclass(frozen=True, slots=True)
class SiteScenario:
    """A checked scenario of a site. `events` are those that are neither visits nor loads, in order of time."""

    path: Path
    site: Site
    duration_s: float
    seed: int
    policy: str
    firmware: bool
    """Each station runs its firmware; False: a model of it, for large sites."""
    begins_s: float
    """Time of day at which it begins."""
    network: Network
    visits: tuple[Visit, ...]
    """In order of arrival."""
    loads: Mapping[str, Load]
    """Of the building, by node."""
    events: tuple[Event, ...]


def load_site_scenario(path: Path, seed: int | None = None) -> SiteScenario:
    """Read a scenario; `seed` instead of its own. Raises `ConfigError` with every error of it, of its site's file and
    of its CSV files."""
    document = read_toml(path)
    vehicles = load_vehicles()
    errors: list[str] = []
    site = _site_of(document, path, errors)
    known = Known.of(site, list(dict.fromkeys([*names_of(document, "vehicle"), *vehicles])))
    try:
        valid = validate(document, rules(document, known), path)
    except ConfigError as refused:
        raise ConfigError([*refused.errors, *errors]) from None
    if site is None:
        raise ConfigError(errors)
    valid["scenario"] |= {} if seed is None else {"seed": seed}
    vehicles.update((spec["name"], VehicleSpec(**spec)) for spec in valid["vehicle"])
    scenario = _Maker(path, site, valid, vehicles, errors).scenario()
    if errors:
        raise ConfigError(errors)
    return scenario


def _site_of(document: Mapping[str, Any], path: Path, errors: list[str]) -> Site | None:
    head = document.get("scenario")
    where = head.get("site") if isinstance(head, dict) else None
    if not isinstance(where, str) or not where.isprintable():
        return None
    try:
        return load_site(path.parent / where)
    except ConfigError as refused:
        errors += refused.errors
        return None


@dataclass
class _Maker:
    """Makes the scenario of a document whose keys are all right; what its parts say against each other joins
    `errors`."""

    path: Path
    site: Site
    valid: dict[str, Any]
    vehicles: Mapping[str, VehicleSpec]
    errors: list[str]

    def scenario(self) -> SiteScenario:
        head = self.valid["scenario"]
        visits = sorted([*self._arrivals(), *self._plugged()], key=lambda visit: (visit.arrives_s, visit.place))
        self._refuse_overlaps(visits)
        return SiteScenario(
            path=self.path,
            site=self.site,
            **{key: head[key] for key in ("duration_s", "seed", "policy", "firmware")},
            begins_s=head["begins"],
            network=Network(**self.valid["network"]),
            visits=tuple(visits),
            loads=self._loads(),
            events=tuple(event for event in self._events() if event.do not in {"plug", "unplug", "load"}),
        )

    def _events(self, *do: str) -> list[Event]:
        """Those that do this, or all of them, in order of time."""
        return sorted((e for e in self.valid["event"] if not do or e.do in do), key=lambda event: event.at_s)

    def _refuse(self, event: Event, why: str) -> None:
        self.errors.append(f"{self.path}: event[{self.valid['event'].index(event)}]: {why}")

    # Who comes

    def _arrivals(self) -> list[Visit]:
        """From the file or by seed."""
        said, head, members = self.valid["arrivals"], self.valid["scenario"], self.site.members
        base = self.vehicles[said["vehicle"]]
        if "csv" in said:
            return arrivals_csv(self.path.parent / said["csv"], members, base, self.errors)
        if "generator" not in said:
            return []
        changed = {key: value for key, value in said["generator"].items() if key != "kind"}
        habit = replace(HABITS[said["generator"]["kind"]], **changed)
        return draw(habit, members, base, head["seed"], head["begins"], head["duration_s"])

    def _plugged(self) -> Iterator[Visit]:
        """By events: from each `plug` to the next `unplug` of its station."""
        known = places(self.site.members)
        moves = self._events("plug", "unplug")
        for i, event in enumerate(moves):
            before, after = ([e for e in part if e.station == event.station] for part in (moves[:i], moves[i + 1 :]))
            place = known[str(event.station)]
            member = self.site.members[place.member]
            if event.do == "unplug" and (not before or before[-1].do == "unplug"):
                self._refuse(event, "expected a vehicle that an event has plugged in there (there is none)")
            elif event.do == "plug":
                self._refuse_wish(event, member)
                departs_s = next((e.at_s for e in after if e.do == "unplug"), inf)
                wish = wish_of(member, departs_s=inf, said=event.args)
                yield Visit(place, event.at_s, departs_s, self.vehicles[event.args["vehicle"]], wish)

    def _refuse_wish(self, event: Event, member: Member) -> None:
        if member.is_group and event.args.keys() & {"weight", "priority"}:
            self._refuse(event, "expected no weight or priority: vehicles of a group share by themselves")

    def _refuse_overlaps(self, visits: Sequence[Visit]) -> None:
        names = {place: name for name, place in places(self.site.members).items()}
        self.errors += (
            f"{self.path}: {names[one.place]}: expected one vehicle at a time (one comes at {other.arrives_s:g} s, "
            f"another is there from {one.arrives_s:g} to {one.departs_s:g} s)"
            for one, other in overlaps(visits)
        )

    # What the building takes

    def _loads(self) -> dict[str, Load]:
        loads: dict[str, Load] = {}
        head, nodes = self.valid["scenario"], self.site.nodes
        if "csv" in self.valid["load"]:
            file = self.path.parent / self.valid["load"]["csv"]
            loads = load_csv(file, nodes, head["begins"], head["duration_s"], self.errors)
        for node in nodes:
            lines = len(LINES[node.phases])
            events = [event for event in self._events("load") if event.args["node"] == node.name]
            jumps = [jump for event in events for jump in self._jumps(event, lines)]
            if jumps:
                loads[node.name] = loads.get(node.name, Load(lines)).raised(jumps)
        return loads

    def _jumps(self, event: Event, lines: int) -> Iterator[tuple[float, Amps]]:
        amps = event.args["amps"]
        each_line = tuple(amps) if isinstance(amps, list) else (amps,) * lines
        if len(each_line) != lines:
            self._refuse(event, f"amps: expected one number or {lines}, one for each line (got {len(each_line)})")
            return
        yield event.at_s, each_line
        if "for_s" in event.args:
            yield event.at_s + event.args["for_s"], tuple(-one for one in each_line)
