"""Temperature: the kernel's files in a tree of files, and a thermistor's volts."""

from math import exp, isnan, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.raspberry.spec import KernelThermometerSpec, Places, ThermistorSpec
from hal.raspberry.thermometers import FRESH_S, KernelThermometer, ThermistorThermometer

W1 = "sys/bus/w1/devices/28-*/temperature"
HWMON = "sys/bus/i2c/devices/1-0048/hwmon/hwmon*/temp1_input"
NTC = ThermistorSpec(3, 4_700.0, 10_000.0, 3950.0)
REFERENCE_V = 3.3


class Sensor:
    """A `KernelThermometer`, its file, and a clock that is turned by hand."""

    def __init__(self, root: Path, path: str = W1) -> None:
        self.now = 100.0
        self.file = root / path.replace("28-*", "28-0316a2794bff").replace("hwmon*", "hwmon2")
        self.thermometer = KernelThermometer(KernelThermometerSpec(path), Places(root), lambda: self.now)

    def reads(self, text: str | bytes, after_s: float = 1.0) -> float:
        """The temperature after the file has this in it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.turn(after_s)

    def turn(self, after_s: float = 1.0) -> float:
        self.now += after_s
        self.thermometer.turn()
        return self.thermometer.celsius()


@pytest.mark.parametrize("path", [W1, HWMON, f"/{W1}"])
def test_thousandths_of_a_degree(tmp_path: Path, path: str) -> None:
    sensor = Sensor(tmp_path, path.lstrip("/"))
    sensor.thermometer = KernelThermometer(KernelThermometerSpec(path), Places(tmp_path), lambda: sensor.now)
    assert "has not been read yet" in sensor.thermometer.problem
    assert sensor.reads("23125\n") == 23.125
    assert sensor.reads("-1062\n") == -1.062
    assert sensor.thermometer.problem == ""


@pytest.mark.parametrize("text", ["", "NA\n", "23.1\n", b"\xff\xfe", "-55063\n", "125063\n", "-1000000\n"])
def test_a_broken_reading_leaves_the_one_before_as_long_as_that_is_fresh(tmp_path: Path, text: str | bytes) -> None:
    sensor = Sensor(tmp_path)
    assert isnan(sensor.reads(text))
    assert sensor.thermometer.problem.startswith(f"thermometer /{W1}: it")
    assert "4.7 kohm" in sensor.thermometer.problem
    assert sensor.reads("40000\n") == 40.0
    assert sensor.reads(text) == 40.0
    assert sensor.thermometer.problem == ""
    assert isnan(sensor.reads(text, FRESH_S - 1.0))
    assert sensor.reads("41000\n") == 41.0


@pytest.mark.parametrize("edge", [-55.0, 125.0])
def test_all_of_the_sensors_range_counts(tmp_path: Path, edge: float) -> None:
    assert Sensor(tmp_path).reads(f"{edge * 1000:.0f}\n") == edge


def test_85_c_out_of_nowhere_is_what_a_ds18b20_says_that_has_not_measured(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    assert isnan(sensor.reads("85000\n"))
    assert isnan(sensor.reads("85000\n"))
    assert "loses its supply" in sensor.thermometer.problem
    assert sensor.reads("30000\n") == 30.0
    assert sensor.reads("85000\n") == 30.0
    assert isnan(sensor.turn(FRESH_S))


def test_85_c_counts_where_it_was_nearly_as_hot_before_and_from_any_other_sensor(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    assert [sensor.reads(text) for text in ("80000\n", "85000\n", "85000\n")] == [80.0, 85.0, 85.0]
    assert Sensor(tmp_path, HWMON).reads("85000\n") == 85.0


def test_what_is_missing_decides_what_to_do(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    assert isnan(sensor.turn())
    assert "add dtoverlay=w1-gpio to /boot/firmware/config.txt and restart" in sensor.thermometer.problem
    (tmp_path / "sys/bus/w1/devices/w1_bus_master1").mkdir(parents=True)
    sensor.turn()
    assert "no sensor is found on the 1-wire bus: check its wires" in sensor.thermometer.problem
    hwmon = Sensor(tmp_path, HWMON)
    hwmon.turn()
    assert "add its overlay (dtoverlay=i2c-sensor,lm75)" in hwmon.thermometer.problem


def test_a_sensor_that_goes_away_counts_until_it_is_stale(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    sensor.reads("23125\n")
    sensor.file.unlink()
    assert sensor.turn(FRESH_S - 0.1) == 23.125
    assert isnan(sensor.turn(0.2))


def test_of_two_sensors_the_board_file_has_to_name_one(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    twin = tmp_path / "sys/bus/w1/devices/28-01/temperature"
    twin.parent.mkdir(parents=True)
    twin.write_text("90000\n")
    assert isnan(sensor.reads("23125\n"))
    assert sensor.thermometer.problem.endswith(
        "2 sensors are there, the board file must name one of them: sys/bus/w1/devices/28-01/temperature, "
        "sys/bus/w1/devices/28-0316a2794bff/temperature"
    )


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    sensor.file.mkdir(parents=True)
    assert isnan(sensor.turn())
    assert "can't be read (Is a directory)" in sensor.thermometer.problem


def test_a_driver_that_hangs_is_told(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    sensor.reads("23125\n")
    sensor.now += FRESH_S
    assert "no answer for 10 s, its driver hangs: restart" in sensor.thermometer.problem


def test_three_readings_may_be_lost() -> None:
    assert 4 * (KernelThermometer.every_s + 0.75) < FRESH_S


def test_a_reading_is_as_old_as_its_beginning(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    sensor.reads("23125\n")
    sensor.now += FRESH_S - 0.01
    assert sensor.thermometer.celsius() == 23.125
    sensor.now += 0.02
    assert isnan(sensor.thermometer.celsius())


def volts_at(celsius: float) -> float:
    """By the divider and the beta equation the other way round."""
    ohm = NTC.ohm_25c * exp(NTC.beta_k * (1 / (celsius + 273.15) - 1 / 298.15))
    return REFERENCE_V * ohm / (ohm + NTC.series_ohm)


def thermistor() -> ThermistorThermometer:
    return ThermistorThermometer(NTC, REFERENCE_V, lambda: 50.0)


def test_a_thermistor_reads_what_the_table_of_its_maker_says() -> None:
    one = thermistor()
    assert "has not been read yet" in one.problem
    one.take(3.3 * 10_000 / 14_700, 50.0)
    assert one.celsius() == pytest.approx(25.0)
    assert one.problem == ""
    one.take(3.3 * 3588 / 8288, 50.0)
    assert one.celsius() == pytest.approx(50.0, abs=0.1)


@given(celsius=st.floats(-54.9, 124.9))
def test_a_thermistor_is_read_over_its_whole_range(celsius: float) -> None:
    one = thermistor()
    one.take(volts_at(celsius), 50.0)
    assert one.celsius() == pytest.approx(celsius)


@pytest.mark.parametrize(
    ("volts", "sentence"),
    [
        (0.0, "0.000 V at the input: it is shorted"),
        (0.02, "0.020 V at the input: it is shorted"),
        (-0.1, "-0.100 V at the input: it is shorted"),
        (3.3, "3.300 V at the input: a wire of it is off"),
        (3.29, "3.290 V at the input: a wire of it is off"),
        (3.4, "3.400 V at the input: a wire of it is off"),
        (nan, "the ADC can't be read"),
    ],
)
def test_a_thermistor_that_is_open_or_shorted_counts_no_more(volts: float, sentence: str) -> None:
    one = thermistor()
    one.take(1.65, 50.0)
    one.take(volts, 50.0)
    assert isnan(one.celsius())
    assert one.problem.startswith(f"thermistor on ADC channel 3: {sentence}")


def test_a_thermistor_that_is_not_sampled_goes_stale() -> None:
    one = thermistor()
    one.take(1.65, 50.0 - FRESH_S)
    assert isnan(one.celsius())
    assert "the ADC has not been read for 10 s" in one.problem
