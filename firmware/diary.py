"""What a station writes down: its event log, the charging session under way, and the energy it has delivered.

The diary is shown how the station stands after every step and writes what is new. Session and energy are saved at
each tenth of a kWh, so that a killed process or a power cut loses less than that; what people see of the energy is
rounded down to it, so that it never runs backwards.
"""

import json
from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from firmware.bus.messages import Reason
from firmware.energy import Energy
from firmware.protection import BY_CODE
from hal.api import Journal, Store

SAVE_WH = 100.0
_LOOK_S = 1.0  # after a start: by then the pilot has said whether the vehicle of before is still there
_NOT_WAITING = (Reason.IDLE, Reason.ONLINE, Reason.TEMPERATURE, Reason.FAULT)


class Seen(NamedTuple):
    """How a station stands, as far as it is written down; deciamps."""

    connected: bool | None
    """Whether a vehicle is there; None where the pilot can't tell (E, F)."""
    asks: bool
    """The vehicle shows C or D."""
    closed: bool
    offered_da: int
    reason: Reason
    faults: tuple[str, ...]
    role: str
    switch: str | None
    limit_da: int
    group: Mapping[str, object]
    """With whom it shares: the fields of the `group` event."""


class _Session:
    """One vehicle, from plug-in to unplug. Seconds and watt-hours are those of the part before `since`."""

    def __init__(self, record: Mapping[str, Any], energy_wh: float, now: float) -> None:
        self.name = str(record["session"])
        self.began = record["began"]
        self.charging_s = float(record.get("charging_s", 0.0))
        self.waiting_s = float(record.get("waiting_s", 0.0))
        self._wh = float(record.get("energy_wh", 0.0)) - energy_wh
        self.peak_a = float(record.get("peak_a", 0.0))
        self.since = now

    def record(self, energy: Energy) -> dict[str, Any]:
        return {
            "session": self.name,
            "began": self.began,
            "energy_wh": int(self._wh + energy.wh),
            "charging_s": round(self.charging_s, 1),
            "waiting_s": round(self.waiting_s, 1),
            "peak_a": round(max(self.peak_a, energy.peak_a), 1),
        }


class Diary:
    """Writes to `journal`, keeps what must survive in `store`."""

    def __init__(self, journal: Journal, store: Store, energy: Energy, now: float) -> None:
        self._journal = journal
        self._store = store
        self._energy = energy
        self._seen: Seen | None = None
        self._session: _Session | None = None
        self._fault_since: dict[str, float] = {}
        self.look_at = inf
        """When the session of before is given up if its vehicle has not shown; inf = there is none."""
        kept = self._load()
        self._total_wh = float(kept.get("total_wh", 0.0))
        self._saved_wh = 0.0
        if kept.get("session"):
            self._session = _Session(kept["session"], 0.0, now)
            self.look_at = now + _LOOK_S

    def _load(self) -> Mapping[str, Any]:
        """What was saved; nothing of a record that is broken."""
        try:
            kept = json.loads(self._store.load() or b"{}")
            float(kept.get("total_wh", 0.0))
            if kept.get("session"):
                _Session(kept["session"], 0.0, 0.0)
        except (ValueError, TypeError, KeyError, AttributeError):
            return {}
        return dict(kept)

    # What people see

    @property
    def total_kwh(self) -> float:
        """Delivered by this station in its life, rounded down to 0.1 kWh."""
        return int((self._total_wh + self._energy.wh) / SAVE_WH) / 10

    @property
    def session(self) -> Mapping[str, object] | None:
        """The session under way: its id and energy so far (kWh)."""
        if self._session is None:
            return None
        return {"id": self._session.name, "energy_kwh": int(self._session.record(self._energy)["energy_wh"] / 100) / 10}

    # What happens

    def write(self, event: str, now: float, **fields: object) -> None:
        """An event that the diary can't see by itself."""
        self._journal.write(event, fields, now)

    def step(self, now: float) -> None:
        """Give up a session whose vehicle has gone while nobody looked, and keep the energy."""
        if now >= self.look_at:
            self.look_at = inf
            if self._session is not None:
                self._end("while off", now)
        if self._energy.wh >= self._saved_wh + SAVE_WH:
            self._save()

    def see(self, seen: Seen, now: float) -> None:
        """The station may have changed."""
        before = self._seen
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

    def _see_charging(self, before: Seen | None, seen: Seen, now: float) -> None:
        if self._session is not None and before is not None:
            spent = now - self._session.since
            self._session.since = now
            self._session.charging_s += spent if before.closed else 0.0
            self._session.waiting_s += spent if _waits(before) else 0.0
        was_closed = before is not None and before.closed
        if seen.closed and not was_closed:
            self.write("start", now, session=self._name, offered_a=seen.offered_da / 10)
        if seen.connected and (before is None or (before.offered_da, before.reason) != (seen.offered_da, seen.reason)):
            word, limit_a = seen.reason.word, seen.limit_da / 10
            self.write("offer", now, offered_a=seen.offered_da / 10, reason=word, limit_a=limit_a)
        if before is not None and before.connected and not seen.connected:
            self.write("unplug", now, session=self._name)
        if was_closed and not seen.closed:
            self.write("stop", now, session=self._name, why=_why_stopped(seen))
            self._save()

    def _see_faults(self, codes: tuple[str, ...], now: float) -> None:
        for code in [code for code in self._fault_since if code not in codes]:
            self.write("clear", now, fault=code, after_s=round(now - self._fault_since.pop(code), 1))
        for code in codes:
            if code not in self._fault_since:
                self._fault_since[code] = now
                fault = BY_CODE[code]
                self.write("fault", now, fault=code, lamp=fault.light.words, sentence=fault.sentence)

    # Sessions

    @property
    def _name(self) -> str | None:
        return None if self._session is None else self._session.name

    def _begin(self, now: float) -> None:
        if self._session is not None:
            self.look_at, self._session.since = inf, now
            self.write("resume", now, session=self._name)
            return
        began = self._journal.stamp(now)
        name = f"{began['boot']}-{int(now * 1000):x}"
        self._session = _Session({"session": name, "began": began}, self._energy.wh, now)
        self._energy.peak_a = 0.0
        self.write("plug_in", now, session=name)
        self._save()

    def _end(self, how: str, now: float) -> None:
        assert self._session is not None
        self.write("session", now, **self._session.record(self._energy), ended=how)
        self._session = None
        self._save()

    def _save(self) -> None:
        self._saved_wh = self._energy.wh
        session = None if self._session is None else self._session.record(self._energy)
        kept = {"total_wh": round(self._total_wh + self._energy.wh, 3), "session": session}
        self._store.save(json.dumps(kept).encode())


def _waits(seen: Seen) -> bool:
    return bool(seen.connected) and not seen.closed and seen.reason not in _NOT_WAITING


def _why_stopped(seen: Seen) -> str:
    if not seen.connected:
        return "unplug"
    if seen.reason is Reason.FAULT:
        return "fault"
    return seen.reason.word if seen.asks else "vehicle"
