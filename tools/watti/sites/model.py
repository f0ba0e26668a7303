"""Members of a site as a model: what stations and groups of them do under online control, without their firmware.

For hundreds and thousands of stations. Nothing is polled: a member is touched when something is due at it. How close
this is to the firmware is shown in tests/scenario/test_site_model.py.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from math import inf

from cloud.link import Command, Report
from cloud.site import Site
from hal.simulated.vehicle_spec import VehicleSpec
from watti.sites.member import ModelMember


class ModelMembers:
    """All members of a site; `watti.sites.members.Members` says what the verbs are."""

    def __init__(
        self,
        site: Site,
        fallbacks_a: Sequence[float | None],
        volts: Sequence[float],
        drifts: Sequence[float] = (),
        now: float = 0.0,
    ) -> None:
        """Of each member: the fallback that was stored when it was set up (None = none), the voltage of its
        vehicles, and how much faster its clock is than others (0.01 = by 1 %)."""
        self._members = [
            ModelMember(i, member, site, fallbacks_a[i], volts[i], drifts[i] if drifts else 0.0, now)
            for i, member in enumerate(site.members)
        ]
        self._due = [inf] * len(self._members)
        self._heap: list[tuple[float, int]] = []
        self._reports: list[tuple[int, Report]] = []
        self._changed: set[int] = set()
        for i in range(len(self._members)):
            self._after(i, now)

    def next_wakeup(self) -> float:
        heap, due = self._heap, self._due
        while heap and due[heap[0][1]] != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else inf

    def advance(self, now: float) -> None:
        while (at := self.next_wakeup()) <= now:
            i = heappop(self._heap)[1]
            self._due[i] = inf
            if self._members[i].step(at):
                self._after(i, at)
            else:
                self._plan(i, at)

    def _after(self, i: int, now: float) -> None:
        """A member was touched."""
        self._changed.add(i)
        self._members[i].plan(now)
        self._plan(i, now)

    def _plan(self, i: int, now: float) -> None:
        """Take the report of a member, and plan what is due next there."""
        member = self._members[i]
        if member.report_due <= now:
            self._reports.append((i, member.report(now)))
        due = max(now, min(member.report_due, member.other_due))
        if due != self._due[i]:
            self._due[i] = due
            if due < inf:
                heappush(self._heap, (due, i))

    def deliver(self, member: int, command: Command, now: float) -> None:
        self.advance(now)
        self._members[member].deliver(command, now)
        self._after(member, now)

    def take_reports(self) -> list[tuple[int, Report]]:
        reports, self._reports = self._reports, []
        return reports

    def take_changed(self) -> Iterable[int]:
        changed, self._changed = self._changed, set()
        return changed

    def plug(self, member: int, station: int, vehicle: VehicleSpec, now: float) -> None:
        self.advance(now)
        self._members[member].outlets[station].plug(vehicle, now)
        self._touched(member, now)

    def unplug(self, member: int, station: int, now: float) -> None:
        self.advance(now)
        self._members[member].outlets[station].unplug(now)
        self._touched(member, now)

    def power(self, member: int, on: bool, now: float) -> None:
        self.advance(now)
        self._members[member].power(on, now)
        self._touched(member, now)

    def restart(self, member: int, now: float) -> None:
        self.power(member, False, now)
        self.power(member, True, now)

    def _touched(self, i: int, now: float) -> None:
        self._members[i].share(now)
        self._after(i, now)

    def offered_a(self, member: int) -> float:
        return self._members[member].offered_da / 10

    def drawn_a(self, member: int) -> float:
        return self._members[member].drawn_a

    def exposed_a(self, member: int, now: float) -> float:
        return self._members[member].exposed_da(now) / 10

    def energy_kwh(self, member: int, now: float) -> float:
        return self._members[member].energy_kwh(now)
