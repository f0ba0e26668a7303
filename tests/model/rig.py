"""The firmware's real objects on a circuit whose every message, stall and restart is done by hand."""

from math import inf
from random import Random

from firmware.bus import messages as msg
from firmware.bus.health import BusHealth
from firmware.bus.messages import Grant, Identity, Reason
from firmware.bus.plain import PlainModbus
from firmware.sharing.ledger import Row
from firmware.sharing.members import Member
from firmware.sharing.primary import Primary
from firmware.sharing.rivals import Rivals
from firmware.sharing.secondary import Secondary
from firmware.station import Station
from firmware.timing import Timing
from hal.api import BusPort
from hal.simulated.board import MemoryStore
from tests.outlet import Outlet

RATING_DA = 480
LIMIT_DA = 120
_APART_S = 1000.0


class Port(BusPort):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.said.append(data)

    def take(self) -> list[bytes]:
        said, self.said = self.said, []
        return said


class Process:
    """One secondary's firmware, by the slowest clock; it runs only when it is told to."""

    def __init__(self, serial: int, timing: Timing) -> None:
        self.serial, self.timing = serial, timing
        self.outlet = Outlet("C", timing.reaction_s)
        self.port = Port()
        self.lives = 0
        self.start(0.0)

    def local(self, now: float) -> float:
        return _APART_S * self.serial + now * (1 - self.timing.drift)

    def true(self, local: float) -> float:
        return (local - _APART_S * self.serial) / (1 - self.timing.drift)

    def start(self, now: float) -> None:
        """A new life."""
        self.outlet.now = now
        self.lives += 1
        self.identity = Identity(self.serial, self.lives)
        self.station = Station(self.outlet, self.timing, RATING_DA)
        self._seen = self.outlet.inputs()
        self.station.start(self._seen, self.local(now))
        plain = PlainModbus(list, ("", "", "", ""))
        self.secondary = Secondary(
            self.identity, self.station, self.port, plain, self.timing, BusHealth(), self.local(now)
        )
        self._look(now)

    @property
    def due_at(self) -> float:
        """When its lease or its membership ends, true time."""
        lapses = self.secondary.next_wakeup() if self.secondary.enrolled else inf
        return self.true(min(self.station.holder.expires_at, lapses))

    def run(self, now: float, until: float) -> None:
        """Time passes; whatever is due before `until` is done in time."""
        while (wake := self.true(min(self.station.next_wakeup(), self.secondary.next_wakeup())) + 1e-6) < until:
            now = max(now, wake)
            self.step(now)
        self.outlet.now = until

    def step(self, now: float) -> None:
        """Do what is due, however late."""
        self.outlet.now = now
        self.station.step(self.local(now))
        self.secondary.step(self.local(now))
        self._look(now)

    def hear(self, frame: bytes, now: float) -> list[bytes]:
        """A frame arrives; the answers."""
        self.step(now)
        self.secondary.on_bytes(frame, self.local(now))
        self._look(now)
        return self.port.take()

    def let_go(self, now: float) -> None:
        """The dead-man has let the outputs go, and the process hears of it."""
        self.outlet.now = now
        self.outlet.steady()
        self.outlet.open()
        self.station.on_outputs_dropped(self.local(now))
        self._look(now)

    def _look(self, now: float) -> None:
        while self.outlet.inputs() != self._seen:
            self._seen = self.outlet.inputs()
            self.station.on_inputs(self._seen, self.local(now))


class _Zero(Random):
    """The shortest of all random times."""

    def random(self) -> float:
        return 0.0


class Desk:
    """The primary's half, by the fastest clock. Its own words go nowhere: what it says to members is said by hand."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.lives = self.counter = 0
        self.start(0.0)

    def local(self, now: float) -> float:
        return now * (1 + self.timing.drift)

    def start(self, now: float) -> None:
        """A new life, which knows nothing."""
        self.lives += 1
        self.identity = Identity(99, self.lives)
        outlet, at = Outlet("A", self.timing.reaction_s), self.local(now)
        station = Station(outlet, self.timing, RATING_DA)
        station.start(outlet.inputs(), at)
        rivals = Rivals(MemoryStore(), 0)
        self.primary = Primary(
            self.identity, station, Port(), rivals, LIMIT_DA, 19200, self.timing, BusHealth(), _Zero(self.lives), at
        )
        self.primary.hold = True
        self.members: dict[Identity, Member] = {}

    def step(self, now: float) -> None:
        """What it does by itself: it ends its quiet start, and tends its book as at the begin of a cycle."""
        self.primary.step(self.local(now))
        self.primary.group.tend(self.local(now))

    @property
    def gives(self) -> bool:
        return self.primary.group.giving

    def row(self, identity: Identity) -> Row | None:
        """Of that life, while it counts."""
        member = self.members.get(identity)
        return member.row if member and member.row in self.primary.group.ledger.rows else None

    def enrol(self, process: Process, heard: bool, now: float) -> int:
        """The session, 0 when the assignment is lost."""
        self.counter += 1
        group = self.primary.group
        twin = group.twin_of(process.identity)
        if twin is not None:
            group.lose(twin)  # as `Enroller.on_suspect`
        member = group.enrol(process.identity, self.local(now))
        assert member is not None
        self.members[process.identity] = member
        if not heard:
            return 0
        assign = msg.Assign(self.identity, process.identity, self.counter, process.serial)
        (answer,) = process.hear(msg.encode_enrolment(msg.UNENROLLED, assign), now)
        session = msg.session_of(self.identity, process.identity, self.counter)
        assert msg.decode_enrolment(answer) == msg.Assigned(process.identity, session, RATING_DA)
        member.join(process.serial, session, RATING_DA)
        return session

    def poll(self, identity: Identity, wanted_da: int, now: float) -> bytes:
        """A grant of what is wanted as far as it is free, counted."""
        member, group = self.members[identity], self.primary.group
        amps = group.ledger.commit(member.row, wanted_da if group.giving else 0, self.local(now))
        reason = Reason.SHARE if group.giving else Reason.QUIET_START
        row, lease_ds = member.row, int(self.timing.lease_s * 10)
        grant = Grant(row.number, row.answered, amps, lease_ds, LIMIT_DA, reason)
        return msg.encode_poll(member.address, self.identity.serial, member.session, grant)

    def hear(self, frame: bytes, now: float) -> None:
        """A report, to whichever member's session it passes the check of."""
        for member in self.members.values():
            status = msg.decode_status(frame, member.session) if member.address else None
            if status is not None and member.row in self.primary.group.ledger.rows:
                self.primary.group.on_status(member, status, self.local(now))
