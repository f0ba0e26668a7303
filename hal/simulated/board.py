"""A station's board over a plant in the same process, for virtual time."""

from collections.abc import Callable, Mapping

from hal.api import BusPort, Journal, Light, Store
from hal.simulated.plant import Plant

Clock = Callable[[], float]
"""Plant time, absolute seconds: the firmware's verbs carry none."""


class MemoryStore:
    """A record that lives as long as this object, which may be longer than the station's firmware."""

    __slots__ = ("_record",)

    problem = ""

    def __init__(self) -> None:
        self._record = b""

    def load(self) -> bytes:
        return self._record

    def save(self, record: bytes) -> None:
        self._record = bytes(record)


class PlantPilot:
    __slots__ = ("_clock", "_plant")

    def __init__(self, plant: Plant, clock: Clock) -> None:
        self._plant = plant
        self._clock = clock

    def steady(self) -> None:
        self._plant.pilot_steady(self._clock())

    def pwm(self, duty: float) -> None:
        self._plant.pilot_pwm(duty, self._clock())

    def fault(self) -> None:
        self._plant.pilot_fault(self._clock())


class PlantContactor:
    __slots__ = ("_clock", "_plant")

    def __init__(self, plant: Plant, clock: Clock) -> None:
        self._plant = plant
        self._clock = clock

    def close(self) -> None:
        self._plant.contactor_close(self._clock())

    def open(self) -> None:
        self._plant.contactor_open(self._clock())


class PlantMeter:
    __slots__ = ("_plant",)

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def current_a(self) -> float:
        return self._plant.meter_a

    def voltage_v(self) -> float:
        return self._plant.voltage_v


class PlantGroundFault:
    __slots__ = ("_clock", "_plant")

    def __init__(self, plant: Plant, clock: Clock) -> None:
        self._plant = plant
        self._clock = clock

    def test(self, on: bool) -> None:
        self._plant.ground_fault_test(on, self._clock())


class PlantThermometer:
    __slots__ = ("_plant",)

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def celsius(self) -> float:
        return self._plant.celsius


class PlantIndicator:
    __slots__ = ("_plant",)

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def show(self, light: Light) -> None:
        self._plant.show(light)


Record = Callable[[str, Mapping[str, object]], None]
"""Takes the event and the fields of a record, now."""


class PlantJournal:
    """`hal.api.Journal` that passes each record on; its clock is the world's and nobody doubts it."""

    __slots__ = ("_boot", "record")

    problem = ""

    def __init__(self, boot: str, record: Record) -> None:
        self._boot = boot
        self.record = record

    def stamp(self, now: float) -> Mapping[str, object]:
        return {"boot": self._boot, "t_s": round(now, 3), "wall": None, "clock": "simulated"}

    def write(self, event: str, fields: Mapping[str, object], now: float) -> None:
        self.record(event, fields)


class PlantBoard:
    """`hal.api.Board`. The world that steps the plant passes its inputs on and holds its dead-man."""

    __slots__ = (
        "bus",
        "contactor",
        "ground_fault",
        "indicator",
        "journal",
        "meter",
        "pilot",
        "session_store",
        "store",
        "thermometer",
    )

    def __init__(
        self, plant: Plant, clock: Clock, bus: BusPort, store: Store, session_store: Store, journal: Journal
    ) -> None:
        self.pilot = PlantPilot(plant, clock)
        self.contactor = PlantContactor(plant, clock)
        self.meter = PlantMeter(plant)
        self.ground_fault = PlantGroundFault(plant, clock)
        self.thermometer = PlantThermometer(plant)
        self.indicator = PlantIndicator(plant)
        self.bus = bus
        self.store = store
        self.session_store = session_store
        self.journal = journal
