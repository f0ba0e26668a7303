"""The contract between a station's firmware and whatever board it stands on.

The firmware acts through the driver verbs below and is told what happened as `Inputs`. Every board (a
Raspberry Pi, a simulated plant behind a socket, a plant in virtual time) offers the same verbs in the terms
of SAE J1772 / IEC 61851-1, not in pins. Amperes are floats (A RMS), volts are floats (V), time is seconds of
one monotonic clock that is handed in.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
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
    ground_fault: bool = False
    """The ground-fault sensor has tripped: it stays so while current leaks or its test winding is driven."""
    grounded: bool = True
    """The ground monitor finds protective earth; it can tell only while the output is live."""


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

    def voltage_v(self) -> float:
        """Line voltage, V RMS: measured, or what the installer wrote down where nothing measures it."""


class GroundFault(Protocol):
    """Ground-fault sensor (CCID20: it trips at 15-20 mA of leakage); its trip is `Inputs.ground_fault`."""

    def test(self, on: bool) -> None:
        """Drive the test winding, or no longer: a sound sensor trips while it is driven, and lets go after."""


class Thermometer(Protocol):
    """Temperature inside the station."""

    def celsius(self) -> float:
        """Latest reading, degrees C; NaN when the sensor does not answer."""


class Colour(Enum):
    """What the indicator can show."""

    OFF = "off"
    WHITE = "white"
    GREEN = "green"
    BLUE = "blue"
    AMBER = "amber"
    RED = "red"


class Light(NamedTuple):
    """What the indicator shows until told otherwise."""

    colour: Colour
    blinks: tuple[int, ...] = ()
    """() = steady; (3, 1) = three flashes, a short pause, one flash, a long pause, and again."""

    @property
    def words(self) -> str:
        """For people: `green`, `red 3-1`."""
        return " ".join(filter(None, (self.colour.value, "-".join(map(str, self.blinks)))))


class Indicator(Protocol):
    """RGB lamp on the station's face. The board keeps the rhythm."""

    def show(self, light: Light) -> None: ...


class Journal(Protocol):
    """The station's event log: records are appended and stay. Writing never waits and never raises."""

    def stamp(self, now: float) -> Mapping[str, object]:
        """When `now` (monotonic s) is: `boot` (id of the boot whose monotonic clock it is), `t_s`, `wall` (UTC, ISO
        8601, or None where the date is not known) and `clock`, the quality of that date."""

    def write(self, event: str, fields: Mapping[str, object], now: float) -> None:
        """Append a record: the stamp of `now`, `station`, `event`, then `fields` (JSON values)."""

    @property
    def problem(self) -> str:
        """Why records can't be kept at present, for a person; empty when they are."""


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

    @property
    def problem(self) -> str:
        """Why the last record is in memory only, for a person; empty when it is kept."""


class Drivers(Protocol):
    """The parts of one station's hardware."""

    @property
    def pilot(self) -> Pilot: ...
    @property
    def contactor(self) -> Contactor: ...
    @property
    def meter(self) -> Meter: ...
    @property
    def ground_fault(self) -> GroundFault: ...
    @property
    def thermometer(self) -> Thermometer: ...
    @property
    def indicator(self) -> Indicator: ...


class Board(Drivers, Protocol):
    """What the firmware of one station acts on."""

    @property
    def bus(self) -> BusPort: ...
    @property
    def store(self) -> Store:
        """What the group has to remember: to which other primary this one has yielded."""

    @property
    def session_store(self) -> Store:
        """The charging session under way and the energy delivered so far."""

    @property
    def journal(self) -> Journal: ...


class LiveBus(BusPort, Protocol):
    """A bus port on a real file descriptor, for the real-time loop."""

    def filenos(self) -> Sequence[int]:
        """Descriptors to wait on; empty while the port is gone."""

    def receive(self) -> bytes:
        """What has arrived, never blocking; reopens a port that came back."""

    def next_send(self) -> float:
        """When `flush` has something to do, s of the monotonic clock: a frame that waits for its silence, or a
        transceiver that is to be turned round; inf = nothing."""

    def flush(self) -> None:
        """Send the frame that waits, if its silence is over; turn the transceiver round, if the frame has left."""

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
