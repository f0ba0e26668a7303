"""Other programs on the line: a Modbus master of any make, and one that only listens."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from firmware.bus.registers import LENGTH, MAP
from firmware.bus.versions import OWN
from tests.bench.helpers import ENVIRONMENT, PATIENCE_S, WATTI, Bench, Desk, running, wait_for
from watti.scenario import serial_of

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

LONE = 247
HOLDING, INPUT = "4", "3"
NAMES = [register.name for register in MAP for _ in range(register.size)]

Registers = dict[int, int]


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a line with a secondary that no primary has enrolled at its first port."""
    with ExitStack() as stack:
        desk = Desk(tmp_path_factory.mktemp("lone"), stack)
        desk.bus()
        desk.station(1, "--switch", "F")
        yield desk.folder


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A primary and its secondary s2; the third port is free."""
    with running(tmp_path_factory.mktemp("group"), "--switches", "B,F") as bench:
        wait_for(lambda: bench.addresses() == [1])
        bench.wait("s2", limit_a=48.0)
        yield bench


@pytest.fixture(scope="module")
def mbpoll(need_tool: Callable[[str], str]) -> Callable[..., Registers]:
    """Registers by address as mbpoll reads them from a port once; none where nobody answers it."""
    tool = need_tool("mbpoll")

    def read(port: Path, unit: int, kind: str, count: int = LENGTH) -> Registers:
        options = f"-q -m rtu -b 19200 -0 -1 -o 0.5 -a {unit} -t {kind}:hex -r 0 -c {count}".split()
        command = [tool, *options, str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        found = re.findall(r"^\[(\d+)\]:\s+(0x\w+)", done.stdout, re.MULTILINE)
        return {int(at): int(value, 16) for at, value in found}

    return read


def named(registers: Registers) -> dict[str, int]:
    """Values by name, as the table of the documentation puts them together."""
    assert list(registers) == list(range(LENGTH))
    values: dict[str, int] = {}
    for at, name in enumerate(NAMES):
        values[name] = values.get(name, 0) << 16 | registers[at]
    return values


@pytest.mark.parametrize("kind", [HOLDING, INPUT])
def test_mbpoll_reads_a_lone_secondary(lone: Path, mbpoll: Callable[..., Registers], kind: str) -> None:
    read = named(mbpoll(lone / "bus" / "2", LONE, kind))
    expected = {"map_version": 2, "serial": serial_of("s1", None), "rating": 480, "switch": 0xF, "role": 3}
    expected |= {"protocol": OWN.protocol, "firmware": OWN.firmware}
    assert expected.items() <= read.items()
    assert read["state"].to_bytes(2, "big") == b"A1"
    assert mbpoll(lone / "bus" / "2", LONE, kind, LENGTH + 1) == {}


def test_nobody_answers_at_an_address_that_was_not_given(lone: Path, mbpoll: Callable[..., Registers]) -> None:
    assert mbpoll(lone / "bus" / "2", 1, HOLDING) == {}


def test_mbpoll_reads_a_member_at_its_address_while_its_primary_polls(
    group: Bench, mbpoll: Callable[..., Registers]
) -> None:
    read: Registers = {}

    def answered() -> bool:  # two masters on one line: a read may collide with a poll
        read.update(mbpoll(group.folder / "bus" / "3", 1, HOLDING))
        return bool(read)

    wait_for(answered)
    values = named(read)
    assert (values["serial"], values["role"], values["limit"]) == (serial_of("s2", None), 3, 480)
    group.wait("s2", role="secondary", limit_a=48.0, fault="")


def test_pymodbus_reads_the_identification(lone: Path) -> None:
    with closing(ModbusSerialClient(str(lone / "bus" / "3"), baudrate=19200, parity="N", timeout=5)) as client:
        assert client.connect()
        answer = client.read_device_information(read_code=3, device_id=LONE)
        assert isinstance(answer, ReadDeviceInformationResponse)
        names = [text.decode() for _, text in sorted(answer.information.items())]
    assert names[:2] == ["Watti", "Watti Pro 48A"]
    assert names[3] == f"{serial_of('s1', None):012X}"


def test_pymodbus_reads_registers(lone: Path) -> None:
    with closing(ModbusSerialClient(str(lone / "bus" / "3"), baudrate=19200, parity="N", timeout=5)) as client:
        assert client.connect()
        for read in (client.read_holding_registers, client.read_input_registers):
            answer = read(0, count=LENGTH, device_id=LONE)
            assert named(dict(enumerate(answer.registers)))["serial"] == serial_of("s1", None)


# Listening


def lines_until(stream: IO[str], wanted: set[str], kind_of: Callable[[str], str]) -> list[str]:
    """Lines up to where each of these kinds has come."""
    lines: list[str] = []
    missing = set(wanted)
    while missing:
        line = stream.readline()
        assert line, "it has ended"
        lines.append(line)
        missing.discard(kind_of(line))
    return lines


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_tap_shows_what_the_stations_say(group: Bench, options: list[str]) -> None:
    def kind_of(line: str) -> str:
        return str(json.loads(line)["what"]) if options else line[28:].split(maxsplit=1)[0]

    command = [*WATTI, "tap", str(group.folder / "bus" / "3"), *options]
    with subprocess.Popen(command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE) as tap:
        assert tap.stdout is not None
        try:
            lines = lines_until(tap.stdout, {"poll", "status", "probe"}, kind_of)
        finally:
            tap.terminate()
    serial = f"{serial_of('s1', None):012X}"
    assert any(kind_of(line) == "poll" and serial in line for line in lines)
    assert not any(kind_of(line) == "garbage" for line in lines)


def test_tap_says_plainly_that_a_port_is_not_there(tmp_path: Path) -> None:
    command = [*WATTI, "tap", str(tmp_path / "none")]
    refused = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"watti: serial port {tmp_path / 'none'} is not there\n"


def test_tap_is_interrupted_and_ends(lone: Path) -> None:
    command = [*WATTI, "tap", str(lone / "bus" / "2")]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
        wait_for(lambda: (lone / "bus" / "2").resolve() in opened(tap.pid))
        tap.send_signal(2)
        assert tap.communicate(timeout=PATIENCE_S) == (b"", b"")
        assert tap.returncode == 130


def opened(pid: int) -> list[Path]:
    """Files that a process has open."""
    return [link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()]
