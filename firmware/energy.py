"""Energy from the meter's current and voltage."""

from math import inf

_LONGEST_S = 5.0  # between two readings: what flowed in a longer gap is not known (I)
_VOLTS = (50.0, 1000.0)  # a line voltage (I)


class Energy:
    """Watt-hours since the start; they never run backwards."""

    __slots__ = ("_at", "_watts", "peak_a", "wh")

    def __init__(self) -> None:
        self.wh = 0.0
        self.peak_a = 0.0
        """Highest current since it was last set to 0."""
        self._watts = 0.0
        self._at = -inf

    def add(self, amps: float | None, volts: float, now: float) -> None:
        """A reading (A RMS; None = it is not to be believed), with the mean of it and the last one for the time
        between them."""
        if amps is None or not _VOLTS[0] <= volts <= _VOLTS[1]:
            return
        watts = max(0.0, amps) * volts
        self.peak_a = max(self.peak_a, amps)
        if 0.0 < now - self._at <= _LONGEST_S:
            self.wh += (watts + self._watts) / 2 * (now - self._at) / 3600.0
        self._watts, self._at = watts, now

    @property
    def flows(self) -> bool:
        """Whether the last reading was of some power."""
        return self._watts > 0.0
