"""A station whose event log or memory can't be written, in a group in virtual time."""

from hal.simulated.board import MemoryStore, PlantJournal
from tests.scenario.helpers import Bench, judged, plugs, scenario

SETTLED_S = 60.0


class _FullJournal(PlantJournal):
    """Of a station whose disk is full."""

    problem = "the event log is full"


class _FullStore(MemoryStore):
    problem = "the disk is full"


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


def test_a_station_that_can_not_save_what_it_has_to_remember_says_so_and_goes_on() -> None:
    bench = Bench(scenario(plugs(1, 2), "BF"))
    with judged(bench):
        bench.run(SETTLED_S)
        board = bench.world.slots[1].board
        for name in ("store", "session_store"):
            store = getattr(board, name)
            setattr(board, name, _FullStore())
            bench.run(bench.now + 5)
            assert (bench.faults(), bench.drawn()) == (["", "store"], [24.0, 24.0])
            setattr(board, name, store)
            bench.run(bench.now + 5)
            assert (bench.faults(), bench.drawn()) == (["", ""], [24.0, 24.0])


def test_what_could_not_be_saved_is_saved_when_the_disk_takes_it_again() -> None:
    """Nothing else would save it: no session is under way, and no other primary is heard."""

    class Healing(MemoryStore):
        saved = 0
        problem = "the disk is full"

        def save(self, record: bytes) -> None:
            super().save(record)
            self.saved += 1
            if self.saved == 3:
                self.problem = ""

    bench = Bench(scenario((), "BF"))
    bench.run(SETTLED_S)
    store = bench.world.slots[1].board.store = Healing()
    bench.run(SETTLED_S + 5.0)
    assert bench.faults() == ["", "store"]
    bench.run(SETTLED_S + 40.0)
    assert (store.saved, bench.faults()) == (3, ["", ""])
