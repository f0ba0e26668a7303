"""The faults a station has now: each begins with its cause and ends by the rule of its row in the table."""

from math import inf

from firmware.protection import BY_CODE, FAULTS, Clears, Severity
from firmware.timing import ERROR_PAUSE_S, RECLOSE_S, RECLOSE_TRIES


class Faults:
    """The faults that a station has now."""

    __slots__ = ("_gone_at", "_locked", "_tries", "blocking", "codes", "disabling", "urgent", "worst")

    def __init__(self) -> None:
        self._gone_at: dict[str, float] = {}
        """By code: since when its cause is gone; inf while it is there."""
        self._tries: dict[str, int] = {}
        """By code: how often it has come since the vehicle was plugged in."""
        self._locked: set[str] = set()
        """Codes that are not reclosed any more."""
        self._judge()

    def _judge(self) -> None:
        self.codes = tuple(fault.code for fault in FAULTS if fault.code in self._gone_at)
        """Of all faults present, the most severe first."""
        self.worst = self.codes[0] if self.codes else ""
        """Code of the most severe one; empty when there is none."""
        effects = {BY_CODE[code].severity for code in self.codes}
        self.disabling = Severity.DISABLED in effects
        """Whether one makes the station unusable."""
        self.urgent = self.disabling or Severity.STOP in effects
        """Whether one opens the contactor at once."""
        self.blocking = self.urgent or Severity.PAUSE in effects
        """Whether one keeps the station from charging."""

    def begin(self, code: str, final: bool = False) -> bool:
        """The cause is there. `final`: it is not to be tried again with this vehicle. Whether that is new."""
        gone_at = self._gone_at.get(code)
        if gone_at is None:
            self._tries[code] = self._tries.get(code, 0) + 1
        if final or self._tries.get(code, 0) > RECLOSE_TRIES:
            self._locked.add(code)
        self._gone_at[code] = inf
        self._judge()
        return gone_at != inf

    def end(self, code: str, now: float) -> bool:
        """The cause is gone; the fault ends when its rule says so. Whether the cause was there."""
        was_there = self._gone_at.get(code) == inf
        if was_there:
            self._gone_at[code] = now
        return was_there

    def step(self, now: float) -> float:
        """Drop what has cleared; when the next one will."""
        clears_at = {code: self._clears_at(code) for code in self._gone_at}
        if any(at <= now for at in clears_at.values()):
            self._gone_at = {code: at for code, at in self._gone_at.items() if clears_at[code] > now}
            self._judge()
        return min((at for at in clears_at.values() if at > now), default=inf)

    def on_unplugged(self) -> None:
        """Drop what the vehicle took with it."""
        self._tries.clear()
        self._locked.clear()
        self._gone_at = {code: at for code, at in self._gone_at.items() if not self._leaves_with_vehicle(code)}
        self._judge()

    def _leaves_with_vehicle(self, code: str) -> bool:
        clears = BY_CODE[code].clears
        return clears is Clears.UNPLUG or (clears is Clears.RECLOSE and self._gone_at[code] < inf)

    def _clears_at(self, code: str) -> float:
        match BY_CODE[code].clears:
            case Clears.CAUSE:
                return self._gone_at[code]
            case Clears.PAUSE:
                return self._gone_at[code] + ERROR_PAUSE_S
            case Clears.RECLOSE if code not in self._tries:  # its vehicle has left before the sensor let go
                return self._gone_at[code]
            case Clears.RECLOSE if code not in self._locked:
                return self._gone_at[code] + RECLOSE_S
        return inf
