"""A station set to F: it waits to be found, answers its primary's polls, and takes what it is granted."""

from collections.abc import Mapping
from math import inf

from firmware.bus.health import BusHealth
from firmware.bus.messages import (
    ENROL,
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
    is_status,
    session_of,
)
from firmware.bus.plain import PlainModbus
from firmware.bus.rtu import Splitter
from firmware.bus.versions import OWN
from firmware.sharing.refusals import PAUSE_S, Refusal, code_of
from firmware.station import Station
from firmware.timing import Timing
from hal.api import BusPort

_TALK = 4  # bytes: fewer are the glitch of a transmitter that turns off
_FIRST_POLL_S = 2.0  # an enrolled station that is not polled by then answers probes again: its answer was lost
_NO_PRIMARY_S = 10.0  # without a primary for this long: shown as a fault


class Secondary:
    """The secondary's half of the group protocol."""

    role = "secondary"
    over = False

    def __init__(
        self,
        identity: Identity,
        station: Station,
        port: BusPort,
        plain: PlainModbus,
        timing: Timing,
        health: BusHealth,
        now: float,
    ) -> None:
        self._identity = identity
        self._station = station
        self._port = port
        self._plain = plain
        self._timing = timing
        self._health = health
        self._splitter = Splitter(health)
        self._address = UNENROLLED
        self._session = 0
        self._primary: int | None = None
        """Serial of the primary of this session."""
        self._lapses_at = now + _NO_PRIMARY_S
        """When what is so now ends: a membership without polls, a refusal, being alone without showing it."""
        self.refusal: Refusal | None = None
        """Which primary did not take this station, and why; shown until it does or falls silent."""
        self._mute_until = -inf
        self._probed_at = -inf
        """When a primary's probe was last answered: one that goes on asking does not hear this station."""
        self._said = b""
        """The last answer sent, to know its echo."""
        self.limit_da = 0

    # What people see

    @property
    def reason(self) -> Reason:
        if self.refusal is not None:
            return Reason.GROUP_FULL if self.refusal.code == "group_full" else Reason.FAULT
        holder = self._station.holder
        if self._address == UNENROLLED or holder.grant is None or holder.lapsed:
            return Reason.NO_PRIMARY
        return holder.grant.reason

    @property
    def whom(self) -> tuple[object, ...]:
        """Serial of its primary, the group's total as last heard, and who refused it."""
        return self._primary, self.limit_da, self.refusal

    @property
    def group_fields(self) -> Mapping[str, object]:
        """With whom it shares, for the event log; or who does not take it, and why."""
        primary = None if self._primary is None else f"{self._primary:012X}"
        return {"primary": primary, **({"refused_by": self.refusal.fields} if self.refusal is not None else {})}

    @property
    def enrolled(self) -> bool:
        return self._address != UNENROLLED

    # Time

    def next_wakeup(self) -> float:
        return self._lapses_at

    def step(self, now: float) -> None:
        if now >= self._lapses_at:
            self._lapse(now)

    def _lapse(self, now: float) -> None:
        if self.enrolled:
            self._leave(now)
        else:
            self._forget_refusal(now)
            unheard = now < self._probed_at + _NO_PRIMARY_S
            self._station.mark_fault("unheard", unheard, now)
            self._station.mark_fault("no_primary", not unheard, now)
            self._lapses_at = now + _NO_PRIMARY_S

    def _forget_refusal(self, now: float) -> None:
        if self.refusal is not None:
            self._station.end_fault(self.refusal.code, now)
            self.refusal, self._mute_until = None, -inf

    def close(self, now: float) -> None:
        """This role ends: the switch was turned."""
        self._station.leave(now)
        self._end_loneliness(now)
        self._forget_refusal(now)
        self._station.end_fault("configuration", now)

    # What is heard

    def on_bytes(self, data: bytes, now: float) -> bool:
        """Bytes were heard. Whether any of it concerns this station."""
        if data[0] != self._address and self._splitter.is_frame(data):
            return False
        concerned, answer = False, b""
        for frame in self._splitter.feed(data):
            answer = b""
            if frame[0] == self._address and frame != self._said:
                concerned = True
                answer = self._on_frame(frame, now)
        if answer and self._splitter.pending < _TALK:  # else somebody has talked since: it would come too late
            self._said = answer
            self._port.send(answer)
        return concerned

    def _on_frame(self, frame: bytes, now: float) -> bytes:
        """Act on a frame to this station; the frame that answers it, if any."""
        if frame[1] == ENROL:
            message = decode_enrolment(frame)
            answer = None if message is None else self._on_enrolment(message, now)
            return b"" if answer is None else encode_enrolment(self._address, answer)
        if is_poll(frame):
            poll = decode_poll(frame)
            return b"" if poll is None else self._on_poll(poll, now)
        return b"" if is_status(frame) else self._plain.answer(frame)  # its own, echoed late

    def _on_poll(self, poll: Poll, now: float) -> bytes:
        if poll.session != self._session or poll.serial != self._primary:
            self._health.intruders += 1
            return b""
        self._lapses_at = now + self._timing.lease_s
        if poll.grant.lease_ds > self._timing.lease_s * 10:
            self._station.set_fault("configuration", now)
        elif self._station.faults.worst:
            self._station.end_fault("configuration", now)
        if self._station.take(poll.grant, now):
            self.limit_da = poll.grant.limit_da
            self._station.set_ready(poll.grant.reason is not Reason.QUIET_START, now)
        return encode_status(self._address, self._session, self._station.report(now))

    def _on_enrolment(self, message: Enrolment, now: float) -> Enrolment | None:
        """Act on a message; the one that answers it, if any."""
        if isinstance(message, Refuse) and message.serial == self._identity.serial:
            self._on_refuse(message, now)
        elif isinstance(message, AreYouSecondary) and message.serial == self._identity.serial:
            return Here(self._identity, OWN)
        elif now < self._mute_until:
            return None
        elif isinstance(message, Probe) and self._identity.serial & ((1 << message.low_bits) - 1) == message.bits:
            self._probed_at = now
            return Here(self._identity, OWN)
        elif isinstance(message, Assign) and message.station == self._identity:
            return self._join(message, now)
        return None

    # Joining and leaving

    def _join(self, assign: Assign, now: float) -> Assigned | None:
        session = session_of(assign.primary, self._identity, assign.counter)
        if session == self._session:
            return None  # a late copy: the numbers of that session have been used
        self._session = session
        self._primary = assign.primary.serial
        self._address = assign.address
        self._lapses_at = now + _FIRST_POLL_S
        self._end_loneliness(now)
        self._forget_refusal(now)
        self._station.join(now)
        return Assigned(self._identity, self._session, self._station.rating_da)

    def _leave(self, now: float) -> None:
        """Nothing heard from the primary for a lease: the address is given back."""
        self._address = UNENROLLED
        self._primary = None
        self._lapses_at = now + _NO_PRIMARY_S
        self._station.end_fault("configuration", now)
        self._station.leave(now)

    def _end_loneliness(self, now: float) -> None:
        for code in ("no_primary", "unheard"):
            self._station.end_fault(code, now)

    def _on_refuse(self, message: Refuse, now: float) -> None:
        if self.enrolled:
            self._leave(now)
        self._end_loneliness(now)
        self._forget_refusal(now)
        self.refusal = Refusal(message.primary.serial, code_of(message.why), message.software)
        self._mute_until = now + PAUSE_S[self.refusal.code]
        self._lapses_at = self._mute_until + _NO_PRIMARY_S
        self._station.set_fault(self.refusal.code, now)
