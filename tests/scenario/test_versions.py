"""A group of mixed protocol versions: who can, shares; who can't, says why, and is served once it is updated."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from firmware import app
from firmware.bus import messages
from firmware.bus.messages import Assign, Assigned, Identity, Refuse, encode_enrolment
from firmware.bus.versions import OWN, PROTOCOL, Software
from firmware.sharing import enroller, members, secondary
from firmware.sharing.rivals import Phase
from hal.api import Inputs, Node
from hal.simulated.world import Boot
from tests.scenario.helpers import READY_S, TIMING, Bench, event, judged, plugs, scenario
from watti import simulation
from watti.run import described
from watti.scenario import Event

LATER = Software(PROTOCOL + 1, 0x01020003)
SERIALS = [0x10, 0x20, 0x30, 0x40]
YIELDED = ("more_than_one_primary", "more_than_one_primary")
_POLL_KEY = messages._POLL_KEY
_OTHER_POLL_KEY = bytes((0x17, 0x03)) + _POLL_KEY[2:]
"""Polls of another protocol are other frames."""
_SPOKEN: list[tuple[Any, str, Callable[[Software], object]]] = [
    (messages, "PROTOCOL", lambda software: software.protocol),
    (messages, "_POLL_KEY", lambda software: _POLL_KEY if software.protocol == PROTOCOL else _OTHER_POLL_KEY),
    *((module, "OWN", lambda software: software) for module in (app, enroller, members, secondary)),
]


@contextmanager
def speaking(software: Software) -> Iterator[None]:
    """Within it, the firmware is another version."""
    before = [getattr(module, name) for module, name, _ in _SPOKEN]
    for module, name, other in _SPOKEN:
        setattr(module, name, other(software))
    try:
        yield
    finally:
        for (module, name, _), value in zip(_SPOKEN, before, strict=True):
            setattr(module, name, value)


class Versioned(app.App):
    """The firmware of one station, of the version that is installed there when it starts."""

    def __init__(self, software: Software, *args: Any) -> None:
        self.software = software
        with speaking(software):
            super().__init__(*args)

    def step(self, now: float) -> None:
        with speaking(self.software):
            super().step(now)

    def on_inputs(self, inputs: Inputs, now: float) -> None:
        with speaking(self.software):
            super().on_inputs(inputs, now)

    def on_bytes(self, data: bytes, now: float) -> bool:
        with speaking(self.software):
            return super().on_bytes(data, now)


class Mixed(Bench):
    """Stations of which those in `software`, by number, start with another version."""

    def __init__(
        self, events: list[Event], switches: str, software: dict[int, Software], seed: int = 1, off: Sequence[int] = ()
    ) -> None:
        super().__init__(scenario(events, switches, serials=SERIALS[: len(switches)], off=off), seed)
        self.software = software
        self._boot, self.world._boot = self.world._boot, self._start
        self.log: list[tuple[int, str, Any]] = []
        self.world.record = lambda index, what, fields, now: self.log.append((index + 1, what, fields))

    def _start(self, boot: Boot) -> Node:
        software = self.software.get(boot.station + 1, OWN)
        with patch.object(simulation, "App", partial(Versioned, software)):
            return self._boot(boot)

    def bus(self, station: int) -> Any:
        return described(self.app(station))["bus"]

    def logged(self, station: int, what: str) -> list[Any]:
        return [fields for number, event, fields in self.log if (number, event) == (station, what)]


@contextmanager
def within_the_limit(bench: Bench) -> Iterator[None]:
    """As `judged`, which reads polls of this protocol only."""
    yield
    assert bench.violations == []


def refused(serial: int, software: Software) -> dict[str, object]:
    version = {"protocol": software.protocol, "firmware": software.version}
    return {"serial": f"{serial:012X}", "why": "protocol", **version}


OTHERS = [LATER, Software(0, 0), Software(255, 0xFFFFFFFF)]


@pytest.mark.parametrize("software", OTHERS, ids=str)
def test_a_member_of_another_protocol_says_so_and_the_others_are_served_until_it_is_updated(software: Software) -> None:
    bench = Mixed([*plugs(1, 2, 3), event(100, "restart", 3)], "BFF", {3: software})
    with judged(bench):
        bench.run(99.9)
        assert bench.faults() == ["", "", "protocol"]
        assert bench.plant(3).light.words == "amber 1-4"
        assert bench.drawn() == [24.0, 24.0, 0.0]
        assert bench.bus(1)["refused"] == [refused(SERIALS[2], software)]
        assert [member["serial"] for member in bench.bus(1)["members"]] == ["000000000020"]
        assert bench.bus(3) == {**bench.bus(3), "primary": None, "refused_by": refused(SERIALS[0], OWN)}
        bench.software.clear()
        bench.run(READY_S + 120)
        assert bench.faults() == [""] * 3
        assert bench.drawn() == [16.0] * 3
        assert bench.bus(1)["refused"] == []
        assert bench.bus(3) == {**bench.bus(3), "primary": "000000000010", "refused_by": None}


def test_a_member_of_another_firmware_and_the_same_protocol_is_served_and_named() -> None:
    bench = Mixed(plugs(1, 2, 3), "BFF", {3: Software(PROTOCOL, 0x09080007)})
    with judged(bench):
        bench.run(60)
        assert bench.drawn() == [16.0] * 3
        versions = {member["serial"]: member["firmware"] for member in bench.bus(1)["members"]}
        assert versions == {"000000000020": OWN.version, "000000000030": "9.8.7"}


def test_a_refusal_is_logged_at_once_and_that_of_another_version_anew() -> None:
    """Also when nothing else happens meanwhile, at either side."""
    bench = Mixed([event(60, "power_on", 3), event(90, "restart", 1)], "BFF", {2: LATER, 3: LATER}, off=[3])
    bench.run(59)
    bench.log.clear()
    bench.run(63)
    assert bench.logged(1, "group") == [{"members": [], "refused": [refused(serial, LATER) for serial in SERIALS[1:3]]}]
    bench.software[1] = Software(PROTOCOL + 2, 0)
    bench.log.clear()
    bench.run(100)
    assert bench.logged(2, "group") == [{"primary": None, "refused_by": refused(SERIALS[0], bench.software[1])}]


def test_an_answer_to_an_assignment_counts_for_its_session_only() -> None:
    bench = Mixed([event(0.0, "bus_cut", 2, direction="send")], "BF", {})
    bench.run(5)
    primary = bench.primary()
    assign = Assign(Identity(SERIALS[0], 1), Identity(SERIALS[1], 2), 3, 4)
    primary.group.enrol(assign.station, 5.0)
    for wrong in (Assigned(assign.station, 99, 480), Assigned(Identity(7, 7), 99, 480)):
        assert not primary._enroller.on_assigned(wrong, assign)
    assert [member.session for member in primary.group.secondaries] == [0]


def test_the_log_of_both_sides_names_the_other_and_its_version_once() -> None:
    bench = Mixed([event(100, "restart", 3)], "BFF", {3: LATER})
    bench.run(99.9)
    said = bench.logged(1, "group")
    assert said[-1] == {"members": ["000000000020"], "refused": [refused(SERIALS[2], LATER)]}
    assert len(said) <= 4
    assert bench.logged(3, "group") == [{"primary": None}, {"primary": None, "refused_by": refused(SERIALS[0], OWN)}]
    assert [fields["fault"] for fields in bench.logged(3, "fault")] == ["protocol"]
    assert bench.logged(3, "clear") == []


def test_a_primary_of_another_protocol_charges_alone_until_it_is_updated() -> None:
    bench = Mixed([*plugs(1, 2, 3), event(100, "restart", 1)], "BFF", {1: LATER})
    with within_the_limit(bench):
        bench.run(99.9)
        assert bench.faults() == ["", "protocol", "protocol"]
        assert bench.drawn() == [48.0, 0.0, 0.0]
        assert bench.roles()[0] == "standalone"
        assert bench.bus(1)["refused"] == [refused(serial, OWN) for serial in SERIALS[1:3]]
        assert bench.bus(2)["refused_by"] == refused(SERIALS[0], LATER)
        bench.software.clear()
        bench.run(100 + TIMING.release_s + 40)
        assert bench.faults() == [""] * 3
        assert bench.drawn() == [16.0] * 3


def test_a_group_is_updated_station_by_station() -> None:
    """Whoever differs from the primary offers nothing meanwhile; in the end all charge again."""
    restarts = [event(60 + 60 * i, "restart", station) for i, station in enumerate((2, 1, 3))]
    bench = Mixed([*plugs(1, 2, 3), *restarts], "BFF", {})
    shown = []
    with within_the_limit(bench):
        for restart, station in zip(restarts, (2, 1, 3), strict=True):
            bench.run(restart.at_s - 0.1)
            bench.software[station] = LATER
            bench.run(restart.at_s + 59)
            shown.append((bench.faults(), bench.drawn()))
    assert shown == [
        (["", "protocol", ""], [24.0, 0.0, 24.0]),
        (["", "", "protocol"], [24.0, 24.0, 0.0]),
        (["", "", ""], [16.0, 16.0, 16.0]),
    ]


@pytest.mark.parametrize(("first", "second"), [(OWN, LATER), (LATER, OWN)])
def test_a_primary_of_another_protocol_is_heard_and_yields(first: Software, second: Software) -> None:
    bench = Mixed(
        [*plugs(1, 2, 3, at_s=5.0), event(60, "power_on", 2)], "BBF", {1: first, 2: second, 3: first}, off=[2]
    )
    with within_the_limit(bench):
        bench.run(59.9)
        assert bench.drawn() == [24.0, 0.0, 24.0]
        bench.run(120)
        assert (bench.reasons()[1], bench.faults()[1]) == YIELDED
        assert bench.faults()[0] == "more_than_one_primary"
        assert bench.drawn() == [24.0, 0.0, 24.0]
        assert (bench.bus(1)["rival"], bench.bus(2)["rival"]) == ("000000000020", "000000000010")


@pytest.mark.parametrize(("first", "second"), [(OWN, LATER), (LATER, OWN)])
def test_one_that_yielded_goes_on_when_the_other_protocol_s_switch_is_turned_to_f(
    first: Software, second: Software
) -> None:
    events = [*plugs(1, 2, at_s=5.0), event(60, "switch", 2, position=0xA), event(100, "switch", 1, position=0xF)]
    bench = Mixed(events, "BF", {1: first, 2: second})
    with within_the_limit(bench):
        bench.run(99)
        assert (bench.reasons()[1], bench.faults()[1]) == YIELDED
        bench.run(160)
        assert bench.faults() == ["protocol", ""]
        assert bench.drawn() == [0.0, 40.0]


@pytest.mark.parametrize("seed", range(6))
def test_two_of_different_protocols_that_start_together_never_both_give(seed: int) -> None:
    bench = Mixed(plugs(1, 2, 3, at_s=5.0), "BBF", {2: LATER}, seed)
    with within_the_limit(bench):
        while bench.now < 40:
            bench.run(bench.now + 0.1)
            assert sum(bench.primary(i).phase is Phase.SITTING for i in (1, 2)) <= 1
    assert "more_than_one_primary" in bench.faults()


@pytest.mark.parametrize("why", [0, 4, 255])
def test_a_refusal_for_a_reason_of_a_later_version_is_shown_and_ends(why: int) -> None:
    bench = Mixed(plugs(1, 2), "BF", {})
    with judged(bench):
        bench.run(60)
        address = bench.primary().group.secondaries[0].address
        refuse = Refuse(Identity(SERIALS[0], 9), SERIALS[1], why, LATER)
        bench.app(2).on_bytes(encode_enrolment(address, refuse), bench.world.slots[1].local(bench.now))
        bench.run(60.1)
        assert bench.faults()[1] == "protocol"
        assert bench.offered()[1] == 0.0
        bench.run(120)
        assert bench.faults() == [""] * 2
        assert bench.drawn() == [24.0] * 2


def test_a_member_that_comes_back_with_another_protocol_is_not_polled_as_before() -> None:
    bench = Mixed([*plugs(1, 2), event(60, "restart", 2)], "BF", {})
    with judged(bench):
        bench.run(59.9)
        bench.software[2] = LATER
        bench.run(62)
        assert bench.faults()[1] == "protocol"
        bench.run(60 + TIMING.release_s + 10)
        assert bench.drawn() == [48.0, 0.0]
        assert bench.bus(1)["members"] == []


def test_whoever_speaks_a_later_protocol_on_both_ends_is_served() -> None:
    bench = Mixed(plugs(1, 2), "BF", {1: LATER, 2: LATER})
    with within_the_limit(bench):
        bench.run(60)
        assert bench.drawn() == [24.0] * 2
        assert [member["firmware"] for member in bench.bus(1)["members"]] == ["1.2.3"]
