"""`watti doctor` on a simulated Pi: each thing that can be wrong shows at its part, and everything is safe after."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hal.api import Light
from hal.raspberry.board import Hardware
from hal.raspberry.spec import CtSpec
from hal.simulated.vehicle_spec import VehicleSpec
from tests.unit.doctor_table import BOARD, STATION, Table
from watti.doctor_checks import CHECKS
from watti.doctor_exam import Check, Finding, examine

CAR = VehicleSpec("car", start_delay_s=0.0, reaction_s=0.0, ramp_a_per_s=0.0)
BY_PART = {check.part: check for check in CHECKS}
UNWIRED = replace(BOARD, dead_man=replace(BOARD.dead_man, held_pin=None))


def only(*parts: str) -> list[Check]:
    return [BY_PART[part] for part in parts]


def test_a_sound_board_passes_and_is_safe_after(tmp_path: Path) -> None:
    table = Table(tmp_path, may_close=True)
    found = table.try_(*CHECKS)
    odd = {part: finding.result for part, finding in found.items() if finding.result != "ok"}
    assert odd == {"lamp": "not tried", "bus port": "not tried"}
    assert list(found) == [
        *("adc", "dead-man holds", "dead-man lets go", "dead-man and pilot"),
        *("pilot +12 V", "pilot 10 %", "pilot 16 %", "pilot 30 %", "pilot 50 %", "pilot 80 %", "pilot 96 %"),
        *("pilot -12 V", "switch", "ground fault", "contactor", "contactor closes", "protective earth"),
        *("dead-man and contactor", "meter", "thermometer", "lamp", "together", "bus port"),
    ]
    assert found["switch"].saw == "B, standing still (complement code): primary, 48 A for the circuit"
    assert found["pilot 96 %"].saw[:4] in ("+11.", "+12.")
    assert table.is_safe


# What is broken shows at its part


@pytest.mark.parametrize(
    ("kind", "part", "sentence"),
    [
        ("ground_fault_self_test", "ground fault", "no trip within 0.5 s: it protects nobody"),
        ("thermometer", "thermometer", "a wire of it is off"),
        ("meter", "meter", "current transformer on ADC channel 1: no signal around half"),
        ("meter_implausible", "meter", "current transformer on ADC channel 1"),
        ("switch_unreadable", "switch", "no position: contacts "),
    ],
)
def test_a_broken_part_fails_with_what_was_seen_and_what_to_do(
    tmp_path: Path, kind: str, part: str, sentence: str
) -> None:
    table = Table(tmp_path)
    table.plant.inject(kind, table.now)
    finding = table.try_(*only(part))[part]
    assert finding.result == "fail"
    assert sentence in finding.saw
    assert finding.expected
    assert finding.advice


@pytest.mark.parametrize(
    ("kind", "part", "sentence"),
    [
        ("pilot_short", "pilot +12 V", "0 V"),
        ("pilot_range", "pilot +12 V", "+13.5"),
        ("contactor_open", "contactor closes", "not live after it was closed"),
        ("contactor_stuck", "dead-man and contactor", "it did not open at all"),
        ("no_ground", "protective earth", "missing"),
    ],
)
def test_what_only_shows_when_outputs_act(tmp_path: Path, kind: str, part: str, sentence: str) -> None:
    table = Table(tmp_path, may_close=True)
    if kind.startswith("pilot"):
        table.plant.inject(kind, table.now)
    checks = [check._replace(needs=()) for check in only("pilot +12 V", "contactor closes")]
    stream = examine(table.exam, checks)
    found: list[Finding] = []
    for finding in stream:
        found.append(finding)
        if finding.part == "pilot -12 V":
            table.plant.inject(kind, table.now)
    by_part = {finding.part: finding for finding in found}
    assert by_part[part].result == "fail"
    assert by_part[part].saw.startswith(sentence)
    assert by_part[part].advice


def test_a_contactor_that_is_live_from_the_start(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.exam.hold()
    table.parts.contactor.close()
    table.settle(0.1)
    table.plant.inject("contactor_stuck", table.now)
    found = table.try_(*only("contactor", "contactor closes"))
    assert found["contactor"].result == "fail"
    assert found["contactor"].advice.startswith("switch off the breaker: it is welded")
    assert found["contactor closes"] == ("contactor closes", "not tried", "it needs: contactor", "", "")


def test_heat_is_a_warning(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.plant.inject("over_temperature", table.now)
    finding = table.try_(*only("thermometer"))["thermometer"]
    assert (finding.result, finding.saw) == ("warn", "75.0 C")


def test_a_vehicle_is_said_and_its_levels_are_expected(tmp_path: Path) -> None:
    table = Table(tmp_path, may_close=True)
    table.plant.plug(CAR, table.now)
    found = table.try_(*only("adc", "dead-man holds", "pilot +12 V", "contactor closes"))
    assert found["pilot +12 V"].result == "warn"
    assert found["pilot +12 V"].saw == "+8.98 V: a vehicle is connected (B)"
    assert {found[f"pilot {duty} %"].result for duty in (10, 16, 30, 50, 80, 96)} == {"ok"}
    assert (found["contactor closes"].result, found["contactor closes"].advice) == ("not tried", "unplug the vehicle")
    assert table.closed_s == []


def test_a_vehicle_without_its_diode(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.plant.plug(CAR, table.now)
    table.plant.inject("diode", table.now)
    finding = table.try_(*only("pilot +12 V"))["pilot 50 %"]
    assert finding.result == "fail"
    assert "its pilot diode is missing" in finding.advice


@pytest.mark.parametrize(("gain", "result"), [(1.0, "ok"), (1.035, "warn"), (1.06, "fail")])
def test_levels_that_are_off_want_a_calibration(tmp_path: Path, gain: float, result: str) -> None:
    table = Table(tmp_path, replace(BOARD, pilot=replace(BOARD.pilot, gain=BOARD.pilot.gain)))
    table.parts.sampler._spec = replace(BOARD.pilot, gain=BOARD.pilot.gain * gain)
    finding = table.try_(*only("pilot +12 V"))["pilot +12 V"]
    assert finding.result == result
    assert ("calibrate" in finding.advice) == (result != "ok")


# Switch


def test_a_position_above_the_model(tmp_path: Path) -> None:
    finding = Table(tmp_path, switch=0xC).try_(*only("switch"))["switch"]
    assert finding.result == "fail"
    assert finding.saw.endswith("Switch position C sets 56 A, more than a 48A model supports")


def test_a_secondary(tmp_path: Path) -> None:
    assert Table(tmp_path, switch=0xF).try_(*only("switch"))["switch"].saw.endswith(": secondary")


def test_two_codes_that_contradict_each_other(tmp_path: Path) -> None:
    assert BOARD.rotary is not None
    both = replace(BOARD, rotary=replace(BOARD.rotary, complement_pins=(14, 15, 16, 17)))
    table = Table(tmp_path, both)
    assert table.try_(*only("switch"))["switch"].result == "ok"
    table.plant.inject("switch_unreadable", table.now)
    finding = table.try_(*only("switch"))["switch"]
    assert finding.saw == "no position: contacts 0000 and 0000 contradict each other"


@pytest.mark.parametrize(("stored", "result"), [(None, "warn"), (15, "ok"), (14, "fail")])
def test_a_board_without_a_switch(tmp_path: Path, stored: int | None, result: str) -> None:
    table = Table(tmp_path, replace(BOARD, rotary=None))
    table.exam.stored_switch = lambda: stored
    finding = table.try_(*only("switch"))["switch"]
    assert finding.result == result
    assert finding.saw.startswith("none is mounted")


# Dead-man


@pytest.mark.parametrize(
    ("window_s", "gate_s", "part", "result", "saw"),
    [
        (60.0, 60.0, "dead-man holds", "fail", "held although nothing was refreshed for 1.5 s"),
        (60.0, 60.0, "dead-man lets go", "fail", "still held 1.5 s after the last edge"),
        (0.8, 60.0, "dead-man and pilot", "fail", "the pilot stays at -12 V: the dead-man does not let go of it"),
        (0.3, 0.3, "dead-man lets go", "fail", "after 0.3"),
        (0.56, 0.56, "dead-man lets go", "warn", "after 0.5"),
        (1.2, 1.2, "dead-man lets go", "fail", "after 1.2"),
        (0.2, 0.2, "dead-man holds", "fail", "let go 3 times although it was refreshed"),
        (0.0, 0.8, "dead-man holds", "fail", "not held after an edge"),
    ],
)
def test_a_dead_man_that_is_none(
    tmp_path: Path, window_s: float, gate_s: float, part: str, result: str, saw: str
) -> None:
    table = Table(tmp_path, window_s=window_s, gate_s=gate_s)
    if window_s == 60.0:
        table.exam.hold()  # it has been triggered before
        table.exam.let_go()
    finding = table.try_(*only("dead-man holds"))[part]
    assert finding.result == result
    assert saw in finding.saw or (window_s == 0.0 and finding.saw.startswith("let go"))
    assert finding.advice


@pytest.mark.parametrize(("gate_s", "result"), [(0.8, "ok"), (60.0, "fail")])
def test_a_dead_man_without_feedback_shows_by_the_pilot(tmp_path: Path, gate_s: float, result: str) -> None:
    table = Table(tmp_path, UNWIRED, gate_s=gate_s)
    found = table.try_(*only("dead-man holds"))
    assert found["dead-man holds"].saw == "the pilot follows to -12 V"
    assert {found["dead-man lets go"].result, found["dead-man and pilot"].result} == {result}


def test_a_dead_man_that_can_not_be_seen_is_tried_by_hand(tmp_path: Path) -> None:
    table = Table(tmp_path, UNWIRED)
    table.plant.inject("pilot_short", table.now)
    found = table.try_(*only("dead-man holds"))
    assert found["dead-man holds"].result == "fail"
    assert found["dead-man lets go"].result == "not tried"
    assert "kill -STOP" in found["dead-man lets go"].advice


def test_an_outputs_driver_that_the_dead_man_does_not_gate(tmp_path: Path) -> None:
    table = Table(tmp_path, gate_s=60.0, may_close=True)
    table.exam.letter = "A"
    found = table.try_(BY_PART["contactor closes"]._replace(needs=()))
    finding = found["dead-man and contactor"]
    assert (finding.result, finding.saw) == ("fail", "it opened only when it was told to")
    assert table.closed_s[-1] - table.closed_s[0] < 1.2
    assert table.is_safe


# The contactor closes for good reason alone


def test_it_never_closes_unasked(tmp_path: Path) -> None:
    table = Table(tmp_path)
    found = table.try_(*CHECKS)
    assert found["contactor closes"].saw == "nobody has asked for it"
    assert table.closed_s == []


def test_it_closes_once_and_the_dead_man_opens_it(tmp_path: Path) -> None:
    table = Table(tmp_path, may_close=True)
    table.try_(*CHECKS)
    for_s = table.closed_s[-1] - table.closed_s[0]
    assert len(table.closed_s) == pytest.approx(for_s / 0.005 + 1, abs=2), "once"
    assert for_s == pytest.approx(BOARD.dead_man.window_s, abs=0.05)


@pytest.mark.parametrize("kind", ["ground_fault_self_test", "pilot_short"])
def test_it_does_not_close_after_a_failure(tmp_path: Path, kind: str) -> None:
    table = Table(tmp_path, may_close=True)
    table.plant.inject(kind, table.now)
    found = table.try_(*CHECKS)
    assert found["contactor closes"].result == "not tried"
    assert found["contactor closes"].saw.startswith("it needs: ")
    assert table.closed_s == []


class Stop(BaseException):
    """Ctrl-C."""


def test_an_interruption_leaves_everything_safe(tmp_path: Path) -> None:
    table = Table(tmp_path, may_close=True)
    wait = table.sleep

    def sleep(for_s: float) -> None:
        wait(for_s)
        if table.closed_s:
            raise Stop

    table.exam._sleep = sleep
    with pytest.raises(Stop):
        table.try_(*CHECKS)
    assert table.is_safe
    table.settle(0.1)
    assert not table.plant.contactor_closed


# What the parts stand on


class Garbage:
    """A converter that isn't there: its line is pulled up."""

    def burst(self, frame: bytes, delays_us: Sequence[int], _speed_hz: int) -> bytes:
        return b"\xff" * len(frame) * len(delays_us)

    def stream(self, data: bytes) -> bytes:
        return b"\xff" * len(data)

    def close(self) -> None:
        """It holds nothing."""


def test_a_converter_that_answers_garbage_is_one_failure_and_not_ten(tmp_path: Path) -> None:
    table = Table(tmp_path, hardware=lambda of: Hardware(of.pins, lambda _: Garbage(), of.places))
    found = table.try_(*CHECKS)
    assert found["adc"].result == "fail"
    assert "gives answers without the null bit: the chip is missing" in found["adc"].saw
    assert found["pilot +12 V"].saw == "it needs: adc"
    assert found["together"].saw == "it needs: pilot +12 V"
    assert found["dead-man lets go"].result == "ok", "its own output shows it"
    assert found["dead-man and pilot"].result == "not tried"


def test_a_process_that_is_late_says_so(tmp_path: Path) -> None:
    table = Table(tmp_path)
    wait = table.sleep

    def sleep(for_s: float) -> None:
        wait(for_s)
        if 101.0 < table.now < 101.1:
            table.settle(1.5)

    table.exam._sleep = sleep
    found = table.try_(*only("lamp"))
    assert found["lamp"].result == "warn"
    assert found["lamp"].advice.startswith("this process was late")


def test_a_part_whose_work_has_ended(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.exam.lost = "OSError: gone"
    finding = table.try_(*only("meter"))["meter"]
    assert (finding.result, finding.saw) == ("fail", "a part of the board has failed: OSError: gone")


def test_parts_that_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path)
    table.exam.letter = "A"
    check = BY_PART["together"]._replace(needs=())
    assert table.try_(check)["together"].result == "ok"
    assert table.tripped, "the winding was driven"
    show = table.parts.lamp.show

    def short(light: Light) -> None:
        show(light)
        table.plant.inject("pilot_short", table.now)

    monkeypatch.setattr(table.parts.lamp, "show", short)
    finding = table.try_(check)["together"]
    assert finding.result == "fail"
    assert finding.saw == "the pilot shows +0.0 and +0.0 V"


def test_the_station_decides_what_a_switch_means(tmp_path: Path) -> None:
    big = replace(STATION, model="80A")
    assert (
        Table(tmp_path, config=big, switch=0xE)
        .try_(*only("switch"))["switch"]
        .saw.endswith("primary, 80 A for the circuit")
    )


@pytest.mark.parametrize("samples", [[12.0, 12.4] * 64, [12.0] * 120 + [5.0] * 8])
def test_a_converter_that_is_noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: list[float]) -> None:
    table = Table(tmp_path)
    monkeypatch.setattr(table.parts.sampler, "pilot_volts", lambda _: samples)
    finding = table.try_(*only("adc"))["adc"]
    assert finding.result == "warn"
    assert "reference" in finding.advice


def test_a_line_voltage_that_can_not_be(tmp_path: Path) -> None:
    assert isinstance(BOARD.meter, CtSpec)
    table = Table(tmp_path, replace(BOARD, meter=replace(BOARD.meter, voltage_v=95.0)))
    finding = table.try_(*only("meter"))["meter"]
    assert finding.result == "warn"
    assert finding.saw.endswith(" A, 95 V (from the board file)")


def test_a_switch_that_will_not_stand_still(tmp_path: Path) -> None:
    table = Table(tmp_path)
    wait = table.sleep

    def sleep(for_s: float) -> None:
        table.plant.turn(3 + int(table.now * 10) % 2, table.now)
        wait(for_s)

    table.exam._sleep = sleep
    assert table.try_(*only("switch"))["switch"].result == "fail"
