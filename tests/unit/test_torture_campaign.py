"""Campaigns of `watti torture`: every seed is judged, whoever dies, and counted once; its order does not matter."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from watti.torture import campaign
from watti.torture.campaign import Tally
from watti.torture.crews import Outcomes
from watti.torture.inspector import Verdict
from watti.torture.judging import Outcome


def outcomes(count: int) -> list[Outcome]:
    rng = random.Random(4)
    return [
        Outcome(
            seed,
            [Verdict(1.0, "total", "too much")] if seed % 7 == 0 else [],
            round(rng.uniform(60, 900), 3),
            Counter({f"frame {rng.choice('abc')}": 3, rng.choice(["stall", "restart"]): 1}),
            None if seed % 11 == 0 else round(rng.uniform(0, 60), 3),
            ["group_full"] if seed % 5 == 0 else [],
        )
        for seed in range(count)
    ]


def tallied(judged: Sequence[Outcome]) -> Tally:
    tally = Tally()
    for outcome in judged:
        tally.add(outcome)
    return tally


def test_the_order_of_outcomes_does_not_matter() -> None:
    judged = outcomes(100)
    shuffled = random.Random(5).sample(judged, 100)
    result = tallied(judged).as_json()
    assert json.dumps(tallied(shuffled).as_json()) == json.dumps(result)
    times = sorted(o.recovered_s for o in judged if o.recovered_s and not o.excused and not o.verdicts)
    assert result["recovery_s"]["worlds"] == len(times)
    assert result["recovery_s"]["max"] == times[-1]
    assert result["recovery_s"]["p50"] == times[len(times) // 2]
    assert result["injected"] == 400
    assert [failure["seed"] for failure in result["failures"]] == list(range(0, 100, 7))


@pytest.mark.parametrize(
    "change",
    [
        {"station_s": 1.0},
        {"recovered_s": 1.0},
        {"faults": Counter(stall=9)},
        {"excused": ["overdraw"]},
        {"verdicts": [Verdict(1.0, "total", "other words")]},
    ],
)
def test_every_part_of_an_outcome_is_in_the_print(change: dict[str, Any]) -> None:
    judged = outcomes(8)
    assert tallied([*judged[:7], replace(judged[7], **change)]).digest != tallied(judged).digest


def test_a_world_that_came_twice_is_refused() -> None:
    one = outcomes(1)
    with pytest.raises(ValueError, match="seed 0 came twice"):
        tallied(one + one)


class Slow:
    """A crew of three that judges what it was handed out first, when `count` is asked; now and then a batch is lost."""

    def __init__(self, dies: Callable[[range], bool] = lambda batch: False) -> None:
        self.batches: list[range] = []
        self.out: list[tuple[range, Outcomes]] = []
        self._dies = dies

    def count(self) -> int:
        for batch, judged in self.out[:3]:
            judged.set_result([] if self._dies(batch) else [Outcome(seed, [], 60.0) for seed in batch])
        self.out = self.out[3:]
        return 3

    def submit(self, seeds: Sequence[int]) -> Outcomes:
        assert isinstance(seeds, range)
        self.batches.append(seeds)
        self.out.append((seeds, Future()))
        return self.out[-1][1]

    def collect(self, judged: Outcomes) -> list[Outcome] | None:
        return judged.result() or None


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "_LOOK_S", 0.0)


@pytest.mark.parametrize("seeds", [range(1), range(5, 8), range(1000), range(10**15, 10**15 + 77)])
def test_every_seed_is_handed_out_once_in_batches_that_get_small(at_once: None, seeds: range) -> None:
    crew, told = Slow(), list[int]()
    tally = campaign.run(seeds, crew, lambda tally: told.append(tally.worlds))
    assert [seed for batch in crew.batches for seed in batch] == list(seeds)
    assert [len(batch) for batch in crew.batches] == sorted(map(len, crew.batches), reverse=True)
    assert len(crew.batches[0]) <= 8
    assert len(crew.batches[-1]) == 1
    assert tally.worlds == told[-1] == len(seeds)
    assert told[0] == 0, "before anything is judged"


def test_what_dead_workers_had_is_handed_out_again(at_once: None) -> None:
    seen: Counter[range] = Counter()

    def dies(batch: range) -> bool:
        seen[batch] += 1
        return batch.start % 3 == 0 and seen[batch] < 5

    crew = Slow(dies)
    tally = campaign.run(range(200), crew)
    assert tally.worlds == 200
    assert tally.digest == campaign.run(range(200), Slow()).digest
    assert max(seen.values()) == 5


def test_a_batch_that_kills_whoever_gets_it_ends_the_campaign(at_once: None) -> None:
    crew = Slow(lambda batch: 30 in batch)
    with pytest.raises(ChildProcessError, match="workers die again and again of seeds "):
        campaign.run(range(100), crew)
    assert sum(30 in batch for batch in crew.batches) == 5
