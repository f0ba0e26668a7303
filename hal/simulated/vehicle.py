"""A vehicle at the connector: what it shows on the pilot and what it draws, in closed form.

Current is a staircase of steps of at most `STEP_A`, on the way up of the spec's `ramp_step_a`: it holds between
two wake-ups, so whoever looks at each change has seen every instant. The pilot reaches the charger through a delay
line of `reaction_s`, up and down alike: the slowest vehicle that the standard allows draws as before until its last
moment. Two ends differ: an offer after none is seen at once (its first ampere waits for `start_delay_s`), and PWM
off is obeyed within `PWM_OFF_S` at the latest, at once by a vehicle that does not ask.
"""

from collections import deque
from math import inf
from typing import Final

from hal.simulated.asking import Asking
from hal.simulated.circuit import B_OHM, C_OHM, D_OHM
from hal.simulated.vehicle_spec import VehicleSpec

STEP_A: Final = 0.1
PWM_OFF_S: Final = 3.0  # S: a vehicle in C must stop within this of losing PWM
TAPER_SOC: Final = 0.05  # S/I: the last part of a charge, over which the current falls
TAPER_FLOOR_A: Final = 1.0  # I
OVERDRAW: Final = 1.5
_EPSILON_A: Final = 1e-6


class Vehicle:
    """One plugged-in vehicle. Times are absolute seconds and must not go back; `current_a`, `s2_closed` and
    `possible_a` hold until `next_wakeup()` or the next verb."""

    __slots__ = (
        "_asking",
        "_asks_ohm",
        "_charge_due",
        "_charge_goal",
        "_conducting",
        "_delayed_a",
        "_energy_kwh",
        "_kw_per_a",
        "_line",
        "_module_a",
        "_offer_a",
        "_overdraws",
        "_ramp_due",
        "_s2_due",
        "_seen_a",
        "_since",
        "_soc",
        "_start_due",
        "_started",
        "current_a",
        "s2_closed",
        "spec",
    )

    def __init__(self, spec: VehicleSpec, voltage_v: float, now: float) -> None:
        self.spec = spec
        self._asking = Asking(spec, now)
        self._asks_ohm = D_OHM if spec.ventilated else C_OHM
        self.s2_closed = False
        self.current_a = 0.0
        self._kw_per_a = voltage_v / 1000.0
        self._soc = spec.soc  # at _since
        self._energy_kwh = 0.0  # at _since
        self._since = now
        self._offer_a = 0.0  # on the pilot now
        self._delayed_a = 0.0  # at the end of the delay line
        self._seen_a = 0.0  # what the charger goes by: differs from the above when it does not obey
        self._line: deque[tuple[float, float]] = deque()  # (when, offer), in order
        self._conducting = False
        self._started = False
        self._overdraws = False
        self._module_a = spec.max_a  # what the modules that run can take
        self._s2_due = self._start_due = self._ramp_due = self._charge_due = inf
        self._charge_goal = 1.0  # state of charge at _charge_due

    @property
    def ohm(self) -> float:
        """Its resistance on the pilot."""
        return self._asks_ohm if self.s2_closed else B_OHM

    @property
    def letter(self) -> str:
        """What it shows: B, or C or D when it asks."""
        if not self.s2_closed:
            return "B"
        return "D" if self.spec.ventilated else "C"

    @property
    def possible_a(self) -> float:
        """The most it may draw now by what its charger has seen of the pilot, whatever its battery wants."""
        if not self._conducting:
            return 0.0
        if self._overdraws:
            return OVERDRAW * self._seen_a
        return min(self.spec.max_a, max(self.spec.draw_ratio, 1.0) * self._seen_a)

    def energy_kwh(self, now: float) -> float:
        """Taken since it was plugged in."""
        return self._energy_kwh + self._taken_kwh(now)

    def soc(self, now: float) -> float:
        """State of charge, 0..1."""
        return min(1.0, self._soc + self._taken_kwh(now) / self.spec.battery_kwh)

    def next_wakeup(self) -> float:
        line = self._line[0][0] if self._line else inf
        return min(line, self._s2_due, self._start_due, self._ramp_due, self._charge_due)

    def step(self, now: float) -> None:
        """Everything due by `now`; `now` is not beyond the earliest of them."""
        while self._line and self._line[0][0] <= now:
            self._see(self._line.popleft()[1], now)
        if self._s2_due <= now:
            self._move_s2(now)
        if self._start_due <= now:
            self._start(now)
        if self._ramp_due <= now:
            self._climb(now)
        if self._charge_due <= now:
            self._reach_charge(now)

    def on_pilot(self, offer_a: float, now: float) -> None:
        """The pilot offers `offer_a` from now on, 0.0 = nothing (PWM off, an error, no station)."""
        if offer_a == self._offer_a:
            return
        if not (offer_a and self._offer_a):
            self._asking.on_pwm(offer_a > 0.0, now)
        self._offer_a = offer_a
        self._ask(now)
        if offer_a == 0.0:
            self._lose_pwm(now)
        elif self._delayed_a == 0.0 and not self._line:
            self._see(offer_a, now)  # nothing to draw as before: the first ampere waits for start_delay_s
        else:
            self._line.append((now + self.spec.reaction_s, offer_a))

    def on_contactor(self, closed: bool, now: float) -> None:
        """The contactor's main contacts moved."""
        self._conducting = closed
        if not closed:
            self._seen_a = self._delayed_a
            if self._seen_a == 0.0 and self.s2_closed:
                self._switch_s2(False, now)
        self._restart(now)

    def press_s3(self, now: float) -> None:
        """The driver presses the latch button to unplug it: the draw ends, S2 opens and stays open (SAE J1772: below
        1 A within 100 ms; S/M)."""
        self._asking.stop()
        self._switch_s2(False, now)

    def overdraw(self, on: bool, now: float) -> None:
        """Draw `OVERDRAW` times what is offered, above `max_a` too, or no longer."""
        self._overdraws = on
        self._retarget(now)

    def _lose_pwm(self, now: float) -> None:
        due = now
        if self.s2_closed:
            due += min(self.spec.reaction_s, PWM_OFF_S)
        while self._line and self._line[-1][0] >= due:
            self._line.pop()  # a slower change from before it
        if due > now:
            self._line.append((due, 0.0))
        else:
            self._see(0.0, now)

    def _see(self, offer_a: float, now: float) -> None:
        """A change leaves the delay line."""
        self._delayed_a = offer_a
        refuses = self._conducting and not self.spec.obeys
        self._seen_a = max(self._seen_a, offer_a) if refuses else offer_a
        if self._seen_a == 0.0 and self.s2_closed:
            self._switch_s2(False, now)
        else:
            self._retarget(now)

    def _ask(self, now: float) -> None:
        """Plan to close S2 while the pilot offers something; a glitch under way keeps its end."""
        if self.s2_closed:
            return
        if self._offer_a == 0.0:
            self._s2_due = inf
        elif self._s2_due == inf:
            self._s2_due = self._asking.closes_at(now)

    def _move_s2(self, now: float) -> None:
        """S2 moves by itself."""
        if not self.s2_closed and self._soc >= 1.0:
            self._soc = 1.0 - self.spec.top_up_kwh / self.spec.battery_kwh  # used since it was full
        self._switch_s2(not self.s2_closed, now)

    def _switch_s2(self, closed: bool, now: float) -> None:
        self.s2_closed = closed
        self._s2_due = self._asking.opens_at(now) if closed else inf
        self._ask(now)
        self._restart(now)

    def _restart(self, now: float) -> None:
        """Start counts from when both the contactor and S2 are closed."""
        self._started, self._module_a = False, self.spec.first_module_a or self.spec.max_a
        ready = self._conducting and self.s2_closed
        self._start_due = now + self.spec.start_delay_s if ready else inf
        self._retarget(now)

    def _start(self, now: float) -> None:
        """The first module begins to draw, or the second."""
        self._start_due = inf
        if self._started:
            self._module_a = self.spec.max_a
        elif self._module_a < self.spec.max_a:
            self._start_due = now + self.spec.second_module_s
        self._started = True
        self._retarget(now)

    def _target_a(self) -> float:
        spec = self.spec
        if not self._started:
            return 0.0
        if self._overdraws:
            return OVERDRAW * self._seen_a
        if self._seen_a < spec.min_a:
            return 0.0
        taper = max(TAPER_FLOOR_A, spec.max_a * (1.0 - self._soc) / TAPER_SOC)
        return min(self._module_a, spec.draw_ratio * self._seen_a, taper)

    def _retarget(self, now: float) -> None:
        """Fall to the target at once, or begin to climb to it (a climb under way keeps its pace)."""
        self._accrue(now)
        target, ramp = self._target_a(), self.spec.ramp_a_per_s
        if ramp > 0.0 and target > self.current_a + _EPSILON_A:
            if self._ramp_due == inf:
                self._ramp_due = now + self.spec.ramp_step_a / ramp
        else:
            self.current_a, self._ramp_due = target, inf
        self._plan_charge(now)

    def _climb(self, now: float) -> None:
        self._accrue(now)
        self.current_a = min(self._target_a(), self.current_a + self.spec.ramp_step_a)
        self._ramp_due = inf
        self._retarget(now)

    def _plan_charge(self, now: float) -> None:
        """When, at this current, the taper bites by one more step or the battery is full."""
        current = self.current_a
        if current <= 0.0:
            self._charge_due = inf
            return
        self._charge_goal = 1.0
        if current > TAPER_FLOOR_A + _EPSILON_A and not self._overdraws:
            limit = max(current - STEP_A, TAPER_FLOOR_A)
            self._charge_goal = 1.0 - limit * TAPER_SOC / self.spec.max_a
        missing_kwh = (self._charge_goal - self._soc) * self.spec.battery_kwh
        self._charge_due = now + max(0.0, missing_kwh * 3600.0 / (current * self._kw_per_a))

    def _reach_charge(self, now: float) -> None:
        self._accrue(now)
        self._soc = self._charge_goal  # exactly, whatever the rounding of the time was
        if self._soc >= 1.0:
            self._asking.on_full(now)
            self._switch_s2(False, now)
        else:
            self._retarget(now)

    def _taken_kwh(self, now: float) -> float:
        return self.current_a * self._kw_per_a * (now - self._since) / 3600.0

    def _accrue(self, now: float) -> None:
        taken = self._taken_kwh(now)
        self._energy_kwh += taken
        self._soc += taken / self.spec.battery_kwh
        self._since = now
