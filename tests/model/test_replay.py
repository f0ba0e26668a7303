"""The firmware does what the model says: long random walks through both, compared after each step."""

from random import Random

import pytest

from tests.model.lease_model import Member
from tests.model.replay import Replay
from tests.model.rules import FINE

STEPS = 300
RARE = {"open", "restart"}


def of_member(member: Member, replay: Replay, rng: Random) -> tuple[object, ...]:
    """Mostly an exchange that goes well, else anything that can happen to it."""
    kept, lately = rng.random() < 0.9, rng.random()
    if lately < 0.3 and member.polls:
        return ("hear_poll", member.polls[-1], kept)
    if lately < 0.6 and member.statuses:
        return ("hear_status", member.statuses[-1])
    if lately < 0.85 and member.row and member.row.session:
        return ("poll", rng.choice((0, 6, 6, 6, 12, 12)), kept)
    actions = [action for action in replay.model.actions(member) if action[0] not in RARE or rng.random() < 0.1]
    action = rng.choice(actions)
    if action[0] == "hear_poll":
        return ("hear_poll", rng.choice(member.polls), kept)
    if action[0] == "hear_status":
        return ("hear_status", rng.choice(member.statuses))
    return action


def step(replay: Replay, rng: Random) -> tuple[object, ...]:
    """Any that can be done now."""
    chance = rng.random()
    if chance < 0.06:
        return ("tick",)
    if chance < 0.062:
        return ("restart_primary",)
    i = rng.randrange(len(replay.processes))
    return (i, *of_member(replay.member(i), replay, rng))


def walk(seed: int) -> tuple[int, int, int]:
    """In how many states of a walk two vehicles are fed, one has all, a cut waits for R."""
    rng, replay = Random(seed), Replay(FINE, 2)
    shared = full = settling = 0
    for _ in range(replay.model.rules.quiet):
        replay.do(("tick",))
    for _ in range(STEPS):
        assert replay.do(step(replay, rng))
        members = [replay.member(i) for i in range(2)]
        pilots = [member.pilot for member in members]
        shared += min(pilots) > 0
        full += max(pilots) == 12
        settling += any(member.row and member.row.settling for member in members)
    return shared, full, settling


@pytest.mark.parametrize("seed", range(30))
def test_the_firmware_does_what_the_model_says(seed: int) -> None:
    walk(seed)


def test_the_walks_see_what_matters() -> None:
    """Else they would compare stations that do nothing."""
    shared, full, settling = (sum(column) for column in zip(*map(walk, range(10)), strict=True))
    assert min(shared, full, settling) > 20
