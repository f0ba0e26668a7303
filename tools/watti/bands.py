"""States, faults and events of a report's plots as plotly traces: one line for each station, the first on top."""

from collections.abc import Sequence

from firmware.protection import BY_CODE
from firmware.rotary import Chart
from watti import happenings
from watti.progress import clock
from watti.recording import Recording, Track
from watti.scenario import Scenario
from watti.traces import BLACK, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, YELLOW, Trace, floats, lines_on, times

STATES = {
    "A": ("#E9E9E9", "", "A nobody"),
    "B1": (YELLOW, "", "B1 connected, no offer"),
    "B2": (SKY, "", "B2 offered, does not ask"),
    "C1": (ORANGE, "", "C1 asks, no offer"),
    "C2": (GREEN, "", "C2 charges"),
    "D": (PURPLE, "", "D as C, ventilated"),
    "E": (VERMILION, "", "E pilot at 0 V"),
    "F": (VERMILION, "/", "F not usable"),
    "off": ("#BBBBBB", "x", "off"),
    "mixed": (GREY, ".", "many changes"),
}
"""Colour, pattern and words for each band."""
_MARKS = {
    "plug": "triangle-down",
    "unplug": "triangle-up-open",
    "switch": "diamond",
    "power": "x-thin",
    "bus": "square",
    "fault": "star",
}
_MOST_BANDS = 6_000
_SHORTEST_BAND = 1 / 4000  # of the duration, where there are more

Band = tuple[float, float, str, str]
"""From, until (s), key of STATES, what is said of it."""


def _spells(track: Track, duration_s: float) -> list[Band]:
    """A station's states. One that changes only its reason goes on."""
    bands: list[Band] = []
    ends = [*(stand.t_s for stand in track.stands[1:]), duration_s]
    for stand, until_s in zip(track.stands, ends, strict=True):
        key = stand.state if stand.state in STATES else stand.state[0]
        if bands and bands[-1][2:] == (key, stand.state):
            bands[-1] = (bands[-1][0], until_s, key, stand.state)
        elif until_s > stand.t_s:
            bands.append((stand.t_s, until_s, key, stand.state))
    return bands


def _coarse(bands: Sequence[Band], shortest_s: float) -> list[Band]:
    """Neighbours that are too short to be seen, as one."""
    merged: list[Band] = []
    for band in bands:
        short = band[1] - band[0] < shortest_s
        if short and merged and merged[-1][2] == "mixed":
            merged[-1] = (merged[-1][0], band[1], "mixed", "many changes")
        else:
            merged.append((band[0], band[1], "mixed", "many changes") if short else band)
    return merged


def bands(recording: Recording, duration_s: float) -> list[Trace]:
    spells = [_spells(track, duration_s) for track in recording.tracks]
    if sum(map(len, spells)) > _MOST_BANDS:
        spells = [_coarse(its, duration_s * _SHORTEST_BAND) for its in spells]
    by_key: dict[str, list[tuple[int, Band]]] = {}
    for i, its in enumerate(spells):
        for band in its:
            by_key.setdefault(band[2], []).append((i, band))
    return [_bars(key, by_key[key]) for key in STATES if key in by_key]


def _bars(key: str, bands: Sequence[tuple[int, Band]]) -> Trace:
    colour, pattern, words = STATES[key]
    return {
        "type": "bar",
        "orientation": "h",
        "name": words,
        "y": [-i for i, _ in bands],
        "base": times(band[0] for _, band in bands),
        "x": times(band[1] - band[0] for _, band in bands),
        "width": 0.56,
        "text": [band[3] for _, band in bands],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "constraintext": "inside",
        "textfont": {"size": 10, "color": BLACK},
        "marker": {
            "color": colour,
            "line": {"width": 0},
            "pattern": {"shape": pattern, "fgcolor": "#FFFFFF", "bgcolor": colour, "size": 6, "solidity": 0.25},
        },
        "hoverinfo": "skip",
        "legend": "legend2",
        "xaxis": "x",
        "yaxis": "y2",
    }


def faults(recording: Recording, duration_s: float) -> list[Trace]:
    """A line under the station's band while it shows a fault."""
    x: list[float] = []
    y: list[float] = []
    texts: list[str] = []
    for i, track in enumerate(recording.tracks):
        for spell in track.faults:
            until_s = duration_s if spell.until_s is None else spell.until_s
            end = "the end" if spell.until_s is None else clock(until_s)
            when = f"{clock(spell.from_s)} to {end}"
            said = f"{recording.stations[i]}: {spell.code}, {when}<br>{BY_CODE[spell.code].sentence}"
            x += (spell.from_s, (spell.from_s + until_s) / 2, until_s, until_s)
            y += (-i - 0.36, -i - 0.36, -i - 0.36, float("nan"))
            texts += [said] * 4
    if not x:
        return []
    return [
        {
            "name": "fault shown",
            "x": times(x),
            "y": floats(y),
            "text": texts,
            "hovertemplate": "%{text}<extra></extra>",
            "line": {"width": 5, "color": VERMILION},
            "legend": "legend3",
            **lines_on("y2"),
        }
    ]


def events(scenario: Scenario, chart: Chart, stations: Sequence[str]) -> list[Trace]:
    traces = []
    for kind, name in happenings.KINDS.items():
        those = [event for event in scenario.events if happenings.kind(event) == kind]
        if those:
            rows = [len(stations) if event.station is None else stations.index(event.station) for event in those]
            texts = [
                f"{clock(event.at_s)} {event.station or 'line'}: {happenings.words(event, chart)}" for event in those
            ]
            traces.append(
                {
                    "name": name,
                    "x": times(event.at_s for event in those),
                    "y": [0.4 - row for row in rows],
                    "text": texts,
                    "hovertemplate": "%{text}<extra></extra>",
                    "marker": {
                        "symbol": _MARKS[kind],
                        "size": 9,
                        "color": BLACK,
                        "line": {"width": 1.5 if "open" in _MARKS[kind] or "thin" in _MARKS[kind] else 0},
                    },
                    "legend": "legend3",
                    **lines_on("y2"),
                    "mode": "markers",
                }
            )
    return traces
