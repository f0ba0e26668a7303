"""Settings and fixtures of all tests."""

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from tests.clauses import Clauses
from tests.reach import Reach

# "ci", the default, draws the same examples on every run; HYPOTHESIS_PROFILE=deep looks for new ones.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "deep", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reach", action="store_true", help="list how often states, ways, faults and clauses are reached")
    parser.addoption(
        "--clauses", action="store_true", help="list the rows of the standard with their tests; run nothing"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.getoption("clauses"):
        config.option.numprocesses = 0  # nothing runs: this process alone knows the tests


def pytest_configure(config: pytest.Config) -> None:
    clauses = Clauses(config)
    config.pluginmanager.register(clauses)
    config.pluginmanager.register(Reach(config, clauses))


@pytest.fixture(scope="session")
def need_tool() -> Callable[[str], str]:
    """Path of a command-line tool that the test can't do without, by name: `need_tool("mbpoll")`.

    Where the tool is missing, the test is skipped; with CI=true it fails.
    """

    def path_of(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing(f"{name} is not installed: apt-get install {name}")
        return path

    return path_of
