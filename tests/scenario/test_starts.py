"""After a power return or a shortage vehicles start one after another, and not a whole street at once."""

from itertools import pairwise

import pytest

from firmware.sharing.rivals import Phase
from tests.scenario.helpers import TIMING, Bench, event, judged, plugs, scenario

STAGGER_S = 2.0
_APART_S = STAGGER_S - 0.3
"""What is left of the distance where the grants travel at different speeds: one waits for its poll, one does not."""


def leases(bench: Bench) -> dict[int, float]:
    """By station, filled while the bench runs: when it first held a lease."""
    began: dict[int, float] = {}
    observe = bench.world.observe

    def watched(index: int) -> None:
        observe(index)
        node = bench.world.slots[index].node
        if node is not None and bench.app(index + 1).station.holder.amps_da:
            began.setdefault(index + 1, bench.now)

    bench.world.observe = watched
    return began


def _sits_at(seed: int) -> float:
    bench = Bench(scenario(switches="B"), seed)
    bench.run(1.0)
    return 1.0 + bench.until(lambda: bench.primary().phase is Phase.SITTING, 30.0, 0.01)


def test_after_a_power_return_vehicles_start_one_after_another() -> None:
    outage = [event(100.0, "power_off", station) for station in range(1, 6)]
    back = [event(130.0, "power_on", station) for station in range(1, 6)]
    for seed in range(5):
        bench = Bench(scenario([*plugs(1, 2, 3, 4, 5), *outage, *back]), seed)
        with judged(bench):
            bench.run(130.0)
            began = leases(bench)
            bench.run(200.0)
            times = sorted(began.values())
            assert len(times) == 5
            assert min(later - sooner for sooner, later in pairwise(times)) >= _APART_S
            assert times[-1] <= 130.0 + TIMING.release_s + 5.0 + 4 * (STAGGER_S + TIMING.poll_s) + 1.0
            assert all(abs(amps - 9.6) < 0.01 for amps in bench.drawn())


def test_a_street_does_not_come_back_at_once() -> None:
    """Each group lengthens its quiet start by a time of its own."""
    times = [_sits_at(seed) for seed in range(30)]
    assert min(times) >= TIMING.release_s
    assert max(times) - min(times) > 3.5
    assert len({round(at, 1) for at in times}) > 15


@pytest.mark.parametrize(("first", "second"), [(4, 5), (5, 4)])
def test_whoever_waits_longest_starts_first_when_a_shortage_ends(first: int, second: int) -> None:
    """16 A serve two. Both leave at once, and the third and fourth may start."""
    events = [*plugs(1, 2, at_s=20.0), *plugs(first, at_s=40.0), *plugs(second, at_s=60.0), *plugs(3, at_s=80.0)]
    bench = Bench(scenario([*events, event(200.0, "unplug", 1), event(200.0, "unplug", 2)], switches="4FFFF"))
    with judged(bench):
        bench.run(199.9)
        assert [amps > 0 for amps in bench.drawn()] == [True, True, False, False, False]
        began = leases(bench)
        bench.run(230.0)
        assert {4, 5} <= began.keys()
        assert began[first] + _APART_S <= began[second]
        assert 3 not in began
