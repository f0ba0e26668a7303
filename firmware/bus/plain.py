"""Plain Modbus for any other master: reading registers and the identification of a station.

The only file of the firmware that knows pymodbus: its PDUs are sound, its server and framer do not survive a line that
is shared.
"""

import logging
from collections.abc import Callable, Sequence

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
)

from firmware.bus.rtu import frame

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # noise on the line is counted, not logged

_READS = (0x03, 0x04)
_LENGTHS = {0x03: 8, 0x04: 8, 0x2B: 7}
"""Of requests, by function code."""
_MAX_COUNT = 125  # registers in one read (Modbus application protocol V1.1b3, 6.3)
_BASIC_OBJECTS = 3  # 0-2 are the basic category of Read Device Identification (6.21)
_INDIVIDUAL = 4


class PlainModbus:
    """Answers FC 03, FC 04 and FC 0x2B/0x0E; everything else gets the exception the standard asks for."""

    def __init__(self, registers: Callable[[], Sequence[int]], identification: Sequence[str]) -> None:
        """`registers`: values of the status block from register 0. `identification`: texts of objects 0, 1, ..."""
        self._registers = registers
        self._objects = dict(enumerate(identification))
        self._decode = DecodePDU(True).decode

    def answer(self, request: bytes) -> bytes:
        """The whole frame that answers a whole frame; empty when it is not a request this could be."""
        code = request[1]
        if _LENGTHS.get(code, len(request)) != len(request):
            return b""  # somebody's answer
        if code in _READS and not 1 <= int.from_bytes(request[4:6], "big") <= _MAX_COUNT:
            return _frame(request, ExceptionResponse(code, ExcCodes.ILLEGAL_VALUE))
        try:
            pdu = self._decode(request[1:-2])
        except (ModbusException, ValueError, IndexError):
            return _frame(request, ExceptionResponse(code, ExcCodes.ILLEGAL_VALUE))
        if pdu is None or code & 0x80:
            return b""
        return _frame(request, self._respond(pdu))

    def _respond(self, pdu: ModbusPDU) -> ModbusPDU:
        if isinstance(pdu, ReadHoldingRegistersRequest):
            return self._read(pdu)
        if isinstance(pdu, ReadDeviceInformationRequest):
            return self._identify(pdu)
        return ExceptionResponse(pdu.function_code, ExcCodes.ILLEGAL_FUNCTION)

    def _read(self, pdu: ReadHoldingRegistersRequest) -> ModbusPDU:
        values = self._registers()
        if pdu.address + pdu.count > len(values):
            return ExceptionResponse(pdu.function_code, ExcCodes.ILLEGAL_ADDRESS)
        wanted = list(values[pdu.address : pdu.address + pdu.count])
        if isinstance(pdu, ReadInputRegistersRequest):
            return ReadInputRegistersResponse(registers=wanted)
        return ReadHoldingRegistersResponse(registers=wanted)

    def _identify(self, pdu: ReadDeviceInformationRequest) -> ModbusPDU:
        if not 1 <= pdu.read_code <= _INDIVIDUAL:
            return ExceptionResponse(pdu.function_code, ExcCodes.ILLEGAL_VALUE)
        if pdu.read_code == _INDIVIDUAL:
            if pdu.object_id not in self._objects:
                return ExceptionResponse(pdu.function_code, ExcCodes.ILLEGAL_ADDRESS)
            wanted = {pdu.object_id: self._objects[pdu.object_id]}
        else:
            last = _BASIC_OBJECTS if pdu.read_code == 1 else len(self._objects)
            wanted = {i: text for i, text in self._objects.items() if i < last}
        return ReadDeviceInformationResponse(pdu.read_code, dict(wanted))


def _frame(request: bytes, response: ModbusPDU) -> bytes:
    return frame(bytes((request[0], response.function_code)) + response.encode())
