"""The bench on a terminal: a real one (pty) with the live screen or the plain table, however either ends."""

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hal.simulated.remote import ask
from tests.bench.helpers import ENVIRONMENT, PATIENCE_S, WATTI, lives, wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(200)]

SCREEN, NO_SCREEN, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
SIZE = {"COLUMNS": "120", "LINES": "40", "TERM": "xterm-256color"}

HIDDEN = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *further: None if name == "textual" else find(name, *further)
"""
"""As a sitecustomize.py, hides textual: as if it had never been installed."""


class Terminal:
    """A pseudo-terminal with a command as the leader of its session."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, self._slave = pty.openpty()
        self._before = termios.tcgetattr(self._slave)
        self.shown = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command], env=environment, stdin=self._slave, stdout=self._slave, stderr=self._slave
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the other end is closed
            while data := os.read(self._master, 65536):
                self.shown += data

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, words: bytes) -> None:
        wait_for(lambda: words in self.shown)

    def sane(self) -> bool:
        """Whether its modes are what they were, and the last that was said about screen and cursor is right."""
        modes = termios.tcgetattr(self._slave) == self._before
        return modes and self.shown.rfind(NO_SCREEN) > self.shown.rfind(SCREEN) and self.cursor()

    def cursor(self) -> bool:
        return self.shown.rfind(CURSOR) >= self.shown.rfind(b"\x1b[?25l")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        self._reader.join()
        os.close(self._master)


@contextmanager
def terminal(*command: str, **environment: str) -> Iterator[Terminal]:
    terminal = Terminal(list(command), ENVIRONMENT | SIZE | environment)
    try:
        yield terminal
    finally:
        terminal.close()


@contextmanager
def bench_on_terminal(folder: Path, *options: str, **environment: str) -> Iterator[Terminal]:
    with terminal(*WATTI, "bench", "--switches", "B,F", "--dir", str(folder), *options, **environment) as shown:
        yield shown


def child(pid: int, words: bytes) -> int:
    """The child of a process with these words in its command."""
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if words in Path(f"/proc/{number}/cmdline").read_bytes():
            return int(number)
    raise AssertionError("there is none")


def only_logs(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda shown: shown.type(b"q"), 0),
        (lambda shown: shown.type(b"\x03"), 130),
        (lambda shown: shown.process.terminate(), 0),
        (lambda shown: shown.process.send_signal(signal.SIGINT), 130),
    ],
    ids=["q", "Ctrl-C", "SIGTERM", "SIGINT"],
)
def test_the_live_screen_acts_and_its_end_is_the_end_of_the_bench(
    tmp_path: Path, end: Callable[[Terminal], None], code: int
) -> None:
    with bench_on_terminal(tmp_path) as shown:
        shown.wait_for(b"no vehicle")
        shown.type(b"2u")
        shown.wait_for(b"no vehicle is plugged in")
        end(shown)
        assert shown.process.wait(PATIENCE_S) == code
        wait_for(shown.sane)
    assert only_logs(tmp_path)
    assert (tmp_path / "log" / "screen.log").read_text() == ""


def test_a_bench_with_a_duration_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with bench_on_terminal(tmp_path, "--duration", "3") as shown:
        assert shown.process.wait(PATIENCE_S) == 0
        assert SCREEN in shown.shown
        wait_for(shown.sane)
    assert only_logs(tmp_path)


def test_a_screen_that_is_killed_gives_way_to_the_table_and_the_bench_goes_on(tmp_path: Path) -> None:
    with bench_on_terminal(tmp_path) as shown:
        shown.wait_for(b"no vehicle")
        os.kill(child(shown.process.pid, b"watti.page"), signal.SIGKILL)
        shown.wait_for(b"the live screen has ended (SIGKILL), see " + str(tmp_path / "log" / "screen.log").encode())
        shown.wait_for(b"A drawn together")
        wait_for(shown.sane)
        assert ask(tmp_path / "bench.sock", {"do": "status"})["stations"][0]["alive"]
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(PATIENCE_S) == 130
    assert only_logs(tmp_path)


def test_the_screen_of_a_killed_bench_ends_by_itself(tmp_path: Path) -> None:
    bench = [*WATTI, "bench", "--switches", "B,F", "--dir", str(tmp_path)]
    with terminal("sh", "-c", '"$@"; sleep 1000', "sh", *bench) as shown:  # a shell lives on, as people's do
        shown.wait_for(b"no vehicle")
        pid = child(shown.process.pid, b"watti\0bench")
        screen = child(pid, b"watti.page")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not lives(screen))
        wait_for(shown.sane)


def test_a_screen_that_stands_still_does_not_hold_the_end_up(tmp_path: Path) -> None:
    with bench_on_terminal(tmp_path) as shown:
        shown.wait_for(b"no vehicle")
        screen = child(shown.process.pid, b"watti.page")
        os.kill(screen, signal.SIGSTOP)
        wait_for(lambda: Path(f"/proc/{screen}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        shown.process.terminate()
        assert shown.process.wait(PATIENCE_S) == 0
        wait_for(shown.sane)


def test_a_screen_that_fails_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "stations").mkdir()
    (tmp_path / "stations" / "s1.toml").write_text("nonsense")
    with terminal(sys.executable, "-m", "watti.page", "--dir", str(tmp_path)) as shown:
        assert shown.process.wait(PATIENCE_S) == 1
        assert b"Traceback" not in shown.shown
    assert "not TOML" in (tmp_path / "log" / "screen.log").read_text()


def test_without_textual_there_is_the_plain_table(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(HIDDEN)
    path = os.pathsep.join([str(hidden), ENVIRONMENT["PYTHONPATH"]])
    folder = tmp_path / "bench"
    with bench_on_terminal(folder, "--duration", "3", PYTHONPATH=path) as shown:
        assert shown.process.wait(PATIENCE_S) == 0
        assert b"A drawn together" in shown.shown
        assert SCREEN not in shown.shown
        assert b"has ended" not in shown.shown
    assert only_logs(folder)


def test_the_commands_do_without_textual() -> None:
    check = "import sys, watti.cli, watti.bench, watti.control; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], env=ENVIRONMENT, check=False).returncode == 0
