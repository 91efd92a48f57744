"""Versions: what is known of the files of a folder, and what intake records of them.

Of a folder that several nodes share (`shared`), that is what this node has seen of it; what others have seen
and this one has not is known by their row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from dingwatch.ledger import fingerprints, transitions
from dingwatch.ledger.fingerprints import IS_SEEN_ELSEWHERE, KNOWN, NODE, SEEN, own
from dingwatch.ledger.schema import HELD, IS_HERE, deliveries, history, uploads, versions
from dingwatch.ledger.store import BulkInsert, Prepared, Store, chunks, node_of
from dingwatch.ledger.transitions import AFRESH, Change
from dingwatch.ledger.uploads import upload_row
from dingwatch.lifecycle import NOTICED, Event, State
from dingwatch.model import Cause, Fingerprint
from dingwatch.names import readable
from dingwatch.novelty import Known, is_same_time
from dingwatch.payload import Payload

File = tuple[bytes, Fingerprint]
"""A file that lies at a path beneath a root."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to be written with all its deliveries.

    With `skipped`, the deliveries are written as `skipped` for that cause. For what `send` was given,
    `folder` is None and `path` absolute. `touched` says that it differs from a baseline version in its mtime
    alone. `gathers_until` is when its burst is over, for a file that may share a message with others.
    `shared` says that several nodes share the folder.
    """

    folder: int | None
    path: bytes
    fingerprint: Fingerprint
    digest: str | None
    noticed_at: float
    settled_at: float
    payload: Payload
    recipients: tuple[str, ...] = ()
    skipped: Cause | None = None
    touched: bool = False
    gathers_until: float | None = None
    shared: bool = False


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return (directory, name) of a path beneath a root; a file in the root has the directory `b""`."""
    directory, _, name = path.rpartition(b"/")
    return directory, name


def join(directory: bytes, name: bytes) -> bytes:
    """Return the path of a name in a directory."""
    return b"/".join((directory, name)) if directory else name


# --- Knowledge ---------------------------------------------------------------------------------

_KNOWN: Final = (
    versions.c.id,
    versions.c.directory,
    versions.c.name,
    versions.c.size,
    versions.c.mtime_ns,
    versions.c.ctime_ns,
    versions.c.inode,
    versions.c.sha256,
    versions.c.baseline,
    versions.c.noticed_at,
    versions.c.missing_since,
)
_TIMES_AND_INODE: Final = (
    func.coalesce(own.c.mtime_ns, versions.c.mtime_ns).label("mtime_ns"),
    func.coalesce(own.c.ctime_ns, literal(0)),
    func.coalesce(own.c.inode, literal("0")),
)
_KNOWN_HERE: Final = (
    *_KNOWN[:4],
    *_TIMES_AND_INODE,
    *_KNOWN[7:10],
    func.coalesce(versions.c.missing_since, own.c.missing_since),
    own.c.version_id.is_not(None),
    versions.c.mtime_ns,
    and_(versions.c.missing_since.is_(None), own.c.missing_since.is_not(None)),
)
"""The same of a shared folder, as this node knows it, and what `Known` has of shares besides."""


def _with_names(query: Select[Any]) -> Select[Any]:
    return query.where(
        versions.c.folder_id == bindparam("folder"),
        versions.c.directory == bindparam("directory"),
        versions.c.name.in_(bindparam("names", expanding=True)),
        IS_HERE,
    ).order_by(versions.c.id)


def _with_sizes_and_mtimes(query: Select[Any], mtime_ns: ColumnElement[int]) -> Select[Any]:
    return query.where(
        versions.c.folder_id == bindparam("folder"),
        versions.c.size.in_(bindparam("sizes", expanding=True)),
        mtime_ns.in_(bindparam("mtimes", expanding=True)),
        IS_HERE,
    ).order_by(versions.c.id)


def _with_inodes(query: Select[Any], inode: ColumnElement[str]) -> Select[Any]:
    return query.where(
        versions.c.folder_id == bindparam("folder"),
        inode.in_(bindparam("inodes", expanding=True)),
        IS_HERE,
    )


def _with_content(query: Select[Any], missing_since: ColumnElement[Any]) -> Select[Any]:
    return (
        query.where(
            versions.c.folder_id == bindparam("folder"),
            versions.c.sha256 == bindparam("digest"),
            IS_HERE,
            or_(missing_since.is_(None), missing_since >= bindparam("since")),
        )
        .order_by(versions.c.id.desc())
        .limit(ALIKE_AT_ONCE)
    )


ALIKE_AT_ONCE: Final = 16
"""Versions of one content that are looked at to find the one that was moved."""
_BY_PATH: Final = _with_names(select(*_KNOWN))
_BY_PATH_HERE: Final = _with_names(select(*_KNOWN_HERE, IS_SEEN_ELSEWHERE).select_from(KNOWN))
_BY_SIZE_AND_MTIME: Final = _with_sizes_and_mtimes(select(*_KNOWN), versions.c.mtime_ns)
_BY_SIZE_AND_MTIME_HERE: Final = _with_sizes_and_mtimes(
    select(*_KNOWN_HERE).select_from(SEEN), own.c.mtime_ns
)
_BY_INODE: Final = _with_inodes(select(*_KNOWN), versions.c.inode)
_BY_INODE_HERE: Final = _with_inodes(select(*_KNOWN_HERE).select_from(SEEN), own.c.inode)
_BY_CONTENT: Final = Prepared(_with_content(select(*_KNOWN), versions.c.missing_since))
_BY_CONTENT_HERE: Final = Prepared(
    _with_content(
        select(*_KNOWN_HERE).select_from(KNOWN),
        func.coalesce(versions.c.missing_since, own.c.missing_since),
    )
)
_STATES: Final = select(deliveries.c.version_id, deliveries.c.state, deliveries.c.code).where(
    deliveries.c.version_id.in_(bindparam("versions", expanding=True))
)


def _ask(
    connection: Connection, queries: tuple[Select[Any], Select[Any]], values: dict[str, Any], *, shared: bool
) -> Sequence[Row[Any]]:
    """Run the first query, or the second for a shared folder."""
    if shared:
        return connection.execute(queries[1], {**values, NODE: node_of(connection)}).all()
    return connection.execute(queries[0], values).all()


def find_by_path(
    connection: Connection, folder: int, paths: Sequence[bytes], *, shared: bool = False
) -> dict[bytes, list[Known]]:
    """Return all known versions of these paths, oldest first."""
    names = defaultdict(list)
    for path in paths:
        directory, name = split(path)
        names[directory].append(name)
    rows = [
        row
        for directory, listed in names.items()
        for some in chunks(listed)
        for row in _ask(
            connection,
            (_BY_PATH, _BY_PATH_HERE),
            {"folder": folder, "directory": directory, "names": some},
            shared=shared,
        )
    ]
    found: dict[bytes, list[Known]] = {path: [] for path in paths}
    for known in _with_states(connection, rows):
        found[known.path].append(known)
    return found


def find_by_size_and_mtime(
    connection: Connection, folder: int, fingerprints: Sequence[Fingerprint], *, shared: bool = False
) -> dict[tuple[int, int], list[Known]]:
    """Return the versions of the folder that have one of these sizes and mtimes, oldest first."""
    states = {(one.size, one.mtime_ns) for one in fingerprints}
    queries = (_BY_SIZE_AND_MTIME, _BY_SIZE_AND_MTIME_HERE)
    rows = [
        row
        for some in chunks(sorted(states))
        for row in _ask(connection, queries, _sizes_and_mtimes(folder, some), shared=shared)
        if (row.size, row.mtime_ns) in states
    ]
    found = defaultdict(list)
    for known in _with_states(connection, rows):
        found[known.size, known.mtime_ns].append(known)
    return dict(found)


def find_by_inode(
    connection: Connection, folder: int, inodes: Sequence[int], *, shared: bool = False
) -> dict[int, list[Known]]:
    """Return the versions of the folder that had one of these inodes, oldest first."""
    rows = [
        row
        for some in chunks(sorted({str(one) for one in inodes}))
        for row in _ask(
            connection, (_BY_INODE, _BY_INODE_HERE), {"folder": folder, "inodes": some}, shared=shared
        )
    ]
    found = defaultdict(list)
    for known in _with_states(connection, sorted(rows, key=lambda row: row[0])):
        found[known.inode].append(known)
    return dict(found)


def find_by_content(
    connection: Connection, folder: int, digest: str, inode: int, since: float, *, shared: bool = False
) -> list[Known]:
    """Return versions of a content whose file was there at `since` (wall clock) or later, oldest first.

    Those of the inode, and of all others the newest: a thousand copies of one form may lie in a folder.
    """
    values = {"folder": folder, "digest": digest, "since": since}
    if shared:
        rows = _BY_CONTENT_HERE.rows(connection, {**values, NODE: node_of(connection)})
    else:
        rows = _BY_CONTENT.rows(connection, values)
    found = list(_with_states(connection, rows))
    if len(rows) == ALIKE_AT_ONCE:
        same_inode = find_by_inode(connection, folder, [inode], shared=shared).get(inode, [])
        found += [one for one in same_inode if one.digest == digest]
    by_id = {one.id: one for one in found if one.was_there(since)}
    return [by_id[number] for number in sorted(by_id)]


def _sizes_and_mtimes(folder: int, states: Sequence[tuple[int, int]]) -> dict[str, Any]:
    # SQLite uses the index for two lists. For a list of pairs it reads every version of the folder, so the
    # caller filters the few that combine the size of one with the mtime of another.
    return {"folder": folder, "sizes": [size for size, _ in states], "mtimes": [mtime for _, mtime in states]}


def _with_states(connection: Connection, rows: Sequence[Sequence[Any]]) -> Iterator[Known]:
    """Yield the versions of rows of `_KNOWN`, with the states of their deliveries."""
    states: dict[int, set[State]] = defaultdict(set)
    noticed = set()
    for ids in chunks([row[0] for row in rows]):
        for version, state, code in connection.execute(_STATES, {"versions": ids}):
            states[version].add(State(state))
            if code == NOTICED:
                noticed.add(version)
    for row in rows:
        number, directory, name, size, mtime, ctime, inode, digest, baseline, noticed_at, missing = row[:11]
        yield Known(
            number,
            join(directory, name),
            size,
            mtime,
            int(inode),
            digest,
            bool(baseline),
            frozenset(states[number]),
            noticed_at,
            ctime,
            missing,
            number in noticed,
            *row[11:],
        )


_BEYOND_ALL_NAMES: Final = b"\xff" * 256
"""No name is longer than 255 bytes, so all come before this one."""
_OF_DIRECTORY: Final = (
    versions.c.folder_id == bindparam("folder"),
    versions.c.directory == bindparam("directory"),
    versions.c.name > bindparam("after"),
    versions.c.name <= bindparam("last"),
    # A missing file that is back must look unknown to the scan, or nobody would notice its return.
    versions.c.missing_since.is_(None),
)
# `coalesce` hides the state from SQLite's planner, which would read all that is gone for each version.
_GONE: Final = exists().where(
    deliveries.c.version_id == versions.c.id, func.coalesce(deliveries.c.state, "") == State.GONE
)
_FILES: Final = Prepared(
    select(
        versions.c.name,
        versions.c.size,
        versions.c.mtime_ns,
        and_(versions.c.baseline.is_(other=False), _GONE),
    ).where(*_OF_DIRECTORY)
)
_NEWER: Final = versions.alias("newer")
_HAS_NEWER: Final = exists().where(
    _NEWER.c.folder_id == versions.c.folder_id,
    _NEWER.c.directory == versions.c.directory,
    _NEWER.c.name == versions.c.name,
    _NEWER.c.missing_since.is_(None),
    _NEWER.c.id > versions.c.id,
)
_OLD_FILES: Final = Prepared(
    select(versions.c.name, versions.c.size, versions.c.mtime_ns).where(
        *_OF_DIRECTORY,
        versions.c.baseline,
        ~_HAS_NEWER,
    )
)
_FILES_HERE: Final = Prepared(
    select(
        versions.c.name,
        versions.c.size,
        func.coalesce(own.c.mtime_ns, versions.c.mtime_ns),
        and_(versions.c.baseline.is_(other=False), _GONE),
        versions.c.id,
        own.c.version_id.is_not(None),
        versions.c.baseline,
        versions.c.sha256.is_not(None),
    )
    .select_from(KNOWN)
    # What only this node misses is looked for no more: it is believed, or found again.
    .where(*_OF_DIRECTORY, own.c.missing_since.is_(None))
)
_OLD_FILES_HERE: Final = Prepared(
    select(versions.c.name, versions.c.size, own.c.mtime_ns)
    .select_from(SEEN)
    .where(*_OF_DIRECTORY, versions.c.baseline, ~_HAS_NEWER)
)
_DIRECTORIES: Final = (
    select(versions.c.directory).where(versions.c.folder_id == bindparam("folder")).distinct()
)


def stream_directory(
    connection: Connection, folder: int, directory: bytes, after: bytes = b"", last: bytes | None = None
) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yield the versions in a directory that are not missing.

    Only those with names greater than `after`, up to `last`, as (name, size, mtime_ns, whether one of its
    deliveries is gone): a directory may have a million.
    """
    yield from _FILES.stream(connection, _part(folder, directory, after, last))


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A version in a directory that several nodes share, as this one knows it."""

    name: bytes
    size: int
    mtime_ns: int
    gone: bool
    version: int
    seen: bool
    baseline: bool
    read: bool
    """Whether its digest is known."""

    def is_like(self, seen: Fingerprint) -> bool:
        """Compare by size and mtime; see `Known.same_as`.

        A share that is mounted here in another way than before shows other times of the same files: rounded,
        or no longer so.
        """
        if self.size != seen.size:
            return False
        if not self.seen and self.baseline:
            return True
        return is_same_time(self.mtime_ns, seen.mtime_ns, compared=self.seen or self.read)


def stream_shared_directory(
    connection: Connection, folder: int, directory: bytes, after: bytes = b"", last: bytes | None = None
) -> Iterator[SharedFile]:
    """Yield the same versions of a directory that several nodes share."""
    values = {**_part(folder, directory, after, last), NODE: node_of(connection)}
    return (SharedFile(*row) for row in _FILES_HERE.stream(connection, values))


def stream_baseline(
    connection: Connection,
    folder: int,
    directory: bytes,
    after: bytes = b"",
    last: bytes | None = None,
    *,
    shared: bool = False,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, size, mtime_ns) of the same files where the newest version of a path is baseline."""
    values = _part(folder, directory, after, last)
    if shared:
        yield from _OLD_FILES_HERE.stream(connection, {**values, NODE: node_of(connection)})
    else:
        yield from _OLD_FILES.stream(connection, values)


def _part(folder: int, directory: bytes, after: bytes, last: bytes | None) -> dict[str, Any]:
    last = _BEYOND_ALL_NAMES if last is None else last
    return {"folder": folder, "directory": directory, "after": after, "last": last}


_STATES_OF_PATH: Final = Prepared(
    select(versions.c.size, versions.c.mtime_ns).where(
        versions.c.folder_id == bindparam("folder"),
        versions.c.directory == bindparam("directory"),
        versions.c.name == bindparam("name"),
        IS_HERE,
    )
)


def is_known(
    connection: Connection, folder: int, path: bytes, seen: Fingerprint, *, shared: bool = False
) -> bool:
    """Return whether a version of a path has the size and mtime that were seen."""
    if shared:
        known = find_by_path(connection, folder, [path], shared=True)[path]
        return any(one.same_as(seen) for one in known)
    directory, name = split(path)
    values = {"folder": folder, "directory": directory, "name": name}
    return (seen.size, seen.mtime_ns) in _STATES_OF_PATH.rows(connection, values)


def count_present(connection: Connection, folder: int, *, shared: bool = False) -> int:
    """Count the paths of the folder at which the ledger knows a file that is not missing."""
    paths = select(versions.c.directory, versions.c.name).where(
        versions.c.folder_id == folder, versions.c.missing_since.is_(None)
    )
    values = {}
    if shared:
        paths = paths.select_from(SEEN).where(own.c.missing_since.is_(None))
        values = {NODE: node_of(connection)}
    count = select(func.count()).select_from(paths.distinct().subquery())
    return connection.scalar(count, values) or 0


def is_unseen(connection: Connection, folder: int) -> bool:
    """Return whether other nodes see files in a shared folder, of which this one has seen none."""
    there = (versions.c.folder_id == folder, versions.c.missing_since.is_(None))
    mine = select(exists().select_from(SEEN).where(*there, own.c.missing_since.is_(None)))
    if connection.scalar(mine, {NODE: node_of(connection)}):
        return False
    return bool(connection.scalar(select(exists().where(*there))))


@dataclass(frozen=True, slots=True)
class Present:
    """A file that is there as far as the ledger knows."""

    path: bytes
    size: int
    mtime_ns: int


def list_present(connection: Connection, folder: int, most: int) -> list[Present]:
    """Return files of the folder that are not missing, the newest first, and no more than `most`."""
    query = (
        select(versions.c.directory, versions.c.name, versions.c.size, versions.c.mtime_ns)
        .where(versions.c.folder_id == folder, versions.c.missing_since.is_(None))
        .order_by(versions.c.id.desc())
        .limit(most)
    )
    rows = connection.execute(query)
    return [Present(join(directory, name), size, mtime_ns) for directory, name, size, mtime_ns in rows]


def list_directories(connection: Connection, folder: int) -> Iterator[bytes]:
    """Return every directory in which the ledger knows a file of the folder."""
    return iter(connection.scalars(_DIRECTORIES, {"folder": folder}).all())


# --- Writing -----------------------------------------------------------------------------------

_ADD_VERSION: Final = Prepared(
    insert(versions).values({one.name: bindparam(one.name) for one in versions.c if one.computed is None})
)
_ADD_DELIVERY: Final = Prepared(insert(deliveries))
_LINE: Final = ("version_id", "delivery_id", "at", "event", "after", "message")
_ADD_HISTORY: Final = Prepared(insert(history).values({name: bindparam(name) for name in _LINE}))


def add(store: Store, connection: Connection, new: Sequence[NewVersion], now: float) -> list[int]:
    """Write versions with all their deliveries and uploads; return the ids of the deliveries."""
    if not new:
        return []
    ids = store.new_ids(connection, len(new))
    _ADD_VERSION.many(connection, [_version_row(i, one) for i, one in zip(ids, new, strict=True)])
    seen = {i: one.fingerprint for i, one in zip(ids, new, strict=True) if one.shared}
    fingerprints.note_seen(store, connection, seen, now)
    return add_deliveries(store, connection, list(zip(ids, new, strict=True)), now)


_ADD_BASELINE: Final = BulkInsert(
    versions,
    *("id", "folder_id", "directory", "name", "size", "mtime_ns", "ctime_ns", "inode", "device"),
    *("baseline", "noticed_at"),
)


def add_baseline(
    store: Store,
    connection: Connection,
    folder: int,
    files: Sequence[File],
    now: float,
    *,
    shared: bool = False,
) -> None:
    """Write versions of files that were there before the folder was first watched."""
    if not files:
        return
    ids = store.new_ids(connection, len(files))
    _ADD_BASELINE(
        connection,
        (
            (number, folder, *split(path), size, mtime_ns, ctime_ns, str(inode), str(device), True, now)
            for number, (path, (size, mtime_ns, ctime_ns, inode, device)) in zip(ids, files, strict=True)
        ),
    )
    if shared:
        seen = {number: one for number, (_, one) in zip(ids, files, strict=True)}
        fingerprints.note_seen(store, connection, seen, now)


_FORGET_BASELINE: Final = Prepared(
    delete(versions).where(
        versions.c.folder_id == bindparam("folder"),
        versions.c.directory == bindparam("directory"),
        versions.c.name == bindparam("name"),
        versions.c.baseline,
        # What was touched or moved since has been there for longer than this first look.
        ~exists().where(history.c.version_id == versions.c.id),
    )
)


def forget_baseline(connection: Connection, folder: int, paths: Sequence[bytes]) -> None:
    """Forget that files were there before a first look: their events have shown that they came during it."""
    keys = map(split, paths)
    rows = [{"folder": folder, "directory": directory, "name": name} for directory, name in keys]
    _FORGET_BASELINE.many(connection, rows)


def add_deliveries(
    store: Store, connection: Connection, new: Sequence[tuple[int, NewVersion]], now: float
) -> list[int]:
    """Write the deliveries of versions that have a row already; return their ids."""
    pairs = [(version, one, recipient) for version, one in new for recipient in one.recipients]
    if not pairs:
        return []
    ids = store.new_ids(connection, len(pairs))
    given_to = node_of(connection) or None
    rows = [
        _delivery_row(i, version, one, c) | ({"given_to": given_to} if one.folder is None else {})
        for i, (version, one, c) in zip(ids, pairs, strict=True)
    ]
    dresses = {one.payload.key.id: upload_row(one.payload) for _, one, _ in pairs}
    store.insert_missing(connection, uploads, list(dresses.values()))
    _ADD_DELIVERY.many(connection, rows)
    _ADD_HISTORY.many(connection, [_first_line(row, now) for row in rows])
    skips = [
        Change(i, Event.SKIP, State.PENDING, one.skipped, version=version)
        for i, (version, one, _) in zip(ids, pairs, strict=True)
        if one.skipped
    ]
    transitions.apply(connection, now, skips)
    return list(ids)


def _version_row(version: int, one: NewVersion) -> dict[str, Any]:
    directory, name = split(one.path)
    return {
        "id": version,
        "folder_id": one.folder,
        "directory": directory,
        "name": name,
        "sha256": one.digest,
        "baseline": False,
        "noticed_at": one.noticed_at,
        **_fingerprint_columns(one.fingerprint),
    }


def _fingerprint_columns(fingerprint: Fingerprint) -> dict[str, Any]:
    return {
        "size": fingerprint.size,
        "mtime_ns": fingerprint.mtime_ns,
        "ctime_ns": fingerprint.ctime_ns,
        "inode": str(fingerprint.inode),
        "device": str(fingerprint.device),
        "missing_since": None,
    }


def _delivery_row(delivery: int, version: int, one: NewVersion, recipient: str) -> dict[str, Any]:
    return {
        "id": delivery,
        "version_id": version,
        "folder_id": one.folder,
        "recipient": recipient,
        "route": one.payload.route,
        "state": State.PENDING,
        "form": one.payload.form,
        "upload_key": one.payload.key.id,
        "due": one.settled_at if one.gathers_until is None else one.gathers_until,
        "due_after": 0.0 if one.gathers_until is None else max(one.gathers_until - one.settled_at, 0.0),
        "noticed_at": one.noticed_at,
        "settled_at": one.settled_at,
        "attempts": 0,
        "failures": 0,
        "waited": 0.0,
        "doubts": 0,
        "media_losses": 0,
        "crashes": 0,
        "uncertain_resent": False,
        "gathering": one.gathers_until is not None,
    }


def _first_line(row: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {
        "version_id": row["version_id"],
        "delivery_id": row["id"],
        "at": now,
        "event": "settled",
        "after": State.PENDING,
    }


_RENEW: Final = (
    update(versions)
    .where(versions.c.id == bindparam("version"))
    .values(
        {
            name: bindparam(f"to_{name}")
            for name in (
                "directory",
                "name",
                "size",
                "mtime_ns",
                "ctime_ns",
                "inode",
                "device",
                "missing_since",
            )
        }
        | {"sha256": func.coalesce(bindparam("to_sha256", type_=String), versions.c.sha256)}
    )
)


@dataclass(frozen=True, slots=True)
class Renewal:
    """A known version that is found with another mtime or under another path."""

    version: int
    path: bytes
    fingerprint: Fingerprint
    event: str
    """`touched`, `moved` or `returned`: the event of its history line, whose message is the former path."""
    digest: str | None = None
    """Its digest where it was taken only now; None leaves what there is."""


def renew(connection: Connection, renewed: Sequence[Renewal], now: float) -> None:
    """Give versions another path or fingerprint, with a history line each."""
    if not renewed:
        return
    rows = []
    for one in renewed:
        directory, name = split(one.path)
        columns = {"directory": directory, "name": name, **_fingerprint_columns(one.fingerprint)}
        columns["sha256"] = one.digest
        rows.append({"version": one.version} | {f"to_{key}": value for key, value in columns.items()})
    before = dict(_paths(connection, [one.version for one in renewed]))
    connection.execute(_RENEW, rows)
    fingerprints.note_found(connection, [one.version for one in renewed])
    lines = [
        {"version_id": one.version, "at": now, "event": one.event, "message": readable(before[one.version])}
        for one in renewed
    ]
    _ADD_HISTORY.many(connection, lines)


def _paths(connection: Connection, ids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    query = select(versions.c.id, versions.c.directory, versions.c.name)
    for some in chunks(ids):
        for number, directory, name in connection.execute(query.where(versions.c.id.in_(some))):
            yield number, join(directory, name)


def withdraw(connection: Connection, ids: Sequence[int], cause: Cause, now: float) -> None:
    """Apply `vanish` to the deliveries of versions whose file is gone or superseded."""
    changes = [Change(d, Event.VANISH, None, cause) for d in transitions.deliveries_of(connection, ids)]
    transitions.apply(connection, now, changes)


_MARK_MISSING: Final = (
    update(versions)
    .where(versions.c.id == bindparam("version"), versions.c.missing_since.is_(None))
    .values(missing_since=bindparam("since"))
)


def mark_missing(connection: Connection, since: Mapping[int, float]) -> None:
    """Record since when the files of versions are gone, by id; a date that is there already stays."""
    if since:
        rows = [{"version": number, "since": instant} for number, instant in since.items()]
        connection.execute(_MARK_MISSING, rows)


def mark_present(connection: Connection, ids: Sequence[int]) -> None:
    """Record that the files of versions are there."""
    for some in chunks(ids):
        connection.execute(
            update(versions)
            .where(versions.c.id.in_(some), versions.c.missing_since.is_not(None))
            .values(missing_since=None)
        )
    fingerprints.note_found(connection, ids)


def revive(connection: Connection, ids: Sequence[int], now: float) -> None:
    """Apply `seen`: deliveries whose file is back are pending again."""
    changes = [
        Change(one, Event.SEEN, State.GONE, columns=AFRESH | {"due": due, "settled_at": now})
        for some in chunks(ids)
        for one, due in connection.execute(_DUES, {"versions": some, "now": now})
    ]
    transitions.apply(connection, now, changes)


# A delivery that was under a flood hold when its file vanished goes back under it.
_DUES: Final = select(
    deliveries.c.id, case((deliveries.c.due >= HELD, deliveries.c.due), else_=bindparam("now"))
).where(deliveries.c.version_id.in_(bindparam("versions", expanding=True)))
