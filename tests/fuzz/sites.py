"""Site files: refused with errors that name file and key, or taken, decided on and shown, with nothing overloaded."""

import json
from argparse import Namespace
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from firmware.config import MODELS
from tests.fuzz import kept
from tests.fuzz.documents import TOKENS, Fields, between, document, fields, flag, one_of, whole
from tests.fuzz.files import loaded
from tests.fuzz.fuzzer import Target
from watti import site

_ROOT: Fields = {
    "phases": one_of("three", "three", "split", "single"),
    "rule": one_of("scalar", "phasor"),
    "min_power_factor": between(0.5, 1),
}
_BELOW: Fields = {
    "phases": one_of("three", "split", "single"),
    "voltage_v": one_of(208, 480),
    "lines": one_of("AB", "CN", "L1L2"),
    "winding": one_of("delta-wye", "wye-wye", "single"),
    "rule": one_of("scalar", "phasor"),
}
_LEAF: Fields = {
    "lines": one_of("AB", "BC", "CA", "AN", "L1L2", "ABC"),
    "min_a": one_of(6, 8),
    "weight": between(0.01, 1000),
    "priority": whole(-2, 2),
    "fallback_a": one_of(0, 6, 20),
    "keeps_quiet": flag,
    "settle_s": between(13.5, 60),
    "count": whole(1, 9),
}
_METER: Fields = {
    "period_s": between(0.1, 5),
    "stale_after_s": between(5, 100),
    "worst_a": between(0, 200),
    "margin_a": between(0, 20),
    "lines_sure": flag,
    "angle_deg": between(0, 90),
    "ramp_a_per_s": between(0.01, 100),
}
_TIMING: Fields = {"report_s": between(1, 15), "lease_s": between(60, 80), "hold_s": between(120, 900)}


def site_file(rng: Random) -> bytes:
    lines = ["[site]", 'name = "x"', "voltage_v = 208"]
    if rng.random() < 0.2:
        lines += ["[timing]", *fields(_TIMING, rng)]
    lines += ["[[node]]", 'name = "n0"', 'kind = "service"', "limit_a = 200", *fields(_ROOT, rng)]
    nodes = rng.choice((1, 2, 4))
    for n in range(1, nodes):
        kind = rng.choice(("panel", "panel", "circuit", "transformer"))
        parent = f'parent = "n{rng.randrange(n)}"'
        limit = rng.choice(("limit_a = 60.5", "breaker_a = 60\nderating = 0.8", "kva = 30", "limit_a = 6"))
        lines += ["[[node]]", f'name = "n{n}"', f'kind = "{kind}"', parent, *limit.split("\n")]
        lines += fields(_BELOW, rng) if rng.random() < 0.4 else []
    for s in range(rng.choice((1, 1, 3))):
        lines += [
            *_leaf(s, rng),
            f'node = "n{rng.randrange(nodes)}"',
            *(fields(_LEAF, rng) if rng.random() < 0.7 else []),
        ]
    if rng.random() < 0.3:
        lines += ["[[meter]]", 'name = "m"', f'node = "n{rng.randrange(nodes)}"', 'measures = "building"']
        lines += fields(_METER, rng)
    return document(lines, rng)


def _leaf(s: int, rng: Random) -> list[str]:
    model = f"model = {one_of(*MODELS)(rng)}"
    if rng.random() < 0.3:
        return [
            "[[group]]",
            f'name = "g{s}"',
            model,
            f"switch = {one_of(*'0568B')(rng)}",
            f"stations = {whole(1, 5)(rng)}",
        ]
    return ["[[station]]", f'name = "s{s}"', rng.choice((model, "rating_a = 32.5"))]


def check_site(data: bytes) -> str:
    """Taken, it is decided on: everyone gets nothing or at least its minimum, and no line has more than it may."""
    shown = loaded(_shown, data)
    if isinstance(shown, str):
        return shown
    for member in shown["members"]:
        assert member["share_a"] == 0 or 6 <= member["share_a"] <= member["rating_a"]
        assert member["fallback_a"] == 0 or 6 <= member["fallback_a"] <= member["rating_a"]
    metered = any(node["building_a"] for node in shown["nodes"])
    for node in shown["nodes"]:
        assert metered or all(line["used"] <= line["limit"] + 0.01 for line in node["in_use"])
    return f"accepted {len(shown['nodes'])} {metered}"


def _shown(path: Path) -> Any:
    out = StringIO()
    with redirect_stdout(out):
        site.run(Namespace(site=path, asking=None, building=[], json=False))
        assert out.getvalue().replace("\n", "").isprintable()
        out.truncate(out.seek(0))
        site.run(Namespace(site=path, asking=None, building=[], json=True))
    return json.loads(out.getvalue())


def targets() -> list[Target]:
    return [Target("site file", site_file, check_site, (*kept.TOML, *kept.SITE), TOKENS)]
