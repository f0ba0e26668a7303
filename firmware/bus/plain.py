"""Plain Modbus for any other master: reading registers and the identification of a station.

The only file that knows pymodbus: its PDUs are sound, its server and framer do not survive a line that is shared.
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
        try:
            pdu = self._decode(request[1:-2])
        except (ModbusException, ValueError, IndexError):
            return self._frame(request, ExceptionResponse(request[1], ExcCodes.ILLEGAL_VALUE))
        if pdu is None or pdu.function_code & 0x80:
            return b""
        return self._frame(request, self._respond(pdu, request))

    def _frame(self, request: bytes, response: ModbusPDU) -> bytes:
        return frame(bytes((request[0], response.function_code)) + response.encode())

    def _respond(self, pdu: ModbusPDU, request: bytes) -> ModbusPDU:
        if isinstance(pdu, ReadHoldingRegistersRequest) and len(request) == 8:
            return self._read(pdu)
        if isinstance(pdu, ReadDeviceInformationRequest) and len(request) == 7:
            return self._identify(pdu)
        return ExceptionResponse(pdu.function_code, ExcCodes.ILLEGAL_FUNCTION)

    def _read(self, pdu: ReadHoldingRegistersRequest) -> ModbusPDU:
        values = self._registers()
        if not 1 <= pdu.count <= _MAX_COUNT:
            return ExceptionResponse(pdu.function_code, ExcCodes.ILLEGAL_VALUE)
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
