"""The promise of sharing, under everything that a bus, a clock and a process can do to it.

Real stations, leases, group and ledger. The line loses, delays, repeats and reorders; clocks drift; processes
stall and start anew; every vehicle may draw all that it was offered within the last R.
"""

import os
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from random import Random

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from firmware.bus.messages import (
    AVAILABLE,
    CONNECTED,
    HOLDS,
    NO_CURRENT,
    WANTS,
    Grant,
    Identity,
    Reason,
    Status,
)
from firmware.sharing.group import Group
from firmware.sharing.ledger import AGREES_S, METER_TOLERANCE_DA, Ledger, Row
from firmware.sharing.members import Member
from firmware.station import Station
from firmware.timing import CONTACTOR_S, Timing
from tests.outlet import Outlet

TIMING = Timing(release_s=12.855)  # the shortest that is not refused
RATING_DA = 480
HELD = HOLDS | WANTS | AVAILABLE | CONNECTED
EPSILON_S = 1e-6
AIR_S = 0.01
STATIONS = range(4)
POSITIONS_DA = (60, 160, 320, 480)


class WorstCar(Outlet):
    """Its contactor takes its time to open, and its meter shows what may be drawn, or a part of that."""

    def __init__(self) -> None:
        super().__init__("A", TIMING.reaction_s - EPSILON_S)
        self.opens_at = inf
        self.part = 1.0
        """Part of what it may draw that its meter shows."""

    def plug(self, letter: str) -> None:
        """A vehicle that came has seen nothing of what the pilot was before."""
        self.offers = self.offers[-1:] if self.letter == "A" else self.offers
        self.letter = letter

    def let_go(self) -> None:
        """The dead-man acts."""
        self.steady()
        self.open()
        self.testing = False

    def close(self) -> None:
        self.live, self.opens_at = True, inf

    def open(self) -> None:
        if self.live and self.opens_at == inf:
            self.opens_at = self.now + CONTACTOR_S

    def current_a(self) -> float:
        return self.possible_da() / 10 * self.part


class Process:
    """The firmware of one station, its clock and its dead-man, as the app and the secondary drive it."""

    def __init__(self, serial: int, rate: float) -> None:
        self.serial = serial
        self.rate = rate
        self.car = WorstCar()
        self.stalled_until = -inf
        self.let_go_at = inf
        self.let_go = False
        self.backlog: list[Callable[[], None]] = []
        """What arrived while it stood still."""
        self.lives = 0
        self.start(0.0)

    def local(self, now: float) -> float:
        """Its own clock, never before the wake-up that `true` has made of it."""
        return self.serial * 1000 + now * self.rate + 1e-9

    def true(self, local: float) -> float:
        return (local - self.serial * 1000) / self.rate

    def start(self, now: float) -> None:
        self.lives += 1
        self.identity = Identity(self.serial, self.lives)
        self.session = 0
        self.lapses_at = inf
        self.station = Station(self.car, TIMING, RATING_DA)
        self.station.start(self.car.inputs(), self.local(now))
        self._seen = self.car.inputs()

    def next_wakeup(self) -> float:
        car = min(self.car.opens_at, self.let_go_at)
        if self.stalled_until > -inf:
            return min(car, self.stalled_until)
        return min(car, self.true(min(self.station.next_wakeup(), self.lapses_at)))

    def step(self, now: float) -> None:
        self.car.now = now
        if now >= self.car.opens_at:
            self.car.live, self.car.opens_at = False, inf
        if now >= self.let_go_at:
            self.let_go_at, self.let_go = inf, True
            self.car.let_go()
        if -inf < self.stalled_until <= now:
            self._resume(now)
        if self.stalled_until == -inf:
            local = self.local(now)
            self.station.step(local)
            if local >= self.lapses_at:
                self.leave(now)
            self.look(now)

    def look(self, now: float) -> None:
        """The board tells what has changed."""
        while self.car.inputs() != self._seen and self.stalled_until == -inf:
            self._seen = self.car.inputs()
            self.station.on_inputs(self._seen, self.local(now))

    def restart(self, now: float) -> None:
        """The process ends and a new one starts at once."""
        self.stalled_until, self.let_go_at, self.let_go, self.backlog = -inf, inf, False, []
        self.start(now)
        self.look(now)

    def stall(self, for_s: float, now: float) -> None:
        if self.stalled_until == -inf:
            self._stalled_at = now
            self.stalled_until = now + for_s
            self.let_go_at = now + TIMING.dead_man_s

    def _resume(self, now: float) -> None:
        slept_s = now - self._stalled_at
        self.stalled_until, self.let_go_at = -inf, inf
        if self.let_go:
            self.let_go = False
            self.station.on_outputs_dropped(self.local(now))
        if slept_s > TIMING.lease_s:  # a new life, as the app begins one
            self.lives += 1
            self.identity = Identity(self.serial, self.lives)
            self.station.on_outputs_dropped(self.local(now))
            self.leave(now)
        self.look(now)
        backlog, self.backlog = self.backlog, []
        for what in backlog:
            what()

    def leave(self, now: float) -> None:
        self.session, self.lapses_at = 0, inf
        self.station.leave(self.local(now))
        self.look(now)

    def join(self, session: int, now: float) -> None:
        self.session, self.lapses_at = session, self.local(now) + 1.0
        self.station.join(self.local(now))
        self.look(now)

    def take(self, grant: Grant, now: float) -> None:
        if self.station.take(grant, self.local(now)):
            self.station.group_ready |= grant.reason is not Reason.QUIET_START
        self.look(now)


class Line:
    """How one secondary and the primary hear each other: probabilities, and the longest delay."""

    lost_down = lost_up = repeated = 0.0
    delay_s = 0.0


class Circuit:
    """A primary (station 0) and its secondaries in true time; grants are wild or planned."""

    def __init__(self, rates: list[float], seed: int, limit_da: int) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.all = [Process(serial, rate) for serial, rate in enumerate(rates)]
        self.lines = [Line() for _ in rates]
        self.wanted: dict[int, int | None] = dict.fromkeys(range(len(rates)))
        """Deciamps that a station is granted if free; None = its planned target."""
        self._flying: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._session = 0
        self.primary = self.all[0]
        self.limit_da = self.binding_da = limit_da
        self.start_primary(limit_da)

    @property
    def local(self) -> float:
        return self.primary.local(self.now)

    def start_primary(self, limit_da: int) -> None:
        """A primary starts, perhaps with its switch turned: it knows nothing."""
        self.limit_da, self.binding_da = limit_da, max(limit_da, self.binding_da)
        self.group = Group(Identity(0, self.rng.getrandbits(32)), TIMING, limit_da, self.local)
        self.sits_at = self.local + TIMING.release_s
        self.cycle_at = self.now
        self._shared_at = self.local
        self.primary.join(0, self.now)

    def run(self, for_s: float, check: Callable[[], None]) -> None:
        end = self.now + for_s
        while True:
            due = min(self.cycle_at, self._settled_at(), *(process.next_wakeup() for process in self.all))
            if self._flying:
                due = min(due, self._flying[0][0])
            self.now = max(self.now, min(due, end))
            for process in self.all:
                process.step(self.now)
            if due > end:
                return
            if self._flying and self._flying[0][0] <= self.now:
                heappop(self._flying)[2]()
            elif self.cycle_at <= self.now or self._settled_at() <= self.now:
                self._cycle()
            check()

    # The primary's half

    def _settled_at(self) -> float:
        """When the primary does not wait for its next cycle, as amps may have come free."""
        return self.primary.true(self.group.settles_at(self._shared_at)) + 1e-9

    def _cycle(self) -> None:
        self.cycle_at = self.now + TIMING.poll_s
        self._shared_at = self.local
        if self.primary.stalled_until > -inf:
            return
        if self.local >= self.sits_at and not self.group.giving:
            self.group.giving = self.group.stale = self.primary.station.group_ready = True
            self.binding_da = self.limit_da
        self.group.tend(self.local)
        self._exchange_own()
        if self.group.due(self.local):
            self.group.plan(self.local)
            self._exchange_own()
        for process in self.all[1:]:
            member = self.group.member(process.identity)
            if not process.session or member is None:
                self._enrol(process)
            elif member.address:
                self._poll(process, member)

    def _grant(self, member: Member) -> Grant:
        wanted = self.wanted[member.identity.serial]
        if wanted is None:
            return self.group.grant(member, self.local)
        row, giving = member.row, self.group.giving
        amps_da = self.group.ledger.commit(row, wanted if giving else 0, self.local)
        reason = Reason.SHARE if giving else Reason.QUIET_START
        return Grant(row.number, row.answered, amps_da, int(TIMING.lease_s * 10), self.limit_da, reason)

    def _exchange_own(self) -> None:
        own, station = self.group.own, self.primary.station
        self.group.on_status(own, station.report(self.local), self.local)
        before = own.row.granted_da
        station.take(self._grant(own), self.local)
        self.primary.look(self.now)
        if own.row.granted_da != before:
            self.group.on_status(own, station.report(self.local), self.local)

    def _poll(self, process: Process, member: Member) -> None:
        grant, session = self._grant(member), member.session
        self._fly(process, process, "lost_down", lambda: self._on_poll(process, session, grant))

    def _enrol(self, process: Process) -> None:
        """A probe and its answer, an assignment and its answer: each may be lost."""
        line, chance = self.lines[process.serial], self.rng.random
        if process.stalled_until > -inf or chance() < line.lost_down or chance() < line.lost_up:
            return
        member = self.group.enrol(process.identity, self.local)
        if member is None:
            return  # too many lives at once
        member.address, self._session = 0, self._session + 1
        if chance() < line.lost_down:
            return
        process.join(self._session, self.now)
        if chance() >= line.lost_up:
            member.address, member.session, member.row.answered = 1, self._session, 0

    def _on_status(self, identity: Identity, session: int, status: Status) -> None:
        member = self.group.member(identity)
        if member is not None and member.session == session:
            self.group.on_status(member, status, self.local)

    # The secondary's half

    def _on_poll(self, process: Process, session: int, grant: Grant) -> None:
        if session != process.session:
            return
        process.lapses_at = process.local(self.now) + TIMING.lease_s
        process.take(grant, self.now)
        status = process.station.report(process.local(self.now))
        process.look(self.now)
        identity = process.identity
        self._fly(process, self.primary, "lost_up", lambda: self._on_status(identity, session, status))

    # The line

    def _fly(self, of: Process, to: Process, lost: str, what: Callable[[], None]) -> None:
        line = self.lines[of.serial]
        copies = 1 + (self.rng.random() < line.repeated) - (self.rng.random() < getattr(line, lost))
        for _ in range(copies):
            self._sequence += 1
            at = self.now + AIR_S + self.rng.choice((0.0, line.delay_s * self.rng.random()))
            heappush(self._flying, (at, self._sequence, lambda: self._arrive(to, what)))

    def _arrive(self, to: Process, what: Callable[[], None]) -> None:
        if to.stalled_until > -inf:
            to.backlog.append(what)
        else:
            what()

    # The promise

    def check(self) -> None:
        possible = [process.car.possible_da() for process in self.all]
        assert sum(possible) <= self.binding_da, f"{self.now:.3f}: {possible} together, limit {self.binding_da}"
        if not self.group.giving:
            return  # the book of a primary that knows nothing yet proves nothing
        book = dict.fromkeys(range(len(self.all)), 0)
        for member in (self.group.own, *self.group.secondaries, *self.group._silent.values()):
            book[member.identity.serial] += member.row.exposure_da(self.local)
        for process, amps in zip(self.all, possible, strict=True):
            assert amps <= book[process.serial], f"{self.now:.3f}: {process.serial} may draw {amps}, book {book}"


stations = st.sampled_from(STATIONS)
PAUSES_S = (0.05, 0.4, 1.0, 3.0, 5.0, 8.0, 14.0)
WANTED_DA = (None, 0, 60, 120, 240, 420, 480)
PARTS = (0.0, 0.5, 1.0)
LOST = ((0.0, 0.0), (0.3, 0.3), (0.9, 0.0), (0.0, 0.9), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
REPEATED = (0.0, 0.5)
DELAYS_S = (0.0, 0.5, 3.0, 12.0)
STALLS_S = (0.5, 1.5, 4.0, 7.0)
pauses = st.sampled_from(PAUSES_S)


class Promise(RuleBasedStateMachine):
    """Whatever happens, in whatever order."""

    circuit: Circuit

    def _pass(self, for_s: float) -> None:
        self.circuit.run(for_s, self.circuit.check)

    @initialize(
        rates=st.lists(st.sampled_from([0.99, 1.0, 1.01]), min_size=len(STATIONS), max_size=len(STATIONS)),
        seed=st.integers(0, 99),
        limit_da=st.sampled_from(POSITIONS_DA),
    )
    def begin(self, rates: list[float], seed: int, limit_da: int) -> None:
        self.circuit = Circuit(rates, seed, limit_da)
        for process in self.circuit.all:
            process.car.plug("C")
            process.look(0.0)
        self._pass(TIMING.release_s + 8.0)

    @rule(who=stations, wanted_da=st.sampled_from(WANTED_DA), for_s=pauses)
    def want(self, who: int, wanted_da: int | None, for_s: float) -> None:
        self.circuit.wanted[who] = wanted_da
        self._pass(for_s)

    @rule(who=stations, letter=st.sampled_from("ABC"), part=st.sampled_from(PARTS), for_s=pauses)
    def plug(self, who: int, letter: str, part: float, for_s: float) -> None:
        process = self.circuit.all[who]
        process.car.plug(letter)
        process.car.part = part
        process.look(self.circuit.now)
        self._pass(for_s)

    @rule(
        who=stations,
        lost=st.sampled_from(LOST),
        repeated=st.sampled_from(REPEATED),
        delay_s=st.sampled_from(DELAYS_S),
        for_s=pauses,
    )
    def disturb(self, who: int, lost: tuple[float, float], repeated: float, delay_s: float, for_s: float) -> None:
        line = self.circuit.lines[who]
        line.lost_down, line.lost_up = lost
        line.repeated, line.delay_s = repeated, delay_s
        self._pass(for_s)

    @rule(who=stations, stalled_s=st.sampled_from(STALLS_S), for_s=pauses)
    def stall(self, who: int, stalled_s: float, for_s: float) -> None:
        self.circuit.all[who].stall(stalled_s, self.circuit.now)
        self._pass(for_s)

    @rule(who=st.sampled_from(STATIONS[1:]), for_s=pauses)
    def restart(self, who: int, for_s: float) -> None:
        self.circuit.all[who].restart(self.circuit.now)
        self._pass(for_s)

    @rule(limit_da=st.sampled_from(POSITIONS_DA), for_s=pauses)
    def turn_the_switch(self, limit_da: int, for_s: float) -> None:
        self.circuit.start_primary(limit_da)
        self._pass(for_s)


Promise.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, phases=[Phase.reuse, Phase.generate]
)  # shrinking worlds takes minutes
test_promise = Promise.TestCase

DAYS = range(*map(int, os.environ.get("WATTI_LEDGER_DAYS", "0:25").split(":")))
"""Seeds of long random runs; a wider range looks for new ones."""


@pytest.mark.parametrize("seed", DAYS)
def test_promise_in_a_long_run(seed: int) -> None:
    rng = Random(seed)
    world = Promise()
    choose = rng.choice
    world.begin([choose((0.99, 1.0, 1.01)) for _ in STATIONS], seed, choose(POSITIONS_DA))
    for _ in range(60):
        who, for_s = choose(STATIONS), choose(PAUSES_S)
        match choose(("want", "want", "want", "plug", "disturb", "calm", "stall", "restart", "turn")):
            case "want":
                world.want(who, choose(WANTED_DA), for_s)
            case "plug":
                world.plug(who, choose("ABCCC"), choose(PARTS), for_s)
            case "disturb":
                world.disturb(who, choose(LOST), choose(REPEATED), choose(DELAYS_S), for_s)
            case "calm":
                world.disturb(who, (0.0, 0.0), 0.0, 0.0, for_s)
            case "stall":
                world.stall(who, choose(STALLS_S), for_s)
            case "restart":
                world.restart(max(who, 1), for_s)
            case "turn":
                world.turn_the_switch(choose(POSITIONS_DA), for_s)


def test_the_circuit_of_this_file_does_share() -> None:
    """Else the promise above would be kept by stations that do nothing."""
    circuit = Circuit([1.0] * len(STATIONS), 0, 480)
    for process in circuit.all[:3]:
        process.car.plug("C")
        process.look(0.0)
    circuit.run(TIMING.release_s + 8.0, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [160, 160, 160, 0]
    circuit.all[0].car.plug("A")
    circuit.all[0].look(circuit.now)
    circuit.run(6.0, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [0, 240, 240, 0]


def pair(own_da: int, other_da: int, part: float = 1.0, rate: float = 1.0) -> Circuit:
    """A primary and one secondary at 48 A that have long been granted this."""
    circuit = Circuit([rate, 1.0], 0, 480)
    for process in circuit.all:
        process.car.plug("C")
        process.car.part = part
        process.look(0.0)
    circuit.wanted = {0: own_da, 1: other_da}
    circuit.run(TIMING.release_s + 20.0, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [own_da, other_da]
    return circuit


@pytest.mark.parametrize("rate", [0.99, 1.0, 1.01])
def test_amps_change_sides_after_r_by_any_clock(rate: float) -> None:
    """The meter agrees at once with a vehicle that has yet to start: R alone protects."""
    circuit = pair(60, 420, part=0.0, rate=rate)
    circuit.wanted = {0: 420, 1: 60}
    circuit.run(TIMING.reaction_s + 1.5, circuit.check)
    assert circuit.primary.station.offered_da == 420


def test_a_raise_that_was_followed_by_a_cut_before_any_report_is_not_forgotten() -> None:
    circuit = pair(60, 60, part=0.0)
    circuit.lines[1].lost_up = 1.0
    circuit.wanted[1] = 420
    circuit.run(TIMING.poll_s, circuit.check)
    assert circuit.all[1].car.possible_da() == 420
    circuit.lines[1].lost_up = 0.0
    circuit.wanted = {0: 420, 1: 60}
    circuit.run(TIMING.reaction_s + 1.5, circuit.check)
    assert circuit.primary.station.offered_da == 420


@pytest.mark.parametrize("lost", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_lost_members_amps_come_back_after_the_release_time(lost: tuple[float, float]) -> None:
    circuit = pair(60, 420)
    circuit.lines[1].lost_down, circuit.lines[1].lost_up = lost
    circuit.wanted[0] = 480
    circuit.run(TIMING.release_s + TIMING.lease_s + 1.0, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [480, 0]


def test_a_stalled_member_holds_nothing_that_is_given_away() -> None:
    circuit = pair(60, 420)
    circuit.all[1].stall(4.9, circuit.now)
    circuit.lines[1].lost_down = circuit.lines[1].lost_up = 1.0
    circuit.wanted[0] = 480
    circuit.run(TIMING.release_s + 1.0, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [480, 0]


def test_a_restarted_station_does_not_close_onto_a_pilot_that_its_last_life_offered() -> None:
    """The dead-man let go, so the amps are free at once, but the vehicle has not followed yet."""
    circuit = pair(60, 420)
    circuit.all[1].stall(1.2, circuit.now)
    circuit.wanted = {0: 360, 1: 60}
    circuit.run(2.5, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [360, 0]
    circuit.all[1].restart(circuit.now)
    circuit.run(TIMING.reaction_s + 5.0, circuit.check)
    assert [process.car.possible_da() for process in circuit.all] == [360, 60]


def test_a_new_primary_gives_nothing_that_the_old_one_may_have_given() -> None:
    circuit = pair(60, 420)
    circuit.lines[1].lost_down = circuit.lines[1].lost_up = 1.0
    circuit.wanted[0] = 480
    circuit.start_primary(480)
    circuit.run(TIMING.release_s - 0.5, circuit.check)
    assert circuit.primary.station.offered_da == 0
    circuit.run(2.0, circuit.check)
    assert [process.station.offered_da for process in circuit.all] == [480, 0]


# Rows by themselves


def status(question: int, granted: int, offered_da: int, drawn_da: int, flags: int = HELD) -> Status:
    return Status(question, granted, flags, offered_da, drawn_da, RATING_DA, 0)


def charging(amps_da: int = 480) -> tuple[Ledger, Row, Row]:
    """A row that holds 48 A and confirmed it at 1 s, another one beside it."""
    ledger = Ledger(TIMING, 480)
    row, other = ledger.add(0.0), ledger.add(0.0)
    assert ledger.commit(row, amps_da, 0.5) == amps_da
    row.on_status(status(1, row.number, amps_da, amps_da), 1.0)
    return ledger, row, other


def settled(at: float) -> float:
    """When a cut that was confirmed at `at` counts, whatever the clock: R and its drift."""
    return at + TIMING.reaction_s * (1 + TIMING.drift) + EPSILON_S


def test_a_raise_counts_when_it_is_sent() -> None:
    ledger = Ledger(TIMING, 480)
    row, other = ledger.add(0.0), ledger.add(0.0)
    assert ledger.free_da(other, 0.0) == 480
    ledger.commit(row, 300, 0.0)
    assert (row.granted_da, row.exposure_da(0.0), ledger.free_da(other, 0.0)) == (300, 300, 180)


def test_what_is_not_free_is_not_granted_and_nothing_below_6_a() -> None:
    ledger, _, other = charging(420)
    assert ledger.commit(other, 300, 1.0) == 60
    ledger, _, other = charging(421)
    assert ledger.commit(other, 300, 1.0) == 0
    assert ledger.commit(other, 59, 1.0) == 0


def test_a_cut_counts_when_confirmed_and_r_is_over() -> None:
    ledger, row, other = charging()
    ledger.commit(row, 60, 2.0)
    assert row.exposure_da(100.0) == 480, "sent is not confirmed"
    row.on_status(status(2, row.number, 60, 60), 3.0)
    assert row.exposure_da(3.0 + TIMING.reaction_s - EPSILON_S) == 480
    row.on_status(status(3, row.number, 60, 60), settled(3.0) - AGREES_S)
    assert row.exposure_da(settled(3.0)) == 60
    assert ledger.commit(other, 480, settled(3.0)) == 420


def test_what_the_meter_said_long_before_r_was_over_does_not_agree() -> None:
    ledger, row, _ = charging()
    ledger.commit(row, 60, 2.0)
    row.on_status(status(2, row.number, 60, 60), 3.0)
    row.on_status(status(3, row.number, 60, 60), settled(3.0) - AGREES_S - 2 * EPSILON_S)
    assert row.exposure_da(settled(3.0)) == 480
    row.on_status(status(4, row.number, 60, 60), settled(3.0) + 1.0)
    assert row.exposure_da(settled(3.0) + 1.0) == 60


def test_a_station_that_never_confirms_fills_no_memory() -> None:
    ledger, row, _ = charging()
    for second in range(2, 100):
        ledger.commit(row, 60 + second % 7, float(second))
        row.on_status(status(second, 1, 480, 480), float(second))
    assert len(row._sent) <= 2
    assert row.exposure_da(100.0) == 480
    row = Row(6.5, 0.0)
    for amps_da in (60, 300, 200, 100, 250, 80):
        row.send(amps_da)
    assert (row.exposure_da(1.0), row.granted_da) == (300, 80)


def test_the_echo_of_an_older_grant_confirms_nothing() -> None:
    ledger, row, _ = charging()
    confirmed = row.number
    ledger.commit(row, 60, 2.0)
    row.on_status(status(2, confirmed, 60, 60), 3.0)
    assert row.exposure_da(60.0) == 480


def test_a_pilot_that_is_still_high_confirms_nothing() -> None:
    ledger, row, _ = charging()
    ledger.commit(row, 60, 2.0)
    row.on_status(status(2, row.number, 61, 60), 3.0)
    assert row.exposure_da(60.0) == 480


def test_a_cut_waits_for_the_meter_to_agree() -> None:
    ledger, row, _ = charging()
    ledger.commit(row, 60, 2.0)
    row.on_status(status(2, row.number, 60, 480), 3.0)
    row.on_status(status(3, row.number, 60, 60 + METER_TOLERANCE_DA + 1), settled(3.0))
    assert row.exposure_da(settled(3.0)) == 480
    row.on_status(status(4, row.number, 60, 60 + METER_TOLERANCE_DA), settled(4.0))
    assert row.exposure_da(settled(4.0)) == 60 + METER_TOLERANCE_DA, "never less than its meter shows"


def test_without_a_meter_a_cut_never_counts_while_the_contactor_is_closed() -> None:
    ledger, row, _ = charging()
    ledger.commit(row, 60, 2.0)
    for i in range(100):
        row.on_status(status(2 + i, row.number, 60, NO_CURRENT), 3.0 + i)
        assert row.exposure_da(3.0 + i) == 480
    row.on_status(status(200, row.number, 0, NO_CURRENT, HELD & ~HOLDS), 110.0)
    assert row.exposure_da(110.0) == 0


def test_an_open_contactor_without_a_lease_frees_at_once() -> None:
    ledger, row, other = charging()
    ledger.commit(row, 240, 2.0)
    row.on_status(status(2, 0, 0, 0, HELD & ~HOLDS), 3.0)
    assert (row.exposure_da(3.0), ledger.free_da(other, 3.0)) == (0, 480)


def test_a_silent_row_is_freed_after_the_release_time() -> None:
    ledger, row, other = charging()
    other.heard_at = 100.0
    at = 1.0 + TIMING.release_s
    assert ledger.expire(at - EPSILON_S) == []
    assert ledger.expire(at + EPSILON_S) == [row]
    assert ledger.free_da(other, at) == 480


def test_an_overdraw_is_counted_against_the_others() -> None:
    ledger, row, other = charging(240)
    row.on_status(status(2, row.number, 240, 300), 2.0)
    assert (row.exposure_da(2.0), row.overdrawn_da(2.0), ledger.free_da(other, 2.0)) == (300, 60, 180)
    row.on_status(status(3, row.number, 240, 239), 3.0)
    assert (row.exposure_da(3.0), row.overdrawn_da(3.0)) == (240, 0)


def test_a_cut_and_a_raise_within_r_keep_the_highest() -> None:
    ledger, row, _ = charging()
    ledger.commit(row, 60, 2.0)
    row.on_status(status(2, row.number, 60, 60), 3.0)
    ledger.commit(row, 200, 4.0)
    row.on_status(status(3, row.number, 200, 60), 4.5)
    ledger.commit(row, 100, 5.0)
    row.on_status(status(4, row.number, 100, 60), 5.5)
    row.on_status(status(5, row.number, 100, 60), settled(3.0))
    assert row.exposure_da(settled(3.0)) == 200
    row.on_status(status(6, row.number, 100, 60), settled(5.5))
    assert row.exposure_da(settled(5.5)) == 100


def test_what_a_vehicle_keeps_beyond_its_time_counts_and_is_named() -> None:
    row = Row(6.5, 0.0)
    for question, (sent_da, drawn_da) in enumerate([(186, 186), (166, 186)], 1):
        row.send(sent_da)
        row.on_status(Status(question, row.number, WANTS | HOLDS, sent_da, drawn_da, 480, 0), float(question))
    assert row.overdrawn_da(8.4) == 0, "it still has time to follow"
    assert (row.overdrawn_da(8.6), row.exposure_da(8.6)) == (0, 186), "nothing has been heard since its time ended"
    row.on_status(Status(3, row.number, WANTS | HOLDS, 166, 186, 480, 0), 8.7)
    assert (row.overdrawn_da(8.7), row.exposure_da(8.7)) == (20, 186)
