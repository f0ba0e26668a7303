"""What the building takes, out of readings that may be anything."""

from collections.abc import Sequence
from math import cos, inf, nan, radians, sqrt
from typing import Any

import pytest

from cloud.headroom import Building
from cloud.site import Measures, Meter

LIMIT_A = 200.0


def building(meter: Meter, members: Sequence[int] = ()) -> Building:
    """Of three lines; a member's amperes are on lines A and B, in phase."""
    return Building(meter, 3, LIMIT_A, members, lambda amps: (sum(amps), sum(amps), 0.0))


def read(one: Building, amps: Sequence[float], now: float) -> None:
    one.on_reading(amps, [], [], now)


def sure(**more: Any) -> Meter:
    return Meter("m", "main", lines_sure=True, **more)


def test_nothing_heard_is_the_worst_case() -> None:
    assert building(sure()).load(0.0) == (LIMIT_A,) * 3
    assert building(sure(worst_a=120.0)).load(0.0) == (120.0,) * 3


def test_load_that_comes_counts_at_once_and_load_that_goes_at_its_ramp() -> None:
    one = building(sure(worst_a=100.0, ramp_a_per_s=2.0))
    read(one, (60.0, 60.0, 60.0), 0.0)
    assert one.load(0.0) == (100.0,) * 3
    assert one.falling
    assert one.load(9.0)[0] == pytest.approx(82.0)
    read(one, (150.0, 90.0, 10.0), 9.0)
    assert one.load(9.0) == pytest.approx((150.0, 90.0, 82.0))
    assert one.load(18.0)[2] == pytest.approx(64.0)


def test_margin_is_kept_free() -> None:
    one = building(sure(worst_a=0.0, margin_a=5.0))
    read(one, (50.0, 50.0, 50.0), 0.0)
    assert one.load(0.0) == (55.0,) * 3


@pytest.mark.parametrize("amps", [(nan, 1.0, 1.0), (inf, 1.0, 1.0), (1.0, 1.0), (), (1.0,) * 4])
def test_what_is_no_reading_is_not_heard(amps: Sequence[float]) -> None:
    one = building(sure(worst_a=100.0, stale_after_s=10.0))
    read(one, (150.0,) * 3, 0.0)
    for now in range(1, 12):
        read(one, amps, float(now))
    assert one.refused == 11
    assert one.heard_at == 0.0
    assert one.load(12.0) == (150.0,) * 3  # stale: the worst case, and that is at least what was read


def test_a_meter_that_goes_stale_is_the_worst_case_until_it_is_heard_again() -> None:
    one = building(sure(worst_a=150.0, stale_after_s=10.0, ramp_a_per_s=5.0))
    read(one, (20.0,) * 3, 0.0)
    assert one.load(9.9) == pytest.approx((100.5,) * 3)
    assert one.load(10.0) == (150.0,) * 3
    read(one, (20.0,) * 3, 20.0)
    assert one.load(22.0) == pytest.approx((140.0,) * 3)


def test_a_transformer_the_wrong_way_round_counts_by_magnitude() -> None:
    one = building(sure(worst_a=0.0))
    read(one, (-80.0, 10.0, 0.0), 0.0)
    assert one.load(0.0) == (80.0, 10.0, 0.0)


def test_lines_that_nobody_has_checked_count_what_the_fullest_carries() -> None:
    one = building(Meter("m", "main", worst_a=0.0))
    read(one, (10.0, 80.0, 30.0), 0.0)
    assert one.load(0.0) == (80.0,) * 3


# A meter of the total


def thrice(one: Building, amps: Sequence[float], before: Sequence[float], after: Sequence[float]) -> None:
    """Three readings, each with what both members reported before and after."""
    for _ in range(3):
        one.on_reading(amps, before, [48.0, 48.0], 0.0)
        for i, drawn in enumerate(after):
            one.on_report(i, drawn, 0.0)


def total(**more: Any) -> Building:
    meter = sure(measures=Measures.TOTAL, worst_a=0.0, ramp_a_per_s=1000.0, **more)
    return building(meter, members=(0, 1))


def test_what_the_stations_drew_is_taken_off_when_they_have_said_so_before_and_after() -> None:
    one = total(angle_deg=0.0)
    one.on_reading((100.0, 90.0, 50.0), [30.0, 20.0], [48.0, 48.0], 0.0)
    one.on_report(0, 30.0, 0.0)
    assert one.load(0.0)[0] == pytest.approx(4.0)  # so far only what can't be theirs at all: 100 - 96
    one.on_report(1, 15.0, 0.0)
    assert one.load(0.0) == pytest.approx((55.0, 45.0, 50.0))


def test_the_most_of_three_readings_counts_as_a_vehicle_may_have_paused_at_one() -> None:
    one = total(angle_deg=0.0)
    thrice(one, (100.0, 100.0, 50.0), [30.0, 20.0], [30.0, 20.0])
    one.on_reading((70.0, 70.0, 50.0), [30.0, 20.0], [48.0, 48.0], 0.0)  # member 0 draws nothing just now
    one.on_report(0, 30.0, 0.0)
    one.on_report(1, 20.0, 0.0)
    assert one.load(0.0)[0] == pytest.approx(50.0)


def test_building_and_stations_may_be_out_of_phase() -> None:
    one = total(angle_deg=30.0)
    beside = 100.0  # in the worst case its current leads theirs by 30 degrees
    stations = 50.0
    read_a = sqrt(beside**2 + stations**2 + 2 * beside * stations * cos(radians(30.0)))
    one.on_reading((read_a, 0.0, 0.0), [50.0, 0.0], [50.0, 0.0], 0.0)
    one.on_report(0, 50.0, 0.0)
    one.on_report(1, 0.0, 0.0)
    assert one.load(0.0)[0] == pytest.approx(beside)


def test_load_that_cannot_be_the_stations_counts_at_once() -> None:
    one = total()
    one.on_reading((150.0, 0.0, 0.0), [0.0, 0.0], [48.0, 0.0], 0.0)
    assert one.load(0.0)[0] == pytest.approx(102.0)


def test_above_the_limit_all_that_is_not_reported_is_the_building_s() -> None:
    one = total()
    one.on_reading((230.0, 0.0, 0.0), [20.0, 0.0], [48.0, 48.0], 0.0)
    assert one.load(0.0)[0] == LIMIT_A  # 210, and more than all leaves no less room


def test_a_total_without_stations_is_the_building_s() -> None:
    meter = Meter("ct", "panel", Measures.TOTAL, lines_sure=True, ramp_a_per_s=1000.0)
    one = Building(meter, 3, LIMIT_A, (), lambda amps: (0.0, 0.0, 0.0))
    one.on_reading((10.0, 20.0, 30.0), (), (), 0.0)
    assert one.load(1.0) == (10.0, 20.0, 30.0)


def test_a_member_that_is_lost_has_nothing_taken_off() -> None:
    one = total(angle_deg=0.0)
    one.on_reading((100.0, 100.0, 0.0), [30.0, 30.0], [48.0, 48.0], 0.0)
    one.on_report(0, 30.0, 0.0)
    one.on_report(1, 0.0, 0.0)
    assert one.load(0.0)[0] == pytest.approx(70.0)


def test_a_report_that_was_long_under_way_says_nothing_of_what_was_drawn_since() -> None:
    one = total(angle_deg=0.0)
    one.on_reading((100.0, 100.0, 0.0), [30.0, 0.0], [48.0, 0.0], 7.0)
    one.on_report(1, 0.0, 7.0)
    one.on_report(0, 30.0, 6.9)
    assert one.load(7.0)[0] == pytest.approx(52.0)  # so far only what can't be theirs
    one.on_report(0, 10.0, 7.0)
    assert one.load(7.0)[0] == pytest.approx(90.0)


def test_a_wild_reading_is_over_as_soon_as_a_full_load_would_be() -> None:
    one = building(sure(worst_a=0.0, ramp_a_per_s=100.0))
    read(one, (1e9, 0.0, 0.0), 0.0)
    read(one, (0.0, 0.0, 0.0), 1.0)
    assert one.load(3.0)[0] == 0.0
