"""Ground: the sensor's trip, its self-test before each closing, and the monitor of protective earth.

A trip opens the contactor in the very step that hears of it. What Linux can't promise in time (a CCID20 has some
25 ms for a large leak) the sensor's own output has to do: it belongs into the contactor's coil circuit.
"""

from enum import Enum, auto
from math import inf

from firmware.protection import Faults
from hal.api import GroundFault, Inputs

TEST_S = 0.5  # the sensor has this long to trip when tested, and as long to let go (I)
LOCK_OUT_S = 10.0  # a ground fault this soon after closing is not tried again (a maker's rule; S)
MONITOR_S = 1.0  # protective earth is judged from here after closing (S)


class _Phase(Enum):
    READY = auto()
    TRIPPING = auto()
    RELEASING = auto()
    PASSED = auto()
    SETTLING = auto()
    """A test was broken off, or this process has just started: the trip is not judged yet."""


class GroundWatch:
    """Judges both sensors; what it finds goes to `faults`."""

    __slots__ = ("_closed_since", "_faults", "_inputs", "_phase", "_sensor", "deadline")

    def __init__(self, sensor: GroundFault, faults: Faults) -> None:
        self._sensor = sensor
        self._faults = faults
        self._phase = _Phase.READY
        self._closed_since = inf
        self._inputs: Inputs | None = None
        self.deadline = inf
        """When to step next; inf = nothing pending."""

    def start(self, now: float) -> None:
        """A former process may have died in the middle of a test."""
        self._drive(False, _Phase.SETTLING, now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """Both sensors, and whether the output is live."""
        self._closed_since = min(self._closed_since, now) if inputs.contactor_closed else inf
        self._inputs = inputs
        self.step(now)

    def tested(self, now: float) -> bool:
        """Test the sensor if that is not done. Whether it has passed; then the contactor may close."""
        if self._phase is _Phase.READY:
            self._drive(True, _Phase.TRIPPING, now)
        return self._phase is _Phase.PASSED

    def abandon(self, now: float) -> None:
        """The contactor is not to close now, or has been told to: the next closing needs a test of its own."""
        if self._phase is _Phase.PASSED:
            self._phase = _Phase.READY
        elif self._phase in (_Phase.TRIPPING, _Phase.RELEASING):
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
                self._rest(_Phase.PASSED)
            case _Phase.TRIPPING | _Phase.RELEASING if due:
                self._fail(now)
            case _Phase.SETTLING if due or not tripped:
                self._rest(_Phase.READY)
        self._judge(self._inputs, now)

    def _drive(self, test: bool, phase: _Phase, now: float) -> None:
        self._sensor.test(test)
        self._phase, self.deadline = phase, now + TEST_S

    def _rest(self, phase: _Phase) -> None:
        self._phase, self.deadline = phase, inf

    def _fail(self, now: float) -> None:
        self._drive(False, _Phase.SETTLING, now)
        self._faults.begin("ground_fault_self_test")

    def _judge(self, inputs: Inputs, now: float) -> None:
        if self._phase in (_Phase.READY, _Phase.PASSED):
            if inputs.ground_fault:
                self._faults.begin("ground_fault", final=now < self._closed_since + LOCK_OUT_S < inf)
            else:
                self._faults.end("ground_fault", now)
            self.deadline = self._closed_since + MONITOR_S if now < self._closed_since + MONITOR_S < inf else inf
        if not inputs.contactor_closed:
            self._faults.end("no_ground", now)
        elif not inputs.grounded and now >= self._closed_since + MONITOR_S:
            self._faults.begin("no_ground")
