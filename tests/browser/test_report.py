"""The page of `simulate --report` in a real browser, opened as a file and without a network."""

import json
import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from watti.cli import main

SCENARIO = """\
# A fault and a turned switch.
[scenario]
duration_s = 120
[[station]]
name = "s1"
model = "48A"
switch = "B"
[[station]]
name = "s2"
model = "48A"
switch = "F"
[[event]]
at_s = 20
do = "plug"
station = "s1"
vehicle = "sedan"
[[event]]
at_s = 60
do = "fault"
station = "s1"
kind = "pilot_short"
[[event]]
at_s = 70
do = "switch"
station = "s1"
position = "6"
"""
POINT = """
<script>
document.addEventListener("DOMContentLoaded", () => setTimeout(() => {
  const drag = plots.querySelector(".nsewdrag[data-subplot=xy]"), box = drag.getBoundingClientRect();
  const at = {clientX: box.left + box.width * 50 / 120, clientY: box.top + box.height / 2, bubbles: true};
  drag.dispatchEvent(new MouseEvent("mousemove", at));
}, 1000));
</script>
"""
"""A pointer that rests at 50 s of 120 s in the upper plot."""


class Opened(NamedTuple):
    """What the browser has made of the page."""

    dom: str
    said: str
    """Its console."""

    def texts(self, css_class: str) -> list[str]:
        """Of SVG texts whose class matches, in order."""
        found = re.findall(rf'<text class="{css_class}[^"]*"[^>]*>(.*?)</text>', self.dom, re.DOTALL)
        return [unescape(re.sub("<[^>]*>", "", text)) for text in found]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A report and what `--json` says of the same run."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "small.toml").write_text(SCENARIO)
    report = folder / "small.html"
    with pytest.MonkeyPatch.context() as patched:
        printed: list[str] = []
        patched.setattr("builtins.print", lambda *said, **_: printed.extend(map(str, said)))
        assert main(["simulate", str(folder / "small.toml"), "--report", str(report), "--json"]) == 0
    return report, json.loads("".join(printed))


@pytest.fixture(scope="module")
def opened(result: tuple[Path, dict[str, Any]], need_tool: Callable[[str], str]) -> Opened:
    page = result[0].with_name("pointed.html")
    page.write_text(result[0].read_text() + POINT)
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND"),
        *("--enable-logging=stderr", "--window-size=1300,2000", "--virtual-time-budget=10000", "--dump-dom"),
    )
    profile = f"--user-data-dir={result[0].parent / 'profile'}"
    command = [need_tool("chromium"), *options, profile, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Opened(done.stdout, "\n".join(said))


def test_the_scripts_say_nothing(opened: Opened) -> None:
    assert opened.said == ""


def test_the_plots_are_drawn(opened: Opened) -> None:
    assert 'data-drawn="yes"' in opened.dom
    assert len(re.findall('<path class="js-line"', opened.dom)) >= 8
    assert len(re.findall('<g class="point"><path d="M', opened.dom)) >= 5, "bands of states"
    assert {"s1", "s2", "all together", "limit that binds", "C2 charges", "fault shown"} <= set(
        opened.texts(r"legend\d*text")
    )
    times = re.findall(r'<g class="xtick"><text[^>]*>(.*?)</text>', opened.dom)
    assert (times[0], times[-1]) == ("0:00:00", "0:02:00")
    assert all(re.fullmatch(r"0:0\d:\d0|0:0\d:\d5", time) for time in times)


def test_the_pointer_is_told_who_draws_what_and_why(opened: Opened) -> None:
    said = "\n".join(opened.texts(r"legend\d*text"))
    assert "s1  C2  48.0 of 48.0 A, switch" in said
    assert "s2  A1  no offer, idle" in said
    assert "all together  48.0 of 48 A" in said


def test_the_table_has_the_figures_of_the_run(opened: Opened, result: tuple[Path, dict[str, Any]]) -> None:
    table = opened.dom[opened.dom.index('<table id="stations">') :]
    rows = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", table.partition("</table>")[0])]
    energy = {row[0]: float(row[1]) for row in rows if row}
    assert {name: got["energy_kwh"] for name, got in result[1]["stations"].items()} == {
        name: kwh for name, kwh in energy.items() if name != "all"
    }
    assert energy["s1"] > 0.05
    assert "0 violations" in opened.dom
