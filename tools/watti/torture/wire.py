"""What each secondary has been permitted, from the frames on the wire: as much as any grant said that answers a
question of its own, for that grant's lifetime from the question. Not all of it need have arrived.
"""

from math import inf

from firmware.bus import messages as msg
from hal.simulated.world import World

_ROUNDING_S = 0.001
"""At the very instant at which a lease ends the station has yet to be told the time."""


class Wire:
    """Overhears all that the stations of a world send."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[int, int] = {}
        """By station."""
        self._holders: dict[int, int] = {}
        """By session."""
        self._asked: dict[tuple[int, int], float] = {}
        """When a question left, by session and number."""
        self._grants: list[list[tuple[float, int]]] = [[] for _ in world.slots]
        """(until when, deciamps) by station."""
        lived = world.now > 0.0
        self._unheard = {station for station, slot in enumerate(world.slots) if lived and slot.node is not None}
        """Stations that lived before this began: nothing is known of them until they enrol."""
        world.overhear = self._overhear

    def permitted_a(self, station: int, now: float) -> float:
        """The most that any grant of that station which still runs has said."""
        if station in self._unheard:
            return inf
        running = self._grants[station] = [grant for grant in self._grants[station] if grant[0] > now]
        return max((amps_da for _, amps_da in running), default=0) / 10

    def _overhear(self, station: int, frame: bytes) -> None:
        if msg.is_poll(frame):
            self._on_poll(msg.decode_poll(frame))
        elif msg.is_status(frame):
            session = self._sessions.get(station)
            status = None if session is None else msg.decode_status(frame, session)
            if session is not None and status is not None:
                self._asked[session, status.question] = self._world.now
        elif frame[1] == msg.ENROL:
            message = msg.decode_enrolment(frame)
            if isinstance(message, msg.Assigned):
                self._unheard.discard(station)
                self._sessions[station] = message.session
                self._holders[message.session] = station

    def _on_poll(self, poll: msg.Poll | None) -> None:
        station = None if poll is None else self._holders.get(poll.session)
        if poll is None or station is None:
            return
        asked_at = self._asked.get((poll.session, poll.grant.question))
        if asked_at is not None:
            until = asked_at + poll.grant.lease_ds / 10 / self._world.slots[station].rate + _ROUNDING_S
            self._grants[station].append((until, poll.grant.amps_da))
