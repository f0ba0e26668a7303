"""The benchmark's day and its growing sites: the same for all algorithms, and what they claim to be."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from cloud.allocation import allocate
from cloud.optimality import problems
from cloud.site import Kind, Rule
from cloud.tree import Tree
from online_benchmark import Ours, above
from online_day import MINUTES, MOST_A, VOLTS, Day, Session, Vehicle, jain, run, sessions
from online_growth import Point, claims_of, fitted, plotted, site_of
from watti.scenario import CONFIGS
from watti.site_file import load_site

SITE = load_site(CONFIGS / "sites" / "caltech.toml")
STATIONS = [member.name for member in SITE.members]


def still() -> float:
    return 0.0


def test_a_day_is_the_same_every_time_and_fits() -> None:
    day = sessions(1)
    assert day == sessions(1) != sessions(2)
    assert {session.station for session in day} == set(range(54))
    bays: dict[int, list[Session]] = {}
    for session in day:
        bays.setdefault(session.station, []).append(session)
        assert 0 < session.wanted_kwh <= 0.9 * MOST_A * VOLTS / 60e3 * (session.leaves - session.arrives)
        assert session.leaves < MINUTES
    assert all(one.leaves < other.arrives for bay in bays.values() for one, other in pairwise(bay))


def test_vehicles_take_their_pilot_until_they_are_full_or_leave() -> None:
    day = [Session(0, 10, 70, 3.328), Session(1, 20, 50, 90.0), Session(0, 80, 90, 90.0)]

    def decide(minute: int, bays: Sequence[Vehicle | None]) -> Sequence[float]:
        return [16.0, 40.0]

    done = run(day, decide, still, stations=2)
    hour_kwh = VOLTS / 1000
    assert done.got_kwh == pytest.approx([3.328, 32 * hour_kwh / 2, 16 * hour_kwh / 6])
    assert done.peak_kw == pytest.approx(48 * hour_kwh)
    assert len(done.pilots) == MINUTES


def test_ours_takes_no_minute_above_and_is_never_refused() -> None:
    """All stations taken, and left one by one."""
    day = [Session(i, 0, 10 + i // 5, 3.0) for i in range(54)]
    for by_departure in (False, True):
        ours = Ours(SITE, STATIONS, by_departure)
        done = run(day, ours.decide, still)
        assert above(SITE, STATIONS, done) == 0
        judged = ours.judged(day)
        assert judged.refused == 0
        assert judged.full >= 10
        assert 0.5 < jain(done.got_kwh, [3.0] * 54) <= 1
    too_much = Day(0.0, 0.0, [], [[32.0] * 54], 0.0)
    assert above(SITE, STATIONS, too_much) == 1


def test_jain_is_one_when_all_get_the_same_part() -> None:
    assert jain([1.0, 2.0], [2.0, 4.0]) == pytest.approx(1.0)
    assert jain([1.0, 0.0], [1.0, 1.0]) == pytest.approx(0.5)


@pytest.mark.parametrize("stations", [54, 700])
def test_growing_sites_have_what_they_say_and_are_shared_right(stations: int) -> None:
    site, claims = site_of(stations, 3), claims_of(stations, 3)
    assert len(site.members) == stations
    assert {node.rule for node in site.nodes if node.kind is not Kind.CIRCUIT} == {Rule.SCALAR, Rule.PHASOR}
    shares = allocate(Tree(site), claims)
    assert problems(site, shares, claims, {}) == []
    assert {share.bound.why for share in shares} >= {"idle", "node", "demand"}


def test_growth_is_fitted_on_logarithms() -> None:
    points = [Point(n, 1, 0.0, 3e-6 * n**1.1) for n in (100, 1_000, 10_000)]
    assert fitted(points) == pytest.approx((3e-6, 1.1))
    lines = plotted(points).splitlines()
    assert [line.count("#") for line in lines] == [1, 31, 60]
