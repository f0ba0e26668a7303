"""Energy from the meter's current and voltage."""

_LONGEST_S = 5.0  # between two readings: what flowed in a longer gap is not known (I)
_VOLTS = (50.0, 1000.0)  # a line voltage (I)


class Energy:
    """Watt-hours since the start; they never run backwards."""

    __slots__ = ("_at", "_watts", "peak_a", "wh")

    def __init__(self) -> None:
        self.wh = 0.0
        self.peak_a = 0.0
        """Highest current since it was last set to 0."""
        self._watts: float | None = None
        self._at = 0.0

    def add(self, amps: float | None, volts: float, now: float) -> None:
        """A reading (A RMS; None = it is not to be believed), with the mean of it and the last one for the time
        between them."""
        watts = max(0.0, amps) * volts if amps is not None and _VOLTS[0] <= volts <= _VOLTS[1] else None
        if watts is not None and amps is not None:
            self.peak_a = max(self.peak_a, amps)
            if self._watts is not None and 0.0 < now - self._at <= _LONGEST_S:
                self.wh += (watts + self._watts) / 2 * (now - self._at) / 3600.0
        self._watts, self._at = watts, now

    @property
    def flows(self) -> bool:
        """Whether the last reading was of some power."""
        return bool(self._watts)
