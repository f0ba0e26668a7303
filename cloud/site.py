"""A site as data: a tree of nodes with limits, stations and offline groups as its leaves, meters on its nodes.

Amperes are those of each node's own voltage and continuous: what a conductor may carry for hours (NEC 625.42, CEC
8-106). Lines are named A, B, C and N on three phases, L1, L2 and N on a split phase (120/240 V); a load between two
of them is on "AB", "L1L2" and so on. Nothing here is checked: `cloud.tree` refuses what does not fit together.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf


class Kind(Enum):
    """What a node is."""

    BUDGET = "budget"
    """No conductor: power shared by several services, for instance of several sites."""
    SERVICE = "service"
    TRANSFORMER = "transformer"
    """Its limit, voltage and lines are those of its secondary side."""
    PANEL = "panel"
    CIRCUIT = "circuit"


class Phases(Enum):
    """What a node distributes."""

    SINGLE = "single"
    """Two conductors: every load on it is on the same two lines."""
    SPLIT = "split"
    """L1, L2 and N, 120/240 V."""
    THREE = "three"


class Rule(Enum):
    """How the currents of stations are added up in a node."""

    SCALAR = "scalar"
    """All amperes add, whatever lines they are on. Always safe, and right where nobody knows the lines."""
    PHASOR = "phasor"
    """Each line carries the phasor sum of what is on it, at unity power factor or as `min_power_factor` says."""


class Measures(Enum):
    """What a meter's transformers enclose."""

    BUILDING = "building"
    """All loads of its node but the stations."""
    TOTAL = "total"
    """Everything, stations included."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something that must not be overloaded."""

    name: str
    kind: Kind
    parent: str | None = None
    phases: Phases = Phases.THREE
    voltage_v: float = 208.0
    """Line to line; 240 between the legs of a split phase."""
    limit_a: float = inf
    """On each line, continuous, derated."""
    limit_w: float = inf
    """Only where the sum of power is limited (a budget)."""
    rule: Rule = Rule.SCALAR
    lines: str = ""
    """Single phase, or behind a single-phase transformer: the lines of its parent that it is on; empty = not known."""
    winding: str = ""
    """Of the transformer that feeds it from its parent: "wye-wye", "delta-wye" (North America's: the high side leads by
    30 degrees), "single" (one phase of it, between `lines`); empty = no transformer."""
    min_power_factor: float = 1.0
    """Phasor rule: the worst displacement of a vehicle's current, leading or lagging."""


@dataclass(frozen=True, slots=True)
class Member:
    """One station, or one offline group: a primary with its secondaries, whose total can be lowered."""

    name: str
    node: str
    rating_a: float
    """The most it may be told; of a group the setting of its primary's rotary switch."""
    lines: str = ""
    """"AB", "L1N"; "ABC" for three phases; empty = those of its circuit, or not known, of a single-phase station."""
    stations: int = 1
    min_a: float = 6.0
    """Less can't be offered (J1772)."""
    weight: float = 1.0
    """Its part of what is shared, against others'; a group counts with its vehicles that ask."""
    priority: int = 0
    """A higher one is served before all lower ones."""
    fallback_a: float | None = None
    """What it offers without its controller; None = to be chosen by the site."""
    keeps_quiet: bool = True
    """Takes its fallback only `hold_s` after its lease; False: at once, so that its fallback is always reserved."""
    settle_s: float = 6.5
    """From confirming a lower limit to drawing no more than it: a vehicle's reaction, a group's release time."""

    @property
    def is_group(self) -> bool:
        return self.stations > 1


@dataclass(frozen=True, slots=True)
class Meter:
    """Current transformers on the lines of a node; they give magnitudes only."""

    name: str
    node: str
    measures: Measures = Measures.BUILDING
    period_s: float = 1.0
    stale_after_s: float = 10.0
    worst_a: float = inf
    """The building's load on each line that is assumed while nothing credible is heard; inf = all there is."""
    margin_a: float = 0.0
    """Kept free on each line, for the meter's error and what the load does within a period."""
    lines_sure: bool = False
    """Somebody has checked which transformer is on which line; else each line counts what the fullest one carries."""
    angle_deg: float = 30.0
    """Of a total: the most that the building's current may be out of phase with the stations'."""
    ramp_a_per_s: float = 2.0
    """Room that comes free is given out this fast; room that is lost is taken back at once."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of online control, seconds. Checked in `cloud.site_rules` as the offline ones are in the station."""

    report_s: float = 10.0
    """A member reports at least this often, and at once when something changes."""
    lease_s: float = 60.0
    """A command's life, counted by the member from the report that it answers."""
    hold_s: float = 120.0
    """After the lease a member offers at most its fallback, and only this much later more than it was told."""
    drift: float = 0.01
    stagger_s: float = 2.0
    """Vehicles start at least this far apart."""
    turn_s: float = 900.0
    """A vehicle's turn when not all minimums fit."""


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site; the order of its members is that of every list of shares, commands and rows."""

    name: str
    nodes: tuple[Node, ...]
    members: tuple[Member, ...]
    meters: tuple[Meter, ...] = ()
    timing: Timing = field(default_factory=Timing)
