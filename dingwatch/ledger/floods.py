"""Floods: more files in a folder within an hour than may go without a person's word.

A held delivery is a pending one whose due time never comes; `release` and `discard` end that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, insert, literal, select, update

from dingwatch.ledger import transitions
from dingwatch.ledger.schema import deliveries, folders, history
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause

HELD: Final = 1e15
"""The due time (seconds since the epoch) of what waits for a person."""
AT_ONCE: Final = 500
"""Deliveries discarded in one transaction."""
_COLUMNS: Final = ("version_id", "delivery_id", "at", "event", "before", "after", "code", "advice")


def _held(folder: int) -> ColumnElement[bool]:
    waits = deliveries.c.folder_id == folder
    return waits & (deliveries.c.state == State.PENDING) & (deliveries.c.due >= HELD)


def hold(connection: Connection, folder: int, since: float, most: int, now: float) -> bool:
    """Hold what settled after `since` and is still pending, when that were more than `most`.

    Returns whether a flood begins with it: nothing was held before. What a person has released does not
    count any more.
    """
    released = connection.scalar(select(folders.c.released_at).where(folders.c.id == folder))
    after = max(since, released or 0.0)
    recent = (deliveries.c.folder_id == folder) & (deliveries.c.noticed_at > after)
    counted = select(deliveries.c.id).where(recent).limit(most + 1).subquery()
    if (connection.scalar(select(func.count()).select_from(counted)) or 0) <= most:
        return False
    begins = connection.scalar(select(deliveries.c.id).where(_held(folder)).limit(1)) is None
    fresh = recent & (deliveries.c.state == State.PENDING) & (deliveries.c.due < HELD)
    _write_history(connection, fresh, "held", now)
    connection.execute(update(deliveries).where(fresh).values(due=HELD))
    return begins


def release(connection: Connection, folder: int, now: float) -> int:
    """Let everything go that is held in a folder; return how many deliveries that are."""
    _write_history(connection, _held(folder), "released", now)
    changed = connection.execute(update(deliveries).where(_held(folder)).values(due=now))
    connection.execute(update(folders).where(folders.c.id == folder).values(released_at=now))
    return changed.rowcount


def discard(connection: Connection, folder: int, now: float) -> int:
    """Have some of what is held not sent at all (`skipped`); return how many, 0 when nothing is left."""
    connection.execute(update(folders).where(folders.c.id == folder).values(released_at=now))
    ids = connection.scalars(select(deliveries.c.id).where(_held(folder)).limit(AT_ONCE)).all()
    cause = Cause("discarded", "", "DISCARDED")
    transitions.apply(
        connection, now, [Change(i, Event.SKIP, State.PENDING, cause, {"due": now}) for i in ids]
    )
    return len(ids)


def held(connection: Connection) -> Counter[int]:
    """Count what is held, by folder."""
    query = (
        select(deliveries.c.folder_id, func.count().label("held"))
        .where(deliveries.c.state == State.PENDING, deliveries.c.due >= HELD)
        .group_by(deliveries.c.folder_id)
    )
    return Counter({row.folder_id: row.held for row in connection.execute(query)})


def _write_history(connection: Connection, which: ColumnElement[bool], event: str, now: float) -> None:
    pending: Any = literal(State.PENDING.value)
    lines = select(
        deliveries.c.version_id,
        deliveries.c.id,
        literal(now),
        literal(event),
        pending,
        pending,
        literal("hold_over"),
        literal("HELD"),
    ).where(which)
    connection.execute(insert(history).from_select(_COLUMNS, lines))
