"""Currents as lines: few, never above the truth, and exact where it matters."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from watti.curve import BELOW_A, Curve, Knot, moments, sampled, thinned

ROUNDING = 1e-6


def curve(steps: list[Knot], until_s: float) -> Curve:
    made = Curve(0.0, 0.0)
    for t_s, amps in steps:
        made.step(t_s, amps)
    made.end(until_s)
    return made


def staircase(begin_s: float, first_a: float, last_a: float, each_s: float) -> list[Knot]:
    """0.1 A up or down each so many seconds."""
    count = round(abs(last_a - first_a) * 10)
    sign = 0.1 if last_a > first_a else -0.1
    return [(begin_s + i * each_s, round(first_a + sign * i, 1)) for i in range(1, count + 1)]


def truth(steps: list[Knot], t_s: float, after: bool) -> float:
    held = [amps for at, amps in steps if at < t_s or (after and at == t_s)]
    return held[-1] if held else 0.0


@st.composite
def courses(draw: st.DrawFn) -> list[Knot]:
    """Climbs, tapers, jumps, rests and several changes at one moment."""
    steps: list[Knot] = []
    now, amps = 0.0, 0.0
    for _ in range(draw(st.integers(1, 12))):
        now += draw(st.sampled_from([0.0, 0.02, 1.0, 7.0, 100.0]))
        goal = draw(st.integers(0, 480)) / 10
        if draw(st.booleans()):
            part = staircase(now, amps, goal, draw(st.sampled_from([0.0, 0.02, 0.3, 9.0])))
        else:
            part = [(now, goal)]
        steps += part
        if part:
            now, amps = part[-1]
    return steps


@given(courses())
@example([(10.0, 0.1), (10.0, 0.2), (200.0, 0.1), (200.0, 0.0)])
def test_the_line_is_never_above_the_truth_and_hardly_below(steps: list[Knot]) -> None:
    until_s = (steps[-1][0] if steps else 0.0) + 10
    knots = curve(steps, until_s).knots
    times = sorted({t_s for t_s, _ in [*steps, *knots]})
    times += [(a + b) / 2 for a, b in pairwise(times)]
    at = [(t_s, after) for t_s in times for after in (False, True) if t_s > 0]
    for (t_s, after), amps in zip(at, sampled(knots, at), strict=True):
        real = truth(steps, t_s, after)
        assert real - BELOW_A - ROUNDING <= amps <= real + ROUNDING, (t_s, after)


@given(courses())
def test_the_highest_is_exact(steps: list[Knot]) -> None:
    """A value that holds for no time is none."""
    until_s = (steps[-1][0] if steps else 0.0) + 10
    held = [a[1] for a, b in pairwise([(0.0, 0.0), *steps, (until_s, 0.0)]) if b[0] > a[0]]
    assert max(amps for _, amps in curve(steps, until_s).knots) >= max(held)


def test_a_day_of_climbs_is_a_few_lines() -> None:
    steps = [
        knot for hour in range(24) for knot in (*staircase(hour * 3600.0, 0, 32, 0.02), (hour * 3600 + 1800.0, 0.0))
    ]
    assert len(steps) > 7000
    assert len(curve(steps, 86400).knots) < 24 * 10


def test_a_long_plateau_is_level() -> None:
    knots = curve([*staircase(10, 0, 16, 0.02), (400.0, 15.9), (800.0, 0.0)], 900).knots
    assert sampled(knots, [(20.0, True), (399.0, True), (401.0, True), (799.0, True)]) == [16.0, 16.0, 15.9, 15.9]


def test_thinning_keeps_first_last_and_peaks() -> None:
    knots = [(float(t), float(t % 7)) for t in range(1000)]
    knots[503] = (503.0, 40.0)
    few = thinned(knots, 100)
    assert len(few) <= 100
    assert {knots[0], knots[-1], (503.0, 40.0)} <= set(few)
    assert few == sorted(few)
    assert thinned(few, 100) == few


def test_a_moment_of_a_jump_comes_twice() -> None:
    jump, line = [(0.0, 0.0), (5.0, 0.0), (5.0, 8.0), (9.0, 8.0)], [(0.0, 1.0), (7.0, 1.0)]
    at = moments([jump, line], [6.0])
    assert at == [(0, True), (5, False), (5, True), (6, False), (6, True), (7, True), (9, True)]
    assert sampled(jump, at) == [0.0, 0.0, 8.0, 8.0, 8.0, 8.0, 8.0]
