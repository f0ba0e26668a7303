"""The bench: real processes on real ptys, most tests around one bench. What happens, never how fast."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.rotary import Chart
from tests.bench.helpers import ENVIRONMENT, PATIENCE_S, WATTI, Bench, lives, running, wait_for
from watti.cli import main
from watti.scenario import CONFIGS

pytestmark = [pytest.mark.bench, pytest.mark.timeout(200)]

COLUMNS = "t_s,station,role,switch,state,offered_a,drawn_a,limit_a,contactor,reason,fault"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Four stations; the first three have a car."""
    with running(tmp_path_factory.mktemp("bench"), "--switches", "B,F,F,F") as bench:
        for name in ("s1", "s2", "s3"):
            assert bench.do("plug", name) == 0
        yield bench


# One bench for all of these


def test_a_group_forms_by_nothing_but_the_switches(bench: Bench) -> None:
    bench.wait("s1", role="primary", switch="B", limit_a=48.0)
    for name in ("s2", "s3", "s4"):
        bench.wait(name, role="secondary", switch="F", limit_a=48.0, fault="")
    wait_for(lambda: bench.addresses() == [1, 2, 3])
    health = bench.status()["s1"]["bus"]
    assert {"polls", "missed", "crc_errors", "late", "cycles", "cycle_s_p50"} <= health.keys()
    assert all({"serial", "polls", "missed", "bad", "late"} <= member.keys() for member in health["members"])


def test_status_has_the_columns_of_the_trace_and_the_process(bench: Bench) -> None:
    for row in bench.status().values():
        assert list(row)[: COLUMNS.count(",") + 1] == COLUMNS.split(",")
        assert all(isinstance(row[key], float) for key in ("t_s", "offered_a", "drawn_a", "limit_a"))
        assert lives(row["pid"])
        assert row["alive"] is True


def test_status_is_a_table_for_people(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.wait("s1", role="primary")
    assert bench.do("status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["station", "role", "switch", "state"]
    assert [line.split()[:3] for line in lines[1:5]] == [
        ["s1", "primary", "B"],
        *([name, "secondary", "F"] for name in ("s2", "s3", "s4")),
    ]
    assert lines[5].endswith("A drawn together")


def test_a_switch_is_read_and_turned_live(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.do("switch", "s4", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"station": "s4", "position": "F"}
    assert bench.do("switch", "s4", "c") == 0
    assert capsys.readouterr().out == "C\n"
    row = bench.wait("s4", switch="C", fault="switch_unsupported", role="none")
    amps = Chart.load(CONFIGS / "rotary.toml").rows[0xC].amps
    assert f"{amps} A" in row["why"]
    assert "48A" in row["why"]
    assert bench.do("status") == 0
    assert f"s4: {row['why']} (lamp: red 1-1)\n" in capsys.readouterr().out
    assert bench.do("switch", "s4", "F") == 0
    bench.wait("s4", switch="F", fault="", role="secondary", limit_a=48.0)


def test_a_fault_is_injected_and_cleared(bench: Bench) -> None:
    assert bench.do("fault", "s4", "switch_unreadable") == 0
    bench.wait("s4", fault="switch_unreadable")
    assert bench.do("fault", "s4", "switch_unreadable", "--clear") == 0
    bench.wait("s4", fault="", role="secondary")


def test_a_car_is_unplugged_and_another_plugged_in(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.do("plug", "s4", "city") == 0
    assert bench.status()["s4"]["vehicle"] == "city"
    assert bench.do("plug", "s4") == 2
    assert capsys.readouterr().err == "watti: s4: city is plugged in already\n"
    assert bench.do("unplug", "s4") == 0
    bench.wait("s4", state="A1", vehicle=None)
    assert bench.do("unplug", "s4") == 2
    assert capsys.readouterr().err == "watti: s4: no vehicle is plugged in\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plug", "s9"], "watti: unknown station s9, expected s1, s2, s3, s4"),
        (["plug", "s4", "sedam"], "watti: unknown vehicle sedam, expected "),
        (["switch", "s9", "F"], "watti: unknown station s9, expected s1, s2, s3, s4"),
        (["fault", "s4", "diod"], "watti fault: argument KIND: expected "),
    ],
)
def test_what_does_not_exist_is_said_in_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert bench.do(*words) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert refused.err.startswith(said)
    assert refused.err.count("\n") == 1


def test_a_second_bench_and_a_second_station_of_a_name_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["bench", "--headless"], ["run", str(bench.folder / "stations" / "s1.toml")]):
        command = [*WATTI, *words, "--dir", str(bench.folder)]
        refused = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "running in" in refused.stderr or "runs already in" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert bench.status()["s1"]["alive"]


@pytest.mark.parametrize(
    "garbage", [b"\n", b"[1]\n", b'{"do":"plug"}\n', b'{"do":"plug","station":"s4","vehicle":7}\n', b"\xff" * 100_000]
)
def test_nonsense_on_the_socket_harms_nobody(bench: Bench, garbage: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(bench.folder / "bench.sock"))
        stranger.sendall(garbage)
        assert bench.status()["s1"]["alive"]


# From here on the cars charge: the quiet start is over. While one station recovers, another has its test.


def test_cars_get_amps_and_share_them(bench: Bench) -> None:
    for name in ("s1", "s2", "s3"):
        bench.wait(name, state="C2", contactor="closed", offered_a=16.0, reason="share")
        bench.wait_for_amps(name)
    assert sum(row["drawn_a"] for row in bench.status().values()) <= 48.0


def test_a_bus_port_vanishes_is_said_the_lease_runs_out_and_it_comes_back(bench: Bench) -> None:
    """That its car charges again, too, the test below that stops s3 waits for."""
    bench.wait_for_amps("s3")
    port = bench.folder / "bus" / "3"
    assert bench.do("fault", "s3", "bus_port") == 0
    try:
        assert not port.is_symlink()
        row = bench.wait("s3", fault="bus_port", contactor="open", offered_a=0.0)
        assert (row["alive"], row["role"], row["reason"], row["drawn_a"]) == (True, "secondary", "no_primary", 0.0)
        assert bench.status()["s1"]["contactor"] == bench.status()["s2"]["contactor"] == "closed"
    finally:
        assert bench.do("fault", "s3", "bus_port", "--clear") == 0
    assert port.exists()
    bench.wait("s3", fault="", role="secondary")
    said = (bench.folder / "log" / "s3.log").read_text()
    assert f"s3: serial port {port} vanished: it was unplugged, or its line was stopped: waiting for it\n" in said
    assert "s3: the serial port works again\n" in said


def test_a_killed_station_lets_go_and_comes_back_and_the_others_go_on(bench: Bench) -> None:
    bench.wait_for_amps("s2")
    os.kill(bench.pid("s2"), signal.SIGKILL)
    row = bench.wait("s2", contactor="open", pid=None)
    assert (row["state"], row["role"], row["drawn_a"], row["vehicle"]) == ("off", "none", 0.0, "sedan")
    assert bench.status()["s1"]["contactor"] == "closed"
    again = bench.run("s2")
    bench.wait("s2", role="secondary", contactor="closed", pid=again.pid, fault="")


def test_a_station_that_stands_still_lets_go_and_recovers(bench: Bench) -> None:
    bench.wait_for_amps("s3")
    pid = bench.pid("s3")
    os.kill(pid, signal.SIGSTOP)
    try:
        row = bench.wait("s3", contactor="open", alive=False)
        assert (row["pid"], row["offered_a"]) == (pid, 0.0)
        assert bench.status()["s1"]["contactor"] == "closed"
    finally:
        os.kill(pid, signal.SIGCONT)
    bench.wait("s3", alive=True, contactor="closed", fault="")


# Benches of their own


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_an_interrupted_bench_leaves_nothing_but_its_logs(tmp_path: Path, number: int, code: int) -> None:
    with running(tmp_path, "--switches", "B,F") as bench:
        pids = [row["pid"] for row in bench.status().values()]
        os.kill(pids[1], signal.SIGSTOP)
        bench.process.send_signal(number)
        out, err = bench.process.communicate(timeout=PATIENCE_S)
    assert (bench.process.returncode, err) == (code, "")
    assert [str(tmp_path / "bus" / port) in out for port in ("1", "2", "3")] == [True] * 3
    assert not any(map(lives, pids))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_killed_bench_leaves_no_process_and_the_next_one_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, "--switches", "B,F") as bench:
        pids = [row["pid"] for row in bench.status().values()]
        bench.process.send_signal(signal.SIGSTOP)
        assert bench.do("status") == 1
        assert "does not answer" in capsys.readouterr().err
        bench.process.kill()
        wait_for(lambda: not any(map(lives, pids)))
    assert bench.do("status") == 1
    assert "no bench runs in" in capsys.readouterr().err
    with running(tmp_path, "--switches", "B,F") as bench:
        assert bench.status()["s2"]["alive"]


def test_a_bench_ends_by_itself_after_its_duration_and_when_its_reader_has_gone(tmp_path: Path) -> None:
    command = [*WATTI, "bench", "--headless", "--dir", str(tmp_path), "--switches", "B"]
    ended = subprocess.run(
        [*command, "--duration", "1"], env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE) as piped:
        assert piped.stdout is not None
        piped.stdout.readline()
        piped.stdout.close()
        assert piped.wait(PATIENCE_S) == 141
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_folder_that_can_not_be_used_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / ("x" * 120)):
        assert main(["bench", "--headless", "--dir", str(folder)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert str(folder) in said.err
        assert said.err.count("\n") == 1
