"""A board as `watti calibrate` needs it: the pilot stands where it is told while a person reads a meter."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from firmware.runtime import REFRESH_S
from hal.raspberry.adc import AdcError
from hal.raspberry.board import Parts
from hal.raspberry.plateaus import BURST
from hal.raspberry.rms import COUNT, rms, spacing_us
from hal.raspberry.spec import BoardSpec, CtSpec
from hal.raspberry.worker import Worker
from watti.boards import bare
from watti.calibrate import Unusable

BURSTS = 16
SETTLES_S = 0.3
_LOOK_S = 0.02


class PartsBench:
    """`watti.calibrate.Bench` over parts, and the `Work` that holds their outputs meanwhile."""

    every_s = REFRESH_S

    def __init__(self, parts: Parts, sleep: Callable[[float], None]) -> None:
        """The pilot at +12 V, held from the first turn on."""
        self._parts = parts
        self._sleep = sleep
        self._level: Literal["high", "low"] = "high"

    def turn(self) -> None:
        """Refresh the dead-man; what it had let go is driven again."""
        if not self._parts.dead_man.refresh():
            self._drive()

    def _drive(self) -> None:
        self._parts.pilot.steady() if self._level == "high" else self._parts.pilot.fault()

    def pilot_v(self, level: Literal["high", "low"]) -> float:
        """Mean volts at the pilot's ADC input. Raises `Unusable`."""
        self._level = level
        self._drive()
        self._settle()
        bursts = [self._volts(self._parts.spec.pilot.adc_channel, BURST, 0) for _ in range(BURSTS)]
        return sum(map(sum, bursts)) / sum(map(len, bursts))

    def ct_v(self) -> float:
        """RMS volts at the CT's ADC input, without its bias. Raises `Unusable`."""
        meter = self._parts.spec.meter
        assert isinstance(meter, CtSpec)
        self._settle()
        shape = meter.adc_channel, COUNT, spacing_us(meter.mains_hz)
        return math.sqrt(sum(rms(self._volts(*shape)) ** 2 for _ in range(BURSTS)) / BURSTS)

    def _settle(self) -> None:
        for _ in range(round(SETTLES_S / _LOOK_S)):
            self._parts.sampler.turn()
            self._sleep(_LOOK_S)

    def _volts(self, channel: int, count: int, apart_us: int) -> list[float]:
        try:
            return list(self._parts.adc.volts(channel, count, apart_us))
        except AdcError as error:
            raise Unusable(str(error)) from None


@contextmanager
def opened(kind: str, spec: BoardSpec) -> Iterator[PartsBench]:
    """The board of this kind, its contactor open, held by a thread; everything is safe again after. Raises
    `BoardGone`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="watti-calibrate-")))
        ground = stack.enter_context(bare(kind, spec, folder, "calibrated", "48A"))
        parts = Parts(spec, ground.hardware, time.monotonic, lambda: None)
        stack.callback(parts.close)
        bench = PartsBench(parts, time.sleep)
        bench.turn()
        stack.callback(Worker(bench, _ignore).close)
        yield bench


def _ignore(_: BaseException) -> None:
    """The dead-man's hardware tells: what is measured then is refused as no calibration."""
