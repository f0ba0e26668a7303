"""`watti doctor`: what it refuses, what it prints, and how it ends."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hal.api import BoardGone
from watti import doctor
from watti.calibrate import Calibration, Scale, calibration_path, store_calibration
from watti.cli import main
from watti.doctor import Report, interruptible, lines
from watti.doctor_checks import CHECKS
from watti.doctor_exam import Finding
from watti.names import held
from watti.scenario import CONFIGS

STATIONS = CONFIGS / "stations"
MOCK = STATIONS / "mock_raspberry.toml"


def gone(why: BaseException) -> Callable[..., Any]:
    def raises(*_: object) -> Any:
        raise why

    return raises


def found(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, dict[str, str]]:
    """What a doctor says that gets no board, by part."""
    assert main(["doctor", str(MOCK), "--json", "--name", "left", "--dir", str(folder)]) == 1
    return {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_a_station_that_runs_is_let_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(tmp_path, "left"):
        whole = found(capsys, tmp_path)
    assert whole["board"] == {
        "part": "board",
        "result": "fail",
        "saw": f"a station named left runs already in {tmp_path}",
        "expected": "a board that nobody drives",
        "advice": "systemctl stop watti, and try again",
    }
    for check in CHECKS:
        assert (whole[check.part]["result"], whole[check.part]["saw"]) == ("not tried", "it needs: board")


def test_a_board_that_can_not_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "bare", gone(BoardGone("another process drives this board")))
    monkeypatch.setattr(doctor, "holder", lambda _: "process 7 (watti)")
    saw = "another process drives this board: process 7 (watti)"
    assert found(capsys, tmp_path)["board"]["saw"] == saw


def test_drivers_that_are_not_installed_are_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watti.boards.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "watti.doctor_board", None)  # importing it would fail
    saw = 'board.kind: "mock_raspberry" needs gpiozero: pip install "watti[raspberry]"'
    assert found(capsys, tmp_path)["board"]["saw"] == saw


def test_bad_input_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "STATION", tmp_path / "station.toml")
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        f"watti doctor: expected CONFIG, the station's file: there is no {tmp_path}/station.toml here\n"
    )
    assert main(["doctor", str(STATIONS / "simulated.toml")]) == 2
    assert 'board.kind: expected "raspberry" or "mock_raspberry": a simulated plant has no' in capsys.readouterr().err
    assert main(["doctor", "--group", "--timing"]) == 2
    path = calibration_path(tmp_path, "left")
    path.parent.mkdir()
    path.write_text("{")
    assert main(["doctor", str(MOCK), "--name", "left", "--dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("the file is spoilt, remove it and calibrate anew\n")


def test_the_file_of_the_service_is_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "station.toml").write_text(MOCK.read_text())
    monkeypatch.setattr(doctor, "STATION", tmp_path / "station.toml")
    with held(tmp_path, "left"):
        assert main(["doctor", "--name", "left", "--dir", str(tmp_path)]) == 1
    assert "a station named left runs already" in capsys.readouterr().out


def test_a_calibration_is_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_calibration(calibration_path(tmp_path, "left"), Calibration("carrier_mcp3208", Scale(1.64, 8.1)))
    with held(tmp_path, "left"):
        finding = found(capsys, tmp_path)["board file"]
    assert finding["result"] == "ok"
    assert finding["saw"] == f"carrier_mcp3208, calibrated by {calibration_path(tmp_path, 'left')}"


def test_a_finding_for_people() -> None:
    assert lines(Finding("meter", "ok", "0.10 A", "about 0 A")) == [
        "ok         meter                  0.10 A (expected: about 0 A)"
    ]
    assert [line.strip() for line in lines(Finding("meter", "fail", "9 A", "about 0 A", "look"))] == [
        "fail       meter                  9 A",
        "expected: about 0 A",
        "do: look",
    ]
    assert len(lines(Finding("lamp", "not tried", "x", "y", "look"))) == 2


@pytest.mark.parametrize(("result", "code"), [("ok", 0), ("warn", 0), ("not tried", 0), ("fail", 1)])
def test_only_a_failure_fails(capsys: pytest.CaptureFixture[str], result: Any, code: int) -> None:
    report = Report(as_json=False)
    report.add(Finding("meter", result, "x"))
    assert report.end() == code
    assert f"1 {result}" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_ends_it_as_an_interruption(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
