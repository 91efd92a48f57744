"""SQLite, where a ledger is a file: WAL mode with synchronous FULL, so that a commit survives a power cut.

A writing transaction takes SQLite's write lock at its beginning, so that what it read still holds when it
writes.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from dingwatch.model import Cause, LedgerError

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


def sqlite_address(path: Path, mode: str = "rw") -> str:
    """Return the URI by which `sqlite3.connect` opens a file that is there: to write, or only to read (`ro`).

    By a plain path it would create an empty file where a ledger was just moved away.
    """
    return f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"


@contextmanager
def errors() -> Iterator[None]:
    """Raise SQLite's errors as LedgerError. Their texts contain no file name and no secret."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(original, "sqlite_errorname", None) or type(original).__name__
        advice = next((name for start, name in _ADVICE if code.startswith(start)), "LEDGER_UNWRITABLE")
        raise LedgerError(Cause(code, str(original), advice)) from error


class SQLite:
    """A ledger in a file of this host."""

    shared = False

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url)
        self.reader: Engine = self.engine
        self.writer: Engine = self.engine.execution_options(writes=True)
        self._path = url.database
        self._file: tuple[int, int] | None = None
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        if url.database:
            _keep_private(Path(url.database))
            event.listen(self.engine, "do_connect", _connect_by_address)

    def opened(self) -> None:
        """Note which file the ledger is, now that it surely exists."""
        self._file = self._identity()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise LedgerError for what fails, and at once where the file is not the one that was opened."""
        self._require_same_file()
        try:
            with errors():
                yield
        except LedgerError:
            self._require_same_file()  # it was moved in between, which explains whatever error
            raise

    def _identity(self) -> tuple[int, int] | None:
        """Return (device, inode) of the file; None where there is no file."""
        if not self._path:
            return None
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _require_same_file(self) -> None:
        """Raise LedgerError if the file was moved, deleted or replaced since the ledger was opened.

        SQLite would not notice: it goes on in a deleted file, and a new connection creates an empty one.
        """
        if self._file is not None and self._identity() != self._file:
            raise LedgerError(Cause("replaced", "", "LEDGER_REPLACED"))

    @contextmanager
    def using(self, _connection: Connection) -> Iterator[None]:
        """Watch over nothing: a connection to a file does not break."""
        yield

    def lacked_the_lock(self, error: LedgerError) -> bool:
        """Return whether a transaction failed because it began without the lock that its writes need."""
        return error.cause.code.startswith("SQLITE_BUSY")

    def require_blank(self, connection: Connection) -> None:
        """Raise LedgerError if a database without a ledger's tables is not a new one.

        Until the first checkpoint, dingwatch 0.1 had all tables in ledger.db-wal. Where that file was lost, a
        ledger made anew would forget every file and call: all that lies in the folders would count as old.
        """
        if connection.exec_driver_sql("PRAGMA page_count").scalar():
            raise LedgerError(Cause("no_tables", "", "LEDGER_EMPTY"))

    def checkpoint(self, *, wait: bool) -> None:
        """Write what is in the log to the file itself; with `wait`, wait a little for those who read it."""
        with closing(self.engine.raw_connection()) as connection:
            connection.execute(f"PRAGMA wal_checkpoint({'FULL' if wait else 'PASSIVE'})")

    def release_memory(self) -> None:
        """Close the connections that are not in use, which keep up to 16 MB each of what a scan has read."""
        self.engine.dispose()

    def forget(self, connection: Connection) -> None:
        """Close a connection after its use, and with it what it keeps in memory."""
        connection.invalidate()

    def insert(self, table: Table) -> sqlite.Insert:
        """Return an INSERT that can tell what to do about a row that exists."""
        return sqlite.insert(table)


def _connect_by_address(
    _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
) -> None:
    arguments[0], options["uri"] = sqlite_address(Path(arguments[0])), True


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, and only at the first write; `_begin` does it.
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


def _begin(connection: Connection) -> None:
    # A plain BEGIN takes the lock at the first write. That is too late if the reads before must still hold.
    writes = connection.get_execution_options().get("writes")
    driver: Any = connection.connection.dbapi_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
