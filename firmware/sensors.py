"""Meter, thermometer and ground sensors: what they say, what it proves, and the faults that come of it."""

from firmware.bus.messages import NO_CURRENT
from firmware.current import FAILED_S, CurrentWatch
from firmware.energy import Energy
from firmware.faults import Faults
from firmware.ground import GroundWatch
from firmware.temperature import Temperature
from hal.api import Board, Inputs

SAMPLE_S = 2.0  # thermometer, and the meter where nobody asks more often (I)


class Sensors:
    """Everything a station measures besides the pilot. Amps are deciamps."""

    __slots__ = (
        "_board",
        "_faults",
        "_rating_da",
        "_sample_at",
        "_temperature",
        "ceiling_da",
        "celsius",
        "current",
        "drawn_da",
        "energy",
        "ground",
    )

    def __init__(self, board: Board, faults: Faults, rating_da: int) -> None:
        self._board = board
        self._faults = faults
        self._rating_da = rating_da
        self._temperature = Temperature()
        self._sample_at = 0.0
        self.ground = GroundWatch(board.ground_fault, faults)
        self.current = CurrentWatch(board.meter, rating_da / 10)
        self.energy = Energy()
        self.ceiling_da = rating_da
        """What the temperature leaves of the rating."""
        self.drawn_da = NO_CURRENT
        """The current at the last reading; NO_CURRENT when the meter shows none."""
        self.celsius = float("nan")

    def start(self, now: float) -> None:
        """A new process, or outputs that were let go."""
        self._sample_at = now
        self.ground.start(now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """The board senses something new."""
        self.ground.on_inputs(inputs, now)

    @property
    def deadline(self) -> float:
        """When to step next."""
        due = self._sample_at + SAMPLE_S  # spare for the reports that read everything meanwhile
        if self.current.bad:
            due = min(due, self.current.read_at + FAILED_S)
        return min(due, self.ground.deadline)

    def step(self, offered_da: int, closed: bool, now: float) -> None:
        """Read what is due."""
        self.ground.step(now)
        if now >= self._sample_at or (self.current.bad and now >= self.current.read_at + FAILED_S):
            self.read(offered_da, closed, now)

    def read(self, offered_da: int, closed: bool, now: float) -> bool:
        """Read the meter, and the thermometer when that is due. Whether a fault or the ceiling has changed."""
        current = self.current
        self.drawn_da = current.read(offered_da, closed, now)
        if closed or self.energy.flows:
            self.energy.add(current.amps if closed else 0.0, self._board.meter.voltage_v(), now)
        changed = current.overdrawn and self._faults.begin("overdraw")
        if current.bad or self._faults.worst:
            for code in ("meter", "meter_implausible"):
                changed |= self._mark(code, current.failed == code, current.bad != code, now)
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_S
            changed |= self._feel(now)
        return changed

    def _feel(self, now: float) -> bool:
        temperature, before = self._temperature, self.ceiling_da
        self.celsius = self._board.thermometer.celsius()
        temperature.read(self.celsius)
        self.ceiling_da = int(self._rating_da * temperature.share)
        changed = self._mark("thermometer", temperature.lost, not temperature.lost, now)
        changed |= self._mark("over_temperature", temperature.too_hot, not temperature.too_hot, now)
        return changed or self.ceiling_da != before

    def _mark(self, code: str, present: bool, gone: bool, now: float) -> bool:
        """Begin or end a fault. Whether that is new."""
        if present:
            return self._faults.begin(code)
        return gone and self._faults.end(code, now)
