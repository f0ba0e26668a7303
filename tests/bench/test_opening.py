"""The contactor on a bench of real processes: what opens it, what is freed by that, and what is said. How fast it opens
`tools/benchmark.py --bench` measures."""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from hal.simulated.remote import ask
from hal.simulated.vehicle_spec import VehicleSpec
from tests.bench.helpers import Bench, Row, running, wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(200)]

CAR = VehicleSpec("car", start_delay_s=0.0, ramp_a_per_s=0.0)
S3 = VehicleSpec("s3", start_delay_s=0.0, ramp_a_per_s=0.0, s3_s=60.0)
"""Its driver presses the button long before the plug comes out: it goes from C to B."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Four stations whose cars charge; s2, s3 and s4 have a test each."""
    with running(tmp_path_factory.mktemp("opening"), "--switches", "B,F,F,F") as bench:
        cars = {"s1": CAR, "s2": CAR, "s3": S3, "s4": CAR}
        for name, spec in cars.items():
            ask(bench.folder / "bench.sock", {"do": "plug", "station": name, "vehicle": asdict(spec)})
        for name in cars:
            bench.wait_for_amps(name)
        yield bench


def opened(bench: Bench, name: str, *words: str) -> Row:
    """The station after a command that opens its contactor; s1 is offered more by that."""
    before = bench.status()["s1"]["offered_a"]
    assert bench.do(*words) == 0
    row = bench.wait(name, contactor="open", drawn_a=0.0)
    wait_for(lambda: bench.status()["s1"]["offered_a"] > before)
    return row


def test_an_unplug_opens_the_contactor_and_frees_the_amps(bench: Bench) -> None:
    row = opened(bench, "s2", "unplug", "s2")
    assert (row["state"], row["vehicle"], row["offered_a"], row["fault"]) == ("A1", None, 0.0, "")


def test_a_car_that_leaves_c_opens_the_contactor_and_frees_the_amps(bench: Bench) -> None:
    row = opened(bench, "s3", "unplug", "s3")
    assert (row["state"][0], row["vehicle"], row["fault"]) == ("B", "s3", "")


def test_a_ground_fault_opens_the_contactor_is_said_and_leaves_with_the_car(bench: Bench) -> None:
    row = opened(bench, "s4", "fault", "s4", "ground_fault")
    assert (row["fault"], row["reason"], row["offered_a"]) == ("ground_fault", "fault", 0.0)
    assert row["state"] in {"C1", "B1"}
    assert bench.do("fault", "s4", "ground_fault", "--clear") == 0
    assert bench.status()["s4"]["fault"] == "ground_fault"
    assert bench.do("unplug", "s4") == 0
    bench.wait("s4", fault="", state="A1")
