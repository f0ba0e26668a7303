"""The plots of a site's report as one plotly figure in plain data: power, waiting and nodes below each other."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from watti.figure import heading, legend, time_axis
from watti.sites.run import Outcome, Sample
from watti.sites.scenario import SiteScenario
from watti.sites.scenario_rules import UNCONTROLLED
from watti.traces import BLUE, GREEN, GREY, ORANGE, VERMILION, Trace, floats, lines_on, times

_MOST_NODES = 24
_TOP, _PLOT, _GAP, _BOTTOM = 70, 190, 50, 50
"""Pixels: above the first plot, of a plot, between two, below the last."""
_STYLES = {
    "equal": (BLUE, "solid"),
    "priority": (ORANGE, "solid"),
    "first_come": (GREEN, "solid"),
    UNCONTROLLED: (GREY, "2px,2px"),
}


class _Plot(NamedTuple):
    """One curve for each policy, and a limit."""

    title: str
    value: Callable[[Sample], float]
    limit: float | None = None


def figure(scenario: SiteScenario, outcomes: Sequence[Outcome]) -> Trace:
    """What `Plotly.newPlot` takes: data and layout. All plots share the time axis."""
    plots = [
        _Plot("All vehicles together, kW", lambda sample: sample.kw),
        _Plot("Stations that wait", lambda sample: float(sample.waiting)),
        *_of_nodes(scenario, outcomes[0]),
    ]
    data = [trace for row, plot in enumerate(plots) for trace in _traces(row, plot, outcomes, scenario.duration_s)]
    return {"data": data, "layout": _layout(plots, outcomes, scenario.duration_s)}


def _of_nodes(scenario: SiteScenario, outcome: Outcome) -> list[_Plot]:
    """The fullest line of each node that has a limit, as far as there is room for plots."""
    limited = [n for n, _ in enumerate(scenario.site.nodes) if any(slot.node == n for slot in outcome.slots)]
    return [_of_node(scenario.site.nodes[n].name, n, outcome) for n in limited[:_MOST_NODES]]


def _of_node(name: str, n: int, outcome: Outcome) -> _Plot:
    own = [s for s, slot in enumerate(outcome.slots) if slot.node == n]
    slot = outcome.slots[own[0]]
    scale, unit = (1000.0, "kW") if slot.watts else (1.0, "A")
    return _Plot(
        f"{name}: fullest line, {unit}",
        lambda sample: max(sample.loads[s] for s in own) / scale,
        slot.limit / scale,
    )


def _traces(row: int, plot: _Plot, outcomes: Sequence[Outcome], duration_s: float) -> Iterator[Trace]:
    axis = _axis(row)
    for outcome in outcomes:
        colour, dash = _STYLES[outcome.policy]
        yield {
            "name": outcome.policy,
            "x": times(sample.t_s for sample in outcome.samples),
            "y": floats(plot.value(sample) for sample in outcome.samples),
            "line": {"width": 1.4, "color": colour, "dash": dash, "shape": "hv"},
            "hovertemplate": f"{outcome.policy} %{{y:.1f}}<extra></extra>",
            "showlegend": row == 0,
            **lines_on(axis),
        }
    if plot.limit is not None:
        yield {
            "name": "limit",
            "x": times((0.0, duration_s)),
            "y": floats((plot.limit, plot.limit)),
            "line": {"width": 2, "color": VERMILION, "dash": "6px,3px"},
            "hovertemplate": f"limit {plot.limit:g}<extra></extra>",
            "showlegend": False,
            **lines_on(axis),
        }


def _axis(row: int) -> str:
    return "y" if row == 0 else f"y{row + 1}"


def _layout(plots: Sequence[_Plot], outcomes: Sequence[Outcome], duration_s: float) -> Trace:
    height = _TOP + len(plots) * (_PLOT + _GAP) - _GAP + _BOTTOM
    tops = [_TOP + row * (_PLOT + _GAP) for row in range(len(plots))]
    layout: Trace = {
        "height": height,
        "margin": {"l": 70, "r": 36, "t": 0, "b": 0},
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1A1A1A"},
        "hovermode": "x unified",
        "xaxis": time_axis(duration_s) | {"anchor": _axis(len(plots) - 1)},
        "legend": legend(1 - (_TOP - 44) / height),
        "annotations": [heading(1 - (top - 6) / height, plot.title) for top, plot in zip(tops, plots, strict=True)],
    }
    for row, (top, plot) in enumerate(zip(tops, plots, strict=True)):
        highest = max((plot.value(sample) for outcome in outcomes for sample in outcome.samples), default=0.0)
        layout[f"yaxis{row + 1 if row else ''}"] = {
            "domain": [1 - (top + _PLOT) / height, 1 - top / height],
            "range": [0, 1.08 * max(highest, plot.limit or 0.0, 1.0)],
            "fixedrange": True,
            "gridcolor": "#E4E4E4",
            "nticks": 6,
        }
    return layout
