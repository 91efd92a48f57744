"""Claims are fenced: each has a number, and only its own outcome changes what it has claimed.

A host that was frozen for minutes wakes and enters what came of its jobs, while another host has taken its
rows over long since. The rows, their upload and the message in flight name the claim that they are under, and
every statement that enters an outcome asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.schema import history, in_flight, numbers
from dingwatch.ledger.store import Prepared, Store

_DRAW: Final = Prepared(
    update(numbers)
    .where(numbers.c.name == "claim")
    .values(value=numbers.c.value + bindparam("count"))
    .returning(numbers.c.value)
)
_END: Final = Prepared(
    delete(in_flight).where(
        in_flight.c.recipient == bindparam("to"), in_flight.c.claim == bindparam("held_by")
    )
)
AT_ONCE: Final = 100
"""Numbers that one process draws at a time where no other draws any: else every claim would cost a write."""


def draw(store: Store, connection: Connection) -> range:
    """Reserve numbers for the next claims.

    On a shared ledger it is one, so that of two claims the later one has the higher number, whoever made it.
    """
    count = 1 if store.shared else AT_ONCE
    ((last,),) = _DRAW.rows(connection, {"count": count})  # the row is made when the ledger is
    return range(last - count + 1, last + 1)


def begin_message(store: Store, connection: Connection, recipient: str, claim: int) -> bool:
    """Claim a recipient for a message; return whether no other message is on its way there."""
    row = {"recipient": recipient, "claim": claim, "node": store.node}
    return store.insert_new(connection, in_flight, row)


def end_messages(connection: Connection, recipients: Iterable[str], claim: int) -> None:
    """Let other messages go to these recipients: what became of this claim's is known."""
    _END.many(connection, [{"to": one, "held_by": claim} for one in recipients])


def list_out(connection: Connection) -> dict[str, int]:
    """Return the claim of the message that is on its way to each recipient."""
    return {row.recipient: row.claim for row in connection.execute(select(in_flight))}


# --- Late outcomes -------------------------------------------------------------------------------

_ARRIVED: Final = "arrived"
_HAS_ARRIVED: Final = Prepared(
    select(history.c.id)
    .where(history.c.delivery_id == bindparam("delivery"), history.c.event == _ARRIVED)
    .limit(1)
)


def note_arrived(connection: Connection, row: Delivery, now: float, key: str | None) -> None:
    """Write into a row's history that a message arrived which belongs to none of its present claims."""
    line = {"version_id": row.version, "delivery_id": row.id, "at": now, "event": _ARRIVED, "message": key}
    connection.execute(insert(history), line | {"before": row.state, "after": row.state})


def has_arrived(connection: Connection, row: Delivery) -> bool:
    """Return whether such a message arrived."""
    return bool(_HAS_ARRIVED.rows(connection, {"delivery": row.id}))
