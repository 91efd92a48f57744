import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dingwatch.ledger import Store, sqlite_url
from dingwatch.sandbox import Sandbox
from tests.security.leaks import Leaks
from tests.support import take_interrupts

# A test fails because of a change, and not by chance or because the machine is busy. To look for new cases:
# pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("search"), derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """Let no test write out a secret, none try other cases each time, and ^C reach each child."""
    take_interrupts()
    config.pluginmanager.register(Leaks())
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("same")


def pytest_xdist_auto_num_workers() -> int:
    """Run more workers than there are cores: the tests wait more than they compute."""
    cores = len(os.sched_getaffinity(0))
    return cores + cores // 2


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running stand-in for DingTalk."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, to be copied: making its tables is what takes time."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    Store.open(sqlite_url(path)).close()
    return path


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """An empty folder to be watched."""
    made = tmp_path / "share"
    made.mkdir()
    return made
