"""The rotary switch on four inputs, or on eight where it has both codes."""

from collections.abc import Callable
from math import inf

from gpiozero import InputDevice
from gpiozero.pins import Factory

from hal.raspberry.pins import claimed
from hal.raspberry.spec import RotarySpec

DEBOUNCE_S = 0.05
"""Contacts of a coded switch bounce for up to 10 ms and change one after the other (I)."""


class RotarySwitch:
    """A coded switch, its contacts to ground.

    While it moves, and where its two codes contradict each other, it has no position. A switch with one code that
    comes to rest between two positions shows some position: four contacts can't tell. A line that is cut reads as
    an open contact; with complement code a switch that is torn off so reads F, and its station can't give.
    """

    def __init__(self, spec: RotarySpec, factory: Factory, clock: Callable[[], float]) -> None:
        """Raises `BoardGone`."""
        others = spec.complement_pins or ()
        with claimed(f"the rotary switch on GPIO {', '.join(map(str, spec.pins + others))}") as self._pins:
            self._lines, self._others = (
                [self._pins.enter_context(InputDevice(pin, pull_up=True, pin_factory=factory)) for pin in pins]
                for pins in (spec.pins, others)
            )
        self._flip = 15 if spec.coding == "complement" else 0
        self._clock = clock
        self._seen = self.contacts
        self._since = -inf

    @property
    def contacts(self) -> tuple[int, int | None]:
        """The contacts that are closed, as numbers of 4 bits: of the main code, and of the other one."""
        return _number(self._lines), _number(self._others) if self._others else None

    def position(self) -> int | None:
        """0-15, or None while it moves or contradicts itself. To be asked at least each 0.1 s."""
        seen = self.contacts
        if seen != self._seen:
            self._seen, self._since = seen, self._clock()
        main, other = seen
        if self._clock() < self._since + DEBOUNCE_S or (other is not None and main ^ other != 15):
            return None
        return main ^ self._flip

    def close(self) -> None:
        self._pins.close()


def _number(lines: list[InputDevice]) -> int:
    return sum(line.value << bit for bit, line in enumerate(lines))
