"""Simulated plants in real time, behind a Unix socket: whatever becomes of a station's process, its outputs
stay as they were until the dead-man here lets go.

A connection that says "attach" is a station's board; every other asks for things to be done to the plants. A
dead-man behind a socket must not believe what was written before it let go: the server counts the drops of
each plant, the station repeats the count that it has been told of with each verb and each refresh, and one
with an older count changes nothing.
"""

import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from math import inf, isnan
from pathlib import Path
from select import select
from typing import Any

from hal.api import Colour, Light
from hal.simulated.channel import Channel
from hal.simulated.defects import HOT_C
from hal.simulated.plant import Plant
from hal.simulated.vehicle_spec import VehicleSpec

_MOST_CLIENTS = 100  # stations and people; far below what `select` can wait for

Message = dict[str, Any]
_CONVERT: Mapping[Any, Callable[[Any], Any]] = {str: str, bool: bool, int: int, float: float}
_COLOURS = {colour.value: colour for colour in Colour}
_VERBS: Mapping[Any, Callable[[Plant, float], object]] = {
    "refresh": Plant.refresh,
    "steady": Plant.pilot_steady,
    "fault": Plant.pilot_fault,
    "close": Plant.contactor_close,
    "open": Plant.contactor_open,
}
"""What a station's firmware may ask for in one word."""


class _Station:
    """One plant and the process that is its firmware, if there is one."""

    __slots__ = ("bus_cut", "channel", "name", "pid", "plant", "told", "view")

    def __init__(self, name: str, plant: Plant) -> None:
        self.name = name
        self.plant = plant
        self.bus_cut = False
        """Its bus port was made to vanish."""
        self.channel: Channel | None = None
        self.pid: int | None = None
        self.view: Message | None = None
        """What the firmware says of itself; the server does not read it."""
        self.told: Message = {}

    def sensed(self) -> Message:
        """What the board senses, in full, so that only the latest message counts."""
        plant = self.plant
        switch, (high_v, low_v), closed, ground_fault, grounded = plant.inputs
        return {
            "switch": switch,
            "high_v": high_v,
            "low_v": low_v,
            "closed": closed,
            "ground_fault": ground_fault,
            "grounded": grounded,
            "meter_a": _number(plant.meter_a),
            "voltage_v": plant.voltage_v,
            "celsius": _number(plant.celsius),
            "drops": plant.drops,
        }

    def leave(self) -> None:
        """Its process has gone."""
        self.channel = self.pid = self.view = None


def _no_bus_port(station: str, _works: bool) -> None:
    raise ValueError(f"only a bench has the bus port of {station} in its hands: unplug the cable instead")


class PlantServer:
    """Plants by name. `pump` it when a descriptor is ready or `next_wakeup` has come."""

    def __init__(
        self,
        listener: socket.socket,
        plants: Mapping[str, Plant],
        now: float,
        bus_port: Callable[[str, bool], None] = _no_bus_port,
    ) -> None:
        """`listener` is bound and listens; the server owns it. `bus_port` makes the bus port of the station named
        vanish (False) or come back; it may raise ValueError or OSError."""
        listener.setblocking(False)
        self._listener = listener
        self._stations = {name: _Station(name, plant) for name, plant in plants.items()}
        self._clients: dict[int, Channel] = {}
        self._boards: dict[int, _Station] = {}
        self._began = now
        self._bus_port = bus_port

    def filenos(self) -> Sequence[int]:
        """Descriptors to wait on for reading."""
        return [self._listener.fileno(), *self._clients]

    def backlog(self) -> Sequence[int]:
        """Descriptors to wait on for writing."""
        return [fd for fd, client in self._clients.items() if client.backlog]

    def next_wakeup(self) -> float:
        """Absolute seconds; inf = nothing pending."""
        return min((station.plant.next_wakeup() for station in self._stations.values()), default=inf)

    def pump(self, now: float, ready: Collection[int]) -> None:
        """Do what is due and what is asked; `ready` are descriptors that can be read or written."""
        for station in self._stations.values():
            station.plant.step(now)
        for fd in [fd for fd in self._clients if fd in ready]:
            self._serve(fd, now)
        if self._listener.fileno() in ready:
            self._accept()
        for station in self._stations.values():
            self._tell(station)

    def status(self, now: float) -> list[Message]:
        """Each station: what its plant really does, and what its firmware says (None = no process)."""
        return [self._status(station, now) for station in self._stations.values()]

    def close(self) -> None:
        """Hang up on everybody."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._listener.close()

    # Connections

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:  # it has gone again
            return
        if len(self._clients) < _MOST_CLIENTS:
            self._clients[connected.fileno()] = Channel(connected)
        else:
            connected.close()

    def _serve(self, fd: int, now: float) -> None:
        client = self._clients[fd]
        client.flush()
        for message in client.receive():
            station = self._boards.get(fd)
            if station is not None:
                client.gone |= not self._drive(station, message, now)
            elif message.get("do") == "attach":
                client.send(self._attach(fd, message))
            else:
                client.send(self._answer(message, now))
        if client.gone:
            self._hang_up(fd)

    def _hang_up(self, fd: int) -> None:
        self._clients.pop(fd).close()
        station = self._boards.pop(fd, None)
        if station is not None:
            station.leave()

    def _attach(self, fd: int, message: Message) -> Message:
        """A station's process is here: it gets what the board senses."""
        station = self._stations.get(str(message.get("station")))
        if station is None:
            return {"error": f"there is no station {message.get('station')}"}
        if station.channel is not None:
            return {"error": f"station {station.name} is running already, as process {station.pid}"}
        self._boards[fd] = station
        station.channel, station.pid = self._clients[fd], message.get("pid")
        station.told = station.sensed()
        return station.told

    def _tell(self, station: _Station) -> None:
        """Send what has changed. To one that does not read now, the latest later, rather than all of it."""
        channel = station.channel
        if channel is None or channel.backlog:
            return
        sensed = station.sensed()
        if sensed != station.told:
            station.told = sensed
            channel.send(sensed)

    # What a station's process asks

    @staticmethod
    def _drive(station: _Station, message: Message, now: float) -> bool:
        """A verb of its firmware. False when it is none."""
        if message.get("drops") != station.plant.drops and message.get("do") not in ("view", "light"):
            return True
        plant, do = station.plant, message.get("do")
        if isinstance(do, str) and do in _VERBS:
            _VERBS[do](plant, now)
            return True
        match message:
            case {"do": "view", "view": dict(view)}:
                station.view = view
            case {"do": "pwm", "duty": float(duty)}:
                plant.pilot_pwm(duty, now)
            case {"do": "test", "on": bool(on)}:
                plant.ground_fault_test(on, now)
            case {"do": "light", "colour": str(colour), "blinks": list(blinks)} if colour in _COLOURS and all(
                type(blink) is int for blink in blinks
            ):
                plant.show(Light(_COLOURS[colour], tuple(blinks)))
            case _:
                return False
        return True

    # What people ask

    def _answer(self, message: Message, now: float) -> Message:
        if message.get("do") == "status":
            return {"stations": self.status(now)}
        station = self._stations.get(str(message.get("station")))
        if station is None:
            return {"error": f"there is no station {message.get('station')}"}
        try:
            self._act(station, message, now)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as refused:
            return {"error": str(refused)}
        return self._status(station, now)

    def _act(self, station: _Station, message: Message, now: float) -> None:
        plant = station.plant
        match message.get("do"):
            case "plug":
                plant.plug(_vehicle(message["vehicle"]), now)
            case "unplug":
                plant.unplug(now)
            case "switch":
                plant.turn(int(message["position"]), now)
            case "fault" | "clear" as do if message["kind"] == "bus_port":
                self._bus_port(station.name, do == "clear")
                station.bus_cut = do == "fault"
            case "fault":
                plant.inject(str(message["kind"]), now, _celsius(message.get("celsius", HOT_C)))
            case "clear":
                plant.clear(str(message["kind"]), now)
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")

    def _status(self, station: _Station, now: float) -> Message:
        plant = station.plant
        vehicle = plant.vehicle
        return {
            "t_s": round(now - self._began, 3),
            "station": station.name,
            "switch": plant.switch,
            "letter": plant.letter,
            "offered_a": plant.offered_a,
            "drawn_a": plant.current_a,
            "closed": plant.contactor_closed,
            "vehicle": None if vehicle is None else vehicle.name,
            "lamp": plant.light.words,
            "celsius": _number(plant.celsius),
            "injected": sorted(plant.faults | ({"bus_port"} if station.bus_cut else set())),
            "pid": station.pid,
            "alive": station.channel is not None and station.plant.held,
            "firmware": station.view,
        }


def _number(value: float) -> float | None:
    """As JSON has it: a sensor that does not answer gives null."""
    return None if isnan(value) else value


def _celsius(value: object) -> float:
    """The temperature of a request. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -60 <= value <= 200:
        raise ValueError(f"celsius {value}: expected -60 to 200")
    return float(value)


def _vehicle(given: Message) -> VehicleSpec:
    """The vehicle of a request. Raises KeyError, TypeError, ValueError or OverflowError."""
    if not isinstance(given, dict):
        raise TypeError("vehicle: expected a table")
    types = {field.name: field.type for field in fields(VehicleSpec)}
    return VehicleSpec(**{key: _CONVERT[types[key]](value) for key, value in given.items()})


def listen(path: Path) -> socket.socket:
    """A socket that listens at a path; a file that a dead server left there is replaced. The caller holds the
    lock that keeps a second live one away. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(64)
    except OSError as error:
        listener.close()
        if "too long" in str(error):
            raise OSError(f"{path} is too long for a socket: give a shorter --dir") from None
        raise
    return listener


def main(arguments: Sequence[str]) -> int:
    """One plant for one lone station: `FD NAME SWITCH`, the descriptor of its listening socket, its name and
    the position of its switch. Ends with its parent, which keeps the other end of stdin."""
    fd, name, switch = arguments
    server = PlantServer(socket.socket(fileno=int(fd)), {name: Plant(int(switch))}, time.monotonic())
    lifeline = sys.stdin.fileno()
    while True:
        due = server.next_wakeup() - time.monotonic()
        timeout = None if due == inf else max(0.0, due)
        readable, writable, _ = select([lifeline, *server.filenos()], server.backlog(), [], timeout)
        if lifeline in readable:
            return 0
        server.pump(time.monotonic(), {*readable, *writable})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
