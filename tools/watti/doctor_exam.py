"""The board on the table: its parts tried one after the other, in their order, everything safe between any two.

A check is a function that looks at parts and tells what it finds. It has no clock of its own: time passes in
`Exam.wait` alone, which keeps the dead-man refreshed as the real loop does.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, Literal, NamedTuple

from firmware.config import StationConfig
from firmware.rotary import Chart
from firmware.runtime import REFRESH_S
from hal.api import BoardGone, LiveBus
from hal.raspberry.worker import Work

if TYPE_CHECKING:
    from hal.raspberry.board import Parts

Result = Literal["ok", "warn", "fail", "not tried"]

STEP_S = 0.002
"""Between two looks."""


_LATE = "this process was late: try again with less to do beside it"


class Finding(NamedTuple):
    """What was found of one part."""

    part: str
    result: Result
    saw: str
    expected: str = ""
    advice: str = ""
    """What to do; empty where nothing is to be done."""


class Exam:
    """Parts without firmware, and what their checks need to know."""

    def __init__(
        self,
        parts: "Parts",
        works: Sequence[Work],
        config: StationConfig,
        chart: Chart,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        stored_switch: Callable[[], int | None] = lambda: None,
        bus: Callable[[], LiveBus] | None = None,
        may_close: bool = False,
    ) -> None:
        """`works`: those of the parts that nobody else turns. `bus` opens the station's port; None where it has none.
        `may_close`: somebody has asked for the contactor to be closed."""
        self.parts, self.spec = parts, parts.spec
        self.config, self.chart = config, chart
        self.clock = clock
        self.stored_switch, self.bus, self.may_close = stored_switch, bus, may_close
        self.letter = ""
        """Of the pilot while it is steady: A to E; empty where it was not told."""
        self.lost = ""
        """What has ended the work of a part, for a person; empty when nothing has."""
        self.drops = 0
        """How often the dead-man has let go although it was refreshed in time."""
        self._sleep = sleep
        self._works = list(works)
        self._due = [-inf] * len(works)
        self._refresh_at = -inf
        self._holding = False

    def hold(self) -> None:
        """Verbs count from now on."""
        held = self.parts.dead_man.refresh()
        self.drops += self._holding and not held
        self._holding = True
        self._refresh_at = self.clock() + REFRESH_S

    def let_go(self) -> None:
        """Nobody refreshes until `hold`."""
        self._holding = False

    def wait(self, for_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Time passes, until something holds at most. Whether it did. The dead-man is refreshed unless it was let go.
        Raises `BoardGone` when the work of a part has ended."""
        end = self.clock() + for_s
        while not (held := until()) and self.clock() < end:
            if self._holding and self.clock() >= self._refresh_at:
                self.hold()
            self._turn()
            if self.lost:
                raise BoardGone(f"a part of the board has failed: {self.lost}")
            self._sleep(STEP_S)
        return held

    def _turn(self) -> None:
        for i, work in enumerate(self._works):
            if self.clock() >= self._due[i]:
                self._due[i] = self.clock() + work.every_s
                work.turn()


class Check(NamedTuple):
    """One part's turn."""

    part: str
    look: Callable[[Exam], Iterator[Finding]]
    needs: tuple[str, ...] = ()
    """Parts that must have passed, by their findings' names."""


def examine(exam: Exam, checks: Sequence[Check]) -> Iterator[Finding]:
    """Every check in its order; one that needs a part that is not well is not tried."""
    unwell: set[str] = set()
    for check in checks:
        missing = [part for part in check.needs if part in unwell]
        for finding in _withheld(check, missing) if missing else _tried(exam, check):
            if finding.result in ("fail", "not tried"):
                unwell.add(finding.part)
            yield finding


def _withheld(check: Check, missing: Sequence[str]) -> Iterator[Finding]:
    yield Finding(check.part, "not tried", f"it needs: {', '.join(missing)}")


def _tried(exam: Exam, check: Check) -> Iterator[Finding]:
    exam.hold()
    drops = exam.drops
    try:
        yield from check.look(exam)
        if exam.drops > drops:
            yield Finding(
                check.part, "warn", "the dead-man let go meanwhile: what is said here may be wrong", "", _LATE
            )
    except BoardGone as gone:
        yield Finding(check.part, "fail", str(gone))
    finally:
        exam.parts.make_safe()
