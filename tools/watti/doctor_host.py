"""`watti doctor`: the machine that the board hangs on, its files, its rights, its clock and its disk. Nothing is
driven here."""

import grp
import os
import platform
import pwd
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware.config import StationConfig
from hal.api import BoardGone
from hal.clock import SYNCHRONISED, UNSET, Clock
from hal.raspberry.identity import chip_serial
from hal.raspberry.pwm import RP1_PWM0
from hal.raspberry.spec import BoardSpec, EnergyMeterSpec, KernelThermometerSpec, Places
from watti.doctor_exam import Finding

STATION = Path("/etc/watti/station.toml")
"""The station's file of a Pi's service."""
FREE_BYTES = 100_000_000
"""Event log and state need a tenth (I)."""
_CONFIG = "/boot/firmware/config.txt and restart"
_CONSOLE = "/boot/firmware/cmdline.txt and restart"


def may_use(path: Path) -> bool:
    """Whether this user may read and write it."""
    return os.access(path, os.R_OK | os.W_OK)


def _now() -> Mapping[str, object]:
    clock = Clock()
    return clock.stamp(clock.monotonic())


@dataclass(frozen=True, slots=True)
class Host:
    """What is looked at, and where."""

    config: StationConfig
    spec: BoardSpec
    folder: Path
    """The station's state."""
    places: Places
    may_use: Callable[[Path], bool] = may_use
    stamp: Callable[[], Mapping[str, object]] = _now
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free

    def at(self, path: str) -> Path:
        """A path of this machine."""
        return self.places.root / path.lstrip("/")


def look(host: Host, simulated: bool) -> Iterator[Finding]:
    """Every finding; a simulated Pi has no devices."""
    if simulated:
        yield Finding("machine", "not tried", "a simulated Pi: it has no devices, overlays or permissions")
    for check in (*(() if simulated else DEVICES), *ANYWHERE):
        yield check(host)


# Devices


def _machine(host: Host) -> Finding:
    try:
        model = host.places.model.read_text().strip("\0 \n")
    except OSError:
        advice = 'run it there; to try it here: board.kind = "mock_raspberry"'
        return Finding("machine", "fail", "this is no Raspberry Pi", "a Raspberry Pi 3, 4, 5 or Zero 2 W", advice)
    bits = platform.machine()
    if bits != "aarch64":
        advice = "install the 64-bit Raspberry Pi OS, bookworm or later"
        return Finding("machine", "warn", f"{model}, {bits}", "a 64-bit system (aarch64)", advice)
    return Finding("machine", "ok", f"{model}, Linux {platform.release()}", "a Raspberry Pi, 64-bit")


def _user(_: Host) -> Finding:
    name = pwd.getpwuid(os.getuid()).pw_name
    groups = sorted(grp.getgrgid(gid).gr_name for gid in os.getgroups())
    saw = f"{name}, in {', '.join(groups) or 'no group'}"
    if os.getuid() == 0:
        return Finding(
            "user", "warn", saw, "the user of the service", "root may do all: try sudo -u watti watti doctor"
        )
    return Finding("user", "ok", saw, "a user in gpio, spi, i2c and dialout")


def _device(host: Host, part: str, path: str, group: str, missing: str) -> Finding:
    """A device file that is there and may be used by this user."""
    device, expected = host.at(path), f"{path}, readable and writable"
    if not device.exists():
        return Finding(part, "fail", f"{path} is not there", expected, missing)
    if not host.may_use(device):
        advice = f"usermod -aG {group} {pwd.getpwuid(os.getuid()).pw_name}, then log in again"
        return Finding(part, "fail", f"{path} may not be used by this user", expected, advice)
    return Finding(part, "ok", path, expected)


def _gpio(host: Host) -> Finding:
    chips = sorted(chip.name for chip in host.at("dev").glob("gpiochip*"))
    return _device(host, "gpio", f"/dev/{chips[0] if chips else 'gpiochip0'}", "gpio", "use a Raspberry Pi OS kernel")


def _spi(host: Host) -> Finding:
    adc = host.spec.adc
    advice = f"put dtparam=spi=on into {_CONFIG}"
    return _device(host, "spi", f"/dev/spidev{adc.bus}.{adc.device}", "spi", advice)


def _pwm(host: Host) -> Finding:
    pilot, root, part = host.spec.pilot, host.places.pwm, "pwm overlay"
    chips = {chip.name: (chip / "device").resolve().name for chip in sorted(root.glob("pwmchip*"))}
    saw = ", ".join(f"{name} ({device})" for name, device in chips.items()) or "no PWM chip"
    expected = f"{pilot.pwm_chip} with channel {pilot.pwm_channel}"
    right = [name for name, device in chips.items() if device == RP1_PWM0]
    if right and pilot.pwm_chip not in right:
        advice = f'set pilot.pwm_chip = "{right[0]}" in the board file'
        return Finding(part, "fail", saw, f"{right[0]}, the one of a Pi 5's pins", advice)
    if pilot.pwm_chip not in chips:
        func = 2 if pilot.pin in (18, 19) else 4
        advice = f"put dtoverlay=pwm,pin={pilot.pin},func={func} into {_CONFIG}"
        return Finding(part, "fail", saw, expected, advice)
    return Finding(part, "ok", saw, expected)


def _audio(host: Host) -> Finding:
    part, expected = "headphone jack", "off: up to the Pi 4 it uses the pilot's PWM"
    try:
        modules = host.at("proc/modules").read_text()
    except OSError:
        modules = ""
    if any(line.startswith("snd_bcm2835 ") for line in modules.splitlines()):
        return Finding(
            part, "fail", "its driver snd_bcm2835 is loaded", expected, f"put dtparam=audio=off into {_CONFIG}"
        )
    return Finding(part, "ok", "its driver is not loaded", expected)


def _console(host: Host) -> Finding:
    """The kernel's console on the bus talks into every frame."""
    part, expected = "serial console", "none on the bus's port"
    port = host.config.port or ""
    try:
        words = host.at("proc/cmdline").read_text().split()
    except OSError:
        words = []
    consoles = [word[8:].partition(",")[0] for word in words if word.startswith("console=")]
    if {Path(port).name, host.at(port).resolve().name}.intersection(consoles):
        advice = f"take console=serial0,... out of {_CONSOLE}"
        return Finding(part, "fail", f"the kernel's console is on {port}", expected, advice)
    return Finding(part, "ok", f"consoles: {', '.join(consoles) or 'none'}", expected)


def _bus_port(host: Host) -> Finding:
    port = host.config.port
    if port is None:
        advice = "write bus.port into the station's file, or give it with --port to watti run"
        return Finding("bus device", "warn", "the station's file names no port", "a serial port", advice)
    advice = f"check its adapter; on the header: dtparam=uart0=on, or up to the Pi 4 enable_uart=1, into {_CONFIG}"
    return _device(host, "bus device", port, "dialout", advice)


def _meter_port(host: Host) -> Finding:
    meter = host.spec.meter
    if not isinstance(meter, EnergyMeterSpec) or meter.port is None:
        return Finding("meter device", "ok", "this board's meter has no serial port")
    advice = f"check its adapter, or its overlay (dtoverlay=uart3 and so on) in {_CONFIG}"
    return _device(host, "meter device", meter.port, "dialout", advice)


def _thermometer(host: Host) -> Finding:
    sensor, part = host.spec.thermometer, "thermometer overlay"
    if not isinstance(sensor, KernelThermometerSpec):
        return Finding(part, "ok", "none is needed: it hangs on the ADC")
    if any(host.places.root.glob(sensor.path.lstrip("/"))):
        return Finding(part, "ok", f"/{sensor.path}", "the sensor's file")
    if "/w1/" in sensor.path and any(host.at("sys/bus/w1/devices").glob("w1_bus_master*")):
        advice = "check the sensor's wires, and the 4.7 kohm from its data line to 3.3 V"
        return Finding(part, "fail", "the 1-wire bus is there, no sensor on it", f"/{sensor.path}", advice)
    overlay = "dtoverlay=w1-gpio" if "/w1/" in sensor.path else "dtparam=i2c_arm=on and dtoverlay=i2c-sensor,lm75"
    return Finding(part, "fail", "the sensor's file is not there", f"/{sensor.path}", f"put {overlay} into {_CONFIG}")


# Anywhere


def _serial(host: Host) -> Finding:
    part, expected = "serial number", "one number a board: a copied card must not make twins"
    if host.config.serial is not None:
        saw = f"{host.config.serial:012X}, from the station's file"
        return Finding(part, "warn", saw, expected, "leave station.serial out: the chip's own can't be copied")
    try:
        return Finding(part, "ok", f"{chip_serial(host.places.serial_number):012X}, the chip's", expected)
    except BoardGone as gone:
        return Finding(part, "fail", str(gone), expected, "give station.serial in the station's file")


def _clock(host: Host) -> Finding:
    stamp = host.stamp()
    saw, expected = f"{stamp['wall'] or 'no date'}, {stamp['clock']}", "synchronised (NTP, or a clock chip)"
    if stamp["clock"] == SYNCHRONISED:
        return Finding("clock", "ok", saw, expected)
    advice = "charging needs no date, the event log does: timedatectl set-ntp true, or add a clock chip"
    if stamp["clock"] == UNSET:
        advice += "; until then records carry no date"
    return Finding("clock", "warn", saw, expected, advice)


def _state(host: Host) -> Finding:
    part, expected = "state folder", f"writable, {FREE_BYTES // 10**6} MB free"
    folder = host.folder
    while not folder.exists():  # it is made when a station starts
        folder = folder.parent
    if not host.may_use(folder):
        advice = f"run as the service's user (sudo -u watti), or give --dir; or chown {folder}"
        return Finding(part, "fail", f"{host.folder} may not be written by this user", expected, advice)
    free = host.free_bytes(folder)
    saw = f"{host.folder}, {free // 10**6} MB free"
    if free < FREE_BYTES:
        return Finding(part, "fail" if free < FREE_BYTES // 100 else "warn", saw, expected, "make room on the card")
    return Finding(part, "ok", saw, expected)


DEVICES = (*(_machine, _user, _gpio, _spi, _pwm, _audio, _bus_port, _console, _meter_port, _thermometer, _serial),)
ANYWHERE = (_clock, _state)


def holder(chip: Path) -> str:
    """Who drives the board that has this PWM chip, for a person; empty when nobody does, or nobody knows."""
    try:
        inode = (chip / "npwm").stat().st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        pid = next(lock[4] for lock in locks if lock[5].rpartition(":")[2] == str(inode))
        return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except (OSError, StopIteration, IndexError):
        return ""
