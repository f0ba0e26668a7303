"""A two-valued thing that follows what drives it some time later: contacts that travel, a sensor that trips."""

from math import inf


class Lag:
    """Follows `want` after `up_s` to true and `down_s` to false; a change taken back in time leaves no trace."""

    __slots__ = ("_down_s", "_up_s", "due", "value")

    def __init__(self, up_s: float, down_s: float) -> None:
        self._up_s = up_s
        self._down_s = down_s
        self.value = False
        self.due = inf
        """When `arrive` is to be called; inf = it stays as it is."""

    def want(self, value: bool, now: float) -> None:
        """What it shall become from now on."""
        if value == self.value:
            self.due = inf
        elif self.due == inf:
            self.due = now + (self._up_s if value else self._down_s)

    def arrive(self) -> None:
        """The time has come."""
        self.value, self.due = not self.value, inf
