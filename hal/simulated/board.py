"""A station's board over a plant in the same process, for virtual time."""

from collections.abc import Callable

from hal.api import BusPort, Store
from hal.simulated.plant import Plant

Clock = Callable[[], float]
"""Plant time, absolute seconds: the firmware's verbs carry none."""


class MemoryStore:
    """A record that lives as long as this object, which may be longer than the station's firmware."""

    __slots__ = ("_record",)

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


class PlantBoard:
    """`hal.api.Board`. The world that steps the plant passes its inputs on and holds its dead-man."""

    __slots__ = ("bus", "contactor", "meter", "pilot", "store")

    def __init__(self, plant: Plant, clock: Clock, bus: BusPort, store: Store) -> None:
        self.pilot = PlantPilot(plant, clock)
        self.contactor = PlantContactor(plant, clock)
        self.meter = PlantMeter(plant)
        self.bus = bus
        self.store = store
