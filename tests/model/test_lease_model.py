"""The lease protocol, exhaustively: nothing that can happen to the model breaks the promise; every broken rule does."""

from dataclasses import replace

import pytest

from firmware.timing import Timing, TimingError
from tests.model.circuit import Model
from tests.model.explorer import explore
from tests.model.replay import Replay
from tests.model.retold import Retold
from tests.model.rules import COARSE, FINE, LONG, Bounds, Rules
from tests.model.weakenings import WEAKENINGS

TWO_LEVELS = (0, 12)


def test_one_station_among_any_others_never_draws_more_than_its_rows_count() -> None:
    """Whatever the others leave free. And from every state, one where its vehicle is fed can be reached."""
    found = explore(Model(Rules.of(COARSE), Bounds(1, TWO_LEVELS)), liveness=True)
    assert (found.wrong, found.stuck) == ("", 0)
    assert found.states > 4000
    assert found.transitions > 25_000


def test_two_stations_share_one_limit() -> None:
    """To a depth that every counter-example below has; `python -m tests.model` goes to the end."""
    found = explore(Model(Rules.of(COARSE), Bounds(2, TWO_LEVELS)), deepest=15)
    assert not found.wrong
    assert found.states > 25_000


@pytest.mark.parametrize("name", WEAKENINGS)
def test_a_broken_rule_breaks_the_promise_but_not_the_firmware(name: str) -> None:
    """The shortest way to it is no artefact of the normal form; and the firmware walks it unharmed."""
    weakening = WEAKENINGS[name]
    small = Model(*weakening)
    found = explore(small)
    assert found.wrong
    retold = Retold(small)
    trace = [retold.tell(action) for action in found.trace]
    assert retold.full.wrong(retold.circuit) == found.wrong
    replay = Replay(COARSE if weakening.rules.lease == 1 else FINE, weakening.bounds.members)
    assert all(replay.do(action) for action in trace)


@pytest.mark.parametrize("timing", [COARSE, FINE, LONG])
def test_the_models_release_is_the_shortest_that_the_firmware_allows(timing: Timing) -> None:
    rules = Rules.of(timing)
    assert rules.release == rules.quiet == rules.lease + rules.dead_man + rules.reaction, "a tick less would be wrong"
    with pytest.raises(TimingError):
        replace(timing, release_s=timing.release_s - 0.001)
