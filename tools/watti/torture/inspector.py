"""The inspector: looks at every instant at what the plants really do, and never asks the firmware's own books.

Only to compare them with the truth: the primary's ledger must never believe less than a vehicle may draw.
"""

from collections.abc import Callable
from copy import deepcopy
from math import inf
from typing import NamedTuple

from firmware.app import App
from firmware.config import MODELS
from firmware.sharing.ledger import Row
from firmware.sharing.primary import Primary
from firmware.sharing.rivals import Phase
from firmware.sharing.secondary import Secondary
from firmware.timing import CONTACTOR_S, MIN_OFFER_DA
from hal.simulated.plant import Plant
from hal.simulated.world import Slot
from watti.simulation import Simulation
from watti.torture.closings import Closings
from watti.torture.wire import Wire

_ROUNDING_A = 0.005
_DUTY_A = 0.35
"""How far an offer may be from its amps by the rounding of duty cycles."""
_MOST_AT_ONCE = 1000
"""Looks at one instant: more is a node that wakes up for ever without time passing."""
_KEPT = 20
_TOO_HOT_C = 71.0
_OPENS_S = {
    "pilot_short": CONTACTOR_S,
    "pilot_range": 0.2,
    "diode": 8.0,
    "no_ground": 2.5,
    "over_temperature": 13.0,
    "meter": 11.0,
    "meter_implausible": 11.0,
    "switch_unreadable": 8.0,
    "overdraw": 30.0,
}
"""By what is broken: how long a running station may leave the contactor closed."""


class Verdict(NamedTuple):
    """Something that may not be."""

    t_s: float
    check: str
    """Which promise is broken; a word."""
    what: str
    """A sentence."""

    def __str__(self) -> str:
        return f"{self.t_s:.3f} s: {self.check}: {self.what}"


class Inspector:
    """Looks at a simulation after every change."""

    def __init__(self, simulation: Simulation) -> None:
        self.verdicts: list[Verdict] = []
        self.fouls: set[int] = set()
        """Stations whose vehicle has ever drawn more than it was offered: no ledger can know that beforehand."""
        self.simulation = simulation
        self._world = simulation.world
        self._slots = simulation.world.slots
        self._possible = [_could_a(slot.plant) for slot in self._slots]
        self._stood: list[set[int]] = [set() for _ in self._slots]
        """Serial numbers of the units that each place has had: a vehicle on a welded contactor outlasts the one that
        fed it, in whose row it is counted."""
        self._unstoppable = [False for _ in self._slots]
        """Whether a vehicle that obeys no pilot charges behind a contactor that was welded: no firmware ends that."""
        self._total_a = 0.0
        self._offered = [slot.plant.offered_a for slot in self._slots]
        self._wire = Wire(simulation.world)
        self._closings = Closings(simulation, self.say)
        self._since: dict[tuple[int, str], float] = {}
        self._instant, self._looks = -inf, 0
        self._watch(simulation.world.observe)

    def _watch(self, observe: Callable[[int], None]) -> None:
        def watched(index: int) -> None:
            observe(index)
            if self._world.now > self._instant:
                self._instant, self._looks = self._world.now, 0
            self._looks += 1
            if self._looks > _MOST_AT_ONCE:
                raise AssertionError(f"s{index + 1} spins")
            self._look(index)

        self._world.observe = watched

    def say(self, check: str, what: str) -> None:
        """Note a broken promise; only the first ones are kept."""
        if len(self.verdicts) < _KEPT:
            self.verdicts.append(Verdict(round(self._world.now, 3), check, what))

    def _look(self, index: int) -> None:
        slot = self._slots[index]
        plant = slot.plant
        if not plant.contactor_closed:
            self._unstoppable[index] = False
        elif "contactor_stuck" in plant.faults and plant.vehicle is not None and not plant.vehicle.obeys:
            self._unstoppable[index] = True
        if plant.offered_a != self._offered[index]:
            self._offered[index] = plant.offered_a
            self._look_at_offer(index)
        self._closings.look(index, slot)
        possible = _could_a(plant)
        if possible != self._possible[index]:
            self._possible[index] = possible
            self._total_a = self._innocent_a()
            self._look_at_ledgers()
        if self._total_a > self.simulation.limit_a() + _ROUNDING_A:
            self._say_total()
        self._look_at_ledger(slot)
        if plant.contactor_closed:
            self._look_at_contactor(index, slot)
        elif self._since:
            self._forget(index)

    # What the vehicles may draw

    def _say_total(self) -> None:
        amps, limit = [round(amps, 2) for amps in self._possible], self.simulation.limit_a()
        self.say("total", f"the vehicles may draw {amps}, more than {limit:g} A")

    def _innocent_a(self) -> float:
        """The most that may be drawn by all vehicles that keep their side."""
        fouls = {i for i, slot in enumerate(self._slots) if _breaks_its_side(slot.plant) or self._unstoppable[i]}
        self.fouls |= fouls
        return sum(amps for i, amps in enumerate(self._possible) if i not in fouls)

    def _look_at_offer(self, index: int) -> None:
        offered, rating = self._offered[index], MODELS[self.simulation.scenario.stations[index].model]
        if offered and not MIN_OFFER_DA / 10 - _DUTY_A <= offered <= rating + _DUTY_A:
            self.say("offer", f"s{index + 1} offers {offered:.2f} A, neither 0 nor 6 to {rating} A")

    # What the primary believes

    def _look_at_ledgers(self) -> None:
        for slot in self._slots:
            self._look_at_ledger(slot)

    def _look_at_ledger(self, slot: Slot) -> None:
        """In the books of a primary that sits: a station's exposure, over all its lives, is at least what its vehicle
        may draw."""
        primary = slot.node.role if isinstance(slot.node, App) else None
        if not isinstance(primary, Primary) or primary.phase is not Phase.SITTING or slot.stalled:
            return  # one that stands still gives nothing, and begins anew when it wakes up
        self._note_units()
        now = slot.local(self._world.now)
        believed: dict[int, int] = {}
        for member in primary.group.everyone:
            serial = member.identity.serial
            believed[serial] = believed.get(serial, 0) + _exposure_da(member.row, now)
        for index, possible in enumerate(self._possible):
            amps = sum(believed.get(serial, 0) for serial in self._stood[index]) / 10
            if possible > amps + _ROUNDING_A and not self._may_surprise(index):
                self.say("ledger", f"s{index + 1} may draw {possible:.2f} A, its primary believes {amps:.1f} A")

    def _note_units(self) -> None:
        for stood, serial in zip(self._stood, self.simulation.serials, strict=True):
            stood.add(serial)

    def _may_surprise(self, index: int) -> bool:
        """Its vehicle may keep what it was told to leave, and its meter has yet to say so."""
        plant = self._slots[index].plant
        return "overdraw" in plant.faults or (plant.vehicle is not None and not plant.vehicle.obeys)

    # Closed contactors

    def _look_at_contactor(self, index: int, slot: Slot) -> None:
        plant, node = slot.plant, slot.node
        if "contactor_stuck" in plant.faults:
            self._forget(index)
            return
        runs = isinstance(node, App) and not slot.stalled
        asks, faults = plant.letter in "CD", plant.faults
        self._stands(index, "a vehicle that asks", not asks and runs, CONTACTOR_S)
        self._stands(
            index, "a vehicle that asks or a process", not asks and not runs, plant.dead_man_s + 2 * CONTACTOR_S
        )
        self._stands(index, "a process", not runs, plant.dead_man_s + 2 * CONTACTOR_S)
        self._stands(index, "a sound ground", plant.inputs.ground_fault and runs, CONTACTOR_S)
        lease = runs and isinstance(node, App) and node.station.holder.amps_da > 0
        self._stands(index, "lease", not lease, 7.4)  # 6 s under load, after up to W in which it may stand still
        if runs and isinstance(node, App) and isinstance(node.role, Secondary):
            self._look_at_permission(index, plant)
        urgent = runs and isinstance(node, App) and node.station.faults.urgent
        self._stands(index, "being free of faults", urgent, CONTACTOR_S)
        if faults or self._since:
            for kind, allowed_s in _OPENS_S.items():
                present = plant.celsius > _TOO_HOT_C if kind == "over_temperature" else kind in faults
                self._stands(index, kind + " mended", present and runs, allowed_s)

    def _forget(self, index: int) -> None:
        self._since = {key: at for key, at in self._since.items() if key[0] != index}

    def _look_at_permission(self, index: int, plant: Plant) -> None:
        permitted = self._wire.permitted_a(index, self._world.now) if plant.offered_a else inf
        if plant.offered_a > permitted + _ROUNDING_A:
            self.say("permission", f"s{index + 1} offers {plant.offered_a:.1f} A, permitted are {permitted:.1f} A")

    def _stands(self, index: int, without: str, wrong: bool, allowed_s: float) -> None:
        key, now = (index, without), self._world.now
        if not wrong:
            self._since.pop(key, None)
        elif now > self._since.setdefault(key, now) + allowed_s + 1e-9:
            self.say("contactor", f"s{index + 1} closed without {without} since {self._since[key]:.3f} s")
            self._since[key] = inf


def _could_a(plant: Plant) -> float:
    """The most its vehicle may draw by what it has seen of the pilot, or by what the pilot says already."""
    spec = plant.vehicle
    if spec is None or not plant.contactor_closed:
        return 0.0
    return max(plant.possible_a, 0.0 if plant.letter == "E" else min(spec.max_a, plant.offered_a))


def _breaks_its_side(plant: Plant) -> bool:
    """Its vehicle overdraws, or obeys no pilot and climbs so slowly that no meter tells in time: then it is tripped and
    the others come down by what it takes. One that obeys no pilot but takes all at once is known by its meter."""
    spec = plant.vehicle
    return "overdraw" in plant.faults or (spec is not None and not spec.obeys and spec.ramp_a_per_s > 0)


def _exposure_da(row: Row, now: float) -> int:
    """A look that changes nothing."""
    return row.exposure_da(now) if row.settles_at == inf else deepcopy(row).exposure_da(now)
