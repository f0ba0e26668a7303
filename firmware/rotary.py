"""The rotary switch: what its 16 positions make of a station, from the chart (`configs/rotary.toml`).

The role comes from the switch alone: the one position without amps makes a secondary, every other a primary
whose group shares that many amps.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

import voluptuous as vol

from firmware.config import (
    MODELS,
    attempt,
    choice,
    each,
    expected,
    integer,
    load_toml,
    required,
    settle,
    table,
)

__all__ = [
    "FACTORY_POSITION",
    "MODELS",
    "Chart",
    "Position",
    "Role",
    "Setting",
    "parse_position",
    "position",
    "smallest_breaker_a",
]

FACTORY_POSITION = {"48A": 0xB, "80A": 0xE}
"""Where the switch of each model leaves the factory (maker's page, S)."""

POSITIONS = 16
BREAKERS_A = (15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)
"""Standard sizes of breakers, A (S)."""


class Role(StrEnum):
    """What a station is in its group."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    NONE = "none"


class Position(NamedTuple):
    """One row of the chart. `amps` and `breaker_a` are None for the secondary's position."""

    digit: int
    amps: int | None
    breaker_a: int | None
    source: str
    """`published` on the maker's page, or `inferred` from the usual ladder of outputs."""

    @property
    def role(self) -> Role:
        return Role.SECONDARY if self.amps is None else Role.PRIMARY

    def fits(self, rating_a: int) -> bool:
        """Whether a station of this rating may be set here."""
        return self.amps is None or self.amps <= rating_a


class Setting(NamedTuple):
    """What a station makes of its switch: its role and a primary's limit (A), or a fault and why."""

    role: Role
    limit_a: int | None
    fault: str
    why: str


def parse_position(digit: str) -> int:
    """The number of a position written as one hex digit, either case. Raises ValueError."""
    if len(digit) == 1 and digit in "0123456789abcdefABCDEF":
        return int(digit, 16)
    raise ValueError(f"expected a switch position, one hex digit from 0 to F (got {digit!r})")


def position(value: Any) -> int:
    """The check of a position in a file: one hex digit as text."""
    try:
        return parse_position(value if isinstance(value, str) else "")
    except ValueError:
        raise expected('a switch position, one hex digit from "0" to "F" in quotes', value) from None


@dataclass(frozen=True, slots=True)
class Chart:
    """The rotary chart: one row for each position, in their order."""

    rows: tuple[Position, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check the chart. Raises `ConfigError`."""
        return cls(load_toml(path, _CHART)["row"])

    def setting(self, position: int | None, rating_a: int) -> Setting:
        """What a station of this rating (A) is to do at a position; None = the switch can't be read."""
        if position is None or not 0 <= position < POSITIONS:
            return Setting(Role.NONE, None, "switch_unreadable", "The rotary switch can't be read")
        row = self.rows[position]
        if not row.fits(rating_a):
            why = f"Switch position {position:X} sets {row.amps} A, more than a {rating_a}A model supports"
            return Setting(Role.NONE, None, "switch_unsupported", why)
        return Setting(row.role, row.amps, "", "")


def smallest_breaker_a(amps: int) -> int:
    """The smallest standard breaker that carries `amps` (at most 80) continuously: 80 % of its size."""
    return next(size for size in BREAKERS_A if 4 * size >= 5 * amps)


def _row(value: Any) -> Position:
    valid = _ROW(value)
    amps, breaker_a = valid.get("amps"), valid.get("breaker_a")
    if amps is None and breaker_a is not None:
        raise vol.Invalid("expected no breaker where the row has no amps (a secondary)", ["breaker_a"])
    if amps is not None and breaker_a != smallest_breaker_a(amps):
        what = f"{smallest_breaker_a(amps)}, the smallest breaker with 0.8 x breaker >= {amps} A"
        raise vol.Invalid(f"expected {what} (got {breaker_a or 'none'})", ["breaker_a"])
    return Position(valid["position"], amps, breaker_a, valid["source"])


def _rows(value: Any) -> tuple[Position, ...]:
    errors: list[vol.Invalid] = []
    rows = attempt(each(_row), value, errors)
    entries = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    positions = [entry.get("position") for entry in entries]
    digits = [digit.upper() for digit in positions if isinstance(digit, str)]
    counts = {digit: digits.count(digit) for digit in "0123456789ABCDEF"}
    errors += [
        vol.Invalid(f"expected one row for position {digit} (got {count})")
        for digit, count in counts.items()
        if count != 1
    ]
    secondaries = sum("amps" not in entry for entry in entries)
    if secondaries != 1:
        errors.append(expected("one row without amps, the secondary's position", secondaries))
    settle(errors)
    return tuple(sorted(rows))


_ROW = table(
    {
        required("position"): position,
        vol.Optional("amps"): integer(6, max(MODELS.values())),
        vol.Optional("breaker_a"): choice(*BREAKERS_A),
        required("source"): choice("published", "inferred"),
    }
)
_CHART = vol.Schema(table({required("row"): _rows}))
