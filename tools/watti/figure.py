"""The plots of a report, as one plotly figure in plain data: all of them share the time axis.

From top to bottom: all stations' amperes stacked against the limit, states and events of each station, then a plot
for each station.
"""

from collections.abc import Sequence

from firmware.rotary import Chart
from watti.bands import bands, events, faults
from watti.recording import Recording
from watti.scenario import Scenario
from watti.traces import Trace, currents, lines_on

_TIME = "%-H:%M:%S"
_MORE_TIME_AXES = (("x2", "y"), ("x3", "y2"))  # under the upper plots; each needs a trace to be drawn


class Rows:
    """Where each plot stands, in pixels from the top."""

    def __init__(self, stations: int, lines: int) -> None:
        self.total = (70, 370)
        self.states = (530, 530 + 40 * lines)
        first = self.states[1] + 74
        self.stations = [(first + 112 * i, first + 112 * i + 94) for i in range(stations)]
        self.height = self.stations[-1][1] + 50

    def domain(self, row: tuple[int, int]) -> list[float]:
        return [1 - row[1] / self.height, 1 - row[0] / self.height]

    def y(self, pixels: float) -> float:
        return 1 - pixels / self.height


def figure(scenario: Scenario, chart: Chart, recording: Recording, violations: Sequence[dict[str, float]]) -> Trace:
    """What `Plotly.newPlot` takes: data and layout."""
    names = [*recording.stations, *(["line"] if any(event.station is None for event in scenario.events) else [])]
    rows = Rows(len(recording.stations), len(names))
    data = [
        *currents(recording, violations, scenario.duration_s),
        *bands(recording, scenario.duration_s),
        *faults(recording, scenario.duration_s),
        *events(scenario, chart, recording.stations),
        *({**lines_on(axis), "x": [0], "y": [None], "xaxis": x, "showlegend": False} for x, axis in _MORE_TIME_AXES),
    ]
    return {"data": data, "layout": _layout(recording, rows, names, scenario.duration_s)}


# Layout


def _layout(recording: Recording, rows: Rows, names: Sequence[str], duration_s: float) -> Trace:
    stations = recording.stations
    top_a = max(amps for _, amps in [*recording.limits, *recording.total.knots])
    own_top_a = max([6.0, *(track.peak_a for track in recording.tracks)])
    own_top_a = max([own_top_a, *(stand.offered_a for track in recording.tracks for stand in track.stands)])
    layout: Trace = {
        "height": rows.height,
        "margin": {"l": 70, "r": 36, "t": 0, "b": 0},
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1A1A1A"},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {"font": {"family": "ui-monospace, monospace", "size": 11}, "bgcolor": "rgba(255,255,255,0.94)"},
        "barmode": "overlay",
        "uniformtext": {"minsize": 9, "mode": "hide"},
        "dragmode": "zoom",
        "xaxis": time_axis(duration_s) | {"anchor": f"y{2 + len(stations)}"},
        "xaxis2": time_axis(duration_s) | {"anchor": "y", "matches": "x", "overlaying": "x"},
        "xaxis3": time_axis(duration_s) | {"anchor": "y2", "matches": "x", "overlaying": "x"},
        "yaxis": _amps_axis(rows.domain(rows.total), top_a * 1.06, "A, all stations"),
        "yaxis2": {
            "domain": rows.domain(rows.states),
            "range": [0.4 - len(names), 0.75],
            "tickvals": [-i for i in range(len(names))],
            "ticktext": names,
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
        "legend": legend(rows.y(rows.total[0] - 8)),
        "legend2": legend(rows.y(rows.states[0] - 34)),
        "legend3": legend(rows.y(rows.states[0] - 6)),
        "annotations": [
            heading(rows.y(rows.total[0] - 42), "What all vehicles draw together, against the limit"),
            heading(rows.y(rows.states[0] - 92), "Pilot states, events and faults"),
            heading(rows.y(rows.stations[0][0] - 8), "Each station: offered (black line) and drawn (area), A"),
        ],
    }
    for i, row in enumerate(rows.stations):
        layout[f"yaxis{3 + i}"] = _amps_axis(rows.domain(row), own_top_a * 1.1, stations[i])
    return layout


def time_axis(duration_s: float) -> Trace:
    """Moments of the scenario as h:mm:ss; where there are several days, each is named where it begins."""
    days = duration_s >= 86400
    day = "\nday %-j" if days else ""
    pointed = f"{_TIME}.%L" + (", day %-j" if days else "")
    return {
        "type": "date",
        "range": [0, duration_s * 1000],
        "minallowed": 0,
        "maxallowed": duration_s * 1000,
        "tickmode": "auto",
        "tickformat": _TIME + day,
        "tickformatstops": [
            {"dtickrange": [None, 999], "value": f"{_TIME}.%L{day}"},
            {"dtickrange": [1000, None], "value": _TIME + day},
        ],
        "unifiedhovertitle": {"text": f"<b>%{{x|{pointed}}}</b>"},
        "hoverformat": pointed,
        "showgrid": True,
        "gridcolor": "#E4E4E4",
        "showspikes": True,
        "spikemode": "across",
        "spikesnap": "hovered data",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": "#666666",
        "ticks": "outside",
        "ticklabeloverflow": "allow",
        "nticks": 12,
    }


def _amps_axis(domain: list[float], top_a: float, title: str) -> Trace:
    return {
        "domain": domain,
        "range": [0, top_a],
        "title": {"text": title},
        "fixedrange": True,
        "gridcolor": "#E4E4E4",
        "zeroline": True,
        "zerolinecolor": "#888888",
        "nticks": 6,
    }


def legend(y: float) -> Trace:
    """Only words: a stack would show a wrong sum if one of its stations could be hidden."""
    return {
        "orientation": "h",
        "traceorder": "normal",
        "itemclick": False,
        "itemdoubleclick": False,
        "x": 0,
        "y": y,
        "xanchor": "left",
        "yanchor": "bottom",
        "font": {"size": 11},
    }


def heading(y: float, text: str) -> Trace:
    return {
        "text": f"<b>{text}</b>",
        "x": 0,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 14},
    }
