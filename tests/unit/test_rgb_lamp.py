"""The RGB LED: its rhythm, its colours, and its pins on gpiozero's mock factory."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from gpiozero import OutputDevice
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from hal.api import BoardGone, Colour, Light
from hal.raspberry.lamp import FLASH_S, GAP_S, LONG_PAUSE_S, SHORT_PAUSE_S, RgbLamp, level_at, rhythm
from hal.raspberry.spec import LampSpec

PINS = (17, 27, 22)
COUNTS = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    factory = MockFactory()
    yield factory
    factory.reset()


class Lamp:
    """An `RgbLamp` whose clock is turned by hand."""

    def __init__(self, factory: MockFactory, active: str = "high") -> None:
        self.now = 0.0
        self.lamp = RgbLamp(LampSpec(*PINS, "low" if active == "low" else "high"), factory, lambda: self.now)
        self.pins = [factory.pin(pin) for pin in PINS]

    def turn(self, at_s: float) -> str:
        """Which of the three pins are high at that time, after a turn."""
        self.now = at_s
        self.lamp.turn()
        return self.levels

    @property
    def levels(self) -> str:
        return "".join(name for name, pin in zip("rgb", self.pins, strict=True) if pin.state)


def flashes(light: Light, for_s: float) -> list[tuple[float, float]]:
    """When it goes on and off, to 10 ms."""
    steps = [(step / 100, level_at(light, (step + 0.5) / 100)) for step in range(round(for_s * 100))]
    edges = [(at, now) for (_, before), (at, now) in pairwise([(0.0, False), *steps]) if now != before]
    return [(on, off) for (on, _), (off, _) in zip(edges[::2], edges[1::2], strict=False)]


def test_3_1_is_three_flashes_a_short_pause_one_flash_a_long_pause_and_again() -> None:
    assert (FLASH_S, GAP_S, SHORT_PAUSE_S, LONG_PAUSE_S) == (0.3, 0.3, 1.2, 3.0)
    first = [(0.0, 0.3), (0.6, 0.9), (1.2, 1.5), (2.7, 3.0)]
    again = [(pytest.approx(on + 6.0), pytest.approx(off + 6.0)) for on, off in first]
    assert flashes(Light(Colour.RED, (3, 1)), 12.0) == first + again


def test_a_steady_light_stays_on_and_no_light_off() -> None:
    assert all(level_at(Light(Colour.GREEN), t_s) for t_s in (0.0, 1.0, 1e6))
    assert not any(level_at(Light(Colour.OFF, blinks), t_s) for blinks in ((), (2,)) for t_s in (0.0, 0.1, 1e6))


@given(blinks=COUNTS)
def test_counts_come_out_as_they_went_in(blinks: tuple[int, ...]) -> None:
    """As people read it: a pause of more than 0.5 s ends a count."""
    seen = flashes(Light(Colour.RED, blinks), sum(for_s for _, for_s in rhythm(blinks)))
    counts = [1]
    for (_, off), (on, _) in pairwise(seen):
        if on - off > 0.5:
            counts.append(1)
        else:
            counts[-1] += 1
    assert tuple(counts) == blinks


@given(blinks=COUNTS, round_=st.integers(0, 1000), t_s=st.floats(0.0, 60.0))
def test_every_round_is_the_same(blinks: tuple[int, ...], round_: int, t_s: float) -> None:
    whole = sum(for_s for _, for_s in rhythm(blinks))
    t_s = round(t_s, 1) + 0.05
    assert level_at(Light(Colour.RED, blinks), t_s) == level_at(Light(Colour.RED, blinks), t_s + round_ * whole)


@pytest.mark.parametrize(
    ("colour", "levels"), list(zip(Colour, ("", "rgb", "g", "b", "rg", "r"), strict=True)), ids=str
)
def test_colours(factory: MockFactory, colour: Colour, levels: str) -> None:
    one = Lamp(factory)
    one.lamp.show(Light(colour))
    assert one.turn(0.0) == levels


def test_an_active_low_lamp_is_never_lit_by_a_claim_or_a_release(factory: MockFactory) -> None:
    one = Lamp(factory, "low")
    assert one.levels == "rgb"
    assert all(state.state for pin in one.pins for state in pin.states[1:])  # the first is from before
    one.lamp.show(Light(Colour.BLUE))
    assert one.turn(1.0) == "rg"
    one.lamp.close()
    assert [pin.states[-1].state for pin in one.pins] == [True] * 3


def test_a_lamp_that_is_closed_is_dark_and_its_pins_are_free(factory: MockFactory) -> None:
    one = Lamp(factory)
    one.lamp.show(Light(Colour.WHITE))
    assert one.turn(0.0) == "rgb"
    one.lamp.close()
    assert one.levels == ""
    assert Lamp(factory).turn(0.0) == ""


def test_show_moves_no_pin_and_begins_its_rhythm_then(factory: MockFactory) -> None:
    one = Lamp(factory)
    one.now = 7.0
    one.lamp.show(Light(Colour.AMBER, (2,)))
    assert one.levels == ""
    assert [one.turn(7.0 + t_s) for t_s in (0.0, 0.25, 0.35, 0.65, 0.95, 3.85, 3.95)] == [
        "rg", "rg", "", "rg", "", "", "rg"
    ]  # fmt: skip


def test_the_same_light_again_does_not_begin_anew(factory: MockFactory) -> None:
    one = Lamp(factory)
    one.lamp.show(Light(Colour.RED, (1,)))
    one.now = 0.4
    one.lamp.show(Light(Colour.RED, (1,)))
    assert one.turn(0.4) == ""
    one.lamp.show(Light(Colour.RED, (1, 1)))
    assert one.turn(0.4) == "r"


def spied(output: OutputDevice) -> list[bool]:
    """What is written to it from now on."""
    writes: list[bool] = []
    write = output._write

    def spy(level: bool) -> None:
        writes.append(level)
        write(level)

    output._write = spy
    return writes


def test_pins_are_written_only_when_they_change(factory: MockFactory) -> None:
    one = Lamp(factory)
    writes = [spied(output) for output in one.lamp._outputs]
    one.lamp.show(Light(Colour.AMBER, (2,)))
    for step in range(78):  # two rounds of 3.9 s
        one.turn(step / 10 + 0.05)
    assert writes == [[True, False] * 4] * 2 + [[]]  # two flashes a round


def test_a_pin_that_is_taken_is_told(factory: MockFactory) -> None:
    with pytest.raises(BoardGone, match="the lamp on GPIO 17, 27, 27 can't be used"):
        RgbLamp(LampSpec(17, 27, 27, "high"), factory, lambda: 0.0)
