"""What the sites' torture believes: the judge of every instant, and the laws of circuits that it adds up by."""

from cmath import rect
from math import pi, sqrt
from random import Random

import pytest

from cloud.site import Kind, Member, Node, Phases, Rule, Site
from watti.sites.faults import draw
from watti.sites.judge import Judge
from watti.sites.truth import Truth, unit

LIMIT_A = 48.0
BOUND_S = 10.0


def truth_of(*nodes: Node, lines: tuple[str, ...] = ("", "")) -> Truth:
    """Members on the last node."""
    members = tuple(Member(f"s{i}", nodes[-1].name, LIMIT_A, on) for i, on in enumerate(lines))
    return Truth(Site("one", nodes, members), Random(1))


def circuit() -> Judge:
    truth = truth_of(Node("c", Kind.CIRCUIT, phases=Phases.SINGLE, limit_a=LIMIT_A))
    return Judge(truth, [BOUND_S])


def tell(judge: Judge, now: float, drawn_a: tuple[float, float], exposed_a: tuple[float, float] | None = None) -> None:
    for i, drawn in enumerate(drawn_a):
        judge.set_member(i, drawn, (exposed_a or drawn_a)[i])
    judge.look(now)


def checks(judge: Judge) -> list[tuple[float, str]]:
    return [(verdict.t_s, verdict.check) for verdict in judge.verdicts]


def test_all_of_a_limit_may_be_drawn() -> None:
    judge = circuit()
    for now in range(1000):
        tell(judge, now, (now / 100, 48.0 - now / 100))
    assert checks(judge) == []


def test_a_fifth_of_an_ampere_above_a_limit_is_found_once_until_it_is_in_order() -> None:
    judge = circuit()
    tell(judge, 1.0, (24.0, 24.2))
    tell(judge, 2.0, (23.9, 24.3))
    assert checks(judge) == [(1.0, "drawn"), (1.0, "exposed")]
    assert judge.verdicts[0].what == "c: 48.20 A of 48.00 A, 0.20 A too much"
    tell(judge, 3.0, (24.0, 24.0))
    tell(judge, 4.0, (24.0, 24.2))
    judge.end(6.0)
    assert checks(judge)[2:] == [(4.0, "drawn"), (4.0, "exposed")]
    assert (judge.above[0].total_s, judge.above[0].longest_s) == (4.0, 2.0)


def test_what_may_be_drawn_is_found_before_anybody_draws_it() -> None:
    judge = circuit()
    tell(judge, 1.0, (20.0, 20.0), (24.0, 24.2))
    assert checks(judge) == [(1.0, "exposed")]


def jumped(to_a: float) -> Judge:
    """Vehicles and a building's load fill the circuit; then at 100 s the load jumps."""
    judge = circuit()
    judge.set_building([(28.0,)], 0.0)
    tell(judge, 0.0, (10.0, 10.0))
    judge.set_building([(to_a,)], 100.0)
    judge.look(100.0)
    return judge


def test_above_a_limit_because_of_a_jump_is_in_order_for_as_long_as_promised() -> None:
    judge = jumped(28.2)
    judge.wait(100.0 + BOUND_S)
    tell(judge, 100.0 + BOUND_S, (10.0, 9.8))
    judge.wait(200.0)
    assert checks(judge) == []
    assert judge.above[0].longest_s == BOUND_S


def test_above_a_limit_for_longer_than_promised_is_found() -> None:
    judge = jumped(28.2)
    judge.wait(100.1 + BOUND_S)
    assert checks(judge) == [(100.1 + BOUND_S, "drawn"), (100.1 + BOUND_S, "exposed")]
    assert judge.verdicts[0].what == "c: 20.00 A beside 28.20 A of 48.00 A, 0.20 A too much"


def test_a_second_jump_does_not_excuse_what_was_not_done_for_the_first() -> None:
    judge = jumped(28.2)
    judge.set_building([(40.0,)], 109.0)
    judge.wait(100.1 + BOUND_S)
    assert checks(judge)[0] == (100.1 + BOUND_S, "drawn")


def test_a_jump_excuses_nobody_who_takes_more() -> None:
    judge = jumped(40.0)
    tell(judge, 101.0, (10.0, 10.2))
    assert checks(judge) == [(101.0, "drawn"), (101.0, "exposed")]


# The laws of circuits

HIGH_V, LOW_V = 480.0, 208.0
N = LOW_V / (sqrt(3) * HIGH_V)
"""Amperes in a winding of the delta for one in the wye's."""
SERVICE = Node("service", Kind.SERVICE, voltage_v=HIGH_V, limit_a=100.0, rule=Rule.PHASOR)


def delta_wye(*lines: str) -> Truth:
    """Its slots: lines of the service, lines of the transformer's low side."""
    low = Node("t", Kind.TRANSFORMER, "service", Phases.THREE, LOW_V, 100.0, rule=Rule.PHASOR, winding="delta-wye")
    return truth_of(SERVICE, low, lines=lines)


def slots(truth: Truth) -> list[float]:
    """Ten amperes of each member, added up."""
    judge = Judge(truth, [BOUND_S] * len(truth.nodes))
    for i in range(len(truth.paths)):
        judge.set_member(i, 10.0, 10.0)
    return judge.loads()


@pytest.mark.parametrize(
    ("lines", "high", "low"),
    [
        (("AB",), [20 * N, 10 * N, 10 * N], [10, 10, 0]),
        (("BC",), [10 * N, 20 * N, 10 * N], [0, 10, 10]),
        (("AN",), [10 * N, 0, 10 * N], [10, 0, 0]),
        (("ABC",), [10 * LOW_V / HIGH_V] * 3, [10, 10, 10]),
        (("AB", "BC"), [10 * sqrt(7) * N, 10 * sqrt(7) * N, 10 * N], [10, 10 * sqrt(3), 10]),
        (("AB", "BC", "CA"), [30 * N] * 3, [10 * sqrt(3)] * 3),
    ],
)
def test_lines_of_a_delta_carry_the_differences_of_its_windings(
    lines: tuple[str, ...], high: list[float], low: list[float]
) -> None:
    assert slots(delta_wye(*lines)) == pytest.approx([*high, *low], abs=1e-9)


def test_behind_a_delta_a_load_leads_by_thirty_degrees() -> None:
    """Beside it one on the service itself: AB of the low side is in phase with A to neutral of the high side, which is
    30 degrees behind its AB."""
    currents = delta_wye("AB").currents[0][0]
    assert currents[0] == pytest.approx(2 * N)
    on_service = truth_of(SERVICE, lines=("AB",)).currents[0][0]
    assert abs(10 * currents[0] + 10 * on_service[0]) == pytest.approx(10 * abs(2 * N + rect(1.0, pi / 6)))


@pytest.mark.parametrize(("lines", "amps"), [("L1L2", 5.0), ("L1N", 2.5), ("L2N", 2.5)])
def test_a_split_phase_transformer_takes_its_power_from_two_lines(lines: str, amps: float) -> None:
    low = Node("t", Kind.TRANSFORMER, "service", Phases.SPLIT, 240.0, lines="CA", winding="single")
    assert slots(truth_of(SERVICE, low, lines=(lines,))) == pytest.approx([amps, 0.0, amps])


def test_a_building_s_load_goes_through_a_transformer_at_worst() -> None:
    high, low = delta_wye("AB").building([(1.0, 0.0, 0.0), (10.0, 20.0, 0.0)])
    assert high == pytest.approx((1 + 30 * N, 20 * N, 10 * N))
    assert low == (10.0, 20.0, 0.0)


@pytest.mark.parametrize("seed", range(60))
def test_no_power_is_lost_on_the_way_up_whatever_the_site(seed: int) -> None:
    truth = Truth(draw(seed).site, Random(seed))
    for i, currents in enumerate(truth.currents):
        powers = [_power(truth.nodes[n], amps) for n, amps in currents.items()]
        three = sqrt(3) if truth.site.members[i].lines == "ABC" else 1
        assert [abs(power) for power in powers] == pytest.approx([truth.volts[i] * three] * len(powers))
        assert powers == pytest.approx([powers[0]] * len(powers))


def _power(node: Node, amps: tuple[complex, ...]) -> complex:
    if node.phases is Phases.SINGLE:
        return node.voltage_v * amps[0].conjugate()
    volts = node.voltage_v / (2 if node.phases is Phases.SPLIT else sqrt(3))
    return sum((volts * unit(node.phases, line) * one.conjugate() for line, one in enumerate(amps)), 0j)
