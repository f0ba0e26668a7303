"""Random sites in virtual time, every one judged at every instant: `python -m watti.sites.torture --seeds 0:100`."""

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from random import Random

from cloud.controller import Controller
from cloud.policies import POLICIES
from cloud.tree import Tree
from watti.sites.faults import LATELY_S, Plan, draw
from watti.sites.judge import Judge, Verdict
from watti.sites.model import ModelMembers
from watti.sites.truth import Truth
from watti.sites.world import SiteWorld

_BATCH = 8
_HARMLESS = ("plug", "unplug", "wish")


@dataclass(slots=True)
class Outcome:
    """What became of one world."""

    seed: int
    verdicts: list[Verdict]
    """What was wrong, empty when nothing was."""
    member_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    kwh: float = 0.0
    longest_s: float = 0.0
    """The longest that a node was above its limit because its building's load had jumped."""
    bound_s: float = 0.0


def judge_seed(seed: int) -> Outcome:
    """The world of a seed, judged."""
    return judge(draw(seed))


def judge(plan: Plan) -> Outcome:
    """A world, judged. Whatever its controller raises is a verdict too."""
    world, lately = build(plan)
    verdicts = world.judge.verdicts
    try:
        world.run(plan.until_s)
        verdicts += lately.verdicts(plan.until_s)
    except Exception as escaped:  # noqa: BLE001 -- told with its seed, like a broken promise
        where = traceback.extract_tb(escaped.__traceback__)[-1]
        what = f"{type(escaped).__name__}: {escaped} ({where.filename.rpartition('/')[2]}, line {where.lineno})"
        verdicts.append(Verdict(round(world.now, 3), "exception", what))
    world.judge.end(world.now)
    return Outcome(
        plan.seed,
        verdicts,
        world.now * len(plan.site.members),
        Counter(happening.verb for happening in plan.happenings if happening.verb not in _HARMLESS),
        sum(world.members.energy_kwh(i, world.now) for i in range(len(plan.site.members))),
        max((above.longest_s for above in world.judge.above.values()), default=0.0),
        plan.bound_s if plan.site.meters else 0.0,
    )


def build(plan: Plan) -> tuple[SiteWorld, "_Lately"]:
    """The world of a plan, at its beginning."""
    rng = Random(f"world/{plan.seed}")
    tree = Tree(plan.site)
    truth = Truth(plan.site, rng)
    members = ModelMembers(plan.site, plan.stored_a, truth.volts, plan.drifts)
    judge_ = Judge(truth, [plan.bound_s] * len(plan.site.nodes))
    made = partial(Controller, tree, POLICIES[plan.policy])
    world = SiteWorld(truth, members, made, judge_, rng, plan.loads, plan.clock)
    for at_s, verb, args in plan.happenings:
        world.at(at_s, getattr(world, verb), *args)
    return world, _Lately(world, plan.until_s - LATELY_S)


class _Lately:
    """Whether everybody who is to get something, a while after the last fault, is offered it."""

    def __init__(self, world: SiteWorld, since: float) -> None:
        self._world = world
        self._offered: set[int] = set()
        self._due: set[int] = set()
        world.at(since, self._begin)

    def _targets(self) -> set[int]:
        controller = self._world.controller
        assert isinstance(controller, Controller)
        members = self._world.site.members
        return {i for i, member in enumerate(members) if controller.target_da(i) >= member.min_a * 10}

    def _begin(self) -> None:
        self._due = self._targets()
        self._world.watchers.append(self._watch)
        self._watch(self._world.now, range(len(self._world.site.members)))

    def _watch(self, now: float, changed: Iterable[int]) -> None:
        self._offered.update(i for i in changed if self._world.members.offered_a(i) > 0)

    def verdicts(self, now: float) -> list[Verdict]:
        missed = sorted((self._due & self._targets()) - self._offered)
        names = [self._world.site.members[i].name for i in missed]
        return [Verdict(now, "starved", f"{name} is to get something and was offered nothing") for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m watti.sites.torture", description=__doc__)
    parser.add_argument("--seeds", required=True, metavar="A:B", help="from A to before B")
    first, last = map(int, parser.parse_args().seeds.split(":"))
    begun, outcomes, failed = time.perf_counter(), 0, 0
    hours, longest = 0.0, (0.0, 0.0, 0)
    faults: Counter[str] = Counter()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for outcome in pool.map(judge_seed, range(first, last), chunksize=_BATCH):
            outcomes += 1
            hours += outcome.member_s / 3600
            faults += outcome.faults
            longest = max(longest, (outcome.longest_s, outcome.bound_s, outcome.seed))
            failed += bool(outcome.verdicts)
            for verdict in outcome.verdicts[:1]:
                print(f"SEED {outcome.seed} at {verdict.t_s:.3f} s: {verdict.check}: {verdict.what}")
                print(f"  replay: python -m watti.sites.torture --seeds {outcome.seed}:{outcome.seed + 1}", flush=True)
    spent_s = time.perf_counter() - begun
    print(f"{outcomes} sites, {hours:.0f} member-hours in {spent_s:.0f} s, {failed} failures; injected {dict(faults)}")
    print("longest above a limit after a jump: {:.1f} s of at most {:.1f} s (seed {})".format(*longest))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
