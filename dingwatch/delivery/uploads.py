"""Claims of uploads: contents that DingTalk does not have, each with all the rows that wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dingwatch.delivery import drives
from dingwatch.delivery.jobs import Upload
from dingwatch.delivery.limits import Target
from dingwatch.delivery.state import LoopState, TickContext
from dingwatch.dingtalk import API_UPLOAD, MEDIA_LIMIT, Host
from dingwatch.ledger import queues
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import set_payload
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Form, Route
from dingwatch.payload import Payload, choose_payload
from dingwatch.texts import Log


def claim(state: LoopState, tick: TickContext) -> None:
    """Claim what free workers can upload: as media, and to the drive."""
    if not state.may_upload:
        return
    free = {Route.ROBOT: _free_for_media(state, tick), Route.DRIVE: drives.AT_ONCE - len(tick.drives)}
    contents = [
        rows
        for route, number in free.items()
        if number > 0
        for rows in queues.next_to_upload(tick.connection, state.paused(tick.now), tick.now, number, route)
    ]
    state.may_upload = bool(contents) or min(free.values()) <= 0
    for rows in contents:
        claim_content(state, tick, rows)


def _free_for_media(state: LoopState, tick: TickContext) -> int:
    """Return how many contents may be uploaded as media now."""
    if state.blocks(tick, Target(API_UPLOAD)):
        return 0
    uploading = sum(target.api == API_UPLOAD for target in tick.busy())
    # One worker is left for sends, or slow uploads would hold back what is ready to go.
    return min(state.free_workers(tick), max(state.settings.workers - 1, 1) - uploading)


def claim_content(state: LoopState, tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Claim all rows of one content: a job, or none where DingTalk has it already."""
    source = rows[0]
    payload = _payload_of(state, source)
    rows = _sharing_payload(state, tick, rows, payload)
    refusal = _preflight(state, source, payload)
    if refusal is not None:
        _refuse(tick, rows, *refusal)
    elif payload.key.id != source.upload_key:
        set_payload(state.store, tick.connection, [source.id], payload)
        tick.wakes.append(tick.now)
    elif source.upload_state == "have" or payload.notice:
        _claim_had(state, tick, rows)
    elif payload.route is Route.DRIVE:
        drives.claim(state, tick, rows, payload)
    else:
        _claim_job(state, tick, rows, payload)


def _payload_of(state: LoopState, row: Delivery) -> Payload:
    policy = state.settings.payload_policy(row)
    return choose_payload(row.name, row.fingerprint.size, row.digest, policy, state.refused)


def _sharing_payload(
    state: LoopState, tick: TickContext, rows: Sequence[Delivery], payload: Payload
) -> list[Delivery]:
    """Return the rows that share the first one's upload; other folders may have other settings by now."""
    own = {row.id: _payload_of(state, row) for row in rows}
    for row in rows:
        if own[row.id].key != payload.key:
            set_payload(state.store, tick.connection, [row.id], own[row.id])
            tick.wakes.append(tick.now)
    return [row for row in rows if own[row.id].key == payload.key]


def _claim_had(state: LoopState, tick: TickContext, rows: Sequence[Delivery]) -> None:
    """A content that DingTalk has costs no call: the rows pass through both states at once."""
    _claim_rows(tick, rows, {"claimed_at": tick.now})
    tick.apply()
    columns: dict[str, Any] = {"uploaded_at": tick.now, "due": tick.now, "crashes": 0}
    for row in rows:
        tick.changes.append(Change(row.id, Event.UPLOAD_OK, State.UPLOADING, None, columns, row.version))
        state.may_send.add(row.recipient)
    tick.apply()
    tick.wakes.append(tick.now)


def _claim_job(state: LoopState, tick: TickContext, rows: Sequence[Delivery], payload: Payload) -> None:
    target = Target(API_UPLOAD, folder=rows[0].folder)
    slot = state.slot(tick, target)
    if slot > tick.now:
        tick.wakes.append(slot)
    elif not state.blocks(tick, target) and not state.needs_token(tick, Host.OAPI):
        _claim_rows(tick, rows, {"claimed_at": tick.now})
        tick.slots.append(target)
        tick.jobs.append(Upload(tuple(rows), payload))


def _claim_rows(tick: TickContext, rows: Sequence[Delivery], columns: dict[str, Any]) -> None:
    tick.changes += [Change(row.id, Event.CLAIM, State.PENDING, None, columns, row.version) for row in rows]


def _preflight(state: LoopState, row: Delivery, payload: Payload) -> tuple[Event, Cause] | None:
    """Return what would make the upload fail for certain, so that it costs no call."""
    if payload.notice:
        return None
    if row.fingerprint.size > MEDIA_LIMIT and payload.route is Route.ROBOT:
        return Event.REJECT, Cause("too_big", "", "TOO_BIG")
    if row.fingerprint.size == 0:
        return Event.SKIP, Cause("empty", "", "EMPTY")
    if payload.form is Form.ZIP and state.settings.of_folder(row.folder).unsupported == "skip":
        return Event.SKIP, Cause("unsupported", "", "UNSUPPORTED")
    return None


def _refuse(tick: TickContext, rows: Sequence[Delivery], event: Event, cause: Cause) -> None:
    tick.wakes.append(tick.now)  # it stood in the place of another, and no job will come back
    for row in rows:
        tick.changes.append(Change(row.id, event, State.PENDING, cause))
        text = Log.FAILED if event is Event.REJECT else Log.SKIPPED
        tick.log_row(text, row, cause.code, cause.message, cause.advice)
