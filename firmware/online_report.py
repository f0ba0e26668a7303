"""What a station, or a primary for its group, tells its controller: sums over all stations that share its limit.

A secondary has no controller of its own: its primary speaks for it, from the statuses and the book of its group.
A confirmed command means that its limit is in force for all that is granted from now on; what was granted before
is gone within the release time, and until then `offered_da` and `closed` say so. Nor does a primary that starts know
for so long what others were granted in its former life: it says that a contactor may be closed.
"""

from collections.abc import Callable
from math import inf, nan
from typing import NamedTuple

from firmware.bus.messages import CONNECTED, NO_CURRENT
from firmware.energy import Energy
from firmware.online import OnlineLimit
from firmware.sharing.primary import Primary
from firmware.station import Station
from firmware.timing import MIN_OFFER_DA
from hal.api import Meter

_SAVE_WH = 100.0  # what the others have drawn is kept as often as the own energy is


class OnlineReport(NamedTuple):
    """How a station or group stands; deciamperes but for what its meters say."""

    boot: int
    """Names this life."""
    question: int
    """Rises with every report of a life."""
    confirmed: int
    """Number of the last command taken; 0 = none in this life."""
    offered_da: int
    """The most that pilots say now which a contactor may follow."""
    drawn_a: float
    """NaN while a meter, or a station of the group, does not answer."""
    closed: bool
    """A contactor is closed, or may be."""
    asking: int
    """How many vehicles ask for current."""
    most_da: int
    """No more would be used now."""
    fallback_da: int
    """What is offered without a controller."""
    energy_wh: float
    """Counts up through all lives, but for the last tenth of a kWh of each."""
    plugged: int
    """Counts plug-ins of this life."""


class Reporter:
    """Watches a station and its group between two reports."""

    def __init__(
        self, online: OnlineLimit, station: Station, meter: Meter, own_wh: Callable[[], float], release_s: float
    ) -> None:
        """`own_wh`: what the station has delivered in all its lives."""
        self._online = online
        self._station = station
        self._meter = meter
        self._own_wh = own_wh
        self._release_s = release_s
        self._role: object = self
        self._knows_at = inf
        """From then on no secondary holds anything that was granted in another role or life."""
        self._connected: set[int] = set()
        """Serials of the stations with a vehicle; 0 = its own."""
        self._plugged = 0
        self._energy: dict[int, Energy] = {}
        self._others_before_wh = online.kept.others_wh
        self._told: object = None
        self._news: object = ()

    @property
    def has_news(self) -> bool:
        """Whether something has changed since the last report that its controller is to know at once. A command that
        only lets things go on is not: its answer would be another one."""
        return self._news != self._told

    def watch(self, role: Primary | None, now: float) -> None:
        """Anything may have changed."""
        station = self._station
        if role is not self._role:
            self._role, self._knows_at = role, now + self._release_s
        if station.connected is not None:
            self._see(0, station.connected)
        if role is not None:
            self._watch_others(role, now)
        self._news = (
            self._online.turns,
            self._closed(role, now),
            self._asking(role),
            self._plugged,
            len(self._connected),
        )

    def report(self, role: Primary | None, now: float) -> OnlineReport:
        """A report, which is the question for the next command. `role`: None while the switch makes it nothing."""
        self.watch(role, now)
        self._told = self._news
        online, fallback_da = self._online, self._online.kept.fallback_da
        switch_da = 0 if role is None else role.switch_da
        return OnlineReport(
            online.boot,
            online.ask(now),
            online.number,
            self._offered_da(role, now),
            self._drawn_a(role, now),
            self._closed(role, now),
            self._asking(role),
            0 if role is None else _most_da(role, now),
            switch_da if fallback_da is None else min(fallback_da, switch_da),
            self._own_wh() + self._others_wh,
            self._plugged,
        )

    def _see(self, serial: int, connected: bool) -> None:
        if connected and serial not in self._connected:
            self._plugged += 1
            self._connected.add(serial)
        elif not connected:
            self._connected.discard(serial)

    def _watch_others(self, role: Primary, now: float) -> None:
        """A secondary's status is all that is known of it: its current, at its primary's voltage, makes its energy."""
        volts = self._meter.voltage_v()
        for member in role.group.secondaries:
            serial, status = member.identity.serial, member.status
            if status is not None:
                self._see(serial, bool(status.flags & CONNECTED))
                amps = None if status.drawn_da == NO_CURRENT else status.drawn_da / 10
                self._energy.setdefault(serial, Energy()).add(amps, volts, now)
        if self._others_wh >= self._online.kept.others_wh + _SAVE_WH:
            self._online.count_others(self._others_wh)

    @property
    def _others_wh(self) -> float:
        return self._others_before_wh + sum(energy.wh for energy in self._energy.values())

    def _offered_da(self, role: Primary | None, now: float) -> int:
        """Its own pilot, unless that is the 6 A of a vehicle that may ask and not draw; of the others what they have
        confirmed or may have been told."""
        station = self._station
        own = station.offered_da if station.feeds or station.leased_da >= MIN_OFFER_DA else 0
        return own if role is None else own + sum(row.offered_da for row in role.group.others(now))

    def _drawn_a(self, role: Primary | None, now: float) -> float:
        readings = [self._station.sensors.drawn_da]
        silent = now < self._knows_at
        if role is not None:
            heard = [member.status for member in role.group.secondaries if member.status is not None]
            readings += [status.drawn_da for status in heard]
            silent |= len(heard) < len(role.group.others(now))
        return nan if silent or NO_CURRENT in readings else sum(readings) / 10

    def _closed(self, role: Primary | None, now: float) -> bool:
        """Another's contactor is known to be open only once nothing of it counts in the book."""
        others = [] if role is None else role.group.others(now)
        return now < self._knows_at or self._station.feeds or any(row.exposure_da(now) > 0 for row in others)

    def _asking(self, role: Primary | None) -> int:
        station = self._station
        others = [] if role is None else role.group.secondaries
        return (station.wants and not station.faults.blocking) + sum(member.claims for member in others)


def _most_da(role: Primary, now: float) -> int:
    """The sum of what the vehicles that ask can take, as far as they have shown it."""
    asking = [member for member in (role.group.own, *role.group.secondaries) if member.claims]
    caps = [member.claim(role.switch_da, now).cap_da for member in asking]
    return min(role.switch_da, sum(caps)) if caps else role.switch_da
