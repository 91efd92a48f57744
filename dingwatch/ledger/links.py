"""Folders whose path contains a link: the row of its present target, and those of former ones.

Each target has a row of its own, as a folder is identified by its real path. A row keeps the configured path
until everything in it is done; `left_at` is set once the path leads elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, literal, select, update

from dingwatch.ledger.folders import FolderMark, MappedFolder, mark_of
from dingwatch.ledger.schema import deliveries, folders, routes
from dingwatch.lifecycle import State

_DONE: Final = (State.SENT, State.SKIPPED, State.GONE)


def note_paths(
    connection: Connection, mapped: Sequence[MappedFolder], marks: Sequence[FolderMark]
) -> list[tuple[FolderMark, bytes | None]]:
    """Record the configured paths; return each folder's mark, and where its path led before.

    That is None where it leads to the same root. `marks` are the rows of the present targets, in the order of
    `mapped`.
    """
    return [_note_path(connection, one, mark.id) for one, mark in zip(mapped, marks, strict=True)]


def _note_path(connection: Connection, one: MappedFolder, number: int) -> tuple[FolderMark, bytes | None]:
    if one.path is None:
        return _mark(connection, number), None
    former = connection.execute(
        select(folders).where(_has_path(one.path, one.name), folders.c.left_at.is_(None))
    ).all()
    before = next((row.root for row in former if row.id != number), None)
    if before is not None:
        _turn(connection, number, one.path, one.linked_at)
    connection.execute(update(folders).where(folders.c.id == number).values(path=one.path))
    return _mark(connection, number), before


def switch(connection: Connection, number: int, root: bytes, linked_at: float | None) -> FolderMark:
    """Let the path of a folder lead to another root; return the mark of that.

    Files there that were changed after `linked_at` (wall clock), when the link was changed, are new.
    """
    former = connection.execute(select(folders).where(folders.c.id == number)).one()
    there = (folders.c.root == root) & (folders.c.name == former.name)
    target = connection.scalar(select(folders.c.id).where(there))
    if target is None:
        made = connection.execute(insert(folders).values(root=root, name=former.name)).inserted_primary_key
        assert made is not None  # noqa: S101 (an insert of one row always has one)
        target = int(made[0])
    _turn(connection, target, former.path, linked_at)
    copied = select(literal(target), routes.c.recipient).where(routes.c.folder_id == number)
    connection.execute(delete(routes).where(routes.c.folder_id == target))
    connection.execute(insert(routes).from_select(["folder_id", "recipient"], copied))
    return _mark(connection, target)


def _turn(connection: Connection, number: int, path: bytes, linked_at: float | None) -> None:
    """Make one row the present target of a path, and all others former ones."""
    row = connection.execute(select(folders).where(folders.c.id == number)).one()
    others = _has_path(path, row.name) & (folders.c.id != number) & folders.c.left_at.is_(None)
    connection.execute(update(folders).where(others).values(left_at=linked_at or 0.0))
    since = "look_began" if row.looked_at is None else "old_before"
    values: dict[str, Any] = {"path": path, "left_at": None, since: linked_at}
    connection.execute(update(folders).where(folders.c.id == number).values(values))


def list_former(connection: Connection, path: bytes, name: str) -> list[tuple[FolderMark, bytes]]:
    """Return the former targets of a path in which anything is still to be done, and their roots."""
    left = _has_path(path, name) & folders.c.left_at.is_not(None)
    rows = connection.execute(select(folders).where(left).order_by(folders.c.id)).all()
    return [(mark_of(row), row.root) for row in rows]


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
