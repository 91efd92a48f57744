"""Bundles: the archive that the files of one message are packed into, and what becomes of it.

What an archive is made of is a pure function of its members, and so is the key of its upload. A bundle whose
members have changed is recognised by that: its upload has another key than its members give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dingwatch.delivery.state import TickContext
from dingwatch.ledger import bundles
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import set_payload
from dingwatch.lifecycle import Event, State
from dingwatch.model import Form
from dingwatch.payload import (
    NOTICE,
    Payload,
    bundle_payload,
    entry_names,
    joins_bundle,
    notice_payload,
)


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of a bundle's rows; `members` has each row with its entry."""

    payload: Payload
    members: tuple[tuple[Delivery, str], ...]

    @property
    def rows(self) -> list[Delivery]:
        """Its rows, in the order of its entries."""
        return [row for row, _ in self.members]

    @property
    def upload(self) -> str:
        """The key of the upload that its rows have."""
        return self.members[0][0].upload_key

    @property
    def holds(self) -> bool:
        """Return whether that upload is still of these files, and these are still several."""
        return len(self.members) > 1 and all(row.upload_key == self.payload.key.id for row in self.rows)


def archive_of(tick: TickContext, rows: Sequence[Delivery]) -> Archive:
    """Return the archive of a bundle's rows; for a notice about several files there is none to upload."""
    rows = bundles.in_order(rows)
    first, app = rows[0], tick.settings.app
    name = bundles.find_name(tick.connection, first.bundle or 0)
    if first.upload_type == NOTICE:
        return Archive(notice_payload(name, app), tuple((row, "") for row in rows))
    return pack(rows, name, app, named=bool(first.upload_name))


def pack(rows: Sequence[Delivery], name: str, app: str, *, named: bool) -> Archive:
    """Return the archive of rows; where it is `named`, recipients are shown the name of the upload."""
    entries = entry_names([row.path for row in rows])
    contents = zip(entries, (row.digest for row in rows), strict=True)
    payload = bundle_payload(name, app, contents, named=named)
    return Archive(payload, tuple(zip(rows, entries, strict=True)))


# --- Changing ------------------------------------------------------------------------------------


def rebuild(tick: TickContext, archive: Archive) -> None:
    """Have the files that are left of a bundle packed anew: its upload holds another, or lacks one.

    The rows are pending then. A file that is left alone goes by itself.
    """
    waiting = [row for row in archive.rows if row.state is State.UPLOADED]
    tick.apply(*(Change(row.id, Event.MEDIA_LOST, State.UPLOADED, version=row.version) for row in waiting))
    if len(archive.members) == 1:
        bundles.leave_bundles(tick.connection, [archive.rows[0].id])
    else:
        ids = [row.id for row in archive.rows]
        set_payload(tick.state.store, tick.connection, ids, archive.payload)
    if not archive.payload.notice:
        forget(tick, archive.upload)


def forget(tick: TickContext, upload: str) -> None:
    """Forget an archive that is not to be sent any more, so that nothing refers to its media."""
    for row in bundles.list_strays(tick.connection, upload):
        set_payload(tick.state.store, tick.connection, [row.id], tick.choose_payload(row))
    bundles.forget_archive(tick.connection, upload)


def go_otherwise(tick: TickContext, rows: Sequence[Delivery]) -> list[Delivery]:
    """Return the rows of a bundle that do not go with it any more, by settings that have changed since."""
    policy = tick.settings.of_folder(rows[0].folder)
    noticed = rows[0].upload_type == NOTICE
    found = []
    for row in rows:
        payload = tick.choose_payload(row)
        skipped = payload.form is Form.ZIP and policy.unsupported == "skip" and not payload.notice
        joins = joins_bundle(payload, row.fingerprint.size, policy.payload)
        if not joins or skipped or payload.notice is not noticed or not (noticed or row.digest):
            found.append(row)
    return found


def gather_again(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Take files out of their bundle, and have them put into others where their folder still bundles."""
    dissolve(tick, rows)
    if tick.settings.of_folder(rows[0].folder).bundle is not None:
        bundles.set_gathering(tick.connection, [row.id for row in rows], gathering=True)


def dissolve(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Let the files of bundles go alone."""
    bundles.leave_bundles(tick.connection, [row.id for row in rows])
    for upload in {row.upload_key for row in rows if row.upload_type != NOTICE}:
        forget(tick, upload)
