"""A day of 54 stations for the benchmark of online control: its sessions, its vehicles, what came of it.

The same vehicles for every algorithm: a vehicle draws the least of its pilot, its own 32 A and what would fill it
within the minute (acnportal's `Battery`). Energy and departure are known to every algorithm.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

MINUTES = 24 * 60
VOLTS = 208.0
MOST_A = 32.0
MINIMUM_A = 6.0
_PERIOD_H = 1 / 60


class Session(NamedTuple):
    """A vehicle at a station: minutes of the day, and what it wants."""

    station: int
    arrives: int
    leaves: int
    wanted_kwh: float


def sessions(seed: int, stations: int = 54) -> list[Session]:
    """A full car park: every station has a vehicle in the morning (8:40 +- 55 min, for 5 h +- 70 min, one in five for 8
    to 10 h), and another one 10 to 60 min after it left, before 21:00 (for 3 to 6 h). Each wants 8 to 55 kWh, most
    likely 26, and never more than 90 % of what 32 A brings in its time."""
    rng, found = Random(seed), []
    for station in range(stations):
        arrives = round(min(max(rng.gauss(520, 55), 300), 720))
        stays = rng.uniform(480, 600) if rng.random() < 0.2 else min(max(rng.gauss(300, 70), 120), 480)
        found.append(_session(rng, station, arrives, round(stays)))
        arrives = found[-1].leaves + rng.randint(10, 60)
        if arrives < 21 * 60:
            found.append(_session(rng, station, arrives, rng.randint(180, 360)))
    return sorted(found, key=lambda s: (s.arrives, s.station))


def _session(rng: Random, station: int, arrives: int, stays: int) -> Session:
    leaves = min(arrives + stays, MINUTES - 1)
    most = 0.9 * MOST_A * VOLTS / 1000 * (leaves - arrives) * _PERIOD_H
    return Session(station, arrives, leaves, min(rng.triangular(8, 55, 26), most))


class Vehicle:
    """What is at a station."""

    __slots__ = ("got_kwh", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.got_kwh = 0.0

    @property
    def left_a(self) -> float:
        """What would fill it within a minute."""
        return (self.session.wanted_kwh - self.got_kwh) * 1000 / VOLTS / _PERIOD_H

    def draw(self, pilot_a: float) -> float:
        """For a minute; the amperes drawn."""
        amps = min(pilot_a, MOST_A, self.left_a)
        self.got_kwh += amps * VOLTS / 1000 * _PERIOD_H
        return amps


class Day(NamedTuple):
    """What came of it."""

    seconds: float
    """All of the run."""
    deciding_s: float
    """Of it in decisions."""
    got_kwh: Sequence[float]
    """By session."""
    pilots: Sequence[Sequence[float]]
    """A for each minute and station."""
    peak_kw: float


Decide = Callable[[int, Sequence[Vehicle | None]], Sequence[float]]
"""From the minute and the vehicle at each station, in order, to pilots."""


def run(day: Sequence[Session], decide: Decide, clock: Callable[[], float], stations: int = 54) -> Day:
    """A day with a decision each minute for all vehicles that are there and not full."""
    began, deciding_s, peak_a = clock(), 0.0, 0.0
    bays: list[Vehicle | None] = [None] * stations
    vehicles = [Vehicle(session) for session in day]
    coming = iter(vehicles)
    later = next(coming, None)
    pilots = []
    for minute in range(MINUTES):
        bays = [bay if bay and bay.session.leaves > minute else None for bay in bays]
        while later and later.session.arrives <= minute:
            bays[later.session.station] = later
            later = next(coming, None)
        before = clock()
        amps = decide(minute, bays)
        deciding_s += clock() - before
        pilots.append(amps)
        peak_a = max(peak_a, sum(bay.draw(pilot) for bay, pilot in zip(bays, amps, strict=True) if bay))
    return Day(clock() - began, deciding_s, [v.got_kwh for v in vehicles], pilots, peak_a * VOLTS / 1000)


def jain(got: Sequence[float], wanted: Sequence[float]) -> float:
    """Jain's index over what each got of what it wanted: 1 = all the same part."""
    parts = [g / w for g, w in zip(got, wanted, strict=True)]
    return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts))
