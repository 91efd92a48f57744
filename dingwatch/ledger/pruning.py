"""Pruning: versions are forgotten when their files have been gone for long.

Without it, the ledger of a folder that is emptied every night would grow for ever. What is in work or waits
for a person (`failed`, `uncertain`) is never pruned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, select, tuple_, update

from dingwatch.ledger.bundles import forget_bundles
from dingwatch.ledger.schema import (
    IS_BUNDLED,
    IS_GIVEN,
    deliveries,
    history,
    numbers,
    parts,
    uploads,
    versions,
)
from dingwatch.ledger.store import chunks
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State

PRUNED_AT_ONCE: Final = 500
"""Versions pruned in one transaction."""
_ENDED: Final = (State.SENT, State.SKIPPED, State.GONE)
_UNENDED: Final = exists().where(
    and_(deliveries.c.version_id == versions.c.id, deliveries.c.state.not_in(_ENDED))
)
_COUNT_PRUNED: Final = (
    update(numbers).where(numbers.c.name == "pruned").values(value=numbers.c.value + bindparam("count"))
)

Place = tuple[float, int]
"""A position in the order of pruning: when a version went missing, and its id."""
FIRST: Final[Place] = (0.0, 0)


@dataclass(frozen=True, slots=True)
class Prunable:
    """A version that may be pruned if its file is really gone, which the caller checks."""

    id: int
    path: bytes
    place: Place
    moved: bool = False
    """Whether dingwatch has moved its file away, so that another one may lie at its path."""


def list_prunable(
    connection: Connection, folder: int | None, before: float, after: Place = FIRST
) -> list[Prunable]:
    """Return the first versions behind a place whose file was gone before the time `before`.

    What `send` was given (folder None) is not watched; there the time of the command counts.
    """
    since = _prunable_since(folder)
    mine = IS_GIVEN if folder is None else versions.c.folder_id == folder
    query = (
        select(versions.c.id, versions.c.directory, versions.c.name, since, versions.c.moved_to)
        .where(mine, since < before, tuple_(since, versions.c.id) > after, ~_UNENDED)
        .order_by(since, versions.c.id)
        .limit(PRUNED_AT_ONCE)
    )
    return [
        Prunable(number, join(directory, name), (at, number), moved_to is not None)
        for number, directory, name, at, moved_to in connection.execute(query)
    ]


def _prunable_since(folder: int | None) -> ColumnElement[float]:
    return versions.c.noticed_at if folder is None else versions.c.missing_since


def prune(connection: Connection, folder: int | None, before: float, ids: Sequence[int]) -> None:
    """Delete versions, if they are still prunable, with everything that belongs to them alone."""
    for found in chunks(ids):
        # 0 is added to hide the columns from SQLite's planner, which would read all that may be pruned.
        still = select(versions.c.id).where(
            versions.c.id.in_(found),
            (versions.c.folder_id + 0).is_not_distinct_from(folder),
            _prunable_since(folder) + 0 < before,
            ~_UNENDED,
        )
        some = connection.scalars(still).all()
        of_these = deliveries.c.version_id.in_(some)
        keys = connection.scalars(select(deliveries.c.upload_key).where(of_these).distinct()).all()
        shared = connection.scalars(select(deliveries.c.bundle).where(of_these, IS_BUNDLED).distinct()).all()
        connection.execute(delete(history).where(history.c.version_id.in_(some)))
        connection.execute(delete(deliveries).where(of_these))
        connection.execute(_COUNT_PRUNED, {"count": len(some)})
        connection.execute(delete(versions).where(versions.c.id.in_(some)))
        forget_bundles(connection, {one for one in shared if one is not None})
        for some_keys in chunks(keys):
            used = exists().where(deliveries.c.upload_key == uploads.c.key)
            unused = connection.scalars(
                select(uploads.c.key).where(uploads.c.key.in_(some_keys), uploads.c.state != "busy", ~used)
            ).all()
            # A large file may have been removed in the middle of its upload, which leaves its parts.
            connection.execute(delete(parts).where(parts.c.upload.in_(unused)))
            connection.execute(delete(uploads).where(uploads.c.key.in_(unused)))
