"""The installer's manual of the board says what its board file and the firmware say."""

import re
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from firmware.lamp import INDICATIONS
from firmware.protection import FAULTS
from watti.board_rules import CT_SPAN_A, SPI_PINS

ROOT = Path(__file__).parents[2]
BOARDS = ROOT / "configs" / "boards"
MANUAL = (BOARDS / "README.md").read_text()
FILES = {path.stem: tomllib.loads(path.read_text()) for path in BOARDS.glob("*.toml")}
MCP3208 = FILES["carrier_mcp3208"]

# Pin of the 40-pin header for GPIO 2, 3, ... 27
HEADER = (3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13)
PIN_KEYS = re.compile(r"pin|pins|\w+_pins?|red|green|blue")


def header(gpio: int) -> int:
    return HEADER[gpio - 2]


def rows(head: str, text: str = MANUAL) -> list[list[str]]:
    """The cells of each row of the table with that head."""
    table = text.split(f"\n{head}\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def pins_of(board: dict[str, Any]) -> set[tuple[str, int]]:
    """Key and GPIO of every pin."""
    found = {("adc.bus", pin) for pin in SPI_PINS}
    for name, table in board.items():
        if isinstance(table, dict):
            for key, value in table.items():
                if PIN_KEYS.fullmatch(key):
                    pins = value if isinstance(value, list) else [value]
                    found |= {(f"{name}.{key}" + f"[{i}]" * (len(pins) > 1), pin) for i, pin in enumerate(pins)}
    return found


WIRING = rows("| signal | key | GPIO | header | at start | let go |")

DIVIDERS = rows(next(line for line in MANUAL.splitlines() if "| zero_v |" in line))


def test_the_wiring_table_has_every_pin_of_the_board_file() -> None:
    told = [(key, int(gpio)) for _, key, gpio, *_ in WIRING]
    assert len(set(told)) == len(told)
    assert set(told) == pins_of(MCP3208)


def test_the_wiring_table_knows_the_header_and_the_levels_at_start() -> None:
    for _, _, gpio, pin, at_start, _ in WIRING:
        assert int(pin) == header(int(gpio))
        assert at_start.startswith("high" if int(gpio) <= 8 else "low")


def test_polarities_are_the_board_file_s() -> None:
    signals = {key: signal for signal, key, *_ in WIRING}
    assert f"{MCP3208['contactor']['feedback_active']} = live" in signals["contactor.feedback_pin"]
    assert f"{MCP3208['ground_fault']['active']} = trip" in signals["ground_fault.pin"]
    assert f"{MCP3208['lamp']['active']} = lit" in signals["lamp.red"]
    channels = [MCP3208[part]["adc_channel"] for part in ("pilot", "meter", "thermometer")]
    assert "ADC inputs: pilot {}, CT {}, NTC {}.".format(*channels) in MANUAL


@pytest.mark.parametrize("name", FILES)
def test_comments_of_a_board_file_name_the_right_pins_of_the_header(name: str) -> None:
    """Where a line has GPIO numbers and says "header", these belong together."""
    told = 0
    for line in (BOARDS / f"{name}.toml").read_text().splitlines():
        found = re.search(r"^[#\s]*(\w+) = \[?([\d, ]+)\]?\s+#.*header ([\d, ]+\d)", line)
        if found and PIN_KEYS.fullmatch(found[1]):
            gpios, pins = ([int(number) for number in re.findall(r"\d+", found[i])] for i in (2, 3))
            assert [header(gpio) for gpio in gpios] == pins, line
            told += 1
    assert told >= 10


@pytest.mark.parametrize("row", DIVIDERS, ids=str)
def test_the_divider_s_resistors_give_the_scale_of_the_board_file(row: list[str]) -> None:
    board = FILES[row[0]]
    to_pilot, to_reference, to_ground = (1 / float(cell.removesuffix(" kohm")) for cell in row[1:4])
    together = to_pilot + to_reference + to_ground
    zero_v, gain = board["adc"]["reference_v"] * to_reference / together, together / to_pilot
    assert row[4:] == [
        *(f"{zero_v:.3f}", f"{gain:.3f}"),
        *(f"{zero_v + pilot / gain:.3f} V" for pilot in (12, -12)),
    ]
    assert zero_v == pytest.approx(board["pilot"]["zero_v"], rel=0.005)
    assert gain == pytest.approx(board["pilot"]["gain"], rel=0.005)


def test_the_ct_s_figures_are_computed() -> None:
    found = re.search(r"(\d+) A / (\d+) mA / (\d+) ohm = ([\d.]+) A for a volt", MANUAL)
    assert found is not None
    primary, milliamps, burden, scale = map(float, found.groups())
    assert primary / (milliamps / 1000 * burden) == pytest.approx(scale, abs=0.05)
    assert scale == MCP3208["meter"]["amps_per_volt"]
    reference = MCP3208["adc"]["reference_v"]
    assert f"clips at {reference / 2 / 2**0.5 * scale:.0f} A RMS ({CT_SPAN_A:.1f} needed" in MANUAL
    assert f"one step is {reference / 4096 * scale:.2f} A" in MANUAL


@pytest.mark.parametrize("name", FILES)
def test_what_each_output_leads_to_is_held_low_while_nobody_drives_it(name: str) -> None:
    """By the parts list, the drawing and the first power-up alike, on either carrier."""
    board = FILES[name]
    outputs = {board["dead_man"]["pin"], board["contactor"]["pin"], board["ground_fault"]["test_pin"]}
    needed = next(row for row in rows("| part | property | value and where it comes from |") if "inputs of" in row[0])
    assert set(map(int, re.findall(r"\b2\d\b", needed[1]))) == outputs
    assert "10 kohm to ground at each of the three **inputs**" in needed[2]
    pins = "GPIO " + ", ".join(map(str, sorted(outputs)))
    steps = [" ".join(step.split()) for step in re.split(r"\n\d+\. ", MANUAL.split("\n## First power-up\n", 1)[1])]
    assert f"{pins} to ground: 10 kohm each" in steps[1]
    assert f"`sudo systemctl stop watti`: *expect* {pins} at 0 V" in steps[3]
    drawn = [text.text for text in ET.parse(BOARDS / "carrier.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert drawn.count("10 k to ground") == len(outputs)


def test_each_lamp_signal_is_there_with_what_to_do() -> None:
    told = rows("| lamp | code | what to do |")
    lights = [(row.light.words, "-") for row in INDICATIONS] + [(fault.light.words, fault.code) for fault in FAULTS]
    assert [(lamp, code) for lamp, code, _ in told] == lights
    assert all(what for *_, what in told)
    assert not any(fault.sentence in MANUAL for fault in FAULTS), "those are firmware/DESIGN.md's"


def test_the_drawing_has_each_pin_and_the_divider() -> None:
    texts = list(ET.parse(BOARDS / "carrier.svg").iter("{http://www.w3.org/2000/svg}text"))  # our own file
    labels = [text.text or "" for text in texts if text.get("class") == "pin"]
    drawn = {int(number) for label in labels for number in re.findall(r"\d+", label)}
    assert drawn == {pin for _, pin in pins_of(MCP3208)} - {7}, "GPIO 7 is kept free"
    divider = next(row for row in DIVIDERS if row[0] == "carrier_mcp3208")
    assert " / ".join(cell.replace(" kohm", " k") for cell in divider[1:4]) in {text.text for text in texts}


def test_each_file_and_link_that_the_manual_names_exists() -> None:
    for path in re.findall(r"\]\(([^)#]+)", MANUAL):
        assert (BOARDS / path).exists(), path
    for path in re.findall(r"`(hal/[\w./]+)`", MANUAL):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`(carrier_\w+)(?:\.toml)?`", MANUAL):
        assert name in FILES
