"""`watti bus`: only the line, N ptys joined as one multidrop RS-485 pair at the pace of its baud rate."""

import argparse
import math
import random
import select
import sys
import time

from firmware.runtime import Signals
from hal.simulated.ptys import PtyLine
from watti.where import bench_dir

BAUDS = range(9600, 115200 + 1)


def run(args: argparse.Namespace) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP. `args`: ports, dir (or None), baud, noise (a bit error rate)."""
    errors = _errors(args)
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 2
    # Before there is anything to leave behind: a signal from here on only ends the loop.
    signals = Signals()
    try:
        bus = PtyLine(bench_dir(args.dir), args.ports, args.baud, random.Random())
    except OSError as error:
        print(f"watti bus: {error}", file=sys.stderr)
        return 2
    try:
        bus.line.noise(args.noise)
        print(*bus.paths, sep="\n")
        print(f"8E1 at {args.baud}, {args.ports} ports; Ctrl-C ends it", flush=True)
        _serve(bus, signals)
    finally:
        bus.close()
        signals.close()
    return 0


def _errors(args: argparse.Namespace) -> list[str]:
    errors = []
    if args.ports < 1:
        errors.append(f"watti bus: --ports {args.ports}: expected 1 or more")
    if args.baud not in BAUDS:
        errors.append(f"watti bus: --baud {args.baud}: expected {BAUDS[0]} to {BAUDS[-1]}")
    if not 0 <= args.noise <= 1:
        errors.append(f"watti bus: --noise {args.noise}: expected a bit error rate, 0 to 1")
    return errors


def _serve(bus: PtyLine, signals: Signals) -> None:
    while True:
        due = bus.next_wakeup()
        timeout = None if math.isinf(due) else max(0.0, due - time.monotonic())
        ready, _, _ = select.select([signals.fileno(), *bus.filenos()], [], [], timeout)
        if signals.fileno() in ready:
            return
        bus.pump(time.monotonic())
