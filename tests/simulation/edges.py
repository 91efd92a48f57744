"""Where a life touches what is real: a ledger that can be made to fail, and an observer that only listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, event, text, update

from dingwatch.ledger import LedgerError, Store
from dingwatch.ledger.schema import metadata, numbers
from dingwatch.model import Cause
from dingwatch.watch import Observer

T = TypeVar("T")


_SEQUENCES = text(
    "SELECT sequencename AS name, coalesce(last_value, start_value) AS value, last_value IS NOT NULL AS used"
    " FROM pg_sequences WHERE schemaname = current_schema()"
)
_SET_BACK = text("SELECT setval(:name, :value, :used)")


class Ledger(Store):
    """A real ledger that can be made to fail at the begin or at the commit of a transaction."""

    trouble: Callable[[], str] = staticmethod(lambda: "")
    overtaken = False
    """Whether the next transaction that fails at its end is one that another process has overtaken."""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one transaction, or fail to."""
        where = self.trouble()
        broken = LedgerError(Cause("SQLITE_FULL", "", "LEDGER_UNWRITABLE"))
        if where == "begin":
            raise broken
        with self._numbered_alike(fails=where == "commit"), super().writing() as connection:
            yield connection
            if where == "commit":
                raise broken

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run one transaction, or fail to; or have it run once more, as after another process has written."""
        where = self.trouble()
        overtaken = where == "commit" and self.overtaken
        code = "SQLITE_BUSY_SNAPSHOT" if overtaken else "SQLITE_FULL"
        broken = LedgerError(Cause(code, "", "LEDGER_UNWRITABLE"))
        if where == "begin":
            raise broken
        if overtaken and self.shared:  # nobody overtakes who has the lock; what comes next is the same
            self.overtaken = False
            with self.writing() as connection:
                return work(connection)
        runs = 0

        def troubled(connection: Connection) -> T:
            nonlocal runs
            runs += 1
            result = work(connection)
            if where == "commit" and runs == 1:
                self.overtaken = not self.overtaken
                raise broken
            return result

        with self._numbered_alike(fails=where == "commit"):
            return super().transact(troubled)

    @contextmanager
    def _numbered_alike(self, *, fails: bool) -> Iterator[None]:
        """Give numbers out again after a rollback, as SQLite does; the sequences of PostgreSQL do not."""
        if not (fails and self.shared):
            yield
            return
        with self.reading() as connection:
            before = connection.execute(_SEQUENCES).all()
        try:
            yield
        finally:
            with super().writing() as connection:
                for sequence in before:
                    connection.execute(_SET_BACK, sequence._asdict())

    def hasten(self) -> None:
        """Let the disk's cache be enough: a simulated crash is none of the machine."""
        if not self.shared:  # the server of tests leaves it to the cache by itself
            self._configure("PRAGMA synchronous=OFF")

    def reverse(self) -> None:
        """Let SQLite return the rows of each query that names no order the other way round."""
        self._configure("PRAGMA reverse_unordered_selects=ON")

    def _configure(self, pragma: str) -> None:
        event.listen(self._database.engine, "connect", lambda raw, _: raw.execute(pragma))
        self._database.engine.dispose()

    def wipe(self) -> None:
        """Make it blank."""
        self.trouble, self.overtaken = lambda: "", False
        with self.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not numbers:
                    connection.execute(table.delete())
            connection.execute(update(numbers).where(numbers.c.name.in_(("id", "claim"))).values(value=0))
            if self.shared:  # SQLite numbers the rows of an empty table from 1 by itself
                connection.execute(
                    text("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
                )


class Watching(Observer):
    """Tells of events in the folders that it was armed for, until its watch dies."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.armed: set[int] = set()

    def arm(self, folder: int, root: bytes, *, recursive: bool) -> None:
        """Begin to tell."""
        assert root
        assert recursive
        self.armed.add(folder)

    def disarm(self, folder: int) -> None:
        """Tell no more."""
        self.armed.discard(folder)

    def alive(self, folder: int) -> bool:
        """Return whether events come through."""
        return folder in self.armed

    def unwatched(self, folder: int, root: bytes, directories: Iterable[bytes]) -> frozenset[bytes]:
        """Return the directories without events: all, or none."""
        assert root
        return frozenset() if folder in self.armed else frozenset(directories)
