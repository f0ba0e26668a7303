"""Online control against its peer: `python tools/online_benchmark.py [--skip-slow] [--html FILE]`.

One day of the 54 stations of `configs/sites/caltech.toml`, a decision a minute, the same sessions and vehicles for
acnportal's algorithms and for ours; then the time of one allocation, small and large. Needs acnportal. Prints tables as
Markdown. Speeds are this machine's and only good as ratios.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import online_peers
from cloud.allocation import Claim, Share, allocate
from cloud.optimality import excesses, problems
from cloud.site import Site
from cloud.tree import Tree
from online_day import MINIMUM_A, MINUTES, MOST_A, Day, Decide, Session, Vehicle, jain, run, sessions
from online_growth import SIZES, fitted, measure, plotted, write_html
from watti.scenario import CONFIGS
from watti.site_file import load_site

SEED = 1
_UNMET_KWH = 0.1
_PEERS = ("EDF", "round robin, 1 A", "round robin, 0.1 A")
_SLOW = "round robin, 0.1 A"
_TRANSFORMER = {"primary", "secondary"}
_IDLE = Claim(MINIMUM_A, 0.0)
_TARGETS_MS = {54: 0.2, 1_000: 5.0, 10_000: 100.0}


class Ours:
    """`allocate` as a day's decision; `by_departure`: it knows when vehicles leave, as EDF does."""

    def __init__(self, site: Site, stations: Sequence[str], by_departure: bool) -> None:
        """`stations`: their names in the order of the day."""
        self.site = site
        self._tree = Tree(site)
        place = {member.name: i for i, member in enumerate(site.members)}
        self._bay_of = [stations.index(member.name) for member in site.members]
        self._member_of = [place[name] for name in stations]
        self._by_departure = by_departure
        self.claims: list[Claim] = []
        self.shares: list[Share] = []

    def decide(self, minute: int, bays: Sequence[Vehicle | None]) -> Sequence[float]:
        there = [bays[bay] for bay in self._bay_of]
        self.claims = [_IDLE if vehicle is None else self._claim(minute, vehicle) for vehicle in there]
        self.shares = allocate(self._tree, self.claims)
        return [self.shares[i].amps for i in self._member_of]

    def _claim(self, minute: int, vehicle: Vehicle) -> Claim:
        left_a = vehicle.left_a
        if left_a < 1e-3:
            return _IDLE
        needed_a = left_a / (vehicle.session.leaves - minute) if self._by_departure else 0.0
        return Claim(MINIMUM_A, min(left_a, MOST_A), needed_a=needed_a)

    def judged(self, day: Sequence[Session]) -> "Judged":
        """The day once more, every decision judged that is for somebody."""
        refused = full = 0

        def decide(minute: int, bays: Sequence[Vehicle | None]) -> Sequence[float]:
            nonlocal refused, full
            amps = self.decide(minute, bays)
            refused += any(bays) and bool(problems(self.site, self.shares, self.claims, {}))
            full += any(share.bound.node in _TRANSFORMER for share in self.shares)
            return amps

        run(day, decide, time.perf_counter)
        return Judged(refused, full)


class Judged(NamedTuple):
    """How many decisions the judge refuses, and in how many a side of the transformer was full."""

    refused: int
    full: int


def above(site: Site, stations: Sequence[str], day: Day) -> int:
    """Minutes in which a line could carry too much: with any of the vehicles drawing less than they may."""
    order = [stations.index(member.name) for member in site.members]
    return sum(bool(excesses(site, [pilots[i] for i in order], {})) for pilots in day.pilots if any(pilots))


def compare(site: Site, day: Sequence[Session], skip_slow: bool) -> None:
    stations = online_peers.stations()
    ours = {"max-min, equal": Ours(site, stations, False), "max-min, by departure": Ours(site, stations, True)}
    days: dict[str, Day] = {}
    for name in _PEERS:
        if not (skip_slow and name == _SLOW):
            days[name] = online_peers.run(name, day)
    for name, one in ours.items():
        decide: Decide = one.decide
        days[name] = min((run(day, decide, time.perf_counter) for _ in range(5)), key=lambda done: done.seconds)
    wanted = [session.wanted_kwh for session in day]
    judged = {name: one.judged(day) for name, one in ours.items()}
    full_h = judged["max-min, equal"].full / 60
    print(f"{len(day)} vehicles want {sum(wanted):.0f} kWh; the transformer is full for {full_h:.1f} h.\n")
    print("| | s | of it deciding | kWh | of EDF | Jain | vehicles short | short kWh | peak kW | minutes above |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, done in days.items():
        print(f"| {name} | {_row(done, wanted, days['EDF'])} | {above(site, stations, done)} |")
    print()
    for name, found in judged.items():
        print(f"{_ratios(name, days)} Decisions that the judge refuses: {found.refused} of {MINUTES}.")


def _row(done: Day, wanted: Sequence[float], edf: Day) -> str:
    short = [w - g for w, g in zip(wanted, done.got_kwh, strict=True)]
    return (
        f"{done.seconds:.3f} | {done.deciding_s:.3f} | {sum(done.got_kwh):.1f} "
        f"| {sum(done.got_kwh) / sum(edf.got_kwh):.1%} | {jain(done.got_kwh, wanted):.4f} "
        f"| {sum(s > _UNMET_KWH for s in short)} | {sum(short):.1f} | {done.peak_kw:.1f}"
    )


def _ratios(name: str, days: Mapping[str, Day]) -> str:
    """How many times faster than each peer: the whole day, and its decisions alone."""
    mine = days[name]
    parts = [
        f"{days[peer].seconds / mine.seconds:,.0f} x {peer} ({days[peer].deciding_s / mine.deciding_s:,.0f} x deciding)"
        for peer in _PEERS
        if peer in days
    ]
    return f"{name}: {', '.join(parts)}."


def one_allocation(site: Site) -> float:
    """Seconds of the best of many, all 54 stations asking for all."""
    tree, claims = Tree(site), [Claim(MINIMUM_A, MOST_A)] * len(site.members)
    best = float("inf")
    for _ in range(1000):
        before = time.perf_counter()
        allocate(tree, claims)
        best = min(best, time.perf_counter() - before)
    return best


def growth(site: Site, html: Path | None) -> None:
    points = [measure(stations) for stations in SIZES]
    print("\n| stations | nodes | compiling, ms | one allocation, ms | wanted |\n|---|---|---|---|---|")
    print(f"| 54 (Caltech) | {len(site.nodes)} | | {one_allocation(site) * 1e3:.3f} | {_TARGETS_MS[54]} |")
    for point in points:
        sizes = f"{point.stations:,} | {point.nodes:,}"
        wanted = _TARGETS_MS.get(point.stations, "")
        print(f"| {sizes} | {point.compile_s * 1e3:.1f} | {point.allocate_s * 1e3:.2f} | {wanted} |")
    print(f"\n{plotted(points)}\n\nGrowth: stations ** {fitted(points)[1]:.2f}.")
    if html and not write_html(points, html):
        print("plotly is not installed: no page written", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-slow", action="store_true", help=f"leave out {_SLOW}, which takes ten minutes")
    parser.add_argument("--html", type=Path, help="write the plot of the growth here (needs plotly)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the day's sessions")
    args = parser.parse_args()
    site = load_site(CONFIGS / "sites" / "caltech.toml")
    compare(site, sessions(args.seed), args.skip_slow)
    growth(site, args.html)
    return 0


if __name__ == "__main__":
    sys.exit(main())
