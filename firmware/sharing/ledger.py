"""The primary's book: for each station, the most its vehicle may draw given everything that was ever sent.

This file alone decides what may be granted. A raise counts when it is sent. A cut counts when the station has
confirmed the lower pilot, R has passed and its meter agrees; or when it holds nothing and its contactor is
confirmed open; or when nothing of it has been heard for the release time. Deciamps.
"""

from math import inf

from firmware.bus.messages import HOLDS, NO_CURRENT, Status
from firmware.timing import MIN_OFFER_DA, Timing

METER_TOLERANCE_DA = 10
"""How far a meter may read above the pilot and still agree with it: 1 A, the accuracy of simple CTs."""
AGREES_S = 1.0
"""A reading agrees for so long: two polls (I). To wait for one after R would make every raise a poll later."""


class Row:
    """One station's exposure. A station's every life has a row of its own."""

    __slots__ = (
        "_confirmed_da",
        "_sent",
        "_settle_s",
        "_settling",
        "answered",
        "drawn_da",
        "heard_at",
        "number",
    )

    def __init__(self, settle_s: float, now: float) -> None:
        self._settle_s = settle_s
        self._confirmed_da = 0
        self._sent: list[tuple[int, int]] = []
        """(number, amps) of grants that may or may not have arrived: the last, and the highest of those before it."""
        self._settling: list[tuple[int, float]] = []
        """(amps, when R is over) of what is being given up."""
        self.number = 0
        self.answered = 0
        """The last question heard: what the next grant answers."""
        self.heard_at = now
        self.drawn_da = 0

    @property
    def granted_da(self) -> int:
        """What the station was told last."""
        return self._sent[-1][1] if self._sent else self._confirmed_da

    @property
    def offered_da(self) -> int:
        """The most that its pilot may say now: what is confirmed, and what was sent and may have arrived."""
        return max(self._confirmed_da, *(amps for _, amps in self._sent), 0)

    @property
    def settles_at(self) -> float:
        """When the next cut may count; inf when nothing is being given up."""
        return self._settling[0][1] if self._settling else inf

    def exposure_da(self, now: float) -> int:
        """The most its vehicle may draw now."""
        promised = self._promised_da(now) if self._sent or self._settling else self._confirmed_da
        return promised if promised > self.drawn_da else self.drawn_da

    def overdrawn_da(self, now: float) -> int:
        """What counts for it beyond all it was offered and has had no time yet to leave: its vehicle, or its
        meter, breaks its side. Only a report that comes after that time can say so: the last one before may show a
        vehicle that used its time to the end."""
        exposure = self.exposure_da(now)
        owed = [amps for amps, until in self._settling if until > self.heard_at]
        return max(0, exposure - max(self._confirmed_da, *owed, *(amps for _, amps in self._sent), 0))

    def _promised_da(self, now: float) -> int:
        most = self._confirmed_da
        if self._settling:
            self._settle(now)
            for amps, _ in self._settling:
                if amps > most:
                    most = amps
        for _, amps in self._sent:
            if amps > most:
                most = amps
        return most

    def on_status(self, status: Status, now: float) -> None:
        """Count what a report proves. Reports of an earlier question are not for here."""
        self.answered, self.heard_at = status.question, now
        known = status.drawn_da != NO_CURRENT
        if known:
            self.drawn_da = status.drawn_da
        if not status.flags & HOLDS:
            self._confirmed_da = 0
            self._sent.clear()
            self._settling.clear()
            if not known:
                self.drawn_da = 0  # the contactor is confirmed open
            return
        if self._sent and status.granted == self._sent[-1][0] and status.offered_da <= self._sent[-1][1]:
            self._confirm(self._sent[-1][1], now)
        if not known:  # nothing agrees: what was ever offered stays counted
            self._settling = [(amps, now + self._settle_s) for amps, _ in self._settling]

    def send(self, amps_da: int) -> None:
        """Count a grant that is about to leave, under the next number."""
        self.number += 1
        if self._sent and self._sent[-1][1] == amps_da:
            self._sent[-1] = (self.number, amps_da)
        else:
            self._sent.append((self.number, amps_da))
            if len(self._sent) > 2:  # of those before the last only the highest counts
                del self._sent[0 if self._sent[0][1] <= self._sent[1][1] else 1]

    def _confirm(self, amps_da: int, now: float) -> None:
        before = max(self._confirmed_da, *(amps for _, amps in self._sent))
        if before > amps_da:
            self._settling.append((before, now + self._settle_s))
        self._confirmed_da = amps_da
        self._sent.clear()

    def _settle(self, now: float) -> None:
        """What has had its time is over once the meter agrees. What the meter said long before that end is no
        agreement: a vehicle may have come back to what it was offered then."""
        if self.drawn_da <= self._confirmed_da + METER_TOLERANCE_DA:
            while self._settling and self._settling[0][1] <= min(now, self.heard_at + AGREES_S):
                del self._settling[0]


class Ledger:
    """All rows of a circuit and its limit."""

    def __init__(self, timing: Timing, limit_da: int) -> None:
        self.timing = timing
        self.limit_da = limit_da
        self._comes_down_until = -inf
        """By then nothing counts any more that was granted under a higher limit."""
        self.rows: list[Row] = []

    def add(self, now: float) -> Row:
        row = Row(self.timing.settle_s, now)
        self.rows.append(row)
        return row

    def change_limit(self, limit_da: int, now: float) -> None:
        """Another limit from now on; a lower one binds one release time later."""
        if limit_da < self.limit_da:
            self._comes_down_until = now + self.timing.release_s
        self.limit_da = limit_da

    def expire(self, now: float) -> list[Row]:
        """Take out the rows of which nothing has been heard for the release time."""
        gone = [row for row in self.rows if now >= row.heard_at + self.timing.release_s]
        for row in gone:
            self.rows.remove(row)
        return gone

    def free_da(self, row: Row, now: float) -> int:
        """The most that this row may be granted now: the limit less what all others may draw."""
        free = self.limit_da
        for other in self.rows:
            if other is not row:
                free -= other.exposure_da(now)
        return max(0, free)

    def commit(self, row: Row, wanted_da: int, now: float) -> int:
        """What the row's next grant shall say, counted from now on: what is wanted as far as it is free, and
        nothing below 6 A."""
        amps = min(wanted_da, self._reach_da(row, wanted_da, now)) if wanted_da else 0
        if amps < MIN_OFFER_DA:
            amps = 0
        row.send(amps)
        return amps

    def _reach_da(self, row: Row, wanted_da: int, now: float) -> int:
        """The most that the row's next grant may say. Under a limit that has just been lowered nothing is free while
        all come down: who is told no more than before goes on, so that nobody has to stop for a cut."""
        if wanted_da <= row.granted_da and now < self._comes_down_until:
            return self.limit_da
        return self.free_da(row, now)
