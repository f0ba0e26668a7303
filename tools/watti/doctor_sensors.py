"""`watti doctor`: the parts that sense."""

from collections.abc import Iterator, Sequence
from math import isnan
from statistics import median, pstdev

from firmware.config import MODELS
from firmware.pilot import SHORT, classify
from hal.api import PilotReading
from hal.raspberry.adc import AdcError
from hal.raspberry.plateaus import BURST
from hal.raspberry.spec import CtSpec, KernelThermometerSpec
from watti.doctor_exam import Exam, Finding
from watti.doctor_outputs import NO_CURRENT_A

DUTIES = (10.0, 16.0, 30.0, 50.0, 80.0, 96.0)
"""Percent: 6, 9.6, 18, 30, 48 and 80 A."""
TOLERANCE_V = 0.6
"""Of every level (J1772 gives +-0.6 V to 12 V)."""
CALIBRATE_V = 0.3
"""From here on a calibration is worth it."""
NOISE_V = 0.15
"""Standard deviation at the pilot; above it, plateaus are hard to tell (I)."""
LINE_V = (100.0, 260.0)
USUAL_C = (-30.0, 60.0)
_SETTLES_S = 0.1  # some looks of the sampler
_READ_S = 1.5  # meter and thermometer have been read anew
_NOMINAL_V = {"A": 12.0, "B": 9.0, "C": 6.0, "D": 3.0}
_UNKNOWN = "?"


def adc(exam: Exam) -> Iterator[Finding]:
    """The converter answers, and how much its readings of a steady pilot scatter."""
    exam.wait(_SETTLES_S)
    volts: list[float] = []
    try:
        for _ in range(4):
            volts += exam.parts.sampler.pilot_volts(BURST)
    except AdcError as error:
        advice = "check its wires and its supply; SPI: dtparam=spi=on in /boot/firmware/config.txt"
        yield Finding("adc", "fail", str(error), "sound answers", advice)
        return
    middle = median(volts)
    noise = pstdev([volt for volt in volts if abs(volt - middle) < 1.0] or volts)
    wild = sum(abs(volt - middle) >= 1.0 for volt in volts)
    saw = f"{middle:+.2f} V, noise {noise * 1e3:.0f} mV, {wild} wild of {len(volts)} samples of the steady pilot"
    expected = f"at most {NOISE_V * 1e3:.0f} mV of noise, no wild samples"
    if noise > NOISE_V or wild > len(volts) // 100:
        advice = (
            "check the converter's reference, its ground and a capacitor at its input; keep coil and SPI wires apart"
        )
        yield Finding("adc", "warn", saw, expected, advice)
    else:
        yield Finding("adc", "ok", saw, expected)


# Pilot


def pilot(exam: Exam) -> Iterator[Finding]:
    """Every level that it can have, generated and read back."""
    generator = exam.parts.pilot
    generator.steady()
    exam.wait(_SETTLES_S)
    letter = classify(exam.parts.sampler.reading, False, _UNKNOWN)
    exam.letter = letter if letter in _NOMINAL_V else ""
    yield _steady(exam, letter)
    if letter == SHORT or not exam.letter:
        return
    yield from _levels(exam)


def _steady(exam: Exam, letter: str) -> Finding:
    seen, expected = exam.parts.sampler.reading, "+12 V, or 9, 6 or 3 V with a vehicle connected"
    part = "pilot +12 V"
    if letter == SHORT:
        advice = "unplug the vehicle; still 0 V: the pilot's wire touches earth, or the +-12 V supply is off"
        return Finding(part, "fail", "0 V", expected, advice)
    if isnan(seen.high_v):
        return Finding(part, "fail", exam.parts.sampler.problem or "it can't be read", expected, "see to the ADC first")
    if letter not in _NOMINAL_V:
        advice = "measure it: right there: watti calibrate pilot; wrong there: mend the generator's +-12 V supply"
        return Finding(part, "fail", f"{seen.high_v:+.2f} V", expected, advice)
    if letter != "A":
        saw = f"{seen.high_v:+.2f} V: a vehicle is connected ({letter})"
        return Finding(part, "warn", saw, expected, "unplug it, and try again: some checks want no vehicle")
    return _judged(part, seen.high_v, seen, (12.0,), False)


def _levels(exam: Exam) -> Iterator[Finding]:
    generator = exam.parts.pilot
    highs = (12.0,) if exam.letter == "A" else (9.0, 6.0, 3.0)
    for duty in DUTIES:
        generator.pwm(duty)
        exam.wait(_SETTLES_S)
        seen = exam.parts.sampler.reading
        yield _judged(f"pilot {duty:g} %", seen.high_v, seen, highs, True)
    generator.fault()
    exam.wait(_SETTLES_S)
    seen = exam.parts.sampler.reading
    yield _judged("pilot -12 V", seen.high_v, seen, (-12.0,), False)


def _judged(part: str, high_v: float, seen: PilotReading, highs: Sequence[float], waves: bool) -> Finding:
    """`highs`: what the high plateau may be; a low one is there while it waves."""
    expected = " or ".join(f"{high:+g}" for high in highs) + (" and -12 V" if waves else " V")
    if isnan(high_v):
        return Finding(part, "fail", "no square wave is read", expected, "check the pilot's wires to the ADC")
    nearest = min(highs, key=lambda high: abs(high - high_v))
    off_v = high_v - nearest
    low_off_v = seen.low_v + 12.0 if waves else 0.0
    saw = f"{high_v:+.2f} and {seen.low_v:+.2f} V" if waves else f"{high_v:+.2f} V"
    expected += f", within {TOLERANCE_V:g} V"
    worst = max(abs(off_v), abs(low_off_v))
    if worst <= CALIBRATE_V:
        return Finding(part, "ok", saw, expected)
    if worst <= TOLERANCE_V:
        return Finding(part, "warn", saw, expected, "calibrate it: watti calibrate pilot CONFIG")
    if waves and abs(off_v) <= TOLERANCE_V and seen.low_v > -9.0:
        advice = "no vehicle connected: the generator's -12 V is weak; with one: its pilot diode is missing"
    elif waves and seen.high_v - seen.low_v < 1.0:
        advice = "the generator does not follow its PWM: check pilot.pin, pwm_chip and pwm_channel, and its overlay"
    else:
        advice = "measure it: right there: watti calibrate pilot CONFIG; wrong there: mend the generator"
    return Finding(part, "fail", saw, expected, advice)


# Switch


def switch(exam: Exam) -> Iterator[Finding]:
    """Its position, whether it stands still, and what it means."""
    rotary = exam.parts.rotary
    if rotary is None:
        yield _stored(exam)
        return
    seen: set[int | None] = set()

    def gather() -> bool:
        seen.add(rotary.position())
        return False

    rotary.position()
    exam.wait(0.1)
    exam.wait(0.3, gather)
    yield _stands(exam, next(iter(seen))) if len(seen) == 1 else _moves(exam)


def _stored(exam: Exam) -> Finding:
    position = exam.stored_switch()
    if position is None:
        advice = "set it: watti switch NAME POSITION, while the station runs"
        return Finding("switch", "warn", "none is mounted, and no position is stored", "a stored position", advice)
    return _meaning(exam, position, f"none is mounted, stored: {position:X}")


def _stands(exam: Exam, position: int | None) -> Finding:
    if position is None:
        return _moves(exam)
    assert exam.spec.rotary is not None
    coding = exam.spec.rotary.coding
    return _meaning(exam, position, f"{position:X}, standing still ({coding} code)")


def _meaning(exam: Exam, position: int, saw: str) -> Finding:
    model = exam.config.model
    setting = exam.chart.setting(position, MODELS[model])
    expected = "the position that the switch shows"
    if setting.fault:
        return Finding("switch", "fail", f"{saw}: {setting.why}", expected, "turn it to a position of this model")
    means = "secondary" if setting.limit_a is None else f"primary, {setting.limit_a} A for the circuit"
    return Finding("switch", "ok", f"{saw}: {means}", expected)


def _moves(exam: Exam) -> Finding:
    assert exam.spec.rotary is not None and exam.parts.rotary is not None  # noqa: PT018 -- one fact: it is mounted
    main, other = exam.parts.rotary.contacts
    saw = f"no position: contacts {main:04b}" + (f" and {other:04b} contradict each other" if other is not None else "")
    pins = ", ".join(map(str, exam.spec.rotary.pins))
    advice = f"turn it until it clicks; still none: check the wires at GPIO {pins}, and that its common is on ground"
    return Finding("switch", "fail", saw, "one position, standing still", advice)


# Meter and thermometer


def meter(exam: Exam) -> Iterator[Finding]:
    """It answers, its volts make sense, and nothing flows behind an open contactor."""
    meter = exam.parts.meter
    exam.wait(_READ_S)
    exam.wait(4.0, lambda: not isnan(meter.current_a()))
    amps, volts = meter.current_a(), meter.voltage_v()
    given = isinstance(exam.spec.meter, CtSpec)
    expected = f"about 0 A with the contactor open; {LINE_V[0]:g} to {LINE_V[1]:g} V"
    if isnan(amps):
        advice = "see there; until then no vehicle charges"
        yield Finding("meter", "fail", _problems(meter.problem, exam), expected, advice)
        return
    saw = f"{amps:.2f} A, {volts:.0f} V" + (" (from the board file)" if given else "")
    if amps > NO_CURRENT_A:
        advice = "check the CT's bias and burden" if given else "check what else is wired behind it, and lines"
        yield Finding("meter", "fail", saw, expected, advice)
    elif not LINE_V[0] <= volts <= LINE_V[1]:
        yield Finding(
            "meter", "warn", saw, expected, "check its voltage wires, and that it stands before the contactor"
        )
    else:
        yield Finding("meter", "ok", saw, expected)


def thermometer(exam: Exam) -> Iterator[Finding]:
    """A reading that can be."""
    thermometer = exam.parts.thermometer
    exam.wait(_READ_S)
    exam.wait(4.0, lambda: not isnan(thermometer.celsius()))
    celsius = thermometer.celsius()
    expected = f"{USUAL_C[0]:g} to {USUAL_C[1]:g} C, and about what you feel"
    if isnan(celsius):
        advice = "see there; until then at most a quarter of the rating is offered"
        yield Finding("thermometer", "fail", _problems(thermometer.problem, exam), expected, advice)
    elif not USUAL_C[0] <= celsius <= USUAL_C[1]:
        kernel = isinstance(exam.spec.thermometer, KernelThermometerSpec)
        advice = "is it that hot or cold? " + ("Else check its wires" if kernel else "Else check series_ohm and beta_k")
        yield Finding("thermometer", "warn", f"{celsius:.1f} C", expected, advice)
    else:
        yield Finding("thermometer", "ok", f"{celsius:.1f} C", expected)


def _problems(own: str, exam: Exam) -> str:
    """Why there is no reading: what the part says, and the ADC that it may hang on."""
    return "; ".join(filter(None, (own, exam.parts.sampler.problem)))
