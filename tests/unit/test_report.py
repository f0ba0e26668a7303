"""The page of `simulate --report`, what it is made from, and the files of `simulate` being whole or not at all."""

import csv
import re
from array import array
from base64 import b64decode
from collections.abc import Callable
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from firmware.protection import BY_CODE
from firmware.sharing.ledger import Ledger
from tests.scenario.helpers import CHART, TIMING, event, plugs, scenario
from watti import happenings
from watti.bands import bands
from watti.cli import main
from watti.curve import sampled
from watti.fairness import jain
from watti.figure import figure
from watti.recording import FaultSpell, Got, Recording, Stand
from watti.report import page
from watti.scenario import CONFIGS, Event, Scenario, load_scenario, load_vehicles
from watti.simulation import Simulation

SEDAN = load_vehicles()["sedan"]
MORNING = scenario(
    [
        *plugs(1, at_s=20, vehicle="sedan"),
        *plugs(2, at_s=30),
        event(60, "fault", 2, kind="diode"),
        event(70, "clear_fault", 2, kind="diode"),
        event(90, "switch", 1, position=6),
        event(110, "bus_noise", rate=0.00001),
        event(120, "unplug", 1),
        event(130, "power_off", 2),
    ],
    "BFF",
    vehicles=[SEDAN],
    duration_s=150,
)


RESULT: dict[str, Any] = {
    "limit_a": 48.0,
    "peak_total_a": 47.9,
    "violations": [],
    "bus": dict.fromkeys(("cycles", "cycle_s_p50", "cycle_limit_s", "poll_s", "missed", "late", "crc_errors"), 1),
    "stations": {name: {"energy_kwh": 1.0, "charging_s": 1.0, "waiting_s": 1.0} for name in ("s1", "s2")},
}


def recorded(scenario: Scenario, trace: StringIO | None = None) -> tuple[Recording, dict[str, Any]]:
    recording = Recording([spec.name for spec in scenario.stations])
    simulation = Simulation(scenario, CHART, 1, trace, recording)
    simulation.run()
    return recording, simulation.result(1.0)


def cells(html: str, table: str) -> list[list[str]]:
    found = re.search(rf'<table id="{table}">.*?<tbody>(.*?)</tbody>', html, re.DOTALL)
    assert found is not None
    return [re.findall("<td>(.*?)</td>", row) for row in found[1].splitlines() if row]


def numbers(packed: dict[str, str]) -> list[float]:
    found = array({"f4": "f", "f8": "d"}[packed["dtype"]])
    found.frombytes(b64decode(packed["bdata"]))
    return list(map(float, found))


# The plots


def test_plotly_knows_every_key_of_the_figure() -> None:
    from plotly.graph_objects import Figure  # type: ignore[import-untyped]  # plotly has no types

    recording, _ = recorded(MORNING)
    violations = [{"t_s": 40.0, "total_a": 50.0, "limit_a": 48.0}]
    Figure(figure(MORNING, CHART, recording, violations), skip_invalid=False)


def test_the_stack_is_what_the_trace_says() -> None:
    trace = StringIO()
    recording, _ = recorded(MORNING, trace)
    drawn, totals = dict.fromkeys(recording.stations, 0.0), [(0.0, 0.0)]
    for row in csv.DictReader(StringIO(trace.getvalue())):
        drawn[row["station"]] = float(row["drawn_a"])
        totals.append((float(row["t_s"]), sum(drawn.values())))
    data = figure(MORNING, CHART, recording, [])["data"]
    top = next(one for one in data if one["name"] == recording.stations[-1])
    together = next(one for one in data if one["name"] == "all together")
    assert len(totals) > 500
    for trace_of, below_a in ((top, 3 * 0.15), (together, 0.36)):
        stack = list(zip([x / 1000 for x in numbers(trace_of["x"])], numbers(trace_of["y"]), strict=True))
        for (t_s, total), (until_s, _) in pairwise(totals):
            if until_s - t_s > 0.002:  # the trace has whole milliseconds
                shown = sampled(stack, [((t_s + until_s) / 2, True)])[0]
                assert total - below_a - 0.02 <= shown <= total + 0.13, t_s
    assert max(numbers(together["y"])) == pytest.approx(max(total for _, total in totals), abs=0.01)


def test_the_pointer_is_told_state_amps_and_reason() -> None:
    recording, _ = recorded(MORNING)
    s1 = figure(MORNING, CHART, recording, [])["data"][0]
    told = dict(zip(numbers(s1["x"]), s1["text"], strict=True))
    assert told[50_000.0] == "C2  24.0 of 24.0 A, share"
    assert told[0.0].startswith("A1  no offer")
    assert any("diode" in text for text in figure(MORNING, CHART, recording, [])["data"][1]["text"])


def test_the_limit_that_binds_falls_one_release_time_after_the_turn() -> None:
    recording, _ = recorded(MORNING)
    assert recording.limits == [(0.0, 48.0), (90 + TIMING.release_s, 24.0)]


def test_bands_cover_the_whole_time_without_gap() -> None:
    recording, _ = recorded(MORNING)
    by_row: dict[float, list[tuple[float, float]]] = {}
    for bars in bands(recording, MORNING.duration_s):
        for y, base, length in zip(bars["y"], numbers(bars["base"]), numbers(bars["x"]), strict=True):
            by_row.setdefault(y, []).append((base, base + length))
    assert sorted(by_row) == [-2, -1, 0]
    for spans in by_row.values():
        spans.sort()
        assert [span[0] for span in spans] == pytest.approx([0.0, *(span[1] for span in spans[:-1])])
        assert spans[-1][1] == pytest.approx(150_000)


def test_a_month_of_changes_stays_a_small_file() -> None:
    """Two stations that never rest: what is too short to be seen becomes one band, and peaks stay."""
    recording = Recording(["s1", "s2"])
    for k in range(100_000):
        now, i = k * 20.0, k % 2
        amps = 47.9 if k == 61_234 else float(10 + k % 13)
        recording.tracks[i].stand(Stand(now, "primary", "B", "C2" if k % 4 < 2 else "B2", amps, "share", ""))
        recording.draw(i, amps, amps, now)
    recording.limit(48.0, 0.0)
    recording.end([Got(1.0, 1.0, 1.0)] * 2, 2_000_000.0)
    month = scenario([], "BF", duration_s=2_000_000)
    made = figure(month, CHART, recording, [])
    assert len(page(month, CHART, 1, recording, RESULT)) < 8_000_000
    own = next(one for one in made["data"] if one["name"] == "draws")
    assert max(numbers(own["y"])) == pytest.approx(47.9)
    assert sum(len(bars["y"]) for bars in bands(recording, 2_000_000)) < 10_000


# The tables


def test_tables_say_what_json_says() -> None:
    recording, result = recorded(MORNING)
    html = page(MORNING, CHART, 1, recording, result)
    *stations, total = cells(html, "stations")
    assert [row[0] for row in stations] == ["s1", "s2", "s3"]
    for row in stations:
        assert float(row[1]) == result["stations"][row[0]]["energy_kwh"]
    assert float(total[1]) == pytest.approx(sum(got["energy_kwh"] for got in result["stations"].values()), abs=0.001)
    assert cells(html, "bus")[0][0] == str(result["bus"]["cycles"])


def test_a_visit_has_its_own_energy_and_times() -> None:
    recording, result = recorded(MORNING)
    (left,), (stays,) = recording.tracks[0].visits, recording.tracks[1].visits
    assert (left.vehicle, left.from_s, left.until_s) == ("sedan", 20.0, 120.0)
    assert (stays.vehicle, stays.until_s) == ("worst", None)
    assert left.got.energy_kwh == pytest.approx(result["stations"]["s1"]["energy_kwh"], abs=0.001)
    assert left.peak_a == recording.tracks[0].peak_a > 20
    assert recording.tracks[2].visits == []


def test_one_vehicle_after_the_other_are_two_visits() -> None:
    two = scenario([*plugs(1), *plugs(1, at_s=60, vehicle="sedan")], "BF", vehicles=[SEDAN], duration_s=90)
    recording, result = recorded(two)
    first, second = recording.tracks[0].visits
    assert (first.vehicle, first.until_s, second.vehicle, second.from_s) == ("worst", 60.0, "sedan", 60.0)
    both = first.got.energy_kwh + second.got.energy_kwh
    assert both == pytest.approx(result["stations"]["s1"]["energy_kwh"], abs=0.001)


def test_faults_have_begin_end_and_sentence() -> None:
    recording, result = recorded(MORNING)
    (diode,) = [spell for spell in recording.tracks[1].faults if spell.code == "diode"]
    assert 60 < diode.from_s < 61
    assert diode.until_s == pytest.approx(diode.from_s + 30, abs=1), "no diode is looked for while the pilot is steady"
    html = page(MORNING, CHART, 1, recording, result)
    assert BY_CODE["diode"].sentence in html
    assert "diode injected" in html


def test_a_fault_ends_with_the_process_that_shows_it() -> None:
    cut = scenario([event(20, "fault", 2, kind="diode"), *plugs(2), event(40, "power_off", 2)], "BF", duration_s=60)
    recording, _ = recorded(cut)
    assert [(spell.code, spell.until_s) for spell in recording.tracks[1].faults] == [("diode", 40.0)]


def test_a_fault_that_stays_is_shown_to_the_end() -> None:
    recording, _ = recorded(scenario([event(30, "fault", 2, kind="pilot_short"), *plugs(2)], "BF", duration_s=60))
    (spell,) = recording.tracks[1].faults
    assert spell == FaultSpell("pilot_short", spell.from_s, None)


def test_jain() -> None:
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1.0)
    assert jain([5.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([]) == jain([0.0]) == 1.0


EVENTS = [
    Event(0, "plug", "s1", {"vehicle": "sedan"}),
    Event(0, "unplug", "s1", {}),
    Event(0, "switch", "s1", {"position": 15}),
    Event(0, "power_off", "s1", {}),
    Event(0, "power_on", "s1", {"lose_state": False}),
    Event(0, "restart", "s1", {"lose_state": True}),
    Event(0, "stall", "s1", {"for_s": 30.0}),
    Event(0, "bus_cut", "s1", {"direction": "send"}),
    Event(0, "bus_join", "s1", {"direction": "both"}),
    Event(0, "bus_noise", None, {"rate": 0.001}),
    Event(0, "bus_disturb", None, {"kind": "drop", "rate": 0.2, "for_s": 60.0}),
    Event(0, "fault", "s1", {"kind": "diode"}),
    Event(0, "fault", "s1", {"kind": "over_temperature", "celsius": 66.0}),
    Event(0, "clear_fault", "s1", {"kind": "diode"}),
]


def test_every_event_is_said_in_words() -> None:
    assert [happenings.words(happening, CHART) for happening in EVENTS] == [
        "sedan is plugged in",
        "the vehicle is unplugged",
        "switch turned to F: secondary",
        "power goes",
        "power comes back",
        "the process restarts, memory lost",
        "the process stands still for 30 s",
        "cut off the bus, sending only",
        "joined to the bus",
        "bit error rate 0.001",
        "frames are lost: 20% for 60 s",
        "diode injected",
        "over_temperature (66 C) injected",
        "diode mended",
    ]
    assert {happenings.kind(happening) for happening in EVENTS} == set(happenings.KINDS)


# The command


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A scenario whose name and comment try to break out of the page."""
    text = (CONFIGS / "scenarios" / "maker_page.toml").read_text()
    head, _, rest = text.partition("[[event]]")
    head = head.replace("duration_s = 3000", "duration_s = 60").replace("# The maker's page", "# </script><b>&")
    path = tmp_path / "in" / "<i>&'.toml"
    path.parent.mkdir()
    path.write_text(head + "[[event]]" + rest.partition("[[event]]")[0])
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_the_page_is_one_file_that_needs_nothing_else(short: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    assert main(["simulate", str(short), "--report", str(report)]) == 0
    own, scripts = report.read_text().split("<script>", 1)
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", own + scripts[scripts.rindex("<script") :]) == []
    assert "@import" not in own
    assert "&lt;i&gt;&amp;&#x27;" in own
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in own
    assert own.count("</script>") == 0
    assert files(tmp_path) == ["r.html"]
    assert report.stat().st_size < 8_000_000


def test_the_same_seed_gives_the_same_page_and_the_trace_does_not_mind(short: Path, tmp_path: Path) -> None:
    names = [("a.html", "a.csv"), ("b.html", "b.csv")]
    for html, trace in names:
        assert main(["simulate", str(short), "--report", str(tmp_path / html), "--trace", str(tmp_path / trace)]) == 0
    assert main(["simulate", str(short), "--trace", str(tmp_path / "c.csv")]) == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


def test_progress_does_not_change_what_happens() -> None:
    one, other = StringIO(), StringIO()
    Simulation(MORNING, CHART, 1, one).run()
    Simulation(MORNING, CHART, 1, other).run(StringIO())
    assert one.getvalue() == other.getvalue()


def test_violations_are_listed_with_their_moments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Ledger, "free_da", lambda ledger, row, now: ledger.limit_da)
    report, path = tmp_path / "r.html", CONFIGS / "scenarios" / "worst_cars.toml"
    assert main(["simulate", str(path), "--report", str(report)]) == 1
    html = report.read_text()
    assert "0 violations" not in html
    assert "ABOVE THE LIMIT" in html
    assert all(float(row[2]) > 48 for row in cells(html, "violations"))
    assert html.count('class="verdict bad"') == 1


Refusal = Callable[[Path, Path], tuple[list[str], str]]


@pytest.mark.parametrize(
    ("refusal"),
    [
        lambda short, out: (["--report", f"{out}/no/r.html"], f"{out}/no/r.html: can't be written: No such file"),
        lambda short, out: (["--trace", f"{out}/no/t.csv"], f"{out}/no/t.csv: can't be written: No such file"),
        lambda short, out: (["--report", f"{out}"], f"{out}: can't be written: it is a folder"),
        lambda short, out: (
            ["--report", f"{out}/x", "--trace", f"{out}/x"],
            f"--report {out}/x: expected a file of its own",
        ),
        lambda short, out: (["--report", str(short)], f"--report {short}: expected a file of its own"),
    ],
)
def test_a_bad_path_is_refused_before_anything_runs(
    refusal: Refusal, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(Simulation, "run", lambda *_: pytest.fail("it was simulated"))
    options, said = refusal(short, out)
    assert main(["simulate", str(short), *options]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith(said)
    assert files(out) == []
    assert load_scenario(short).duration_s == 60, "still there"


def test_without_plotly_it_says_how_to_get_it(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("watti.simulate.find_spec", lambda name: None)
    assert main(["simulate", str(short), "--report", str(tmp_path / "r.html")]) == 2
    assert capsys.readouterr().err.startswith("--report needs plotly: pip install 'watti[report]'")
    assert main(["simulate", str(short)]) == 0, "the rest does not need it"
    assert files(tmp_path) == []


def test_an_interrupt_leaves_what_was_there(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, trace = tmp_path / "r.html", tmp_path / "t.csv"
    report.write_text("the last one")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Simulation, "run", interrupted)
    assert main(["simulate", str(short), "--report", str(report), "--trace", str(trace)]) == 130
    assert files(tmp_path) == ["r.html"]
    assert report.read_text() == "the last one"


def test_a_link_stays_a_link_and_a_device_a_device(short: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest.csv"
    link.symlink_to("real.csv")
    assert main(["simulate", str(short), "--trace", str(link)]) == 0
    assert link.is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("t_s,station")
    assert main(["simulate", str(short), "--trace", "/dev/null"]) == 0
    assert not Path("/dev/null").is_file()
