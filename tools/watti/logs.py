"""The event logs of stations, read: their files as they grow and rotate, and the dates of their records."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeGuard

from firmware.config import attempt, name
from hal.clock import UNSET, UNSYNCHRONISED, iso
from hal.journal import ROTATED

Record = Mapping[str, Any]
"""One line of a log; a stamp (`hal.api.Journal`) and what happened."""


MOST_S = 1e10
"""What a monotonic clock does not show: 300 years."""
_FIRST_S, _LAST_S = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1, 9999))
"""What a date can say."""


class Logs:
    """The logs of a folder: FOLDER/NAME.jsonl and what was rotated out of it, for each station."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _Files] = {}
        self.broken = 0
        """Lines that were left out: no JSON, or no record."""

    def stations(self) -> list[str]:
        """Who has a log here."""
        return sorted({path.name.partition(".jsonl")[0] for path in self._folder.glob("*.jsonl*")})

    def news(self) -> list[list[Record]]:
        """Records that are new since the last call: a list for each station, in the order they were written. OSError
        where a file can't be read."""
        for station in self.stations():
            if station not in self._files:
                self._files[station] = _Files(self._folder / f"{station}.jsonl")
        return [self._records(files.new_lines()) for files in self._files.values()]

    def _records(self, lines: Iterable[bytes]) -> list[Record]:
        records = [_record(line) for line in lines]
        self.broken += records.count(None)
        return [record for record in records if record is not None]


class _Files:
    """One station's files, read on from where they were left."""

    def __init__(self, path: Path) -> None:
        self._paths = [path, *(Path(f"{path}.{number}") for number in range(1, ROTATED + 2))]
        self._last: tuple[int, int] | None = None
        self._offset = 0

    def new_lines(self) -> list[bytes]:
        """Whole lines, oldest first; one that is being written comes the next time."""
        lines: list[bytes] = []
        with ExitStack() as stack:
            for identity, file in reversed(self._unread(stack).items()):
                size = os.fstat(file.fileno()).st_size
                start = self._offset if identity == self._last and self._offset <= size else 0
                file.seek(start)
                whole = file.read().rpartition(b"\n")[:2]
                lines += b"".join(whole).splitlines()
                self._last, self._offset = identity, start + sum(map(len, whole))
        return lines

    def _unread(self, stack: ExitStack) -> dict[tuple[int, int], IO[bytes]]:
        """The files back to the last one read, youngest first: so one that is rotated meanwhile is met later, not
        missed."""
        found: dict[tuple[int, int], IO[bytes]] = {}
        for path in self._paths:
            try:
                file = stack.enter_context(path.open("rb"))
            except FileNotFoundError:
                continue
            status = os.fstat(file.fileno())
            identity = status.st_dev, status.st_ino
            found.setdefault(identity, file)
            if identity == self._last:
                break
        return found


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not stamped(record) or not isinstance(record.get("event"), str):
        return None
    return None if attempt(name, record.get("station"), []) is None else record


def stamped(value: object) -> TypeGuard[Record]:
    """Whether it has what stands in every stamp."""
    if not isinstance(value, dict) or not isinstance(value.get("boot"), str):
        return False
    t_s = value.get("t_s")
    return isinstance(t_s, int | float) and abs(t_s) < MOST_S


class Dates:
    """When the moments of each boot were: a boot that learns the date late knows it for its first moments too."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, bool]] = {}
        """By boot: when its monotonic clock was 0, s since 1970, and whether somebody vouches for that."""

    def learn(self, records: Iterable[Record]) -> None:
        for record in records:
            at, sure = _wall(record)
            if at is not None and not self._began.get(record["boot"], (0.0, False))[1]:
                self._began[record["boot"]] = at - record["t_s"], sure

    def at(self, stamp: Record) -> tuple[float | None, bool]:
        """Seconds since 1970, None where nobody knows; and whether somebody vouches for it."""
        at, sure = _wall(stamp)
        if sure or stamp["boot"] not in self._began:
            return at, sure
        began, sure = self._began[stamp["boot"]]
        return _date(began + stamp["t_s"], sure)

    def iso(self, stamp: Record) -> str | None:
        """As the log writes it: UTC, ISO 8601."""
        at, _ = self.at(stamp)
        return None if at is None else iso(at)

    def words(self, stamp: Record) -> str:
        """For people, in UTC; with ~ where nobody vouches for it, and from the start of the boot where it isn't
        known."""
        at, sure = self.at(stamp)
        if at is None:
            return f"boot {stamp['boot']} +{stamp['t_s']:.3f} s"
        return f"{' ' if sure else '~'}{iso(at).replace('T', ' ')}"

    def merged(self, histories: Iterable[Sequence[Record]]) -> list[Record]:
        """The records of several stations as one history. A boot without a date comes after what its station wrote
        before it."""
        after: dict[str, tuple[float, int]] = {}
        for history in histories:
            last = -math.inf
            for record in history:
                at, _ = self.at(record)
                if at is None:
                    known, number = after.get(record["boot"], (-math.inf, len(after)))
                    after[record["boot"]] = max(known, last), number
                else:
                    last = at

        def place(record: Record) -> tuple[float, int, float]:
            at, _ = self.at(record)
            return (at, -1, 0.0) if at is not None else (*after[record["boot"]], record["t_s"])

        return sorted((record for history in histories for record in history), key=place)


def _wall(stamp: Record) -> tuple[float | None, bool]:
    """The date that a stamp itself has, and whether somebody vouched for it."""
    try:
        at = datetime.fromisoformat(stamp["wall"]).timestamp()
    except (KeyError, TypeError, ValueError):  # an unset clock, or somebody's editor
        return None, False
    return _date(at, stamp.get("clock") not in (UNSET, UNSYNCHRONISED))


def _date(at: float, sure: bool) -> tuple[float | None, bool]:
    """None where no date can say it."""
    return (at, sure) if _FIRST_S <= at <= _LAST_S else (None, False)
