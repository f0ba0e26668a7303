"""A scenario as text: the file that is written is read back as the very same."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.scenario.helpers import OFFLINE
from watti.scenario import Scenario, load_scenario
from watti.scenario_file import text_of
from watti.torture.worlds import draw


def assert_reads_back(world: Scenario, path: Path) -> None:
    path.write_text(text_of(world, "A comment\nwith what \x07 a firmware \x1b[K may raise"))
    again = load_scenario(path)
    own = {name: again.vehicles[name] for name in world.vehicles}
    assert replace(again, path=world.path, vehicles=own) == world


def test_the_worlds_of_seeds(tmp_path: Path) -> None:
    for seed in range(200):
        assert_reads_back(draw(seed), tmp_path / "world.toml")


@pytest.mark.parametrize("path", OFFLINE, ids=lambda path: path.stem)
def test_the_scenarios_that_come_along(path: Path, tmp_path: Path) -> None:
    assert_reads_back(load_scenario(path), tmp_path / "world.toml")
