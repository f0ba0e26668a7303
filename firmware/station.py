"""The EVSE: pilot, contactor and faults of one station, driven by what its lease allows.

The ways between states are the table in `firmware.states`; this file says when they are taken. Every decision is
made afresh in `_settle` after anything has happened, from the state, the lease and a handful of times; so nothing
depends on the order of events. Whatever is not allowed now but will be later sets a timer.
"""

from collections.abc import Callable
from math import inf

from transitions import Machine

from firmware import pilot
from firmware.bus.messages import AVAILABLE, CHARGING, CONNECTED, HOLDS, WANTS, Grant, Status
from firmware.contactor import ContactorWatch
from firmware.faults import Faults
from firmware.protection import NUMBER
from firmware.sensors import Sensors
from firmware.sharing.lease import LeaseHolder
from firmware.states import STATES, TRANSITIONS, TRIGGER_OF_LETTER
from firmware.timing import (
    CLOSE_STABLE_S,
    MIN_OFFER_DA,
    OPEN_UNDER_LOAD_S,
    PILOT_HOLD_S,
    RESTART_PAUSE_S,
    Timing,
)
from firmware.wake import Wake
from hal.api import Board, Inputs

_GRACE_S = 10.0  # a vehicle that just came gets its first pilot with its first grant, if that comes this soon;
# after that 6 A behind an open contactor
_FIRST_PILOT_S = 15.0  # and by now, group or not: some give up when the pilot is withheld for 20-30 s (S)
_READY_S = 3.0  # PWM in C means supply within this (S): a vehicle that must wait longer is told so by steady
_CLOSING_S = 0.4  # spare for the contactor itself

_MACHINE = Machine(model=None, states=list(STATES), transitions=TRANSITIONS, initial="A1", auto_transitions=False)


class Station:
    """One EVSE over its board. Amps are deciamps (da), times absolute seconds of the clock handed in."""

    trigger: Callable[[str], bool]
    state: str

    def __init__(self, board: Board, timing: Timing, rating_da: int) -> None:
        _MACHINE.add_model(self)
        _MACHINE.remove_model(self)  # the ways are bound to the station now; the machine need not remember it
        self._board = board
        self._timing = timing
        self.rating_da = rating_da
        self.holder = LeaseHolder(timing.lease_s)
        self.group_ready = False
        """Whether a live primary stands behind this station, so that a vehicle may be told to ask."""
        self.wants = False
        """The vehicle wants current: from plug-in until it leaves C by itself with PWM on."""
        self.connected: bool | None = False
        """Whether a vehicle is there; None where the pilot can't tell."""
        self.offered_da = 0
        self._online_da = rating_da
        self.faults = Faults()
        self.sensors = Sensors(board, self.faults, rating_da)
        self._filter = pilot.PilotFilter()
        self._contactor = ContactorWatch(board.contactor)
        self._changed_at = -inf
        self._lowered_at = -inf
        self._stopping_since: float | None = None
        self._not_before = -inf
        self._plugged_at = -inf
        self._first_pilot_by = inf
        self._ready_at = -inf
        """Since when amps may come: there is a group, and no fault keeps the station from charging."""
        self._wake = Wake()
        self._entered_c = -inf
        self._told_to_wait = False
        """It has asked and was answered with steady: it knows that this station is there but not ready."""
        self._timers = inf

    # What happens to it

    def next_wakeup(self) -> float:
        lease = self.holder.expires_at
        return lease if lease < self._timers else self._timers

    def step(self, now: float) -> None:
        """Run what is due."""
        if now >= self.next_wakeup():
            self._settle(now)

    def start(self, inputs: Inputs, now: float) -> None:
        """Put the outputs into their safe state and look at the world for the first time."""
        self._contactor.open(now)
        self._board.pilot.steady()
        self.sensors.start(now)
        self._lowered_at = now  # what the pilot said before is not known
        self.on_inputs(inputs, now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """The board senses something new."""
        self._filter.on_reading(inputs.pilot, self.offered_da > 0, now)
        self._contactor.on_feedback(inputs.contactor_closed, now)
        self.sensors.on_inputs(inputs, now)
        self._settle(now)

    def on_outputs_dropped(self, now: float) -> None:
        """The dead-man let go: the contactor is open and the pilot steady, whatever was asked."""
        self._give_up(now)
        self.sensors.start(now)
        if self.offered_da and self.state[0] in "BCD":
            self.trigger("pwm_off")
        self._stop_pilot(now)
        (self._board.pilot.fault if self.state == "F" else self._board.pilot.steady)()
        self._settle(now)

    def take(self, grant: Grant, now: float) -> bool:
        """A grant arrived. Whether it was believed."""
        before = self.holder.amps_da
        if not self.holder.accept(grant, self.rating_da, now):
            return False
        if self.holder.amps_da != before:
            self._settle(now)
        return True

    @property
    def leased_da(self) -> int:
        """What it holds, as far as its controller lets it."""
        return min(self.holder.amps_da, self._online_da)

    def cap(self, online_da: int | None, now: float) -> None:
        """The most that its controller lets it offer, whatever its group grants; None = it has none."""
        cap = self.rating_da if online_da is None else online_da
        if cap != self._online_da:
            self._online_da = cap
            self._settle(now)

    def set_ready(self, ready: bool, now: float) -> None:
        """A live primary stands behind this station, or no longer does."""
        if ready != self.group_ready:
            self.group_ready, self._ready_at = ready, now
            self._settle(now)

    def join(self, now: float) -> None:
        """A new session begins: nothing of the last one counts."""
        self.leave(now)
        self.holder = LeaseHolder(self._timing.lease_s, self.holder)

    def leave(self, now: float) -> None:
        """The group is gone: offer nothing."""
        self.group_ready = False
        self.holder.end()
        self._settle(now)

    def report(self, now: float) -> Status:
        """A report, which is the question for the next grant."""
        if self.sensors.read(self.offered_da, self.closed, now):
            self._settle(now)
        else:
            self.step(now)
        holds = self.holder.amps_da > 0 or self.feeds
        flags = (
            (WANTS if self.wants else 0)
            | (HOLDS if holds else 0)
            | (CHARGING if self.closed and self.state in ("C2", "D2") else 0)
            | (CONNECTED if self.state[0] in "BCD" else 0)
            | (0 if self.faults.blocking else AVAILABLE)
        )
        question = self.holder.ask(now, idle=not holds)
        number, sensors = NUMBER.get(self.faults.worst, 0), self.sensors
        return Status(
            question, self.holder.number, flags, self.offered_da, sensors.drawn_da, sensors.ceiling_da, number
        )

    # Faults

    @property
    def closed(self) -> bool:
        """Feedback: the output is live."""
        return self._contactor.closed

    @property
    def feeds(self) -> bool:
        """The contactor is not known to be open, or is about to close."""
        return self._contactor.closed or self._contactor.commanded

    def set_fault(self, code: str, now: float) -> None:
        """The cause of a fault is there."""
        if self.faults.begin(code):
            self._settle(now)

    def end_fault(self, code: str, now: float) -> None:
        """The cause of a fault is gone."""
        if self.faults.end(code, now):
            self._settle(now)

    def mark_fault(self, code: str, present: bool, now: float) -> None:
        """The cause of a fault is there, or is not."""
        (self.set_fault if present else self.end_fault)(code, now)

    # Decisions

    def _due(self, at: float, now: float) -> bool:
        """Whether a time has come; if not, wake up then."""
        if now >= at:
            return True
        self._timers = min(self._timers, at)
        return False

    def _settle(self, now: float) -> None:
        self._timers = inf
        self.holder.step(now)
        if self._filter.step(now):
            self._see(self._filter.seen, now)
        self.sensors.step(self.offered_da, self.closed, now)
        self._timers = min(self._timers, self._filter.deadline, self.sensors.deadline)
        if self.faults.worst:
            blocked = self.faults.blocking
            self._timers = min(self._timers, self.faults.step(now))
            if blocked and not self.faults.blocking:
                self._ready_at = now
        self._drive_pilot(now)
        self._drive_contactor(now)

    def _see(self, seen: str, now: float) -> None:
        """The filter believes something new."""
        self.connected = {"A": False, "B": True, "C": True, "D": True}.get(seen)
        for cause, code in (
            (pilot.SHORT, "pilot_short"),
            (pilot.DIODE, "diode"),
            (pilot.RANGE, "pilot_range"),
        ):
            present = seen == cause
            if cause == pilot.RANGE:  # in F the station itself pulls it out of every window
                present = seen in (pilot.RANGE, pilot.STATION_FAULT) and self.state != "F"
            if present:
                self.faults.begin(code)
            else:
                self.faults.end(code, now)
        if seen in TRIGGER_OF_LETTER and self.state[0] not in ("F", seen):
            self._take_letter(seen, now)
        elif seen == "A" == self.state[0]:
            self._unplugged()  # while F hid it

    def _take_letter(self, letter: str, now: float) -> None:
        before = self.state
        self.trigger(TRIGGER_OF_LETTER[letter])
        if letter in "AE":
            self._stop_pilot(now)
        if letter == "A":
            self._unplugged()
        elif before in ("A1", "E"):
            self.wants, self._plugged_at, self._first_pilot_by = True, now, now + _FIRST_PILOT_S
        elif letter in "CD":
            self.wants = True
        elif before in ("C2", "D2") and (self._contactor.commanded or now >= self._entered_c + CLOSE_STABLE_S):
            self.wants = False
        if letter in "CD":
            self._wake.forget()
            self._entered_c = now if before[0] not in "CD" else self._entered_c

    def _unplugged(self) -> None:
        self.wants = self._told_to_wait = False
        self.holder.end()
        self._wake.forget()
        self.faults.on_unplugged()

    def _stop_pilot(self, now: float) -> None:
        """The state is one without PWM already: the generator and what is known of it have to follow."""
        if self.offered_da:
            self.offered_da, self._lowered_at, self._changed_at = 0, now, now
            self._board.pilot.steady()
            self._filter.on_pwm(False, now)

    def _drive_pilot(self, now: float) -> None:
        disabled = self.faults.disabling
        if disabled != (self.state == "F"):
            self._disable(now) if disabled else self._enable(now)
        want = 0 if self.state == "F" else self._offer(now)
        if 0 < want < self.offered_da and self.wants and not (self.closed or self._contactor.commanded):
            want = 0  # closing waits until the higher pilot is forgotten: PWM in C would promise it sooner
        if want == self.offered_da:
            return
        if want > self.offered_da > 0 and not self._due(self._changed_at + PILOT_HOLD_S, now):
            return
        self._set_pilot(want, now)

    def _offer(self, now: float) -> int:
        """What the pilot shall advertise now, 0 = steady."""
        if self.state[0] not in "BCD" or self.faults.blocking or self._stopping_since is not None:
            return 0
        if not self.offered_da and not self._due(self._starts_at, now):
            return 0
        if self.state in ("C1", "D1") and not self._due(self._lowered_at + OPEN_UNDER_LOAD_S, now):
            return 0  # it was just told to leave C: PWM now would make that look like its own wish
        lease = min(self.leased_da, self.sensors.ceiling_da)
        if lease >= MIN_OFFER_DA:
            self._told_to_wait = False
            return 0 if self._waking(now) else lease
        self._wake.pause()
        if self.closed or self._contactor.commanded:
            return 0
        return MIN_OFFER_DA if self._may_ask(now) else 0

    @property
    def _starts_at(self) -> float:
        """When PWM may begin: after the pause, and late enough that the contactor can follow within 3 s of C."""
        return max(self._not_before, self._lowered_at + self._timing.settle_s - _READY_S + _CLOSING_S)

    def _may_ask(self, now: float) -> bool:
        """Whether a vehicle without a lease gets a pilot: an idle one, and one that waits until it has asked."""
        if not self.wants:
            self._told_to_wait = False
            return self.group_ready
        if self.state[0] in "CD":
            self._told_to_wait |= self._due(self._entered_c + _READY_S, now)
        by = self._first_pilot_by
        if self.group_ready:
            by = min(by, max(self._plugged_at, self._ready_at) + _GRACE_S)
        return not self._told_to_wait and (self.offered_da > 0 or self._due(by, now))

    def _waking(self, now: float) -> bool:
        """A vehicle that does not ask is woken once by a step to steady; then it is taken as idle."""
        if self.state[0] != "B":
            self._wake.pause()
            return False
        steady, until = self._wake.next_step(now)
        self.wants &= not self._due(until, now)
        return steady

    def _set_pilot(self, offer_da: int, now: float) -> None:
        before = self.offered_da
        self.offered_da, self._changed_at = offer_da, now
        if offer_da < before:
            self._lowered_at = now
            self.sensors.current.lowered(before, now + self._timing.settle_s)
        if offer_da:
            self._first_pilot_by = inf
            self._board.pilot.pwm(pilot.duty(offer_da))
        else:
            self._board.pilot.steady()
            if self._contactor.commanded:
                self._stopping_since, self._told_to_wait = now, True
        if bool(offer_da) != bool(before):
            self.trigger("pwm_on" if offer_da else "pwm_off")
            self._filter.on_pwm(offer_da > 0, now)
            self._timers = min(self._timers, self._filter.deadline)

    def _drive_contactor(self, now: float) -> None:
        contactor = self._contactor
        if contactor.commanded:
            if self._must_open(now):
                self._open(now)
        elif self._may_close(now):
            contactor.close(now)
            self.sensors.ground.abandon(now)
            self._due(contactor.judged_at, now)
        elif contactor.closed and self._due(contactor.judged_at, now) and self.faults.begin("contactor_stuck"):
            self._drive_pilot(now)

    def _must_open(self, now: float) -> bool:
        if self.state[0] not in "CD" or self.faults.urgent:
            return True
        if not self.closed and self._due(self._contactor.judged_at, now):
            failed = "contactor_fell" if self._contactor.was_closed else "contactor_open"
            self.faults.begin(failed)
            self.faults.end(failed, now)
            return True
        return self._stopping_since is not None and self._due(self._stopping_since + OPEN_UNDER_LOAD_S, now)

    def _may_close(self, now: float) -> bool:
        """A vehicle that asks, a lease, a pilot not higher than this for R, and a self-test just passed."""
        ready = (
            self.state in ("C2", "D2")
            and not self.faults.blocking
            and not self.closed
            and self.leased_da >= self.offered_da >= MIN_OFFER_DA
            and self._due(self._not_before, now)
            and self._due(self._lowered_at + self._timing.settle_s, now)
        )
        ground = self.sensors.ground
        if not ready:
            ground.abandon(now)
            return False
        tested = ground.tested(self._filter.since, now)  # while the pilot has yet to stand still
        self._timers = min(self._timers, ground.deadline)
        return self._due(self._filter.since + CLOSE_STABLE_S, now) and tested

    def _open(self, now: float) -> None:
        """Open, and with that give up what is held."""
        self._give_up(now)
        self._due(self._contactor.judged_at, now)
        self._drive_pilot(now)

    def _give_up(self, now: float) -> None:
        self._contactor.open(now)
        self._stopping_since = None
        self._not_before = now + RESTART_PAUSE_S
        self.holder.end()

    def _disable(self, now: float) -> None:
        self.trigger("disable")
        self.offered_da, self._lowered_at, self.wants = 0, now, False
        self._board.pilot.fault()
        if self._contactor.commanded:
            self._open(now)

    def _enable(self, now: float) -> None:
        self._board.pilot.steady()
        self.trigger("enable")
        if self._filter.seen in "BCDE":  # it was believed while F hid it
            self._take_letter(self._filter.seen, now)
