"""`watti doctor`: the bus, listened to; a word of its own only where nobody else speaks."""

from collections.abc import Iterator
from typing import NamedTuple

from firmware.bus import messages as msg
from firmware.bus.health import BusHealth
from firmware.bus.rtu import Splitter, frame
from hal.api import LiveBus
from watti.doctor_exam import Exam, Finding

LISTEN_S = 1.0
"""A primary polls each 0.5 s."""
_ANSWER_S = 0.1
_QUESTION = frame(bytes((msg.UNENROLLED, 0x03, 0, 0, 0, 1)))
"""Reads a register of a station that no primary has enrolled: it changes nothing, whoever hears it."""
_BIASED = "termination (120 ohm) at both ends only, bias at one place, and the same baud on every station"


class Heard(NamedTuple):
    """What came within a time."""

    data: bytes
    frames: tuple[bytes, ...]
    broken: int
    """Runs of bytes that were part of no sound frame."""

    @property
    def primaries(self) -> list[str]:
        """Serial numbers of those that polled."""
        polls = filter(None, (msg.decode_poll(one) for one in self.frames if msg.is_poll(one)))
        return sorted({f"{poll.serial:012X}" for poll in polls})


def bus(exam: Exam) -> Iterator[Finding]:
    """The port opens, and what is heard on it."""
    if exam.bus is None:
        advice = "write bus.port into the station's file, or give it with --port to watti run"
        yield Finding("bus port", "not tried", "the station's file names no port", "", advice)
        return
    port = exam.bus()
    direction = exam.config.direction
    if port.problem:
        yield Finding("bus port", "fail", port.problem, f"open, direction {direction}", "see there")
        return
    yield Finding("bus port", "ok", f"open, {exam.config.baud} baud, direction {direction}", "")
    heard = _listen(exam, port, LISTEN_S)
    yield _line(heard)
    yield _asked(exam, port) if not heard.data else _busy()


def _listen(exam: Exam, port: LiveBus, for_s: float) -> Heard:
    data = b""

    def more() -> bool:
        nonlocal data
        port.flush()
        data += port.receive()
        return False

    exam.wait(for_s, more)
    health = BusHealth()
    splitter = Splitter(health)
    frames = tuple(splitter.feed(data))
    splitter.drop()
    return Heard(data, frames, health.crc_errors)


def _line(heard: Heard) -> Finding:
    part, expected = "bus line", f"sound frames of one primary within {LISTEN_S:g} s"
    if not heard.data:
        advice = "no primary is on, or this station is the first; else swap A and B, and check their wires"
        return Finding(part, "warn", "silence", expected, advice)
    saw = f"{len(heard.data)} bytes, {len(heard.frames)} sound frames, {heard.broken} broken"
    if not heard.frames:
        return Finding(part, "fail", saw, expected, f"swap A and B; then check {_BIASED}")
    if len(heard.primaries) > 1:
        advice = "set one station of the circuit to its amps, all others to F"
        return Finding(part, "fail", f"{saw}; primaries {', '.join(heard.primaries)}", expected, advice)
    saw += f"; primary {heard.primaries[0]}" if heard.primaries else "; no primary polls"
    if heard.broken > 1 + len(heard.frames) // 100:  # one is the frame that listening began in
        return Finding(part, "warn", saw, expected, f"check {_BIASED}")
    return Finding(part, "ok", saw, expected)


def _busy() -> Finding:
    return Finding("bus echo", "not tried", "others speak: a word of this one would disturb them")


def _asked(exam: Exam, port: LiveBus) -> Finding:
    """What comes back when this station speaks: nothing, its echo, or a station."""
    part, expected = "bus echo", "no echo; the answer of a station that waits for a primary, where there is one"
    port.send(_QUESTION)
    heard = _listen(exam, port, _ANSWER_S + len(_QUESTION) * 11 / exam.config.baud)
    if port.problem:
        return Finding(part, "fail", port.problem, expected, "see there")
    echo = heard.data.startswith(_QUESTION)
    answered = any(one[0] == msg.UNENROLLED and one != _QUESTION for one in heard.frames)
    if heard.data and not echo and not answered:
        advice = f"check {_BIASED}; several stations that wait for a primary answer at once, too"
        return Finding(part, "warn", f"{len(heard.data)} bytes that are no frame", expected, advice)
    saw = "its own frame comes back, which is stood" if echo else "no echo"
    return Finding(part, "ok", saw + (", and a station answers" if answered else ", nobody answers"), expected)
