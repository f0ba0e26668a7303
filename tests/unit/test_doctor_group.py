"""`watti doctor --group`: what it makes of what the stations say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.doctor_table import CHART
from watti import doctor_group
from watti.cli import main
from watti.doctor_group import Trouble, roll_call, table, told, troubles_of

Status = dict[str, Any]


def station(
    name: str, role: str, switch: int | None, serial: str, bus: Mapping[str, Any] | None = None, **said: Any
) -> Status:
    """As a server tells of it."""
    firmware = {
        "serial": serial,
        "rating_a": 48,
        "protocol": 1,
        "firmware": "0.1.0",
        "role": role,
        "limit_a": 48.0,
        "reason": "idle",
        "fault": "",
        "faults": [],
        "why": "",
        "bus": dict(bus or {}),
        **said,
    }
    return {
        "t_s": 1.0,
        "station": name,
        "switch": switch,
        "letter": "A",
        "offered_a": 0.0,
        "drawn_a": 0.0,
        "closed": False,
        "vehicle": None,
        "pid": 1,
        "alive": True,
        "firmware": firmware,
    }


def member(serial: str, address: int, **more: Any) -> Status:
    return {
        "serial": serial,
        "address": address,
        "rating_a": 80.0,
        "protocol": 1,
        "firmware": "0.2.0",
        "polls": 1000,
        "missed": 0,
        "bad": 0,
        "fault": "",
        **more,
    }


def primary(*members: Status, **bus: Any) -> Status:
    return station("s1", "primary", 11, "A1", {"members": list(members), **bus})


def rows_of(*statuses: Status) -> dict[str, Any]:
    return {status["station"]: doctor_group._row(status) for status in statuses}


def found(*statuses: Status) -> list[Trouble]:
    rows = rows_of(*statuses)
    return list(troubles_of(rows, roll_call(rows), CHART))


def test_the_roll_call_has_each_station_once() -> None:
    rows = rows_of(
        station("s2", "secondary", 15, "B2"),
        primary(member("C3", 2, missed=25, bad=3), member("B2", 1)),
    )
    present = roll_call(rows)
    assert [(one.serial, one.name, one.role, one.address) for one in present] == [
        ("A1", "s1", "primary", None),
        ("B2", "s2", "secondary", 1),
        ("C3", "", "secondary", 2),
    ]
    assert table(present) == [
        "serial  station  role       address  model  switch  firmware            polls  missed %  bad",
        "A1      s1       primary    -        48A    B       0.1.0 (protocol 1)  -      -         -",
        "B2      s2       secondary  1        48A    F       0.1.0 (protocol 1)  1000   0.0       0",
        "C3      -        secondary  2        80A    F       0.2.0 (protocol 1)  1000   2.5       3",
    ]


def test_a_group_that_is_well() -> None:
    troubles = found(primary(member("B2", 1)), station("s2", "secondary", 15, "B2"))
    assert troubles == []
    assert told(troubles) == ["ok    nothing is wrong with this group"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (
            [station("s1", "none", 12, "A1", fault="switch_unsupported", faults=["switch_unsupported"])],
            ("switch_unsupported", "red 1-1", "s1", "Switch position C sets 56 A, more than a 48A model supports"),
        ),
        (
            [station("s1", "none", None, "A1")],
            ("switch_unreadable", "red 1-2", "s1", "The rotary switch can't be read"),
        ),
        (
            [primary(), station("s2", "standalone", 3, "B2")],
            ("more_than_one_primary", "amber 6-2", "s1, s2", "2 stations are set to amps"),
        ),
        (
            [primary(rival="0000000000E9")],
            ("more_than_one_primary", "amber 6-2", "s1", "another primary is on the line: 0000000000E9"),
        ),
        (
            [station("s2", "secondary", 15, "B2", fault="more_than_one_primary", faults=["more_than_one_primary"])],
            (
                "more_than_one_primary",
                "amber 6-2",
                "",
                "another primary is on the line: a station that is not known here",
            ),
        ),
        (
            [station(name, "secondary", 15, name, fault="no_primary", faults=["no_primary"]) for name in ("s1", "s2")],
            (
                *("no_primary", "amber 6-1", "s1, s2"),
                "every station that is known here stands at F, and none is set to amps",
            ),
        ),
        (
            [primary(), station("s2", "secondary", 15, "B2", fault="no_primary", faults=["no_primary"])],
            ("no_primary", "amber 6-1", "s2", "it hears no primary"),
        ),
        (
            [primary(refused=[{"serial": "F6", "why": "group_full", "protocol": 1, "firmware": "0.1.0"}])],
            ("group_full", "amber 6-3", "F6", "refused: group_full, firmware 0.1.0, protocol 1"),
        ),
        (
            [primary(refused=[{"serial": "F6", "why": "duplicate_serial"}])],
            ("duplicate_serial", "amber 6-4", "F6", "refused: duplicate_serial"),
        ),
        (
            [primary(), station("s2", "secondary", 15, "A1")],
            ("duplicate_serial", "amber 6-4", "s1, s2", "2 stations have the serial number A1"),
        ),
        (
            [primary(member("B2", 1, missed=15, bad=6))],
            ("", "", "B2", "2.1% of 1000 polls without a sound answer"),
        ),
        (
            [primary(member("B2", 1, fault="ground_fault"))],
            ("ground_fault", "red 3-1", "B2", "Current leaks to ground in the vehicle or its cable."),
        ),
        ([{**primary(), "alive": False}], ("", "", "s1", "its process does not run")),
    ],
)
def test_what_is_wrong(statuses: list[Status], expected: tuple[str, str, str, str]) -> None:
    [trouble] = found(*statuses)
    assert (trouble.code, trouble.lamp, trouble.who, trouble.saw) == expected
    assert trouble.advice
    assert trouble.result == ("warn" if "polls" in trouble.saw else "fail")


def test_another_protocol() -> None:
    [trouble] = found(primary(refused=[{"serial": "F6", "why": "protocol", "protocol": 2, "firmware": "0.9.0"}]))
    assert trouble.saw == "refused: protocol, firmware 0.9.0, protocol 2"
    assert trouble.advice == "its firmware speaks another protocol: install the same version on all stations"


@pytest.mark.parametrize(("limit_a", "said"), [(18.0, False), (17.0, True)])
def test_a_total_too_low_for_all_at_once(limit_a: float, said: bool) -> None:
    of = primary(member("B2", 1), member("C3", 2))
    of["firmware"]["limit_a"] = limit_a
    troubles = found(of)
    assert bool(troubles) is said
    if said:
        assert troubles[0].result == "warn"
        assert troubles[0].saw == "17 A for 3 stations: 2 at a time can have 6 A, by turns"


def test_few_polls_tell_nothing() -> None:
    assert found(primary(member("B2", 1, polls=49, missed=49))) == []


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Path, Status]]:
    stations: dict[str, tuple[Path, Status]] = {}
    monkeypatch.setattr(doctor_group, "find", lambda _: stations)
    return stations


def test_the_command(
    running: dict[str, tuple[Path, Status]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running["s1"] = tmp_path, primary()
    assert main(["doctor", "--group", "--dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("\n\nok    nothing is wrong with this group\n")
    running["s1"] = tmp_path, primary(rival="0000000000E9")
    assert main(["doctor", "--group", "--dir", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "fail  s1: another primary is on the line: 0000000000E9 [amber 6-2]\n      do: turn all but one" in out
    assert main(["doctor", "--group", "--json", "--dir", str(tmp_path)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [one["serial"] for one in said["stations"]] == ["A1"]
    assert [one["code"] for one in said["findings"]] == ["more_than_one_primary"]


def test_a_station_without_a_process(running: dict[str, tuple[Path, Status]], tmp_path: Path) -> None:
    running["s1"] = tmp_path, {**primary(), "firmware": None, "pid": None, "alive": False}
    assert main(["doctor", "--group", "--dir", str(tmp_path)]) == 1


def test_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--group", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"watti: no bench runs in {tmp_path}")
