"""A station whose event log can't be written, in a group in virtual time."""

from hal.simulated.board import PlantJournal
from tests.scenario.helpers import Bench, judged, plugs, scenario

SETTLED_S = 60.0


class _FullJournal(PlantJournal):
    """Of a station whose disk is full."""

    problem = "the event log is full"


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
