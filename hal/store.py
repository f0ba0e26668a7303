"""A small record in a file: it survives a restart, and a full disk never stops its station."""

import os
from collections.abc import Callable
from pathlib import Path

Job = Callable[[], None]


class FileStore:
    """`hal.api.Store` in one file. What can't be read or written is told to `warn`, once until it
    works again; a record that could not be written lives on in memory."""

    def __init__(
        self, path: Path, warn: Callable[[str], None], submit: Callable[[Job], None] = lambda job: job()
    ) -> None:
        """`submit` does the writing, now or later and in another thread (`FileJournal.submit`) for a caller that must
        not wait for the disk; of records that wait for it, the last is written. `warn` is called from there."""
        self._path = path
        self._warn = warn
        self._submit = submit
        self.problem = ""
        """Why the record is in memory only; empty when it is kept."""
        self._waits = False
        """A job that will write what is the record then is on its way."""
        self._record = self._read()

    def load(self) -> bytes:
        return self._record

    def save(self, record: bytes) -> None:
        self._record = bytes(record)
        if not self._waits:
            self._waits = True
            self._submit(self._keep)

    def _keep(self) -> None:
        self._waits = False  # before the record is read: one that comes meanwhile is written again
        try:
            self._write(self._record)
            self.problem = ""
        except OSError as error:
            self._complain(error)

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._complain(error)
            return b""

    def _write(self, record: bytes) -> None:
        """Either the old record or the new one is there afterwards, wherever it is interrupted."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(record)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _complain(self, error: OSError) -> None:
        before, self.problem = self.problem, f"{self._path}: {error.strerror}: the record is kept in memory only"
        if not before:
            self._warn(self.problem)
