"""Opening a ledger, and its transactions.

SQLite in WAL mode with synchronous FULL: a commit that returned survives a power cut. A writing
transaction takes SQLite's write lock at its beginning, so that what it read still holds when it writes.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from dingwatch.ledger.schema import MIGRATIONS, SCHEMA, metadata, numbers
from dingwatch.model import Cause

BUSY_SECONDS: Final = 5.0
_ADVICE: Final = (
    ("SQLITE_CORRUPT", "LEDGER_DAMAGED"),
    ("SQLITE_NOTADB", "LEDGER_DAMAGED"),
    ("SQLITE_BUSY", "LEDGER_LOCKED"),
    ("SQLITE_LOCKED", "LEDGER_LOCKED"),
)


class LedgerError(Exception):
    """The ledger cannot be read or written now; nothing is claimed until it can."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.code}: {cause.message}")
        self.cause = cause


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite ledger at this path."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = (
        None  # transactions begin where this module says, not where the driver guesses
    )
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(BUSY_SECONDS * 1000)}",
        "cache_size=-16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Store:
    """An open ledger: hands out transactions. Opened by `open`, closed by `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a ledger, making its tables where they are missing.

        Raises:
            LedgerError: it cannot be opened, or it was written by a newer dingwatch (`newer_schema`).
        """
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        store = cls(engine)
        try:
            store._prepare()
        except LedgerError:
            store.close()
            raise
        store._file = store._identity()
        return store

    def _identity(self) -> tuple[int, int] | None:
        """Return device and inode of the file that a SQLite ledger is."""
        if self._engine.dialect.name != "sqlite" or not self._engine.url.database:
            return None
        try:
            status = os.stat(self._engine.url.database)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _require_same_file(self) -> None:
        """SQLite would make an empty ledger where one was moved away, and go on in one that was deleted."""
        if self._file is not None and self._identity() != self._file:
            raise LedgerError(Cause("replaced", "", "LEDGER_REPLACED"))

    def _prepare(self) -> None:
        """Make what is missing; a ledger that is as it should be is only looked at."""
        with self.reading() as connection:
            found = inspect(connection).has_table(numbers.name) and _schema(connection)
        if found == SCHEMA:
            return
        with self.writing() as connection:
            if inspect(connection).has_table(numbers.name):
                _migrate(connection, _schema(connection))
                return
            metadata.create_all(connection)
            self.insert_missing(
                connection, numbers, [{"name": "schema", "value": SCHEMA}, {"name": "id", "value": 0}]
            )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one transaction that writes; raise LedgerError when it cannot be carried out."""
        self._require_same_file()
        with (
            self._lock,
            errors(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run queries on one state of the ledger."""
        self._require_same_file()
        with errors(), self._engine.connect() as connection:
            yield connection

    def identity(self, candidate: int) -> int:
        """Return the number that tells this ledger from others: `candidate`, when it has none yet."""
        with self.writing() as connection:
            self.insert_missing(connection, numbers, [{"name": "ledger", "value": candidate}])
            found: int = connection.scalars(select(numbers.c.value).where(numbers.c.name == "ledger")).one()
        return found

    def insert_missing(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert the rows whose primary key is not there yet."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def _insert(self, table: Table) -> Any:  # noqa: ANN401 (each dialect has its own `insert` with `on_conflict`)
        made = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        return made(table)

    def upsert(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], *, add: str | None = None
    ) -> None:
        """Insert rows, or replace those with the same primary key; `add` names a column to be summed up."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        statement = self._insert(table)
        changed = {
            name: table.c[name] + statement.excluded[name] if name == add else statement.excluded[name]
            for name in rows[0]
            if name not in keys
        }
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)

    def new_ids(self, connection: Connection, count: int) -> range:
        """Draw ids for versions and deliveries."""
        last = connection.scalar(
            update(numbers)
            .where(numbers.c.name == "id")
            .values(value=numbers.c.value + count)
            .returning(numbers.c.value)
        )
        assert last is not None  # noqa: S101 (the row is made when the ledger is)
        return range(last - count + 1, last + 1)


def _schema(connection: Connection) -> int:
    """Return the number of the ledger's schema; raise LedgerError where it is newer than this program."""
    found = connection.scalar(select(numbers.c.value).where(numbers.c.name == "schema"))
    if found is None or found > SCHEMA:
        raise LedgerError(Cause("newer_schema", str(found), "LEDGER_NEWER"))
    return int(found)


def _migrate(connection: Connection, found: int) -> None:
    """Bring an older ledger up to this program's schema, one step after the other."""
    for number in range(found, SCHEMA):
        for step in MIGRATIONS[number]:
            connection.execute(step)
    connection.execute(update(numbers).where(numbers.c.name == "schema").values(value=SCHEMA))


@contextmanager
def errors() -> Iterator[None]:
    """Turn the driver's errors into LedgerError; their texts name no file and no secret."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(original, "sqlite_errorname", None) or type(original).__name__
        advice = next((name for start, name in _ADVICE if code.startswith(start)), "LEDGER_UNWRITABLE")
        raise LedgerError(Cause(code, str(original), advice)) from error


__all__ = ["LedgerError", "Store", "sqlite_url"]
