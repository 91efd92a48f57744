"""Copies a ledger to another database, SQLite or PostgreSQL, and proves that both have the same rows.

The source is in one transaction from its first row that is read to its last one that is written, the mark
that it was moved: whatever ends the copy before that leaves it as it was. The target has a mark of its own
until then, with which nothing but a copy opens it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from hashlib import sha256
from itertools import chain, islice
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    and_,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    union,
)

from dingwatch.ledger.schema import (
    SCHEMA,
    deliveries,
    fingerprints,
    folder_nodes,
    folders,
    metadata,
    nodes,
    numbers,
    pauses,
    routes,
    slots,
    star_directories,
    stars,
    successors,
    tellers,
    uploads,
    versions,
)
from dingwatch.ledger.store import UNFINISHED, BulkInsert, Prepared, Store
from dingwatch.lifecycle import State
from dingwatch.model import Cause, LedgerError

SHOWN: Final = 16
"""Characters of a digest that people are shown."""
NO_NODE: Final = ""
"""The node of a ledger that one host has for itself."""
WRITTEN_AT_ONCE: Final = 100_000
"""Rows in one COPY, after which PostgreSQL checks what they refer to; until then it keeps a note of each."""
_OF_RUNNING_NODES: Final = frozenset({nodes, slots, successors, tellers})
"""Tables that say nothing about files: which nodes run and tell people, and how fast they have just sent."""
_COPIED: Final = tuple(table for table in metadata.sorted_tables if table not in _OF_RUNNING_NODES)
_AT_FIRST: Final = {"id": 0, "claim": 0, "pruned": 0}
"""The counters of a ledger that was never used."""


@dataclass(frozen=True, slots=True)
class TableProof:
    """The rows of a table, and a digest of them all, which are the same in both ledgers.

    The digest is the sum of the SHA-256 of each row, because two databases sort differently.
    """

    name: str
    rows: int
    digest: str


class Refusal(StrEnum):
    """Why a ledger is not copied."""

    IN_USE = "in_use"
    """Nodes have a lease on the source."""
    SAME = "same"
    """The target is the source."""
    NOT_EMPTY = "not_empty"
    LEFT = "left"
    """The target has the rows of a copy that was broken off."""
    UNKNOWN_NODE = "unknown_node"
    """The node that is to go on alone has never worked on the source."""
    AMBIGUOUS = "ambiguous"
    """Two nodes have folders of one path and name, of which a single host could not tell which is which."""
    DIFFERS = "differs"
    """What was read again is not the same in both ledgers."""


class RefusedError(Exception):
    """The ledger is not copied, and the source is as it was; `values` fill in the sentence that says so."""

    def __init__(self, refusal: Refusal, **values: object) -> None:
        super().__init__(f"{refusal}: {values}")
        self.refusal = refusal
        self.values = values


class TargetError(LedgerError):
    """The ledger that is copied to cannot be used."""


def copy(source: Store, target: Store, node: str, successor: str) -> list[TableProof]:
    """Copy all rows, prove the copy, and mark the source as moved to `successor`.

    A ledger of one host has no node: its folders become those of `node` on PostgreSQL, or the other way
    round. Both ledgers were opened for a copy. No proof is returned where the source was marked before, and
    the target had only to be released.

    Raises:
        LedgerError: the source cannot be used, or was moved elsewhere.
        TargetError: the target cannot be used.
        RefusedError: see `Refusal`.
    """
    with source.writing() as read:
        _keep_others_out(read)
        with _on_target():
            _require_another(read, target)
        if _was_moved(read, target, successor):
            proofs = []
        else:
            reader = _Reader(read, node, _change(source, target))
            reader.require_known_node()
            reader.require_unambiguous()
            with _on_target():
                _fill(target, reader)
                proofs = list(_prove(reader, target))
            read.execute(insert(successors).values(url=successor))
    # The source is marked from here on. If this ends now, the target opens for nothing but the same copy
    # once more, which finds nothing left to do but this.
    with _on_target(), target.writing() as written:
        written.execute(delete(numbers).where(numbers.c.name == UNFINISHED))
    return proofs


@contextmanager
def _on_target() -> Iterator[None]:
    """Tell the errors of the target from those of the source."""
    try:
        yield
    except LedgerError as error:
        raise TargetError(error.cause) from error


def _fill(target: Store, source: _Reader) -> None:
    """Mark the target as unfinished, and write all rows into it, or none."""
    with target.writing() as written:
        _require_empty(written)
        target.insert_missing(written, numbers, [{"name": UNFINISHED, "value": 1}])
    with target.writing() as written:
        _require_empty(written)  # nor did another copy get there first
        _lift_limits(written)
        for table in _COPIED:
            with source.rows(table) as found:
                _write(written, table, found)
        _finish(written)


def _change(source: Store, target: Store) -> _Change:
    if source.shared == target.shared:
        return _Change.NONE
    return _Change.JOINS if target.shared else _Change.PARTS


# --- Before ----------------------------------------------------------------------------------------


def _lift_limits(connection: Connection) -> None:
    """Let a transaction on PostgreSQL take as long as it needs; others that want to write give up."""
    if connection.dialect.name == "postgresql":
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"SET LOCAL {setting} = 0"))


def _keep_others_out(connection: Connection) -> None:
    """Require that no node has a lease, and let none get one; nothing else can write already."""
    _lift_limits(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE nodes IN SHARE MODE"))
        now = text("extract(epoch FROM clock_timestamp())")
        live = connection.scalars(select(nodes.c.name).where(nodes.c.lease_until > now)).all()
        if live:
            raise RefusedError(Refusal.IN_USE, nodes=", ".join(sorted(live)))


def _require_another(read: Connection, target: Store) -> None:
    """Raise RefusedError if both are one database, by whatever name each was reached."""
    with target.reading() as connection:
        if connection.dialect.name == read.dialect.name and _identity(connection) == _identity(read):
            raise RefusedError(Refusal.SAME)


def _identity(connection: Connection) -> tuple[Any, ...]:
    """Return what tells one database from all others of its kind."""
    if connection.dialect.name == "postgresql":
        query = "SELECT system_identifier, current_database(), current_schema() FROM pg_control_system()"
        return tuple(connection.execute(text(query)).one())
    (path,) = [row[2] for row in connection.execute(text("PRAGMA database_list")) if row[1] == "main"]
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _was_moved(read: Connection, target: Store, successor: str) -> bool:
    """Return whether the source is marked already as moved to this target, which has not been released.

    Raises:
        LedgerError: it was moved, and this is not what is left to do.
    """
    url = read.scalar(select(successors.c.url))
    if url is None:
        return False
    with _on_target(), target.reading() as connection:
        counters = _counters(connection)
    if url != successor or counters != {**_counters(read), UNFINISHED: 1}:
        raise LedgerError(Cause("moved", url, "LEDGER_MOVED"))
    return True


def _counters(connection: Connection) -> dict[str, int]:
    return {row.name: row.value for row in connection.execute(select(numbers))}


def _require_empty(connection: Connection) -> None:
    """Raise RefusedError if the target has more rows than a new ledger."""
    found = _counters(connection)
    unfinished = found.pop(UNFINISHED, None) is not None
    table = numbers if found != {**_AT_FIRST, "schema": SCHEMA} else _find_rows(connection)
    if table is not None:
        raise RefusedError(Refusal.LEFT if unfinished else Refusal.NOT_EMPTY, table=table.name)


def _find_rows(connection: Connection) -> Table | None:
    """Return a table that has rows which a new ledger does not have."""
    others = (table for table in metadata.sorted_tables if table is not numbers)
    return next((one for one in others if connection.scalar(select(exists().select_from(one)))), None)


# --- Rows ------------------------------------------------------------------------------------------


class _Change(Enum):
    """What happens to a host whose ledger is copied."""

    NONE = "none"
    JOINS = "joins"
    """It has had the ledger for itself, and shares it from now on: its rows get the name of its node."""
    PARTS = "parts"
    """It has shared the ledger, and has it for itself from now on: rows lose the names of nodes."""


_Values = dict[str, ColumnElement[Any]]
_SIGHTS: Final = ("mtime_ns", "ctime_ns", "inode", "device", "missing_since")
"""What each node has seen of a version of a shared folder, and `versions` has of any other."""
_NOT_OF_A_PLACE: Final = {"node", "shared"}
_PLACE: Final = tuple(
    column.name
    for column in folder_nodes.columns
    if column.name in folders.columns and column.name not in _NOT_OF_A_PLACE
)
"""What each node knows of the place of a shared folder, and `folders` of any other."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the rows of a ledger as another one is to have them."""

    connection: Connection
    node: str
    change: _Change

    @contextmanager
    def rows(self, table: Table) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Read a table in a block, row by row."""
        with closing(Prepared(self._query(table)).stream(self.connection, {})) as rows:
            yield map(_without_nul, rows) if self.change is _Change.JOINS else rows

    def require_known_node(self) -> None:
        """Raise RefusedError where a node is to go on alone that nobody has heard of.

        Its name may be mistyped, or be forgotten where it is not the host name. All shared folders would then
        be new to the host, and what has come into them since its last scan be taken for old files.
        """
        if self.change is not _Change.PARTS:
            return
        named = union(select(nodes.c.name), select(folders.c.node), select(folder_nodes.c.node))
        known = set(self.connection.scalars(named)) - {NO_NODE}
        if known and self.node not in known:
            raise RefusedError(Refusal.UNKNOWN_NODE, node=self.node, nodes=", ".join(sorted(known)))

    def require_unambiguous(self) -> None:
        """Raise RefusedError where two nodes have a folder of one path and name."""
        if self.change is _Change.PARTS:
            rows = self._query(folders).subquery()
            place = rows.c.root, rows.c.name
            twice = self.connection.execute(
                select(*place).group_by(*place).having(func.count() > 1).limit(1)
            ).first()
            if twice is not None:
                mine = select(folders.c.node).where(
                    folders.c.root == twice.root, folders.c.name == twice.name
                )
                names = ", ".join(sorted(self.connection.scalars(mine)))
                raise RefusedError(Refusal.AMBIGUOUS, name=twice.name, nodes=names)

    def _query(self, table: Table) -> Select[Any]:
        values = {one.name: one for one in _columns(table)} | self._changed(table)
        query = select(*(self._plain(value).label(name) for name, value in values.items()))
        if table is numbers:
            query = query.where(numbers.c.name != UNFINISHED)
        return query if self.change is not _Change.PARTS else self._restrict(table, query)

    def _plain(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a value as both databases write it: truth as a number."""
        return cast(value, Integer) if isinstance(value.type, Boolean) else value

    def _changed(self, table: Table) -> _Values:
        """Return the columns of a table that the other ledger is to have with other values."""
        joins = self.change is _Change.JOINS
        if self.change is _Change.NONE:
            return {}
        if table is pauses:  # nobody has work any more
            return {"probed_by": null(), "probed_until": null()}
        if "node" not in table.columns:
            return self._of_version() if table is versions and not joins else {}
        name = literal(self.node if joins else NO_NODE)
        if table in {deliveries, uploads}:
            # The one that made the latest claim, if any did. What it had in hand is recovered by the host
            # that goes on.
            node = table.c.node
            here = or_(*(table.c.state == one for one in _IN_HAND[table.name]))
            claimed: _Values = {
                "node": case((or_(here, node.is_not(None)) if joins else here, name), else_=node)
            }
            return claimed if table is uploads else {**claimed, **self._given_to(name)}
        if table is folders and not joins:
            return self._of_folder() | {"node": name}
        return {"node": name}

    def _given_to(self, name: ColumnElement[str]) -> _Values:
        """Return whose files deliveries of `send` are: without a node, every node would look for them."""
        given = and_(deliveries.c.folder_id.is_(None), literal(self.change is _Change.JOINS))
        return {"given_to": case((given, name), else_=null())}

    def _of_folder(self) -> _Values:
        """Return what the node knows of the places of shared folders."""
        mine = folder_nodes.c.node.is_not(None)
        facts = {one: case((mine, folder_nodes.c[one]), else_=folders.c[one]) for one in _PLACE}
        return {**facts, "shared": case((mine, null()), else_=folders.c.shared)}

    def _of_version(self) -> _Values:
        """Return what the node has seen of versions of shared folders."""
        mine = fingerprints.c.node.is_not(None)
        return {one: case((mine, fingerprints.c[one]), else_=versions.c[one]) for one in _SIGHTS}

    def _restrict(self, table: Table, query: Select[Any]) -> Select[Any]:
        """Leave out what concerns other nodes alone, and add what this one knows."""
        if table in {routes, stars, star_directories}:
            return query.where(table.c.node == self.node)
        if table is pauses:  # of nodes' own troubles, one that is still there is met again
            return query.where(pauses.c.node == NO_NODE)
        if table in {folder_nodes, fingerprints}:
            return query.where(false())
        if table is folders:
            mine = and_(folder_nodes.c.folder_id == folders.c.id, folder_nodes.c.node == self.node)
            return query.select_from(folders.outerjoin(folder_nodes, mine))
        if table is versions:
            mine = and_(fingerprints.c.version_id == versions.c.id, fingerprints.c.node == self.node)
            return query.select_from(versions.outerjoin(fingerprints, mine))
        return query


_IN_HAND: Final = {deliveries.name: (State.UPLOADING, State.SENDING), uploads.name: ("busy",)}


def _columns(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that the database does not compute itself."""
    return [one for one in table.columns if one.computed is None]


_NO_NUL: Final = "\N{REPLACEMENT CHARACTER}"


def _without_nul(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row whose text PostgreSQL takes, in which NUL is the one character that it does not."""
    if any(type(one) is str and "\0" in one for one in row):
        return tuple(
            one.replace("\0", "\N{REPLACEMENT CHARACTER}") if type(one) is str else one for one in row
        )
    return row


def _write(connection: Connection, table: Table, rows: Iterator[tuple[Any, ...]]) -> None:
    """Insert rows into a table that has none but those that every new ledger has."""
    if table is numbers:
        connection.execute(delete(numbers).where(numbers.c.name != UNFINISHED))
    insert_rows = BulkInsert(table, *(column.key for column in _columns(table)))
    for first in rows:
        insert_rows(connection, chain((first,), islice(rows, WRITTEN_AT_ONCE - 1)))


def _finish(connection: Connection) -> None:
    """Have PostgreSQL go on with the next numbers, and know how many rows there are before it plans."""
    if connection.dialect.name != "postgresql":
        return
    for table in _COPIED:
        column = table.autoincrement_column
        if column is not None:
            last = select(func.max(column)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(
                select(func.setval(sequence, func.coalesce(last, 1), last.is_not(None))).where(
                    sequence.is_not(None)
                )
            )
        connection.execute(text(f"ANALYZE {table.name}"))


# --- Proof -----------------------------------------------------------------------------------------

_MODULUS: Final = 1 << 256


def _prove(source: _Reader, target: Store) -> Iterator[TableProof]:
    """Read both ledgers again, and yield what both have.

    Raises:
        RefusedError: they have not the same.
    """
    with target.reading() as connection:
        _lift_limits(connection)
        copied = _Reader(connection, source.node, _Change.NONE)
        for table in _COPIED:
            there, here = (_digest(one, table) for one in (source, copied))
            if there != here:
                values = {"rows": there.rows, "digest": there.digest[:SHOWN]}
                others = {"other_rows": here.rows, "other_digest": here.digest[:SHOWN]}
                raise RefusedError(Refusal.DIFFERS, table=table.name, **values, **others)
            yield here


def _digest(ledger: _Reader, table: Table) -> TableProof:
    """Count the rows of a table, and sum up their digests: each row's is that of its Python literal."""
    count = total = 0
    with ledger.rows(table) as rows:
        for row in rows:
            count += 1
            total += int.from_bytes(sha256(repr(row).encode()).digest())
    return TableProof(table.name, count, f"{total % _MODULUS:064x}")
