"""When a vehicle closes S2, that is, asks for energy: its habits before and after the current, without one."""

from math import inf
from typing import Final

from hal.simulated.vehicle_spec import VehicleSpec

S2_CLOSE_S: Final = 1.0  # I: from a valid PWM to state C; 1-3 s is typical including the start (S)
RESET_S: Final = 3.0  # S: a pilot reset is about 3-4 s without PWM


class Asking:
    """What one vehicle makes of PWM that comes and goes. Times are absolute seconds."""

    __slots__ = ("_asleep", "_glitches", "_hungry_at", "_never", "_off_since", "_seen_pwm", "_spec")

    def __init__(self, spec: VehicleSpec, now: float) -> None:
        self._spec = spec
        self._never = spec.digital_only
        self._asleep = False
        self._seen_pwm = False
        self._off_since = now
        self._glitches = spec.glitches  # still to come
        self._hungry_at = -inf
        if spec.soc >= 1.0:
            self.on_full(now)

    def on_pwm(self, on: bool, now: float) -> None:
        """PWM has appeared or gone."""
        if not on:
            self._off_since = now
            return
        spec, pause_s = self._spec, now - self._off_since
        if not self._seen_pwm and 0.0 < spec.gives_up_s <= pause_s:
            self._never = True
        if 0.0 < spec.sleeps_after_s <= pause_s:
            self._asleep = True
        elif pause_s >= RESET_S:
            self._asleep = False
        self._seen_pwm = True
        self._glitches = spec.glitches

    def on_full(self, now: float) -> None:
        """The battery wants nothing for a while, or no more at all."""
        self._hungry_at = now + self._spec.top_up_after_s if self._spec.top_up_kwh > 0.0 else inf

    def stop(self) -> None:
        """It never asks again while it is plugged in."""
        self._never = True

    def closes_at(self, now: float) -> float:
        """When S2 closes while PWM stays on, inf = it does not; asked at PWM's begin and when S2 has opened."""
        if self._never or self._asleep:
            return inf
        fresh = self._glitches == self._spec.glitches
        return max(now + (S2_CLOSE_S if fresh else self._spec.glitch_pause_s), self._hungry_at)

    def opens_at(self, now: float) -> float:
        """S2 closes now: when it opens by itself, inf = it means it."""
        if not self._glitches:
            return inf
        self._glitches -= 1
        return now + self._spec.glitch_s
