"""Paths with a `*`: when their directories were last listed, and which of them were in no table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from dingwatch.ledger.schema import folders, star_directories, stars
from dingwatch.ledger.store import node_of


@dataclass(frozen=True, slots=True)
class StarMark:
    """The last look at the directories of a `*`: when it began (wall clock), and those in no table."""

    looked_at: float
    unlisted: frozenset[bytes]


def read_stars(connection: Connection) -> dict[bytes, StarMark]:
    """Return this node's last look at each `*`, by its pattern."""
    node, found = node_of(connection), dict[bytes, set[bytes]]()
    for row in connection.execute(select(star_directories).where(star_directories.c.node == node)):
        found.setdefault(row.pattern, set()).add(row.path)
    return {
        row.pattern: StarMark(row.looked_at, frozenset(found.get(row.pattern, ())))
        for row in connection.execute(select(stars).where(stars.c.node == node))
    }


def save_star(connection: Connection, pattern: bytes, mark: StarMark) -> None:
    """Record the last look at a `*`."""
    node = node_of(connection)
    for table in (star_directories, stars):
        connection.execute(delete(table).where(table.c.pattern == pattern, table.c.node == node))
    connection.execute(insert(stars).values(pattern=pattern, node=node, looked_at=mark.looked_at))
    rows = [{"pattern": pattern, "node": node, "path": path} for path in sorted(mark.unlisted)]
    if rows:
        connection.execute(insert(star_directories), rows)


def forget_stars(connection: Connection, kept: Iterable[bytes]) -> None:
    """Forget those that left the configuration: whoever puts one back begins anew, as with a new folder."""
    node, still = node_of(connection), list(kept)
    for table in (star_directories, stars):
        connection.execute(delete(table).where(table.c.pattern.not_in(still), table.c.node == node))


def begin_first_looks(connection: Connection, began: Mapping[int, float]) -> None:
    """Have the first look at new folders count as new what was changed since an instant, for each folder."""
    for folder, at in began.items():
        connection.execute(update(folders).where(folders.c.id == folder).values(look_began=at))
