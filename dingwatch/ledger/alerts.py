"""The ledger's part of alerts: the facts that they are about, and the memory of what was sent."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from dingwatch.alerts import Record, Topic, Trouble
from dingwatch.ledger.schema import (
    IS_CALL,
    IS_HELD,
    alert_messages,
    alert_troubles,
    alerts_heard,
    deliveries,
    history,
    is_in,
    numbers,
    versions,
)
from dingwatch.ledger.store import Prepared, Store
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import NOTICED, State
from dingwatch.model import Cause
from dingwatch.names import readable

_AFTER_EVENT: Final = "alerts_after_event"
_AFTER_ID: Final = "alerts_after_id"


# --- Record --------------------------------------------------------------------------------------


def load(connection: Connection) -> Record | None:
    """Return what was remembered; None if alerts have never been turned on with this ledger."""
    rows = connection.execute(
        select(numbers.c.name, numbers.c.value).where(numbers.c.name.in_((_AFTER_EVENT, _AFTER_ID)))
    )
    marks = {row.name: row.value for row in rows}
    if _AFTER_EVENT not in marks:
        return None
    troubles = (
        Trouble(
            topic=Topic(row.topic),
            key=row.key,
            name=row.name,
            since=row.since,
            newest=row.newest,
            risen_at=row.risen_at,
            gone_at=row.gone_at,
            told_at=row.told_at,
        )
        for row in connection.execute(select(alert_troubles))
    )
    return Record(
        troubles={one.place: one for one in troubles},
        heard={
            (row.recipient, (row.topic, row.key)): row.newest
            for row in connection.execute(select(alerts_heard))
        },
        messages=tuple(connection.scalars(select(alert_messages.c.at).order_by(alert_messages.c.at))),
        first_event=marks[_AFTER_EVENT],
        first_id=marks[_AFTER_ID],
    )


def begin(connection: Connection) -> Record:
    """Return the memory with which alerts begin: what has failed by now is never told of."""
    event = connection.scalar(select(func.coalesce(func.max(history.c.id), 0))) or 0
    number = connection.scalar(select(numbers.c.value).where(numbers.c.name == "id")) or 0
    return Record(first_event=event, first_id=number)


def save(store: Store, connection: Connection, memory: Record) -> None:
    """Write all that is remembered in the place of what was; it is never much."""
    marks = {_AFTER_EVENT: memory.first_event, _AFTER_ID: memory.first_id}
    store.insert_missing(connection, numbers, [{"name": name, "value": one} for name, one in marks.items()])
    for table in (alert_troubles, alerts_heard, alert_messages):
        connection.execute(delete(table))
    troubles = [
        {
            "topic": one.topic,
            "key": one.key,
            "name": one.name,
            "since": one.since,
            "newest": one.newest,
            "risen_at": one.risen_at,
            "gone_at": one.gone_at,
            "told_at": one.told_at,
        }
        for one in memory.troubles.values()
    ]
    heard = [
        {"recipient": recipient, "topic": topic, "key": key, "newest": newest}
        for (recipient, (topic, key)), newest in memory.heard.items()
    ]
    messages = [{"number": number, "at": at} for number, at in enumerate(memory.messages)]
    for table, rows in ((alert_troubles, troubles), (alerts_heard, heard), (alert_messages, messages)):
        if rows:
            connection.execute(insert(table), rows)


# --- What needs a person -------------------------------------------------------------------------


class Unsent(NamedTuple):
    """Deliveries of a folder (None: of `send`) that ended in one state.

    `number` says how many, `since` when the first did, `newest` is the id of the last such event.
    """

    folder: int | None
    state: State
    number: int
    since: float
    newest: int


_ENTERED: Final = (history.c.after == deliveries.c.state, history.c.before != deliveries.c.state)


def list_unsent(connection: Connection, after: int, *, resends: bool) -> list[Unsent]:
    """Return what failed or is uncertain by events later than `after`, by folder.

    With `resends`, what is uncertain for the first time is sent once more by itself, and left out.
    """
    found = []
    for state in (State.FAILED, State.UNCERTAIN):
        these = [is_in(deliveries, state), *_ENTERED, history.c.id > after]
        if state is State.UNCERTAIN and resends:
            these.append(deliveries.c.doubts > 1)
        rows = connection.execute(
            select(
                deliveries.c.folder_id,
                func.count(deliveries.c.id.distinct()),
                func.min(history.c.at),
                func.max(history.c.id),
            )
            .join(history, history.c.delivery_id == deliveries.c.id)
            .where(*these)
            .group_by(deliveries.c.folder_id)
        )
        found += [Unsent(folder, state, *rest) for folder, *rest in rows]
    return found


def describe_event(connection: Connection, event: int) -> tuple[str, Cause | None]:
    """Return the file that an event of the history happened to, as people read it, and why."""
    row = connection.execute(
        select(versions.c.directory, versions.c.name, history)
        .join(versions, versions.c.id == history.c.version_id)
        .where(history.c.id == event)
    ).one_or_none()
    if row is None:  # it was pruned just now
        return "", None
    cause = None if row.code is None else Cause(row.code, row.message or "", row.advice or "", row.request_id)
    return readable(join(row.directory, row[1])), cause


_HELD: Final = Prepared(
    select(deliveries.c.folder_id, func.count())
    .where(IS_HELD, deliveries.c.id > bindparam("after"))
    .group_by(deliveries.c.folder_id)
)


def count_held(connection: Connection, after: int) -> Counter[int]:
    """Count what is under a flood hold by folder, without deliveries whose ids are not beyond `after`."""
    return Counter(dict(_HELD.rows(connection, {"after": after})))


# --- The daily summary ---------------------------------------------------------------------------


def count_sent(connection: Connection, since: float, until: float) -> Counter[int | None]:
    """Count by folder what was sent from one instant to another, notices included."""
    # A notice has no line of its own among the calls; but it comes after its claim, which has.
    # 0 is added so that SQLite finds it by the times, instead of walking the ids from the first one on.
    first = connection.scalar(select(func.min(history.c.id + 0)).where(IS_CALL, history.c.at >= since))
    if first is None:
        return Counter()
    sent = (history.c.after == State.SENT) | ((history.c.event == "skip") & (history.c.code == NOTICED))
    rows = connection.execute(
        select(deliveries.c.folder_id, func.count())
        .select_from(history)
        .join(deliveries, deliveries.c.id == history.c.delivery_id)
        .where(history.c.id >= first, history.c.at >= since, history.c.at < until, sent)
        .group_by(deliveries.c.folder_id)
    )
    return Counter({row[0]: row[1] for row in rows})
