"""One station put together: its switch decides the role, the role speaks on the bus, the station drives the board.

`App` is the node that every world runs: it is told the time and what happened, and never looks for either.
"""

from dataclasses import dataclass
from math import inf
from random import Random
from typing import NamedTuple

from firmware import __version__
from firmware.bus.health import BusHealth
from firmware.bus.messages import Identity, Reason
from firmware.bus.plain import PlainModbus
from firmware.bus.registers import MAP_VERSION, pack
from firmware.bus.versions import OWN
from firmware.diary import Diary, Seen
from firmware.lamp import light
from firmware.online import OnlineCommand, OnlineLimit
from firmware.online_report import OnlineReport, Reporter
from firmware.protection import NUMBER
from firmware.rotary import Chart, Role, Setting
from firmware.sharing.primary import Primary
from firmware.sharing.rivals import Rivals
from firmware.sharing.secondary import Secondary
from firmware.station import Station
from firmware.timing import Timing
from hal.api import Board, Inputs, Light, Store

SWITCH_STABLE_S = 0.5  # turning passes through positions; this long unmoved counts (I)
_SAVE_AGAIN_S = 10.0  # what could not be written is tried again (I)
_SWITCH_FAULTS = ("switch_unsupported", "switch_unreadable")
_UNKNOWN_C = 0x8000
_MOST_C = 3000.0  # what a register of 0.1 C can say
_ROLE_NUMBER = {"none": 0, "standalone": 1, "primary": 2, "secondary": 3}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a station is told once: who it is and how its circuit works."""

    serial: int
    model: str
    rating_a: int
    baud: int
    timing: Timing
    chart: Chart


class View(NamedTuple):
    """What people see of a station; deciamps."""

    role: str
    switch: int | None
    state: str
    offered_da: int
    limit_da: int
    closed: bool
    reason: Reason
    fault: str


class App:
    """The firmware of one station."""

    def __init__(
        self,
        setup: Setup,
        board: Board,
        rng: Random,
        inputs: Inputs,
        now: float,
        online_store: Store | None = None,
    ) -> None:
        """`rng` is the only source of chance: boot nonces and listening times. `inputs`: the first look.
        `online_store`: what must survive of online control; None = there is no controller."""
        self.setup = setup
        self._board = board
        self._online_store = online_store
        self._rng = rng
        self._started_at = now
        self.station = Station(board, setup.timing, setup.rating_a * 10)
        names = ("Watti", f"Watti Pro {setup.model}", __version__, f"{setup.serial:012X}")
        self._plain = PlainModbus(lambda: self._registers, names)
        self._now = now
        self._bus_works = True
        self.health = BusHealth()
        self.role: Primary | Secondary | None = None
        self.why = ""
        """Why the switch's position is refused, in a sentence; empty when it is not."""
        self._switch: int | None = inputs.switch
        self._turned_to = inputs.switch
        self._turn_settles_at = inf
        self._wake = inf
        self._unwritten = False
        """Something that was to be kept is in memory only."""
        self._save_again_at = now
        self._light: Light | None = None
        self._view: View
        self._facts: object = None
        """What the view and the diary were last made of."""
        self.diary = Diary(board.journal, board.session_store, self.station.sensors.energy, now)
        self.online = None if online_store is None else OnlineLimit(online_store, rng.getrandbits(32), now)
        self._reporter = self._new_reporter()
        self._heeds_at = inf
        self.diary.write("boot", now, version=__version__, serial=names[3], model=setup.model)
        self.station.start(inputs, now)
        self._take_role(now)
        self._conclude(now)

    # What happens to it

    def next_wakeup(self) -> float:
        """Absolute seconds; inf = nothing pending."""
        return self._wake

    def step(self, now: float) -> None:
        """Run what is due."""
        self._wake_up(now)
        self._now = now
        self.station.step(now)
        if now >= self._turn_settles_at:
            self._turn(now)
        if self.role is not None and now >= self.role.next_wakeup():
            self.role.step(now)
            if self.role.over:
                self._take_role(now)
        self._conclude(now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        """The board senses something new: known before timers run, as a late process must not judge by old inputs."""
        self._wake_up(now)
        self.station.on_inputs(inputs, now)
        self._watch_switch(inputs, now)
        self.step(now)

    def _watch_switch(self, inputs: Inputs, now: float) -> None:
        if inputs.switch != self._turned_to:
            self._turned_to = inputs.switch
            moved = inputs.switch != self._switch
            self._turn_settles_at = now + SWITCH_STABLE_S if moved else inf
            if isinstance(self.role, Primary):
                self.role.hold = moved

    def on_bytes(self, data: bytes, now: float) -> bool:
        """Bytes arrived on the bus, in whatever pieces. Whether anything may have changed."""
        stepped = now >= self._wake
        if stepped:
            self.step(now)
        self._now = now
        if self.role is None or not self.role.on_bytes(data, now):
            return stepped
        self._conclude(now)
        return True

    def on_outputs_dropped(self, now: float) -> None:
        """The dead-man has let the outputs go."""
        self.station.on_outputs_dropped(now)
        self._conclude(now)

    def on_bus(self, works: bool, now: float) -> None:
        """The bus port came or went."""
        self._bus_works = works
        self.station.mark_fault("bus_port", not works, now)
        if isinstance(self.role, Primary):
            self.role.on_bus(works, now)
        self._conclude(now)

    # Its controller

    def on_online(self, command: OnlineCommand, now: float) -> bool:
        """A command arrived. Whether it was taken: a secondary follows its primary's controller alone."""
        self._wake_up(now)
        if self.online is None:
            return False
        if isinstance(self.role, Secondary):
            self.online.refused["for a secondary"] += 1
            return False
        taken = self.online.take(command, now)
        if taken:
            self._heed(now)
            self._conclude(now)
        return taken

    def report(self, now: float) -> OnlineReport | None:
        """What is to be told to its controller now; None of a secondary, and where there is no controller."""
        if self._reporter is None or isinstance(self.role, Secondary):
            return None
        return self._reporter.report(self.role, now)

    @property
    def has_news(self) -> bool:
        """Whether a report is to leave at once, and not when the next one is due."""
        return self._reporter is not None and self._reporter.has_news

    def _heed(self, now: float) -> None:
        """What the controller lets it offer may have changed."""
        if self.online is None:
            return
        secondary = isinstance(self.role, Secondary)  # its primary's limit is the group's
        limit_da = None if secondary else self.online.limit_da(now)
        self._heeds_at = self.online.next_wakeup(now)
        self.station.cap(limit_da, now)
        if isinstance(self.role, Primary):
            self.role.heed(limit_da, now)

    def _new_reporter(self) -> Reporter | None:
        if self.online is None:
            return None
        release_s = self.setup.timing.release_s
        return Reporter(self.online, self.station, self._board.meter, lambda: self.diary.total_wh, release_s)

    # What comes of it

    def _conclude(self, now: float) -> None:
        """Something has happened: write down and show what is new, and plan the next wakeup."""
        station, role = self.station, self.role
        board, faults = self._board, station.faults
        online_problem = "" if self._online_store is None else self._online_store.problem
        if board.journal.problem or board.store.problem or board.session_store.problem or online_problem:
            self._unwritten = True
        if self._unwritten:
            self._judge_writing(now)
        reason, whom = self._reason(), None if role is None else role.whom
        facts = (
            station.state,
            station.connected,
            station.closed,
            station.offered_da,
            faults.codes,
            reason,
            self._switch,
            whom,
        )
        if facts != self._facts:
            self._facts = facts
            self._show(reason)
            self.diary.see(self._seen(), now)
        self.diary.step(now)
        if self._reporter is not None and not isinstance(role, Secondary):
            self._reporter.watch(role, now)
        self._plan_wakeup()

    def _judge_writing(self, now: float) -> None:
        """Something can't be written, or could not: say so, and try again."""
        board, station = self._board, self.station
        stores = [board.store, board.session_store, *([self._online_store] if self._online_store is not None else [])]
        problems = {"log": board.journal.problem != "", "store": any(store.problem for store in stores)}
        for code, problem in problems.items():
            station.mark_fault(code, problem, now)
        self._unwritten = any(problems.values())
        if problems["store"] and now >= self._save_again_at:
            self._save_again_at = now + _SAVE_AGAIN_S
            for store in stores:
                store.save(store.load())

    def _reason(self) -> Reason:
        """The one limit that binds now."""
        station = self.station
        if self.role is None or station.faults.blocking:
            return Reason.FAULT
        if station.group_ready and not station.wants:
            return Reason.IDLE
        ceiling = station.sensors.ceiling_da
        if ceiling < station.rating_da and ceiling <= station.holder.amps_da:
            return Reason.TEMPERATURE
        return self.role.reason

    def _show(self, reason: Reason) -> None:
        station, role = self.station, self.role
        self._view = View(
            role.role if role is not None else "none",
            self._switch,
            station.state,
            station.offered_da,
            role.limit_da if role is not None else 0,
            station.closed,
            reason,
            station.faults.worst,
        )
        lamp = light(station.state, station.closed, reason, station.faults.worst)
        if lamp != self._light:
            self._light = lamp
            self._board.indicator.show(lamp)

    def _seen(self) -> Seen:
        view, station = self._view, self.station
        return Seen(
            station.connected,
            view.closed,
            view.offered_da,
            view.reason,
            station.faults.codes,
            view.role,
            None if view.switch is None else f"{view.switch:X}",
            view.limit_da,
            self.role.group_fields if self.role is not None else {},
        )

    def _plan_wakeup(self) -> None:
        wake = self.station.next_wakeup()
        if self.diary.look_at < wake:
            wake = self.diary.look_at
        if self._turn_settles_at < wake:
            wake = self._turn_settles_at
        if self._heeds_at < wake:
            wake = self._heeds_at
        if self.role is not None:
            role_wake = self.role.next_wakeup()
            if role_wake < wake:
                wake = role_wake
        self._wake = wake

    # What people see

    def view(self) -> View:
        """How the station stands."""
        return self._view

    @property
    def _registers(self) -> list[int]:
        view, station, role = self.view(), self.station, self.role
        celsius = station.sensors.celsius
        state = view.state.ljust(2, "\0").encode()
        return pack(
            (
                MAP_VERSION,
                self.setup.serial,
                station.rating_da,
                255 if view.switch is None else view.switch,
                _ROLE_NUMBER[view.role],
                state[0] << 8 | state[1],
                view.closed,
                view.offered_da,
                station.sensors.drawn_da,
                view.limit_da,
                view.reason,
                NUMBER.get(view.fault, 0),
                len(role.group.secondaries) if isinstance(role, Primary) else 0,
                self.health.missed,
                self.health.crc_errors,
                station.holder.refused,
                int(self._now - self._started_at),
                int(self.diary.total_kwh * 1000),
                round(celsius * 10) & 0xFFFF if abs(celsius) < _MOST_C else _UNKNOWN_C,
                *OWN,
            )
        )

    # Its life

    def _turn(self, now: float) -> None:
        """The switch stands at a new position: end what is offered, leave or close the group, start afresh."""
        self._switch, self._turn_settles_at = self._turned_to, inf
        if self._switch is None and isinstance(self.role, Secondary):
            self.station.set_fault("switch_unreadable", now)  # no turn: the group hears that it holds nothing
        else:
            self._take_role(now)

    def _wake_up(self, now: float) -> None:
        """Before anything else is looked at: what was allowed before may have ended long ago."""
        self._revive(now)
        if now >= self._heeds_at:
            self._heed(now)

    def _revive(self, now: float) -> None:
        """A process that stood still for longer than a lease starts anew: nothing it remembers of the group is true."""
        if now - self._wake <= self.setup.timing.lease_s:
            return
        self._wake = now
        self.diary.write("stall", now, for_s=round(now - self._now, 1))
        self.station.on_outputs_dropped(now)
        self._take_role(now)

    def _take_role(self, now: float) -> None:
        if self.role is not None:
            self.role.close(now)
        setting = self.setup.chart.setting(self._switch, self.setup.rating_a)
        self.why = setting.why
        self.role = self._new_role(setting, now)
        self._heed(now)
        for code in _SWITCH_FAULTS:
            self.station.mark_fault(code, code == setting.fault, now)

    def _new_role(self, setting: Setting, now: float) -> Primary | Secondary | None:
        if self._switch is None:
            return None  # unreadable is no turn: to whom it has yielded stands
        setup, station, bus = self.setup, self.station, self._board.bus
        identity = Identity(setup.serial, self._rng.getrandbits(32))
        rivals = Rivals(self._board.store, self._switch)
        if setting.role is Role.SECONDARY:
            return Secondary(identity, station, bus, self._plain, setup.timing, self.health, now)
        if setting.role is Role.PRIMARY and setting.limit_a is not None:
            baud, timing, limit_da = setup.baud, setup.timing, setting.limit_a * 10
            role = Primary(identity, station, bus, rivals, limit_da, baud, timing, self.health, self._rng, now)
            role.on_bus(self._bus_works, now)
            return role
        return None
