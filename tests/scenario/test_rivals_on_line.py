"""Two stations of one line set to amps: at most one gives, and a person can tell what is wrong."""

from collections.abc import Callable

import pytest

from firmware.sharing.rivals import Phase
from tests.scenario.helpers import CHART, READY_S, TIMING, Bench, event, judged, plugs, scenario
from watti.scenario import Event

YIELDED = ("more_than_one_primary", "more_than_one_primary")


def _giving(bench: Bench) -> list[int]:
    return [
        i
        for i in (1, 2)
        if bench.world.slots[i - 1].node is not None
        and bench.app(i).role is not None
        and getattr(bench.app(i).role, "phase", None) is Phase.SITTING
    ]


def _shown(bench: Bench, station: int) -> tuple[str, str]:
    row = bench.simulation.row(station - 1)
    return row.reason, row.fault


def _never_two(bench: Bench, until: float) -> None:
    while bench.now < until:
        bench.run(min(until, bench.now + 0.1))
        assert len(_giving(bench)) <= 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("do", ["power_on", "switch"])
def test_a_newcomer_yields_and_the_sitting_one_goes_on(seed: int, do: str) -> None:
    second = "B" if do == "power_on" else "F"
    cause = event(60, do, 2, **({"position": 11} if do == "switch" else {}))
    off = [2] if do == "power_on" else []
    bench = Bench(scenario([*plugs(1, 2, 3, at_s=5.0), cause], f"B{second}F", off=off), seed)
    with judged(bench):
        bench.run(59.9)
        _never_two(bench, 120)
        assert _shown(bench, 2) == YIELDED
        assert bench.drawn() == [24.0, 0.0, 24.0]


def test_the_sitting_one_names_the_intruder_as_long_as_it_is_there() -> None:
    bench = Bench(scenario([*plugs(1, at_s=5.0), event(60, "power_on", 2)], "BBF", off=[2], serials=[77, 4711, 9]))
    for at_s in (70, 120, 400):
        bench.run(at_s)
        assert bench.simulation.row(0).fault == "more_than_one_primary"
        assert bench.primary(1).rivals.intruder == 4711
    assert bench.drawn()[0] == 48.0


def test_the_intruder_is_named_no_longer_when_it_has_gone() -> None:
    bench = Bench(scenario([event(60, "power_on", 2), event(120, "power_off", 2)], "BBF", off=[2]))
    bench.run(150)
    assert bench.simulation.row(0).fault == ""


@pytest.mark.parametrize("baud", [9600, 19200, 115200])
def test_two_that_start_together_never_both_give(baud: int) -> None:
    sat = []
    for seed in range(12):
        bench = Bench(scenario(plugs(1, 2, 3, at_s=5.0), "BBF", baud=baud), seed)
        with judged(bench):
            _never_two(bench, 40)
        sat.append(len(_giving(bench)))
        yielded = [i for i in (1, 2) if i not in _giving(bench)]
        assert all(_shown(bench, i) == YIELDED for i in yielded)
    assert set(sat) <= {0, 1}


@pytest.mark.parametrize("apart_s", [0.01, 0.3, 0.5, 0.6, 1.0, 5.0, 13.0, 13.4, 13.5, 13.6, 14.0])
def test_two_that_start_shortly_after_each_other_never_both_give(apart_s: float) -> None:
    for seed in range(3):
        bench = Bench(scenario([*plugs(1, 2, 3, at_s=5.0), event(apart_s, "power_on", 2)], "BBF", off=[2]), seed)
        with judged(bench):
            _never_two(bench, 45)


def test_both_stop_when_a_cut_line_heals() -> None:
    """Without cars meanwhile: two that can't hear each other know no common total."""
    events = [event(0, "bus_cut", 2), event(60, "bus_join", 2), *plugs(1, 2, 3, at_s=62.0)]
    bench = Bench(scenario(events, "BBF"))
    with judged(bench):
        bench.run(59)
        assert _giving(bench) == [1, 2]
        bench.run(62)
        assert _giving(bench) == []
        bench.run(300)
        assert (_shown(bench, 1), _shown(bench, 2)) == (YIELDED, YIELDED)
        assert bench.offered() == [0.0] * 3


def _yielded_second(*events: Event, seed: int = 1) -> Bench:
    """s1 sits, s2 has yielded; s3 is a secondary; cars everywhere; then what the test wants."""
    arrival = event(30, "power_on", 2)
    bench = Bench(scenario([*plugs(1, 2, 3, at_s=5.0), arrival, *events], "BBF", off=[2]), seed)
    bench.run(59)
    assert _shown(bench, 2) == YIELDED
    return bench


@pytest.mark.parametrize("off_s", [2.0, 20.0, 600.0])
def test_yielding_survives_a_brown_out_of_the_sitting_one(off_s: float) -> None:
    bench = _yielded_second(event(60, "power_off", 1), event(60 + off_s, "power_on", 1))
    with judged(bench):
        bench.run(60 + off_s)
        assert _shown(bench, 2) == YIELDED
        bench.run(60 + off_s + 60)
        assert _giving(bench) == [1]
        assert bench.drawn() == [24.0, 0.0, 24.0]


def test_yielding_survives_its_own_restart_also_alone_on_the_line() -> None:
    bench = _yielded_second(
        event(60, "power_off", 1), event(70, "restart", 2), event(80, "power_off", 2), event(85, "power_on", 2)
    )
    bench.run(300)
    assert _shown(bench, 2) == YIELDED
    assert bench.offered() == [0.0] * 3


def test_yielding_ends_when_its_own_switch_is_turned() -> None:
    bench = _yielded_second(event(60, "power_off", 1), event(70, "switch", 2, position=10))
    with judged(bench):
        bench.run(120)
        assert _giving(bench) == [2]
        assert bench.drawn() == [0.0, 20.0, 20.0]


def test_yielding_ends_when_it_is_turned_to_f_and_joins() -> None:
    bench = _yielded_second(event(60, "switch", 2, position=15))
    with judged(bench):
        bench.run(100)
        assert bench.drawn() == [16.0] * 3


def test_yielding_ends_when_the_other_is_turned_to_f() -> None:
    bench = _yielded_second(event(60, "switch", 1, position=15))
    with judged(bench):
        bench.run(120)
        assert bench.roles() == ["secondary", "primary", "secondary"]
        assert bench.drawn() == [16.0] * 3


def test_yielding_ends_when_the_other_is_turned_to_f_although_a_third_one_sits_by_then() -> None:
    events = [event(60, "switch", 1, position=15), event(60, "switch", 3, position=11)]
    bench = _yielded_second(*events)
    with judged(bench):
        bench.run(200)
    assert sum(role == "primary" for role in bench.roles()) <= 2
    assert any(drawn > 0 for drawn in bench.drawn()) or "more_than_one_primary" in bench.faults()


def test_two_that_stopped_recover_when_one_is_turned_to_f() -> None:
    events = [event(0, "bus_cut", 2), event(60, "bus_join", 2), *plugs(1, 2, 3, at_s=62.0)]
    bench = Bench(scenario([*events, event(100, "switch", 2, position=15)], "BBF"))
    with judged(bench):
        bench.run(180)
        assert bench.drawn() == [16.0] * 3


@pytest.mark.parametrize("kind", ["echo", "duplicate", "delay", "truncate", "drop"])
@pytest.mark.parametrize("disruption", ["", "restart", "turn", "stall"])
def test_no_disturbance_makes_a_lone_primary_yield(kind: str, disruption: str) -> None:
    disruptions: dict[str, Callable[[float], list[Event]]] = {
        "": lambda at: [],
        "restart": lambda at: [event(at, "restart", 1)],
        "turn": lambda at: [event(at, "switch", 1, position=10), event(at + 2, "switch", 1, position=11)],
        "stall": lambda at: [event(at, "stall", 1, for_s=5.5)],
    }
    for seed in range(2):
        more = [thing for at in (30.0, 45.3, 61.7, 77.1) for thing in disruptions[disruption](at)]
        disturbed = event(1, "bus_disturb", kind=kind, rate=0.5, for_s=120.0)
        echo = event(1, "bus_disturb", kind="echo", rate=1.0, for_s=120.0)
        bench = Bench(scenario([disturbed, echo, *plugs(1, 2), *more], "BFF"), seed)
        with judged(bench):
            bench.run(180)
            assert "more_than_one_primary" not in bench.trace.getvalue()
            assert bench.drawn() == [24.0, 24.0, 0.0]


@pytest.mark.parametrize("for_s", [2.0, 3.3, 4.1, 4.7])
def test_a_primary_that_yields_in_the_middle_of_a_cycle_does_not_spin(for_s: float) -> None:
    """It begins a cycle after a stall and then finds the other one's frames in its buffer. Stepping it for ever at one
    instant would be a process at full load."""
    for seed in range(4):
        events = [event(0, "bus_cut", 2), event(60, "stall", 1, for_s=for_s), event(61, "bus_join", 2)]
        bench = Bench(scenario(events, "BBF"), seed)
        with judged(bench):
            bench.run(80)
        assert _shown(bench, 1) == YIELDED


def test_a_setting_that_the_model_does_not_support_is_no_primary() -> None:
    assert CHART.setting(14, 48).limit_a is None
    bench = Bench(scenario(plugs(1, 2, 3), "BEF"))
    with judged(bench):
        bench.run(READY_S + TIMING.release_s + 20)
        assert bench.faults() == ["", "switch_unsupported", ""]
        assert bench.drawn() == [24.0, 0.0, 24.0]
