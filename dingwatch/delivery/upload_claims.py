"""Claims of uploads: whose turn it is, and what of a content can go.

As in `claims`, each function that claims returns when its answer may be another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from dingwatch import files
from dingwatch.delivery import bundles, drive_upkeep, drives, screening
from dingwatch.delivery.bundles import Archive
from dingwatch.delivery.gathering import gather
from dingwatch.delivery.jobs import DriveJob, FetchToken, Upload, UploadArchive
from dingwatch.delivery.limits import Target, hosts_of, message_target
from dingwatch.delivery.state import WHEN_WOKEN, TickContext, messages
from dingwatch.delivery.turns import Step, take_turns
from dingwatch.dingtalk import API_UPLOAD, MEDIA_LIMIT, Host
from dingwatch.ledger import queues
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.queues import UploadQueue
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import set_payload
from dingwatch.lifecycle import Event, State
from dingwatch.model import Cause, Form, Route
from dingwatch.payload import Payload
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Log

CANDIDATES: Final = 8
"""Contents of one folder that are tried in one turn, where the first of them cannot go."""


def claim_uploads(tick: TickContext) -> float:
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
    # A share that is not mounted here may be mounted on another node, which has its files. Claimed here, each
    # of them would fail, and wait the longer the more often this node comes first.
    if queue.folder in tick.shares_down:
        return Step(done=False)
    if queue.folder in paused.folders or not _may_upload_ahead(tick, queue):
        return Step(done=False)
    if queue.route is Route.ROBOT:
        gather(tick, queue)
    again = WHEN_WOKEN
    for rows in queues.first_contents(tick.connection, paused, tick.now, queue, CANDIDATES):
        before = tick.count_working()
        again = min(again, claim_content(tick, rows)) if rows else again
        if tick.count_working() > before or again <= tick.now:
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
    ahead, waits_since = queues.uploaded_ahead(
        tick.connection, tick.paused, tick.now, queue.route, queue.recipient, most
    )
    if ahead < most:
        return True
    # Thousands of shared contents may have been uploaded in the turns of others. What settled before all of
    # these is the next to be sent, so it is not uploaded ahead of anything.
    return waits_since is not None and queues.first_settled(tick.connection, tick.now, queue) < waits_since


def claim_content(tick: TickContext, rows: Sequence[Delivery]) -> float:
    """Claim all rows of one content: a job, or none where DingTalk has it already."""
    if rows[0].bundle is not None:
        return _claim_archive(tick, [row for row in rows if row.bundle is not None])
    rows = [row for row in rows if row.bundle is None]
    source, payload, again = rows[0], tick.choose_payload(rows[0]), WHEN_WOKEN
    refusal = _refusal_without_call(tick, source, payload)
    same = [source]
    for row in rows[1:]:
        # Rows share a content across folders, and the settings of theirs may have changed meanwhile.
        own = tick.choose_payload(row)
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
    else:
        return min(again, _claim_screened(tick, same))
    # These rows were read in place of others, and no outcome will make the loop look at those.
    return tick.now


def _claim_screened(tick: TickContext, rows: Sequence[Delivery]) -> float:
    """Claim the rows of one content whose files may leave: for its upload, or for none if it needs none."""
    ready = screening.hold_unscreened(tick, rows)
    if not ready:
        return WHEN_WOKEN
    payload = tick.choose_payload(ready[0])
    if payload.notice or ready[0].upload_state == "have":
        _pass_uploaded(tick, ready)
        return tick.now  # they were read in place of others
    if payload.route is Route.DRIVE:
        until = drive_upkeep.hold_name(tick, payload.key.type, payload.key.name)
        return drives.claim(tick, ready, payload) if until is None else until
    return _claim_upload(tick, ready, payload)


def _have_read(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Let intake read files that were to get a notice when they settled, and are to be sent since.

    The folder's settings were changed meanwhile. As with a file that changed, its rows are pending again as
    soon as it has settled once more.
    """
    tick.apply(*(Change(row.id, Event.VANISH, State.PENDING, files.changed().verdict.cause) for row in rows))
    tick.unread += rows


def _pass_uploaded(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Take rows through both states at once: DingTalk has their content already."""
    columns: dict[str, Any] = {"uploaded_at": tick.now, "due": tick.now, "crashes": 0}
    claimed = tick.claim(rows, tick.draw_claim())
    tick.apply(
        *(
            Change(row.id, Event.UPLOAD_OK, State.UPLOADING, None, columns, row.version, row.claim)
            for row in claimed
        )
    )


def _claim_archive(tick: TickContext, rows: Sequence[Delivery]) -> float:
    """Claim the bundles of one archive, of all recipients; those that have changed are packed anew."""
    found: list[Archive] = []
    for together in messages(rows):
        if otherwise := bundles.go_otherwise(tick, together):
            bundles.gather_again(tick, otherwise)
            continue
        archive = bundles.archive_of(tick, together)
        if archive.holds:
            found.append(archive)
        else:
            bundles.rebuild(tick, archive)
    # What was changed has another upload now, and is looked at again.
    again = WHEN_WOKEN if len(found) == len(messages(rows)) else tick.now
    if not found:
        return tick.now
    same = [row for archive in found for row in archive.rows]
    if len(screening.hold_unscreened(tick, same)) < len(same):
        return again  # the folder has got a program since they were put together
    if found[0].payload.notice or same[0].upload_state == "have":
        _pass_uploaded(tick, same)
        return tick.now
    return min(again, _claim_upload(tick, same, found[0].payload, found[0].members))


def _claim_upload(
    tick: TickContext,
    rows: Sequence[Delivery],
    payload: Payload,
    members: tuple[tuple[Delivery, str], ...] = (),
) -> float:
    """Claim an upload: of one file, or of the archive that `members` are packed into."""
    target = Target(API_UPLOAD, folder=rows[0].folder)
    slot = tick.next_slot(target)
    if slot > tick.now:
        return slot
    if tick.is_paused(target):
        return WHEN_WOKEN
    # Files come hours apart, and both hosts' tokens have expired by then: fetched together, they cost the
    # time of one call, and the message does not wait for its token when the upload is done.
    for host in hosts_of(message_target(rows[0].recipient).api):
        tick.needs_token(host)
    if tick.needs_token(Host.OAPI):
        return WHEN_WOKEN
    # An archive is made for all its bundles or for none.
    claimed = tick.claim_upload(rows, whole=bool(members))
    if claimed:
        made = (
            UploadArchive(claimed, payload, target, members) if members else Upload(claimed, payload, target)
        )
        tick.issue(made)
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
