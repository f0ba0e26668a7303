"""The lamp: its words, and that a station shows them in time."""

from itertools import product

import pytest

from firmware.bus.messages import Reason
from firmware.lamp import CHARGING, CONNECTED, INDICATIONS, READY, STARTING, WAITING, Indication, light, table
from firmware.protection import FAULTS, Fault
from firmware.states import STATES
from hal.api import Colour, Light
from hal.simulated.vehicle_spec import VehicleSpec
from tests.scenario.helpers import READY_S, Bench, event, plugs, scenario

_ASLEEP = VehicleSpec("asleep", soc=1.0)


@pytest.mark.parametrize(
    ("state", "closed", "reason", "row"),
    [
        ("A1", False, Reason.IDLE, READY),
        ("A1", False, Reason.NO_PRIMARY, READY),
        ("A1", False, Reason.QUIET_START, STARTING),
        ("B1", False, Reason.QUIET_START, STARTING),
        ("B2", False, Reason.IDLE, CONNECTED),
        ("B1", False, Reason.WAITING, WAITING),
        ("B1", False, Reason.SETTLING, WAITING),
        ("C1", False, Reason.GROUP_FULL, WAITING),
        ("C2", True, Reason.SHARE, CHARGING),
        ("D2", True, Reason.VEHICLE, CHARGING),
        ("C1", True, Reason.WAITING, CHARGING),
    ],
)
def test_each_row_of_the_table(state: str, closed: bool, reason: Reason, row: Indication) -> None:
    assert light(state, closed, reason, "") == row.light


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.code)
def test_a_fault_is_shown_whatever_else_there_is(fault: Fault) -> None:
    for state, closed, reason in product(STATES, (False, True), Reason):
        assert light(state, closed, reason, fault.code) == fault.light


def test_every_state_and_reason_has_a_light() -> None:
    shown = {light(state, closed, reason, "") for state, closed, reason in product(STATES, (False, True), Reason)}
    assert shown == {row.light for row in INDICATIONS}


def test_no_light_means_two_things() -> None:
    lights = [row.light for row in INDICATIONS] + [fault.light for fault in FAULTS]
    assert len(set(lights)) == len(lights)
    assert Light(Colour.OFF) not in lights


def test_the_documentation_has_each_row() -> None:
    lines = table().splitlines()
    assert lines[2:] == [f"| {row.light.words} | {row.sentence} |" for row in INDICATIONS]


def test_words() -> None:
    assert Light(Colour.GREEN).words == "green"
    assert Light(Colour.BLUE, (1,)).words == "blue 1"
    assert Light(Colour.RED, (3, 1)).words == "red 3-1"


def test_the_lamp_follows_a_session() -> None:
    bench = Bench(
        scenario(
            [*plugs(1), event(90.0, "unplug", 1), event(120.0, "plug", 1, vehicle="asleep")], "B", vehicles=[_ASLEEP]
        )
    )
    shown: list[str] = []
    observe = bench.world.observe

    def watched(index: int) -> None:
        observe(index)
        words = bench.plant(1).light.words
        if not shown or words != shown[-1]:
            shown.append(words)

    bench.world.observe = watched
    bench.run(300.0)
    first, second = (CONNECTED, WAITING, CHARGING), (CONNECTED, WAITING, CONNECTED)
    rows = [STARTING, READY, *first, READY, *second]
    assert [words for words in shown if words != "off"] == [row.light.words for row in rows]


def test_the_lamp_follows_a_fault_and_the_power() -> None:
    bench = Bench(scenario(plugs(1), "B"))
    bench.run(READY_S + 30)
    bench.world.touch(0, lambda plant, now: plant.inject("pilot_short", now))
    bench.run(bench.now + 1)
    assert bench.plant(1).light.words == "red 2-1"
    bench.world.touch(0, lambda plant, now: plant.inject("over_temperature", now))
    bench.run(bench.now + 6)
    assert bench.plant(1).light.words == "red 2-1", "the more severe one"
    bench.world.touch(0, lambda plant, now: plant.clear("pilot_short", now))
    bench.run(bench.now + 31)
    assert bench.plant(1).light.words == "red 5-1"
    bench.world.power_off(0)
    assert bench.plant(1).light == Light(Colour.OFF)
    bench.world.touch(0, lambda plant, now: plant.clear("over_temperature", now))
    bench.world.power_on(0)
    bench.run(bench.now + 0.1)
    assert bench.plant(1).light == STARTING.light
