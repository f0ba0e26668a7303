"""Whatever happens in whatever order: the times of the standard that hold at every moment, in virtual time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.simulated.plant import Snapshot
from tests.unit.evse import CAR, EDGE_S, Evse

DEBOUNCE_S = 0.25
_HEALED_S = 60.0
_CARS = st.builds(
    replace,
    st.just(CAR),
    soc=st.sampled_from([0.3, 0.9999, 1.0]),
    reaction_s=st.sampled_from([0.5, 5.0]),
    obeys=st.booleans(),
    glitches=st.sampled_from([0, 2]),
    s3_s=st.sampled_from([0.0, 2.0]),
    ventilated=st.booleans(),
)
_KINDS = st.sampled_from(
    ["ground_fault", "no_ground", "meter", "over_temperature", "diode", "pilot_short", "pilot_range"]
)
_WAITS_S = st.sampled_from([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 40.0])
Action = Callable[[Evse], None]


def _swap(evse: Evse, spec: object) -> None:
    evse.plug(spec) if not evse.plant.connected else evse.unplug()  # type: ignore[arg-type]


def _mend(evse: Evse) -> None:
    for kind in evse.plant.faults:
        evse.plant.clear(kind, evse.now)


_ACTIONS: st.SearchStrategy[Action] = st.one_of(
    _CARS.map(lambda spec: lambda evse: _swap(evse, spec)),
    st.sampled_from([0.0, 6.0, 12.0, 32.0, 48.0]).map(lambda amps: lambda evse: setattr(evse, "amps", amps)),
    st.booleans().map(lambda granting: lambda evse: setattr(evse, "granting", granting)),
    _KINDS.map(lambda kind: lambda evse: evse.plant.inject(kind, evse.now)),
    st.just(_mend),
)


def spans(evse: Evse, holds: Callable[[Snapshot], bool]) -> Iterator[tuple[float, float]]:
    """From when to when the plant was so without a break."""
    begun: float | None = None
    for at, seen in [*evse.log, (evse.now, None)]:
        if seen is not None and holds(seen):
            begun = at if begun is None else begun
        elif begun is not None:
            yield begun, at
            begun = None


@pytest.mark.clause("c to b")
@pytest.mark.clause("unplug")
@pytest.mark.clause("pilot updates")
@given(st.lists(st.tuples(_ACTIONS, _WAITS_S), max_size=20))
def test_in_any_order_of_events_the_times_hold(history: list[tuple[Action, float]]) -> None:
    evse = Evse()
    for act, wait_s in history:
        act(evse)
        evse.run(wait_s)
    _mend(evse)
    evse.run(_HEALED_S)
    for begun, ended in spans(evse, lambda seen: seen.contactor_closed and seen.letter not in "CD"):
        assert ended - begun <= 0.1, "closed without a vehicle that asks"
    for begun, ended in spans(evse, lambda seen: seen.letter in "CD" and seen.pwm and not seen.contactor_closed):
        assert ended - begun <= 3.0 + DEBOUNCE_S + EDGE_S, "asked, with PWM on, and not supplied"
    changes = [(at, before.offered_a, after.offered_a) for (_, before), (at, after) in pairwise(evse.log)]
    changes = [change for change in changes if change[1] != change[2]]
    for (earlier, _, _), (later, old, new) in pairwise(changes):
        assert later - earlier >= 5.0 - EDGE_S or not 0 < old < new, "raised too soon"
    for (_, before), (at, after) in pairwise(evse.log):
        if after.contactor_closed and not before.contactor_closed:
            tripped = [when for when, inputs in evse.sensed if at - 10 < when < at and inputs.ground_fault]
            assert tripped, "closed without a self-test"
