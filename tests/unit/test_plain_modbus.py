"""Any other Modbus master: its requests and our answers through pymodbus's client side, and junk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from firmware.bus import messages as msg
from firmware.bus.health import BusHealth
from firmware.bus.plain import PlainModbus
from firmware.bus.registers import LENGTH, MAP, pack, table
from firmware.bus.rtu import MAX_FRAME, Splitter, frame, is_frame

ADDRESS = 247
VALUES = [0xA000 + i for i in range(LENGTH)]
NAMES = ("Watti", "Watti Pro 48A", "0.1.0", "A1B2C3D4E5F6")
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3

plain = PlainModbus(lambda: VALUES, NAMES)


def exchange(request: ModbusPDU) -> ModbusPDU:
    """What a client reads in the answer to its request."""
    asked = frame(bytes((ADDRESS, request.function_code)) + request.encode())
    answer = plain.answer(asked)
    assert is_frame(answer)
    assert answer[0] == ADDRESS
    assert Splitter(BusHealth()).feed(asked + answer) == [asked, answer], "others on the line can tell them apart"
    decoded = DecodePDU(False).decode(answer[1:-2])
    assert decoded is not None
    return decoded


def error(request: ModbusPDU) -> int:
    answer = exchange(request)
    assert isinstance(answer, ExceptionResponse)
    assert answer.function_code == request.function_code | 0x80
    return int(answer.exception_code)


readers = pytest.mark.parametrize("reader", [ReadHoldingRegistersRequest, ReadInputRegistersRequest])


@readers
def test_all_registers_are_read_by_either_function(reader: type[ReadHoldingRegistersRequest]) -> None:
    answer = exchange(reader(address=0, count=LENGTH))
    assert answer.function_code == reader.function_code
    assert answer.registers == VALUES


@readers
@given(at=st.integers(0, LENGTH - 1), count=st.integers(1, 125))
def test_any_part_is_read_or_refused(reader: type[ReadHoldingRegistersRequest], at: int, count: int) -> None:
    request = reader(address=at, count=count)
    if at + count <= LENGTH:
        assert exchange(request).registers == VALUES[at : at + count]
    else:
        assert error(request) == ILLEGAL_ADDRESS


@readers
@pytest.mark.parametrize(
    ("at", "count", "code"),
    [
        (0, 0, ILLEGAL_VALUE),
        (0, 126, ILLEGAL_VALUE),
        (0, 0xFFFF, ILLEGAL_VALUE),
        (LENGTH, 1, ILLEGAL_ADDRESS),
        (0, LENGTH + 1, ILLEGAL_ADDRESS),
        (0xFFFF, 1, ILLEGAL_ADDRESS),
        (0xFFFF, 125, ILLEGAL_ADDRESS),
    ],
)
def test_illegal_reads(reader: type[ReadHoldingRegistersRequest], at: int, count: int, code: int) -> None:
    function = reader.function_code
    answer = plain.answer(frame(bytes((ADDRESS, function)) + at.to_bytes(2, "big") + count.to_bytes(2, "big")))
    assert answer == frame(bytes((ADDRESS, function | 0x80, code)))


def identify(read_code: int, object_id: int = 0) -> dict[int, bytes]:
    answer = exchange(ReadDeviceInformationRequest(read_code, object_id))
    assert isinstance(answer, ReadDeviceInformationResponse)
    assert answer.read_code == read_code
    assert answer.conformity >= 0x83, "individual access, and the extended category"
    assert answer.more_follows == 0
    return {number: bytes(text) for number, text in answer.information.items()}


def test_basic_identification_is_the_first_three_objects() -> None:
    assert identify(1) == {0: b"Watti", 1: b"Watti Pro 48A", 2: b"0.1.0"}


@pytest.mark.parametrize("read_code", [2, 3])
def test_regular_and_extended_identification_are_all_objects(read_code: int) -> None:
    assert identify(read_code) == {i: name.encode() for i, name in enumerate(NAMES)}


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_individual_identification(number: int) -> None:
    assert identify(4, number) == {number: NAMES[number].encode()}


@pytest.mark.parametrize("number", [len(NAMES), 0x7F, 0xFF])
def test_an_object_that_is_not_there(number: int) -> None:
    assert error(ReadDeviceInformationRequest(4, number)) == ILLEGAL_ADDRESS


@pytest.mark.parametrize("read_code", [0, 5, 0xFF])
def test_an_unknown_category(read_code: int) -> None:
    answer = plain.answer(frame(bytes((ADDRESS, 0x2B, 0x0E, read_code, 0))))
    assert answer == frame(bytes((ADDRESS, 0xAB, ILLEGAL_VALUE)))


@pytest.mark.parametrize(
    "body",
    [
        b"\x01\x00\x00\x00\x01",  # coils
        b"\x05\x00\x00\xff\x00",
        b"\x06\x00\x00\x00\x01",
        b"\x10\x00\x00\x00\x01\x02\x00\x01",
        b"\x17\x00\x00\x00\x01\x00\x00\x00\x01\x02\x00\x01",
    ],
)
def test_what_a_station_does_not_do_is_an_illegal_function(body: bytes) -> None:
    answer = plain.answer(frame(bytes((ADDRESS,)) + body))
    assert answer == frame(bytes((ADDRESS, body[0] | 0x80, ILLEGAL_FUNCTION)))


@pytest.mark.parametrize(
    "answer",
    [
        frame(bytes((ADDRESS, 3, 4, 1, 2, 3, 4))),
        frame(bytes((ADDRESS, 4, 2, 1, 2))),
        frame(bytes((ADDRESS, 0x83, 2))),
        frame(bytes((ADDRESS, 0xAB, 1))),
        msg.encode_status(ADDRESS, 7, msg.Status(1, 1, 31, 160, 155, 480, 0)),
        plain.answer(frame(bytes((ADDRESS, 0x2B, 0x0E, 1, 0)))),
        plain.answer(frame(bytes((ADDRESS, 3, 0, 0, 0, LENGTH)))),
    ],
    ids=lambda data: data.hex()[:12],
)
def test_an_answer_is_not_answered(answer: bytes) -> None:
    """An adapter that echoes brings back what a station itself has said."""
    assert plain.answer(answer) == b""


@given(st.integers(0, 255), st.binary(min_size=1, max_size=252))
def test_junk_is_answered_with_an_exception_or_not_at_all(address: int, body: bytes) -> None:
    answer = plain.answer(frame(bytes((address,)) + body))
    assert len(answer) <= MAX_FRAME
    if answer:
        assert is_frame(answer)
        assert answer[0] == address
        assert answer[1] & 0x7F == body[0]


@given(st.sampled_from([3, 4, 0x2B, 0x17, 0x10, 1]), st.binary(max_size=20))
def test_junk_of_known_functions(code: int, rest: bytes) -> None:
    answer = plain.answer(frame(bytes((ADDRESS, code)) + rest))
    if answer:
        assert is_frame(answer)
        assert answer[1] & 0x7F == code


# The map


def test_the_map_fits_one_read_and_its_table_names_every_row() -> None:
    assert sum(register.size for register in MAP) == LENGTH <= 125
    rows = table().splitlines()
    assert len(rows) == len(MAP) + 2
    assert rows[2].startswith("| 0 | map_version |")
    assert rows[3].startswith("| 1-3 | serial |")
    assert all(f"| {register.name} |" in row for register, row in zip(MAP, rows[2:], strict=True))


def test_values_are_packed_most_significant_first_and_capped() -> None:
    values = [0] * len(MAP)
    names = [register.name for register in MAP]
    values[names.index("serial")] = 0xA1B2C3D4E5F6
    values[names.index("missed_polls")] = 0x12345
    values[names.index("limit")] = 70_000
    values[names.index("offered")] = -1
    words = pack(values)
    assert len(words) == LENGTH
    at = {name: sum(register.size for register in MAP[:row]) for row, name in enumerate(names)}
    assert words[at["serial"] : at["serial"] + 3] == [0xA1B2, 0xC3D4, 0xE5F6]
    assert words[at["missed_polls"] : at["missed_polls"] + 2] == [1, 0x2345]
    assert words[at["limit"]] == 0xFFFF
    assert words[at["offered"]] == 0


@given(st.lists(st.integers(-(2**70), 2**70), min_size=len(MAP), max_size=len(MAP)))
def test_every_word_is_a_word(values: list[int]) -> None:
    words = pack(values)
    assert len(words) == LENGTH
    assert all(0 <= word <= 0xFFFF for word in words)
