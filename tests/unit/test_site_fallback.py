"""What members offer without their controller, and the fallbacks that are refused."""

from dataclasses import replace
from typing import Any

import pytest

from cloud.fallback import choose
from cloud.site import Kind, Member, Meter, Node, Phases, Rule, Site
from cloud.tree import SiteError, Tree

PANEL = Node("panel", Kind.PANEL, limit_a=200.0)
CIRCUIT = Node("circuit", Kind.CIRCUIT, "panel", Phases.SINGLE, limit_a=48.0, lines="AB")


def stations(count: int, node: str = "panel", **more: Any) -> tuple[Member, ...]:
    return tuple(replace(Member(f"{node}{i}", node, 48.0), **more) for i in range(count))


def chosen(*members: Member, nodes: tuple[Node, ...] = (PANEL, CIRCUIT), meters: tuple[Meter, ...] = ()) -> list[int]:
    return choose(Tree(Site("site", nodes, members, meters)))


def test_all_together_have_their_fair_share() -> None:
    assert chosen(*stations(8)) == [250] * 8


def test_where_not_all_minimums_fit_the_first_have_them() -> None:
    assert chosen(*stations(10, "circuit")) == [60] * 8 + [0] * 2


def test_what_is_written_stands_and_the_others_share_the_rest() -> None:
    assert chosen(*stations(2, fallback_a=40.0), *stations(4, "circuit")) == [400, 400, 120, 120, 120, 120]
    assert chosen(*stations(2, fallback_a=0.0), *stations(2, "circuit")) == [0, 0, 240, 240]


def test_the_building_has_its_worst_load() -> None:
    assert chosen(*stations(4), meters=(Meter("m", "panel", worst_a=140.0),)) == [150] * 4
    assert chosen(*stations(4), meters=(Meter("m", "panel"),)) == [0] * 4


def test_one_whose_fallback_would_always_be_reserved_has_none() -> None:
    assert chosen(*stations(2, keeps_quiet=False), *stations(2, "circuit")) == [0, 0, 240, 240]


def test_a_group_counts_with_its_stations() -> None:
    assert chosen(replace(stations(1, "circuit")[0], stations=3), Member("alone", "circuit", 48.0)) == [360, 120]


def test_written_fallbacks_that_do_not_fit_are_refused_with_their_node() -> None:
    with pytest.raises(SiteError) as caught:
        chosen(*stations(2, "circuit", fallback_a=30.0), Member("s", "panel", 48.0, fallback_a=48.0))
    assert [(p.path, p.text) for p in caught.value.problems] == [
        (("member", i, "fallback_a"), "the fallbacks below circuit come to 60.0 A of 48.0 A") for i in (0, 1)
    ]


def test_written_fallbacks_beside_the_building_s_worst_load_are_refused_by_line() -> None:
    panel = replace(PANEL, rule=Rule.PHASOR)
    members = [Member(f"s{i}", "panel", 48.0, "AB", fallback_a=20.0) for i in range(2)]
    with pytest.raises(SiteError) as caught:
        chosen(*members, nodes=(panel,), meters=(Meter("m", "panel", worst_a=170.0),))
    assert "below panel line A come to 40.0 A of 30.0 A" in caught.value.problems[0].text
