"""How many deliveries were sent and failed, by folder and quarter of an hour, for the status page.

They are counted in the transaction of the outcome: to count them when they are asked for would read every
line of history of two days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from dingwatch.ledger.schema import IS_CALL, deliveries, history, outcomes
from dingwatch.ledger.store import BulkAdd, Prepared
from dingwatch.lifecycle import State

QUARTER: Final = 900
"""Seconds."""
GIVEN: Final = 0
"""Stands for the folder of what `send` was given."""
_KEPT: Final = 3 * 86400 // QUARTER
"""How many quarters are kept: the page compares today with yesterday."""
_COUNTED: Final = (State.SENT, State.FAILED)

_FOLDER: Final = Prepared(select(deliveries.c.folder_id).where(deliveries.c.id == bindparam("delivery")))
_ADD: Final = BulkAdd(outcomes, "quarter", "folder_id", "sent", "failed")
_FORGET: Final = Prepared(delete(outcomes).where(outcomes.c.quarter < bindparam("before")))
_SINCE: Final = Prepared(
    select(outcomes.c.folder_id, outcomes.c.quarter, outcomes.c.sent, outcomes.c.failed).where(
        outcomes.c.quarter >= bindparam("first")
    )
)
_LAST_SENT: Final = Prepared(
    select(history.c.at)
    # + hides the state: walk back in time, for of three lines one is about what was sent.
    .where(IS_CALL, history.c.after + "" == State.SENT)
    .order_by(history.c.at.desc())
    .limit(1)
)


class Outcomes(NamedTuple):
    """The outcomes of a folder's deliveries in one quarter of an hour; `quarter` counts since the epoch."""

    folder: int
    quarter: int
    sent: int
    failed: int


def count(connection: Connection, now: float, reached: Sequence[tuple[int, State]]) -> None:
    """Count the deliveries, by their ids, that have just reached a state; most states are not counted."""
    counted = [one for one in reached if one[1] in _COUNTED]
    if not counted:
        return
    found: Counter[tuple[int, State]] = Counter()
    for delivery, state in counted:
        ((folder,),) = _FOLDER.rows(connection, {"delivery": delivery})
        found[folder or GIVEN, state] += 1
    quarter = int(now // QUARTER)
    folders = sorted({folder for folder, _ in found})
    _ADD(connection, ((quarter, one, *(found[one, state] for state in _COUNTED)) for one in folders))
    _FORGET.count(connection, {"before": quarter - _KEPT})


def list_outcomes(connection: Connection, since: float) -> list[Outcomes]:
    """Return what was counted since then, rounded down to a quarter of an hour."""
    return [Outcomes(*row) for row in _SINCE.rows(connection, {"first": int(since // QUARTER)})]


def last_sent_at(connection: Connection) -> float | None:
    """Return when something was last sent."""
    rows = _LAST_SENT.rows(connection, {})
    return rows[0][0] if rows else None
