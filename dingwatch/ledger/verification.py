"""Copies a SQLite ledger, and finds what is wrong with one; no writer waits for either."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from dingwatch.ledger.schema import SCHEMA
from dingwatch.ledger.sqlite import LOG_FILES, PRIVATE, errors, sqlite_address
from dingwatch.ledger.store import Store
from dingwatch.lifecycle import TABLE, Event
from dingwatch.model import Cause, LedgerError

MOST: Final = 10
"""Examples that are shown of each kind of defect."""


class DefectKind(StrEnum):
    """The kinds of damage that a ledger can have."""

    DAMAGED = "damaged"
    """SQLite cannot read all of it."""
    FOREIGN = "foreign"
    """A row belongs to one that is not there."""
    STATE = "state"
    """A delivery's state is not the one that its last line of history gives."""
    EVENT = "event"
    """A line of history has an event that the table of states does not have there."""
    COUNTER = "counter"
    """Ids would be given out a second time."""


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong, and where."""

    kind: DefectKind
    where: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The contents of a ledger in numbers, and its damage."""

    schema: int
    versions: int
    deliveries: int
    defects: tuple[Defect, ...]


# --- Copying -------------------------------------------------------------------------------------


def copy(source: Path, target: Path) -> Verified:
    """Copy a ledger to a new file that only its owner may read, and verify the copy.

    The file appears under its name when it is whole. A copy that has defects is kept: it may be the last.

    Raises:
        LedgerError: the ledger cannot be read.
        FileExistsError: something is at `target`, and stays.
        OSError: the copy cannot be written (ENOSPC where the disk is full).
    """
    if os.path.lexists(target):
        raise FileExistsError(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE))
        _copy_pages(source, part)
        found = verify(part)
        _to_disk(part)
        _move_to_new(part, target)
        _to_disk(target.parent)
    finally:
        for end in ("", "-journal", *LOG_FILES):
            part.with_name(part.name + end).unlink(missing_ok=True)
    return found


def _copy_pages(source: Path, part: Path) -> None:
    with errors(), closing(_connect(source)) as read, closing(sqlite3.connect(part)) as written:
        try:
            # In one step, which sees one state of the ledger. In several, each write of the service would
            # have it begin anew.
            read.backup(written)
            # Alone, without a log beside it.
            written.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname in {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}:
                raise OSError(28, os.strerror(28), str(part)) from None
            raise


def _move_to_new(part: Path, target: Path) -> None:
    """Give a file its name, which nothing may have."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        part.rename(target)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a directory on a file system that cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- Verifying -----------------------------------------------------------------------------------


def verify(path: Path) -> Verified:
    """Find what is wrong with a ledger, in one transaction that only reads.

    Raises:
        LedgerError: it cannot be read at all, is none (`no_tables`), or a newer dingwatch wrote it
            (`newer_schema`).
    """
    with errors(), closing(_connect(path)) as connection, _transaction(connection):
        schema = _schema(connection)
        damages = [Defect(DefectKind.DAMAGED, one) for one in _damages(connection)]
        versions, deliveries = (_count(connection, table) for table in ("versions", "deliveries"))
        # What cannot be read proves nothing about the rest.
        others = [] if damages else [one for check in _CHECKS for one in check(connection)]
    return Verified(schema, versions, deliveries, tuple(damages or others))


def verify_on_server(store: Store) -> Verified:
    """Find what is wrong with a ledger in PostgreSQL, which itself sees to it that its rows belong together.

    Raises:
        LedgerError: it cannot be read.
    """
    with store.reading() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # ten million rows take minutes
        schema = connection.scalar(text("SELECT value FROM numbers WHERE name = 'schema'"))
        versions, deliveries = (
            connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608 (ours)
            for table in ("versions", "deliveries")
        )
        states = connection.execute(text(_LAST_STATES_ON_SERVER), {"most": MOST}).all()
        steps = connection.execute(text(_STEPS_ON_SERVER), {"events": list(map(str, Event))}).all()
        largest, given = connection.execute(text(_COUNTERS_ON_SERVER)).one()
    defects = [
        *(_wrong_state(*row) for row in states),
        *_wrong_events(map(tuple, steps)),
        *_wrong_counter(given, largest),
    ]
    return Verified(schema or 0, versions or 0, deliveries or 0, tuple(defects))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(sqlite_address(path, "ro"), uri=True, isolation_level=None, timeout=5.0)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _schema(connection: sqlite3.Connection) -> int:
    """Return the number of the ledger's schema."""
    try:
        row = connection.execute("SELECT value FROM numbers WHERE name = 'schema'").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_ERROR":
            raise
        row = None  # no such table
    if row is None:
        raise LedgerError(Cause("no_tables", "", "LEDGER_EMPTY"))
    if row[0] > SCHEMA:
        raise LedgerError(Cause("newer_schema", str(row[0]), "LEDGER_NEWER"))
    return int(row[0])


def _count(connection: sqlite3.Connection, table: str) -> int:
    try:
        found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (ours)
    except sqlite3.DatabaseError:  # damaged just there
        return 0
    return found


def _damages(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(f"PRAGMA integrity_check({MOST})").fetchall()
    said = [" ".join(str(row[0]).split()) for row in rows]
    return [] if said == ["ok"] else said


def _find_foreign(connection: sqlite3.Connection) -> Iterator[Defect]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(MOST):
        yield Defect(DefectKind.FOREIGN, f"{table} {row} → {parent}")


_LAST_STATES: Final = """
SELECT id, state, last FROM (
    SELECT id, state, (
        SELECT "after" FROM history WHERE delivery_id = deliveries.id AND "after" IS NOT NULL
        ORDER BY history.id DESC LIMIT 1
    ) AS last FROM deliveries
) WHERE last IS NOT state LIMIT ?
"""


def _find_states(connection: sqlite3.Connection) -> Iterator[Defect]:
    for row in connection.execute(_LAST_STATES, (MOST,)):
        yield _wrong_state(*row)


def _wrong_state(number: int, state: str, last: str | None) -> Defect:
    return Defect(DefectKind.STATE, f"#{number}: {state} ≠ {last or '–'}")


_LAST_STATES_ON_SERVER: Final = """
SELECT id, state, last FROM (
    SELECT id, state, (
        SELECT "after" FROM history WHERE delivery_id = deliveries.id AND "after" IS NOT NULL
        ORDER BY history.id DESC LIMIT 1
    ) AS last FROM deliveries
) AS found WHERE last IS DISTINCT FROM state LIMIT :most
"""
_STEPS_ON_SERVER: Final = """
SELECT before, event, "after", min(delivery_id) FROM history
WHERE event = ANY(:events) GROUP BY before, event, "after"
"""
_COUNTERS_ON_SERVER: Final = """
SELECT greatest((SELECT coalesce(max(id), 0) FROM versions), (SELECT coalesce(max(id), 0) FROM deliveries)),
    (SELECT coalesce(max(value), 0) FROM numbers WHERE name = 'id')
"""
_STEPS: Final = """
SELECT before, event, "after", min(delivery_id) FROM history
WHERE event IN (SELECT value FROM json_each(?)) GROUP BY before, event, "after"
"""
_KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    str(state): {str(event): str(target) for event, target in row.items()} for state, row in TABLE.items()
}


def _find_events(connection: sqlite3.Connection) -> Iterator[Defect]:
    names = "[" + ", ".join(f'"{event}"' for event in Event) + "]"
    yield from _wrong_events(connection.execute(_STEPS, (names,)))


def _wrong_events(steps: Iterable[tuple[Any, ...]]) -> list[Defect]:
    wrong = [
        Defect(DefectKind.EVENT, f"#{number}: {before} –{event}→ {after}")
        for before, event, after, number in steps
        if _KNOWN.get(before, {}).get(event) != after
    ]
    return wrong[:MOST]


def _find_counters(connection: sqlite3.Connection) -> Iterator[Defect]:
    newest = (
        "SELECT max((SELECT ifnull(max(id), 0) FROM versions), (SELECT ifnull(max(id), 0) FROM deliveries))"
    )
    (largest,) = connection.execute(newest).fetchone()
    (given,) = connection.execute("SELECT ifnull(max(value), 0) FROM numbers WHERE name = 'id'").fetchone()
    yield from _wrong_counter(given, largest)


def _wrong_counter(given: int, largest: int) -> Iterator[Defect]:
    if given < largest:
        yield Defect(DefectKind.COUNTER, f"{given} < {largest}")


_CHECKS: Final[tuple[Callable[[sqlite3.Connection], Iterator[Any]], ...]] = (
    _find_foreign,
    _find_states,
    _find_events,
    _find_counters,
)
