"""A station on its plant in virtual time, and a primary that grants by hand."""

from collections.abc import Callable, Iterator
from math import inf

from firmware.bus.messages import AVAILABLE, WANTS, Grant, Reason, Status
from firmware.station import Station
from firmware.timing import Timing
from hal.api import BusPort, Inputs, PilotReading
from hal.simulated.board import MemoryStore, PlantBoard, PlantJournal
from hal.simulated.circuit import B_OHM, C_OHM, D_OHM, Drive, plateaus
from hal.simulated.plant import Plant, Snapshot
from hal.simulated.vehicle_spec import VehicleSpec

TIMING = Timing()
POLL_S = TIMING.poll_s
CAR = VehicleSpec("car", start_delay_s=0.0, ramp_a_per_s=0.0)
FULL = VehicleSpec("full", soc=1.0)
REFUSER = VehicleSpec("refuser", start_delay_s=0.0, ramp_a_per_s=0.0, obeys=False)
_OHM = {"A": None, "B": B_OHM, "C": C_OHM, "D": D_OHM}
EDGE_S = 1e-6
"""Virtual clocks are exact up to the rounding of floats."""

SILENT = PlantJournal("test", lambda event, fields: None)


class _NoBus(BusPort):
    def send(self, data: bytes) -> None:
        raise AssertionError("a station alone says nothing on the bus")


class Evse:
    """A station on its plant, and a primary that grants `amps` whenever the vehicle wants current."""

    def __init__(self, amps: float = 32.0, *, ready: bool = True, rating_da: int = 480) -> None:
        self.now = 0.0
        self.amps = amps
        self.granting = True
        """Whether the primary is there at all."""
        self.plant = Plant(switch=15)
        self.plant.hold(self.now)
        self.plant.on_inputs = self._sense
        self.log: list[tuple[float, Snapshot]] = []
        """The plant after each change."""
        self.sensed: list[tuple[float, Inputs]] = []
        """What the board sensed, each time that it changed."""
        self.status: Status | None = None
        self._number = 0
        self._poll_at = 0.0
        self.stalled = False
        self._hand: Callable[[], PilotReading] | None = None
        board = PlantBoard(self.plant, lambda: self.now, _NoBus(), MemoryStore(), MemoryStore(), SILENT)
        self.station = Station(board, TIMING, rating_da)
        self.station.start(self.plant.inputs, self.now)
        if ready:
            self.station.set_ready(True, self.now)
        self.run(TIMING.settle_s)  # what the pilot said before the start is not known

    # Time

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self._due()) <= end:
            self.now = max(self.now, due)
            self.plant.step(self.now)
            if not self.stalled:
                self._work()
            self._note()
        self.now = end

    def _work(self) -> None:
        if self._hand is not None:
            self._sense(self.plant.inputs)
        self.station.step(self.now)
        if self.now >= self._poll_at:
            self._poll()

    def stall(self, seconds: float) -> None:
        """The station's process stands still."""
        self.stalled = True
        self.plant.release_hold(self.now)
        self.run(seconds)
        self.stalled = False
        if not self.plant.hold(self.now):
            self.station.on_outputs_dropped(self.now)
        self._sense(self.plant.inputs)

    def until(self, done: Callable[[], bool], within_s: float = 60.0) -> float:
        """Seconds until `done`, to a millisecond; inf when it does not happen."""
        begin = self.now
        while not done():
            if self.now - begin > within_s:
                return inf
            self.run(0.001)
        return self.now - begin

    def _due(self) -> float:
        if self.stalled:
            return self.plant.next_wakeup()
        return min(self.plant.next_wakeup(), self.station.next_wakeup(), self._poll_at)

    def _poll(self) -> None:
        self._poll_at = self.now + POLL_S
        if self.granting:
            self.status = self.station.report(self.now)
            wants = self.status.flags & WANTS and self.status.flags & AVAILABLE
            self.grant(self.amps if wants else 0.0)

    def grant(self, amps: float, question: int | None = None) -> bool:
        """One grant that answers the last report, or another question. Whether it was believed."""
        self._number += 1
        asked = self.status.question if self.status is not None and question is None else question or 0
        grant = Grant(self._number, asked, round(amps * 10), 50, self.station.rating_da, Reason.SHARE)
        return self.station.take(grant, self.now)

    def _sense(self, inputs: Inputs) -> None:
        self.sensed.append((self.now, inputs))
        if self.stalled:
            return
        if self._hand is not None:
            inputs = inputs._replace(pilot=self._hand())
        self.station.on_inputs(inputs, self.now)

    def _note(self) -> None:
        snapshot = self.plant.snapshot()
        if not self.log or snapshot != self.log[-1][1]:
            self.log.append((self.now, snapshot))

    # The vehicle

    def plug(self, spec: VehicleSpec = CAR) -> None:
        self.plant.plug(spec, self.now)

    def unplug(self) -> None:
        self.plant.unplug(self.now)

    def show(self, letter: str) -> None:
        """From now on the pilot is held at a state by hand, whatever is plugged in."""
        self._hand = lambda: self._reading(letter)
        self._sense(self.plant.inputs)

    def hold_pilot(self, high_v: float, low_v: float) -> None:
        """From now on the board reads these voltages, whatever the generator does."""
        self._hand = lambda: PilotReading(high_v, low_v)
        self._sense(self.plant.inputs)

    def _reading(self, letter: str) -> PilotReading:
        if letter == "E":
            return PilotReading(0.0, 0.0)
        drive = Drive.FAULT if self.station.state == "F" else Drive.PWM if self.station.offered_da else Drive.STEADY
        return plateaus(drive, _OHM[letter])

    def charge(self, spec: VehicleSpec = CAR) -> None:
        """Plug a vehicle in and wait until it draws."""
        self.plug(spec)
        assert self.until(lambda: self.plant.current_a > 0) < 10
        self.run(6.0)

    def charge_by_hand(self, letter: str = "C") -> None:
        self.show("B")
        assert self.until(lambda: self.offered_a > 0) < 10
        self.show(letter)
        assert self.until(lambda: self.plant.contactor_closed) < 3

    # What is seen

    @property
    def closed(self) -> bool:
        return self.plant.contactor_closed

    @property
    def offered_a(self) -> float:
        return self.plant.offered_a

    @property
    def fault(self) -> str:
        return self.station.faults.worst

    def first(self, seen: Callable[[Snapshot], bool], since: float = 0.0) -> float:
        """When the plant was first seen so."""
        return next(at for at, snapshot in self.log if at >= since and seen(snapshot))

    def opened_after(self, begin: float) -> float:
        """Seconds from `begin` until the contacts were open."""
        return self.first(lambda seen: not seen.contactor_closed, since=begin) - begin


PHASES = 24


def at_every_phase(spec: VehicleSpec = CAR) -> Iterator[Evse]:
    """A station that charges, between two polls, at many moments."""
    for phase in range(PHASES):
        evse = Evse()
        evse.charge(spec)
        evse.run(10 + POLL_S * phase / PHASES)
        yield evse
