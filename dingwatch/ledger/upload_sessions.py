"""Uploads to the drive that are begun: what the store has of them, so that a restart goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select, update

from dingwatch.ledger.due import Paused, is_free
from dingwatch.ledger.schema import deliveries, parts, uploads
from dingwatch.lifecycle import State


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload that DingTalk has begun: the space it is for, and DingTalk's key of it."""

    space_id: str
    key: str


def session_of(connection: Connection, upload: str) -> tuple[UploadSession | None, frozenset[int]]:
    """Return what is begun of an upload, and the numbers of the parts that the store has."""
    row = connection.execute(
        select(uploads.c.space_id, uploads.c.begun_key).where(uploads.c.key == upload)
    ).one()
    finished = connection.scalars(select(parts.c.number).where(parts.c.upload == upload))
    return (UploadSession(row.space_id, row.begun_key) if row.begun_key else None), frozenset(finished)


def begin(connection: Connection, upload: str, made: UploadSession) -> None:
    """Write down that an upload is begun; the store has nothing of it."""
    connection.execute(delete(parts).where(parts.c.upload == upload))
    connection.execute(
        update(uploads).where(uploads.c.key == upload).values(space_id=made.space_id, begun_key=made.key)
    )


def finish_part(connection: Connection, upload: str, made: UploadSession, number: int) -> None:
    """Write down that the store has a part, unless the upload has been begun anew since."""
    same = exists().where(uploads.c.key == upload, uploads.c.begun_key == made.key)
    there = exists().where(parts.c.upload == upload, parts.c.number == number)
    if connection.scalar(select(same & ~there)):
        connection.execute(insert(parts).values(upload=upload, number=number))


def forget(connection: Connection, upload: str) -> None:
    """Forget what is begun of an upload: it is committed, or worth nothing any more."""
    connection.execute(delete(parts).where(parts.c.upload == upload))
    connection.execute(update(uploads).where(uploads.c.key == upload).values(begun_key=None))


def progressed(connection: Connection, rows: Sequence[int]) -> None:
    """A part of their file was finished: they are not what brings the process down."""
    connection.execute(
        update(deliveries).where(deliveries.c.id.in_(rows), deliveries.c.crashes > 0).values(crashes=0)
    )


# --- One entry for one name ----------------------------------------------------------------------


def _others(kind: str, name: str, upload: str) -> ColumnElement[bool]:
    return (uploads.c.type == kind) & (uploads.c.name == name) & (uploads.c.key != upload)


def being_committed(connection: Connection, kind: str, name: str, upload: str) -> bool:
    """Say whether another content is on its way to the entry of this name."""
    busy = exists().where(_others(kind, name, upload), uploads.c.state == "busy")
    return bool(connection.scalar(select(busy)))


def being_sent(connection: Connection, kind: str, name: str, upload: str, paused: Paused, now: float) -> bool:
    """Say whether the entry of this name holds another content that is being sent, or is due to be."""
    due = (deliveries.c.state == State.UPLOADED) & is_free(paused, now)
    used = exists().where(
        _others(kind, name, upload),
        uploads.c.state == "have",
        deliveries.c.upload_key == uploads.c.key,
        (deliveries.c.state == State.SENDING) | due,
    )
    return bool(connection.scalar(select(used)))


def replaced(connection: Connection, kind: str, name: str, upload: str) -> None:
    """An entry is to hold this content: what else had been uploaded under its name may be there no more."""
    connection.execute(
        update(uploads)
        .where(_others(kind, name, upload), uploads.c.state == "have")
        .values(state="none", media_id=None, uploaded_at=None)
    )
