"""Ground: the sensor's trip, its self-test before each closing, and the monitor of protective earth.

A trip opens the contactor in the very step that hears of it. What Linux can't promise in time (a CCID20 has some
25 ms for a large leak) the sensor's own output has to do: it belongs into the contactor's coil circuit.
"""

from enum import Enum, auto
from math import inf

from firmware.faults import Faults
from hal.api import GroundFault, Inputs

TEST_S = 0.5  # the sensor has this long to trip when tested, and as long to let go (I)
LOCK_OUT_S = 10.0  # a ground fault this soon after closing is not tried again (a maker's rule; S)
MONITOR_S = 1.0  # protective earth is judged from here after closing (S), and missed when it is gone as long (I)
_VOIDS = 3  # tests in a row that a trip of its own may spoil before the closing (I)
_OPENED_S = 0.1  # a trip this soon after the contactor opened is the leak that opened it (I)


class _Phase(Enum):
    READY = auto()
    CLEARING = auto()
    """To be tested, but it has tripped already."""
    TRIPPING = auto()
    RELEASING = auto()
    PASSED = auto()
    SETTLING = auto()
    """A test was broken off, or this process has just started: the trip is not judged yet."""


class GroundWatch:
    """Judges both sensors; what it finds goes to `faults`."""

    __slots__ = (
        "_closed_at",
        "_faults",
        "_inputs",
        "_opened_at",
        "_passed_at",
        "_phase",
        "_sensor",
        "_ungrounded_since",
        "_voids",
        "deadline",
    )

    def __init__(self, sensor: GroundFault, faults: Faults) -> None:
        self._sensor = sensor
        self._faults = faults
        self._phase = _Phase.READY
        self._passed_at = self._closed_at = self._opened_at = -inf
        self._voids = 0
        """How often the sensor has tripped by itself between its test and the closing."""
        self._ungrounded_since = inf
        """Since when a live output has no protective earth; inf = it has."""
        self._inputs: Inputs | None = None
        self.deadline = inf
        """When to step next; inf = nothing pending."""

    def start(self, now: float) -> None:
        """A former process may have died in the middle of a test."""
        self._drive(False, _Phase.SETTLING, now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """Both sensors, and whether the output is live."""
        was_closed = self._inputs is not None and self._inputs.contactor_closed
        if inputs.contactor_closed and not was_closed:
            if now >= self._opened_at + _OPENED_S:  # else it bounces
                self._closed_at = now
        elif was_closed and not inputs.contactor_closed:
            self._opened_at = now
        self._inputs = inputs
        self.step(now)

    def tested(self, after: float, now: float) -> bool:
        """Test the sensor if that was not done since `after`. Whether it has passed; then the contactor may close."""
        if self._phase is _Phase.PASSED and self._passed_at < after:
            self._phase = _Phase.READY
        if self._phase is _Phase.READY and self._inputs is not None:
            tripped = self._inputs.ground_fault
            self._drive(not tripped, _Phase.CLEARING if tripped else _Phase.TRIPPING, now)
        return self._phase is _Phase.PASSED

    def abandon(self, now: float) -> None:
        """The contactor is not to close now, or has been told to: the next closing needs a test of its own."""
        self._voids = 0
        if self._phase is _Phase.PASSED:
            self._phase = _Phase.READY
        elif self._phase in (_Phase.CLEARING, _Phase.TRIPPING, _Phase.RELEASING):
            self._drive(False, _Phase.SETTLING, now)

    def step(self, now: float) -> None:
        """What has come or is due."""
        if self._inputs is None:
            return
        tripped, due = self._inputs.ground_fault, now >= self.deadline
        match self._phase:
            case _Phase.TRIPPING if tripped:
                self._drive(False, _Phase.RELEASING, now)
            case _Phase.RELEASING if not tripped:
                self._phase, self._passed_at = _Phase.PASSED, now
            case _Phase.CLEARING if not tripped:
                self._phase = _Phase.READY
            case _Phase.PASSED if tripped and not self._inputs.contactor_closed:
                self._voids += 1
                self._phase = _Phase.READY
                if self._voids >= _VOIDS:
                    self._fail(now)
            case _Phase.CLEARING | _Phase.TRIPPING | _Phase.RELEASING if due:
                self._fail(now)
            case _Phase.SETTLING if due or not tripped:
                self._phase = _Phase.READY
        if self._phase in (_Phase.READY, _Phase.PASSED):
            self.deadline = inf
            self._judge_trip(self._inputs, now)
        self._judge_earth(self._inputs, now)

    def _drive(self, test: bool, phase: _Phase, now: float) -> None:
        self._sensor.test(test)
        self._phase, self.deadline = phase, now + TEST_S

    def _fail(self, now: float) -> None:
        self._drive(False, _Phase.SETTLING, now)
        self._faults.begin("ground_fault_self_test")

    def _judge_trip(self, inputs: Inputs, now: float) -> None:
        """Nothing can leak behind an open contactor: a trip there is the sensor's own, and the next test's matter."""
        if inputs.ground_fault and (inputs.contactor_closed or now < self._opened_at + _OPENED_S):
            self._faults.begin("ground_fault", final=now < self._closed_at + LOCK_OUT_S)
        elif not inputs.ground_fault or now >= self._opened_at + TEST_S:
            self._faults.end("ground_fault", now)
        if inputs.ground_fault and now < self._opened_at + TEST_S:
            self.deadline = self._opened_at + TEST_S

    def _judge_earth(self, inputs: Inputs, now: float) -> None:
        if inputs.grounded or not inputs.contactor_closed:
            self._ungrounded_since = inf
            if not inputs.contactor_closed:
                self._faults.end("no_ground", now)
        else:
            self._ungrounded_since = min(self._ungrounded_since, now)
            if now >= self._ungrounded_since + MONITOR_S:
                self._faults.begin("no_ground")
            else:
                self.deadline = min(self.deadline, self._ungrounded_since + MONITOR_S)
