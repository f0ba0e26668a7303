"""The search for serial numbers against stations that answer as such a line lets them."""

from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.bus.enrolment import ROOT, SERIAL_BITS, Branch, Search
from firmware.bus.messages import Identity

TOP = (1 << SERIAL_BITS) - 1
MANY = 200_000


class Stations:
    """Unenrolled stations; a strong one masks weaker ones with probability `capture`, an answer is lost with
    `lost`, and noise is heard with `noise`, whether or not somebody answers."""

    def __init__(
        self, serials: list[int], rng: Random, capture: float = 0.0, lost: float = 0.0, noise: float = 0.0
    ) -> None:
        self.mute: list[Identity] = []
        self.waiting = [Identity(serial, i) for i, serial in enumerate(serials)]
        self.twins: list[int] = []
        self.probes = 0
        self.calm_after = MANY
        self._rng, self._capture, self._lost, self._noise = rng, capture, lost, noise

    def probe(self, branch: Branch) -> Identity | bool:
        """Who answers; True = garbage, False = silence."""
        self.probes += 1
        chance = self._rng.random if self.probes < self.calm_after else lambda: 1.0
        answers = [one for one in self.waiting if branch.holds(one) and chance() >= self._lost]
        if chance() < self._noise:
            return True
        if len(answers) > 1 and chance() >= self._capture:
            return True
        return answers[0] if answers else False

    def search(self) -> None:
        """One search, as the primary runs it; who is found is mute, and so are proved twins."""
        search = Search()
        while (branch := search.branch) is not None:
            assert self.probes < MANY, "it does not end"
            answer = self.probe(branch)
            if isinstance(answer, Identity):
                self.waiting.remove(answer)
                self.mute.append(answer)
                search.on_found()
            elif not answer:
                search.on_silence()
            elif (serial := search.on_garbage()) is not None:
                self.twins.append(serial)
                self.waiting = [one for one in self.waiting if one.serial != serial]


def _flipped(serial: int, bits: list[int]) -> list[int]:
    """Serials that share all bits below one with the first, for each of some bits."""
    return list({serial, *(serial ^ (1 << bit) for bit in bits)})


serial_lists = st.one_of(
    st.lists(st.integers(0, TOP), max_size=5, unique=True),
    st.builds(lambda first, n: list(range(first, first + n)), st.integers(0, TOP - 5), st.integers(0, 5)),
    st.builds(_flipped, st.integers(0, TOP), st.lists(st.integers(0, 47), max_size=4)),
    st.builds(
        lambda low, highs: [high << 44 | low for high in highs],
        st.integers(0, 2**44 - 1),
        st.lists(st.integers(0, 15), max_size=5, unique=True),
    ),
)


@given(serial_lists)
def test_it_finds_everybody_and_ends(serials: list[int]) -> None:
    stations = Stations(serials, Random(1))
    stations.search()
    assert sorted(one.serial for one in stations.mute) == sorted(serials)
    assert stations.twins == []


@given(serial_lists, st.integers(0, 999), st.sampled_from([0.3, 0.7, 1.0]))
def test_it_finds_whom_a_strong_driver_masks(serials: list[int], seed: int, capture: float) -> None:
    stations = Stations(serials, Random(seed), capture=capture)
    stations.search()
    assert sorted(one.serial for one in stations.mute) == sorted(serials)
    assert stations.twins == []


@given(
    serial_lists, st.integers(0, 999), st.sampled_from([0.0, 0.1, 0.4]), st.sampled_from([0.0, 0.1, 0.3]), st.booleans()
)
def test_searches_on_a_bad_line_end_and_find_everybody_in_the_end(
    serials: list[int], seed: int, lost: float, noise: float, captures: bool
) -> None:
    stations = Stations(serials, Random(seed), capture=0.5 * captures, lost=lost, noise=noise)
    for _ in range(60):
        stations.search()
    stations.calm_after = stations.probes
    stations.search()
    found = {one.serial for one in stations.mute}
    assert found | set(stations.twins) == set(serials) | set(stations.twins)
    assert len(found) == len(stations.mute), "nobody is found twice"


def test_noise_without_end_does_not_hoard_and_is_over_soon_after_it() -> None:
    search = Search()
    for _ in range(5000):
        assert search.branch is not None
        search.on_garbage()
    left = 0
    while search.branch is not None:
        search.on_silence()
        left += 1
    assert left <= 2 * SERIAL_BITS


@given(st.integers(0, TOP), st.lists(st.integers(0, TOP), max_size=3, unique=True))
def test_twins_are_reported_with_their_serial_and_the_others_found(twin: int, others: list[int]) -> None:
    others = [serial for serial in others if serial != twin]
    stations = Stations([twin, *others, twin], Random(1))
    stations.search()
    assert stations.twins == [twin]
    assert sorted(one.serial for one in stations.mute) == sorted(others)


def test_twins_are_proved_only_by_garbage_three_times_in_a_row_at_full_depth() -> None:
    search = Search()
    for depth in range(SERIAL_BITS):
        assert search.branch is not None
        assert search.branch.depth == depth
        assert search.on_garbage() is None
    assert search.on_garbage() is None
    assert search.on_garbage() is None
    assert search.on_garbage() == 0


def test_noise_at_full_depth_before_an_answer_is_no_twin() -> None:
    search = Search()
    for _ in range(SERIAL_BITS + 2):
        assert search.on_garbage() is None
    search.on_found()
    assert search.branch is not None
    assert search.branch.bits == 1 << (SERIAL_BITS - 1), "the other half of the last split"
    assert search.on_garbage() is None, "counts of one serial are not another's"
    assert search.on_garbage() is None


@given(st.integers(0, TOP), st.integers(0, TOP), st.integers(0, SERIAL_BITS))
def test_a_branch_holds_the_serials_with_its_low_bits(serial: int, bits: int, depth: int) -> None:
    bits &= (1 << depth) - 1
    held = Branch(bits, depth, guessed=False).holds(Identity(serial, 0))
    assert held == (depth == 0 or f"{serial:048b}"[-depth:] == f"{bits:048b}"[-depth:])
    assert ROOT.holds(Identity(serial, 0))


def probes(serials: list[int]) -> int:
    stations = Stations(serials, Random(1))
    stations.search()
    assert len(stations.mute) == len(serials)
    return stations.probes


def test_an_empty_line_costs_one_probe() -> None:
    assert probes([]) == 1


def test_one_station_costs_two() -> None:
    """One that finds it and one that finds nobody else."""
    assert probes([0xA1B2C3D4E5F6]) == 2


@pytest.mark.parametrize("first", range(8))
def test_four_consecutive_serials_cost_few_probes(first: int) -> None:
    assert probes([0xA1B2C3D4E500 + first + i for i in range(4)]) <= 8


def test_four_random_serials_cost_about_eleven_probes() -> None:
    rng = Random(1)
    costs = sorted(probes([rng.getrandbits(SERIAL_BITS) for _ in range(4)]) for _ in range(1000))
    assert sum(costs) / len(costs) < 11.5
    assert costs[989] <= 22


@pytest.mark.parametrize("low", [0, 2**44 - 1, 0x5A5A5A5A5A5])
def test_serials_that_differ_in_their_highest_bits_alone_cost_the_most(low: int) -> None:
    """Some two probes for each bit shared."""
    assert max(probes([high << 44 | low for high in four]) for four in combinations(range(16), 4)) <= 112
