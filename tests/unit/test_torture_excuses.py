"""Worlds in which `watti torture` once took for a failure what the world itself has given cause for."""

from pathlib import Path

import pytest

from watti.scenario import load_scenario
from watti.torture.judging import judge

TWINS = """
# Refusals are lost: s2 is refused, and taken again, three times in the first minute.
scenario = { duration_s = 400, seed = 46 }
bus = { baud = 9600, bit_error_rate = 1e-3 }
station = [
    { name = "s1", model = "48A", switch = "B" },
    { name = "s2", model = "48A", switch = "F", serial = 7 },
    { name = "s3", model = "48A", switch = "F", serial = 7, powered = false },
]
event = [
    { at_s = 1, do = "plug", station = "s2", vehicle = "sedan" },
    { at_s = 30, do = "power_on", station = "s3", lose_state = false },
]
"""
VISITS = """
# Every 30 s s4 is taken into the group for half a second, and s3 gives way: the last time 1 s before it is judged.
scenario = { duration_s = 370, seed = 1 }
station = [
    { name = "s1", model = "80A", switch = "C" },
    { name = "s2", model = "48A", switch = "F", serial = 7, clock_drift_ppm = -10000 },
    { name = "s3", model = "48A", switch = "F" },
    { name = "s4", model = "80A", switch = "F", serial = 7, clock_drift_ppm = 10000, powered = false },
]
vehicle = [{ name = "worst", start_delay_s = 0.0, reaction_s = 6.49, ramp_a_per_s = 0.0 }]
event = [
    { at_s = 1, do = "plug", station = "s3", vehicle = "worst" },
    { at_s = 1, do = "plug", station = "s4", vehicle = "worst" },
    { at_s = 40, do = "power_on", station = "s4", lose_state = false },
    { at_s = 41.4, do = "restart", station = "s3", lose_state = false },
]
"""
TRIPLETS = """
# s3 answers each of the others that it is set to F now: they yield and begin again for ever.
scenario = { duration_s = 300, seed = 1 }
station = [
    { name = "s1", model = "48A", switch = "B", serial = 7 },
    { name = "s2", model = "48A", switch = "6", serial = 7 },
    { name = "s3", model = "48A", switch = "F", serial = 7 },
    { name = "s4", model = "48A", switch = "F" },
]
event = [{ at_s = 1, do = "plug", station = "s4", vehicle = "sedan" }]
"""
WELDED = """
# Nothing is heard of s2, whose contactor is welded, and its place is given to a sixth station.
scenario = { duration_s = 300, seed = 1 }
station = [
    { name = "s1", model = "48A", switch = "B" },
    { name = "s2", model = "48A", switch = "F" },
    { name = "s3", model = "48A", switch = "F" },
    { name = "s4", model = "48A", switch = "F" },
    { name = "s5", model = "48A", switch = "F" },
    { name = "s6", model = "48A", switch = "F", powered = false },
]
event = [
    { at_s = 1, do = "plug", station = "s1", vehicle = "sedan" },
    { at_s = 1, do = "plug", station = "s2", vehicle = "sedan" },
    { at_s = 1, do = "plug", station = "s3", vehicle = "sedan" },
    { at_s = 1, do = "plug", station = "s4", vehicle = "sedan" },
    { at_s = 1, do = "plug", station = "s5", vehicle = "sedan" },
    { at_s = 1, do = "plug", station = "s6", vehicle = "sedan" },
    { at_s = 50, do = "power_on", station = "s6", lose_state = false },
    { at_s = 60, do = "fault", station = "s2", kind = "contactor_stuck" },
    { at_s = 60, do = "bus_cut", station = "s2" },
    { at_s = 120, do = "clear_fault", station = "s2", kind = "contactor_stuck" },
    { at_s = 130, do = "bus_join", station = "s2" },
]
"""


@pytest.mark.parametrize("world", [TWINS, VISITS, TRIPLETS, WELDED])
def test_it_is_no_failure(world: str, tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(world)
    assert judge(load_scenario(tmp_path / "world.toml")).verdicts == []
