"""What may be claimed now: what is due, mapped by the configuration, and held by no pause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)

from dingwatch.ledger.floods import HELD
from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import deliveries, routes
from dingwatch.lifecycle import State


@dataclass(frozen=True, slots=True)
class Paused:
    """What is not to be claimed now: paused conversations and folders."""

    conversations: tuple[str, ...] = ()
    folders: tuple[int, ...] = ()


def mapped(rows: FromClause) -> ColumnElement[bool]:
    """Rows whose folder and conversation the configuration maps, and what `send` was given."""
    return or_(
        rows.c.folder_id.is_(None),
        exists().where(
            routes.c.folder_id == rows.c.folder_id, routes.c.conversation_id == rows.c.conversation_id
        ),
    )


MAPPED: Final = mapped(deliveries)


def in_states(rows: FromClause, *states: State) -> ColumnElement[bool]:
    """Rows in one of these states; SQLite plans it as it does `IN`."""
    return or_(*(rows.c.state == state for state in states))


def is_due(state: State) -> ColumnElement[bool]:
    """Rows of this state that are due and mapped.

    Most rows that wait are due: by an index of their dues all of them would be read, and sorted, each time.
    """
    return and_(deliveries.c.state == state, deliveries.c.due + 0 <= bindparam("now"), MAPPED)


_NOT_PAUSED: Final = and_(
    deliveries.c.conversation_id.not_in(bindparam("conversations", expanding=True)),
    or_(
        deliveries.c.folder_id.is_(None),
        deliveries.c.folder_id.not_in(bindparam("folders", expanding=True)),
    ),
)


def is_free(paused: Paused, now: float) -> ColumnElement[bool]:
    """Rows that are due, mapped, and under none of these pauses."""
    folder = or_(deliveries.c.folder_id.is_(None), deliveries.c.folder_id.not_in(paused.folders))
    mine = deliveries.c.conversation_id.not_in(paused.conversations)
    return and_(deliveries.c.due <= now, MAPPED, mine, folder)


class Free:
    """A query for rows that no pause holds; the plain one serves while there is no such pause."""

    def __init__(self, query: Select[Any]) -> None:
        self._plain = Prepared(query)
        self._held = query.where(_NOT_PAUSED)

    def rows(
        self, connection: Connection, paused: Paused, values: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """Run the query."""
        if not paused.conversations and not paused.folders:
            return self._plain.rows(connection, values)
        more = {"conversations": paused.conversations, "folders": paused.folders}
        return connection.execute(self._held, {**values, **more}).all()


_NEXT_DUE: Final = select(func.min(deliveries.c.due)).where(
    deliveries.c.state.in_((State.PENDING, State.UPLOADED)),
    deliveries.c.due > bindparam("now"),
    deliveries.c.due < HELD,
    MAPPED,
)


def next_due(connection: Connection, now: float) -> float | None:
    """Return the next instant at which a row that waits is due; None when none waits."""
    at: float | None = connection.scalar(_NEXT_DUE, {"now": now})
    return at
