"""One station of a modelled member with what is plugged into it: pilot and contactor, without faults and firmware.

It follows the order of events of `firmware.station`, in true seconds; the vehicle is the simulated one.
"""

from collections import deque
from dataclasses import replace
from math import inf

from firmware.bus.messages import CHARGING, CONNECTED, Status
from firmware.sharing.demand import Demand
from firmware.timing import (
    CLOSE_STABLE_S,
    MIN_OFFER_DA,
    OPEN_UNDER_LOAD_S,
    PILOT_HOLD_S,
    RESTART_PAUSE_S,
    Timing,
)
from firmware.wake import Wake
from hal.simulated.vehicle import Vehicle
from hal.simulated.vehicle_spec import VehicleSpec

_FIRST_PILOT_S = 10.0
_READY_S = 3.0
RAMP_STEP_A = 0.5
"""Ramps climb in steps of at least this, so that a day of many stations has fewer events."""


class Outlet:
    """`allowed_da` is the most that its pilot may say, set by `allow`."""

    __slots__ = (
        "_asked_at",
        "_asking",
        "_changed_at",
        "_demand",
        "_energy_kwh",
        "_lowered_at",
        "_not_before",
        "_past",
        "_plugged_at",
        "_reaction_s",
        "_settle_s",
        "_stopping_since",
        "_timer",
        "_told_to_wait",
        "_voltage_v",
        "_wake",
        "allowed_da",
        "closed",
        "pilot_da",
        "plug_ins",
        "powered",
        "vehicle",
        "wants",
    )

    def __init__(self, voltage_v: float, reaction_s: float, timing: Timing) -> None:
        """`reaction_s`: its vehicles follow their pilot within this."""
        self._voltage_v = voltage_v
        self._reaction_s = reaction_s
        self._settle_s = timing.settle_s
        self._demand = Demand(timing)
        self.vehicle: Vehicle | None = None
        self.allowed_da = self.pilot_da = self.plug_ins = 0
        self.closed = self.wants = False
        self.powered = True
        self._energy_kwh = 0.0
        """Of the vehicles that have left."""
        self._past: deque[tuple[float, int]] = deque()
        """Pilots of before: until when, how much."""
        self._plugged_at = self._changed_at = self._lowered_at = self._not_before = self._asked_at = -inf
        self._asking = self._told_to_wait = False
        self._stopping_since = self._timer = inf
        self._wake = Wake()

    # What it shows

    @property
    def offered_da(self) -> int:
        """What its pilot offers to be drawn: not the 6 A that let an idle vehicle ask."""
        return self.pilot_da if self.allowed_da >= MIN_OFFER_DA else 0

    @property
    def drawn_a(self) -> float:
        return self.vehicle.current_a if self.vehicle is not None else 0.0

    def exposed_da(self, now: float) -> int:
        """The most that any vehicle may draw here that follows its pilot in time."""
        if not self.closed:
            return 0
        self._prune(now)
        return max(self.pilot_da, max((amps for _, amps in self._past), default=0))

    def _prune(self, now: float) -> None:
        past = self._past
        while past and past[0][0] + self._reaction_s <= now:
            past.popleft()

    def energy_kwh(self, now: float) -> float:
        return self._energy_kwh + (self.vehicle.energy_kwh(now) if self.vehicle is not None else 0.0)

    def learn(self, now: float) -> None:
        """Look at what the vehicle makes of its offer."""
        if self.vehicle is None:
            return
        charging = self.closed and self._asking
        flags = CONNECTED | (CHARGING if charging else 0)
        self._demand.on_status(Status(0, 0, flags, self.pilot_da, round(self.drawn_a * 10), 0, 0), now)

    @property
    def cap_da(self) -> float:
        """No more would be used."""
        return inf if self._demand.cap_da is None else self._demand.cap_da

    # What happens to it

    def next_wakeup(self) -> float:
        if self.vehicle is None:
            return inf
        exposure = self._past[0][0] + self._reaction_s if self._past else inf
        return min(self._timer, exposure, self.vehicle.next_wakeup())

    def step(self, now: float) -> None:
        if self.vehicle is not None:
            self._prune(now)
            if self.vehicle.next_wakeup() <= now:
                self.vehicle.step(now)
            self._settle(now)

    def plug(self, spec: VehicleSpec, now: float) -> None:
        self.unplug(now)
        spec = replace(spec, ramp_step_a=max(spec.ramp_step_a, RAMP_STEP_A))
        self.vehicle = Vehicle(spec, self._voltage_v, now)
        self.plug_ins += 1
        self._plugged_at = now
        if self.powered:
            self.wants = True
            self._settle(now)

    def unplug(self, now: float) -> None:
        if self.vehicle is None:
            return
        self._energy_kwh += self.vehicle.energy_kwh(now)
        self.vehicle = None
        self._forget(now)
        self._demand.forget()

    def power(self, on: bool, now: float) -> None:
        """Without mains the contactor falls; a vehicle that is found at power-on counts as just plugged in."""
        self.powered = on
        if self.vehicle is not None:
            self.vehicle.on_contactor(False, now)
            self.vehicle.on_pilot(0.0, now)
        self._forget(now)
        self.allowed_da = 0
        if on and self.vehicle is not None:
            self.wants, self._plugged_at = True, now
            self._settle(now)

    def _forget(self, now: float) -> None:
        if self.pilot_da:
            self._lowered_at = now
        self.pilot_da = 0
        self.closed = self.wants = self._asking = self._told_to_wait = False
        self._stopping_since = inf
        self._wake.forget()
        self._past.clear()

    def allow(self, allowed_da: int, now: float) -> None:
        if allowed_da != self.allowed_da:
            self.allowed_da = allowed_da
            if self.vehicle is not None and self.powered:
                self._settle(now)

    # Decisions, made afresh after anything has happened

    def _due(self, at: float, now: float) -> bool:
        if now >= at:
            return True
        self._timer = min(self._timer, at)
        return False

    def _settle(self, now: float) -> None:
        vehicle = self.vehicle
        if vehicle is None or not self.powered:
            return
        changed = True
        while changed:
            self._timer = inf
            self._see(vehicle, now)
            changed = self._drive_pilot(vehicle, now) or self._drive_contactor(vehicle, now)

    def _see(self, vehicle: Vehicle, now: float) -> None:
        if vehicle.s2_closed == self._asking:
            return
        self._asking = vehicle.s2_closed
        if self._asking:
            self.wants, self._asked_at = True, now
            self._wake.forget()
        elif self.pilot_da and (self.closed or now >= self._asked_at + CLOSE_STABLE_S):
            self.wants = False  # by itself

    def _drive_pilot(self, vehicle: Vehicle, now: float) -> bool:
        want = self._wanted_da(now)
        if 0 < want < self.pilot_da and self.wants and not self.closed:
            want = 0  # closing waits until the higher pilot is forgotten
        before = self.pilot_da
        if want == before or (want > before > 0 and not self._due(self._changed_at + PILOT_HOLD_S, now)):
            return False
        self._past.append((now, before))
        self.pilot_da, self._changed_at = want, now
        if want < before:
            self._lowered_at = now
        if not want and self.closed:
            self._stopping_since, self._told_to_wait = now, True
        vehicle.on_pilot(want / 10, now)
        return True

    def _wanted_da(self, now: float) -> int:
        """What the pilot shall say, 0 = steady."""
        if self._stopping_since < inf:
            return 0
        if not self.pilot_da and not self._due(self._starts_at, now):
            return 0
        if self._asking and not self.pilot_da and not self._due(self._lowered_at + OPEN_UNDER_LOAD_S, now):
            return 0
        if self.allowed_da >= MIN_OFFER_DA:
            self._told_to_wait = False
            return 0 if self._waking(now) else self.allowed_da
        self._wake.pause()
        return MIN_OFFER_DA if not self.closed and self._may_ask(now) else 0

    @property
    def _starts_at(self) -> float:
        return max(self._not_before, self._lowered_at + self._settle_s - _READY_S + CLOSE_STABLE_S)

    def _may_ask(self, now: float) -> bool:
        """Whether it gets a pilot without amps: an idle one, and one that waits until it has asked."""
        if not self.wants:
            self._told_to_wait = False
            return True
        if self._asking:
            self._told_to_wait |= self._due(self._asked_at + _READY_S, now)
        return not self._told_to_wait and (self.pilot_da > 0 or self._due(self._plugged_at + _FIRST_PILOT_S, now))

    def _waking(self, now: float) -> bool:
        """One that does not ask on its offer is woken once by a step to steady, then it is taken as idle."""
        if self._asking:
            return False
        steady, until = self._wake.next_step(now)
        self.wants &= not self._due(until, now)
        return steady

    def _drive_contactor(self, vehicle: Vehicle, now: float) -> bool:
        if self.closed:
            if self._asking and not self._due(self._stopping_since + OPEN_UNDER_LOAD_S, now):
                return False
            self.closed, self._stopping_since, self._not_before = False, inf, now + RESTART_PAUSE_S
        elif self._may_close(now):
            self.closed = True
        else:
            return False
        vehicle.on_contactor(self.closed, now)
        return True

    def _may_close(self, now: float) -> bool:
        """A vehicle that asks, amps, and a pilot that has not been higher for a reaction."""
        return (
            self._asking
            and self.allowed_da >= self.pilot_da >= MIN_OFFER_DA
            and self._due(max(self._not_before, self._lowered_at + self._settle_s), now)
            and self._due(self._asked_at + CLOSE_STABLE_S, now)
        )
