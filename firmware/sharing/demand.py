"""What one vehicle has shown that it can use. Deciamps and seconds; fed with the station's reports.

A vehicle is taken to use all it is offered until it has shown for a while that it does not; the rest goes to
the others and comes back as soon as it takes all it is offered again.
"""

from math import inf

from firmware.bus.messages import CHARGING, CONNECTED, NO_CURRENT, Status
from firmware.timing import MIN_OFFER_DA, Timing

_SHOW_S = 12.0  # offer and draw unchanged for R and this long: the vehicle takes no more (ramps: 1-5 A/s; I)
_START_S = 60.0  # drawing nothing for this long after an offer: it does not start on this offer (10-40 s; S)
_IDLE_RETRY_S = 600.0  # one that never started is offered its share again after this
_STEP_DA = 20  # one that does not start is offered this much more, up to _TOP_DA (some need 8 or 10 A; S)
_TOP_DA = 160
_MARGIN_DA = 10  # room above what it takes, so that it can show that it wants more
_DRAW_RATIO = 0.95  # vehicles draw 95-98 % of the offer (S)
_NOTHING_DA = 5  # at most this a vehicle counts as not started


class Demand:
    """The floor and the cap of one vehicle."""

    __slots__ = (
        "_drawn",
        "_fresh",
        "_idle_until",
        "_offered",
        "_ratio",
        "_reaction_s",
        "_shown",
        "_since",
        "_started",
        "cap_da",
        "floor_da",
        "wish_da",
    )

    def __init__(self, timing: Timing) -> None:
        self._reaction_s = timing.reaction_s
        self.forget()

    def forget(self) -> None:
        """Another vehicle may have come."""
        self._fresh = True
        self.cap_da: int | None = None
        """None = as much as the station's rating."""
        self.floor_da = MIN_OFFER_DA
        """Less than this is known to be of no use to it."""
        self.wish_da = 0
        """It has not started on less than this; whether it does on this is not known."""
        self._started = False
        self._ratio = _DRAW_RATIO
        self._offered = 0
        self._drawn = 0
        self._since = inf
        self._shown: tuple[int, int] | None = None
        self._idle_until = inf

    def idle(self, now: float) -> bool:
        """It has drawn nothing of what it was offered, and there is nothing more to try for now."""
        return not self._started and now < self._idle_until < inf

    def on_status(self, status: Status, now: float) -> bool:
        """Learn from a report. Whether floor or cap have changed."""
        if not status.flags & CONNECTED:
            if not self._fresh:
                self.forget()
            return False
        before = (self.cap_da, self.floor_da, self.wish_da)
        self._fresh = False
        if not status.flags & CHARGING or status.drawn_da == NO_CURRENT or not status.offered_da:
            self._since, self._started = inf, False
        else:
            self._watch(status.offered_da, status.drawn_da, now)
        return before != (self.cap_da, self.floor_da, self.wish_da)

    def _watch(self, offered: int, drawn: int, now: float) -> None:
        if offered != self._offered or drawn > self._drawn + 5 or self._since == inf:
            self._offered, self._drawn, self._since = offered, drawn, now
        if drawn > _NOTHING_DA and not self._started:
            self._started = True
            self.floor_da, self.wish_da = max(self.floor_da, self.wish_da), 0
        if self.cap_da is not None and drawn >= offered * self._ratio - 5 and drawn > _NOTHING_DA:
            self._takes_all()
        elif now >= self._idle_until:
            self.cap_da, self._shown, self._idle_until, self._since = None, None, inf, now
        elif drawn <= _NOTHING_DA:
            if now - self._since >= _START_S:
                self._does_not_start(offered, now)
        elif now - self._since >= self._reaction_s + _SHOW_S:
            self._takes(offered, drawn)

    def _takes_all(self) -> None:
        self.cap_da, self._shown, self._since = None, None, inf

    def _takes(self, offered: int, drawn: int) -> None:
        """It has settled at `drawn`: cap it there, unless it just follows the pilot at a low ratio."""
        self._drawn = drawn
        if self._shown is not None and offered < self._shown[0]:
            ratio = self._shown[1] / self._shown[0]
            if abs(drawn / offered - ratio) < 0.03 and drawn < self._shown[1] - 5:
                self._ratio = min(self._ratio, drawn / offered)
                self._takes_all()
                return
            self._shown = None  # only the first settled draw after a cut says what the cut did, not a slow taper
        cap = max(MIN_OFFER_DA, int(drawn / self._ratio) + _MARGIN_DA)
        if cap < offered - 5:
            self.cap_da, self._shown = cap, (offered, drawn)

    def _does_not_start(self, offered: int, now: float) -> None:
        self._since, self._started = now, False
        if offered >= _TOP_DA or self.cap_da is not None or offered < self.wish_da:  # nothing more to try now
            self.cap_da, self.wish_da = max(MIN_OFFER_DA, self.floor_da), 0
            self._idle_until = min(self._idle_until, now + _IDLE_RETRY_S)
        else:
            self.wish_da = max(self.floor_da, offered + _STEP_DA)
