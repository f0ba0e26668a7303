"""Rules of the lease protocol, each broken by itself: what the model must find wrong."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from typing import NamedTuple

from firmware.timing import Timing
from tests.model.rules import COARSE, FINE, TICK_S, Bounds, Rules, slowest

RULES = slowest(Rules.of(FINE))
_COARSE = slowest(Rules.of(COARSE))


def _released(terms_s: float, drift: float) -> Rules:
    """A ledger that forgets after a release time of other terms, by the fastest clock."""
    release_s = terms_s * (1 + drift) / (1 - drift)
    return replace(RULES, release=ceil(release_s / (1 + FINE.drift) / TICK_S))


def _terms(timing: Timing) -> float:
    return timing.least_release_s * (1 - timing.drift) / (1 + timing.drift)


_ONE = Bounds(members=1, levels=(0, 12))
_PAIR = Bounds(levels=(0, 12))
_HIGH = Bounds(members=1, levels=(12,))
_LOWER = Bounds(members=1, levels=(6, 12))
_TWO_POLLS = Bounds(members=1, levels=(6, 12), polls=2)
_TWO_STATUSES = Bounds(members=1, levels=(0, 12), statuses=2)


class Weakening(NamedTuple):
    """One rule broken, and how much of the model it takes to see it."""

    rules: Rules
    bounds: Bounds = _ONE


WEAKENINGS: Mapping[str, Weakening] = {
    "release without the lease": Weakening(_released(_terms(FINE) - FINE.lease_s, FINE.drift)),
    "release without the dead-man": Weakening(_released(_terms(FINE) - FINE.dead_man_s, FINE.drift)),
    "release without the reaction": Weakening(_released(_terms(FINE) - FINE.reaction_s, FINE.drift)),
    "release without the drift": Weakening(_released(_terms(FINE), 0.0)),
    "no quiet start": Weakening(replace(RULES, quiet=0)),
    "quiet start a tick short": Weakening(replace(RULES, quiet=RULES.quiet - 1)),
    "lease counted from the answer's arrival": Weakening(replace(RULES, lease_from_question=False)),
    "stale grant numbers accepted": Weakening(replace(RULES, numbers_rise=False), _TWO_POLLS),
    "no session check": Weakening(replace(_COARSE, sessions_differ=False), _HIGH),
    "an idle report voids no older question": Weakening(replace(RULES, idle_voids_questions=False)),
    "a lease behind an open contactor not reported": Weakening(replace(RULES, lease_is_held=False)),
    "closing on a pilot that was higher": Weakening(replace(_COARSE, reclose=0), _LOWER),
    "raise counted when confirmed": Weakening(replace(RULES, raise_counts_when_sent=False)),
    "free by the last grants": Weakening(replace(_COARSE, free_by_exposure=False), _PAIR),
    "cut counted when sent": Weakening(replace(RULES, cut_counts_when_confirmed=False)),
    "cut counted before R": Weakening(replace(RULES, settle=0)),
    "any report confirms": Weakening(replace(RULES, echo_confirms=False)),
    "older questions heard": Weakening(replace(RULES, newer_questions_only=False), _TWO_STATUSES),
    "enrolment forgets the row": Weakening(replace(RULES, rows_outlive_sessions=False)),
    "a dead-man slower than W": Weakening(replace(RULES, dead_man=RULES.dead_man + 1)),
    "a vehicle slower than R": Weakening(replace(RULES, reaction=RULES.reaction + 1)),
}
"""By name. The last two break what the promise assumes, all others a rule that keeps it."""
