"""Virtual time: any number of stations on one line, and a clock that jumps from event to event.

The world knows its nodes only as `hal.api.Node`. It owns what firmware can't be trusted with: the true time, each
station's drifting clock, the plants, the line, power, and processes that stand still.
"""

import random
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from hal.api import Board, Inputs, Node
from hal.simulated.board import MemoryStore, PlantBoard, PlantJournal
from hal.simulated.line import Line
from hal.simulated.plant import Plant

_APART_S = 1000.0  # clocks of different stations start this far apart: nobody may compare them


class Boot(NamedTuple):
    """What a station's firmware is started with."""

    station: int
    board: Board
    rng: random.Random
    inputs: Inputs
    now: float


class Slot:
    """One station of the world: its plant, its clock, its process."""

    __slots__ = (
        "board",
        "boots",
        "buffered",
        "bus_works",
        "heard_at",
        "latest",
        "node",
        "offset",
        "plant",
        "rate",
        "stalled",
        "told_works",
        "wake",
    )

    def __init__(self, plant: Plant, index: int, drift_ppm: float, board: PlantBoard) -> None:
        self.plant = plant
        self.board = board
        self.rate = 1 + drift_ppm / 1e6
        self.latest = -inf
        """The last time its clock has shown."""
        self.offset = index * _APART_S
        self.node: Node | None = None
        self.boots = 0
        self.bus_works = True
        self.told_works = True
        """What its node has been told of its port."""
        self.stalled = False
        self.buffered = b""
        self.heard_at = -inf
        """When the last byte arrived at its port, true time."""
        self.wake = inf
        """The node's next wakeup by its own clock."""

    def local(self, now: float) -> float:
        """Its clock, which never goes back, not by the last bit of a rounding either."""
        local = self.offset + now * self.rate
        if local > self.latest:
            self.latest = local
        return self.latest


class _Port:
    """A station's transmitter."""

    __slots__ = ("_index", "_world")

    def __init__(self, world: "World", index: int) -> None:
        self._world = world
        self._index = index

    def send(self, data: bytes) -> None:
        world, index = self._world, self._index
        world.overhear(index, data)
        heard_at, sent_at = world.slots[index].heard_at, world.line.busy_until(index)
        clear_at = (heard_at if heard_at > sent_at else sent_at) + world.silence_s
        world.line.send(index, data, clear_at if clear_at > world.now else world.now)


class World:
    """Stations, their line and their time. `boot` starts the firmware of one station."""

    def __init__(self, seed: int, baud: int, silence_s: float, boot: Callable[[Boot], Node]) -> None:
        """`silence_s`: t3.5, which every transmitter keeps before it sends."""
        self.now = 0.0
        self.silence_s = silence_s
        self.line = Line(baud, random.Random(f"{seed}/line"), self._deliver)
        self.slots: list[Slot] = []
        self.observe: Callable[[int], None] = lambda station: None
        """Called after anything that may have changed what an onlooker sees of a station."""
        self.record: Callable[[int, str, Mapping[str, object], float], None] = lambda station, event, fields, now: None
        """Called with each record of a station's event log and the true time."""
        self.overhear: Callable[[int, bytes], None] = lambda station, frame: None
        """Called with each frame that a station sends."""
        self._seed = seed
        self._boot = boot
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._due = [inf, inf]
        """When the line, the next event, each plant and each node want to run."""

    # Building it

    def add(self, plant: Plant, drift_ppm: float = 0.0) -> int:
        """A station that is not switched on yet; its number."""
        index = self.line.attach()
        journal = PlantJournal("simulated", lambda event, fields: self.record(index, event, fields, self.now))
        board = PlantBoard(plant, lambda: self.now, _Port(self, index), MemoryStore(), MemoryStore(), journal)
        slot = Slot(plant, index, drift_ppm, board)
        plant.on_inputs = lambda inputs: self._on_inputs(index, inputs)
        plant.on_current = lambda: self.observe(index)
        self.line.power(index, False)
        self.slots.append(slot)
        self._due += (inf, inf)
        return index

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Run `what` at a time, in the order of the calls for the same time."""
        self._sequence += 1
        heappush(self._events, (when, self._sequence, what))
        self._due[1] = self._events[0][0]

    # What can be done to a station

    def power_on(self, index: int, lose_state: bool = False) -> None:
        slot = self.slots[index]
        if slot.node is None:
            slot.plant.power_on(self.now)
            self.line.power(index, slot.bus_works)
            self._start(index, lose_state)

    def power_off(self, index: int) -> None:
        slot = self.slots[index]
        self._end(slot)
        slot.plant.power_off(self.now)
        self.line.power(index, False)
        self.refresh(index)

    def restart(self, index: int, lose_state: bool = False) -> None:
        """The process ends and a new one starts; the board keeps its power."""
        slot = self.slots[index]
        if slot.node is not None:
            self._end(slot)
            self._start(index, lose_state)

    def stall(self, index: int, for_s: float) -> None:
        """The process stands still; afterwards it finds what was buffered."""
        slot = self.slots[index]
        if slot.node is None or slot.stalled:
            return
        slot.stalled = True
        slot.plant.release_hold(self.now)
        boots = slot.boots
        self.at(self.now + for_s, lambda: self._resume(index, boots))
        self.refresh(index)

    def bus_port(self, index: int, works: bool) -> None:
        """The station's bus port vanishes or comes back, and its driver says so."""
        slot = self.slots[index]
        slot.bus_works = works
        self.line.power(index, works and slot.node is not None)
        self._tell_bus(slot)
        self.refresh(index)

    def _tell_bus(self, slot: Slot) -> None:
        if slot.node is not None and not slot.stalled and slot.told_works is not slot.bus_works:
            slot.told_works = slot.bus_works
            slot.node.on_bus(slot.bus_works, slot.local(self.now))

    def touch(self, index: int, verb: Callable[[Plant, float], None]) -> None:
        """Do something to a plant."""
        verb(self.slots[index].plant, self.now)
        self.refresh(index)

    # Time

    def next_wakeup(self) -> float:
        """When something happens next; inf = never."""
        return max(self.now, min(self._due))

    def run(self, until: float) -> None:
        """Let time pass."""
        due = self._due
        while (now := min(due)) <= until:
            which = due.index(now)
            if now < self.now:
                now = self.now  # a babble on a line that has been silent for a while
            self.now = now
            if which == 0:
                self.line.step(now)
                due[0] = self.line.next_wakeup()
            elif which == 1:
                _, _, what = heappop(self._events)
                due[1] = self._events[0][0] if self._events else inf
                what()
            elif which & 1:
                self._step_node((which - 3) >> 1)
            else:
                index = (which - 2) >> 1
                self.slots[index].plant.step(now)
                self.refresh(index)
        self.now = until

    def refresh(self, index: int) -> None:
        """After anything was done to a station: when it wants to run next, and what is to be seen."""
        self._plan(index)
        self.observe(index)

    def _plan(self, index: int) -> None:
        slot = self.slots[index]
        due, node = self._due, slot.node
        due[0] = self.line.next_wakeup()
        due[2 + 2 * index] = slot.plant.next_wakeup()
        if node is None or slot.stalled:
            due[3 + 2 * index] = inf
        else:
            slot.wake = node.next_wakeup()
            wake = (slot.wake - slot.offset) / slot.rate
            due[3 + 2 * index] = wake if wake > self.now else self.now

    def _step_node(self, index: int) -> None:
        slot = self.slots[index]
        assert slot.node is not None
        slot.latest = max(slot.wake, slot.local(self.now))
        slot.node.step(slot.latest)
        self.refresh(index)

    def _deliver(self, index: int, data: bytes, now: float) -> None:
        slot = self.slots[index]
        slot.heard_at = now
        if slot.stalled:
            slot.buffered += data
        elif slot.node is not None and slot.node.on_bytes(data, slot.local(now)):
            self.refresh(index)

    def _on_inputs(self, index: int, inputs: Inputs) -> None:
        slot = self.slots[index]
        if slot.node is not None and not slot.stalled:
            slot.node.on_inputs(inputs, slot.local(self.now))

    def _start(self, index: int, lose_state: bool) -> None:
        slot = self.slots[index]
        if lose_state:
            slot.board.store.save(b"")
            slot.board.session_store.save(b"")
        slot.boots += 1
        slot.plant.hold(self.now)
        rng = random.Random(f"{self._seed}/{index}/{slot.boots}")
        slot.node = self._boot(Boot(index, slot.board, rng, slot.plant.inputs, slot.local(self.now)))
        slot.told_works = True
        self._tell_bus(slot)
        self.refresh(index)

    def _end(self, slot: Slot) -> None:
        slot.node, slot.stalled, slot.buffered = None, False, b""
        slot.plant.release_hold(self.now)

    def _resume(self, index: int, boots: int) -> None:
        slot = self.slots[index]
        if not slot.stalled or slot.boots != boots or slot.node is None:
            return
        slot.stalled = False
        now = slot.local(self.now)
        if not slot.plant.hold(self.now):
            slot.node.on_outputs_dropped(now)
        slot.node.on_inputs(slot.plant.inputs, now)
        self._tell_bus(slot)
        data, slot.buffered = slot.buffered, b""
        if data:
            slot.node.on_bytes(data, now)
        self.refresh(index)
