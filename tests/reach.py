"""Which states, ways between them and faults the stations of the tests really reach; a listing shows it.

What counts is what a driven station does by itself: a test that names a way or sets a fault itself reaches nothing.
The stations of a bench are other processes and do not count either. `--reach` lists every row with its count.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial, wraps
from typing import Any

import pytest

from firmware import station
from firmware.faults import Faults
from firmware.protection import FAULTS
from firmware.states import STATES, TRANSITIONS
from tests.clauses import Clauses

_DRIVEN = ("firmware.station", "firmware.app")
_SET_BY_HAND = ("set_fault", "end_fault", "mark_fault")


class Reach:
    """A plugin of pytest: counts while the tests run, and fails a whole run that leaves something out."""

    def __init__(self, config: pytest.Config, clauses: Clauses) -> None:
        self._config = config
        self._clauses = clauses
        self._ways: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._clause_counts: dict[str, int] = {}
        self._left_out = False
        """Not all tests of this process's stations have run."""
        self._is_whole = False
        self._watch_ways()
        self._watch_faults()

    def _watch_ways(self) -> None:
        for trigger, event in station._MACHINE.events.items():
            for ways in event.transitions.values():
                for way in ways:
                    way.after.append(partial(_count, self._ways, _way(way.source, trigger, str(way.dest))))

    def _watch_faults(self) -> None:
        begin = Faults.begin

        @wraps(begin)
        def watched(faults: Faults, code: str, final: bool = False) -> bool:
            new = begin(faults, code, final)
            if new:
                _count(self._faults, code)
            return new

        Faults.begin = watched  # type: ignore[method-assign, assignment]

    # What pytest tells

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._left_out |= any(item.get_closest_marker("bench") is None for item in items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """One of several processes that share the tests (pytest-xdist) has done its part."""
        ways, faults, self._clause_counts, left_out = node.workeroutput["reach"]
        self._ways.update(ways)
        self._faults.update(faults)
        self._left_out |= left_out

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._clause_counts = self._clause_counts or self._clauses.counts()
        if hasattr(self._config, "workeroutput"):
            found = (dict(self._ways), dict(self._faults), self._clause_counts, self._left_out)
            self._config.workeroutput["reach"] = found
            return
        self._is_whole = self._whole(session)
        if self._is_whole and any(_missing(rows) for rows in self._tables.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        every = self._config.getoption("reach")
        if not (every or self._is_whole):
            return
        terminalreporter.section("reach of the tests")
        for name, rows in self._tables.items():
            missing = _missing(rows)
            words = f", but not {', '.join(missing)}" if missing and not every else ""
            terminalreporter.write_line(f"{len(rows) - len(missing)} of {len(rows)} {name}{words}", red=bool(missing))
            for row, times in rows.items() if every else ():
                terminalreporter.write_line(f"{times:10}  {row}")

    # What comes of it

    def _whole(self, session: pytest.Session) -> bool:
        """Whether every test was to run and did."""
        asked = [self._config.rootpath / arg for arg in self._config.args]
        looks = self._config.option.collectonly or self._config.getoption("clauses")
        stopped = session.shouldstop or session.shouldfail or looks
        finished = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        return asked == [self._config.rootpath / "tests"] and finished and not stopped and not self._left_out

    @property
    def _tables(self) -> dict[str, dict[str, int]]:
        """By name: each row with its count."""
        names = [_way(way["source"], way["trigger"], way["dest"]) for way in TRANSITIONS]
        return {
            "states": {
                state: sum(times for way, times in self._ways.items() if state in way.split()) for state in STATES
            },
            "ways between them": {name: self._ways[name] for name in names},
            "faults": {fault.code: self._faults[fault.code] for fault in FAULTS},
            "clauses with a test": self._clause_counts,
        }


def _missing(rows: dict[str, int]) -> list[str]:
    return [row for row, times in rows.items() if not times]


def _way(source: str, trigger: str, dest: str) -> str:
    return f"{source} {trigger} {dest}"


def _count(counter: Counter[str], row: str) -> None:
    if _by_itself():
        counter[row] += 1


def _by_itself() -> bool:
    """Whether a station is at work that was told of the world, not of the outcome."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        if frame.f_globals.get("__name__") in _DRIVEN and frame.f_code.co_name not in _SET_BY_HAND:
            return True
        frame = frame.f_back
    return False
