"""What comes after the last fault: every willing vehicle is served again, fairly, and nothing flaps.

A vehicle is left out only for a reason that the world itself has given: a fault that a person has to end or a
quarter of an hour, injected here; a vehicle that can't charge; a turn that has yet to come where amps are short.
"""

from math import inf

from firmware.app import App
from firmware.bus.messages import Reason
from firmware.config import MODELS
from firmware.sharing.group import MAX_SECONDARIES
from firmware.sharing.primary import Primary
from firmware.sharing.rivals import Phase
from firmware.timing import MIN_OFFER_DA
from hal.api import Node
from hal.simulated.world import Slot
from watti.scenario import Scenario
from watti.simulation import Simulation
from watti.torture.inspector import Inspector

_LOOK_S = 0.5
"""Between two looks."""
_RECOVERS_S = 60.0
"""After the last fault every willing vehicle is served by then."""
_CALM_S = 60.0
"""How long a group is watched once it has recovered."""
_SECONDARY = 15
_EVEN_A = 1.5
_ROUNDING_A = 0.2
_STARTS_S = 5.0
"""A vehicle whose turn has come, or that asks again, is served within this."""
_STILL_S = 30.0
"""Shares that moved later than this before the end are still on their way."""
_LEAST_A = MIN_OFFER_DA / 10
_DRIVEN_OUT = {
    "overdraw": ("overdraw",),
    "contactor_stuck": ("contactor_stuck",),
    "contactor_fell": ("contactor_fell", "contactor_open"),
    "ground_fault_self_test": ("ground_fault_self_test", "ground_fault"),
    "ground_fault": ("ground_fault",),
    "no_ground": ("no_ground",),
}
"""Faults that end by a person or after a quarter of an hour, and what must have been injected for them."""


def last_fault_s(scenario: Scenario) -> float:
    """When the last thing that happens to a world is over."""
    ends = (event.at_s + event.args.get("for_s", 0.0) for event in scenario.events)
    return max(ends, default=0.0)


class Aftermath:
    """Lets a simulation run on after its last fault and judges what becomes of it."""

    def __init__(self, simulation: Simulation, inspector: Inspector) -> None:
        self.simulation = simulation
        self.scenario = simulation.scenario
        self._say = inspector.say
        self._slots = simulation.world.slots
        self._begin = last_fault_s(self.scenario)
        self.recovered_s: float | None = None
        """From the last fault until all were served for good; None when somebody never was."""
        self.excused: set[str] = set()
        """Codes of faults that kept somebody from it and that only a person or a quarter of an hour ends."""
        self._served_since = [inf] * len(self._slots)
        self._missed_since = [inf] * len(self._slots)
        self._unserved: dict[int, str] = {}
        self._shares = [0.0] * len(self._slots)
        self._taken = [0.0] * len(self._slots)
        self._moved_at = 0.0
        """When the shares last changed."""
        self._opened_at: list[list[float]] = [[] for _ in self._slots]
        """When each station stopped a vehicle that would have gone on."""

    def run(self) -> None:
        """To the end: until all have been served for `_CALM_S`, or for long enough to know that somebody never is."""
        world = self.simulation.world
        end = min(self.scenario.duration_s, self._begin + 2 * _RECOVERS_S + _CALM_S)
        while world.now < end:
            world.run(min(end, world.now + _LOOK_S))
            self._look(world.now)
            if not self._unserved and world.now >= max(self._served_since_all(), self._begin) + _CALM_S:
                break
        self._judge()

    def _served_since_all(self) -> float:
        return max((since for since in self._served_since if since < inf), default=self._begin)

    def _look(self, now: float) -> None:
        self._watch_shares(now)
        self._unserved = {}
        served = [self._served(slot) for slot in self._slots]
        for index, slot in enumerate(self._slots):
            if served[index] or not self._willing(index, slot, now) or self._waits_its_turn(index, slot, served):
                self._served_since[index] = min(self._served_since[index], now)
                self._missed_since[index] = inf
            else:
                self._missed_since[index] = min(self._missed_since[index], now)
                if now >= self._missed_since[index] + _STARTS_S:
                    self._served_since[index] = inf
                self._unserved[index] = self._why(index)

    def _watch_shares(self, now: float) -> None:
        before, self._shares = self._shares, [_share_a(slot) for slot in self._slots]
        for index, (old, new) in enumerate(zip(before, self._shares, strict=True)):
            if old and not new and self._slots[index].plant.letter in "CD":
                self._opened_at[index].append(now)
        held, self._taken = self._taken, [_taken_a(slot) for slot in self._slots]
        # offers too: a vehicle that still follows one has yet to draw less
        moves = zip((*before, *held), (*self._shares, *self._taken), strict=True)
        if any(abs(new - old) > _ROUNDING_A for old, new in moves):
            self._moved_at = now

    def _judge(self) -> None:
        if self._unserved:
            for index, why in self._unserved.items():
                self._say("left out", f"s{index + 1} is not served: {why}")
            return
        self.recovered_s = max(0.0, round(self._served_since_all() - self._begin, 3))
        if self.recovered_s > _RECOVERS_S:
            slowest = max(range(len(self._slots)), key=lambda i: self._served_since[i])
            self._say("slow", f"s{slowest + 1} was served only {self.recovered_s:.1f} s after the last fault")
        self._judge_flapping()
        self._judge_codes()
        still = self.simulation.world.now >= self._moved_at + _STILL_S
        if still and all(slot.plant.vehicle is None or slot.plant.vehicle.obeys for slot in self._slots):
            self._judge_shares()  # what one keeps that does not obey stays counted, used or not

    def _judge_flapping(self) -> None:
        """Once all are served, no station interrupts a vehicle again and again. Twins may: where a refusal is lost one
        charges until the other is back after its 30 s."""
        calm_s = self._served_since_all()
        for index, opened in enumerate(self._opened_at):
            times = [at for at in opened if at > calm_s]
            if len(times) > 1 and not self._has_twin(index):
                self._say("flaps", f"s{index + 1} has opened its contactor {len(times)} times in {_CALM_S:g} s of calm")

    def _judge_codes(self) -> None:
        """No fault is shown any more that the world gives no cause for."""
        for index, slot in enumerate(self._slots):
            if isinstance(slot.node, App):
                left = [code for code in slot.node.station.faults.codes if not self._has_cause(index, code)]
                if left:
                    self._say("fault", f"s{index + 1} still shows {', '.join(left)}")

    def _has_cause(self, index: int, code: str) -> bool:
        set_to_amps = sum(slot.plant.switch != _SECONDARY for slot in self._slots)
        match code:
            case "more_than_one_primary":
                return set_to_amps > 1 or code in self.excused
            case "no_primary":
                return set_to_amps != 1 or bool({"more_than_one_primary", "switch_unsupported"} & self._codes())
            case "group_full":
                return len(self._slots) > MAX_SECONDARIES + 1
            case "duplicate_serial" | "unheard":  # twins talk over each other
                return self._has_twin(index)
            case "switch_unsupported":
                return True
        return self._driven_out(index, code)

    def _codes(self) -> set[str]:
        nodes = [slot.node for slot in self._slots]
        return {code for node in nodes if isinstance(node, App) for code in node.station.faults.codes}

    def _judge_shares(self) -> None:
        """Max-min fair: nobody has more than one who would take more, and what nobody has is of no use."""
        shares = self._shares
        hungry = [i for i, slot in enumerate(self._slots) if self._hungry(i, slot)]
        for i in hungry:
            for j in range(len(shares)):
                if shares[j] > max(shares[i], self._floor_a(j)) + _EVEN_A:
                    self._say(
                        "unfair", f"s{i + 1} has {shares[i]:.1f} A and takes them all, s{j + 1} has {shares[j]:.1f} A"
                    )
        known_a = [node.view().limit_da / 10 for i in hungry if isinstance(node := self._slots[i].node, App)]
        unused = min(known_a, default=0.0) - sum(self._taken)
        if hungry and unused > _EVEN_A:
            self._say("unused", f"{unused:.1f} A are nobody's, and s{hungry[0] + 1} would take more")

    def _floor_a(self, index: int) -> float:
        """What its vehicle has shown to need, as its primary has learnt: with less it does not start."""
        floors = [
            member.demand.floor_da
            for slot in self._slots
            if isinstance(slot.node, App) and isinstance(slot.node.role, Primary)
            for member in slot.node.role.group.everyone
            if member.identity.serial == self.simulation.serials[index]
        ]
        return max(floors, default=0) / 10

    def _hungry(self, index: int, slot: Slot) -> bool:
        """It takes all it is offered, and could take more."""
        plant, spec, rating = slot.plant, slot.plant.vehicle, MODELS[self.scenario.stations[index].model]
        if spec is None or not plant.contactor_closed:
            return False
        return plant.current_a >= plant.offered_a - 0.5 and plant.offered_a < min(rating, spec.max_a) - _EVEN_A

    # One vehicle

    def _served(self, slot: Slot) -> bool:
        """It has current if it asks, else it may ask at any time (or is being woken up for it)."""
        plant, node = slot.plant, slot.node
        if plant.letter == "B":
            return plant.offered_a > 0 or (isinstance(node, App) and node.station.holder.amps_da > 0)
        return plant.offered_a > 0 and plant.contactor_closed

    def _willing(self, index: int, slot: Slot, now: float) -> bool:
        """A vehicle that could charge is there, and nothing that the world has done rightly keeps it from it."""
        plant, node = slot.plant, slot.node
        if not plant.connected or not isinstance(node, App) or plant.full(now):
            return False
        genuine = {code for code in node.station.faults.codes if self._driven_out(index, code)}
        genuine |= self._of_the_group(index, node)
        self.excused |= genuine
        return not genuine

    def _of_the_group(self, index: int, node: App) -> set[str]:
        """Why its group may leave a station without current for ever."""
        codes = set(node.station.faults.codes)
        found = set()
        if self._has_twin(index):
            found.add("duplicate_serial")
        if "group_full" in codes and len(self._slots) > MAX_SECONDARIES + 1:
            found.add("group_full")
        primaries = [slot.node for slot in self._slots if slot.plant.switch != _SECONDARY]
        if not primaries:
            found.add("no_primary")
        stuck = [primary for primary in primaries if self._yields_for_good(primary, len(primaries) > 1)]
        if node in stuck or (stuck and len(stuck) == len(primaries)) or self._answered_for():
            found.add("more_than_one_primary")
        return found

    def _answered_for(self) -> bool:
        """Several are set to amps and one has a twin: where that is set to F it answers in its name that it gave way,
        so that the others yield and begin again for ever."""
        set_to_amps = [i for i, slot in enumerate(self._slots) if slot.plant.switch != _SECONDARY]
        return len(set_to_amps) > 1 and any(self._has_twin(i) for i in set_to_amps)

    def _yields_for_good(self, node: Node | None, several: bool) -> bool:
        """It waits for a person: two switches are set to amps, or the one it yields to was taken out of the circuit or
        has a twin that talks over it."""
        role = node.role if isinstance(node, App) else None
        if not isinstance(role, Primary) or role.phase is not Phase.YIELDED:
            return False
        return several or self.simulation.serials.count(role.rivals.serial or 0) != 1

    def _has_twin(self, index: int) -> bool:
        return self.simulation.serials.count(self.simulation.serials[index]) > 1

    def _driven_out(self, index: int, code: str) -> bool:
        """A fault that a person ends, or a quarter of an hour, and that the world gave cause for."""
        name, kinds = self.scenario.stations[index].name, _DRIVEN_OUT.get(code, ())
        injected = any(
            event.do == "fault" and event.station == name and event.args["kind"] in kinds
            for event in self.scenario.events
        )
        return injected or (code == "overdraw" and self._refuses(index))

    def _refuses(self, index: int) -> bool:
        """Whether a vehicle that obeys no pilot was ever there: another may have come faster than a pilot can tell."""
        vehicles, name = self.scenario.vehicles, self.scenario.stations[index].name
        came = [event.args["vehicle"] for event in self.scenario.events if event.do == "plug" and event.station == name]
        return any(not vehicles[vehicle].obeys for vehicle in came)

    def _waits_its_turn(self, index: int, slot: Slot, served: list[bool]) -> bool:
        """Amps are short: what the others leave is not enough for one more."""
        taken = sum(_taken_a(s) for s, is_served in zip(self._slots, served, strict=True) if is_served)
        view = slot.node.view() if isinstance(slot.node, App) else None
        room = view.limit_da / 10 - taken if view is not None else 0.0
        return view is not None and view.reason is Reason.WAITING and any(served) and room < _LEAST_A

    def _why(self, index: int) -> str:
        row = self.simulation.row(index)
        fault = f", fault {row.fault}" if row.fault else ""
        return f"{row.role}, switch {row.switch}, {row.state}, reason {row.reason}{fault}"


def _share_a(slot: Slot) -> float:
    """What a vehicle that asks may take."""
    return slot.plant.offered_a if slot.plant.contactor_closed else 0.0


def _taken_a(slot: Slot) -> float:
    """What a station keeps from the others: what its vehicle may take, or what it holds for one that does not ask."""
    plant, node = slot.plant, slot.node
    if plant.contactor_closed or not isinstance(node, App):
        return max(plant.current_a, _share_a(slot))
    return node.station.holder.amps_da / 10
