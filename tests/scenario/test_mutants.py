"""The judges of `watti torture` are judged: each bug that is planted is found by one of its seeds."""

import pytest

from tests.scenario.mutants import MUTANTS, Mutant, planted, verdict


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    with planted(mutant):
        assert any(verdict(seed) for seed in (mutant.soonest, *range(mutant.within)))
