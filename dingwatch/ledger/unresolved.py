"""Deliveries that wait for a person: failed, uncertain, under a flood hold; equal causes form one group.

A robot that was removed may fail a hundred thousand deliveries in the same way. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from dingwatch.ledger.schema import HELD_TOUCHED, IS_HELD, deliveries, history, is_in, versions
from dingwatch.ledger.store import Prepared
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State
from dingwatch.model import Cause

MOST_SUMMED: Final = 10_000
"""Files of one flood hold whose sizes are added up; the sum of more is not worth the time it takes."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failed or uncertain deliveries of one folder to one recipient, for the same cause.

    `first` is the id of the one that was noticed first; `folder` is None for what `send` was given.
    """

    folder: int | None
    recipient: str
    state: State
    code: str | None
    count: int
    first: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Deliveries of a folder under a flood hold; `touched`: only the times of old files have changed."""

    folder: int
    touched: bool
    count: int
    first: int
    size: int | None
    """Bytes of its files; None if there are too many to add up."""


@dataclass(frozen=True, slots=True)
class Example:
    """One delivery that stands for its group."""

    path: bytes
    size: int
    cause: Cause | None
    at: float
    """When something last happened to it."""


_BY_CAUSE: Final = (
    deliveries.c.folder_id,
    deliveries.c.recipient,
    deliveries.c.state,
    deliveries.c.code,
    deliveries.c.doubts,
)
_GROUPS: Final = Prepared(
    select(*_BY_CAUSE, func.count(), func.min(deliveries.c.id))
    .where(is_in(deliveries, State.FAILED, State.UNCERTAIN))
    .group_by(*_BY_CAUSE)
    .order_by(func.min(deliveries.c.id))
)


def list_groups(connection: Connection, *, resends: bool) -> list[Group]:
    """Return all groups, oldest first; with `resends`, what is sent once more by itself waits for nobody."""
    found: dict[tuple[object, ...], Group] = {}
    for folder, recipient, state, code, doubts, count, first in _GROUPS.rows(connection, {}):
        if resends and state == State.UNCERTAIN and doubts == 1:
            continue
        key = (folder, recipient, state, code)
        before = found.get(key)
        known = (0, first) if before is None else (before.count, before.first)
        found[key] = Group(folder, recipient, State(state), code, known[0] + count, min(known[1], first))
    return list(found.values())


_OF_ONE: Final = Prepared(
    select(deliveries.c.folder_id, deliveries.c.recipient, deliveries.c.state, deliveries.c.code)
    .where(deliveries.c.id == bindparam("delivery"))
)  # fmt: skip


def list_alike(connection: Connection, delivery: int) -> list[int]:
    """Return a failed or uncertain delivery, and the others of its group; nothing for any other delivery."""
    for folder, recipient, state, code in _OF_ONE.rows(connection, {"delivery": delivery}):
        if state in {State.FAILED, State.UNCERTAIN}:
            alike = (
                deliveries.c.state == state,
                deliveries.c.recipient == recipient,
                deliveries.c.folder_id.is_(None) if folder is None else deliveries.c.folder_id == folder,
                deliveries.c.code.is_(None) if code is None else deliveries.c.code == code,
            )
            query = select(deliveries.c.id).where(*alike).order_by(deliveries.c.id)
            return [number for (number,) in connection.execute(query)]
    return []


_HOLDS: Final = Prepared(
    select(deliveries.c.folder_id, deliveries.c.due, func.count(), func.min(deliveries.c.id))
    .where(IS_HELD)
    .group_by(deliveries.c.folder_id, deliveries.c.due)
    .order_by(deliveries.c.folder_id, deliveries.c.due),
    index="deliveries_held",
)
_SIZE: Final = Prepared(
    select(func.sum(versions.c.size))
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(IS_HELD, deliveries.c.folder_id == bindparam("folder"), deliveries.c.due == bindparam("at"))
)


def list_holds(connection: Connection) -> list[Hold]:
    """Return the flood holds; a folder may have one of each kind."""
    return [
        Hold(folder, due >= HELD_TOUCHED, count, first, _size(connection, folder, due, count))
        for folder, due, count, first in _HOLDS.rows(connection, {})
    ]


def _size(connection: Connection, folder: int, due: float, count: int) -> int | None:
    if count > MOST_SUMMED:
        return None
    ((size,),) = _SIZE.rows(connection, {"folder": folder, "at": due})
    return int(size)


_OF_MAPPING: Final = Prepared(
    select(deliveries.c.state, func.count(), func.min(deliveries.c.id))
    .where(
        deliveries.c.folder_id == bindparam("folder"),
        deliveries.c.recipient == bindparam("recipient"),
        deliveries.c.state != State.SENT,
        deliveries.c.state != State.GONE,
    )
    .group_by(deliveries.c.state)
)


def of_mapping(connection: Connection, folder: int, recipient: str) -> Group | None:
    """Return what a folder has not sent to a recipient, in one group; None where there is nothing."""
    rows = _OF_MAPPING.rows(connection, {"folder": folder, "recipient": recipient})
    counts, firsts = [count for _, count, _ in rows], [first for *_, first in rows]
    return Group(folder, recipient, State.FAILED, None, sum(counts), min(firsts)) if rows else None


_EXAMPLE: Final = Prepared(
    select(
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        deliveries.c.noticed_at,
        deliveries.c.code,
        deliveries.c.message,
        deliveries.c.advice,
        deliveries.c.request_id,
    )
    .join(deliveries, deliveries.c.version_id == versions.c.id)
    .where(deliveries.c.id == bindparam("delivery"))
)
_LAST_EVENT: Final = Prepared(
    select(history.c.at)
    .where(history.c.delivery_id == bindparam("delivery"))
    .order_by(history.c.id.desc())
    .limit(1)
)


def find_examples(connection: Connection, ids: Sequence[int]) -> dict[int, Example]:
    """Return the deliveries with these ids that exist."""
    found: dict[int, Example] = {}
    for number in ids:
        for directory, name, size, noticed_at, code, *rest in _EXAMPLE.rows(connection, {"delivery": number}):
            message, advice, request_id = rest
            cause = None if code is None else Cause(code, message or "", advice or "", request_id)
            found[number] = Example(join(directory, name), size, cause, noticed_at)
        for (at,) in _LAST_EVENT.rows(connection, {"delivery": number}) if number in found else ():
            found[number] = replace(found[number], at=at)
    return found
