"""`watti doctor` as people call it: processes, real time, a simulated Pi with the plant of a server."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench.helpers import PATIENCE_S, Desk, lives, running, wait_for
from watti.scenario import CONFIGS

pytestmark = [pytest.mark.bench, pytest.mark.timeout(180)]
MOCK = str(CONFIGS / "stations" / "mock_raspberry.toml")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


def test_a_simulated_pi_is_sound(desk: Desk) -> None:
    doctor = desk.start("doctor", MOCK, "--json", "--close-contactor", "--name", "left")
    out, err = doctor.communicate(timeout=PATIENCE_S)
    assert err == ""
    found = {finding["part"]: finding["result"] for finding in json.loads(out)}
    assert doctor.returncode == ("fail" in found.values()), "what is timed may fail where two cores do a whole suite"
    assert found["adc"] == found["switch"] == found["meter"] == found["thermometer"] == "ok"
    assert {"dead-man lets go", "contactor closes", "together", "bus port"} <= set(found)
    assert not {path.name for path in desk.folder.rglob("*") if path.is_socket() or path.suffix == ".lock"}


def test_ctrl_c_leaves_nothing_behind(desk: Desk) -> None:
    doctor = desk.start("doctor", MOCK, "--name", "left")
    assert doctor.stdout is not None
    while "adc" not in doctor.stdout.readline():
        assert doctor.poll() is None
    (plant,) = map(int, Path(f"/proc/{doctor.pid}/task/{doctor.pid}/children").read_text().split())
    doctor.send_signal(signal.SIGINT)
    out, err = doctor.communicate(timeout=PATIENCE_S)
    assert (doctor.returncode, err) == (130, "")
    assert "lamp" not in out
    wait_for(lambda: not lives(plant))
    assert not (desk.folder / "left.sock").exists()


def test_the_group_of_a_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path, "--switches", "0,F") as bench:
        wait_for(lambda: len(bench.addresses()) == 1 and 0 not in bench.addresses())
        capsys.readouterr()
        assert bench.do("doctor", "--group", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["role"], one["switch"]) for one in said["stations"]] == [
        ("s1", "primary", "0"),
        ("s2", "secondary", "F"),
    ]
    assert [one["saw"] for one in said["findings"]] == ["6 A for 2 stations: 1 at a time can have 6 A, by turns"]


def test_the_table_of_this_machine(desk: Desk) -> None:
    doctor = desk.start("doctor", MOCK, "--timing", "--for", "2", "--json")
    out, err = doctor.communicate(timeout=PATIENCE_S)
    assert err == ""
    measures = {row["what"]: row for row in json.loads(out)}
    assert all(row["value"] >= 0 for row in measures.values())
    for what in ("core: import and start", "pilot: one burst", "loop: lateness, p99", "process: memory (RSS)"):
        assert measures[what]["value"] > 0
    assert measures["bus: from a poll to its answer, p50"]["value"] > 0
