"""sd_notify: what a service manager hears of a station, over a real socket, and that it never holds the loop up."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from watti.notify import Notifier, say, status_line
from watti.where import bench_dir

SAID = {"role": "primary", "limit_a": 16.0, "reason": "charging", "fault": None, "why": ""}


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "10000000"}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(20.0)

    def message(self) -> list[str]:
        """The next one."""
        return self._socket.recv(4096).decode().split("\n")

    def heard(self) -> list[str]:
        """The lines of all that have come; fails where none waits."""
        self._socket.setblocking(False)
        lines = self.message()
        try:
            while True:
                lines += self.message()
        except BlockingIOError:
            return lines

    def silent(self) -> bool:
        self._socket.setblocking(False)
        try:
            self.message()
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"\0watti-test-{os.getpid()}"
    with closing(Manager(address)) as manager:
        yield manager


@pytest.fixture
def notifier(manager: Manager) -> Iterator[Notifier]:
    notifier = Notifier(manager.environ)
    yield notifier
    notifier.stopping()


def test_the_first_turn_says_that_it_has_started(manager: Manager, notifier: Notifier) -> None:
    assert manager.silent()
    notifier.alive(100.0, "waits")
    assert manager.heard() == ["READY=1", "WATCHDOG=1", "STATUS=waits"]


def test_it_is_alive_twice_in_each_period_and_only_when_the_loop_turns(manager: Manager, notifier: Notifier) -> None:
    for now in (100.0, 104.9, 105.0, 105.25, 110.0, 130.0):
        notifier.alive(now, "waits")
    assert manager.heard().count("WATCHDOG=1") == 4


def test_one_whose_status_never_rests_is_alive_too(manager: Manager, notifier: Notifier) -> None:
    for quarter in range(40):
        notifier.alive(100 + quarter / 4, f"status {quarter}")
    assert manager.heard().count("WATCHDOG=1") >= 2


def test_without_a_watchdog_it_says_so_once(manager: Manager) -> None:
    del manager.environ["WATCHDOG_USEC"]
    notifier = Notifier(manager.environ)
    for now in range(100):
        notifier.alive(now, "waits")
    notifier.stopping()
    assert manager.heard() == ["READY=1", "WATCHDOG=1", "STATUS=waits", "STOPPING=1"]


def test_a_status_is_told_when_it_changes(manager: Manager, notifier: Notifier) -> None:
    notifier.alive(100.0, "")
    notifier.alive(100.25, "")
    notifier.alive(100.5, "charging")
    assert manager.heard() == ["READY=1", "WATCHDOG=1", "STATUS=", "WATCHDOG=1", "STATUS=charging"]


def test_it_says_that_it_ends_and_then_nothing_more(manager: Manager, notifier: Notifier) -> None:
    notifier.stopping()
    assert manager.heard() == ["STOPPING=1"]
    notifier.alive(100.0, "waits")
    notifier.stopping()
    assert manager.silent()


def test_a_reader_that_is_behind_holds_nothing_up_and_hears_it_later(manager: Manager, notifier: Notifier) -> None:
    notifier.alive(0.0, "waits")
    for number in range(5000):
        notifier.alive(100.0, f"status {number}")
    kept = manager.heard()
    assert len(kept) < 5000
    notifier.alive(100.25, "the last")
    assert manager.heard()[-1] == "STATUS=the last"
    assert kept.count("READY=1") == 1


def test_a_start_that_could_not_be_told_is_told_later(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    notifier.alive(100.0, "waits")
    with closing(Manager(str(tmp_path / "notify"))) as manager:
        notifier.alive(100.25, "waits")
        assert manager.heard() == ["READY=1", "WATCHDOG=1", "STATUS=waits"]
    notifier.stopping()


def test_outside_a_service_it_says_nothing() -> None:
    notifier = Notifier({})
    notifier.alive(100.0, "waits")
    notifier.stopping()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "primary, limit 16 A, charging"),
        (
            {"fault": "no ground", "why": "earth is missing"},
            "primary, limit 16 A, charging, fault no ground, earth is missing",
        ),
    ],
)
def test_the_line_that_a_person_sees(more: dict[str, Any], line: str) -> None:
    assert status_line(SAID | more) == line


def test_a_service_keeps_its_records_in_its_state_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert bench_dir(None) == tmp_path
    assert bench_dir(tmp_path / "mine") == tmp_path / "mine"


CHILD = """
import os, sys, time
from watti.notify import Notifier
notifier = Notifier(os.environ)
for line in sys.stdin:
    notifier.alive(time.monotonic(), line.strip())
notifier.stopping()
"""


def test_a_process_tells_its_manager(manager: Manager) -> None:
    """As systemd starts it: by the environment alone."""
    environ = os.environ | manager.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", CHILD], env=environ, stdin=subprocess.PIPE, text=True)
    with child:
        assert child.stdin is not None
        print("waits", file=child.stdin, flush=True)
        assert manager.message() == ["READY=1", "WATCHDOG=1", "STATUS=waits"]
        print("charging", file=child.stdin, flush=True)
        assert manager.message() == ["WATCHDOG=1", "STATUS=charging"]
        child.stdin.close()
        assert manager.message() == ["STOPPING=1"]
    assert child.returncode == 0


def test_nobody_who_listens_to_sentences_stops_a_station(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone:
        def write(self, _: str) -> int:
            raise BrokenPipeError

    for stream in (None, Gone()):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stream)
            say("left: the port works again")
    say("left: the port works again")
    assert capsys.readouterr() == ("", "left: the port works again\n")
