"""A station's board whose plant lives in another process, and how to ask that process for things."""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Any, NamedTuple

from hal.api import BoardGone, Inputs, Journal, Light, LiveBus, PilotReading, Store
from hal.simulated.channel import LONGEST, Channel, parse

ANSWER_S = 3.0
"""A server that lives answers within milliseconds; one that has been stopped never does."""


class Refused(Exception):
    """The server does not do what was asked; the message says why."""


def ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What the server at a socket answers. Raises `Refused`, TimeoutError, or OSError where there is none, or none that
    speaks as one."""
    with _connected(path) as connected:
        return _exchange(connected, request)


def _connected(path: Path) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(ANSWER_S)
    try:
        connected.connect(str(path))
    except BaseException:
        connected.close()
        raise
    return connected


def _exchange(connected: socket.socket, request: Mapping[str, Any]) -> dict[str, Any]:
    """One request and its answer, waited for. Where more has come by then, the last of it: what a board senses."""
    connected.sendall(json.dumps(request).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        data = connected.recv(65536)
        if not data:
            raise ConnectionResetError("the server has gone")
        answer += data
        if len(answer) > LONGEST:
            raise OSError("the server's answer has no end")
    message = parse(answer.splitlines()[-1])
    if message is None:
        raise OSError("the server speaks nonsense")
    if "error" in message:
        raise Refused(str(message["error"]))
    return message


@dataclass(slots=True)
class _Link:
    """The connection to the plant and the last that came over it."""

    channel: Channel
    sensed: "_Sensed"
    drops: int
    """How often the dead-man has let go."""
    known_drops: int
    """How many of these the firmware has been told of."""

    def say(self, do: str, **further: object) -> None:
        """A verb, with the drops that its speaker knew of: an older count is not obeyed."""
        self.channel.send({"do": do, "drops": self.known_drops, **further})

    def drain(self) -> None:
        """Take in what has come; the latest counts."""
        self.channel.flush()
        messages = self.channel.receive()
        if messages:
            self.sensed, self.drops = _sensed(messages[-1]), messages[-1]["drops"]


class _Sensed(NamedTuple):
    """What the board senses."""

    inputs: Inputs
    meter_a: float
    voltage_v: float
    celsius: float


def _sensed(message: Mapping[str, Any]) -> _Sensed:
    reading = PilotReading(message["high_v"], message["low_v"])
    ground_fault, grounded = message["ground_fault"], message["grounded"]
    inputs = Inputs(message["switch"], reading, message["closed"], ground_fault, grounded)
    return _Sensed(inputs, _number(message["meter_a"]), message["voltage_v"], _number(message["celsius"]))


def _number(value: float | None) -> float:
    return nan if value is None else value


class _Pilot:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def steady(self) -> None:
        self._link.say("steady")

    def pwm(self, duty: float) -> None:
        self._link.say("pwm", duty=float(duty))

    def fault(self) -> None:
        self._link.say("fault")


class _Contactor:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def close(self) -> None:
        self._link.say("close")

    def open(self) -> None:
        self._link.say("open")


class _Meter:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def current_a(self) -> float:
        return self._link.sensed.meter_a

    def voltage_v(self) -> float:
        return self._link.sensed.voltage_v


class _GroundFault:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def test(self, on: bool) -> None:
        self._link.say("test", on=on)


class _Thermometer:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def celsius(self) -> float:
        return self._link.sensed.celsius


class _Indicator:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def show(self, light: Light) -> None:
        self._link.say("light", colour=light.colour.value, blinks=light.blinks)


class _DeadMan:
    def __init__(self, link: _Link) -> None:
        self._link = link

    def refresh(self) -> bool:
        link = self._link
        link.drain()
        held = link.drops == link.known_drops
        link.known_drops = link.drops
        link.say("refresh")
        return held


class RemoteBoard:
    """`hal.api.LiveBoard` over a plant of the server at `path`."""

    sample_s = inf
    """The server tells of every change."""

    def __init__(
        self, path: Path, station: str, bus: LiveBus, store: Store, session_store: Store, journal: Journal
    ) -> None:
        """Raises `Refused` where the plant is taken or missing, and OSError where there is no server."""
        connected = _connected(path)
        try:
            first = _exchange(connected, {"do": "attach", "station": station, "pid": os.getpid()})
        except BaseException:
            connected.close()
            raise
        self._path = path
        drops = first["drops"]
        self._link = link = _Link(Channel(connected), _sensed(first), drops, drops)
        self.pilot = _Pilot(link)
        self.contactor = _Contactor(link)
        self.meter = _Meter(link)
        self.ground_fault = _GroundFault(link)
        self.thermometer = _Thermometer(link)
        self.indicator = _Indicator(link)
        self.dead_man = _DeadMan(link)
        self.bus = bus
        self.store = store
        self.session_store = session_store
        self.journal = journal

    def filenos(self) -> Sequence[int]:
        return [self._link.channel.fileno()]

    def inputs(self) -> Inputs:
        self._link.drain()
        if self._link.channel.gone:
            raise BoardGone(f"the plant behind {self._path} has gone")
        return self._link.sensed.inputs

    def publish(self, view: Mapping[str, Any]) -> None:
        """What the firmware says of itself, for whoever asks the server."""
        self._link.say("view", view=view)

    def close(self) -> None:
        self.contactor.open()
        self.pilot.steady()
        self._link.channel.close()
