"""The table `[bus]` of a station's file: who turns the transceiver round."""

from pathlib import Path

import pytest

from firmware.config import ConfigError
from watti.board_file import read_station


def file_with(folder: Path, bus: str) -> Path:
    path = folder / "station.toml"
    path.write_text(f'[station]\nmodel = "48A"\n[bus]\n{bus}\n[board]\nkind = "simulated"\n')
    return path


@pytest.mark.parametrize(
    ("bus", "direction", "rts_sends"),
    [
        ("", "automatic", "high"),
        ('direction = "kernel"', "kernel", "high"),
        ('direction = "rts"\nrts_sends = "low"', "rts", "low"),
    ],
)
def test_who_turns_the_transceiver_round(tmp_path: Path, bus: str, direction: str, rts_sends: str) -> None:
    config = read_station(file_with(tmp_path, bus))
    assert (config.direction, config.rts_sends) == (direction, rts_sends)


@pytest.mark.parametrize(
    ("bus", "error"),
    [
        ('direction = "RTS"', 'bus.direction: expected "automatic", "kernel" or "rts" (got "RTS")'),
        ('direction = "rts"\nrts_sends = 1', 'bus.rts_sends: expected "high" or "low" (got 1)'),
        (
            'rts_sends = "low"',
            'bus.rts_sends: expected it with direction = "kernel" or "rts" only: an automatic adapter minds no RTS',
        ),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, bus: str, error: str) -> None:
    path = file_with(tmp_path, bus)
    with pytest.raises(ConfigError) as refused:
        read_station(path)
    assert refused.value.errors == [f"{path}: {error}"]
