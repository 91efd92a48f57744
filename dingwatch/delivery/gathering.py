"""Gathering: the files of a burst that is over are put into bundles, or go one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from dingwatch.delivery import screening
from dingwatch.delivery.bundles import pack
from dingwatch.delivery.state import TickContext
from dingwatch.dingtalk import MEDIA_LIMIT
from dingwatch.ledger import bundles
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.queues import UploadQueue
from dingwatch.ledger.routing import list_recipients
from dingwatch.model import BundleRule, Form
from dingwatch.payload import (
    MOST_IN_BUNDLE,
    NOTICE,
    archive_name,
    entry_names,
    joins_bundle,
    notice_payload,
    packed_at_most,
)


def gather(tick: TickContext, queue: UploadQueue) -> None:
    """Put the files of a burst that is over into bundles, for all whom its folder is mapped to."""
    if queue.folder is None:
        return
    where = (tick.connection, queue.folder)
    if not bundles.has_gathered(*where, queue.recipient, tick.now):
        return
    # Those who are to get the same files share an upload, if their bundles are made of the same burst.
    gathered = [
        bundles.list_gathered(*where, recipient, tick.now, MOST_IN_BUNDLE)
        for recipient in list_recipients(*where)
    ]
    waiting = [row for rows in gathered for row in rows]
    rule = tick.settings.of_folder(queue.folder).bundle
    if rule is None:
        # The folder bundled when they were held, or withdrawn, and does not any more.
        bundles.set_gathering(tick.connection, [row.id for row in waiting], gathering=False)
        return
    ready = {row.id for row in screening.hold_unscreened(tick, waiting)}
    if any(row.id not in ready and screening.is_at_work(tick, row) for row in waiting):
        return  # the files of a burst are screened one by one, and go together all the same
    for rows in gathered:
        if passed := [row for row in rows if row.id in ready]:
            _bundle(tick, passed, rule)


def _bundle(tick: TickContext, rows: Sequence[Delivery], rule: BundleRule) -> None:
    together = [row for row in rows if _joins(tick, row)]
    alone = {row.id for row in rows}
    if len(together) >= max(rule.least, 2):
        for part in _split(together):
            if len(part) > 1:
                _form(tick, part)
                alone -= {row.id for row in part}
    bundles.set_gathering(tick.connection, sorted(alone), gathering=False)


def _joins(tick: TickContext, row: Delivery) -> bool:
    """Return whether a file goes with others, by the present settings."""
    if row.failures or row.crashes or row.doubts or row.media_losses:
        return False  # it has failed alone, and would take the others with it
    policy, payload = tick.settings.of_folder(row.folder), tick.choose_payload(row)
    if not joins_bundle(payload, row.fingerprint.size, policy.payload):
        return False
    if payload.notice:
        return True
    skipped = payload.form is Form.ZIP and policy.unsupported == "skip"
    # An upload that DingTalk has, or is getting, costs no other.
    free = row.upload_state != "none" and payload.key.id == row.upload_key
    return bool(row.digest) and not skipped and not free and "zip" not in tick.state.refused


def _split(rows: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Yield rows in parts whose archives certainly stay within the media limit."""
    part: list[Delivery] = []
    size = 0
    for row in rows:
        packed = 0
        if row.upload_type != NOTICE:
            packed = packed_at_most(entry_names([row.path])[0], row.fingerprint.size)
        if part and size + packed > MEDIA_LIMIT:
            yield part
            part, size = [], 0
        part.append(row)
        size += packed
    yield part


def _form(tick: TickContext, rows: Sequence[Delivery]) -> None:
    rows = bundles.in_order(rows)
    first, app = rows[0], tick.settings.app
    came = datetime.fromtimestamp(min(row.noticed_at for row in rows)).astimezone()
    name = archive_name(tick.settings.of_folder(first.folder).wording.folder, came)
    if tick.choose_payload(first).notice:
        payload = notice_payload(name, app)
    else:
        payload = pack(rows, name, app, named=tick.settings.payload_policy(first).named).payload
    bundles.form_bundle(tick.state.store, tick.connection, rows, payload, tick.now)
