"""The line on real ptys, with pyserial at its ends. What arrives and in which order, never how fast."""

import os
import random
import select
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

import pytest
import serial

from hal.simulated.ptys import PtyLine
from watti.bus import run
from watti.where import bench_dir

pytestmark = pytest.mark.bench

PATIENCE_S = 20.0
TOOLS = Path(__file__).parents[2] / "tools"
COMMAND = """
import sys
from argparse import Namespace
from pathlib import Path
from watti.bus import run
sys.exit(run(Namespace(ports=int(sys.argv[2]), dir=Path(sys.argv[1]), baud=115200, noise=0.0)))
"""


def pumped(line: PtyLine, port: serial.Serial, expected: int) -> bytes:
    """Run the line in real time until the port has heard that many bytes; fails rather than hangs."""
    heard, give_up = b"", time.monotonic() + PATIENCE_S
    while len(heard) < expected:
        now = time.monotonic()
        assert now < give_up, "nothing arrived"
        timeout = min(max(line.next_wakeup() - now, 0.0), 0.01)
        select.select(line.filenos(), [], [], timeout)
        line.pump(time.monotonic())
        heard += port.read(4096)
    return heard


def written(line: PtyLine, count: int) -> None:
    """Wait until what was written to that many ports has come to the line."""
    give_up = time.monotonic() + PATIENCE_S
    masters = [ends.master for ends in line._ptys.values()]
    while len(select.select(masters, [], [], 0.01)[0]) < count:
        assert time.monotonic() < give_up, "nothing was written"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[PtyLine]:
    line = PtyLine(tmp_path, 3, 115200, random.Random(1))
    yield line
    line.close()


def client(path: Path) -> serial.Serial:
    return serial.Serial(str(path), 115200, timeout=0)


def test_frames_arrive_whole_and_in_order_at_all_others(line: PtyLine) -> None:
    with client(line.paths[0]) as one, client(line.paths[1]) as two, client(line.paths[2]) as three:
        for number in range(20):
            frame = bytes(range(number, number + 21))
            one.write(frame)
            assert pumped(line, two, 21) == pumped(line, three, 21) == frame
        assert one.read(4096) == b""
    assert line.line.counts.collisions == 0


def test_more_than_one_frame_written_at_once_comes_whole(line: PtyLine) -> None:
    sent = random.Random(1).randbytes(1500)
    with client(line.paths[0]) as one, client(line.paths[1]) as two:
        one.write(sent)
        assert pumped(line, two, len(sent)) == sent


def test_two_that_send_at_once_collide(line: PtyLine) -> None:
    with client(line.paths[0]) as one, client(line.paths[1]) as two, client(line.paths[2]) as three:
        one.write(b"a" * 200)
        two.write(b"a" * 200)
        written(line, 2)
        heard = pumped(line, three, 400)
        assert len(heard) == 400
        assert all(value != ord("a") for value in heard[:200])
        assert line.line.counts.collisions == 2
        assert one.read(4096) == two.read(4096) == b""


def test_a_client_that_leaves_and_comes_back_finds_the_line_alive(line: PtyLine) -> None:
    with client(line.paths[1]) as two:
        for frame in (b"first", b"second"):
            with client(line.paths[0]) as one:
                one.write(frame)
                assert pumped(line, two, len(frame)) == frame


def simple_client(path: Path) -> serial.Serial:
    """One that does not throw away what had arrived before it opened the port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serial.Serial, "_reset_input_buffer", lambda _: None)
        return client(path)


def test_who_opens_a_port_hears_what_comes_from_then_on(line: PtyLine) -> None:
    with client(line.paths[0]) as one, client(line.paths[1]) as two:
        for _ in range(2):
            one.write(b"unheard")  # the first time nobody has port 3 open; then one that leaves it unread has
            assert pumped(line, two, 7) == b"unheard"
            line.pump(time.monotonic())
            with simple_client(line.paths[2]) as three, simple_client(line.paths[2]) as also:
                one.write(b"new")
                assert pumped(line, two, 3) == b"new"
                also.close()
                one.write(b"er")
                assert pumped(line, three, 5) == b"newer"
                one.write(b"unread")
                assert pumped(line, two, 8) == b"erunread"


def test_what_is_not_read_is_dropped_once_the_port_is_full(line: PtyLine) -> None:
    with client(line.paths[0]) as one, client(line.paths[1]) as reader, client(line.paths[2]):
        now = 0.0
        while line.dropped_bytes == 0:
            one.write(b"x" * 256)
            written(line, 1)
            line.pump(now)
            now = line.next_wakeup()
            line.pump(now)
            reader.read(4096)
        with client(line.paths[2]) as late:
            one.write(b"new")
            assert pumped(line, late, 3) == b"new"


def test_a_writer_without_end_is_held_up_and_not_hoarded(line: PtyLine) -> None:
    with client(line.paths[0]) as one:

        def write_without_end() -> None:
            while True:
                os.write(one.fileno(), b"x" * 256)
                line.pump(1.0)  # the time stands still: at most one frame is taken in

        with pytest.raises(BlockingIOError):
            write_without_end()
        assert 1.0 < line.line.busy_until(0) < 1.0 + 257 * 11 / 115200
        assert len(line.filenos()) == 3


def test_a_port_hangs_up_and_comes_back_while_the_others_go_on(line: PtyLine) -> None:
    with client(line.paths[1]) as two, client(line.paths[2]) as three:
        with client(line.paths[0]) as one:
            for _ in range(2):  # twice is as once
                line.hang_up(0)
            assert os.read(one.fileno(), 1) == b""
            with pytest.raises(OSError, match="Input/output error"):
                os.write(one.fileno(), b"lost")
            assert not line.paths[0].is_symlink()
            two.write(b"without it")
            assert pumped(line, three, 10) == b"without it"
        for _ in range(2):
            line.restore(0)
        with client(line.paths[0]) as one:
            two.write(b"to all")
            assert pumped(line, one, 6) == pumped(line, three, 6) == b"to all"
            one.write(b"back")
            assert pumped(line, two, 4) == pumped(line, three, 4) == b"back"
            assert one.read(4096) == b""


def test_what_a_port_is_sending_when_it_hangs_up_is_cut_short(line: PtyLine) -> None:
    with client(line.paths[0]) as one:
        one.write(b"x" * 200)
        written(line, 1)
        line.pump(1.0)
        line.hang_up(0)
        line.pump(2.0)
        assert line.line.counts.bytes < 200


def test_what_is_on_its_way_to_a_port_that_hangs_up_is_lost_to_it(line: PtyLine) -> None:
    line.line.disturb("delay", 1.0, inf, port=0)
    with client(line.paths[1]) as two, client(line.paths[2]) as three:
        two.write(b"late")
        assert pumped(line, three, 4) == b"late"  # and held back for the first port
        line.hang_up(0)
        assert line.next_wakeup() < inf
        line.pump(line.next_wakeup())
        assert line.next_wakeup() == inf


def test_closing_after_a_hang_up_leaves_nothing(tmp_path: Path) -> None:
    line = PtyLine(tmp_path, 2, 19200, random.Random(1))
    line.hang_up(1)
    line.close()
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_lives_is_not_replaced_and_a_dead_one_is(line: PtyLine, tmp_path: Path) -> None:
    targets = [path.readlink() for path in line.paths]
    with pytest.raises(OSError, match=f"^a bus is already running in {tmp_path}/bus: end it"):
        PtyLine(tmp_path, 3, 115200, random.Random(1))
    assert [path.readlink() for path in line.paths] == targets
    dead = tmp_path / "dead" / "bus"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    for number in range(1, 6):
        (dead / str(number)).symlink_to("/dev/pts/none")
    second = PtyLine(tmp_path / "dead", 2, 115200, random.Random(1))
    assert sorted(path.name for path in dead.iterdir()) == ["1", "2", "lock"]
    assert all(path.exists() for path in second.paths)
    second.close()
    assert not dead.exists()


def test_close_leaves_what_others_keep_there(tmp_path: Path) -> None:
    line = PtyLine(tmp_path, 2, 19200, random.Random(1))
    (tmp_path / "bus" / "notes").touch()
    line.close()
    assert [path.name for path in (tmp_path / "bus").iterdir()] == ["notes"]


@contextmanager
def bus(folder: Path, ports: int = 2) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TOOLS.parent), str(TOOLS)])}
    arguments = [sys.executable, "-c", COMMAND, str(folder), str(ports)]
    with subprocess.Popen(
        arguments, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def started(process: subprocess.Popen[str], ports: int = 2) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(ports + 1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_bus_command_joins_its_ports_and_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    with bus(tmp_path) as process:
        said = started(process)
        paths = [tmp_path / "bus" / name for name in ("1", "2")]
        assert said == [*map(str, paths), "8E1 at 115200, 2 ports; Ctrl-C ends it"]
        with client(paths[0]) as one, client(paths[1]) as two:
            two.timeout = PATIENCE_S
            one.write(b"hello")
            assert two.read(5) == b"hello"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert process.communicate() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_bus_blocks_nothing_and_a_live_one_is_said_plainly(tmp_path: Path) -> None:
    with bus(tmp_path, ports=3) as first:
        started(first, ports=3)
        with bus(tmp_path) as refused:
            out, err = refused.communicate(timeout=PATIENCE_S)
            assert (refused.returncode, out) == (2, "")
            assert (
                err
                == f"watti bus: a bus is already running in {tmp_path}/bus: end it, or give another folder (--dir)\n"
            )
        first.kill()
        first.wait(PATIENCE_S)
    with bus(tmp_path) as again:
        started(again)
        assert sorted(path.name for path in (tmp_path / "bus").iterdir()) == ["1", "2", "lock"]
        again.terminate()
        assert again.wait(PATIENCE_S) == 0


def test_bad_arguments_are_refused_all_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Namespace(ports=0, dir=tmp_path, baud=300, noise=2.0)) == 2
    assert capsys.readouterr().err.splitlines() == [
        "watti bus: --ports 0: expected 1 or more",
        "watti bus: --baud 300: expected 9600 to 115200",
        "watti bus: --noise 2.0: expected a bit error rate, 0 to 1",
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_bench_folder_is_the_one_given_or_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert bench_dir(tmp_path / "mine") == tmp_path / "mine"
    assert bench_dir(None) == tmp_path / "watti"
    assert (tmp_path / "watti").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert bench_dir(None) == Path(f"/tmp/watti-{os.getuid()}")


def test_a_bench_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "watti").symlink_to(tmp_path)
    with pytest.raises(OSError, match="is not a folder of this user"):
        bench_dir(None)
