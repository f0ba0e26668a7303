"""`watti doctor --timing`: its table, and what it reads of a process. How fast this machine is, no test says."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.api import BoardGone
from watti import doctor_timing
from watti.board_file import read_station
from watti.cli import main
from watti.doctor_processes import SIMULATED, Observed, cpu_s, rss_mb
from watti.doctor_timing import Measure, decode_s, line
from watti.scenario import CONFIGS


def test_a_line_has_value_limit_and_ratio() -> None:
    assert line(Measure("loop", 0.0123, 0.02, "s")).split() == [
        "loop",
        "12.30",
        "ms",
        "limit",
        "20.00",
        "ratio",
        "0.615",
    ]
    assert line(Measure("CPU", 0.015, 0.03, "share")).split()[1:5] == ["1.50", "%", "limit", "3.00"]
    assert line(Measure("memory", 31.5, 40.0, "MB")).split()[1:3] == ["31.50", "MB"]
    assert line(Measure("CPU", 0.015, None, "share")).endswith("no limit")


def test_a_spread_is_judged_by_two_limits() -> None:
    values = [i / 1000 for i in range(101)]
    rows = list(doctor_timing._spread("x", values, (0.2, 0.75)))
    assert [(row.what, row.value, row.limit) for row in rows] == [
        ("x, p50", pytest.approx(0.05), 0.2),
        ("x, p99", pytest.approx(0.099), 0.2),
        ("x, max", 0.1, 0.75),
    ]
    assert [row.value for row in doctor_timing._spread("x", [0.5], (1, 1))] == [0.5] * 3


def test_what_a_process_costs() -> None:
    seen = Observed([0.002, 0.003], 0.02, 32.0)
    rows = {row.what: row for row in doctor_timing._process(seen, read_station(SIMULATED))}
    assert rows["process: CPU"].ratio == pytest.approx(2 / 3)
    assert rows["process: memory (RSS)"].ratio == 0.8
    assert rows["bus: from a poll to its answer, max"].limit == pytest.approx(0.022, abs=1e-4)
    mock = read_station(CONFIGS / "stations" / "mock_raspberry.toml")
    [cpu] = [row for row in doctor_timing._process(seen, mock) if row.what == "process: CPU"]
    assert cpu.ratio is None, "it simulates a Pi as well"


def test_this_process_has_cost_something() -> None:
    assert cpu_s(os.getpid()) == pytest.approx(sum(os.times()[:2]), abs=0.1)
    assert rss_mb(os.getpid()) > 5.0
    assert decode_s() > 0.0


@pytest.mark.parametrize(("value", "code"), [(0.5, 0), (1.5, 1)])
def test_a_ratio_above_1_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: float, code: int
) -> None:
    measures = [Measure("x", value, 1.0, "s"), Measure("y", 1.0, None, "s")]
    monkeypatch.setattr(doctor_timing, "measured", lambda *_: iter(measures))
    assert main(["doctor", "--timing"]) == code
    assert capsys.readouterr().out.startswith("x ")
    assert main(["doctor", "--timing", "--json"]) == code
    assert [row["ratio"] for row in json.loads(capsys.readouterr().out)] == [value, None]


def test_a_board_that_can_not_be_had(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def gone(*_: object) -> Iterator[Measure]:
        yield Measure("x", 0.5, 1.0, "s")
        raise BoardGone("another process drives this board")

    monkeypatch.setattr(doctor_timing, "measured", gone)
    assert main(["doctor", "--timing"]) == 1
    assert capsys.readouterr().err == "watti: another process drives this board\n"


def test_the_file_is_checked_first(tmp_path: Path) -> None:
    assert main(["doctor", str(tmp_path / "none.toml"), "--timing"]) == 2
