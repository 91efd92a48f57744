"""Pauses, learned rates and refused extensions: the lessons of refusals.

It is kept in the ledger so that a restart does not repeat calls that DingTalk has just refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, literal_column, or_, select, update

from dingwatch.ledger.nodes import wake_nodes
from dingwatch.ledger.schema import learned_rates, pauses, refused_extensions
from dingwatch.ledger.store import Prepared, Store, node_of
from dingwatch.model import Cause, Pause, Scope
from dingwatch.pace import Lesson

# The delivery loop reads pauses and refused extensions for each file that intake writes down: an upload waits
# for both questions.
_LIST: Final = Prepared(
    select(
        pauses.c.scope, pauses.c.key, pauses.c.until, pauses.c.failures, pauses.c.since,
        pauses.c.by_token, pauses.c.fixed,
        pauses.c.node, pauses.c.probed_by, pauses.c.probed_until,
        pauses.c.code, pauses.c.message, pauses.c.advice, pauses.c.request_id,
    )
    .where(or_(pauses.c.node == literal_column("''"), pauses.c.node == bindparam("own_node")))
    .order_by(pauses.c.scope, pauses.c.key)
)  # fmt: skip


def list_pauses(connection: Connection) -> list[Pause]:
    """Return every pause; one whose `until` has passed stays until a probe succeeds.

    On a shared ledger those are left out that are another node's own trouble.
    """
    found = _LIST.rows(connection, {"own_node": node_of(connection)})
    return [_pause(row) for row in found]


def _pause(row: Sequence[Any]) -> Pause:
    scope, key, until, failures, since, by_token, fixed, node, probed_by, probed_until, *cause = row
    kind = (bool(by_token), bool(fixed), bool(node))
    probe = (probed_by or "", probed_until or 0.0)
    return Pause(Scope(scope), key, until, Cause(*cause), failures, since, *kind, *probe)


def save_pauses(store: Store, connection: Connection, made: Sequence[Pause], now: float) -> None:
    """Begin pauses, or replace those of the same scope and key."""
    rows = [
        {
            "scope": one.scope,
            "key": one.key,
            "node": store.node if one.own else "",
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
            "probed_by": None,
            "probed_until": None,
        }
        for one in made
    ]
    store.upsert(connection, pauses, rows)


def end_pauses(connection: Connection, ended: Iterable[Pause]) -> None:
    """Delete pauses whose probe succeeded."""
    for one in ended:
        node = node_of(connection) if one.own else ""
        of_it = (pauses.c.scope == one.scope, pauses.c.key == one.key, pauses.c.node == node)
        connection.execute(delete(pauses).where(*of_it))


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
    wake_nodes(connection)


def resume_some(connection: Connection, chosen: Iterable[Pause]) -> None:
    """Let these pauses be probed at once, also those whose end DingTalk has set."""
    for one in chosen:
        of_it = (pauses.c.scope == one.scope, pauses.c.key == one.key)
        connection.execute(update(pauses).where(*of_it).values(until=0.0, failures=0))
    wake_nodes(connection)


def resume_pauses(connection: Connection) -> list[Pause]:
    """Let every pause be probed at once, for `resume`; return them as they were."""
    found = list_pauses(connection)
    connection.execute(update(pauses).values(until=0.0, failures=0))
    wake_nodes(connection)
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


_REFUSED: Final = Prepared(
    select(refused_extensions.c.extension).where(refused_extensions.c.app == bindparam("app"))
)


def list_refused_extensions(connection: Connection, app: str) -> frozenset[str]:
    """Return the extensions that DingTalk has refused to this app."""
    return frozenset(extension for (extension,) in _REFUSED.rows(connection, {"app": app}))
