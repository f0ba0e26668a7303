"""The board of one station, put together from its description: `hal.api.LiveBoard` on a Raspberry Pi.

The loop only ever looks at what is there: edges of pins wake it, and whatever has to be waited for (bursts of
the ADC, the meter, the thermometer, the lamp's rhythm) is done by threads that end with the board.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from gpiozero.pins import Factory

from hal.api import BoardGone, Inputs, Journal, LiveBus, Store
from hal.raspberry.adc import adc_of
from hal.raspberry.lamp import RgbLamp
from hal.raspberry.meters import CtMeter, EnergyMeter
from hal.raspberry.outputs import OneShot, PinContactor, PinGroundFault
from hal.raspberry.pins import real_pins, told
from hal.raspberry.pwm import KernelPwm
from hal.raspberry.rotary import RotarySwitch
from hal.raspberry.sampler import Channel, Sampler, ct_channel, thermistor_channel
from hal.raspberry.spec import AdcSpec, BoardSpec, CtSpec, KernelThermometerSpec, Places
from hal.raspberry.spi import Spi, SpiDevice
from hal.raspberry.thermometers import KernelThermometer, ThermistorThermometer
from hal.raspberry.worker import Work, Worker

SAMPLE_S = 0.1
"""The rotary switch is looked at as often; everything else tells by itself."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where the parts of a board are: a Pi's own, or a simulated one's."""

    pins: Callable[[], Factory] = real_pins
    spi: Callable[[AdcSpec], Spi] = SpiDevice.of
    places: Places = field(default_factory=Places)


class Parts:
    """Every part of a board, from a safe start to a safe end; `works` are to be turned by whoever has threads."""

    def __init__(
        self, spec: BoardSpec, hardware: Hardware, clock: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        """`wake` may be called by any thread. Raises `BoardGone`; then nothing is held."""
        self.spec = spec
        self._hardware, self._clock, self._wake = hardware, clock, wake
        with ExitStack() as stack:
            self.alone = stack.enter_context(ExitStack())
            self.alone.enter_context(_alone(hardware.places.pwm / spec.pilot.pwm_chip))
            pins = hardware.pins()
            self._outputs(pins, stack)
            self.rotary = None if spec.rotary is None else RotarySwitch(spec.rotary, pins, clock)
            if self.rotary is not None:
                stack.callback(self.rotary.close)
            self.lamp = RgbLamp(spec.lamp, pins, clock)
            stack.callback(self.lamp.close)
            self.works: list[Work] = [self.lamp]
            self._sensors(stack)
            self._held = stack.pop_all()

    def _outputs(self, pins: Factory, stack: ExitStack) -> None:
        spec = self.spec
        self.contactor = PinContactor(spec.contactor, pins, self._wake)
        stack.callback(self.contactor.release)
        self.pilot = KernelPwm(spec.pilot, self._hardware.places.pwm)
        self.ground_fault = PinGroundFault(spec.ground_fault, pins, self._clock, self._wake)
        stack.callback(self.ground_fault.release)
        self.dead_man = OneShot(spec.dead_man, pins, self._clock, self.make_safe)
        stack.callback(self.dead_man.release)

    meter: CtMeter | EnergyMeter
    thermometer: KernelThermometer | ThermistorThermometer

    def _sensors(self, stack: ExitStack) -> None:
        spec, channels = self.spec, list[Channel]()
        with told("the ADC"):
            spi = self._hardware.spi(spec.adc)
        stack.callback(spi.close)
        if isinstance(spec.meter, CtSpec):
            ct = self.meter = CtMeter(spec.meter, self._clock)
            channels.append(ct_channel(spec.meter, spec.adc.reference_v, ct.take))
        else:
            energy = self.meter = EnergyMeter(spec.meter, self._clock)
            stack.callback(energy.close)
            self.works.append(energy)
        if isinstance(spec.thermometer, KernelThermometerSpec):
            kernels = self.thermometer = KernelThermometer(spec.thermometer, self._hardware.places, self._clock)
            self.works.append(kernels)
        else:
            thermistor = self.thermometer = ThermistorThermometer(spec.thermometer, spec.adc.reference_v, self._clock)
            channels.append(thermistor_channel(spec.thermometer, thermistor.take))
        self.adc = adc_of(spec.adc, spi)
        self.sampler = Sampler(spec.pilot, self.adc, channels, self._clock, self._wake)
        self.works.append(self.sampler)

    def make_safe(self) -> None:
        """What the dead-man's hardware lets go to: contactor open, no test, pilot steady, in this order. Whatever fails
        keeps no other from it and is raised after: `BoardGone` where the generator has gone."""
        with ExitStack() as last_first:
            last_first.callback(self.pilot.steady)
            last_first.callback(self.ground_fault.test, False)
            last_first.callback(self.contactor.open)

    def inputs(self, stored_switch: int | None) -> Inputs:
        """As everything stands now; `stored_switch` where no switch is mounted."""
        return Inputs(
            stored_switch if self.rotary is None else self.rotary.position(),
            self.sampler.reading,
            self.contactor.closed,
            self.ground_fault.tripped,
            self.ground_fault.grounded,
        )

    @property
    def problem(self) -> str:
        """What does not work and what to do, a sentence for each; empty when all does."""
        parts = (self.dead_man, self.sampler, self.meter, self.thermometer)
        return "; ".join(filter(None, (part.problem for part in parts)))

    def close(self) -> None:
        """Everything safe, and released, whatever fails."""
        with self._held, suppress(BoardGone):
            self.make_safe()


@contextmanager
def _alone(chip: Path) -> Iterator[None]:
    """Hold the board: who drives its PWM is alone. The kernel frees it when the process ends. Raises `BoardGone`."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):  # no such chip: its generator tells what to do
            stack.callback(os.close, _locked(chip / "npwm"))
        yield


def _locked(path: Path) -> int:
    """Descriptor that holds the lock of a file. Raises FileNotFoundError, `BoardGone`."""
    with ExitStack() as stack:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            raise
        except BlockingIOError:
            raise BoardGone("another process drives this board: stop it first (systemctl stop watti)") from None
        except OSError as error:
            raise BoardGone(f"{path} can't be held: {error.strerror}") from None
        stack.pop_all()
        return fd


class Closing(Protocol):
    """Something that goes on until it is closed."""

    def close(self) -> None: ...


class RaspberryBoard:
    """`hal.api.LiveBoard` over the parts."""

    sample_s = SAMPLE_S

    def __init__(
        self,
        parts: Callable[[Callable[[], None]], Parts],
        stored_switch: Callable[[], int | None],
        bus: LiveBus,
        stores: tuple[Store, Store],
        journal: Journal,
        worker: Callable[[Work, Callable[[BaseException], None]], Closing] = Worker,
    ) -> None:
        """`parts` makes them, given what wakes the loop. `stored_switch`: the position where no switch is mounted.
        `stores`: of the group, and of the session. `worker` turns a work from now on. Raises `BoardGone`."""
        self._awake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            self.parts = parts(partial(os.eventfd_write, self._awake, 1))
        except BaseException:
            os.close(self._awake)
            raise
        self.pilot, self.contactor = self.parts.pilot, self.parts.contactor
        self.meter, self.thermometer = self.parts.meter, self.parts.thermometer
        self.ground_fault, self.indicator = self.parts.ground_fault, self.parts.lamp
        self.dead_man = self.parts.dead_man
        self.bus, (self.store, self.session_store), self.journal = bus, stores, journal
        self._stored_switch = stored_switch
        self._failed = ""
        self._workers = [worker(work, self._note) for work in self.parts.works]

    def _note(self, error: BaseException) -> None:
        self._failed = f"{type(error).__name__}: {error}"
        os.eventfd_write(self._awake, 1)

    def filenos(self) -> Sequence[int]:
        return [self._awake]

    def inputs(self) -> Inputs:
        with suppress(BlockingIOError):
            os.eventfd_read(self._awake)
        if self._failed:
            raise BoardGone(f"a part of the board has failed: {self._failed}")
        return self.parts.inputs(self._stored_switch())

    @property
    def problem(self) -> str:
        """What does not work, for a person; empty when all does."""
        return self.parts.problem

    def close(self) -> None:
        with ExitStack() as last_first:
            last_first.callback(os.close, self._awake)
            last_first.callback(self.parts.close)
            for worker in self._workers:
                last_first.callback(worker.close)
            with suppress(BoardGone):
                self.parts.make_safe()
