"""The ledger as commands open it: whether it can be used, and a wait for room where its disk is full.

Only commands that need the ledger import this: SQLAlchemy alone takes longer to import than `status` may.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from dingwatch.cli.context import EXIT_CONFIG, Session
from dingwatch.cli.full_disk import is_full, wait_for_room
from dingwatch.ledger import LedgerError, Store, integrity, sqlite_url
from dingwatch.ledger.nodes import ledger_time
from dingwatch.ledger.report import Scope
from dingwatch.service import recorded
from dingwatch.service.answers import NEVER_WATCHED, NOTHING_RECORDED, RecordedPath, RecordedStatus
from dingwatch.service.in_force import InForce
from dingwatch.texts import Cli
from dingwatch.watch import holding, mounts

T = TypeVar("T")
_RETIRED: Final = frozenset({"LEDGER_MOVED", "LEDGER_UNFINISHED"})
"""Advice of failures that mean another ledger: with exit code 78, systemd does not try again."""


def ledger_url(session: Session) -> str:
    """Return the ledger's URL, which may hold a password."""
    return sqlite_url(session.ledger_path) if session.ledger_in_file else session.ledger_address


def ledger_exists(session: Session) -> bool:
    """Return whether there is a ledger to read; a command that only shows things creates none.

    Raises:
        LedgerError: that cannot be told.
    """
    if not session.ledger_in_file:
        return Store.exists(session.ledger_address)
    if session.state_dir.exists():
        _require_access(session.state_dir, os.X_OK)
    return integrity.require_present(session.ledger_path)


@contextmanager
def open_store(session: Session, *, writes: bool = False) -> Iterator[Store]:
    """Open the ledger; one that cannot be used ends the command, after some seconds if its disk is full.

    `writes` says that the command is going to write: then it must be possible before the command begins.
    The command writes through `write`, which waits for the room that its own transaction needs.
    """
    path = session.ledger_path
    if session.ledger_in_file and path.exists():
        _require_access(path, os.R_OK)
    try:
        # `send` may run before the service ever has.
        session.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if session.ledger_in_file:
            integrity.require_present(path)
        store = wait_for_room(partial(_open, ledger_url(session), session.node, writes=writes), path)
    except (LedgerError, OSError) as error:
        fail_ledger(session, error)
    try:
        yield store
    except LedgerError as error:
        fail_ledger(session, error)
    finally:
        store.close()


def write(session: Session, transaction: Callable[[], T]) -> T:
    """Carry out one transaction, again and again for some seconds while the ledger's disk is full.

    The log of a full disk may have room for the small write with which a command begins, and none for a
    thousand rows.

    Raises:
        LedgerError: it could not be carried out; nothing of it was written.
    """
    return wait_for_room(transaction, session.ledger_path)


def read_clock(store: Store) -> float:
    """Return the time to write into the ledger: of one that is shared, the database's.

    A file that a host retries whose clock is ten minutes ahead would else wait for ten minutes.

    Raises:
        LedgerError: the database cannot be asked.
    """
    return ledger_time(store, time.time())


def find_scope(session: Session, store: Store, in_force: InForce | None = None) -> Scope:
    """Return what a configuration maps, in the ledger's numbers: the one in force, or another."""
    with store.reading() as connection:
        return recorded.scope_of(connection, in_force or session.in_force)


def read_status(session: Session) -> RecordedStatus:
    """Return what the ledger knows for `status`."""
    if not ledger_exists(session):
        return NOTHING_RECORDED
    with open_store(session) as store, store.reading() as connection:
        return recorded.read_status(connection, session.in_force, read_clock(store))


def read_paths(session: Session, asked: Sequence[tuple[str | None, bytes]]) -> list[RecordedPath]:
    """Return what the ledger knows for `why` of paths in folders, by their names (None: given to `send`)."""
    if not ledger_exists(session):
        return [NEVER_WATCHED for _ in asked]
    with open_store(session) as store, store.reading() as connection:
        return recorded.read_paths(connection, session.in_force, asked, read_clock(store))


def fail_ledger(session: Session, error: LedgerError | OSError, exit_code: int = 1) -> NoReturn:
    """End the command because the ledger cannot be used."""
    path, ledger = session.ledger_place, session.ledger_path
    if is_full(error, ledger):
        session.fail(Cli.LEDGER_DISK_FULL, exit_code=exit_code, path=ledger, disk=_disk_of(ledger))
    if isinstance(error, LedgerError):
        code = EXIT_CONFIG if error.cause.advice in _RETIRED else exit_code
        session.fail(Cli.LEDGER_FAILED, error.cause, exit_code=code, path=path)
    reason = error.strerror or type(error).__name__
    if not session.ledger_in_file:
        session.fail(Cli.FORBIDDEN, exit_code=exit_code, path=error.filename or session.state_dir)
    advice = session.advice("LEDGER_UNWRITABLE")
    session.fail(Cli.LEDGER_FAILED, exit_code=exit_code, path=path, reason=reason, advice=advice)


def _open(url: str, node: str, *, writes: bool) -> Store:
    store = Store.open(url, node)
    if writes:
        try:
            store.require_writable()
        except BaseException:
            store.close()
            raise
    return store


def _require_access(path: Path, mode: int) -> None:
    """Raise PermissionError where the user of this command has no such access."""
    if not os.access(path, mode, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _disk_of(ledger: Path) -> str:
    """Return where the disk that holds a ledger is mounted."""
    return os.fsdecode(holding(os.fsencode(ledger.parent.resolve()), mounts()).point)
