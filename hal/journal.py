"""The event log of a station: whole lines of JSON in files that are bounded in size.

The station's loop must not wait for a slow card, so a thread of its own does the writing. A record is in the kernel's
hands some milliseconds after `write`, where a killed process can't take it back; a power cut costs at most what the
kernel has not written out yet, and never what was asked to be kept (`SYNCED`).
"""

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hal.clock import Clock

ROTATE_BYTES = 1_000_000
"""Size of a file at which the next one is begun (I: some 5,000 records, a week or more of a busy station)."""
ROTATED = 4
"""How many full files are kept, NAME.jsonl.1 the youngest; of those before, NAME.jsonl.5 has the sessions."""
BACKLOG = 4000
"""Most records that wait in memory for a disk that can't take them, about 1 MB (I)."""
RETRY_S = 3.0
HANGS_S = 5.0
"""A disk that has not answered for so long is said to hang."""
CLOSE_S = 1.0
"""How long `close` waits for the disk."""
KEPT = frozenset({"session", "fault"})
"""Events that leave an overflowing backlog last."""
_SESSION = b'"event":"session"'
SYNCED = KEPT | {"boot"}
"""Events that are on the disk, not only in the kernel, before the next ones are written."""


class _Record(NamedTuple):
    stamp: Mapping[str, object]
    event: str
    line: bytes


class FileJournal:
    """`hal.api.Journal` in FOLDER/NAME.jsonl."""

    def __init__(
        self,
        folder: Path,
        name: str,
        clock: Clock | None = None,
        rotate_bytes: int = ROTATE_BYTES,
        backlog: int = BACKLOG,
        retry_s: float = RETRY_S,
    ) -> None:
        """`name`: of the station. Nothing is opened before the first record; a folder that is missing is made."""
        self._name = name
        self._clock = clock or Clock()
        self._lines = Lines(folder / f"{name}.jsonl", rotate_bytes)
        self._backlog = backlog
        self._retry_s = retry_s
        self._unsynced = False
        self._changed = threading.Condition()
        """Guards all below, and tells the thread that there is something to do."""
        self._records: deque[_Record] = deque()
        self._jobs: deque[Callable[[], None]] = deque()
        self._lost = 0
        self._error: OSError | None = None
        self._busy_since: float | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"journal {name}", daemon=True)
        self._thread.start()

    def stamp(self, now: float) -> Mapping[str, object]:
        return self._clock.stamp(now)

    def write(self, event: str, fields: Mapping[str, object], now: float) -> None:
        record = self._record(self.stamp(now), event, fields)
        with self._changed:
            self._records.append(record)
            self._trim()
            self._changed.notify()

    @property
    def problem(self) -> str:
        error, lost, since = self._error, self._lost, self._busy_since
        if since is not None and self._clock.monotonic() - since > HANGS_S:
            what = "the disk does not answer"
        elif error is not None:
            what = str(error.strerror)
        else:
            return ""
        then = "the oldest events are being lost" if lost else "events are kept in memory until it can be written"
        return f"event log {self._lines.path}: {what}: {then}"

    def submit(self, job: Callable[[], None]) -> None:
        """Have a small job that waits for the disk done by the journal's thread, soon; at once when that has ended."""
        with self._changed:
            if not self._closing:
                self._jobs.append(job)
                self._changed.notify()
                return
        job()

    def close(self) -> None:
        """Write what waits, as far as the disk takes it within a second, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _record(self, stamp: Mapping[str, object], event: str, fields: Mapping[str, object]) -> _Record:
        return _Record(stamp, event, _line({**stamp, "station": self._name, "event": event, **fields}))

    def _trim(self) -> None:
        """Keep the backlog bounded: the oldest goes, of the events that are worth least."""
        while len(self._records) > self._backlog:
            del self._records[next((i for i, record in enumerate(self._records) if record.event not in KEPT), 0)]
            self._lost += 1

    # The thread

    def _run(self) -> None:
        closing = False
        while not closing:
            closing, records, jobs = self._take()
            self._keep(records)
            for job in jobs:
                job()
            with self._changed:
                self._busy_since = None
        self._lines.close()

    def _take(self) -> tuple[bool, list[_Record], list[Callable[[], None]]]:
        """Wait for something to do; after an error, records wait for the next try. Whether it is the last."""
        with self._changed:
            if self._error is not None:
                self._changed.wait_for(lambda: self._closing or self._jobs, self._retry_s)
            else:
                self._changed.wait_for(lambda: self._closing or self._jobs or self._records)
            records, jobs = list(self._records), list(self._jobs)
            self._records.clear()
            self._jobs.clear()
            self._busy_since = self._clock.monotonic()
            return self._closing, records, jobs

    def _keep(self, records: Sequence[_Record]) -> None:
        """Append records; those that can't be written go back to the head of the backlog."""
        written = 0
        error = None
        try:
            if records:
                self._confess(records[0].stamp)
            for record in records:
                self._lines.append(record.line)
                written += 1
                self._unsynced |= record.event in SYNCED
            if self._unsynced:
                self._lines.sync()
                self._unsynced = False
        except OSError as failed:
            error = failed
        with self._changed:
            self._error = error
            self._records.extendleft(reversed(records[written:]))
            self._trim()

    def _confess(self, stamp: Mapping[str, object]) -> None:
        """Say in the log itself what it does not have."""
        self._lines.open()
        if self._lines.cut:
            self._lines.append(self._record(stamp, "repaired", {"bytes": self._lines.cut}).line)
            self._lines.cut = 0
        lost = self._lost
        if lost:
            self._lines.append(self._record(stamp, "lost", {"records": lost}).line)
            with self._changed:
                self._lost -= lost


class Lines:
    """Whole lines in PATH, and the older ones in PATH.1 ... PATH.5. Everything may raise OSError: then nothing of the
    line stays, and the next call tries all afresh."""

    def __init__(self, path: Path, rotate_bytes: int) -> None:
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._fd: int | None = None
        self.cut = 0
        """How many bytes were cut off: of a last line without an end, as a power cut leaves it."""

    def open(self) -> None:
        """Have the file open and at its path, made if missing, wherever somebody has put the one before."""
        if self._fd is not None and self._is_at_path(self._fd):
            return
        self.close()
        with suppress(FileExistsError):  # a file in its place: opening says so better
            self.path.parent.mkdir(parents=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self.cut += _cut_back(self._fd)
            _sync_folder(self.path.parent)
        except OSError:
            self.close()
            raise

    def append(self, line: bytes) -> None:
        """Add a line, its end included."""
        self.open()
        if 0 < self._size() > self._rotate_bytes - len(line):
            self._rotate()
        assert self._fd is not None
        before = self._size()
        try:
            done = os.write(self._fd, line)
            if done < len(line):  # a disk that fills up takes a part; the next write says why
                os.write(self._fd, line[done:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, before)
            self.close()
            raise

    def sync(self) -> None:
        """Wait until all is on the disk."""
        if self._fd is not None:
            os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _size(self) -> int:
        assert self._fd is not None
        return os.fstat(self._fd).st_size

    def _is_at_path(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except OSError:
            return False

    def _rotate(self) -> None:
        """Begin an empty file; interrupted anywhere, no line is lost but those of the oldest file."""
        self.sync()
        self.close()
        self._save_sessions()
        names = [self.path, *(Path(f"{self.path}.{number}") for number in range(1, ROTATED + 1))]
        for younger, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                younger.replace(older)
        self.open()

    def _save_sessions(self) -> None:
        """Keep the finished sessions of the file that is about to go: no chatter of events may push them out."""
        last, kept = (Path(f"{self.path}.{number}") for number in (ROTATED, ROTATED + 1))
        if not last.exists():
            return
        before = kept.read_bytes().splitlines(keepends=True) if kept.exists() else []
        lines = [*before, *(line for line in last.read_bytes().splitlines(keepends=True) if _SESSION in line)]
        while sum(map(len, lines)) > self._rotate_bytes:
            del lines[: len(lines) // 2 + 1]
        if lines != before:
            new = Path(f"{kept}.new")
            new.write_bytes(b"".join(lines))
            new.replace(kept)


def _line(record: Mapping[str, object]) -> bytes:
    """One line of JSON in ASCII. NaN and infinity, for which JSON has no word, become null."""
    try:
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(json.loads(json.dumps(record), parse_constant=lambda _: None), separators=(",", ":"))
    return text.encode() + b"\n"


def _cut_back(fd: int) -> int:
    """Cut off what stands after the last line's end; how many bytes."""
    size = os.fstat(fd).st_size
    start = end = size
    while start > 0:
        start = max(0, end - 4096)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
    return size - end


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
