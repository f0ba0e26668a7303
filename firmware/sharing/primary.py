"""A station set to amps: it finds the others, polls them in turn, and shares its limit among all.

One exchange at a time on the bus: a poll of each secondary a cycle, then probes for stations not yet enrolled.
What shall be granted is decided in `firmware.sharing.group`, what may be granted in `firmware.sharing.ledger`.
"""

from collections import deque
from collections.abc import Mapping
from math import inf
from random import Random

from firmware.bus import messages as msg
from firmware.bus.enrolment import Branch
from firmware.bus.health import BusHealth
from firmware.bus.master import Master
from firmware.bus.messages import Identity, Reason
from firmware.bus.rtu import air_s
from firmware.sharing.enroller import Enroller
from firmware.sharing.group import Group
from firmware.sharing.members import Member
from firmware.sharing.refusals import Refusal
from firmware.sharing.rivals import Phase, Rivals
from firmware.station import Station
from firmware.timing import MIN_OFFER_DA, Timing
from hal.api import BusPort

_LISTEN_S = 0.02  # beyond one poll period, so that a sitting primary is heard for sure
_LISTEN_SPREAD_S = 0.08
_REST_S = 0.03  # least silence between cycles, with a random part: so that two primaries hear each other
_GAP_S = 0.005  # beyond the longest answer: the line is between two cycles of the sitting primary
_JITTER = 0.04  # each cycle begins earlier by up to this part of the period: two that speak at the same moments
_QUIET_JITTER = 0.5  # hear only collisions, and must drift apart before either has started to give
_FORMER_LIFE_S = 3.0  # frames of its own serial are its own, still in some buffer
_SAT_S = 10.0
_ASK_S = 2.0  # how often a yielded primary asks whether the other has become a secondary
_STREET_S = 5.0  # a quiet start lasts up to this much longer: not all of a street start at once (I)
_QUIET_SEARCH_S = 1.0
_SEARCH_S = 0.15  # probing may take at least this much of a cycle, also when the polls fill it

What = Member | Branch | msg.Assign | msg.Refuse | msg.AreYouSecondary
"""What an exchange on the bus can be about."""
_HERE_LENGTH = msg.enrolment_length(msg.Here)
_ANSWER_LENGTH = {
    msg.Assign: msg.enrolment_length(msg.Assigned),
    msg.Refuse: 0,
    msg.AreYouSecondary: _HERE_LENGTH,
}


class Primary:
    """The primary's half of the group protocol."""

    def __init__(
        self,
        identity: Identity,
        station: Station,
        port: BusPort,
        rivals: Rivals,
        limit_da: int,
        baud: int,
        timing: Timing,
        health: BusHealth,
        rng: Random,
        now: float,
    ) -> None:
        self._identity = identity
        self._station = station
        self._timing = timing
        self._rng = rng
        self._baud = baud
        self._master: Master[What] = Master(port, baud, timing.turnaround_s, health, now)
        self._health = health
        self.rivals = rivals
        self.switch_da = limit_da
        self.limit_da = limit_da
        """What the group may use now: the switch's, or less online."""
        self.group = Group(identity, timing, limit_da, now)
        self._polls: deque[Member] = deque()
        self._enroller = Enroller(identity, self.group, rng.getrandbits(32))
        self._search_until = -inf
        self._began_at = now
        self._quiet_s = timing.release_s + rng.random() * _STREET_S
        self._sits_at = now + self._quiet_s
        self._sat_until = -inf
        """Until when a primary that yielded tells the other that it had been giving."""
        self._cycle_at = now + timing.poll_s + _LISTEN_S + rng.random() * _LISTEN_SPREAD_S
        self._cycle_began: float | None = None
        self._recheck_at = inf
        self._intruder: int | None = None
        """The other primary that is shown while this one sits."""
        self.hold = False
        """Grant nothing for now: the switch is being turned."""
        self.over = False
        """This life has ended; the station is to start as a primary afresh."""
        self.phase = Phase.LISTENING
        station.join(now)
        if rivals.serial is not None:
            self._yield(rivals.serial, now)

    # What people see

    @property
    def role(self) -> str:
        return "primary" if self.group.secondaries else "standalone"

    @property
    def whom(self) -> tuple[object, ...]:
        """The group's limit, serials of its secondaries, and the stations that it refuses."""
        return (self.limit_da, *[member.identity.serial for member in self.group.secondaries], self.refusals)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The stations that it does not take into its group, as long as they ask."""
        return self._enroller.refusals.rows

    @property
    def rival(self) -> int | None:
        """Serial of the other primary that is shown: the one it yielded to, or an intruder."""
        return self.rivals.serial if self.phase is Phase.YIELDED else self._intruder

    @property
    def group_fields(self) -> Mapping[str, object]:
        """With whom it shares, for the event log; with whom it does not, and why."""
        members = [f"{member.identity.serial:012X}" for member in self.group.secondaries]
        refused = [refusal.fields for refusal in self.refusals]
        return {"members": members, **({"refused": refused} if refused else {})}

    @property
    def reason(self) -> Reason:
        if self.phase is Phase.YIELDED:
            return Reason.MORE_THAN_ONE_PRIMARY
        return self.group.own.reason if self.phase is Phase.SITTING else Reason.QUIET_START

    def _cycle_limit_s(self) -> float:
        """What the frames and waits of one cycle take at the line's own pace, the last probe unanswered."""
        master = self._master
        poll = air_s(msg.POLL_LENGTH + msg.STATUS_LENGTH, self._baud) + 2 * master.silence_s
        probe = air_s(msg.enrolment_length(msg.Probe), self._baud) + master.wait_s(_HERE_LENGTH)
        return len(self.group.secondaries) * poll + probe

    # Time

    def next_wakeup(self) -> float:
        master = self._master
        if master.waiting is None and not self._talks:
            due = max(min(self._cycle_at, self._recheck_at), master.clear_at)
        else:
            due = master.next_wakeup()
        return min(due, self._sits_at) if self.phase is Phase.QUIET else due

    def step(self, now: float) -> None:
        master = self._master
        if now >= self._sits_at and self.phase is Phase.QUIET:
            self._sit(now)
        if master.timed_out(now):
            self._on_silence(now)
        if master.waiting is not None or now < master.clear_at or self.over:
            return
        if self.phase is Phase.YIELDED:
            self._ask(now)
        elif self.phase is not Phase.LISTENING or now >= self._cycle_at:
            self._speak(now)

    @property
    def _talks(self) -> bool:
        """Whether there is more to say in this cycle: then it follows at once, the port keeps the silence."""
        return bool(self._polls or self._enroller.letters) or self._search_until > -inf

    def close(self, now: float) -> None:
        """This role ends: the switch was turned. What is out runs off by itself within the release time."""
        self._station.leave(now)
        self._station.end_fault("more_than_one_primary", now)

    def on_bus(self, works: bool, now: float) -> None:
        """The port came or went. A primary that can't hear does not know that it is the only one."""
        if self.phase in (Phase.LISTENING, Phase.QUIET):
            self._sits_at = now + self._quiet_s if works else inf

    def heed(self, online_da: int | None, now: float) -> None:
        """The most that a controller lets the group have now; None = it has none. As with a turned switch, a lower
        limit stops every raise at once and binds one release time later."""
        limit_da = self.switch_da if online_da is None else min(self.switch_da, online_da)
        if limit_da < MIN_OFFER_DA:
            limit_da = 0  # no pilot says so little
        if limit_da != self.limit_da:
            self.limit_da = limit_da
            self.group.ledger.change_limit(limit_da, now)
            if self.phase is Phase.SITTING:
                self._share(now)

    def _sit(self, now: float) -> None:
        self.phase = Phase.SITTING
        self.group.giving = self.group.stale = True
        self._station.set_ready(True, now)

    # Speaking

    def _speak(self, now: float) -> None:
        """The line is clear: say what comes next."""
        if self.phase is Phase.LISTENING:
            self.phase = Phase.QUIET
        if now >= self._recheck_at:
            self._share(now)
        if now >= self._cycle_at and not self._polls and self._search_until == -inf:
            self._begin_cycle(now)
        if self._enroller.letters:
            address, letter = self._enroller.letters.popleft()
            frame = msg.encode_enrolment(address, letter)
            self._master.say(frame, letter, _ANSWER_LENGTH[type(letter)], now)
        elif self._polls:
            self._poll(self._polls.popleft(), now)
        elif self._search_until > -inf:
            self._probe(now)

    def _begin_cycle(self, now: float) -> None:
        self._cycle_began = now
        jitter = _JITTER if self.group.giving else _QUIET_JITTER
        self._cycle_at = now + self._timing.poll_s * (1 - jitter * self._rng.random())
        self._search_until = inf
        self._enroller.begin(now)
        self.group.tend(now)
        self._show_rival(now)
        self._share(now)
        self._polls.extend(m for m in self.group.secondaries if m not in self._polls)

    def _share(self, now: float) -> None:
        """Own station first, as its exchange costs nothing; then whoever is to get something else, at once."""
        self._exchange_own(now)
        if self.group.due(now):
            self.group.plan(now)
            self._exchange_own(now)
        for member in reversed(self.group.unmet(now)):
            if member is not self.group.own and member not in self._polls:
                self._polls.appendleft(member)
        self._recheck_at = self.group.settles_at(now)

    def _exchange_own(self, now: float) -> None:
        """The primary's own station: a member like any other, without the bytes."""
        own = self.group.own
        self.group.on_status(own, self._station.report(now), now)
        if not self.hold:
            before = own.row.granted_da
            self._station.take(self.group.grant(own, now), now)
            if own.row.granted_da != before:
                self.group.on_status(own, self._station.report(now), now)

    def _poll(self, member: Member, now: float) -> None:
        if member not in self.group.secondaries or not member.address or self.hold:
            return
        member.polls += 1
        self._health.polls += 1
        grant = self.group.grant(member, now)
        frame = msg.encode_poll(member.address, self._identity.serial, member.session, grant)
        self._master.say(frame, member, msg.STATUS_LENGTH, now)

    def _probe(self, now: float) -> None:
        branch = self._enroller.branch
        if branch is None or now >= self._search_until:
            self._search_until = -inf
            self._cycle_at = max(self._cycle_at, now + _REST_S * (1 + self._rng.random()))
            return
        probe = msg.Probe(self._identity, branch.bits, branch.depth, self.group.giving)
        self._master.say(msg.encode_enrolment(msg.UNENROLLED, probe), branch, _HERE_LENGTH, now)

    def _ask(self, now: float) -> None:
        """A yielded primary's only word."""
        if now >= self._cycle_at and self.rivals.serial is not None:
            self._cycle_at = now + _ASK_S * (1 + self._rng.random() / 4)
            question = msg.AreYouSecondary(self._identity, self.rivals.serial, now < self._sat_until)
            self._master.say(msg.encode_enrolment(msg.UNENROLLED, question), question, _HERE_LENGTH, now)

    # Hearing

    def on_bytes(self, data: bytes, now: float) -> bool:
        """Bytes were heard; they always matter, as the line must be silent before the next word."""
        for frame in self._master.feed(data, now):
            self._on_frame(frame, now)
        if self._master.waiting is None and self._talks:
            self._speak(now)
        if self.phase is Phase.YIELDED:
            self._cycle_at = max(self._cycle_at, now + self._master.wait_s(msg.STATUS_LENGTH) + _GAP_S)
        return True

    def _on_frame(self, frame: bytes, now: float) -> None:
        waiting = self._master.waiting
        if msg.is_status(frame) and isinstance(waiting, Member) and waiting.address == frame[0]:
            self._on_answer(frame, waiting, now)
        elif frame[1] == msg.ENROL:
            message = msg.decode_enrolment(frame)
            if message is not None:
                self._on_enrolment(message, now)
        elif msg.is_poll(frame):
            poll = msg.decode_poll(frame)
            if poll is not None and not (poll.serial == self._identity.serial and self._enroller.made(poll.session)):
                self._on_rival(poll.serial, poll.grant.reason is not Reason.QUIET_START, now)
        else:
            self._on_late(frame[0])

    def _on_answer(self, frame: bytes, member: Member, now: float) -> None:
        status = msg.decode_status(frame, member.session)
        if status is None:
            self._master.spoil()
            return
        if self._enroller.suspect is member:
            if status.granted == member.row.number:  # else a late word of the life before
                self._master.answered()
                self._enroller.on_suspect(answered=True, now=now)
            return
        self._master.answered()
        self.group.on_status(member, status, now)
        if self.group.stale:
            self._share(now)
        else:
            self._recheck_at = min(self._recheck_at, max(member.row.settles_at, now))

    def _on_late(self, address: int) -> None:
        self._health.late += 1
        for member in self.group.secondaries:
            member.late += member.address == address

    def _on_enrolment(self, message: msg.Enrolment, now: float) -> None:
        waiting = self._master.waiting
        if isinstance(message, msg.Here | msg.Assigned):
            if self.phase is Phase.YIELDED:
                self._on_former_rival(message.station.serial)
            elif isinstance(message, msg.Here) and isinstance(waiting, Branch) and waiting.holds(message.station):
                self._master.answered()
                self._on_here(message, now)
            elif isinstance(message, msg.Assigned) and isinstance(waiting, msg.Assign):
                if self._enroller.on_assigned(message, waiting):
                    self._master.answered()
                else:
                    self._master.spoil()
        elif message.primary != self._identity:
            if isinstance(message, msg.AreYouSecondary):
                self._on_yielded(message, now)
            else:
                self._on_rival(message.primary.serial, isinstance(message, msg.Probe) and message.sits, now)

    def _on_silence(self, now: float) -> None:
        """Nothing, or nothing that made sense, has come in time."""
        waiting = self._master.waiting
        garbled = self._master.give_up()
        if isinstance(waiting, Member):
            waiting.missed += 1
            self._health.missed += 1
            waiting.bad += garbled
            if self._enroller.suspect is waiting:
                self._enroller.on_suspect(answered=False, now=now)
        elif isinstance(waiting, Branch):
            self._end_cycle(now)
            self._enroller.on_nothing(garbled, now)

    def _end_cycle(self, now: float) -> None:
        """All polls and the first probe are through; more probes may follow until the next cycle."""
        if self._cycle_began is not None:
            self._health.end_cycle(now - self._cycle_began, self._cycle_limit_s())
            self._cycle_began = None
            self._search_until = self._search_ends(now)

    def _search_ends(self, now: float) -> float:
        """How long probing may go on: nobody's lease waits for a poll before the quiet start is over."""
        return max(now + _SEARCH_S, self._cycle_at) if self.group.giving else now + _QUIET_SEARCH_S

    def _on_here(self, here: msg.Here, now: float) -> None:
        if self._cycle_began is not None:
            self._cycle_began = None
            self._search_until = self._search_ends(now)
        self._enroller.on_here(here, now)
        if self._enroller.suspect is not None:
            self._polls.appendleft(self._enroller.suspect)

    # Other primaries

    def _on_yielded(self, message: msg.AreYouSecondary, now: float) -> None:
        """Another primary has yielded. One that had been giving itself takes this one with it: nobody knows which
        of the two switches is right."""
        self.rivals.heard(message.primary.serial, now)
        if message.sat and message.serial == self._identity.serial and self.phase is Phase.SITTING:
            self._yield(message.primary.serial, now)

    def _on_rival(self, serial: int, sits: bool, now: float) -> None:
        """A frame of another primary: only one that sits stands its ground, and not against another that sits."""
        if serial == self._identity.serial and now < self._began_at + _FORMER_LIFE_S:
            return  # a late echo of a former life
        self.rivals.heard(serial, now)
        if self.phase is Phase.YIELDED:
            self.rivals.yield_to(serial)
        elif self.phase is not Phase.SITTING or sits:
            self._yield(serial, now)
        else:
            self._show_rival(now)

    def _yield(self, serial: int, now: float) -> None:
        self.rivals.yield_to(serial)
        if self.phase is Phase.SITTING:
            self._sat_until = now + _SAT_S
        self.phase = Phase.YIELDED
        self.group.giving = False
        self.group.secondaries.clear()
        self._enroller.refusals.clear()
        self._polls.clear()
        self._enroller.letters.clear()
        self._cycle_began, self._search_until = None, -inf
        self._master.give_up()
        self._recheck_at = inf
        self._cycle_at = now
        self._station.leave(now)
        self._station.set_fault("more_than_one_primary", now)

    def _show_rival(self, now: float) -> None:
        self._intruder = self.rivals.named(now)
        self._station.mark_fault("more_than_one_primary", self._intruder is not None, now)

    def _on_former_rival(self, serial: int) -> None:
        if serial == self.rivals.serial:
            self.rivals.forget()
            self.over = True
