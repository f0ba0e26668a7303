"""JSON that is nearly right: values from hell in the places where a reader looks."""

import json
from math import inf, nan
from random import Random

_HOSTILE: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1, 11, 0.5, -0.0, 2**31, 2**48, 2**64, 10**30, 10**320, 1e308, -1e308),
    *(nan, inf, -inf),
    *(
        "",
        "0",
        "B",
        "s1",
        "-1",
        "x" * 200,
        "\0",
        "\n",
        "\x1b[2J",
        "\ud800",
        "\u202e",
        "{}",
        "%s",
        "9999-12-31T23:59:59.999Z",
    ),
    *(
        "0001-01-01T00:00:00Z",
        "2026-11-23T14:05:06.789Z",
        "2026-11-23",
        "24:00",
        [],
        [[]],
        {},
        {"a": {}},
        [None, "x", 1],
    ),
)
TOKENS = tuple(json.dumps(value).encode() for value in _HOSTILE)
_DEEP = 400


def gone_wrong(value: object, rng: Random) -> object:
    """The same JSON value with something else in it, somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        match rng.randrange(10):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice(("", "x", key + " ", "station", "event")): rng.choice(_HOSTILE)}
        return {**value, key: gone_wrong(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return [*value[:at], gone_wrong(value[at], rng), *value[at + 1 :]]
    if isinstance(value, int | float) and rng.random() < 0.3:
        return rng.choice((-value, value + 1, value * 10**6, inf, nan, str(value), [value]))
    return rng.choice(_HOSTILE)


def spoilt_json(value: object, rng: Random) -> bytes:
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        value = gone_wrong(value, rng)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    if rng.random() < 0.02:
        deep = rng.choice((_DEEP, 980, 3000))
        text = text.replace(b"null", b"[" * deep + b"]" * deep, 1)
    return text
