"""Files that were sent and are moved away: which may be, and those that are on their way.

A move is written down before the file is touched. Whoever finds it here after a crash looks where the file
is, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from dingwatch.ledger.feedback import ALONE, Duty
from dingwatch.ledger.fingerprints import View, find_view
from dingwatch.ledger.schema import IS_HERE, deliveries, folders, history, moves, versions
from dingwatch.ledger.store import Prepared, chunks, node_of
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State
from dingwatch.model import Fingerprint
from dingwatch.names import readable
from dingwatch.novelty import Known


class Phase(StrEnum):
    """The stage of a move."""

    AWAY = "away"
    """It is being moved away, or was already."""
    THERE = "there"
    """It was moved; whether somebody was still writing it is seen after a quiet period."""
    BACK = "back"
    """It has changed after it was moved, and is being moved back."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A version that all recipients have, and whose file is there as far as the ledger knows."""

    version: int
    folder: int
    path: bytes
    fingerprint: Fingerprint
    digest: str | None
    sent_at: float
    """When the last recipient got it (wall clock)."""
    seen: bool = True
    """Whether the fingerprint is what this node has seen, of a file that others share."""


@dataclass(frozen=True, slots=True)
class Move:
    """A file on its way; all paths are beneath the folder's root.

    `fingerprint` is what the file was right before it was moved; its ctime counts for nothing.
    """

    version: int
    folder: int
    phase: Phase
    origin: bytes
    place: bytes
    fingerprint: Fingerprint
    back: bytes | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Versions, and paths in folders, that intake must not decide on before it is known where a file is."""

    versions: frozenset[int] = frozenset()
    paths: frozenset[tuple[int, bytes]] = frozenset()

    def concerns(self, key: tuple[int, bytes], others: Iterable[Known]) -> bool:
        """Return whether a path, or one of the versions that may have moved to it, is among them."""
        return key in self.paths or any(one.id in self.versions for one in others)


# --- What may be moved -----------------------------------------------------------------------------

_UNSENT: Final = exists().where(
    # `coalesce` hides the state from SQLite's planner, which would read all that is unsent.
    deliveries.c.version_id == versions.c.id,
    func.coalesce(deliveries.c.state, "") != State.SENT,
)
_SENT_AT: Final = (
    select(func.max(deliveries.c.sent_at)).where(deliveries.c.version_id == versions.c.id).scalar_subquery()
)
_MOVABLE: Final = (
    select(
        versions.c.id,
        versions.c.folder_id,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.mtime_ns,
        versions.c.ctime_ns,
        versions.c.inode,
        versions.c.device,
        versions.c.sha256,
        _SENT_AT.label("sent_at"),
    )
    # A baseline version that a person has retried was sent like all others.
    .where(IS_HERE, versions.c.missing_since.is_(None), _SENT_AT.is_not(None), ~_UNSENT)
    .where(~exists().where(moves.c.version_id == versions.c.id))
)


def find_movable(connection: Connection, ids: Sequence[int]) -> Iterator[SentFile]:
    """Yield those of these versions that all recipients have."""
    shared = bool(node_of(connection))
    for some in chunks(ids):
        for row in connection.execute(_MOVABLE.where(versions.c.id.in_(some))).all():
            number, folder, directory, name, size, mtime, ctime, inode, device, digest, at = row
            fingerprint = Fingerprint(size, mtime, ctime, int(inode), int(device))
            view = find_view(connection, number) if shared else View(shared=False, fingerprint=None)
            seen = view.fingerprint is not None or not view.shared
            path = join(directory, name)
            yield SentFile(number, folder, path, view.fingerprint or fingerprint, digest, at, seen)


def list_movable(connection: Connection, folder: int) -> Iterator[int]:
    """Return the ids of all such versions of a folder."""
    within = _MOVABLE.where(versions.c.folder_id == folder)
    return iter(connection.scalars(within.with_only_columns(versions.c.id)).all())


# --- What is on its way ----------------------------------------------------------------------------


def list_moves(connection: Connection, duty: Duty = ALONE) -> list[Move]:
    """Return the files on their way of which this node takes care."""
    rows = connection.execute(select(moves).order_by(moves.c.version_id))
    return [
        Move(
            row.version_id,
            row.folder_id,
            Phase(row.phase),
            row.origin,
            row.place,
            Fingerprint(row.size, row.mtime_ns, 0, int(row.inode), int(row.device)),
            row.back,
        )
        for row in rows
        if duty.has(row.folder_id, row.node)
    ]


_UNDER_WAY: Final = Prepared(
    select(moves.c.version_id, moves.c.folder_id, func.coalesce(moves.c.back, moves.c.origin)).where(
        moves.c.phase != Phase.THERE
    )
)


def find_under_way(connection: Connection) -> UnderWay:
    """Return the files of which nobody knows at this moment whether they were moved."""
    rows = _UNDER_WAY.rows(connection, {})
    if not rows:
        return UnderWay()
    return UnderWay(
        frozenset(version for version, _, _ in rows), frozenset((folder, path) for _, folder, path in rows)
    )


def plan_moves(connection: Connection, planned: Sequence[Move], now: float) -> None:
    """Write down files that are about to be moved away."""
    rows = [
        {
            "version_id": one.version,
            "folder_id": one.folder,
            "phase": Phase.AWAY,
            "origin": one.origin,
            "place": one.place,
            "size": one.fingerprint.size,
            "mtime_ns": one.fingerprint.mtime_ns,
            "inode": str(one.fingerprint.inode),
            "device": str(one.fingerprint.device),
            "node": node_of(connection),
        }
        for one in planned
    ]
    if rows:
        connection.execute(insert(moves), rows)
        note_moving(connection, {one.folder for one in planned}, now)


def note_moving(connection: Connection, numbers: set[int], now: float) -> None:
    """Remember for ever that sent files are moved in these folders."""
    first = folders.c.id.in_(numbers) & folders.c.moves_since.is_(None)
    connection.execute(update(folders).where(first).values(moves_since=now))


def plan_back(connection: Connection, back: Mapping[int, bytes]) -> None:
    """Write down that files are about to be moved back, and to which paths, by their versions."""
    if back:
        rows = [{"version": version, "path": path} for version, path in back.items()]
        connection.execute(_PLAN_BACK, rows)


_OF_VERSION: Final = moves.c.version_id == bindparam("version")
_PLAN_BACK: Final = update(moves).where(_OF_VERSION).values(phase=Phase.BACK, back=bindparam("path"))
_THERE: Final = update(moves).where(_OF_VERSION).values(phase=Phase.THERE, back=None)
_MOVED: Final = (
    update(versions)
    .where(versions.c.id == bindparam("version"))
    .values(moved_to=bindparam("place"), missing_since=bindparam("at"))
)
_RETURNED: Final = (
    update(versions).where(versions.c.id == bindparam("version")).values(moved_to=None, missing_since=None)
)


def _still(connection: Connection, moved: Sequence[Move]) -> list[Move]:
    """Return the moves of which it is not recorded yet that they have ended.

    Where the answer to a commit was lost, what it recorded is recorded again.
    """
    under_way = find_under_way(connection).versions
    return [one for one in moved if one.version in under_way]


def note_there(connection: Connection, moved: Sequence[Move], now: float) -> None:
    """Record that files were moved away: their paths are free from now on."""
    if moved := _still(connection, moved):
        connection.execute(_THERE, [{"version": one.version} for one in moved])
        rows = [{"version": one.version, "place": one.place, "at": now} for one in moved]
        connection.execute(_MOVED, rows)
        _record(connection, [(one.version, "put_away", one.place) for one in moved], now)


def note_not_back(connection: Connection, ids: Sequence[int]) -> None:
    """Record that files could not be moved back, as their names were taken."""
    if ids:
        connection.execute(_THERE, [{"version": version} for version in ids])


def note_back(connection: Connection, moved: Sequence[Move], now: float) -> None:
    """Record that files were moved back.

    Where that is another path than the one that they came from, another file has taken that one: they are
    new files.
    """
    if moved := _still(connection, moved):
        same = [{"version": one.version} for one in moved if one.back == one.origin]
        if same:
            connection.execute(_RETURNED, same)
        _record(connection, [(one.version, "put_back", one.back or b"") for one in moved], now)
        finish_moves(connection, [one.version for one in moved])


def finish_moves(connection: Connection, ids: Sequence[int]) -> None:
    """Forget moves that are over, or that did not take place."""
    for some in chunks(ids):
        connection.execute(delete(moves).where(moves.c.version_id.in_(some)))


def _record(connection: Connection, lines: Sequence[tuple[int, str, bytes]], now: float) -> None:
    rows = [
        {"version_id": version, "at": now, "event": event, "message": readable(path)}
        for version, event, path in lines
    ]
    connection.execute(insert(history), rows)
