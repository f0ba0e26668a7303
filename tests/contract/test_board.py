"""The `Board` of hal/api.py, one suite for every backend. All of it in virtual time, the socket's server too."""

import random
import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest

from hal.api import Board, Colour, Inputs, Light, PilotReading
from hal.raspberry.board import Parts, RaspberryBoard
from hal.raspberry.lamp import PRIMARIES, level_at
from hal.raspberry.worker import Work
from hal.serial.port import SerialPort
from hal.simulated.board import MemoryStore, PlantBoard, PlantJournal
from hal.simulated.defects import AMBIENT_C, HOT_C
from hal.simulated.pi import SimulatedPi
from hal.simulated.plant import CONTACTOR_S, DEAD_MAN_S, RELEASE_S, TRIP_S, Plant
from hal.simulated.remote import RemoteBoard
from hal.simulated.server import PlantServer, listen
from hal.simulated.vehicle_spec import VehicleSpec
from hal.store import FileStore
from watti.board_file import load_board
from watti.scenario import CONFIGS

SWITCH = 11
CAR = VehicleSpec("car", start_delay_s=0.0, reaction_s=0.0, ramp_a_per_s=0.0)
STEADY = PilotReading(12.0, 12.0)
FAULTED = PilotReading(-12.0, -12.0)
PWM = PilotReading(12.0, -12.0)


class Rig(ABC):
    """A board over a plant, and the world around them."""

    board: Board
    accuracy = 1e-6
    """Of its meter (A) and its thermometer (C)."""

    def __init__(self) -> None:
        self.now = 100.0
        self.plant = Plant(SWITCH)
        self.records: list[tuple[str, Mapping[str, object]]] = []
        self.journal = PlantJournal("test", lambda event, fields: self.records.append((event, fields)))

    @abstractmethod
    def refresh(self) -> bool: ...

    @abstractmethod
    def inputs(self) -> Inputs: ...

    @abstractmethod
    def settle(self) -> None:
        """Let everything that is due now happen and what was said arrive."""

    @abstractmethod
    def kill(self) -> None:
        """The firmware's process ends without a word."""

    @abstractmethod
    def start(self) -> None:
        """Another one starts on the same board."""

    def lamp_shows(self, light: Light) -> bool:
        """Whether the lamp is as it was told."""
        return self.plant.light == light

    def run(self, for_s: float) -> None:
        """Time passes; nobody refreshes the dead-man."""
        self.settle()
        self.now += for_s
        self.settle()

    def live(self, for_s: float) -> None:
        """Time passes; the dead-man is refreshed as the real loop does it."""
        until = self.now + for_s
        while self.now < until:
            assert self.refresh()
            self.run(DEAD_MAN_S / 4)

    @abstractmethod
    def close(self) -> None: ...


class InMemory(Rig):
    """`PlantBoard`, as virtual time runs it."""

    def __init__(self) -> None:
        super().__init__()
        self._store, self._session_store = MemoryStore(), MemoryStore()
        self.start()

    def refresh(self) -> bool:
        return self.plant.refresh(self.now)

    def inputs(self) -> Inputs:
        return self.plant.inputs

    def settle(self) -> None:
        self.plant.step(self.now)

    def kill(self) -> None:
        """It has no process."""

    def start(self) -> None:
        stores = (self._store, self._session_store)
        self.board = PlantBoard(self.plant, lambda: self.now, _NoBus(), *stores, self.journal)

    def close(self) -> None:
        """It holds nothing."""


class _NoBus:
    def send(self, data: bytes) -> None:
        raise AssertionError("the board sends nothing by itself")


class OverSocket(Rig):
    """`RemoteBoard` over the socket of a `PlantServer`."""

    board: RemoteBoard

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "x.sock"
        self._records = (folder / "s1.json", folder / "s1.session.json")
        self._bus = SerialPort(folder / "none", 19200, lambda: self.now)
        self._server = PlantServer(listen(self._path), {"s1": self.plant}, self.now)
        self.board = self._attached()

    def refresh(self) -> bool:
        held = self.board.dead_man.refresh()
        self.settle()
        return held

    def inputs(self) -> Inputs:
        self.settle()
        return self.board.inputs()

    def settle(self) -> None:
        self._server.pump(self.now, ())
        while ready := select.select(self._server.filenos(), [], [], 0)[0]:
            self._server.pump(self.now, ready)

    def kill(self) -> None:
        self.board._link.channel.close()
        self.settle()

    def start(self) -> None:
        self.board = self._attached()

    def close(self) -> None:
        self.board.close()
        self._server.close()

    def _attached(self) -> RemoteBoard:
        """The board's own end waits for the server's answer, so it does so aside."""
        boards: list[RemoteBoard] = []
        store, session_store = (FileStore(record, _complain) for record in self._records)
        thread = threading.Thread(
            target=lambda: boards.append(RemoteBoard(self._path, "s1", self._bus, store, session_store, self.journal))
        )
        thread.start()
        while thread.is_alive():
            self.settle()
        return boards[0]


class Behind(PlantBoard):
    """The plant behind a simulated Pi, its dead-man and inputs too."""

    def __init__(self, plant: Plant, clock: Callable[[], float]) -> None:
        journal = PlantJournal("behind", lambda event, fields: None)
        super().__init__(plant, clock, _NoBus(), MemoryStore(), MemoryStore(), journal)
        self._plant, self._clock = plant, clock
        self.dead_man = self

    def refresh(self) -> bool:
        return self._plant.refresh(self._clock())

    def inputs(self) -> Inputs:
        self._plant.step(self._clock())
        return self._plant.inputs


class OnAPi(Rig):
    """`RaspberryBoard` on the pins, files and converter of a simulated Pi. Its threads' works are turned here."""

    board: RaspberryBoard
    accuracy = 0.5

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        spec = load_board(CONFIGS / "boards" / "carrier_mcp3208.toml")
        self._spec = replace(spec, dead_man=replace(spec.dead_man, window_s=DEAD_MAN_S))
        self._bus = SerialPort(folder / "none", 19200, lambda: self.now)
        self._works: list[Work] = []
        self._pi = SimulatedPi(self._spec, Behind(self.plant, lambda: self.now), folder / "pi", lambda: self.now)
        self.start()

    def refresh(self) -> bool:
        held = self.board.dead_man.refresh()
        self.settle()
        return held

    def inputs(self) -> Inputs:
        self.settle()
        inputs = self.board.inputs()
        return inputs._replace(pilot=PilotReading(*(round(volts * 2) / 2 for volts in inputs.pilot)))

    def settle(self) -> None:
        self.plant.step(self.now)
        self._pi.pump()
        self.plant.step(self.now)
        self._pi.pump()
        for work in self._works:
            work.turn()

    def lamp_shows(self, light: Light) -> bool:
        pins = (self._spec.lamp.red, self._spec.lamp.green, self._spec.lamp.blue)
        shown, since = self.board.indicator._shown
        for _ in range(200):
            self.now += 0.05
            self.board.indicator.turn()
            lit = level_at(light, self.now - since)
            if [self._pi.level(pin) for pin in pins] != [lit and primary for primary in PRIMARIES[light.colour]]:
                return False
        return shown == light

    def kill(self) -> None:
        self._works.clear()
        self._pi.kill()
        self.board.parts.alone.close()

    def close(self) -> None:
        self.board.close()

    def start(self) -> None:
        stores = (
            FileStore(self._folder / "s1.json", _complain),
            FileStore(self._folder / "s1.session.json", _complain),
        )
        self.board = RaspberryBoard(
            lambda wake: Parts(self._spec, self._pi.hardware, lambda: self.now, wake),
            lambda: None,
            self._bus,
            stores,
            self.journal,
            self._turned_here,
        )

    def _turned_here(self, work: Work, _: object) -> ExitStack:
        self._works.append(work)
        return ExitStack()


def _complain(sentence: str) -> None:
    raise AssertionError(sentence)


RIGS: Mapping[str, Callable[[Path], Rig]] = {
    "in memory": lambda _: InMemory(),
    "over a socket": OverSocket,
    "on the pins of a Pi": OnAPi,
}


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = RIGS[request.param](tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def held(rig: Rig) -> Rig:
    """A rig whose dead-man was refreshed just now."""
    rig.refresh()
    assert rig.refresh()
    return rig


def near(rig: Rig, true: float) -> object:
    """What a meter or thermometer may show."""
    return pytest.approx(true, abs=rig.accuracy)


def charging(rig: Rig) -> Rig:
    """A car draws 24 A."""
    rig.plant.plug(CAR, rig.now)
    rig.board.pilot.pwm(40.0)
    rig.live(2.0)
    rig.board.contactor.close()
    rig.live(2.0)
    assert rig.board.meter.current_a() == near(rig, 24.0)
    return rig


# Outputs


def test_outputs_are_safe_at_the_start_and_nothing_holds_them(rig: Rig) -> None:
    assert rig.inputs() == Inputs(SWITCH, STEADY, False)
    assert rig.board.meter.current_a() == near(rig, 0.0)
    rig.board.pilot.pwm(50.0)
    rig.board.contactor.close()
    rig.run(CONTACTOR_S)
    assert rig.inputs() == Inputs(SWITCH, STEADY, False)


def test_pilot_verbs_show_in_the_inputs(held: Rig) -> None:
    pilot = held.board.pilot
    verbs: list[tuple[Callable[[], None], PilotReading]] = [
        (lambda: pilot.pwm(50.0), PWM),
        (pilot.fault, FAULTED),
        (pilot.steady, STEADY),
        (lambda: pilot.pwm(10), PWM),
    ]
    for verb, expected in verbs:
        verb()
        held.run(0.0)
        assert held.inputs().pilot == expected


def test_the_duty_is_the_one_asked_for(held: Rig) -> None:
    for duty in (10.0, 26.666666666666668, 96.0):
        held.board.pilot.pwm(duty)
        held.run(0.0)
        assert held.plant.duty == pytest.approx(duty, abs=1e-4)  # a generator counts nanoseconds


def test_contactor_verbs_show_in_the_feedback_once_it_has_moved(held: Rig) -> None:
    held.board.contactor.close()
    held.run(CONTACTOR_S / 2)
    assert not held.inputs().contactor_closed
    held.run(CONTACTOR_S / 2)
    assert held.inputs().contactor_closed
    held.board.contactor.open()
    held.run(CONTACTOR_S)
    assert not held.inputs().contactor_closed


def test_the_switch_shows_and_is_none_where_it_can_not_be_read(held: Rig) -> None:
    def shown() -> int | None:
        held.inputs()  # a board that sees it move may wait until it stands
        held.run(0.1)
        return held.inputs().switch

    held.plant.turn(15, held.now)
    assert shown() == 15
    held.plant.inject("switch_unreadable", held.now)
    assert shown() is None


# Meter


def test_the_meter_shows_what_the_vehicle_draws(held: Rig) -> None:
    charging(held).board.pilot.pwm(20.0)
    held.live(1.0)
    assert held.board.meter.current_a() == near(held, 12.0)
    held.plant.unplug(held.now)
    held.live(1.0)
    assert held.board.meter.current_a() == near(held, 0.0)


def test_a_meter_that_does_not_answer_is_nan_until_it_does(held: Rig) -> None:
    charging(held).plant.inject("meter", held.now)
    held.live(1.0)
    assert isnan(held.board.meter.current_a())
    held.plant.clear("meter", held.now)
    held.live(1.0)
    assert held.board.meter.current_a() == near(held, 24.0)


def test_the_meter_shows_the_voltage(rig: Rig) -> None:
    assert rig.board.meter.voltage_v() == rig.plant.voltage_v == 240.0


# Ground


def test_the_sensor_trips_while_its_winding_is_driven_and_lets_go_after(held: Rig) -> None:
    held.board.ground_fault.test(True)
    held.run(TRIP_S * 0.9)
    assert not held.inputs().ground_fault
    held.run(TRIP_S * 0.2)
    assert held.inputs().ground_fault
    held.board.ground_fault.test(False)
    held.run(RELEASE_S * 0.9)
    assert held.inputs().ground_fault
    held.run(RELEASE_S * 0.2)
    assert not held.inputs().ground_fault


def test_a_deaf_sensor_does_not_trip(held: Rig) -> None:
    held.plant.inject("ground_fault_self_test", held.now)
    held.board.ground_fault.test(True)
    held.run(TRIP_S * 2)
    assert not held.inputs().ground_fault


def test_a_leak_trips_the_sensor_while_the_output_is_live(held: Rig) -> None:
    charging(held).plant.inject("ground_fault", held.now)
    held.run(TRIP_S)
    assert held.inputs().ground_fault
    held.board.contactor.open()
    held.run(CONTACTOR_S + RELEASE_S)
    assert not held.inputs().ground_fault


def test_a_missing_ground_shows_while_the_output_is_live(held: Rig) -> None:
    held.plant.inject("no_ground", held.now)
    held.run(0.0)
    assert held.inputs().grounded
    held.board.contactor.close()
    held.run(CONTACTOR_S)
    assert not held.inputs().grounded


def test_the_winding_is_not_driven_by_one_that_the_dead_man_has_dropped(rig: Rig) -> None:
    rig.board.ground_fault.test(True)
    rig.run(TRIP_S * 2)
    assert not rig.inputs().ground_fault


def test_the_dead_man_lets_go_of_the_winding(held: Rig) -> None:
    held.board.ground_fault.test(True)
    held.live(DEAD_MAN_S * 2)
    assert held.inputs().ground_fault
    held.run(DEAD_MAN_S + RELEASE_S)
    assert not held.inputs().ground_fault


# Thermometer and lamp


def test_the_thermometer_shows_the_temperature_and_nan_when_it_does_not_answer(held: Rig) -> None:
    def shown() -> float:
        held.run(1.0)
        held.inputs()
        return held.board.thermometer.celsius()

    assert shown() == near(held, AMBIENT_C)
    held.plant.inject("over_temperature", held.now, 66.5)
    assert shown() == near(held, 66.5)
    held.plant.inject("over_temperature", held.now)
    assert shown() == near(held, HOT_C)
    held.plant.inject("thermometer", held.now)
    assert isnan(shown())
    held.plant.clear("thermometer", held.now)
    held.plant.clear("over_temperature", held.now)
    assert shown() == near(held, AMBIENT_C)


def test_the_lamp_shows_what_it_is_told_and_no_dead_man_holds_it(rig: Rig) -> None:
    assert rig.plant.light == Light(Colour.OFF)
    lights = [Light(colour, blinks) for colour in Colour for blinks in ((), (2,), (3, 1))]
    for light in lights:
        rig.board.indicator.show(light)
        rig.run(DEAD_MAN_S * 2)
        assert rig.lamp_shows(light)


def test_a_lamp_without_power_is_off(rig: Rig) -> None:
    rig.board.indicator.show(Light(Colour.GREEN))
    rig.run(0.0)
    rig.plant.power_off(rig.now)
    rig.board.indicator.show(Light(Colour.RED))
    rig.run(0.0)
    assert rig.plant.light == Light(Colour.OFF)


# Event log


def test_records_reach_the_journal_that_the_board_was_given(rig: Rig) -> None:
    rig.board.journal.write("fault", {"fault": "diode"}, 100.5)
    assert rig.records == [("fault", {"fault": "diode"})]
    assert rig.board.journal.stamp(100.5)["t_s"] == 100.5
    assert rig.board.journal.problem == ""


# Dead-man


def test_outputs_stay_while_the_dead_man_is_refreshed(held: Rig) -> None:
    charging(held).live(20.0)
    assert held.inputs().contactor_closed


def test_outputs_are_let_go_when_nobody_refreshes_and_not_before(held: Rig) -> None:
    charging(held)
    assert held.refresh()
    held.run(DEAD_MAN_S * 0.99)
    assert held.inputs().contactor_closed
    held.run(DEAD_MAN_S * 0.01 + CONTACTOR_S)
    inputs = held.inputs()
    assert inputs.pilot.high_v == inputs.pilot.low_v > 0.0
    assert not inputs.contactor_closed
    held.run(1.0)
    assert held.board.meter.current_a() == near(held, 0.0)


def test_a_drop_is_told_exactly_once_and_verbs_count_from_then_on(held: Rig) -> None:
    charging(held)
    held.run(DEAD_MAN_S + CONTACTOR_S)
    held.board.contactor.close()  # by one that does not know
    held.board.pilot.pwm(50.0)
    held.run(CONTACTOR_S)
    assert held.plant.offered_a == 0.0
    assert not held.inputs().contactor_closed
    assert not held.refresh()
    held.run(CONTACTOR_S)
    assert held.plant.offered_a == 0.0
    assert not held.inputs().contactor_closed
    assert held.refresh()
    held.board.pilot.pwm(50.0)
    held.board.contactor.close()
    held.live(CONTACTOR_S)
    assert held.plant.offered_a == 30.0
    assert held.inputs().contactor_closed


def test_each_drop_is_told(held: Rig) -> None:
    for _ in range(3):
        held.run(DEAD_MAN_S)
        assert [held.refresh() for _ in range(3)] == [False, True, True]


# What outlives a process


def closed_after(rig: Rig, for_s: float) -> bool:
    rig.run(for_s)
    return rig.plant.inputs.contactor_closed


def test_outputs_outlive_a_killed_process_until_the_dead_man_acts(held: Rig) -> None:
    charging(held).refresh()
    held.kill()
    assert closed_after(held, DEAD_MAN_S * 0.99)
    assert not closed_after(held, DEAD_MAN_S * 0.01 + CONTACTOR_S)
    held.start()
    assert not held.inputs().contactor_closed


def test_each_store_is_empty_at_first_and_survives_a_restart(rig: Rig) -> None:
    assert (rig.board.store.load(), rig.board.session_store.load()) == (b"", b"")
    for record in (b"first", bytes(range(256)), b""):
        rig.board.store.save(record)
        rig.board.session_store.save(record + b"!")
        assert rig.board.store.load() == record
        rig.kill()
        rig.start()
        assert (rig.board.store.load(), rig.board.session_store.load()) == (record, record + b"!")


# Back to back


def act(rig: Rig, action: str, number: float) -> object:
    """Do one thing to a board or its plant."""
    if action == "refresh":
        return rig.refresh()
    drive(rig.board, action, number)
    befall(rig.plant, action, number, rig.now)
    rig.run(number * 0.6)
    return None


def drive(board: Board, action: str, number: float) -> None:
    match action:
        case "pwm":
            board.pilot.pwm(10.0 + 86.0 * number)
        case "close":
            board.contactor.close()
        case "open":
            board.contactor.open()
        case "steady":
            board.pilot.steady()
        case "fault":
            board.pilot.fault()
        case "test":
            board.ground_fault.test(number < 0.7)
        case "light":
            board.indicator.show(Light(Colour.AMBER, (int(6 * number), 1)))


def befall(plant: Plant, action: str, number: float, now: float) -> None:
    match action:
        case "turn":
            plant.turn(int(15 * number), now)
        case "car":
            plant.unplug(now) if plant.connected else plant.plug(CAR, now)
        case "meter" | "ground_fault" | "no_ground" | "over_temperature" | "thermometer":
            (plant.inject if number < 0.5 else plant.clear)(action, now)


def seen(rig: Rig) -> object:
    """All that can be read of it; NaN is not equal to itself, its word is."""
    inputs, board = rig.inputs(), rig.board
    return (
        inputs,
        repr((board.meter.current_a(), board.meter.voltage_v(), board.thermometer.celsius())),
        rig.plant.light,
    )


@pytest.mark.parametrize("seed", range(10))
def test_all_backends_do_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rigs: list[Rig] = [InMemory(), OverSocket(tmp_path)]
    for rig in rigs:
        rig.refresh()
    words = ["refresh"] * 12 + ["pwm", "close", "open", "steady", "fault", "test", "light", "turn", "car", "meter"]
    words += ["ground_fault", "no_ground", "over_temperature", "thermometer"]
    for _ in range(100):
        action, number = rng.choice(words), rng.random()
        one, other = ((act(rig, action, number), seen(rig)) for rig in rigs)
        assert one == other
    for rig in rigs:
        rig.close()
