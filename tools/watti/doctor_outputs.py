"""`watti doctor`: the parts that act, from the dead-man that must let go of them to the contactor."""

from collections.abc import Iterator
from math import inf, isnan

from firmware.ground import TEST_S
from firmware.runtime import REFRESH_S
from firmware.timing import CONTACTOR_S, Timing
from hal.api import Colour, Light
from watti.doctor_exam import Exam, Finding

LONGEST_S = Timing().dead_man_s
"""The group counts on a lost station's outputs to be off after this."""
SHORTEST_S = 2 * REFRESH_S
"""One refresh may be lost."""
OFF = 0.2
"""Part of its window that a one-shot may be off before it is said: its resistor and capacitor (I)."""
NO_CURRENT_A = 1.0
"""A meter's noise behind an open contactor (I)."""
_LOOK_S = 0.06  # the pilot is looked at each 20 ms, and an ADC that samples a CT as well has a gap of 40 ms
_AT_MINUS_V = -11.0
_GAP = "wire the one-shot's enable through an AND gate with it, as the wiring table shows"


# Dead-man


def dead_man(exam: Exam) -> Iterator[Finding]:
    """Whether it holds what is refreshed, and lets go of what is not: the pilot at -12 V has to come back to +12 V."""
    idle = _holds_nothing(exam)
    exam.hold()
    exam.drops = 0
    exam.parts.pilot.fault()
    exam.wait(3.4 * REFRESH_S)  # not at the moment when the next one is due
    yield _holding(exam, idle)
    yield from _letting_go(exam)
    exam.drops = 0


def _holds_nothing(exam: Exam) -> bool:
    """Whether it has let go, unrefreshed; True where that can't be seen."""
    exam.let_go()
    exam.parts.make_safe()
    exam.wait(LONGEST_S * 1.5)
    return exam.spec.dead_man.held_pin is None or not exam.parts.dead_man.wire


def _holding(exam: Exam, idle: bool) -> Finding:
    spec, part = exam.spec.dead_man, "dead-man holds"
    expected = f"held from an edge on GPIO {spec.pin} on, as long as one comes each {REFRESH_S:g} s"
    if spec.held_pin is None:
        if exam.parts.sampler.reading.high_v < _AT_MINUS_V:
            return Finding(part, "ok", "the pilot follows to -12 V", expected)
        advice = "check the one-shot and its supply, then the pilot's generator: no held_pin tells them apart"
        return Finding(part, "fail", "the pilot does not follow to -12 V", expected, advice)
    if not idle:
        advice = f"GPIO {spec.held_pin} stands high by itself: check held_pin, and the one-shot's output"
        return Finding(part, "fail", f"held although nothing was refreshed for {LONGEST_S * 1.5:g} s", expected, advice)
    if exam.parts.dead_man.wire is False or exam.drops:
        saw = f"let go {exam.drops} times although it was refreshed" if exam.drops else "not held after an edge"
        advice = (
            f"check the one-shot, its supply, GPIO {spec.pin} and {spec.held_pin}; try again with less to do beside it"
        )
        return Finding(part, "fail", saw, expected, advice)
    return Finding(part, "ok", f"held, GPIO {spec.held_pin} says", expected)


def _letting_go(exam: Exam) -> Iterator[Finding]:
    """Its window, from the last edge on: by its own output, and by what becomes of the pilot."""
    parts, wired = exam.parts, exam.spec.dead_man.held_pin is not None
    driven = parts.sampler.reading.high_v < _AT_MINUS_V
    exam.hold()
    began = exam.clock()
    exam.let_go()
    let_go_s = pilot_s = inf

    def gone() -> bool:
        nonlocal let_go_s, pilot_s
        now = exam.clock() - began
        if wired and not parts.dead_man.wire:
            let_go_s = min(let_go_s, now)
        if parts.sampler.reading.high_v > 0:
            pilot_s = min(pilot_s, now)
        return pilot_s < inf and (let_go_s < inf or not wired)

    exam.wait(LONGEST_S * 1.5, gone)
    yield _window(exam, let_go_s if wired else pilot_s if driven else None)
    yield _gate(exam, pilot_s if driven else None)


def _window(exam: Exam, took_s: float | None) -> Finding:
    spec, part = exam.spec.dead_man, "dead-man lets go"
    expected = f"{spec.window_s:g} s after the last edge, {SHORTEST_S:g} to {LONGEST_S:g} s"
    if took_s is None:
        how = "close the contactor with a lamp as load, kill -STOP the process: the lamp must go out within 1 s"
        return Finding(
            part, "not tried", "no held_pin, and a pilot that is not at -12 V: it can't be seen", expected, how
        )
    if took_s == inf:
        advice = "DO NOT USE this station: nothing lets go of its outputs when its process hangs. Check the one-shot"
        return Finding(part, "fail", f"still held {LONGEST_S * 1.5:g} s after the last edge", expected, advice)
    saw = f"after {took_s:.2f} s"
    if not SHORTEST_S <= took_s <= LONGEST_S + _LOOK_S:
        advice = "DO NOT USE this station: change the resistor or the capacitor of the one-shot"
        return Finding(part, "fail", saw, expected, advice)
    if abs(took_s - spec.window_s) > OFF * spec.window_s + _LOOK_S:
        return Finding(part, "warn", saw, expected, "write what it is into dead_man.window_s of the board file")
    return Finding(part, "ok", saw, expected)


def _gate(exam: Exam, took_s: float | None) -> Finding:
    part, expected = "dead-man and pilot", f"at most {LONGEST_S:g} s after the last edge"
    if took_s is None:
        return Finding(part, "not tried", "the pilot does not reach -12 V", expected, "see to the pilot first")
    if took_s > LONGEST_S + _LOOK_S:
        saw = "the pilot stays at -12 V: the dead-man does not let go of it"
        return Finding(part, "fail", saw, expected, f"DO NOT USE this station: {_GAP}")
    return Finding(part, "ok", f"+12 V again after {took_s:.2f} s", expected)


# Ground fault


def ground_fault(exam: Exam) -> Iterator[Finding]:
    """The self-test: it trips while the winding is driven, and lets go after."""
    sensor, spec, part = exam.parts.ground_fault, exam.spec.ground_fault, "ground fault"
    expected = f"trips and lets go, each within {TEST_S:g} s"
    if exam.wait(TEST_S, lambda: not sensor.tripped) is False:
        advice = f"check the module's supply, and ground_fault.active: GPIO {spec.pin} stands at its trip"
        yield Finding(part, "fail", "tripped although nothing flows and nothing tests it", "no trip at rest", advice)
        return
    tripped_s = _until(exam, TEST_S, True)
    released_s = _until(exam, TEST_S, False)
    if tripped_s == inf:
        advice = f"check the winding on GPIO {spec.test_pin}, the trip on GPIO {spec.pin} and the module's supply"
        yield Finding(part, "fail", f"no trip within {TEST_S:g} s: it protects nobody", expected, advice)
    elif released_s == inf:
        advice = "check that the winding's driver switches off, then replace the module"
        yield Finding(part, "fail", f"it does not let go within {TEST_S:g} s", expected, advice)
    else:
        # What cuts a leak in 25 ms is the module's own output in the coil's circuit: this is how late the loop hears.
        saw = f"tripped after {tripped_s * 1e3:.0f} ms, let go after {released_s * 1e3:.0f} ms, as the loop sees it"
        yield Finding(part, "ok", saw, expected)


def _until(exam: Exam, within_s: float, on: bool) -> float:
    """How long it takes, s, to trip after the winding is driven, or to let go; inf = longer."""
    sensor, began = exam.parts.ground_fault, exam.clock()
    sensor.test(on)
    return exam.clock() - began if exam.wait(within_s, lambda: sensor.tripped is on) else inf


# Contactor


def contactor(exam: Exam) -> Iterator[Finding]:
    """Its feedback while it is open."""
    spec, part = exam.spec.contactor, "contactor"
    exam.parts.contactor.open()
    exam.wait(CONTACTOR_S)
    if exam.parts.contactor.closed:
        advice = (
            f"switch off the breaker: it is welded, or its feedback is wired or described wrong (GPIO "
            f"{spec.feedback_pin}, feedback_active = {spec.feedback_active})"
        )
        yield Finding(part, "fail", "its output is live although it is open", "open, and not live", advice)
    else:
        yield Finding(part, "ok", "open, its output is not live", "open, and not live")


def closing(exam: Exam) -> Iterator[Finding]:
    """Closed once, with one refresh: the dead-man has to open it again, and this process does after its window."""
    if not exam.may_close:
        advice = "with no vehicle connected and nobody at the connector: watti doctor --close-contactor"
        yield Finding("contactor closes", "not tried", "nobody has asked for it", "", advice)
        return
    if exam.letter != "A":
        saw = f"the pilot shows {exam.letter or 'nothing sound'}"
        yield Finding("contactor closes", "not tried", saw, "A, no vehicle connected", "unplug the vehicle")
        return
    yield from _closed_once(exam)


def _closed_once(exam: Exam) -> Iterator[Finding]:
    contacts, began = exam.parts.contactor, exam.clock()
    exam.hold()
    exam.let_go()
    contacts.close()
    closed = exam.wait(LONGEST_S / 4, lambda: contacts.closed)
    took_s = exam.clock() - began
    if not closed:
        contacts.open()
        advice = "check the coil's supply, its driver, the breaker, and that the feedback sees the output side"
        yield Finding("contactor closes", "fail", "not live after it was closed", "live within 0.1 s", advice)
        return
    yield Finding("contactor closes", "ok", f"live after {took_s * 1e3:.0f} ms", "live within 0.1 s")
    yield _earth(exam)
    dropped = exam.wait(began + LONGEST_S + CONTACTOR_S - exam.clock(), lambda: not contacts.closed)
    open_s = exam.clock() - began
    contacts.open()
    yield from _opened(exam, open_s if dropped else inf)


def _earth(exam: Exam) -> Finding:
    spec, part = exam.spec.ground_fault, "protective earth"
    if spec.earth_pin is None:
        return Finding(part, "not tried", "this board has no monitor of it")
    exam.wait(CONTACTOR_S)
    if exam.parts.ground_fault.grounded:
        return Finding(part, "ok", "found", "found while the output is live")
    advice = f"check the earth of this station, then the monitor on GPIO {spec.earth_pin}"
    return Finding(part, "fail", "missing", "found while the output is live", advice)


def _opened(exam: Exam, open_s: float) -> Iterator[Finding]:
    part, expected = "dead-man and contactor", f"at most {LONGEST_S + CONTACTOR_S:g} s after the last edge"
    if open_s < inf:
        yield Finding(part, "ok", f"open again after {open_s:.2f} s, nobody told it", expected)
        return
    if exam.wait(CONTACTOR_S, lambda: not exam.parts.contactor.closed):
        saw, advice = "it opened only when it was told to", f"DO NOT USE this station: {_GAP}"
    else:
        saw, advice = "it did not open at all", "switch off the breaker: it is welded, or its driver stays on"
    yield Finding(part, "fail", saw, expected, advice)


# Lamp, and all together


def lamp(exam: Exam) -> Iterator[Finding]:
    """Each colour in turn: a person has to look."""
    colours = [colour for colour in Colour if colour is not Colour.OFF]
    for colour in colours:
        exam.parts.lamp.show(Light(colour))
        exam.wait(0.7)
    exam.parts.lamp.show(Light(Colour.OFF))
    exam.wait(0.1)
    words = ", ".join(colour.value for colour in colours)
    advice = "look at it. A colour is missing: check its pin and resistor; the wrong ones are lit: check lamp.active"
    yield Finding("lamp", "not tried", f"nobody but you can see it: told to show {words}, 0.7 s each", "", advice)


def together(exam: Exam) -> Iterator[Finding]:
    """Everything on at once but the contactor: no part disturbs another."""
    parts, part = exam.parts, "together"
    expected = "every part reads as it did alone"
    before = parts.inputs(exam.stored_switch())
    parts.pilot.pwm(50.0)
    parts.lamp.show(Light(Colour.WHITE))
    parts.ground_fault.test(True)
    exam.wait(0.5)
    seen = parts.inputs(exam.stored_switch())
    parts.lamp.show(Light(Colour.OFF))
    wrong = []
    if seen.switch != before.switch:
        wrong.append("the switch moved")
    if isnan(seen.pilot.high_v) or seen.pilot.low_v > -10 or exam.drops:
        wrong.append(f"the pilot shows {seen.pilot.high_v:+.1f} and {seen.pilot.low_v:+.1f} V")
    if seen.contactor_closed:
        wrong.append("the contactor's feedback came on")
    wrong += filter(None, [parts.problem])
    if wrong:
        advice = "look for a supply that breaks down, or grounds that are shared by coil, lamp and ADC"
        yield Finding(part, "fail", "; ".join(wrong), expected, advice)
    else:
        yield Finding(part, "ok", "pilot at 50 %, winding driven, lamp white: all is read", expected)
