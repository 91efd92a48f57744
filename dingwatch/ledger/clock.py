"""Repair times in the ledger after the wall clock was set back.

A machine whose hardware clock runs in local time starts eight hours ahead in China, until NTP sets it back.
What was written meanwhile would wait for those eight hours.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select, update

from dingwatch import quota
from dingwatch.ledger.schema import NOT_HELD, deliveries, is_in, learned_rates, pauses
from dingwatch.lifecycle import State

_UNTIL_NEXT_MONTH: Final = ("QUOTA", "WEBHOOK_QUOTA")
"""The advice of pauses that end with the month."""
_WAITS: Final = is_in(deliveries, State.PENDING, State.UPLOADED)


def cut_waits(connection: Connection, now: float) -> None:
    """Let nothing that ends by itself lie further ahead than it was to last when it was written.

    Flood holds have no length and stay. A pause until the end of the month ends with the current one.
    """
    late = (deliveries.c.due > now + deliveries.c.due_after, NOT_HELD)
    connection.execute(
        update(deliveries)
        # The first two conditions find the few rows by an index, in a ledger of a million.
        .where(_WAITS, deliveries.c.due > now, *late)
        .values(due=now + deliveries.c.due_after)
    )
    # What is pending is uploaded, and doubted, anew before anybody asks when it was.
    for state in (State.UPLOADED, State.UNCERTAIN):
        for written in (deliveries.c.doubted_at, deliveries.c.uploaded_at):
            future = (is_in(deliveries, state), written > now)
            connection.execute(update(deliveries).where(*future).values({written: now}))
    monthly = pauses.c.advice.in_(_UNTIL_NEXT_MONTH)
    for ends, latest in ((monthly, quota.month_end(now)), (~monthly, now + pauses.c.lasts)):
        connection.execute(update(pauses).where(ends, pauses.c.until > latest).values(until=latest))
    connection.execute(update(pauses).where(pauses.c.since > now).values(since=now))
    connection.execute(update(learned_rates).where(learned_rates.c.refused_at > now).values(refused_at=now))


def probe_future_pauses(connection: Connection, now: float) -> None:
    """At a start, let pauses be probed that began in the future: DingTalk set their ends by another clock."""
    began = (pauses.c.since > now, pauses.c.advice.not_in(_UNTIL_NEXT_MONTH))
    connection.execute(update(pauses).where(*began).values(until=0.0, failures=0))


def free_waiting(connection: Connection, now: float) -> int:
    """Make due what waits for its own next try, for `resume`; return how many deliveries that are."""
    waiting = (_WAITS, deliveries.c.due > now, NOT_HELD)
    count = connection.scalar(select(func.count()).select_from(deliveries).where(*waiting)) or 0
    connection.execute(update(deliveries).where(*waiting).values(due=now, due_after=0.0))
    return count
