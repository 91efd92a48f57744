"""Late outcomes of sends: DingTalk took a message whose claim is over by now.

Its process was frozen, say, so that another host has taken its rows for doubtful. What DingTalk said is worth
more than any guess: the file has arrived, and need not be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dingwatch.delivery.jobs import Send, SendDone
from dingwatch.delivery.state import TickContext
from dingwatch.ledger import fencing
from dingwatch.ledger.delivery import Delivery, find_deliveries
from dingwatch.ledger.transitions import NO_CAUSE, Applied, Change
from dingwatch.lifecycle import NOTICED, Event, State
from dingwatch.model import Cause


def enter_reached(
    tick: TickContext, job: Send, rows: Sequence[Delivery], done: SendDone, columns: Mapping[str, Any]
) -> set[int]:
    """Enter that a message arrived whose claim is over; return the rows that end by it.

    A row that waits for its doubt to be resolved, or is queued again, is confirmed. One that another host is
    sending just now, or that has ended otherwise, only gets a line in its history.
    """
    current = find_deliveries(tick.connection, [row.id for row in rows])
    ended: set[int] = set()
    for row in rows:
        if (now := current.get(row.id)) is None:
            continue
        applied = _end(tick, job, row, now, columns)
        if applied:
            ended.add(row.id)
        else:
            fencing.note_arrived(tick.connection, now, tick.now, done.process_query_key)
    return ended


def _end(
    tick: TickContext, job: Send, row: Delivery, now: Delivery, columns: Mapping[str, Any]
) -> list[Applied]:
    if now.state not in {State.UNCERTAIN, State.UPLOADED}:
        return []
    columns = dict(columns)
    if now.state is State.UPLOADED and now.claim == row.claim:
        columns["uncertain_resent"] = False  # it was to be, and is not
    if job.notice is None:
        return tick.apply(Change(row.id, Event.CONFIRM, now.state, None, columns, now.version, now.claim))
    if now.state is State.UNCERTAIN:
        # The table leads from a doubt to `sent` alone, and the file itself was not sent.
        tick.apply(Change(row.id, Event.REQUEUE, now.state, None, {}, now.version, now.claim))
    cause = Cause(NOTICED, "", "NOTICED")
    return tick.apply(Change(row.id, Event.SKIP, State.UPLOADED, cause, columns, now.version, now.claim))


def confirm_arrived(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Confirm rows of which an earlier message has arrived while a later one was out, which has failed."""
    arrived = [row for row in rows if row.doubts and fencing.has_arrived(tick.connection, row)]
    states = find_deliveries(tick.connection, [row.id for row in arrived])
    tick.apply(
        *(
            Change(now.id, Event.CONFIRM, now.state, None, NO_CAUSE | {"sent_at": tick.now})
            for now in states.values()
            if now.state in {State.UNCERTAIN, State.UPLOADED}
        )
    )
