"""A station set to F: it waits to be found, answers its primary's polls, and takes what it is granted."""

from math import inf

from firmware.bus.health import BusHealth
from firmware.bus.messages import (
    ENROL,
    REFUSED_FULL,
    REFUSED_TWIN,
    UNENROLLED,
    AreYouSecondary,
    Assign,
    Assigned,
    Enrolment,
    Here,
    Identity,
    Poll,
    Probe,
    Reason,
    Refuse,
    decode_enrolment,
    decode_poll,
    encode_enrolment,
    encode_status,
    is_poll,
    session_of,
)
from firmware.bus.plain import PlainModbus
from firmware.bus.rtu import Splitter, silence_s
from firmware.station import Station
from firmware.timing import Timing
from hal.api import BusPort

_FIRST_POLL_S = 2.0  # an enrolled station that is not polled by then answers probes again: its answer was lost
_REFUSALS = {REFUSED_FULL: ("group_full", 5.0), REFUSED_TWIN: ("duplicate_serial", 60.0)}
"""By code: the fault shown, and for how long (s) the station leaves the bus to the others."""
_NO_PRIMARY_S = 10.0  # without a primary for this long: shown as a fault


class Secondary:
    """The secondary's half of the group protocol; its answers leave one silence after the request."""

    role = "secondary"
    over = False

    def __init__(
        self, identity: Identity, station: Station, port: BusPort, plain: PlainModbus, baud: int, timing: Timing, health: BusHealth, now: float
    ) -> None:
        self._identity = identity
        self._station = station
        self._port = port
        self._plain = plain
        self._silence_s = silence_s(baud)
        self._timing = timing
        self._health = health
        self._splitter = Splitter(health)
        self._address = UNENROLLED
        self._session = 0
        self._primary: int | None = None
        """Serial of the primary of this session."""
        self._lapses_at = now + _NO_PRIMARY_S
        """When what is so now ends: a membership without polls, a refusal, being alone without showing it."""
        self._refused = ""
        """Fault code of why the primary did not take this station."""
        self._answer: tuple[float, Poll | bytes] | None = None
        """What to send, and when."""
        self._said = b""
        """The last answer sent, to know its echo."""
        self.limit_da = 0

    # What people see

    @property
    def reason(self) -> Reason:
        if self._refused:
            return Reason.GROUP_FULL if self._refused == "group_full" else Reason.FAULT
        holder = self._station.holder
        if self._address == UNENROLLED or holder.grant is None or holder.amps_da < holder.grant.amps_da:
            return Reason.NO_PRIMARY  # not enrolled, not granted anything yet, or the lease has run out
        return holder.grant.reason

    @property
    def enrolled(self) -> bool:
        return self._address != UNENROLLED

    # Time

    def next_wakeup(self) -> float:
        return self._lapses_at if self._answer is None else min(self._answer[0], self._lapses_at)

    def step(self, now: float) -> None:
        if self._answer is not None and now >= self._answer[0]:
            self._send(now)
        if now >= self._lapses_at:
            self._lapse(now)

    def _lapse(self, now: float) -> None:
        if self.enrolled:
            self._leave(now)
        elif self._refused:
            self._station.end_fault(self._refused, now)
            self._refused, self._lapses_at = "", now + _NO_PRIMARY_S
        else:
            self._station.set_fault("no_primary", now)
            self._lapses_at = inf

    def close(self, now: float) -> None:
        """This role ends: the switch was turned."""
        self._station.leave(now)
        for code in ("no_primary", "group_full", "duplicate_serial"):
            self._station.end_fault(code, now)

    # What is heard

    def on_bytes(self, data: bytes, now: float) -> bool:
        """Bytes were heard. Whether any of it concerns this station."""
        concerned = self._answer is not None
        if not concerned and self._splitter.is_foreign(data, self._address):
            return False
        self._answer = None  # somebody talks: the answer would come too late, and into another frame
        for frame in self._splitter.feed(data):
            self._answer = None
            if frame[0] == self._address and frame != self._said:
                concerned = True
                self._on_frame(frame, now)
        return concerned

    def _on_frame(self, frame: bytes, now: float) -> None:
        if frame[1] == ENROL:
            message = decode_enrolment(frame)
            if message is not None:
                self._on_enrolment(message, now)
        elif is_poll(frame):
            poll = decode_poll(frame)
            if poll is not None:
                self._on_poll(poll, now)
        else:
            answer = self._plain.answer(frame)
            if answer:
                self._answer = (now + self._silence_s, answer)

    def _on_poll(self, poll: Poll, now: float) -> None:
        if poll.session != self._session or poll.serial != self._primary:
            self._health.intruders += 1
            return
        self._lapses_at = now + self._timing.lease_s
        if self._station.take(poll.grant, now):
            self.limit_da = poll.grant.limit_da
            if not self._station.group_ready:
                self._station.group_ready = poll.grant.reason is not Reason.QUIET_START
        self._answer = (now + self._silence_s, poll)

    def _on_enrolment(self, message: Enrolment, now: float) -> None:
        if isinstance(message, Refuse) and message.serial == self._identity.serial:
            self._on_refuse(message, now)
        elif isinstance(message, AreYouSecondary) and message.serial == self._identity.serial:
            self._answer_with(Here(self._identity), now)
        elif self._refused:
            return
        elif isinstance(message, Probe):
            if self._identity.serial & ((1 << message.low_bits) - 1) == message.bits:
                self._answer_with(Here(self._identity), now)
        elif isinstance(message, Assign) and message.station == self._identity:
            self._join(message, now)

    def _answer_with(self, message: Enrolment, now: float) -> None:
        self._answer = (now + self._silence_s, encode_enrolment(self._address, message))

    def _send(self, now: float) -> None:
        assert self._answer is not None
        answer, self._answer = self._answer[1], None
        if isinstance(answer, Poll):
            status = self._station.report(now)
            answer = encode_status(self._address, self._session, status)
        self._said = answer
        self._port.send(answer)

    # Joining and leaving

    def _join(self, assign: Assign, now: float) -> None:
        self._session = session_of(assign.primary, self._identity, assign.counter)
        self._primary = assign.primary.serial
        self._address = assign.address
        self._lapses_at = now + _FIRST_POLL_S
        self._station.end_fault("no_primary", now)
        self._station.join(now)
        self._answer_with(Assigned(self._identity, self._session), now)

    def _leave(self, now: float) -> None:
        """Nothing heard from the primary for a lease: the address is given back."""
        self._address = UNENROLLED
        self._primary = None
        self._lapses_at = now + _NO_PRIMARY_S
        self._station.leave(now)

    def _on_refuse(self, message: Refuse, now: float) -> None:
        if message.why not in _REFUSALS:
            return
        if self.enrolled:
            self._leave(now)
        self._station.end_fault("no_primary", now)
        self._refused, pause_s = _REFUSALS[message.why]
        self._lapses_at = now + pause_s
        self._station.set_fault(self._refused, now)
