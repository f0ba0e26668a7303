"""Random worlds: whatever happens, every promise of firmware/DESIGN.md is kept, and everybody charges again afterwards.

A world is a seed of `watti torture`. `HYPOTHESIS_PROFILE=deep` looks at many more of them; a failure prints the seed.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watti.scenario import load_scenario
from watti.torture.judging import judge, judge_seed

KEPT = sorted((Path(__file__).parent / "kept").glob("*.toml"))
"""What torture has found and made small, one file a bug."""


@given(seed=st.integers(0, 2**32))
@settings(max_examples=settings().max_examples * 3 // 4)
def test_any_group_keeps_its_promises_and_heals(seed: int) -> None:
    assert judge_seed(seed).verdicts == []


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_was_found_once_is_never_found_again(path: Path) -> None:
    assert judge(load_scenario(path)).verdicts == []
