"""The control pilot: amps to duty, voltages to state letters, and the filter that believes them (pure).

Source: SAE J1772 / IEC 61851-1 Annex A as collected in firmware/DESIGN.md, "Control pilot".
"""

from math import inf

from hal.api import PilotReading

SHORT = "E"
DIODE = "diode"
RANGE = "range"
STATION_FAULT = "F"

_NOMINAL = ((12.0, "A"), (9.0, "B"), (6.0, "C"), (3.0, "D"), (0.0, SHORT), (-12.0, STATION_FAULT))
_ASKING = {"C", "D"}
_WINDOW_V = 1.0  # detection windows are +-1 V around nominal (S)
_DIODE_LOW_V = -10.0  # the low plateau must stay below this, else the vehicle's diode is missing (S)
_QUICK_S = 0.025  # to A, and for leaving C or D (S/I)
_SLOW_S = 0.25  # all other changes (S/I)
_STALE_S = 1.0  # a board's answer to a verb may take as long where its driver is held up (I)


def duty(offer_da: int) -> float:
    """Duty (%) that advertises `offer_da` deciamps, 60 to 800."""
    amps = offer_da / 10
    return amps / 0.6 if amps <= 51 else amps / 2.5 + 64


def classify(reading: PilotReading, pwm_on: bool, before: str) -> str:
    """State letter A-F of one reading, or DIODE or RANGE; between two windows it stays what it was."""
    for nominal, letter in _NOMINAL:
        if abs(reading.high_v - nominal) <= _WINDOW_V:
            if pwm_on and letter in "BCD" and reading.low_v > _DIODE_LOW_V:
                return DIODE
            return letter
    if -_WINDOW_V <= reading.high_v <= 12.0 + _WINDOW_V:
        return before
    return RANGE


class PilotFilter:
    """Believes a pilot state once it has stood long enough."""

    __slots__ = ("_candidate", "_reading", "deadline", "seen", "since")

    def __init__(self) -> None:
        self.seen = "A"
        self.since = -inf
        self.deadline = inf
        self._candidate = "A"
        self._reading = PilotReading(12.0, 12.0)

    def on_reading(self, reading: PilotReading, pwm_on: bool, now: float) -> None:
        """Take a new reading."""
        self._judge(reading, pwm_on, now)
        if self._candidate != self.seen:
            self.deadline = min(self.deadline, now + self._delay(self._candidate))

    def on_pwm(self, pwm_on: bool, now: float) -> None:
        """The generator changed: the same voltages may mean something else. A diode is not judged by what was read
        before PWM began, as long as a slow board may still bring what it does now."""
        self._judge(self._reading, pwm_on, now)
        if self._candidate == DIODE != self.seen:
            self.deadline = now + _STALE_S

    def _judge(self, reading: PilotReading, pwm_on: bool, now: float) -> None:
        self._reading = reading
        candidate = classify(reading, pwm_on, self._candidate)
        if candidate != self._candidate:
            bounces = self.seen in _ASKING and not {candidate, self._candidate} & _ASKING
            self._candidate = candidate
            if not bounces:  # else C or D was left then, whatever it bounces among since
                self.deadline = inf if candidate == self.seen else now + self._delay(candidate)

    def step(self, now: float) -> bool:
        """Whether `seen` has changed."""
        if now < self.deadline:
            return False
        self.seen, self.since, self.deadline = self._candidate, now, inf
        return True

    def _delay(self, candidate: str) -> float:
        return _QUICK_S if candidate == "A" or self.seen in _ASKING else _SLOW_S
