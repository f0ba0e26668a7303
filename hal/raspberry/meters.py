"""What measures the current to the vehicle: an energy meter that speaks Modbus, or a current transformer on the ADC.

pymodbus is imported by the thread that opens a meter: the core starts without it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from math import isfinite, isnan, nan
from struct import pack, unpack
from typing import TYPE_CHECKING, Protocol

from hal.raspberry.latest import Latest
from hal.raspberry.spec import CtSpec, EnergyMeterSpec

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

FRESH_S = 2.0
"""A reading counts this long: one lost answer leaves no gap."""
TIMEOUT_S = 0.5
"""For connecting, and for an answer: at 2400 baud it has come after 0.3 s (I)."""
VOLTS = (80.0, 300.0)
"""That a line may have to neutral; outside, the registers are not what they seem."""
_BACK_OFF_S = (0.0, 1.0, 2.0, 4.0)
"""To wait after one failure, after two in a row, ..."""
_REGISTERS = 12
"""Input registers from 0: volts of lines 1-3, amperes of lines 1-3, as float32. All in one answer belong to one moment.
An SDM120 knows line 1 and fills up with zeros."""
_LINES = 3
_NO_SUCH_REGISTERS = (1, 2, 3)
_GATEWAY = (10, 11)

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # `problem` says it


class EnergyMeter:
    """`hal.api.Meter`, and the `Work` that reads it. Nothing that the meter or its connection does raises anything; it
    is asked again by itself. It has to be wired before the contactor: without voltage it can't be believed."""

    every_s = 0.5
    """Eastron's meters want 0.1 s between two requests (S)."""

    def __init__(self, spec: EnergyMeterSpec, clock: Callable[[], float], timeout_s: float = TIMEOUT_S) -> None:
        self._spec = spec
        self._clock = clock
        self._timeout_s = timeout_s
        self._amps = Latest(FRESH_S, clock)
        self._volts = Latest(FRESH_S, clock)
        self._client: _Client | None = None
        self._failures = 0
        self._retry_at = clock()
        self._fits: bool | None = None
        """Whether the word order is the configured one; None until an answer makes sense in one order only."""
        self._why = "it has not been read yet"

    def current_a(self) -> float:
        """The largest of the wired lines, as a magnitude: these registers have no sign, and where a firmware gives them
        one, a transformer that is turned round must not hide what the vehicle draws."""
        return self._amps.value

    def voltage_v(self) -> float:
        """Of the line with the largest current."""
        return self._volts.value

    @property
    def problem(self) -> str:
        """Why there is no current, and what to do; empty when there is one."""
        if not isnan(self._amps.value):
            return ""
        spec = self._spec
        where = f"{spec.kind} meter, unit {spec.unit} at {spec.port or spec.host}"
        return f"{where}: {self._why or f'no answer for {FRESH_S:g} s, its reader hangs: restart'}"

    def turn(self) -> None:
        """Read it once, unless it is not yet time to try again."""
        started = self._clock()
        if started < self._retry_at:
            return
        try:
            registers = self._read()
        except _UnreadError as unread:
            self._why = str(unread)
        else:
            self._failures = 0
            self._why = self._judge(registers, started)

    def close(self) -> None:
        """Give back the port. Its worker has to have ended."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _read(self) -> Sequence[int]:
        """Raises `_UnreadError`."""
        try:
            client = self._client = self._client or _opened(self._spec, self._timeout_s)
            answer = client.read_input_registers(0, count=_REGISTERS, device_id=self._spec.unit)
        except Exception as error:  # whatever pymodbus or its transport makes of broken frames and ports
            self.close()
            self._retry_at = self._clock() + _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
            self._failures += 1
            if isinstance(error, _UnreadError):
                raise
            raise _UnreadError(f"no answer: {_connection(self._spec)}") from error
        if answer.isError():
            raise _UnreadError(_refusal(answer.exception_code, self._spec))
        if len(answer.registers) != _REGISTERS:
            raise _UnreadError(f"an answer of another size than asked for: it is no {self._spec.kind}, or two answer")
        return answer.registers

    def _judge(self, registers: Sequence[int], now: float) -> str:
        """Take the reading. What is wrong with it, or nothing; then the one before doesn't count any more either."""
        mine, other = numbers(registers, self._spec.word_order), numbers(registers, _other(self._spec.word_order))
        makes_sense = self._makes_sense(mine)
        if makes_sense != self._makes_sense(other):
            self._fits = makes_sense
        elif not makes_sense:
            self._fits = None
        amps, volts = max((abs(mine[_LINES + line - 1]), mine[line - 1]) for line in self._spec.lines)
        why = self._doubt(mine, makes_sense)
        self._amps.take(nan if why else amps, now)
        self._volts.take(nan if why else volts, now)
        return why

    def _makes_sense(self, values: Sequence[float]) -> bool:
        return all(VOLTS[0] <= values[line - 1] <= VOLTS[1] for line in self._spec.lines)

    def _doubt(self, values: Sequence[float], makes_sense: bool) -> str:
        if self._fits is False:
            right = _other(self._spec.word_order)
            return f'its voltages make sense only in the other word order: set word_order = "{right}" in the board file'
        if not makes_sense:
            line = next(one for one in self._spec.lines if not VOLTS[0] <= values[one - 1] <= VOLTS[1])
            return f"it shows {values[line - 1]:.4g} V on line {line}: check its wiring, and lines in the board file"
        if self._fits is None:
            return "its word order can't be told from this reading: wait for the next"
        if not all(isfinite(values[_LINES + line - 1]) for line in self._spec.lines):
            return "it shows a current that is no number: switch it off and on, or replace it"
        return ""


class CtMeter:
    """`hal.api.Meter` of a current transformer that the ADC samples."""

    def __init__(self, spec: CtSpec, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._amps = Latest(FRESH_S, clock)
        self._why = ""

    def take(self, volts_rms: float, now: float) -> None:
        """The alternating part at the ADC's input, V RMS, as measured at `now` (monotonic s); NaN = there is none to
        believe."""
        self._why = _NO_SIGNAL if isnan(volts_rms) else ""
        self._amps.take(volts_rms * self._spec.amps_per_volt, now)

    def current_a(self) -> float:
        return self._amps.value

    def voltage_v(self) -> float:
        """What the installer wrote down."""
        return self._spec.voltage_v

    @property
    def problem(self) -> str:
        """Why there is no current, and what to do; empty when there is one. What ails the ADC, its reader tells."""
        if not isnan(self._amps.value):
            return ""
        why = self._why or f"not sampled within {FRESH_S:g} s"
        return f"current transformer on ADC channel {self._spec.adc_channel}: {why}"


_NO_SIGNAL = (
    "no signal around half the ADC's range: unless the ADC itself can't be read, check its bias (it is off), and its "
    "burden (too large, the wave is cut)"
)


def numbers(registers: Sequence[int], word_order: str) -> tuple[float, ...]:
    """Float32 of pairs of registers."""
    first, second = (0, 1) if word_order == "big" else (1, 0)
    words = [registers[at + part] for at in range(0, len(registers), 2) for part in (first, second)]
    return unpack(f">{len(words) // 2}f", pack(f">{len(words)}H", *words))


class _UnreadError(Exception):
    """The meter could not be read; the message says why and what to do."""


class _Client(Protocol):
    """What pymodbus offers, with types."""

    def connect(self) -> bool: ...

    def read_input_registers(self, address: int, *, count: int, device_id: int) -> "ModbusPDU": ...

    def close(self) -> None: ...


def _opened(spec: EnergyMeterSpec, timeout_s: float) -> _Client:
    """Raises `_UnreadError`."""
    from pymodbus.client import ModbusSerialClient, ModbusTcpClient

    client: _Client
    if spec.port is not None:
        client = ModbusSerialClient(spec.port, baudrate=spec.baud, timeout=timeout_s, retries=0)
    else:
        name, _, number = (spec.host or "").partition(":")
        client = ModbusTcpClient(name, port=int(number or 502), timeout=timeout_s, retries=0)
    if not client.connect():
        raise _UnreadError(_closed(spec))
    return client


def _closed(spec: EnergyMeterSpec) -> str:
    if spec.port is None:
        return "no connection: check that it is on and in this network, and that nobody else is connected to it"
    if not os.access(spec.port, os.F_OK):
        return "the port is not there: check its adapter, or its overlay in /boot/firmware/config.txt"
    if not os.access(spec.port, os.R_OK | os.W_OK):
        return "the port may not be opened by this user: add the user to the group dialout"
    return "the port can't be opened: another process holds it, or it is no serial port"


def _connection(spec: EnergyMeterSpec) -> str:
    if spec.port is None:
        return f"check that it is set to unit {spec.unit}, and the wires between it and its gateway"
    return f"check its wires A and B, and that it is set to unit {spec.unit}, {spec.baud} baud, no parity"


def _refusal(code: int, spec: EnergyMeterSpec) -> str:
    """What a Modbus exception means here."""
    if code in _NO_SUCH_REGISTERS:
        return f"it refuses the registers of an {spec.kind} (exception {code}): check kind and unit in the board file"
    if code in _GATEWAY:
        return f"its gateway gets no answer from it (exception {code}): {_connection(spec)}"
    return f"it can't answer (exception {code}): check unit in the board file, or switch it off and on"


def _other(word_order: str) -> str:
    return "little" if word_order == "big" else "big"
