"""`watti torture` finds what is wrong, makes it small and keeps it."""

import errno
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from firmware.contactor import ContactorWatch
from firmware.sharing.ledger import Ledger, Row
from watti.cli import main
from watti.scenario import Scenario, load_scenario
from watti.torture import command, crews, judging
from watti.torture.crews import Crew, Pool
from watti.torture.inspector import Verdict
from watti.torture.judging import Outcome
from watti.torture.shrink import heals

BUSY = """
scenario = { duration_s = 400, seed = 7 }
timing = { reaction_s = 8.0, release_s = 15.2 }
bus = { baud = 38400, bit_error_rate = 1e-5 }
station = [
    { name = "s1", model = "48A", switch = "B", clock_drift_ppm = 5000 },
    { name = "s2", model = "48A", switch = "F", serial = 77 },
    { name = "s3", model = "80A", switch = "F", clock_drift_ppm = -5000 },
    { name = "s4", model = "48A", switch = "F" },
]
event = [
    { at_s = 1.2, do = "plug", station = "s2", vehicle = "sedan" },
    { at_s = 20.7, do = "fault", station = "s1", kind = "diode" },
    { at_s = 22.3, do = "clear_fault", station = "s1", kind = "diode" },
    { at_s = 24.1, do = "bus_disturb", kind = "drop", rate = 0.5, for_s = 3.0 },
    { at_s = 26.0, do = "plug", station = "s3", vehicle = "sedan" },
    { at_s = 30.5, do = "bus_cut", station = "s4" },
    { at_s = 36.2, do = "bus_join", station = "s4" },
    { at_s = 38.4, do = "restart", station = "s4" },
    { at_s = 60.1, do = "stall", station = "s2", for_s = 4.0 },
    { at_s = 63.9, do = "unplug", station = "s3" },
]
"""


class Here(Executor):
    """Works in this process, so that what a test has patched counts."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def local() -> Iterator[Crew]:
        yield Pool(Here(), 1)

    monkeypatch.setattr(crews, "local", local)


@pytest.fixture
def busy(here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """Every seed draws this world."""
    (tmp_path / "busy.toml").write_text(BUSY)
    world = load_scenario(tmp_path / "busy.toml")
    for module in (judging, command):
        monkeypatch.setattr(module, "draw", lambda seed: replace(world, seed=seed))
    return world


# Planted bugs


def gives_all(self: Ledger, row: Row, now: float) -> int:
    return self.limit_da


def forgets_early(self: Ledger, now: float) -> list[Row]:
    gone = [row for row in self.rows if now >= row.heard_at + 1]
    for row in gone:
        self.rows.remove(row)
    return gone


def stays_closed(self: ContactorWatch, now: float) -> None:
    pass


@pytest.mark.parametrize(
    ("owner", "name", "bug", "check", "stations"),
    [
        (Ledger, "free_da", gives_all, "total", 3),
        (Ledger, "expire", forgets_early, "total", 4),
        (ContactorWatch, "open", stays_closed, "contactor", 2),
    ],
)
def test_a_planted_bug_is_found_and_what_is_kept_of_it_fails_until_it_is_mended(
    busy: Scenario,
    owner: type,
    name: str,
    bug: Callable[..., object],
    check: str,
    stations: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as planted:
        planted.setattr(owner, name, bug)
        assert main(["torture", "--seeds", "7:8", "--keep", str(tmp_path), "--json"]) == 1
        (failure,) = json.loads(capsys.readouterr().out)["failures"]
        assert (failure["seed"], failure["check"]) == (7, check)
        assert failure["replay"] == "watti torture --seeds 7:8"
        path = Path(failure["scenario"])
        assert path == tmp_path / "torture-7.toml"
        assert main(["torture", "--scenario", str(path)]) == 1
        (first, *_) = capsys.readouterr().out.splitlines()
        assert path.read_text().splitlines()[0] == f"# Seed 7, made small by `watti torture`: {first}"
        assert f" s: {check}: " in first
    small = load_scenario(path)
    assert len(small.events) <= 3 < len(busy.events)
    assert len(small.stations) <= stations
    assert heals(small)
    assert main(["torture", "--scenario", str(path)]) == 0
    assert "0 promises broken, all served" in capsys.readouterr().out


@pytest.fixture
def failing(busy: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every seed fails, and nothing can be left out."""

    def judge(world: Scenario) -> Outcome:
        return Outcome(world.seed, [Verdict(9.5, "total", "too much")], 60.0)

    monkeypatch.setattr(judging, "judge", judge)
    monkeypatch.setattr(command, "judge", judge)
    monkeypatch.setattr(command, "shrunk", lambda world, check, told: world)


@pytest.mark.usefixtures("failing")
def test_only_the_first_failures_are_made_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torture", "--seeds", "0:5", "--keep", str(tmp_path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-14].endswith(" failures 5")
    assert said[-13:-10] == [
        "SEED 0 at 9.500 s: total: too much",
        "  replay: watti torture --seeds 0:1",
        f"  shrunk: watti torture --scenario {tmp_path}/torture-0.toml",
    ]
    assert said[-2:] == ["SEED 4 at 9.500 s: total: too much", "  replay: watti torture --seeds 4:5"]
    assert sorted(path.name for path in tmp_path.glob("torture-*")) == [f"torture-{n}.toml" for n in range(3)]


@pytest.mark.usefixtures("failing")
def test_a_full_disk_does_not_hide_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "whole_file", full)
    assert main(["torture", "--seeds", "5:6", "--keep", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "SEED 5 at 9.500 s: total: too much" in said
    assert f"  not kept: {tmp_path / 'torture-5.toml'}: [Errno 28] No space left on device" in said


def test_a_world_that_cannot_be_judged_is_a_failure_and_the_others_go_on(
    here: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def draws(seed: int) -> Outcome:
        if seed == 1:
            raise IndexError("nothing to draw from")
        return Outcome(seed, [], 60.0)

    monkeypatch.setattr(crews, "judge_seed", draws)
    assert main(["torture", "--seeds", "0:3", "--json", "--keep", str(tmp_path)]) == 1
    result = json.loads(capsys.readouterr().out)
    (failure,) = result["failures"]
    assert result["worlds"] == 3
    assert (failure["seed"], failure["check"]) == (1, "unjudged")
    assert failure["what"].startswith("IndexError: nothing to draw from (test_torture.py, line ")
    assert "scenario" not in failure
