"""The offline group's figures: `python tools/benchmark.py` prints the table that firmware/DESIGN.md quotes.

Times are virtual and exact; speeds are this machine's and only good as ratios. Every latency is measured at many
phases of the poll cycle, because a plug-in may fall anywhere in it.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from firmware.rotary import Chart
from firmware.timing import Timing
from hal.simulated.vehicle_spec import VehicleSpec
from opening import opened
from watti.scenario import CONFIGS, Event, Scenario, StationSpec
from watti.simulation import Simulation

WORST = VehicleSpec("worst", ramp_a_per_s=0.0)
S3 = VehicleSpec("s3", ramp_a_per_s=0.0, s3_s=3.0)
"""Its driver presses the button before the plug comes out: it goes from C to B."""
OPENINGS: Mapping[str, tuple[VehicleSpec, str, Mapping[str, object]]] = {
    "unplug": (WORST, "unplug", {}),
    "C -> B": (S3, "unplug", {}),
    "leak (25 ms of it the sensor's)": (WORST, "fault", {"kind": "ground_fault"}),
}
"""Vehicle, what is done, with which arguments."""
CHART = Chart.load(CONFIGS / "rotary.toml")
TIMING = Timing()
SETTLED_S = 60.0


def scenario(
    duration_s: float,
    events: list[Event],
    baud: int = 19200,
    serials: list[int] | None = None,
    switches: str = "BFFFF",
) -> Scenario:
    """Five stations, s1 the primary."""
    stations = tuple(
        StationSpec(f"s{i + 1}", "48A", serials[i] if serials else None, int(digit, 16), True, 0.0)
        for i, digit in enumerate(switches)
    )
    return Scenario(duration_s, 1, 240.0, baud, 0.0, stations, {"worst": WORST, "s3": S3}, tuple(events), Path("-"))


def plugs(count: int, vehicle: str = "worst") -> list[Event]:
    return [Event(15.0, "plug", f"s{i + 1}", {"vehicle": vehicle}) for i in range(count)]


def after(
    baud: int, cars: int, event: Event, done: Callable[[Simulation], bool], seed: int, vehicle: str = "worst"
) -> float:
    """Seconds from an event until `done`, to the millisecond."""
    simulation = Simulation(scenario(1e6, [*plugs(cars, vehicle), event], baud), CHART, seed)
    simulation.world.run(event.at_s)
    while not done(simulation):
        simulation.world.run(simulation.world.now + 0.001)
        if simulation.world.now > event.at_s + 60:
            raise RuntimeError(f"nothing came of {event}")
    if simulation.violations:
        raise RuntimeError(f"above the limit: {simulation.violations}")
    return simulation.world.now - event.at_s


def phases(count: int) -> Iterator[float]:
    return (SETTLED_S + TIMING.poll_s * i / count for i in range(count))


def offers(simulation: Simulation) -> list[float]:
    return [slot.plant.offered_a for slot in simulation.world.slots]


def freed(baud: int, count: int) -> list[float]:
    """Unplug at s2: until all others are offered their new share."""
    return [
        after(baud, 5, Event(at, "unplug", "s2", {}), lambda s: all(offers(s)[i] >= 12 for i in (0, 2, 3, 4)), i)
        for i, at in enumerate(phases(count))
    ]


def joined(baud: int, count: int) -> list[float]:
    """Plug in at s5 while four share the circuit: until its first offer."""
    plug = [Event(at, "plug", "s5", {"vehicle": "worst"}) for at in phases(count)]
    return [after(baud, 4, event, lambda s: offers(s)[4] > 0, i) for i, event in enumerate(plug)]


def lost(do: str, args: dict[str, object], count: int) -> list[float]:
    """A member goes: until all others are offered its amps."""
    return [
        after(19200, 5, Event(at, do, "s2", args), lambda s: all(offers(s)[i] >= 12 for i in (0, 2, 3, 4)), i)
        for i, at in enumerate(phases(count))
    ]


def opening(way: str, count: int) -> list[float]:
    """From what happens to the vehicle at s2, or from the leak, until the contacts are open."""
    vehicle, do, args = OPENINGS[way]
    return [
        after(
            19200,
            5,
            Event(at, do, "s2", dict(args)),
            lambda s: not s.world.slots[1].plant.contactor_closed,
            i,
            vehicle.name,
        )
        for i, at in enumerate(phases(count))
    ]


def on_the_bench(count: int) -> None:
    """The openings with real processes, against virtual time."""
    for way, (vehicle, do, args) in OPENINGS.items():
        virtual, real = opening(way, count), opened(vehicle, {"do": do, **args}, count)
        ratio = sorted(real)[len(real) // 2] / sorted(virtual)[len(virtual) // 2]
        print(f"{way} -> contactor open, on the bench: {quantiles(real)}, ratio to virtual time {ratio:.2f}")


def enrolment(seeds: int, consecutive: bool) -> list[float]:
    """From power-up until four unknown secondaries are enrolled."""
    times = []
    for seed in range(seeds):
        rng = random.Random(seed)
        first = rng.getrandbits(40)
        serials = [first + i for i in range(5)] if consecutive else [rng.getrandbits(40) + 1 for _ in range(5)]
        simulation = Simulation(scenario(1e6, [], serials=serials), CHART, seed)
        while sum(getattr(app.role, "enrolled", False) for app in simulation.apps) < 4:
            simulation.world.run(simulation.world.now + 0.005)
        times.append(simulation.world.now)
    return times


def speed(events: list[Event], hours: float) -> float:
    simulation = Simulation(scenario(hours * 3600, events), CHART, 1)
    begun = time.perf_counter()
    simulation.run()
    return hours * 3600 / (time.perf_counter() - begun)


def busy(hours: float) -> list[Event]:
    """Somebody comes or goes every 30 s."""
    rng, events, there = random.Random(1), [], [False] * 5
    for at in range(20, int(hours * 3600), 30):
        i = rng.randrange(5)
        there[i] = not there[i]
        args = {"vehicle": "worst"} if there[i] else {}
        events.append(Event(float(at), "plug" if there[i] else "unplug", f"s{i + 1}", args))
    return events


def quantiles(times: list[float]) -> str:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {ordered[len(ordered) // 2]:.3f}  p99 {p99:.3f}  max {ordered[-1]:.3f} s  (n {len(ordered)})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer phases and seeds")
    parser.add_argument("--bench", action="store_true", help="only the openings, on a bench in real time")
    args = parser.parse_args()
    quick = args.quick
    if args.bench:
        on_the_bench(2 if quick else 5)
        return 0
    n, seeds, hours = (5, 20, 0.5) if quick else (50, 1000, 4.0)
    print(f"poll every {TIMING.poll_s:g} s, R {TIMING.reaction_s:g} s")
    print(TIMING.terms())
    for baud in (9600, 19200, 38400, 57600, 115200):
        simulation = Simulation(scenario(300, plugs(5), baud), CHART, 1)
        simulation.run()
        bus = simulation.result(1.0)["bus"]
        ratio = bus["cycle_s_p50"] / bus["cycle_limit_s"]
        print(
            f"bus cycle at {baud:6}: {bus['cycle_s_p50'] * 1e3:6.1f} ms, limit "
            f"{bus['cycle_limit_s'] * 1e3:6.1f} ms, ratio {ratio:.3f}"
        )
    for baud in (9600, 19200, 115200):
        print(f"unplug -> freed amps offered, {baud:6}: {quantiles(freed(baud, n))}")
        print(
            f"plug-in, circuit full -> offer, {baud:6}: {quantiles(joined(baud, n))}  "
            f"(R + 1 = {TIMING.reaction_s + 1:g})"
        )
    for do, how in (("power_off", {}), ("bus_cut", {"direction": "both"}), ("stall", {"for_s": 30.0})):
        print(f"member lost by {do:9} -> its amps offered: {quantiles(lost(do, dict(how), n))}")
    for way in OPENINGS:
        print(f"{way} -> contactor open: {quantiles(opening(way, n))}")
    print(f"enrolment of four, random serials:      {quantiles(enrolment(seeds, False))}")
    print(f"enrolment of four, consecutive serials: {quantiles(enrolment(seeds, True))}")
    print(
        f"virtual time, quiet: {speed(plugs(5), hours):.0f} x, busy (a car comes or goes every 30 s): "
        f"{speed(busy(hours), hours):.0f} x real time"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
