"""Vehicles that come and go as at a workplace, at homes or at a fleet's depot, drawn by seed.

Arrivals are normal in time of day, stays normal in length, energies gamma distributed (never negative, a few very
large ones). The shapes follow what has been measured, the numbers are round ones and no fit:

- workplace: weekday mornings, most vehicles stay for the working day and need far less time than that (Lee, Li and
  Low, "ACN-Data: Analysis and Applications of an Open EV Charging Dataset", e-Energy 2019);
- home: plug-ins peak from 17:00 to 19:00 and most stay the night (UK Department for Transport, "Electric Chargepoint
  Analysis 2017: Domestics", 2018: median 7.5 kWh, of the smaller batteries of its time);
- depot: vehicles return at the end of a shift, close together, and all must go next morning (Bruchon et al.,
  "Depot-Based Vehicle Data for National Analysis of Medium- and Heavy-Duty Electric Vehicle Charging", NREL 2024).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, Final

from cloud.site import Member
from hal.simulated.vehicle_spec import VehicleSpec
from watti.sites.arrivals import Visit, places, visit_of
from watti.sites.load import DAY_S

_HOUR_S = 3600.0
_MOST_DEVIATIONS = 2.5
_SHORTEST_STAY_S = 900.0
_BETWEEN_S = 300.0  # from one vehicle's leaving to the next one's coming
_LEAST_KWH = 1.0
_MOST_KWH = 200.0


@dataclass(frozen=True, slots=True)
class Habit:
    """How vehicles come to a station, each day the same. Hours of the day, hours, kWh; `_sd`: standard deviation."""

    arrives_h: float
    arrives_sd_h: float
    stays_h: float
    stays_sd_h: float
    energy_kwh: float
    energy_sd_kwh: float
    use: float
    """The probability that a vehicle comes to a station on a day."""
    max_a: tuple[float, ...] = (48.0, 40.0, 32.0)
    """What vehicles take at most: each of these is as likely."""


HABITS: Final[Mapping[str, Habit]] = {
    "workplace": Habit(8.5, 1.0, 8.0, 2.0, 14.0, 9.0, use=0.9),
    "home": Habit(18.0, 1.5, 12.5, 2.0, 14.0, 9.0, use=0.7),
    "depot": Habit(17.5, 0.75, 12.5, 0.5, 45.0, 15.0, use=1.0, max_a=(48.0,)),
}


def draw(
    habit: Habit, members: Sequence[Member], base: VehicleSpec, seed: int, begins_s: float, until_s: float
) -> list[Visit]:
    """The visits from 0 to `until_s` of a scenario that begins at `begins_s` of the day, in order of arrival.

    Every driver says when it goes and what it needs. A station's vehicles depend on the seed and its name alone.
    """
    visits = []
    for name, place in places(members).items():
        stays = list(_stays(habit, Random(f"{seed}:{name}"), begins_s, until_s))
        free_s = [*(arrives_s - _BETWEEN_S for arrives_s, _, _ in stays[1:]), inf]
        for (arrives_s, departs_s, said), latest_s in zip(stays, free_s, strict=False):
            leaves_s = max(arrives_s + 1.0, min(departs_s, latest_s))
            visits.append(visit_of(place, members[place.member], base, arrives_s, leaves_s, said))
    return sorted(visits, key=lambda visit: (visit.arrives_s, visit.place))


_Stay = tuple[float, float, dict[str, Any]]
"""When it arrives and departs, and what its driver says."""


def _stays(habit: Habit, random: Random, begins_s: float, until_s: float) -> Iterator[_Stay]:
    """At most one for each day that falls into the scenario."""
    day_s = -begins_s
    while day_s < until_s:
        comes = random.random() < habit.use
        arrives_s = day_s + _normal(random, habit.arrives_h, habit.arrives_sd_h) * _HOUR_S
        departs_s = arrives_s + max(_SHORTEST_STAY_S, _normal(random, habit.stays_h, habit.stays_sd_h) * _HOUR_S)
        said = {"energy_kwh": _energy_kwh(random, habit), "max_a": random.choice(habit.max_a)}
        if comes and 0 <= arrives_s < until_s:
            yield round(arrives_s), round(departs_s), said
        day_s += DAY_S


def _normal(random: Random, mean: float, deviation: float) -> float:
    return mean + deviation * min(max(random.gauss(0.0, 1.0), -_MOST_DEVIATIONS), _MOST_DEVIATIONS)


def _energy_kwh(random: Random, habit: Habit) -> float:
    """Gamma distributed, rounded to 0.1 kWh."""
    if habit.energy_sd_kwh == 0:
        return habit.energy_kwh
    shape = (habit.energy_kwh / habit.energy_sd_kwh) ** 2
    drawn = random.gammavariate(shape, habit.energy_kwh / shape)
    return round(min(max(drawn, _LEAST_KWH), _MOST_KWH), 1)
