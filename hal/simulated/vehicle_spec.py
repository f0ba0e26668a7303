"""What kind of vehicle it is, as data: everything it does follows from this and from what it sees, so that the
same scenario gives the same trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SPAN_S: Final = (0.001, 10 * 366 * 86400.0)
"""Shortest and longest time that anything is told to last."""
LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "max_a": (0, 100),
    "min_a": (0, 100),
    "draw_ratio": (0, 2),
    "start_delay_s": (0, 3600),
    "reaction_s": (0, 60),
    "ramp_a_per_s": (0, 1000),
    "battery_kwh": (0.1, 1000),
    "soc": (0, 1),
    "ramp_step_a": (0.1, 100),
    "first_module_a": (0, 100),
    "second_module_s": (0, 3600),
    "sleeps_after_s": (0, SPAN_S[1]),
    "gives_up_s": (0, SPAN_S[1]),
    "glitches": (0, 100),
    "glitch_s": SPAN_S,
    "glitch_pause_s": SPAN_S,
    "top_up_kwh": (0, 1000),
    "top_up_after_s": (0, SPAN_S[1]),
    "s3_s": (0, 60),
}
"""Least and most of each number of a vehicle. Beyond them one might take endless steps at one moment."""


@dataclass(frozen=True, slots=True)
class VehicleSpec:
    """One kind of vehicle; amperes, seconds, kWh, state of charge 0..1. The defaults have none of the habits
    below `obeys`. Raises ValueError for a name that can't be shown, or a number beyond `LIMITS`."""

    name: str
    max_a: float = 48.0
    min_a: float = 6.0
    draw_ratio: float = 1.0
    """Part of the offer that it takes."""
    start_delay_s: float = 2.0
    """From the contactor closing to the first ampere."""
    reaction_s: float = 5.0
    """To a changed pilot; until then it draws as before."""
    ramp_a_per_s: float = 5.0
    """Upwards; 0 = at once."""
    battery_kwh: float = 75.0
    soc: float = 0.3
    obeys: bool = True
    """False: it never follows a lower pilot, nor PWM off, until the contactor opens."""
    ramp_step_a: float = 0.1
    """The ramp climbs by this much at a time, at the pace of `ramp_a_per_s`."""
    first_module_a: float = 0.0
    """What the first of its two charger modules takes; 0 = it has one module."""
    second_module_s: float = 0.0
    """From the first ampere to the second module."""
    sleeps_after_s: float = 0.0
    """After this long without PWM it does not ask when PWM comes, until a pilot reset; 0 = it never sleeps."""
    gives_up_s: float = 0.0
    """After this long without a first PWM since plug-in it shows a cable fault and never asks; 0 = it waits."""
    glitches: int = 0
    """How often it shows C for a moment each time PWM appears, before it really asks."""
    glitch_s: float = 0.25
    """How long such a moment lasts."""
    glitch_pause_s: float = 5.0
    """How long it stays in B after one."""
    top_up_kwh: float = 0.0
    """What it asks for again some time after it was full; 0 = nothing."""
    top_up_after_s: float = 3600.0
    """From full to the top-up."""
    s3_s: float = 0.0
    """The driver presses the connector's latch button (S3) this long before the plug comes out; 0 = torn out."""
    digital_only: bool = False
    """It asks only at 5 % duty (ISO 15118), never on an offer in amperes."""
    ventilated: bool = False
    """It asks with state D: it needs ventilation while it charges."""

    def __post_init__(self) -> None:
        if not (self.name and self.name.isprintable()):
            raise ValueError(f"name {self.name!r}: expected one line of text")
        for key, (lo, hi) in LIMITS.items():
            value = getattr(self, key)
            if not lo <= value <= hi:
                raise ValueError(f"{key} {value}: expected {lo:.15g} to {hi:.15g}")
