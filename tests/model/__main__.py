"""`python -m tests.model`: what the model covers, and the counter-example of each weakening.

With `--deep` the larger configurations too: some minutes, and up to a few gigabytes. With `--trace NAME` the steps
of one counter-example.
"""

import argparse
import time
from collections.abc import Mapping

from tests.model.circuit import Model
from tests.model.explorer import explore
from tests.model.rules import COARSE, FINE, LONG, Bounds, Rules
from tests.model.weakenings import WEAKENINGS

_COARSE, _FINE, _LONG = (Rules.of(timing) for timing in (COARSE, FINE, LONG))
_TWO_LEVELS = (0, 12)
SHORT: Mapping[str, Model] = {
    "one station, coarse": Model(_COARSE, Bounds(1)),
    "one station, fine, 0 or 12 A": Model(_FINE, Bounds(1, _TWO_LEVELS)),
    "two stations, coarse, 0 or 12 A": Model(_COARSE, Bounds(2, _TWO_LEVELS)),
}
DEEP: Mapping[str, Model] = {
    "one station, coarse, 2 polls and 2 reports kept": Model(_COARSE, Bounds(1, _TWO_LEVELS, 12, 2, 2)),
    "one station, long, 0 or 12 A": Model(_LONG, Bounds(1, _TWO_LEVELS)),
    "one station, fine": Model(_FINE, Bounds(1)),
    "two stations, coarse, 6 or 12 A": Model(_COARSE, Bounds(2, (6, 12))),
    "two stations, fine, 0 or 12 A": Model(_FINE, Bounds(2, _TWO_LEVELS)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--trace", choices=WEAKENINGS)
    args = parser.parse_args()
    if args.trace:
        _show(args.trace)
        return
    print("| configuration | states | transitions | depth | wrong | stuck | s |\n|---|---|---|---|---|---|---|")
    for name, model in {**SHORT, **(DEEP if args.deep else {})}.items():
        begin = time.monotonic()
        fit = model.bounds.members * min(filter(None, model.bounds.levels)) <= model.bounds.limit
        found = explore(model, liveness=fit)
        took = time.monotonic() - begin
        stuck = "-" if found.stuck is None else found.stuck
        figures = f"{found.states:,} | {found.transitions:,} | {found.depth}"
        print(f"| {name} | {figures} | {found.wrong or 'nothing'} | {stuck} | {took:.0f} |", flush=True)
    print("\n| weakening | states | steps to | what is wrong |\n|---|---|---|---|")
    for name, weakening in WEAKENINGS.items():
        found = explore(Model(*weakening))
        print(f"| {name} | {found.states:,} | {len(found.trace)} | {found.wrong} |", flush=True)


def _show(name: str) -> None:
    found = explore(Model(*WEAKENINGS[name]))
    for action in found.trace:
        print(*action)
    print(found.wrong)


if __name__ == "__main__":
    main()
