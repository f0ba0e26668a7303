"""One seed, one world: a random group, and what happens to it. All of it ends, so that the group can heal.

Not drawn is what the promise does not cover: two primaries that can't hear each other (firmware/DESIGN.md, "The
promise"); where two are set to amps the line stays whole, but for some noise.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from firmware.config import BAUDS
from firmware.timing import Timing
from hal.simulated.vehicle_spec import VehicleSpec
from watti.scenario import FAULT_KINDS, HEATS, Event, Scenario, StationSpec, load_vehicles

FIRST_S, LAST_S = 20.0, 140.0
"""When things happen; afterwards the world is left alone."""
HEALS_S = 300.0
"""How long a world goes on at most after the last of it."""
_ARRIVES_S = 60.0
_CARRIED_S = 0.1
"""No unit takes another's place before that one's contactor has fallen."""
_MOST_EVENTS = 32

WORST = VehicleSpec("worst", start_delay_s=0.0, ramp_a_per_s=0.0, reaction_s=6.49)
"""Follows the pilot as late as the promise allows, and then takes all of it at once."""
_CARS = (
    WORST,
    replace(WORST, name="slow", reaction_s=6.0),
    replace(WORST, name="small", max_a=16.0),
    replace(WORST, name="large", max_a=80.0),
    replace(WORST, name="quick", reaction_s=1.0),
    replace(WORST, name="late", start_delay_s=30.0),
    replace(WORST, name="gentle", draw_ratio=0.96, ramp_a_per_s=4.0, reaction_s=2.0, start_delay_s=2.0),
    replace(WORST, name="nearly", soc=0.9995),
)
_REFUSER = replace(WORST, name="refuser", reaction_s=5.0, obeys=False)
_ODD_CARS = tuple(load_vehicles().values())
_WIDER = Timing(reaction_s=8.0, release_s=15.2)
_RARE_KINDS = ("overdraw", "contactor_stuck")
"""A person has to end these: the rest of the story at their station is short."""
_SLOW_KINDS = ("over_temperature", "thermometer", "meter", "meter_implausible", "diode", "switch_unreadable")
"""Those that a station may take its time to find."""
_SLOW_S = (0.5, 10.0, 30.0, 60.0)
_QUICK_S = (0.01, 0.1, 0.5, 2.0, 10.0, 30.0)
_KINDS = tuple(kind for kind in FAULT_KINDS if kind not in _RARE_KINDS)


def draw(seed: int) -> Scenario:
    """The world of a seed, whole: the same on every machine."""
    rng = random.Random(f"watti/{seed}")
    return _World(rng, seed, rivals=rng.random() < 0.3).draw()


class _World:
    """Draws one world. `rivals`: more than one station is set to amps at some time."""

    def __init__(self, rng: random.Random, seed: int, *, rivals: bool) -> None:
        self.rng = rng
        self.seed = seed
        self.rivals = rivals
        self.count = rng.choice([2, 3, 4, 5, 5, 6]) if rivals else rng.choice([1, 2, 3, 4, 5, 5, 5, 6])
        odd = rng.sample(_ODD_CARS, 4) if rng.random() < 0.4 else []
        self.cars = (*_CARS, *odd, *([_REFUSER] if rng.random() < 0.2 else []))
        self.serials = self._serials()
        self.swaps: list[tuple[float, float, int, int]] = []
        """(from, until, one station, the other) of units that change places."""

    def draw(self) -> Scenario:
        rng, count = self.rng, self.count
        models = [rng.choice(["48A", "48A", "80A"]) for _ in range(count)]
        first = rng.choice("BBB46829A") if models[0] == "48A" else rng.choice("BECD4")
        second = rng.choice("B6") if self.rivals and rng.random() < 0.3 else "F"
        drifts = [rng.choice([0.0, 1e4, -1e4, round(rng.uniform(-1e4, 1e4))]) for _ in range(count)]
        baud = rng.choice([BAUDS[0], BAUDS[1], BAUDS[1], BAUDS[-1]])
        late = {i for i in range(count) if rng.random() < 0.05}
        stations = tuple(
            StationSpec(f"s{i + 1}", models[i], self.serials[i], int(digit, 16), i not in late, drifts[i])
            for i, digit in enumerate((first + second + "F" * count)[:count])
        )
        noise = rng.choice([0.0, 0.0, 1e-5, 1e-4])
        timing = _WIDER if rng.random() < 0.2 else Timing()
        events = sorted([*self._switched_on(late), *self._happenings()], key=lambda event: event.at_s)
        used = {event.args["vehicle"] for event in events if event.do == "plug"}
        cars = {car.name: car for car in self.cars if car.name in used}
        return Scenario(
            LAST_S + HEALS_S,
            self.seed,
            240.0,
            baud,
            noise,
            stations,
            cars,
            tuple(events),
            Path(f"seed {self.seed}"),
            timing,
        )

    def _serials(self) -> list[int]:
        """Half of the time one batch, as from the factory; now and then two of one serial."""
        rng, first = self.rng, self.rng.getrandbits(40) + 1
        batch = rng.random() < 0.5
        serials = [first + i if batch else rng.getrandbits(47) + 1 for i in range(self.count)]
        if rng.random() < 0.05 and self.count > 2:
            serials[-1] = serials[-2]
        return serials

    def _switched_on(self, late: set[int]) -> list[Event]:
        return [self.event(round(self.rng.uniform(0.1, 30), 3), "power_on", i + 1, lose_state=False) for i in late]

    def _happenings(self) -> list[Event]:
        rng = self.rng
        events = [
            self.plug(round(rng.uniform(0, _ARRIVES_S), 3), i + 1) for i in range(self.count) if rng.random() < 0.85
        ]
        possible = [chance for chance in _CHANCES if not (self.rivals and chance in _DEAFENING)]
        chances = rng.sample(possible, rng.randint(2, len(possible)))
        chances += [_breaks] * (2 * (_breaks in chances))  # there are many kinds of it
        if self.rivals:
            chances += [_rival, _rival]
            if rng.random() < 0.8:  # one of two that began together gives way in the end
                events.append(self.event(round(rng.uniform(LAST_S / 2, LAST_S), 3), "switch", 2, position=15))
        for _ in range(rng.randint(1, _MOST_EVENTS)):
            at_s = round(rng.uniform(FIRST_S, LAST_S), rng.choice([0, 3]))
            events += rng.choice(chances)(self, at_s, rng.randint(1, self.count))
        return events + self._swapped()

    def _swapped(self) -> list[Event]:
        """In order of time, as a later exchange finds what the one before has left."""
        events, serials = [], list(self.serials)
        for at_s, back_s, one, other in sorted(self.swaps):
            back_s = max(back_s, round(at_s + _CARRIED_S, 3))
            if one == other:
                serials[one - 1] = self.rng.getrandbits(47) + 1
            serials[one - 1], serials[other - 1] = serials[other - 1], serials[one - 1]
            for each in sorted({one, other}):
                events.append(self.event(at_s, "power_off", each))
                events.append(self.event(back_s, "power_on", each, lose_state=False, serial=serials[each - 1]))
        return events

    # What the chances are made of

    def event(self, at_s: float, do: str, station: int | None, **args: Any) -> Event:
        return Event(at_s, do, None if station is None else f"s{station}", args)

    def plug(self, at_s: float, station: int) -> Event:
        return self.event(at_s, "plug", station, vehicle=self.rng.choice(self.cars).name)

    def later(self, at_s: float, *spans_s: float) -> float:
        return min(LAST_S, round(at_s + self.rng.choice(spans_s), 3))

    def memory(self) -> dict[str, bool]:
        """What a new life finds of what the last one kept."""
        chance = self.rng.random()
        return {"lose_state": chance < 0.2} | ({"corrupt_state": True} if 0.2 <= chance < 0.4 else {})


Chance = Callable[[_World, float, int], list[Event]]
"""Draws one thing that happens at a moment (s) to a station (from 1), with its end."""


def _comes(world: _World, at_s: float, station: int) -> list[Event]:
    return [world.plug(at_s, station)]


def _goes(world: _World, at_s: float, station: int) -> list[Event]:
    return [world.event(at_s, "unplug", station)]


def _swaps(world: _World, at_s: float, station: int) -> list[Event]:
    """One vehicle leaves and another comes, perhaps at once."""
    return [
        world.event(at_s, "unplug", station),
        world.plug(world.later(at_s, 0.01, 0.03, 0.05, 0.2, 1.0, 5.0), station),
    ]


def _restarts(world: _World, at_s: float, station: int) -> list[Event]:
    return [world.event(at_s, "restart", station, **world.memory())]


def _browns_out(world: _World, at_s: float, station: int) -> list[Event]:
    """One station loses its supply, or all of the circuit do."""
    back_s = world.later(at_s, 0.01, 0.5, 3.0, 10.0, 20.0)
    stations = range(1, world.count + 1) if world.rng.random() < 0.2 else [station]
    together = world.rng.random() < 0.5
    return [
        event
        for each in stations
        for event in (
            world.event(at_s, "power_off", each),
            world.event(back_s if together else world.later(back_s, 0.0, 0.1, 1.0), "power_on", each, **world.memory()),
        )
    ]


def _units_are_swapped(world: _World, at_s: float, station: int) -> list[Event]:
    """Two units change places, or a spare one takes a place for good."""
    world.swaps.append((at_s, world.later(at_s, 1.0, 5.0, 20.0), station, world.rng.randint(1, world.count)))
    return []


def _stalls(world: _World, at_s: float, station: int) -> list[Event]:
    return [world.event(at_s, "stall", station, for_s=world.rng.choice([0.3, 0.9, 1.1, 2.0, 4.0, 4.9, 5.1, 8.0, 20.0]))]


def _is_cut(world: _World, at_s: float, station: int) -> list[Event]:
    way, back_s = world.rng.choice(["both", "send", "receive"]), world.later(at_s, 0.1, 0.7, 2, 5, 9, 14, 40)
    return [
        world.event(at_s, "bus_cut", station, direction=way),
        world.event(back_s, "bus_join", station, direction=way),
    ]


def _is_noisy(world: _World, at_s: float, station: int) -> list[Event]:
    where, rate = world.rng.choice([None, station]), world.rng.choice([1e-4, 1e-3, 0.01, 0.1])
    quiet_s = world.later(at_s, 1.0, 10.0, 60.0)
    return [world.event(at_s, "bus_noise", where, rate=rate), world.event(quiet_s, "bus_noise", where, rate=0.0)]


def _is_disturbed(world: _World, at_s: float, station: int) -> list[Event]:
    kind = world.rng.choice(["drop", "duplicate", "delay", "truncate", "echo", "babble"])
    rate = world.rng.choice([0.02, 0.2, 0.5, 1.0])
    for_s = max(0.01, round(world.later(at_s, 1.0, 10.0, 60.0) - at_s, 3))
    return [world.event(at_s, "bus_disturb", world.rng.choice([None, station]), kind=kind, rate=rate, for_s=for_s)]


def _breaks(world: _World, at_s: float, station: int) -> list[Event]:
    kinds = _RARE_KINDS if world.rng.random() < 0.05 else _KINDS
    kind = world.rng.choice([kind for kind in kinds if not (world.rivals and kind == "bus_port")])
    mended_s = world.later(at_s, *(_SLOW_S if kind in _SLOW_KINDS else _QUICK_S))
    heat = {"celsius": world.rng.choice([66.0, 69.0, 75.0])} if kind == HEATS else {}
    return [
        world.event(at_s, "fault", station, kind=kind, **heat),
        world.event(mended_s, "clear_fault", station, kind=kind),
    ]


def _is_turned(world: _World, at_s: float, station: int) -> list[Event]:
    return [world.event(at_s, "switch", 1, position=world.rng.choice([0, 2, 4, 6, 8, 9, 10, 11]))]


def _moves(world: _World, at_s: float, station: int) -> list[Event]:
    """The circuit is without a primary for a while."""
    back_s = world.later(at_s, 0.2, 0.6, 3.0, 20.0)
    position = world.rng.choice([6, 8, 11])
    return [world.event(at_s, "switch", 1, position=15), world.event(back_s, "switch", 1, position=position)]


def _rival(world: _World, at_s: float, station: int) -> list[Event]:
    """Another station is set to amps for a while."""
    other, back_s = world.rng.randint(2, world.count), world.later(at_s, 0.2, 0.6, 1.0, 3.0, 14.0, 20.0, 40.0)
    position = world.rng.choice([4, 6, 10, 11])
    return [world.event(at_s, "switch", other, position=position), world.event(back_s, "switch", other, position=15)]


_DEAFENING: tuple[Chance, ...] = (_is_cut, _is_noisy, _is_disturbed)
_CHANCES: tuple[Chance, ...] = (
    *(_comes, _goes, _swaps, _restarts, _browns_out, _units_are_swapped, _stalls, _is_turned, _moves, _breaks),
    *_DEAFENING,
)
