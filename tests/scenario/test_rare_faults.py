"""Faults that come of how stations were set up and of what they stand on, in a group in virtual time."""

from dataclasses import replace

from hal.simulated.board import PlantJournal
from tests.scenario.helpers import TIMING, Bench, judged, plugs, scenario

SETTLED_S = 60.0


class _FullJournal(PlantJournal):
    """Of a station whose disk is full."""

    problem = "the event log is full"


def test_a_secondary_that_was_told_shorter_leases_than_its_primary_says_so_and_gets_nothing() -> None:
    bench = Bench(scenario(plugs(1, 2, 3), "BFF", off=[2]))
    bench.simulation.timing = replace(TIMING, lease_s=4.0)
    bench.world.power_on(1)
    bench.simulation.timing = TIMING
    with judged(bench):
        bench.run(SETTLED_S)
        assert (bench.faults(), bench.offered()) == (["", "configuration", ""], [24.0, 0.0, 24.0])
        bench.world.restart(1)  # it was told the same as the others
        bench.run(2 * SETTLED_S)
    assert (bench.faults(), bench.offered()) == (["", "", ""], [16.0, 16.0, 16.0])


def test_a_station_that_can_not_write_its_log_says_so_and_goes_on() -> None:
    bench = Bench(scenario(plugs(1, 2), "BF"))
    with judged(bench):
        bench.run(SETTLED_S)
        board = bench.world.slots[1].board
        journal, board.journal = board.journal, _FullJournal("full", lambda event, fields: None)
        bench.run(SETTLED_S + 5)
        assert (bench.faults(), bench.drawn()) == (["", "log"], [24.0, 24.0])
        board.journal = journal
        bench.run(SETTLED_S + 10)
    assert (bench.faults(), bench.drawn()) == (["", ""], [24.0, 24.0])
