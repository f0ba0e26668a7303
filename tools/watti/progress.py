"""How far a long simulation is: one line on a terminal, redrawn in place and wiped away at the end."""

import time
from collections.abc import Callable
from typing import TextIO

_LOOK_S = 0.2  # between two looks at how far it is
_QUIET_S = 1.0  # nothing is shown of what takes no longer
WIPE = "\r\x1b[K"
"""Takes a line off a terminal, for the next one to be written over it."""

Advance = Callable[[float], None]
"""Lets simulated time pass up to a moment (s)."""


def watched(advance: Advance, until_s: float, terminal: TextIO) -> None:
    """Advance from 0 to `until_s` and say on `terminal` how far it is. What happens is the same as in one go."""
    begun = looked = time.monotonic()
    step_s, now_s, shown = 1.0, 0.0, False
    try:
        while now_s < until_s:
            now_s = min(now_s + step_s, until_s)
            advance(now_s)
            spent_s, looked = time.monotonic() - looked, time.monotonic()
            step_s *= min(max(_LOOK_S / max(spent_s, 1e-3), 0.2), 5.0)
            if looked - begun > _QUIET_S:
                shown = True
                print(WIPE + line(now_s, until_s, looked - begun), end="", file=terminal, flush=True)
    finally:
        if shown:
            print(end=WIPE, file=terminal, flush=True)


def line(now_s: float, until_s: float, spent_s: float) -> str:
    """What is shown after `spent_s` of real time."""
    left_s = spent_s * (until_s - now_s) / now_s
    return (
        f"{100 * now_s / until_s:3.0f} %  {clock(now_s)} of {clock(until_s)}  {now_s / spent_s:,.0f} x real time  "
        f"{clock(left_s)} left"
    )


def clock(t_s: float) -> str:
    """Seconds as h:mm:ss; hours go on counting past a day."""
    minutes, seconds = divmod(round(t_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
