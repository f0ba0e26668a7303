"""The rows of the standard's tables, who keeps each, and which tests show it.

`pytest --clauses` lists them and runs nothing. A test names its row: `@pytest.mark.clause("debounce")`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

_PILOT = "SAE J1772; IEC 61851-1 Annex A"


class Row(NamedTuple):
    """One row: what is asked and by whom; `keeper` is "station", or who keeps it in its stead."""

    asked: str
    source: str
    keeper: str = "station"


ROWS = {
    # Control pilot
    "pilot": Row("1 kHz, +12 V / -12 V behind 1 kohm", _PILOT),
    "ev resistance": Row("2.74 k / 882 / 246 ohm at B / C / D, behind a diode", _PILOT, "the vehicle"),
    "state voltages": Row("A 12, B 9, C 6, D 3, E 0 V; F steady -12 V", _PILOT),
    "high half": Row("0.7 V + 11.3 V x R / (1000 ohm + R)", "computed", "the simulated circuit"),
    "suffix": Row("x1 = steady, not ready to supply; x2 = PWM on", _PILOT),
    "windows": Row("+-1 V around nominal, hysteresis at the edges", _PILOT),
    "diode check": Row("low half above -10 V is a fault", _PILOT),
    "amps to duty": Row("6-51 A: A / 0.6 %; 51-80 A: A / 2.5 + 64 %", _PILOT),
    "duty to amps": Row("< 3 % error ... 96-97 %: 80 A, > 97 % error", _PILOT, "the vehicle"),
    "proximity": Row("150 ohm latched, 480 ohm with the button pressed", "SAE J1772", "connector and vehicle"),
    # Timing
    "closing": Row("C seen, supply ready -> contactor closed: <= 3 s", _PILOT),
    "c to b": Row("C -> B with PWM on -> contactor open: <= 100 ms", _PILOT),
    "unplug": Row("unplug (-> A) -> contactor open: < 100 ms", _PILOT),
    "debounce": Row("25 ms to A and for leaving C / D, 250 ms otherwise, 500 ms of stable C before closing", _PILOT),
    "stopping": Row("PWM stopped while C: the vehicle has 3 s, the station may open under load after 6 s", _PILOT),
    "pilot updates": Row("at most one change each 5 s, a decrease for safety at once", _PILOT),
    "following": Row("the vehicle follows a lower pilot within 5 s", _PILOT, "the vehicle"),
    "wake-up": Row("after 30 s in B2 one step of 3-4 s, then PWM again", _PILOT),
    "restart pause": Row("5 s after leaving C, 30 s after an error", _PILOT),
    "overdraw": Row("(pilot + 0.5 A) x 1.10 for 7 s -> stop", "EVerest's rule"),
    # Protection
    "ground fault": Row("trip -> open; self-test before each closing, its failure is a hard fault", "CCID20, UL 2231"),
    "reclose": Row("after 15 min, up to 4 times; a fault in the first 10 s locks out", "a maker's rule"),
    "stuck": Row("output live > 1 s after opening: latched, never clears itself", "makers' manuals"),
    "not closing": Row("its own fault, never reported as a ground fault", "a complaint from the field"),
    "ground monitor": Row("checked > 1 s after closing", "makers' manuals"),
    "temperature": Row("65 C half, 68 a quarter, 71 stop, restored at 62", "OpenEVSE"),
    "power return": Row("a random delay, so that a street does not come back at once", "peers"),
}


class Clauses:
    """A plugin of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "clause(row): shows that a row of tests/clauses.py is kept")
        self._config = config
        self._tests: dict[str, list[str]] = {row: [] for row in ROWS}

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            for marker in item.iter_markers("clause"):
                row, test = marker.args[0], item.nodeid.split("[")[0]
                if row not in ROWS:
                    raise pytest.UsageError(f"{test}: tests/clauses.py has no row {row!r}")
                if test not in self._tests[row]:
                    self._tests[row].append(test)

    def pytest_runtestloop(self) -> bool | None:
        if not self._config.getoption("clauses"):
            return None
        terminal = self._config.get_terminal_writer()
        for name, row in ROWS.items():
            terminal.line(f"{row.asked}  ({row.source})", bold=True)
            for test in self._tests[name] or [f"kept by {row.keeper}" if row.keeper != "station" else "NO TEST"]:
                terminal.line(f"    {test}")
        return True

    def counts(self) -> dict[str, int]:
        """How many tests each row has that a station must keep."""
        return {name: len(self._tests[name]) for name, row in ROWS.items() if row.keeper == "station"}
