import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from dingwatch.ledger import Store, sqlite_url
from dingwatch.ledger.schema import numbers
from dingwatch.ledger.store import Prepared
from dingwatch.service.memory import GIVE_BACK_SECONDS, ScanMemory


@pytest.fixture
def store(blank_ledger: Path) -> Iterator[Store]:
    """Return an open ledger with a connection that has been used."""
    with closing(Store.open(sqlite_url(blank_ledger))) as opened:
        use(opened)
        yield opened


def use(store: Store) -> None:
    """Run a query."""
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def connections(ledger: Path) -> int:
    """Count the descriptors of a ledger that this process has open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += os.readlink(one) == str(ledger)
    return found


def test_idle_connections_are_closed_after_a_scan(store: Store, blank_ledger: Path) -> None:
    """They would keep what was read; the ledger is used as before."""
    memory = ScanMemory(store)
    memory.give_back(100.0)
    assert connections(blank_ledger) == 1
    memory.note_scan()
    memory.give_back(100.0)
    assert connections(blank_ledger) == 0
    use(store)


def test_many_scans_close_them_once_a_minute(store: Store, blank_ledger: Path) -> None:
    """A thousand folders are scanned one after another, and polled ones every moment."""
    memory = ScanMemory(store)
    memory.note_scan()
    memory.give_back(100.0)
    use(store)
    memory.note_scan()
    memory.give_back(100.0 + GIVE_BACK_SECONDS / 2)
    assert connections(blank_ledger) == 1
    memory.give_back(100.0 + GIVE_BACK_SECONDS)
    assert connections(blank_ledger) == 0


def test_a_question_leaves_no_connection(store: Store, blank_ledger: Path) -> None:
    """A connection of its own is closed with the question, also when it fails."""
    memory = ScanMemory(store)
    memory.note_scan()
    memory.give_back(100.0)
    with store.reading_apart() as connection:
        assert Prepared(select(numbers.c.value)).rows(connection, {})
    with pytest.raises(ZeroDivisionError), store.reading_apart():
        raise ZeroDivisionError
    assert connections(blank_ledger) == 0
