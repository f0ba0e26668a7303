"""`watti bench` with a judge among its plants: what `tools/endurance.py` torments. Takes the arguments of `watti`."""

import socket
import sys
from collections.abc import Callable, Collection, Mapping
from unittest.mock import patch

import watti.bench
from firmware.timing import Timing
from hal.simulated.plant import Plant
from hal.simulated.server import Message, PlantServer
from watti.cli import main
from watti.judge import Judge

LIMIT_A = 48.0
"""Of a primary at position B."""


class JudgedServer(PlantServer):
    """The bench's plants. It looks at the truth in each turn of the bench's loop: between two looks nothing happens."""

    def __init__(
        self,
        listener: socket.socket,
        plants: Mapping[str, Plant],
        now: float,
        bus_port: Callable[[str, bool], None],
    ) -> None:
        super().__init__(listener, plants, now, bus_port)
        self._judged = dict(plants)
        self._judge = Judge(Timing().release_s)
        self._judge.turned(LIMIT_A, now)
        self._closed = dict.fromkeys(plants, False)
        self._openings = dict.fromkeys(plants, 0)

    def pump(self, now: float, ready: Collection[int]) -> None:
        super().pump(now, ready)
        self._judge.look(sum(plant.possible_a for plant in self._judged.values()), now)
        for name, plant in self._judged.items():
            self._openings[name] += self._closed[name] and not plant.contactor_closed
            self._closed[name] = plant.contactor_closed

    def status(self, now: float) -> list[Message]:
        judge = {"peak_a": self._judge.peak_a, "violations": self._judge.violations[:3]}
        return [{**said, **judge, **self._counted(said["station"])} for said in super().status(now)]

    def _counted(self, name: str) -> Message:
        return {"openings": self._openings[name], "drops": self._judged[name].drops}


if __name__ == "__main__":
    with patch.object(watti.bench, "PlantServer", JudgedServer):
        sys.exit(main(sys.argv[1:]))
