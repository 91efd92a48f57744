"""Versions of shared folders as each node sees them.

A local disk has nanoseconds where CIFS has 100 ns and FAT 2 s, and inodes are another host's numbers. So
each node compares a file with what it has seen itself. What it has not seen yet it knows by the row of the
version, which has what another node saw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Row,
    String,
    and_,
    bindparam,
    cast,
    exists,
    extract,
    func,
    insert,
    select,
    update,
)

from dingwatch.ledger.schema import (
    fingerprints,
    folder_nodes,
    folders,
    folders_down,
    nodes,
    versions,
)
from dingwatch.ledger.store import Prepared, Store, chunks, node_of
from dingwatch.model import Fingerprint

NODE: Final = "viewer"
"""The parameter of a query from `SEEN` or `KNOWN` that has this node's name."""
_NODE: Final = bindparam(NODE, type_=String())
own: Final = fingerprints.alias("own")
"""What this node has seen of a version."""
_OF_VERSION: Final = and_(own.c.version_id == versions.c.id, own.c.node == _NODE)
SEEN: Final[FromClause] = versions.join(own, _OF_VERSION)
"""The versions that this node has seen."""
KNOWN: Final[FromClause] = versions.outerjoin(own, _OF_VERSION)
"""All versions, with what this node has seen of them."""


def database_time() -> ColumnElement[float]:
    """Return the time by the clock of the database of a shared ledger."""
    return cast(extract("epoch", func.clock_timestamp()), Double())


def is_live(node: ColumnElement[str]) -> ColumnElement[bool]:
    """Match nodes of a shared ledger whose lease is not over."""
    return exists().where(nodes.c.name == node, nodes.c.lease_until > database_time())


_other: Final = fingerprints.alias("other")
IS_SEEN_ELSEWHERE: Final = exists().where(
    _other.c.version_id == versions.c.id,
    _other.c.node != _NODE,
    _other.c.missing_since.is_(None),
    is_live(_other.c.node),
)
"""Versions that another live node has seen, and does not miss."""


# --- What was seen ---------------------------------------------------------------------------------


def note_seen(store: Store, connection: Connection, seen: Mapping[int, Fingerprint], now: float) -> None:
    """Record versions as this node has just seen them; `now` is the ledger's time."""
    node = node_of(connection)
    rows = [
        {
            "version_id": number,
            "node": node,
            "mtime_ns": one.mtime_ns,
            "ctime_ns": one.ctime_ns,
            "inode": str(one.inode),
            "device": str(one.device),
            "seen_at": now,
            "missing_since": None,
        }
        for number, one in seen.items()
    ]
    store.upsert(connection, fingerprints, rows)


class Adopted(NamedTuple):
    """A file in which a scan has recognised a version that this node had not seen yet.

    Or that it had seen with the mtime `former`, rounded in another way: the share was mounted otherwise then.
    """

    version: int
    path: bytes
    fingerprint: Fingerprint
    former: int | None = None


_COLUMNS: Final = ("version_id", "node", "mtime_ns", "ctime_ns", "inode", "device", "seen_at")
_ADOPT: Final = Prepared(
    insert(fingerprints).from_select(
        _COLUMNS,
        select(
            versions.c.id,
            _NODE,
            bindparam("mtime", type_=BigInteger()),
            bindparam("ctime", type_=BigInteger()),
            bindparam("inode", type_=String()),
            bindparam("device", type_=String()),
            bindparam("now", type_=Double()),
        ).where(
            versions.c.id == bindparam("version"),
            versions.c.directory == bindparam("directory"),
            versions.c.name == bindparam("name"),
            versions.c.size == bindparam("size"),
            ~exists().where(own.c.version_id == versions.c.id, own.c.node == _NODE),
        ),
    )
)


_ADOPT_AGAIN: Final = Prepared(
    update(fingerprints)
    .where(
        fingerprints.c.version_id == bindparam("version"),
        fingerprints.c.node == _NODE,
        fingerprints.c.mtime_ns == bindparam("former"),
    )
    .values(
        {
            fingerprints.c.mtime_ns: bindparam("mtime"),
            fingerprints.c.ctime_ns: bindparam("ctime"),
            fingerprints.c.inode: bindparam("inode"),
            fingerprints.c.device: bindparam("device"),
            fingerprints.c.seen_at: bindparam("now"),
        }
    )
)


def adopt(connection: Connection, adopted: Iterable[Adopted], now: float) -> None:
    """Record versions that a scan has recognised, unless they were moved or recorded since."""
    node, rows, again = node_of(connection), [], []
    for version, path, (size, mtime, ctime, inode, device), former in adopted:
        directory, _, name = path.rpartition(b"/")
        seen = {"mtime": mtime, "ctime": ctime, "inode": str(inode), "device": str(device), "now": now}
        seen |= {"version": version, NODE: node}
        if former is None:
            rows.append({**seen, "directory": directory, "name": name, "size": size})
        else:
            again.append({**seen, "former": former})
    _ADOPT.many(connection, rows)
    _ADOPT_AGAIN.many(connection, again)


_VIEW: Final = Prepared(
    select(
        folders.c.shared.is_not(None),
        own.c.version_id.is_not(None),
        versions.c.size,
        own.c.mtime_ns,
        own.c.ctime_ns,
        own.c.inode,
        own.c.device,
    )
    .select_from(KNOWN)
    .join(folders, folders.c.id == versions.c.folder_id)
    .where(versions.c.id == bindparam("version"))
)


class View(NamedTuple):
    """How this node sees a version: whether others share its folder, and its fingerprint if it was seen."""

    shared: bool
    fingerprint: Fingerprint | None


def find_view(connection: Connection, version: int) -> View:
    """Return how this node sees a version."""
    values = {"version": version, NODE: node_of(connection)}
    for shared, seen, size, mtime, ctime, inode, device in _VIEW.rows(connection, values):
        one = Fingerprint(size, mtime, ctime, int(inode), int(device)) if seen else None
        return View(bool(shared), one)
    return View(shared=False, fingerprint=None)


# --- What is missing -------------------------------------------------------------------------------
# On a share that is not mounted, or that shows what it showed a minute ago, everything may seem to be gone.
# So what one node misses is believed if that one was the last to see it, or if no live one sees it any more
# that has the share: one whose mount has died cannot tell.

_MINE: Final = (fingerprints.c.version_id == bindparam("version"), fingerprints.c.node == _NODE)
_NOTE_MISSING: Final = Prepared(
    update(fingerprints)
    .where(*_MINE, fingerprints.c.missing_since.is_(None))
    .values(missing_since=bindparam("since"))
)


def note_missing(connection: Connection, since: Mapping[int, float]) -> None:
    """Record since when this node misses the files of versions, by id; a date that is there stays."""
    node = node_of(connection)
    rows = [{"version": number, "since": instant, NODE: node} for number, instant in since.items()]
    _NOTE_MISSING.many(connection, rows)


def note_found(connection: Connection, ids: Sequence[int]) -> None:
    """Record that the files of versions were found: a node that missed one looks for it again."""
    if node_of(connection):
        for some in chunks(ids):
            missed = (fingerprints.c.version_id.in_(some), fingerprints.c.missing_since.is_not(None))
            connection.execute(update(fingerprints).where(*missed).values(missing_since=None))


_WITNESSES: Final = (
    select(
        fingerprints.c.version_id,
        fingerprints.c.node,
        fingerprints.c.seen_at,
        fingerprints.c.missing_since,
        and_(
            is_live(fingerprints.c.node),
            exists().where(
                folder_nodes.c.folder_id == versions.c.folder_id, folder_nodes.c.node == fingerprints.c.node
            ),
            ~exists().where(
                folders_down.c.folder_id == versions.c.folder_id, folders_down.c.node == fingerprints.c.node
            ),
        ).label("live"),
    )
    .join(versions, versions.c.id == fingerprints.c.version_id)
    .where(fingerprints.c.version_id.in_(bindparam("ids", expanding=True)))
)


def list_believed(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Return those versions of shared folders whose absence is believed, if this node misses them all."""
    node = node_of(connection)
    found = defaultdict(list)
    for some in chunks(ids):
        for row in connection.execute(_WITNESSES, {"ids": some}):
            found[row.version_id].append(row)
    return {number for number, rows in found.items() if _is_believed(rows, node)}


def _is_believed(rows: Sequence[Row[Any]], node: str) -> bool:
    if all(row.node != node for row in rows):  # it was never seen here
        return False
    last: str = max(rows, key=lambda row: (row.seen_at, row.node == node)).node
    others = [row for row in rows if row.live and row.node != node]
    return last == node or all(row.missing_since is not None for row in others)


_DOUBTED: Final = (
    select(versions.c.id, versions.c.directory, versions.c.name)
    .select_from(SEEN)
    .where(
        versions.c.folder_id == bindparam("folder"),
        versions.c.missing_since.is_(None),
        own.c.missing_since.is_not(None),
    )
    .limit(bindparam("most"))
)


def list_doubted(connection: Connection, folder: int, most: int) -> list[bytes]:
    """Return the paths of versions that this node misses, and of which that was not believed."""
    values = {"folder": folder, "most": most, NODE: node_of(connection)}
    rows = connection.execute(_DOUBTED, values)
    return [directory + b"/" + name if directory else name for _, directory, name in rows]
