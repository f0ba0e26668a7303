"""The event log of a bench: what its stations write down, and how it survives what happens to them."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

from tests.bench.helpers import ENVIRONMENT, PATIENCE_S, WATTI, Bench, running, wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One station."""
    with running(tmp_path_factory.mktemp("log"), "--switches", "B") as bench:
        yield bench


def log(bench: Bench, *options: str) -> str:
    out = StringIO()
    with redirect_stdout(out):
        assert bench.do("log", "--json", *options) == 0
    return out.getvalue()


def events(bench: Bench) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log(bench).splitlines()]


def session(bench: Bench) -> dict[str, Any]:
    """The last one."""
    found: dict[str, Any] = json.loads(log(bench, "--sessions", "--lines", "1"))[0]
    return found


def test_a_session_survives_the_kill_of_its_station(bench: Bench) -> None:
    assert bench.do("plug", "s1") == 0
    bench.wait_for_amps("s1")
    before = bench.status()["s1"]["session"]
    os.kill(bench.pid("s1"), signal.SIGKILL)
    bench.wait("s1", contactor="open", alive=False)
    bench.run("s1")
    bench.wait_for_amps("s1")
    assert bench.status()["s1"]["session"]["id"] == before["id"]
    assert bench.do("unplug", "s1") == 0
    wait_for(lambda: session(bench)["ended"] is not None)
    ended = session(bench)
    assert (ended["session"], ended["ended"]) == (before["id"], "unplug")
    assert ended["charging_s"] > 0
    assert ended["peak_a"] > 0
    of_it = [event["event"] for event in events(bench) if event.get("session") == before["id"]]
    assert of_it == ["plug_in", "start", "resume", "start", "unplug", "stop", "session"]


def test_events_can_be_followed(bench: Bench) -> None:
    command = [*WATTI, "log", "s1", "--follow", "--lines", "1", "--dir", str(bench.folder)]
    with subprocess.Popen(command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline()
        assert bench.do("fault", "s1", "thermometer") == 0
        while "fault thermometer (amber 5-4): The thermometer gives no sound reading" not in follower.stdout.readline():
            assert follower.poll() is None
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE_S) == 130
    assert bench.do("fault", "s1", "thermometer", "--clear") == 0


def test_a_station_whose_log_folder_is_gone_says_so_goes_on_and_loses_no_record(bench: Bench) -> None:
    bench.wait("s1", fault="")
    folder, away = bench.folder / "log", bench.folder / "away"
    count = len(events(bench))
    folder.rename(away)
    folder.touch()
    assert bench.do("plug", "s1") == 0
    wait_for(lambda: bench.status()["s1"]["faults"] == ["log"])
    bench.wait_for_amps("s1")
    assert bench.do("unplug", "s1") == 0
    bench.wait("s1", state="A1")
    folder.unlink()
    away.rename(folder)
    bench.wait("s1", fault="", faults=[])
    wait_for(lambda: session(bench)["ended"] == "unplug")
    words = [event["event"] for event in events(bench)[count:]]
    assert "lost" not in words
    assert [word for word in words if word not in ("offer", "role")] == [
        *("plug_in", "fault", "start", "unplug", "stop", "session", "clear"),
    ]
