"""`watti torture` as processes: on all cores, and on a Dask scheduler with two workers of which one dies on the way."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bench.helpers import ENVIRONMENT, PATIENCE_S, WATTI, lives, wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(120)]

FEW = ("--seeds", "0:9")
MANY = ("--seeds", "0:100000")
FRAGILE = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
"""The scheduler gives up at once what a worker had that died."""
BUSY_S = 0.5
"""A worker that has worked for so long since has more than imported what it needs."""

Process = subprocess.Popen[str]


class Machine:
    """Starts processes that end with it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack

    def start(self, command: list[str], environment: dict[str, str], hears: int) -> Process:
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=ENVIRONMENT | environment,
            stdout=hears,
            stderr=hears,
            text=True,
            start_new_session=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def torture(self, *words: str, **environment: str) -> Process:
        return self.start([*WATTI, "torture", "--json", *words], environment, subprocess.PIPE)

    def dask(self, part: str, *words: str) -> Process:
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", "--host", "127.0.0.1", "--no-dashboard"]
        environment = FRAGILE | {"DASK_TEMPORARY_DIRECTORY": str(self.folder)}
        return self.start([*command, *words], environment, subprocess.DEVNULL)

    def scheduler(self) -> tuple[Process, str]:
        """It, and its address."""
        file = self.folder / "scheduler.json"
        process = self.dask("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        return process, json.loads(file.read_text())["address"]

    def worker(self, address: str) -> Process:
        return self.dask("worker", address, "--nthreads", "1", "--no-nanny")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores Ctrl-C
        stack.callback(signal.signal, signal.SIGINT, heard)
        yield Machine(tmp_path, stack)


def ended(process: Process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def result(process: Process) -> dict[str, Any]:
    """What a campaign says, but for the time it took."""
    code, out, err = ended(process)
    found = json.loads(out)
    assert isinstance(found, dict)
    assert (code, err) == (1 if found["failures"] else 0, "")
    del found["wall_s"]
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def crew(process: Process) -> list[int]:
    """The workers on this machine: children of a child, the fork server."""
    return [worker for child in children(process.pid) for worker in children(child)]


def work_s(pid: int) -> float:
    """The processor's time that a process has taken."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_work(pid: int, campaign: Process) -> None:
    before = work_s(pid)
    wait_for(lambda: campaign.poll() is not None or work_s(pid) > before + BUSY_S)


# This machine


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_leaves_nothing_running(machine: Machine, whole_group: bool) -> None:
    campaign = machine.torture(*MANY)
    wait_for(lambda: bool(crew(campaign)))
    workers = crew(campaign)
    (os.killpg if whole_group else os.kill)(campaign.pid, signal.SIGINT)
    assert ended(campaign) == (130, "", "")
    wait_for(lambda: not any(map(lives, workers)))


def test_ctrl_c_before_anything_has_begun(machine: Machine) -> None:
    campaign = machine.torture(*MANY)
    wait_for(lambda: len(children(campaign.pid)) == 2)  # a fork server that starts, and what looks after semaphores
    os.killpg(campaign.pid, signal.SIGINT)
    assert ended(campaign) == (130, "", "")


def test_workers_end_with_a_campaign_that_is_killed(machine: Machine) -> None:
    campaign = machine.torture(*MANY)
    wait_for(lambda: bool(crew(campaign)))
    workers = crew(campaign)
    campaign.kill()
    wait_for(lambda: not any(map(lives, workers)))


def test_a_worker_that_is_killed_ends_the_campaign(machine: Machine) -> None:
    campaign = machine.torture(*MANY)
    wait_for(lambda: bool(crew(campaign)))
    workers = crew(campaign)
    os.kill(workers[0], signal.SIGKILL)
    why = "watti: a worker process was killed, perhaps for want of memory: run it again\n"
    assert ended(campaign) == (2, "", why)
    wait_for(lambda: not any(map(lives, workers)))


# A cluster


def test_a_cluster_that_loses_a_worker_finds_what_this_machine_finds_and_its_scheduler_is_missed(
    machine: Machine,
) -> None:
    scheduler, address = machine.scheduler()
    one, other = machine.worker(address), machine.worker(address)
    here = result(machine.torture(*FEW, PYTHONHASHSEED="1"))
    assert here["worlds"] == 9

    campaign = machine.torture(*FEW, "--cluster", address)
    wait_for_work(one.pid, campaign)
    one.kill()
    assert result(campaign) == here

    campaign = machine.torture(*MANY, "--cluster", address)
    wait_for_work(other.pid, campaign)
    campaign.send_signal(signal.SIGINT)
    assert ended(campaign) == (130, "", "")

    campaign = machine.torture(*MANY, "--cluster", address)
    wait_for_work(other.pid, campaign)
    scheduler.kill()
    why = f"--cluster {address}: the scheduler went away: start it, or another one, and run this again\n"
    assert ended(campaign) == (2, "", why)
