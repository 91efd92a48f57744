"""Enters outcomes: what success means for the rows, their upload and the pauses over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dingwatch.delivery import drive_upkeep, drives, failures, late_outcomes, screening
from dingwatch.delivery.jobs import (
    AskRoom,
    Begin,
    Commit,
    DeleteEntry,
    Done,
    FetchToken,
    Job,
    MembersLost,
    Outcome,
    ProbeStore,
    Put,
    PutDone,
    Question,
    Screen,
    Send,
    SendCaption,
    SendDone,
    ToPeople,
    Upkeep,
    Upload,
)
from dingwatch.delivery.limits import APP, Target, hosts_of
from dingwatch.delivery.state import TickContext, about_message, messages
from dingwatch.ledger import queues
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.fencing import end_messages
from dingwatch.ledger.pauses import end_pauses, save_pauses
from dingwatch.ledger.transitions import NO_CAUSE, ONE_MORE, Change
from dingwatch.ledger.uploads import UploadDone, UploadSession, record_upload
from dingwatch.lifecycle import NOTICED, Event, State
from dingwatch.model import Cause, Pause, Scope, Verdict
from dingwatch.texts import Log


def enter(tick: TickContext, outcomes: Sequence[Outcome]) -> None:
    """Enter outcomes."""
    for outcome in outcomes:
        _let_others_go(tick, outcome.job)
        match outcome.job, outcome.result:
            case (Upload() | Commit()) as job, UploadDone() as done:
                _enter_upload(tick, job, done)
            case Begin() as job, UploadSession() as made:
                drives.begin_session(tick, job, made)
                _note_served(tick, job.target)
            case Put() as job, PutDone(made):
                drives.finish_part(tick, job, made)
                _note_served(tick, job.target)
            case (Send() | SendCaption()) as job, SendDone() as done:
                _enter_message(tick, job, done)
            case FetchToken() as job, Done():
                _enter_token(tick, job)
            case ProbeStore() as job, _:
                reached = isinstance(outcome.result, Done)
                ended = tick.state.pauses.enter_probe(
                    job.address, tick.now, tick.state.chance(), reached=reached
                )
                save_pauses(tick.state.store, tick.connection, ended, tick.now)
            case (Screen() | DeleteEntry() | AskRoom()) as job, result:
                _enter_other(tick, job, result)
            case job, MembersLost() | Verdict() as verdict:
                failures.fail(tick, job, verdict)
    _withdraw_superseded(tick, outcomes)


def _withdraw_superseded(tick: TickContext, outcomes: Sequence[Outcome]) -> None:
    """Withdraw rows that a newer version would have withdrawn, had they not been in a call just then.

    Somebody saved the file again while its first version was being sent, and that send was refused. The
    first version must not be sent after the second.
    """
    refused = [
        row.id
        for one in outcomes
        if isinstance(one.job, Send)
        and (isinstance(one.result, Verdict) or (isinstance(one.result, SendDone) and one.result.missed))
        for row in one.job.rows
    ]
    superseded = Cause("superseded", "", "SUPERSEDED")
    rows = queues.find_superseded(tick.connection, refused)
    tick.apply(*(Change(row, Event.VANISH, None, superseded) for row in rows))


def _let_others_go(tick: TickContext, job: Job) -> None:
    """End what a job kept others from: messages to its recipients and, after a crash, everything else."""
    if isinstance(job, ToPeople):
        end_messages(tick.connection, job.recipients, job.claim)
    # Its outcome is known, so it did not bring the process down.
    if tick.state.crashed and not isinstance(job, Question | Screen):
        ids = {row.id for row in job.rows}
        tick.state.crashed = [row for row in tick.state.crashed if row not in ids]


def _enter_upload(tick: TickContext, job: Upload | Commit, done: UploadDone) -> None:
    columns = {
        "uploaded_at": tick.now,
        "due": tick.now,
        "failures": 0,
        "waited": 0.0,
        "crashes": 0,
        "attempts": ONE_MORE,
    }
    tick.apply(
        *(
            Change(row.id, Event.UPLOAD_OK, State.UPLOADING, None, columns, row.version, row.claim)
            for row in job.rows
        )
    )
    entry = isinstance(job, Commit)
    record_upload(tick.connection, job.upload, done, tick.now, job.claim, entry=entry)
    if isinstance(job, Commit):
        drives.end_session(tick, job)
        drive_upkeep.note_uploaded(tick, job.payload.key.type)
    _note_served(tick, job.target)


def _enter_other(tick: TickContext, job: Screen | Upkeep, result: object) -> None:
    """Enter what came of a job that is neither an upload nor a message."""
    match job:
        case Screen():
            screening.enter(tick, job, result)
        case AskRoom():
            drive_upkeep.enter_room(tick, result)
        case DeleteEntry() if isinstance(result, Verdict):
            drive_upkeep.enter_failure(tick, job, result)
        case DeleteEntry():
            drive_upkeep.enter_deleted(tick, job)
            _note_served(tick, job.target)


def _enter_message(tick: TickContext, job: ToPeople, done: SendDone) -> None:
    if isinstance(job, Send):
        _enter_send(tick, job, done)
    else:
        _enter_caption(tick, job, done)


def _enter_send(tick: TickContext, job: Send, done: SendDone) -> None:
    _note_served(tick, _reached_target(job, done))
    missed = dict(done.missed)
    for rows in messages(job.rows):
        if rows[0].id in missed:
            failures.miss_recipient(tick, rows, missed[rows[0].id])
        else:
            _enter_reached(tick, job, rows, done)


def _reached_target(job: ToPeople, done: SendDone) -> Target:
    """Return the target of a call without the recipients whom it did not reach."""
    missed = dict(done.missed)
    reached = dict.fromkeys(row.recipient for row in job.rows if row.id not in missed)
    return replace(job.target, recipients=tuple(reached))


def _enter_reached(tick: TickContext, job: Send, rows: Sequence[Delivery], done: SendDone) -> None:
    """Enter that a message has reached one recipient: with one file, or with those of a bundle."""
    tick.state.alone -= {row.id for row in rows}
    columns: dict[str, Any] = {
        "process_query_key": done.process_query_key,
        "space_id": done.space_id,
        "entry_id": done.entry_id,
        "crashes": 0,
        "attempts": ONE_MORE,
    }
    if job.notice is not None:
        event, cause = Event.SKIP, Cause(NOTICED, "", "NOTICED")
    else:
        event, cause = Event.SEND_OK, None
        columns |= {"sent_at": tick.now, **NO_CAUSE}
    applied = tick.apply(
        *(Change(row.id, event, State.SENDING, cause, columns, row.version, row.claim) for row in rows)
    )
    if len(applied) < len(rows):
        in_time = {one.change.delivery for one in applied}
        late = [row for row in rows if row.id not in in_time]
        confirmed = late_outcomes.enter_reached(tick, job, late, done, columns)
        rows = [row for row in rows if row.id in in_time | confirmed]
        if not rows:
            return
    text = Log.SENT if job.notice is None else Log.NOTICED
    waited = max(tick.now - min(row.settled_at for row in rows), 0.0)
    tick.log(text, **about_message(rows), seconds=waited)


def _enter_caption(tick: TickContext, job: SendCaption, done: SendDone) -> None:
    """Enter that a caption was sent: the next message there is its file."""
    _note_served(tick, _reached_target(job, done))
    missed = dict(done.missed)
    for rows in messages(job.rows):
        if rows[0].id in missed:
            failures.miss_caption(tick, rows, missed[rows[0].id])


def _enter_token(tick: TickContext, job: FetchToken) -> None:
    state = tick.state
    state.doubted_tokens.discard(job.host)
    state.pauses.proven[job.host] = tick.now
    state.served_at[job.host] = tick.now
    app = state.pauses.known.get((Scope.APP, APP))
    if app is not None and app.by_token and not state.pauses.hosts_to_prove(app):
        _end_pauses(tick, [(Scope.APP, APP)])


def _note_served(tick: TickContext, target: Target) -> None:
    """A call came through: the pauses over it end, and its API is known to serve."""
    state = tick.state
    for api in target.apis:
        state.served_at[api] = tick.now
    for host in hosts_of(target.api):
        state.tokens_refused[host] = 0
        state.doubted_tokens.discard(host)
    over = ((key, state.pauses.known.get(key)) for key in target.scopes())
    _end_pauses(tick, [key for key, pause in over if pause and not _must_last(pause, tick.now)])


def _must_last(pause: Pause, now: float) -> bool:
    """Return whether a pause outlasts a success.

    DingTalk said "wait 60 s" to one of four calls in flight; the other three that come through say nothing
    about the next one.
    """
    return pause.fixed and pause.until > now


def _end_pauses(tick: TickContext, ended: Sequence[tuple[Scope, str]]) -> None:
    for key in ended:
        pause = tick.state.pauses.known.pop(key)
        end_pauses(tick.connection, [pause])
        tick.wakes_others = tick.wakes_others or not pause.own
        tick.state.pauses.store_probes.pop(key, None)
        if pause.failures > 1 or pause.scope is not Scope.API:
            tick.log(Log.RESUMED, scope=pause.scope, key=pause.key)
