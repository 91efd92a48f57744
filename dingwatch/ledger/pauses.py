"""Pauses in the ledger: what is not to be tried before an instant, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, select, update

from dingwatch.ledger.schema import pauses
from dingwatch.ledger.store import Store
from dingwatch.model import Cause, Pause, Scope


def every(connection: Connection) -> list[Pause]:
    """Return every pause, those that ended and await a probe included."""
    return [
        Pause(
            Scope(row.scope), row.key, row.until, Cause(row.code, row.message, row.advice, row.request_id),
            row.failures, row.since, row.by_token, row.fixed,
        )
        for row in connection.execute(select(pauses).order_by(pauses.c.scope, pauses.c.key))
    ]  # fmt: skip


def put(store: Store, connection: Connection, made: Sequence[Pause]) -> None:
    """Begin or prolong pauses."""
    rows = [
        {
            "scope": one.scope,
            "key": one.key,
            "until": one.until,
            "since": one.since,
            "failures": one.failures,
            "by_token": one.by_token,
            "fixed": one.fixed,
            "code": one.cause.code,
            "message": one.cause.message,
            "advice": one.cause.advice,
            "request_id": one.cause.request_id,
        }
        for one in made
    ]
    store.upsert(connection, pauses, rows)


def end(connection: Connection, ended: Iterable[tuple[Scope, str]]) -> None:
    """Take away pauses whose probe succeeded."""
    for scope, key in ended:
        connection.execute(delete(pauses).where(pauses.c.scope == scope, pauses.c.key == key))


def probe(connection: Connection) -> None:
    """Let pauses be probed at once: a restart, or a person, says that the cause may be mended.

    Not those whose end DingTalk has said: the quota's, and what it wants waited after too much haste.
    """
    connection.execute(update(pauses).where(~pauses.c.fixed).values(until=0.0, failures=0))


def resume(connection: Connection) -> list[Pause]:
    """Let every pause be probed at once, on a person's word; return them as they were."""
    found = every(connection)
    connection.execute(update(pauses).values(until=0.0, failures=0))
    return found
