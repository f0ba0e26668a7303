"""The other opinion on currents: power is kept, nothing is worse than the worst, and `cloud.tree` has the same rows."""

from cmath import rect
from itertools import pairwise
from math import acos, pi, radians, sqrt
from random import Random

import pytest

from cloud.site import Kind, Node, Phases, Rule, Site
from cloud.tree import Tree
from cloud.witness import Row, Wires, own_wires, rows, wires_above
from tests.online.trees import LINES, random_case

VOLTS = {"A": rect(1, 0), "B": rect(1, radians(-120)), "C": rect(1, radians(120)), "L1": 0.5, "L2": -0.5, "": 1.0}
NAMES = {Phases.SINGLE: [""], Phases.SPLIT: ["L1", "L2"], Phases.THREE: ["A", "B", "C"]}
HIGH = Node("high", Kind.SERVICE, voltage_v=480.0)


def watts(wires: Wires, node: Node) -> complex:
    """Of an ampere in a node: volts of each line against its neutral, times the conjugate of its current."""
    volts = node.voltage_v / (sqrt(3) if node.phases is Phases.THREE else 1)
    currents = zip(NAMES[node.phases], wires.amps, strict=True)
    return sum(VOLTS[name] * volts * complex(amps).conjugate() for name, amps in currents)


class TestPowerIsKept:
    @pytest.mark.parametrize("winding", ["delta-wye", "wye-wye"])
    @pytest.mark.parametrize("lines", sorted(set(LINES[Phases.THREE]) - {""}))
    def test_through_three_phases(self, winding: str, lines: str) -> None:
        """What the low side lags in delta-wye is in the angles of its own frame: active and reactive power are kept."""
        low = Node("low", Kind.TRANSFORMER, "high", voltage_v=208.0, winding=winding)
        wires = own_wires(low, lines)
        above = wires_above(wires, low, HIGH)
        assert watts(above, HIGH) == pytest.approx(watts(wires, low), abs=1e-9)
        if winding == "delta-wye":
            assert sum(above.amps) == pytest.approx(0, abs=1e-12)  # a delta takes nothing from the neutral

    @pytest.mark.parametrize("primary", ["AB", "CA", "BN"])
    @pytest.mark.parametrize("lines", ["L1L2", "L1N", "L2N"])
    def test_through_one_phase(self, primary: str, lines: str) -> None:
        low = Node("low", Kind.TRANSFORMER, "high", Phases.SPLIT, 240.0, lines=primary, winding="single")
        wires = own_wires(low, lines)
        above = watts(wires_above(wires, low, HIGH), HIGH)
        assert abs(above) == pytest.approx(abs(watts(wires, low)))
        assert above.imag == pytest.approx(0, abs=1e-9)

    def test_lines_that_nobody_knows_are_never_less(self) -> None:
        low = Node("low", Kind.TRANSFORMER, "high", voltage_v=208.0, winding="delta-wye")
        unknown = wires_above(own_wires(low, ""), low, HIGH)
        for lines in set(LINES[Phases.THREE]) - {""}:
            known = wires_above(own_wires(low, lines), low, HIGH)
            assert all(abs(a) <= abs(u) + 1e-12 for a, u in zip(known.amps, unknown.amps, strict=True))


class TestWorst:
    @pytest.mark.parametrize("seed", range(40))
    def test_is_never_passed_and_is_reached(self, seed: int) -> None:
        """Against currents drawn at random, each shorter and turned; and against those that face one direction."""
        rng = Random(seed)
        swing = rng.choice((0.0, acos(0.95), acos(0.8)))
        angles = [30 * rng.randint(0, 11) for _ in range(rng.randint(1, 5))]
        terms = [(i, rect(rng.uniform(0.3, 2.0), radians(angle)), True) for i, angle in enumerate(angles)]
        terms.append((len(angles), complex(rng.uniform(0, 1)), False))
        row = Row("n", "A", 100.0, terms, swing)
        amps = [rng.uniform(0, 50) for _ in terms]
        worst, sure = row.worst(amps), abs(terms[-1][1]) * amps[-1]
        assert worst <= row.counted(amps) + 1e-9
        for _ in range(100):
            drawn = sum(
                gain * rng.choice((0.0, rng.random(), 1.0)) * amps[i] * rect(1, rng.uniform(-swing, swing))
                for i, gain, _ in terms[:-1]
            )
            assert abs(drawn) + sure <= worst + 1e-9
        assert worst == pytest.approx(sure + max(_facing(row, amps, 2 * pi * k / 3600) for k in range(3600)), rel=1e-5)

    def test_displaced_currents_add_up(self) -> None:
        """At a power factor of 0.8 each may be 36.9 degrees off: two that are 60 degrees apart can be in phase."""
        terms = [(0, rect(1, radians(30)), True), (1, rect(1, radians(-30)), True)]
        assert Row("n", "A", 1.0, terms, 0.0).worst([10.0, 10.0]) == pytest.approx(10 * sqrt(3))
        assert Row("n", "A", 1.0, terms, acos(0.8)).worst([10.0, 10.0]) == pytest.approx(20.0)


def _facing(row: Row, amps: list[float], direction: float) -> float:
    """The most in one direction."""
    total = 0.0
    for group in row._groups:
        off = abs((group.angle - direction + pi) % (2 * pi) - pi)
        total += max(0.0, rect(group.sum(amps), max(0.0, off - row._swing)).real)
    return total


@pytest.mark.parametrize("seed", range(80))
def test_the_tree_has_the_same_rows(seed: int) -> None:
    """For each line the worst of the compiled rows is what the witness counts, whatever the members draw."""
    site, _, building = random_case(Random(seed), displaced=seed % 2 == 1)
    tree, rng = Tree(site), Random(seed)
    witnessed = {(row.node, row.line): row for row in rows(site, building)}
    for _ in range(3):
        amps = [rng.uniform(0, member.rating_a) for member in site.members]
        compiled: dict[tuple[str, str], float] = {}
        for branch, sums, limits in zip(tree.branches, tree.sums(amps), tree.limits(building), strict=True):
            for row, limit in zip(branch.rows, limits, strict=True):
                key = (branch.node.name, row.line)
                compiled[key] = max(compiled.get(key, 0.0), row.load(sums))
                assert limit == pytest.approx(max(0.0, witnessed[key].limit), rel=1e-9)
        assert compiled == {key: pytest.approx(row.counted(amps), rel=1e-9) for key, row in witnessed.items()}


def test_a_building_load_is_that_of_the_nearest_meter() -> None:
    """Of a node without one, its children's together; magnitudes add through a delta-wye transformer."""
    service = Node("service", Kind.SERVICE, voltage_v=480.0, limit_a=100.0, rule=Rule.PHASOR)
    wye = Node("wye", Kind.TRANSFORMER, "service", limit_a=200.0, rule=Rule.PHASOR, winding="delta-wye")
    site = Site("load", (service, wye), ())
    own = [row.limit for row in rows(site, {"wye": [30.0, 20.0, 10.0]})]
    share = 208 / 480 / sqrt(3)
    assert own == pytest.approx([100 - 50 * share, 100 - 30 * share, 100 - 40 * share, 170, 180, 190])
    both = [row.limit for row in rows(site, {"wye": [30.0, 20.0, 10.0], "service": [5.0, 5.0, 5.0]})]
    assert both == pytest.approx([95, 95, 95, 170, 180, 190])
    assert all(a <= b for a, b in pairwise(own[3:]))
