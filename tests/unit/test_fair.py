"""Max-min fair shares against an independent checker, and turns over hours with the members that feed them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.bus.messages import AVAILABLE, CHARGING, CONNECTED, HOLDS, WANTS, Identity, Status
from firmware.sharing.fair import PATIENCE_S, TURN_S, Claim, level, served, shares
from firmware.sharing.ledger import Row
from firmware.sharing.members import Member
from firmware.timing import Timing

TIMING = Timing()
STEP_S = 10.0
WAIT_LIMIT_S = 3600.0 + STEP_S

floors = st.sampled_from([60, 60, 60, 80, 100, 160])
times = st.one_of(st.just(0.0), st.floats(1.0, 7200.0), st.floats(-7200.0, -1.0))
claims = st.builds(
    lambda floor, more, turn, served_s: Claim(floor, floor + more, turn, served_s),
    floors,
    st.one_of(st.just(0), st.integers(0, 740)),
    times,
    st.floats(0.0, 20000.0),
)
groups = st.lists(claims, min_size=1, max_size=5)
totals = st.integers(0, 1000)


@given(totals, groups)
def test_no_more_than_the_total_and_each_within_its_bounds(total: int, group: list[Claim]) -> None:
    given_da = shares(total, group)
    assert sum(given_da) <= total
    for amps, claim in zip(given_da, group, strict=True):
        assert amps == 0 or claim.floor_da <= amps <= claim.cap_da


@given(totals, groups)
def test_max_min_among_those_served(total: int, group: list[Claim]) -> None:
    """The bottleneck test: whoever is below its cap has nobody above it but those at their floors, and what is
    left over is too little to raise all who could take more by one deciampere."""
    given_da = shares(total, group)
    fed = [(amps, claim) for amps, claim in zip(given_da, group, strict=True) if amps]
    left = total - sum(given_da)
    for amps, claim in fed:
        if amps == claim.cap_da:
            continue
        assert all(others <= max(amps, other.floor_da) for others, other in fed)
    water = min((amps for amps, claim in fed if amps < claim.cap_da), default=None)
    if water is not None:
        assert left < sum(amps <= water < claim.cap_da for amps, claim in fed)


@given(totals, groups)
def test_whoever_waits_could_not_be_served_beside_the_others(total: int, group: list[Claim]) -> None:
    chosen = served(total, group)
    left = total - sum(claim.floor_da for claim, is_fed in zip(group, chosen, strict=True) if is_fed)
    assert left >= 0
    waiting = [claim for claim, is_fed in zip(group, chosen, strict=True) if not is_fed]
    saved_for = [claim.floor_da for claim in waiting if claim.turn_s < -PATIENCE_S]  # nobody starts on what these need
    assert all(claim.floor_da > left for claim in waiting) or any(floor_da > left for floor_da in saved_for)
    assert [amps > 0 for amps in shares(total, group)] == chosen


@given(totals, groups)
def test_a_shortage_never_stops_everyone(total: int, group: list[Claim]) -> None:
    if any(claim.floor_da <= total for claim in group):
        assert any(shares(total, group))


@given(totals, st.lists(claims, min_size=1, max_size=5, unique_by=lambda claim: claim.served_s), st.randoms())
def test_the_order_of_the_claims_does_not_matter(total: int, group: list[Claim], rng: object) -> None:
    """Where no two claims have waited or been served for the same time."""
    group = [claim._replace(turn_s=claim.turn_s + i / 64) for i, claim in enumerate(group)]
    expected = dict(zip(group, shares(total, group), strict=True))
    for turned in (group[::-1], group[1:] + group[:1]):
        assert dict(zip(turned, shares(total, turned), strict=True)) == expected
    assert shares(total, group) == shares(total, group)


@given(totals, groups)
def test_level_is_the_highest_that_fits(total: int, group: list[Claim]) -> None:
    total += sum(claim.floor_da for claim in group)
    water = level(total, group)

    def needs(level_da: int) -> int:
        return sum(min(max(level_da, claim.floor_da), claim.cap_da) for claim in group)

    assert needs(water) <= total
    assert needs(water + 1) > total or water == max(claim.cap_da for claim in group)


def claim(cap_da: int = 480, floor_da: int = 60, turn_s: float = 0.0, served_s: float = 0.0) -> Claim:
    return Claim(floor_da, cap_da, turn_s, served_s)


@pytest.mark.parametrize(("cars", "each_da"), [(1, 480), (2, 240), (3, 160), (4, 120), (5, 96)])
def test_the_makers_page(cars: int, each_da: int) -> None:
    assert shares(480, [claim()] * cars) == [each_da] * cars


def test_what_small_ones_leave_goes_to_the_others() -> None:
    assert shares(800, [claim(800), claim(160), claim(800)]) == [320, 160, 320]
    assert shares(300, [claim(), claim(floor_da=160)]) == [140, 160]


def test_nobody_no_shares() -> None:
    assert shares(480, []) == []


def test_a_running_turn_goes_on_and_then_the_least_served_comes() -> None:
    running, waiting = claim(turn_s=599.0, served_s=5000.0), claim(turn_s=-100.0)
    assert shares(100, [running, waiting]) == [100, 0]
    assert shares(100, [running._replace(turn_s=TURN_S), waiting]) == [0, 100]


def test_long_waiting_goes_before_least_served() -> None:
    long_waiting = claim(turn_s=-3100.0, served_s=9000.0)
    assert shares(100, [claim(turn_s=-10.0), long_waiting, claim(turn_s=700.0)]) == [0, 100, 0]


# Turns over hours


class Lot:
    """Cars on a limit that is too small, with the records that the primary keeps of them."""

    def __init__(self, count: int, total_da: int) -> None:
        self.now = 0.0
        self.total_da = total_da
        self.members = [Member(Identity(i, 0), Row(TIMING.reaction_s, 0.0), TIMING, 0.0) for i in range(count)]
        self.turns: list[list[float]] = [[] for _ in range(count)]
        """When each car's turns began and ended, alternating."""
        self.question = 0
        self.report(range(count), CONNECTED | WANTS)

    def report(self, who: range | list[int], flags: int) -> None:
        self.question += 1
        for i in who:
            fed = HOLDS | CHARGING if self.members[i].target_da else 0
            status = Status(self.question, 0, flags | AVAILABLE | fed, self.members[i].target_da, 0, 480, 0)
            self.members[i].on_status(status, self.now)

    def plan(self) -> list[int]:
        taking = [member for member in self.members if member.claims]
        amps = shares(self.total_da, [member.claim(self.total_da, self.now) for member in taking])
        targets = {member.identity: each for member, each in zip(taking, amps, strict=True)}
        for i, member in enumerate(self.members):
            before = member.target_da
            member.aim(targets.get(member.identity, 0), self.now)
            if bool(before) != bool(member.target_da):
                self.turns[i].append(self.now)
        return [member.target_da for member in self.members]

    def run(self, hours: float) -> None:
        end = self.now + hours * 3600
        while self.now < end:
            assert sum(self.plan()) <= self.total_da
            assert any(member.target_da for member in self.members)
            self.now += STEP_S

    def check(self) -> None:
        for turns in self.turns:
            edges = [*turns, self.now]
            spans = list(pairwise(edges))
            lasted, waited = spans[0::2], spans[1::2]
            assert turns
            assert turns[0] <= WAIT_LIMIT_S, "the first wait"
            assert all(end - start >= TURN_S for start, end in lasted[:-1])
            assert all(end - start <= WAIT_LIMIT_S for start, end in waited)


@pytest.mark.parametrize("total_da", [60, 119, 120, 160, 180, 240, 299])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_hours_of_turns(count: int, total_da: int) -> None:
    lot = Lot(count, total_da)
    lot.run(8.0)
    lot.check()
    fit = min(count, total_da // 60)
    assert sum(member.target_da > 0 for member in lot.members) == fit
    fed = [sum(b - a for a, b in list(pairwise([*turns, lot.now]))[0::2]) for turns in lot.turns]
    assert max(fed) - min(fed) <= 2 * TURN_S, "nobody is served much more than another"


@pytest.mark.parametrize(("total_da", "floor_da"), [(160, 80), (160, 100), (120, 80), (160, 160), (180, 160)])
@pytest.mark.parametrize("count", [3, 4, 5])
def test_one_that_needs_more_gets_its_turns_too(count: int, total_da: int, floor_da: int) -> None:
    """Also where it fits only when several turns of others have ended together."""
    lot = Lot(count, total_da)
    lot.members[2].demand.floor_da = floor_da
    lot.run(8.0)
    lot.check()


def test_newcomers_do_not_starve_those_who_were_there() -> None:
    """A new car has been served least of all; one after another comes, each leaves after its turn."""
    lot = Lot(5, 60)
    for _ in range(30):
        lot.report([3, 4], 0)
        lot.run(0.01)
        lot.report([3, 4], CONNECTED | WANTS)
        lot.run(0.2)
    for turns in lot.turns[:3]:
        spans = list(pairwise([*turns, lot.now]))
        assert all(end - start <= WAIT_LIMIT_S for start, end in spans[1::2])


def test_a_second_look_at_the_same_instant_changes_nothing() -> None:
    lot = Lot(3, 60)
    lot.run(4.0)
    for _ in range(1000):
        before = lot.plan()
        assert lot.plan() == before
        lot.now += STEP_S
