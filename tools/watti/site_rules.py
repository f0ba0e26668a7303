"""What the tables of a site file may say, each by itself."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import voluptuous as vol

from cloud.lines import connections
from cloud.site import Kind, Measures, Phases, Rule
from firmware.config import (
    MODELS,
    Check,
    Fields,
    attempt,
    choice,
    each,
    expected,
    flag,
    integer,
    name,
    number,
    required,
    settle,
    table,
    text,
)
from firmware.rotary import Chart, position
from firmware.timing import Timing

CHART_FILE = Path(__file__).parent / "configs" / "rotary.toml"
LIMITS = ("limit_a", "breaker_a", "kva")
"""Keys of which a node that conducts has exactly one."""
RATINGS = ("model", "rating_a")
"""Keys of which a station has exactly one."""
_MOST_A = 100_000
_GROUP_MAX = 5
"""Stations of an offline group (S)."""
_LONGEST_S = 86_400
_TIMING = Timing()


def several(entry: Mapping[str, Any]) -> list[str]:
    """The names of the members that a checked table stands for."""
    named: str | list[str] = entry["name"]
    if isinstance(named, list):
        return named
    return [f"{named}{number}" for number in range(1, entry["count"] + 1)] if "count" in entry else [named]


def _word(enum: type[Kind] | type[Measures] | type[Phases] | type[Rule]) -> Check:
    return choice(*(member.value for member in enum))


def _one_of(value: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[vol.Invalid]:
    written = [key for key in keys if key in value]
    if len(written) != 1:
        yield vol.Invalid(f"expected one of {', '.join(keys)} (got {' and '.join(written) or 'none'})")


def _and(fields: Check, further: Any) -> Check:
    """A table of these fields of which none contradicts another, as `further` tells of the table as written."""

    def check(value: Any) -> Any:
        errors: list[vol.Invalid] = []
        valid = attempt(fields, value, errors)
        if isinstance(value, dict):
            errors += further(value)
        settle(errors)
        return valid

    return check


# Nodes

_KIND = _word(Kind)
_BUDGET: Fields = {
    required("name"): name,
    required("kind"): _KIND,
    vol.Optional("parent"): name,
    required("limit_kw"): number(0.1, 1e6),
}
_CONDUCTS: Fields = {
    required("name"): name,
    required("kind"): _KIND,
    vol.Optional("parent"): name,
    vol.Optional("limit_a"): number(1, _MOST_A),
    vol.Optional("breaker_a"): number(1, _MOST_A),
    vol.Optional("kva"): number(0.1, _MOST_A),
    vol.Optional("derating"): number(0.1, 1),
    vol.Optional("phases"): _word(Phases),
    vol.Optional("voltage_v"): number(90, 50_000),
    vol.Optional("lines"): choice(*(lines for phases in Phases for lines in connections(phases) if lines != "ABC")),
    vol.Optional("winding"): choice("wye-wye", "delta-wye", "single"),
    vol.Optional("rule"): _word(Rule),
    vol.Optional("min_power_factor"): number(0.5, 1),
}


def _limit(value: Mapping[str, Any]) -> Iterator[vol.Invalid]:
    yield from _one_of(value, LIMITS)
    if "breaker_a" in value and "derating" not in value:
        why = "0.8 for loads that last hours, 1.0 for a breaker that is rated for them"
        yield vol.Invalid(f"expected this key beside breaker_a, {why} (it is missing)", ["derating"])
    if "derating" in value and "limit_a" in value:
        yield expected("it beside breaker_a or kva only: limit_a may flow for hours", value["derating"], "derating")
    if "winding" in value and "voltage_v" not in value:
        yield vol.Invalid("expected this key beside winding, the volts behind it (it is missing)", ["voltage_v"])


def node(value: Any) -> Any:
    """A table `[[node]]`; which keys it has depends on its kind."""
    if not isinstance(value, dict):
        raise expected("a table", value)
    kind = value.get("kind")
    check = _NODES.get(kind, _NO_KIND) if isinstance(kind, str) else _NO_KIND
    return check(value if check is not _NO_KIND else {key: value[key] for key in value.keys() & {"kind"}})


_NO_KIND = table({required("kind"): _KIND})
_NODES = {
    kind.value: table(_BUDGET, 'not a key of kind = "budget"')
    if kind is Kind.BUDGET
    else _and(table(_CONDUCTS, f'not a key of kind = "{kind.value}"'), _limit)
    for kind in Kind
}

# Stations and groups

_LINES = choice(*(lines for phases in Phases for lines in connections(phases)))


def _names(value: Any) -> Any:
    if not isinstance(value, list):
        return name(value)
    names = each(name)(value)
    if not names:
        raise vol.Invalid("expected at least one name (got none)")
    return names


def _lines(value: Any) -> Any:
    if not isinstance(value, list):
        return _LINES(value)
    lines = each(_LINES)(value)
    if not lines:
        raise vol.Invalid("expected at least one (got none)")
    return lines


_COUNT = integer(1, 10_000)
_LEAF: Fields = {
    required("name"): _names,
    vol.Optional("count"): _COUNT,
    required("node"): name,
    vol.Optional("lines"): _lines,
    vol.Optional("min_a"): number(6, 100),
    vol.Optional("weight"): number(0.01, 1000),
    vol.Optional("priority"): integer(-1000, 1000),
    vol.Optional("fallback_a"): number(0, 1000),
    vol.Optional("keeps_quiet"): flag,
}
# Times upwards only: the site's safety rests on them.
_STATION: Fields = {
    **_LEAF,
    vol.Optional("model"): choice(*MODELS),
    vol.Optional("rating_a"): number(6, 1000),
    vol.Optional("settle_s"): number(_TIMING.reaction_s, 600),
}
_GROUP: Fields = {
    **_LEAF,
    required("model"): choice(*MODELS),
    required("switch"): position,
    required("stations"): integer(1, _GROUP_MAX),
    vol.Optional("settle_s"): number(_TIMING.release_s, 600),
}


def _counted(value: Mapping[str, Any]) -> Iterator[vol.Invalid]:
    if "count" in value and isinstance(value.get("name"), list):
        yield expected("it beside a single name only, which it numbers", value["count"], "count")
    elif isinstance(value.get("name"), str) and type(value.get("count")) is int:
        longest = f"{value['name']}{value['count']}"
        if len(longest) > 32 >= len(value["name"]):
            yield expected("a name of at most 32 letters with its number", longest, "name")
    if isinstance(value.get("lines"), list) and "count" not in value and not isinstance(value.get("name"), list):
        yield vol.Invalid("expected one connection: a list is for several stations", ["lines"])


def _station_rating(value: Mapping[str, Any]) -> Iterator[vol.Invalid]:
    yield from _counted(value)
    yield from _one_of(value, RATINGS)


def station(value: Any) -> Any:
    """A table `[[station]]`; its rating is in `rating_a`."""
    valid = _and(table(_STATION), _station_rating)(value)
    if "model" in valid:
        valid["rating_a"] = float(MODELS[valid.pop("model")])
    return {"stations": 1, **valid}


def group(chart: Chart) -> Check:
    """The check of a table `[[group]]`; what its switch says is in `rating_a`."""
    fields = _and(table(_GROUP), _counted)

    def check(value: Any) -> Any:
        valid = fields(value)
        setting = chart.setting(valid.pop("switch"), MODELS[valid.pop("model")])
        if setting.limit_a is None:
            raise expected("a primary's position" + f": {setting.why}" * bool(setting.why), value["switch"], "switch")
        return {"settle_s": _TIMING.release_s, **valid, "rating_a": float(setting.limit_a)}

    return check


# Meters, times, the site itself

_SPAN = number(0.1, 3600)
METER = table(
    {
        required("name"): name,
        required("node"): name,
        required("measures"): _word(Measures),
        vol.Optional("period_s"): _SPAN,
        vol.Optional("stale_after_s"): _SPAN,
        vol.Optional("worst_a"): number(0, _MOST_A),
        vol.Optional("margin_a"): number(0, _MOST_A),
        vol.Optional("lines_sure"): flag,
        vol.Optional("angle_deg"): number(0, 90),
        vol.Optional("ramp_a_per_s"): number(0.01, 1000),
    }
)
TIMING = table(
    {
        vol.Optional("report_s"): number(1, 600),
        vol.Optional("lease_s"): number(4, 3600),
        vol.Optional("hold_s"): number(1, _LONGEST_S),
        vol.Optional("drift"): number(0.01, 0.1),
        vol.Optional("stagger_s"): number(0, 600),
        vol.Optional("turn_s"): number(60, _LONGEST_S),
    }
)
SITE = table({required("name"): text, required("voltage_v"): number(90, 50_000)})


BARE_NODE = vol.Schema(
    {required("name"): name, required("kind"): _KIND, vol.Optional("parent"): name}, extra=vol.REMOVE_EXTRA
)
BARE_LEAF = vol.Schema(
    {required("name"): _names, required("node"): name, vol.Optional("count"): _COUNT}, extra=vol.REMOVE_EXTRA
)
BARE_METER = vol.Schema({required("name"): name, required("node"): name}, extra=vol.REMOVE_EXTRA)
"""Names and places of what may be wrong otherwise."""


def whole() -> Check:
    """A whole file: its tables, of which each is right by itself."""
    tables: Fields = {
        required("site"): SITE,
        vol.Optional("timing", default=dict): TIMING,
        required("node"): each(node),
        vol.Optional("station", default=list): each(station),
        vol.Optional("group", default=list): each(group(Chart.load(CHART_FILE))),
        vol.Optional("meter", default=list): each(METER),
    }

    def nobody(value: Mapping[str, Any]) -> Iterator[vol.Invalid]:
        if not value.get("station") and not value.get("group"):
            yield vol.Invalid("expected at least one [[station]] or [[group]] (got none)")

    return _and(table(tables), nobody)
