"""What the ADC tells, gathered beside the loop: the pilot's plateaus, and what else hangs on its inputs."""

from collections.abc import Callable, Sequence
from math import inf, isnan, nan

from hal.api import PilotReading
from hal.raspberry.adc import Adc, AdcError
from hal.raspberry.plateaus import read_pilot
from hal.raspberry.rms import COUNT, rms, spacing_us
from hal.raspberry.spec import CLIPS, CtSpec, PilotSpec, ThermistorSpec

PERIOD_S = 0.02
"""Between two looks at the pilot. The longest gap is a CT's burst and the look after it, 40 ms (60 where that look
takes all its bursts): with 25 ms in which an unplugged vehicle is believed, a contactor that opens within 15 to 30 ms
keeps the 100 ms."""
FRESH_S = 0.25
"""What is older counts as unread: this work hangs, or its thread has ended."""
_BIAS_OFF = 0.15  # of the reference: the mean of one and a half periods moves by the current's own half (I)
_STILL_V = 0.12
"""A plateau that has moved by less is the same: noise wakes nobody."""

UNREAD = PilotReading(nan, nan)


class Channel:
    """Another input of the ADC that is read now and then."""

    def __init__(
        self,
        channel: int,
        count: int,
        apart_us: int,
        every_s: float,
        take: Callable[[Sequence[float] | None, float], None],
    ) -> None:
        """`take` gets its volts, None when it can't be read, and the time."""
        self._shape = channel, count, apart_us
        self._every_s = every_s
        self._take = take
        self._due = -inf

    def sample(self, adc: Adc, now: float) -> None:
        """Take what is due. Raises `AdcError`."""
        if now < self._due:
            return
        self._due = now + self._every_s
        try:
            volts = adc.volts(*self._shape)
        except AdcError:
            self._take(None, now)
            raise
        self._take(volts, now)


def _rms_of(volts: Sequence[float] | None, reference_v: float) -> float:
    """NaN where the bias is not at half the reference, or the wave is cut at an end: what is left says too little."""
    if volts is None or abs(sum(volts) / len(volts) / reference_v - 0.5) > _BIAS_OFF:
        return nan
    return rms(volts) if min(volts) / reference_v >= CLIPS and max(volts) / reference_v <= 1 - CLIPS else nan


def ct_channel(spec: CtSpec, reference_v: float, take: Callable[[float, float], None]) -> Channel:
    """Of a current transformer; `take` gets V RMS, NaN where there is none to believe."""
    return Channel(
        spec.adc_channel,
        COUNT,
        spacing_us(spec.mains_hz),
        0.5,
        lambda volts, now: take(_rms_of(volts, reference_v), now),
    )


def thermistor_channel(spec: ThermistorSpec, take: Callable[[float, float], None]) -> Channel:
    """Of a thermistor; `take` gets the mean of some samples."""
    count = 8
    return Channel(
        spec.adc_channel, count, 0, 1.0, lambda volts, now: take(nan if volts is None else sum(volts) / count, now)
    )


class Sampler:
    """Looks at the pilot again and again, as a `Work`, and wakes the loop when it has changed."""

    every_s = PERIOD_S

    def __init__(
        self,
        spec: PilotSpec,
        adc: Adc,
        channels: Sequence[Channel],
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """The first look is taken here."""
        self._spec = spec
        self._adc = adc
        self._channels = channels
        self._clock = clock
        self._wake = wake
        self._seen = UNREAD, clock()  # in one piece, as the other thread may look at any moment
        self._why = ""
        self.turn()

    @property
    def reading(self) -> PilotReading:
        """The pilot as it was last seen to change; UNREAD where it can't be read, or was not for `FRESH_S`."""
        reading, at = self._seen
        return reading if self._clock() < at + FRESH_S else UNREAD

    @property
    def problem(self) -> str:
        """Why the ADC can't be read, for a person; empty when it can."""
        if self._clock() < self._seen[1] + FRESH_S:
            return self._why
        return (
            f"the ADC has not answered for {FRESH_S:g} s: its driver hangs, or this machine does far too much: restart"
        )

    def turn(self) -> None:
        began, problem = self._clock(), ""
        try:
            seen = read_pilot(self.pilot_volts)
            if isnan(seen.high_v):
                problem = "the control pilot shows no square wave: check its wires to the ADC, and the board's supply"
        except AdcError as error:
            seen, problem = UNREAD, str(error)
        self._look(seen, began)
        for channel in self._channels:
            try:
                channel.sample(self._adc, self._clock())
            except AdcError as error:
                problem = problem or str(error)
        self._why = problem

    def pilot_volts(self, count: int) -> list[float]:
        """Samples of the pilot (V). Raises `AdcError`."""
        zero_v, gain = self._spec.zero_v, self._spec.gain
        return [(volts - zero_v) * gain for volts in self._adc.volts(self._spec.adc_channel, count)]

    def _look(self, seen: PilotReading, began: float) -> None:
        """`seen` is as old as its first sample."""
        before, _ = self._seen
        is_new = not _alike(seen, before)
        self._seen = seen if is_new else before, began
        if is_new:
            self._wake()


def _alike(one: PilotReading, other: PilotReading) -> bool:
    if isnan(one.high_v) or isnan(other.high_v):
        return isnan(one.high_v) and isnan(other.high_v)
    return abs(one.high_v - other.high_v) < _STILL_V and abs(one.low_v - other.low_v) < _STILL_V
