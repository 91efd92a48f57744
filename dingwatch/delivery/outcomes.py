"""Enters outcomes: what success means for the rows, their upload and the pauses over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dingwatch import names
from dingwatch.delivery import drives, failures
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    Done,
    DriveJob,
    FetchToken,
    Job,
    Outcome,
    Put,
    PutDone,
    Send,
    SendCaption,
    SendDone,
    ToPeople,
    Upload,
)
from dingwatch.delivery.limits import APP, Target, hosts_of
from dingwatch.delivery.state import LoopState, TickContext, rows_of, target_of
from dingwatch.ledger import pauses, queues
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.report import NOTICED
from dingwatch.ledger.transitions import NO_CAUSE, ONE_MORE, Change
from dingwatch.ledger.uploads import UploadDone, UploadSession, record_uploads
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Cause,
    Pause,
    Scope,
    Verdict,
)
from dingwatch.texts import Log


def enter(state: LoopState, tick: TickContext, outcomes: Sequence[Outcome]) -> None:
    """Enter outcomes; what they change is written together at the end."""
    for outcome in outcomes:
        _forget_crash(state, outcome.job)
        match outcome.job, outcome.result:
            case (Upload() | Commit()) as job, UploadDone() as done:
                _uploaded(state, tick, job, done)
            case Begin() as job, UploadSession() as made:
                drives.session(tick, job, made)
                _served(state, tick, _target(job))
            case Put() as job, PutDone(made):
                drives.put(tick, job, made)
                _served(state, tick, _target(job))
            case Send() as job, SendDone() as done:
                _sent(state, tick, job, done)
            case SendCaption() as job, SendDone() as done:
                _caption_sent(state, tick, job, done)
            case FetchToken() as job, Done():
                _token_came(state, tick, job)
            case job, Verdict() as verdict:
                failures.failed(state, tick, job, verdict)
    record_uploads(tick.connection, tick.uploads_done, tick.now)
    tick.apply()
    _withdraw_overtaken(tick, outcomes)


def _withdraw_overtaken(tick: TickContext, outcomes: Sequence[Outcome]) -> None:
    """A newer version could not withdraw what was being sent; when that has failed, it does."""
    refused = [
        row.id
        for one in outcomes
        if isinstance(one.job, Send)
        and (isinstance(one.result, Verdict) or (isinstance(one.result, SendDone) and one.result.missed))
        for row in one.job.rows
    ]
    superseded = Cause("superseded", "", "SUPERSEDED")
    tick.changes += [
        Change(row, Event.VANISH, None, superseded)
        for row in queues.find_superseded(tick.connection, refused)
    ]
    tick.apply()


def _forget_crash(state: LoopState, job: Job) -> None:
    """A row whose outcome is known did not bring the process down: it needs no special care."""
    if state.crashed and not isinstance(job, FetchToken):
        ids = {row.id for row in rows_of(job)}
        state.crashed = [row for row in state.crashed if row not in ids]


def _target(job: Upload | DriveJob | ToPeople) -> Target:
    target = target_of(job)
    assert target is not None  # noqa: S101 (only a token call has none)
    return target


def _uploaded(state: LoopState, tick: TickContext, job: Upload | Commit, done: UploadDone) -> None:
    columns = {
        "uploaded_at": tick.now,
        "due": tick.now,
        "failures": 0,
        "waited": 0.0,
        "crashes": 0,
        "attempts": ONE_MORE,
    }
    for row in job.rows:
        tick.changes.append(Change(row.id, Event.UPLOAD_OK, State.UPLOADING, None, columns))
        state.may_send.add(row.recipient)
    if isinstance(job, Commit):
        drives.committed(tick, job)
    tick.uploads_done[job.payload.key.id] = done
    state.may_upload = True  # rows of the same content may have come meanwhile, and waited for this
    _served(state, tick, _target(job))


def _sent(state: LoopState, tick: TickContext, job: Send, done: SendDone) -> None:
    _served(state, tick, _reached_target(job, done))
    missed = dict(done.missed)
    for row in job.rows:
        state.may_send.add(row.recipient)
        if row.id not in missed:
            _reached(state, tick, job, row, done)
        else:
            failures.person_missed(state, tick, row, missed[row.id])


def _reached_target(job: ToPeople, done: SendDone) -> Target:
    """Return the place of a call without the persons whom it did not reach."""
    missed = dict(done.missed)
    reached = [row.recipient for row in job.rows if row.id not in missed]
    return replace(_target(job), conversation=next(iter(reached), None), others=tuple(reached[1:]))


def _reached(state: LoopState, tick: TickContext, job: Send, row: Delivery, done: SendDone) -> None:
    state.alone.discard(row.id)
    columns = {
        "process_query_key": done.process_query_key,
        "space_id": done.space_id,
        "entry_id": done.entry_id,
        "crashes": 0,
        "attempts": ONE_MORE,
    }
    if job.notice is not None:
        change = Change(row.id, Event.SKIP, State.SENDING, Cause(NOTICED, "", "NOTICED"), columns)
    else:
        columns |= {"sent_at": tick.now, **NO_CAUSE}
        change = Change(row.id, Event.SEND_OK, State.SENDING, None, columns)
    tick.changes.append(change)
    text = Log.SENT if job.notice is None else Log.NOTICED
    tick.log(text, path=names.readable(row.path), conversation=row.recipient)


def _caption_sent(state: LoopState, tick: TickContext, job: SendCaption, done: SendDone) -> None:
    """The line was sent: the next message there is its file."""
    _served(state, tick, _reached_target(job, done))
    state.may_send |= {row.recipient for row in job.rows}
    missed = dict(done.missed)
    for row in job.rows:
        if row.id in missed:
            failures.line_missed(state, tick, row, missed[row.id])


def _token_came(state: LoopState, tick: TickContext, job: FetchToken) -> None:
    state.doubted_tokens.discard(job.host)
    state.pauses.proven[job.host] = tick.now
    state.served_at[job.host] = tick.now
    app = state.pauses.known.get((Scope.APP, APP))
    if app is not None and app.by_token and not state.pauses.hosts_to_prove(app):
        _end_pauses(state, tick, [(Scope.APP, APP)])


def _served(state: LoopState, tick: TickContext, target: Target) -> None:
    """A call came through: the pauses over it end, and its API is known to serve."""
    state.served_at[target.api] = tick.now
    for host in hosts_of(target.api):
        state.tokens_refused[host] = 0
        state.doubted_tokens.discard(host)
    over = ((key, state.pauses.known.get(key)) for key in target.scopes())
    _end_pauses(state, tick, [key for key, pause in over if pause and not _must_last(pause, tick.now)])


def _must_last(pause: Pause, now: float) -> bool:
    """Say whether DingTalk wants a pause to go on, though a call that had begun before it came through."""
    return pause.fixed and pause.until > now


def _end_pauses(state: LoopState, tick: TickContext, ended: Sequence[tuple[Scope, str]]) -> None:
    pauses.end_pauses(tick.connection, ended)
    for key in ended:
        pause = state.pauses.known.pop(key)
        if pause.failures > 1 or pause.scope is not Scope.API:
            tick.log(Log.RESUMED, scope=pause.scope, key=pause.key)
