"""Shares are legal and as fair as can be: judged, and found again by another solver; and the judge sees what is not."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from cloud.allocation import Bound, Claim, Share, allocate
from cloud.optimality import excesses, problems
from cloud.site import Kind, Member, Node, Phases, Rule, Site
from cloud.tree import Tree
from tests.online.optimality import KINDS, case_of, is_wrong, outcome

TREES = 240
"""Of all kinds. `python -m tests.online.optimality` tries thousands."""
ASKS = Claim(6.0, 48.0)
IDLE = Claim(6.0, 0.0)


def panel(rule: Rule, lines: Sequence[str], limit_a: float = 200.0) -> Site:
    """Stations of 48 A on a three-phase panel."""
    members = tuple(Member(f"s{i}", "panel", 48.0, on) for i, on in enumerate(lines))
    return Site("panel", (Node("panel", Kind.PANEL, limit_a=limit_a, rule=rule),), members)


def circuits(limit_a: float) -> Site:
    """Four circuits of three stations, 48 A each, under one panel."""
    nodes = [Node("panel", Kind.PANEL, limit_a=limit_a)]
    nodes += [Node(f"c{i}", Kind.CIRCUIT, "panel", Phases.SINGLE, limit_a=48.0) for i in range(4)]
    return Site("circuits", tuple(nodes), tuple(Member(f"s{i}", f"c{i // 3}", 48.0) for i in range(12)))


def shares(*amps: float, why: Bound = Bound("node", "panel")) -> list[Share]:  # noqa: B008 - it can't be changed
    return [Share(a, why if a else Bound("idle")) for a in amps]


def texts(site: Site, got: Sequence[Share], claims: Sequence[Claim]) -> str:
    return "\n".join(problems(site, got, claims, {}))


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_random_trees_are_judged_and_solved_again(kind: int) -> None:
    outcomes = [outcome(seed) for seed in range(kind, TREES, len(KINDS))]
    assert [one for one in outcomes if is_wrong(one)] == []
    assert {reason for one in outcomes for reason in one.reasons} == {"node", "demand", "idle", "waiting"}


class TestPage:
    """The cases of the maker's page, by the judge alone: the right shares pass, more or less does not."""

    @pytest.mark.parametrize(
        ("site", "asking", "amps"),
        [
            (panel(Rule.SCALAR, [""] * 4, 48.0), 1, 48.0),
            (panel(Rule.SCALAR, [""] * 4, 48.0), 2, 24.0),
            (panel(Rule.SCALAR, [""] * 4, 48.0), 3, 16.0),
            (panel(Rule.SCALAR, [""] * 4, 48.0), 4, 12.0),
            (panel(Rule.SCALAR, [""] * 8), 8, 25.0),
            (panel(Rule.PHASOR, ["AB", "BC", "CA"] * 4), 12, 28.8),
            (circuits(200.0), 12, 16.0),
            (circuits(150.0), 12, 12.5),
        ],
        ids=["1", "2", "3", "4", "panel", "panel, phasor", "circuits", "service"],
    )
    def test_equal_shares(self, site: Site, asking: int, amps: float) -> None:
        claims = [ASKS] * asking + [IDLE] * (len(site.members) - asking)
        got = allocate(Tree(site), claims)
        assert [share.amps for share in got] == [amps] * asking + [0.0] * (len(claims) - asking)
        assert texts(site, got, claims) == ""
        more = [replace_amps(got[0], round(amps + 0.4, 1)), *got[1:]]
        assert texts(site, more, claims) != ""
        assert texts(site, [replace_amps(got[0], round(amps - 0.4, 1)), *got[1:]], claims) != ""

    def test_phasors_of_a_panel_that_is_not_balanced(self) -> None:
        site = panel(Rule.PHASOR, ["AB", "AB", "AB", "BC", "BC", "BC", "CA", "CA"])
        got = allocate(Tree(site), [ASKS] * 8)
        assert [share.amps for share in got] == [38.4] * 6 + [48.0] * 2
        assert texts(site, got, [ASKS] * 8) == ""


def replace_amps(share: Share, amps: float) -> Share:
    return share._replace(amps=amps)


class TestTheJudgeSees:
    """One thing wrong at a time."""

    site = panel(Rule.SCALAR, ["", "", ""], 60.0)

    def test_a_node_above_its_limit(self) -> None:
        assert "panel : 60.30 A where 60.00 are free" in texts(self.site, shares(20.1, 20.1, 20.1), [ASKS] * 3)

    def test_a_limit_that_the_building_has_taken(self) -> None:
        assert excesses(self.site, [20.0, 20.0, 20.0], {"panel": [0.0, 0.0, 0.0]}) == []
        assert excesses(self.site, [20.0, 20.0, 20.0], {"panel": [0.0, 3.0, 1.0]}) != []

    def test_a_line_that_is_worse_when_a_vehicle_leaves(self) -> None:
        """C of a delta carries a quarter of AB's and of BC's current, 120 degrees apart: with both 8.9 A."""
        service = Node("service", Kind.SERVICE, voltage_v=480.0, rule=Rule.PHASOR, limit_a=10.0)
        wye = Node("wye", Kind.TRANSFORMER, "service", rule=Rule.PHASOR, winding="delta-wye")
        site = Site("wye", (service, wye), (Member("a", "wye", 80.0, "AB"), Member("b", "wye", 80.0, "BC")))
        assert "service C: 10.26 A where 10.00 are free" in excesses(site, [0.0, 41.0], {})
        assert "service C: 10.26 A where 10.00 are free" in excesses(site, [21.0, 41.0], {})

    def test_who_has_less_than_others(self) -> None:
        assert "s0: has 18 A, others more in every row that is full: panel" in texts(
            self.site, shares(18.0, 21.0, 21.0), [ASKS] * 3
        )

    def test_less_than_fits(self) -> None:
        assert "nothing is full" in texts(self.site, shares(19.5, 19.5, 19.5), [ASKS] * 3)

    def test_shares_against_weights(self) -> None:
        claims = [ASKS, ASKS._replace(weight=2.0), ASKS]
        assert texts(self.site, shares(15.0, 30.0, 15.0), claims) == ""
        assert texts(self.site, shares(20.0, 20.0, 20.0), claims) != ""

    def test_priority_that_others_were_served_before(self) -> None:
        claims = [ASKS._replace(priority=1), ASKS, IDLE]
        assert texts(self.site, shares(30.0, 30.0, 0.0), claims) != ""
        assert texts(self.site, shares(48.0, 12.0, 0.0), claims) == ""

    def test_need_that_others_were_served_before(self) -> None:
        claims = [ASKS._replace(needed_a=30.0), ASKS, ASKS]
        assert texts(self.site, shares(20.0, 20.0, 20.0), claims) != ""
        assert texts(self.site, shares(30.0, 15.0, 15.0), claims) == ""

    def test_more_than_was_asked_for(self) -> None:
        claims = [Claim(6.0, 10.0), ASKS, IDLE]
        assert "s0: 12 A where 6 to 10 are right" in texts(self.site, shares(12.0, 48.0, 0.0), claims)
        assert "s2: 6 A where 0 to 0 are right" in texts(self.site, shares(10.0, 44.0, 6.0), claims)

    def test_less_than_can_be_offered(self) -> None:
        assert "s0: 5 A where 6 to 48 are right" in texts(self.site, shares(5.0, 27.5, 27.5), [ASKS] * 3)

    def test_amperes_that_no_pilot_can_say(self) -> None:
        assert "no steps of 0.1 A" in texts(self.site, shares(19.95, 20.0, 20.0), [ASKS] * 3)

    def test_another_reason_than_the_one_that_binds(self) -> None:
        site, claims = circuits(1000.0), [ASKS] * 12
        named = [Share(16.0, Bound("node", f"c{i // 3}")) for i in range(12)]
        assert texts(site, named, claims) == ""
        assert "s0: is not bound by node panel" in texts(site, shares(*[16.0] * 12), claims)
        assert "asks for 48 A: idle" in texts(site, [Share(16.0, Bound("idle")), *named[1:]], claims)
        assert "s0: is not bound by demand" in texts(site, [Share(16.0, Bound("demand")), *named[1:]], claims)

    def test_who_waits_for_nothing(self) -> None:
        site = panel(Rule.SCALAR, ["", "", ""], 13.0)
        waits = Share(0.0, Bound("waiting", "panel"))
        some = [Share(6.5, Bound("node", "panel"))] * 2
        assert texts(site, [*some, waits], [ASKS] * 3) == ""
        assert "s0: waits, and its 6 A would fit" in texts(site, [waits, *some], [ASKS] * 3)
        elsewhere = Share(0.0, Bound("waiting", "service"))
        assert "s2: does not wait for service" in texts(site, [*some, elsewhere], [ASKS] * 3)
        first = ASKS._replace(rank=-1.0)
        assert texts(site, [waits, *some], [ASKS, first, first]) == ""

    def test_what_stands_anyway(self) -> None:
        stands = Claim(6.0, 0.0, standing_a=70.0)
        got = [Share(70.0, Bound("idle")), *[Share(0.0, Bound("waiting", "panel"))] * 2]
        assert texts(self.site, got, [stands, ASKS, ASKS]) == ""
        assert "s0: 0 A where 70 to 70 are right" in texts(self.site, shares(0.0, 30.0, 30.0), [stands, ASKS, ASKS])

    @pytest.mark.parametrize("seed", range(24))
    def test_a_share_moved_in_a_random_tree(self, seed: int) -> None:
        """What one member has less, or more, is seen, whatever the tree."""
        _, (site, claims, building) = case_of(seed)
        got = allocate(Tree(site), claims, building)
        bound = [i for i, share in enumerate(got) if share.bound.why == "node"]
        lower = replace(site, nodes=tuple(replace(node, limit_a=node.limit_a * 0.8) for node in site.nodes))
        for i in Random(seed).sample(bound, min(len(bound), 2)):
            for change in (-0.4, 0.4):
                wrong = list(got)
                wrong[i] = replace_amps(got[i], round(got[i].amps + change, 1))
                assert problems(site, wrong, claims, building) != []
            assert problems(lower, got, claims, building) != []
