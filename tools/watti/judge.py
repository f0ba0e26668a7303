"""The judge of a simulation: the limit that binds, whether it was kept, and what each station's vehicle got."""

_ROUNDING_A = 0.005  # sums of floats that were never meant to be exact


class Judge:
    """Compares the total drawn with the limit: a lower one binds one release time after it was set."""

    def __init__(self, release_s: float) -> None:
        self.limit_set_a = 0.0
        """The highest setting of any primary, powered or not."""
        self.highest_limit_a = 0.0
        self.peak_a = 0.0
        self.violations: list[dict[str, float]] = []
        self._release_s = release_s
        self._former: list[tuple[float, float]] = []
        """(until, limit) of limits that were turned down and still bind."""

    def turned(self, limit_a: float, now: float) -> float | None:
        """The setting is `limit_a` from now on. When it binds, if that is later."""
        before, self.limit_set_a = self.limit_set_a, limit_a
        self.highest_limit_a = max(self.highest_limit_a, limit_a)
        if limit_a >= before:
            return None
        self._former.append((now + self._release_s, before))
        return now + self._release_s

    def limit_a(self, now: float) -> float:
        """What binds now."""
        self._former = [(until, amps) for until, amps in self._former if until > now]
        return max([self.limit_set_a, *(amps for _, amps in self._former)])

    def look(self, total_a: float, now: float) -> None:
        self.peak_a = max(self.peak_a, total_a)
        if total_a > self.limit_set_a + _ROUNDING_A:
            limit_a = self.limit_a(now)
            if total_a > limit_a + _ROUNDING_A:
                self.violations.append({"t_s": round(now, 3), "total_a": round(total_a, 2), "limit_a": limit_a})


class Tally:
    """What one station's vehicle got."""

    def __init__(self) -> None:
        self.charging_s = 0.0
        self.waiting_s = 0.0
        self.since = 0.0
        self.kind = ""

    def turn(self, kind: str, now: float) -> None:
        """From now on the station's time is of this kind: charging, waiting or neither."""
        if self.kind == "charging":
            self.charging_s += now - self.since
        elif self.kind == "waiting":
            self.waiting_s += now - self.since
        self.kind, self.since = kind, now
