"""What is broken at one station, and what each part then does instead."""

from math import nan
from typing import Final

from hal.simulated.circuit import Defect

AMBIENT_C: Final = 25.0
HOT_C: Final = 75.0  # above the 71 C at which a station stops (S)
IMPLAUSIBLE_A: Final = 4000.0

_PILOT: Final = {  # the gravest first
    "pilot_short": Defect.SHORT_TO_GROUND,
    "pilot_range": Defect.OUT_OF_RANGE,
    "diode": Defect.DIODE_SHORTED,
}
FAULT_KINDS: Final = (
    *_PILOT,
    "contactor_stuck",
    "contactor_open",
    "contactor_fell",
    "ground_fault",
    "ground_fault_self_test",
    "no_ground",
    "over_temperature",
    "thermometer",
    "meter",
    "meter_implausible",
    "overdraw",
    "switch_unreadable",
)
"""What can be broken, by the codes of the faults that a station should find."""


class Defects:
    """A set of `FAULT_KINDS`, and what it does to the truth."""

    __slots__ = ("_hot_c", "kinds")

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self._hot_c = HOT_C

    def change(self, kind: str, on: bool, celsius: float = HOT_C) -> None:
        """Break or mend; twice is as once. `celsius`: what "over_temperature" heats to. ValueError for an unknown
        kind."""
        if kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault {kind!r}: expected one of {', '.join(FAULT_KINDS)}")
        self._hot_c = celsius
        (self.kinds.add if on else self.kinds.discard)(kind)

    def __contains__(self, kind: str) -> bool:
        return kind in self.kinds

    @property
    def of_pilot(self) -> Defect:
        """The gravest of the pilot line."""
        return next((defect for kind, defect in _PILOT.items() if kind in self.kinds), Defect.NONE)

    def contacts(self, coil: bool, closed: bool) -> bool:
        """Whether they shall be closed, with the coil pulled or not, and closed by now or not."""
        if closed and "contactor_stuck" in self.kinds:
            return True
        return coil and ("contactor_fell" if closed else "contactor_open") not in self.kinds

    def leaks(self, closed: bool, testing: bool) -> bool:
        """Whether the ground-fault sensor has to trip, and can."""
        leaks = testing or (closed and "ground_fault" in self.kinds)
        return leaks and "ground_fault_self_test" not in self.kinds

    def metered_a(self, amps: float) -> float:
        """What the meter shows of a current; NaN when it does not answer."""
        if "meter" in self.kinds:
            return nan
        return IMPLAUSIBLE_A if "meter_implausible" in self.kinds else amps

    @property
    def celsius(self) -> float:
        """What the thermometer shows; NaN when it does not answer."""
        if "thermometer" in self.kinds:
            return nan
        return self._hot_c if "over_temperature" in self.kinds else AMBIENT_C
