"""Claims of uploads: contents that DingTalk does not have, each with all the rows that wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dingwatch.delivery import drives
from dingwatch.delivery.jobs import Upload
from dingwatch.delivery.limits import Place
from dingwatch.delivery.state import Memory, Tick
from dingwatch.dingtalk import API_UPLOAD, MEDIA_LIMIT, Host
from dingwatch.ledger import upload_queue
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import redress
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Form, Route
from dingwatch.payload import Dress
from dingwatch.payload import dress as dressed
from dingwatch.texts import Log


def claim(memory: Memory, tick: Tick) -> None:
    """Claim what free workers can upload: as media, and to the drive."""
    if not memory.may_upload:
        return
    free = {Route.ROBOT: _free_for_media(memory, tick), Route.DRIVE: drives.AT_ONCE - len(tick.drives)}
    contents = [
        rows
        for route, number in free.items()
        if number > 0
        for rows in upload_queue.to_upload(tick.connection, memory.held(tick.now), tick.now, number, route)
    ]
    memory.may_upload = bool(contents) or min(free.values()) <= 0
    for rows in contents:
        claim_content(memory, tick, rows)


def _free_for_media(memory: Memory, tick: Tick) -> int:
    """Return how many contents may be uploaded as media now."""
    if memory.holds(tick, Place(API_UPLOAD)):
        return 0
    uploading = sum(place.api == API_UPLOAD for place in tick.busy())
    # One worker is left for sends, or slow uploads would hold back what is ready to go.
    return min(memory.free_workers(tick), max(memory.settings.workers - 1, 1) - uploading)


def claim_content(memory: Memory, tick: Tick, rows: Sequence[Delivery]) -> None:
    """Claim all rows of one content: a job, or none where DingTalk has it already."""
    source = rows[0]
    dress = _dress_of(memory, source)
    rows = _dressed_alike(memory, tick, rows, dress)
    refusal = _preflight(memory, source, dress)
    if refusal is not None:
        _refuse(tick, rows, *refusal)
    elif dress.key.id != source.upload_key:
        redress(memory.store, tick.connection, [source.id], dress)
        tick.wakes.append(tick.now)
    elif source.upload_state == "have" or dress.notice:
        _claim_had(memory, tick, rows)
    elif dress.route is Route.DRIVE:
        drives.claim(memory, tick, rows, dress)
    else:
        _claim_job(memory, tick, rows, dress)


def _dress_of(memory: Memory, row: Delivery) -> Dress:
    code = memory.settings.code_of(row)
    return dressed(row.name, row.fingerprint.size, row.digest, code, memory.refused)


def _dressed_alike(memory: Memory, tick: Tick, rows: Sequence[Delivery], dress: Dress) -> list[Delivery]:
    """Return the rows that share the first one's upload; other folders may have other settings by now."""
    own = {row.id: _dress_of(memory, row) for row in rows}
    for row in rows:
        if own[row.id].key != dress.key:
            redress(memory.store, tick.connection, [row.id], own[row.id])
            tick.wakes.append(tick.now)
    return [row for row in rows if own[row.id].key == dress.key]


def _claim_had(memory: Memory, tick: Tick, rows: Sequence[Delivery]) -> None:
    """A content that DingTalk has costs no call: the rows pass through both states at once."""
    _claim_rows(tick, rows, {"claimed_at": tick.now})
    tick.apply()
    columns: dict[str, Any] = {"uploaded_at": tick.now, "due": tick.now, "crashes": 0}
    for row in rows:
        tick.changes.append(Change(row.id, Event.UPLOAD_OK, State.UPLOADING, None, columns, row.version))
        memory.may_send.add(row.conversation)
    tick.apply()
    tick.wakes.append(tick.now)


def _claim_job(memory: Memory, tick: Tick, rows: Sequence[Delivery], dress: Dress) -> None:
    place = Place(API_UPLOAD, folder=rows[0].folder)
    slot = memory.slot(tick, place)
    if slot > tick.now:
        tick.wakes.append(slot)
    elif not memory.holds(tick, place) and not memory.needs_token(tick, Host.OAPI):
        _claim_rows(tick, rows, {"claimed_at": tick.now})
        tick.slots.append(place)
        tick.jobs.append(Upload(tuple(rows), dress))


def _claim_rows(tick: Tick, rows: Sequence[Delivery], columns: dict[str, Any]) -> None:
    tick.changes += [Change(row.id, Event.CLAIM, State.PENDING, None, columns, row.version) for row in rows]


def _preflight(memory: Memory, row: Delivery, dress: Dress) -> tuple[Event, Cause] | None:
    """Return what would make the upload fail for certain, so that it costs no call."""
    if dress.notice:
        return None
    if row.fingerprint.size > MEDIA_LIMIT and dress.route is Route.ROBOT:
        return Event.REJECT, Cause("too_big", "", "TOO_BIG")
    if row.fingerprint.size == 0:
        return Event.SKIP, Cause("empty", "", "EMPTY")
    if dress.form is Form.ZIP and memory.settings.unsupported_in(row.folder) == "skip":
        return Event.SKIP, Cause("unsupported", "", "UNSUPPORTED")
    return None


def _refuse(tick: Tick, rows: Sequence[Delivery], event: Event, cause: Cause) -> None:
    tick.wakes.append(tick.now)  # it stood in the place of another, and no job will come back
    for row in rows:
        tick.changes.append(Change(row.id, event, State.PENDING, cause))
        text = Log.FAILED if event is Event.REJECT else Log.SKIPPED
        tick.say_of(text, row, cause.code, cause.message, cause.advice)
