"""The members of a site as a world sees them: a model for large sites, real firmware for small ones."""

from collections.abc import Iterable
from typing import Protocol

from cloud.link import Command, Report
from hal.simulated.vehicle_spec import VehicleSpec


class Members(Protocol):
    """All members of one site, numbered as in it; their stations are numbered from 0, a group's primary first.

    Seconds, never backwards. A verb with `now` runs what was due before it. Everything holds until `next_wakeup()` or
    the next verb, so whoever looks after each of them has seen every instant.
    """

    def next_wakeup(self) -> float: ...

    def advance(self, now: float) -> None:
        """Run everything due up to now."""

    def deliver(self, member: int, command: Command, now: float) -> None:
        """A command arrives. It may be any: late, doubled, of another life."""

    def take_reports(self) -> list[tuple[int, Report]]:
        """Sent since the last call, in order."""

    def take_changed(self) -> Iterable[int]:
        """Those of which `drawn_a`, `exposed_a` or `offered_a` may have changed since the last call."""

    def plug(self, member: int, station: int, vehicle: VehicleSpec, now: float) -> None:
        """A vehicle is plugged in; one that was there is unplugged."""

    def unplug(self, member: int, station: int, now: float) -> None: ...

    def power(self, member: int, on: bool, now: float) -> None:
        """Mains of all its stations; on again is a new life of each."""

    def restart(self, member: int, now: float) -> None:
        """Power off and on at once."""

    def offered_a(self, member: int) -> float:
        """What its pilots say, summed."""

    def drawn_a(self, member: int) -> float:
        """The truth, summed over its vehicles."""

    def exposed_a(self, member: int, now: float) -> float:
        """What its vehicles may draw by what the pilots say and said a reaction ago, summed."""

    def energy_kwh(self, member: int, now: float) -> float:
        """Delivered since the beginning."""
