"""Answers `watti status` and `watti switch` for a station on hardware, as a bench's server does for its stations.

It runs beside the loop: whoever asks, however slowly, holds up nothing that matters.
"""

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from math import isnan
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any

from firmware.app import App
from firmware.bus.messages import NO_CURRENT
from firmware.lamp import light
from firmware.rotary import parse_position
from hal.api import Store
from hal.simulated.channel import LONGEST, parse

_PATIENCE_S = 3.0


class StoredSwitch:
    """The rotary switch of a board that has none: a position that is stored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.position: int | None = None
        """None until one has been stored."""
        with suppress(ValueError):  # nothing, or spoilt: nobody has set it
            self.position = parse_position(store.load().decode().strip())

    def turn(self, position: int) -> None:
        """Store it; it counts from now on. Raises OSError where it can't be stored: then the one before counts."""
        self._store.save(f"{position:X}\n".encode())
        if self._store.problem:
            raise OSError(f"the switch is not turned, as {self._store.problem.rpartition(': ')[0]}")
        self.position = position


class Desk:
    """The socket of one station's process."""

    def __init__(self, path: Path, name: str, switch: StoredSwitch | None) -> None:
        """`switch` is None where the board has one: nobody turns that from here. Raises OSError."""
        self._path = path
        self._name = name
        self._switch = switch
        self._status: Mapping[str, Any] = {}
        """Empty until the firmware has started."""
        path.unlink(missing_ok=True)  # of one that was killed: who holds the name is alone
        desk = self

        class Handler(StreamRequestHandler):
            timeout = _PATIENCE_S

            def handle(self) -> None:
                try:
                    answer = desk.answer(parse(self.rfile.readline(LONGEST)) or {})
                    self.wfile.write(json.dumps(answer).encode() + b"\n")
                except OSError:  # it has gone
                    return

        class Server(ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Nobody's question may end up as a traceback in the log."""

        self._server = Server(str(path), Handler)
        threading.Thread(target=self._server.serve_forever, name="Desk", daemon=True).start()

    def show(self, app: App, said: Mapping[str, Any], now: float) -> None:
        """How the station stands now; `said`: what its firmware says of itself."""
        view, sensors = app.view(), app.station.sensors
        self._status = {
            "t_s": round(now, 3),
            "station": self._name,
            "pid": os.getpid(),
            "alive": True,
            "vehicle": None,
            "switch": view.switch,
            "letter": view.state[0],
            "offered_a": view.offered_da / 10,
            "drawn_a": 0.0 if sensors.drawn_da == NO_CURRENT else sensors.drawn_da / 10,
            "closed": view.closed,
            "lamp": light(view.state, view.closed, view.reason, view.fault).words,
            "celsius": None if isnan(sensors.celsius) else round(sensors.celsius, 1),
            "firmware": said,
        }

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is answered to a request, as `hal.simulated.server` answers."""
        match request.get("do"):
            case "status":
                return {"stations": [self._status] if self._status else []}
            case "switch":
                return self._turn(request.get("position"))
        return {"error": "a station on hardware can only be asked for its status and told its switch"}

    def _turn(self, position: object) -> Mapping[str, Any]:
        if self._switch is None:
            return {"error": "this board has a rotary switch of its own: turn that"}
        if type(position) is not int or not 0 <= position <= 15:
            return {"error": "expected a position from 0 to 15"}
        try:
            self._switch.turn(position)
        except OSError as refused:
            return {"error": str(refused)}
        return {**self._status, "switch": position}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)
