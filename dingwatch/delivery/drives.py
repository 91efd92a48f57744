"""Uploads to the drive, step by step: begun, put part by part, and made an entry at the end.

An entry has one name in its folder's own space, and a commit overwrites what was there under it. So an entry
never holds other bytes than those that are sent: nothing is uploaded under a name while another content of
that name is being sent or is due to be, nothing of that name is sent while an upload is on its way, and what
was uploaded before under it counts as lost before the commit leaves: its answer may never come.

How far an upload is stands in the ledger after every part; what is in here only says which are claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from dingwatch.delivery.jobs import Begin, Commit, DriveJob, Put
from dingwatch.delivery.state import Drive, LoopState, TickContext, target_of
from dingwatch.dingtalk import MOST_ADDRESSES, Host, Part, parts_of
from dingwatch.ledger import queues, uploads
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import UploadSession, set_upload_states
from dingwatch.lifecycle import Event, State
from dingwatch.model import MediaLost, Rejected, Vanished, Verdict
from dingwatch.payload import Payload

AT_ONCE: Final = 2
"""Uploads to the drive at a time."""
PARTS_AT_ONCE: Final = 3
"""Parts of one upload at a time; each holds a fraction of a MiB in memory."""
THREADS: Final = AT_ONCE * PARTS_AT_ONCE
WHOLE: Final = 64 << 20
"""Bytes up to which a file goes in one piece: one billed call less, and little to be put again."""


def parts_for(size: int) -> tuple[Part, ...]:
    """Cut a file as it is uploaded; a function of its size alone."""
    return (Part(1, 0, size),) if size <= WHOLE else parts_of(size)


def next_steps(
    drive: Drive, session: UploadSession | None, finished: Collection[int], out: Sequence[DriveJob]
) -> list[DriveJob]:
    """Say what an upload needs next, given what the store has of it and which steps are out."""
    rows, payload, parts = drive.rows, drive.payload, parts_for(drive.rows[0].fingerprint.size)
    if any(not isinstance(job, Put) for job in out):
        return []
    if session is None:
        one = Put(rows, payload, parts[0], None) if len(parts) == 1 else Begin(rows, payload)
        return [] if out else [one]
    under_way = {job.part.number for job in out if isinstance(job, Put)}
    left = [part for part in parts if part.number not in finished and part.number not in under_way]
    if not left:
        return [] if out else [Commit(rows, payload, session)]
    ahead = tuple(part.number for part in left[: MOST_ADDRESSES + PARTS_AT_ONCE])
    return [
        Put(rows, payload, part, session, ahead[i : i + MOST_ADDRESSES])
        for i, part in enumerate(left[: PARTS_AT_ONCE - len(under_way)])
    ]


# --- Claims --------------------------------------------------------------------------------------


def claim(state: LoopState, tick: TickContext, rows: Sequence[Delivery], payload: Payload) -> None:
    """Claim all rows of one content, unless its entry still holds what is to be sent."""
    key = payload.key
    name = (tick.connection, key.type, key.name, key.id)
    drive = Drive(tuple(rows), payload)
    if (
        key.id in tick.drives  # for another row, which was in hand at a crash and went first
        or len(tick.drives) >= AT_ONCE
        or queues.is_name_uploading(*name)
        or queues.is_name_sending(*name, state.paused(tick.now), tick.now)
        or not _steps(state, tick, drive)
    ):
        return
    columns = {"claimed_at": tick.now}
    tick.changes += [Change(row.id, Event.CLAIM, State.PENDING, None, columns, row.version) for row in rows]
    set_upload_states(tick.connection, [key.id], "busy")
    tick.drives[key.id] = drive


def go_on(state: LoopState, tick: TickContext) -> None:
    """Issue the next steps of what is claimed."""
    for drive in tick.drives.values():
        _steps(state, tick, drive)


def _steps(state: LoopState, tick: TickContext, drive: Drive) -> int:
    """Issue the next steps of one upload; return how many."""
    key = drive.payload.key.id
    out = [job for job in (*tick.out, *tick.jobs) if isinstance(job, DriveJob) and job.payload.key.id == key]
    issued = 0
    for job in next_steps(drive, *uploads.find_session(tick.connection, key), out):
        target = target_of(job)
        assert target is not None  # noqa: S101 (only a token call has none)
        slot = state.slot(tick, target)
        if slot > tick.now:
            tick.wakes.append(slot)
            break
        if state.blocks(tick, target) or state.needs_token(tick, Host.API):
            break
        if isinstance(job, Commit):
            uploads.forget_same_name(tick.connection, job.payload.key.type, job.payload.key.name, key)
        tick.slots.append(target)
        tick.jobs.append(job)
        issued += 1
    return issued


# --- Outcomes ------------------------------------------------------------------------------------


def session(tick: TickContext, job: Begin, made: UploadSession) -> None:
    """An upload is begun."""
    uploads.begin_session(tick.connection, job.payload.key.id, made)


def put(tick: TickContext, job: Put, made: UploadSession) -> None:
    """The store has one more part."""
    key = job.payload.key.id
    if job.session is None:
        uploads.begin_session(tick.connection, key, made)
    uploads.finish_part(tick.connection, key, made, job.part.number)
    uploads.clear_crashes(tick.connection, [row.id for row in job.rows])


def committed(tick: TickContext, job: Commit) -> None:
    """The entry holds this content."""
    uploads.end_session(tick.connection, job.payload.key.id)
    tick.drives.pop(job.payload.key.id, None)


def given_up(tick: TickContext, job: DriveJob, verdict: Verdict) -> None:
    """A step has failed; its parts stay, unless DingTalk has lost or refused them, or they may be others'."""
    tick.drives.pop(job.payload.key.id, None)
    if isinstance(verdict, MediaLost | Rejected | Vanished):
        uploads.end_session(tick.connection, job.payload.key.id)


def release(tick: TickContext) -> None:
    """At a stop: what is claimed and has no step out waits again."""
    rows = [row for drive in tick.drives.values() for row in drive.rows]
    tick.changes += [Change(row.id, Event.RETRY, State.UPLOADING, None, {"due": tick.now}) for row in rows]
    tick.apply()
    set_upload_states(tick.connection, list(tick.drives), "none")
    tick.drives.clear()


def is_current(tick: TickContext, job: DriveJob) -> bool:
    """Say whether a step belongs to the claim that is in force, not to one that was given up."""
    drive = tick.drives.get(job.payload.key.id)
    return drive is not None and drive.rows == job.rows
