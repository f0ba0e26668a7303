"""`watti torture`: random worlds by seed, every one judged; what fails is shrunk to a scenario file."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from firmware.config import ConfigError
from watti.outputs import whole_file
from watti.progress import WIPE, clock
from watti.scenario import Scenario, load_scenario
from watti.torture import campaign, crews
from watti.torture.campaign import Failure, Tally
from watti.torture.judging import judge
from watti.torture.shrink import shrunk
from watti.torture.worlds import draw

_SHRUNK = 3
"""So many failures are made small; the others are as likely the same."""
_LOOK_S = 0.2


def run(args: Namespace) -> int:
    """`args`: seeds (a range), scenario, cluster, keep, json."""
    _check(args)
    return _judge_file(args) if args.scenario is not None else _judge_seeds(args)


def _check(args: Namespace) -> None:
    errors = []
    if args.cluster is not None and args.scenario is not None:
        errors.append("--cluster: one scenario is judged here, without a cluster")
    if args.cluster is not None and find_spec("distributed") is None:
        errors.append("--cluster needs distributed: pip install 'watti[cluster]'")
    if find_spec("tomli_w") is None:
        errors.append("torture needs tomli-w: pip install 'watti[torture]', or use tools/watti.sh")
    if not (args.keep.is_dir() and os.access(args.keep, os.W_OK | os.X_OK)):
        errors.append(f"--keep {args.keep}: expected a folder that can be written to")
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
    return "not all were served" if recovered_s is None else f"all served {recovered_s:.1f} s after the last fault"


# Seeds


def _judge_seeds(args: Namespace) -> int:
    begun = time.perf_counter()
    progress = _Progress(sys.stderr if sys.stderr.isatty() else None)

    def told(tally: Tally) -> None:
        progress.show(_how_far(tally, args.seeds, time.perf_counter() - begun))

    try:
        with crews.local() if args.cluster is None else crews.cluster(args.cluster) as crew:
            tally = campaign.run(args.seeds, crew, told)
        wall_s = time.perf_counter() - begun
        failures = [_kept(f, args.keep if i < _SHRUNK else None, progress) for i, f in enumerate(tally.failures)]
    finally:
        progress.wipe()
    result = {"seeds": f"{args.seeds.start}:{args.seeds.stop}", "wall_s": round(wall_s, 1)} | tally.as_json()
    result |= {"failures": failures}
    print(json.dumps(result, indent=2) if args.json else _text(result))
    return 1 if failures else 0


def _how_far(tally: Tally, seeds: range, spent_s: float) -> str:
    judged = f"{tally.worlds} of {len(seeds)} worlds"
    if not tally.worlds:
        return judged
    left_s = spent_s * (len(seeds) - tally.worlds) / tally.worlds
    return (
        f"{judged}  {tally.station_ms / 60_000 / spent_s:,.0f} station-hours a minute  "
        f"{len(tally.failures)} failures  {clock(left_s)} left"
    )


def _kept(failure: Failure, folder: Path | None, progress: "_Progress") -> dict[str, Any]:
    """What is told of a failure, with the command that replays it. With a folder it is made small and written there."""
    told = failure._asdict() | {"replay": f"watti torture --seeds {failure.seed}:{failure.seed + 1}"}
    if folder is None or failure.check == crews.UNJUDGED:
        return told
    path = folder / f"torture-{failure.seed}.toml"
    try:
        _write(path, failure, progress)
    except (ConfigError, OSError) as error:  # the disk is full: what was found is told all the same
        return told | {"not_kept": f"{path}: {error}"}
    return told | {"scenario": str(path)}


def _write(path: Path, failure: Failure, progress: "_Progress") -> None:
    from watti.scenario_file import text_of

    def told(tries: int, world: Scenario) -> None:
        size = f"{len(world.stations)} stations, {len(world.events)} events"
        progress.show(f"seed {failure.seed} is made small, try {tries}: {size}")

    small = shrunk(draw(failure.seed), failure.check, told)
    heading = f"Seed {failure.seed}, made small by `watti torture`: {judge(small).verdicts[0]}"
    with whole_file(path) as file:
        file.write(text_of(small, heading))


class _Progress:
    """One line on a terminal, redrawn in place."""

    def __init__(self, terminal: TextIO | None) -> None:
        self._terminal = terminal
        self._shown_at = -_LOOK_S

    def show(self, line: str) -> None:
        now = time.monotonic()
        if self._terminal is not None and now >= self._shown_at + _LOOK_S:
            self._shown_at = now
            print(WIPE + line, end="", file=self._terminal, flush=True)

    def wipe(self) -> None:
        if self._terminal is not None:
            print(end=WIPE, file=self._terminal, flush=True)


def _text(result: dict[str, Any]) -> str:
    per_minute = result["station_hours"] * 60 / result["wall_s"] if result["wall_s"] else 0.0
    lines = [
        f"{result['worlds']} worlds, {result['station_hours']:.1f} station-hours, {per_minute:.0f} a minute",
        f"{result['injected']} faults injected:",
        *(f"  {kind:24} {count:9}" for kind, count in result["faults"].items()),
        *_recoveries(result["recovery_s"]),
        *(f"  in {count} worlds somebody had to wait for: {code}" for code, count in result["excused"].items()),
        f"outcomes {result['digest']}, failures {len(result['failures'])}",
    ]
    for failure in result["failures"]:
        lines.append(f"SEED {failure['seed']} at {failure['t_s']:.3f} s: {failure['check']}: {failure['what']}")
        lines.append(f"  replay: {failure['replay']}")
        if "scenario" in failure:
            lines.append(f"  shrunk: watti torture --scenario {failure['scenario']}")
        if "not_kept" in failure:
            lines.append(f"  not kept: {failure['not_kept']}")
    return "\n".join(lines)


def _recoveries(recovery: dict[str, float]) -> Iterator[str]:
    if recovery["worlds"]:
        yield (
            f"all served again after the last fault ({recovery['worlds']} worlds without a wait of their own): "
            f"p50 {recovery['p50']:.1f}, p99 {recovery['p99']:.1f}, max {recovery['max']:.1f} s "
            f"(seed {recovery['seed_of_max']})"
        )
