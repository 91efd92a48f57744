"""Forgetting: versions whose file has been gone for longer than `keep`.

What waits for a person (`failed`, `uncertain`) and what is in work is never forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select

from dingwatch.ledger.schema import deliveries, history, uploads, versions
from dingwatch.ledger.transitions import chunks
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State

AT_ONCE: Final = 500
"""Versions forgotten in one transaction."""
_ENDED: Final = (State.SENT, State.SKIPPED, State.GONE)
_UNENDED: Final = exists().where(
    and_(deliveries.c.version_id == versions.c.id, deliveries.c.state.not_in(_ENDED))
)


@dataclass(frozen=True, slots=True)
class Old:
    """A version that may be forgotten if its file is really not there."""

    id: int
    path: bytes


def old(connection: Connection, folder: int | None, before: float, after: int) -> list[Old]:
    """Return versions missing since before an instant, by id, those after id `after`.

    What `send` was given (folder None) counts from when it was given.
    """
    query = (
        select(versions.c.id, versions.c.directory, versions.c.name)
        .where(*_old(folder, before), versions.c.id > after)
        .order_by(versions.c.id)
        .limit(AT_ONCE)
    )
    return [Old(number, join(directory, name)) for number, directory, name in connection.execute(query)]


def _old(folder: int | None, before: float) -> tuple[ColumnElement[bool], ...]:
    if folder is None:
        return versions.c.folder_id.is_(None), versions.c.noticed_at < before, ~_UNENDED
    return versions.c.folder_id == folder, versions.c.missing_since < before, ~_UNENDED


def forget(connection: Connection, folder: int | None, before: float, ids: Sequence[int]) -> None:
    """Delete those of these versions that are still old, with everything that belongs to them alone."""
    for found in chunks(ids):
        still = select(versions.c.id).where(versions.c.id.in_(found), *_old(folder, before))
        some = connection.scalars(still).all()
        of_these = deliveries.c.version_id.in_(some)
        keys = connection.scalars(select(deliveries.c.upload_key).where(of_these).distinct()).all()
        connection.execute(delete(history).where(history.c.version_id.in_(some)))
        connection.execute(delete(deliveries).where(of_these))
        connection.execute(delete(versions).where(versions.c.id.in_(some)))
        for some_keys in chunks(keys):
            used = exists().where(deliveries.c.upload_key == uploads.c.key)
            connection.execute(
                delete(uploads).where(uploads.c.key.in_(some_keys), uploads.c.state != "busy", ~used)
            )
