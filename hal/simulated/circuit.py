"""Control pilot circuit: what the board measures and what the vehicle understands (pure).

A +-12 V generator behind 1 kohm; on the vehicle's side a resistance in series with a diode (SAE J1772).
"""

from enum import Enum, auto
from functools import lru_cache
from typing import Final

from hal.api import PilotReading

B_OHM: Final = 2740.0  # S: vehicle connected
C_OHM: Final = 882.0  # S: it asks for energy
D_OHM: Final = 246.0  # S: it asks for energy and ventilation
SOURCE_OHM: Final = 1000.0  # S
SUPPLY_V: Final = 12.0  # S
DIODE_V: Final = 0.7  # I: forward drop
OUT_OF_RANGE_V: Final = 14.0
"""Above the +-1 V windows of every state, and not a level that a switching vehicle passes through."""


class Drive(Enum):
    """What the generator puts out."""

    OFF = auto()  # no power: 0 V
    STEADY = auto()  # +12 V
    PWM = auto()  # +-12 V at 1 kHz
    FAULT = auto()  # -12 V


class Defect(Enum):
    """What is wrong with the pilot line."""

    NONE = auto()
    DIODE_SHORTED = auto()
    SHORT_TO_GROUND = auto()
    OUT_OF_RANGE = auto()


@lru_cache(maxsize=256)
def plateaus(drive: Drive, ev_ohm: float | None, defect: Defect = Defect.NONE) -> PilotReading:
    """Both plateaus (V) for a generator and the vehicle's resistance (ohm; None = nothing connected)."""
    if drive is Drive.OFF or defect is Defect.SHORT_TO_GROUND:
        return PilotReading(0.0, 0.0)
    diode = defect is not Defect.DIODE_SHORTED
    high = OUT_OF_RANGE_V if defect is Defect.OUT_OF_RANGE else _high_v(ev_ohm, diode)
    low = _low_v(ev_ohm, diode)
    if drive is Drive.STEADY:
        return PilotReading(high, high)
    return PilotReading(high if drive is Drive.PWM else low, low)


def _high_v(ev_ohm: float | None, diode: bool) -> float:
    if ev_ohm is None:
        return SUPPLY_V
    drop = DIODE_V if diode else 0.0
    return drop + (SUPPLY_V - drop) * ev_ohm / (SOURCE_OHM + ev_ohm)


def _low_v(ev_ohm: float | None, diode: bool) -> float:
    if ev_ohm is None or diode:  # the diode blocks: nothing loads the negative half
        return -SUPPLY_V
    return -SUPPLY_V * ev_ohm / (SOURCE_OHM + ev_ohm)


def duty_to_amps(duty: float) -> float:
    """Current (A) that a vehicle may draw at a duty cycle (percent); 0.0 where it offers none.

    SAE J1772 (S/M): < 3 error, 3-7 digital communication only, 7-8 none, 8-10 6 A, 10-85 0.6 A a percent,
    85-96 2.5 (d - 64), 96-97 80 A, above that an error. Rounded to microamperes, so that a duty computed
    from amperes gives the same amperes back.
    """
    if duty < 8.0 or duty > 97.0:
        return 0.0
    if duty < 10.0:
        return 6.0
    if duty <= 85.0:
        return round(0.6 * duty, 6)
    return min(round(2.5 * (duty - 64.0), 6), 80.0)
