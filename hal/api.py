"""The contract between a station's firmware and whatever board it stands on.

The firmware acts through the driver verbs below and is told what happened as `Inputs`. Every board (a
Raspberry Pi, a simulated plant behind a socket, a plant in virtual time) offers the same verbs in the terms
of SAE J1772 / IEC 61851-1, not in pins. Amperes are floats (A RMS), volts are floats (V), time is seconds of
one monotonic clock that is handed in.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class PilotReading(NamedTuple):
    """Control pilot voltages (V): both plateaus of the 1 kHz square wave; equal while it is steady."""

    high_v: float
    low_v: float


class Inputs(NamedTuple):
    """All that a board sensed, as one snapshot that holds until the next one."""

    switch: int | None
    """Rotary switch, 0-15; None between two positions or unreadable."""
    pilot: PilotReading
    contactor_closed: bool
    """Feedback: the output side is live."""


class Pilot(Protocol):
    """Control pilot generator."""

    def steady(self) -> None:
        """+12 V direct current: the station is not ready to supply (states x1)."""

    def pwm(self, duty: float) -> None:
        """1 kHz square wave, high for `duty` percent: the station offers current (states x2)."""

    def fault(self) -> None:
        """-12 V direct current: the station is not available (state F)."""


class Contactor(Protocol):
    """The contactor between the circuit and the vehicle."""

    def close(self) -> None: ...

    def open(self) -> None: ...


class Meter(Protocol):
    """Current to the vehicle."""

    def current_a(self) -> float:
        """Latest current, A RMS; NaN when the meter does not answer."""


class DeadMan(Protocol):
    """Hardware that holds contactor and pilot only while it is refreshed within `W` (about 1 s)."""

    def refresh(self) -> bool:
        """Hold the outputs for another `W`. False, once, when they had been let go meanwhile: the contactor
        is open and the pilot steady whatever was asked before, and new verbs count from now on."""


class BusPort(Protocol):
    """Half-duplex RS-485 transmitter. What arrives is told to the firmware, not fetched by it."""

    def send(self, data: bytes) -> None:
        """Send one frame after the silence of t3.5 since the last byte heard or sent, at once if that is over. The
        caller has one frame on its way at a time. A port that is gone, or that hears something before the
        silence is over, drops it."""


class Store(Protocol):
    """A small record that survives a restart."""

    def load(self) -> bytes:
        """The last record saved, empty when there is none."""

    def save(self, record: bytes) -> None:
        """Replace the record atomically."""


class Board(Protocol):
    """What the firmware of one station acts on."""

    @property
    def pilot(self) -> Pilot: ...
    @property
    def contactor(self) -> Contactor: ...
    @property
    def meter(self) -> Meter: ...
    @property
    def bus(self) -> BusPort: ...
    @property
    def store(self) -> Store: ...


class LiveBus(BusPort, Protocol):
    """A bus port on a real file descriptor, for the real-time loop."""

    def filenos(self) -> Sequence[int]:
        """Descriptors to wait on; empty while the port is gone."""

    def receive(self) -> bytes:
        """What has arrived, never blocking; reopens a port that came back."""

    def next_send(self) -> float:
        """When the frame that waits for its silence may leave, s of the monotonic clock; inf = none waits."""

    def flush(self) -> None:
        """Send the frame that waits, if its silence is over."""

    @property
    def problem(self) -> str:
        """What is wrong with the port, for a person; empty when it works."""


class LiveBoard(Board, Protocol):
    """A board in real time: the loop waits on its descriptors and asks for its inputs."""

    @property
    def bus(self) -> LiveBus: ...
    @property
    def dead_man(self) -> DeadMan: ...

    @property
    def sample_s(self) -> float:
        """How often the inputs must be read when no descriptor tells of a change, s; inf = never."""

    def filenos(self) -> Sequence[int]: ...

    def inputs(self) -> Inputs:
        """Read everything now. Raises `BoardGone` when the board can't be reached any more."""

    def close(self) -> None:
        """Leave every output in its safe state and release the hardware."""


class BoardGone(Exception):
    """The board can't be reached any more; the message says which and why."""


class Node(Protocol):
    """Firmware as a world runs it: told the time and what happened, it acts on its board and says when it wants
    to be stepped next. It reads no clock and never waits."""

    def next_wakeup(self) -> float:
        """Absolute seconds; inf = nothing pending."""

    def step(self, now: float) -> None:
        """Run the timers that are due."""

    def on_inputs(self, inputs: Inputs, now: float) -> None: ...

    def on_bytes(self, data: bytes, now: float) -> bool:
        """Bytes arrived. False when they change nothing: not what is seen of the node, not its next wakeup."""

    def on_outputs_dropped(self, now: float) -> None:
        """The dead-man had let the outputs go and holds them again at their safe levels."""

    def on_bus(self, works: bool, now: float) -> None:
        """The bus port came or went."""
