"""What a station writes down: its event log, the charging session under way, and the energy it has delivered.

The diary is shown how the station stands after every step and writes what is new. What people see of the energy is
rounded down to tenths of a kWh, and handed to the store before it is shown: it never runs backwards, and a killed
process or a power cut loses less than a tenth, as long as the disk takes what it is given.
"""

import json
from collections.abc import Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

from firmware.bus.messages import Reason
from firmware.energy import Energy
from firmware.protection import BY_CODE
from firmware.timing import MIN_OFFER_DA
from hal.api import Journal, Store

_STEP_WH = 100.0
_LOOK_S = 1.0  # after a start: by then the pilot has said whether the vehicle of before is still there
_SAVE_S = 600.0  # the times of a session are saved at least this often
NOT_WAITING = (Reason.IDLE, Reason.ONLINE, Reason.TEMPERATURE, Reason.FAULT)
"""Reasons of which the group is not the cause: behind any other an open contactor makes a vehicle wait."""
_SERVED = (Reason.RATING, Reason.SWITCH, Reason.SHARE, Reason.VEHICLE)
_NUMBERS = ("energy_wh", "charging_s", "waiting_s", "peak_a")


class Seen(NamedTuple):
    """How a station stands, as far as it is written down; deciamps."""

    connected: bool | None
    """Whether a vehicle is there; None where the pilot can't tell (E, F)."""
    closed: bool
    offered_da: int
    reason: Reason
    faults: tuple[str, ...]
    role: str
    switch: str | None
    limit_da: int
    group: Mapping[str, object]
    """With whom it shares: the fields of the `group` event."""

    @property
    def waits(self) -> bool:
        return bool(self.connected) and not self.closed and self.reason not in NOT_WAITING


class _Session:
    """One vehicle, from plug-in to unplug, as a record; its energy is what `energy` has counted since."""

    def __init__(self, record: Mapping[str, Any], energy: Energy) -> None:
        self.name = str(record["session"])
        self._began = record["began"]
        self._energy = energy
        self._before_wh, self.charging_s, self.waiting_s, self._peak_a = (float(record[key]) for key in _NUMBERS)
        self._before_wh -= energy.wh
        energy.peak_a = 0.0

    @property
    def wh(self) -> float:
        return self._before_wh + self._energy.wh

    def record(self) -> dict[str, Any]:
        return {
            "session": self.name,
            "began": self._began,
            "energy_wh": int(self.wh),
            "charging_s": round(self.charging_s, 1),
            "waiting_s": round(self.waiting_s, 1),
            "peak_a": round(max(self._peak_a, self._energy.peak_a), 1),
        }


class Diary:
    """Writes to `journal`, keeps what must survive in `store`."""

    def __init__(self, journal: Journal, store: Store, energy: Energy, now: float) -> None:
        self._journal = journal
        self._store = store
        self._energy = energy
        self._seen: Seen | None = None
        self._knows = False
        """The pilot can tell whether a vehicle is there."""
        self._since = now
        """Until when the session's times are counted."""
        self._charges = False
        """A `start` was written, and no `stop` yet."""
        self._fault_since: dict[str, float] = {}
        self._total_wh, self._session = self._load()
        self._save_at_wh = 0.0
        """What the energy counts when another tenth of a kWh is to be shown."""
        self._save_by = inf
        self.look_at = inf if self._session is None else now + _LOOK_S
        """When the session of before is given up if its vehicle has not shown; inf = there is none."""

    def _load(self) -> tuple[float, _Session | None]:
        """The energy (Wh) and the session that were saved; none of a record that is broken."""
        try:
            kept = json.loads(self._store.load() or b'{"total_wh": 0.0, "session": null}')
            numbers = [kept["total_wh"], *(kept["session"][key] for key in _NUMBERS if kept["session"])]
            if all(isfinite(number) and number >= 0 for number in numbers):
                session = _Session(kept["session"], self._energy) if kept["session"] else None
                return float(kept["total_wh"]), session
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            pass
        return 0.0, None

    # What people see

    @property
    def total_wh(self) -> float:
        """Delivered by this station in its life."""
        return self._total_wh + self._energy.wh

    @property
    def total_kwh(self) -> float:
        """The same, rounded down to 0.1 kWh."""
        return _tenths(self.total_wh)

    @property
    def session(self) -> Mapping[str, object] | None:
        """The session under way: its id and energy so far (kWh)."""
        return None if self._session is None else {"id": self._session.name, "energy_kwh": _tenths(self._session.wh)}

    # What happens

    def write(self, event: str, now: float, **fields: object) -> None:
        """An event that the diary can't see by itself."""
        self._journal.write(event, fields, now)

    def step(self, now: float) -> None:
        """Give up a session whose vehicle has gone while nobody looked, and keep the energy."""
        if now >= self.look_at:
            self.look_at = now + _LOOK_S
            if self._knows:
                self.look_at = inf
                self._end("while off", now)
        if self._energy.wh >= self._save_at_wh or now >= self._save_by:
            self._save(now)

    def see(self, seen: Seen, now: float) -> None:
        """The station may have changed."""
        self._count_time(now)
        before = self._seen
        self._knows = seen.connected is not None
        if seen.connected is None:
            seen = seen._replace(connected=before is not None and before.connected)
        self._seen = seen
        if before is None or (before.role, before.switch, before.limit_da) != (seen.role, seen.switch, seen.limit_da):
            self.write("role", now, role=seen.role, switch=seen.switch, limit_a=seen.limit_da / 10)
        if seen.group and (before is None or before.group != seen.group):
            self.write("group", now, **seen.group)
        self._see_faults(seen.faults, now)
        if seen.connected and (before is None or not before.connected):
            self._begin(now)
        self._see_charging(before, seen, now)
        if self._session is not None and self.look_at == inf and not (seen.connected or seen.closed):
            self._end("unplug", now)

    def _see_faults(self, codes: tuple[str, ...], now: float) -> None:
        for code in [code for code in self._fault_since if code not in codes]:
            self.write("clear", now, fault=code, after_s=round(now - self._fault_since.pop(code), 1))
        for code in codes:
            if code not in self._fault_since:
                self._fault_since[code] = now
                fault = BY_CODE[code]
                self.write("fault", now, fault=code, lamp=fault.light.words, sentence=fault.sentence)

    def _see_charging(self, before: Seen | None, seen: Seen, now: float) -> None:
        name = None if self._session is None else self._session.name
        if before is not None and seen.closed and not before.closed:
            self._charges = True
            self.write("start", now, session=name, offered_a=seen.offered_da / 10)
        offer = None if before is None or not before.connected else (before.offered_da, before.reason)
        if seen.connected and offer != (seen.offered_da, seen.reason):
            word, limit_a = seen.reason.word, seen.limit_da / 10
            self.write("offer", now, offered_a=seen.offered_da / 10, reason=word, limit_a=limit_a)
        if before is not None and before.connected and not seen.connected:
            self.write("unplug", now, session=name)
        if not seen.closed:
            self._stop(_why_stopped(seen), now)

    def _stop(self, why: str, now: float) -> None:
        if self._charges:
            self._charges = False
            self.write("stop", now, session=None if self._session is None else self._session.name, why=why)
            self._save(now)

    # The session

    def _begin(self, now: float) -> None:
        if self._session is not None and self.look_at < inf:
            self.look_at = inf
            self.write("resume", now, session=self._session.name)
            return
        if self._session is not None:  # another vehicle before the contactor of the last one was open
            self._stop("unplug", now)
            self._end("unplug", now)
        began = self._journal.stamp(now)
        name = f"{began['boot']}-{int(now * 1000):x}"
        self._session = _Session({"session": name, "began": began, **dict.fromkeys(_NUMBERS, 0.0)}, self._energy)
        self.write("plug_in", now, session=name)
        self._save(now)

    def _end(self, how: str, now: float) -> None:
        self._count_time(now)
        if self._session is not None:
            self.write("session", now, **self._session.record(), ended=how)
        self._session = None
        self._save(now)

    def _count_time(self, now: float) -> None:
        spent, self._since = now - self._since, now
        if self._session is not None and self._seen is not None:
            self._session.charging_s += spent if self._seen.closed else 0.0
            self._session.waiting_s += spent if self._seen.waits else 0.0

    def _save(self, now: float) -> None:
        self._count_time(now)
        total_wh = self.total_wh
        counters = [total_wh] if self._session is None else [total_wh, self._session.wh]
        self._save_by = inf if self._session is None else now + _SAVE_S
        self._save_at_wh = self._energy.wh + min(_STEP_WH - wh % _STEP_WH for wh in counters)
        session = None if self._session is None else self._session.record() | {"energy_wh": self._session.wh}
        self._store.save(json.dumps({"total_wh": total_wh, "session": session}).encode())


def _tenths(wh: float) -> float:
    """In kWh, rounded down."""
    return int(wh / _STEP_WH) / 10


def _why_stopped(seen: Seen) -> str:
    if not seen.connected:
        return "unplug"
    if seen.reason in _SERVED or (seen.reason is Reason.ONLINE and seen.limit_da >= MIN_OFFER_DA):
        return "contactor"
    return "vehicle" if seen.reason is Reason.IDLE else seen.reason.word
