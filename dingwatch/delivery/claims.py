"""Claims: what is uploaded and sent next, and when to look again.

Each function returns the earliest instant at which its answer may be another one, and WHEN_WOKEN where only
an outcome, a command or a new file can change it. The loop sleeps until the earliest of all of them, so a
branch that claims nothing has to say what it waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dingwatch import files, names, notice_text, policy
from dingwatch.delivery import drives
from dingwatch.delivery.jobs import DriveJob, FetchToken, ProbeStore, Send, SendCaption, Upload
from dingwatch.delivery.limits import APP, Target, hosts_of, message_target
from dingwatch.delivery.state import WHEN_WOKEN, TickContext
from dingwatch.delivery.turns import Step, take_turns
from dingwatch.dingtalk import API_UPLOAD, MEDIA_LIMIT, Host
from dingwatch.ledger import queues
from dingwatch.ledger.delivery import Delivery, find_deliveries, mark_caption_sent
from dingwatch.ledger.queues import UploadQueue
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import set_payload, set_upload_states
from dingwatch.lifecycle import IN_WORK, Event, State
from dingwatch.model import Cause, Form, Route
from dingwatch.notice_text import Message
from dingwatch.pace import LONG_AGO
from dingwatch.payload import Payload, choose_payload, rebuild_payload
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Log

MORE: Final = 4
"""How many times more rows of a recipient's queue are read when none can go; mostly the very first can."""
HOLD_FOR_OTHERS: Final = 60.0
"""Seconds that the probe of an API waits for the upload of a recipient that was not refused."""
MESSAGES: Final = "messages"
"""What recipients take turns for, besides the routes of uploads."""
CANDIDATES: Final = 8
"""Contents of one folder that are tried in one turn, where the first of them cannot go."""
HOLD_FOR_UPLOAD: Final = 5.0
"""Seconds that a file waits for the first upload of one that settled earlier."""


def claim(tick: TickContext) -> float:
    """Claim what may go now: doubted rows, then what a crash interrupted, then messages, then uploads."""
    again = [_resend_doubted(tick)]
    for host in sorted(tick.state.pauses.probes(tick.now)):
        tick.needs_token(host, force=True)
    again.append(_probe_stores(tick))
    if tick.state.crashed:
        again.append(_claim_crashed(tick))
    if not tick.state.crashed:
        again += [_claim_messages(tick), _claim_uploads(tick)]
    again += [tick.state.pauses.next_end(tick.now), queues.next_due(tick.connection, tick.now)]
    return min(again)


def _probe_stores(tick: TickContext) -> float:
    """Probe paused stores of the drive, each by one job at a time."""
    asked = {job.address for job in tick.in_hand if isinstance(job, ProbeStore)}
    waiting = {at: due for at, due in tick.state.pauses.due_probes(tick.now).items() if at not in asked}
    for address, due in waiting.items():
        if due <= tick.now:
            tick.issue(ProbeStore(address))
    return min((due for due in waiting.values() if due > tick.now), default=WHEN_WOKEN)


# --- Doubts and crashes --------------------------------------------------------------------------


def _resend_doubted(tick: TickContext) -> float:
    """Send doubted rows once more, when a call that is safe to repeat has shown that DingTalk answers."""
    if not tick.settings.resend_uncertain:
        return WHEN_WOKEN
    rows = queues.list_doubted_once(tick.connection)
    return min((_resend_when_ready(tick, row) for row in rows), default=WHEN_WOKEN)


def _resend_when_ready(tick: TickContext, row: Delivery) -> float:
    doubted_at = row.doubted_at or 0.0
    ready = doubted_at + policy.DOUBT_WAIT
    if ready > tick.now:
        return ready
    if max(tick.state.served_at.values(), default=LONG_AGO) > doubted_at:
        columns = {"due": tick.now, "uncertain_resent": True}
        tick.apply(Change(row.id, Event.REQUEUE, State.UNCERTAIN, None, columns))
        tick.log(Log.RESENDING, path=names.readable(row.path), conversation=row.recipient)
    else:
        # Only the token call can be repeated without anybody seeing it.
        tick.needs_token(Host.API, force=True)
    return WHEN_WOKEN


def _claim_crashed(tick: TickContext) -> float:
    """Claim one of the rows that were in hand at a crash.

    A file whose reading kills the process would kill it again and again. One at a time, it is found: after
    three crashes with the same row alone in hand, `recover` puts that row aside.
    """
    state = tick.state
    rows = find_deliveries(tick.connection, state.crashed)
    state.crashed = [row for row in state.crashed if row in rows and rows[row].state in IN_WORK]
    if not state.crashed or tick.targets:
        return WHEN_WOKEN
    row = rows[state.crashed[0]]
    again = _claim_first(tick, [row]) if row.state is State.UPLOADED else _claim_content(tick, [row])
    if tick.targets or _is_held_with_all(tick, row):
        return again
    state.crashed = state.crashed[1:]  # something of its own holds it, which may take hours
    return tick.now


def _is_held_with_all(tick: TickContext, row: Delivery) -> bool:
    """Return whether what holds a row back would hold any other: a token, the API's pause or its pace."""
    uploaded = row.state is State.UPLOADED
    target = Target(recipient_kind(row.recipient).api_by(row.route) if uploaded else API_UPLOAD)
    token = any(isinstance(job, FetchToken) for job in tick.in_hand)
    return token or tick.is_paused(target) or tick.next_slot(target) > tick.now


# --- Messages ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ready:
    """A row whose message nothing holds back, and its file as it was uploaded."""

    row: Delivery
    payload: Payload


def _claim_messages(tick: TickContext) -> float:
    """Claim the next message of every recipient in turn: one at a time each, earliest settled first."""
    again = WHEN_WOKEN
    if not tick.can_send() or tick.is_paused(Target(APP)):
        return again
    waiting = tick.state.turns.sort(queues.recipients_to_send(tick.connection, tick.now), MESSAGES)
    # When the pause of a whole API is probed, the probe is for somebody who was not refused.
    for recipient in sorted(waiting, key=tick.state.pauses.is_refused):
        # Two messages to one group at the same time may arrive in either order.
        if recipient not in tick.recipients:
            again = min(again, _claim_for(tick, recipient))
        if not tick.can_send():
            break
    return again


def _claim_for(tick: TickContext, recipient: str) -> float:
    target = message_target(recipient)
    slot = max(tick.next_slot(target), _free_for_refused(tick, target))
    if slot > tick.now:
        return slot
    if not tick.is_paused(target):
        return _claim_first(tick, _ready_rows(tick, recipient))
    # The robot may be refused in a group where the drive's entries still arrive.
    if tick.is_paused(Target(recipient_kind(recipient).api_by(Route.DRIVE), (recipient,))):
        return WHEN_WOKEN
    rows = queues.next_entry_to_send(tick.connection, tick.paused, tick.now, recipient)
    return _claim_first(tick, rows)


def _free_for_refused(tick: TickContext, target: Target) -> float:
    """Return when a refused recipient may be the probe of its whole API: others go first, if they can soon.

    Two groups without the robot were refused, so all groups wait. Were one of these two the probe each time,
    the others would wait until somebody adds the robot there.
    """
    pauses = tick.state.pauses
    since = pauses.probing_since(target.api, tick.now)
    if since is None or not all(map(pauses.is_refused, target.recipients)):
        return tick.now
    uploading = (row.recipient for job in tick.in_hand if isinstance(job, Upload) for row in job.rows)
    soon = {*uploading, *queues.recipients_to_upload(tick.connection, Route.ROBOT)}
    others = any(recipient_kind(one).message_api == target.api and not pauses.is_refused(one) for one in soon)
    return since + HOLD_FOR_OTHERS if others else tick.now


def _ready_rows(tick: TickContext, recipient: str) -> Iterator[Delivery]:
    """Yield a recipient's rows that are uploaded and due: first the one whose caption was sent."""
    where = (tick.connection, tick.paused, tick.now, recipient)
    seen: set[int] = set()
    # The caption "a.pdf" stands in the chat. Were b.pdf to follow, people would take it for a.pdf.
    captioned = tick.state.captioned.get(recipient)
    if captioned is not None:
        rows = queues.find_to_send(*where, captioned)
        if not rows:
            tick.state.captioned.pop(recipient)
        yield from rows
        seen.add(captioned)
    limit = 1
    while True:
        rows = queues.next_to_send(*where, limit)
        yield from (row for row in rows if row.id not in seen)
        if len(rows) < limit:
            return
        seen.update(row.id for row in rows)
        limit *= MORE


def _claim_first(tick: TickContext, rows: Iterable[Delivery]) -> float:
    """Claim the message of the first of a recipient's rows that nothing holds back."""
    found = _first_ready(tick, rows)
    return _claim_message(tick, found) if isinstance(found, _Ready) else found


def _first_ready(tick: TickContext, rows: Iterable[Delivery]) -> _Ready | float:
    """Return the first of a recipient's rows that nothing holds back; else when to look again."""
    resends = tick.settings.resend_uncertain
    for row in rows:
        payload = rebuild_payload(
            row.name, row.digest, tick.settings.app, row.form, row.upload_type, named=bool(row.upload_name)
        )
        if row.remote_id is None or _is_unfit(row, payload):
            # DingTalk forgot the upload and told it to another row, or the file was renamed. This row has
            # failed at nothing, so its count of lost uploads stays; the uploads of this tick look at it.
            tick.apply(Change(row.id, Event.MEDIA_LOST, State.UPLOADED))
            continue
        # The newer version waits for the older one that is on its way; rows of other files may go.
        if row.older_in_flight and queues.is_blocked_by_older(tick.connection, row.id, resends=resends):
            continue
        if row.route is Route.DRIVE and _is_entry_held(tick, row):
            continue
        hold_until = (row.uploaded_at or row.settled_at) + HOLD_FOR_UPLOAD
        if row.upload_ahead and row.caption_sent_at is None and hold_until > tick.now:
            return hold_until  # people see files in the order in which they were dropped
        return _Ready(row, payload)
    return WHEN_WOKEN


def _is_entry_held(tick: TickContext, row: Delivery) -> bool:
    """Return whether a drive entry may not be sent now, while messages of the robot may."""
    target = Target(recipient_kind(row.recipient).api_by(row.route), (row.recipient,))
    return tick.is_paused(target) or queues.is_name_uploading(
        tick.connection, row.upload_type, row.upload_name, row.upload_key
    )


def _is_unfit(row: Delivery, payload: Payload) -> bool:
    """Return whether a file was renamed so that what was uploaded cannot go under its name."""
    if row.upload_name:
        return payload.key.id != row.upload_key  # people are shown the upload's own name
    return row.form is Form.PLAIN and not payload.notice and not payload.key.extension


def _claim_message(tick: TickContext, ready: _Ready) -> float:
    """Claim a row's message: the caption before its file where that is to come, else the file or notice."""
    row = ready.row
    caption = _caption_before(tick, ready)
    kind = recipient_kind(row.recipient)
    api = kind.api_by(row.route) if caption is None else kind.message_api
    target = Target(api, (row.recipient,))
    slot = tick.next_slot(target)
    if slot > tick.now:
        return slot
    if tick.is_paused(target) or any(tick.needs_token(host) for host in hosts_of(api)):
        return WHEN_WOKEN
    # A file for 30 persons is one call instead of 30, of 5,000 in a month.
    others = _others_ready(tick, ready, caption) if kind.batch > 1 and api == kind.message_api else ()
    rows = (row, *others)
    target = Target(api, tuple(one.recipient for one in rows))
    for recipient in target.recipients:
        tick.turns.append((MESSAGES, recipient))
    if caption is None:
        _issue_file(tick, rows, target, ready.payload)
    else:
        mark_caption_sent(tick.connection, [one.id for one in rows], tick.now)
        tick.state.captioned |= {one.recipient: one.id for one in rows}
        tick.issue(SendCaption(rows, target, caption))
    return WHEN_WOKEN


def _issue_file(tick: TickContext, rows: tuple[Delivery, ...], target: Target, payload: Payload) -> None:
    row, columns = rows[0], {"claimed_at": tick.now}
    for one in rows:
        tick.state.captioned.pop(one.recipient, None)
    tick.apply(
        *(Change(one.id, Event.CLAIM, State.UPLOADED, None, columns, one.version) for one in rows),
    )
    instead = _notice(tick, row) if payload.notice else None
    tick.issue(Send(rows, target, row.remote_id or "", payload, instead))


def _notice(tick: TickContext, row: Delivery) -> Message:
    wording = tick.settings.of_folder(row.folder).wording
    changed = wording.notice is not None and queues.was_noticed_before(tick.connection, row.id)
    return notice_text.notice(wording, row.path, row.fingerprint.size, changed=changed)


def _caption_before(tick: TickContext, ready: _Ready) -> Message | None:
    """Return the caption that is to go before a row's file; None where there is none, or it has gone."""
    row = ready.row
    wording = tick.settings.of_folder(row.folder).wording
    if ready.payload.notice or row.caption_sent_at is not None or wording.caption is None:
        return None
    changed = queues.was_sent_before(tick.connection, row.id)
    return notice_text.caption(wording, row.path, row.fingerprint.size, changed=changed)


def _others_ready(tick: TickContext, ready: _Ready, caption: Message | None) -> Iterator[Delivery]:
    """Yield the rows of the same version whose recipients can be sent the same in the same call."""
    row, kind, number = ready.row, recipient_kind(ready.row.recipient), 1
    if row.id in tick.state.alone or tick.state.crashed:
        return
    for recipient in queues.recipients_of_version(tick.connection, tick.now, row.version):
        target = Target(kind.message_api, (recipient,))
        if (
            recipient == row.recipient
            or recipient in tick.recipients
            or recipient_kind(recipient) is not kind
            or tick.is_paused(target)
            or tick.next_slot(target) > tick.now
        ):
            continue
        # The other's queue may begin with another file, which must not be overtaken.
        found = _first_ready(tick, _ready_rows(tick, recipient))
        if not isinstance(found, _Ready) or found.row.id in tick.state.alone:
            continue
        same = found.row.version == row.version and found.row.remote_id == row.remote_id
        if same and _caption_before(tick, found) == caption:
            number += 1
            yield found.row
        if number == kind.batch:
            return


# --- Uploads -------------------------------------------------------------------------------------


def _claim_uploads(tick: TickContext) -> float:
    """Claim what can be uploaded, in turn: as media, and to the drive step by step."""
    waits = queues.has_due(tick.connection, State.PENDING, tick.now)
    if not waits and not tick.state.drives:
        return WHEN_WOKEN
    # Where no folder uses the drive, rows of that route are left over from an earlier configuration. They are
    # uploaded as all others, with the payload that the present configuration wants.
    as_media = (Route.ROBOT,) if tick.settings.uses_drive else tuple(Route)
    again = [_take_turns(tick, route, _next_media, _upload_next) for route in as_media] if waits else []
    if tick.settings.uses_drive:
        again.append(_take_turns(tick, Route.DRIVE, _next_drive_job, _drive_next))
    return min(again)


def _take_turns(
    tick: TickContext,
    route: Route,
    next_start: Callable[[TickContext], float],
    step: Callable[[TickContext, UploadQueue], Step],
) -> float:
    """Give turns to all who have something to upload by a route.

    `next_start` returns the earliest instant at which anybody's next step can begin.
    """
    if (start := next_start(tick)) > tick.now:
        return start
    sessions = [drives.queue_of(one) for one in tick.state.drives.values() if route is Route.DRIVE]

    def folders_of(recipient: str) -> list[int | None]:
        begun = [queue.folder for queue in sessions if queue.recipient == recipient]
        return list(dict.fromkeys([*begun, *queues.folders_to_upload(tick.connection, route, recipient)]))

    def take(queue: UploadQueue) -> Step:
        made = step(tick, queue)
        if made.done:
            tick.turns.append((route, queue.recipient, queue.folder))
        start = next_start(tick)
        return made if start <= tick.now else replace(made, again=min(made.again, start), all_wait=True)

    waiting = queues.recipients_to_upload(tick.connection, route)
    recipients = dict.fromkeys([*(queue.recipient for queue in sessions), *waiting])
    return take_turns(tick.state.turns, route, recipients, folders_of, take)


def _next_media(tick: TickContext) -> float:
    """Return when the next upload as media can begin: with a free worker, and by the pace."""
    return tick.next_slot(Target(API_UPLOAD)) if tick.free_workers() > 0 else WHEN_WOKEN


def _upload_next(tick: TickContext, queue: UploadQueue) -> Step:
    """Claim the next content of a queue, to be uploaded as media."""
    # A custom robot gets notices alone, which need no upload.
    if tick.is_paused(Target(API_UPLOAD)) and recipient_kind(queue.recipient).takes_files:
        return Step(done=False)
    uploads = [job for job in tick.in_hand if isinstance(job, Upload)]
    # Three slow uploads of one folder leave a worker to another folder's file.
    if len(uploads) >= max(tick.settings.workers - 1, 1) and any(
        (job.source.recipient, job.source.folder) == (queue.recipient, queue.folder) for job in uploads
    ):
        return Step(done=False)
    return _claim_next(tick, queue, Host.OAPI)


def _next_drive_job(tick: TickContext) -> float:
    """Return when the next job of the drive can begin: when one of its threads is free."""
    return tick.now if len(_drive_jobs(tick)) < drives.THREADS else WHEN_WOKEN


def _drive_jobs(tick: TickContext) -> list[DriveJob]:
    return [job for job in tick.in_hand if isinstance(job, DriveJob)]


def _drive_next(tick: TickContext, queue: UploadQueue) -> Step:
    """Issue the next step of a queue's uploads to the drive: of one that is begun, or of another."""
    out = _drive_jobs(tick)
    # Two films of one folder leave a thread to another folder's file.
    if len(out) >= drives.THREADS - 1 and any(drives.queue_of(job) == queue for job in out):
        return Step(done=False)
    begun = [one for one in tick.state.drives.values() if drives.queue_of(one) == queue]
    again = WHEN_WOKEN
    for claimed in begun:
        issued, later = drives.issue_step(tick, claimed)
        if issued:
            return Step(done=True)
        again = min(again, later)
    if len(begun) >= drives.AT_ONCE:
        return Step(done=False, again=again)
    made = _claim_next(tick, queue, Host.API)
    return replace(made, again=min(again, made.again))


def _claim_next(tick: TickContext, queue: UploadQueue, host: Host) -> Step:
    """Claim the first content of a queue that can be, unless enough is uploaded ahead for its recipient.

    `host` is the one whose token the uploads need.
    """
    paused = tick.paused
    if queue.folder in paused.folders or not _may_upload_ahead(tick, queue):
        return Step(done=False)
    again = WHEN_WOKEN
    for rows in queues.first_contents(tick.connection, paused, tick.now, queue, CANDIDATES):
        before = len(tick.targets)
        again = min(again, _claim_content(tick, rows)) if rows else again
        if len(tick.targets) > before or again <= tick.now:
            return Step(done=True, again=again)
    # A token that must be fetched first is everybody's: who waits behind it would be read for nothing.
    waits_for_token = any(isinstance(job, FetchToken) and job.host is host for job in tick.in_hand)
    return Step(done=False, again=again, all_wait=waits_for_token)


def _may_upload_ahead(tick: TickContext, queue: UploadQueue) -> bool:
    """Return whether another content may be uploaded ahead of what is sent to a queue's recipient."""
    target = Target(recipient_kind(queue.recipient).api_by(queue.route), (queue.recipient,))
    most = tick.most_ahead(target)
    if most == 0:
        return False
    ahead, waits_since = queues.uploaded_ahead(tick.connection, tick.now, queue.route, queue.recipient, most)
    if ahead < most:
        return True
    # Thousands of shared contents may have been uploaded in the turns of others. What settled before all of
    # these is the next to be sent, so it is not uploaded ahead of anything.
    return waits_since is not None and queues.first_settled(tick.connection, tick.now, queue) < waits_since


def _claim_content(tick: TickContext, rows: Sequence[Delivery]) -> float:
    """Claim all rows of one content: a job, or none where DingTalk has it already."""
    source, payload, again = rows[0], _choose(tick, rows[0]), WHEN_WOKEN
    refusal = _refusal_without_call(tick, source, payload)
    same = [source]
    for row in rows[1:]:
        # Rows share a content across folders, and the settings of theirs may have changed meanwhile.
        own = _choose(tick, row)
        if own.key == payload.key:
            same.append(row)
        else:
            set_payload(tick.state.store, tick.connection, [row.id], own)
            again = tick.now
    if refusal is not None:
        _refuse(tick, same, *refusal)
    elif not source.digest and not payload.notice:
        _have_read(tick, same)
    elif payload.key.id != source.upload_key:
        set_payload(tick.state.store, tick.connection, [source.id], payload)
    elif source.upload_state == "have" or payload.notice:
        _pass_uploaded(tick, same)
    elif payload.route is Route.DRIVE:
        return min(again, drives.claim(tick, same, payload))
    else:
        return min(again, _claim_upload(tick, same, payload))
    # These rows were read in place of others, and no outcome will make the loop look at those.
    return tick.now


def _have_read(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Let intake read files that were to get a notice when they settled, and are to be sent since.

    The folder's settings were changed meanwhile. As with a file that changed, its rows are pending again as
    soon as it has settled once more.
    """
    tick.apply(*(Change(row.id, Event.VANISH, State.PENDING, files.changed().verdict.cause) for row in rows))
    tick.unread += rows


def _choose(tick: TickContext, row: Delivery) -> Payload:
    chosen_by = tick.settings.payload_policy(row)
    return choose_payload(row.name, row.fingerprint.size, row.digest, chosen_by, tick.state.refused)


def _pass_uploaded(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Take rows through both states at once: DingTalk has their content already."""
    claimed = {"claimed_at": tick.now}
    columns: dict[str, Any] = {"uploaded_at": tick.now, "due": tick.now, "crashes": 0}
    tick.apply(
        *(Change(row.id, Event.CLAIM, State.PENDING, None, claimed, row.version) for row in rows),
        *(Change(row.id, Event.UPLOAD_OK, State.UPLOADING, None, columns, row.version) for row in rows),
    )


def _claim_upload(tick: TickContext, rows: Sequence[Delivery], payload: Payload) -> float:
    target = Target(API_UPLOAD, folder=rows[0].folder)
    slot = tick.next_slot(target)
    if slot > tick.now:
        return slot
    if not tick.is_paused(target) and not tick.needs_token(Host.OAPI):
        columns = {"claimed_at": tick.now}
        tick.apply(*(Change(row.id, Event.CLAIM, State.PENDING, None, columns, row.version) for row in rows))
        set_upload_states(tick.connection, [rows[0].upload_key], "busy")
        tick.issue(Upload(tuple(rows), payload, target))
    return WHEN_WOKEN


def _refusal_without_call(tick: TickContext, row: Delivery, payload: Payload) -> tuple[Event, Cause] | None:
    """Return what would make the upload fail for certain, so that it costs no call."""
    if payload.notice:
        return None  # nothing is uploaded, so any size will do
    if row.fingerprint.size > MEDIA_LIMIT and payload.route is Route.ROBOT:
        return Event.REJECT, Cause("too_big", "", "TOO_BIG")
    if row.fingerprint.size == 0:
        return Event.SKIP, Cause("empty", "", "EMPTY")
    if payload.form is Form.ZIP and tick.settings.of_folder(row.folder).unsupported == "skip":
        return Event.SKIP, Cause("unsupported", "", "UNSUPPORTED")
    return None


def _refuse(tick: TickContext, rows: Sequence[Delivery], event: Event, cause: Cause) -> None:
    tick.apply(*(Change(row.id, event, State.PENDING, cause) for row in rows))
    text = Log.FAILED if event is Event.REJECT else Log.SKIPPED
    for row in rows:
        tick.log_row(text, row, cause)
