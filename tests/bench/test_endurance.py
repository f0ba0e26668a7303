"""The soak of `tools/endurance.py`, for half a minute: real processes, hurt in every way, recover and leak nothing."""

import subprocess
import sys

import pytest

from tests.bench.helpers import ENVIRONMENT, PATIENCE_S, TOOLS

pytestmark = [pytest.mark.bench, pytest.mark.timeout(200)]


def test_hurt_processes_recover_by_themselves_and_leak_nothing() -> None:
    command = [sys.executable, str(TOOLS / "endurance.py"), "--short"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            said, failed = process.communicate(timeout=2 * PATIENCE_S)
        finally:
            process.terminate()
    assert (process.returncode, failed) == (0, "")
    for what in ("kill -9", "owner killed", "pty", "full disk", "wall clock", "stop", "A at most, of 48", "sound"):
        assert what in said
