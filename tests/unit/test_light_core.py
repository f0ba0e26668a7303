"""What a station's process loads: a Pi has little memory, and a start has to be quick."""

import subprocess
import sys

import pytest

from tests.bench.helpers import ENVIRONMENT

HEAVY = {
    "textual": "the screen",
    "plotly": "reports",
    "tomli_w": "torture",
    "distributed": "torture on a cluster",
    "numpy": "nothing here",
    "pymodbus.client": "the thread that opens a Modbus meter",
    "pymodbus.server": "nothing here",
    "websockets": "the process that takes a station online",
    "http.client": "nothing here",
}
"""By module: what alone may load it. asyncio comes with pymodbus's PDUs: some 20 ms."""


def loaded(code: str) -> set[str]:
    """Modules of a fresh interpreter that has run this."""
    script = f"{code}\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["watti.run", "watti.desk", "hal.serial.port"])
def test_the_core_loads_nothing_heavy_and_no_driver_of_a_board(module: str) -> None:
    assert loaded(f"import {module}") & {*HEAVY, "gpiozero", "lgpio"} == set()


def test_the_board_of_a_pi_loads_gpiozero_and_nothing_else_that_is_heavy() -> None:
    modules = loaded("import watti.run, hal.raspberry.board")
    assert "gpiozero" in modules
    assert modules & {*HEAVY} == set()


def test_the_command_line_loads_what_its_command_needs_alone() -> None:
    modules = loaded("import watti.cli")
    assert modules & {*HEAVY, "gpiozero", "pymodbus", "transitions", "serial"} == set()
