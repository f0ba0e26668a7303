"""tools/install.sh into a folder: install, upgrade, roll back, half-done states. Python and systemctl are stand-ins."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "configs" / "systemd" / "watti.service"

# `-m venv` makes a folder with a python that is this script again; `-m pip` puts a `watti` there.
PYTHON = """#!/bin/sh
case "$1 ${2-}" in
    "-m venv") mkdir -p "$4/bin"; ln -s "$0" "$4/bin/python" ;;
    "-m pip")
        [ "$RELEASE" != unbuildable ] || exit 1
        [ "$RELEASE" != unfinished ] || kill -9 "$PPID"
        bin=$(dirname "$0")
        echo "$RELEASE" >"$bin/release"
        printf '#!/bin/sh\\n[ "%s" != crashes ]\\n' "$RELEASE" >"$bin/watti"
        chmod +x "$bin/watti" ;;
    "-c "*) [ "$RELEASE" != old-python ] ;;
    "-V "*) echo "Python 3.9.2" ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$FAKES/calls"
case $1 in
    is-active) [ -e "$FAKES/active" ] ;;
    restart)
        rm -f "$FAKES/active"
        [ "$(cat "$PREFIX/opt/watti/current/bin/release")" != refuses ] || exit 1
        : >"$FAKES/active" ;;
esac
"""
JOURNALCTL = "#!/bin/sh\necho 'what the station said'\n"


class Machine:
    """A folder that stands for a Pi's file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pi"
        self.fakes = folder / "fakes"
        self.fakes.mkdir()
        for name, text in (("python", PYTHON), ("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            (self.fakes / name).write_text(text)
            (self.fakes / name).chmod(0o755)

    def install(self, release: str, *options: str) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {
            "PATH": f"{self.fakes}:{os.environ['PATH']}",
            "PYTHON": str(self.fakes / "python"),
            "FAKES": str(self.fakes),
            "PREFIX": str(self.folder),
            "RELEASE": release,
        }
        command = [str(ROOT / "tools" / "install.sh"), "--prefix", str(self.folder), "--no-apt", *options]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    def installed(self, release: str, *options: str) -> None:
        done = self.install(release, *options)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """What the operator does after the first installation."""
        (self.fakes / "active").touch()

    @property
    def runs(self) -> bool:
        return (self.fakes / "active").exists()

    @property
    def release(self) -> str:
        return (self.home / "current" / "bin" / "release").read_text().strip()

    @property
    def home(self) -> Path:
        return self.folder / "opt" / "watti"

    @property
    def versions(self) -> list[str]:
        return sorted(path.name.rpartition("-")[2] for path in (self.home / "versions").iterdir())

    @property
    def station(self) -> Path:
        return self.folder / "etc" / "watti" / "station.toml"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_installation_waits_for_its_configuration(machine: Machine) -> None:
    done = machine.install("first")
    assert done.returncode == 0
    assert f"write what this station is into {machine.station}" in done.stderr
    assert machine.station.read_text() == (ROOT / "configs" / "stations" / "raspberry.toml").read_text()
    assert (machine.folder / "etc/systemd/system/watti.service").read_text() == UNIT.read_text()
    assert (machine.release, machine.versions, machine.runs) == ("first", ["1"], False)
    assert (machine.fakes / "calls").read_text() == "daemon-reload\nenable --quiet watti.service\n"


def test_an_upgrade_touches_neither_configuration_nor_state(machine: Machine) -> None:
    machine.installed("first")
    machine.start()
    machine.station.write_text("mine")
    state = machine.folder / "var/lib/watti/state"
    state.mkdir(parents=True)
    (state / "garage.session.json").write_text("7 kWh")
    machine.installed("second")
    assert (machine.release, machine.runs, machine.versions) == ("second", True, ["1", "2"])
    assert (machine.station.read_text(), (state / "garage.session.json").read_text()) == ("mine", "7 kWh")
    machine.installed("third")
    assert (machine.release, machine.versions) == ("third", ["2", "3"])  # what runs and the one before


def test_a_version_that_does_not_start_is_taken_back(machine: Machine) -> None:
    machine.installed("first")
    machine.start()
    unit = machine.folder / "etc/systemd/system/watti.service"
    (machine.home / "current" / "watti.service").write_text("the unit of the first")
    done = machine.install("refuses")
    assert done.returncode == 1
    assert "does not start, back to versions/" in done.stderr
    assert "what the station said" in done.stderr
    assert (machine.release, machine.runs, machine.versions) == ("first", True, ["1"])
    assert unit.read_text() == "the unit of the first"
    machine.installed("second")
    assert (machine.release, machine.runs) == ("second", True)


def test_what_did_not_run_before_is_not_gone_back_to(machine: Machine) -> None:
    machine.installed("first")
    done = machine.install("refuses")
    assert done.returncode == 1
    assert "is installed but does not start: systemctl status watti says why" in done.stderr
    assert machine.release == "refuses"


@pytest.mark.parametrize("release", ["unbuildable", "crashes"])
def test_what_can_t_be_built_or_run_changes_nothing(machine: Machine, release: str) -> None:
    machine.installed("first")
    machine.start()
    done = machine.install(release)
    assert done.returncode == 1
    assert "could not be built or does not run" in done.stderr
    assert (machine.release, machine.runs, machine.versions) == ("first", True, ["1"])


def test_an_interrupted_installation_is_cleared_away_by_the_next(machine: Machine) -> None:
    machine.installed("first")
    assert machine.install("unfinished").returncode == -9
    assert (machine.release, machine.versions) == ("first", ["1", "2"])
    machine.installed("second")
    assert (machine.release, machine.versions) == ("second", ["1", "2"])


def spoilt_by_a_folder(home: Path) -> None:
    (home / "current").unlink()
    (home / "current").mkdir()


def spoilt_by_a_dead_link(home: Path) -> None:
    shutil.rmtree(home / "versions")


def spoilt_by_an_interruption(home: Path) -> None:
    (home / "current" / ".unfinished").touch()


@pytest.mark.parametrize("spoil", [spoilt_by_a_folder, spoilt_by_a_dead_link, spoilt_by_an_interruption])
def test_half_done_states_are_refused(machine: Machine, spoil: Callable[[Path], None]) -> None:
    machine.installed("first")
    spoil(machine.home)
    done = machine.install("second")
    assert done.returncode == 1
    assert f"{machine.home}/current is no link to a whole version in {machine.home}/versions: remove it" in done.stderr


def test_without_systemd_it_only_puts_things_in_place(machine: Machine) -> None:
    machine.installed("first", "--no-systemd")
    assert not (machine.fakes / "calls").exists()
    assert machine.release == "first"


def test_an_old_python_and_an_unknown_option_are_refused(machine: Machine) -> None:
    assert "Python 3.11 or newer is needed, " in machine.install("old-python").stderr
    assert (
        "--fast: expected --prefix DIR, --no-apt, --no-systemd or --any-machine" in machine.install("", "--fast").stderr
    )
    assert not (machine.home / "current").exists()


def test_the_command_for_people_looks_at_the_service_s_folder(machine: Machine) -> None:
    machine.installed("first")
    command = (machine.folder / "usr/local/bin/watti").read_text()
    assert command.endswith(
        f'STATE_DIRECTORY=${{STATE_DIRECTORY-/var/lib/watti}} exec {machine.home}/current/bin/watti "$@"\n'
    )


def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path, need_tool: Callable[[str], str]) -> None:
    analyze = need_tool("systemd-analyze")
    unit = tmp_path / "watti.service"
    unit.write_text(UNIT.read_text().replace("/opt/watti/current/bin/watti run", "/bin/true"))
    verified = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.stderr, verified.returncode) == ("", 0)
    limit = ["security", "--offline=true", "--threshold=20", "--no-pager"]  # 2.0 of 10; without any of it: 9.6
    assert subprocess.run([analyze, *limit, str(unit)], capture_output=True, check=False).returncode == 0
