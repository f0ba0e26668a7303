"""Every parser takes bytes from hell, and the fuzzer that says so finds what is planted."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse

from firmware import config, diary, rotary
from firmware.bus import messages, plain, rtu
from firmware.bus.enrolment import Search
from firmware.bus.messages import Grant
from firmware.protection import FAULTS
from firmware.sharing import rivals
from firmware.sharing.lease import LeaseHolder
from firmware.sharing.ledger import Ledger
from hal import journal
from hal.simulated.channel import Channel
from hal.simulated.plant import Plant
from tests.fuzz import fuzzer, talk
from tests.fuzz.fuzzer import Escape, Target, fuzz, hunt, outcome
from tests.fuzz.targets import TARGETS
from watti import cli, logs, tap
from watti import scenario as scenarios
from watti import site_file as site_files
from watti.simulation import Simulation

SOME_BYTES = 20_000
MORE_BYTES = {"splitter": 60_000, "messages": 60_000, "search": 20_000, "plain": 40_000, "tap": 40_000}
"""What goes through in the suite; `python -m tests.fuzz --bytes N` puts any number through."""
FOUND_BYTES = 500_000
"""By then any of the planted defects is found, most in far less."""


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_escapes(name: str) -> None:
    tally = fuzz(TARGETS[name], MORE_BYTES.get(name, SOME_BYTES), seed=1)
    assert not tally.escapes
    assert tally.accepted > 0, "nothing gets past the first check"


# What a careless parser does


def _loses_a_frame_after_garbage() -> Callable[[bytes], tuple[int, int] | None]:
    sound = rtu._next

    def found(stream: bytes) -> tuple[int, int] | None:
        first = sound(stream)
        return None if first is not None and first[0] > 9 else first

    return found


def _identifies_anything(self: plain.PlainModbus, pdu: ReadDeviceInformationRequest) -> ReadDeviceInformationResponse:
    return ReadDeviceInformationResponse(pdu.read_code, {pdu.object_id: self._objects[pdu.object_id]})


def _believes_any_grant() -> Callable[[LeaseHolder, Grant, int, float], bool]:
    accept = LeaseHolder.accept
    return lambda self, grant, rating_da, now: accept(self, grant._replace(limit_da=0xFFFF), 0xFFFF, now)


def _divides_by_its_draw() -> Callable[[Any], Any]:
    spec_of = scenarios._vehicle_spec

    def careless(valid: Any) -> Any:
        spec = spec_of(valid)
        assert 1 / spec.draw_ratio
        return spec

    return careless


def _plugs_a_second_vehicle(self: Simulation, plant: Plant, vehicle: str, now: float) -> None:
    plant.plug(self.scenario.vehicles[vehicle], now)


def _believes_its_memory(self: rivals.Rivals) -> None:
    record = json.loads(self._store.load())
    if record.get("switch") == self._digit:
        self.serial = record["yielded_to"]


def _takes_any_line(self: Channel) -> list[Any]:
    self._fill()
    *lines, self._inbox = self._inbox.split(b"\n")
    return [json.loads(line) for line in lines]


def _believes_any_answer(connected: socket.socket, request: object) -> Any:
    return json.loads(connected.recv(1 << 20))


@dataclass(frozen=True, slots=True)
class Defect:
    """What is planted, and where."""

    target: str
    where: object
    name: str
    make: Callable[[], object]


DEFECTS = (
    Defect("splitter", rtu, "_next", _loses_a_frame_after_garbage),
    Defect("messages", messages, "_REASONS", lambda: tuple(messages.Reason)[:-1]),
    Defect("search", Search, "on_silence", lambda: lambda self: None),
    Defect("plain", plain.PlainModbus, "_identify", lambda: _identifies_anything),
    Defect("tap", tap, "word", lambda: lambda number: FAULTS[number].code),
    Defect("reports", Ledger, "free_da", lambda: lambda self, row, now: self.limit_da),
    Defect("station noise", messages, "crc32", lambda: lambda data, seed: 0),
    Defect("station forged", LeaseHolder, "accept", _believes_any_grant),
    Defect("station file", config, "_shown", lambda: str),
    Defect("chart file", rotary, "settle", lambda: lambda errors: None),
    Defect("vehicle file", scenarios, "_vehicle_spec", _divides_by_its_draw),
    Defect("scenario file", Simulation, "_plug", lambda: _plugs_a_second_vehicle),
    Defect("site file", site_files, "_sound", lambda: lambda check, entries: enumerate(entries or ())),
    Defect("yield record", rivals.Rivals, "_load", lambda: _believes_its_memory),
    Defect("session record", diary, "isfinite", lambda: lambda number: True),
    Defect("event log", logs, "stamped", lambda: lambda value: isinstance(value, dict)),
    Defect("journal file", journal, "_cut_back", lambda: lambda fd: 0),
    Defect("bench socket", Channel, "receive", lambda: _takes_any_line),
    Defect("answers", talk, "_exchange", lambda: _believes_any_answer),
    Defect("command line", cli, "parse_position", lambda: dict.fromkeys("0123456789ABCDEF", 0).__getitem__),
)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.target)
def test_a_planted_defect_is_found(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defect.where, defect.name, defect.make())
    assert hunt(TARGETS[defect.target], FOUND_BYTES, seed=1) is not None


def test_every_target_has_a_planted_defect() -> None:
    assert [defect.target for defect in DEFECTS] == list(TARGETS)


# The fuzzer itself


def _brittle(data: bytes) -> str:
    if b"\xff" in data[3:]:
        raise IndexError(len(data))
    return "accepted" if data else "refused"


BRITTLE = Target("brittle", lambda rng: rng.randbytes(rng.randrange(60)), _brittle)


def test_a_seed_is_a_run() -> None:
    one, same, other = (fuzz(BRITTLE, 5000, seed) for seed in (1, 1, 2))
    assert one == same
    assert (one.inputs, one.escapes) != (other.inputs, other.escapes)
    assert one.bytes >= 5000
    assert one.accepted + one.refused < one.inputs


def test_what_escapes_is_made_small_and_told_once() -> None:
    tally = fuzz(BRITTLE, 5000, seed=1)
    assert [escape.data[3:] for escape in tally.escapes.values()] == [b"\xff"]
    assert len(tally.escapes) == 1


def test_what_spins_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def spins(data: bytes) -> str:
        while True:
            pass

    monkeypatch.setattr(fuzzer, "SPINS_S", 0.05)
    found = outcome(Target("spins", lambda rng: b"", spins), b"")
    assert isinstance(found, Escape)
    assert found.where == "Spins"
