"""A station and a group under a controller: cuts and raises, lost commands, restarts, and nobody there any more."""

from dataclasses import replace
from itertools import pairwise
from math import isnan

import pytest

from cloud.link import Command, Report
from cloud.site import Kind, Member, Node, Site
from cloud.site_rules import SiteError
from firmware.app import App
from firmware.online import OnlineCommand
from hal.simulated.board import MemoryStore
from tests.scenario.helpers import SMALL, TIMING, WORST
from tests.scenario.online_worlds import FALLBACK_A, SINGLE_S, SITE_TIMING, Told, story
from watti.sites.inloop import FirmwareMembers

READY_S = 20.0
LITTLE = replace(WORST, name="little", max_a=8.0)
SERVED_S = 50.0


def served(stations: int, wanted_a: float = 48.0, seed: int = 1) -> Told:
    """A worst-case vehicle at each station, and all of them charge as far as the limit goes."""
    told = Told(stations, seed)
    told.wanted_a = wanted_a
    told.run(READY_S)
    for station in range(stations):
        told.plug(station)
    told.run(SERVED_S)
    assert not told.wrong
    assert told.drawn_a == pytest.approx(wanted_a, abs=0.3)
    return told


def app(told: Told, station: int = 0) -> App:
    node = told.world.slots[station].node
    assert isinstance(node, App)
    return node


def reasons(told: Told) -> set[str]:
    return {app(told, station).view().reason.word for station in range(told.stations)}


def tell(told: Told, amps: float, question: int = 0) -> None:
    """A command now, in answer to the last report."""
    last = told.reports[-1]
    said = Command(
        last.boot,
        last.confirmed + 1000,
        question or last.question,
        int(amps * 10),
        20.0,
        30.0,
        int(FALLBACK_A * 10),
        "",
    )
    told.deliver(said)


@pytest.mark.parametrize("stations", [1, 3])
def test_a_cut_stops_nobody_and_binds_in_time(stations: int) -> None:
    told = served(stations)
    opened: list[bool] = []
    told.world.record = lambda _station, event, _fields, _now: opened.append(event == "stop")
    tell(told, 20.0)
    told.wanted_a = 20.0
    assert app(told).view().limit_da == 200
    assert app(told).station.offered_da == (200 if stations == 1 else 66), "its own station follows at once"
    cut_at = told.now
    told.run(cut_at + (SINGLE_S if stations == 1 else TIMING.release_s))
    assert sum(told.offers_a) == pytest.approx(told.drawn_a) == pytest.approx(20.0, abs=0.3)
    assert not any(opened), "a contactor has opened"
    assert not told.wrong
    assert reasons(told) == ({"online"} if stations == 1 else {"share"})


@pytest.mark.parametrize("stations", [1, 3])
def test_a_raise_comes_at_once(stations: int) -> None:
    told = served(stations, 20.0)
    told.run(told.now + 10.0)
    tell(told, 48.0)
    told.wanted_a = 48.0
    told.run(told.now + 3.0)
    assert sum(told.offers_a) == pytest.approx(48.0)
    assert reasons(told) == ({"switch"} if stations == 1 else {"share"})


@pytest.mark.parametrize("stations", [1, 3])
def test_below_six_amperes_nobody_charges(stations: int) -> None:
    told = served(stations)
    told.wanted_a = 5.9
    told.run(told.now + 5.0 + TIMING.release_s)
    assert (told.drawn_a, told.offers_a) == (0.0, [0.0] * stations)
    assert reasons(told) == {"online"}
    told.wanted_a = 48.0
    told.run(told.now + 30.0)
    assert told.drawn_a == pytest.approx(48.0)
    assert not told.wrong


def test_a_limit_is_shown_also_while_nobody_is_there() -> None:
    told = Told(1)
    told.run(READY_S)
    tell(told, 20.0)
    assert app(told).view().limit_da == 200
    told.run(told.now + 0.1)
    tell(told, 5.9)
    assert app(told).view().limit_da == 0, "no pilot says so little"


def test_why_it_stops_is_written_down() -> None:
    told = served(1)
    why: list[object] = []
    told.world.record = lambda _station, event, fields, _now: why.extend(
        fields[key] for key in fields if event == "stop" and key == "why"
    )
    told.wanted_a = 0.0
    told.run(told.now + 20.0)
    assert why == ["online"]
    told.wanted_a = 20.0
    told.run(told.now + 20.0)
    told.world.touch(0, lambda plant, now: plant.inject("contactor_fell", now))
    told.run(told.now + 1.0)
    assert why == ["online", "contactor"]


def test_less_than_all_minimums_serves_as_many_as_fit() -> None:
    told = served(3)
    told.wanted_a = 13.0
    told.run(told.now + 40.0)
    assert sorted(amps > 0 for amps in told.offers_a) == [False, True, True]
    assert told.drawn_a == pytest.approx(13.0, abs=0.2)
    assert reasons(told) == {"share", "waiting"}


def test_what_some_leave_goes_to_the_others_within_the_limit() -> None:
    told = Told(3)
    told.wanted_a = 36.0
    told.run(READY_S)
    told.plug(0)
    told.plug(1, LITTLE)
    told.plug(2, LITTLE)
    told.run(READY_S + 90.0)
    assert 32.0 < told.drawn_a < 36.0, "but for what lets them show that they want more"
    assert reasons(told) == {"share", "vehicle"}


@pytest.mark.parametrize("stations", [1, 3])
def test_without_a_controller_it_falls_to_its_fallback_after_lease_and_never_rises_in_the_hold(stations: int) -> None:
    told = served(stations)
    told.loss = 1.0
    asked_at = told.now
    told.run(asked_at + SITE_TIMING.lease_s + 20.0)
    assert told.drawn_a == pytest.approx(FALLBACK_A)
    assert not told.wrong


def test_after_a_lease_of_nothing_the_fallback_comes_when_the_hold_is_over() -> None:
    told = served(1)
    told.wanted_a = 0.0
    told.run(told.now + 20.0)
    told.loss = 1.0
    assert told.law.last is not None
    hold_ends = told.law.asked[told.law.last.question] + SITE_TIMING.lease_s + SITE_TIMING.hold_s
    told.run(hold_ends - 0.1)
    assert told.offers_a == [0.0]
    told.run(hold_ends + 10.0)
    assert told.drawn_a == pytest.approx(FALLBACK_A)
    assert not told.wrong


@pytest.mark.parametrize("how", ["restart", "power"])
def test_a_start_gives_nothing_until_it_is_told_or_all_is_over(how: str) -> None:
    told = served(3)
    told.loss, at = 1.0, told.now
    if how == "restart":
        told.restart(0)
    else:
        told.power(False)
        told.power(True)
    told.run(at + SITE_TIMING.lease_s + SITE_TIMING.hold_s - 0.1)
    assert told.offers_a == [0.0] * 3
    told.run(told.now + 20.0)
    assert told.drawn_a == pytest.approx(FALLBACK_A)
    assert not told.wrong


def test_a_start_that_is_told_serves_after_its_quiet_start() -> None:
    told = served(3)
    told.restart(0)
    told.run(told.now + 45.0)
    assert told.drawn_a == pytest.approx(48.0)
    assert not told.wrong


def test_an_empty_memory_is_offline_and_a_lost_switch_stays_the_upper_limit() -> None:
    site = Site("one", (Node("c", Kind.CIRCUIT),), (Member("m", "c", 24.0),))
    members = FirmwareMembers(site, [None], [240.0])
    members.advance(READY_S)
    ((_, first), *_) = members.take_reports()
    assert (first.fallback_da, first.most_da) == (240, 240)
    members.plug(0, 0, SMALL, READY_S)
    members.advance(30.0)
    assert (members.offered_a(0), members.drawn_a(0)) == (24.0, 16.0)
    members.deliver(0, Command(first.boot, 1, first.question, 480, 60.0, 120.0, 480, ""), 30.0)
    members.advance(31.0)
    assert members.offered_a(0) == 24.0
    assert members.take_reports()[-1][1].fallback_da == 240


def test_a_station_alone_comes_down_also_while_its_switch_is_being_turned() -> None:
    told = served(1)
    told.world.touch(0, lambda plant, now: plant.turn(0xA, now))
    tell(told, 10.0)
    assert app(told).station.offered_da == 100


def test_a_secondary_has_no_controller_and_a_station_may_become_one() -> None:
    told = served(1, 20.0)
    told.world.touch(0, lambda plant, now: plant.turn(0xF, now))
    told.run(told.now + 1.0)
    node, told.reports = app(told), []
    assert not node.on_online(
        OnlineCommand(told.law.boot, 10**6, 1, 480, 20.0, 30.0, 0), told.world.slots[0].local(told.now)
    )
    assert node.online is not None
    assert node.online.refused == {"for a secondary": 1}
    told.run(told.now + 80.0)
    assert told.reports == []
    assert node.station._online_da == node.station.rating_da, "its primary's limit is the group's"
    told.world.touch(0, lambda plant, now: plant.turn(0xB, now))
    told.run(told.now + 40.0)
    assert told.drawn_a == pytest.approx(20.0)


# Reports


def last_of(told: Told) -> Report:
    return told.reports[-1]


def next_of(told: Told) -> Report:
    """The next report, as it leaves."""
    count = len(told.reports)
    while len(told.reports) == count:
        told.run(told.now + 0.02)
    return told.reports[-1]


def test_a_group_reports_its_sums() -> None:
    told = served(3)
    told.run(told.now + 10.0)
    report = next_of(told)
    assert (report.offered_da, report.closed, report.asking, report.plugged, report.most_da) == (480, True, 3, 3, 480)
    assert report.drawn_a == pytest.approx(48.0)
    assert report.fallback_da == FALLBACK_A * 10
    assert report.energy_wh == pytest.approx(told.members.energy_kwh(0, told.now) * 1000, rel=0.02)
    told.unplug(2)
    told.run(told.now + 1.0)
    assert (last_of(told).asking, last_of(told).plugged) == (2, 3)
    told.plug(2)
    told.run(told.now + 1.0)
    assert (last_of(told).asking, last_of(told).plugged) == (3, 4)


def test_what_its_vehicles_have_shown_to_take_is_the_most_that_is_of_use() -> None:
    told = Told(3)
    told.run(READY_S)
    told.plug(0, SMALL)
    told.plug(1, SMALL)
    told.run(READY_S + 60.0)
    assert told.drawn_a == pytest.approx(32.0)
    assert 320 <= last_of(told).most_da <= 380


def test_it_reports_at_once_what_matters_and_else_now_and_then() -> None:
    told = Told(2)
    told.loss = 1.0
    told.run(40.0)
    times = [told.law.asked[report.question] for report in told.reports[-4:]]
    assert [later - sooner for sooner, later in pairwise(times)] == pytest.approx([5.0] * 3)
    told.run(41.0)
    told.plug(1)
    told.run(42.0)
    assert last_of(told).plugged == 1
    assert not last_of(told).closed
    told.run(80.0)
    assert last_of(told).closed
    told.unplug(1)
    told.run(81.0)
    assert not last_of(told).closed
    told.plug(1, replace(WORST, name="asleep", digital_only=True))
    told.run(200.0)
    count, asking = len(told.reports), last_of(told).asking
    told.unplug(1)
    told.run(201.0)
    assert (asking, len(told.reports)) == (0, count + 1), "that it has gone is news"


def test_questions_rise_and_a_confirmation_is_told_at_once() -> None:
    told = served(1)
    count = len(told.reports)
    tell(told, 30.0)
    told.run(told.now + 0.01)
    assert [report.question for report in told.reports] == list(range(1, len(told.reports) + 1))
    assert told.reports[count].confirmed == told.reports[count - 1].confirmed + 1000
    count = len(told.reports)
    tell(told, 30.0)
    told.run(told.now + 0.01)
    assert len(told.reports) == count, "what only goes on is confirmed with the report that is due"


def test_a_primary_that_starts_does_not_know_what_its_former_life_has_granted() -> None:
    told = served(3)
    told.run(told.now + 3.0)
    told.restart(0)
    at = told.now
    told.run(at + 1.0)
    assert told.drawn_a > 30.0, "the others still draw"
    assert last_of(told).closed
    assert isnan(last_of(told).drawn_a)
    told.loss = 1.0
    told.run(at + TIMING.release_s + 1.0)
    assert not last_of(told).closed


def test_a_contactor_that_is_about_to_close_counts_as_closed() -> None:
    told = Told(1)
    told.run(READY_S)
    told.plug(0)
    station = app(told).station
    while not station.feeds:
        told.run(told.now + 0.001)
    assert not station.closed
    assert next_of(told).closed
    told.run(told.now + 10.0)
    assert last_of(told).closed


def test_the_pilot_of_a_vehicle_that_waits_is_no_offer() -> None:
    told = served(1)
    told.wanted_a = 0.0
    told.run(told.now + 20.0)
    told.unplug(0)
    told.run(told.now + 2.0)
    told.plug(0)
    while told.members.offered_a(0) == 0.0 and told.now < 100.0:
        told.run(told.now + 0.1)
    report = app(told).report(told.world.slots[0].local(told.now))
    assert report is not None
    assert (told.members.offered_a(0), report.offered_da, report.asking) == (6.0, 0, 1)


def test_a_fault_lets_nobody_ask_and_a_pilot_that_can_not_tell_makes_no_other_vehicle() -> None:
    told = served(1)
    told.world.touch(0, lambda plant, now: plant.inject("pilot_short", now))
    told.run(told.now + 10.0)
    assert (last_of(told).asking, last_of(told).plugged) == (0, 1)
    told.world.touch(0, lambda plant, now: plant.clear("pilot_short", now))
    told.run(told.now + 60.0)
    assert (last_of(told).asking, last_of(told).plugged) == (1, 1)
    told.world.touch(0, lambda plant, now: plant.inject("over_temperature", now))
    told.run(told.now + 20.0)
    assert (app(told).station.wants, last_of(told).asking) == (True, 0)


def test_a_process_that_stood_still_begins_anew_before_it_believes_anybody() -> None:
    told = served(2)
    node, slot, last = app(told), told.world.slots[0], last_of(told)
    late = slot.local(told.now) + TIMING.lease_s + 5.0
    assert node.on_online(OnlineCommand(last.boot, last.confirmed + 1000, last.question, 480, 60.0, 30.0, 0), late)
    assert (node.station.offered_da, node.view().reason.word) == (0, "quiet_start")


def test_a_station_of_which_nothing_is_heard_makes_the_sum_unknown() -> None:
    told = served(2)
    told.world.line.cut(1, "both")
    told.run(told.now + 8.0)
    assert isnan(next_of(told).drawn_a)
    told.run(told.now + 30.0)
    assert not isnan(last_of(told).drawn_a)


def test_a_meter_that_is_gone_makes_the_sum_unknown() -> None:
    told = served(2)
    told.world.touch(1, lambda plant, now: plant.inject("meter", now))
    told.run(told.now + 6.0)
    assert isnan(last_of(told).drawn_a)


def test_energy_counts_up_through_restarts() -> None:
    told = served(2)
    told.run(told.now + 300.0)
    before = last_of(told).energy_wh
    told.restart(0)
    told.run(told.now + 10.0)
    assert before - 200.0 < last_of(told).energy_wh < before
    assert before > 900.0


def test_without_a_store_there_is_no_controller() -> None:
    told = Told(2)
    told.run(READY_S)
    node = app(told, 1)
    assert (node.online, node.report(0.0), node.has_news) == (None, None, False)
    assert not node.on_online(OnlineCommand(0, 1, 1, 0, 1.0, 1.0, 0), told.world.slots[1].local(told.now))


def test_a_store_that_can_not_be_written_is_shown() -> None:
    class Full(MemoryStore):
        problem = ""

    told = served(1)
    node = app(told)
    full = Full()
    node._online_store = full
    full.problem = "no space left"
    told.run(told.now + 5.0)
    assert node.view().fault == "store"
    full.problem = ""
    told.run(told.now + 40.0)
    assert node.view().fault == ""


def test_what_no_firmware_is_is_refused_with_all_reasons() -> None:
    members = (Member("a", "c", 25.0), Member("b", "c", 48.0, stations=6, keeps_quiet=False), Member("c", "c", 80.0))
    with pytest.raises(SiteError) as refused:
        FirmwareMembers(Site("s", (Node("c", Kind.CIRCUIT),), members), [0.0] * 3, [240.0] * 3)
    assert [problem.path for problem in refused.value.problems] == [
        ("member", 0, "rating_a"),
        ("member", 1, "stations"),
        ("member", 1, "keeps_quiet"),
    ]


# By seed


@pytest.mark.parametrize("seed", range(10))
def test_no_story_brings_it_above_its_limit(seed: int) -> None:
    assert story(seed) == ""
