"""The virtual world with firmware that only notes what it is told: clocks, stalls, power, chance."""

import random
from collections.abc import Callable
from functools import partial
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.bus.rtu import air_s, silence_s
from hal.api import Inputs
from hal.simulated.plant import CONTACTOR_S, DEAD_MAN_S, Plant
from hal.simulated.world import Boot, World

BAUD = 19200

Note = tuple[object, ...]


class Notes:
    """Firmware that notes what it is told and when, by its own clock, and asks to be woken as it is told to."""

    def __init__(self, boot: Boot) -> None:
        self.boot = boot
        self.due = inf
        self.notes: list[Note] = []
        self.on_step: Callable[[float], None] = lambda now: None

    def next_wakeup(self) -> float:
        return self.due

    def step(self, now: float) -> None:
        self.notes.append(("step", now))
        self.due = inf
        self.on_step(now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        self.notes.append(("inputs", inputs, now))

    def on_bytes(self, data: bytes, now: float) -> bool:
        self.notes.append(("bytes", data, now))
        return True

    def on_outputs_dropped(self, now: float) -> None:
        self.notes.append(("dropped", now))

    def on_bus(self, works: bool, now: float) -> None:
        self.notes.append(("bus", works, now))

    def kinds(self) -> list[object]:
        """What it was told since the last look, without the times."""
        kinds = [note[0] for note in self.notes]
        self.notes.clear()
        return kinds


class Desk:
    """A world of such stations; station 0 never drifts."""

    def __init__(self, *drifts_ppm: float, seed: int = 1) -> None:
        self.lives: list[Notes] = []
        self.world = World(seed, BAUD, silence_s(BAUD), self._boot)
        for drift_ppm in (0.0, *drifts_ppm):
            self.world.add(Plant(11, powered=False), drift_ppm)
        for index in range(len(self.world.slots)):
            self.world.power_on(index)
        self.world.run(1.0)
        for life in self.lives:
            life.notes.clear()

    def _boot(self, boot: Boot) -> Notes:
        self.lives.append(Notes(boot))
        return self.lives[-1]

    def node(self, index: int) -> Notes:
        node = self.world.slots[index].node
        assert isinstance(node, Notes)
        return node

    def wake(self, index: int, in_s: float) -> float:
        """Have a station woken after so long by its own clock; the time it will see then."""
        node, world = self.node(index), self.world
        node.due = world.slots[index].local(world.now) + in_s
        world.refresh(index)
        return node.due

    def send(self, index: int, data: bytes) -> None:
        self.node(index).boot.board.bus.send(data)
        self.world.refresh(index)

    def close_contactor(self, index: int) -> None:
        self.node(index).boot.board.contactor.close()
        self.world.refresh(index)
        self.run(CONTACTOR_S)
        assert self.closed(index)

    def closed(self, index: int) -> bool:
        return self.world.slots[index].plant.contactor_closed

    def run(self, for_s: float) -> None:
        self.world.run(self.world.now + for_s)


# Time


def test_time_jumps_over_what_is_empty_and_stops_where_it_is_told_to() -> None:
    desk = Desk()
    desk.world.run(1e9)
    assert desk.world.now == 1e9
    assert desk.node(0).notes == []


def test_time_never_goes_back_when_a_babble_begins_on_a_line_that_was_silent() -> None:
    desk, seen = Desk(0.0), list[float]()
    desk.world.observe = lambda station: seen.append(desk.world.now)

    def babble() -> None:
        desk.world.line.disturb("babble", 0.5, until=60.0)
        desk.world.refresh(0)

    desk.world.at(50.0, babble)
    desk.world.run(70.0)
    assert len(seen) > 100
    assert seen == sorted(seen)


def test_events_come_in_order_of_time_and_then_of_the_calls() -> None:
    desk, seen = Desk(), list[tuple[str, float]]()
    for when, name in ((5.0, "late"), (3.0, "first"), (3.0, "second"), (9.0, "never")):
        desk.world.at(when, partial(lambda name: seen.append((name, desk.world.now)), name))
    desk.world.run(8.0)
    assert seen == [("first", 3.0), ("second", 3.0), ("late", 5.0)]


@pytest.mark.parametrize("drift_ppm", [-10_000.0, -50.0, 0.0, 10_000.0])
def test_a_station_is_woken_by_its_own_clock(drift_ppm: float) -> None:
    desk = Desk(drift_ppm)
    due = desk.wake(1, 100.0)
    true_s = 100.0 / (1 + drift_ppm / 1e6)
    desk.run(true_s - 1e-6)
    assert desk.node(1).notes == []
    desk.run(2e-6)
    assert desk.node(1).notes == [("step", due)]


def test_clocks_of_two_stations_can_not_be_compared() -> None:
    desk = Desk(0.0)
    desk.wake(0, 1.0)
    desk.wake(1, 1.0)
    desk.run(2.0)
    (_, one), (_, other) = desk.node(0).notes[0], desk.node(1).notes[0]
    assert isinstance(one, float)
    assert isinstance(other, float)
    assert abs(one - other) > 100.0


@given(
    st.floats(-10_000, 10_000),
    st.lists(st.tuples(st.sampled_from(["wake", "hear", "look"]), st.floats(0.0, 5000.0)), max_size=30),
)
def test_no_clock_ever_goes_back_nor_wakes_too_early(drift_ppm: float, happenings: list[tuple[str, float]]) -> None:
    desk = Desk(drift_ppm)
    node, asked = desk.node(1), list[float]()
    for what, s in happenings:
        if what == "wake":
            asked.append(desk.wake(1, s))
        elif what == "hear":
            desk.send(0, b"x" * 20)
        else:
            desk.world.touch(1, lambda plant, now: plant.turn((plant.switch + 1) % 16, now))
        desk.run(s + 100.0)
    times = [note[-1] for note in node.notes]
    assert times == sorted(times, key=float)  # type: ignore[arg-type]
    assert [note[1] for note in node.notes if note[0] == "step"] == asked


# The line


def test_bytes_are_told_when_their_last_bit_has_ended_by_each_ones_own_clock() -> None:
    desk = Desk(5000.0, 0.0)
    begin = desk.world.now
    desk.send(0, b"frame")
    desk.run(1.0)
    end = begin + air_s(5, BAUD)
    assert desk.node(0).notes == []
    for index in (1, 2):
        slot = desk.world.slots[index]
        assert desk.node(index).notes == [("bytes", b"frame", pytest.approx(slot.offset + end * slot.rate))]


def test_a_bus_port_that_is_gone_is_told_and_cuts_the_station_off_until_it_is_back() -> None:
    desk = Desk(0.0)
    desk.world.bus_port(1, False)
    desk.send(0, b"unheard")
    desk.send(1, b"lost")
    desk.run(1.0)
    desk.world.bus_port(1, True)
    desk.send(0, b"heard")
    desk.run(1.0)
    assert [note[:2] for note in desk.node(1).notes] == [("bus", False), ("bus", True), ("bytes", b"heard")]
    assert desk.node(0).notes == []


# A process that stands still


def test_a_stalled_station_finds_afterwards_what_was_buffered() -> None:
    desk = Desk(0.0)
    due = desk.wake(1, 0.1)
    desk.world.stall(1, 0.9)
    for data in (b"one", b"two", b"three"):
        desk.send(0, data)
        desk.run(0.25)
    desk.world.touch(1, lambda plant, now: plant.turn(6, now))
    assert desk.node(1).notes == []
    desk.run(1.0)
    (_, inputs, woke), (_, said, heard), (_, stepped) = desk.node(1).notes
    assert isinstance(inputs, Inputs)
    assert (inputs.switch, said) == (6, b"onetwothree")
    assert woke == heard == stepped == pytest.approx(due + 0.8)


def test_a_short_stall_keeps_the_outputs_and_a_long_one_loses_them() -> None:
    desk = Desk()
    desk.close_contactor(0)
    desk.node(0).notes.clear()
    desk.world.stall(0, DEAD_MAN_S * 0.9)
    desk.run(DEAD_MAN_S * 2)
    assert desk.closed(0)
    assert desk.node(0).kinds() == ["inputs"]
    desk.world.stall(0, DEAD_MAN_S * 3)
    desk.run(DEAD_MAN_S * 0.99)
    assert desk.closed(0)
    desk.run(DEAD_MAN_S * 0.01 + CONTACTOR_S)
    assert not desk.closed(0)
    assert desk.node(0).notes == []
    desk.run(DEAD_MAN_S * 2)
    assert desk.node(0).kinds() == ["dropped", "inputs"]
    desk.close_contactor(0)
    desk.run(100.0)
    assert desk.closed(0)


def test_a_stall_within_a_stall_changes_nothing() -> None:
    desk = Desk()
    due = desk.wake(0, 0.1)
    desk.world.stall(0, 1.0)
    desk.run(0.5)
    desk.world.stall(0, 10.0)
    desk.run(1.0)
    assert desk.node(0).notes[-1] == ("step", pytest.approx(due + 0.9))


@pytest.mark.parametrize("way", ["restart", "power"])
def test_who_stalls_and_dies_is_never_resumed_and_leaves_no_bytes(way: str) -> None:
    desk = Desk(0.0)
    dead = desk.node(1)
    desk.world.stall(1, 5.0)
    desk.send(0, b"for nobody")
    desk.run(1.0)
    if way == "restart":
        desk.world.restart(1)
    else:
        desk.world.power_off(1)
        desk.world.power_on(1)
    desk.world.stall(1, 100.0)
    desk.run(10.0)  # the end of the first stall is not that of the second
    assert desk.node(1) is not dead
    assert dead.notes == []
    assert desk.world.slots[1].stalled
    desk.run(100.0)
    assert not any(note[0] == "bytes" for note in desk.node(1).notes)


# Power


def test_without_power_a_station_is_dark_deaf_and_dumb() -> None:
    desk = Desk(0.0)
    desk.close_contactor(1)
    life = desk.node(1)
    life.notes.clear()
    desk.wake(1, 1.0)
    desk.world.power_off(1)
    life.boot.board.bus.send(b"dumb")
    desk.send(0, b"deaf")
    desk.run(10.0)
    desk.world.power_off(1)
    slot = desk.world.slots[1]
    assert (slot.plant.drops, slot.plant.held) == (1, False)
    assert (slot.node, slot.plant.letter, slot.plant.contactor_closed) == (None, "E", False)
    assert life.notes == desk.node(0).notes == []


@pytest.mark.parametrize(("lose_state", "left"), [(False, b"record"), (True, b"")])
def test_a_new_life_has_its_record_and_chance_of_its_own(lose_state: bool, left: bytes) -> None:
    desk = Desk()
    drawn = []
    for _ in range(3):
        desk.node(0).boot.board.store.save(b"record")
        drawn.append(desk.node(0).boot.rng.random())
        desk.world.power_off(0)
        desk.run(1.0)
        desk.world.power_on(0, lose_state)
        desk.world.power_on(0, True)  # it is on already
        assert desk.node(0).boot.board.store.load() == left
    assert len(desk.lives) == 4
    assert len(set(drawn)) == 3


def test_a_restart_keeps_the_outputs_for_the_new_process_to_see() -> None:
    desk = Desk()
    desk.close_contactor(0)
    desk.node(0).boot.board.store.save(b"record")
    desk.world.restart(0)
    assert desk.node(0).boot.inputs.contactor_closed
    assert desk.node(0).boot.board.store.load() == b"record"
    desk.world.restart(0, lose_state=True)
    assert desk.node(0).boot.board.store.load() == b""
    desk.run(10.0)
    assert desk.closed(0)


def test_what_is_off_does_not_restart_or_stall() -> None:
    desk = Desk()
    desk.world.power_off(0)
    desk.world.restart(0)
    desk.world.stall(0, 1.0)
    desk.run(5.0)
    assert desk.world.slots[0].node is None
    desk.world.power_on(0)
    desk.wake(0, 1.0)
    desk.run(2.0)
    assert "step" in desk.node(0).kinds()


# Chance


def trace(seed: int) -> list[list[Note]]:
    """Three stations that chatter at random on a noisy line with collisions, one of which stalls and restarts."""
    desk = Desk(700.0, -9000.0, seed=seed)
    desk.world.line.noise(1e-3)
    for index in range(3):
        chatter(desk, index)
    desk.world.at(20.0, lambda: desk.world.stall(1, 0.7))
    desk.world.at(40.0, lambda: desk.world.restart(2))
    desk.world.at(40.0, lambda: chatter(desk, 2))
    desk.world.run(60.0)
    return [life.notes for life in desk.lives]


def chatter(desk: Desk, index: int) -> None:
    life = desk.node(index)
    rng: random.Random = life.boot.rng

    def say(now: float) -> None:
        life.boot.board.bus.send(rng.randbytes(20))
        life.due = now + rng.uniform(0.01, 0.3)

    life.on_step = say
    desk.wake(index, 0.0)


def test_one_seed_gives_one_world_and_another_seed_another() -> None:
    first = trace(1)
    assert len(first) == 4
    assert all(len(notes) > 100 for notes in first)
    assert trace(1) == first
    assert trace(2) != first


# Who looks on


def test_the_onlooker_is_called_for_the_station_that_changed() -> None:
    desk, seen = Desk(0.0), list[int]()
    desk.world.observe = seen.append
    desk.world.touch(1, lambda plant, now: plant.turn(3, now))
    desk.run(1.0)
    assert set(seen) == {1}
    desk.close_contactor(0)
    assert set(seen) == {0, 1}
