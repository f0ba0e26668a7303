"""A station of a bench on the drivers of a Raspberry Pi: the pins are a simulated Pi's, all else is real."""

import os
import signal
from pathlib import Path

import pytest

from tests.bench.helpers import PATIENCE_S, running

pytestmark = [pytest.mark.bench, pytest.mark.timeout(180)]


def test_it_charges_in_a_group_and_a_killed_one_leaves_nothing_on(tmp_path: Path) -> None:
    with running(tmp_path, "--switches", "B,F") as bench:
        os.kill(bench.pid("s2"), signal.SIGKILL)
        bench.wait("s2", alive=False)
        config = tmp_path / "stations" / "s2.toml"
        config.write_text(config.read_text().replace('"simulated"', '"mock_raspberry"\nfile = "carrier_mcp3208"'))
        station = bench.run("s2")
        assert station.poll() is None
        assert bench.do("plug", "s1") == 0
        assert bench.do("plug", "s2") == 0
        bench.wait_for_amps("s2")
        assert bench.status()["s2"]["fault"] == ""
        os.kill(bench.pid("s2"), signal.SIGKILL)
        station.wait(PATIENCE_S)
        row = bench.wait("s2", alive=False, contactor="open", offered_a=0.0, drawn_a=0.0)
        assert row["pid"] is None
        bench.run("s2")
        bench.wait("s2", alive=True, role="secondary", contactor="open")
