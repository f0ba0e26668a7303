"""The ways in which `tools/endurance.py` hurts stations. Each does it, ends it, and tells whose cars may have been let
go by it: all when the primary was hurt, without which no station keeps its lease."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from signal import SIGCONT, SIGSTOP
from typing import NamedTuple

from endurance_group import Failed, Group, Rows, told

Hurt = Collection[str]
"""Names of stations."""

STOPS_S = (0.3, 1.5, 8.0, 20.0)
"""Within the dead-man's 1 s, beyond it, beyond a lease, beyond the release time."""
PULLS_S = (1.0, 8.0)
JUMPS: Mapping[str, Callable[[], float]] = {
    "by +1 h": lambda: 3600.0,
    "by -1 h": lambda: -3600.0,
    "to 1970": lambda: _until(1970),
    "to 2040": lambda: _until(2040),
}
"""By how many seconds it is off then."""
_DISK_FAULTS = {"log", "store"}
_MOST_SESSIONS = 20
"""So many fill what is left of the last page of a file that was there before."""
_SAVED_S = 30.0


class Kind(NamedTuple):
    name: str
    do: Callable[[Group, random.Random], Hurt]
    kills: bool = False


def _until(year: int) -> float:
    return datetime(year, 1, 2, tzinfo=UTC).timestamp() - time.time()


def _some(who: str, group: Group, rng: random.Random) -> Sequence[str]:
    count = {"one": 1, "two": 2, "all": len(group.names)}
    return group.names[:1] if who == "primary" else rng.sample(group.names, count[who])


def _hurt(group: Group, names: Sequence[str]) -> Hurt:
    return group.names if group.names[0] in names else names


def _kill(who: str, group: Group, rng: random.Random) -> Hurt:
    names = _some(who, group, rng)
    group.kill(*names)
    group.watch(rng.uniform(0.0, 2.0))
    group.start(*names)
    return _hurt(group, names)


def _stop(who: str, for_s: float, group: Group, rng: random.Random) -> Hurt:
    names = _some(who, group, rng)
    group.signal(SIGSTOP, *names)
    group.watch(for_s)
    group.signal(SIGCONT, *names)
    return _hurt(group, names)


def _unplug(who: str, for_s: float, group: Group, rng: random.Random) -> Hurt:
    """The ports of stations `who`: "direct", "adapter" (one of those) or "all"."""
    direct = [name for name in group.names if name not in group.adapted]
    names = {"direct": [rng.choice(direct)], "adapter": [rng.choice(group.adapted)], "all": group.names}[who]
    for name in names:
        group.unplug_port(name)
    group.watch(for_s)
    for name in names:
        group.plug_port(name)
    return _hurt(group, names)


def _fill_disk(group: Group, rng: random.Random) -> Hurt:
    """Sessions end and begin meanwhile, until their station has said that it can save and log nothing."""
    name = rng.choice(group.names)
    with group.full_disk():
        for _ in range(_MOST_SESSIONS):
            group.change_car(name)
            if _faults(group.look(), name) >= _DISK_FAULTS:
                break
        else:
            raise Failed(f"{name} did not miss its disk: {told(group.look())}")
    group.wait(lambda rows: not any(_DISK_FAULTS & _faults(rows, each) for each in rows), _SAVED_S, "not all was saved")
    return [name]


def _faults(rows: Rows, name: str) -> set[str]:
    return set(rows[name]["firmware"]["faults"])


def _start_on_full_disk(group: Group, rng: random.Random) -> Hurt:
    name = rng.choice(group.names)
    with group.full_disk():
        group.kill(name)
        group.start(name)
        group.watch(2.0)
    return _hurt(group, [name])


def _jump(to: str, group: Group, rng: random.Random) -> Hurt:
    names = rng.sample(group.names, rng.randint(1, len(group.names)))
    for name in names:
        group.set_clock(name, JUMPS[to]())
    group.watch(2.0)
    return []


KINDS = (
    *(Kind(f"kill -9 of {who}", partial(_kill, who), True) for who in ("one", "primary", "two", "all")),
    Kind("kill -9 and start on a full disk", _start_on_full_disk, True),
    *(
        Kind(f"stop of {who} for {for_s:g} s", partial(_stop, who, for_s))
        for who in ("one", "primary", "two")
        for for_s in STOPS_S
    ),
    *(Kind(f"pty of one closed for {for_s:g} s", partial(_unplug, "direct", for_s)) for for_s in PULLS_S),
    *(Kind(f"port's owner killed, back after {for_s:g} s", partial(_unplug, "adapter", for_s)) for for_s in PULLS_S),
    *(Kind(f"all ports gone for {for_s:g} s", partial(_unplug, "all", for_s)) for for_s in PULLS_S),
    Kind("full disk", _fill_disk),
    *(Kind(f"wall clock {to}", partial(_jump, to)) for to in JUMPS),
)
