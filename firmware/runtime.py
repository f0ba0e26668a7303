"""The real loop: it waits for what happens to one station, and is the firmware's only reader of the clock.

The clock is read after every wait and again before timers run: whatever held the process up meanwhile, the
node is told the time that it really is.
"""

import signal
import socket
import time
from collections.abc import Callable, Collection
from select import select
from typing import Any

from hal.api import Inputs, LiveBoard, Node

REFRESH_S = 0.25  # of the dead-man's 1 s: three may come late (I)


class Signals:
    """Signals as bytes of a descriptor to wait on, instead of interruptions anywhere."""

    def __init__(self, *numbers: int) -> None:
        """SIGINT, SIGTERM, SIGHUP and further `numbers`. An ignored SIGHUP (nohup) stays ignored."""
        self._readable, self._writable = socket.socketpair()
        self._readable.setblocking(False)
        self._writable.setblocking(False)
        signal.set_wakeup_fd(self._writable.fileno(), warn_on_full_buffer=False)
        self._before: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *numbers):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        return self._readable.fileno()

    def received(self) -> list[int]:
        """The numbers that have come since the last call."""
        try:
            return list(self._readable.recv(4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Signals do what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        self._readable.close()
        self._writable.close()


class Runtime:
    """One station in real time."""

    def __init__(
        self,
        board: LiveBoard,
        boot: Callable[[Inputs, float], Node],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`boot` makes the node from the first look at the board. `clock`: monotonic seconds."""
        self._board = board
        self._clock = clock
        board.dead_man.refresh()
        self._inputs = board.inputs()
        now = clock()
        self._refresh_at = now + REFRESH_S
        self._sample_at = now + board.sample_s
        self._bus_works = True
        self.node = boot(self._inputs, now)

    def run(self, signals: Signals, publish: Callable[[float], None]) -> int:
        """Until a signal asks for the end; returns its number. `publish` is called after each turn. Raises
        `BoardGone`."""
        while True:
            self.turn(self._wait(signals.fileno()))
            publish(self._clock())
            numbers = signals.received()
            if numbers:
                return numbers[0]

    def wait_s(self) -> float:
        """How long nothing is to be done unless a descriptor becomes ready."""
        due = min(self.node.next_wakeup(), self._refresh_at, self._sample_at, self._board.bus.next_send())
        return max(0.0, due - self._clock())

    def turn(self, ready: Collection[int]) -> None:
        """Everything that is due or has come; `ready` are descriptors that can be read. The dead-man first:
        verbs of a process that stood still must not be uttered before it knows."""
        if self._clock() >= self._refresh_at:
            self._hold()
        self._sense()
        self._listen(ready)
        now = self._clock()
        if now >= self.node.next_wakeup():
            self.node.step(now)
        self._board.bus.flush()

    def _wait(self, stop: int) -> list[int]:
        descriptors = [stop, *self._board.filenos(), *self._board.bus.filenos()]
        return select(descriptors, [], [], self.wait_s())[0]

    def _hold(self) -> None:
        now = self._clock()
        self._refresh_at = now + REFRESH_S
        if not self._board.dead_man.refresh():
            self.node.on_outputs_dropped(now)

    def _sense(self) -> None:
        """Look at the board, whatever woke the loop: timers must not judge by what was seen before, and a refresh may
        have taken in what the descriptor would have told."""
        self._sample_at = self._clock() + self._board.sample_s
        if self._board.inputs() == self._inputs:
            return
        self._hold()  # a pilot that the dead-man let go must not be taken for a fault
        self._inputs = self._board.inputs()
        self.node.on_inputs(self._inputs, self._clock())

    def _listen(self, ready: Collection[int]) -> None:
        bus = self._board.bus
        descriptors = bus.filenos()
        if not descriptors or any(fd in ready for fd in descriptors):
            data = bus.receive()
            if data:
                self.node.on_bytes(data, self._clock())
        if (not bus.problem) != self._bus_works:
            self._bus_works = not self._bus_works
            self.node.on_bus(self._bus_works, self._clock())
