"""Recovery: what a process that died had in hand goes back to work, by the table."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select, update

from dingwatch.ledger import transitions
from dingwatch.ledger.delivery import WHOLE, Delivery, delivery_of
from dingwatch.ledger.due import MAPPED
from dingwatch.ledger.floods import HELD
from dingwatch.ledger.schema import deliveries, pauses, uploads
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import IN_HAND, Event, State
from dingwatch.model import Cause
from dingwatch.policy import PERSON_LONGEST


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
    _bring_forward(connection, now)
    connection.execute(update(uploads).where(uploads.c.state == "busy").values(state="none"))
    return rows


def _bring_forward(connection: Connection, now: float) -> None:
    """What waits for longer than anything ever waits was written before the clock was set back."""
    beyond = (deliveries.c.due > now + PERSON_LONGEST, deliveries.c.due < HELD)
    connection.execute(update(deliveries).where(*beyond).values(due=now))
    connection.execute(update(deliveries).where(deliveries.c.doubted_at > now).values(doubted_at=now))
    connection.execute(update(pauses).where(pauses.c.since > now).values(until=0.0, failures=0))


def sent_unread(connection: Connection) -> list[Delivery]:
    """Return the rows of folders that go without their file being read again, and did not go perhaps."""
    known = (deliveries.c.state == State.UPLOADED) | (
        (deliveries.c.state == State.PENDING) & (uploads.c.state == "have")
    )
    mine = (deliveries.c.folder_id.is_not(None), deliveries.c.doubts == 0, deliveries.c.due < HELD, MAPPED)
    return [delivery_of(row) for row in connection.execute(WHOLE.where(known, *mine))]


_CRASHED: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.crashes > 0, deliveries.c.state.in_((State.PENDING, State.UPLOADED)), MAPPED)
    .where(deliveries.c.due < HELD)
    .order_by(deliveries.c.settled_at, deliveries.c.id)
)


def crashed(connection: Connection) -> list[int]:
    """Return the rows that were in hand at a crash and are to go first, one at a time."""
    return list(connection.scalars(_CRASHED))
