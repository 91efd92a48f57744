import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dingwatch.ledger import Store, sqlite_url
from dingwatch.sandbox import Sandbox
from tests import fork_server
from tests.ledger import close_ledgers
from tests.postgres import PostgresServer
from tests.security.leaks import Leaks
from tests.support import HAS_FAILED, take_interrupts

# A test fails because of a change, and not by chance or because the machine is busy. To look for new cases:
# pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("search"), derandomize=True)


def pytest_configure(config: pytest.Config) -> None:
    """Let no test write out a secret, none try other cases each time, and ^C reach each child."""
    take_interrupts()
    keep_bytecode()
    config.pluginmanager.register(Leaks())
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("same")


def keep_bytecode() -> None:
    """Keep what is compiled, whatever the environment says: hundreds of processes import dingwatch."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_unconfigure() -> None:
    """Leave no process behind."""
    fork_server.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with systemd's time-outs: at the end, one worker would sit them out alone."""
    items.sort(key=lambda item: "systemd" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know whether their test has failed, for they may have more to say of it."""
    report = yield
    if call.when == "call":
        item.stash[HAS_FAILED] = report.failed
    return report


def pytest_xdist_auto_num_workers() -> int:
    """Run more workers than there are cores: the tests wait more than they compute."""
    return 2 * len(os.sched_getaffinity(0))


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


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path, blank_ledger: Path) -> Iterator[str]:
    """The URL of an empty ledger, in SQLite and in PostgreSQL: what is asked of it holds for either."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres_url")
    else:
        yield sqlite_url(Path(shutil.copy(blank_ledger, tmp_path / "ledger.db")))
    close_ledgers()


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """An empty folder to be watched."""
    made = tmp_path / "share"
    made.mkdir()
    return made


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL, one for each worker of pytest; it is not to be stopped."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty ledger in PostgreSQL."""
    with postgres.ledger() as url:
        yield url


@pytest.fixture
def blank_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database in PostgreSQL that has no tables."""
    with postgres.blank_database() as url:
        yield url
