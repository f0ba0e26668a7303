"""`python -m tests.fuzz --bytes 10000000`: so many bytes through each parser, and a table of what came of it."""

import sys
from argparse import ArgumentParser

from tests.fuzz.fuzzer import Tally, fuzz
from tests.fuzz.targets import TARGETS

_LAYOUT = "{:<14} {:>9} {:>11} {:>9} {:>9} {:>6} {:>8}"


def main() -> int:
    """0 where nothing has escaped."""
    options = ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument(
        "--bytes", type=int, default=100_000, metavar="N", help="through each target (default: 100000)"
    )
    options.add_argument("--seed", type=int, default=1, metavar="N")
    options.add_argument("--target", action="append", choices=list(TARGETS), metavar="NAME", help=", ".join(TARGETS))
    args = options.parse_args()
    print(_LAYOUT.format("target", "inputs", "bytes", "refused", "accepted", "kinds", "escapes"), flush=True)
    escapes = 0
    for name in args.target or TARGETS:
        tally = fuzz(TARGETS[name], args.bytes, args.seed)
        escapes += len(tally.escapes)
        _show(name, tally)
    return 1 if escapes else 0


def _show(name: str, tally: Tally) -> None:
    counts = (tally.inputs, tally.bytes, tally.refused, tally.accepted, len(tally.kinds), len(tally.escapes))
    print(_LAYOUT.format(name, *counts), flush=True)
    for escape in tally.escapes.values():
        print(f"  {escape.where}: {escape.what}\n    {escape.data[:400]!r}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
