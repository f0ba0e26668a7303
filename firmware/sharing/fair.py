"""Fair shares: max-min with floors and caps, and turns when not all fit (pure, deciamps).

Max-min fairness: nobody can be given more without taking from somebody who has less (Bertsekas & Gallager,
Data Networks, section 6.5.2).
"""

from collections.abc import Sequence
from math import copysign
from typing import NamedTuple

TURN_S = 600.0  # a turn is at least 10 minutes: vehicles and contactors dislike flapping
PATIENCE_S = 3000.0  # waiting longer than this goes first, so that nobody waits 60 minutes

_OUT_OF_PATIENCE = 1


class Claim(NamedTuple):
    """What one vehicle asks of the circuit."""

    floor_da: int
    """Less than this is of no use to it."""
    cap_da: int
    """More than this it can't take; at least `floor_da`."""
    turn_s: float
    """How long its present turn has lasted; negative (-0.0 too) = it waits, and minus this is how long."""
    served_s: float
    """How long it has been served since it was plugged in."""
    wish_da: int = 0
    """It may be that less than this is of no use to it: given in its turn, as far as there is room."""


def level(total_da: int, claims: Sequence[Claim]) -> int:
    """The highest whole level L with sum(clamp(L, floor, cap)) <= total; the floors must fit."""
    low, high = 0, max(claim.cap_da for claim in claims)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(max(middle, c.floor_da), c.cap_da) for c in claims) <= total_da:
            low = middle
        else:
            high = middle - 1
    return low


def served(total_da: int, claims: Sequence[Claim]) -> list[bool]:
    """Who is served now: all if their floors fit, else as many as fit, least served first."""
    if sum(claim.floor_da for claim in claims) <= total_da:
        return [True] * len(claims)
    chosen = [False] * len(claims)
    left = total_da
    for i in sorted(range(len(claims)), key=lambda i: _precedence(claims[i])):
        if claims[i].floor_da <= left:
            chosen[i] = True
            left -= claims[i].floor_da
        elif _precedence(claims[i])[0] == _OUT_OF_PATIENCE:
            break  # nobody starts on what it will need
    return chosen


def _precedence(claim: Claim) -> tuple[int, float, float]:
    waits = copysign(1.0, claim.turn_s) < 0
    if not waits and claim.turn_s < TURN_S:
        return (0, -claim.turn_s, 0.0)
    if claim.turn_s < -PATIENCE_S:
        return (_OUT_OF_PATIENCE, claim.turn_s, 0.0)
    return (2, claim.served_s, claim.turn_s)


def shares(total_da: int, claims: Sequence[Claim]) -> list[int]:
    """Deciamps for each claim: 0 for those who wait, max-min fair among those served."""
    chosen = served(total_da, claims)
    fed = [claim for claim, is_fed in zip(claims, chosen, strict=True) if is_fed]
    if not fed:
        return [0] * len(claims)
    left = total_da - sum(claim.floor_da for claim in fed)
    for i, claim in enumerate(fed):
        more = claim.wish_da - claim.floor_da
        if 0 < more <= left:
            fed[i] = claim._replace(floor_da=claim.wish_da)
            left -= more
    water = level(total_da, fed)
    given = iter([min(max(water, claim.floor_da), claim.cap_da) for claim in fed])
    return [next(given) if is_fed else 0 for is_fed in chosen]
