"""Uploads: which contents DingTalk has, and the upload sessions that are in progress.

An upload belongs to a content, not to a delivery: ten recipients of one file share one upload. Its state is
`none`, `busy` (claimed by a job) or `have` (DingTalk has it, and `remote_id` names it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from dingwatch.ledger.schema import HAS_NAME, deliveries, parts, uploads
from dingwatch.ledger.store import Prepared, Store
from dingwatch.payload import NOTICE, Payload


def upload_row(payload: Payload) -> dict[str, Any]:
    """Return the row of an upload that has not been made; a notice counts as uploaded, it has no content."""
    key = payload.key
    notice = key.type == NOTICE
    return {
        "key": key.id,
        "app": key.app,
        "type": key.type,
        "content": key.content,
        "extension": key.extension,
        "name": key.name,
        "state": "have" if notice else "none",
        "remote_id": "" if notice else None,
    }


_SET: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"))
    .values(state=bindparam("to_state"), remote_id=None, uploaded_at=None)
)


def set_upload_states(connection: Connection, keys: Sequence[str], state: str) -> None:
    """Set uploads `busy`, or back to `none` (which forgets the media id)."""
    _SET.many(connection, [{"upload": key, "to_state": state} for key in keys])


# Two messages of one content may both find its media lost. The first answer causes a new upload, and the
# second, which names the old media id, must not take the new one away.
_LOST: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"), uploads.c.remote_id == bindparam("media"))
    .values(state="none", remote_id=None, uploaded_at=None)
)


def forget_media(connection: Connection, key: str, remote_id: str | None) -> None:
    """Forget what DingTalk no longer has, unless a new upload has replaced it since."""
    _LOST.many(connection, [{"upload": key, "media": remote_id}])


_HAVE: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"))
    .values(
        state="have", remote_id=bindparam("media"), space_id=bindparam("space"), uploaded_at=bindparam("at")
    )
)


@dataclass(frozen=True, slots=True)
class UploadDone:
    """DingTalk has a content: its media id, or in the drive its entry's id and space."""

    remote_id: str
    space_id: str | None = None


def record_uploads(connection: Connection, done: Mapping[str, UploadDone], now: float) -> None:
    """Record contents that DingTalk has now, by the keys of their uploads."""
    rows = [
        {"upload": key, "media": one.remote_id, "space": one.space_id, "at": now} for key, one in done.items()
    ]
    _HAVE.many(connection, rows)


def set_payload(store: Store, connection: Connection, ids: Sequence[int], payload: Payload) -> None:
    """Give rows another form or route (a refused extension goes out zipped), and with it another upload."""
    store.insert_missing(connection, uploads, [upload_row(payload)])
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(form=payload.form, route=payload.route, upload_key=payload.key.id)
    )


def forget_same_name(connection: Connection, kind: str, name: str, upload: str) -> None:
    """Forget other contents of a name before a commit, which replaces the drive entry of that name.

    It is written before the call, whose answer may be lost although it has overwritten the entry.
    """
    connection.execute(
        update(uploads)
        .where(HAS_NAME, uploads.c.type == kind, uploads.c.name == name, uploads.c.key != upload)
        .where(uploads.c.state == "have")
        .values(state="none", remote_id=None, uploaded_at=None)
    )


# --- Upload sessions -----------------------------------------------------------------------------
# A file of several GB is uploaded to the drive in parts. Every finished part is recorded, so that a restart
# goes on from there and does not begin the upload again.


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A multipart upload in progress: the space of the drive that it is for, and DingTalk's key of it."""

    space_id: str
    key: str


def find_session(connection: Connection, upload: str) -> tuple[UploadSession | None, frozenset[int]]:
    """Return the session of an upload, if there is one, and the numbers of its finished parts."""
    row = connection.execute(
        select(uploads.c.space_id, uploads.c.session_key).where(uploads.c.key == upload)
    ).one()
    finished = connection.scalars(select(parts.c.number).where(parts.c.upload == upload))
    return (UploadSession(row.space_id, row.session_key) if row.session_key else None), frozenset(finished)


def begin_session(connection: Connection, upload: str, made: UploadSession) -> None:
    """Record a new session; parts that were put in an earlier one are void."""
    connection.execute(delete(parts).where(parts.c.upload == upload))
    connection.execute(
        update(uploads).where(uploads.c.key == upload).values(space_id=made.space_id, session_key=made.key)
    )


def finish_part(connection: Connection, upload: str, made: UploadSession, number: int) -> None:
    """Record a finished part, unless a new session has begun since the part was sent."""
    same = exists().where(uploads.c.key == upload, uploads.c.session_key == made.key)
    there = exists().where(parts.c.upload == upload, parts.c.number == number)
    if connection.scalar(select(same & ~there)):
        connection.execute(insert(parts).values(upload=upload, number=number))


def end_session(connection: Connection, upload: str) -> None:
    """Forget the session of an upload: it is committed, or it cannot be continued."""
    connection.execute(delete(parts).where(parts.c.upload == upload))
    connection.execute(update(uploads).where(uploads.c.key == upload).values(session_key=None))


def clear_crashes(connection: Connection, rows: Sequence[int]) -> None:
    """Reset the crash counters of rows of which a part was finished.

    The upload of a huge file may outlive many processes (a machine that reboots every night). Only a file
    that crashes them without any progress is to be given up.
    """
    connection.execute(
        update(deliveries).where(deliveries.c.id.in_(rows), deliveries.c.crashes > 0).values(crashes=0)
    )
