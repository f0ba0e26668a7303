"""`watti site`: what it prints, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from watti.cli import main
from watti.scenario import CONFIGS

SITES = CONFIGS / "sites"
MIXED = """\
Mixed: 5 members on 5 nodes

node           kind         phases  lines  volts  limit                rule    in use
service        service      three          480    125 A breaker x 0.8  phasor  A 52.6 / B 52.6 / C 64.2 of 100 A
  transformer  transformer  three          208    75 kVA               phasor  A 139.8 / B 111.2 / C 139.8 of 208.2 A
    panel      panel        three          208    175 A breaker x 0.8  phasor  A 139.8 / B 111.2 / C 139.8 of 140 A
      west     circuit      single  AB     208    60 A breaker x 0.8   scalar  48.0 of 48 A
      east     circuit      single  BC     208    100 A breaker x 0.8  scalar  64.2 of 80 A

member      node   lines  stations  rating  fallback       share   why no more
visitor     panel  CA               48 A    20.0 A chosen  16.2 A  panel, line A is full
fleet       panel  CA               80 A    80.0 A chosen  80.0 A  that is its rating
other-make  panel  AB               32 A    6.0 A          16.2 A  panel, line A is full
west        west          5         48 A    48.0 A chosen  48.0 A  that is its rating
east        east          3         80 A    60.0 A chosen  64.2 A  panel, line C is full"""
MIXED_PARTLY = """\
visitor     panel  CA               48 A    20.0 A chosen  48.0 A  that is its rating
fleet       panel  CA               80 A    80.0 A chosen  -       it does not ask
other-make  panel  AB               32 A    6.0 A          -       it does not ask; its fallback of 6 A is kept free
west        west          5         48 A    48.0 A chosen  48.0 A  that is its rating
east        east          3         80 A    60.0 A chosen  -       it does not ask"""


def printed(capsys: pytest.CaptureFixture[str], stem: str, *options: str) -> list[str]:
    assert main(["site", str(SITES / f"{stem}.toml"), *options]) == 0
    return capsys.readouterr().out.splitlines()


def fields(capsys: pytest.CaptureFixture[str], stem: str, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("\n".join(printed(capsys, stem, "--json", *options)))
    return found


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert main(["site", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_the_tree_with_its_limits_and_the_shares_with_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\n".join(printed(capsys, "mixed")) == MIXED


def test_only_those_who_ask_get_something_and_a_fallback_that_comes_at_once_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, "mixed", "--asking", "west,visitor")
    assert "\n".join(lines[-5:]) == MIXED_PARTLY
    assert lines[5].endswith("A 88.4 / B 54.0 / C 48.0 of 140 A")  # 54 A on AB, 48 A on CA


def test_a_site_without_lines_and_groups_has_no_such_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "circuit", "--asking", "s1,s2")
    assert lines[0] == "Circuit: 4 members on 1 node"
    assert lines[2].split() == ["node", "kind", "phases", "volts", "limit", "rule", "in", "use"]
    assert lines[5].split() == ["member", "node", "rating", "fallback", "share", "why", "no", "more"]
    assert lines[6] == "s1      circuit  48 A    12.0 A chosen  24.0 A  circuit is full"


def test_a_budget_is_used_in_kilowatts(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "portfolio")[3].split() == ["all", "budget", "60", "kW", "59.9", "of", "60", "kW"]


def test_a_metered_node_has_its_worst_load_until_one_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "dynamic")
    assert lines[3].endswith("A 399.9 / B 399.9 / C 399.9 of 400 A")
    assert lines[7] == "s1      parking  AB     48 A    14.4 A chosen  14.4 A  service, line A is full"
    assert lines[-1] == "building at meter main on service: 350 / 350 / 350 A (its worst, as nothing is given)"
    lines = printed(capsys, "dynamic", "--building", "service=300,280,310")
    assert lines[-1] == "building at meter main on service: 310 / 290 / 320 A (as this meter counts what is given)"
    lines = printed(capsys, "dynamic", "--building", "service=390.5")
    assert lines[3].endswith("A 400.5 / B 400.5 / C 400.5 of 400 A")
    assert (
        lines[7] == "s1      parking  AB     48 A    14.4 A chosen  0.0 A  it waits: 6 A don't fit in service, line A"
    )


def test_where_the_lines_of_a_meter_are_not_sure_each_counts_the_fullest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "house.toml"
    file.write_text((SITES / "split_phase.toml").read_text().replace("lines_sure = true", "lines_sure = false"))
    assert main(["site", str(file), "--building", "service=70,100"]) == 0
    assert "legs on service: 105 / 105 A" in capsys.readouterr().out


def test_a_meter_whose_worst_is_not_written_assumes_all_there_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "house.toml"
    file.write_text((SITES / "split_phase.toml").read_text().replace("worst_a = 140\n", ""))
    assert main(["site", str(file)]) == 0
    out = capsys.readouterr().out
    assert "L1 160.0 / L2 160.0 of 160 A" in out
    assert "legs on service: 160 / 160 A (its worst, as nothing is given)" in out


def test_a_load_without_a_meter_counts_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "panel", "--building", "panel=40")
    assert lines[3].endswith("200.0 of 200 A")
    assert lines[-1] == "s8      panel  48 A    25.0 A chosen  20.0 A  panel is full"


def test_json_has_the_fields_that_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = fields(capsys, "panel_phasor", "--asking", "s1,s2", "--building", "panel=150,170,160")
    assert found["name"] == "Panel, lines known"
    assert found["nodes"] == [
        {
            "name": "panel",
            "kind": "panel",
            "parent": None,
            "phases": "three",
            "lines": "",
            "voltage_v": 208.0,
            "rule": "phasor",
            "written": "200 A",
            "unit": "A",
            "building_a": [150.0, 170.0, 160.0],
            "in_use": [
                {"line": "A", "used": 167.3, "limit": 200.0},
                {"line": "B", "used": 199.96, "limit": 200.0},
                {"line": "C", "used": 177.3, "limit": 200.0},
            ],
        }
    ]
    assert found["members"][0] == {
        "name": "s1",
        "node": "panel",
        "lines": "AB",
        "stations": 1,
        "rating_a": 48.0,
        "fallback_a": 38.4,
        "fallback_chosen": True,
        "asks": True,
        "share_a": 17.3,
        "bound": {"why": "node", "node": "panel", "line": "B"},
    }
    assert [member["asks"] for member in found["members"]] == [True, True] + [False] * 6
    assert found["members"][7]["bound"]["why"] == "idle"


def test_json_of_a_budget_is_in_watts(capsys: pytest.CaptureFixture[str]) -> None:
    budget = fields(capsys, "portfolio")["nodes"][0]
    assert (budget["unit"], budget["building_a"]) == ("W", None)
    assert budget["in_use"] == [{"line": "", "used": 59942.4, "limit": 60000.0}]


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "--help"]) == 0
    assert "example:\n  watti site configs/sites/panel.toml --asking s1,s2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--asking", "s1,s11"], 'argument --asking: expected "all" or names of members (got "s11"), did you mean s1?'),
        (["--asking", "s1,"], "argument --asking: expected a name of 1 to 32 letters"),
        (["--building", "panl=3"], 'argument --building: expected a node with lines (got "panl"), did you mean panel?'),
        (["--building", "panel=1,2"], "argument --building: expected 1 or 3 numbers, as panel has 3 lines (got 2)"),
        (["--building", "panel=1,2,3,4"], "argument --building: expected 1 or 3 numbers, as panel has 3 lines (got 4)"),
        (["--building", "panel=nan"], "argument --building: expected a number from 0 to 100000 (got nan)"),
        (["--building", "panel"], 'argument --building: expected a number from 0 to 100000 (got "")'),
        (["--building", "=3"], "argument --building: expected a name of 1 to 32 letters"),
    ],
)
def test_bad_options_are_one_line(capsys: pytest.CaptureFixture[str], options: list[str], error: str) -> None:
    (said,) = refused(capsys, str(SITES / "panel.toml"), *options)
    assert said.startswith(f"watti site: {error}")


def test_every_bad_option_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--asking", "x,y", "--building", "all=3", "--building", "z=1"]
    said = refused(capsys, str(SITES / "portfolio.toml"), *options)
    assert [line.split("got ")[1] for line in said] == ['"x")', '"y")', '"all")', '"z")']


def test_a_bad_site_is_refused_with_all_its_errors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text((SITES / "circuit.toml").read_text().replace('node = "circuit"', 'nod = "circuit"\nmin = 3'))
    said = refused(capsys, str(file))
    assert len(said) == 3
    assert all(line.startswith(f"{file}: station[0].") for line in said)
