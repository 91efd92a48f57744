"""Uploads to the drive, step by step: begin a session, put part by part, commit it as an entry.

An entry has one name in its folder's own space, and a commit overwrites what was there under it. So an entry
never holds other bytes than those that are sent: nothing is uploaded under a name while another content of
that name is being sent or is due to be, nothing of that name is sent while an upload is on its way, and what
was uploaded before under it counts as lost before the commit leaves: its answer may never come.

How far an upload is stands in the ledger after every part; the state only says which are claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

from dingwatch.delivery.jobs import Begin, ClaimedContent, Commit, DriveJob, Put
from dingwatch.delivery.limits import Target
from dingwatch.delivery.state import WHEN_WOKEN, TickContext
from dingwatch.dingtalk import (
    API_COMMIT,
    API_PARTS_BEGIN,
    API_PUT,
    API_UPLOAD_INFO,
    MOST_ADDRESSES,
    Host,
    Part,
    parts_of,
)
from dingwatch.ledger import queues, uploads
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.queues import UploadQueue
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import Progress, UploadSession, release_upload
from dingwatch.lifecycle import Event, State
from dingwatch.model import MediaLost, Rejected, Vanished, Verdict
from dingwatch.payload import Payload

AT_ONCE: Final = 2
"""Uploads to the drive that are begun at a time, of one folder for one recipient."""
PARTS_AT_ONCE: Final = 3
"""Parts of one upload at a time; each holds a fraction of a MiB in memory."""
THREADS: Final = AT_ONCE * PARTS_AT_ONCE
"""Steps of all uploads to the drive at a time, which go in turn."""
WHOLE: Final = 64 << 20
"""Bytes up to which a file goes in one piece: one billed call less, and little to be put again."""


def parts_for(size: int) -> tuple[Part, ...]:
    """Cut a file as it is uploaded; a function of its size alone."""
    return (Part(1, 0, size),) if size <= WHOLE else parts_of(size)


def next_steps(
    claimed: ClaimedContent, session: UploadSession | None, finished: Collection[int], out: Sequence[DriveJob]
) -> list[DriveJob]:
    """Return the next steps of an upload, given what the store has of it and which steps are out."""
    rows, payload, folder = claimed.rows, claimed.payload, claimed.source.folder
    parts = parts_for(claimed.source.fingerprint.size)
    if any(not isinstance(job, Put) for job in out):
        return []  # a session that begins, or is committed, takes no parts
    if session is None:
        if out:
            return []
        if len(parts) == 1:
            target = Target(API_UPLOAD_INFO, folder=folder, also=API_PUT)
            return [Put(rows, payload, target, parts[0], None)]
        return [Begin(rows, payload, Target(API_PARTS_BEGIN, folder=folder))]
    under_way = {job.part.number for job in out if isinstance(job, Put)}
    left = [part for part in parts if part.number not in finished and part.number not in under_way]
    if not left:
        return [] if out else [Commit(rows, payload, Target(API_COMMIT, folder=folder), session)]
    # DingTalk gives up to 30 addresses in one billed call. Each part names those that are out as well, whose
    # threads may come to that call later than its own.
    wanted = [part.number for part in parts if part.number not in finished][: MOST_ADDRESSES + PARTS_AT_ONCE]
    return [
        Put(rows, payload, Target(API_PUT, folder=folder), part, session, _first(part.number, wanted))
        for part in left[: PARTS_AT_ONCE - len(under_way)]
    ]


def _first(number: int, numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers with one of them moved to the front."""
    return number, *(other for other in numbers if other != number)


# --- Claims --------------------------------------------------------------------------------------


def claim(tick: TickContext, rows: Sequence[Delivery], payload: Payload) -> float:
    """Claim all rows of one content, unless its entry still holds what is to be sent."""
    claimed, key = ClaimedContent(tuple(rows), payload), payload.key
    entry = (tick.connection, key.type, key.name, claimed.upload)
    drives = tick.state.drives
    # After a crash one row of a content goes first and alone; the others find its upload claimed already.
    if (
        claimed.upload in drives
        or queues.is_name_uploading(*entry)
        or queues.is_name_sending(*entry, tick.paused, tick.now)
    ):
        return WHEN_WOKEN
    step, again = _next_step(tick, claimed, uploads.find_progress(tick.connection, claimed.upload))
    if step is None:
        return again
    kept = tick.claim_upload(rows)
    if kept:
        drives[claimed.upload] = ClaimedContent(kept, payload)
        _issue(tick, replace(step, rows=kept))
    return WHEN_WOKEN


def queue_of(claimed: ClaimedContent) -> UploadQueue:
    """Return the queue in whose turn an upload was begun; its steps use the same queue's turns."""
    return UploadQueue(claimed.source.route, claimed.source.recipient, claimed.source.folder)


def issue_step(tick: TickContext, claimed: ClaimedContent) -> tuple[bool, float]:
    """Issue the next step of one upload, if it can go now; return whether, and when to look again."""
    progress = uploads.find_progress(tick.connection, claimed.upload)
    if progress.claim != claimed.claim:
        # This process was frozen, and another host goes on with the upload.
        del tick.state.drives[claimed.upload]
        return False, WHEN_WOKEN
    step, again = _next_step(tick, claimed, progress)
    if step is not None:
        _issue(tick, step)
    return step is not None, again


def _next_step(
    tick: TickContext, claimed: ClaimedContent, progress: Progress
) -> tuple[DriveJob | None, float]:
    """Return the next step of one upload, if it can go now, and when to look again."""
    out = [job for job in tick.in_hand if isinstance(job, DriveJob) and job.upload == claimed.upload]
    steps = next_steps(claimed, progress.session, progress.finished, out)
    if not steps:
        return None, WHEN_WOKEN
    step = steps[0]
    slot = tick.next_slot(step.target)
    if slot > tick.now:
        return None, slot
    if tick.is_paused(step.target) or tick.needs_token(Host.API):
        return None, WHEN_WOKEN
    return step, WHEN_WOKEN


def _issue(tick: TickContext, job: DriveJob) -> None:
    if isinstance(job, Commit):
        # Last week's report.pdf was another content in the same entry. Once this commit has left, that
        # content may be overwritten even if no answer comes, so it counts as lost from here on.
        key = job.payload.key
        uploads.forget_same_name(tick.connection, key.type, key.name, job.upload)
    tick.issue(job)


# --- Outcomes ------------------------------------------------------------------------------------


def begin_session(tick: TickContext, job: Begin, made: UploadSession) -> None:
    """Enter that DingTalk has begun a session."""
    uploads.begin_session(tick.connection, job.upload, made, job.claim)


def finish_part(tick: TickContext, job: Put, made: UploadSession) -> None:
    """Enter that the store has one more part."""
    if job.session is None:
        uploads.begin_session(tick.connection, job.upload, made, job.claim)
    uploads.finish_part(tick.connection, job.upload, made, job.part.number, job.claim)
    # A file of 1,000 parts may see three crashes that have nothing to do with it. Progress shows that it is
    # not the one that brings the process down.
    uploads.clear_crashes(tick.connection, [row.id for row in job.rows], job.claim)


def end_session(tick: TickContext, job: Commit) -> None:
    """Enter that the entry holds this content."""
    uploads.end_session(tick.connection, job.upload, job.claim)
    if is_current(tick, job):
        del tick.state.drives[job.upload]


def give_up(tick: TickContext, job: DriveJob, verdict: Verdict) -> None:
    """Give up a claim whose step failed; its parts stay unless they are lost, refused or of another file."""
    tick.state.drives.pop(job.upload, None)
    if isinstance(verdict, MediaLost | Rejected | Vanished):
        uploads.end_session(tick.connection, job.upload, job.claim)


def list_paused(tick: TickContext) -> list[ClaimedContent]:
    """Return the claimed uploads of folders that a person has paused or removed, once no step is out."""
    still = {*tick.state.pauses.by_hand, *tick.settings.left}
    paused = [one for one in tick.state.drives.values() if one.source.folder in still]
    out = {job.upload for job in tick.in_hand if isinstance(job, DriveJob)}
    return [one for one in paused if one.upload not in out]


def release(tick: TickContext, released: Iterable[ClaimedContent]) -> None:
    """Let claimed uploads that have no step out wait again: the service stops, or their folder is paused.

    The parts that the store has stay there, and the next claim goes on from them.
    """
    for claimed in list(released):
        due = {"due": tick.now}
        tick.apply(
            *(
                Change(row.id, Event.RETRY, State.UPLOADING, None, due, row.version, row.claim)
                for row in claimed.rows
            )
        )
        release_upload(tick.connection, claimed.upload, claimed.claim)
        del tick.state.drives[claimed.upload]


def is_current(tick: TickContext, job: DriveJob) -> bool:
    """Return whether a step belongs to the claim that is in force, not to one that was given up."""
    claimed = tick.state.drives.get(job.upload)
    return claimed is not None and claimed.claim == job.claim
