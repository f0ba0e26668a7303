"""The RGB LED on the station's face: its colours, its rhythm, its three pins."""

from collections.abc import Callable, Iterator
from math import inf

from gpiozero import OutputDevice
from gpiozero.pins import Factory

from hal.api import Colour, Light
from hal.raspberry.pins import claimed
from hal.raspberry.spec import LampSpec

FLASH_S = 0.3
GAP_S = 0.3
"""Between two flashes of one count: people count up to six at this pace (I)."""
SHORT_PAUSE_S = 1.2
"""Between two counts."""
LONG_PAUSE_S = 3.0
"""Before the first count begins again."""

PRIMARIES = {
    Colour.OFF: (False, False, False),
    Colour.WHITE: (True, True, True),
    Colour.GREEN: (False, True, False),
    Colour.BLUE: (False, False, True),
    Colour.AMBER: (True, True, False),
    Colour.RED: (True, False, False),
}
"""Red, green, blue. The pins know on and off alone: what amber and white look like is set by the LED's resistors."""


def rhythm(blinks: tuple[int, ...]) -> Iterator[tuple[bool, float]]:
    """One round of `Light.blinks`: lit or dark, and for how long (s). Steady never ends."""
    if not blinks:
        yield True, inf
    for number, count in enumerate(blinks, 1):
        for flash in range(1, count + 1):
            yield True, FLASH_S
            if flash < count:
                yield False, GAP_S
        yield False, SHORT_PAUSE_S if number < len(blinks) else LONG_PAUSE_S


def level_at(light: Light, t_s: float) -> bool:
    """Whether the lamp is lit, `t_s` after it was told to show `light`."""
    if light.colour is Colour.OFF:
        return False
    t_s %= sum(for_s for _, for_s in rhythm(light.blinks))
    for lit, for_s in rhythm(light.blinks):
        if t_s < for_s:
            return lit
        t_s -= for_s
    return False  # rounding: the end of the last pause


class RgbLamp:
    """`hal.api.Indicator`, and the `Work` that keeps its rhythm. Dark until told otherwise."""

    every_s = 0.05
    """How much longer or shorter a flash may be."""

    def __init__(self, spec: LampSpec, factory: Factory, clock: Callable[[], float]) -> None:
        """Raises `BoardGone`."""
        high = spec.active == "high"
        pins = (spec.red, spec.green, spec.blue)
        with claimed(f"the lamp on GPIO {', '.join(map(str, pins))}") as self._pins:
            self._outputs = [
                self._pins.enter_context(OutputDevice(pin, active_high=high, pin_factory=factory)) for pin in pins
            ]
        self._clock = clock
        self._driven = [False, False, False]
        self._shown = (Light(Colour.OFF), clock())  # in one piece, as the other thread may look at any moment

    def show(self, light: Light) -> None:
        """From the beginning of its rhythm; the light that is shown already goes on as it is. Never waits."""
        if light != self._shown[0]:
            self._shown = (light, self._clock())

    def turn(self) -> None:
        """Bring the pins to where the rhythm is now."""
        light, since = self._shown
        lit = level_at(light, self._clock() - since)
        self._drive([lit and primary for primary in PRIMARIES[light.colour]])

    def close(self) -> None:
        """Dark; the pins are given back. Its worker has to have ended."""
        with self._pins:
            self._drive([False, False, False])

    def _drive(self, levels: list[bool]) -> None:
        for output, level, driven in zip(self._outputs, levels, self._driven, strict=True):
            if level != driven:
                output.value = level
        self._driven = levels
