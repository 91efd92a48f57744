"""One delivery with all that is needed to carry it out, as the ledger has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from dingwatch.ledger.prepared import Prepared
from dingwatch.ledger.schema import deliveries, uploads, versions
from dingwatch.ledger.transitions import chunks
from dingwatch.ledger.versions import join
from dingwatch.lifecycle import State
from dingwatch.model import Cause, Fingerprint, Form, Recipient, Route
from dingwatch.policy import Standing


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox with what is needed to carry it out."""

    id: int
    version: int
    folder: int | None
    path: bytes
    fingerprint: Fingerprint
    digest: str
    conversation: str
    state: State
    form: Form
    route: Route
    upload_key: str
    due: float
    settled_at: float
    uploaded_at: float | None
    doubts: int
    doubted_at: float | None
    failures: int
    waited: float
    media_losses: int
    crashes: int
    missing_since: float | None
    """Since when intake knows that its file is not there."""
    caption_sent_at: float | None
    """When the line before the file left."""
    upload_state: str
    upload_type: str
    upload_name: str
    media_id: str | None
    space_id: str | None
    """The space of the drive that holds the upload."""
    older_in_flight: bool | int = False
    """An older version of its path may be on its way to the same conversation."""
    upload_ahead: bool | int = False
    """A file that settled earlier is in, or before, its first upload to the same conversation."""

    @property
    def standing(self) -> Standing:
        """What it has been through."""
        return Standing(self.state, self.failures, self.waited, self.media_losses, self.form)

    @property
    def recipient(self) -> Recipient:
        """Whom it is for."""
        return Recipient.of(self.conversation)

    @property
    def name(self) -> bytes:
        """The file's name."""
        return self.path.rpartition(b"/")[2]


WHOLE: Final = (
    select(
        deliveries.c.id,
        deliveries.c.version_id,
        deliveries.c.folder_id,
        versions.c.directory,
        versions.c.name,
        versions.c.size,
        versions.c.mtime_ns,
        versions.c.ctime_ns,
        versions.c.inode,
        versions.c.device,
        versions.c.sha256,
        deliveries.c.conversation_id,
        deliveries.c.state,
        deliveries.c.form,
        deliveries.c.route,
        deliveries.c.upload_key,
        deliveries.c.due,
        deliveries.c.settled_at,
        deliveries.c.uploaded_at,
        deliveries.c.doubts,
        deliveries.c.doubted_at,
        deliveries.c.failures,
        deliveries.c.waited,
        deliveries.c.media_losses,
        deliveries.c.crashes,
        versions.c.missing_since,
        deliveries.c.caption_sent_at,
        uploads.c.state.label("upload_state"),
        uploads.c.type.label("upload_type"),
        uploads.c.name.label("upload_name"),
        uploads.c.media_id,
        uploads.c.space_id,
    )
    .join(versions, versions.c.id == deliveries.c.version_id)
    .join(uploads, uploads.c.key == deliveries.c.upload_key)
)


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Make a delivery of a row of `WHOLE`, with what a query adds at its end."""
    (number, version, folder, directory, name, size, mtime, ctime, inode, device, digest, *rest) = row
    conversation, state, form, route, *facts = rest
    fingerprint = Fingerprint(size, mtime, ctime, int(inode), int(device))
    kinds = (State(state), Form(form), Route(route))
    return Delivery(
        number, version, folder, join(directory, name), fingerprint, digest, conversation, *kinds, *facts
    )


_BY_ID: Final = Prepared(WHOLE.where(deliveries.c.id == bindparam("delivery")))


def by_id(connection: Connection, ids: Sequence[int]) -> dict[int, Delivery]:
    """Return rows as they stand now."""
    return {i: delivery_of(row) for i in ids for row in _BY_ID.rows(connection, {"delivery": i})}


_CAUSES: Final = select(
    deliveries.c.id, deliveries.c.code, deliveries.c.message, deliveries.c.advice, deliveries.c.request_id
).where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.code.is_not(None))


def causes(connection: Connection, ids: Sequence[int]) -> dict[int, Cause]:
    """Return the last cause of each row that has one."""
    return {
        row.id: Cause(row.code, row.message, row.advice, row.request_id)
        for some in chunks(ids)
        for row in connection.execute(_CAUSES, {"ids": some})
    }
