"""The primary's side of enrolment: who answered, which address it gets, and whether it is who it says it is."""

from collections import deque

from firmware.bus import messages as msg
from firmware.bus.enrolment import Branch, Search
from firmware.bus.messages import Here, Identity
from firmware.bus.versions import OWN, Software
from firmware.sharing.group import Group
from firmware.sharing.members import Member
from firmware.sharing.refusals import Refusal, Refusals, code_of

_KEPT = 64

Letter = msg.Assign | msg.Refuse


class Enroller:
    """Decides what a probe's outcome means; its owner does the talking."""

    def __init__(self, own: Identity, group: Group, counter: int) -> None:
        """`counter`: where the numbers of enrolments begin, drawn anew in each life."""
        self._own = own
        self._group = group
        self._counter = counter
        self._address = 0
        self._search = Search()
        self.letters: deque[tuple[int, Letter]] = deque()
        """(address, message) to say before anything else."""
        self.suspect: Member | None = None
        """A member that must be polled once more: its serial has answered a probe in another life."""
        self._other_life: Here | None = None
        self.refusals = Refusals()
        self._sessions: deque[int] = deque(maxlen=_KEPT)

    @property
    def branch(self) -> Branch | None:
        """What to ask for next; None when all that can be found has been."""
        return self._search.branch

    def begin(self, now: float) -> None:
        """Start a new search, unless one is under way."""
        self.refusals.expire(now)
        if self._search.branch is None:
            self._search = Search()

    def made(self, session: int) -> bool:
        """Whether this life of the primary made that session: so an echo of its poll is not a namesake's."""
        return session in self._sessions or any(m.session == session for m in self._group.secondaries)

    def on_nothing(self, garbled: bool, now: float) -> None:
        """A probe brought no answer, or several at once."""
        if not garbled:
            self._search.on_silence()
            return
        twins = self._search.on_garbage()
        if twins is not None:
            self._refuse(twins, msg.REFUSED_TWIN, msg.UNENROLLED, None, now)

    def on_here(self, here: Here, now: float) -> None:
        """One station answered a probe."""
        station, software = here
        if self.suspect not in self._group.secondaries:
            self.suspect = None  # lost before it could be polled again
        twin = self._group.twin_of(station)
        if station.serial == self._own.serial:
            self._refuse(station.serial, msg.REFUSED_TWIN, msg.UNENROLLED, software, now)
        elif software.protocol != OWN.protocol:
            self._refuse(station.serial, msg.REFUSED_PROTOCOL, msg.UNENROLLED, software, now)
        elif twin is None:
            self._assign(here, now)
        elif self.suspect is None:
            self.suspect, self._other_life = twin, here

    def on_assigned(self, message: msg.Assigned, assign: msg.Assign) -> bool:
        """A station has taken its address. Whether that is an answer to `assign`."""
        session = msg.session_of(self._own, assign.station, assign.counter)
        member = self._group.member(assign.station)
        if member is None or message[:2] != (assign.station, session):
            return False
        self._sessions.append(session)
        member.join(assign.address, session, message.rating_da)
        self.refusals.end(assign.station.serial)
        self._search.on_found()
        return True

    def on_suspect(self, answered: bool, now: float) -> None:
        """The old address was polled once more: an answer proves two stations of one serial number, and neither
        can be trusted with it; silence means that it restarted."""
        member, here = self.suspect, self._other_life
        self.suspect = self._other_life = None
        if member is None or here is None:
            return
        self._group.lose(member)
        if answered:
            for address in (member.address, msg.UNENROLLED):
                self._refuse(here.station.serial, msg.REFUSED_TWIN, address, here.software, now)
        else:
            self._assign(here, now)

    def _assign(self, here: Here, now: float) -> None:
        station, software = here
        member = self._group.enrol(station, now)
        if member is None:
            self._refuse(station.serial, msg.REFUSED_FULL, msg.UNENROLLED, software, now)
            return
        member.software = software
        self._counter = (self._counter + 1) & 0xFFFFFFFF
        taken = {m.address for m in self._group.secondaries}
        self._address = self._address % msg.ADDRESSES[-1] + 1
        while self._address in taken:
            self._address = self._address % msg.ADDRESSES[-1] + 1
        self.letters.append((msg.UNENROLLED, msg.Assign(self._own, station, self._counter, self._address)))

    def _refuse(self, serial: int, why: int, address: int, software: Software | None, now: float) -> None:
        self.refusals.add(Refusal(serial, code_of(why), software), now)
        self.letters.append((address, msg.Refuse(self._own, serial, why, OWN)))
