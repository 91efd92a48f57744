from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dingwatch.ledger import Store, sqlite_url
from dingwatch.sandbox import Sandbox
from tests.security.leaks import Leaks
from tests.support import take_interrupts


def pytest_configure(config: pytest.Config) -> None:
    """Let no test write out a secret, none fail because the machine is busy, and ^C reach each child."""
    take_interrupts()
    config.pluginmanager.register(Leaks())
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")


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
