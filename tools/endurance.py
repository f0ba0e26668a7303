"""Real processes, hurt again and again: `python tools/endurance.py --rounds 100 [--seed N]`.

Five stations charge on a bench (`endurance_group.py`). Each round hurts some of them in one way (`endurance_kinds.py`).
What the cars may draw is judged all the time; a car whose station was not hurt is not let go of; every car charges with
its share again within a minute; nothing leaks (`endurance_traces.py`). Many rounds follow one another without waiting
for that. In the second half no process is killed, so what leaks has time to show.

Needs `unshare` and `mount` (no rights: it makes namespaces of its own), `socat`, and `faketime` of Debian's packages.
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from signal import SIGTERM, signal
from tempfile import TemporaryDirectory
from typing import NamedTuple

from endurance_bench import LIMIT_A
from endurance_group import Failed, Group, Rows
from endurance_kinds import KINDS, Kind
from endurance_traces import Sample, check_logs, samples
from watti.cli import main as watti

RECOVERY_S = 60.0
PILED = 0.3
"""Part of the rounds after which the next does not wait."""
MORE_RSS_KB = 1024
"""What a process may grow by: it warms up by some 300 kB, and may keep the room for what waited for a full disk (I)."""
LAST_LINES = 80
SHORT = (
    ("kill -9 of one", False),
    ("port's owner killed, back after 1 s", False),
    ("pty of one closed for 1 s", False),
    ("full disk", True),
    ("wall clock to 1970", True),
    ("stop of one for 1.5 s", True),
)
"""Kind, and whether recovery is waited for. The first ones come while the group still starts."""
_SHARE_A = 0.11
_INSIDE = "--inside"

Plan = Sequence[tuple[Kind, bool]]


class Round(NamedTuple):
    kind: str
    alone: bool
    """It began with all cars served, and was waited for."""
    recovery_s: float
    """From its end until all cars have their share; 0.0 where that was not waited for."""


def plan(rounds: int, rng: random.Random) -> Plan:
    """All kinds in turn, shuffled, those that kill twice as often; in the second half those that kill nobody. The first
    half and all end settled."""
    half = rounds // 2
    kills, others = ([kind for kind in KINDS if kind.kills == it] for it in (True, False))
    kinds = [*_decks([*kills, *kills, *others], half, rng), *_decks(others, rounds - half, rng)]
    return [(kind, rng.random() >= PILED or i in (half - 1, rounds - 1)) for i, kind in enumerate(kinds)]


def _decks(kinds: Sequence[Kind], count: int, rng: random.Random) -> list[Kind]:
    drawn: list[Kind] = []
    while len(drawn) < count:
        drawn += rng.sample(kinds, len(kinds))
    return drawn[:count]


class Soak:
    """Rounds on a group, and what they showed."""

    def __init__(self, group: Group, rng: random.Random) -> None:
        self.rounds: list[Round] = []
        self.before = samples(group.pids().values())
        """By process: what it had at the start, or when for the first time in its life all cars were served."""
        self._group = group
        self._rng = rng
        self._settled = False

    def settle(self) -> float:
        """Seconds until every car charges with its share and nobody shows a fault. Raises `Failed`."""
        spent = self._group.wait(_served, RECOVERY_S, "not all cars charge with their share")
        self._settled = True
        self.before |= samples(pid for pid in self._group.pids().values() if pid not in self.before)
        return spent

    def run(self, plan: Plan) -> None:
        """Raises `Failed`."""
        for number, (kind, waits) in enumerate(plan, 1):
            print(f"round {number}: {kind.name}", end="", flush=True)
            try:
                self._round(kind, waits)
            except Failed as failed:
                raise Failed(f"round {number}, {kind.name}: {failed}") from None
            print(f", recovered after {self.rounds[-1].recovery_s:.1f} s" if waits else "", flush=True)

    def _round(self, kind: Kind, waits: bool) -> None:
        began_settled, self._settled = self._settled, False
        before = self._group.look()
        hurt = kind.do(self._group, self._rng)
        recovery_s = self.settle() if waits else 0.0
        after = self._group.look()
        if began_settled:
            _must_be_unhurt([name for name in after if name not in hurt], before, after)
        self.rounds.append(Round(kind.name, began_settled and waits, recovery_s))


def _served(rows: Rows) -> bool:
    share_a = LIMIT_A / len(rows)
    return all(
        row["alive"]
        and row["closed"]
        and row["drawn_a"] > 0
        and abs(row["offered_a"] - share_a) < _SHARE_A
        and (row["firmware"]["reason"], row["firmware"]["faults"]) == ("share", [])
        for row in rows.values()
    )


def _must_be_unhurt(names: Sequence[str], before: Rows, after: Rows) -> None:
    """Their contactors stayed closed, but where a dead-man let go because this machine held a process up."""
    for name in names:
        openings, drops = (after[name][key] - before[name][key] for key in ("openings", "drops"))
        if openings > drops:
            raise Failed(f"{name} was not hurt and let go of its car")


# What it showed


def _leaks(before: Mapping[int, Sample], pids: Mapping[str, int]) -> Iterator[str]:
    """The table. Raises `Failed`."""
    after = samples(pid for pid in pids.values() if pid in before)
    leaks = []
    yield f"{'process':<8} {'descriptors':>12} {'threads':>10} {'memory (RSS), kB':>18}"
    for name, pid in pids.items():
        if pid in after:
            was, now = before[pid], after[pid]
            pairs = [f"{figure} -> {later}" for figure, later in zip(was, now, strict=True)]
            yield f"{name:<8} {pairs[0]:>12} {pairs[1]:>10} {pairs[2]:>18}"
            if now.descriptors > was.descriptors or now.threads > was.threads or now.rss_kb > was.rss_kb + MORE_RSS_KB:
                leaks.append(name)
    if leaks:
        raise Failed(f"{', '.join(leaks)} holds more than before")


def _table(rounds: Sequence[Round]) -> Iterator[str]:
    yield f"{'kind':<34} {'rounds':>6} {'waited for':>10} {'p50':>6} {'p99':>6} {'max':>6}  s to recover"
    for kind in KINDS:
        of_it = [done for done in rounds if done.kind == kind.name]
        if of_it:
            yield _line(kind.name, len(of_it), [done.recovery_s for done in of_it if done.alone])
    waited = [done.recovery_s for done in rounds if not done.alone and done.recovery_s]
    yield _line("several, one upon the other", len(waited), waited)
    yield _line("all", len(rounds), [*waited, *(done.recovery_s for done in rounds if done.alone)])


def _line(name: str, count: int, times: Sequence[float]) -> str:
    ordered = sorted(times)
    figures = [ordered[int(len(ordered) * part)] for part in (0.5, 0.99)] + ordered[-1:] if ordered else []
    return f"{name:<34} {count:>6} {len(ordered):>10} " + " ".join(f"{figure:6.1f}" for figure in figures)


@contextmanager
def _telling(group: Group) -> Iterator[None]:
    """What the stations wrote down last goes to stderr when something fails: their disk goes with them."""
    try:
        yield
    except Failed:
        with redirect_stdout(sys.stderr):
            watti(["log", "--lines", str(LAST_LINES), "--dir", str(group.disk)])
        raise


def soak(folder: Path, plan: Plan, switches: str, starts_settled: bool, rng: random.Random) -> None:
    """The whole of it, with its tables on stdout. Raises `Failed`."""
    with ExitStack() as stack:
        group = Group(folder, switches, stack)
        stack.enter_context(_telling(group))
        soaked = Soak(group, rng)
        for name in group.names:
            group.plug(name)
        if starts_settled:
            print(f"all charge after {soaked.settle():.1f} s", flush=True)
        soaked.run(plan)
        print(*_table(soaked.rounds), sep="\n")
        for line in _leaks(soaked.before, group.pids()):
            print(line, flush=True)
        _finish(group)


def _finish(group: Group) -> None:
    """All cars leave and everything ends in order."""
    for name in group.names:
        group.do("unplug", name)
    group.watch(1.0)
    rows = group.look()
    drops = sum(row["drops"] for row in rows.values())
    print(f"the cars could draw {rows['s1']['peak_a']:.2f} A at most, of {LIMIT_A:g}; {drops} times a dead-man let go")
    left = group.end()
    if left != ["log"]:
        raise Failed(f"left behind in its folder: {', '.join(left)}")
    print(check_logs(group.disk / "log", group.offsets_s))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="how many (default: 100, some 20 minutes)")
    parser.add_argument("--seed", type=int, default=1, help="of what happens in which order (default: 1)")
    parser.add_argument("--short", action="store_true", help="three stations, one round of each sort")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not args.inside:
        inside = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, __file__, *argv, _INSIDE]
        os.execvp(inside[0], inside)
    signal(SIGTERM, lambda *_: sys.exit(1))
    rng = random.Random(args.seed)
    by_name = {kind.name: kind for kind in KINDS}
    rounds = [(by_name[name], waits) for name, waits in SHORT] if args.short else plan(args.rounds, rng)
    with TemporaryDirectory() as folder:
        try:
            soak(Path(folder), rounds, "BFF" if args.short else "BFFFF", not args.short, rng)
        except Failed as failed:
            print(f"\nseed {args.seed}: {failed}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
