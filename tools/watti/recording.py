"""What a report needs of a simulation, gathered while it runs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from watti.curve import Curve, Knot

_TOTAL_STEP_A = 0.11  # while one station climbs as another comes down, their sum trembles by a stair


class Stand(NamedTuple):
    """How a station stands from `t_s` on, the current it draws left out. Words as in the trace."""

    t_s: float
    role: str
    switch: str
    state: str
    offered_a: float
    reason: str
    fault: str


class Got(NamedTuple):
    """What a station has given so far."""

    energy_kwh: float
    charging_s: float
    waiting_s: float


class Visit(NamedTuple):
    """A vehicle at a station. `until_s` None: it was still there at the end."""

    vehicle: str
    from_s: float
    until_s: float | None
    got: Got
    peak_a: float


class FaultSpell(NamedTuple):
    """A fault that a station showed. `until_s` None: to the end."""

    code: str
    from_s: float
    until_s: float | None


class Track:
    """One station's course."""

    def __init__(self) -> None:
        self.drawn = Curve(0.0, 0.0)
        self.stands: list[Stand] = []
        self.visits: list[Visit] = []
        self.faults: list[FaultSpell] = []
        self.peak_a = 0.0
        self._vehicle: tuple[str, float, Got] | None = None
        self._visit_peak_a = 0.0
        self._faults: dict[str, float] = {}
        """Those shown now, with when they began."""

    def draw(self, amps: float, now: float) -> None:
        self.drawn.step(now, amps)
        self.peak_a = max(self.peak_a, amps)
        self._visit_peak_a = max(self._visit_peak_a, amps)

    def stand(self, stand: Stand) -> None:
        if stand.state == "off":
            self.forget_faults(stand.t_s)
        last = self.stands[-1] if self.stands else None
        if last is None or last[1:] != stand[1:]:
            self.stands.append(stand)

    @property
    def vehicle_name(self) -> str | None:
        return None if self._vehicle is None else self._vehicle[0]

    def vehicle(self, name: str | None, got: Got, now: float) -> None:
        """This vehicle has come, or the one that was there has left; `got` is what the station has given up to now."""
        self._leave(now, got)
        if name is not None:
            self._vehicle, self._visit_peak_a = (name, now, got), 0.0

    def _leave(self, now: float | None, got: Got) -> None:
        if self._vehicle is not None:
            name, began, before = self._vehicle
            gained = Got(*(after - then for after, then in zip(got, before, strict=True)))
            self.visits.append(Visit(name, began, now, gained, self._visit_peak_a))
            self._vehicle = None

    def end(self, got: Got, now: float) -> None:
        """The simulation is over."""
        self.drawn.end(now)
        self._leave(None, got)
        self.faults += (FaultSpell(code, since, None) for code, since in self._faults.items())
        self.faults.sort(key=lambda spell: spell.from_s)

    def fault(self, code: str, shown: bool, now: float) -> None:
        """The station's event log says that a fault began, or has cleared."""
        if shown:
            self._faults.setdefault(code, now)
        elif code in self._faults:
            self.faults.append(FaultSpell(code, self._faults.pop(code), now))

    def forget_faults(self, now: float) -> None:
        """The process that showed them has ended."""
        for code in list(self._faults):
            self.fault(code, False, now)


class Recording:
    """The course of all stations of a simulation."""

    def __init__(self, stations: Sequence[str]) -> None:
        self.stations = tuple(stations)
        self.tracks = [Track() for _ in stations]
        self.total = Curve(0.0, 0.0, below_a=0.25)
        self._peak_a = 0.0
        self.limits: list[Knot] = []
        """(from, amperes) of the limit that binds."""

    def draw(self, i: int, amps: float, total_a: float, now: float) -> None:
        """A station draws this from now on, all of them together that."""
        self.tracks[i].draw(amps, now)
        if total_a > self._peak_a or abs(total_a - self.total.value) >= _TOTAL_STEP_A or not total_a:
            self._peak_a = max(self._peak_a, total_a)
            self.total.step(now, total_a)

    def event(self, i: int, event: str, fields: Mapping[str, object], now: float) -> None:
        """A record of a station's event log."""
        if event in {"fault", "clear"}:
            self.tracks[i].fault(str(fields["fault"]), event == "fault", now)
        elif event == "boot":
            self.tracks[i].forget_faults(now)

    def limit(self, amps: float, now: float) -> None:
        if not self.limits or self.limits[-1][1] != amps:
            self.limits.append((now, amps))

    def end(self, got: Sequence[Got], now: float) -> None:
        """The simulation is over; what each station has given."""
        for track, its in zip(self.tracks, got, strict=True):
            track.end(its, now)
        self.total.end(now)
