"""`watti torture`: random worlds by seed, every one judged; what fails is shrunk to a scenario file."""

import json
import sys
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from firmware.config import ConfigError
from watti.outputs import whole_file
from watti.progress import clock
from watti.scenario import Scenario, load_scenario
from watti.torture import campaign
from watti.torture.campaign import Failure, Tally
from watti.torture.judging import judge
from watti.torture.worlds import draw

_SHRUNK = 3
"""So many failures are made small; the others are as likely the same."""
_LOOK_S = 0.2
_WIPE = "\r\x1b[K"


def run(args: Namespace) -> int:
    """`args`: seeds (a range), scenario, cluster, keep, json."""
    _check(args)
    return _judge_file(args) if args.scenario is not None else _judge_seeds(args)


def _check(args: Namespace) -> None:
    errors = []
    if args.cluster is not None and find_spec("distributed") is None:
        errors.append("--cluster needs distributed: pip install 'watti[cluster]'")
    if find_spec("tomli_w") is None:
        errors.append("torture needs tomli-w: pip install 'watti[torture]', or use tools/watti.sh")
    if not args.keep.is_dir():
        errors.append(f"--keep {args.keep}: expected a folder")
    if errors:
        raise ConfigError(errors)


# One scenario


def _judge_file(args: Namespace) -> int:
    scenario = load_scenario(args.scenario)
    outcome = judge(scenario)
    if args.json:
        print(json.dumps(outcome.as_json(), indent=2))
    else:
        for verdict in outcome.verdicts:
            print(verdict)
        print(f"{args.scenario}: {len(outcome.verdicts)} promises broken, {_recovery(outcome.recovered_s)}")
    return 1 if outcome.verdicts else 0


def _recovery(recovered_s: float | None) -> str:
    return "nobody was served" if recovered_s is None else f"all served {recovered_s:.1f} s after the last fault"


# Seeds


def _judge_seeds(args: Namespace) -> int:
    begun = time.perf_counter()
    terminal = sys.stderr if sys.stderr.isatty() else None
    workers = campaign.local_workers() if args.cluster is None else campaign.cluster(args.cluster)
    progress = _Progress(args.seeds, terminal)
    with workers as (executor, count):
        try:
            tally = campaign.run(args.seeds, executor, count, progress.told)
        finally:
            progress.wipe()
    wall_s = time.perf_counter() - begun
    failures = [_kept(failure, args.keep, shrinks=i < _SHRUNK) for i, failure in enumerate(tally.failures)]
    result = {"seeds": f"{args.seeds.start}:{args.seeds.stop}", "wall_s": round(wall_s, 1)} | tally.as_json()
    result |= {"failures": failures}
    print(json.dumps(result, indent=2) if args.json else _text(result, tally))
    return 1 if failures else 0


def _kept(failure: Failure, folder: Path, *, shrinks: bool) -> dict[str, Any]:
    """What is told of a failure, with the command that replays it; shrunk and written to a file."""
    told = failure._asdict() | {"replay": f"watti torture --seeds {failure.seed}:{failure.seed + 1}"}
    if shrinks:
        path = folder / f"torture-{failure.seed}.toml"
        _write(path, draw(failure.seed), failure)
        told["scenario"] = str(path)
    return told


def _write(path: Path, world: Scenario, failure: Failure) -> None:
    from watti.scenario_file import text_of
    from watti.torture.shrink import shrunk

    small = shrunk(world, failure.check)
    verdicts = judge(small).verdicts
    heading = f"Seed {failure.seed}, made small by `watti torture`: {verdicts[0] if verdicts else failure.what}"
    with whole_file(path) as file:
        file.write(text_of(small, heading))


class _Progress:
    """One line on a terminal, redrawn in place."""

    def __init__(self, seeds: range, terminal: TextIO | None) -> None:
        self._seeds = seeds
        self._terminal = terminal
        self._begun = self._told_at = time.monotonic()

    def told(self, tally: Tally) -> None:
        now = time.monotonic()
        if self._terminal is None or now < self._told_at + _LOOK_S:
            return
        self._told_at = now
        spent_s, total = now - self._begun, len(self._seeds)
        left_s = spent_s * (total - tally.worlds) / tally.worlds
        line = (
            f"{tally.worlds} of {total} worlds  {tally.station_s / 60 / spent_s:,.0f} station-hours a minute  "
            f"{len(tally.failures)} failures  {clock(left_s)} left"
        )
        print(_WIPE + line, end="", file=self._terminal, flush=True)

    def wipe(self) -> None:
        if self._terminal is not None:
            print(end=_WIPE, file=self._terminal, flush=True)


def _text(result: dict[str, Any], tally: Tally) -> str:
    recovery = result["recovery_s"]
    per_minute = result["station_hours"] * 60 / result["wall_s"] if result["wall_s"] else 0.0
    lines = [
        f"{result['worlds']} worlds, {result['station_hours']:.1f} station-hours, {per_minute:.0f} a minute",
        f"{result['injected']} faults injected:",
        *(f"  {kind:24} {count:9}" for kind, count in result["faults"].items()),
        (
            f"all served again after the last fault ({recovery['worlds']} worlds without a wait of their own): "
            f"p50 {recovery['p50']:.1f}, p99 {recovery['p99']:.1f}, max {recovery['max']:.1f} s "
            f"(seed {recovery['seed_of_max']})"
        ),
        *(f"  in {count} worlds somebody had to wait for: {code}" for code, count in result["excused"].items()),
        f"outcomes {result['digest']}, failures {len(result['failures'])}",
    ]
    for failure in result["failures"]:
        lines.append(f"SEED {failure['seed']} at {failure['t_s']:.3f} s: {failure['check']}: {failure['what']}")
        lines.append(f"  replay: {failure['replay']}")
        if "scenario" in failure:
            lines.append(f"  shrunk: watti torture --scenario {failure['scenario']}")
    return "\n".join(lines)
