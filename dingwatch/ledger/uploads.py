"""Uploads: which contents DingTalk has, and the upload sessions that are in progress.

An upload belongs to a content, not to a delivery: ten recipients of one file share one upload. Its state is
`none`, `busy` (claimed by a job) or `have` (DingTalk has it, and `remote_id` names it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from dingwatch.ledger.schema import HAS_NAME, IS_BUSY, deliveries, parts, uploads
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
        "kept": False,
    }


_CLAIM: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"), uploads.c.state == "none")
    .values(state="busy", claim=bindparam("to_claim"), node=bindparam("to_node"))
)
_HELD: Final = (uploads.c.key == bindparam("upload"), uploads.c.claim == bindparam("held_by"))
_RELEASE: Final = Prepared(update(uploads).where(*_HELD, IS_BUSY).values(state="none"))


def claim_upload(connection: Connection, upload: str, claim: int, node: str) -> bool:
    """Claim an upload for a job; return whether it was free, so that the job may begin."""
    return bool(_CLAIM.count(connection, {"upload": upload, "to_claim": claim, "to_node": node or None}))


def release_upload(connection: Connection, upload: str, claim: int) -> None:
    """Have an upload made again, unless it is claimed by another by now."""
    _RELEASE.many(connection, [{"upload": upload, "held_by": claim}])


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


_TO_HAVE: Final = update(uploads).values(
    state="have", remote_id=bindparam("media"), space_id=bindparam("space"), uploaded_at=bindparam("at")
)
_HAVE: Final = Prepared(_TO_HAVE.where(*_HELD))
_HAVE_LATE: Final = Prepared(_TO_HAVE.where(uploads.c.key == bindparam("upload"), uploads.c.state != "have"))
_OF_NAME: Final = uploads.alias("of_name")
_ENTRY_LATE: Final = Prepared(
    _TO_HAVE.where(
        *(uploads.c.key == bindparam("upload"), uploads.c.state == "none"),
        ~exists().where(
            _OF_NAME.c.type == uploads.c.type,
            _OF_NAME.c.name == uploads.c.name,
            _OF_NAME.c.claim > bindparam("held_by"),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class UploadDone:
    """DingTalk has a content: its media id, or in the drive its entry's id and space."""

    remote_id: str
    space_id: str | None = None


def record_upload(
    connection: Connection, upload: str, done: UploadDone, now: float, claim: int, *, entry: bool
) -> None:
    """Record that DingTalk has a content now; `entry` says whether as an entry of the drive.

    Where the claim is over (its process was frozen, and another host took the upload over), the media id is
    kept unless there is a newer one. But in the drive, a later commit under the same name has replaced what
    this one put there.
    """
    values = {"upload": upload, "media": done.remote_id, "space": done.space_id, "at": now, "held_by": claim}
    if not _HAVE.count(connection, values):
        (_ENTRY_LATE if entry else _HAVE_LATE).count(connection, values)


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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload to the drive is: its session, its finished parts, and the claim that it is under."""

    session: UploadSession | None = None
    finished: frozenset[int] = frozenset()
    claim: int | None = None


def find_progress(connection: Connection, upload: str) -> Progress:
    """Return how far an upload is."""
    row = connection.execute(
        select(uploads.c.space_id, uploads.c.session_key, uploads.c.claim).where(uploads.c.key == upload)
    ).one_or_none()
    if row is None:
        return Progress()
    finished = connection.scalars(select(parts.c.number).where(parts.c.upload == upload))
    session = UploadSession(row.space_id, row.session_key) if row.session_key else None
    return Progress(session, frozenset(finished), row.claim)


def begin_session(connection: Connection, upload: str, made: UploadSession, claim: int) -> None:
    """Record the new session of a claim; parts that were put in an earlier one are void."""
    columns = {"space_id": made.space_id, "session_key": made.key}
    if _set_session(connection, upload, claim, columns):
        connection.execute(delete(parts).where(parts.c.upload == upload))


def finish_part(connection: Connection, upload: str, made: UploadSession, number: int, claim: int) -> None:
    """Record a finished part, unless a new session or claim has begun since the part was sent."""
    same = exists().where(
        uploads.c.key == upload, uploads.c.session_key == made.key, uploads.c.claim == claim
    )
    there = exists().where(parts.c.upload == upload, parts.c.number == number)
    if connection.scalar(select(same & ~there)):
        connection.execute(insert(parts).values(upload=upload, number=number))


def end_session(connection: Connection, upload: str, claim: int) -> None:
    """Forget the session of a claim: it is committed, or it cannot be continued."""
    if _set_session(connection, upload, claim, {"session_key": None}):
        connection.execute(delete(parts).where(parts.c.upload == upload))


def _set_session(connection: Connection, upload: str, claim: int, columns: Mapping[str, str | None]) -> bool:
    held = (uploads.c.key == upload, uploads.c.claim == claim)
    return bool(connection.execute(update(uploads).where(*held).values(columns)).rowcount)


def clear_crashes(connection: Connection, rows: Sequence[int], claim: int) -> None:
    """Reset the crash counters of a claim's rows of which a part was finished.

    The upload of a huge file may outlive many processes (a machine that reboots every night). Only a file
    that crashes them without any progress is to be given up.
    """
    held = (deliveries.c.id.in_(rows), deliveries.c.claim == claim)
    connection.execute(update(deliveries).where(*held, deliveries.c.crashes > 0).values(crashes=0))
