"""What the canary notices, and what it does not mind."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from dingwatch.ledger import sqlite
from dingwatch.sandbox import Sandbox
from dingwatch.service import canary
from dingwatch.service.daemon import Service
from dingwatch.service.looping import Errand
from tests.support import Heard, config, eventually, folder

Stall = Callable[[Service, threading.Event], None]


@pytest.fixture
def service(
    tmp_path: Path, share: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A running service whose canaries follow each other quickly."""
    monkeypatch.setattr(canary, "SECONDS", 0.05)
    monkeypatch.setattr(canary, "FRESH_SECONDS", 1.0)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.5)
    with Service(
        config(tmp_path / "state", sandbox, folder(share, sandbox.conversations[0].id)), log=Heard()
    ) as made:
        eventually(lambda: is_well(made))
        yield made


def is_well(service: Service) -> bool:
    """Return whether the service is healthy now."""
    return service.health().is_good(time.monotonic())


def stall_intake(service: Service, end: threading.Event) -> None:
    """Have the intake loop wait."""
    service._intake.inbox.put(Errand(partial(wait, end)))


def stall_feedback(service: Service, end: threading.Event) -> None:
    """Have the feedback loop wait."""
    service._feedback.inbox.put(Errand(partial(wait, end)))


def stall_delivery(service: Service, end: threading.Event) -> None:
    """Have the delivery loop wait."""
    service._delivery.inbox.put(Errand(partial(wait, end)))


def stall_observer(service: Service, end: threading.Event) -> None:
    """Have the thread wait that calls the handlers of events."""
    observer = service._intake.observer._observer
    assert observer is not None
    hold(observer._lock, end)


def stall_ledger(service: Service, end: threading.Event) -> None:
    """Have a transaction not return."""
    assert service._store is not None
    hold(service._store._lock, end)


def wait(end: threading.Event) -> None:
    """Wait for the end."""
    end.wait()


def hold(lock: AbstractContextManager[bool], end: threading.Event) -> None:
    """Keep a lock until the end, in a thread of its own."""
    held = threading.Event()

    def keep() -> None:
        with lock:
            held.set()
            end.wait()

    threading.Thread(target=keep, daemon=True).start()
    held.wait()


@pytest.mark.parametrize(
    "stall", [stall_intake, stall_delivery, stall_feedback, stall_observer, stall_ledger]
)
def test_whatever_hangs_is_noticed(service: Service, stall: Stall) -> None:
    """While one of the things that a file has to pass does not go on, the service is not well."""
    end = threading.Event()
    try:
        stall(service, end)
        eventually(lambda: not is_well(service))
        assert service.health().ledger_error is None
    finally:
        end.set()
    eventually(lambda: is_well(service))


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    """Keep the write lock of a ledger, as a person's sqlite3 may."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_ledger_that_answers_is_alive(service: Service, tmp_path: Path) -> None:
    """A locked ledger makes the service unwell, but canaries come back: what it knows must not be lost."""
    with locked(tmp_path / "state" / "ledger.db"):
        eventually(lambda: service.health().ledger_error is not None)
        before = service.health().passed_at
        eventually(lambda: service.health().passed_at != before)
        assert not is_well(service)
    eventually(lambda: is_well(service))


def test_at_rest_nothing_is_written(service: Service, tmp_path: Path) -> None:
    """Canaries leave no trace in the ledger: an idle service lets its disk sleep."""
    ledger = tmp_path / "state" / "ledger.db"
    log = ledger.with_name("ledger.db-wal")  # it goes with the last connection

    def written() -> list[int]:
        return [one.stat().st_mtime_ns for one in (ledger, log) if one.exists()]

    def stays_as_it_is() -> bool:
        before, passed = written(), service.health().passed_at
        eventually(lambda: service.health().passed_at != passed)
        return written() == before

    eventually(stays_as_it_is)


def test_the_line_for_systemctl_status(service: Service, share: Path) -> None:
    """What the service does stands in one line, with what is wrong where something is."""
    assert service.describe() == "watching 1 folder"
    share.rmdir()
    eventually(lambda: service.describe() == "watching 0 folders; 1 folder is down")
