"""The event log on disk: no broken line, no record lost, bounded, and never in the way of the station."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.clock import Clock
from hal.journal import HANGS_S, ROTATED, FileJournal
from hal.store import FileStore
from watti.logs import Logs

ROOT = Path(__file__).parents[2]
PATIENCE_S = 40.0
CLOCK = Clock(lambda: 0.0, lambda: 1.8e9, lambda: True)
SOON_S = 0.02
"""Between two tries."""


@contextmanager
def journal(folder: Path, **options: Any) -> Iterator[FileJournal]:
    options = {"clock": CLOCK, "retry_s": SOON_S, **options}
    opened = FileJournal(folder, "s1", **options)
    try:
        yield opened
    finally:
        opened.close()
        opened._thread.join(PATIENCE_S)
        assert not opened._thread.is_alive()


def files(folder: Path) -> list[Path]:
    """Oldest first."""
    names = ["s1.jsonl", *(f"s1.jsonl.{number}" for number in range(1, 10))]
    return [folder / name for name in reversed(names) if (folder / name).exists()]


def read(folder: Path) -> list[dict[str, Any]]:
    """All records, oldest first; a line that is not whole fails."""
    text = b"".join(path.read_bytes() for path in files(folder)).decode("ascii")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def numbers(folder: Path) -> list[int]:
    return [record["n"] for record in read(folder) if "n" in record]


def events(folder: Path) -> list[str]:
    return [record["event"] for record in read(folder)]


def wait_for(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.005)


def last(folder: Path) -> int:
    """The number of the last whole line, while somebody writes."""
    try:
        lines = (folder / "s1.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return -1
    return int(json.loads(lines[-1])["n"]) if lines else -1


def wait_for_last(folder: Path, n: int) -> None:
    wait_for(lambda: last(folder) >= n)


def test_a_record_is_a_line_with_stamp_station_event_and_fields(tmp_path: Path) -> None:
    with journal(tmp_path / "state" / "log") as log:
        log.write("plug_in", {"session": "3f2a91c0-4", "car": "Citro\u00ebn"}, -12.3456)
        log.write("offer", {"offered_a": float("nan"), "limits": [float("inf"), 1.5]}, 0.0)
        assert log.stamp(0.0) == CLOCK.stamp(0.0)
    first, second = (tmp_path / "state" / "log" / "s1.jsonl").read_bytes().splitlines()
    assert list(json.loads(first).items()) == [
        *CLOCK.stamp(-12.3456).items(),
        ("station", "s1"),
        ("event", "plug_in"),
        ("session", "3f2a91c0-4"),
        ("car", "Citro\u00ebn"),
    ]
    assert first.isascii()
    assert second.endswith(b'"event":"offer","offered_a":null,"limits":[null,1.5]}')


def test_what_was_written_is_soon_in_the_file_without_a_close(tmp_path: Path) -> None:
    with journal(tmp_path) as log:
        for n in range(3):
            log.write("offer", {"n": n}, 0.0)
            wait_for_last(tmp_path, n)


def test_full_files_are_rotated_and_the_oldest_one_goes(tmp_path: Path) -> None:
    with journal(tmp_path, rotate_bytes=1000) as log:
        for n in range(100):
            log.write("offer", {"n": n}, 0.0)
    assert len(files(tmp_path)) == 1 + ROTATED
    assert all(path.stat().st_size <= 1000 for path in files(tmp_path))
    kept = numbers(tmp_path)
    assert kept == list(range(kept[0], 100))
    assert 10 < len(kept) < 100


@pytest.mark.parametrize("torn", ["{", '{"event":"offer","off', "\0" * 10_000])
@pytest.mark.parametrize("before", ["", '{"n":1}\n'])
def test_a_line_that_a_power_cut_left_unfinished_is_cut_off_and_that_is_said(
    tmp_path: Path, before: str, torn: str
) -> None:
    (tmp_path / "s1.jsonl").write_text(before + torn)
    with journal(tmp_path) as log:
        log.write("boot", {"n": 2}, 0.0)
    assert numbers(tmp_path) == ([1, 2] if before else [2])
    assert events_with(tmp_path, "repaired") == [{"bytes": len(torn)}]
    with journal(tmp_path) as log:
        log.write("boot", {"n": 3}, 0.0)
    assert events_with(tmp_path, "repaired") == [{"bytes": len(torn)}]


def events_with(folder: Path, event: str) -> list[dict[str, Any]]:
    """The fields of the records of one kind."""
    stamp = {*CLOCK.stamp(0.0), "station", "event"}
    return [
        {key: value for key, value in record.items() if key not in stamp}
        for record in read(folder)
        if record.get("event") == event
    ]


# A disk in trouble


def test_a_full_disk_is_said_and_no_record_is_lost(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    path = tmp_path / "s1.jsonl"
    path.symlink_to("/dev/full")
    with journal(tmp_path) as log:
        for n in range(5):
            log.write("offer", {"n": n}, 0.0)
        wait_for(lambda: log.problem)
        assert log.problem == (
            f"event log {path}: No space left on device: events are kept in memory until it can be written"
        )
        path.unlink()
        wait_for(lambda: not log.problem)
        log.write("offer", {"n": 5}, 0.0)
    assert numbers(tmp_path) == list(range(6))


LIMITED = """
import resource, sys, time
from pathlib import Path
from hal.journal import FileJournal

def wait_for(condition):
    while not condition():
        time.sleep(0.005)

folder, hard = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
log = FileJournal(folder, "s1", retry_s=0.02)
for n in range(50):
    log.write("session", {"n": n}, 0.0)
wait_for(lambda: log.problem)
print(log.problem)
print((folder / "s1.jsonl").read_bytes().endswith(b"}\\n"), (folder / "s1.jsonl").stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
wait_for(lambda: not log.problem)
log.close()
"""


def test_a_line_that_fits_only_in_part_leaves_nothing_and_is_written_later(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        text=True,
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    problem, size = ended.stdout.splitlines()
    assert "s1.jsonl: File too large: events are kept in memory" in problem
    assert size.startswith("True ")
    assert 800 < int(size.split()[1]) < 1000  # not at the limit: the part that fitted was taken back
    assert numbers(tmp_path) == list(range(50))
    assert "repaired" not in events(tmp_path)


def test_a_folder_that_is_not_one_is_said_and_used_when_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.touch()
    with journal(folder) as log:
        log.write("boot", {"n": 0}, 0.0)
        wait_for(lambda: log.problem)
        assert f"{folder}/s1.jsonl: Not a directory" in log.problem
        log.write("session", {"n": 1}, 0.0)
        folder.unlink()
        wait_for(lambda: not log.problem)
        assert numbers(folder) == [0, 1]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that nobody can write in")
def test_a_folder_that_nobody_can_write_in_stops_nothing() -> None:
    with journal(Path("/proc/self/fdinfo")) as log:
        for n in range(100):
            log.write("offer", {"n": n}, 0.0)
        wait_for(lambda: log.problem)
        assert log.problem.startswith("event log /proc/self/fdinfo/s1.jsonl: ")


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_log_that_somebody_takes_away_begins_anew(tmp_path: Path, what: str, how: str) -> None:
    folder = tmp_path / "log"
    with journal(folder) as log:
        log.write("offer", {"n": 0}, 0.0)
        wait_for(lambda: folder.exists() and numbers(folder) == [0])
        victim = folder if what == "folder" else folder / "s1.jsonl"
        if how == "moved":
            victim.rename(tmp_path / "taken")
        elif what == "folder":
            shutil.rmtree(victim)
        else:
            victim.unlink()
        log.write("offer", {"n": 1}, 0.0)
    assert numbers(folder) == [1]


def test_a_backlog_that_overflows_loses_the_oldest_but_no_session_and_no_fault_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with journal(folder, backlog=10) as log:
        log.write("boot", {"n": 0}, 0.0)
        wait_for(lambda: numbers(folder) == [0] if folder.exists() else False)
        shutil.rmtree(folder)
        folder.touch()
        for n in range(1, 41):
            log.write("session" if n in (1, 7) else "fault" if n == 2 else "offer", {"n": n}, 0.0)
        wait_for(lambda: log.problem.endswith("the oldest events are being lost"))
        folder.unlink()
        wait_for(lambda: not log.problem)
        log.write("offer", {"n": 41}, 0.0)
    assert numbers(folder) == [1, 2, 7, *range(34, 42)]
    assert events(folder)[0] == "lost"
    assert events_with(folder, "lost") == [{"records": 30}]


def test_what_happens_while_a_write_fails_comes_after_what_it_was_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = os.open

    def fails(path: Path, *options: int) -> int:
        monkeypatch.setattr(os, "open", opens)
        log.write("offer", {"n": 1}, 0.0)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "open", fails)
    with journal(tmp_path) as log:
        log.write("offer", {"n": 0}, 0.0)
        wait_for_last(tmp_path, 1)
    assert numbers(tmp_path) == [0, 1]


def test_a_disk_that_hangs_is_said_and_stops_neither_the_station_nor_its_end(tmp_path: Path) -> None:
    now = [0.0]
    awake = threading.Event()
    log = FileJournal(tmp_path, "s1", Clock(lambda: now[0]))
    log.submit(lambda: wait_until(awake))  # as the saving of a session on a card that has gone to sleep
    wait_for(lambda: log._busy_since is not None)
    log.write("session", {"n": 0}, 0.0)
    assert log.problem == ""
    now[0] += HANGS_S + 1
    path = tmp_path / "s1.jsonl"
    assert (
        log.problem == f"event log {path}: the disk does not answer: events are kept in memory until it can be written"
    )
    log.close()
    assert log._thread.is_alive()
    assert not path.exists()
    awake.set()
    log._thread.join(PATIENCE_S)
    assert numbers(tmp_path) == [0]
    assert log.problem == ""


def wait_until(event: threading.Event) -> None:
    assert event.wait(PATIENCE_S)


def test_what_matters_is_on_the_disk_not_only_in_the_kernel_and_an_error_of_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    broken = [False]

    def fdatasync(fd: int) -> None:
        synced.append(len(numbers(tmp_path)))
        if broken[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with journal(tmp_path) as log:
        for n, event in enumerate(["boot", "offer", "session", "offer", "fault"]):
            log.write(event, {"n": n}, 0.0)
            wait_for_last(tmp_path, n)
            wait_for(lambda: log._busy_since is None)
        assert synced == [1, 3, 5]
        broken[0] = True
        log.write("session", {"n": 5}, 0.0)
        wait_for(lambda: "Input/output error" in log.problem)
        broken[0] = False
        wait_for(lambda: not log.problem)
    assert numbers(tmp_path) == list(range(6))


# A process that is killed

WRITER = """
import sys, time
from pathlib import Path
from hal.journal import FileJournal

log = FileJournal(Path(sys.argv[1]), "s1", rotate_bytes=200_000)
n = int(sys.argv[2])
while True:
    log.write("session" if n % 50 == 0 else "offer", {"n": n, "filler": "x" * (n % 300)}, 0.0)
    n += 1
    if n % 10 == 0:
        time.sleep(0.001)
"""


def test_a_killed_process_leaves_whole_lines_and_the_next_one_goes_on_after_them(tmp_path: Path) -> None:
    begins, seen = 0, 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(begins)], env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        with child:
            wait_for_last(tmp_path, begins + 300)
            seen = last(tmp_path)
            child.send_signal(signal.SIGKILL)
        found = numbers(tmp_path)
        assert found == list(range(found[-1] + 1))
        assert found[-1] >= seen
        begins = found[-1] + 1
    assert "repaired" not in events(tmp_path)


# Any history

STEPS = st.lists(
    st.one_of(
        st.integers(0, 400).map(lambda size: ("write", size)),
        st.just(("reopen", 0)),
        st.integers(1, 5000).map(lambda size: ("power cut", size)),
        st.integers(0, ROTATED).map(lambda number: ("delete", number)),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_lines_are_whole_in_order_and_bounded(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        log = FileJournal(folder, "s1", CLOCK, rotate_bytes=1000)
        deleted = False
        for n, (step, size) in enumerate(steps):
            if step == "write":
                log.write("offer", {"n": n, "filler": "x" * size}, 0.0)
                continue
            log.close()
            if step == "delete":
                deleted |= any(files(folder))
                for path in files(folder)[:size]:
                    path.unlink()
            elif step == "power cut" and folder.exists():
                with (folder / "s1.jsonl").open("ab") as file:
                    file.write(b"\0" * size)
            log = FileJournal(folder, "s1", CLOCK, rotate_bytes=1000)
        log.write("boot", {"n": len(steps)}, 0.0)
        log.close()
        assert all(path.stat().st_size <= 1000 for path in files(folder))
        assert len(files(folder)) <= 1 + ROTATED
        found = numbers(folder)
        written = [n for n, (step, _) in enumerate(steps) if step == "write"] + [len(steps)]
        if deleted:
            assert found == sorted(set(found) & set(written))
        else:
            assert found == written[-len(found) :]
            assert len(found) == len(written) or len(files(folder)) == 1 + ROTATED


# Small jobs for the same thread


def test_a_store_is_saved_by_the_journal_s_thread(tmp_path: Path) -> None:
    said: list[str] = []
    free = threading.Event()
    with journal(tmp_path / "log") as log:
        log.submit(lambda: wait_until(free))
        store = FileStore(tmp_path / "s1.json", said.append, log.submit)
        for record in (b"1", b"2", b"3"):
            store.save(record)
        assert store.load() == b"3"
        assert not (tmp_path / "s1.json").exists()
        free.set()
    assert (tmp_path / "s1.json").read_bytes() == b"3"
    store.save(b"4")
    assert (tmp_path / "s1.json").read_bytes() == b"4"
    assert said == []


def test_of_records_that_wait_for_the_disk_the_last_is_written(tmp_path: Path) -> None:
    jobs: list[Callable[[], None]] = []
    store = FileStore(tmp_path / "s1.json", lambda sentence: None, jobs.append)
    for record in (b"1", b"2"):
        store.save(record)
    assert len(jobs) == 1
    jobs.pop()()
    assert (tmp_path / "s1.json").read_bytes() == b"2"
    store.save(b"3")
    jobs.pop()()
    assert (tmp_path / "s1.json").read_bytes() == b"3"


def test_a_store_says_while_it_can_not_be_written_and_once_to_whom_it_warns(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "state"
    store = FileStore(folder / "s1.json", said.append)
    folder.touch()  # a file in its place
    for record in (b"1", b"2"):
        store.save(record)
        assert "memory only" in store.problem
    assert said == [store.problem]
    folder.unlink()
    store.save(b"3")
    assert (store.problem, (folder / "s1.json").read_bytes()) == ("", b"3")


def test_finished_sessions_outlive_the_rotation_of_everything_else(tmp_path: Path) -> None:
    """A chattering fault writes megabytes a day: it must not push them out."""
    with journal(tmp_path, rotate_bytes=2000) as log:
        for n in range(400):
            log.write("session" if n % 40 == 0 else "offer", {"n": n}, float(n))
    logs = Logs(tmp_path).news()
    assert [record["n"] for record in logs[0] if record["event"] == "session"] == list(range(0, 400, 40))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= (2 + ROTATED) * 2000


def test_the_sessions_that_are_kept_are_bounded_too(tmp_path: Path) -> None:
    with journal(tmp_path, rotate_bytes=2000) as log:
        for n in range(400):
            log.write("session", {"n": n}, float(n))
    kept = [record["n"] for record in Logs(tmp_path).news()[0]]
    assert kept == list(range(kept[0], 400))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= (2 + ROTATED) * 2000
