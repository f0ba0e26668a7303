"""Every fault kind in every pilot state of a station whose group shares a full circuit, alone and in pairs.

s1 and s2 charge and take what they can get; it is s3 that breaks. Afterwards everything is mended and all three charge.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.app import SWITCH_STABLE_S
from firmware.protection import BY_CODE, Clears, Severity
from firmware.states import STATES
from firmware.timing import OPEN_UNDER_LOAD_S, PILOT_HOLD_S, RECLOSE_S
from hal.simulated.board import PlantJournal
from hal.simulated.defects import FAULT_KINDS
from hal.simulated.line import Direction
from hal.simulated.plant import CONTACTOR_S
from hal.simulated.vehicle_spec import VehicleSpec
from tests.scenario.helpers import REFUSER, WORST, Bench, judged, plugs, scenario

VENTILATED = replace(WORST, name="ventilated", ventilated=True)
FULL = replace(WORST, name="full", soc=1.0)
KINDS = (*FAULT_KINDS, "bus_port")
FOUND_S = 25.0
"""By then every fault is found that can be found without anybody doing anything."""
BACK_S = 90.0
"""By then after the last cause is gone a station charges again: error pause, enrolment, a turn of R, a first pilot."""

_LONELY = {"B1", "C1", "D1"}
"""States that last, or come, because the station does not hear its primary."""
_NO_GROUP = {"no_primary", "unheard"}
_HELD_BY = {"E": {"pilot_short"}, "F": {"switch_unsupported"}}
_LIVE = {"C1", "C2", "D1", "D2"}
_ALL = set(STATES)
FOUND: dict[str, set[str]] = {
    "pilot_short": _ALL,
    "pilot_range": _ALL - {"E", "F"},
    "diode": {"B1", "B2", "C2", "D2"},
    "contactor_stuck": {"C1", "D1"},
    "contactor_open": set(),
    "contactor_fell": _LIVE,
    "ground_fault": _LIVE,
    "ground_fault_self_test": set(),
    "no_ground": _LIVE,
    "over_temperature": _ALL,
    "thermometer": _ALL,
    "meter": _ALL,
    "meter_implausible": _ALL,
    "overdraw": {"C2", "D2"},
    "switch_unreadable": _ALL,
    "bus_port": _ALL,
}
"""In which states a station finds a fault with nobody doing anything: a diode shows with PWM (in B1 with the first
pilot), a weld when the contactor opens, a leak while the output is live, a deaf ground sensor or a contactor that does
not close at the next closing."""


class Group(Bench):
    """Three stations on 48 A, s1 the primary; all but the victim charge."""

    def __init__(self, victim: int = 3) -> None:
        self.victim = victim
        super().__init__(scenario(plugs(*{1, 2, 3} - {victim}), "BFF"))
        self.run(50)
        assert sorted(self.drawn()) == [0.0, 24.0, 24.0]

    @property
    def state(self) -> str:
        return self.app(self.victim).station.state

    @property
    def codes(self) -> set[str]:
        return set(self.app(self.victim).station.faults.codes)

    def wait(self, seconds: float) -> None:
        self.run(self.now + seconds)

    def wait_until(self, done: Callable[[], bool], within_s: float) -> None:
        took = self.until(done, within_s, 0.02)
        assert took < inf, (self.now, self.state, self.codes, self.offered(), self.drawn(), self.reasons())

    # What is done to the victim

    def inject(self, kind: str) -> None:
        if kind == "bus_port":
            self.world.bus_port(self.victim - 1, False)
        else:
            self.world.touch(self.victim - 1, lambda plant, now: plant.inject(kind, now))

    def clear(self, kind: str) -> None:
        if kind == "bus_port":
            self.world.bus_port(self.victim - 1, True)
        else:
            self.world.touch(self.victim - 1, lambda plant, now: plant.clear(kind, now))

    def plug(self, car: VehicleSpec) -> None:
        self.world.touch(self.victim - 1, lambda plant, now: plant.plug(car, now))

    def unplug(self) -> None:
        if self.plant(self.victim).connected:
            self.world.touch(self.victim - 1, lambda plant, now: plant.unplug(now))
            self.wait(0.5)

    def turn(self, position: int) -> None:
        self.world.touch(self.victim - 1, lambda plant, now: plant.turn(position, now))

    def bring_to(self, state: str) -> None:
        """Put it into a pilot state in which it stays, or is found, for some seconds."""
        if state == "A1":
            return
        if state == "B1":
            self.world.line.cut(self.victim - 1)
        self.plug(VENTILATED if state[0] == "D" else FULL if state == "B2" else WORST)
        if state[0] == "B":
            self.wait(60.0 if state == "B2" else 1.0)
        else:
            self.wait_until(lambda: self.drawn() == [16.0, 16.0, 16.0], 40)
            self.wait(12.0)  # a leak in the first 10 s is another matter
        self._leave_2(state)
        self.wait_until(lambda: self.state == state, 8)
        if state in "EF":
            self.wait(1.0)

    def _leave_2(self, state: str) -> None:
        if state in ("C1", "D1"):
            self.world.line.cut(self.victim - 1)
        elif state == "E":
            self.inject("pilot_short")
        elif state == "F":
            self.turn(12)  # above a 48A model's rating

    def mend(self, *kinds: str) -> None:
        """Everything, also what held the state."""
        for kind in {"pilot_short", *kinds}:
            self.clear(kind)
        self.world.line.join(self.victim - 1)
        self.turn(11 if self.victim == 1 else 15)

    def all_charge(self) -> bool:
        return self.drawn() == [16.0, 16.0, 16.0]

    def check_effect(self) -> None:
        """What the table says of the faults that it has: the pilot at once, the contactor within its time, the lamp."""
        severities = {BY_CODE[code].severity for code in self.codes}
        at_once = not severities.isdisjoint({Severity.DISABLED, Severity.STOP})
        plant = self.plant(self.victim)
        if at_once or Severity.PAUSE in severities:
            assert plant.offered_a == 0.0
            assert (self.state == "F") == (Severity.DISABLED in severities)
            if "contactor_stuck" not in plant.faults:
                left_s = 2 * CONTACTOR_S if at_once else OPEN_UNDER_LOAD_S + 2 * CONTACTOR_S
                assert self.until(lambda: not plant.contactor_closed, left_s, 0.01) < inf
        if self.codes:
            assert plant.light == BY_CODE[self.app(self.victim).station.faults.worst].light
        if "thermometer" in self.codes:
            assert plant.offered_a <= 12.0


def needed(found: set[str]) -> str:
    """What is needed after all causes are gone: nothing, waiting for the reclosing, a car that goes, a restart."""
    rules = {BY_CODE[code].clears for code in found}
    if Clears.RESTART in rules:
        return "restart"
    if Clears.UNPLUG in rules:
        return "unplug"
    return "reclose" if Clears.RECLOSE in rules else ""


def check_return(group: Group, state: str, found: set[str]) -> None:
    """It comes back by itself where its rule says so, and by what the rule says where not."""
    how = needed(found)
    if how == "restart":
        group.wait(BACK_S)
        assert group.state == "F", "it does not come back by itself"
        group.world.restart(group.victim - 1)
    elif how == "unplug":
        group.wait(BACK_S)
        assert not group.plant(group.victim).contactor_closed
        group.unplug()
        group.plug(WORST)
    elif state in ("A1", "B2"):
        group.unplug()
        group.plug(WORST)
    if how == "reclose" and group.plant(group.victim).connected and state not in ("A1", "B2"):
        group.wait(RECLOSE_S - BACK_S)
        assert not group.plant(group.victim).contactor_closed
        group.wait(BACK_S)
    group.wait_until(lambda: group.all_charge() and not group.codes, BACK_S)


def check(group: Group, kind: str, state: str) -> None:
    """Break one thing in one state, and mend it."""
    with judged(group):
        group.bring_to(state)
        group.inject(kind)
        if state in FOUND[kind]:
            group.wait_until(lambda: kind in group.codes, FOUND_S)
        else:
            group.wait(FOUND_S)
        group.check_effect()
        found = group.codes - _NO_GROUP
        own = {kind} if state in FOUND[kind] else set()
        if (kind, state) != ("switch_unreadable", "F"):  # that takes the place of the unsupported one
            own |= _HELD_BY.get(state, set())
        assert found == own
        group.mend(kind)
        check_return(group, state, found)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_in_every_state_of_a_secondary_ends_as_documented(kind: str, state: str) -> None:
    check(Group(), kind, state)


@pytest.mark.parametrize("state", sorted(set(STATES) - _LONELY))
@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_in_every_state_of_the_primary_ends_as_documented(kind: str, state: str) -> None:
    check(Group(victim=1), kind, state)


def test_no_state_and_no_kind_is_left_out() -> None:
    assert set(FOUND) == set(KINDS)
    assert set().union(*FOUND.values()) == set(STATES)
    assert set(KINDS) <= set(BY_CODE)


# What shows only when somebody does something


@pytest.mark.parametrize("kind", ["contactor_stuck", "ground_fault_self_test"])
def test_what_shows_at_the_next_opening_or_closing_disables_the_station_until_a_restart(kind: str) -> None:
    group = Group()
    with judged(group):
        group.bring_to("C2")
        group.inject(kind)
        group.wait(30.0)
        assert not group.codes
        group.unplug()
        group.wait(5.0)
        if kind == "ground_fault_self_test":
            assert not group.codes
            group.plug(WORST)
        group.wait_until(lambda: group.codes == {kind}, 20)
        group.check_effect()
        group.wait(10.0)
        assert group.offered() == [24.0, 24.0, 0.0]
        group.mend(kind)
        if kind == "contactor_stuck":
            group.plug(WORST)
        check_return(group, "C2", {kind})


def test_a_contactor_that_does_not_close_any_more_is_found_at_the_next_closing() -> None:
    group = Group()
    with judged(group):
        group.bring_to("C2")
        group.inject("contactor_open")
        group.wait(30.0)
        assert (group.codes, group.all_charge()) == (set(), True)
        group.unplug()
        group.wait(5.0)
        group.plug(WORST)
        group.wait_until(lambda: group.codes == {"contactor_open"}, 20)
        group.check_effect()
        group.wait(5.0)
        assert group.offered() == [24.0, 24.0, 0.0]
        group.mend("contactor_open")
        check_return(group, "C2", {"contactor_open"})


def test_what_a_welded_contactor_lets_through_is_not_given_to_others() -> None:
    """Its vehicle draws on, whatever the pilot says."""
    group = Group()
    group.plug(REFUSER)
    group.wait_until(group.all_charge, 40)
    group.inject("contactor_stuck")
    group.inject("pilot_range")
    totals = [0.0]
    for _ in range(600):
        group.wait(0.1)
        totals.append(sum(group.drawn()))
    assert (group.state, group.drawn()) == ("F", [16.0, 16.0, 16.0])
    assert max(totals) <= 48.0


# A process that stands still for less than the dead-man's second


def _is_testing(group: Group) -> bool:
    return group.plant(3)._testing


def _is_letting_go(group: Group) -> bool:
    return group.plant(3).inputs.ground_fault and not group.plant(3)._testing


def _has_told_to_close(group: Group) -> bool:
    return group.app(3).station._contactor.commanded


_STALLS = list(product([_is_testing, _is_letting_go, _has_told_to_close], [0.0, 0.01], [0.3, 0.55, 0.7, 0.95]))


@pytest.mark.parametrize(("moment", "later_s", "for_s"), _STALLS)
def test_a_late_process_judges_by_what_is_and_not_by_what_was_before(
    moment: Callable[[Group], bool], later_s: float, for_s: float
) -> None:
    """The sensor has tripped and let go, or the contactor has closed, while nobody looked."""
    group = Group()
    with judged(group):
        group.plug(WORST)
        assert group.until(lambda: moment(group), 20.0) < inf
        group.wait(later_s)
        group.world.stall(2, for_s)
        shown: set[str] = set()
        for _ in range(1000):
            group.wait(0.01)
            shown |= group.codes
        assert shown == set()
        group.wait_until(group.all_charge, 20.0)


@pytest.mark.parametrize(
    ("kind", "moment"), [("ground_fault_self_test", _is_testing), ("contactor_open", _has_told_to_close)]
)
@pytest.mark.parametrize("for_s", [0.3, 0.55, 0.7, 0.95])
def test_a_late_process_still_finds_what_has_failed(kind: str, moment: Callable[[Group], bool], for_s: float) -> None:
    group = Group()
    with judged(group):
        group.inject(kind)
        group.plug(WORST)
        assert group.until(lambda: moment(group), 20.0) < inf
        group.world.stall(2, for_s)
        group.wait(for_s + 0.6)
        assert group.codes == {kind}
        group.check_effect()


# Pairs


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=2, unique=True),
    state=st.sampled_from(STATES),
    apart_s=st.sampled_from([0.0, 0.01, 0.03, 0.3, 1.0, 2.5, 7.0]),
    mended_s=st.tuples(*[st.sampled_from([0.01, 0.3, 1.5, 8.0, 20.0])] * 2),
    victim=st.sampled_from([1, 3, 3]),
)
def test_two_faults_at_once_end_as_documented_and_all_charge_afterwards(
    kinds: list[str], state: str, apart_s: float, mended_s: tuple[float, float], victim: int
) -> None:
    group = Group(victim=3 if state in _LONELY else victim)
    with judged(group):
        group.bring_to(state)
        group.inject(kinds[0])
        group.wait(apart_s)
        group.inject(kinds[1])
        for kind, for_s in zip(kinds, mended_s, strict=True):
            group.wait(for_s)
            group.check_effect()
            group.clear(kind)
        group.wait(2.0)
        group.check_effect()
        found = group.codes
        group.mend()
        group.unplug()
        if needed(found) == "restart":
            group.world.restart(group.victim - 1)
        group.plug(WORST)
        group.wait_until(lambda: group.all_charge() and not group.codes, 2 * BACK_S)


# Its amps


_OPENING = [
    (kind, victim)
    for kind, victim in product(FOUND, (1, 3))
    if "C2" in FOUND[kind]
    and BY_CODE[kind].severity in (Severity.STOP, Severity.PAUSE)
    and (kind, victim) != ("switch_unreadable", 1)  # without its setting a primary is none: the others lose it
]
OTHERS_S = 1.0
"""A poll brings the report, the next ones the grants: less than two cycles."""
_LATER_S = {"overdraw": PILOT_HOLD_S}
"""While one overdraws, the others are cut and raised again, and the next raise waits."""


@pytest.mark.parametrize(("kind", "victim"), _OPENING)
def test_its_amps_go_to_the_others_as_soon_as_its_contactor_is_open(kind: str, victim: int) -> None:
    group = Group(victim)
    others = [i for i in range(3) if i != victim - 1]
    with judged(group):
        group.bring_to("C2")
        group.inject(kind)
        group.wait_until(lambda: kind in group.codes and not group.plant(victim).contactor_closed, FOUND_S)
        within_s = OTHERS_S + _LATER_S.get(kind, 0.0)
        assert group.until(lambda: all(group.offered()[i] == 24.0 for i in others), within_s, 0.01) < inf


@pytest.mark.parametrize("celsius", [66.0, 69.0])
def test_what_heat_takes_from_a_station_goes_to_the_others(celsius: float) -> None:
    group = Group()
    with judged(group):
        group.bring_to("C2")
        group.world.touch(2, lambda plant, now: plant.inject("over_temperature", now, celsius))
        group.wait(30.0)
        left_a = {66.0: 24.0, 69.0: 12.0}[celsius]
        own_a = min(left_a, 16.0)
        assert group.offered() == [24.0 - own_a / 2, 24.0 - own_a / 2, own_a]


# Faults of the group and of the log


def lonely(direction: Direction) -> Group:
    """s3 charges; then its wire is cut."""
    group = Group()
    group.bring_to("C2")
    group.world.line.cut(2, direction)
    return group


@pytest.mark.parametrize(
    ("direction", "code"), [("both", "no_primary"), ("receive", "no_primary"), ("send", "unheard")]
)
def test_a_cut_wire_is_named_by_what_still_goes_through(direction: Direction, code: str) -> None:
    group = lonely(direction)
    with judged(group):
        group.wait_until(lambda: group.codes == {code}, 40)
        assert BY_CODE[code].severity is Severity.GROUP
        assert group.offered() == [24.0, 24.0, 0.0]
        group.wait(60)
        assert group.codes == {code}
        group.world.line.join(2, direction)
        group.wait_until(lambda: group.all_charge() and not group.codes, BACK_S)


@pytest.mark.parametrize(("before", "after"), [("send", "receive"), ("receive", "send")])
def test_one_cut_after_the_other_changes_the_name(before: Direction, after: Direction) -> None:
    codes: dict[Direction, set[str]] = {"send": {"unheard"}, "receive": {"no_primary"}}
    group = lonely(before)
    with judged(group):
        group.wait_until(lambda: group.codes == codes[before], 40)
        group.world.line.cut(2, after)
        group.world.line.join(2, before)
        group.wait_until(lambda: group.codes == codes[after], 40)


def test_a_primary_whose_leases_are_too_long_is_a_fault_of_the_configuration_until_it_is_put_right() -> None:
    bench = Bench(scenario(plugs(1, 2), "BF", off=[1]))
    usual = bench.simulation.timing
    with judged(bench):
        bench.run(1.0)
        bench.simulation.timing = replace(usual, lease_s=6.0, release_s=15.0)
        bench.world.power_on(0)
        bench.run(60.0)
        assert (bench.faults(), bench.drawn()) == (["", "configuration"], [48.0, 0.0])
        bench.simulation.timing = usual
        bench.world.restart(0)
        bench.run(120.0)
        assert (bench.faults(), bench.drawn()) == (["", ""], [24.0, 24.0])


def test_a_configuration_fault_ends_with_its_primary() -> None:
    bench = Bench(scenario((), "BF", off=[1]))
    bench.run(1.0)
    bench.simulation.timing = replace(bench.simulation.timing, lease_s=6.0, release_s=15.0)
    bench.world.power_on(0)
    bench.run(30.0)
    assert bench.faults() == ["", "configuration"]
    bench.world.power_off(0)
    bench.run(60.0)
    assert bench.faults()[1] == "no_primary"


def test_a_station_above_its_rating_is_disabled_until_its_switch_is_turned_back() -> None:
    group = Group()
    with judged(group):
        group.bring_to("C2")
        group.turn(12)
        group.wait(SWITCH_STABLE_S - 0.05)
        assert not group.codes
        group.wait(0.2)
        assert (group.codes, group.state, group.plant(3).contactor_closed) == ({"switch_unsupported"}, "F", False)
        group.wait(600.0)
        assert group.state == "F"
        group.turn(15)
        group.wait_until(lambda: group.all_charge() and not group.codes, BACK_S)


class _Full(PlantJournal):
    """A journal that can't keep what it is given."""

    __slots__ = ("problem",)

    def __init__(self) -> None:
        super().__init__("test", lambda event, fields: None)
        self.problem = "event log /full/s3.jsonl: no space left on device"


def test_a_log_that_can_t_be_written_is_said_and_charging_goes_on() -> None:
    bench = Bench(scenario(plugs(1, 2, 3), "BFF", off=[3]))
    journal = bench.world.slots[2].board.journal = _Full()
    with judged(bench):
        bench.world.power_on(2)
        bench.run(80.0)
        assert (bench.faults(), bench.drawn()) == (["", "", "log"], [16.0, 16.0, 16.0])
        assert bench.plant(3).light.words == "amber 5-5"
        journal.problem = ""
        bench.run(81.0)
        assert bench.faults() == ["", "", ""]
