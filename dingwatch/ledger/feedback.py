"""Unsent files of which people in a folder are told, the sidecars that tell them, and recent changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, literal, or_, select, update

from dingwatch.ledger.fingerprints import is_live
from dingwatch.ledger.schema import (
    IS_HELD,
    IS_HERE,
    IS_UNSETTLED,
    deliveries,
    folder_nodes,
    folders,
    history,
    sidecars,
    versions,
)
from dingwatch.ledger.store import Prepared, node_of
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State
from dingwatch.model import Cause

HELD: Final = "held"
"""In the place of a state, for a delivery under a flood hold."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """A delivery of which the person who has dropped the file should know; `state` may be `HELD`."""

    version: int
    path: bytes
    delivery: int
    recipient: str
    state: str
    cause: Cause


_COLUMNS: Final = (
    versions.c.id,
    versions.c.directory,
    versions.c.name,
    deliveries.c.id,
    deliveries.c.recipient,
    deliveries.c.state,
    deliveries.c.code,
    deliveries.c.message,
    deliveries.c.advice,
)
_IN_FOLDER: Final = (
    deliveries.c.folder_id == bindparam("folder"),
    IS_HERE,
    versions.c.missing_since.is_(None),
)
_FOR_A_PERSON: Final = or_(
    func.coalesce(deliveries.c.state, "") != State.UNCERTAIN,
    deliveries.c.doubts > 1,
    bindparam("holds", type_=deliveries.c.doubts.type) > 0,
)
_ENDED: Final = Prepared(
    select(*_COLUMNS)
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(IS_UNSETTLED, *_IN_FOLDER, _FOR_A_PERSON)
    .limit(bindparam("most")),
    index="deliveries_to_report",
)
_UNDER_HOLD: Final = Prepared(
    select(*_COLUMNS)
    .select_from(deliveries)
    .join(versions, versions.c.id == deliveries.c.version_id)
    .where(IS_HELD, *_IN_FOLDER)
    # The order of the index: PostgreSQL would else walk all deliveries until it has met so many.
    .order_by(deliveries.c.folder_id, deliveries.c.due)
    .limit(bindparam("most")),
    index="deliveries_held",
)


def list_unsent(connection: Connection, folder: int, most: int, *, holds: bool) -> list[Unsent]:
    """Return up to `most` deliveries of those that ended, and as many of those that are held.

    With `holds`, also those that are uncertain for the first time, which else are sent once more.
    """
    values = {"folder": folder, "most": most, "holds": int(holds)}
    return [
        *(_unsent(row, str(row[5])) for row in _ENDED.rows(connection, values)),
        *(_unsent(row, HELD) for row in _UNDER_HOLD.rows(connection, values)),
    ]


def _unsent(row: Sequence[Any], state: str) -> Unsent:
    version, directory, name, number, recipient, _, code, message, advice = row
    cause = Cause(code or "hold_over", message or "", advice or "HELD")
    if state != HELD:
        cause = Cause(code or state, message or "", advice or "")
    return Unsent(version, join(directory, name), number, recipient, state, cause)


def count_unsent(connection: Connection, folder: int, *, holds: bool) -> int:
    """Count the files of which people in a folder should know."""
    ended = select(deliveries.c.version_id).where(
        IS_UNSETTLED,
        deliveries.c.folder_id == folder,
        or_(deliveries.c.state != State.UNCERTAIN, deliveries.c.doubts > 1, literal(holds)),
    )
    held = select(deliveries.c.version_id).where(IS_HELD, deliveries.c.folder_id == folder)
    return connection.scalar(select(func.count()).select_from(ended.union(held).subquery())) or 0


# --- The files that tell people --------------------------------------------------------------------


class Phase(StrEnum):
    """How far the ledger and the folder agree on a file."""

    PLANNED = "planned"
    WRITTEN = "written"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file that tells people why a version was not sent; without a version, it lists all of a folder."""

    folder: int
    path: bytes
    version: int | None
    content: bytes
    phase: Phase


@dataclass(frozen=True, slots=True)
class Duty:
    """Where this node gives feedback: in its own folders, and in those `shares` that it leads.

    Of the live nodes that have a share, the one with the smallest name leads: a note is written once, and a
    file is moved away once. Should it be lost, the next one goes on with what is written down.
    """

    node: str = ""
    shares: frozenset[int] = frozenset()
    led: frozenset[int] = frozenset()

    def covers(self, folder: int) -> bool:
        """Return whether feedback in a folder of this node's configuration is this node's."""
        return folder not in self.shares or folder in self.led

    def has(self, folder: int, node: str) -> bool:
        """Return whether what a node has written down for a folder is this one's to go on with."""
        return folder in self.led if folder in self.shares else node == self.node


ALONE: Final = Duty()
"""The duty of the only node, whose ledger is not shared."""
_LEADERS: Final = (
    select(folder_nodes.c.folder_id, func.min(folder_nodes.c.node))
    .where(or_(folder_nodes.c.node == bindparam("own"), is_live(folder_nodes.c.node)))
    .group_by(folder_nodes.c.folder_id)
)


def read_duty(connection: Connection) -> Duty:
    """Return where this node gives feedback."""
    node = node_of(connection)
    if not node:
        return ALONE
    shares = connection.scalars(select(folders.c.id).where(folders.c.shared.is_not(None)))
    leaders = connection.execute(_LEADERS, {"own": node})
    return Duty(node, frozenset(shares), frozenset(folder for folder, leader in leaders if leader == node))


def list_sidecars(connection: Connection, duty: Duty = ALONE) -> list[Sidecar]:
    """Return those of which this node takes care."""
    rows = connection.execute(select(sidecars).order_by(sidecars.c.folder_id, sidecars.c.path))
    return [
        Sidecar(row.folder_id, row.path, row.version_id, row.content, Phase(row.phase))
        for row in rows
        if duty.has(row.folder_id, row.node)
    ]


def find_roots(connection: Connection, numbers: Iterable[int]) -> dict[int, bytes]:
    """Return the roots of folders, also of those that have left the configuration, but not of shares."""
    query = select(folders.c.id, folders.c.root).where(
        folders.c.id.in_(list(numbers)), folders.c.shared.is_(None)
    )
    return {row.id: row.root for row in connection.execute(query)}


_OF_SIDECAR: Final = (sidecars.c.folder_id == bindparam("folder"), sidecars.c.path == bindparam("at"))
_SET_PHASE: Final = update(sidecars).where(*_OF_SIDECAR).values(phase=bindparam("to"))
_FORGET: Final = delete(sidecars).where(*_OF_SIDECAR)


def plan_sidecars(connection: Connection, planned: Sequence[Sidecar]) -> None:
    """Write down files that are about to be made."""
    rows = [
        {
            "folder_id": one.folder,
            "path": one.path,
            "version_id": one.version,
            "content": one.content,
            "phase": Phase.PLANNED,
            "node": node_of(connection),
        }
        for one in planned
    ]
    if rows:
        connection.execute(insert(sidecars), rows)


def set_phase(connection: Connection, chosen: Sequence[Sidecar], phase: Phase) -> None:
    """Record that files were made, or are about to be removed."""
    if chosen:
        connection.execute(
            _SET_PHASE, [{"folder": one.folder, "at": one.path, "to": phase} for one in chosen]
        )


def forget_sidecars(connection: Connection, chosen: Sequence[Sidecar]) -> None:
    """Forget files that were removed, or that are none of ours any more."""
    if chosen:
        connection.execute(_FORGET, [{"folder": one.folder, "at": one.path} for one in chosen])


# --- What has changed ------------------------------------------------------------------------------

READ_AT_ONCE: Final = 5000
_LAST_LINE: Final = Prepared(select(func.max(history.c.id)))
_LINES: Final = Prepared(
    select(history.c.id, history.c.version_id, versions.c.folder_id, history.c.event, history.c.after)
    .join(versions, versions.c.id == history.c.version_id)
    .where(history.c.id > bindparam("since"))
    .order_by(history.c.id)
    .limit(READ_AT_ONCE)
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the history, as far as feedback depends on it."""

    id: int
    version: int
    folder: int | None
    event: str
    after: str | None


def last_line(connection: Connection) -> int:
    """Return the number of the history's last line."""
    ((last,),) = _LAST_LINE.rows(connection, {})
    return last or 0


def lines_since(connection: Connection, since: int) -> Iterator[Line]:
    """Yield the lines behind a number, at most `READ_AT_ONCE`."""
    return (Line(*row) for row in _LINES.rows(connection, {"since": since}))
