"""What may go now: doubted rows back to work, then sends, then uploads with the workers that are left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from dingwatch import policy
from dingwatch.delivery import drives
from dingwatch.delivery.holds import APP, Place, hosts_of
from dingwatch.delivery.jobs import Announce, FetchToken, Send, Upload
from dingwatch.delivery.memory import Memory, Tick, message_api, place_of_rows, send_api
from dingwatch.dingtalk import API_SEND_PERSONS, API_UPLOAD, MEDIA_LIMIT, MOST_PERSONS, Host
from dingwatch.dress import Dress, worn
from dingwatch.dress import dress as dressed
from dingwatch.ledger import begun, outbox
from dingwatch.ledger.outbox import Delivery
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Form, Route
from dingwatch.texts import Log
from dingwatch.wording import Message, line, notice

FEW: Final = 4
HOLD_FOR_UPLOAD: Final = 5.0
"""Seconds that a file waits for the first upload of one that settled earlier."""


def claim(memory: Memory, tick: Tick) -> None:
    """Claim what may go now; the jobs and the next instant of interest are left in the tick."""
    _requeue_doubted(memory, tick)
    for host in sorted(memory.pauses.probes(tick.now)):
        memory.needs_token(tick, host, force=True)
    if memory.crashed:
        _claim_crashed(memory, tick)
        tick.apply()
    if not memory.crashed:
        _claim_sends(memory, tick)
        _claim_uploads(memory, tick)
        drives.go_on(memory, tick)
    busy = [job.dress.key.id for job in tick.jobs if isinstance(job, Upload)]
    outbox.upload_states(tick.connection, busy, "busy")
    tick.apply()
    _wakes(memory, tick)


def _wakes(memory: Memory, tick: Tick) -> None:
    end = memory.pauses.next_end(tick.now)
    if end is not None:
        tick.wakes.append(end)
    if memory.may_wait:
        due = outbox.next_due(tick.connection, tick.now)
        memory.may_wait = due is not None
        if due is not None:
            tick.wakes.append(due)
            memory.may_upload = True
            memory.may_send |= set(outbox.conversations_waiting(tick.connection))


# --- Doubts and crashes --------------------------------------------------------------------------


def _requeue_doubted(memory: Memory, tick: Tick) -> None:
    """Send doubted rows once more, when a call that is safe to repeat has shown that DingTalk answers."""
    if not memory.settings.resend_uncertain or not memory.may_doubt:
        return
    rows = outbox.doubted_once(tick.connection)
    memory.may_doubt = bool(rows)
    for row in rows:
        _requeue_when_ready(memory, tick, row, row.doubted_at or 0.0)
    tick.apply()


def _requeue_when_ready(memory: Memory, tick: Tick, row: Delivery, doubted_at: float) -> None:
    ready = doubted_at + policy.DOUBT_WAIT
    if ready > tick.now:
        tick.wakes.append(ready)
    elif max(memory.served_at.values(), default=float("-inf")) > doubted_at:
        columns = {"due": tick.now, "uncertain_resent": True}
        tick.changes.append(Change(row.id, Event.REQUEUE, State.UNCERTAIN, None, columns))
        memory.may_send.add(row.conversation)
        tick.say(Log.RESENDING, path=policy.readable(row.path), conversation=row.conversation)
    else:
        memory.needs_token(tick, Host.API, force=True)


def _claim_crashed(memory: Memory, tick: Tick) -> None:
    """After a crash what was in hand goes first and one at a time, so that a culprit stands alone."""
    rows = outbox.by_id(tick.connection, memory.crashed)
    unfinished = {State.PENDING, State.UPLOADED, State.UPLOADING, State.SENDING}
    memory.crashed = [row for row in memory.crashed if row in rows and rows[row].state in unfinished]
    if not memory.crashed or tick.busy():
        return
    row = rows[memory.crashed[0]]
    if row.state is State.UPLOADED:
        _claim_first(memory, tick, [row])
    else:
        _claim_upload(memory, tick, [row])
    if not tick.busy() and not _waits_for_all(memory, tick, row):
        memory.crashed = memory.crashed[1:]  # held by something of its own: let the others go on
        tick.wakes.append(tick.now)


def _waits_for_all(memory: Memory, tick: Tick, row: Delivery) -> bool:
    """Say whether what holds back a row would hold back any other: a token, the API's pause or its pace."""
    place = Place(send_api(row) if row.state is State.UPLOADED else API_UPLOAD)
    token = any(isinstance(job, FetchToken) for job in (*tick.out, *tick.jobs))
    return token or memory.holds(tick, place) or memory.slot(tick, place) > tick.now


# --- Sends -------------------------------------------------------------------------------------


def _claim_sends(memory: Memory, tick: Tick) -> None:
    """Claim the next message of every conversation: one at a time each, earliest settled first."""
    if not memory.may_send or memory.free_workers(tick) <= 0 or memory.holds(tick, Place(APP)):
        return
    for conversation in sorted(memory.may_send - tick.conversations()):
        place = Place(message_api(conversation), conversation)
        slot = memory.slot(tick, place)
        if conversation in tick.conversations():
            continue  # with another person's message
        if slot > tick.now:
            tick.wakes.append(slot)
        elif memory.free_workers(tick) <= 0:
            return
        elif memory.holds(tick, place):
            # What holds the robot need not hold the drive.
            where = (tick.connection, memory.held(tick.now), tick.now, conversation)
            _claim_first(memory, tick, outbox.next_entry_to_send(*where))
        else:
            _claim_next(memory, tick, conversation)


def _claim_next(memory: Memory, tick: Tick, conversation: str) -> None:
    rows = _ready(memory, tick, conversation)
    first = next(rows, None)
    if first is None:
        memory.may_send.discard(conversation)
    else:
        _claim_first(memory, tick, chain([first], rows))


def _ready(memory: Memory, tick: Tick, conversation: str) -> Iterator[Delivery]:
    """Yield a conversation's rows that are uploaded and due, earliest settled first.

    Before all others goes the one whose line was sent. Mostly the first is all that is wanted, so few are
    asked for at once.
    """
    seen: set[int] = set()
    where = (tick.connection, memory.held(tick.now), tick.now, conversation)
    announced = memory.announced.get(conversation)
    if announced is not None:
        rows = outbox.this_to_send(*where, announced)
        if not rows:
            memory.announced.pop(conversation)
        yield from rows
        seen.add(announced)
    limit = FEW
    while True:
        rows = outbox.next_to_send(*where, limit)
        yield from (row for row in rows if row.id not in seen)
        if len(rows) < limit:
            return
        seen.update(row.id for row in rows)
        limit *= FEW


def _claim_first(memory: Memory, tick: Tick, rows: Iterable[Delivery]) -> None:
    """Claim the first of a conversation's rows that nothing holds back."""
    found = _first(memory, tick, rows)
    if found is not None:
        _claim_send(memory, tick, *found)


def _first(memory: Memory, tick: Tick, rows: Iterable[Delivery]) -> tuple[Delivery, Dress] | None:
    """Return the first of a conversation's rows that nothing holds back, if it may go now."""
    for row in rows:
        # Its upload was lost by another row, or it was renamed to what it cannot be called: no failure of
        # this one.
        named = bool(row.upload_name)
        dress = worn(row.name, row.digest, memory.settings.app, row.form, row.upload_type, named=named)
        if row.media_id is None or _unfit(row, dress):
            tick.changes.append(Change(row.id, Event.MEDIA_LOST, State.UPLOADED))
            tick.apply()  # this very tick looks for uploads, and would find none for long
            memory.may_upload = True
            continue
        if row.older_in_flight and outbox.older_blocks(
            tick.connection, row, resends=memory.settings.resend_uncertain
        ):
            continue
        if row.route is Route.DRIVE and _drive_waits(memory, tick, row):
            continue
        hold_until = (row.uploaded_at or row.settled_at) + HOLD_FOR_UPLOAD
        if row.upload_ahead and row.announced_at is None and hold_until > tick.now:
            tick.wakes.append(hold_until)
            return None
        return row, dress
    return None


def _drive_waits(memory: Memory, tick: Tick, row: Delivery) -> bool:
    """Say whether an entry may not be sent now, while what goes by the robot may."""
    return memory.holds(tick, Place(send_api(row), row.conversation)) or begun.being_committed(
        tick.connection, row.upload_type, row.upload_name, row.upload_key
    )


def _unfit(row: Delivery, dress: Dress) -> bool:
    """Say whether a file was renamed so that what was uploaded cannot go under its name."""
    if row.upload_name:
        return dress.key.id != row.upload_key  # people are shown the upload's own name
    return row.form is Form.PLAIN and not dress.notice and not dress.key.extension


def _claim_send(memory: Memory, tick: Tick, row: Delivery, dress: Dress) -> None:
    """Claim a row's message: the line before its file where that is to come, else the file or notice."""
    said = _line(memory, tick, row, dress)
    api = send_api(row) if said is None else message_api(row.conversation)
    place = Place(api, row.conversation)
    slot = memory.slot(tick, place)
    if slot > tick.now:
        tick.wakes.append(slot)
        return
    if memory.holds(tick, place) or any(memory.needs_token(tick, host) for host in hosts_of(api)):
        return
    others = tuple(_others(memory, tick, row, said)) if api == API_SEND_PERSONS else ()
    if said is None:
        _claim_file(memory, tick, (row, *others), dress)
    else:
        outbox.announce(tick.connection, [one.id for one in (row, *others)], tick.now)
        memory.announced |= {one.conversation: one.id for one in (row, *others)}
        tick.jobs.append(Announce(row, said, others))
    tick.slots.append(place_of_rows(api, (row, *others)))


def _claim_file(memory: Memory, tick: Tick, rows: Sequence[Delivery], dress: Dress) -> None:
    for row in rows:
        memory.announced.pop(row.conversation, None)
        tick.changes.append(
            Change(row.id, Event.CLAIM, State.UPLOADED, None, {"claimed_at": tick.now}, row.version)
        )
    row, *others = rows
    wording = memory.settings.wording_of(row.folder)
    instead = notice(wording, row.path, row.fingerprint.size) if dress.notice else None
    tick.jobs.append(Send(row, row.media_id or "", dress, instead, tuple(others)))


def _line(memory: Memory, tick: Tick, row: Delivery, dress: Dress) -> Message | None:
    """Return the line that is to go before a row's file; None where there is none, or it has gone."""
    wording = memory.settings.wording_of(row.folder)
    if dress.notice or row.announced_at is not None or wording.template is None:
        return None
    changed = outbox.sent_before(tick.connection, row.id)
    return line(wording, row.path, row.fingerprint.size, changed=changed)


def _others(memory: Memory, tick: Tick, row: Delivery, said: Message | None) -> Iterator[Delivery]:
    """Yield the rows of the same version whose persons can be sent the same in the same call."""
    if row.id in memory.alone or memory.crashed:
        return
    number = 1
    for conversation in outbox.persons_waiting(tick.connection, tick.now, row.version):
        place = Place(API_SEND_PERSONS, conversation)
        if (
            conversation == row.conversation
            or conversation in tick.conversations()
            or memory.holds(tick, place)
            or memory.slot(tick, place) > tick.now
        ):
            continue
        found = _first(memory, tick, _ready(memory, tick, conversation))
        if found is None or found[0].id in memory.alone:
            continue
        other, dress = found
        same = other.version == row.version and other.media_id == row.media_id
        if same and _line(memory, tick, other, dress) == said:
            number += 1
            yield other
        if number == MOST_PERSONS:
            return


# --- Uploads -----------------------------------------------------------------------------------


def _claim_uploads(memory: Memory, tick: Tick) -> None:
    if not memory.may_upload:
        return
    free = {Route.ROBOT: _free_for_media(memory, tick), Route.DRIVE: drives.AT_ONCE - len(tick.drives)}
    contents = [
        rows
        for route, number in free.items()
        if number > 0
        for rows in outbox.to_upload(tick.connection, memory.held(tick.now), tick.now, number, route)
    ]
    memory.may_upload = bool(contents) or min(free.values()) <= 0
    for rows in contents:
        _claim_upload(memory, tick, rows)


def _free_for_media(memory: Memory, tick: Tick) -> int:
    """Return how many contents may be uploaded as media now."""
    if memory.holds(tick, Place(API_UPLOAD)):
        return 0
    uploading = sum(place.api == API_UPLOAD for place in tick.busy())
    # One worker is left for sends, or slow uploads would hold back what is ready to go.
    return min(memory.free_workers(tick), max(memory.settings.workers - 1, 1) - uploading)


def _claim_upload(memory: Memory, tick: Tick, rows: Sequence[Delivery]) -> None:
    """Claim all rows of one content: a job, or none where DingTalk has it already."""
    source = rows[0]
    dress = _dress_of(memory, source)
    rows = _dressed_alike(memory, tick, rows, dress)
    refusal = _preflight(memory, source, dress)
    if refusal is not None:
        _refuse(tick, rows, *refusal)
    elif dress.key.id != source.upload_key:
        outbox.redress(memory.store, tick.connection, [source.id], dress)
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
            outbox.redress(memory.store, tick.connection, [row.id], own[row.id])
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
