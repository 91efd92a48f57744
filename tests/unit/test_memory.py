import os
import subprocess
import sys
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


_THREADS = """
import ctypes, sys, threading
from dingwatch.service.memory import share_heap
if sys.argv[1] == "shared":
    share_heap()
together = threading.Barrier(4)

def allocate():
    kept = bytes(4000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""
"""Let four threads allocate memory at a time, and print what glibc says of its heaps."""


def heaps(how: str) -> int:
    """Count the heaps of a process with four threads."""
    done = subprocess.run(
        [sys.executable, "-c", _THREADS, how], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.count("<heap nr=")


def test_threads_share_a_heap() -> None:
    """Of as many heaps as threads, each would keep what it has freed."""
    assert heaps("apart") > 1
    assert heaps("shared") == 1
