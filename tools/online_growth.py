"""How the time of one allocation grows with the size of a site, for the benchmark of online control."""

import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import ceil, exp, log
from pathlib import Path
from random import Random
from typing import NamedTuple

from cloud.allocation import Claim, allocate
from cloud.site import Kind, Member, Node, Phases, Rule, Site
from cloud.tree import Tree

SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
_LEAST_S = 1.0
_WIDTH = 60


class Point(NamedTuple):
    stations: int
    nodes: int
    compile_s: float
    allocate_s: float
    """The best of several."""


def site_of(stations: int, seed: int) -> Site:
    """Circuits of six stations on AB, BC or CA, six circuits to a panel of 208 V, every other one with phasor rows,
    five panels behind a delta-wye transformer, eight of those to a distribution transformer, all under one service.
    Limits are 40 to 90 % of what is below at the same time."""
    rng = Random(seed)
    circuits = ceil(stations / 6)
    panels = ceil(circuits / 6)
    transformers = ceil(panels / 5)
    feeders = ceil(transformers / 8)
    nodes = [
        _node(rng, "service", Kind.SERVICE, None, 12470.0, stations),
        *(
            _node(rng, f"f{i}", Kind.TRANSFORMER, "service", 480.0, stations / feeders, "wye-wye")
            for i in range(feeders)
        ),
        *(
            _node(rng, f"t{i}", Kind.TRANSFORMER, above, 208.0, stations / transformers, "delta-wye")
            for i, above in _below("f", feeders, transformers)
        ),
        *(
            _node(rng, f"p{i}", Kind.PANEL, above, 208.0, stations / panels)
            for i, above in _below("t", transformers, panels)
        ),
        *(_circuit(rng, f"c{i}", above) for i, above in _below("p", panels, circuits)),
    ]
    members = tuple(Member(f"m{i}", f"c{i * circuits // stations}", 48.0) for i in range(stations))
    return Site("growth", tuple(nodes), members)


def _below(above: str, nodes: int, count: int) -> Iterator[tuple[int, str]]:
    """So many spread evenly over the nodes above: each with the name of its parent."""
    return ((i, f"{above}{i * nodes // count}") for i in range(count))


def _circuit(rng: Random, name: str, above: str) -> Node:
    limit_a, lines = rng.uniform(0.4, 0.9) * 48 * 6, rng.choice(("AB", "BC", "CA"))
    return Node(name, Kind.CIRCUIT, above, Phases.SINGLE, 208.0, limit_a, lines=lines)


def _node(
    rng: Random, name: str, kind: Kind, above: str | None, voltage_v: float, stations: float, winding: str = ""
) -> Node:
    balanced_a = stations * 48 * 208 / voltage_v / 3**0.5
    scalar = rng.random() < 0.5
    limit_a = rng.uniform(0.4, 0.9) * balanced_a * (3**0.5 if scalar else 1)
    rule = Rule.SCALAR if scalar else Rule.PHASOR
    return Node(name, kind, above, Phases.THREE, voltage_v, limit_a, rule=rule, winding=winding)


def claims_of(stations: int, seed: int) -> list[Claim]:
    """Three of four ask, for 16 to 48 A, each with a weight of its own."""
    rng = Random(seed)
    idle = Claim(6.0, 0.0)
    return [
        Claim(6.0, rng.choice((16.0, 24.0, 32.0, 40.0, 48.0)), rng.uniform(0.5, 3.0)) if rng.random() < 0.75 else idle
        for _ in range(stations)
    ]


def measure(stations: int) -> Point:
    """Build a site of so many stations and decide on it again and again, for a second at least."""
    site, claims = site_of(stations, seed=stations), claims_of(stations, seed=stations)
    began = time.perf_counter()
    tree = Tree(site)
    compile_s = time.perf_counter() - began
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < _LEAST_S:
        before = time.perf_counter()
        allocate(tree, claims)
        best = min(best, time.perf_counter() - before)
    return Point(stations, len(site.nodes), compile_s, best)


def fitted(points: Sequence[Point]) -> tuple[float, float]:
    """Seconds of one station and the exponent: time = seconds x stations ** exponent, least squares of logarithms."""
    xs, ys = [log(p.stations) for p in points], [log(p.allocate_s) for p in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    exponent = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
    return exp(y - exponent * x), exponent


def plotted(points: Sequence[Point]) -> str:
    """Time over stations, both logarithmic, as lines of text."""
    low, high = log(points[0].allocate_s), log(points[-1].allocate_s)
    lines = []
    for point in points:
        bar = round((log(point.allocate_s) - low) / (high - low) * (_WIDTH - 1)) + 1
        lines.append(f"{point.stations:>8,}  {point.allocate_s * 1e3:>9.2f} ms  {'#' * bar}")
    return "\n".join(lines)


def write_html(points: Sequence[Point], path: Path) -> bool:
    """The same as a page, where plotly is installed."""
    if find_spec("plotly") is None:
        return False
    from plotly import graph_objects  # type: ignore[import-untyped]  # plotly has no types

    seconds, exponent = fitted(points)
    sizes = [point.stations for point in points]
    figure = graph_objects.Figure()
    figure.add_scatter(x=sizes, y=[point.allocate_s * 1e3 for point in points], mode="markers", name="measured")
    fit_ms = [seconds * size**exponent * 1e3 for size in sizes]
    figure.add_scatter(x=sizes, y=fit_ms, mode="lines", name=f"exponent {exponent:.2f}")
    figure.update_xaxes(type="log", title="stations")
    figure.update_yaxes(type="log", title="one allocation, ms")
    figure.write_html(path)
    return True
