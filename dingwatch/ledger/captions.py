"""The line that goes before a file: when it left, and for which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import deliveries
from dingwatch.lifecycle import State

_SENT: Final = Prepared(
    update(deliveries).where(deliveries.c.id == bindparam("row")).values(caption_sent_at=bindparam("at"))
)
_NOT_SENT: Final = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row"))
    .values(
        caption_sent_at=None, due=bindparam("to_due"), failures=deliveries.c.failures + bindparam("refusals")
    )
)


def mark_caption_sent(connection: Connection, ids: Sequence[int], now: float) -> None:
    """Write down that the line before these files is about to leave: it never leaves twice."""
    _SENT.many(connection, [{"row": i, "at": now} for i in ids])


def caption_not_sent(connection: Connection, ids: Sequence[int], due: float, *, refused: bool) -> None:
    """The line certainly was not sent: it is due again; `refused` counts against the rows."""
    _NOT_SENT.many(connection, [{"row": i, "to_due": due, "refusals": int(refused)} for i in ids])


_CAPTIONED: Final = (
    select(deliveries.c.conversation_id, deliveries.c.id)
    .where(deliveries.c.state == State.UPLOADED, deliveries.c.caption_sent_at.is_not(None))
    .order_by(deliveries.c.caption_sent_at)
)


def captioned(connection: Connection) -> dict[str, int]:
    """Return, by conversation, the row whose line was the last message there."""
    return {row[0]: row[1] for row in connection.execute(_CAPTIONED)}
