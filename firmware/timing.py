"""Every time that the sharing promise rests on, and the one place where they are checked together.

Seconds throughout. `release_s` is how long the primary keeps counting what a silent station may draw; it must
outlast everything that station may still do.
"""

import math
from dataclasses import dataclass

MIN_OFFER_DA = 60  # 6 A, the lowest current a pilot can advertise (J1772 table of duty cycles; S)
PILOT_HOLD_S = 5.0  # at most one pilot change each 5 s, decreases excepted (S/I)
RESTART_PAUSE_S = 5.0  # after leaving state C (S)
ERROR_PAUSE_S = 30.0  # after an error (S)
CLOSE_STABLE_S = 0.5  # stable state C before closing (S/I)
OPEN_UNDER_LOAD_S = 6.0  # PWM stopped in C: the station may open under load from here (S)
RECLOSE_S = 900.0  # a ground fault is tried again after 15 min (a maker's rule; S)
RECLOSE_TRIES = 4  # this often with one vehicle (S)
WAKE_AFTER_S = 30.0  # B2 without the vehicle asking: wake it up (S)
WAKE_STEP_S = 4.0  # length of that step (S)
CONTACTOR_S = 0.1  # slowest contactor to open, feedback included (unplug, C -> B: <= 100 ms; S)


class TimingError(ValueError):
    """A combination of times that does not keep the promise; the message shows the terms."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a group. All stations of one circuit use the same ones."""

    reaction_s: float = 6.5
    """R: a vehicle follows a lower pilot within this (standard 5 s, some take 6; S)."""
    lease_s: float = 5.0
    """A grant's life, counted by the holder from its question."""
    dead_man_s: float = 1.0
    """W: outputs are let go this long after their last refresh."""
    release_s: float = 13.5
    poll_s: float = 0.47
    """From the start of one bus cycle to the next, while the baud rate allows it."""
    drift: float = 0.01
    """Largest relative error of a station's clock."""
    turnaround_s: float = 0.02
    """How long after a request an answer may begin."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.release_s) or self.release_s < self.least_release_s:
            raise TimingError(f"release_s = {self.release_s} is too short: {self.terms()}")
        if self.poll_s * 3 > self.lease_s:
            raise TimingError(f"poll_s = {self.poll_s} is too long: a lease of {self.lease_s} s must span 3 polls")

    @property
    def settle_s(self) -> float:
        """R as a clock that may run fast must count it."""
        return self.reaction_s * (1 + self.drift)

    @property
    def least_release_s(self) -> float:
        """The shortest release time that keeps the promise (firmware/DESIGN.md, "The release time")."""
        worst = self.lease_s + self.dead_man_s + max(self.reaction_s, OPEN_UNDER_LOAD_S) + CONTACTOR_S
        return worst * (1 + self.drift) / (1 - self.drift)

    def terms(self) -> str:
        """The release time with its terms, for people."""
        return (
            f"release {self.release_s} s >= (lease {self.lease_s} + dead-man {self.dead_man_s} + max(reaction "
            f"{self.reaction_s}, open under load {OPEN_UNDER_LOAD_S}) + contactor {CONTACTOR_S}) x (1 + "
            f"{self.drift}) / (1 - {self.drift}) = {self.least_release_s:.2f} s"
        )
