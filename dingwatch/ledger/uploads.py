"""What DingTalk has of the contents, and which of them a row needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, update

from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import deliveries, uploads
from dingwatch.ledger.store import Store
from dingwatch.ledger.versions import upload_row
from dingwatch.payload import Payload

_SET: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"))
    .values(state=bindparam("to_state"), media_id=None, uploaded_at=None)
)


def upload_states(connection: Connection, keys: Sequence[str], state: str) -> None:
    """Set uploads `busy`, or back to `none` (which forgets the media id)."""
    _SET.many(connection, [{"upload": key, "to_state": state} for key in keys])


_LOST: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"), uploads.c.media_id == bindparam("media"))
    .values(state="none", media_id=None, uploaded_at=None)
)


def media_lost(connection: Connection, key: str, media_id: str | None) -> None:
    """Forget a media id, unless another has taken its place."""
    _LOST.many(connection, [{"upload": key, "media": media_id}])


_HAVE: Final = Prepared(
    update(uploads)
    .where(uploads.c.key == bindparam("upload"))
    .values(
        state="have", media_id=bindparam("media"), space_id=bindparam("space"), uploaded_at=bindparam("at")
    )
)


@dataclass(frozen=True, slots=True)
class Had:
    """A content that DingTalk has now: its upload's key, and its media id or its entry's id and space."""

    upload: str
    media_id: str
    space_id: str | None


def uploaded(connection: Connection, had: Sequence[Had], now: float) -> None:
    """Write down contents that DingTalk has now."""
    rows = [{"upload": x.upload, "media": x.media_id, "space": x.space_id, "at": now} for x in had]
    _HAVE.many(connection, rows)


def set_payload(store: Store, connection: Connection, ids: Sequence[int], payload: Payload) -> None:
    """Give rows another form, and with it another upload."""
    store.insert_missing(connection, uploads, [upload_row(payload)])
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(form=payload.form, route=payload.route, upload_key=payload.key.id)
    )
