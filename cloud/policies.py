"""Who is served before whom: what a member that asks may claim."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cloud.allocation import Claim
from cloud.link import Report, Wish
from cloud.site import Member


class Seat(NamedTuple):
    """A member that asks, as a policy sees it."""

    member: Member
    report: Report
    wish: Wish
    wished_wh: float
    """What its counter showed at the wish."""
    volts: float
    """Watts for each ampere of it."""
    since: float
    """When it began to ask."""
    rank: float
    """Who has the lower one is served first when not all minimums fit."""
    fallback_a: float
    """Stands even while it is told less; 0 where the fallback only comes after a hold."""


Policy = Callable[[Seat, float], Claim]
"""What a seat claims at a time."""


def equal(seat: Seat, now: float) -> Claim:
    """Every vehicle alike: a group counts with all of its that ask."""
    return _claim(seat, weight=float(max(1, seat.report.asking)))


def priority(seat: Seat, now: float) -> Claim:
    """Weights and strict priorities of site and user; a known departure gets the rate it needs before the rest."""
    wish, member = seat.wish, seat.member
    weight = member.weight if wish.weight is None else wish.weight
    rank = member.priority if wish.priority is None else wish.priority
    claim = _claim(seat, weight * max(1, seat.report.asking))
    return claim._replace(priority=rank, needed_a=_needed_a(seat, now))


def first_come(seat: Seat, now: float) -> Claim:
    """Who came first has all it can take before the next gets anything."""
    return _claim(seat, 1.0)._replace(priority=-round(seat.since * 1000), rank=seat.since)


def _claim(seat: Seat, weight: float) -> Claim:
    member, report = seat.member, seat.report
    most = min(member.rating_a, max(member.min_a, report.most_da / 10))
    return Claim(member.min_a, most, weight, rank=seat.rank, standing_a=seat.fallback_a)


def _needed_a(seat: Seat, now: float) -> float:
    """The steady rate that brings the energy wanted until the departure; 0 = none is known, or none is needed."""
    wish = seat.wish
    if wish.energy_wh is None or wish.departs_at is None:
        return 0.0
    left_wh = wish.energy_wh - (seat.report.energy_wh - seat.wished_wh)
    hours = max(wish.departs_at - now, 60.0) / 3600
    return max(0.0, left_wh / (hours * seat.volts))


POLICIES: Mapping[str, Policy] = {"equal": equal, "priority": priority, "first_come": first_come}
