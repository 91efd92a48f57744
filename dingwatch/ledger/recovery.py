"""Recovery: what a process that died had in hand goes back to work, by the table."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select, update

from dingwatch.ledger import transitions
from dingwatch.ledger.delivery import WHOLE, Delivery, delivery_of
from dingwatch.ledger.due import MAPPED
from dingwatch.ledger.floods import HELD
from dingwatch.ledger.schema import deliveries, uploads
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import IN_HAND, Event, State
from dingwatch.model import Cause


def recover(connection: Connection, now: float) -> list[Delivery]:
    """Apply `crash` to what a process that died had in hand; return those rows as they were.

    This is the only repair path; it runs once, before anything is claimed.
    """
    rows = [
        delivery_of(row) for row in connection.execute(WHOLE.where(deliveries.c.state.in_(sorted(IN_HAND))))
    ]
    changes = [
        Change(
            row.id,
            Event.CRASH,
            row.state,
            Cause("crash", "", "CRASHED"),
            {
                "crashes": row.crashes + 1,
                "due": now,
                "doubts": row.doubts + (row.state is State.SENDING),
                "doubted_at": now if row.state is State.SENDING else row.doubted_at,
            },
        )
        for row in rows
    ]
    transitions.apply(connection, now, changes)
    connection.execute(update(uploads).where(uploads.c.state == "busy").values(state="none"))
    return rows


_CRASHED: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.crashes > 0, deliveries.c.state.in_((State.PENDING, State.UPLOADED)), MAPPED)
    .where(deliveries.c.due < HELD)
    .order_by(deliveries.c.settled_at, deliveries.c.id)
)


def crashed(connection: Connection) -> list[int]:
    """Return the rows that were in hand at a crash and are to go first, one at a time."""
    return list(connection.scalars(_CRASHED))
