"""The date of a record, and how far it can be trusted."""

import ctypes
import struct
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from hal.clock import BUILT, Clock, boot_id, kernel_disciplines

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def clock(wall: float = NOON, disciplined: bool = True) -> Clock:
    """At 1,000 s of its boot."""
    return Clock(lambda: 1000.0, lambda: wall, lambda: disciplined)


def test_a_stamp_says_when_a_moment_was_not_when_it_was_asked_for() -> None:
    stamp = clock().stamp(990.1234)
    assert stamp == {
        "boot": boot_id(),
        "t_s": 990.123,
        "wall": "2026-11-23T11:59:50.123Z",
        "clock": "synchronised",
    }


def test_whole_seconds_keep_their_milliseconds() -> None:
    assert clock().stamp(1000.0)["wall"] == "2026-11-23T12:00:00.000Z"
    assert clock().stamp(999.9999)["wall"] == "2026-11-23T12:00:00.000Z"


@pytest.mark.parametrize(
    ("wall", "disciplined", "quality", "known"),
    [
        (NOON, True, "synchronised", True),
        (NOON, False, "unsynchronised", True),
        (BUILT.timestamp() + 1, False, "unsynchronised", True),
        (BUILT.timestamp() - 1, False, "unset", False),
        (0.0, True, "unset", False),
    ],
)
def test_a_date_comes_with_its_quality_and_an_impossible_one_not_at_all(
    wall: float, disciplined: bool, quality: str, known: bool
) -> None:
    stamp = clock(wall, disciplined).stamp(1000.0)
    assert stamp["clock"] == quality
    assert (stamp["wall"] is not None) == known


@pytest.mark.skipif(not Path("/proc/sys/kernel/random/boot_id").exists(), reason="a kernel without a boot id")
def test_the_boot_is_the_kernel_s() -> None:
    assert Path("/proc/sys/kernel/random/boot_id").read_text().startswith(boot_id())
    assert len(boot_id()) == 8


def test_a_kernel_that_does_not_say_gets_a_boot_id_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hal.clock._BOOT_ID", tmp_path / "missing")
    assert int(boot_id(), 16) >= 0
    assert len(boot_id()) == 8
    assert boot_id() != boot_id()


def test_the_kernel_is_asked_whether_it_is_disciplined() -> None:
    """Against the status word itself: `int status` after `int modes` and four longs, STA_UNSYNC is 0x40."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "adjtimex"):
        pytest.skip("a libc without adjtimex")
    timex = ctypes.create_string_buffer(512)
    if libc.adjtimex(timex) < 0:
        pytest.skip("adjtimex is forbidden here")
    status = struct.unpack_from("@illlli", timex)[5]
    assert kernel_disciplines() == (not status & 0x40)


@pytest.mark.parametrize(("state", "vouches"), [(0, True), (1, True), (5, False), (-1, False)])
def test_a_kernel_vouches_unless_it_says_time_error_or_nothing(
    monkeypatch: pytest.MonkeyPatch, state: int, vouches: bool
) -> None:
    """0 = TIME_OK, 1 = a leap second is coming, 5 = TIME_ERROR, -1 = the call is forbidden."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(adjtimex=lambda timex: state))
    assert kernel_disciplines() == vouches


def test_a_libc_that_can_not_tell_vouches_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not kernel_disciplines()
