"""A simulated Pi on the table: what `watti doctor` tries, in virtual time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from firmware.config import StationConfig
from firmware.rotary import Chart
from hal.api import LiveBus
from hal.raspberry.board import Hardware, Parts
from hal.raspberry.spec import BoardSpec
from hal.simulated.pi import SimulatedPi
from hal.simulated.plant import Plant
from tests.contract.board_rigs import Behind
from watti.board_file import load_board, read_station
from watti.doctor_exam import Check, Exam, Finding, examine
from watti.scenario import CONFIGS

BOARD = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")
STATION = read_station(CONFIGS / "stations" / "raspberry.toml")
CHART = Chart.load(CONFIGS / "rotary.toml")
STEP_S = 0.005


class Table:
    """The board, its plant and their time. What the contactor did is written down."""

    def __init__(
        self,
        folder: Path,
        spec: BoardSpec = BOARD,
        config: StationConfig = STATION,
        switch: int = 11,
        may_close: bool = False,
        window_s: float | None = None,
        gate_s: float | None = None,
        hardware: Callable[[Hardware], Hardware] = lambda hardware: hardware,
        bus: Callable[[], LiveBus] | None = None,
    ) -> None:
        """`window_s`: the one-shot's true one, `gate_s` that of the outputs behind it."""
        self.now = 100.0
        true_s = spec.dead_man.window_s if window_s is None else window_s
        self.plant = Plant(switch, dead_man_s=true_s if gate_s is None else gate_s)
        true = replace(spec, dead_man=replace(spec.dead_man, window_s=true_s))
        behind = Behind(self.plant, self.clock)
        self.pi = SimulatedPi(true, behind, folder / "pi", self.clock)
        self.parts = Parts(spec, hardware(self.pi.hardware), self.clock, lambda: None)
        self.exam = Exam(
            self.parts, self.parts.works, config, CHART, self.clock, self.sleep, lambda: None, bus, may_close
        )
        self.closed_s: list[float] = []
        """When the contactor was seen closed."""
        self.tripped = False
        """The ground-fault sensor has been tested."""

    def clock(self) -> float:
        return self.now

    def sleep(self, _for_s: float) -> None:
        self.now += STEP_S
        self.plant.step(self.now)
        self.pi.pump()
        self.tripped |= self.plant.inputs.ground_fault
        if self.plant.contactor_closed:
            self.closed_s.append(self.now)

    def settle(self, for_s: float) -> None:
        for _ in range(round(for_s / STEP_S)):
            self.sleep(STEP_S)

    def try_(self, *checks: Check) -> dict[str, Finding]:
        """What these find, by part."""
        return {finding.part: finding for finding in examine(self.exam, checks)}

    @property
    def is_safe(self) -> bool:
        """Contactor open, pilot steady, winding not driven."""
        self.pi.pump()
        pins = (BOARD.contactor.pin, BOARD.ground_fault.test_pin)
        return self.pi.duty == 1.0 and not any(self.pi.level(pin) for pin in pins)
