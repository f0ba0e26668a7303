"""What a station stands on: the board that its file names, here a Raspberry Pi whose hardware is simulated."""

import select
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import hal.raspberry.board
import watti.boards
from firmware.config import ConfigError, StationConfig
from hal.api import BoardGone
from hal.raspberry.board import Hardware
from hal.serial.port import SerialPort
from hal.simulated.board import MemoryStore, PlantJournal
from hal.simulated.pi import SimulatedPi
from hal.simulated.plant import Plant
from tests.contract.board_rigs import Behind
from watti.board_file import load_board, read_station
from watti.boards import Kept, Stand, opened, unnamed
from watti.cli import main
from watti.scenario import CONFIGS

BOARD = CONFIGS / "boards" / "carrier_mcp3208.toml"


@pytest.fixture
def hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hardware:
    """A Pi's, which the board takes for its own."""
    behind = Behind(Plant(11), time.monotonic)
    hardware = SimulatedPi(load_board(BOARD), behind, tmp_path / "pi", time.monotonic).hardware
    monkeypatch.setattr(hal.raspberry.board, "Hardware", lambda: hardware)
    return hardware


def station(tmp_path: Path, rotary: bool = True, more: str = "") -> StationConfig:
    """Its file, beside a board file with or without a rotary switch."""
    board = BOARD.read_text()
    if not rotary:
        begin, end = board.index("[rotary]"), board.index("[pilot]")
        board = board[:begin] + board[end:]
    (tmp_path / "board.toml").write_text(board)
    path = tmp_path / "station.toml"
    path.write_text(f'[station]\nmodel = "48A"\n{more}\n[board]\nkind = "raspberry"\nfile = "./board.toml"\n')
    return read_station(path)


@contextmanager
def standing(config: StationConfig, tmp_path: Path, switch: int | None = None) -> Iterator[Stand]:
    kept = Kept(
        SerialPort(tmp_path / "none", 19200, time.monotonic),
        (MemoryStore(), MemoryStore()),
        PlantJournal("test", lambda event, fields: None),
    )
    (tmp_path / "state").mkdir(exist_ok=True)
    with opened(config, tmp_path, "left", switch, kept) as stand:
        yield stand


def test_its_serial_number_is_the_chip_s_unless_the_file_gives_one(tmp_path: Path, hardware: Hardware) -> None:
    with standing(station(tmp_path), tmp_path) as stand:
        assert stand.serial == 0xA1B2C3D4
        assert stand.board.inputs().switch == 11
    with standing(station(tmp_path, more="serial = 7"), tmp_path) as stand:
        assert stand.serial == 7
    assert not (tmp_path / "left.sock").exists()


def test_a_board_without_a_switch_has_the_stored_one(
    tmp_path: Path, hardware: Hardware, capsys: pytest.CaptureFixture[str]
) -> None:
    config = station(tmp_path, rotary=False)
    with standing(config, tmp_path) as stand:
        assert stand.board.inputs().switch is None
    assert "no position is stored: watti switch left F" in capsys.readouterr().err
    with standing(config, tmp_path, switch=15) as stand:
        assert stand.board.inputs().switch == 15
    with standing(config, tmp_path) as stand:
        assert stand.board.inputs().switch == 15, "it survives"


def test_a_mounted_switch_is_not_set_by_a_word(tmp_path: Path, hardware: Hardware) -> None:
    with pytest.raises(ConfigError, match="has a rotary switch of its own: turn that"):
        standing(station(tmp_path), tmp_path, switch=15).__enter__()


def test_a_second_process_on_the_same_board_is_refused(tmp_path: Path, hardware: Hardware) -> None:
    config = station(tmp_path)
    with (
        standing(config, tmp_path) as stand,
        pytest.raises(BoardGone, match="another process drives this board"),
        standing(config, tmp_path),
    ):
        raise AssertionError(stand)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "the file is spoilt, remove it and calibrate anew"),
        ('{"board": "another"}', "expected carrier_mcp3208"),
        ('{"board": "carrier_mcp3208", "pilot": {"zero_v": 1.65, "gain": 12.0}}', "that is no calibration"),
    ],
)
def test_a_spoilt_calibration_is_no_silent_default(
    tmp_path: Path, hardware: Hardware, text: str, sentence: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "left.calibration.json").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        standing(station(tmp_path), tmp_path).__enter__()


def test_a_board_that_can_not_be_had_holds_nothing(
    tmp_path: Path, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Any) -> Any:
        raise OSError("/dev/spidev0.0 is not there: enable SPI")

    broken = Hardware(hardware.pins, gone, hardware.places)
    with monkeypatch.context() as patched:
        patched.setattr(hal.raspberry.board, "Hardware", lambda: broken)
        with pytest.raises(BoardGone, match="enable SPI"):
            standing(station(tmp_path), tmp_path).__enter__()
    with standing(station(tmp_path), tmp_path) as stand:
        assert stand.board.inputs().contactor_closed is False


def test_a_generator_that_goes_away_is_said_and_ends_with_the_contactor_open(
    tmp_path: Path, hardware: Hardware
) -> None:
    chip = hardware.places.pwm / "pwmchip0"
    with standing(station(tmp_path), tmp_path) as stand:
        stand.board.dead_man.refresh()
        stand.board.dead_man.refresh()
        stand.board.contactor.close()
        shutil.rmtree(chip / "pwm0")
        with pytest.raises(BoardGone, match="refuses 500000 for duty_cycle"):
            stand.board.pilot.pwm(50.0)
    assert not hardware.pins().pin(23).state


def test_a_thread_that_ends_by_a_defect_takes_the_board_with_it(
    tmp_path: Path, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect() -> None:
        raise ZeroDivisionError("of ours")

    with standing(station(tmp_path), tmp_path) as stand:
        board = stand.board
        assert isinstance(board, hal.raspberry.board.RaspberryBoard)
        board.inputs()
        monkeypatch.setattr(board.parts.sampler, "turn", defect)  # what its thread does from now on
        until = time.monotonic() + 10.0
        while not board._failed and time.monotonic() < until:
            select.select(board.filenos(), [], [], 0.1)
        with pytest.raises(BoardGone, match="a part of the board has failed: ZeroDivisionError: of ours"):
            board.inputs()
    assert not hardware.pins().pin(23).state


def test_a_dead_man_whose_wire_is_off_is_said(tmp_path: Path, hardware: Hardware) -> None:
    with standing(station(tmp_path), tmp_path) as stand:
        stand.board.dead_man.refresh()
        assert stand.problem() == ""
        hardware.pins().pin(22).sense = lambda: False
        assert "the dead-man does not hold: GPIO 22 is low" in stand.problem()


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_station_on_hardware_has_a_name_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    station(tmp_path)
    path, folder = tmp_path / "station.toml", tmp_path / "run"
    assert main([command, str(path), "--dir", str(folder)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        f"{path}: station.name: expected this key, or --name: what a station on hardware stores is kept by it"
    )
    assert said[1:] == [f"{path}: bus.port: expected this key, or --port"] * (command == "run"), "all at once"
    assert not folder.exists()
    assert unnamed(path, station(tmp_path, more='name = "left"'), None) == []
    assert unnamed(path, station(tmp_path), "left") == []
    assert unnamed(path, read_station(CONFIGS / "stations" / "mock_raspberry.toml"), None) == []


def test_drivers_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watti.boards, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'needs gpiozero: pip install "watti\[raspberry\]"'):
        standing(station(tmp_path), tmp_path).__enter__()
