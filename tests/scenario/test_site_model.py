"""The model of a member beside the firmware, through the same story."""

from dataclasses import replace
from random import Random
from typing import NamedTuple

import pytest

from tests.scenario.helpers import WORST
from tests.scenario.site_rig import FALLBACK_A, Backend, Rig, ampere_seconds, firmware, model

pytestmark = pytest.mark.scenario

CARS = (WORST, replace(WORST, name="small", max_a=16.0), replace(WORST, name="gentle", ramp_a_per_s=4.0))


class Step(NamedTuple):
    """What a member has come to before something else happens."""

    drawn_a: float
    asking: int
    fallback_da: int
    plugged: int


def story(backend: Backend, stations: int, seed: int) -> tuple[Rig, list[Step]]:
    """Vehicles come and go while a controller changes its mind; the same whatever the member is."""
    rig, rng, steps = Rig(backend, stations), Random(seed), []
    rig.answers_a = 30.0
    rig.run(20.0)
    for _ in range(8):
        rig.answers_a = rng.choice([8.0, 12.0, 20.0, 30.0, 48.0, None])
        rig.fallback_a = rng.choice([0.0, 6.0, FALLBACK_A])
        station = rng.randrange(stations)
        rig.unplug(station)
        rig.wait(5.0)
        if rng.random() < 0.7:
            rig.plug(station, rng.choice(CARS))
        rig.wait(rng.choice([90.0, 150.0]))
        steps.append(Step(round(rig.drawn_a, 1), rig.last.asking, rig.last.fallback_da, rig.last.plugged))
    return rig, steps


@pytest.mark.parametrize("stations", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_model_does_what_the_firmware_does(stations: int, seed: int) -> None:
    """It comes to the same. On the way there energy is the same within 2 %; what may be drawn is no less within 2 %,
    and more where firmware lowers its pilot to what its vehicle takes."""
    (modelled, steps), (real, real_steps) = (story(backend, stations, seed) for backend in (model, firmware))
    assert [step[1:] for step in steps] == [step[1:] for step in real_steps]
    assert [step.drawn_a for step in steps] == pytest.approx([step.drawn_a for step in real_steps], abs=0.3)
    assert modelled.energy_kwh == pytest.approx(real.energy_kwh, rel=0.02)
    may = [ampere_seconds(rig.exposed, rig.now) for rig in (modelled, real)]
    assert may[0] >= 0.98 * may[1]
