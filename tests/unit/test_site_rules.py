"""A site that does not fit together is refused, with the place and what was expected."""

from dataclasses import replace
from math import inf, nan

import pytest

from cloud.site import Kind, Measures, Member, Meter, Node, Phases, Rule, Site, Timing
from cloud.tree import SiteError, Tree

PANEL = Node("panel", Kind.PANEL, limit_a=200.0)
CIRCUIT = Node("circuit", Kind.CIRCUIT, "panel", Phases.SINGLE, limit_a=48.0, lines="AB")
HOUSE = Node("house", Kind.SERVICE, phases=Phases.SPLIT, voltage_v=240.0, limit_a=200.0)
CAR_PARK = Node("car_park", Kind.BUDGET, limit_w=50_000.0)
S1 = Member("s1", "circuit", 48.0)
S2 = Member("s2", "panel", 48.0, "BC")


def site(*nodes: Node, members: tuple[Member, ...] = (), meters: tuple[Meter, ...] = (), **timing: float) -> Site:
    return Site("site", nodes, members, meters, replace(Timing(), **timing))


def test_a_site_that_fits_is_taken() -> None:
    tree = Tree(site(CIRCUIT, PANEL, members=(S1, S2), meters=(Meter("m", "panel"),)))
    assert [branch.node.name for branch in tree.branches] == ["panel", "circuit"]


_REFUSED = {
    "cycle": (
        site(PANEL, replace(CIRCUIT, parent="b"), Node("b", Kind.CIRCUIT, "circuit", limit_a=40.0)),
        ("node", 1, "parent"),
        "circuit is above itself",
    ),
    "own parent": (site(PANEL, replace(CIRCUIT, parent="circuit")), ("node", 1, "parent"), "above itself"),
    "no root": (site(replace(CIRCUIT, parent="circuit")), ("node",), "one node without a parent"),
    "two roots": (site(PANEL, HOUSE), ("node", 1, "parent"), "the root is panel"),
    "orphan": (site(PANEL, replace(CIRCUIT, parent="pannel")), ("node", 1, "parent"), "got pannel"),
    "same node twice": (site(PANEL, CIRCUIT, CIRCUIT), ("node", 2, "name"), "got circuit twice"),
    "station on two nodes": (
        site(PANEL, CIRCUIT, members=(S1, replace(S1, node="panel"))),
        ("member", 1, "name"),
        "got s1 twice, on circuit and on panel",
    ),
    "station nowhere": (site(PANEL, members=(S1,)), ("member", 0, "node"), "got circuit"),
    "meter nowhere": (site(PANEL, meters=(Meter("m", "circuit"),)), ("meter", 0, "node"), "got circuit"),
    "two meters of a node": (
        site(PANEL, meters=(Meter("m", "panel"), Meter("n", "panel"))),
        ("meter", 1, "node"),
        "got panel twice",
    ),
    "more phases than its parent": (
        site(HOUSE, replace(PANEL, parent="house")),
        ("node", 1, "phases"),
        "three phase can't come from house, which is split phase",
    ),
    "panel below a circuit's station": (
        site(PANEL, CIRCUIT, Node("service", Kind.SERVICE, "circuit", limit_a=60.0)),
        ("node", 2, "parent"),
        "a service can't be below a circuit",
    ),
    "lines that a panel has not": (
        site(PANEL, replace(CIRCUIT, lines="L1L2")),
        ("node", 1, "lines"),
        "AB, BC, CA, AN, BN, CN (got L1L2)",
    ),
    "station's lines not its circuit's": (
        site(PANEL, CIRCUIT, members=(replace(S1, lines="BC"),)),
        ("member", 0, "lines"),
        "the lines of circuit",
    ),
    "station's lines not there": (
        site(HOUSE, members=(Member("s", "house", 48.0, "AB"),)),
        ("member", 0, "lines"),
        "L1L2",
    ),
    "voltage without a transformer": (
        site(PANEL, Node("sub", Kind.PANEL, "panel", voltage_v=480.0, limit_a=100.0)),
        ("node", 1, "voltage_v"),
        "expected 208 as in panel, or a winding (got 480)",
    ),
    "voltage of a circuit": (
        site(PANEL, replace(CIRCUIT, lines="AN")),
        ("node", 1, "voltage_v"),
        "expected the voltage of AN in panel",
    ),
    "split phase without its transformer": (
        site(PANEL, replace(HOUSE, parent="panel", kind=Kind.TRANSFORMER)),
        ("node", 1, "winding"),
        'winding = "single"',
    ),
    "winding of another kind": (
        site(PANEL, Node("sub", Kind.PANEL, "panel", limit_a=100.0, winding="zigzag")),
        ("node", 1, "winding"),
        "wye-wye, delta-wye, single",
    ),
    "delta-wye of one phase": (
        site(PANEL, replace(CIRCUIT, winding="delta-wye")),
        ("node", 1, "winding"),
        "delta-wye can't feed single phase",
    ),
    "root on lines": (site(replace(CIRCUIT, parent=None)), ("node", 0, "lines"), "it has no parent"),
    "budget with amperes": (site(replace(CAR_PARK, limit_a=100.0)), ("node", 0, "limit_a"), "watts on a budget"),
    "station on a budget": (
        site(CAR_PARK, members=(Member("s", "car_park", 48.0),)),
        ("member", 0, "node"),
        "a node with lines",
    ),
    "meter on a budget": (site(CAR_PARK, meters=(Meter("m", "car_park"),)), ("meter", 0, "node"), "a budget"),
    "no limit": (site(replace(PANEL, limit_a=0.0)), ("node", 0, "limit_a"), "above 0"),
    "limit that is no number": (site(replace(PANEL, limit_a=nan)), ("node", 0, "limit_a"), "above 0"),
    "volts": (site(replace(PANEL, voltage_v=0.0)), ("node", 0, "voltage_v"), "volts"),
    "power factor": (site(replace(PANEL, min_power_factor=0.2)), ("node", 0, "min_power_factor"), "0.5 to 1"),
    "minimum above the rating": (
        site(PANEL, members=(replace(S2, min_a=50.0),)),
        ("member", 0, "min_a"),
        "0 < min_a <= rating",
    ),
    "weight": (site(PANEL, members=(replace(S2, weight=0.0),)), ("member", 0, "weight"), "0.001 to 1000"),
    "settling": (site(PANEL, members=(replace(S2, settle_s=inf),)), ("member", 0, "settle_s"), "seconds"),
    "fallback below the minimum": (
        site(PANEL, members=(replace(S2, fallback_a=5.0),)),
        ("member", 0, "fallback_a"),
        "expected 0, or 6 to 48 (got 5)",
    ),
    "fallback that is no number": (
        site(PANEL, members=(replace(S2, fallback_a=nan),)),
        ("member", 0, "fallback_a"),
        "expected 0, or 6 to 48 (got nan)",
    ),
    "minimum between two steps": (
        site(PANEL, members=(replace(S2, min_a=6.05),)),
        ("member", 0, "min_a"),
        "steps of 0.1 A",
    ),
    "meter's period": (site(PANEL, meters=(Meter("m", "panel", period_s=0.0),)), ("meter", 0, "period_s"), "above 0"),
    "stale before its period": (
        site(PANEL, meters=(Meter("m", "panel", period_s=5.0, stale_after_s=4.0),)),
        ("meter", 0, "stale_after_s"),
        "at least its period",
    ),
    "meter's margin": (site(PANEL, meters=(Meter("m", "panel", margin_a=-1.0),)), ("meter", 0, "margin_a"), "negative"),
    "meter's angle": (site(PANEL, meters=(Meter("m", "panel", angle_deg=91.0),)), ("meter", 0, "angle_deg"), "0 to 90"),
    "total of stations on unknown lines": (
        site(
            replace(PANEL, rule=Rule.PHASOR),
            members=(replace(S2, lines=""),),
            meters=(Meter("m", "panel", Measures.TOTAL),),
        ),
        ("meter", 0, "measures"),
        "the lines of every station below panel",
    ),
    "total where amperes just add": (
        site(PANEL, members=(S2,), meters=(Meter("m", "panel", Measures.TOTAL),)),
        ("meter", 0, "measures"),
        'rule = "phasor" on panel',
    ),
    "meter where nothing bounds the building": (
        site(PANEL, Node("house", Kind.PANEL, "panel"), meters=(Meter("m", "house"),)),
        ("meter", 0, "worst_a"),
        "no limit_a",
    ),
    "no stations": (site(PANEL, members=(replace(S2, stations=0),)), ("member", 0, "stations"), "at least 1"),
    "drift": (site(PANEL, drift=-0.5), ("timing", "drift"), "0 to 0.1"),
    "drift that leaves no time": (site(PANEL, drift=1.0), ("timing", "drift"), "0 to 0.1"),
    "hold that is no number": (site(PANEL, hold_s=nan), ("timing", "hold_s"), "0 to 86400"),
    "turns without end": (site(PANEL, turn_s=inf), ("timing", "turn_s"), "1 to 86400"),
    "stagger back in time": (site(PANEL, stagger_s=-1.0), ("timing", "stagger_s"), "0 to 3600"),
    "lease of too few reports": (site(PANEL, lease_s=30.0), ("timing", "lease_s"), "at least 4 reports of 10 s"),
    "hold that is too short": (site(PANEL, members=(S2,), hold_s=30.0), ("timing", "hold_s"), "at least"),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_what_does_not_fit_is_named(case: str) -> None:
    refused, path, words = _REFUSED[case]
    with pytest.raises(SiteError) as caught:
        Tree(refused)
    [problem] = [p for p in caught.value.problems if p.path == path]
    assert words in problem.text


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = site(
        replace(PANEL, limit_a=-1.0), replace(CIRCUIT, parent="x"), members=(replace(S1, weight=-1.0),), hold_s=1.0
    )
    with pytest.raises(SiteError) as caught:
        Tree(wrong)
    assert {p.path for p in caught.value.problems} == {
        ("node", 0, "limit_a"),
        ("node", 1, "parent"),
        ("member", 0, "weight"),
        ("timing", "hold_s"),
    }


def test_the_least_hold_is_taken_and_a_little_less_is_refused() -> None:
    from cloud.site_rules import least_hold_s

    hold_s = least_hold_s(Timing(), [S2])
    Tree(site(PANEL, members=(S2,), hold_s=hold_s))
    with pytest.raises(SiteError):
        Tree(site(PANEL, members=(S2,), hold_s=hold_s - 0.1))


def test_a_station_that_repeats_the_lines_of_its_circuit_has_its_volts() -> None:
    circuit = replace(CIRCUIT, lines="AN", voltage_v=120.0)
    tree = Tree(site(PANEL, circuit, members=(replace(S1, lines="AN"), replace(S1, name="s2"))))
    assert [tree.watts_per_ampere(i) for i in (0, 1)] == [120.0, 120.0]


def test_a_transformer_of_one_phase_feeds_a_split_phase() -> None:
    shed = replace(HOUSE, name="shed", kind=Kind.TRANSFORMER, parent="panel", winding="single", lines="CA")
    tree = Tree(site(PANEL, shed, members=(Member("s", "shed", 48.0, "L1L2"),)))
    assert tree.watts_per_ampere(0) == 240.0
