"""The queues of sends: one for each conversation, of what is uploaded and due, earliest settled first."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, exists, select

from dingwatch.ledger.delivery import WHOLE, Delivery, delivery_of
from dingwatch.ledger.due import MAPPED, Free, Paused, in_states, is_due, mapped
from dingwatch.ledger.ordering import OLDER_IN_FLIGHT
from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import deliveries
from dingwatch.lifecycle import State
from dingwatch.model import Route

_WAITING: Final = select(deliveries.c.conversation_id).where(deliveries.c.state == State.UPLOADED).distinct()


def conversations_waiting(connection: Connection) -> list[str]:
    """Return the conversations that have something uploaded."""
    return list(connection.scalars(_WAITING))


_EARLIER: Final = deliveries.alias("earlier")
_AHEAD: Final = exists().where(
    in_states(_EARLIER, State.PENDING, State.UPLOADING),
    _EARLIER.c.conversation_id == deliveries.c.conversation_id,
    _EARLIER.c.settled_at < deliveries.c.settled_at,
    _EARLIER.c.due <= bindparam("now"),
    _EARLIER.c.failures == 0,
    _EARLIER.c.route == Route.ROBOT,
    mapped(_EARLIER),
)
_UPLOADED: Final = WHOLE.add_columns(OLDER_IN_FLIGHT, _AHEAD.label("upload_ahead")).where(
    is_due(State.UPLOADED), deliveries.c.conversation_id == bindparam("conversation")
)
_NEXT: Final = Free(_UPLOADED.order_by(deliveries.c.settled_at, deliveries.c.id).limit(bindparam("limit")))
_NEXT_ENTRY: Final = Free(
    _UPLOADED.where(deliveries.c.route == Route.DRIVE)
    .order_by(deliveries.c.settled_at, deliveries.c.id)
    .limit(bindparam("limit"))
)
_THIS: Final = Free(_UPLOADED.where(deliveries.c.id == bindparam("delivery")))


def next_to_send(
    connection: Connection, paused: Paused, now: float, conversation: str, limit: int = 4
) -> list[Delivery]:
    """Return the first rows of one conversation that are uploaded and due, earliest settled first."""
    values = {"now": now, "conversation": conversation, "limit": limit}
    return [delivery_of(row) for row in _NEXT.rows(connection, paused, values)]


def next_entry_to_send(
    connection: Connection, paused: Paused, now: float, conversation: str, limit: int = 4
) -> list[Delivery]:
    """Return the first of them that go by the drive."""
    values = {"now": now, "conversation": conversation, "limit": limit}
    return [delivery_of(row) for row in _NEXT_ENTRY.rows(connection, paused, values)]


def this_to_send(
    connection: Connection, paused: Paused, now: float, conversation: str, delivery: int
) -> list[Delivery]:
    """Return one row of a conversation, if it is among those that are uploaded and due."""
    values = {"now": now, "conversation": conversation, "delivery": delivery}
    return [delivery_of(row) for row in _THIS.rows(connection, paused, values)]


_RECIPIENTS: Final = Prepared(
    select(deliveries.c.conversation_id)
    .where(deliveries.c.version_id == bindparam("version"), is_due(State.UPLOADED))
    .where(deliveries.c.route == Route.ROBOT)
    .order_by(deliveries.c.id)
)


def recipients_waiting(connection: Connection, now: float, version: int) -> list[str]:
    """Return the recipients for whom a version is uploaded and due, and goes by the robot."""
    return [row[0] for row in _RECIPIENTS.rows(connection, {"now": now, "version": version})]


_DOUBTED: Final = WHOLE.where(deliveries.c.state == State.UNCERTAIN, deliveries.c.doubts == 1, MAPPED)


def doubted_once(connection: Connection) -> list[Delivery]:
    """Return the uncertain rows that `on_uncertain: resend` sends once more."""
    return [delivery_of(row) for row in connection.execute(_DOUBTED)]
