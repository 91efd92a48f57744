"""PostgreSQL, where several hosts may share a ledger. Only a ledger there imports this, and the driver.

A writing transaction first takes one lock of the whole ledger, and so has what SQLite's write lock gives:
what it read still holds when it writes.
"""

from __future__ import annotations

import re
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Dialect, Engine, Table, create_engine, event, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, DisconnectionError

from dingwatch.ledger.schema import make_indexes_partial_on_postgresql, metadata
from dingwatch.model import Cause, LedgerError

OLDEST: Final = 14
"""The oldest release of the server that works."""
CONNECT_SECONDS: Final = 5
LOCK_SECONDS: Final = 5
"""Seconds to wait for another process that writes, as with SQLite."""
IDLE_SECONDS: Final = 10
"""Seconds after which the server ends a writing transaction whose process does nothing: it has the lock."""
READING_IDLE_SECONDS: Final = 600
"""The same for one that only reads: its output may go to a pager. Nobody waits for it but VACUUM."""
STATEMENT_SECONDS: Final = 60
"""Seconds after which the server ends a statement; none takes nearly as long with ten million deliveries."""

_CONNECTION: Final[dict[str, object]] = {
    "connect_timeout": CONNECT_SECONDS,
    # A server whose power fails closes no connection: it is noticed within some 10 seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # Of the hosts of a URL, the one that may be written: after a failover another one than before.
    "target_session_attrs": "read-write",
    "client_encoding": "utf8",
}
"""Parameters of libpq; those in the URL win."""
_SESSION: Final = f"""
SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', false),
  set_config('statement_timeout', '{STATEMENT_SECONDS}s', false),
  set_config('idle_in_transaction_session_timeout', '{READING_IDLE_SECONDS}s', false),
  set_config('jit', 'off', false),
  set_config('synchronous_commit', CASE current_setting('synchronous_commit')
    WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
KEPT_PREPARED: Final = 500
"""Statements that a connection keeps prepared. The loops have a few hundred; a query with `IN` is another one
for each number of values."""
LOCK_CLASS: Final = 0x64696E67
"""The first number of all advisory locks of dingwatch in a database, which other programs may use, too."""
# All other nodes wait while a writing transaction has the lock. To plan each statement anew would take the
# server longer than to run it, and gain nothing: an index leads to its few rows, whatever its values are, and
# has to be used even if the ledger was nearly empty when the plan was made. That is not so for a query of
# `history`, so what only reads is planned as the server thinks best.
_LOCK: Final = f"""
SELECT set_config('idle_in_transaction_session_timeout', '{IDLE_SECONDS}s', true),
  set_config('plan_cache_mode', 'force_generic_plan', true),
  set_config('enable_seqscan', 'off', true),
  pg_advisory_xact_lock({LOCK_CLASS}, hashtext(current_schema()))
"""

# --- Errors --------------------------------------------------------------------------------------

_BY_STATE: Final = (
    ("55P03", "LEDGER_LOCKED"),
    ("25006", "LEDGER_READ_ONLY"),
    ("53100", "LEDGER_SERVER_FULL"),
    ("53300", "LEDGER_CROWDED"),
    ("28", "LEDGER_REFUSED"),
    ("3D000", "LEDGER_REFUSED"),
    ("42501", "LEDGER_PRIVILEGES"),
    ("08", "LEDGER_UNREACHABLE"),
    ("57P", "LEDGER_UNREACHABLE"),
    ("25P03", "LEDGER_UNREACHABLE"),
)
"""The beginnings of SQLSTATE, and what to advise."""
_BY_TEXT: Final = (
    (r"too many clients|remaining connection slots|too many connections", "LEDGER_CROWDED"),
    (r"session is read-only|in recovery mode|hot standby", "LEDGER_READ_ONLY"),
    # Of a connection that breaks, OpenSSL tells as of one that is refused.
    (r"closed unexpectedly|unexpected eof|EOF detected|SSL SYSCALL", "LEDGER_UNREACHABLE"),
    (r"no password supplied", "LEDGER_PASSWORD"),
    (r"invalid (?:connection option|port number|\S+ value|value for parameter)", "LEDGER_ADDRESS"),
    (r"bad value for|definition of service|could not (?:match \d|parse network)|weak ssl", "LEDGER_ADDRESS"),
    (
        r"password|pg_hba|authentication|role .* does not exist|database .* does not exist|certificate|SSL",
        "LEDGER_REFUSED",
    ),
)
"""What libpq says when it cannot connect, for it then gives no SQLSTATE."""


@contextmanager
def errors() -> Iterator[None]:
    """Raise the driver's errors as LedgerError. Their texts contain no password and no row."""
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        raise LedgerError(_cause(original)) from error


def _cause(error: BaseException | None) -> Cause:
    # The details of an error that are not its primary message contain values of the row.
    message = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    state = getattr(error, "sqlstate", None)
    return Cause(type(error).__name__, " ".join(message.split()), _advice(state, message))


def _advice(state: str | None, message: str) -> str:
    if state is not None:
        return next((name for start, name in _BY_STATE if state.startswith(start)), "LEDGER_SERVER")
    return next((name for text, name in _BY_TEXT if re.search(text, message)), "LEDGER_UNREACHABLE")


# --- Connections ---------------------------------------------------------------------------------


def connect(url: URL, application: str) -> psycopg.Connection[Any]:
    """Return a connection of its own, which commits each statement by itself.

    Raises:
        LedgerError: there is none to be had.
    """
    dialect = url.get_dialect()()
    _, parameters = dialect.create_connect_args(url)
    with errors():
        connection = psycopg.connect(**{**_parameters(url, application), **parameters, "autocommit": True})
        try:
            _require_recent(connection)
            connection.execute(_SESSION)
        except BaseException:
            connection.close()
            raise
    return connection


def _parameters(url: URL, application: str) -> dict[str, object]:
    """Return parameters of libpq that the URL does not have."""
    ours = {**_CONNECTION, "application_name": application}
    return {name: value for name, value in ours.items() if name not in url.query}


def _require_recent(connection: psycopg.Connection[Any]) -> None:
    """Raise LedgerError if the server is too old: it gets no security fixes."""
    number = connection.info.server_version
    if number < OLDEST * 10_000:
        version = connection.info.parameter_status("server_version") or str(number // 10_000)
        raise LedgerError(Cause("too_old", f"PostgreSQL {version} < {OLDEST}", "LEDGER_TOO_OLD"))


def _connect(
    dialect: Dialect, _record: object, arguments: Sequence[Any], parameters: dict[str, Any]
) -> psycopg.Connection[Any]:
    connection: psycopg.Connection[Any] = dialect.connect(*arguments, **parameters)  # type: ignore[assignment]
    try:
        _require_recent(connection)
    except LedgerError:
        connection.close()
        raise
    return connection


def _configure(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.prepared_max = KEPT_PREPARED
    connection.autocommit = True
    connection.execute(_SESSION)
    connection.autocommit = False


def _require_open(connection: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
    """Raise DisconnectionError if the server has closed a connection while nobody used it.

    Else each restart of the server would be an outage, though it is long over. An idle connection has nothing
    to read but the server's farewell.
    """
    if connection.closed:
        raise DisconnectionError
    farewell = select.poll()
    farewell.register(connection.fileno(), select.POLLIN)
    if farewell.poll(0):
        raise DisconnectionError


class PostgreSQL:
    """A ledger in a database of a PostgreSQL server."""

    shared = True

    def __init__(self, url: URL, node: str) -> None:
        make_indexes_partial_on_postgresql()
        application = f"dingwatch {node}".strip()
        self.engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            execution_options={"node": node},
            connect_args={**_parameters(url, application), "prepare_threshold": 1},
            # The connection that was used last has the loops' statements prepared already.
            pool_use_lifo=True,
        )
        self.reader: Engine = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.writer: Engine = self.engine.execution_options(writes=True)
        event.listen(self.engine, "do_connect", _connect)
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "checkout", _require_open)
        event.listen(self.engine, "begin", _begin)

    def opened(self) -> None:
        """Note nothing: a server's database is no file."""

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise LedgerError for what fails."""
        with errors():
            yield

    @contextmanager
    def using(self, connection: Connection) -> Iterator[None]:
        """Give a connection up that breaks while it is used."""
        with _given_up_if_broken(connection):
            yield

    def lacked_the_lock(self, _error: LedgerError) -> bool:
        """Return False: every transaction that may write has had the lock from its beginning."""
        return False

    def require_blank(self, connection: Connection) -> None:
        """Raise LedgerError if the database has tables of a ledger's names, but is no ledger."""
        foreign = metadata.tables.keys() & set(inspect(connection).get_table_names())
        if foreign:
            raise LedgerError(Cause("foreign_tables", ", ".join(sorted(foreign)), "LEDGER_FOREIGN"))

    def checkpoint(self, *, wait: bool) -> None:
        """Do nothing: the server does it."""

    def release_memory(self) -> None:
        """Do nothing: what a scan has read is in the server's memory."""

    def forget(self, connection: Connection) -> None:
        """Do nothing: a connection keeps nothing, and takes longer to make than most queries."""

    def insert(self, table: Table) -> postgresql.Insert:
        """Return an INSERT that can tell what to do about a row that exists."""
        return postgresql.insert(table)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writes"):
        with _given_up_if_broken(connection):
            _driver(connection).execute(_LOCK)


@contextmanager
def _given_up_if_broken(connection: Connection) -> Iterator[None]:
    """Keep SQLAlchemy from rolling back on a connection that is lost, which would hide why it is lost.

    It notices by itself only when it has run the statement, and most run on the driver.
    """
    try:
        yield
    except BaseException:
        if not connection.invalidated and _driver(connection).closed:
            connection.invalidate()
        raise


def _driver(connection: Connection) -> Any:  # noqa: ANN401 (it is psycopg's, but SQLAlchemy does not say so)
    return connection.connection.dbapi_connection
