"""What the documents show of the code is what the code says."""

import re
from pathlib import Path

import pytest

from firmware import lamp, protection, states
from firmware.bus import registers
from firmware.bus.messages import Reason
from firmware.timing import Timing
from watti.cli import main

ROOT = Path(__file__).parents[2]
DESIGN = (ROOT / "firmware/DESIGN.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("drawn", [states.diagram(), protection.table(), lamp.table(), registers.table()])
def test_what_is_drawn_from_the_code_is_up_to_date(drawn: str) -> None:
    assert drawn in DESIGN, "print it anew: python -m firmware.states, .protection, .lamp or .bus.registers"


def test_every_reason_is_named() -> None:
    assert all(reason.word in DESIGN for reason in Reason)


def test_the_release_time_is_the_one_in_force() -> None:
    timing = Timing()
    assert f"{timing.least_release_s:.2f} s" in DESIGN
    assert f"poll every {timing.poll_s:g} s" in DESIGN


def test_each_command_of_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"(?:tools/watti\.sh|`watti|\$ watti) ([a-z]+)", README)) - {"tests"}
    assert len(commands) > 8
    for command in commands:
        assert main([command, "--help"]) == 0
        assert "example" in capsys.readouterr().out.lower()


def test_each_file_that_the_documents_name_exists() -> None:
    for path in re.findall(r"\b(?:configs|tools|firmware)/[\w./-]+\.\w+", README + DESIGN):
        assert (ROOT / path).exists(), path
