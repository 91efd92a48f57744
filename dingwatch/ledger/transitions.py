"""The one way in which a delivery changes state: by the table, with a history line, in one transaction.

No other module writes the column `state`, except for the rows that `versions` inserts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from dingwatch.ledger.schema import deliveries, history
from dingwatch.ledger.store import Prepared, chunks
from dingwatch.lifecycle import TABLE, Event, State, advance
from dingwatch.model import Cause


@dataclass(frozen=True, slots=True)
class Change:
    """An event for one delivery, and the columns that it sets besides the state.

    `expected` is the state that the row must still be in; with None, any state that the event applies to will
    do. With `version`, the caller has read the row in this transaction, and it is not read again.
    """

    delivery: int
    event: Event
    expected: State | None = None
    cause: Cause | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that took place."""

    change: Change
    version: int
    before: State
    after: State


ONE_MORE: Final = object()
"""As the value of a column: add one to it."""
_STATE: Final = Prepared(
    select(deliveries.c.version_id, deliveries.c.state).where(deliveries.c.id == bindparam("delivery"))
)
_LINE: Final = ("version_id", "delivery_id", "at", "event", "before", "after")
_HISTORY: Final = Prepared(
    insert(history).values(
        {name: bindparam(name) for name in (*_LINE, "code", "message", "advice", "request_id")}
    )
)


def apply(connection: Connection, now: float, changes: Sequence[Change]) -> list[Applied]:
    """Apply the changes whose rows are still in the expected state; return those that took place.

    A row may have left it: its job ran for minutes, and meanwhile a newer version superseded it.
    """
    if not changes:
        return []
    found = _find_states(connection, [change.delivery for change in changes if change.version is None])
    applied = []
    for change in changes:
        version, before = found.get(change.delivery, (change.version, change.expected))
        if version is None or before is None:
            continue
        # An outcome for a row that has left its state is dropped here; the caller sees it by the result.
        if change.event in TABLE[before] and change.expected in {None, before}:
            after = advance(before, change.event)
            applied.append(Applied(change, version, before, after))
            found[change.delivery] = (version, after)  # a second change of the same row builds on this one
    _write(connection, now, applied)
    record(connection, now, applied)
    return applied


def _find_states(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, State]]:
    """Return (version, state) of the rows that exist."""
    return {
        delivery: (version, State(state))
        for delivery in ids
        for version, state in _STATE.rows(connection, {"delivery": delivery})
    }


def _write(connection: Connection, now: float, applied: Sequence[Applied]) -> None:
    """Update the rows; rows that set the same columns share one statement."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for one in applied:
        columns = {**_cause_columns(one.change.cause), **one.change.columns}
        if "due" in columns:
            columns["due_after"] = max(columns["due"] - now, 0.0)
        names = tuple(name if value is not ONE_MORE else f"+{name}" for name, value in columns.items())
        values = {f"to_{name}": value for name, value in columns.items() if value is not ONE_MORE}
        alike[names].append({"row": one.change.delivery, "to_state": one.after, **values})
    # A burst of 1,000 files is claimed and finished in bulk: one statement for all, not one for each row.
    for names, rows in alike.items():
        _update(names).many(connection, rows)


def _update(columns: tuple[str, ...]) -> Prepared:
    """Return the statement that sets these columns; `+name` adds one to a column."""
    statement = _UPDATES.get(columns)
    if statement is None:
        values: dict[str, Any] = {
            name.lstrip("+"): deliveries.c[name[1:]] + 1 if name.startswith("+") else bindparam(f"to_{name}")
            for name in ("state", *columns)
        }
        statement = Prepared(update(deliveries).where(deliveries.c.id == bindparam("row")).values(values))
        _UPDATES[columns] = statement
    return statement


_UPDATES: Final[dict[tuple[str, ...], Prepared]] = {}


def _cause_columns(cause: Cause | None) -> dict[str, Any]:
    if cause is None:
        return {}
    return {
        "code": cause.code,
        "message": cause.message,
        "advice": cause.advice,
        "request_id": cause.request_id,
    }


NO_CAUSE: Final[dict[str, Any]] = dict.fromkeys(("code", "message", "advice", "request_id"))
AFRESH: Final[dict[str, Any]] = NO_CAUSE | {
    "failures": 0,
    "waited": 0.0,
    "crashes": 0,
    "media_losses": 0,
    "doubts": 0,
}
"""The columns of a row that starts over: what it failed by before does not count."""


def record(connection: Connection, now: float, applied: Sequence[Applied]) -> None:
    """Write the history lines of changes."""
    if applied:
        _HISTORY.many(
            connection,
            [
                {
                    "version_id": one.version,
                    "delivery_id": one.change.delivery,
                    "at": now,
                    "event": one.change.event,
                    "before": one.before,
                    "after": one.after,
                    **(_cause_columns(one.change.cause) or NO_CAUSE),
                }
                for one in applied
            ],
        )


def deliveries_of(connection: Connection, versions: Sequence[int]) -> list[int]:
    """Return the ids of all deliveries of these versions."""
    return [
        delivery
        for ids in chunks(versions)
        for delivery in connection.scalars(_OF_VERSIONS, {"versions": ids})
    ]


_OF_VERSIONS: Final = select(deliveries.c.id).where(
    deliveries.c.version_id.in_(bindparam("versions", expanding=True))
)
