"""The times and checks of the lease protocol, in ticks: what a weakening changes, and how large the model is."""

from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from firmware.timing import CONTACTOR_S, OPEN_UNDER_LOAD_S, Timing

TICK_S = 60.0
"""Far longer than all that the model takes as done at once."""


def shortest(timing: Timing) -> Timing:
    """The same times with the shortest release that is not refused."""
    return replace(timing, release_s=timing.least_release_s)


COARSE = shortest(Timing(lease_s=58.0, dead_man_s=60.0, reaction_s=58.0, release_s=999.0))
"""In ticks: lease 1, W 1, R 1, release 3."""
FINE = shortest(Timing(lease_s=60.5, dead_man_s=60.0, reaction_s=58.0, release_s=999.0))
"""In ticks: lease 2, W 1, R 1, release 4, which without the drift would be 3."""
LONG = shortest(Timing(lease_s=120.5, dead_man_s=60.0, reaction_s=117.0, release_s=999.0))
"""In ticks: lease 3, W 1, R 2, release 6, which without the drift would be 5."""


@dataclass(frozen=True)
class Rules:
    """The protocol: times in ticks, and what is checked. A weakening is another value of one field."""

    lease: int
    """By the slowest clock of a holder."""
    lapse: int
    """The lease by the fastest: a holder may give up from here on."""
    dead_man: int
    reaction: int
    """The vehicle's, and the contactor's under load."""
    settle: int
    reclose: int
    """How long the station keeps its contactor open after its pilot was lowered."""
    release: int
    quiet: int
    lease_from_question: bool = True
    numbers_rise: bool = True
    sessions_differ: bool = True
    idle_voids_questions: bool = True
    lease_is_held: bool = True
    """HOLDS in a report says that a lease is held, also behind an open contactor."""
    raise_counts_when_sent: bool = True
    cut_counts_when_confirmed: bool = True
    echo_confirms: bool = True
    """Of the last grant's number; else any report does."""
    newer_questions_only: bool = True
    rows_outlive_sessions: bool = True
    pauses: bool = False
    """A pilot that has just changed is not raised, a contactor that has just opened does not close, before the next
    tick (`PILOT_HOLD_S`, `RESTART_PAUSE_S`). As the firmware does; without it the model can do worse."""
    free_by_exposure: bool = True
    """What is free is the limit less the others' exposure; else less what they were told last."""

    @classmethod
    def of(cls, timing: Timing) -> "Rules":
        """The times of a group in ticks, rounded for the worse; fast and slow are the ends of the drift."""
        fast, slow = 1 + timing.drift, 1 - timing.drift
        release = ceil(timing.release_s / fast / TICK_S)
        return cls(
            lease=ceil(timing.lease_s / slow / TICK_S),
            lapse=ceil(timing.lease_s / fast / TICK_S),
            dead_man=ceil(timing.dead_man_s / TICK_S),
            reaction=ceil((max(timing.reaction_s, OPEN_UNDER_LOAD_S) + CONTACTOR_S) / TICK_S),
            settle=ceil(timing.settle_s / fast / TICK_S),
            reclose=ceil(timing.settle_s / fast / TICK_S),
            release=release,
            quiet=release,
        )


def slowest(rules: Rules) -> Rules:
    """The same, where all holders' clocks are the slowest: as in `replay`."""
    return replace(rules, lapse=rules.lease)


class Bounds(NamedTuple):
    """How large the model is."""

    members: int = 2
    levels: tuple[int, ...] = (0, 6, 12)
    """Amps that may be granted."""
    limit: int = 12
    polls: int = 1
    statuses: int = 1
