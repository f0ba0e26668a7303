"""Contactor, ground-fault sensor and dead-man on pins.

Outputs start low: contactor open, winding not driven. After the end the kernel makes inputs of them. gpiozero leaves
those on lgpio without a pull (gpiozero #1146), so they are pulled down here before they are claimed and after they are
released; that is some 50 kohm (M), so the board has 10 kohm to ground at each input that they lead to.

What holds them while the process lives is hardware: a retriggerable one-shot (or a charge pump) on the dead-man's pin
that enables the contactor's driver and the pilot's PWM. The Pi's own watchdog is no substitute: it resets the Pi after
many seconds, and pins of a Pi that hangs stay as they are.
"""

from collections.abc import Callable
from contextlib import ExitStack
from math import inf

from gpiozero import DigitalInputDevice, InputDevice, OutputDevice
from gpiozero.pins import Factory

from hal.raspberry.pins import claimed
from hal.raspberry.spec import Active, ContactorSpec, DeadManSpec, GroundFaultSpec

_SURE = 0.6
"""Part of the window after which a one-shot that is not wired back may have let go: its parts have tolerances (I)."""
_TOLD_S = 0.05
"""A trip is told for at least this long after somebody has looked first (I): a loop looks twice before it believes."""


def driven(pin: int, factory: Factory, held: ExitStack) -> OutputDevice:
    """An output, low from its claim on. Its pin is low after the end of `held`, and after its process has died."""
    line = factory.pin(pin)
    line.pull = "down"
    held.callback(setattr, line, "pull", "down")
    device = held.enter_context(OutputDevice(pin, pin_factory=factory))
    held.callback(device.off)
    return device


def sensed(pin: int, active: Active, factory: Factory, wake: Callable[[], None], held: ExitStack) -> DigitalInputDevice:
    """An input whose every edge wakes the loop, until the end of `held`."""
    device = held.enter_context(DigitalInputDevice(pin, pull_up=active == "low", pin_factory=factory))
    device.when_activated = device.when_deactivated = wake
    return device


class PinContactor:
    """The contactor's driver and the feedback of its output side."""

    def __init__(self, spec: ContactorSpec, factory: Factory, wake: Callable[[], None]) -> None:
        """Open, whatever it was. Raises `BoardGone`."""
        with claimed(f"the contactor on GPIO {spec.pin} and {spec.feedback_pin}") as self._pins:
            self._driver = driven(spec.pin, factory, self._pins)
            self._feedback = sensed(spec.feedback_pin, spec.feedback_active, factory, wake, self._pins)

    @property
    def closed(self) -> bool:
        """Feedback: the output is live."""
        return bool(self._feedback.is_active)

    def close(self) -> None:
        self._driver.on()

    def open(self) -> None:
        self._driver.off()

    def release(self) -> None:
        """Give the pins back, open."""
        self._pins.close()


class PinGroundFault:
    """The sensor's trip as an edge: one that has gone again before the loop has looked is still told."""

    def __init__(
        self, spec: GroundFaultSpec, factory: Factory, clock: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        """Raises `BoardGone`."""
        self._clock = clock
        self._wake = wake
        self._untold = False
        """It has begun to trip, and nobody has looked since."""
        self._told_until = -inf
        pins = ", ".join(map(str, filter(None, (spec.pin, spec.test_pin, spec.earth_pin))))
        with claimed(f"the ground-fault sensor on GPIO {pins}") as self._pins:
            self._winding = driven(spec.test_pin, factory, self._pins)
            self._trip = sensed(spec.pin, spec.active, factory, wake, self._pins)
            self._trip.when_activated = self._note
            earth = spec.earth_pin
            self._earth = None if earth is None else sensed(earth, "high", factory, wake, self._pins)

    def _note(self) -> None:
        self._untold = True
        self._wake()

    @property
    def tripped(self) -> bool:
        """It trips, or has since the last look: however long ago that was, and a moment longer."""
        if self._untold:
            self._untold = False
            self._told_until = self._clock() + _TOLD_S
        return bool(self._trip.is_active) or self._clock() < self._told_until

    @property
    def grounded(self) -> bool:
        """True where nothing monitors protective earth."""
        return self._earth is None or bool(self._earth.is_active)

    def test(self, on: bool) -> None:
        self._winding.value = on

    def release(self) -> None:
        """Give the pins back, the winding not driven."""
        self._pins.close()


class OneShot:
    """`hal.api.DeadMan`: each refresh is a pulse, whose rising edge retriggers the one-shot."""

    def __init__(
        self, spec: DeadManSpec, factory: Factory, clock: Callable[[], float], make_safe: Callable[[], None]
    ) -> None:
        """`make_safe` puts all outputs to what the one-shot has let go to. Raises `BoardGone`."""
        self._spec = spec
        self._window_s = spec.window_s
        self._sure_s = spec.window_s * _SURE
        self._clock = clock
        self._make_safe = make_safe
        self._refreshed_at = -inf
        pins = ", ".join(map(str, filter(None, (spec.pin, spec.held_pin))))
        with claimed(f"the dead-man on GPIO {pins}") as self._pins:
            self._pulse = driven(spec.pin, factory, self._pins)
            self._held: InputDevice | None = None
            if spec.held_pin is not None:
                self._held = self._pins.enter_context(InputDevice(spec.held_pin, pin_factory=factory))

    @property
    def wire(self) -> bool | None:
        """What its output says; it may be stuck, which the clock is not. None where it is not wired back."""
        return None if self._held is None else bool(self._held.is_active)

    @property
    def holds(self) -> bool:
        """It enables the outputs; where it is not wired back, it surely does."""
        sure_s = self._sure_s if self._held is None else self._window_s
        return self.wire is not False and self._clock() <= self._refreshed_at + sure_s

    @property
    def problem(self) -> str:
        """Why it holds nothing that is refreshed, and what to do; empty when it does, or is not wired back."""
        spec = self._spec
        if self.wire is not False or self._clock() > self._refreshed_at + self._sure_s:
            return ""
        return (
            f"the dead-man does not hold: GPIO {spec.held_pin} is low after a pulse on GPIO {spec.pin}: no vehicle "
            "charges; check the one-shot, its supply and both wires (watti doctor)"
        )

    def refresh(self) -> bool:
        """The next pulse. Before it enables outputs that had been let go, they are made safe."""
        held = self.holds
        if not held:
            self._make_safe()
        before, self._refreshed_at = self._refreshed_at, self._clock()
        self._pulse.on()
        self._pulse.off()
        if held and self._clock() > before + self._window_s:  # it stood still between the look and the pulse
            self._make_safe()
            return False
        return held

    def release(self) -> None:
        """Give the pins back; the one-shot lets go by itself."""
        self._pins.close()
