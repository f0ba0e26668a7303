"""`watti simulate --report`: one HTML file with plots and tables that opens anywhere, also without a network."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # plotly has no types

from firmware import __version__
from firmware.protection import BY_CODE
from firmware.rotary import Chart
from watti.fairness import jain
from watti.figure import figure
from watti.progress import clock
from watti.recording import Got, Recording, Visit
from watti.scenario import Scenario
from watti.traces import Trace, typed

_MOST_ROWS = 1000
_WORDS = 1 << 16
_TABLES = """<p class="note">Climbs and tapers are drawn as lines that lie less than 0.15 A below each station's steps
of 0.1 A, the total's within 0.4 A; peaks, turns and jumps are exact. Where there are too many changes to draw, true
moments are shown and held, among them the highest and the lowest total of each stretch. A lowered limit binds one
release time after the turn of the switch.</p>
<h2>Stations</h2>
<div class="scroll">$stations</div>
<p class="note">Time served: charging / (charging + waiting). Waiting: plugged in and nothing drawn because of the
group, not because of the vehicle.</p>
$fairness
<h2>Vehicles</h2>
<div class="scroll">$visits</div>
<h2>Faults</h2>
<div class="scroll">$faults</div>
$violations
<h2>Bus</h2>
<div class="scroll">$bus</div>
"""
_WANTED_S = 1.0  # a vehicle that asked for less than this has not asked


def page(scenario: Scenario, chart: Chart, seed: int, recording: Recording, result: dict[str, Any]) -> str:
    """The page of a finished simulation; `result` as `simulate --json` prints it. The same for the same seed."""
    tables = Template(_TABLES).substitute(
        stations=_stations(recording, result),
        fairness=_fairness(recording, result),
        visits=_visits(recording),
        faults=_faults(recording),
        violations=_violations(result["violations"]),
        bus=_bus(result["bus"]),
    )
    return framed(
        scenario.path,
        _subtitle(scenario, seed),
        verdict=_verdict(result),
        figures=_shown(recording, result),
        tables=tables,
        plots=figure(scenario, chart, recording, result["violations"]),
    )


def framed(path: Path, subtitle: str, verdict: str, figures: str, tables: str, plots: Trace) -> str:
    """A page of the scenario in this file; all but the subtitle is HTML, `plots` what `Plotly.newPlot` takes."""
    template = Template(resources.files("watti").joinpath("report.html").read_text("utf-8"))
    return template.substitute(
        title=escape(path.stem),
        about=_about(path),
        subtitle=escape(subtitle),
        verdict=verdict,
        figures=figures,
        tables=tables,
        plotly=get_plotlyjs(),
        plots=json.dumps(plots | {"data": _packed(plots["data"])}, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _packed(data: Sequence[Trace]) -> list[Trace]:
    """Traces without what they repeat, half the file; the page's script undoes it.

    An `x` that another trace has is that trace's number, texts are their `words` and `at`, 16-bit indices into them.
    """
    first: dict[int, int] = {}
    packed = []
    for i, trace in enumerate(data):
        trace = dict(trace)
        if first.setdefault(id(trace["x"]), i) != i:
            trace["x"] = first[id(trace["x"])]
        words = list(dict.fromkeys(trace.get("text", ())))
        if 0 < len(words) < _WORDS:
            at = dict(zip(words, range(len(words)), strict=True))
            trace["text"] = {"words": words, "at": typed("u2", (at[text] for text in trace["text"]))["bdata"]}
        packed.append(trace)
    return packed


# The head


def _about(path: Path) -> str:
    """What a scenario's file says of itself: the comment that it begins with."""
    if not path.is_file():
        return ""
    lines = path.read_text("utf-8").splitlines()
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    paragraphs = "\n".join(line.lstrip("#").strip() for line in lines[:first]).split("\n\n")
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs if paragraph.strip())


def _subtitle(scenario: Scenario, seed: int) -> str:
    parts = (
        clock(scenario.duration_s),
        f"{len(scenario.stations)} stations",
        f"{scenario.voltage_v:g} V",
        f"{scenario.baud} baud",
        f"seed {seed}",
        f"watti {__version__}",
    )
    return " · ".join(parts)


def _verdict(result: dict[str, Any]) -> str:
    count = len(result["violations"])
    if count:
        words = "1 violation" if count == 1 else f"{count} violations"
        return f'<p class="verdict bad">&#10007; {words}: the total was above the limit</p>'
    return '<p class="verdict good">&#10003; 0 violations: the total was never above the limit</p>'


def _shown(recording: Recording, result: dict[str, Any]) -> str:
    energy = sum(station["energy_kwh"] for station in result["stations"].values())
    shown = (
        (f"{result['limit_a']:g} A", "highest limit"),
        (f"{result['peak_total_a']:.2f} A", "highest total drawn"),
        (f"{energy:.1f} kWh", "delivered"),
        (str(sum(len(track.visits) for track in recording.tracks)), "vehicles"),
        (str(sum(len(track.faults) for track in recording.tracks)), "faults shown"),
    )
    return numbers(shown)


def numbers(shown: Iterable[tuple[str, str]]) -> str:
    """The numbers at the top of a page, each with what it is."""
    return "".join(f"<div><b>{number}</b><span>{what}</span></div>" for number, what in shown)


# Tables


def table(head: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> str:
    """Cells are text, not HTML. Where there are too many rows, the last one says so."""
    rows = list(rows)
    cut = [[f"... and {len(rows) - _MOST_ROWS} more", *[""] * (len(head) - 1)]] if len(rows) > _MOST_ROWS else []
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in [*rows[:_MOST_ROWS], *cut]
    )
    return f'<table id="{name}"><thead><tr>{heads}</tr></thead><tbody>\n{body}</tbody></table>'


def _served(got: Got) -> str:
    asked_s = got.charging_s + got.waiting_s
    return f"{got.charging_s / asked_s:.0%}" if asked_s >= _WANTED_S else "-"


def _stations(recording: Recording, result: dict[str, Any]) -> str:
    head = ("station", "energy, kWh", "charging", "waiting", "time served", "highest, A", "vehicles", "faults")
    rows = []
    for name, track in zip(recording.stations, recording.tracks, strict=True):
        got = Got(**result["stations"][name])
        counts = (str(len(track.visits)), str(len(track.faults)))
        times = (clock(got.charging_s), clock(got.waiting_s), _served(got))
        rows.append((name, f"{got.energy_kwh:.3f}", *times, f"{track.peak_a:.1f}", *counts))
    return table(head, [*rows, _sums(recording, result)], "stations")


def _sums(recording: Recording, result: dict[str, Any]) -> Sequence[str]:
    all_got = [Got(**got) for got in result["stations"].values()]
    got = Got(*(sum(column) for column in zip(*all_got, strict=True)))
    counts = (
        sum(len(track.visits) for track in recording.tracks),
        sum(len(track.faults) for track in recording.tracks),
    )
    times = (clock(got.charging_s), clock(got.waiting_s), _served(got))
    return ("all", f"{got.energy_kwh:.3f}", *times, f"{result['peak_total_a']:.1f}", *map(str, counts))


def _fairness(recording: Recording, result: dict[str, Any]) -> str:
    wanted = [got for got in (Got(**got) for got in result["stations"].values()) if _served(got) != "-"]
    if len(wanted) < 2:
        return "<p>Fewer than two stations had a vehicle that asked, so there was nothing to share.</p>"
    by_time = jain([got.charging_s / (got.charging_s + got.waiting_s) for got in wanted])
    by_energy = jain([got.energy_kwh for got in wanted])
    return (
        f"<p><b>Fairness</b> among the {len(wanted)} stations whose vehicles asked: "
        f'<b id="jain-time">{by_time:.3f}</b> by the share of their time they were served, '
        f'<b id="jain-energy">{by_energy:.3f}</b> by energy. This is Jain\'s index: 1 when all got the same, '
        f"{1 / len(wanted):.2f} if one had got all. By energy it also falls when vehicles come for different times or "
        "take different amps.</p>"
    )


def _visits(recording: Recording) -> str:
    head = ("station", "vehicle", "from", "to", "energy, kWh", "charging", "waiting", "time served", "highest, A")
    visits = sorted(
        (
            (name, visit)
            for name, track in zip(recording.stations, recording.tracks, strict=True)
            for visit in track.visits
        ),
        key=lambda entry: entry[1].from_s,
    )
    return table(head, (_visit(name, visit) for name, visit in visits), "vehicles")


def _visit(name: str, visit: Visit) -> Sequence[str]:
    got = visit.got
    until = "still there" if visit.until_s is None else clock(visit.until_s)
    times = (clock(got.charging_s), clock(got.waiting_s), _served(got))
    return (name, visit.vehicle, clock(visit.from_s), until, f"{got.energy_kwh:.3f}", *times, f"{visit.peak_a:.1f}")


def _faults(recording: Recording) -> str:
    spells = [
        (name, spell)
        for name, track in zip(recording.stations, recording.tracks, strict=True)
        for spell in track.faults
    ]
    if not spells:
        return "<p>No station showed a fault.</p>"
    spells.sort(key=lambda entry: entry[1].from_s)
    rows = (
        (
            clock(spell.from_s),
            "to the end" if spell.until_s is None else clock(spell.until_s),
            name,
            spell.code,
            BY_CODE[spell.code].light.words,
            BY_CODE[spell.code].sentence,
        )
        for name, spell in spells
    )
    return table(("from", "to", "station", "fault", "lamp", "what it says"), rows, "faults")


def _violations(violations: Sequence[dict[str, float]]) -> str:
    if not violations:
        return ""
    rows = ((f"{v['t_s']:.3f}", clock(v["t_s"]), f"{v['total_a']:.2f}", f"{v['limit_a']:g}") for v in violations)
    return "<h2>Above the limit</h2>" + table(("s", "at", "total, A", "limit, A"), rows, "violations")


def _bus(bus: dict[str, Any]) -> str:
    head = ("cycles", "cycle, p50", "line's limit", "polled every", "missed", "late", "CRC errors")
    row = (
        str(bus["cycles"]),
        f"{bus['cycle_s_p50'] * 1e3:.1f} ms",
        f"{bus['cycle_limit_s'] * 1e3:.1f} ms",
        f"{bus['poll_s']:g} s",
        *(str(bus[key]) for key in ("missed", "late", "crc_errors")),
    )
    return table(head, [row], "bus")
