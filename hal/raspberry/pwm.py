"""The control pilot's generator: the kernel's PWM below /sys/class/pwm.

The kernel keeps the waveform while the process does what it likes, and goes on with it when the process ends: the
dead-man's hardware is what ends it then. Its steady levels are 100 % (+12 V) and 0 % (-12 V), so that no change ever
stops the generator: a stopped one leaves the pin low, which is state F.
"""

import time
from pathlib import Path

from hal.api import BoardGone
from hal.raspberry.spec import PilotSpec

PERIOD_NS = 1_000_000
RP1_PWM0 = "1f00098000.pwm"
"""The device behind the PWM pins of a Pi 5 (raspberrypi/linux, rp1.dtsi; S)."""
_APPEARS_S = 1.0
"""udev gives the files of a channel that was exported to the group gpio within this."""


class KernelPwm:
    """`hal.api.Pilot`."""

    def __init__(self, spec: PilotSpec, root: Path) -> None:
        """`root`: /sys/class/pwm. Steady +12 V, whatever it was before. Raises `BoardGone`."""
        chip = root / spec.pwm_chip
        self._folder = chip / f"pwm{spec.pwm_channel}"
        self._name = f"the kernel's PWM {spec.pwm_chip}, channel {spec.pwm_channel}"
        if not chip.is_dir():
            overlay = f"dtoverlay=pwm,pin={spec.pin},func={2 if spec.pin in (18, 19) else 4}"
            raise BoardGone(f"{self._name} is not there: put {overlay} into /boot/firmware/config.txt and restart")
        self._is_the_pins(root, chip)
        self._export(chip, spec.pwm_channel)
        self._begin()

    @staticmethod
    def _is_the_pins(root: Path, chip: Path) -> None:
        """Not that of a Pi 5's fan: which number is whose changes with the kernel."""
        right = [one for one in root.glob("pwmchip*") if (one / "device").resolve().name == RP1_PWM0]
        if right and chip not in right:
            raise BoardGone(f'{chip.name} is not the PWM of the pins: set pilot.pwm_chip = "{right[0].name}"')

    def _export(self, chip: Path, channel: int) -> None:
        until = time.monotonic() + _APPEARS_S
        if not self._folder.is_dir():
            self._put(chip / "export", channel)
        while not _writable(self._folder / "duty_cycle"):
            if time.monotonic() >= until:
                raise BoardGone(f"{self._name} may not be used: add this user to the group gpio")
            time.sleep(0.01)

    def _begin(self) -> None:
        """The polarity first: inverted, steady would be -12 V, and it is refused while the generator runs. Then the
        period: the kernel refuses a duty above it, and a period below the duty."""
        if self._get("polarity") != "normal":
            self._put(self._folder / "enable", 0)
            self._put(self._folder / "polarity", "normal")
        if self._get("period") != str(PERIOD_NS):
            self._put(self._folder / "duty_cycle", 0)
            self._put(self._folder / "period", PERIOD_NS)
        self.steady()
        if self._get("enable") != "1":
            self._put(self._folder / "enable", 1)

    def steady(self) -> None:
        self._high_for(PERIOD_NS)

    def pwm(self, duty: float) -> None:
        self._high_for(round(duty * PERIOD_NS / 100))

    def fault(self) -> None:
        self._high_for(0)

    def _high_for(self, ns: int) -> None:
        self._put(self._folder / "duty_cycle", ns)

    def _put(self, path: Path, value: int | str) -> None:
        try:
            path.write_text(str(value))
        except OSError as error:
            raise BoardGone(f"{self._name} refuses {value} for {path.name}: {error.strerror}") from None

    def _get(self, name: str) -> str:
        try:
            return (self._folder / name).read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise BoardGone(f"{self._name} does not tell its {name}: {error}") from None


def _writable(path: Path) -> bool:
    try:
        path.open("r+").close()
    except OSError:
        return False
    return True
