"""The campaign on random trees: `python -m tests.online.optimality [--trees 10000] [--first SEED]`, on all cores.

Every tree is decided on by `cloud.allocation`, judged by `cloud.optimality` and solved again by the reference; scalar
ones by linear programs too, where scipy is installed. Prints a table; exit 1 when anything is not the same.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from random import Random
from typing import NamedTuple

from cloud.allocation import STEP_A, allocate
from cloud.optimality import problems
from cloud.tree import Tree
from tests.online.leximin import leximin
from tests.online.reference import reference
from tests.online.trees import Case, random_case

KINDS = ("scalar", "phasor", "phasor, large", "power factors below 1")
_SHOWN = 10


class Outcome(NamedTuple):
    """What came of a tree."""

    seed: int
    kind: str
    members: int
    worst_a: float
    """The furthest from the reference that a share is, beyond its step."""
    linear_a: float
    """The same against linear programs; 0 where there are none."""
    problems: Sequence[str]
    reasons: Sequence[str]


def case_of(seed: int) -> tuple[str, Case]:
    """The tree of a seed; kinds take turns."""
    kind = KINDS[seed % len(KINDS)]
    members = 40 if kind == "phasor, large" else 14
    return kind, random_case(Random(seed), members, kind == "scalar", kind == "power factors below 1")


def outcome(seed: int, programs: bool = False) -> Outcome:
    """Decide on the tree of a seed in three ways; `programs`: in four where it is scalar."""
    kind, (site, claims, building) = case_of(seed)
    shares = allocate(Tree(site), claims, building)
    amps = [share.amps for share in shares]
    found = problems(site, shares, claims, building)
    worst_a = _off(amps, reference(site, claims, building))
    linear_a = _off(amps, leximin(site, claims, building)) if programs and kind == "scalar" else 0.0
    return Outcome(seed, kind, len(claims), worst_a, linear_a, found, [share.bound.why for share in shares])


def _off(amps: Sequence[float], exact: Sequence[float]) -> float:
    """The furthest that floored amperes are outside of the step below the exact ones."""
    return max(max(a - x, x - STEP_A - a, 0.0) for a, x in zip(amps, exact, strict=True))


def _with_programs(seed: int) -> Outcome:
    return outcome(seed, programs=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    args = parser.parse_args()
    programs = find_spec("scipy") is not None
    seeds = range(args.first, args.first + args.trees)
    with ProcessPoolExecutor() as pool:
        outcomes = list(pool.map(_with_programs if programs else outcome, seeds, chunksize=50))
    return report(outcomes, programs)


def report(outcomes: Sequence[Outcome], programs: bool) -> int:
    """Print what came of the trees; 1 when anything was not right."""
    print("| trees | | members | refused by the judge | worst off the reference, A | off linear programs, A |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        some = [one for one in outcomes if one.kind == kind]
        worst_a = max((one.worst_a for one in some), default=0.0)
        linear = f"{max((one.linear_a for one in some), default=0.0):.6f}" if programs and kind == "scalar" else ""
        refused = sum(bool(one.problems) for one in some)
        print(f"| {len(some)} | {kind} | {sum(o.members for o in some)} | {refused} | {worst_a:.6f} | {linear} |")
    reasons = Counter(reason for one in outcomes for reason in one.reasons)
    print(f"\n{len(outcomes)} trees; members by reason: {', '.join(f'{n} {why}' for why, n in reasons.most_common())}.")
    wrong = [one for one in outcomes if is_wrong(one)]
    for one in wrong[:_SHOWN]:
        print(f"seed {one.seed}: off by {max(one.worst_a, one.linear_a):.4f} A; {'; '.join(one.problems)}")
    return 1 if wrong else 0


def is_wrong(one: Outcome) -> bool:
    """Refused, or not what the others found: within 1 mA of the step."""
    return bool(one.problems) or max(one.worst_a, one.linear_a) > 0.001


if __name__ == "__main__":
    sys.exit(main())
