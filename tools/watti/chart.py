"""`watti chart`: what each position of the rotary switch means, for people and for scripts."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from firmware.rotary import FACTORY_POSITION, MODELS, Chart, Position

CHART_FILE = Path(__file__).parent / "configs" / "rotary.toml"


def run(args: Namespace) -> int:
    """Print the chart. Options: `model` (None = every model) and `json`."""
    rows = Chart.load(CHART_FILE).rows
    if args.json:
        print(json.dumps([_fields(row, args.model) for row in rows], indent=2))
        return 0
    models = [args.model] if args.model else list(MODELS)
    cells: list[tuple[str, ...]] = [("position", "output", "breaker", "role", "source", "note")]
    cells += [_cells(row, models) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _fields(row: Position, model: str | None) -> dict[str, Any]:
    fields = {
        "position": f"{row.digit:X}",
        "amps": row.amps,
        "breaker_a": row.breaker_a,
        "role": row.role.value,
        "source": row.source,
    }
    return fields | {"refused": not row.fits(MODELS[model])} if model else fields


def _cells(row: Position, models: list[str]) -> tuple[str, ...]:
    notes = [f"refused on {model}" for model in models if not row.fits(MODELS[model])]
    notes += [f"factory setting of {model}" for model in models if FACTORY_POSITION[model] == row.digit]
    return (
        f"{row.digit:X}",
        f"{row.amps} A" if row.amps else "-",
        f"{row.breaker_a} A" if row.breaker_a else "-",
        row.role.value,
        row.source,
        ", ".join(notes),
    )
