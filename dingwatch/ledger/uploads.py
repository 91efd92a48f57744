"""What DingTalk has of the contents, and which of them a row needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from dingwatch.ledger.schema import deliveries, parts, uploads
from dingwatch.ledger.store import Prepared, Store
from dingwatch.payload import NOTICE, Payload


def upload_row(payload: Payload) -> dict[str, Any]:
    """Return the row of an upload that has not been made; a notice has nothing to upload."""
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


_LOST: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"), uploads.c.remote_id == bindparam("media"))
    .values(state="none", remote_id=None, uploaded_at=None)
)


def forget_media(connection: Connection, key: str, remote_id: str | None) -> None:
    """Forget a media id, unless another has taken its place."""
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
    """Write down contents that DingTalk has now, by the keys of their uploads."""
    rows = [
        {"upload": key, "media": one.remote_id, "space": one.space_id, "at": now} for key, one in done.items()
    ]
    _HAVE.many(connection, rows)


def set_payload(store: Store, connection: Connection, ids: Sequence[int], payload: Payload) -> None:
    """Give rows another form, and with it another upload."""
    store.insert_missing(connection, uploads, [upload_row(payload)])
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(form=payload.form, route=payload.route, upload_key=payload.key.id)
    )


def forget_same_name(connection: Connection, kind: str, name: str, upload: str) -> None:
    """An entry is to hold this content: what else had been uploaded under its name may be there no more."""
    connection.execute(
        update(uploads)
        .where(uploads.c.type == kind, uploads.c.name == name, uploads.c.key != upload)
        .where(uploads.c.state == "have")
        .values(state="none", remote_id=None, uploaded_at=None)
    )


# --- Upload sessions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload that DingTalk has begun: the space it is for, and DingTalk's key of it."""

    space_id: str
    key: str


def find_session(connection: Connection, upload: str) -> tuple[UploadSession | None, frozenset[int]]:
    """Return what is begun of an upload, and the numbers of the parts that the store has."""
    row = connection.execute(
        select(uploads.c.space_id, uploads.c.session_key).where(uploads.c.key == upload)
    ).one()
    finished = connection.scalars(select(parts.c.number).where(parts.c.upload == upload))
    return (UploadSession(row.space_id, row.session_key) if row.session_key else None), frozenset(finished)


def begin_session(connection: Connection, upload: str, made: UploadSession) -> None:
    """Write down that an upload is begun; the store has nothing of it."""
    connection.execute(delete(parts).where(parts.c.upload == upload))
    connection.execute(
        update(uploads).where(uploads.c.key == upload).values(space_id=made.space_id, session_key=made.key)
    )


def finish_part(connection: Connection, upload: str, made: UploadSession, number: int) -> None:
    """Write down that the store has a part, unless the upload has been begun anew since."""
    same = exists().where(uploads.c.key == upload, uploads.c.session_key == made.key)
    there = exists().where(parts.c.upload == upload, parts.c.number == number)
    if connection.scalar(select(same & ~there)):
        connection.execute(insert(parts).values(upload=upload, number=number))


def end_session(connection: Connection, upload: str) -> None:
    """Forget what is begun of an upload: it is committed, or worth nothing any more."""
    connection.execute(delete(parts).where(parts.c.upload == upload))
    connection.execute(update(uploads).where(uploads.c.key == upload).values(session_key=None))


def clear_crashes(connection: Connection, rows: Sequence[int]) -> None:
    """A part of their file was finished: they are not what brings the process down."""
    connection.execute(
        update(deliveries).where(deliveries.c.id.in_(rows), deliveries.c.crashes > 0).values(crashes=0)
    )
