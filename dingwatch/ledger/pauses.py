"""Pauses, learned rates and refused extensions: the lessons of refusals.

It is kept in the ledger so that a restart does not repeat calls that DingTalk has just refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, select, update

from dingwatch.ledger.schema import learned_rates, pauses, refused_extensions
from dingwatch.ledger.store import Store
from dingwatch.model import Cause, Pause, Scope
from dingwatch.pace import Lesson


def list_pauses(connection: Connection) -> list[Pause]:
    """Return every pause; one whose `until` has passed stays until a probe succeeds."""
    return [
        Pause(
            Scope(row.scope), row.key, row.until, Cause(row.code, row.message, row.advice, row.request_id),
            row.failures, row.since, row.by_token, row.fixed,
        )
        for row in connection.execute(select(pauses).order_by(pauses.c.scope, pauses.c.key))
    ]  # fmt: skip


def save_pauses(store: Store, connection: Connection, made: Sequence[Pause], now: float) -> None:
    """Begin pauses, or replace those of the same scope and key."""
    rows = [
        {
            "scope": one.scope,
            "key": one.key,
            "until": one.until,
            "lasts": max(one.until - now, 0.0),
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


def end_pauses(connection: Connection, ended: Iterable[tuple[Scope, str]]) -> None:
    """Delete pauses whose probe succeeded."""
    for scope, key in ended:
        connection.execute(delete(pauses).where(pauses.c.scope == scope, pauses.c.key == key))


def probe_pauses(connection: Connection) -> None:
    """Let pauses be probed at once, after a restart or a `retry`: somebody may have removed the cause.

    Pauses whose end DingTalk has set (quota, rate limit) stay, for neither changes anything about them.
    """
    connection.execute(update(pauses).where(~pauses.c.fixed).values(until=0.0, failures=0))


def probe_some(connection: Connection, chosen: Iterable[Pause]) -> None:
    """Let these pauses be probed at once; their waits grow on, should the probe be refused."""
    for one in chosen:
        of_it = (pauses.c.scope == one.scope, pauses.c.key == one.key, ~pauses.c.fixed)
        connection.execute(update(pauses).where(*of_it).values(until=0.0))


def resume_pauses(connection: Connection) -> list[Pause]:
    """Let every pause be probed at once, for `resume`; return them as they were."""
    found = list_pauses(connection)
    connection.execute(update(pauses).values(until=0.0, failures=0))
    return found


# --- Learned rates -------------------------------------------------------------------------------


def read_learned_rates(connection: Connection) -> dict[tuple[Scope, str], Lesson]:
    """Return the lesson of each API (scope `api`) and recipient (scope `conversation`)."""
    rows = connection.execute(select(learned_rates))
    return {(Scope(row.scope), row.key): Lesson(row.slowdown, row.refused_at) for row in rows}


def save_learned_rates(
    store: Store, connection: Connection, lessons: Mapping[tuple[Scope, str], Lesson]
) -> None:
    """Insert lessons, or replace those of the same scope and key."""
    rows = [
        {"scope": scope, "key": key, "slowdown": lesson.slowdown, "refused_at": lesson.refused_at}
        for (scope, key), lesson in lessons.items()
    ]
    store.upsert(connection, learned_rates, rows)


# --- Refused extensions --------------------------------------------------------------------------


def refuse_extension(store: Store, connection: Connection, app: str, extension: str, now: float) -> None:
    """Remember that DingTalk refuses an extension: the next such file costs no refused call."""
    store.insert_missing(connection, refused_extensions, [{"app": app, "extension": extension, "since": now}])


def list_refused_extensions(connection: Connection, app: str) -> frozenset[str]:
    """Return the extensions that DingTalk has refused to this app."""
    return frozenset(
        connection.scalars(select(refused_extensions.c.extension).where(refused_extensions.c.app == app))
    )
