"""Bugs to plant into the controller of a site, each one that somebody could make, and the worlds that show it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from cloud import lines, tree
from cloud.controller import Controller
from cloud.headroom import Building
from cloud.ledger import Row, Times
from cloud.lines import Footprint
from cloud.link import Command, Report, Wish
from cloud.site import Kind, Member, Node, Phases, Site, Timing
from cloud.tree import Tree
from tests.scenario.helpers import WORST
from watti.sites.faults import Happening, Plan, draw
from watti.sites.world import CUT, Clock, Wire


class Bug(NamedTuple):
    """What is put in the place of what, and worlds that show it: seeds, or stories by name."""

    where: Any
    name: str
    instead: Callable[..., Any]
    shown_by: tuple[int | str, ...]


# Stories of two members that share what one of them can take

CIRCUIT = Node("c", Kind.CIRCUIT, phases=Phases.SINGLE, limit_a=48.0)
SOUND = Wire()


def _story(
    *happenings: tuple[Any, ...], policy: str = "equal", fallback_a: float = 0.0, timing: Timing | None = None
) -> Plan:
    """(when, verb, ...); the second has priority. The members' clocks are slow, the controller's is fast."""
    members = [Member(f"s{i}", "c", 48.0, fallback_a=fallback_a, priority=i) for i in range(2)]
    site = Site("story", (CIRCUIT,), tuple(members), timing=timing or Timing())
    events = tuple(Happening(at_s, verb, tuple(args)) for at_s, verb, *args in happenings)
    return Plan(-1, site, policy, (fallback_a,) * 2, (-0.005,) * 2, Clock(0.005), {}, events, 0.0, 600.0)


STORIES = {
    "a report of another life comes just after a cut": _story(
        (5.0, "plug", 0, 0, WORST),
        (150.0, "wires", 0, Wire(60.0), SOUND),
        (150.0, "restart", 0),
        (150.5, "wires", 0, SOUND, SOUND),
        (151.0, "restart", 0),
        (209.0, "plug", 1, 0, WORST),
    ),
    "a confirmation comes when its command has lapsed": _story(
        (5.0, "plug", 0, 0, WORST),
        (200.3, "wires", 0, Wire(72.0), CUT),
        (202.3, "wires", 0, CUT, CUT),
        (206.0, "plug", 1, 0, WORST),
        policy="priority",
        fallback_a=24.0,
        timing=Timing(report_s=2.0),
    ),
    "one is cut off, and the other may have more at any moment": _story(
        (5.0, "plug", 0, 0, WORST),
        (100.0, "plug", 1, 0, WORST),
        (200.3, "wires", 0, CUT, CUT),
        *((255.0 + tenths / 10, "wish", 1, Wish()) for tenths in range(50)),
        fallback_a=6.0,
    ),
    "answers to late reports are lost, and then the other is": _story(
        (5.0, "plug", 0, 0, WORST),
        (190.0, "unplug", 0, 0),
        (192.0, "plug", 1, 0, WORST),
        (200.0, "wires", 0, Wire(50.0), SOUND),
        (345.0, "wires", 0, Wire(50.0), CUT),
        (356.0, "wires", 0, CUT, CUT),
        (425.0, "wires", 1, CUT, CUT),
        (455.0, "plug", 0, 0, WORST),
        fallback_a=24.0,
    ),
}


# Bugs

_confirm, _change_life, _command, _on_report = Row._confirm, Row._change_life, Row.command, Row.on_report
_times, _start, _load = Times.__init__, Controller.__init__, Building.load


def _settles_at_once(row: Row, taken: Any, reserved_da: int, now: float) -> None:
    _confirm(row, taken, reserved_da, now)
    row._settling.clear()


def _a_new_life_ends_all(row: Row, last: Report) -> None:
    _change_life(row, last)
    row._sent.clear()


def _a_new_life_has_settled(row: Row, last: Report) -> None:
    row._settling.clear()
    _change_life(row, last)


def _forgets_what_lapsed(row: Row, now: float) -> None:
    row._sent = [sent for sent in row._sent if sent.ends_at > now]


def _believes_late_confirmations(row: Row, report: Report, now: float) -> bool:
    taken = _on_report(row, report, now)
    if report.confirmed > row._confirmed:
        row._lapsed_da = 0
    return taken


def _knows_one_command(row: Row, limit_da: int, reason: str, now: float) -> Command:
    row._sent.clear()
    return _command(row, limit_da, reason, now)


def _noted_when_told(row: Row, limit_da: int, reason: str, now: float) -> Command:
    row.noted_after = now
    return _command(row, limit_da, reason, now)


def _no_room(times: Times, timing: Timing, slowest_settle_s: float) -> None:
    _times(times, timing, slowest_settle_s)
    times.room_s = 0.0


def _no_drift(times: Times, timing: Timing, slowest_settle_s: float) -> None:
    _times(times, timing, slowest_settle_s)
    times.held_s = times.lease_s


def _starts_at_once(controller: Controller, *args: Any) -> None:
    _start(controller, *args)
    controller._gives_from = args[-1]


def _never_stale(building: Building, now: float) -> tuple[float, ...]:
    building._follow(now)
    return building._believed


def _slowly_up(building: Building, now: float) -> tuple[float, ...]:
    believed = _load(building, now)
    at, shown = building.__dict__.get("shown", (now, believed))
    most = building.meter.ramp_a_per_s * (now - at)
    shown = tuple(min(load, before + most) for load, before in zip(believed, shown, strict=True))
    building.__dict__["shown"] = (now, shown)
    return shown


def _wye(node: Node) -> Node:
    return replace(node, winding="wye-wye") if node.winding == "delta-wye" else node


def _stations_through_a_wye(footprint: Footprint, node: Node, parent: Node) -> Footprint:
    return lines.above(footprint, _wye(node), parent)


def _building_through_a_wye(amps: tuple[float, ...], node: Node, parent: Node) -> tuple[float, ...]:
    return lines.building_above(amps, _wye(node), parent)


_LATE, _LAPSED, _CUT, _TWO = STORIES
BUGS = {
    "a cut is over when it is confirmed": Bug(Row, "_confirm", _settles_at_once, (30, _LATE)),
    "another life ends all commands": Bug(Row, "_change_life", _a_new_life_ends_all, (8, 38)),
    "another life has settled": Bug(Row, "_change_life", _a_new_life_has_settled, (_LATE,)),
    "what lapsed is forgotten": Bug(Row, "_lapse", _forgets_what_lapsed, (55, _LAPSED)),
    "a late confirmation frees what lapsed": Bug(Row, "on_report", _believes_late_confirmations, (_LAPSED,)),
    "only the last command counts": Bug(Row, "command", _knows_one_command, (46, _CUT)),
    "a question is as new as its answer": Bug(Row, "command", _noted_when_told, (_TWO,)),
    "no fallback is reserved": Bug(Row, "reserved_da", lambda row, now: 0, (1, _LAPSED)),
    "a fallback is reserved too late": Bug(Times, "__init__", _no_room, (1,)),
    "clocks agree": Bug(Times, "__init__", _no_drift, (_CUT,)),
    "a new controller gives at once": Bug(Controller, "__init__", _starts_at_once, (1,)),
    "crowded rows give more": Bug(Controller, "_crowded", lambda controller, exposed, limits: set(), (1,)),
    "a dead meter is believed for ever": Bug(Building, "load", _never_stale, (69,)),
    "load that comes counts slowly": Bug(Building, "load", _slowly_up, (6,)),
    "stations are behind a wye": Bug(tree, "above", _stations_through_a_wye, (35,)),
    "the building is behind a wye": Bug(tree, "building_above", _building_through_a_wye, (32,)),
    "the building takes nothing": Bug(Tree, "limits", lambda tree, building: tree.written, (9,)),
}


def plan(world: int | str) -> Plan:
    return draw(world) if isinstance(world, int) else STORIES[world]
