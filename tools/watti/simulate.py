"""`watti simulate`: a scenario in virtual time, with a trace and a report of it on demand."""

import json
import sys
import time
from argparse import Namespace
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from firmware.config import ConfigError, read_toml
from firmware.rotary import Chart
from watti.outputs import whole_file
from watti.recording import Recording
from watti.scenario import CONFIGS, is_of_a_site, load_scenario
from watti.simulation import Simulation


def run(args: Namespace) -> int:
    if is_of_a_site(read_toml(args.scenario)):
        from watti.sites import command

        _check_outputs(args)
        return command.run(args)
    scenario = load_scenario(args.scenario)
    _check_outputs(args)
    if args.policy:
        raise ConfigError(["--policy: expected a scenario of a site, which has a controller"])
    seed = scenario.seed if args.seed is None else args.seed
    chart = Chart.load(CONFIGS / "rotary.toml")
    recording = None if args.report is None else Recording([spec.name for spec in scenario.stations])
    with ExitStack() as files:
        trace = None if args.trace is None else files.enter_context(whole_file(args.trace))
        report = None if args.report is None else files.enter_context(whole_file(args.report))
        simulation = Simulation(scenario, chart, seed, trace, recording)
        result = simulation.result(_timed(simulation))
        if report is not None and recording is not None:
            from watti.report import page

            report.write(page(scenario, chart, seed, recording, result))
    print(json.dumps(result, indent=2) if args.json else _text(result, simulation))
    return 1 if result["violations"] else 0


def _check_outputs(args: Namespace) -> None:
    """Raise ConfigError where the trace or the report can't be made, so that nothing is simulated in vain."""
    errors = []
    if args.report is not None and find_spec("plotly") is None:
        errors.append("--report needs plotly: pip install 'watti[report]', or use tools/watti.sh")
    taken = [args.scenario.resolve()]
    for option, path in (("--trace", args.trace), ("--report", args.report)):
        if path is not None:
            if path.resolve() in taken:
                errors.append(f"{option} {path}: expected a file of its own")
            taken.append(path.resolve())
    if errors:
        raise ConfigError(errors)


def _timed(simulation: Simulation) -> float:
    begun = time.perf_counter()
    simulation.run(sys.stderr if sys.stderr.isatty() else None)
    return time.perf_counter() - begun


def _text(result: dict[str, Any], simulation: Simulation) -> str:
    bus = result["bus"]
    lines = [
        (
            f"{result['duration_s']:g} s in {result['wall_s']:.2f} s ({result['speedup']:.0f} x real time), "
            f"poll every {bus['poll_s']:g} s"
        ),
        (
            f"limit {result['limit_a']:g} A, highest total {result['peak_total_a']:.2f} A, "
            f"violations {len(result['violations'])}"
        ),
        (
            f"bus: {bus['cycles']} cycles, p50 {bus['cycle_s_p50'] * 1e3:.1f} ms (line's limit "
            f"{bus['cycle_limit_s'] * 1e3:.1f} ms), {bus['missed']} missed, {bus['crc_errors']} CRC errors"
        ),
        simulation.timing.terms(),
        f"{'station':10} {'kWh':>8} {'charging':>10} {'waiting':>10}",
    ]
    for name, got in result["stations"].items():
        lines.append(f"{name:10} {got['energy_kwh']:8.3f} {got['charging_s']:8.0f} s {got['waiting_s']:8.0f} s")
    lines += [
        f"ABOVE THE LIMIT at {v['t_s']:.3f} s: {v['total_a']} A of {v['limit_a']} A" for v in result["violations"]
    ]
    return "\n".join(lines)
