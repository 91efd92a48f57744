"""The queue of uploads: contents whose rows are pending, earliest settled first."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select

from dingwatch.ledger.delivery import WHOLE, Delivery, delivery_of
from dingwatch.ledger.due import Free, Paused, is_due
from dingwatch.ledger.schema import deliveries, uploads
from dingwatch.lifecycle import State
from dingwatch.model import Route

_FIRST_KEYS: Final = Free(
    select(deliveries.c.upload_key)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
    .where(is_due(State.PENDING), uploads.c.state != "busy", deliveries.c.route == bindparam("route"))
    .order_by(deliveries.c.settled_at, deliveries.c.id)
    .limit(bindparam("limit"))
)
_TOGETHER: Final = Free(WHOLE.where(is_due(State.PENDING), deliveries.c.upload_key == bindparam("upload")))


def to_upload(
    connection: Connection, paused: Paused, now: float, limit: int, route: Route = Route.ROBOT
) -> list[list[Delivery]]:
    """Return up to `limit` contents to be uploaded, each with all its due rows, earliest settled first."""
    first = _FIRST_KEYS.rows(connection, paused, {"now": now, "limit": 4 * limit, "route": route})
    keys = list(dict.fromkeys(row[0] for row in first))[:limit]
    return [_of_upload(connection, paused, now, key) for key in keys]


def _of_upload(connection: Connection, paused: Paused, now: float, key: str) -> list[Delivery]:
    # Sorted here: asked to sort, SQLite would walk all pending rows in that order instead of using the key.
    rows = map(delivery_of, _TOGETHER.rows(connection, paused, {"now": now, "upload": key}))
    return sorted(rows, key=lambda one: (one.settled_at, one.id))
