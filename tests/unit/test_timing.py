"""The release time and its terms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.timing import CONTACTOR_S, OPEN_UNDER_LOAD_S, Timing, TimingError


def least(lease: float, dead_man: float, reaction: float, drift: float) -> float:
    return (lease + dead_man + max(reaction, 6.0) + 0.1) * (1 + drift) / (1 - drift)


def test_the_times_of_a_group_as_shipped_keep_the_promise() -> None:
    timing = Timing()
    assert timing.reaction_s >= 6.5
    assert timing.least_release_s == pytest.approx(12.8545, abs=1e-4)
    assert timing.least_release_s <= timing.release_s <= 15.0
    assert (OPEN_UNDER_LOAD_S, CONTACTOR_S) == (6.0, 0.1)


@given(st.floats(2, 30), st.floats(0.1, 5), st.floats(1, 60), st.floats(0, 0.05))
def test_the_least_release_time_and_not_a_millisecond_less(
    lease: float, dead_man: float, reaction: float, drift: float
) -> None:
    needed = least(lease, dead_man, reaction, drift)

    def build(release: float) -> Timing:
        return Timing(reaction, lease, dead_man, release, poll_s=0.4, drift=drift)

    assert build(needed + 1e-6).least_release_s == pytest.approx(needed)
    with pytest.raises(TimingError, match="too short"):
        build(needed - 1e-3)


def test_each_term_can_make_it_too_short() -> None:
    for longer in ({"lease_s": 6.0}, {"dead_man_s": 2.0}, {"reaction_s": 7.5}, {"drift": 0.06}):
        with pytest.raises(TimingError, match="is too short"):
            Timing(**longer)


@pytest.mark.parametrize("release", [math.nan, math.inf, -math.inf, 0.0, -20.0])
def test_no_number_at_all_is_refused(release: float) -> None:
    with pytest.raises(TimingError):
        Timing(release_s=release)


def test_a_quick_car_does_not_shorten_it_below_opening_under_load() -> None:
    assert Timing(reaction_s=1.0).least_release_s == Timing(reaction_s=6.0).least_release_s


def test_the_terms_are_shown_to_people() -> None:
    with pytest.raises(TimingError) as refused:
        Timing(release_s=12.0)
    for term in ("12.0", "lease 5.0", "dead-man 1.0", "6.5", "contactor 0.1", "12.85"):
        assert term in str(refused.value)


def test_polls_too_rare_for_the_lease_are_refused() -> None:
    Timing(poll_s=5.0 / 3)
    with pytest.raises(TimingError, match="3 polls"):
        Timing(poll_s=1.7)


@given(st.floats(0, 0.05), st.floats(1, 60))
def test_r_is_over_by_any_clock_when_it_is_over_by_a_fast_one(drift: float, reaction: float) -> None:
    timing = Timing(reaction_s=reaction, release_s=200.0, drift=drift)
    assert timing.settle_s / (1 + drift) >= reaction * (1 - 1e-12)
