"""What has left: where DingTalk has one delivery's bytes and its message, and that it was taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from dingwatch.ledger.commands import LARGEST_ID, NotApplicable
from dingwatch.ledger.schema import deliveries, history, uploads, versions
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State
from dingwatch.model import Form, Recipient, Route

RECALLED: Final = "recalled"
"""The event of a history line: a person took the message back. The row stays as it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the drive."""

    space_id: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery, and what DingTalk has of it; `size` in bytes and `digest` (sha256) are the file's."""

    id: int
    version: int
    path: bytes
    size: int
    digest: str
    recipient: Recipient
    state: State
    form: Form
    route: Route
    upload_key: str
    upload_type: str
    media_id: str | None
    """Of what went by robot, while DingTalk is known to have it."""
    places: tuple[Place, ...]
    """Of what went by drive: the conversation's own copy, then the entry of the upload."""
    message: str | None
    """DingTalk's key of the message (processQueryKey)."""
    sent_at: float | None
    recalled_at: float | None


_SENT: Final = (
    select(
        deliveries,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.sha256,
        uploads.c.type.label("upload_type"),
        uploads.c.media_id,
        uploads.c.space_id.label("upload_space_id"),
    )
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
)


def find(connection: Connection, delivery: int) -> Sent:
    """Return a delivery, whatever its state.

    Raises:
        NotApplicable: there is no such delivery.
    """
    query = _SENT.where(deliveries.c.id == delivery)
    row = connection.execute(query).one_or_none() if delivery <= LARGEST_ID else None
    if row is None:
        raise NotApplicable([delivery])
    route = Route(row.route)
    return Sent(
        id=row.id,
        version=row.version_id,
        path=join(row.directory, row.name),
        size=row.size,
        digest=row.sha256,
        recipient=Recipient.of(row.conversation_id),
        state=State(row.state),
        form=Form(row.form),
        route=route,
        upload_key=row.upload_key,
        upload_type=row.upload_type,
        media_id=row.media_id if route is Route.ROBOT else None,
        places=_places(row) if route is Route.DRIVE else (),
        message=row.process_query_key,
        sent_at=row.sent_at,
        recalled_at=_recalled_at(connection, row.id, row.version_id),
    )


def _places(row: Row[Any]) -> tuple[Place, ...]:
    known = ((row.space_id, row.entry_id), (row.upload_space_id, row.media_id))
    return tuple(Place(space, entry) for space, entry in known if space and entry)


def _recalled_at(connection: Connection, delivery: int, version: int) -> float | None:
    """Return when its message was taken back, unless it has been sent anew since."""
    query = select(history.c.event, history.c.at).where(
        history.c.version_id == version, history.c.delivery_id == delivery
    )
    newest = connection.execute(query.order_by(history.c.id.desc()).limit(1)).one_or_none()
    return newest.at if newest is not None and newest.event == RECALLED else None


def recalled(connection: Connection, sent: Sent, now: float) -> list[Recipient]:
    """Write down that a message was taken back, for all whom it went to; return them.

    One message carries a content to several persons: its key stands in the row of each.
    """
    together = connection.execute(
        select(deliveries.c.id, deliveries.c.version_id, deliveries.c.conversation_id)
        .where(deliveries.c.upload_key == sent.upload_key, deliveries.c.process_query_key == sent.message)
        .order_by(deliveries.c.id)
    ).all()
    lines = [
        {"version_id": row.version_id, "delivery_id": row.id, "at": now, "event": RECALLED}
        for row in together
    ]
    connection.execute(insert(history), lines)
    return [Recipient.of(row.conversation_id) for row in together]
