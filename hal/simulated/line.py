"""One multidrop, half-duplex RS-485 pair, without a clock: it is told the time and says when to be stepped.

A frame is delivered whole, one event for each frame, at the instant its last bit ends. What the pair does to
it on the way (collisions, bit errors, disturbances) is drawn from the `random.Random` that is passed in: the
same calls give the same bytes. Times are absolute seconds and never run backwards.
"""

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from hal.simulated.disturbance import Copy, Disturbance, Disturbances, Kind

Direction = Literal["both", "send", "receive"]

BITS_PER_CHARACTER = 11  # 8E1: start, 8 data, even parity, stop (S)
BABBLE_BYTES = (1, 40)
_EVERYONE = -1  # a set of ports as bits: all of them


@dataclass(slots=True)
class LineCounts:
    """What has passed: frames and bytes put on the pair, frames hit by a collision, events by kind."""

    frames: int = 0
    bytes: int = 0
    collisions: int = 0
    disturbed: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Frame:
    """A transmission that has not ended."""

    begin: float
    end: float
    port: int
    data: bytes
    wired: bool
    deaf: int
    """Ports that do not hear it, as bits."""
    hits: tuple[tuple[float, float], ...] = ()
    """When others sent over it."""


class _Late(NamedTuple):
    """A copy for one port that comes after the frame itself."""

    port: int
    data: bytes


class _Babbler(NamedTuple):
    port: int
    rate: float
    until: float


@dataclass(slots=True)
class _Port:
    free_at: float = -math.inf
    powered: bool = True
    sends: bool = True
    receives: bool = True
    audience: tuple[int, ...] = ()
    """Who hears what it sends."""

    def hears(self) -> bool:
        return self.powered and self.receives


class Line:
    """The pair and its ports. `step` calls `deliver(port, data, at)`, `at` being the end of the last bit."""

    def __init__(self, baud: int, rng: random.Random, deliver: Callable[[int, bytes, float], None]) -> None:
        self.counts = LineCounts()
        self._character_s = BITS_PER_CHARACTER / baud
        self._rng = rng
        self._deliver = deliver
        self._ports: list[_Port] = []
        self._events: list[tuple[float, int, _Frame | _Late | _Babbler]] = []
        self._sequence = 0
        self._now = 0.0
        self._disturbances = Disturbances(rng, self.counts.disturbed)
        self._stranger: int | None = None

    def attach(self) -> int:
        """Connect one more port; its number, counted from 0."""
        self._ports.append(_Port())
        self._reconnect()
        return len(self._ports) - 1

    def send(self, port: int, data: bytes, now: float) -> None:
        """Send one frame, after whatever that port is still sending. A port that is off sends nothing."""
        self._now = now
        sender = self._ports[port]
        if not (data and sender.powered):
            return
        begin = max(now, sender.free_at)
        end = sender.free_at = begin + len(data) * self._character_s
        frame = _Frame(begin, end, port, data, sender.sends, 0 if sender.sends else _EVERYONE)
        if self._events:
            self._overlap(frame)
        self._schedule(end, frame)

    def busy_until(self, port: int) -> float:
        """When that port has sent all it was given, s; -inf before its first frame."""
        return self._ports[port].free_at

    def next_wakeup(self) -> float:
        """When `step` is due, s; in the past where a babble has yet to begin, inf when nothing is pending."""
        return self._events[0][0] if self._events else math.inf

    def step(self, now: float) -> None:
        """Deliver what has ended by `now`: by time, then in the order of sending, then by port."""
        self._now = now
        events = self._events
        while events and events[0][0] <= now:
            at, _, event = heappop(events)
            if isinstance(event, _Frame):
                self._arrive(event)
            elif isinstance(event, _Babbler):
                self._babble(event, now)
            elif self._ports[event.port].hears():
                self._deliver(event.port, event.data, at)

    def power(self, port: int, on: bool) -> None:
        """An off port neither sends nor hears; what it is sending as it goes off is cut short."""
        self._ports[port].powered = on
        self._interrupt(port, sending=not on, hearing=True)

    def cut(self, port: int, direction: Direction = "both") -> None:
        """Break one port's wires. A port that can't send still turns its own receiver off while it tries."""
        self._connect(port, direction, joined=False)

    def join(self, port: int, direction: Direction = "both") -> None:
        """Mend what `cut` broke. A frame that is on its way is not heard by halves: it is missed."""
        self._connect(port, direction, joined=True)

    def noise(self, rate: float, port: int | None = None) -> None:
        """Bit errors: `rate` of the data bits are flipped, until called again.

        Without a port it is on the pair, and all hear the same errors. With one it is on that port's wires:
        all hear the errors in what the port sends, it alone those in what it receives.
        """
        self._disturbances.set_noise(rate, port)

    def disturb(self, kind: Kind, rate: float, until: float, port: int | None = None) -> None:
        """Disturb until that instant, s, each frame with the probability `rate`.

        Without a port: every frame, alike for all that hear it. With one: what the port sends, for all, and
        what it receives, for it alone. A drop is heard by nobody; a duplicate ends once more one frame's
        length later and a delay comes 0.01 to 1 s late, both without occupying the pair; a truncated frame
        loses its end; by an echo the sender hears itself. A babble is a port (without one, a stranger on the
        pair) that sends random bytes at random gaps, `rate` being its share of the time.
        """
        if rate <= 0:
            return
        if kind == "babble":
            babbler = _Babbler(self._strange_port() if port is None else port, rate, until)
            self._schedule(self._now, babbler)
        else:
            self._disturbances.add(Disturbance(kind, rate, until, port))

    def _schedule(self, at: float, event: _Frame | _Late | _Babbler) -> None:
        self._sequence += 1
        heappush(self._events, (at, self._sequence, event))

    def _overlap(self, new: _Frame) -> None:
        """Mark what the new frame and those on their way do to each other."""
        for _, _, other in self._events:
            if isinstance(other, _Frame) and other.begin < new.end and new.begin < other.end:
                other.deaf |= 1 << new.port
                new.deaf |= 1 << other.port
                if other.wired and new.wired:
                    other.hits += ((new.begin, new.end),)
                    new.hits += ((other.begin, other.end),)

    def _arrive(self, frame: _Frame) -> None:
        if frame.wired:
            self.counts.frames += 1
            self.counts.bytes += len(frame.data)
        if self._disturbances.none and not frame.deaf:
            for port in self._ports[frame.port].audience:
                self._deliver(port, frame.data, frame.end)
        elif frame.deaf != _EVERYONE:
            self._arrive_disturbed(frame)

    def _arrive_disturbed(self, frame: _Frame) -> None:
        self._disturbances.expire(frame.end)
        sender, length_s = self._ports[frame.port], frame.end - frame.begin
        data = self._collided(frame) if frame.hits else frame.data
        copies = self._disturbances.sent(frame.port, Copy(frame.end, data), length_s)
        hearing = [port for port in sender.audience if not frame.deaf >> port & 1]
        for port in hearing:
            self._hand_over(port, self._disturbances.received(port, copies, length_s), frame.end)
        if self._disturbances.echoes(frame.port) and sender.hears():
            self._hand_over(frame.port, copies, frame.end)

    def _hand_over(self, port: int, copies: list[Copy], now: float) -> None:
        for at, data in copies:
            if at > now:
                self._schedule(at, _Late(port, data))
            else:
                self._deliver(port, data, at)

    def _collided(self, frame: _Frame) -> bytes:
        """The frame's bytes, each that another sent over replaced by a different one."""
        self.counts.collisions += 1
        length = len(frame.data)
        hit: set[int] = set()
        for begin, end in frame.hits:
            first = min(max(math.floor((begin - frame.begin) / self._character_s), 0), length - 1)
            last = math.ceil((end - frame.begin) / self._character_s)
            hit.update(range(first, min(last, length)))
        garbled = bytearray(frame.data)
        for position in sorted(hit):
            garbled[position] ^= self._rng.randint(1, 255)
        return bytes(garbled)

    def _babble(self, babbler: _Babbler, now: float) -> None:
        """Send one burst and arrange the next."""
        if now >= babbler.until:
            return
        self.counts.disturbed["babble"] += 1
        length = self._rng.randint(*BABBLE_BYTES)
        self.send(babbler.port, self._rng.randbytes(length), now)
        end = max(now + length * self._character_s, self.busy_until(babbler.port))
        mean_gap_s = sum(BABBLE_BYTES) / 2 * self._character_s * (1 - babbler.rate) / babbler.rate
        gap_s = self._rng.expovariate(1 / mean_gap_s) if mean_gap_s > 0 else 0.0
        self._schedule(end + gap_s, babbler)

    def _strange_port(self) -> int:
        if self._stranger is None:
            self._stranger = self.attach()
            self.cut(self._stranger, "receive")
        return self._stranger

    def _connect(self, port: int, direction: Direction, joined: bool) -> None:
        sending, hearing = direction != "receive", direction != "send"
        if sending:
            self._ports[port].sends = joined
        if hearing:
            self._ports[port].receives = joined
        self._interrupt(port, sending=sending and not joined, hearing=hearing)

    def _interrupt(self, port: int, sending: bool, hearing: bool) -> None:
        """A port came or went: what it is sending is cut short, what it is hearing is lost to it."""
        for _, _, frame in self._events:
            if not isinstance(frame, _Frame):
                continue
            if frame.port != port:
                frame.deaf |= hearing << port
            elif sending and frame.data:
                frame.data = frame.data[: self._rng.randrange(len(frame.data))]
                frame.deaf |= 0 if frame.data else _EVERYONE
        self._reconnect()

    def _reconnect(self) -> None:
        hearing = [number for number, port in enumerate(self._ports) if port.hears()]
        for number, port in enumerate(self._ports):
            port.audience = tuple(other for other in hearing if other != number)
