"""Bytes from hell: inputs without end for one parser after the other, the same for the same seed.

A target makes inputs that get past the first check and judges what becomes of each; the fuzzer spoils them, keeps those
that brought out something new as a start for others, and makes what escapes small.
"""

import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType

SPINS_S = 10.0
"""Processor time that no input may take."""
_POOL = 300
_SHRINK_TRIES = 300
_NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff")
_TEXTS = (b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xc3\x28", b"\xed\xa0\x80", b"nan", b"-inf", b"9" * 40, b"1e999")


class Spins(BaseException):
    """An input takes more than `SPINS_S` of the processor."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser with its inputs and its judge."""

    name: str
    make: Callable[[Random], bytes]
    """An input that the parser takes, or nearly."""
    check: Callable[[bytes], str]
    """Parse, and use what was accepted. Returns `accepted` or `refused`, perhaps with words that tell kinds of outcome
    apart (the first input of a kind is spoilt further); whatever it raises is an escape."""
    kept: Sequence[bytes] = ()
    """Inputs that once found something."""
    tokens: Sequence[bytes] = ()
    """What this parser may stumble over."""


@dataclass(frozen=True, slots=True)
class Escape:
    """What came out of a parser that may not, and the smallest input found that brings it out."""

    what: str
    where: str
    data: bytes


@dataclass(slots=True)
class Tally:
    """What came of a run; `kinds`: of outcomes told apart."""

    inputs: int = 0
    bytes: int = 0
    accepted: int = 0
    refused: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    escapes: dict[str, Escape] = field(default_factory=dict)
    """By the place they come from."""


def fuzz(target: Target, least_bytes: int, seed: int) -> Tally:
    """Put so many bytes through a target, after those it keeps."""
    tally = Tally()
    for data in target.kept:
        _judge(target, data, tally)
    for _ in _runs(target, tally, tally.bytes + least_bytes, seed):
        pass
    return tally


def hunt(target: Target, least_bytes: int, seed: int) -> Escape | None:
    """The first escape, not made small, without what the target keeps; None when there is none."""
    runs = _runs(target, Tally(), least_bytes, seed, small=False)
    return next((came for came in runs if isinstance(came, Escape)), None)


def _runs(target: Target, tally: Tally, until_bytes: int, seed: int, small: bool = True) -> Iterator[str | Escape]:
    """What came of one input after the other."""
    rng = Random(f"{seed}/{target.name}")
    pool: list[bytes] = []
    while tally.bytes < until_bytes:
        data = _draw(target, pool, rng)
        came = _judge(target, data, tally, small)
        yield came
        if isinstance(came, str) and came != "refused" and tally.kinds[came] == 1:
            if len(pool) >= _POOL:
                del pool[rng.randrange(len(pool))]
            pool.append(data)


def outcome(target: Target, data: bytes) -> str | Escape:
    """What the target makes of one input."""
    try:
        with _no_longer_than(SPINS_S):
            return target.check(data)
    except (Exception, Spins) as escaped:  # noqa: BLE001 - whatever it is, it is what is looked for
        return Escape(repr(escaped)[:200], _where(escaped), data)


def _judge(target: Target, data: bytes, tally: Tally, small: bool = True) -> str | Escape:
    """Count one input; what escapes is made `small` the first time that it comes from a place."""
    tally.inputs += 1
    tally.bytes += len(data)
    came = outcome(target, data)
    if isinstance(came, Escape):
        if came.where not in tally.escapes:
            tally.escapes[came.where] = _shrunk(target, came) if small else came
        return came
    tally.accepted += came.startswith("accepted")
    tally.refused += came.startswith("refused")
    tally.kinds[came] += 1
    return came


def _where(escaped: BaseException) -> str:
    if isinstance(escaped, Spins):
        return "Spins"
    frames = traceback.extract_tb(escaped.__traceback__)
    ours = [frame for frame in frames if "/tests/" not in frame.filename and "/lib/" not in frame.filename]
    last = (ours or frames)[-1]
    return f"{type(escaped).__name__} {last.filename.rpartition('/')[2]}:{last.lineno}"


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Raise `Spins` in what takes more processor time. In the main thread alone."""

    def spins(number: int, frame: FrameType | None) -> None:
        raise Spins(f"more than {seconds:g} s of the processor")

    before = signal.signal(signal.SIGVTALRM, spins)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


# Inputs


def _draw(target: Target, pool: Sequence[bytes], rng: Random) -> bytes:
    data = rng.choice(pool) if pool and rng.random() < 0.3 else target.make(rng)
    if rng.random() < 0.4:
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            data = spoilt(data, rng, target.tokens, pool)
    return data


def spoilt(data: bytes, rng: Random, tokens: Sequence[bytes], pool: Sequence[bytes]) -> bytes:
    """One change anywhere."""
    at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    near = at + rng.randint(0, min(8, len(data) - at))
    match rng.randrange(8):
        case 0 if at < len(data):
            return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
        case 1:
            return data[:at] + rng.randbytes(near - at) + data[near:]
        case 2:
            return data[:at] + data[near:]
        case 3:
            return data[:at] + data[end:]
        case 4:
            return data[:end] + data[at : min(end, at + 2000)] + data[end:]
        case 5 if pool:
            other = rng.choice(pool)
            return data[:at] + other[rng.randrange(len(other) + 1) :]
        case 6:
            return data[:at] + rng.choice(_NUMBERS if rng.random() < 0.5 else _TEXTS) + data[near:]
    return data[:at] + rng.choice(tokens or _TEXTS) + data[near:]


def _shrunk(target: Target, escape: Escape) -> Escape:
    """The same escape from less."""
    size, tries = max(1, len(escape.data) // 2), 0
    while size and tries < _SHRINK_TRIES and not escape.what.startswith("Spins"):
        at, smaller = 0, False
        while at < len(escape.data) and tries < _SHRINK_TRIES:
            tries += 1
            came = outcome(target, escape.data[:at] + escape.data[at + size :])
            if isinstance(came, Escape) and came.where == escape.where:
                escape, smaller = came, True
            else:
                at += size
        size = size if smaller else size // 2
    return escape
