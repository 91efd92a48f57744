"""Entries of the drive that `drive_keep` deletes, and the room that is left there.

A deletion begins by forgetting the upload, in one transaction with the row that says what is to be deleted.
So a process that dies at any point leaves no delivery with an entry that may be gone, and the next one goes
on with the row: what was deleted already is no failure then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from dingwatch.ledger.schema import HAS_NAME, deletions, deliveries, drive_room, uploads
from dingwatch.ledger.store import Prepared, Store
from dingwatch.lifecycle import State
from dingwatch.model import DriveRoom

RESERVED: Final = 60.0
"""Seconds after a deletion was asked for in which nothing is uploaded under its name.

DingTalk may carry it out after its answer (`async`, KB:0660), or after the answer was lost. A commit of the
same name overwrites the entry, perhaps under its id [?], and would be deleted instead.
"""


@dataclass(frozen=True, slots=True)
class Deletion:
    """An entry to be deleted; `asked_at` is when the call last left (wall clock), None before the first."""

    space_id: str
    entry_id: str
    folder: int
    kind: str
    name: str
    failures: int = 0
    asked_at: float | None = None


# --- What is old enough ----------------------------------------------------------------------------

_UNSENT: Final = (
    *(State.PENDING, State.UPLOADING, State.UPLOADED, State.SENDING),
    # A person may retry or resend these, and perhaps their file is not in the folder any more.
    *(State.UNCERTAIN, State.FAILED),
)
_SAME: Final = uploads.alias("same")
_OF_NAME: Final = (_SAME.c.type == uploads.c.type, _SAME.c.name == uploads.c.name)
_DELIVERY: Final = deliveries.alias("delivery")
_OLD: Final = (
    HAS_NAME,
    uploads.c.type == bindparam("kind"),
    uploads.c.state == "have",
    uploads.c.space_id.is_not(None),
    # One entry serves all contents of its name, one after the other, whatever became of its id.
    ~exists().where(*_OF_NAME, or_(_SAME.c.state == "busy", _SAME.c.kept.is_(True))),
    ~exists().where(
        *_OF_NAME,
        _DELIVERY.c.upload_key == _SAME.c.key,
        # `coalesce` hides the state from SQLite's planner, which would read all that waits.
        or_(*(func.coalesce(_DELIVERY.c.state, "") == state for state in _UNSENT)),
    ),
    ~exists().where(
        _DELIVERY.c.upload_key == uploads.c.key,
        _DELIVERY.c.space_id == uploads.c.space_id,
        _DELIVERY.c.entry_id == uploads.c.remote_id,
    ),
    # Who got it is not known any more.
    exists().where(_DELIVERY.c.upload_key == uploads.c.key),
)
_FIRST_OLD: Final = Prepared(
    select(uploads.c.key, uploads.c.space_id, uploads.c.remote_id, uploads.c.name, uploads.c.uploaded_at)
    .where(*_OLD)
    .order_by(uploads.c.uploaded_at)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Oldest:
    """The oldest entry of a folder that may be deleted, and when it was last uploaded."""

    upload: str
    deletion: Deletion
    uploaded_at: float


def find_oldest(connection: Connection, kind: str, folder: int) -> list[Oldest]:
    """Return the oldest entry of a folder's space that no delivery needs; nothing if there is none."""
    return [
        Oldest(key, Deletion(space, entry, folder, kind, name), at or 0.0)
        for key, space, entry, name, at in _FIRST_OLD.rows(connection, {"kind": kind})
    ]


def keep_entry(connection: Connection, upload: str) -> None:
    """Record that somebody's copy may be the entry of this upload itself."""
    connection.execute(update(uploads).where(uploads.c.key == upload).values(kept=True))


# --- Deletions -------------------------------------------------------------------------------------


def begin(store: Store, connection: Connection, oldest: Oldest, now: float) -> None:
    """Forget an upload, and record that its entry is to be deleted."""
    forgotten = {"state": "none", "remote_id": None, "uploaded_at": None}
    connection.execute(update(uploads).where(uploads.c.key == oldest.upload).values(forgotten))
    one = oldest.deletion
    row = {"space_id": one.space_id, "entry_id": one.entry_id, "folder_id": one.folder}
    row |= {"type": one.kind, "name": one.name, "due": now, "asked_at": None, "failures": 0, "done": False}
    store.upsert(connection, deletions, [row])


_COLUMNS: Final = (
    *(deletions.c.space_id, deletions.c.entry_id, deletions.c.folder_id, deletions.c.type, deletions.c.name),
    *(deletions.c.failures, deletions.c.asked_at),
)
_DUE: Final = (deletions.c.done.is_(False), deletions.c.due <= bindparam("now"))


def list_due(connection: Connection, folders: Sequence[int], now: float) -> list[Deletion]:
    """Return the first deletion of some folders that is due; nothing if none is."""
    query = select(*_COLUMNS).where(*_DUE, deletions.c.folder_id.in_(folders))
    rows = connection.execute(query.order_by(deletions.c.due).limit(1), {"now": now})
    return [Deletion(*row) for row in rows]


def next_due(connection: Connection, now: float) -> float | None:
    """Return the next instant at which a deletion is due; None if none is to come."""
    due: float | None = connection.scalar(select(func.min(deletions.c.due)).where(deletions.c.due > now))
    return due


def _is(one: Deletion) -> ColumnElement[bool]:
    return and_(deletions.c.space_id == one.space_id, deletions.c.entry_id == one.entry_id)


def note_asked(connection: Connection, one: Deletion, now: float) -> None:
    """Record that the call is about to leave."""
    connection.execute(update(deletions).where(*_is(one)).values(asked_at=now))


def finish(connection: Connection, one: Deletion, now: float) -> None:
    """Record that an entry is deleted; its name stays reserved for a while."""
    connection.execute(update(deletions).where(*_is(one)).values(done=True, due=now + RESERVED))


def postpone(connection: Connection, one: Deletion, due: float) -> None:
    """Record that a deletion has failed, and when to try again."""
    values = {"due": due, "failures": deletions.c.failures + 1}
    connection.execute(update(deletions).where(*_is(one)).values(values))


def retry(connection: Connection, now: float) -> None:
    """Make due what waits after a failure."""
    waits = (deletions.c.done.is_(False), deletions.c.due > now)
    if connection.scalar(select(exists().where(*waits))):  # else nothing is written
        connection.execute(update(deletions).where(*waits).values(due=now))


def give_up(connection: Connection, one: Deletion) -> None:
    """Leave an entry where it is."""
    connection.execute(delete(deletions).where(*_is(one)))


def forget_done(connection: Connection, now: float) -> None:
    """Forget deletions whose names are free again."""
    over = (deletions.c.done.is_(True), deletions.c.due <= now)
    if connection.scalar(select(exists().where(*over))):  # else nothing is written
        connection.execute(delete(deletions).where(*over))


def find_of_name(connection: Connection, kind: str, name: str) -> list[Deletion]:
    """Return the deletions under a name of a space."""
    rows = _NAMED.rows(connection, {"kind": kind, "name": name})
    return [Deletion(*row) for row in rows]


_NAMED: Final = Prepared(
    select(*_COLUMNS).where(deletions.c.type == bindparam("kind"), deletions.c.name == bindparam("name"))
)


# --- Room ------------------------------------------------------------------------------------------


def save_room(store: Store, connection: Connection, room: DriveRoom) -> None:
    """Record what DingTalk said of the room."""
    row = {"id": 1, "asked_at": room.asked_at, "said_at": room.asked_at}
    store.upsert(connection, drive_room, [{**row, "used": room.used, "size": room.size}])


def note_room_asked(connection: Connection, now: float) -> None:
    """Record that DingTalk was asked and did not say; what it said before stays."""
    if connection.execute(update(drive_room).values(asked_at=now)).rowcount == 0:
        connection.execute(insert(drive_room).values(id=1, asked_at=now))


def room_asked_at(connection: Connection) -> float | None:
    """Return when DingTalk was last asked for the room."""
    at: float | None = connection.scalar(select(drive_room.c.asked_at))
    return at


def read_room(connection: Connection) -> DriveRoom | None:
    """Return the room as far as it is known."""
    row = connection.execute(select(drive_room.c.used, drive_room.c.size, drive_room.c.said_at)).first()
    return None if row is None or row.used is None else DriveRoom(row.used, row.size, row.said_at)
