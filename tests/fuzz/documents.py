"""TOML documents that are nearly right: values from hell in the places where a schema looks."""

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random

Value = Callable[[Random], str]
Fields = Mapping[str, Value]

_HOSTILE = (
    *("0", "-1", "1", "2", "15", "0x10", "9223372036854775807", "-9223372036854775808", "9" * 40),
    *("0x" + "f" * 40, "0o7", "0b1", "1_000"),
    *("nan", "-nan", "inf", "-inf", "1e400", "-1e-400", "5e-324", "1.7976931348623157e308", "0.1", "1e-9", "-0.0"),
    *("true", "false", '""', '"0"', '"B"', '"48A"', '" "', '"\\u0000"', '"\\u202e"', '"\\ud800"', '"\\n"'),
    *(
        '"""\nx\n"""',
        "'''y'''",
        '"' + "x" * 100 + '"',
        '"{}"',
        '"%s"',
        '"\u00e9\u4e2d\U0001f697"',
        '"../../etc/passwd"',
    ),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "9999-12-31T23:59:59.999999-23:59", "0000-00-00"),
    *("[]", "{}", "[[]]", "[{}]", "{a = {}}", "[1, 'a', nan]", "[" * 30 + "]" * 30),
    *("", "?", "=", "#", "\\", '"', "0 0"),
)
_BULKY = (
    *("9" * 5000, "0x" + "f" * 4000, '"' + "x" * 3000 + '"'),
    *("[" * 2000 + "]" * 2000, "{" + "a = {" * 400 + "}" * 401),
)
"""As hostile, but they cost bytes that others make more of."""
_KEYS = ("name", "serial", "x", '"odd key"', '""', '"\\u0000"', "a.b.c", "name.x", "'k'", "\u00e9", "-")
_LINES = ("[", "]", "[x]", "[[x]]", "[[station]]", "[scenario]", "\t", "\ufeff", "a.b = 1", "= 1", "[a.b.c]", "x" * 100)
TOKENS = tuple(value.encode("utf-8", "replace") for value in (*_HOSTILE, *_LINES))


def hostile(rng: Random) -> str:
    return rng.choice(_BULKY if rng.random() < 0.02 else _HOSTILE)


def one_of(*words: str | int) -> Value:
    return lambda rng: json.dumps(rng.choice(words))


def between(lo: float, hi: float) -> Value:
    """Numbers of a range, with its ends and with whole ones among them."""
    return lambda rng: repr(rng.choice((lo, hi, rng.uniform(lo, hi), float(rng.randint(int(lo), int(hi))))))


def whole(lo: int, hi: int) -> Value:
    return lambda rng: str(rng.choice((lo, hi, rng.randint(lo, hi))))


def flag(rng: Random) -> str:
    return rng.choice(("true", "false"))


def fields(some: Fields, rng: Random, needed: Sequence[str] = ()) -> list[str]:
    """Lines of a table: what it needs, and some of the rest."""
    return [f"{key} = {value(rng)}" for key, value in some.items() if key in needed or rng.random() < 0.4]


def document(lines: Sequence[str], rng: Random) -> bytes:
    """The text of these lines, of which some have gone wrong."""
    spoilt = list(lines)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(spoilt))
        spoilt[at : at + 1] = _gone_wrong(spoilt[at], rng)
    return "\n".join(spoilt).encode("utf-8", "replace") + b"\n"


def _gone_wrong(line: str, rng: Random) -> list[str]:
    key, equals, value = line.partition(" = ")
    match rng.randrange(8):
        case 0:
            return []
        case 1:
            return [line, line]
        case 2 if equals:
            return [f"{rng.choice(_KEYS)} = {value}"]
        case 3:
            return [line, rng.choice(_LINES)]
        case 4:
            return [line, f"{rng.choice(_KEYS)} = {hostile(rng)}"]
        case 5 if equals:
            return [f"{key}.{'.'.join('a' * rng.choice((1, 2, 3, 5, 1100)))} = 1"]
    return [f"{key} = {hostile(rng)}" if equals else hostile(rng)]
