"""`watti log`: logs that stations' journals have written, read by the command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware.bus.messages import Reason
from firmware.protection import BY_CODE
from hal.clock import Clock
from hal.journal import FileJournal
from watti.cli import main
from watti.log_words import duration, sentence
from watti.logs import Dates, Logs, Record
from watti.page_words import REASONS

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")])}
PATIENCE_S = 40.0
NOON = 1_795_435_200.0  # 2026-11-23 12:00 UTC
FIELDS: Mapping[str, Mapping[str, object]] = {
    "boot": {"version": "0.1.0", "serial": "00A1B2C3D4E5", "model": "48A", "switch": "B"},
    "role": {"role": "primary", "switch": "B", "limit_a": 48.0},
    "group": {"members": ["00A1B2C3D4E6"]},
    "plug_in": {"session": "3f2a91c0-4"},
    "resume": {"session": "3f2a91c0-4"},
    "start": {"session": "3f2a91c0-4", "offered_a": 24.0},
    "offer": {"offered_a": 24.0, "reason": "share", "limit_a": 48.0},
    "stop": {"session": "3f2a91c0-4", "why": "vehicle"},
    "unplug": {"session": "3f2a91c0-4"},
    "fault": {
        "fault": "ground_fault",
        "lamp": BY_CODE["ground_fault"].light.words,
        "sentence": BY_CODE["ground_fault"].sentence,
    },
    "clear": {"fault": "ground_fault", "after_s": 901.5},
    "session": {
        "session": "3f2a91c0-4",
        "began": {"boot": "x", "t_s": 0.0, "wall": None, "clock": "unset"},
        "energy_wh": 12345,
        "charging_s": 11109.0,
        "waiting_s": 61.0,
        "peak_a": 32.0,
        "ended": "unplug",
    },
    "stall": {"for_s": 6.12},
    "end": {"signal": "SIGTERM"},
    "lost": {"records": 3},
    "repaired": {"bytes": 17},
}
"""Of each event that a log can hold."""


@contextmanager
def station(folder: Path, name: str = "s1", boot: str = "3f2a91c0", **clock: Any) -> Iterator[FileJournal]:
    """A station's journal, 100 s after its boot, which was at noon."""
    stamps = Clock(lambda: 100.0, **{"wall": lambda: NOON + 100.0, "disciplined": lambda: True, **clock})
    stamps._boot = boot
    journal = FileJournal(folder / "log", name, stamps)
    try:
        yield journal
    finally:
        journal.close()


@pytest.fixture
def log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """The lines of `watti log`."""

    def run(*words: str) -> list[str]:
        assert main(["log", "--dir", str(tmp_path), *words]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def write(folder: Path, text: str, name: str = "s1.jsonl") -> None:
    (folder / "log").mkdir(exist_ok=True)
    with (folder / "log" / name).open("a") as file:
        file.write(text)


# In words


def test_each_event_is_a_sentence_for_people() -> None:
    said = {event: sentence({"event": event, **fields}) for event, fields in FIELDS.items()}
    assert said == {
        "boot": "starts: 48A, serial 00A1B2C3D4E5, version 0.1.0",
        "role": "role primary, switch B, limit 48.0 A",
        "group": "shares with 00A1B2C3D4E6",
        "plug_in": "vehicle plugged in, session 3f2a91c0-4",
        "resume": "goes on with session 3f2a91c0-4: its vehicle is still there",
        "start": "charging starts, 24.0 A offered",
        "offer": "offers 24.0 A: its share of 48.0 A",
        "stop": "stops: the vehicle has stopped",
        "unplug": "vehicle unplugged",
        "fault": "fault ground_fault (red 3-1): Current leaks to ground in the vehicle or its cable.",
        "clear": "fault ground_fault is over after 0:15:01",
        "session": "session 3f2a91c0-4 ended (unplug): 12.35 kWh, charging 3:05:09, waiting 0:01:01, peak 32.0 A",
        "stall": "its process stood still for 6.1 s",
        "end": "its process ends (SIGTERM)",
        "lost": "3 events are missing before this: they could not be written",
        "repaired": "17 bytes of a line that a power cut had left unfinished were cut off",
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"event": "group", "members": []}, "shares with nobody"),
        ({"event": "group", "primary": "00A1B2C3D4E5"}, "follows 00A1B2C3D4E5"),
        ({"event": "group", "primary": None}, "follows nobody"),
        (
            {"event": "group", "members": [], "refused": [{"serial": "00A1", "why": "duplicate_serial"}]},
            "shares with nobody; refuses 00A1 (duplicate_serial)",
        ),
        (
            {
                "event": "group",
                "primary": None,
                "refused_by": {"serial": "00A1", "why": "protocol", "protocol": 2, "firmware": "0.2.0"},
            },
            "follows nobody; refused by 00A1 (protocol, protocol 2, firmware 0.2.0)",
        ),
        ({"event": "role", "role": "none", "switch": None, "limit_a": 0}, "role none, switch unreadable, limit 0.0 A"),
        ({"event": "stop", "why": "waiting"}, f"stops: {REASONS['waiting']}"),
        ({"event": "offer", "offered_a": 0.0, "reason": "new_one", "limit_a": 0.0}, "offers 0.0 A: new one"),
        ({"event": "tariff", "cents": 30, "boot": "x", "wall": None}, "tariff cents=30"),
        ({"event": "offer", "offered_a": "x"}, "offer offered_a=x"),
        ({"event": "offer", "offered_a": 1.0, "reason": 5}, "offer offered_a=1.0 reason=5"),
        ({"event": "clear", "fault": "meter", "after_s": float("inf")}, "clear fault=meter after_s=inf"),
    ],
)
def test_what_is_not_there_or_not_known_is_said_too(fields: dict[str, Any], said: str) -> None:
    assert sentence(fields) == said


def test_every_reason_has_its_words() -> None:
    assert set(REASONS) >= {reason.word for reason in Reason}


def test_a_duration_is_hours_minutes_and_seconds() -> None:
    assert [duration(s) for s in (0, 59.9, 3600, 100 * 3600 + 61)] == ["0:00:00", "0:00:59", "1:00:00", "100:01:01"]


# The command


def test_events_of_all_stations_come_in_the_order_of_their_time(tmp_path: Path, log: Callable[..., list[str]]) -> None:
    with station(tmp_path, "s2") as two, station(tmp_path, "s1") as one:
        one.write("boot", FIELDS["boot"], 1.0)
        one.write("offer", FIELDS["offer"], 3.0)
        two.write("group", {"primary": FIELDS["boot"]["serial"]}, 2.0)
    assert log() == [
        " 2026-11-23 12:00:01.000Z  s1    starts: 48A, serial 00A1B2C3D4E5, version 0.1.0",
        " 2026-11-23 12:00:02.000Z  s2    follows s1",
        " 2026-11-23 12:00:03.000Z  s1    offers 24.0 A: its share of 48.0 A",
    ]
    assert [line[27:29] for line in log("s1")] == ["s1", "s1"]
    assert log("s2") == log("--lines", "2")[:1] == log()[1:2]


def test_json_is_the_records_themselves(tmp_path: Path, log: Callable[..., list[str]]) -> None:
    with station(tmp_path) as one:
        for n, (event, fields) in enumerate(FIELDS.items()):
            one.write(event, fields, float(n))
    lines = (tmp_path / "log" / "s1.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in log("--json")] == [json.loads(line) for line in lines]


def test_rotated_files_are_read_oldest_first(tmp_path: Path, log: Callable[..., list[str]]) -> None:
    stamps = Clock(lambda: 0.0, lambda: NOON, lambda: True)
    journal = FileJournal(tmp_path / "log", "s1", stamps, rotate_bytes=1000)
    for n in range(20):
        journal.write("lost", {"records": n}, 0.0)  # all at one time: nothing but the files tells the order
    journal.close()
    assert len(list((tmp_path / "log").iterdir())) > 2
    assert [json.loads(line)["records"] for line in log("--json")] == list(range(20))


def test_a_boot_that_learns_the_date_late_knows_it_for_its_first_records_too(
    tmp_path: Path, log: Callable[..., list[str]]
) -> None:
    with station(tmp_path, wall=lambda: 0.0) as unset:
        unset.write("boot", FIELDS["boot"], 1.0)
    with station(tmp_path, wall=lambda: NOON - 86400, disciplined=lambda: False) as wrong:
        wrong.write("plug_in", FIELDS["plug_in"], 2.0)
    assert [line[:25] for line in log()] == ["~2026-11-22 11:58:21.000Z", "~2026-11-22 11:58:22.000Z"]
    with station(tmp_path) as synchronised:
        synchronised.write("start", FIELDS["start"], 3.0)
    with station(tmp_path, wall=lambda: NOON + 86400, disciplined=lambda: False) as again:
        again.write("stop", FIELDS["stop"], 4.0)
    assert [line[:25] for line in log()] == [f" 2026-11-23 12:00:0{n}.000Z" for n in (1, 2, 3, 4)]


def test_a_record_that_knew_its_date_has_it_even_where_its_boot_slept_later(
    tmp_path: Path, log: Callable[..., list[str]]
) -> None:
    """The monotonic clock does not count while a laptop sleeps."""
    for slept_s in (0.0, 28800.0):
        with station(tmp_path, wall=lambda slept_s=slept_s: NOON + 100.0 + slept_s) as one:
            one.write("unplug", {}, 1.0)
    assert [line[:25] for line in log()] == [" 2026-11-23 12:00:01.000Z", " 2026-11-23 20:00:01.000Z"]


def test_a_boot_without_a_date_counts_from_its_start_and_stands_where_it_was(
    tmp_path: Path, log: Callable[..., list[str]]
) -> None:
    with station(tmp_path) as before:
        before.write("boot", FIELDS["boot"], 1.0)
    for boot in ("bbbbbbbb", "aaaaaaaa"):
        for name, t_s in (("s1", 12.345), ("s2", 12.0)):
            with station(tmp_path, name, boot, wall=lambda: 0.0) as undated:
                undated.write("unplug", FIELDS["unplug"], t_s)
    with station(tmp_path, boot="cccccccc", wall=lambda: NOON + 5000) as after:
        after.write("boot", FIELDS["boot"], 1.0)
    assert [line[:29] for line in log()] == [
        " 2026-11-23 12:00:01.000Z  s1",
        "boot bbbbbbbb +12.000 s    s2",
        "boot bbbbbbbb +12.345 s    s1",
        "boot aaaaaaaa +12.000 s    s2",
        "boot aaaaaaaa +12.345 s    s1",
        " 2026-11-23 13:21:41.000Z  s1",
    ]


def test_lines_that_are_no_records_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with station(tmp_path) as one:
        one.write("unplug", FIELDS["unplug"], 1.0)
    for line in (
        "what?",
        "[]",
        "{}",
        '{"boot":"x","t_s":1e999,"station":"s1","event":"boot"}',
        '{"boot":"x","t_s":1,"station":"\\ud800","event":"boot"}',
        '{"boot":"x","t_s":1,"station":"s 1","event":"boot"}',
        '{"boot"',
        "\xff\0",
        "1",
    ):
        write(tmp_path, line + "\n")
    write(tmp_path, '{"boot":"3f2a91c0","t_s":2.0,"wall":7,"station":"s1","event":"later","x":[1]}\n')
    write(tmp_path, '{"being written')
    assert main(["log", "--dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert [line[29:].strip() for line in out.splitlines()] == ["vehicle unplugged", "later x=[1]"]
    assert err == "watti: 9 lines were left out: they are no records\n"


def test_what_a_terminal_would_obey_or_can_not_show_is_escaped(tmp_path: Path, log: Callable[..., list[str]]) -> None:
    write(tmp_path, '{"boot":"\\u001b[2J","t_s":1,"station":"s1","event":"später\\ud800","x":"\\r"}\n')
    write(tmp_path, '{"boot":"b","t_s":1,"station":"s1","event":"session","session":"x","ended":"\\u001b[2J"}\n')
    assert log()[0] == r"boot \x1b[2J +1.000 s         s1    später\ud800 x=\r"
    assert log("--sessions")[1].endswith(r" -  \x1b[2J")


@pytest.mark.parametrize(
    ("wall", "t_s"),
    [
        ("9999-01-01T00:00:00Z", 9e9),
        ("0001-01-01T00:00:00Z", -9e9),
        ("9999-12-31T23:59:59-23:59", 0),
        ("0001-01-01T00:00:00+23:59", 0),
    ],
)
def test_a_moment_that_no_date_can_say_counts_from_the_start_of_its_boot(
    tmp_path: Path, log: Callable[..., list[str]], wall: str, t_s: float
) -> None:
    for stamp in ({"wall": wall, "t_s": 0}, {"wall": None, "t_s": t_s}):
        record = {"boot": "b", "clock": "synchronised", "station": "s1", "event": "session", "session": "x", **stamp}
        write(tmp_path, json.dumps(record) + "\n")
    assert log()[1].startswith(f"boot b +{t_s:.3f} s ")
    assert json.loads("".join(log("--sessions", "--json")))[0]["finished"] is None


# Sessions


def test_sessions_are_a_table_or_a_list(tmp_path: Path, log: Callable[..., list[str]]) -> None:
    with station(tmp_path, "s1") as one, station(tmp_path, "s2") as two:
        began = {"began": one.stamp(1.0)}
        one.write("plug_in", FIELDS["plug_in"], 1.0)
        two.write("plug_in", {"session": "lost"}, 2.0)
        two.write("plug_in", {"session": "open"}, 3.0)
        one.write("session", {**FIELDS["session"], **began}, 9.0)
    assert log("--sessions") == [
        "station  began (UTC)          finished (UTC)            kWh   charging    waiting   peak A  ended",
        "s1       2026-11-23 12:00:01  2026-11-23 12:00:09     12.35    3:05:09    0:01:01     32.0  unplug",
        "s2       2026-11-23 12:00:02  -                           -          -          -        -  unknown",
        "s2       2026-11-23 12:00:03  -                           -          -          -        -  not finished",
    ]
    assert json.loads("".join(log("s1", "--sessions", "--json"))) == [
        {
            "station": "s1",
            "session": "3f2a91c0-4",
            "began": "2026-11-23T12:00:01.000Z",
            "finished": "2026-11-23T12:00:09.000Z",
            "energy_kwh": 12.345,
            "charging_s": 11109.0,
            "waiting_s": 61.0,
            "peak_a": 32.0,
            "ended": "unplug",
        }
    ]
    assert [session["session"] for session in json.loads("".join(log("--sessions", "--json", "--lines", "1")))] == [
        "open"
    ]


def test_a_session_whose_begin_was_rotated_away_or_has_no_date_is_there_all_the_same(
    tmp_path: Path, log: Callable[..., list[str]]
) -> None:
    with station(tmp_path) as one:
        one.write("session", FIELDS["session"], 9.0)
    peak_a = "1" + "0" * 400
    write(tmp_path, '{"boot":"3f2a91c0","t_s":11,"station":"s1","event":"session","began":5,"peak_a":"x"}\n')
    write(tmp_path, f'{{"boot":"3f2a91c0","t_s":12,"station":"s1","event":"session","session":1,"peak_a":{peak_a}}}\n')
    found = json.loads("".join(log("--sessions", "--json")))
    assert [(s["began"], s["finished"], s["peak_a"], s["ended"]) for s in found] == [
        (None, "2026-11-23T12:00:09.000Z", 32.0, "unplug"),
        (None, "2026-11-23T12:00:11.000Z", None, "unknown"),
        (None, "2026-11-23T12:00:12.000Z", None, "unknown"),
    ]


# What can't be shown


def test_no_log_at_all_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--dir", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        f"watti: no event log in {tmp_path}/log: a station that runs there keeps one, start it with `watti bench`\n",
    )


def test_an_unknown_station_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("garage", "s2"):
        write(tmp_path, "", f"{name}.jsonl")
    assert main(["log", "garge", "--dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"watti: no event log of station garge in {tmp_path}/log, expected garage, s2, did you mean garage?\n"
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("log --lines 0", "watti log: argument --lines: expected a whole number from 1"),
        ("log ../s1", "watti log: argument STATION: expected a name of 1 to 32 letters"),
        ("log --sessions --follow", "watti: --follow shows events as they come: leave it out, or --sessions"),
    ],
)
def test_bad_arguments_are_one_line(capsys: pytest.CaptureFixture[str], line: str, error: str) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(error)
    assert err.count("\n") == 1


# Following


def test_follow_goes_on_over_rotation_and_a_new_station_until_interrupted(tmp_path: Path) -> None:
    stamps = Clock(lambda: 0.0, lambda: NOON, lambda: True)
    journal = FileJournal(tmp_path / "log", "s1", stamps, rotate_bytes=2000)
    for n in range(12):
        journal.write("lost", {"records": n}, 0.0)
    journal.close()
    command = [sys.executable, "-m", "watti", "log", "--dir", str(tmp_path), "--follow", "--json"]
    with subprocess.Popen(command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        seen = [json.loads(follower.stdout.readline())["records"] for _ in range(10)]
        journal = FileJournal(tmp_path / "log", "s1", stamps, rotate_bytes=2000)
        for n in range(12, 40):
            journal.write("lost", {"records": n}, 0.0)
            time.sleep(0.03)
        journal.close()
        seen += [json.loads(follower.stdout.readline())["records"] for _ in range(28)]
        with station(tmp_path, "s2") as two:
            two.write("unplug", {}, 1.0)
        assert json.loads(follower.stdout.readline())["station"] == "s2"
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE_S) == 130
    assert len(list((tmp_path / "log").glob("s1*"))) > 2
    assert seen == list(range(2, 40))


def test_nothing_is_missed_or_told_twice_whenever_one_looks(tmp_path: Path) -> None:
    """Also when files were rotated, deleted or replaced between two looks."""
    stamps = Clock(lambda: 0.0, lambda: NOON, lambda: True)
    journal = FileJournal(tmp_path, "s1", stamps, rotate_bytes=1000)
    logs = Logs(tmp_path)
    seen: list[int] = []

    def look() -> None:
        (records,) = logs.news()
        seen.extend(record["records"] for record in records)

    def say(numbers: range) -> None:
        for n in numbers:
            journal.write("lost", {"records": n}, 0.0)
        wait_for(lambda: f'"records":{numbers[-1]}}}' in (tmp_path / "s1.jsonl").read_text())

    for numbers in (range(3), range(3, 4), range(4, 16), range(16, 17)):
        say(numbers)
        look()
        look()
    assert seen == list(range(17))
    for path in tmp_path.iterdir():
        path.unlink()
    look()
    say(range(17, 19))
    look()
    (tmp_path / "s1.jsonl").write_text("")
    say(range(19, 20))
    look()
    assert seen == list(range(20))
    journal.close()


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not _quietly(condition):
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.005)


def _quietly(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except FileNotFoundError:
        return False


def test_records_without_any_date_keep_the_order_of_their_files() -> None:
    histories: list[list[Record]] = [
        [
            {"boot": boot, "t_s": t_s, "station": "s1", "event": "x"}
            for boot, t_s in (("b", 5.0), ("a", 1.0), ("a", 2.0))
        ],
        [{"boot": "a", "t_s": 1.5, "station": "s2", "event": "x"}],
    ]
    found = Dates().merged(histories)
    assert [(record["boot"], record["t_s"]) for record in found] == [("b", 5.0), ("a", 1.0), ("a", 1.5), ("a", 2.0)]


def test_a_line_of_brackets_is_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "s1.jsonl").write_text("[" * 100_000 + "\n")
    logs = Logs(tmp_path)
    assert (logs.news(), logs.broken) == ([[]], 1)


def test_the_design_names_every_event_and_its_fields() -> None:
    design = (ROOT / "firmware/DESIGN.md").read_text()
    table = design[design.index("| event | fields |") :].split("\n\n")[0]
    named = {word for row in table.splitlines()[2:] for word in row.split("|")[1].strip().split(", ")}
    assert named == FIELDS.keys() - {"lost", "repaired"}  # those two are the disk's
