"""`watti doctor`: each part of a station's board tried, and what to do about what is wrong.

Safe with mains attached: the contactor stays open unless `--close-contactor` asks for it, and then closes for 1 s at
most with no vehicle connected; the dead-man is refreshed as the firmware does it; everything is safe again after,
whatever ends this.
"""

import json
import signal
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from firmware.config import ConfigError, StationConfig
from hal.api import BoardGone
from hal.raspberry.spec import BoardSpec, Places
from hal.simulated.remote import Refused
from watti.board_file import load_board, read_station
from watti.boards import bare, needs_drivers, unnamed
from watti.calibrate import calibration_path, load_calibration
from watti.doctor_checks import CHECKS
from watti.doctor_exam import Finding, examine
from watti.doctor_host import STATION, Host, holder, look
from watti.names import NameTaken, first_free, held
from watti.where import bench_dir


def run(args: Namespace) -> int:
    """`args`: config, name, dir, json, close_contactor; group; timing, for_s."""
    with interruptible():
        if args.group:
            from watti import doctor_group

            return doctor_group.run(args)
        if args.timing:
            from watti import doctor_timing

            return doctor_timing.run(args)
        config, spec = station_of(args.config)
        if errors := unnamed(args.config or STATION, config, args.name):
            raise ConfigError(errors)
        report = Report(args.json)
        _examine(args, config, spec, report)
        return report.end()


def station_of(path: Path | None) -> tuple[StationConfig, BoardSpec]:
    """The station's file that was given, else this machine's, and its board. Raises `ConfigError`."""
    if path is None and not STATION.exists():
        raise ConfigError([f"watti doctor: expected CONFIG, the station's file: there is no {STATION} here"])
    path = path or STATION
    config = read_station(path)
    if config.board.file is None:
        expected = 'expected "raspberry" or "mock_raspberry"'
        raise ConfigError([f"{path}: board.kind: {expected}: a simulated plant has no parts to try"])
    return config, load_board(config.board.file)


@contextmanager
def interruptible() -> Iterator[None]:
    """A terminal that closes and a service manager end it as Ctrl-C does: by a way on which everything is made safe."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Report:
    """Findings as they come for people, all at the end for scripts."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._findings: list[Finding] = []

    def add(self, finding: Finding) -> None:
        self._findings.append(finding)
        if not self._as_json:
            print(*lines(finding), sep="\n", flush=True)

    def end(self) -> int:
        """The exit code."""
        results = [finding.result for finding in self._findings]
        if self._as_json:
            print(json.dumps([finding._asdict() for finding in self._findings], indent=2))
        else:
            print(", ".join(f"{results.count(word)} {word}" for word in ("ok", "warn", "fail", "not tried")))
        return 1 if "fail" in results else 0


def lines(finding: Finding) -> list[str]:
    """One finding for people. What was expected is of interest where it was not seen."""
    told = [f"{finding.result:<10} {finding.part:<22} {finding.saw}"]
    if finding.result in ("warn", "fail") and finding.expected:
        told.append(f"{'':<33} expected: {finding.expected}")
    elif finding.result == "ok" and finding.expected:
        told[0] += f" (expected: {finding.expected})"
    if finding.advice:
        told.append(f"{'':<33} do: {finding.advice}")
    return told


def _examine(args: Namespace, config: StationConfig, filed: BoardSpec, report: Report) -> None:
    folder, wanted, kind = bench_dir(args.dir), args.name or config.name, config.board.kind
    path = calibration_path(folder, wanted or "s1")
    spec = load_calibration(path, filed).applied(filed)
    for finding in (_board_file(filed, spec, path), *look(Host(config, spec, folder, Places()), kind != "raspberry")):
        report.add(finding)
    try:
        with ExitStack() as stack:
            name = stack.enter_context(held(folder, wanted) if wanted else first_free(folder))
            _try(args, config, spec, folder, name, report)
    except ConfigError as missing:
        _untried(report, str(missing), "see there, and try again")
    except NameTaken as taken:
        _untried(report, str(taken), "systemctl stop watti, and try again")
    except (BoardGone, Refused) as gone:
        who = holder(Places().pwm / spec.pilot.pwm_chip)
        _untried(report, ": ".join(filter(None, (str(gone), who))), "see there, and to what fails above")


def _untried(report: Report, why: str, advice: str) -> None:
    """Nothing could be tried: one finding that says why, and none for each part."""
    report.add(Finding("board", "fail", why, "a board that nobody drives", advice))
    for check in CHECKS:
        report.add(Finding(check.part, "not tried", "it needs: board"))


def _board_file(filed: BoardSpec, spec: BoardSpec, path: Path) -> Finding:
    saw = f"{filed.name}, " + (f"calibrated by {path}" if spec != filed else "not calibrated")
    if spec == filed:
        return Finding("board file", "warn", saw, "a calibrated board", "watti calibrate pilot CONFIG, and ct for a CT")
    return Finding("board file", "ok", saw, "a calibrated board")


def _try(args: Namespace, config: StationConfig, spec: BoardSpec, folder: Path, name: str, report: Report) -> None:
    """Raises `BoardGone`, `Refused`, and `ConfigError` where the drivers are missing."""
    needs_drivers(config.board.kind)
    from watti.doctor_board import tried

    with (
        bare(config.board.kind, spec, folder, name, config.model) as ground,
        tried(config, spec, ground, args.close_contactor) as exam,
    ):
        report.add(Finding("board", "ok", "every pin, file and device of it is ours", "a board that nobody drives"))
        for finding in examine(exam, CHECKS):
            report.add(finding)
