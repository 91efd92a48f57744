"""The service's current work, for a live view. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from dingwatch.ledger.schema import HELD, IS_CALL, deliveries, history, is_in, is_in_work, parts, versions
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State


@dataclass(frozen=True, slots=True)
class Active:
    """A delivery that is in progress, waits, or was sent a moment ago."""

    folder: int | None
    path: bytes
    recipient: str
    state: State
    size: int
    at: float | None
    """When it was claimed; of one that waits, when it is due; of one that was sent, when that was."""
    parts: int = 0
    """How many parts of an upload to the drive are finished."""


_COLUMNS = (
    deliveries.c.folder_id,
    versions.c.directory,
    versions.c.name,
    deliveries.c.recipient,
    deliveries.c.state,
    versions.c.size,
)


def list_in_hand(connection: Connection, most: int) -> list[Active]:
    """Return what is uploaded and sent now, the oldest first."""
    finished = select(func.count()).where(parts.c.upload == deliveries.c.upload_key).scalar_subquery()
    found = (
        select(*_COLUMNS, deliveries.c.claimed_at, finished)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .where(is_in_work(deliveries), is_in(deliveries, State.UPLOADING, State.SENDING))
        .order_by(deliveries.c.claimed_at)
        .limit(most)
    )
    return [_active(tuple(row)) for row in connection.execute(found)]


def list_waiting(connection: Connection, most: int) -> list[Active]:
    """Return what waits, the earliest settled first; flood holds do not count."""
    # Of 200,000 that wait, the few that are shown are found by an index, and only those are joined.
    first = (
        select(deliveries.c.id)
        .where(
            is_in_work(deliveries),
            is_in(deliveries, State.PENDING, State.UPLOADED),
            deliveries.c.due < HELD,
        )
        .order_by(deliveries.c.settled_at, deliveries.c.id)
        .limit(most)
        .subquery()
    )
    found = (
        select(*_COLUMNS, deliveries.c.due)
        .join(first, first.c.id == deliveries.c.id)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .order_by(deliveries.c.settled_at, deliveries.c.id)
    )
    return [_active(tuple(row)) for row in connection.execute(found)]


def list_sent(connection: Connection, most: int) -> list[Active]:
    """Return what was sent last, the newest first."""
    last = (
        select(history.c.delivery_id, history.c.at)
        .where(IS_CALL, history.c.after + "" == State.SENT)  # + hides it: walk back in time
        .order_by(history.c.at.desc())
        .limit(most)
        .subquery()
    )
    found = (
        select(*_COLUMNS, last.c.at)
        .join(deliveries, deliveries.c.id == last.c.delivery_id)
        .join(versions, versions.c.id == deliveries.c.version_id)
        .order_by(last.c.at.desc())
    )
    return [_active(tuple(row)) for row in connection.execute(found)]


def _active(row: Sequence[Any]) -> Active:
    folder, directory, name, recipient, state, size, at, *finished = row
    return Active(folder, join(directory, name), recipient, State(state), size, at, *finished)
