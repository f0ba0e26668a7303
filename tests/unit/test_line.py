"""The RS-485 line in virtual time."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.simulated.disturbance import Kind
from hal.simulated.line import Line

FRAME = bytes(range(21))
BAUDS = (9600, 19200, 38400, 57600, 115200)


class Bench:
    """A line and what each of its ports heard, with times."""

    def __init__(self, ports: int = 3, baud: int = 19200, seed: int = 1) -> None:
        self.heard: list[list[tuple[float, bytes]]] = [[] for _ in range(ports + 1)]
        self.order: list[int] = []
        self.line = Line(baud, random.Random(seed), self._hear)
        self.character_s = 11 / baud
        assert [self.line.attach() for _ in range(ports)] == list(range(ports))

    def _hear(self, port: int, data: bytes, at: float) -> None:
        self.heard[port].append((at, data))
        self.order.append(port)

    def run(self, until: float = math.inf) -> None:
        """Step at each wake-up that is due by `until`."""
        while (due := self.line.next_wakeup()) <= until and due < math.inf:
            self.line.step(due)

    def frames(self, port: int) -> list[bytes]:
        return [data for _, data in self.heard[port]]

    def times(self, port: int) -> list[float]:
        return [at for at, _ in self.heard[port]]


def exchange(bench: Bench, count: int) -> None:
    """`count` frames of ports 0 and 1 in turn, none over another."""
    at = 0.0
    for number in range(count):
        bench.line.send(number % 2, FRAME, at)
        at += len(FRAME) * bench.character_s + 0.005
        bench.run(until=at)
    bench.run()


@pytest.mark.parametrize("baud", BAUDS)
def test_a_frame_ends_after_eleven_bits_a_character(baud: int) -> None:
    bench = Bench(baud=baud)
    bench.line.send(0, FRAME, 10.0)
    end = 10.0 + 21 * 11 / baud
    assert bench.line.next_wakeup() == pytest.approx(end, abs=1e-9)
    bench.line.step(math.nextafter(bench.line.next_wakeup(), 0))
    assert bench.heard[1] == []
    bench.run()
    assert bench.frames(1) == bench.frames(2) == [FRAME]
    assert bench.times(1) == bench.times(2) == pytest.approx([end], abs=1e-9)
    assert bench.heard[0] == []
    assert bench.line.next_wakeup() == math.inf


def test_frames_of_one_port_follow_each_other() -> None:
    bench = Bench()
    bench.line.send(0, b"abc", 0.0)
    bench.line.send(0, b"de", 0.0)
    assert bench.line.busy_until(0) == pytest.approx(5 * bench.character_s)
    bench.run()
    assert bench.frames(1) == [b"abc", b"de"]
    assert bench.times(1) == pytest.approx([3 * bench.character_s, 5 * bench.character_s])
    assert bench.line.counts.frames == 2
    assert bench.line.counts.bytes == 5
    assert bench.line.counts.collisions == 0


def test_an_answer_at_the_very_end_of_the_question_does_not_collide() -> None:
    bench = Bench()
    bench.line.send(0, FRAME, 0.1)
    end = bench.line.next_wakeup()
    bench.line.step(end)
    bench.line.send(1, FRAME, end)
    bench.run()
    assert bench.frames(0) == [FRAME]
    assert bench.frames(2) == [FRAME, FRAME]


def test_a_late_step_still_tells_when_the_frame_ended_and_keeps_it_whole() -> None:
    bench = Bench()
    bench.line.send(0, b"abc", 0.0)
    bench.line.send(1, b"de", 1.0)
    bench.line.step(2.0)
    assert bench.frames(2) == [b"abc", b"de"]
    assert bench.times(2) == pytest.approx([3 * bench.character_s, 1 + 2 * bench.character_s])


@pytest.mark.parametrize("seed", range(20))
def test_overlapped_characters_are_never_left_intact(seed: int) -> None:
    bench = Bench(seed=seed)
    bench.line.send(0, FRAME, 0.0)
    bench.line.send(1, FRAME, 15.5 * bench.character_s)
    bench.run()
    first, second = bench.frames(2)
    assert first[:15] == FRAME[:15]
    assert all(a != b for a, b in zip(first[15:], FRAME[15:], strict=True))
    assert all(a != b for a, b in zip(second[:6], FRAME[:6], strict=True))
    assert second[6:] == FRAME[6:]
    assert bench.line.counts.collisions == 2


def test_the_shortest_overlap_spoils_a_character_of_both() -> None:
    bench = Bench()
    bench.line.send(0, FRAME, 0.0)
    bench.line.send(1, FRAME, math.nextafter(bench.line.next_wakeup(), 0))
    bench.run()
    first, second = bench.frames(2)
    assert first[:-1] == FRAME[:-1]
    assert first != FRAME
    assert second[0] != FRAME[0]


def test_three_at_once_spoil_each_character_just_once() -> None:
    for seed in range(20):
        bench = Bench(ports=4, seed=seed)
        for port in range(3):
            bench.line.send(port, b"\x55" * 40, 0.0)
        bench.run()
        assert len(bench.frames(3)) == 3
        assert all(0x55 not in frame for frame in bench.frames(3))


def test_a_port_that_sends_does_not_hear_what_comes_meanwhile() -> None:
    bench = Bench()
    bench.line.send(0, FRAME, 0.0)
    bench.line.send(1, b"x", 5 * bench.character_s)
    bench.run()
    assert bench.heard[0] == bench.heard[1] == []
    assert len(bench.heard[2]) == 2


def test_frames_that_end_together_come_in_the_order_of_sending() -> None:
    bench = Bench(ports=3)
    bench.line.send(2, b"ab", 0.0)
    bench.line.send(1, b"cd", 0.0)
    bench.run()
    assert bench.order == [0, 0]
    assert bench.times(0)[0] == bench.times(0)[1]
    lone = Bench(ports=3)
    lone.line.send(1, b"ab", 0.0)
    lone.run()
    assert lone.order == [0, 2]


def test_a_cut_port_is_alone_and_the_rest_lives_on() -> None:
    bench = Bench()
    bench.line.cut(1)
    bench.line.send(0, b"to all", 0.0)
    bench.line.send(1, b"to none", 0.0)
    bench.run()
    assert bench.frames(2) == [b"to all"]
    assert bench.heard[0] == bench.heard[1] == []
    bench.line.join(1)
    bench.line.send(1, b"again", 1.0)
    bench.run()
    assert bench.frames(0) == [b"again"]


def test_a_cut_in_one_direction_leaves_the_other() -> None:
    bench = Bench(ports=2)
    bench.line.cut(1, "receive")
    bench.line.send(1, b"heard", 0.0)
    bench.line.send(0, b"lost", 1.0)
    bench.run()
    assert bench.frames(0) == [b"heard"]
    assert bench.frames(1) == []
    bench.line.join(1, "receive")
    bench.line.cut(1, "send")
    bench.line.send(1, b"lost", 2.0)
    bench.line.send(0, b"heard", 3.0)
    bench.run()
    assert bench.frames(0) == [b"heard"]
    assert bench.frames(1) == [b"heard"]


def test_a_frame_is_cut_short_with_its_sender_and_missed_by_a_latecomer() -> None:
    lengths = set()
    for seed in range(20):
        bench = Bench(seed=seed)
        bench.line.send(0, b"abc", 0.0)
        bench.line.cut(0, "send")
        bench.run()
        assert bench.frames(1) in ([], [b"a"], [b"ab"])
        lengths.add(len(bench.frames(1)))
    assert lengths == {0, 1}
    bench = Bench()
    bench.line.cut(1, "receive")
    bench.line.send(0, FRAME, 0.0)
    bench.line.join(1, "receive")
    bench.run()
    assert bench.frames(1) == []
    assert bench.frames(2) == [FRAME]


def test_a_port_without_power_neither_sends_nor_hears() -> None:
    bench = Bench()
    bench.line.power(1, on=False)
    bench.line.send(1, b"no", 0.0)
    bench.line.send(0, b"yes", 0.0)
    bench.run()
    assert bench.frames(2) == [b"yes"]
    assert bench.heard[0] == bench.heard[1] == []
    bench.line.power(1, on=True)
    bench.line.send(0, b"back", 1.0)
    bench.run()
    assert bench.frames(1) == [b"back"]


def flipped(data: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(data, FRAME, strict=True))


def test_noise_on_the_line_has_its_rate_and_is_the_same_for_all() -> None:
    bench = Bench()
    bench.line.noise(1e-3)
    exchange(bench, 2000)
    errors = sum(flipped(frame) for frame in bench.frames(2))
    assert 240 < errors < 435  # 2000 x 168 bits x 0.001 = 336, +-5 sigma
    assert bench.frames(2)[::2] == bench.frames(1)
    assert bench.line.counts.disturbed["noise"] == sum(frame != FRAME for frame in bench.frames(2))


def test_noise_of_one_port_spoils_what_it_sends_and_receives() -> None:
    bench = Bench()
    bench.line.noise(0.02, port=0)
    exchange(bench, 100)
    assert all(frame == FRAME for frame in bench.frames(2)[1::2])
    assert any(frame != FRAME for frame in bench.frames(2)[::2])
    assert any(frame != FRAME for frame in bench.frames(0))


def test_certain_noise_flips_every_bit() -> None:
    bench = Bench()
    bench.line.noise(1.0)
    bench.line.send(0, FRAME, 0.0)
    bench.run()
    assert bench.frames(1) == [bytes(255 - value for value in FRAME)]
    bench.line.noise(0)
    bench.line.send(0, FRAME, 1.0)
    bench.run()
    assert bench.frames(1)[1:] == [FRAME]


def disturbed(kind: Kind, rate: float = 1.0, port: int | None = None, count: int = 1) -> Bench:
    bench = Bench()
    bench.line.disturb(kind, rate, until=1000.0, port=port)
    exchange(bench, count)
    return bench


def test_a_drop_is_heard_by_nobody() -> None:
    bench = disturbed("drop")
    assert bench.order == []
    assert bench.line.counts.disturbed == {"drop": 1}


def test_a_duplicate_comes_right_after() -> None:
    bench = disturbed("duplicate")
    end = 21 * bench.character_s
    assert bench.frames(1) == [FRAME, FRAME]
    assert bench.times(1) == pytest.approx([end, 2 * end])


def test_a_delayed_frame_comes_late_and_whole() -> None:
    bench = disturbed("delay", count=40)
    assert 0.01 <= disturbed("delay").times(2)[0] - 21 * bench.character_s <= 1.0
    assert bench.frames(2) == [FRAME] * 40
    assert bench.times(2) == sorted(bench.times(2))


def test_a_delayed_frame_does_not_reach_a_port_that_went_off() -> None:
    bench = Bench()
    bench.line.disturb("delay", 1.0, until=1000.0)
    bench.line.send(0, FRAME, 0.0)
    bench.line.step(bench.line.next_wakeup())
    bench.line.power(1, on=False)
    bench.run()
    assert bench.frames(1) == []
    assert bench.frames(2) == [FRAME]


def test_a_truncated_frame_loses_its_end() -> None:
    bench = disturbed("truncate", count=60)
    lengths = {len(frame) for frame in bench.frames(2)}
    assert all(FRAME.startswith(frame) and 0 < len(frame) < len(FRAME) for frame in bench.frames(2))
    assert len(lengths) > 5


def test_by_an_echo_the_sender_hears_itself() -> None:
    bench = disturbed("echo")
    assert bench.frames(0) == bench.frames(1) == bench.frames(2) == [FRAME]
    bench = disturbed("echo", port=1)
    assert bench.frames(0) == []
    bench.line.disturb("echo", 1.0, until=1000.0)
    bench.line.cut(0, "receive")
    bench.line.send(0, FRAME, 1.0)
    bench.run()
    assert bench.frames(0) == []


def test_a_disturbance_of_one_port_leaves_the_others() -> None:
    bench = disturbed("drop", port=1, count=2)
    assert bench.frames(1) == []  # what it would receive
    assert bench.frames(0) == []  # what it sent
    assert bench.frames(2) == [FRAME]


def test_a_disturbance_strikes_at_its_rate_and_ends() -> None:
    bench = disturbed("drop", rate=0.25, count=1000)
    assert 680 < len(bench.frames(2)) < 820
    bench = Bench()
    bench.line.disturb("drop", 1.0, until=21 * bench.character_s)
    bench.line.send(0, FRAME, 0.0)
    bench.run()
    assert bench.frames(2) == [FRAME]


@pytest.mark.parametrize("port", [2, None])
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_a_babble_takes_its_share_of_the_time_and_ends(rate: float, port: int | None) -> None:
    bench = Bench()
    bench.line.step(50.0)
    bench.line.disturb("babble", rate, until=150.0, port=port)
    bench.line.step(50.0)
    bench.run()
    busy = sum(len(data) for data in bench.frames(0)) * bench.character_s / 100
    assert rate * 0.8 < busy < min(rate * 1.2, 1.001)
    assert 149 < bench.times(0)[-1] < 150.1
    assert bench.line.counts.collisions == 0
    assert bench.line.counts.disturbed["babble"] == len(bench.heard[0])


def test_a_babble_collides_with_what_the_others_send() -> None:
    bench = Bench()
    bench.line.disturb("babble", 1.0, until=1.0, port=2)
    bench.line.step(0.0)
    bench.line.send(0, FRAME, 0.01)
    bench.run()
    assert FRAME not in bench.frames(1)
    assert bench.line.counts.collisions >= 2


def test_the_stranger_that_babbles_hears_nothing() -> None:
    bench = Bench()
    bench.line.disturb("babble", 0.5, until=0.0)
    bench.line.send(0, FRAME, 1.0)
    bench.run()
    assert bench.order == [1, 2]


def test_a_disturbance_of_no_rate_is_none() -> None:
    bench = Bench()
    for kind in ("drop", "duplicate", "delay", "truncate", "echo", "babble"):
        bench.line.disturb(kind, 0.0, until=10.0)
    assert bench.line.next_wakeup() == math.inf
    exchange(bench, 2)
    assert bench.frames(2) == [FRAME] * 2


def everything_at_once(seed: int) -> Bench:
    bench = Bench(seed=seed)
    bench.line.noise(1e-3)
    for kind in ("drop", "duplicate", "delay", "truncate", "echo"):
        bench.line.disturb(kind, 0.2, until=5.0)
        bench.line.disturb(kind, 0.2, until=5.0, port=1)
    bench.line.disturb("babble", 0.2, until=5.0)
    exchange(bench, 100)
    return bench


def test_the_same_calls_give_the_same_bytes() -> None:
    first, again, other = everything_at_once(7), everything_at_once(7), everything_at_once(8)
    assert first.heard == again.heard
    assert first.line.counts == again.line.counts
    assert first.heard != other.heard


def test_the_line_may_be_answered_from_within_a_delivery() -> None:
    heard: list[tuple[int, bytes]] = []

    def answer(port: int, data: bytes, at: float) -> None:
        heard.append((port, data))
        if port == 1 and data == b"question":
            line.send(1, b"answer", at)

    line = Line(19200, random.Random(1), answer)
    line.attach()
    line.attach()
    line.send(0, b"question", 0.0)
    while line.next_wakeup() < math.inf:
        line.step(line.next_wakeup())
    assert heard == [(1, b"question"), (0, b"answer")]


Sends = list[tuple[int, bytes, float]]
sends: st.SearchStrategy[Sends] = st.lists(
    st.tuples(st.integers(0, 4), st.binary(min_size=1, max_size=60), st.floats(0, 0.1)), max_size=30
)


@given(st.sampled_from(BAUDS), sends, st.floats(0, 1e7))
def test_frames_that_do_not_overlap_arrive_whole_and_in_order(baud: int, plan: Sends, start: float) -> None:
    bench = Bench(ports=5, baud=baud)
    free, sent = start, []
    for port, data, gap in plan:
        at = free + gap
        bench.run(until=at)
        bench.line.send(port, data, at)
        free = bench.line.busy_until(port)
        sent.append((port, data))
    bench.run()
    for listener in range(5):
        assert bench.frames(listener) == [data for port, data in sent if port != listener]
    assert bench.line.counts.collisions == 0


@given(st.sampled_from(BAUDS), sends)
def test_a_frame_is_intact_for_those_that_were_silent_or_it_was_overlapped(baud: int, plan: Sends) -> None:
    """Port 5 never sends: it hears each frame once, spoilt exactly when another was sent over it."""
    bench = Bench(ports=6, baud=baud)
    at, spans = 0.0, []
    for number, (port, data, gap) in enumerate(plan):
        at += gap / 10
        bench.run(until=at)
        data = number.to_bytes(1, "big") + data
        begin = max(at, bench.line.busy_until(port))
        bench.line.send(port, data, at)
        spans.append((begin, bench.line.busy_until(port), port, data))
    bench.run()
    by_end = sorted(enumerate(spans), key=lambda item: (item[1][1], item[0]))
    assert bench.times(5) == [end for _, (_, end, _, _) in by_end]
    for got, (_, (begin, end, port, data)) in zip(bench.frames(5), by_end, strict=True):
        overlapped = any(b < end and begin < e for b, e, other, _ in spans if other != port)
        assert len(got) == len(data)
        assert (got != data) == overlapped
