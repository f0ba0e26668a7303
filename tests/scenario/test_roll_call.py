"""What a station says of its group to whoever asks: the members, who is refused and why, who else is set to amps."""

import json
from typing import Any

from firmware import __version__
from firmware.bus.registers import MAP
from firmware.bus.rtu import frame
from firmware.bus.versions import PROTOCOL, packed
from tests.scenario.helpers import Bench, event, plugs, scenario
from watti.run import described

SERIALS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60]
OWN = {"protocol": PROTOCOL, "firmware": __version__}


def said(bench: Bench, station: int) -> Any:
    """As it comes out of a status file."""
    return json.loads(json.dumps(described(bench.app(station)), allow_nan=False))


def members(bench: Bench) -> dict[str, Any]:
    return {member["serial"]: member for member in said(bench, 1)["bus"]["members"]}


def test_a_station_says_who_it_is() -> None:
    bench = Bench(scenario([], "BF", serials=SERIALS[:2], models=["48A", "80A"]))
    bench.run(30)
    for station, serial, rating_a in ((1, "000000000010", 48), (2, "000000000020", 80)):
        entry = said(bench, station)
        assert entry == {**entry, "serial": serial, "rating_a": rating_a, **OWN}
    assert said(bench, 2)["bus"] == {**said(bench, 2)["bus"], "primary": "000000000010", "refused_by": None}
    assert "members" not in said(bench, 2)["bus"]


def test_the_primary_knows_each_member() -> None:
    events = [*plugs(2), event(60, "fault", 3, kind="meter"), event(60, "fault", 4, kind="thermometer")]
    bench = Bench(scenario(events, "BFFF", serials=SERIALS[:4], models=["48A", "48A", "80A", "48A"]))
    bench.run(90)
    found = members(bench)
    assert sorted(found) == ["000000000020", "000000000030", "000000000040"]
    charging, faulted, warm = (found[serial] for serial in sorted(found))
    assert len({member["address"] for member in found.values()}) == 3
    assert [member["rating_a"] for member in (charging, faulted, warm)] == [48.0, 80.0, 48.0], "that of the model"
    assert [member["fault"] for member in (charging, faulted, warm)] == ["", "meter", "thermometer"]
    assert [(member["wants"], member["holds"]) for member in (charging, faulted)] == [(True, True), (False, False)]
    assert all(OWN.items() <= member.items() for member in found.values())
    assert warm["polls"] > 100
    assert warm["missed"] == warm["bad"] == warm["late"] == 0
    assert (said(bench, 1)["bus"]["refused"], said(bench, 1)["bus"]["rival"]) == ([], None)


def test_a_member_that_waits_wants_and_does_not_hold() -> None:
    bench = Bench(scenario(plugs(2, 3), "0FF", serials=SERIALS[:3]))
    bench.run(60)
    assert sorted((member["wants"], member["holds"]) for member in members(bench).values()) == [
        (True, False),
        (True, True),
    ]


def test_any_modbus_master_reads_the_versions() -> None:
    bench = Bench(scenario([], "F"))
    bench.run(5)
    sent: list[bytes] = []
    bench.world.overhear = lambda station, data: sent.append(data)
    at = [register.name for register in MAP].index("protocol")
    first = sum(register.size for register in MAP[:at])
    bench.app(1).on_bytes(frame(bytes((247, 3, 0, first, 0, 3))), bench.world.slots[0].local(bench.now))
    bench.run(6)
    (answer,) = sent
    assert (answer[4], int.from_bytes(answer[5:9])) == (PROTOCOL, packed(__version__))


def test_a_member_that_is_enrolled_and_has_not_reported_is_named() -> None:
    bench = Bench(scenario([], "BF", serials=SERIALS[:2]))
    bench.run(0.0)
    bench.until(lambda: bool(bench.primary().group.secondaries), within_s=5)
    (member,) = members(bench).values()
    assert (member["fault"], member["wants"], member["holds"]) == ("", False, False)


def test_a_fifth_is_named_until_it_has_gone() -> None:
    events = [event(60, "power_on", 6), event(120, "power_off", 6)]
    bench = Bench(scenario(events, "BFFFFF", serials=SERIALS, off=[6]))
    bench.run(119)
    assert said(bench, 1)["bus"]["refused"] == [{"serial": "000000000060", "why": "group_full", **OWN}]
    assert said(bench, 6)["bus"]["refused_by"] == {"serial": "000000000010", "why": "group_full", **OWN}
    bench.run(181)
    assert said(bench, 1)["bus"]["refused"] == []


def test_a_fifth_that_takes_a_place_is_refused_no_more() -> None:
    bench = Bench(scenario([event(60, "power_off", 2)], "BFFFFF", serials=SERIALS))
    bench.run(59)
    assert [row["why"] for row in said(bench, 1)["bus"]["refused"]] == ["group_full"]
    bench.run(75)
    assert said(bench, 1)["bus"]["refused"] == []
    assert len(members(bench)) == 4


def test_twins_are_named_once_also_when_only_their_collisions_are_heard() -> None:
    bench = Bench(scenario([], "BFFF", serials=[1, 7, 9, 9]))
    bench.run(60)
    (row,) = said(bench, 1)["bus"]["refused"]
    assert (row["serial"], row["why"]) == ("000000000009", "duplicate_serial")
    assert list(members(bench)) == ["000000000007"]


def test_a_secondary_with_the_primary_s_serial_is_named() -> None:
    bench = Bench(scenario([], "BF", serials=[9, 9]))
    bench.run(60)
    assert said(bench, 1)["bus"]["refused"] == [{"serial": "000000000009", "why": "duplicate_serial", **OWN}]


def test_another_primary_is_named_by_both_as_long_as_it_is_there() -> None:
    events = [event(60, "power_on", 2), event(120, "power_off", 2)]
    bench = Bench(scenario(events, "BBF", serials=SERIALS[:3], off=[2]))
    bench.run(119)
    assert said(bench, 1)["bus"]["rival"] == "000000000020"
    assert said(bench, 2)["bus"] == {**said(bench, 2)["bus"], "rival": "000000000010", "members": [], "refused": []}
    bench.run(150)
    assert said(bench, 1)["bus"]["rival"] is None


def test_one_that_yields_has_no_list_of_refused_stations() -> None:
    """What it refused is its rival's business now."""
    events = [event(0, "bus_cut", 2), event(60, "bus_join", 2)]
    bench = Bench(scenario(events, "BBFFFFF", serials=[*SERIALS, 0x70]))
    bench.run(59)
    assert [row["why"] for row in said(bench, 1)["bus"]["refused"]] == ["group_full"]
    bench.run(70)
    assert said(bench, 1)["reason"] == "more_than_one_primary"
    assert said(bench, 1)["bus"]["refused"] == []
