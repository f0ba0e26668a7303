"""Random sites under random faults keep the promise; and a controller with a bug in it is found out."""

import pytest

from tests.scenario.site_bugs import BUGS, STORIES, plan
from watti.sites.torture import judge, judge_seed

pytestmark = pytest.mark.scenario


@pytest.mark.parametrize("seed", range(30))
def test_a_random_site_keeps_the_promise(seed: int) -> None:
    assert judge_seed(seed).verdicts == []


@pytest.mark.parametrize("story", STORIES)
def test_the_worst_cases_that_are_known_are_in_order(story: str) -> None:
    assert judge(plan(story)).verdicts == []


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, instead, shown_by = BUGS[bug]
    for world in shown_by:
        assert judge(plan(world)).verdicts == [], "its worlds are in order without it"
    monkeypatch.setattr(where, name, instead)
    found = {world: judge(plan(world)).verdicts for world in shown_by}
    assert all(found.values()), found
