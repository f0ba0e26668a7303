"""Energy meters to read: one behind a TCP gateway, played by pymodbus's own server, and one on a pty."""

import asyncio
import os
import pty
import termios
import threading
import tty
from collections.abc import Callable
from struct import pack
from types import TracebackType
from typing import Any, Self

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from firmware.bus.rtu import frame

UNIT = 1
REQUEST = frame(bytes([UNIT, 4, 0, 0, 0, 12]))
"""FC 04: 12 registers from 0."""


class Registers:
    """Three voltages and three currents, as a meter puts them into input registers 0-11."""

    def __init__(self) -> None:
        self.values = [230.1, 231.2, 229.7, 6.1, 16.4, 0.3]
        self.word_order = "big"

    def words(self) -> list[int]:
        raw = pack(">6f", *self.values)
        words = [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]
        return words if self.word_order == "big" else [words[at ^ 1] for at in range(len(words))]


class TcpMeter(Registers):
    """A meter on 127.0.0.1; what it answers can be bent."""

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.refusal: ExcCodes | None = None
        self.bend: Callable[[bytes], bytes] = bytes
        self.cuts = False
        """Close the connection instead of answering."""
        self.requests = 0
        self.port = port
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(10.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10.0)
        assert not self._thread.is_alive()

    def _made(self) -> Any:
        """pymodbus types not all of its server."""
        device = SimDevice(UNIT, SimData(0, count=80, datatype=DataType.REGISTERS), action=self._fill)
        return ModbusTcpServer(device, address=("127.0.0.1", self.port), trace_packet=self._packet)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._server = self._made()
        await self._server.serve_forever(background=True)
        listener = self._server.transport
        assert isinstance(listener, asyncio.Server)
        self.port = listener.sockets[0].getsockname()[1]
        self._listens.set()
        await self._end.wait()
        await self._server.shutdown()

    async def _fill(
        self, code: int, start: int, _at: int, _count: int, registers: list[int], _new: object
    ) -> ExcCodes | None:
        self.requests += 1
        assert (code, start) == (4, 0)
        registers[: len(self.words())] = self.words()
        return self.refusal

    def _packet(self, sending: bool, data: bytes) -> bytes:
        if sending and self.cuts:
            for connection in self._server.active_connections.values():
                assert isinstance(connection.transport, asyncio.Transport)
                connection.transport.abort()
        return self.bend(data) if sending else data


class SerialMeter(Registers):
    """A meter on a pty, which answers each whole request."""

    def __init__(self) -> None:
        super().__init__()
        self.bend: Callable[[bytes], bytes] = bytes
        self.requests = 0
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.vanish()

    @property
    def speed(self) -> int:
        """As its reader has set it, a constant of termios."""
        speed = termios.tcgetattr(self._slave)[5]
        assert isinstance(speed, int)
        return speed

    def vanish(self) -> None:
        """Its adapter is unplugged."""
        if self._thread.is_alive():
            os.write(self._slave, b"end")
            self._thread.join(10.0)
            os.close(self._slave)
            os.close(self._master)

    def _serve(self) -> None:
        heard = b""
        while True:
            heard += os.read(self._master, 256)
            if heard.endswith(b"end"):
                return
            if heard == REQUEST:
                heard = b""
                self.requests += 1
                body = bytes([UNIT, 4, 24]) + pack(">12H", *self.words())
                os.write(self._master, self.bend(frame(body)))
