"""Make a failing world small: whatever can be left out without losing the failure is left out.

A smaller world counts as the same failure when the same promise is broken first. Random draws of what is left may
differ, so each candidate is judged anew; what is found is one small world, not the smallest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from firmware.timing import Timing
from watti.scenario import Event, Scenario
from watti.torture.aftermath import last_fault_s
from watti.torture.judging import judge
from watti.torture.worlds import HEALS_S, WORST

_MOST_TRIES = 400

Told = Callable[[int, Scenario], None]
"""Is told how many tries there were, and the world that is tried."""


def shrunk(scenario: Scenario, check: str, told: Told = lambda tries, world: None) -> Scenario:
    """A world that breaks the promise `check` with as little as possible. `told` hears of every try."""
    return _Shrinker(check, told).shrink(scenario)


class _Shrinker:
    def __init__(self, check: str, told: Told) -> None:
        self._check = check
        self._told = told
        self._tries = 0

    def shrink(self, world: Scenario) -> Scenario:
        before = None
        while world != before and self._tries < _MOST_TRIES:
            before = world
            world = self._fewer_events(world)
            for simpler in (*_without_stations(world), *_plainer(world)):
                world = self._simpler(world, simpler)
        return _ended(world)

    def _simpler(self, world: Scenario, change: Callable[[Scenario], Scenario]) -> Scenario:
        smaller = change(world)
        return smaller if smaller != world and self._fails(smaller) else world

    def _fails(self, world: Scenario) -> bool:
        self._tries += 1
        if self._tries > _MOST_TRIES or not world.stations or not heals(world):
            return False
        self._told(self._tries, world)
        verdicts = judge(_ended(world)).verdicts
        return bool(verdicts) and verdicts[0].check == self._check

    def _fewer_events(self, world: Scenario) -> Scenario:
        """Leave out events, half of them at once, then a quarter, down to one by one and pairs that belong together."""
        size = max(1, len(world.events) // 2)
        while True:
            begin = 0
            while begin < len(world.events):
                for keeps in _left(world.events, begin, size):
                    if self._fails(smaller := replace(world, events=keeps)):
                        world = smaller
                        break
                else:
                    begin += size
            if size == 1:
                return world
            size //= 2


def _left(events: tuple[Event, ...], begin: int, size: int) -> Iterator[tuple[Event, ...]]:
    """The events without these; or, of a single one, also without what ends it."""
    gone = events[begin : begin + size]
    yield events[:begin] + events[begin + size :]
    if size == 1:
        end = next((e for e in events[begin + 1 :] if _ends(gone[0], e)), None)
        if end is not None:
            yield tuple(event for event in events if event is not gone[0] and event is not end)


_END_OF = {"bus_cut": "bus_join", "fault": "clear_fault", "power_off": "power_on", "bus_noise": "bus_noise"}


def _ends(event: Event, other: Event) -> bool:
    same = event.station == other.station and event.args.get("kind") == other.args.get("kind")
    return same and other.do == _END_OF.get(event.do)


def heals(world: Scenario) -> bool:
    """Whether everything that is broken in a world is mended before its end."""
    broken: set[tuple[object, ...]] = {(spec.name, "power") for spec in world.stations if not spec.powered}
    for event in world.events:
        for key, is_broken in _breaks(event):
            (broken.add if is_broken else broken.discard)((event.station, *key))
    return not broken


def _breaks(event: Event) -> Iterator[tuple[tuple[object, ...], bool]]:
    """What an event breaks or mends."""
    match event.do:
        case "power_off" | "power_on":
            yield ("power",), event.do == "power_off"
        case "bus_cut" | "bus_join":
            ways = ("send", "receive") if event.args["direction"] == "both" else (event.args["direction"],)
            for way in ways:
                yield (way,), event.do == "bus_cut"
        case "bus_noise":
            yield ("noise",), event.args["rate"] > 0
        case "fault" | "clear_fault":
            yield ("fault", event.args["kind"]), event.do == "fault"


def _ended(world: Scenario) -> Scenario:
    return replace(world, duration_s=round(last_fault_s(world) + HEALS_S))


# What may be made plainer


def _without_stations(world: Scenario) -> Iterator[Callable[[Scenario], Scenario]]:
    for spec in reversed(world.stations):
        yield partial(_without_station, spec.name)


def _without_station(name: str, world: Scenario) -> Scenario:
    return replace(
        world,
        stations=tuple(s for s in world.stations if s.name != name),
        events=tuple(event for event in world.events if event.station != name),
    )


def _plainer(world: Scenario) -> Sequence[Callable[[Scenario], Scenario]]:
    return (
        lambda w: replace(w, events=tuple(replace(event, at_s=event.at_s / 2) for event in w.events)),
        lambda w: replace(w, bit_error_rate=0.0),
        lambda w: replace(w, timing=Timing()),
        lambda w: replace(w, baud=19200),
        lambda w: replace(w, stations=tuple(replace(s, clock_drift_ppm=0.0) for s in w.stations)),
        lambda w: replace(w, stations=tuple(replace(s, serial=None) for s in w.stations)),
        lambda w: replace(w, events=tuple(_with_the_worst(event) for event in w.events), vehicles={WORST.name: WORST}),
        _with_used_vehicles,
        lambda w: replace(w, events=tuple(replace(e, at_s=float(round(e.at_s))) for e in w.events)),
        lambda w: replace(w, events=tuple(replace(e, at_s=round(e.at_s, 1)) for e in w.events)),
    )


def _with_the_worst(event: Event) -> Event:
    return replace(event, args={"vehicle": WORST.name}) if event.do == "plug" else event


def _with_used_vehicles(world: Scenario) -> Scenario:
    used = {event.args["vehicle"] for event in world.events if event.do == "plug"}
    return replace(world, vehicles={name: spec for name, spec in world.vehicles.items() if name in used})
