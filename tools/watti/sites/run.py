"""A site's scenario in virtual time under one policy, with its trace and what a comparison needs."""

import csv
from collections.abc import Iterable, Sequence
from math import inf
from random import Random
from typing import Any, NamedTuple, TextIO

from cloud.controller import Controller
from cloud.fallback import choose
from cloud.lines import watts_per_ampere
from cloud.link import Command, Report, Wish
from cloud.policies import POLICIES
from cloud.site import Measures, Site
from cloud.site_rules import SiteError
from cloud.tree import Tree
from firmware.config import ConfigError
from watti.progress import watched
from watti.scenario import Event
from watti.sites.arrivals import Visit
from watti.sites.judge import Above, Judge, Verdict
from watti.sites.members import Members
from watti.sites.model import ModelMembers
from watti.sites.scenario import SiteScenario
from watti.sites.scenario_rules import UNCONTROLLED
from watti.sites.stays import Stay, Stays
from watti.sites.truth import Slot, Truth
from watti.sites.world import CUT, Controls, MeterState, Send, SiteWorld, Wire

COLUMNS = ("t_s", "member", "offered_a", "limit_a", "drawn_a", "bound")
_SAYS_S = 10.0  # from plug-in until its driver has said what is wanted
_SAMPLES = 1000


class Nobody:
    """In place of a controller: members are never told anything."""

    def next_wakeup(self) -> float:
        return inf

    def step(self, now: float) -> None: ...
    def on_report(self, i: int, report: Report, now: float) -> None: ...
    def on_meter(self, name: str, amps: Sequence[float], now: float) -> None: ...
    def on_wish(self, i: int, wish: Wish, now: float) -> None: ...


class Sample(NamedTuple):
    """A moment of a run."""

    t_s: float
    kw: float
    """What all vehicles draw."""
    waiting: int
    loads: Sequence[float]
    """In each slot, with the building's load."""


class Outcome(NamedTuple):
    """What came of a run."""

    policy: str
    stays: Sequence[Stay]
    energy_kwh: Sequence[float]
    """Of each member."""
    most_a: Sequence[float]
    """The most that each member drew."""
    peak_kw: float
    slots: Sequence[Slot]
    peaks: Sequence[float]
    """The most in each slot, with the building's load."""
    above: Sequence[Above]
    """For each slot."""
    bound_s: Sequence[float]
    """How long each slot may be above its limit after the building's load has jumped."""
    verdicts: Sequence[Verdict]
    samples: Sequence[Sample]


class SiteRun:
    """One scenario on its way. `trace` gets a line for each change of each member."""

    def __init__(self, scenario: SiteScenario, policy: str, trace: TextIO | None = None, sampled: bool = False) -> None:
        self.scenario, self.policy = scenario, policy
        site = scenario.site
        nodes = {node.name: node for node in site.nodes}
        self._watts = [watts_per_ampere(nodes[member.node], member.lines) for member in site.members]
        self._writer = csv.writer(trace, lineterminator="\n") if trace is not None else None
        if self._writer is not None:
            self._writer.writerow(COLUMNS)
        self._rows: list[tuple[str, ...]] = [()] * len(site.members)
        self._told: list[tuple[float, str]] = [(member.rating_a, "rating") for member in site.members]
        """The limit in the last command to each member, and why not more."""
        self._drawn = [0.0] * len(site.members)
        self._most_a = [0.0] * len(site.members)
        self._kw = self._peak_kw = 0.0
        self._samples: list[Sample] = []
        rng = Random(scenario.seed)
        self.truth = Truth(site, rng)
        self._bound_s = bounds(scenario)
        self.judge = Judge(self.truth, self._bound_s)
        self.members = self._made_members()
        self.stays = Stays(len(site.members), self.members.energy_kwh)
        self.world = SiteWorld(self.truth, self.members, self._made, self.judge, rng, scenario.loads)
        self.world.watchers.append(self._watch)
        self._plan(sampled)

    # Building

    def _made_members(self) -> Members:
        scenario, site = self.scenario, self.scenario.site
        try:
            fallbacks_a: list[float | None] = [da / 10 for da in choose(Tree(site))]
            if self.policy == UNCONTROLLED:
                fallbacks_a = [None] * len(fallbacks_a)
            if not scenario.firmware:
                return ModelMembers(site, fallbacks_a, self._watts)
            from watti.sites.inloop import FirmwareMembers

            return FirmwareMembers(site, fallbacks_a, self._watts, seed=scenario.seed)
        except SiteError as refused:
            raise ConfigError([f"{scenario.path}: {_told(site, p.path)}: {p.text}" for p in refused.problems]) from None

    def _made(self, send: Send, now: float) -> Controls:
        if self.policy == UNCONTROLLED:
            return Nobody()

        def noted(i: int, command: Command) -> None:
            self._told[i] = (command.limit_da / 10, command.reason)
            send(i, command)

        return Controller(Tree(self.scenario.site), POLICIES[self.policy], noted, now)

    def _plan(self, sampled: bool) -> None:
        scenario, world = self.scenario, self.world
        wire = Wire(delay_s=scenario.network.delay_s, loss=scenario.network.loss)
        for i in range(len(scenario.site.members)):
            world.wires(i, wire, wire)
        for visit in scenario.visits:
            world.at(visit.arrives_s, self._come, visit)
            if visit.departs_s <= scenario.duration_s:
                world.at(visit.departs_s, self._leave, visit)
        for event in scenario.events:
            self._plan_event(event, wire)
        if sampled:
            for k in range(_SAMPLES + 1):
                world.at(scenario.duration_s * k / _SAMPLES, self._sample)

    def _plan_event(self, event: Event, wire: Wire) -> None:
        world, at_s = self.world, event.at_s
        ends_s = at_s + event.args.get("for_s", 0.0)
        names = [member.name for member in self.scenario.site.members]
        i = names.index(event.station) if event.station is not None else -1
        if event.do == "offline":
            world.at(at_s, world.wires, i, CUT, CUT)
            world.at(ends_s, world.wires, i, wire, wire)
        elif event.do == "meter":
            world.at(at_s, world.meter, event.args["meter"], MeterState(event.args["fault"]))
            world.at(ends_s, world.meter, event.args["meter"], MeterState())
        elif event.do == "controller_off":
            world.at(at_s, world.stop_controller)
            world.at(ends_s, world.start_controller)
        elif event.do == "restart":
            world.at(at_s, world.restart, i)
        else:
            world.at(at_s, world.power, i, event.do == "power_on")

    # While it runs

    def _come(self, visit: Visit) -> None:
        member, station = visit.place
        self.world.plug(member, station, visit.vehicle)
        ends_s = min(visit.departs_s, self.scenario.duration_s)
        most_a = min(visit.vehicle.max_a, self.scenario.site.members[member].rating_a)
        possible_kwh = most_a * self._watts[member] * (ends_s - visit.arrives_s) / 3.6e6
        self.stays.come(member, visit.asks_kwh, min(visit.asks_kwh, possible_kwh), self.world.now)
        if visit.wish is not None:
            self.world.at(self.world.now + _SAYS_S, self._say, visit)

    def _say(self, visit: Visit) -> None:
        if visit.wish is not None and self.world.now < visit.departs_s:
            self.world.wish(visit.place.member, visit.wish)

    def _leave(self, visit: Visit) -> None:
        member, station = visit.place
        self.stays.leave(member, self.world.now)
        self.world.unplug(member, station)

    def _watch(self, now: float, changed: Iterable[int]) -> None:
        for i in changed:
            offered, drawn = self.members.offered_a(i), self.members.drawn_a(i)
            self.stays.offer(i, offered, now)
            if drawn != self._drawn[i]:
                self._kw += (drawn - self._drawn[i]) * self._watts[i] / 1000
                self._drawn[i] = drawn
                self._most_a[i] = max(self._most_a[i], drawn)
            if self._writer is not None:
                self._write(i, offered, drawn, now)
        self._peak_kw = max(self._peak_kw, self._kw)

    def _write(self, i: int, offered: float, drawn: float, now: float) -> None:
        limit, why = self._told[i]
        row = (f"{offered:.1f}", f"{limit:.1f}", f"{drawn:.2f}", why)
        if row != self._rows[i] and self._writer is not None:
            self._rows[i] = row
            self._writer.writerow((f"{now:.3f}", self.scenario.site.members[i].name, *row))

    def _sample(self) -> None:
        now = self.world.now
        self._samples.append(Sample(now, self._kw, self.stays.waiters(now), self.judge.loads()))

    def run(self, terminal: TextIO | None = None) -> Outcome:
        """To the end; how far it is goes to `terminal`."""
        until = self.scenario.duration_s
        if terminal is None:
            self.world.run(until)
        else:
            watched(self.world.run, until, terminal)
        self.judge.end(until)
        return Outcome(
            policy=self.policy,
            stays=self.stays.end(until),
            energy_kwh=[self.members.energy_kwh(i, until) for i in range(len(self._watts))],
            most_a=self._most_a,
            peak_kw=self._peak_kw,
            slots=self.truth.slots,
            peaks=self.judge.peaks,
            above=[self.judge.above.get(s, Above()) for s in range(len(self.truth.slots))],
            bound_s=[self._bound_s[slot.node] for slot in self.truth.slots],
            verdicts=self.judge.verdicts,
            samples=self._samples,
        )


def _told(site: Site, path: Sequence[Any]) -> str:
    """Where a problem of a site is, in words."""
    if path[0] == "member":
        return f"{site.members[path[1]].name}: {path[2]}"
    return ".".join(map(str, path))


def bounds(scenario: SiteScenario) -> list[float]:
    """Of each node, how long it may be above its limit after the building's load has jumped.

    Only where a meter sees the load, on the node or below it: until the meter reads (or is taken to be dead), the
    command is there (or the lease of a member that hears nothing is over) and the vehicles have followed.
    """
    site = scenario.site
    parents = {node.name: node.parent for node in site.nodes}
    known: dict[str, float] = {}
    for meter in site.meters:
        node: str | None = meter.node
        while node is not None:
            known[node] = max(known.get(node, 0.0), _until_followed(scenario, meter.period_s, meter.stale_after_s))
            node = parents[node]
    return [known.get(node.name, 0.0) for node in site.nodes]


def _until_followed(scenario: SiteScenario, period_s: float, stale_after_s: float) -> float:
    timing, network = scenario.site.timing, scenario.network
    faults = {event.do for event in scenario.events}
    read_s = (stale_after_s if "meter" in faults else period_s) + MeterState().delay_s
    if any(meter.measures is Measures.TOTAL for meter in scenario.site.meters):
        read_s += timing.report_s  # what the stations draw has to be known as well
    away = network.loss > 0 or not faults.isdisjoint({"offline", "power_off", "restart", "controller_off"})
    told_s = timing.lease_s if away else 2 * network.delay_s
    settle_s = max(member.settle_s for member in scenario.site.members)
    return (read_s + told_s + settle_s + _DECIDES_S) * (1 + timing.drift)


_DECIDES_S = 1.0
"""The controller plans at most twice a second; contactors take their part."""
