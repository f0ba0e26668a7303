"""The pictures of the README: `python tools/pictures.py screen` makes one anew in .pictures/.

Each shows the real thing: the screen is that of a bench which runs for a minute, five cars and a fault included, the
report (`report`, chromium is needed) is that of a simulated day.
"""

import asyncio
import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

PICTURES = Path(__file__).parents[1] / ".pictures"
SCREEN_SIZE = (120, 38)
REPORT_SIZE = "1360,1790"
CARS = ("sedan", "city", "wagon", "sedan", "compact")
SETTLED_S = 60.0
"""Enough for the quiet start, the cars' first amps and the share that the small one leaves."""


def screen() -> None:
    """The live screen of a bench."""
    with TemporaryDirectory(prefix="watti-") as name:
        folder = Path(name)
        bench = [sys.executable, "-m", "watti", "bench", "--headless", "--dir", name]
        with subprocess.Popen(bench, stdout=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout is not None
                while "look and act" not in running.stdout.readline():
                    pass
                drawn = asyncio.run(_drawn(folder))
            finally:
                running.terminate()
    _write("screen.svg", _without_fonts(drawn))


async def _drawn(folder: Path) -> str:
    from watti.page import Page

    page = Page(folder)
    async with page.run_test(size=SCREEN_SIZE) as keys:
        await keys.pause(5.0)
        for place, car in enumerate(CARS, 1):
            await keys.press(str(place), "p", *_to(car), "enter")
        await keys.pause(SETTLED_S)
        await keys.press("4", "f", "d", "enter")
        await keys.pause(20.0)
        return page.export_screenshot(title="watti bench")


def _to(car: str) -> list[str]:
    """The keys that go from the default car to this one in the list."""
    from watti.scenario import DEFAULT_VEHICLE, load_vehicles

    names = sorted(load_vehicles())
    steps = names.index(car) - names.index(DEFAULT_VEHICLE)
    return ["down" if steps > 0 else "up"] * abs(steps)


def _without_fonts(svg: str) -> str:
    """Nothing is fetched from the web to show it: any fixed-width font will do, each run of text has its length."""
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def report() -> None:
    """The upper part of the report of a day, as a browser shows it."""
    scenario = Path(__file__).parents[1] / "configs" / "scenarios" / "ten_cars.toml"
    with TemporaryDirectory(prefix="watti-") as name:
        page = Path(name) / "report.html"
        subprocess.run([sys.executable, "-m", "watti", "simulate", scenario, "--report", page], check=True)
        options = (
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
            *("--hide-scrollbars", "--virtual-time-budget=20000", f"--window-size={REPORT_SIZE}"),
            *(f"--user-data-dir={name}/profile", f"--screenshot={name}/report.png", page.as_uri()),
        )
        subprocess.run(["chromium", *options], check=True, stderr=subprocess.DEVNULL)  # it misses a desktop, at length
        PICTURES.mkdir(exist_ok=True)
        copyfile(Path(name) / "report.png", PICTURES / "report.png")
    print(PICTURES / "report.png")


def _write(name: str, picture: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / name).write_text(picture)
    print(PICTURES / name)


def main() -> None:
    """Make the picture that is named."""
    pictures = {"screen": screen, "report": report}
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", choices=pictures)
    pictures[parser.parse_args().picture]()


if __name__ == "__main__":
    main()
