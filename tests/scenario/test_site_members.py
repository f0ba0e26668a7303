"""One contract for the members of a site, whether they are a model or firmware."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from cloud.link import Command
from tests.scenario.helpers import WORST
from tests.scenario.site_rig import FALLBACK_A, SETTLE_S, TIMING, VOLTS, Backend, Rig, ampere_seconds, firmware, model

pytestmark = pytest.mark.scenario

QUIET_S = TIMING.lease_s + TIMING.hold_s
SERVED_S = 60.0
MOMENT_S = 1.5
"""Firmware looks at its world now and then, and a primary at its secondaries in turn."""
UP_S = 20.0
"""From being told until all vehicles of a member have their part: after a cut, a pause, a pilot's hold."""
backends = pytest.mark.parametrize("backend", [model, firmware])
sizes = pytest.mark.parametrize("stations", [1, 3])


def served(backend: Backend, stations: int = 1, amps: float = 30.0, drift: float = 0.0) -> Rig:
    """A vehicle at each station, and all of them charge as far as the limit goes."""
    rig = Rig(backend, stations, drift=drift)
    rig.answers_a = amps
    rig.run(20.0)
    for station in range(stations):
        rig.plug(station, WORST)
    rig.run(SERVED_S)
    assert rig.drawn_a == pytest.approx(amps, abs=0.3)
    return rig


def lost(backend: Backend, stations: int, amps: float, drift: float = 0.0) -> tuple[Rig, float]:
    """One that hears no more, and when its lease ends."""
    rig = served(backend, stations, amps, drift)
    rig.answers_a = None
    return rig, rig.asked_at + TIMING.lease_s / rig.rate


@backends
@sizes
@pytest.mark.parametrize("drift", [0.0, 0.01])
def test_after_its_lease_it_comes_down_to_its_fallback_and_stays(backend: Backend, stations: int, drift: float) -> None:
    rig, ends = lost(backend, stations, 30.0, drift)
    rig.run(ends - 0.01)
    assert rig.offered_a == 30.0
    rig.run(ends + SETTLE_S[stations])
    assert rig.drawn_a <= rig.offered_a == FALLBACK_A
    rig.run(ends + TIMING.hold_s + UP_S)
    assert rig.within(ends + SETTLE_S[stations], rig.now) == {FALLBACK_A}


@backends
def test_with_less_than_its_fallback_it_comes_up_only_after_the_hold(backend: Backend) -> None:
    rig, ends = lost(backend, 1, 8.0, 0.01)
    held = ends + TIMING.hold_s / rig.rate
    rig.run(held + MOMENT_S)
    assert rig.within(SERVED_S, held - 0.001) == {8.0}
    assert rig.offered_a == FALLBACK_A


@backends
@sizes
def test_a_start_offers_nothing_for_lease_and_hold_and_then_the_fallback(backend: Backend, stations: int) -> None:
    rig = Rig(backend, stations)
    for station in range(stations):
        rig.plug(station, WORST)
    rig.run(QUIET_S + UP_S)
    assert rig.within(0.0, QUIET_S - 0.01) == {0.0}
    assert {report.offered_da for at, report in rig.reports if at < QUIET_S} == {0}
    assert rig.offered_a == rig.drawn_a == FALLBACK_A


@backends
def test_one_that_never_had_a_controller_is_not_limited_until_it_has(backend: Backend) -> None:
    rig = Rig(backend, fallback_a=None)
    rig.plug(0, WORST)
    rig.run(40.0)
    assert rig.offered_a == 48.0
    assert rig.last.fallback_da == 480
    rig.tell(20.0)
    assert rig.offered_a == 20.0
    assert rig.last.fallback_da == FALLBACK_A * 10
    rig.wait(QUIET_S)
    assert rig.offered_a == FALLBACK_A


SPOILT: dict[str, Callable[[Command, int], Command]] = {
    "for another life": lambda command, before: command._replace(boot=command.boot + 1),
    "number of the last": lambda command, before: command._replace(number=before),
    "number of an earlier": lambda command, before: command._replace(number=before - 1),
    "never asked": lambda command, before: command._replace(question=command.question + 1),
    "older question than answered": lambda command, before: command._replace(question=command.question - 1),
}


@backends
@pytest.mark.parametrize("how", SPOILT)
def test_what_answers_nothing_is_not_taken(backend: Backend, how: str) -> None:
    rig, _ = lost(backend, 1, 30.0)
    rig.wait(TIMING.report_s)
    sound = rig.command(30.0)
    rig.deliver(sound)
    rig.deliver(SPOILT[how](rig.command(10.0), sound.number))
    rig.wait(2 * TIMING.report_s)
    assert rig.last.confirmed == sound.number
    assert rig.within(SERVED_S, rig.now) == {30.0}


@backends
def test_one_that_is_over_before_it_comes_is_not_taken(backend: Backend) -> None:
    rig, ends = lost(backend, 1, 30.0)
    late = rig.command(20.0)
    rig.run(ends)
    rig.deliver(late)
    rig.wait(2 * TIMING.report_s)
    assert (rig.offered_a, rig.last.confirmed) == (FALLBACK_A, late.number - 1)


@backends
def test_the_same_question_is_answered_again_by_a_higher_number(backend: Backend) -> None:
    rig, _ = lost(backend, 1, 30.0)
    one, other = rig.command(20.0), rig.command(16.0)
    rig.deliver(one)
    rig.deliver(other)
    assert (rig.offered_a, rig.last.confirmed) == (16.0, other.number)


@backends
def test_a_lease_counts_from_the_question_and_not_from_the_command(backend: Backend) -> None:
    rig, ends = lost(backend, 1, 30.0)
    rig.run(ends - 1.0)
    late = rig.reports[-2]
    rig.deliver(rig.command(20.0)._replace(question=late[1].question))
    rig.run(late[0] + TIMING.lease_s + MOMENT_S)
    assert rig.within(ends - 1.0, rig.now) == {30.0, 20.0}
    assert rig.offered_a == FALLBACK_A


@backends
@sizes
def test_a_cut_is_followed_in_time_and_a_raise_soon(backend: Backend, stations: int) -> None:
    rig = served(backend, stations, 48.0)
    rig.answers_a = 18.0
    cut_at = rig.now
    rig.tell(18.0)
    assert rig.exposed_a == 48.0, "a vehicle may take its time"
    rig.wait(SETTLE_S[stations])
    assert rig.drawn_a == rig.offered_a == rig.exposed_a == 18.0
    rig.run(cut_at + 40.0)
    assert rig.within(cut_at + SETTLE_S[stations], rig.now) == {18.0}
    rig.answers_a = 48.0
    rig.tell(48.0)
    rig.wait(UP_S)
    assert rig.drawn_a == pytest.approx(48.0, abs=0.3)


@backends
def test_below_six_amperes_its_contactor_opens_and_it_charges_again_when_there_is_more(backend: Backend) -> None:
    rig = served(backend)
    rig.answers_a = 5.9
    rig.tell(5.9)
    rig.wait(SETTLE_S[1])
    assert (rig.offered_a, rig.drawn_a, rig.last.closed, rig.last.asking) == (0.0, 0.0, False, 1)
    rig.answers_a = 20.0
    rig.tell(20.0)
    rig.wait(60.0)
    assert rig.drawn_a == 20.0


def news(rig: Rig, what: Callable[[], None]) -> int:
    """How many reports leave at once."""
    count = len(rig.reports)
    what()
    rig.wait(MOMENT_S)
    return len(rig.reports) - count


@backends
@sizes
def test_it_reports_now_and_then_and_at_once_what_matters(backend: Backend, stations: int) -> None:
    rig = Rig(backend, stations, drift=0.01)
    rig.run(41.0)
    times = [at for at, _ in rig.reports[-5:]]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([TIMING.report_s] * 4, rel=0.011)
    assert news(rig, lambda: rig.tell(30.0)) == 1, "another limit"
    assert news(rig, lambda: rig.tell(30.0)) == 0, "the same goes on"
    count = len(rig.reports)
    assert news(rig, lambda: rig.plug(stations - 1, WORST)) >= 1
    rig.wait(10.0)
    told = [(report.plugged, report.asking, report.closed) for _, report in rig.reports[count:]]
    assert set(told) <= {(1, 1, False), (1, 1, True)}
    assert (told[-1], rig.last.offered_da) == ((1, 1, True), 300)
    assert news(rig, lambda: rig.unplug(stations - 1)) >= 1
    assert (rig.last.plugged, rig.last.asking, rig.last.closed) == (1, 0, False)
    assert [report.question for _, report in rig.reports] == list(range(1, len(rig.reports) + 1))


@backends
@sizes
def test_a_contactor_is_told_of_as_soon_as_it_may_close(backend: Backend, stations: int) -> None:
    rig = served(backend, stations)
    closed_at = next(at for at, report in rig.reports if report.closed and report.asking)
    draws_at = next(at for at, amps in rig.drawn if amps)
    assert closed_at <= draws_at + 1e-6


@backends
@sizes
def test_without_mains_it_says_and_draws_nothing_and_then_it_is_another_life(backend: Backend, stations: int) -> None:
    rig = served(backend, stations)
    boot, count = rig.last.boot, len(rig.reports)
    rig.power(on=False)
    rig.wait(30.0)
    assert (rig.exposed_a, rig.drawn_a, len(rig.reports)) == (0.0, 0.0, count)
    rig.answers_a, on_at = None, rig.now
    rig.power(on=True)
    rig.wait(QUIET_S - 0.01)
    assert (rig.last.boot != boot, rig.last.confirmed) == (True, 0)
    assert rig.within(on_at, rig.now) == {0.0}
    rig.answers_a = 30.0
    rig.wait(40.0)
    assert rig.drawn_a == pytest.approx(30.0, abs=0.3)


@backends
@sizes
def test_its_energy_is_what_was_drawn(backend: Backend, stations: int) -> None:
    """By its own meter within 3 %: firmware samples, and knows nothing of its secondaries between their polls."""
    rig = served(backend, stations)
    rig.answers_a = 12.0
    rig.run(300.0)
    drawn_kwh = ampere_seconds(rig.drawn, rig.now) * VOLTS / 3.6e6
    assert rig.energy_kwh == pytest.approx(drawn_kwh, rel=1e-6)
    rig.run(rig.asked_at + TIMING.report_s + 0.1)
    at, report = rig.reports[-1]
    told_kwh = ampere_seconds([(t, amps) for t, amps in rig.drawn if t < at], at) * VOLTS / 3.6e6
    assert report.energy_wh / 1000 == pytest.approx(told_kwh, rel=0.03)
