"""The steps of temperature, with sound readings and with bad ones, and what a station makes of them."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.temperature import Temperature
from tests.scenario.helpers import READY_S, Bench, judged, plugs, scenario
from tests.unit.evse import Evse

BAD = [nan, inf, -inf, 1e9, -300.0, -40.1, 125.1]


def after(*readings: float) -> Temperature:
    temperature = Temperature()
    for celsius in readings:
        temperature.read(celsius)
    return temperature


@pytest.mark.parametrize(
    ("celsius", "share"),
    [
        (-40.0, 1.0),
        (25.0, 1.0),
        (64.9, 1.0),
        (65.0, 0.5),
        (67.9, 0.5),
        (68.0, 0.25),
        (70.9, 0.25),
        (71.0, 0.0),
        (125.0, 0.0),
    ],
)
def test_steps(celsius: float, share: float) -> None:
    hot = after(25.0, 25.0, celsius, celsius)
    assert (hot.share, hot.too_hot, hot.lost) == (share, share == 0.0, False)


@pytest.mark.parametrize("celsius", [65.0, 68.0, 71.0])
def test_a_step_holds_until_it_is_62_c_and_then_all_comes_back(celsius: float) -> None:
    hot = after(celsius, celsius)
    share = hot.share
    for cooler in (64.9, 63.0, 62.1, 62.1):
        hot.read(cooler)
        assert hot.share == share
    hot.read(62.0)
    assert hot.share == share, "one reading may be noise"
    hot.read(62.0)
    assert (hot.share, hot.too_hot) == (1.0, False)


def test_hotter_goes_to_the_next_step_and_a_little_cooler_not_back() -> None:
    hot = after(25.0, 25.0)
    shares = []
    for celsius in (66.0, 66.0, 69.0, 69.0, 66.0, 66.0, 72.0, 72.0, 69.0, 69.0, 62.0, 62.0):
        hot.read(celsius)
        shares.append(hot.share)
    assert shares == [1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_one_reading_alone_changes_nothing() -> None:
    assert after(80.0).share == 1.0
    assert after(25.0, 25.0, 80.0, 25.0, 80.0, 25.0).share == 1.0
    assert after(70.0, 70.0, 25.0, 70.0, 25.0, 70.0).share == 0.25


@pytest.mark.parametrize("bad", BAD)
def test_three_bad_readings_in_a_row_are_a_lost_sensor_and_one_sound_one_finds_it(bad: float) -> None:
    lost = after(25.0, 25.0, bad, bad)
    assert (lost.lost, lost.share) == (False, 1.0)
    lost.read(bad)
    assert (lost.lost, lost.share, lost.too_hot) == (True, 0.25, False)
    lost.read(25.0)
    assert (lost.lost, lost.share) == (False, 1.0)


@pytest.mark.parametrize("bad", BAD)
def test_a_sensor_that_is_lost_while_it_is_hot_gives_nothing_free(bad: float) -> None:
    assert after(66.0, 66.0, bad, bad, bad).share == 0.25
    hot = after(72.0, 72.0, bad, bad, bad)
    assert (hot.share, hot.too_hot) == (0.0, True)
    hot.read(25.0)
    hot.read(25.0)
    assert (hot.share, hot.too_hot) == (1.0, False)


def test_a_sensor_that_never_answers_is_lost() -> None:
    assert after(nan, nan, nan).lost


READINGS = st.lists(st.one_of(st.sampled_from([*BAD, 61.9, 62.0, 64.9, 65.0, 68.0, 71.0]), st.floats(-50, 130)))


@given(readings=READINGS)
def test_more_is_allowed_only_after_two_sound_readings_of_at_most_62_c(readings: list[float]) -> None:
    temperature = Temperature()
    sound: list[float] = []
    for celsius in readings:
        before, was_lost = temperature.share, temperature.lost
        temperature.read(celsius)
        if -40.0 <= celsius <= 125.0:
            sound.append(celsius)
            if len(sound) > 1 and min(sound[-2:]) >= 71.0:
                assert temperature.too_hot
        if temperature.share > before and not was_lost:
            assert max(sound[-2:]) <= 62.0


@given(noise=st.lists(st.floats(-20, 20), min_size=30, max_size=30), true_c=st.sampled_from([25.0, 40.0, 80.0, 92.0]))
def test_noise_of_20_c_neither_stops_a_cool_station_nor_hides_a_hot_one(noise: list[float], true_c: float) -> None:
    temperature = after(*(true_c + celsius for celsius in noise))
    if true_c + 20.0 < 65.0:
        assert temperature.share == 1.0
    elif true_c - 20.0 >= 71.0:
        assert temperature.too_hot


# The station


def test_a_warm_station_offers_its_part_at_once_and_all_again_at_62_c() -> None:
    evse = Evse(amps=48)
    evse.charge()
    offered = []
    for celsius in (64.0, 66.0, 69.0, 66.0, 72.0, 63.0, 62.0):
        evse.plant.inject("over_temperature", evse.now, celsius)
        evse.run(5.0)  # two readings, at the polls that come after 2 s each
        offered.append(evse.offered_a)
    assert offered == [48.0, 24.0, 12.0, 12.0, 0.0, 0.0, 48.0]
    assert evse.until(lambda: evse.plant.current_a == 48.0) < 30.0


def test_a_lost_thermometer_leaves_a_quarter_and_says_so() -> None:
    evse = Evse(amps=48)
    evse.charge()
    evse.plant.inject("thermometer", evse.now)
    evse.run(12.0)
    assert (evse.fault, evse.offered_a, evse.plant.current_a) == ("thermometer", 12.0, 12.0)
    evse.plant.clear("thermometer", evse.now)
    evse.run(12.0)
    assert (evse.fault, evse.plant.current_a) == ("", 48.0)


def test_a_quarter_of_a_small_rating_is_less_than_a_pilot_can_say_and_nothing_is_offered() -> None:
    evse = Evse(amps=16, rating_da=160)
    evse.charge()
    evse.plant.inject("thermometer", evse.now)
    evse.run(20.0)
    assert (evse.offered_a, evse.closed) == (0.0, False)


@pytest.mark.parametrize("celsius", [66.0, 69.0])
def test_the_reason_of_a_warm_station_is_its_temperature(celsius: float) -> None:
    bench = Bench(scenario(plugs(1), "B"))
    with judged(bench):
        bench.run(READY_S + 30)
        assert bench.reasons() == ["switch"]
        bench.world.touch(0, lambda plant, now: plant.inject("over_temperature", now, celsius))
        bench.run(bench.now + 10)
        assert (bench.reasons(), bench.faults()) == (["temperature"], [""])
        bench.world.touch(0, lambda plant, now: plant.inject("over_temperature", now, 61.0))
        bench.run(bench.now + 20)
        assert (bench.reasons(), bench.drawn()) == (["switch"], [48.0])


def test_heat_that_does_not_bind_is_not_the_reason() -> None:
    """Half of 48 A is still more than its share."""
    bench = Bench(scenario(plugs(1, 2, 3), "BFF"))
    bench.run(READY_S + 60)
    bench.world.touch(2, lambda plant, now: plant.inject("over_temperature", now, 66.0))
    bench.run(bench.now + 20)
    assert (bench.reasons(), bench.drawn()) == (["share"] * 3, [16.0] * 3)
