"""What spoils frames on a simulated pair: bit errors, and disturbances that last until an instant.

All of it is drawn from the `random.Random` that is passed in.
"""

import math
import random
from collections import Counter
from typing import Literal, NamedTuple

Kind = Literal["drop", "duplicate", "delay", "truncate", "echo", "babble"]

DELAY_S = (0.01, 1.0)


class Copy(NamedTuple):
    """A frame as it comes to somebody."""

    at: float
    data: bytes


class Disturbance(NamedTuple):
    """One that strikes with the probability `rate` until that instant, s; without a port, the whole pair."""

    kind: Kind
    rate: float
    until: float
    port: int | None


class Noise:
    """Independent errors of the data bits; draws the distance to the next, so clean frames draw nothing."""

    def __init__(self, rate: float, rng: random.Random) -> None:
        self._rate = rate
        self._rng = rng
        self._left = self._distance()

    def _distance(self) -> int:
        if self._rate >= 1:
            return 0
        return int(math.log(1 - self._rng.random()) / math.log1p(-self._rate))

    def applied(self, data: bytes) -> bytes:
        """The bytes with their errors; the very same object when there is none."""
        bits = 8 * len(data)
        if self._left >= bits:
            self._left -= bits
            return data
        garbled = bytearray(data)
        while self._left < bits:
            garbled[self._left // 8] ^= 1 << self._left % 8
            self._left += 1 + self._distance()
        self._left -= bits
        return bytes(garbled)


class Disturbances:
    """All that is wrong with one pair. While `none`, frames need not be passed through it."""

    def __init__(self, rng: random.Random, counts: Counter[str]) -> None:
        self.none = True
        self._rng = rng
        self._counts = counts
        self._noise: dict[int | None, Noise] = {}
        self._active: list[Disturbance] = []

    def set_noise(self, rate: float, port: int | None) -> None:
        self._noise.pop(port, None)
        if rate > 0:
            self._noise[port] = Noise(rate, self._rng)
        self._refresh()

    def add(self, disturbance: Disturbance) -> None:
        self._active.append(disturbance)
        self._refresh()

    def expire(self, now: float) -> None:
        """Forget what has ended by `now`."""
        if self._active:
            self._active = [active for active in self._active if active.until > now]
            self._refresh()

    def sent(self, port: int, copy: Copy, length_s: float) -> list[Copy]:
        """What becomes of a frame on the sender's wires and on the pair, for all that hear it."""
        copies = self._through(port, [copy], length_s)
        return self._through(None, copies, length_s)

    def received(self, port: int, copies: list[Copy], length_s: float) -> list[Copy]:
        """What becomes of it on one receiver's wires."""
        return self._through(port, copies, length_s)

    def echoes(self, port: int) -> bool:
        """Whether the sender hears itself this time."""
        struck = [self._strikes(a) for a in self._active if a.kind == "echo" and a.port in {None, port}]
        return any(struck)

    def _refresh(self) -> None:
        self.none = not (self._active or self._noise)

    def _strikes(self, active: Disturbance) -> bool:
        strikes = self._rng.random() < active.rate
        self._counts[active.kind] += strikes
        return strikes

    def _through(self, where: int | None, copies: list[Copy], length_s: float) -> list[Copy]:
        noise = self._noise.get(where)
        if noise is not None:
            copies = [self._noisy(copy, noise) for copy in copies]
        for active in self._active:
            if active.port == where and active.kind != "echo" and copies and self._strikes(active):
                copies = self._disturbed(active.kind, copies, length_s)
        return copies

    def _noisy(self, copy: Copy, noise: Noise) -> Copy:
        data = noise.applied(copy.data)
        self._counts["noise"] += data is not copy.data
        return Copy(copy.at, data)

    def _disturbed(self, kind: Kind, copies: list[Copy], length_s: float) -> list[Copy]:
        if kind == "duplicate":
            return copies + [Copy(at + length_s, data) for at, data in copies]
        if kind == "delay":
            late_s = self._rng.uniform(*DELAY_S)
            return [Copy(at + late_s, data) for at, data in copies]
        if kind == "truncate":
            shorter = [Copy(at, data[: self._rng.randrange(len(data))]) for at, data in copies]
            return [copy for copy in shorter if copy.data]
        return []
