"""What the pace must know after a restart: what refusals have taught, and when the latest messages left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, select

from dingwatch.ledger.schema import deliveries, history, learned_rates
from dingwatch.ledger.store import Store
from dingwatch.lifecycle import Event, State
from dingwatch.model import Scope
from dingwatch.pace import Lesson


def kept(connection: Connection) -> dict[tuple[Scope, str], Lesson]:
    """Return what was learnt about each API and conversation."""
    rows = connection.execute(select(learned_rates))
    return {(Scope(row.scope), row.key): Lesson(row.slowdown, row.refused_at) for row in rows}


def keep(store: Store, connection: Connection, lessons: Mapping[tuple[Scope, str], Lesson]) -> None:
    """Write down what was learnt."""
    rows = [
        {"scope": scope, "key": key, "slowdown": lesson.slowdown, "refused_at": lesson.refused_at}
        for (scope, key), lesson in lessons.items()
    ]
    store.upsert(connection, learned_rates, rows)


_RECENT: Final = (
    select(history.c.after, history.c.at, deliveries.c.conversation_id)
    .join(deliveries, deliveries.c.id == history.c.delivery_id)
    .where(history.c.after.in_((State.UPLOADING, State.SENDING)), history.c.event == Event.CLAIM)
    .where(history.c.at > bindparam("since"))
    .order_by(history.c.at)
)


def recent_claims(connection: Connection, since: float) -> list[tuple[State, float, str]]:
    """Return (state, instant, conversation) of the latest claims, for a pace that survives a restart."""
    return [
        (State(after), at, conversation)
        for after, at, conversation in connection.execute(_RECENT, {"since": since})
    ]


_RECENT_LINES: Final = select(deliveries.c.caption_sent_at, deliveries.c.conversation_id).where(
    deliveries.c.caption_sent_at > bindparam("since")
)


def recent_captions(connection: Connection, since: float) -> list[tuple[float, str]]:
    """Return (instant, conversation) of the latest lines before files; this looks at every delivery."""
    return [(at, conversation) for at, conversation in connection.execute(_RECENT_LINES, {"since": since})]
