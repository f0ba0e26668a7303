"""The board of a station opened for `watti doctor`, without firmware."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firmware.config import StationConfig
from firmware.rotary import Chart
from hal.api import LiveBus
from hal.raspberry.board import Parts
from hal.raspberry.lamp import RgbLamp
from hal.raspberry.sampler import Sampler
from hal.raspberry.spec import BoardSpec
from hal.raspberry.worker import Work, Worker
from hal.serial.direction import Direction
from hal.serial.port import SerialPort
from watti.boards import Bare
from watti.doctor_exam import Exam
from watti.scenario import CONFIGS


@contextmanager
def tried(config: StationConfig, spec: BoardSpec, ground: Bare, may_close: bool) -> Iterator[Exam]:
    """The parts on their hardware; everything safe again after. Raises `BoardGone`."""
    with ExitStack() as stack:
        parts = Parts(spec, ground.hardware, time.monotonic, lambda: None)
        stack.callback(parts.close)
        exam = Exam(
            parts,
            [work for work in parts.works if _quick(work)],
            config,
            Chart.load(CONFIGS / "rotary.toml"),
            time.monotonic,
            time.sleep,
            ground.switch,
            _bus(config, stack),
            may_close,
        )
        for work in parts.works:
            if not _quick(work):
                stack.callback(Worker(work, lambda error: _lost(exam, error)).close)
        yield exam


def _quick(work: Work) -> bool:
    """Whether it never waits for longer than the dead-man can be left alone; the others get threads."""
    return isinstance(work, (RgbLamp, Sampler))


def _lost(exam: Exam, error: BaseException) -> None:
    exam.lost = f"{type(error).__name__}: {error}"


def _bus(config: StationConfig, stack: ExitStack) -> Callable[[], LiveBus] | None:
    if config.port is None:
        return None
    path = Path(config.port)

    def opened() -> LiveBus:
        port = SerialPort(path, config.baud, time.monotonic, Direction(config.direction, config.rts_sends))
        stack.callback(port.close)
        return port

    return opened
