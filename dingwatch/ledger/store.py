"""The database: opening and migrating it, transactions, prepared statements, outages.

SQLite in WAL mode with synchronous FULL: a commit that returned survives a power cut. A writing
transaction takes SQLite's write lock at its beginning, so that what it read still holds when it writes.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

from sqlalchemy import (
    URL,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Select,
    Table,
    bindparam,
    create_engine,
    event,
    inspect,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import NullType

from dingwatch.ledger.schema import MIGRATIONS, SCHEMA, metadata, numbers
from dingwatch.model import Cause, LedgerError
from dingwatch.texts import Log

T = TypeVar("T")
BUSY_SECONDS: Final = 5.0
"""Seconds to wait for another process that writes."""
PRIVATE: Final = 0o600
LOG_FILES: Final = ("-wal", "-shm")
"""The ends of the names of a SQLite ledger's log and of the log's index, which lie beside it."""
_ADVICE: Final = (
    ("SQLITE_CORRUPT", "LEDGER_DAMAGED"),
    ("SQLITE_NOTADB", "LEDGER_DAMAGED"),
    ("SQLITE_BUSY", "LEDGER_LOCKED"),
    ("SQLITE_LOCKED", "LEDGER_LOCKED"),
)


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite ledger at this path."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, and only at the first write; `_begin_sqlite` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    # WAL: a command reads while the service writes. But a new ledger is made without it: its tables would lie
    # in ledger.db-wal alone, and whoever loses that file would have a ledger that never held anything.
    (tables,) = cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: a commit survives a power cut, so that no message is forgotten and sent twice.
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _keep_private(path: Path) -> None:
    """Create the file of a ledger that is missing, and let nobody but its owner read it or its log.

    It names people's files. SQLite would create it as the umask says, and lets its log and index have the
    mode of the ledger itself.
    """
    with suppress(OSError):  # it is there, or cannot be made, of which SQLite will tell
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
    for one in (path, *(path.with_name(path.name + end) for end in LOG_FILES)):
        with suppress(OSError):  # a file that is not there; a ledger that is another user's
            if stat.S_IMODE(one.stat().st_mode) != PRIVATE:
                one.chmod(PRIVATE)


def _begin_sqlite(connection: Connection) -> None:
    # A plain BEGIN takes the lock at the first write. That is too late if the reads before must still hold.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Store:
    """An open ledger: hands out transactions. Opened by `open`, closed by `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._inserts: dict[str, Prepared] = {}

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a ledger; create its tables or migrate them where that is needed.

        Raises:
            LedgerError: it cannot be opened, was written by a newer dingwatch (`newer_schema`), or is a
                database without a ledger's tables (`no_tables`).
        """
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            if engine.url.database:
                _keep_private(Path(engine.url.database))
        store = cls(engine)
        try:
            store._prepare()
        except LedgerError:
            store.close()
            raise
        store._file = store._identity()
        return store

    def _identity(self) -> tuple[int, int] | None:
        """Return (device, inode) of the file of a SQLite ledger; None where there is no file."""
        if self._engine.dialect.name != "sqlite" or not self._engine.url.database:
            return None
        try:
            status = os.stat(self._engine.url.database)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _require_same_file(self) -> None:
        """Raise LedgerError if the file was moved, deleted or replaced since the ledger was opened.

        SQLite would not notice: it goes on in a deleted file, and a new connection creates an empty one.
        """
        if self._file is not None and self._identity() != self._file:
            raise LedgerError(Cause("replaced", "", "LEDGER_REPLACED"))

    def _prepare(self) -> None:
        """Create or migrate the tables. A ledger of this schema is only read, and no writer is waited for."""
        with self.reading() as connection:
            found = inspect(connection).has_table(numbers.name) and _schema(connection)
            if not found:
                _require_blank(connection)
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
        self._engine.dispose()  # the connections that come next find tables, and use WAL

    def checkpoint(self, *, wait: bool = False) -> None:
        """Write what is in the log of a SQLite ledger to its own file, as far as no reader needs it there.

        With `wait` it waits a little for such a reader, as the other loop may be one, and then writes it all.
        """
        if self._engine.dialect.name == "sqlite":
            self._require_same_file()
            with errors(), closing(self._engine.raw_connection()) as connection:
                connection.execute(f"PRAGMA wal_checkpoint({'FULL' if wait else 'PASSIVE'})")

    def release_memory(self) -> None:
        """Close the connections that are not in use, which keep up to 16 MB each of what a scan has read."""
        self._engine.dispose()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one transaction that writes.

        Raises:
            LedgerError: it could not be carried out; nothing of it was written.
        """
        with self._transaction(self._writer) as connection:
            yield connection

    def require_writable(self) -> None:
        """Write something that changes nothing.

        Raises:
            LedgerError: nothing can be written now, because the disk is full, say.
        """
        with self.writing() as connection:
            connection.execute(update(numbers).where(numbers.c.name == "id").values(value=numbers.c.value))

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        self._require_same_file()
        with self._lock, errors(), engine.connect() as connection, connection.begin():
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run one transaction that may turn out to write nothing, and then never takes the write lock.

        Without the lock, a command may write between what `work` reads and its first write, and SQLite then
        refuses that write. In this case `work` runs once more, with the lock from the beginning: it must
        keep nothing but what it returns.

        Raises:
            LedgerError: the transaction cannot be carried out.
        """
        try:
            with self._transaction(self._engine) as connection:
                return work(connection)
        except LedgerError as error:
            if not error.cause.code.startswith("SQLITE_BUSY"):
                raise
        with self.writing() as connection:
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run queries in one transaction, which sees one state of the ledger throughout."""
        self._require_same_file()
        with errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def reading_apart(self) -> Iterator[Connection]:
        """Run queries in one transaction on a connection of their own, which is closed afterwards.

        A question about the whole ledger reads through all of an index. A connection that is used again would
        keep up to 16 MB of that in memory.
        """
        with self.reading() as connection:
            try:
                yield connection
            finally:
                connection.invalidate()

    def identity(self, candidate: int) -> int:
        """Return the number of this ledger, which becomes `candidate` if it has none yet.

        It distinguishes installations that share one DingTalk app.
        """
        with self.writing() as connection:
            self.insert_missing(connection, numbers, [{"name": "ledger", "value": candidate}])
            found: int = connection.scalars(select(numbers.c.value).where(numbers.c.name == "ledger")).one()
        return found

    def insert_missing(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, except those whose primary key exists."""
        if rows:
            if table.name not in self._inserts:
                self._inserts[table.name] = Prepared(self._insert(table).on_conflict_do_nothing())
            self._inserts[table.name].many(connection, rows)

    def _insert(self, table: Table) -> Any:  # noqa: ANN401 (each dialect has its own `insert` with `on_conflict`)
        if self._engine.dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql  # noqa: PLC0415 (2 MB, of no use with SQLite)

            return postgresql.insert(table)
        return sqlite.insert(table)

    def upsert(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], *, add: str | None = None
    ) -> None:
        """Insert rows, or update those with the same primary key: `add` names a column to be summed up."""
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
        """Reserve consecutive ids for versions or deliveries."""
        ((last,),) = _TAKE_IDS.rows(connection, {"count": count})  # the row is made when the ledger is
        return range(last - count + 1, last + 1)


def _require_blank(connection: Connection) -> None:
    """Raise LedgerError if a database without a ledger's tables is not a new one.

    Until the first checkpoint, dingwatch 0.1 had all tables in ledger.db-wal. Where that file was lost, a
    ledger made anew would forget every file and call: all that lies in the folders would count as old.
    """
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA page_count").scalar():
        raise LedgerError(Cause("no_tables", "", "LEDGER_EMPTY"))


def _schema(connection: Connection) -> int:
    """Return the number of the ledger's schema; raise LedgerError if a newer dingwatch wrote it."""
    found = connection.scalar(select(numbers.c.value).where(numbers.c.name == "schema"))
    if found is None or found > SCHEMA:
        raise LedgerError(Cause("newer_schema", str(found), "LEDGER_NEWER"))
    return int(found)


def _migrate(connection: Connection, found: int) -> None:
    """Migrate a ledger from schema `found` to this program's, one after the other."""
    for number in range(found, SCHEMA):
        for step in MIGRATIONS[number]:
            connection.execute(step)
    connection.execute(update(numbers).where(numbers.c.name == "schema").values(value=SCHEMA))


@contextmanager
def errors() -> Iterator[None]:
    """Raise the driver's errors as LedgerError. Their texts contain no file name and no secret."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(original, "sqlite_errorname", None) or type(original).__name__
        advice = next((name for start, name in _ADVICE if code.startswith(start)), "LEDGER_UNWRITABLE")
        raise LedgerError(Cause(code, str(original), advice)) from error


# --- Statements ----------------------------------------------------------------------------------

CHUNK: Final = 500
"""The most values in one IN list; drivers limit them (32,766 in SQLite), and a plan for few is cheap."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces that fit an IN list."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


FETCHED_AT_ONCE: Final = 1000


class Prepared:
    """A statement that is compiled once for each dialect and then run on the driver itself.

    The statements of every tick use it: what SQLAlchemy does around an execution costs several times what
    SQLite does within it. No types are converted: columns are numbers, text and bytes as the driver gives
    them. A statement with `IN` cannot be prepared, for its text depends on the number of values.

    With `index`, SQLite reads the table `deliveries` by this index or fails. Its planner knows nothing of how
    many rows there are, and may prefer an index by which it reads every row that waits.
    """

    def __init__(self, statement: Select[Any] | UpdateBase, *, index: str | None = None) -> None:
        self._statement = statement
        self._index = index
        self._compiled: dict[str, tuple[str, dict[str, Any]]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a query and return its rows as plain tuples."""
        sql, defaults = self._for(connection)
        rows: list[tuple[Any, ...]] = _driver(connection).execute(sql, {**defaults, **values}).fetchall()
        return rows

    def stream(self, connection: Connection, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Run a query and yield its rows one by one: a directory may have a million."""
        sql, defaults = self._for(connection)
        with closing(_driver(connection).execute(sql, {**defaults, **values})) as cursor:
            while some := cursor.fetchmany(FETCHED_AT_ONCE):
                yield from some

    def count(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run a statement that changes rows and return how many it changed."""
        sql, defaults = self._for(connection)
        changed: int = _driver(connection).execute(sql, {**defaults, **values}).rowcount
        return changed

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each row of values, in one call of the driver."""
        if rows:
            sql, defaults = self._for(connection)
            complete = [{**defaults, **values} for values in rows] if defaults else rows
            _driver(connection).cursor().executemany(sql, complete)

    def _for(self, connection: Connection) -> tuple[str, dict[str, Any]]:
        """Return the text of the statement, and the parameters that SQLAlchemy adds to it (an OFFSET)."""
        name = connection.dialect.name
        if name not in self._compiled:
            # Parameters with names need not be put into the order of the text at every run.
            dialect = sqlite.dialect(paramstyle="named") if name == "sqlite" else connection.dialect
            compiled = _with_literals(self._statement, dialect).compile(dialect=dialect)
            sql = str(compiled)
            if self._index and name == "sqlite":
                sql = re.sub(r"FROM deliveries\b", f"FROM deliveries INDEXED BY {self._index}", sql)
            self._compiled[name] = (sql, dict(compiled.params))
        return self._compiled[name]


_TAKE_IDS: Final = Prepared(
    update(numbers)
    .where(numbers.c.name == "id")
    .values(value=numbers.c.value + bindparam("count"))
    .returning(numbers.c.value)
)


def _driver(connection: Connection) -> Any:  # noqa: ANN401 (sqlite3's and psycopg's have no common type)
    return connection.connection.dbapi_connection


def _with_literals(statement: Select[Any] | UpdateBase, dialect: Dialect) -> Select[Any] | UpdateBase:
    """Write the constants of a statement (a state in a WHERE) into its text.

    SQLite compiles a query anew at each run, if a parameter decides whether one of the partial indexes
    serves it. For the longer queries that takes ten times as long as running them.
    """
    compiler = dialect.statement_compiler(dialect, None)

    def replace(element: object, **_: object) -> ColumnElement[Any] | None:
        # The values that an UPDATE sets have no type yet, and choose no index.
        if (
            isinstance(element, BindParameter)
            and not element.required
            and not isinstance(element.type, NullType)
        ):
            return literal_column(compiler.render_literal_value(element.value, element.type))
        return None

    return cast("Select[Any] | UpdateBase", visitors.replacement_traverse(statement, {}, replace))


# --- Outages -------------------------------------------------------------------------------------

RETRY_SECONDS: Final = 1.0
"""Seconds until a ledger that could not be used is tried again."""


class Outage:
    """A time in which the ledger cannot be used: a full disk, a lock that somebody holds.

    Both loops share it, each in its own thread. It is logged once when the first of them fails, and once when
    all that failed have succeeded again.
    """

    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._met: set[object] = set()
        self.error: LedgerError | None = None
        """Why the ledger cannot be used now."""

    def begin(self, who: object, error: LedgerError) -> None:
        """Note that `who` could not use the ledger."""
        with self._lock:
            if not self._met:
                cause = error.cause
                self._log(Log.LEDGER_DOWN, **cause.log_values())
            self._met.add(who)
            self.error = error

    def end(self, who: object) -> None:
        """Note that `who` has used the ledger."""
        with self._lock:
            if self._met == {who}:
                self._log(Log.LEDGER_BACK)
            self._met.discard(who)
            if not self._met:
                self.error = None

    def affects(self, who: object) -> bool:
        """Return whether the last attempt of `who` failed."""
        return who in self._met
