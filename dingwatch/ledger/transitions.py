"""The one way in which a delivery changes state: by the table, with a history line, in one transaction.

No other module writes the column `state`, except for the rows that `versions` inserts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from dingwatch.ledger import counters
from dingwatch.ledger.schema import deliveries, history
from dingwatch.ledger.store import Prepared, chunks
from dingwatch.lifecycle import TABLE, Event, State, advance
from dingwatch.model import Cause


@dataclass(frozen=True, slots=True)
class Change:
    """An event for one delivery, and the columns that it sets besides the state.

    `expected` is the state that the row must still be in; with None, any state that the event applies to will
    do. With both `expected` and `version`, which never changes, the row need not be read. An outcome names
    its `claim`: a row that was claimed anew since then is not changed.
    """

    delivery: int
    event: Event
    expected: State | None = None
    cause: Cause | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    claim: int | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that took place."""

    change: Change
    version: int
    before: State
    after: State


_ENDS: Final = frozenset({Event.SKIP, Event.REJECT})
_WAITS: Final = frozenset({State.PENDING, State.UPLOADED})
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
    """Apply the changes whose rows are still in the expected state and claim; return those that took place.

    A row may have left them: its job ran for minutes, and meanwhile a newer version superseded it. Or this
    process was frozen, and another host has taken the row over.
    """
    applied = [one for change in changes if (one := _apply(connection, now, change))]
    record(connection, now, applied)
    counters.count(connection, now, [(one.change.delivery, one.after) for one in applied])
    return applied


def _apply(connection: Connection, now: float, change: Change) -> Applied | None:
    version, before = change.version, change.expected
    if version is None or before is None:
        found = _STATE.rows(connection, {"delivery": change.delivery})
        if not found or change.expected not in {None, found[0][1]}:
            return None
        version, before = found[0][0], State(found[0][1])
    if change.event not in TABLE[before]:
        return None
    after = advance(before, change.event)
    columns = {**_cause_columns(change.cause), **change.columns}
    if change.event is Event.VANISH or (change.event in _ENDS and before in _WAITS):
        columns["bundle"] = None  # the files that it was to share a message with go without it
    if "due" in columns:
        columns["due_after"] = max(columns["due"] - now, 0.0)
    names = tuple(name if value is not ONE_MORE else f"+{name}" for name, value in columns.items())
    values = {f"to_{name}": value for name, value in columns.items() if value is not ONE_MORE}
    values |= {"row": change.delivery, "to_state": after, "held_by": change.claim}
    # An outcome for a row that has left its state is dropped here; the caller sees it by the result.
    changed = _update(before, names, fenced=change.claim is not None).count(connection, values)
    return Applied(change, version, before, after) if changed else None


def _update(before: State, columns: tuple[str, ...], *, fenced: bool) -> Prepared:
    """Return the statement that sets columns of a row in state `before`; `+name` adds one to a column."""
    statement = _UPDATES.get((before, columns, fenced))
    if statement is None:
        values: dict[str, Any] = {
            name.lstrip("+"): deliveries.c[name[1:]] + 1 if name.startswith("+") else bindparam(f"to_{name}")
            for name in ("state", *columns)
        }
        row = [deliveries.c.id == bindparam("row"), deliveries.c.state == before]
        if fenced:
            row.append(deliveries.c.claim == bindparam("held_by"))
        statement = _UPDATES[before, columns, fenced] = Prepared(
            update(deliveries).where(*row).values(values)
        )
    return statement


_UPDATES: Final[dict[tuple[State, tuple[str, ...], bool], Prepared]] = {}


def restore(
    connection: Connection, now: float, delivery: int, version: int, change: tuple[State | None, State]
) -> None:
    """Put a row into the state that it was in before the database lost some transactions.

    `change` is from which state to which; None stands for a row that was not there.
    """
    before, after = change
    connection.execute(update(deliveries).where(deliveries.c.id == delivery).values(state=after))
    line = {"version_id": version, "delivery_id": delivery, "at": now, "event": "restored"}
    connection.execute(insert(history).values(**line, before=before, after=after))
    counters.count(connection, now, [(delivery, after)])


def lasting_columns(change: Change) -> dict[str, Any]:
    """Return the columns that a change sets, without those that it adds to."""
    columns = {**_cause_columns(change.cause), **change.columns}
    return {name: value for name, value in columns.items() if value is not ONE_MORE}


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
