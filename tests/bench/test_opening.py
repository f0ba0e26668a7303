"""The contactor on a bench of real processes: what opens it, what is freed by that, and what is said. How fast it opens
`tools/benchmark.py --bench` measures."""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from hal.simulated.remote import ask
from hal.simulated.vehicle import VehicleSpec
from tests.bench.helpers import Bench, Row, running

pytestmark = [pytest.mark.bench, pytest.mark.timeout(200)]

CAR = VehicleSpec("car", start_delay_s=0.0, ramp_a_per_s=0.0)
S3 = VehicleSpec("s3", start_delay_s=0.0, ramp_a_per_s=0.0, s3_s=3.0)
"""Its driver presses the button before the plug comes out: it goes from C to B."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Three stations: s1's car charges, s2 and s3 have a test each."""
    with running(tmp_path_factory.mktemp("opening"), "--switches", "B,F,F") as bench:
        plug(bench, "s1", CAR)
        yield bench


def plug(bench: Bench, name: str, vehicle: VehicleSpec) -> None:
    ask(bench.folder / "bench.sock", {"do": "plug", "station": name, "vehicle": asdict(vehicle)})


def charge(bench: Bench, name: str, vehicle: VehicleSpec) -> None:
    plug(bench, name, vehicle)
    bench.wait_for_amps(name)
    assert bench.status()["s1"]["offered_a"] < 48.0


def freed(bench: Bench, name: str, **expected: object) -> Row:
    """The station's contactor has opened, and s1 gets all amps again."""
    row = bench.wait(name, contactor="open", drawn_a=0.0, **expected)
    bench.wait("s1", offered_a=48.0, contactor="closed", fault="")
    return row


def test_an_unplug_opens_the_contactor_and_frees_the_amps(bench: Bench) -> None:
    charge(bench, "s2", CAR)
    assert bench.do("unplug", "s2") == 0
    row = freed(bench, "s2", state="A1", vehicle=None)
    assert (row["offered_a"], row["fault"], row["reason"]) == (0.0, "", "idle")


def test_a_car_that_leaves_c_opens_the_contactor_and_frees_the_amps(bench: Bench) -> None:
    charge(bench, "s3", S3)
    assert bench.do("unplug", "s3") == 0
    row = bench.wait("s3", contactor="open", drawn_a=0.0)
    assert (row["state"][0], row["vehicle"], row["fault"]) == ("B", "s3", "")
    freed(bench, "s3", state="A1", vehicle=None)


def test_a_ground_fault_opens_the_contactor_is_said_and_leaves_with_the_car(bench: Bench) -> None:
    charge(bench, "s2", CAR)
    assert bench.do("fault", "s2", "ground_fault") == 0
    row = freed(bench, "s2", fault="ground_fault")
    assert (row["state"], row["reason"], row["offered_a"]) == ("C1", "fault", 0.0) or row["state"] == "B1"
    assert bench.do("fault", "s2", "ground_fault", "--clear") == 0
    assert bench.status()["s2"]["fault"] == "ground_fault"
    assert bench.do("unplug", "s2") == 0
    bench.wait("s2", fault="", state="A1")
    charge(bench, "s2", CAR)
