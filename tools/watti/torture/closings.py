"""When a contactor may close, from the plant's side: after its pauses, its self-test and its primary's quiet start."""

from collections.abc import Callable
from math import inf

from firmware.app import App
from firmware.sharing.group import MAX_SECONDARIES
from firmware.sharing.primary import Primary
from firmware.timing import CONTACTOR_S, PILOT_HOLD_S, RESTART_PAUSE_S
from hal.simulated.world import Slot
from watti.simulation import Simulation

Say = Callable[[str, str], None]
"""Notes a broken promise: which, and a sentence."""
_TEST_S = 0.6
"""A sensor that has failed for longer can't have passed the test before a closing."""
_ROUNDING_S = 0.001
_FAST = 1.01
"""Clocks may run fast by 1 %."""


class Closings:
    """Looks at each closing of a contactor and each raise of a pilot."""

    def __init__(self, simulation: Simulation, say: Say) -> None:
        self._simulation = simulation
        self._world = simulation.world
        self._say = say
        slots = simulation.world.slots
        self._closed = [slot.plant.contactor_closed for slot in slots]
        self._offered = [slot.plant.offered_a for slot in slots]
        self._offered_at = [-inf] * len(slots)
        self._asked_at = [-inf] * len(slots)
        self._opened_at = [-inf] * len(slots)
        self._fell = [False] * len(slots)
        """Whether it opened for want of its coil's supply: with that it closes again, whoever is asleep."""
        self._tripped = [False] * len(slots)
        """Whether the ground-fault sensor has tripped since the contactor moved, as its test makes it."""
        self._failed_since = [inf] * len(slots)
        """Since when the sensor can't trip."""
        began = -inf if self._world.now > 0.0 else 0.0
        self._lives: list[tuple[object, float]] = [(_role(slot), began) for slot in slots]
        """Each station's role, and since when it is that."""

    def look(self, index: int, slot: Slot) -> None:
        """Something may have changed at a station."""
        plant, now = slot.plant, self._world.now
        role = _role(slot)
        if role is not self._lives[index][0]:
            self._lives[index] = (role, now)
        if ("ground_fault_self_test" in plant.faults) != (self._failed_since[index] < inf):
            self._failed_since[index] = now if self._failed_since[index] == inf else inf
        self._tripped[index] |= plant.inputs.ground_fault
        if plant.offered_a != self._offered[index]:
            self._look_at_pilot(index, plant.offered_a, now)
        if plant.contactor_closed != self._closed[index]:
            self._closed[index] = plant.contactor_closed
            if not plant.contactor_closed:
                self._opened_at[index], self._fell[index] = now, "contactor_fell" in plant.faults
            elif "contactor_stuck" not in plant.faults:
                self._look_at_closing(index, slot, now)
            self._tripped[index] = False
        if not plant.contactor_closed and plant.letter in "CD":
            self._asked_at[index] = now

    def _look_at_pilot(self, index: int, offered: float, now: float) -> None:
        before, after_s = self._offered[index], now - self._offered_at[index]
        self._offered[index], self._offered_at[index] = offered, now
        if offered > before > 0 and after_s < PILOT_HOLD_S / _FAST - _ROUNDING_S:
            self._say("pilot", f"s{index + 1} raised {before:.1f} A to {offered:.1f} A after {after_s:.2f} s")

    def _look_at_closing(self, index: int, slot: Slot, now: float) -> None:
        if self._fell[index] and now < self._opened_at[index] + CONTACTOR_S:
            return
        wrong = []
        if now > self._asked_at[index] + CONTACTOR_S:
            wrong.append(f"in {slot.plant.letter}")
        if now > self._failed_since[index] + _TEST_S:
            wrong.append("onto a self-test that failed")
        if not self._tripped[index]:
            wrong.append("without a self-test")
        if (
            now < self._opened_at[index] + RESTART_PAUSE_S / _FAST - _ROUNDING_S
            and "contactor_fell" not in slot.plant.faults
        ):
            wrong.append(f"{now - self._opened_at[index]:.2f} s after it opened")
        role, began = self._lives[index]
        quiet_s = self._simulation.timing.release_s / _FAST - _ROUNDING_S
        if (
            isinstance(role, Primary) and CONTACTOR_S < now - began < quiet_s
        ):  # before, its last life had told it to close
            wrong.append(f"{now - began:.2f} s after it began as a primary")
        if self._fed() > MAX_SECONDARIES + 1:
            wrong.append(f"as one of {self._fed()}")
        for what in wrong:
            self._say("closing", f"s{index + 1} closed its contactor {what}")

    def _fed(self) -> int:
        """How many are closed by leave of a group: a welded one has none, and its place may have been given away."""
        return sum(
            closed and "contactor_stuck" not in slot.plant.faults
            for closed, slot in zip(self._closed, self._world.slots, strict=True)
        )


def _role(slot: Slot) -> object:
    return slot.node.role if isinstance(slot.node, App) else None
