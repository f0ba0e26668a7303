"""The currents of a report's plots as plotly traces: plain data, nothing of plotly is imported."""

import sys
from array import array
from base64 import b64encode
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from watti.curve import Knot, Moment, moments, sampled, thinned
from watti.recording import Recording, Stand

Trace = dict[str, Any]

# Okabe and Ito's colours, which colour-blind people can tell apart.
BLACK, ORANGE, SKY, GREEN, YELLOW = "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
STATION_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY)
_MOST_MOMENTS = 40_000  # in the stack, so that the file stays small; a usual day has 4,000
_MOST_KNOTS = 25_000  # in the plots of all stations together
_EVEN_MOMENTS = 600  # for a pointer that rests where nothing changes


def currents(recording: Recording, violations: Sequence[dict[str, float]], duration_s: float) -> list[Trace]:
    """All stations' currents stacked on axis y with their total and the limit, and each with its offer on y3, y4 ...

    Where there are too many changes to draw, true moments are shown and held, so that no sum is shown that never was.
    """
    at = _moments(recording, duration_s)
    shape = "linear"
    if len(at) > _MOST_MOMENTS:
        at, shape = _telling(at, sampled(recording.total.knots, at)), "hv"
    return [
        *_stacked(recording, at, shape),
        _limit(recording.limits, duration_s),
        *_violations(violations),
        *_stations(recording, duration_s),
    ]


def typed(dtype: str, values: Iterable[float]) -> dict[str, str]:
    """Numbers as plotly's typed arrays ("u2", "f4" or "f8"): a third of the text, and quick to read."""
    packed = array({"u2": "H", "f4": "f", "f8": "d"}[dtype], values)
    if sys.byteorder == "big":
        packed.byteswap()
    return {"dtype": dtype, "bdata": b64encode(packed.tobytes()).decode()}


def floats(values: Iterable[float]) -> dict[str, str]:
    return typed("f4", values)


def times(seconds: Iterable[float]) -> dict[str, str]:
    """On a time axis, in ms."""
    return typed("f8", (round(t_s * 1000, 3) for t_s in seconds))


def _moments(recording: Recording, duration_s: float) -> list[Moment]:
    even = [(duration_s * i / _EVEN_MOMENTS, 0.0) for i in range(_EVEN_MOMENTS + 1)]
    curves = [track.drawn.knots for track in recording.tracks]
    return moments(
        [*curves, recording.total.knots, even], [stand.t_s for track in recording.tracks for stand in track.stands]
    )


def _telling(at: Sequence[Moment], totals: Sequence[float]) -> list[Moment]:
    """The lowest and the highest of each stretch, and both ends."""
    kept = thinned(list(enumerate(totals)), _MOST_MOMENTS)
    return [at[int(i)] for i, _ in kept]


def _stacked(recording: Recording, at: Sequence[Moment], shape: str) -> list[Trace]:
    """Each station's current on top of the others', their sum, and what the pointer says of them."""
    x = times(t_s for t_s, _ in at)
    sums = [0.0] * len(at)
    traces = []
    for i, (name, track) in enumerate(zip(recording.stations, recording.tracks, strict=True)):
        drawn = sampled(track.drawn.knots, at)
        sums = [below + amps for below, amps in zip(sums, drawn, strict=True)]
        texts = [_told(stand, amps) for stand, amps in zip(_stands_at(track.stands, at), drawn, strict=True)]
        fill = {"fill": "tonexty" if i else "tozeroy", "fillcolor": _faint(_colour(i), 0.75)}
        traces.append(
            _pointed(name, x, sums, texts) | fill | {"line": {"width": 0.6, "color": _colour(i), "shape": shape}}
        )
    totals, limits = sampled(recording.total.knots, at), sampled(_corners(recording.limits), at)
    texts = [f"{amps:.1f} of {limit:g} A" for amps, limit in zip(totals, limits, strict=True)]
    line = {"line": {"width": 1.2, "color": BLACK, "shape": shape}}
    return [*traces, _pointed("all together", x, totals, texts) | line]


def _pointed(name: str, x: Trace, amps: Sequence[float], texts: Sequence[str]) -> Trace:
    said = {"text": texts, "hovertemplate": f"{name}  %{{text}}<extra></extra>"}
    return {"name": name, "x": x, "y": floats(amps)} | said | lines_on("y")


def _told(stand: Stand | None, amps: float) -> str:
    if stand is None:
        return "off"
    offer = f"{amps:.1f} of {stand.offered_a:.1f} A" if stand.offered_a or amps else "no offer"
    return f"{stand.state}  {offer}, {stand.fault or stand.reason}"


def _stands_at(stands: Sequence[Stand], at: Sequence[Moment]) -> list[Stand | None]:
    found: list[Stand | None] = []
    i = -1
    for t_s, after in at:
        while i + 1 < len(stands) and (stands[i + 1].t_s < t_s or (after and stands[i + 1].t_s == t_s)):
            i += 1
        found.append(stands[i] if i >= 0 else None)
    return found


def _corners(steps: Sequence[Knot]) -> list[Knot]:
    """Steps as a curve."""
    corners = (knot for (t_s, amps), (until_s, _) in pairwise(steps) for knot in ((t_s, amps), (until_s, amps)))
    return [*corners, steps[-1]]


def _line(knots: Sequence[Knot], name: str, axis: str, line: Trace) -> Trace:
    xy = {"x": times(t_s for t_s, _ in knots), "y": floats(amps for _, amps in knots)}
    return {"name": name, "line": line, "hoverinfo": "skip"} | xy | lines_on(axis)


def _limit(limits: Sequence[Knot], duration_s: float) -> Trace:
    knots = [*limits, (duration_s, limits[-1][1])]
    dashes = {"shape": "hv", "dash": "6px,3px", "width": 2.5, "color": VERMILION}
    return _line(knots, "limit that binds", "y", dashes)


def _violations(violations: Sequence[dict[str, float]]) -> list[Trace]:
    if not violations:
        return []
    return [
        {
            "name": "ABOVE THE LIMIT",
            "x": times(v["t_s"] for v in violations),
            "y": floats(v["total_a"] for v in violations),
            "mode": "markers",
            "marker": {"symbol": "x", "size": 11, "color": BLACK, "line": {"width": 2, "color": VERMILION}},
            "hovertemplate": "ABOVE THE LIMIT: %{y:.2f} A<extra></extra>",
            **lines_on("y") | {"mode": "markers"},
        }
    ]


def _stations(recording: Recording, duration_s: float) -> Iterable[Trace]:
    """What each station offers and what its vehicle draws."""
    most = _MOST_KNOTS // len(recording.stations)
    for i, track in enumerate(recording.tracks):
        knots = thinned(track.drawn.knots, most)
        shape = "linear" if len(knots) == len(track.drawn.knots) else "hv"
        offers = thinned([(stand.t_s, stand.offered_a) for stand in track.stands], most)
        area = {"fill": "tozeroy", "fillcolor": _faint(_colour(i), 0.45), "showlegend": False}
        yield _line(knots, "draws", f"y{3 + i}", {"width": 1, "color": _colour(i), "shape": shape}) | area
        steps = {"width": 1.1, "color": BLACK, "shape": "hv"}
        yield _line([*offers, (duration_s, offers[-1][1])], "offers", f"y{3 + i}", steps) | {"showlegend": False}


def lines_on(axis: str) -> Trace:
    """A trace of lines on the shared time axis and this one."""
    return {"type": "scatter", "mode": "lines", "xaxis": "x", "yaxis": axis}


def _colour(i: int) -> str:
    return STATION_COLOURS[i % len(STATION_COLOURS)]


def _faint(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
