"""A board and its worst vehicle, without a world: it may draw the most it was offered within its reaction time."""

from math import inf

from hal.api import BusPort, Indicator, Inputs, Journal, PilotReading, Store
from hal.simulated.circuit import duty_to_amps

_VOLTS = {"A": 12.0, "B": 9.0, "C": 6.0}


class Outlet:
    """An outlet, its vehicle, and their board, in true seconds; its meter shows nothing."""

    bus: BusPort
    store: Store
    session_store: Store
    indicator: Indicator
    journal: Journal

    def __init__(self, letter: str, reaction_s: float) -> None:
        self.now = 0.0
        self.letter = letter
        self.reaction_s = reaction_s
        self.offers: list[tuple[float, int]] = [(-inf, 0)]
        """(since when, deciamps) of the pilot."""
        self.live = False
        self.testing = False
        """Its ground-fault sensor is being tested, and trips at once."""
        self.pilot = self.contactor = self.meter = self.ground_fault = self.thermometer = self

    def inputs(self) -> Inputs:
        volts = _VOLTS[self.letter]
        low = -12.0 if self.offers[-1][1] else volts
        return Inputs(0, PilotReading(volts, low), self.live, self.testing)

    def possible_da(self) -> int:
        """The most that the vehicle may draw now."""
        if not self.live:
            return 0
        ends = [*(since for since, _ in self.offers[1:]), inf]
        seen = self.now - self.reaction_s
        return max(amps for (_, amps), end in zip(self.offers, ends, strict=True) if end > seen)

    def _offer(self, amps_da: int) -> None:
        self.offers = [*self.offers[-30:], (self.now, amps_da)]

    # The board's verbs

    def steady(self) -> None:
        self._offer(0)

    def pwm(self, duty: float) -> None:
        self._offer(round(duty_to_amps(duty) * 10))

    def fault(self) -> None:
        self._offer(0)

    def close(self) -> None:
        self.live = True

    def open(self) -> None:
        self.live = False

    def current_a(self) -> float:
        return 0.0

    def voltage_v(self) -> float:
        return 240.0

    def test(self, on: bool) -> None:
        self.testing = on

    def celsius(self) -> float:
        return 25.0
