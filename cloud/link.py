"""What goes between the controller and a member: the seam for every wire (OCPP, a local API, virtual time).

A member reports; a command answers a report. Both are leases in the making: a report carries a number that is used
once, the member notes the time before it leaves, and a command's life runs from the noted time of the report that it
answers, however long either was under way. Reports leave each `report_s`, and at once when a vehicle or a contactor has
changed or a command has changed what may be offered; a command that only lets that go on is confirmed in the next
report that is due, or reports and answers would chase each other as fast as the wire allows. Over OCPP a command is a
charging schedule of three periods: the limit for what is left of the lease, the smaller of limit and fallback while it
holds, the fallback ever after.

Currents are whole deciamperes, so that sums are exact.
"""

from typing import NamedTuple


class Report(NamedTuple):
    """How a member stands."""

    boot: int
    """Names this life of the member: another number after every restart."""
    question: int
    """Rises with every report of a life."""
    confirmed: int
    """The number of the newest command that it has taken; 0 = none in this life."""
    offered_da: int
    """The most that its pilot advertises now; of a group the sum."""
    drawn_a: float
    """By its meter; NaN when that does not answer."""
    closed: bool
    """A contactor is closed."""
    asking: int
    """How many vehicles ask for current."""
    most_da: int
    """No more would be used: the rating, or what its vehicles have shown to take."""
    fallback_da: int
    """What it will offer without a controller."""
    energy_wh: float = 0.0
    """Counts up through all its lives."""
    plugged: int = 0
    """Counts plug-ins, so that another vehicle is seen as another."""


class Command(NamedTuple):
    """The most that a member may offer from now on, and what happens when no other follows."""

    boot: int
    """The life of the member that it is for."""
    number: int
    """Rises; one that is not above the last is refused."""
    question: int
    """The report that it answers."""
    limit_da: int
    lease_s: float
    hold_s: float
    fallback_da: int
    reason: str
    """Why not more, for people."""


class Wish(NamedTuple):
    """What a driver or an operator has said of the vehicle at a member."""

    energy_wh: float | None = None
    """Still wanted, from the time of the wish."""
    departs_at: float | None = None
    """Seconds, on the controller's clock."""
    weight: float | None = None
    priority: int | None = None
