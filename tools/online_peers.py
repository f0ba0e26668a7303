"""acnportal (Caltech's ACN-Sim) on the day of the benchmark: the sessions of `online_day`, its own Caltech network.

Its stations are the continuous ones, 0 to 32 A: it refuses a minute whose least rates don't fit together.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module

from online_day import MOST_A, VOLTS, Day, Session


def stations() -> list[str]:
    """The names of its stations, in its order."""
    return list(import_module("acnportal.acnsim").sites.caltech_acn(basic_evse=True).station_ids)


def run(algorithm: str, day: Sequence[Session]) -> Day:
    """A day by "EDF", "round robin, 1 A" or "round robin, 0.1 A"."""
    acnsim, algorithms = import_module("acnportal.acnsim"), import_module("acnportal.algorithms")
    network = acnsim.sites.caltech_acn(basic_evse=True)
    edf = algorithms.earliest_deadline_first
    steps = {"round robin, 1 A": 1.0, "round robin, 0.1 A": 0.1}
    scheduler = (
        algorithms.SortedSchedulingAlgo(edf)
        if algorithm == "EDF"
        else algorithms.RoundRobin(edf, continuous_inc=steps[algorithm])
    )
    plugs = []
    for number, session in enumerate(day):
        battery = acnsim.Battery(session.wanted_kwh, 0, MOST_A * VOLTS / 1000)
        name = network.station_ids[session.station]
        vehicle = acnsim.EV(session.arrives, session.leaves, session.wanted_kwh, name, str(number), battery)
        plugs.append(acnsim.PluginEvent(session.arrives, vehicle))
    start = datetime(2026, 1, 5)  # noqa: DTZ001 - it takes no time zone
    simulator = acnsim.Simulator(network, scheduler, acnsim.EventQueue(plugs), start, period=1, verbose=False)
    began = time.perf_counter()
    simulator.run()
    seconds = time.perf_counter() - began
    got = [simulator.ev_history[str(number)].energy_delivered for number in range(len(day))]
    deciding_s = sum(stat["solve_time"] for stat in scheduler.solve_stats)
    pilots = [[float(amps) for amps in minute] for minute in simulator.pilot_signals.T]
    return Day(seconds, deciding_s, got, pilots, float(simulator.peak) * VOLTS / 1000)
