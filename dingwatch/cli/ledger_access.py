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
from typing import NoReturn, TypeVar

from dingwatch.cli.context import EXIT_CONFIG, Session
from dingwatch.cli.full_disk import is_full, wait_for_room
from dingwatch.ledger import LedgerError, Store
from dingwatch.ledger.report import Scope
from dingwatch.service import recorded
from dingwatch.service.answers import NEVER_WATCHED, NOTHING_RECORDED, RecordedPath, RecordedStatus
from dingwatch.service.in_force import InForce
from dingwatch.service.ledgers import ledger_url, require_present
from dingwatch.texts import Cli
from dingwatch.watch import holding, mounts

T = TypeVar("T")


def require_ledger(session: Session) -> None:
    """End the command where the configuration names a ledger that is not supported yet."""
    if not session.ledger_supported:
        session.fail(Cli.NOT_YET, exit_code=EXIT_CONFIG, command="ledger: postgresql")


def ledger_exists(session: Session) -> bool:
    """Return whether there is a ledger to read; a command that only shows things creates none."""
    require_ledger(session)
    if session.config.state_dir.exists():
        _require_access(session.config.state_dir, os.X_OK)
    return require_present(session.config)


@contextmanager
def open_store(session: Session, *, writes: bool = False) -> Iterator[Store]:
    """Open the ledger; one that cannot be used ends the command, after some seconds if its disk is full.

    `writes` says that the command is going to write: then it must be possible before the command begins.
    The command writes through `write`, which waits for the room that its own transaction needs.
    """
    require_ledger(session)
    path = session.config.ledger_file
    if path is not None and path.exists():
        _require_access(path, os.R_OK)
    try:
        # `send` may run before the service ever has.
        session.config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_present(session.config)
        store = wait_for_room(partial(_open, session, writes=writes), session.ledger_path)
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


def find_scope(session: Session, store: Store, in_force: InForce | None = None) -> Scope:
    """Return what a configuration maps, in the ledger's numbers: the one in force, or another."""
    with store.reading() as connection:
        return recorded.scope_of(connection, in_force or session.in_force)


def read_status(session: Session) -> RecordedStatus:
    """Return what the ledger knows for `status`."""
    if not ledger_exists(session):
        return NOTHING_RECORDED
    with open_store(session) as store, store.reading() as connection:
        return recorded.read_status(connection, session.in_force, time.time())


def read_paths(session: Session, asked: Sequence[tuple[str | None, bytes]]) -> list[RecordedPath]:
    """Return what the ledger knows for `why` of paths in folders, by their names (None: given to `send`)."""
    if not ledger_exists(session):
        return [NEVER_WATCHED for _ in asked]
    with open_store(session) as store, store.reading() as connection:
        return recorded.read_paths(connection, session.in_force, asked)


def fail_ledger(session: Session, error: LedgerError | OSError, exit_code: int = 1) -> NoReturn:
    """End the command because the ledger cannot be used."""
    path, ledger = session.config.state_dir, session.ledger_path
    if is_full(error, ledger):
        session.fail(Cli.LEDGER_DISK_FULL, exit_code=exit_code, path=ledger, disk=_disk_of(ledger))
    if isinstance(error, LedgerError):
        session.fail(Cli.LEDGER_FAILED, error.cause, exit_code=exit_code, path=path)
    reason = error.strerror or type(error).__name__
    advice = session.advice("LEDGER_UNWRITABLE")
    session.fail(Cli.LEDGER_FAILED, exit_code=exit_code, path=path, reason=reason, advice=advice)


def _open(session: Session, *, writes: bool) -> Store:
    store = Store.open(ledger_url(session.config))
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
