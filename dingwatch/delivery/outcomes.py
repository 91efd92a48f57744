"""Enters outcomes: what success means for the rows, their upload and the pauses over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dingwatch import names
from dingwatch.delivery import drives, failures
from dingwatch.delivery.jobs import (
    Announce,
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
    SendDone,
    ToPeople,
    Upload,
    UploadDone,
)
from dingwatch.delivery.limits import APP, Place, hosts_of
from dingwatch.delivery.state import Memory, Tick, place_of, rows_of
from dingwatch.ledger import ordering, pauses
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.report import NOTICED
from dingwatch.ledger.transitions import NO_CAUSE, ONE_MORE, Change
from dingwatch.ledger.upload_sessions import Begun
from dingwatch.ledger.uploads import Had, uploaded
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Cause,
    Pause,
    Scope,
    Verdict,
)
from dingwatch.texts import Log


def enter(memory: Memory, tick: Tick, outcomes: Sequence[Outcome]) -> None:
    """Enter outcomes; what they change is written together at the end."""
    for outcome in outcomes:
        _forget_crash(memory, outcome.job)
        match outcome.job, outcome.result:
            case (Upload() | Commit()) as job, UploadDone() as done:
                _uploaded(memory, tick, job, done)
            case Begin() as job, Begun() as made:
                drives.begun(tick, job, made)
                _served(memory, tick, _place(job))
            case Put() as job, PutDone(made):
                drives.put(tick, job, made)
                _served(memory, tick, _place(job))
            case Send() as job, SendDone() as done:
                _sent(memory, tick, job, done)
            case Announce() as job, SendDone() as done:
                _announced(memory, tick, job, done)
            case FetchToken() as job, Done():
                _token_came(memory, tick, job)
            case job, Verdict() as verdict:
                failures.failed(memory, tick, job, verdict)
    uploaded(tick.connection, tick.had, tick.now)
    tick.apply()
    _withdraw_overtaken(tick, outcomes)


def _withdraw_overtaken(tick: Tick, outcomes: Sequence[Outcome]) -> None:
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
        Change(row, Event.VANISH, None, superseded) for row in ordering.overtaken(tick.connection, refused)
    ]
    tick.apply()


def _forget_crash(memory: Memory, job: Job) -> None:
    """A row whose outcome is known did not bring the process down: it needs no special care."""
    if memory.crashed and not isinstance(job, FetchToken):
        ids = {row.id for row in rows_of(job)}
        memory.crashed = [row for row in memory.crashed if row not in ids]


def _place(job: Upload | DriveJob | ToPeople) -> Place:
    place = place_of(job)
    assert place is not None  # noqa: S101 (only a token call has none)
    return place


def _uploaded(memory: Memory, tick: Tick, job: Upload | Commit, done: UploadDone) -> None:
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
        memory.may_send.add(row.conversation)
    if isinstance(job, Commit):
        drives.committed(tick, job)
    tick.had.append(Had(job.dress.key.id, done.media_id, done.space_id))
    memory.may_upload = True  # rows of the same content may have come meanwhile, and waited for this
    _served(memory, tick, _place(job))


def _sent(memory: Memory, tick: Tick, job: Send, done: SendDone) -> None:
    _served(memory, tick, _reached_place(job, done))
    missed = dict(done.missed)
    for row in job.rows:
        memory.may_send.add(row.conversation)
        if row.id not in missed:
            _reached(memory, tick, job, row, done)
        else:
            failures.person_missed(memory, tick, row, missed[row.id])


def _reached_place(job: ToPeople, done: SendDone) -> Place:
    """Return the place of a call without the persons whom it did not reach."""
    missed = dict(done.missed)
    reached = [row.conversation for row in job.rows if row.id not in missed]
    return replace(_place(job), conversation=next(iter(reached), None), others=tuple(reached[1:]))


def _reached(memory: Memory, tick: Tick, job: Send, row: Delivery, done: SendDone) -> None:
    memory.alone.discard(row.id)
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
    tick.say(text, path=names.readable(row.path), conversation=row.conversation)


def _announced(memory: Memory, tick: Tick, job: Announce, done: SendDone) -> None:
    """The line was sent: the next message there is its file."""
    _served(memory, tick, _reached_place(job, done))
    memory.may_send |= {row.conversation for row in job.rows}
    missed = dict(done.missed)
    for row in job.rows:
        if row.id in missed:
            failures.line_missed(memory, tick, row, missed[row.id])


def _token_came(memory: Memory, tick: Tick, job: FetchToken) -> None:
    memory.doubted_tokens.discard(job.host)
    memory.pauses.proven[job.host] = tick.now
    memory.served_at[job.host] = tick.now
    app = memory.pauses.known.get((Scope.APP, APP))
    if app is not None and app.by_token and not memory.pauses.hosts_to_prove(app):
        _end_pauses(memory, tick, [(Scope.APP, APP)])


def _served(memory: Memory, tick: Tick, place: Place) -> None:
    """A call came through: the pauses over it end, and its API is known to serve."""
    memory.served_at[place.api] = tick.now
    for host in hosts_of(place.api):
        memory.tokens_refused[host] = 0
        memory.doubted_tokens.discard(host)
    over = ((key, memory.pauses.known.get(key)) for key in place.scopes())
    _end_pauses(memory, tick, [key for key, pause in over if pause and not _must_last(pause, tick.now)])


def _must_last(pause: Pause, now: float) -> bool:
    """Say whether DingTalk wants a pause to go on, though a call that had begun before it came through."""
    return pause.fixed and pause.until > now


def _end_pauses(memory: Memory, tick: Tick, ended: Sequence[tuple[Scope, str]]) -> None:
    pauses.end(tick.connection, ended)
    for key in ended:
        pause = memory.pauses.known.pop(key)
        if pause.failures > 1 or pause.scope is not Scope.API:
            tick.say(Log.RESUMED, scope=pause.scope, key=pause.key)
