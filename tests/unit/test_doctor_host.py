"""`watti doctor`: the machine under the board, as a tree of files."""

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hal.clock import SYNCHRONISED, UNSET
from hal.raspberry.spec import BoardSpec, KernelThermometerSpec, Places
from tests.unit.doctor_table import BOARD, STATION
from watti.board_file import load_board
from watti.doctor_exam import Finding
from watti.doctor_host import Host, holder, look
from watti.scenario import CONFIGS

METERED = load_board(CONFIGS / "boards" / "carrier_adc128s102.toml")


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A Pi 4 that has everything."""
    root = tmp_path / "root"
    for device in ("gpiochip0", "spidev0.0", "ttyAMA0", "ttyAMA2"):
        touch(root / "dev" / device)
    touch(root / "sys/class/pwm/pwmchip0/npwm", "2")
    touch(root / "sys/bus/w1/devices/28-01/temperature", "21000")
    touch(root / "sys/bus/w1/devices/w1_bus_master1/w1_master_slaves")
    touch(root / "proc/modules", "spidev 1 0 - Live 0x0\n")
    touch(root / "proc/cmdline", "console=tty1 root=/dev/mmcblk0p2\n")
    touch(root / "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    touch(root / "proc/device-tree/serial-number", "10000000a1b2c3d4\0")
    return Host(
        STATION,
        BOARD,
        tmp_path / "state" / "watti",
        Places(root),
        lambda _: True,
        lambda: {"wall": "2026-11-23T10:00:00.000Z", "clock": SYNCHRONISED},
        lambda _: 10**9,
    )


def found(host: Host) -> dict[str, Finding]:
    return {finding.part: finding for finding in look(host, False)}


def failed(host: Host) -> dict[str, Finding]:
    return {part: finding for part, finding in found(host).items() if finding.result == "fail"}


@pytest.mark.parametrize("board", [BOARD, METERED])
def test_a_pi_that_has_everything(host: Host, board: BoardSpec) -> None:
    whole = found(replace(host, spec=board))
    machine = "ok" if os.uname().machine == "aarch64" else "warn"
    user = "warn" if os.getuid() == 0 else "ok"
    odd = {part: one.result for part, one in whole.items() if one.result != "ok"}
    assert odd == {part: result for part, result in {"machine": machine, "user": user}.items() if result != "ok"}
    assert whole["serial number"].saw == "0000A1B2C3D4, the chip's"
    assert whole["machine"].saw.startswith("Raspberry Pi 4 Model B Rev 1.4, ")


@pytest.mark.parametrize(
    ("gone", "part", "advice"),
    [
        ("dev/gpiochip0", "gpio", "use a Raspberry Pi OS kernel"),
        ("dev/spidev0.0", "spi", "put dtparam=spi=on into /boot/firmware/config.txt and restart"),
        ("dev/ttyAMA0", "bus device", "dtparam=uart0=on, or up to the Pi 4 enable_uart=1"),
        ("dev/ttyAMA2", "meter device", "its overlay (dtoverlay=uart3 and so on)"),
        ("sys/class/pwm/pwmchip0/npwm", "pwm overlay", "put dtoverlay=pwm,pin=12,func=4 into /boot/firmware"),
        ("sys/bus/w1/devices/28-01/temperature", "thermometer overlay", "check the sensor's wires, and the 4.7 kohm"),
        ("proc/device-tree/serial-number", "serial number", "give station.serial in the station's file"),
        ("proc/device-tree/model", "machine", 'to try it here: board.kind = "mock_raspberry"'),
    ],
)
def test_what_is_missing_fails_alone_and_says_what_to_do(host: Host, gone: str, part: str, advice: str) -> None:
    path = host.places.root / gone
    path.unlink()
    if gone.startswith("sys/class"):
        path.parent.rmdir()
    [(failing, finding)] = failed(replace(host, spec=METERED)).items()
    assert failing == part
    assert advice in finding.advice


def test_no_one_wire_bus(host: Host) -> None:
    devices = host.places.root / "sys/bus/w1/devices"
    (devices / "28-01/temperature").unlink()
    (devices / "w1_bus_master1").rename(devices / "other")
    finding = failed(replace(host, spec=METERED))["thermometer overlay"]
    assert finding.advice.startswith("put dtoverlay=w1-gpio into ")


def test_no_i2c_sensor(host: Host) -> None:
    sensor = KernelThermometerSpec("sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input")
    finding = failed(replace(host, spec=replace(BOARD, thermometer=sensor)))["thermometer overlay"]
    assert finding.advice.startswith("put dtparam=i2c_arm=on and dtoverlay=i2c-sensor,lm75 into ")


@pytest.mark.parametrize(
    ("device", "part", "group"),
    [("gpiochip0", "gpio", "gpio"), ("spidev0.0", "spi", "spi"), ("ttyAMA0", "bus device", "dialout")],
)
def test_a_permission_that_is_missing(host: Host, device: str, part: str, group: str) -> None:
    finding = failed(replace(host, may_use=lambda path: path.name != device))[part]
    assert finding.saw == f"/dev/{device} may not be used by this user"
    assert finding.advice.startswith(f"usermod -aG {group} ")


@pytest.mark.parametrize(("number", "right"), [(0, True), (2, False)])
def test_the_pwm_of_a_pi_5_is_known_by_its_device(host: Host, number: int, right: bool) -> None:
    chip = host.places.pwm / f"pwmchip{number}"
    chip.mkdir(exist_ok=True)
    (host.places.root / "1f00098000.pwm").mkdir()
    (chip / "device").symlink_to(host.places.root / "1f00098000.pwm")
    finding = found(host)["pwm overlay"]
    assert (finding.result == "ok") is right
    if not right:
        assert finding.advice == 'set pilot.pwm_chip = "pwmchip2" in the board file'


def test_the_headphone_jack_has_the_pilots_pwm(host: Host) -> None:
    touch(host.places.root / "proc/modules", "snd_bcm2835 24576 0 - Live 0x0\n")
    assert failed(host)["headphone jack"].advice.startswith("put dtparam=audio=off into ")


@pytest.mark.parametrize(
    ("words", "port", "result"),
    [
        ("console=ttyAMA0,115200", "/dev/ttyAMA0", "fail"),
        ("console=ttyAMA0,115200", "/dev/serial0", "fail"),
        ("console=ttyS0,115200 console=tty1", "/dev/ttyAMA0", "ok"),
        ("", None, "ok"),
    ],
)
def test_a_console_on_the_bus(host: Host, words: str, port: str | None, result: str) -> None:
    (host.places.root / "dev/serial0").symlink_to("ttyAMA0")
    touch(host.places.root / "proc/cmdline", f"{words} quiet\n")
    assert found(replace(host, config=replace(STATION, port=port)))["serial console"].result == result


def test_a_station_without_a_port(host: Host) -> None:
    finding = found(replace(host, config=replace(STATION, port=None)))["bus device"]
    assert (finding.result, finding.saw) == ("warn", "the station's file names no port")


def test_a_serial_number_that_can_be_copied(host: Host) -> None:
    finding = found(replace(host, config=replace(STATION, serial=7)))["serial number"]
    assert (finding.result, finding.saw) == ("warn", "000000000007, from the station's file")


def test_a_clock_that_nobody_keeps(host: Host) -> None:
    finding = found(replace(host, stamp=lambda: {"wall": None, "clock": UNSET}))["clock"]
    assert (finding.result, finding.saw) == ("warn", "no date, unset")
    assert finding.advice.endswith("until then records carry no date")


@pytest.mark.parametrize(("free", "result"), [(10**9, "ok"), (5 * 10**7, "warn"), (5 * 10**5, "fail")])
def test_a_card_that_is_full(host: Host, free: int, result: str) -> None:
    assert found(replace(host, free_bytes=lambda _: free))["state folder"].result == result


def test_a_state_folder_of_somebody_else(host: Host, tmp_path: Path) -> None:
    finding = failed(replace(host, may_use=lambda path: path != tmp_path))["state folder"]
    assert finding.saw == f"{host.folder} may not be written by this user"


def test_a_simulated_pi_has_no_devices(host: Host) -> None:
    parts = [finding.part for finding in look(host, True)]
    assert parts == ["machine", "clock", "state folder"]


def test_who_holds_a_board(tmp_path: Path) -> None:
    touch(tmp_path / "npwm")
    assert holder(tmp_path) == ""
    assert holder(tmp_path / "none") == ""
    with (tmp_path / "npwm").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert holder(tmp_path).startswith(f"process {os.getpid()} (")
