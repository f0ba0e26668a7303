"""The line that says how far a long simulation is."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from watti import progress
from watti.progress import clock, line, watched
from watti.scenario import CONFIGS


class Clock:
    """Real time that passes only when something is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def advance(real: Clock, speed: float, seen: list[float]) -> progress.Advance:
    def run(until_s: float) -> None:
        real.now += (until_s - (seen[-1] if seen else 0.0)) / speed
        seen.append(until_s)

    return run


def test_a_long_one_is_shown_and_wiped_away(real: Clock) -> None:
    terminal, seen = StringIO(), list[float]()
    watched(advance(real, 2000, seen), 86400, terminal)
    lines = terminal.getvalue().split("\r\x1b[K")
    assert seen[-1] == 86400
    assert real.now == pytest.approx(43.2)
    assert 50 < len(lines) < 500, "often enough, and no more than that"
    assert lines[0] == lines[-1] == ""
    assert "2,000 x real time" in lines[10]
    assert lines[-2].startswith("100 %  24:00:00 of 24:00:00")


def test_a_short_one_is_not_shown(real: Clock) -> None:
    terminal = StringIO()
    watched(advance(real, 2000, []), 1800, terminal)
    assert terminal.getvalue() == ""


def test_an_interrupt_wipes_it_away_too(real: Clock) -> None:
    terminal = StringIO()

    def run(until_s: float) -> None:
        real.now += 0.5
        if real.now > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched(run, 1e6, terminal)
    assert "real time" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_the_words() -> None:
    assert line(21600, 86400, 10) == " 25 %  6:00:00 of 24:00:00  2,160 x real time  0:00:30 left"
    assert [clock(t_s) for t_s in (0, 59.6, 3661, 100 * 3600)] == ["0:00:00", "0:01:00", "1:01:01", "100:00:00"]


def test_ctrl_c_on_a_terminal_leaves_a_clean_line_and_no_file(tmp_path: Path) -> None:
    text = (CONFIGS / "scenarios" / "maker_page.toml").read_text()
    (tmp_path / "long.toml").write_text(text.replace("duration_s = 3000", "duration_s = 30000000"))
    outputs = ("--trace", str(tmp_path / "t.csv"), "--report", str(tmp_path / "r.html"))
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "watti", "simulate", str(tmp_path / "long.toml"), *outputs]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True) as run:
        os.close(theirs)
        seen = b""
        while b"left" not in seen:
            seen += os.read(ours, 4096)
        assert len(list(tmp_path.iterdir())) == 3, "the scenario and what is being written"
        run.send_signal(signal.SIGINT)
        with suppress(OSError):  # how Linux says that nobody has the other end any more
            while more := os.read(ours, 4096):
                seen += more
    os.close(ours)
    assert run.returncode == 130
    assert seen.endswith(b"\r\x1b[K")
    assert b"\n" not in seen
    assert [path.name for path in tmp_path.iterdir()] == ["long.toml"]
