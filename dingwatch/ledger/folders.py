"""What the ledger knows of folders: which is which, what they are mapped to, and where they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from dingwatch.ledger.schema import folders, routes
from dingwatch.model import Home


@dataclass(frozen=True, slots=True)
class Mapped:
    """A folder of the configuration, as the ledger binds it: its real path, name and conversations."""

    root: bytes
    name: str
    conversations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FolderMark:
    """What the ledger remembers of a folder."""

    id: int
    looked_at: float | None
    blank_device: str | None
    home: Home | None = None
    """Where its root lay at the first look."""


def bind(connection: Connection, mapped: Sequence[Mapped]) -> list[FolderMark]:
    """Find or make the folder rows of a configuration, and write down what it maps.

    A folder is its real path; only where one path stands in the configuration more than once do names
    tell its entries apart.
    """
    known = defaultdict(list)
    for row in connection.execute(select(folders).order_by(folders.c.id)):
        known[row.root].append(row)
    marks = [_bind_one(connection, one, known[one.root], mapped) for one in mapped]
    # A folder that is taken out and put back may lie elsewhere: that is how a person says so.
    left = folders.c.id.not_in([mark.id for mark in marks])
    connection.execute(update(folders).where(left).values(mount_point=None, device=None))
    connection.execute(delete(routes))
    rows = [
        {"folder_id": mark.id, "conversation_id": conversation}
        for mark, one in zip(marks, mapped, strict=True)
        for conversation in one.conversations
    ]
    if rows:
        connection.execute(insert(routes), rows)
    return marks


def _bind_one(
    connection: Connection, one: Mapped, known: list[Row[Any]], mapped: Sequence[Mapped]
) -> FolderMark:
    others = {other.name for other in mapped if other.root == one.root} - {one.name}
    named = [row for row in known if row.name == one.name]
    free = named or [row for row in known if row.name not in others]
    if free:
        known.remove(free[0])
        connection.execute(update(folders).where(folders.c.id == free[0].id).values(name=one.name))
        home = None if free[0].mount_point is None else Home(free[0].mount_point, free[0].device)
        return FolderMark(free[0].id, free[0].looked_at, free[0].blank_device, home)
    made = connection.execute(insert(folders).values(root=one.root, name=one.name)).inserted_primary_key
    assert made is not None  # noqa: S101 (an insert of one row always has one)
    return FolderMark(int(made[0]), None, None)


def mark_looked(connection: Connection, folder: int, now: float, blank_device: str | None) -> None:
    """Write down that the folder had its first look."""
    connection.execute(
        update(folders).where(folders.c.id == folder).values(looked_at=now, blank_device=blank_device)
    )


def mark_homes(connection: Connection, homes: Mapping[int, Home]) -> None:
    """Write down where the roots of folders lie."""
    for folder, home in homes.items():
        place = {"mount_point": home.mount_point, "device": home.device}
        connection.execute(update(folders).where(folders.c.id == folder).values(place))
