"""Folders whose path contains a link: the row of its present target, and those of former ones.

Each target has a row of its own, as a folder is identified by its real path. A row keeps the configured path
until everything in it is done; `left_at` is set once the path leads elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, literal, select, update

from dingwatch.ledger.folders import FolderMark, MappedFolder, find_or_insert, mark_of
from dingwatch.ledger.routing import copy_routes
from dingwatch.ledger.schema import deliveries, folder_pauses, folders
from dingwatch.ledger.store import node_of
from dingwatch.lifecycle import State

_DONE: Final = (State.SENT, State.SKIPPED, State.GONE)


def note_paths(
    connection: Connection, mapped: Sequence[MappedFolder], marks: Sequence[FolderMark], now: float
) -> list[tuple[FolderMark, bytes | None]]:
    """Record the configured paths; return each folder's mark, and where its path led before.

    That is None where it leads to the same root. `marks` are the rows of the present targets, in the order of
    `mapped`.
    """
    present = list_present(connection)
    return [
        _note_path(connection, one, mark, present.get((one.path, one.name), ()), now)
        for one, mark in zip(mapped, marks, strict=True)
    ]


def _note_path(
    connection: Connection, one: MappedFolder, mark: FolderMark, present: Sequence[Row[Any]], now: float
) -> tuple[FolderMark, bytes | None]:
    if one.path is None or [row.id for row in present] == [mark.id]:
        return mark, None
    former = [row for row in present if row.id != mark.id]
    if former:
        _turn(connection, mark.id, one.path, one.linked_at, _last_look(former, now))
    connection.execute(update(folders).where(folders.c.id == mark.id).values(path=one.path))
    return _mark(connection, mark.id), former[0].root if former else None


def list_present(connection: Connection) -> Mapping[tuple[bytes | None, str], Sequence[Row[Any]]]:
    """Return the rows of the present targets by path and name; none before a path was first watched."""
    return _by_path(connection, folders.c.left_at.is_(None))


def root_identity(connection: Connection, number: int) -> tuple[int, int] | None:
    """Return the (device, inode) of a folder's root when it was last looked at; None before that."""
    root = _mark(connection, number).look.root
    return None if root is None else root.identity


def move(connection: Connection, number: int, root: bytes) -> bool:
    """Record that the root of a folder lies at another path now.

    Return False, and change nothing, where the ledger knows another folder of that name there.
    """
    row = connection.execute(select(folders).where(folders.c.id == number)).one()
    there = (folders.c.root == root) & (folders.c.name == row.name) & (folders.c.node == row.node)
    if connection.scalar(select(folders.c.id).where(there)) is not None:
        return False
    connection.execute(update(folders).where(folders.c.id == number).values(root=root))
    return True


def switch(
    connection: Connection, number: int, root: bytes, linked_at: float | None, now: float
) -> FolderMark:
    """Let the path of a folder lead to another root; return the mark of that.

    Files there that were changed after `linked_at` (wall clock), when the link was changed, are new.
    """
    former = connection.execute(select(folders).where(folders.c.id == number)).one()
    target = find_or_insert(connection, root, former.name)
    _turn(connection, target, former.path, linked_at, _last_look([former], now))
    copy_routes(connection, number, target)
    return _mark(connection, target)


def _last_look(former: Sequence[Row[Any]], now: float) -> float:
    """Return when the last of these roots was last looked at; 0 where nobody knows."""
    seen_at: float = max(row.root_seen_at or 0.0 for row in former)
    return min(seen_at, now)  # the clock may have been set back since


MISSED: Final = 600.0
"""Seconds by which a file may be older than the last look at a former target, and still be new."""


def _turn(connection: Connection, number: int, path: bytes, linked_at: float | None, seen_at: float) -> None:
    """Make one row the present target of a path, and all others former ones.

    Where a directory took the place of the link, no link tells since when: then it is the last look at the
    former target, as with a root that was replaced.
    """
    if linked_at is None and seen_at:
        linked_at = seen_at - MISSED
    row = connection.execute(select(folders).where(folders.c.id == number)).one()
    same = _has_path(path, row.name) & (folders.c.node == row.node)
    others = same & (folders.c.id != number) & folders.c.left_at.is_(None)
    _hand_pause_on(connection, number, select(folders.c.id).where(others))
    connection.execute(update(folders).where(others).values(left_at=linked_at or 0.0))
    since = "look_began" if row.looked_at is None else "old_before"
    values: dict[str, Any] = {"path": path, "left_at": None, since: linked_at}
    connection.execute(update(folders).where(folders.c.id == number).values(values))


def _hand_pause_on(connection: Connection, number: int, former: Select[tuple[int]]) -> None:
    """Pause the present target of a path as a person has paused the former one, and only then."""
    connection.execute(delete(folder_pauses).where(folder_pauses.c.folder_id == number))
    columns = [one for one in folder_pauses.c if one.name != "folder_id"]
    paused = select(literal(number), *columns).where(folder_pauses.c.folder_id.in_(former)).limit(1)
    connection.execute(insert(folder_pauses).from_select(["folder_id", *(c.name for c in columns)], paused))


def list_former(connection: Connection) -> Mapping[tuple[bytes | None, str], Sequence[Row[Any]]]:
    """Return the rows of former targets in which anything is still to be done, by path and name."""
    return _by_path(connection, folders.c.left_at.is_not(None))


def _by_path(
    connection: Connection, condition: ColumnElement[bool]
) -> Mapping[tuple[bytes | None, str], Sequence[Row[Any]]]:
    """Return the rows of paths that are followed; a thousand folders are not asked for one by one."""
    own = folders.c.node == node_of(connection)
    followed = select(folders).where(condition, own, folders.c.path.is_not(None)).order_by(folders.c.id)
    found = defaultdict(list)
    for row in connection.execute(followed):
        found[row.path, row.name].append(row)
    return found


def leave(connection: Connection, number: int) -> bool:
    """Be done with a former target, and return True, unless a delivery of it is neither sent nor given up."""
    open_one = and_(deliveries.c.folder_id == number, deliveries.c.state.not_in(_DONE))
    if connection.scalar(select(deliveries.c.id).where(open_one).limit(1)) is not None:
        return False
    connection.execute(update(folders).where(folders.c.id == number).values(path=None))
    return True


def _has_path(path: bytes, name: str) -> ColumnElement[bool]:
    return (folders.c.path == path) & (folders.c.name == name)


def _mark(connection: Connection, number: int) -> FolderMark:
    row: Row[Any] = connection.execute(select(folders).where(folders.c.id == number)).one()
    return mark_of(row)
