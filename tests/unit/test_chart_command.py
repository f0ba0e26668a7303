"""`watti chart`, and the frame that all commands share: options, errors, exit codes."""

import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.config import ConfigError
from watti import chart, cli

ROOT = Path(__file__).parents[2]
COMMANDS = ["chart", "bench", "bus", "run", "status", "switch", "plug", "unplug", "fault", "log", "simulate", "tap"]
FUNCTIONS = ["run", "status", "switch", "plug", "unplug", "fault"]


def table(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert cli.main(["chart", *options]) == 0
    return capsys.readouterr().out.splitlines()


def rows(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads("\n".join(table(capsys, "--json", *options)))
    return found


def test_the_table_has_a_line_for_each_position(capsys: pytest.CaptureFixture[str]) -> None:
    lines = table(capsys)
    assert lines[0].split() == ["position", "output", "breaker", "role", "source", "note"]
    assert [line[0] for line in lines[1:]] == list("0123456789ABCDEF")
    assert re.split("  +", lines[1 + 0xB]) == [
        "B",
        "48 A",
        "60 A",
        "primary",
        "published",
        "factory setting of 48A",
    ]
    assert lines[1 + 0xF].split() == ["F", "-", "-", "secondary", "published"]


@pytest.mark.parametrize(("options", "refused"), [([], "CDE"), (["--model", "48a"], "CDE"), (["--model", "80A"], "")])
def test_the_table_marks_what_a_model_refuses(
    capsys: pytest.CaptureFixture[str], options: list[str], refused: str
) -> None:
    assert "".join(line[0] for line in table(capsys, *options) if "refused on 48A" in line) == refused


def test_json_has_the_fields_that_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys)
    published = {"role": "primary", "source": "published"}
    assert found[0xB] == {"position": "B", "amps": 48, "breaker_a": 60} | published
    assert found[0xF] == {"position": "F", "amps": None, "breaker_a": None} | published | {"role": "secondary"}
    assert len(found) == 16


def test_json_says_what_the_model_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    refused = {row["position"] for row in rows(capsys, "--model", "48A") if row["refused"] is True}
    assert refused == {"C", "D", "E"}
    assert not any(row["refused"] for row in rows(capsys, "--model", "80A"))


def test_a_bad_chart_is_refused_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chart.toml"
    path.write_text("row = []")
    monkeypatch.setattr(chart, "CHART_FILE", path)
    assert cli.main(["chart"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 17
    assert all(line.startswith(f"{path}: row: expected one row ") for line in err.splitlines())


# The frame


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert cli.main([command, "--help"]) == 0
    assert f"example:\n  watti {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", "watti: the following arguments are required: COMMAND"),
        ("chrat", "watti: argument COMMAND: invalid choice: 'chrat'"),
        ("chart --model 64A", 'watti chart: argument --model: expected "48A" or "80A" (got "64A")'),
        ("chart --mod 48A", "watti: unrecognized arguments: --mod"),
        (
            "bench --switches B,G",
            "watti bench: argument --switches: expected a switch position, one hex digit",
        ),
        ("bench --switches", "watti bench: argument --switches: expected one argument"),
        (
            "bench --switches " + "F," * 32 + "F",
            "watti bench: argument --switches: expected at most 32 positions",
        ),
        ("bench --models 48A,64A", 'watti bench: argument --models: expected "48A" or "80A" (got "64A")'),
        (
            "bench --models 48A,80A",
            "watti: argument --models: expected 1 model, or 5, one for each switch (got 2)",
        ),
        (
            "bench --baud 1200",
            "watti bench: argument --baud: expected 9600, 19200, 38400, 57600 or 115200 (got 1200)",
        ),
        ("bench --duration 0", "watti bench: argument --duration: expected a number from 0.001"),
        ("bench --duration nan", "watti bench: argument --duration: expected a number from 0.001"),
        ("bus", "watti bus: the following arguments are required: --ports"),
        ("bus --ports 0", "watti bus: argument --ports: expected a whole number from 1 to 32 (got 0)"),
        ("bus --ports two", 'watti bus: argument --ports: expected a whole number from 1 to 32 (got "two")'),
        ("bus --ports 2 --noise 1.1", "watti bus: argument --noise: expected a number from 0 to 1 (got 1.1)"),
        ("run x.toml --switch 10", "watti run: argument --switch: expected a switch position, one hex digit"),
        ("run x.toml --name a/b", "watti run: argument --name: expected a name of 1 to 32 letters"),
        ("switch s1 G", "watti switch: argument POSITION: expected a switch position, one hex digit"),
        ("plug ../s1", "watti plug: argument STATION: expected a name of 1 to 32 letters"),
        ("fault s1 diod", 'watti fault: argument KIND: expected "pilot_short"'),
        ("simulate x.toml --seed -1", "watti simulate: argument --seed: expected a whole number from 0"),
        ("tap", "watti tap: the following arguments are required: PORT"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str], line: str, error: str) -> None:
    assert cli.main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(error)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bench", {"switches": [11, 15, 15, 15, 15], "models": ["48A"] * 5, "baud": 19200, "duration": None}),
        ("bench --switches e,f --models 80a,48A", {"switches": [14, 15], "models": ["80A", "48A"]}),
        ("bench --headless --duration 2.5 --dir d", {"headless": True, "duration": 2.5, "dir": Path("d")}),
        ("bus --ports 3 --noise 1e-4", {"ports": 3, "noise": 0.0001, "baud": 19200, "dir": None}),
        ("run x.toml --switch f", {"config": Path("x.toml"), "switch": 15, "port": None, "name": None}),
        ("status --watch --json", {"watch": True, "json": True, "dir": None}),
        ("switch s1", {"station": "s1", "position": None, "json": False}),
        ("switch s1 b", {"station": "s1", "position": 11}),
        ("plug s2", {"station": "s2", "vehicle": "sedan"}),
        ("plug s2 city", {"vehicle": "city"}),
        ("fault s1 diode --clear", {"station": "s1", "kind": "diode", "clear": True}),
        (
            "simulate x.toml --seed 0 --trace t.csv",
            {"scenario": Path("x.toml"), "seed": 0, "trace": Path("t.csv")},
        ),
        ("tap /dev/x --baud 115200", {"port": "/dev/x", "baud": 115200, "json": False}),
    ],
)
def test_arguments_reach_the_command(line: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def command(args: Namespace) -> int:
        given.update(vars(args))
        return 3

    functions = SimpleNamespace(**dict.fromkeys(FUNCTIONS, command))
    monkeypatch.setattr(cli, "import_module", lambda module: functions)
    assert cli.main(line.split()) == 3
    assert {key: given[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        (ConfigError(["a.toml: x: one", "a.toml: y: two"]), 2, "a.toml: x: one\na.toml: y: two\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "watti: /x: Permission denied\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_how_a_command_may_end(
    ending: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(args: object) -> int:
        raise ending

    monkeypatch.setattr(chart, "run", run)
    assert cli.main(["chart"]) == code
    assert capsys.readouterr() == ("", said)


def environment() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    return os.environ | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": ""}


@pytest.mark.parametrize("command", ["-m watti chart", "-um watti chart", "-m watti --help"])
def test_a_reader_that_went_away_is_no_error_to_show(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, *command.split()],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_command_imports_what_it_alone_needs() -> None:
    code = "import sys, watti.cli; watti.cli.main(['chart']); print(*(m for m in sys.modules if 'watti.' in m))"
    python = [sys.executable, "-c", code]
    out = subprocess.run(python, capture_output=True, text=True, check=True, env=environment()).stdout
    assert set(out.splitlines()[-1].split()) == {"watti.cli", "watti.scenario", "watti.chart"}
