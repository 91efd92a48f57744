"""The database: opening and migrating it, transactions, prepared statements, outages.

A writing transaction has a lock from its beginning, on either database, so that what it read still holds when
it writes.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from enum import Enum
from operator import itemgetter
from typing import Any, Final, Protocol, Self, TypeVar, cast

from sqlalchemy import (
    URL,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    Dialect,
    Engine,
    Select,
    Table,
    bindparam,
    delete,
    event,
    insert,
    inspect,
    literal_column,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import NullType

from dingwatch.ledger.driver import require_driver
from dingwatch.ledger.schema import FIRST_NUMBERS, SCHEMA, metadata, numbers, revision
from dingwatch.ledger.sqlite import SQLite
from dingwatch.model import Cause, LedgerError
from dingwatch.texts import Log

T = TypeVar("T")


UNFINISHED: Final = "unfinished"
"""The counter that a ledger has while another one is copied into it."""


class Use(Enum):
    """What a ledger is opened for."""

    WORK = "work"
    SOURCE = "source"
    """To be copied, though it may have been already."""
    TARGET = "target"
    """To be copied into, though that may have been broken off before."""


class _Database(Protocol):
    """What differs between SQLite and PostgreSQL."""

    shared: bool
    engine: Engine
    reader: Engine
    writer: Engine

    def opened(self) -> None: ...
    def errors(self) -> AbstractContextManager[None]: ...
    def lacked_the_lock(self, error: LedgerError, /) -> bool: ...
    def using(self, connection: Connection, /) -> AbstractContextManager[None]: ...
    def require_blank(self, connection: Connection) -> None: ...
    def checkpoint(self, *, wait: bool) -> None: ...
    def release_memory(self) -> None: ...
    def forget(self, connection: Connection) -> None: ...
    def insert(self, table: Table) -> Any: ...  # noqa: ANN401 (each dialect has a class of its own)


def _database(url: str, node: str) -> _Database:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SQLite(parsed)
    require_driver()
    from dingwatch.ledger.postgresql import PostgreSQL  # noqa: PLC0415 (5 MB, of no use with SQLite)

    return PostgreSQL(parsed, node)


class Store:
    """An open ledger: hands out transactions. Opened by `open`, closed by `close`."""

    def __init__(self, database: _Database, node: str) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._inserts: dict[str, Prepared] = {}
        self.node: Final = node
        """This host's name on a shared ledger; empty where the ledger is not shared."""

    @classmethod
    def open(cls, url: str, node: str = "", use: Use = Use.WORK) -> Self:
        """Open a ledger; create its tables or migrate them where that is needed.

        `node` is the name of this host, should the ledger be one that several hosts share.

        Raises:
            LedgerError: it cannot be opened, was written by a newer dingwatch (`newer_schema`), is a
                database without a ledger's tables (`no_tables`, `foreign_tables`), was copied elsewhere
                (`moved`), a copy into it is not complete (`unfinished`), or the driver of PostgreSQL is not
                installed (`no_driver`).
        """
        database = _database(url, node)
        store = cls(database, node if database.shared else "")
        try:
            store._prepare(use)
        except LedgerError:
            store.close()
            raise
        database.opened()
        return store

    @classmethod
    def exists(cls, url: str) -> bool:
        """Return whether a database on a server has a ledger; none is made.

        Raises:
            LedgerError: the database cannot be asked.
        """
        with closing(cls(_database(url, ""), "")) as store, store.reading() as connection:
            return inspect(connection).has_table(numbers.name)

    @property
    def shared(self) -> bool:
        """Return whether other hosts may work on the ledger: whether it is in PostgreSQL."""
        return self._database.shared

    @property
    def url(self) -> URL:
        """Return where the ledger is; its text hides the password."""
        return self._database.engine.url

    def _prepare(self, use: Use) -> None:
        """Create or migrate the tables. A ledger of this schema is only read, and no writer is waited for."""
        with self.reading() as connection:
            found = inspect(connection).has_table(numbers.name) and _schema(connection)
            if not found:
                self._database.require_blank(connection)
            if found == SCHEMA and use is Use.WORK:
                _require_in_use(connection)
        if found == SCHEMA:
            return
        if found and use is Use.TARGET:  # what is not empty is not changed either
            raise LedgerError(Cause("older_schema", str(found), "LEDGER_OLDER"))
        with self.writing() as connection:
            if inspect(connection).has_table(numbers.name):
                _migrate(connection, _schema(connection))
                return
            metadata.create_all(connection)
            revision.create(connection)
            connection.execute(revision.insert().values(version_num=str(SCHEMA)))
            rows = [{"name": name, "value": value} for name, value in FIRST_NUMBERS.items()]
            self.insert_missing(connection, numbers, rows)
        self._database.engine.dispose()  # the connections that come next find tables: SQLite's then use WAL

    def checkpoint(self, *, wait: bool = False) -> None:
        """Write what is in the log of a SQLite ledger to its own file, as far as no reader needs it there.

        With `wait` it waits a little for such a reader, as the other loop may be one, and then writes it all.
        """
        with self._database.errors():
            self._database.checkpoint(wait=wait)

    def release_memory(self) -> None:
        """Give back what connections that are not in use keep in memory."""
        self._database.release_memory()

    def close(self) -> None:
        """Close all connections; one that a thread still reads with is closed when it is given back."""
        event.listen(self._database.engine, "checkin", _close_given_back)
        self._database.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one transaction that writes.

        Raises:
            LedgerError: it could not be carried out; nothing of it was written.
        """
        with self._transaction() as connection:
            yield connection

    def require_writable(self) -> None:
        """Write something that changes nothing.

        Raises:
            LedgerError: nothing can be written now, because the disk is full, say.
        """
        # SQLite would write no page for a value that is replaced by the same.
        with self.writing() as connection:
            connection.execute(insert(numbers).values(name="probe", value=0))
            connection.execute(delete(numbers).where(numbers.c.name == "probe"))

    def require_lock(self) -> None:
        """Take the lock of a transaction that writes, and write nothing.

        Raises:
            LedgerError: it cannot be taken, because another program keeps it, say.
        """
        with self._transaction():
            pass

    @contextmanager
    def _transaction(self, *, writes: bool = True) -> Iterator[Connection]:
        database = self._database
        engine = database.writer if writes else database.engine
        with (
            database.errors(),
            self._lock,
            engine.connect() as connection,
            connection.begin(),
            database.using(connection),
        ):
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run one transaction that may turn out to write nothing, and then never takes SQLite's write lock.

        Without the lock, a command may write between what `work` reads and its first write, and SQLite then
        refuses that write. In this case `work` runs once more, with the lock from the beginning: it must
        keep nothing but what it returns. On PostgreSQL, which would not refuse it, the lock is always taken.

        Raises:
            LedgerError: the transaction cannot be carried out.
        """
        try:
            with self._transaction(writes=self.shared) as connection:
                return work(connection)
        except LedgerError as error:
            if not self._database.lacked_the_lock(error):
                raise
        with self.writing() as connection:
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run queries in one transaction, which sees one state of the ledger throughout."""
        database = self._database
        with database.errors(), database.reader.connect() as connection, database.using(connection):
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
                self._database.forget(connection)

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
            self._new(table).many(connection, rows)

    def insert_new(self, connection: Connection, table: Table, row: dict[str, Any]) -> bool:
        """Insert a row, unless its primary key exists; return whether it was inserted."""
        return bool(self._new(table).count(connection, row))

    def _new(self, table: Table) -> Prepared:
        if table.name not in self._inserts:
            self._inserts[table.name] = Prepared(self._database.insert(table).on_conflict_do_nothing())
        return self._inserts[table.name]

    def upsert(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], *, add: str | None = None
    ) -> None:
        """Insert rows, or update those with the same primary key: `add` names a column to be summed up."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        statement = self._database.insert(table)
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


def _close_given_back(_connection: object, record: ConnectionPoolEntry) -> None:
    record.close()


def _schema(connection: Connection) -> int:
    """Return the number of the ledger's schema; raise LedgerError if a newer dingwatch wrote it."""
    found = connection.scalar(select(numbers.c.value).where(numbers.c.name == "schema"))
    if found is None or found > SCHEMA:
        raise LedgerError(Cause("newer_schema", str(found), "LEDGER_NEWER"))
    return int(found)


_RETIRED: Final = text(
    f"SELECT url FROM successors UNION ALL SELECT '' FROM numbers WHERE name = '{UNFINISHED}'"  # noqa: S608
)


def _require_in_use(connection: Connection) -> None:
    """Raise LedgerError if the ledger was copied elsewhere, or a copy into it is not complete."""
    found = connection.scalars(_RETIRED).first()
    if found is not None:
        moved, unfinished = ("moved", found, "LEDGER_MOVED"), ("unfinished", "", "LEDGER_UNFINISHED")
        raise LedgerError(Cause(*(moved if found else unfinished)))


def _migrate(connection: Connection, found: int) -> None:
    """Migrate a ledger from schema `found` to this program's, one after the other."""
    from dingwatch.ledger.migrations import migrate  # noqa: PLC0415 (alembic; a ledger is migrated once)

    migrate(connection, found)
    connection.execute(update(numbers).where(numbers.c.name == "schema").values(value=SCHEMA))


# --- Statements ----------------------------------------------------------------------------------

CHUNK: Final = 500
"""The most values in one IN list; drivers limit them (32,766 in SQLite), and a plan for few is cheap."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces that fit an IN list."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


FETCHED_AT_ONCE: Final = 1000
_Statement = Select[Any] | CompoundSelect[Any] | UpdateBase


class Prepared:
    """A statement that is compiled once for each dialect and then run on the driver itself.

    The statements of every tick use it: what SQLAlchemy does around an execution costs several times what
    SQLite does within it. No types are converted: columns are numbers, text and bytes as the driver gives
    them. A statement with `IN` cannot be prepared, for its text depends on the number of values.

    With `index`, SQLite reads the table `deliveries` by this index or fails. Its planner knows nothing of how
    many rows there are, and may prefer an index by which it reads every row that waits.
    """

    def __init__(self, statement: _Statement, *, index: str | None = None) -> None:
        self._statement = statement
        self._index = index
        self._compiled: dict[str, tuple[str, _Order]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a query and return its rows as plain tuples."""
        sql, order = self._for(connection)
        rows: list[tuple[Any, ...]] = _driver(connection).execute(sql, order(values)).fetchall()
        return rows

    def stream(
        self, connection: Connection, values: Mapping[str, Any]
    ) -> Generator[tuple[Any, ...], None, None]:
        """Run a query and yield its rows one by one: a directory may have a million."""
        sql, order = self._for(connection)
        with closing(_cursor(connection)) as cursor:
            cursor.execute(sql, order(values))
            while some := cursor.fetchmany(FETCHED_AT_ONCE):
                yield from some

    def count(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run a statement that changes rows and return how many it changed."""
        sql, order = self._for(connection)
        changed: int = _driver(connection).execute(sql, order(values)).rowcount
        return changed

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each row of values, in one call of the driver."""
        if rows:
            sql, order = self._for(connection)
            with closing(_driver(connection).cursor()) as cursor:
                cursor.executemany(sql, [order(values) for values in rows])

    def _for(self, connection: Connection) -> tuple[str, _Order]:
        """Return the text of the statement, and how its parameters are handed to the driver."""
        name = connection.dialect.name
        if name not in self._compiled:
            # sqlite3 takes twice as long to bind a parameter by its name as by its position.
            dialect = sqlite.dialect(paramstyle="qmark") if name == "sqlite" else connection.dialect
            compiled = _with_literals(self._statement, dialect).compile(dialect=dialect)
            sql = str(compiled)
            if self._index and name == "sqlite":
                sql = re.sub(r"FROM deliveries\b", f"FROM deliveries INDEXED BY {self._index}", sql)
            self._compiled[name] = (sql, _order(dict(compiled.params), compiled.positiontup))
        return self._compiled[name]


_Order = Callable[[Mapping[str, Any]], Any]
"""Puts values into the order in which a statement has their names."""


def _order(defaults: Mapping[str, Any], names: Sequence[str] | None) -> _Order:
    """Return how a statement takes its values; without `names`, by the names that they have.

    `defaults` are the parameters that SQLAlchemy adds (an OFFSET), and None for columns that an INSERT fills
    and a row may lack.
    """
    if names is None:
        return lambda values: {**defaults, **values}
    if len(names) == 1:  # of a single one, `itemgetter` would make no tuple
        return lambda values: ({**defaults, **values}[names[0]],)
    if names:
        pick = itemgetter(*names)
        return lambda values: pick({**defaults, **values})
    return lambda _: ()


class BulkInsert:
    """An INSERT into some columns of a table that takes rows as tuples, in the order of the columns.

    A first look writes a million rows: to make a mapping of each would take as long as what SQLite does.
    """

    def __init__(self, table: Table, *columns: str) -> None:
        names = [table.c[column].name for column in columns]
        marks = "({})".format(", ".join("?" * len(names)))
        self._sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {marks}"  # noqa: S608 (no input)
        self._copy = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"

    def __call__(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows in one call of the driver."""
        if connection.dialect.name == "sqlite":
            _driver(connection).executemany(self._sql, rows)
        else:
            self._insert_on_postgresql(connection, rows)

    def _insert_on_postgresql(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        with closing(_driver(connection).cursor()) as cursor, cursor.copy(self._copy) as copy:
            for row in rows:
                copy.write_row(row)


class BulkAdd(BulkInsert):
    """An INSERT that adds to a row instead where one with the same primary key exists."""

    def __init__(self, table: Table, *columns: str) -> None:
        super().__init__(table, *columns)
        keys = [column.name for column in table.primary_key]
        sums = [f"{one} = {table.name}.{one} + excluded.{one}" for one in columns if one not in keys]
        self._sql += f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sums)}"

    def _insert_on_postgresql(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        with closing(_driver(connection).cursor()) as cursor:  # COPY adds nothing to a row that exists
            cursor.executemany(self._sql.replace("?", "%s"), rows)


_TAKE_IDS: Final = Prepared(
    update(numbers)
    .where(numbers.c.name == "id")
    .values(value=numbers.c.value + bindparam("count"))
    .returning(numbers.c.value)
)


def node_of(connection: Connection) -> str:
    """Return the name of this host on a shared ledger; empty where the ledger is not shared."""
    name: str = connection.get_execution_options().get("node", "")
    return name


def _driver(connection: Connection) -> Any:  # noqa: ANN401 (sqlite3's and psycopg's have no common type)
    return connection.connection.dbapi_connection


_STREAMS: Final = itertools.count()


def _cursor(connection: Connection) -> Any:  # noqa: ANN401 (as above)
    """Return a cursor that fetches rows as they are asked for; psycopg's own has them all in memory."""
    if connection.dialect.name == "sqlite":
        return _driver(connection).cursor()
    return _driver(connection).cursor(name=f"stream_{next(_STREAMS)}")


def _with_literals(statement: _Statement, dialect: Dialect) -> _Statement:
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

    return cast("_Statement", visitors.replacement_traverse(statement, {}, replace))


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
