"""`watti calibrate`: what a voltmeter or a clamp meter shows corrects a board's scales, in its state folder.

A calibration is kept as `NAME.calibration.json` beside the station's other records and names the board it was made for.
It corrects parts of one kind by their tolerance: more than 10 % is another board, and refused. A spoilt file is
refused too: a station that went on without it would charge by wrong amps.
"""

import json
import math
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import voluptuous as vol

from firmware.config import ConfigError, number, required, settle, table, text, validate
from hal.api import BoardGone
from hal.raspberry.spec import CLIPS, BoardSpec, CtSpec
from hal.store import FileStore
from watti.board_file import BoardChoice, load_board, read_station
from watti.names import held
from watti.where import bench_dir

MOST_OFF = 0.10
"""Of the board file's value, that a calibration may correct."""
SHOWN_V = (11.4, 12.6)
"""What a sound generator shows either way (J1772; M)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Of the pilot, as in `hal.raspberry.spec.PilotSpec`."""

    zero_v: float
    gain: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What replaces the values of a board file; None = nothing."""

    board: str
    """The `name` of the board file it was made for."""
    pilot: Scale | None = None
    amps_per_volt: float | None = None
    """Of the CT."""

    def applied(self, spec: BoardSpec) -> BoardSpec:
        """The board as calibrated. Raises `voluptuous.Invalid` when this is no calibration of that board."""
        settle(self._refusals(spec))
        pilot = spec.pilot if self.pilot is None else replace(spec.pilot, **asdict(self.pilot))
        meter = spec.meter
        if self.amps_per_volt is not None and isinstance(meter, CtSpec):
            meter = replace(meter, amps_per_volt=self.amps_per_volt)
        return replace(spec, pilot=pilot, meter=meter)

    def _refusals(self, spec: BoardSpec) -> list[vol.Invalid]:
        refused = []
        if self.board != spec.name:
            message = f"expected {spec.name}, the board of this station (got {self.board}): calibrate anew"
            refused.append(vol.Invalid(message, ["board"]))
        if self.pilot is not None:
            refused += _too_far("zero_v", self.pilot.zero_v, spec.pilot.zero_v, "pilot")
            refused += _too_far("gain", self.pilot.gain, spec.pilot.gain, "pilot")
        if self.amps_per_volt is not None:
            if isinstance(spec.meter, CtSpec):
                refused += _too_far("amps_per_volt", self.amps_per_volt, spec.meter.amps_per_volt)
            else:
                message = f"expected no such key: this board's meter is an {spec.meter.kind}, not a CT"
                refused.append(vol.Invalid(message, ["amps_per_volt"]))
        return refused


def _too_far(key: str, value: float, filed: float, *table: str) -> list[vol.Invalid]:
    if abs(value - filed) <= MOST_OFF * filed:
        return []
    bounds = f"{filed * (1 - MOST_OFF):.4g} to {filed * (1 + MOST_OFF):.4g}"
    message = f"expected {bounds}, the board file's {filed:g} and 10 % either way (got {value:.4g})"
    return [vol.Invalid(f"{message}: that is no calibration but another board", [*table, key])]


# Solving


class Unusable(ValueError):
    """What was measured calibrates nothing; the message says why and what to do."""


def solved_pilot(high: tuple[float, float], low: tuple[float, float], reference_v: float) -> Scale:
    """The scale through two points (volts at the ADC, volts a voltmeter shows). Raises `Unusable`."""
    for at_adc, shown in (high, low):
        if not SHOWN_V[0] <= abs(shown) <= SHOWN_V[1]:
            raise Unusable(f"the pilot shows {shown:+.2f} V, expected {SHOWN_V[0]} to {SHOWN_V[1]}: mend its generator")
        if not CLIPS <= at_adc / reference_v <= 1 - CLIPS:
            raise Unusable(
                f"the ADC sees {at_adc:.3f} V of {reference_v:g} V at {shown:+.2f} V: it clips, mend the divider"
            )
    if high[0] - low[0] < reference_v / 10:
        raise Unusable(
            f"the ADC sees {high[0]:.3f} V and {low[0]:.3f} V: it does not follow the pilot, check its wiring"
        )
    gain = (high[1] - low[1]) / (high[0] - low[0])
    return Scale(high[0] - high[1] / gain, gain)


def solved_ct(at_adc_v: float, amps: float, reference_v: float) -> float:
    """Amperes for a volt, from RMS volts at the ADC while `amps` (RMS) flow. Raises `Unusable`."""
    if at_adc_v * math.sqrt(2) > reference_v / 2:
        raise Unusable(f"the ADC sees {at_adc_v:.3f} V RMS of {reference_v:g} V: it clips, take a smaller burden")
    if not at_adc_v > reference_v / 1000:
        raise Unusable(f"the ADC sees {at_adc_v:.4f} V RMS while {amps:g} A flow: check the CT and its wire")
    return amps / at_adc_v


# Storing


def calibration_path(folder: Path, name: str) -> Path:
    """Of the station `name`, in the folder that keeps its state."""
    return folder / "state" / f"{name}.calibration.json"


def load_calibration(path: Path, spec: BoardSpec) -> Calibration:
    """The calibration of that board; one without any values where there is no file. Raises `ConfigError`."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Calibration(spec.name)
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from None
    except (ValueError, RecursionError):
        raise ConfigError([f"{path}: expected JSON: the file is spoilt, remove it and calibrate anew"]) from None
    return _made(validate(document, _of_board(spec), path))


def calibrated(path: Path, spec: BoardSpec) -> BoardSpec:
    """The board with the calibration of that file, if there is one. Raises `ConfigError`."""
    return load_calibration(path, spec).applied(spec)


def store_calibration(path: Path, calibration: Calibration) -> None:
    """Replace the file, atomically. Raises `OSError`."""
    kept = {key: value for key, value in asdict(calibration).items() if value is not None}
    store = FileStore(path, lambda sentence: None)
    store.save(json.dumps(kept, indent=2).encode() + b"\n")
    if store.problem:
        raise OSError(f"the calibration is not stored: {store.problem.rpartition(': ')[0]}")


_DOCUMENT = table(
    {
        required("board"): text,
        vol.Optional("pilot"): table({required("zero_v"): number(0, 10), required("gain"): number(0, 100)}),
        vol.Optional("amps_per_volt"): number(0, 10_000),
    }
)


def _made(valid: Mapping[str, Any]) -> Calibration:
    pilot = valid.get("pilot")
    return Calibration(valid["board"], Scale(**pilot) if pilot else None, valid.get("amps_per_volt"))


def _of_board(spec: BoardSpec) -> vol.Schema:
    def check(document: Any) -> dict[str, Any]:
        valid: dict[str, Any] = _DOCUMENT(document)
        _made(valid).applied(spec)
        return valid

    return vol.Schema(check)


# The command


class Bench(Protocol):
    """The board as calibration needs it: the contactor open, no firmware, the dead-man refreshed throughout."""

    def pilot_v(self, level: Literal["high", "low"]) -> float:
        """Mean volts at the pilot's ADC input while the pilot stands at +12 V or at -12 V. It stays there."""

    def ct_v(self) -> float:
        """RMS volts at the CT's ADC input, without its bias."""


Opened = Callable[[BoardChoice, BoardSpec], AbstractContextManager[Bench]]
"""Takes the board; everything is safe again after. Raises `BoardGone`."""


def _opened(choice: BoardChoice, spec: BoardSpec) -> AbstractContextManager[Bench]:
    from watti.boards import needs_drivers  # which makes boards with calibrations

    needs_drivers(choice.kind)
    from watti.calibrate_bench import opened

    return opened(choice.kind, spec)


def pilot(args: Namespace, opened: Opened = _opened) -> int:
    """`args`: config, name, dir, high and low (V shown, or None: ask for them)."""

    def measured(bench: Bench, spec: BoardSpec, before: Calibration) -> Calibration:
        reference = spec.adc.reference_v
        high = bench.pilot_v("high"), _shown("high", "+12 V", args.high)
        low = bench.pilot_v("low"), _shown("low", "-12 V", args.low)
        return replace(before, pilot=solved_pilot(high, low, reference))

    return _calibrate(args, opened, measured)


def ct(args: Namespace, opened: Opened = _opened) -> int:
    """`args`: config, name, dir, amps (A RMS that a clamp meter shows beside the CT)."""

    def measured(bench: Bench, spec: BoardSpec, before: Calibration) -> Calibration:
        return replace(before, amps_per_volt=solved_ct(bench.ct_v(), args.amps, spec.adc.reference_v))

    return _calibrate(args, opened, measured, ct=True)


def _calibrate(
    args: Namespace, opened: Opened, measured: Callable[[Bench, BoardSpec, Calibration], Calibration], ct: bool = False
) -> int:
    choice, name, spec = _station(args)
    if ct and not isinstance(spec.meter, CtSpec):
        raise ConfigError([f"{choice.file}: meter.kind: expected a CT to calibrate (got {spec.meter.kind})"])
    folder = bench_dir(args.dir)
    path = calibration_path(folder, name)
    with held(folder, name):
        before = load_calibration(path, spec)
        try:
            with opened(choice, spec) as bench:
                after = measured(bench, spec, before)
            changed = after.applied(spec)
        except (BoardGone, Unusable) as refused:
            print(f"{name}: {refused}", file=sys.stderr)
            return 1
        except vol.MultipleInvalid as refused:
            raise ConfigError(
                f"{name}: {'.'.join(map(str, error.path))}: {error.msg}" for error in refused.errors
            ) from None
        store_calibration(path, after)
    _show(before.applied(spec), changed, path)
    return 0


def _station(args: Namespace) -> tuple[BoardChoice, str, BoardSpec]:
    config = read_station(args.config)
    choice: BoardChoice = config.board
    name = args.name or config.name
    errors = []
    if choice.file is None:
        errors.append(f'{args.config}: board.kind: expected "raspberry": a simulated plant needs no calibration')
    if name is None:
        errors.append(f"{args.config}: station.name: expected this key, or --name: the calibration is kept by it")
    if choice.file is None or name is None:
        raise ConfigError(errors)
    return choice, name, load_board(choice.file)


def _shown(option: str, level: str, given: float | None) -> float:
    """Volts between pilot and earth: given, else asked for."""
    if given is not None:
        return given
    try:
        answer = input(f"The pilot stands at {level}, no vehicle connected. Volts from pilot to earth: ")
    except EOFError:
        raise ConfigError([f"--{option}: expected what a voltmeter shows at {level}"]) from None
    try:
        return float(answer)
    except ValueError:
        raise ConfigError([f"--{option}: expected volts (got {answer[:40]!r})"]) from None


def _show(before: BoardSpec, after: BoardSpec, path: Path) -> None:
    rows = [
        ("pilot.zero_v", "V", before.pilot.zero_v, after.pilot.zero_v),
        ("pilot.gain", "V/V", before.pilot.gain, after.pilot.gain),
    ]
    if isinstance(before.meter, CtSpec) and isinstance(after.meter, CtSpec):
        rows.append(("meter.amps_per_volt", "A/V", before.meter.amps_per_volt, after.meter.amps_per_volt))
    for key, unit, was, now in rows:
        print(f"{key:<20} {was:9.4f} -> {now:9.4f} {unit}" if now != was else f"{key:<20} {was:9.4f} as before {unit}")
    print(f"stored in {path}")
