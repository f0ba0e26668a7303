"""`watti calibrate`: it samples the board, asks for what meters show, and stores what is a calibration."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal

import pytest

from firmware.config import ConfigError
from hal.api import BoardGone
from hal.raspberry.spec import BoardSpec
from watti import calibrate
from watti.board_file import BoardChoice, load_board
from watti.calibrate import calibration_path, load_calibration
from watti.cli import _arguments, main
from watti.names import held

CONFIGS = Path(__file__).parents[2] / "configs"
STATION = CONFIGS / "stations" / "raspberry.toml"
BOARD = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")


class FakeBench:
    """A board whose parts are off: zero at 1.7 V, gain 8.0, CT 95 A/V."""

    def __init__(self) -> None:
        self.levels: list[str] = []
        self.open = False

    def pilot_v(self, level: Literal["high", "low"]) -> float:
        assert self.open
        self.levels.append(level)
        return 1.7 + {"high": 11.94, "low": -12.02}[level] / 8.0

    def ct_v(self) -> float:
        assert self.open
        return 16.0 / 95.0

    @contextmanager
    def opened(self, choice: BoardChoice, spec: BoardSpec) -> Iterator["FakeBench"]:
        assert (choice.kind, spec.name) == ("raspberry", "carrier_mcp3208")
        self.open = True
        yield self
        self.open = False


PILOT = ["calibrate", "pilot", str(STATION), "--high", "11.94", "--low", "-12.02", "--name", "s1", "--dir"]
CT = ["calibrate", "ct", str(STATION), "--amps", "16", "--name", "s1", "--dir"]


def test_the_pilot_and_then_the_ct(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = FakeBench()
    assert calibrate.pilot(_arguments([*PILOT, str(tmp_path)]), bench.opened) == 0
    assert bench.levels == ["high", "low"]
    out = capsys.readouterr().out
    assert "pilot.zero_v            1.6500 ->    1.7000 V\n" in out
    assert "pilot.gain              8.2000 ->    8.0000 V/V\n" in out
    assert calibrate.ct(_arguments([*CT, str(tmp_path)]), bench.opened) == 0
    path = calibration_path(tmp_path, "s1")
    assert capsys.readouterr().out.splitlines() == [
        "pilot.zero_v            1.7000 as before V",
        "pilot.gain              8.0000 as before V/V",
        "meter.amps_per_volt    90.9000 ->   95.0000 A/V",
        f"stored in {path}",
    ]
    assert not bench.open
    found = load_calibration(path, BOARD)
    assert found.pilot is not None
    assert (found.pilot.zero_v, found.pilot.gain) == pytest.approx((1.7, 8.0))
    assert found.amps_per_volt == pytest.approx(95.0)


def test_each_keeps_what_the_other_found(tmp_path: Path) -> None:
    assert calibrate.ct(_arguments([*CT, str(tmp_path)]), FakeBench().opened) == 0
    assert calibrate.pilot(_arguments([*PILOT, str(tmp_path)]), FakeBench().opened) == 0
    found = load_calibration(calibration_path(tmp_path, "s1"), BOARD)
    assert found.pilot is not None
    assert found.amps_per_volt == pytest.approx(95.0)


def test_the_volts_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"+12 V": "11.94", "-12 V": "-12.02"}
    monkeypatch.setattr("builtins.input", lambda question: next(answers[key] for key in answers if key in question))
    arguments = _arguments(["calibrate", "pilot", str(STATION), "--dir", str(tmp_path)])
    assert calibrate.pilot(arguments, FakeBench().opened) == 0
    found = load_calibration(calibration_path(tmp_path, "garage-left"), BOARD)
    assert found.pilot is not None
    assert (found.pilot.zero_v, found.pilot.gain) == pytest.approx((1.7, 8.0))


@pytest.mark.parametrize("answer", ["twelve", "", EOFError()])
def test_an_answer_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str | EOFError) -> None:
    def asked(question: str) -> str:
        if isinstance(answer, EOFError):
            raise answer
        return answer

    monkeypatch.setattr("builtins.input", asked)
    with pytest.raises(ConfigError, match="--high: expected "):
        calibrate.pilot(_arguments(["calibrate", "pilot", str(STATION), "--dir", str(tmp_path)]), FakeBench().opened)
    assert not calibration_path(tmp_path, "garage-left").exists()


def test_nothing_is_stored_of_what_is_no_calibration(tmp_path: Path) -> None:
    class Halved(FakeBench):
        def pilot_v(self, level: Literal["high", "low"]) -> float:
            return 1.65 + {"high": 0.75, "low": -0.75}[level]

    with pytest.raises(ConfigError) as refused:
        calibrate.pilot(_arguments([*PILOT, str(tmp_path)]), Halved().opened)
    [error] = refused.value.errors
    assert error.startswith(
        "s1: pilot.gain: expected 7.38 to 9.02, the board file's 8.2 and 10 % either way (got 15.97)"
    )
    assert error.endswith(": that is no calibration but another board")
    assert not calibration_path(tmp_path, "s1").exists()


def test_a_bench_that_sees_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Dead(FakeBench):
        def ct_v(self) -> float:
            return 0.0

    assert calibrate.ct(_arguments([*CT, str(tmp_path)]), Dead().opened) == 1
    assert capsys.readouterr().err.startswith("s1: the ADC sees 0.0000 V RMS while 16 A flow: check the CT")
    assert not calibration_path(tmp_path, "s1").exists()


def test_a_board_that_can_not_be_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def gone(choice: BoardChoice, spec: BoardSpec) -> AbstractContextManager[FakeBench]:
        raise BoardGone("another process drives this board")

    assert calibrate.pilot(_arguments([*PILOT, str(tmp_path)]), gone) == 1
    assert capsys.readouterr().err == "s1: another process drives this board\n"


def test_not_while_the_station_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(tmp_path, "s1"):
        assert main([*PILOT, str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"watti: a station named s1 runs already in {tmp_path}\n"


@pytest.mark.parametrize(
    ("station", "errors"),
    [
        (
            'kind = "simulated"',
            [
                'board.kind: expected "raspberry": a simulated plant needs no calibration',
                "station.name: expected this key, or --name: the calibration is kept by it",
            ],
        ),
        (
            'kind = "raspberry"\nfile = "carrier_adc128s102"',
            ["station.name: expected this key, or --name: the calibration is kept by it"],
        ),
    ],
)
def test_stations_without_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], station: str, errors: list[str]
) -> None:
    path = tmp_path / "some.toml"
    path.write_text(f'[station]\nmodel = "48A"\n[board]\n{station}\n')
    assert main(["calibrate", "ct", str(path), "--amps", "16"]) == 2
    assert capsys.readouterr().err.splitlines() == [f"{path}: {error}" for error in errors]


def test_drivers_that_are_not_installed_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watti.boards.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "watti.calibrate_bench", None)  # importing it would fail
    assert main(["calibrate", "ct", str(STATION), "--amps", "16", "--name", "s1", "--dir", str(tmp_path)]) == 2
    assert 'needs gpiozero: pip install "watti[raspberry]"' in capsys.readouterr().err


def test_a_meter_that_is_no_ct(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.toml"
    path.write_text('[station]\nmodel = "48A"\n[board]\nkind = "raspberry"\nfile = "carrier_adc128s102"\n')
    assert main(["calibrate", "ct", str(path), "--amps", "16", "--name", "s1", "--dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("meter.kind: expected a CT to calibrate (got SDM120)\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["pilot", "--high", "11.3"], "argument --high: expected a number from 11.4 to 12.6 (got 11.3)"),
        (["pilot", "--low", "12"], "argument --low: expected a number from -12.6 to -11.4 (got 12.0)"),
        (["ct", "--amps", "2"], "argument --amps: expected a number from 3 to 100 (got 2.0)"),
        (["ct"], "the following arguments are required: --amps"),
    ],
)
def test_options_that_are_refused(capsys: pytest.CaptureFixture[str], options: list[str], why: str) -> None:
    assert main(["calibrate", options[0], str(STATION), *options[1:]]) == 2
    assert why in capsys.readouterr().err
