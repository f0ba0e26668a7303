"""`watti torture`: what it refuses, what it shows meanwhile, what it says of a cluster that can't go on."""

import json
import socket
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from firmware.config import ConfigError
from watti.cli import main
from watti.scenario import CONFIGS
from watti.torture import campaign, command, crews
from watti.torture.campaign import Tally
from watti.torture.judging import Outcome

ADDRESS = "tcp://127.0.0.1:1"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["torture", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    "seeds", ["", "5", "5:5", "7:5", "a:b", ":5", "5:", "1:2:3", "1.0:2", "0:99999999999999999999"]
)
def test_seeds_that_are_none(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"expected A:B, the seeds from A up to but not B, such as 0:200 (got {seeds})" in refused(
        capsys, "--seeds", seeds
    )


NO_ADDRESSES = ("", "x", "tcp://x", "127.0.0.1:8786", "http://h:1")
NO_HOST_OR_PORT = ("tcp://h:0", "tcp://h:99999", "tcp://h:x", "tcp://:1", "tcp://[h:1")
MORE_THAN_THAT = ("tcp://h:1/x", "tcp://h:1?x", "tcp://h:1#x", "tcp://u@h:1")


@pytest.mark.parametrize("address", [*NO_ADDRESSES, *NO_HOST_OR_PORT, *MORE_THAN_THAT])
def test_addresses_that_are_none(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--cluster", address)
    assert f"expected the address of a Dask scheduler, such as tcp://10.0.0.5:8786 (got {address})" in said


def test_what_does_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = ("--scenario", str(CONFIGS / "scenarios" / "maker_page.toml"))
    assert "--scenario: not allowed with argument --seeds" in refused(capsys, "--seeds", "0:200", *scenario)
    assert "one scenario is judged here, without a cluster" in refused(capsys, "--cluster", ADDRESS, *scenario)


def test_files_that_are_not_what_they_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("[scenario]\nduration_s = 9\n")
    for keep in (file, tmp_path / "none"):
        assert refused(capsys, "--keep", str(keep)) == f"--keep {keep}: expected a folder that can be written to\n"
    assert refused(capsys, "--scenario", str(file)) == f"{file}: station: expected this key (it is missing)\n"
    assert f"{tmp_path / 'none'}: " in refused(capsys, "--scenario", str(tmp_path / "none"))


@pytest.mark.parametrize("extra", ["tomli_w", "distributed"])
def test_an_extra_that_is_not_installed(
    extra: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == extra else object())
    assert "pip install 'watti[" in refused(capsys, "--cluster", ADDRESS)


def test_a_scenario_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torture", "--scenario", str(CONFIGS / "scenarios" / "switch_turned.toml"), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["verdicts"] == []
    assert outcome["recovered_s"] >= 0


# Progress


class Terminal:
    def __init__(self) -> None:
        self.shown = ""

    def write(self, text: str) -> int:
        self.shown += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_line_on_a_terminal_is_redrawn_not_too_often_and_wiped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    terminal, clock = Terminal(), SimpleNamespace(now=100.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: clock.now, perf_counter=lambda: clock.now))

    def run(seeds: range, crew: object, told: Callable[[Tally], None]) -> Tally:
        tally = Tally()
        for seed in seeds:
            told(tally)
            tally.add(Outcome(seed, [], 3600.0))
            clock.now += 0.125
        return tally

    monkeypatch.setattr(campaign, "run", run)
    assert main(["torture", "--seeds", "0:50", "--keep", str(tmp_path)]) == 0
    lines = terminal.shown.split("\r\x1b[K")
    assert lines[:3] == [
        "",
        "0 of 50 worlds",
        "2 of 50 worlds  480 station-hours a minute  0 failures  0:00:06 left",
    ]
    assert len(lines) == 1 + 25 + 1
    assert lines[-1] == ""
    assert "50 worlds, 50.0 station-hours" in capsys.readouterr().out


# A cluster


class Dask:
    """A client of a cluster with so many workers; what it is given to do ends as it is told."""

    def __init__(self, *workers: int | Exception) -> None:
        self._workers = list(workers)
        self.ends_with: Exception | None = None

    def nthreads(self, callback_timeout: float) -> dict[str, int]:
        assert callback_timeout == 10.0
        count = self._workers.pop(0)
        if isinstance(count, Exception):
            raise count
        return {f"tcp://10.0.0.{n}:1": 2 for n in range(count)}

    def get_executor(self, *, pure: bool) -> Executor:
        assert not pure
        return self  # type: ignore[return-value]  # as much of one as is used

    def submit(self, judge: Callable[[], list[Outcome]]) -> Future[list[Outcome]]:
        future: Future[list[Outcome]] = Future()
        if self.ends_with is None:
            future.set_result(judge())
        else:
            future.set_exception(self.ends_with)
        return future


def ended(error: Exception) -> list[Outcome] | None:
    """What a campaign is given when what a worker does ends so."""
    dask = Dask()
    dask.ends_with = error
    crew = crews._Cluster(dask, ADDRESS)
    return crew.collect(crew.submit(range(2)))


def test_a_cluster_judges_as_this_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "judge_seed", lambda seed: Outcome(seed, [], 60.0))
    crew = crews._Cluster(Dask(3), ADDRESS)
    assert crew.count() == 6
    assert crew.collect(crew.submit(range(2))) == crews.judge_seeds(range(2))


def test_a_worker_with_another_source_refuses() -> None:
    with pytest.raises(crews.OtherSource, match=r"process \d+ on "):
        crews.judge_seeds(range(1), "0" * 16)


def test_what_ends_a_campaign_on_a_cluster() -> None:
    reasons: dict[Exception, str] = {
        CancelledError(): "the scheduler went away: start it, or another one, and run this again",
        crews.OtherSource("process 7 on there"): (
            "process 7 on there runs another watti or Python: give all workers this one"
        ),
        ModuleNotFoundError("No module named 'watti'"): (
            "ModuleNotFoundError: No module named 'watti': do all workers have this very watti?"
        ),
        RuntimeError("Many\nlines"): "RuntimeError: Many lines: do all workers have this very watti?",
    }
    for error, why in reasons.items():
        with pytest.raises(ConfigError) as refused:
            ended(error)
        assert refused.value.errors == [f"--cluster {ADDRESS}: {why}"]
    for error in (OSError("gone"), TimeoutError()):
        with pytest.raises(ConfigError, match="the scheduler went away"):
            crews._Cluster(Dask(error), ADDRESS).count()


def test_dead_workers_end_nothing() -> None:
    assert ended(KilledWorker("batch", None, 3)) is None  # type: ignore[arg-type]  # who had it last does not matter


def test_a_cluster_may_be_without_workers_for_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(crews, "time", SimpleNamespace(monotonic=lambda: clock.now))
    crew = crews._Cluster(Dask(1, 0, 0, 1, 0, 0, 0), ADDRESS)
    for clock.now in (0.0, 10.0, 70.0, 71.0, 80.0, 140.0):
        crew.count()
    said = f"--cluster {ADDRESS}: it has no workers: waiting for one\n"
    assert capsys.readouterr().err == 2 * said
    clock.now = 140.1
    with pytest.raises(ConfigError, match="it has had no workers for 60 s"):
        crew.count()


def test_nobody_listens_or_nobody_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "_ANSWERS_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (1, silent.getsockname()[1]):
            address = f"tcp://127.0.0.1:{port}"
            said = refused(capsys, "--cluster", address)
            assert said == f"--cluster {address}: no Dask scheduler has answered there in 0 s\n"
