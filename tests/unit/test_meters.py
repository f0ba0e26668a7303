"""What measures the current: Modbus meters at the other end of a socket and of a pty, and a current transformer."""

import os
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from math import inf, isnan, nan
from typing import Literal

import pytest
from pymodbus.constants import ExcCodes

from hal.raspberry.meters import FRESH_S, TIMEOUT_S, CtMeter, EnergyMeter, numbers
from hal.raspberry.spec import CtSpec, EnergyMeterSpec
from tests.unit.modbus_meter import SerialMeter, TcpMeter

SDM630 = EnergyMeterSpec("SDM630", None, "127.0.0.1", 1, 9600, "big", (1, 2, 3))
SDM120 = replace(SDM630, kind="SDM120", lines=(1,))
SHORT_S = 0.15
"""Where no answer comes. Where one comes, a busy machine may take its time."""


class Reader:
    """An `EnergyMeter` whose clock is turned by hand."""

    def __init__(self, spec: EnergyMeterSpec, timeout_s: float = 5.0) -> None:
        self.now = 1000.0
        self.meter = EnergyMeter(spec, lambda: self.now, timeout_s)

    def turn(self, after_s: float = 0.5) -> float:
        """The current after one more turn."""
        self.now += after_s
        self.meter.turn()
        return self.meter.current_a()

    def close(self) -> None:
        self.meter.close()


def until(reader: Reader, amps: float) -> int:
    """How many turns it takes to read so."""
    return next(count for count in range(1, 100) if reader.turn() == pytest.approx(amps))


@pytest.fixture
def other() -> Iterator[TcpMeter]:
    with TcpMeter() as other:
        yield other


def at(other: TcpMeter, spec: EnergyMeterSpec = SDM630, timeout_s: float = 5.0) -> "closing[Reader]":
    return closing(Reader(replace(spec, host=f"127.0.0.1:{other.port}"), timeout_s))


def test_words_are_those_of_eastrons_manual() -> None:
    assert numbers([0x4366, 0x3334], "big") == numbers([0x3334, 0x4366], "little") == pytest.approx((230.2,))


def test_the_largest_of_the_wired_lines_counts_with_its_voltage(other: TcpMeter) -> None:
    for lines, amps, volts in (((1, 2, 3), 16.4, 231.2), ((1,), 6.1, 230.1), ((1, 3), 6.1, 230.1), ((3,), 0.3, 229.7)):
        with at(other, replace(SDM630, lines=lines)) as reader:
            assert reader.turn() == pytest.approx(amps)
            assert reader.meter.voltage_v() == pytest.approx(volts)
            assert reader.meter.problem == ""


def test_a_single_phase_meter_fills_up_with_zeros(other: TcpMeter) -> None:
    other.values = [229.9, 0.0, 0.0, 31.7, 0.0, 0.0]
    with at(other, SDM120) as reader:
        assert reader.turn() == pytest.approx(31.7)
    with at(other, SDM630) as reader:
        assert isnan(reader.turn())
        assert "it shows 0 V on line 2: check its wiring, and lines in the board file" in reader.meter.problem


def test_a_current_with_a_sign_counts_as_a_magnitude(other: TcpMeter) -> None:
    other.values[3:] = [-30.0, 1.0, 2.0]
    with at(other) as reader:
        assert reader.turn() == pytest.approx(30.0)


@pytest.mark.parametrize("amps", [nan, inf, -inf])
def test_a_current_that_is_no_number_is_told(other: TcpMeter, amps: float) -> None:
    other.values[4] = amps
    with at(other) as reader:
        assert isnan(reader.turn())
        assert isnan(reader.meter.voltage_v())
        assert "no number" in reader.meter.problem


@pytest.mark.parametrize(("order", "wrong"), [("big", "little"), ("little", "big")])
def test_the_other_word_order_is_told_and_never_guessed(
    other: TcpMeter, order: Literal["big", "little"], wrong: Literal["big", "little"]
) -> None:
    other.word_order = order
    with at(other, replace(SDM630, word_order=order)) as right, at(other, replace(SDM630, word_order=wrong)) as reader:
        assert right.turn() == pytest.approx(16.4)
        assert isnan(reader.turn())
        assert reader.meter.problem == (
            f"SDM630 meter, unit 1 at 127.0.0.1:{other.port}: its voltages make sense only in the other word order: "
            f'set word_order = "{order}" in the board file'
        )


def test_a_meter_that_changes_its_word_order_is_silenced_at_once_and_believed_when_it_is_back(other: TcpMeter) -> None:
    with at(other) as reader:
        assert reader.turn() == pytest.approx(16.4)
        other.word_order = "little"
        assert isnan(reader.turn())
        assert "word_order" in reader.meter.problem
        other.word_order = "big"
        assert reader.turn() == pytest.approx(16.4)


def test_voltages_that_make_sense_in_both_orders_leave_the_order_as_it_was_seen(other: TcpMeter) -> None:
    """0.4 % of all voltages look right with their words swapped: 0x4366 4310 is 230.3, 0x4310 4366 144.3."""
    sure, either = 230.1, numbers([0x4366, 0x4310], "big")[0]
    for order, seen in (("big", 16.4), ("little", nan)):
        other.word_order = order
        with at(other, SDM120) as reader:
            other.values = [either, 0.0, 0.0, 16.4, 0.0, 0.0]
            assert isnan(reader.turn())
            assert "wait for the next" in reader.meter.problem
            other.values[0] = sure
            assert reader.turn() == pytest.approx(seen, nan_ok=True)
            other.values[0] = either
            assert reader.turn() == pytest.approx(seen, nan_ok=True)


def test_the_order_is_judged_afresh_after_voltages_that_make_no_sense(other: TcpMeter) -> None:
    other.word_order = "little"
    with at(other) as reader:
        reader.turn()
        other.values[:3] = [0.0, 0.0, 0.0]
        assert isnan(reader.turn())
        assert "0 V on line 1" in reader.meter.problem


def test_a_meter_that_goes_silent_counts_for_2_s_and_comes_back_by_itself(other: TcpMeter) -> None:
    with at(other, timeout_s=SHORT_S) as reader:
        until(reader, 16.4)
        other.bend = lambda _: b""
        seen = [reader.turn() for _ in range(4)]
        assert seen[:3] == pytest.approx([16.4] * 3)
        assert isnan(seen[3])
        assert reader.meter.problem.endswith(
            "no answer: check that it is set to unit 1, and the wires between it and its gateway"
        )
        other.bend = bytes
        until(reader, 16.4)


def test_the_pauses_between_tries_grow_up_to_4_s(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader = Reader(replace(SDM630, host=f"127.0.0.1:{port}"))
    tries = []
    for _ in range(40):
        before = reader.meter._failures
        reader.turn()
        if reader.meter._failures > before:
            tries.append(reader.now - 1000.0)
    assert tries == [0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    assert "no connection: check that it is on" in reader.meter.problem
    assert not caplog.records
    with TcpMeter(port):
        assert until(reader, 16.4) <= 8
        reader.close()


def test_a_cut_connection_is_made_again(other: TcpMeter) -> None:
    with at(other) as reader:
        assert reader.turn() == pytest.approx(16.4)
        other.cuts = True
        reader.turn()
        assert isnan(reader.turn(FRESH_S))
        assert "no answer" in reader.meter.problem
        other.cuts, other.values[4] = False, 20.0
        assert until(reader, 20.0) <= 8
        other.cuts = True
        reader.turn()
        other.cuts, other.values[4] = False, 21.0
        assert reader.turn() == pytest.approx(21.0), "a first failure costs no pause, whatever was before"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (ExcCodes.ILLEGAL_ADDRESS, "refuses the registers of an SDM630 (exception 2): check kind and unit"),
        (ExcCodes.DEVICE_FAILURE, "it can't answer (exception 4)"),
        (
            ExcCodes.GATEWAY_NO_RESPONSE,
            "its gateway gets no answer from it (exception 11): check that it is set to unit 1",
        ),
    ],
)
def test_an_exception_is_told_and_the_meter_asked_again(other: TcpMeter, code: ExcCodes, sentence: str) -> None:
    with at(other) as reader:
        other.refusal = code
        assert isnan(reader.turn())
        assert sentence in reader.meter.problem
        other.refusal = None
        assert reader.turn() == pytest.approx(16.4)


BENT: dict[str, Callable[[bytes], bytes]] = {
    "noise": lambda _: bytes(range(64)),
    "half": lambda packet: packet[:11],
    "of another request": lambda packet: bytes([packet[0] ^ 0x40]) + packet[1:],
    "of another unit": lambda packet: packet[:6] + b"\x07" + packet[7:],
    "of another protocol": lambda packet: packet[:2] + b"\x12\x34" + packet[4:],
    "of another function": lambda packet: packet[:7] + b"\x63" + packet[8:],
    "too short": lambda packet: packet[:4] + b"\x00\x07\x01\x04\x04" + packet[9:13],
    "a lying count": lambda packet: packet[:8] + b"\xff" + packet[9:],
    "an exception without its code": lambda packet: packet[:4] + b"\x00\x02\x01\x84",
}


@pytest.mark.parametrize("bent", BENT)
def test_no_broken_answer_is_believed_or_raises_anything(other: TcpMeter, bent: str) -> None:
    with at(other, timeout_s=SHORT_S) as reader:
        other.bend = BENT[bent]
        assert isnan(reader.turn())
        assert reader.meter.problem != ""
        other.bend = bytes
        until(reader, 16.4)


def test_a_reader_that_hangs_is_told() -> None:
    reader = Reader(SDM630)
    assert "has not been read yet" in reader.meter.problem
    reader.meter._why = ""
    assert "its reader hangs: restart" in reader.meter.problem


def on(other: SerialMeter) -> EnergyMeterSpec:
    return replace(SDM630, port=other.path, host=None, baud=19200)


def test_a_serial_meter_is_read_loses_answers_and_vanishes() -> None:
    with SerialMeter() as other, closing(Reader(on(other), SHORT_S)) as reader:
        until(reader, 16.4)
        assert other.speed == termios.B19200
        other.bend, asked = lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]), other.requests
        reader.turn()
        assert other.requests == asked + 1
        assert isnan(reader.turn(FRESH_S))
        assert f"unit 1 at {other.path}: no answer: check its wires A and B" in reader.meter.problem
        other.bend = bytes
        until(reader, 16.4)
        other.vanish()
        reader.turn(FRESH_S)
        assert "no answer" in reader.meter.problem
        reader.turn(FRESH_S)
        assert "the port is not there: check its adapter" in reader.meter.problem


def test_a_port_that_can_not_be_opened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with SerialMeter() as other, closing(Reader(on(other))) as first, closing(Reader(on(other))) as second:
        assert first.turn() == pytest.approx(16.4)
        second.turn()
        assert "another process holds it" in second.meter.problem
        monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (other.path, os.R_OK | os.W_OK))
        second.turn()
        assert "add the user to the group dialout" in second.meter.problem


def test_a_host_without_a_port_is_asked_on_502(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(address: tuple[str, int], **_: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    Reader(replace(SDM630, host="meter.lan")).turn()
    assert asked == [("meter.lan", 502)]


def test_another_unit_behind_the_same_gateway_is_another_meter(other: TcpMeter) -> None:
    with at(other, replace(SDM630, unit=7)) as reader:
        assert isnan(reader.turn())
        assert "meter, unit 7 at" in reader.meter.problem
        assert "(exception 4): check unit in the board file" in reader.meter.problem


def test_one_lost_answer_leaves_no_gap_and_eastrons_pause_is_kept() -> None:
    assert 2 * (EnergyMeter.every_s + TIMEOUT_S) <= FRESH_S
    assert EnergyMeter.every_s >= 0.1


def test_the_module_is_imported_without_pymodbus() -> None:
    code = "import sys, hal.raspberry.meters; print([name for name in sys.modules if name.startswith('pymodbus')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"


def test_a_current_transformer_counts_while_it_is_sampled() -> None:
    now = 5.0
    meter = CtMeter(CtSpec(1, 90.0, 231.0, 50.0), lambda: now)
    assert isnan(meter.current_a())
    assert meter.problem == "current transformer on ADC channel 1: not sampled within 2 s"
    meter.take(0.2, 5.0)
    assert meter.problem == ""
    now = 5.0 + FRESH_S - 0.01
    assert meter.current_a() == pytest.approx(18.0)
    now = 5.0 + FRESH_S
    assert isnan(meter.current_a())
    assert meter.voltage_v() == 231.0
    meter.take(nan, now)
    assert isnan(meter.current_a())
    assert "channel 1: no signal around half the ADC's range" in meter.problem
    assert "check its bias (it is off), and its burden" in meter.problem
    meter.take(0.2, now)
    now += FRESH_S
    assert meter.problem == "current transformer on ADC channel 1: not sampled within 2 s"
