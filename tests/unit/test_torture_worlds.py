"""What the worlds of `watti torture` are made of: all that is promised is drawn, and soon. Nothing is simulated."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest

from firmware.config import BAUDS, DEFAULT_BAUD, MODELS
from firmware.timing import Timing
from watti.scenario import FAULT_KINDS, Event, Scenario
from watti.torture.shrink import heals
from watti.torture.worlds import LAST_S, draw

SEEDS = 500
SECONDARY = 15
MEMORY = ("lose_state", "corrupt_state")
DISTURBANCES = ("drop", "duplicate", "delay", "truncate", "echo", "babble")

Is = Callable[[Scenario], bool]


@cache
def worlds() -> tuple[Scenario, ...]:
    return tuple(draw(seed) for seed in range(SEEDS))


def events(world: Scenario, do: str) -> Iterator[Event]:
    return (event for event in world.events if event.do == do)


def happens(do: str, **args: object) -> Is:
    return lambda world: any(args.items() <= event.args.items() for event in events(world, do))


def comes(**habit: object) -> Is:
    """A vehicle with this habit is plugged in."""

    def has_it(name: str, world: Scenario) -> bool:
        return all(getattr(world.vehicles[name], key) == value for key, value in habit.items())

    return lambda world: any(has_it(event.args["vehicle"], world) for event in events(world, "plug"))


def stands(**what: object) -> Is:
    """A station is like this."""
    return lambda world: any(all(getattr(s, key) == value for key, value in what.items()) for s in world.stations)


def counts(stations: int) -> Is:
    return lambda world: len(world.stations) == stations


def talks_at(baud: int) -> Is:
    return lambda world: world.baud == baud


def is_turned(*, s1: bool) -> Is:
    return lambda world: any((event.station == "s1") == s1 for event in events(world, "switch"))


def stands_still(seconds: float) -> Is:
    return lambda world: any(event.args["for_s"] >= seconds for event in events(world, "stall"))


def at_the_start(world: Scenario) -> int:
    """How many stations are set to amps."""
    return sum(spec.switch != SECONDARY for spec in world.stations)


def two_primaries_start_together(world: Scenario) -> bool:
    return at_the_start(world) > 1


def another_is_set_to_amps(world: Scenario) -> bool:
    turned = events(world, "switch")
    return any(event.station != "s1" and event.args["position"] != SECONDARY for event in turned)


def a_fifth_secondary(world: Scenario) -> bool:
    return len(world.stations) - at_the_start(world) == 5


def all_lose_their_supply_at_once(world: Scenario) -> bool:
    off = [event.at_s for event in events(world, "power_off")]
    return any(off.count(at_s) >= len(world.stations) > 2 for at_s in off)


def units_change_places(world: Scenario) -> bool:
    own = {spec.serial for spec in world.stations}
    return sum(event.args.get("serial") in own for event in events(world, "power_on")) > 1


def a_spare_unit_takes_a_place(world: Scenario) -> bool:
    own = {spec.serial for spec in world.stations} | {None}
    return any(event.args.get("serial") not in own for event in events(world, "power_on"))


def serials(world: Scenario) -> list[int]:
    return [spec.serial or 0 for spec in world.stations]


def serials_are_twice_there(world: Scenario) -> bool:
    return len(set(serials(world))) < len(world.stations)


def serials_are_in_sequence(world: Scenario) -> bool:
    first, *others = serials(world)
    return others == list(range(first + 1, first + 1 + len(others))) != []


def the_line_is_noisy_throughout(world: Scenario) -> bool:
    return world.bit_error_rate > 0


def times_are_wider(world: Scenario) -> bool:
    return world.timing != Timing()


def vehicles_may_stay_away(world: Scenario) -> bool:
    return not any(events(world, "plug"))


WANTED: dict[str, Is] = {
    **{f"{count} stations": counts(count) for count in range(1, 7)},
    **{f"a {model}": stands(model=model) for model in MODELS},
    **{f"{baud} baud": talks_at(baud) for baud in (min(BAUDS), DEFAULT_BAUD, max(BAUDS))},
    **{f"{ppm:+} ppm": stands(clock_drift_ppm=ppm) for ppm in (0.0, 1e4, -1e4)},
    **{kind: happens("fault", kind=kind) for kind in FAULT_KINDS},
    **{f"frames: {kind}": happens("bus_disturb", kind=kind) for kind in DISTURBANCES},
    **{f"cut {way}": happens("bus_cut", direction=way) for way in ("both", "send", "receive")},
    **{do: happens(do) for do in ("unplug", "power_off", "restart", "stall", "bus_noise")},
    **{f"{do}, {what}": happens(do, **{what: True}) for do in ("restart", "power_on") for what in MEMORY},
    "stalls longer than a lease": stands_still(5.1),
    "switched on late": stands(powered=False),
    "s1 is turned": is_turned(s1=True),
    "another is turned": is_turned(s1=False),
    "a car that follows as late as promised": comes(reaction_s=6.49),
    "a car that refuses": comes(obeys=False),
    "a car that sleeps": comes(name="sleeper"),
    "a car that glitches": comes(glitches=2),
    "a car that gives up": comes(gives_up_s=20.0),
    "a car that takes no 6 A": comes(min_a=8.0),
    "a car that is nearly full": comes(name="nearly"),
    "a small car": comes(max_a=16.0),
}
NAMED: tuple[Is, ...] = (
    two_primaries_start_together,
    another_is_set_to_amps,
    a_fifth_secondary,
    all_lose_their_supply_at_once,
    units_change_places,
    a_spare_unit_takes_a_place,
    serials_are_twice_there,
    serials_are_in_sequence,
    the_line_is_noisy_throughout,
    times_are_wider,
    vehicles_may_stay_away,
)


@pytest.mark.parametrize("wanted", [*WANTED.values(), *NAMED], ids=[*WANTED, *(named.__name__ for named in NAMED)])
def test_it_is_drawn_and_not_always(wanted: Is) -> None:
    found = sum(map(wanted, worlds()))
    assert 3 <= found < SEEDS


def test_all_of_it_ends() -> None:
    for world in worlds():
        assert heals(world), world.path
        assert all(0 <= event.at_s <= LAST_S for event in world.events), world.path
        assert list(world.events) == sorted(world.events, key=lambda event: event.at_s)


@pytest.mark.parametrize("mends", ["power_on", "bus_join", "clear_fault", "bus_noise"])
def test_what_is_not_mended_does_not_heal(mends: str) -> None:
    mended = [world for world in worlds() if any(events(world, mends))]
    for world in mended:
        left = tuple(event for event in world.events if event.do != mends or event.args.get("rate"))
        assert not heals(replace(world, events=left)), world.path


def test_those_that_may_meet_another_primary_hear_it() -> None:
    """Not promised is what comes of two that are set to amps and can't hear each other."""
    deafens = ("bus_cut", "bus_noise", "bus_disturb")
    for world in filter(lambda world: two_primaries_start_together(world) or another_is_set_to_amps(world), worlds()):
        assert not any(event.do in deafens for event in world.events), world.path
        assert not happens("fault", kind="bus_port")(world), world.path


def test_a_seed_is_one_world() -> None:
    assert draw(3) == draw(3)
    assert len({repr(world.events) for world in worlds()}) == SEEDS
