"""`watti doctor --timing`: pace and cost of `watti run` on this machine, against what the design counts on."""

import json
import random
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from statistics import quantiles
from typing import NamedTuple

from firmware.app import App, Setup
from firmware.bus.rtu import silence_s
from firmware.config import MODELS, StationConfig
from firmware.rotary import Chart
from firmware.runtime import REFRESH_S, Runtime, Signals
from hal.api import BoardGone
from hal.raspberry.adc import Mcp3208
from hal.raspberry.plateaus import BURST, read_pilot
from hal.raspberry.sampler import PERIOD_S
from hal.raspberry.spec import AdcSpec
from hal.simulated.remote import Refused
from watti.board_file import load_board, read_station
from watti.boards import bare, opened, unkept
from watti.control import NothingRuns
from watti.doctor_host import STATION
from watti.doctor_processes import SIMULATED, Observed, environment, processes
from watti.scenario import CONFIGS

CORE_S = 0.3
DECODE_S = 0.001
"""A twentieth of the time between two looks (I)."""
CPU_SHARE = 0.03
RSS_MB = 40.0
_CORE = "import watti.run, sys; watti.run.read_station(watti.run.Path(sys.argv[1]))"
_COMPARE = (
    "Every ratio has to be below 1. On a Pi give the station's own file, stop its service before, and do it once "
    "more with a busy network: the longest lateness is what the dead-man is measured by."
)


class Measure(NamedTuple):
    """One line of the table."""

    what: str
    value: float
    limit: float | None
    """None where nothing is promised."""
    unit: str

    @property
    def ratio(self) -> float | None:
        return None if self.limit is None else self.value / self.limit


def run(args: Namespace) -> int:
    """`args`: config, for_s, json."""
    path = args.config or (STATION if STATION.exists() else SIMULATED)
    config = read_station(path)
    measures: list[Measure] = []
    try:
        for measure in measured(path, config, args.for_s):
            measures.append(measure)
            if not args.json:
                print(line(measure), flush=True)
    except (BoardGone, Refused, NothingRuns) as gone:
        print(f"watti: {gone}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps([{**one._asdict(), "ratio": one.ratio} for one in measures], indent=2))
    else:
        print(_COMPARE)
    return 1 if any((one.ratio or 0) > 1 for one in measures) else 0


def measured(path: Path, config: StationConfig, for_s: float) -> Iterator[Measure]:
    """Everything, what is quick first. Raises `BoardGone`, `Refused`, `NothingRuns`."""
    yield Measure("core: import and start", core_s(path), CORE_S, "s")
    yield Measure("pilot: decoding one look", decode_s(), DECODE_S, "s")
    with tempfile.TemporaryDirectory(prefix="watti-timing-") as folder:
        if config.board.file is not None:
            yield from looks(config, Path(folder))
        yield from _spread("loop: lateness", lateness_s(config, Path(folder), for_s), _loop_limits(config))
        yield from _process(processes(path, config, Path(folder), for_s), config)


def _process(seen: Observed, config: StationConfig) -> Iterator[Measure]:
    limit = silence_s(config.baud) + config.timing.turnaround_s
    yield from _spread("bus: from a poll to its answer", seen.answers_s, (limit, limit))
    simulates = config.board.kind == "mock_raspberry"  # whose converter is more work than all else
    yield Measure("process: CPU", seen.cpu_share, None if simulates else CPU_SHARE, "share")
    yield Measure("process: memory (RSS)", seen.rss_mb, RSS_MB, "MB")


def _spread(what: str, values: Sequence[float], limits: tuple[float, float]) -> Iterator[Measure]:
    """p50 and p99 against one limit, the longest against the other."""
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [*values] * 99
    for name, value, limit in (
        ("p50", cuts[49], limits[0]),
        ("p99", cuts[98], limits[0]),
        ("max", max(values), limits[1]),
    ):
        yield Measure(f"{what}, {name}", value, limit, "s")


def _loop_limits(config: StationConfig) -> tuple[float, float]:
    """A late answer is none; and a late refresh lets the outputs go."""
    return config.timing.turnaround_s, config.timing.dead_man_s - REFRESH_S


def line(one: Measure) -> str:
    """For people."""
    scale, unit = (1e3, "ms") if one.unit == "s" else (100, "%") if one.unit == "share" else (1, one.unit)
    told = f"{one.what:<38} {one.value * scale:9.2f} {unit:<3}"
    if one.limit is None:
        return f"{told} no limit"
    return f"{told} limit {one.limit * scale:8.2f}  ratio {one.ratio:6.3f}"


# In this process and in a fresh one


def core_s(path: Path) -> float:
    """A fresh interpreter that loads the core and reads a station's file, less one that does nothing: best of three."""
    return max(0.0, _best_s(_CORE, str(path)) - _best_s("pass"))


def _best_s(code: str, *arguments: str) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment())
        best = min(best, time.perf_counter() - began)
    return best


class _Recorded:
    """`hal.raspberry.spi.Spi` that has the answers of a MCP3208 to a pilot at 30 % ready."""

    def __init__(self) -> None:
        rng = random.Random(1)
        volts = [(3.11 if i % 10 < 3 else 0.19) + rng.gauss(0.0, 0.005) for i in range(BURST)]
        self._answer = b"".join(round(volt / 3.3 * 4096).to_bytes(3, "big") for volt in volts)

    def burst(self, _frame: bytes, _delays_us: Sequence[int], _speed_hz: int) -> bytes:
        return self._answer

    def stream(self, data: bytes) -> bytes:
        return data

    def close(self) -> None:
        """It holds nothing."""


def decode_s() -> float:
    """CPU time to make plateaus of the converter's answers."""
    adc = Mcp3208(AdcSpec("MCP3208", 0, 0, 1_000_000, 3.3), _Recorded())
    began, rounds = time.process_time(), 200
    for _ in range(rounds):
        read_pilot(lambda count: [(volt - 1.65) * 8.2 for volt in adc.volts(0, count)])
    return (time.process_time() - began) / rounds


def looks(config: StationConfig, folder: Path) -> Iterator[Measure]:
    """Bursts of this board's converter. Raises `BoardGone`, `Refused`."""
    from hal.raspberry.board import Parts

    spec, rounds = load_board(config.board.file), 50
    with ExitStack() as stack:
        ground = stack.enter_context(bare(config.board.kind, spec, folder, "look", config.model))
        parts = Parts(spec, ground.hardware, time.monotonic, lambda: None)
        stack.callback(parts.close)
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(rounds):
            parts.sampler.pilot_volts(BURST)
        yield Measure("pilot: one burst", (time.perf_counter() - began) / rounds, PERIOD_S, "s")
        yield Measure("pilot: CPU of one burst", (time.process_time() - busy) / rounds, PERIOD_S, "s")


class _Timed(Runtime):
    """The real loop, watched: how late it is when nothing but a timer wakes it."""

    late_s: list[float]
    _due = 0.0

    def wait_s(self) -> float:
        wait_s = super().wait_s()
        self._due = time.monotonic() + wait_s
        return wait_s

    def turn(self, ready: Collection[int]) -> None:
        if not ready:
            self.late_s.append(max(0.0, time.monotonic() - self._due))
        super().turn(ready)


class _Until(Signals):
    """An end that comes by itself."""

    def __init__(self, for_s: float) -> None:
        super().__init__()
        self._end = time.monotonic() + for_s

    def received(self) -> list[int]:
        return super().received() or [SIGTERM] * (time.monotonic() >= self._end)


def lateness_s(config: StationConfig, folder: Path, for_s: float) -> list[float]:
    """Of every timer of the loop, on this station's board without a bus. Raises `BoardGone`, `Refused`."""
    chart = Chart.load(CONFIGS / "rotary.toml")
    signals = _Until(for_s)
    try:
        with opened(config, folder, "loop", None, unkept()) as stand:
            setup = Setup(stand.serial, config.model, MODELS[config.model], config.baud, config.timing, chart)
            board = stand.board
            loop = _Timed(board, lambda inputs, now: App(setup, board, random.Random(), inputs, now))
            loop.late_s = []
            loop.run(signals, lambda _: None)
            return loop.late_s
    finally:
        signals.close()
