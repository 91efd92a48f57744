"""What an outcome that is no success means: for the rows, their upload, the pauses over them, the log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from dingwatch import names, policy, quota
from dingwatch.delivery import drives
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    DriveJob,
    FetchToken,
    Job,
    Put,
    Send,
    SendCaption,
    ToPeople,
    Upload,
)
from dingwatch.delivery.limits import Target, hosts_of
from dingwatch.delivery.state import DRIVE_APIS, LoopState, TickContext, send_api, target_of, target_of_rows
from dingwatch.dingtalk import API_SEND, API_UPLOAD, Host, SignatureExpired
from dingwatch.ledger import pauses
from dingwatch.ledger.delivery import Delivery, clear_caption, find_deliveries
from dingwatch.ledger.transitions import ONE_MORE, Change
from dingwatch.ledger.uploads import forget_media, set_upload_states
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Form,
    Misconfigured,
    NoAnswer,
    NotReached,
    Pause,
    QuotaExhausted,
    Rejected,
    Route,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from dingwatch.payload import IMAGE, refused_as_image
from dingwatch.policy import Consequence, Rules
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Log

TOKEN_TRIES: Final = 3
"""New tokens refused in a row, after which a person must look at it."""


def failed(state: LoopState, tick: TickContext, job: Job, raw: Verdict) -> None:
    """Enter a job's failure: pauses, what it teaches of the pace, and what becomes of its rows."""
    _count_refused(state, job, raw)
    verdict = _widened(state, job, raw)
    target = target_of(job) or Target(API_SEND)  # a token's trouble is the app's, whatever the API
    verdict = replace(verdict, scope=target.reach(verdict.scope))
    if isinstance(job, ToPeople) and job.others and _is_one_persons(verdict):
        _part(state, tick, job, verdict)
        return
    _pause(state, tick, target, verdict)
    if isinstance(verdict, Throttled):
        lessons = state.rates.throttled(target, verdict.scope, tick.now)
        pauses.save_learned_rates(state.store, tick.connection, lessons)
    match job:
        case Begin() | Put() | Commit() if not drives.is_current(tick, job):
            pass  # its claim was given up meanwhile
        case Upload() | Begin() | Put() | Commit():
            _upload_failed(state, tick, job, verdict)
        case Send():
            for row in job.rows:
                row_failed(state, tick, row, verdict)
        case SendCaption():
            _line_failed(state, tick, job, verdict)


def _is_one_persons(verdict: Verdict) -> bool:
    return verdict.scope is Scope.CONVERSATION and not isinstance(verdict, NoAnswer)


def _part(state: LoopState, tick: TickContext, job: ToPeople, verdict: Verdict) -> None:
    """A call for several persons was refused for one of them, and which is not said: each goes alone."""
    state.alone |= {row.id for row in job.rows}
    if isinstance(job, SendCaption):
        caption_not_sent(state, tick, job.rows, replace(verdict, scope=Scope.ROW))
        return
    due = tick.now + (verdict.retry_after if isinstance(verdict, Throttled) else 0.0)
    state.may_wait |= due > tick.now
    for row in job.rows:
        state.may_send.add(row.recipient)
        columns = {"due": due, "attempts": ONE_MORE}
        tick.changes.append(Change(row.id, Event.RETRY, State.SENDING, verdict.cause, columns))


def _line_failed(state: LoopState, tick: TickContext, job: SendCaption, verdict: Verdict) -> None:
    """A line that may have arrived, or never will, is done with: its file goes without waiting for it."""
    state.may_send |= {row.recipient for row in job.rows}
    if isinstance(verdict, NoAnswer):
        return
    if isinstance(verdict, NotReached | Throttled | TokenRejected) or verdict.scope is not Scope.ROW:
        caption_not_sent(state, tick, job.rows, verdict)
        return
    for row in job.rows:
        tick.log_row(Log.LINE_REFUSED, row, verdict.cause.code, verdict.cause.message, verdict.cause.advice)


def _count_refused(state: LoopState, job: Job, verdict: Verdict) -> None:
    """Count each token once, however many were in flight with it."""
    if not isinstance(verdict, TokenRejected) or isinstance(verdict, SignatureExpired):
        return
    hosts = set(_hosts_of(job)) - state.doubted_tokens
    state.tokens_refused.update(hosts)
    state.doubted_tokens |= hosts


def _hosts_of(job: Job) -> tuple[Host, ...]:
    target = target_of(job)
    return hosts_of(target.api) if target else ()


def _widened(state: LoopState, job: Job, verdict: Verdict) -> Verdict:
    """A token that cannot be had, or is refused again and again, is the whole app's trouble."""
    if isinstance(job, FetchToken):
        if isinstance(verdict, NoAnswer):
            return NotReached(verdict.cause, Scope.APP)
        return replace(verdict, scope=Scope.APP)
    if isinstance(verdict, SignatureExpired):
        return NotReached(verdict.cause)  # new ones did not help: the clock, or the store
    refused = max((state.tokens_refused[host] for host in _hosts_of(job)), default=0)
    if isinstance(verdict, TokenRejected) and refused > TOKEN_TRIES:
        return Misconfigured(verdict.cause, Scope.APP)
    if isinstance(job, ToPeople):
        return recipient_kind(job.row.recipient).judge(verdict)
    return verdict


def _pause(state: LoopState, tick: TickContext, target: Target, verdict: Verdict) -> None:
    """Begin or prolong the pauses that a verdict asks for: of a call for several persons, one for each."""
    for key in target.keys(verdict.scope):
        _pause_one(state, tick, key, verdict)


def _pause_one(state: LoopState, tick: TickContext, key: str, verdict: Verdict) -> None:
    before = state.pauses.known.get((verdict.scope, key))
    if before is not None and before.until > tick.now:
        return  # those in flight together say the same thing once
    made = policy.pause_after(verdict, key, before, tick.now, state.chance())
    if made is None or made.cause.code == "stopped":
        return
    state.pauses.known[made.scope, made.key] = made
    pauses.save_pauses(state.store, tick.connection, [made])
    resumed = made.fixed and before is not None and before.failures == 0  # a person asked, and is answered
    if before is None or before.cause.code != made.cause.code or resumed:
        _log_paused(tick, made, verdict)


def _log_paused(tick: TickContext, made: Pause, verdict: Verdict) -> None:
    tick.log(
        Log.OUT_OF_CALLS if isinstance(verdict, QuotaExhausted) and made.scope is Scope.APP else Log.PAUSED,
        day=quota.day(made.until),
        scope=made.scope,
        key=made.key,
        seconds=round(made.until - tick.now, 1),
        code=made.cause.code,
        message=made.cause.message,
        advice=made.cause.advice,
    )


def _upload_failed(state: LoopState, tick: TickContext, job: Upload | DriveJob, verdict: Verdict) -> None:
    if isinstance(job, DriveJob):
        drives.given_up(tick, job, verdict)
    set_upload_states(tick.connection, [job.payload.key.id], "none")
    state.may_upload = True
    source = job.source
    if job.payload.key.type == IMAGE and _is_no_image(verdict):
        _send_as_file(state, tick, job, verdict)
        return
    if isinstance(verdict, TypeRefused) and job.payload.form is Form.PLAIN:
        _refuse_extension(state, tick, job)
    for row in job.rows:
        same_file = (row.folder, row.path) == (source.folder, source.path)
        if same_file or not isinstance(verdict, policy.OWN_FILE):
            row_failed(state, tick, row, verdict)
        else:  # it waited for another's file; its own may be fine
            _again(state, tick, row, State.UPLOADING)


def _is_no_image(verdict: Verdict) -> bool:
    return isinstance(verdict, Rejected) and (
        isinstance(verdict, TypeRefused) or verdict.cause.advice == "TOO_BIG"
    )


def _send_as_file(state: LoopState, tick: TickContext, job: Upload | DriveJob, verdict: Verdict) -> None:
    """Remember what is not taken as an image, and have it go as a file."""
    size = None if isinstance(verdict, TypeRefused) else job.source.fingerprint.size
    word = refused_as_image(job.payload.key.extension, size)
    state.refused |= {word}
    pauses.refuse_extension(state.store, tick.connection, state.settings.app, word, tick.now)
    tick.log_row(Log.IMAGE_REFUSED, job.source, verdict.cause.code, verdict.cause.message, "")
    columns = {"due": tick.now, "attempts": ONE_MORE}
    tick.changes += [Change(row.id, Event.RETRY, State.UPLOADING, verdict.cause, columns) for row in job.rows]


def _refuse_extension(state: LoopState, tick: TickContext, job: Upload | DriveJob) -> None:
    extension = job.payload.key.extension
    state.refused |= {extension}
    pauses.refuse_extension(state.store, tick.connection, state.settings.app, extension, tick.now)
    tick.log(Log.EXTENSION_REFUSED, extension=extension, path=names.readable(job.source.path))


def _again(state: LoopState, tick: TickContext, row: Delivery, claimed: State) -> None:
    state.may_upload = True
    state.may_send.add(row.recipient)
    tick.changes.append(Change(row.id, Event.RETRY, claimed, None, {"due": tick.now}))


def row_failed(state: LoopState, tick: TickContext, row: Delivery, verdict: Verdict) -> None:
    """Write down what a verdict means for one row, if it is still where it was claimed."""
    claimed = State.UPLOADING if row.state is State.PENDING else State.SENDING
    current = find_deliveries(tick.connection, [row.id]).get(row.id)
    if current is None or current.state is not claimed:
        return
    if isinstance(verdict, policy.OWN_FILE) and (current.path, current.fingerprint) != (
        row.path,
        row.fingerprint,
    ):
        _again(state, tick, row, claimed)  # it was moved or touched under our hands: once more where it is
        return
    served_at = max(state.served_at.get(api, float("-inf")) for api in _apis_of(row, claimed))
    alone = row.failures == 0 or served_at > row.due
    rules = Rules(state.settings.give_up_after, state.settings.of_folder(row.folder).unsupported)
    standing = replace(row.standing, state=claimed)
    result = policy.consequence(verdict, standing, tick.now, state.chance(), rules, alone=alone)
    _write_consequence(state, tick, row, claimed, result)
    _log_consequence(tick, row, claimed, result, verdict)


def _apis_of(row: Delivery, claimed: State) -> Collection[str]:
    """Return the APIs of which any that serves others shows that a row's trouble is its own."""
    if claimed is State.SENDING:
        return {send_api(row)}
    return DRIVE_APIS if row.route is Route.DRIVE else {API_UPLOAD}


def _write_consequence(
    state: LoopState, tick: TickContext, row: Delivery, claimed: State, result: Consequence
) -> None:
    columns: dict[str, Any] = {
        "due": result.due,
        "failures": result.standing.failures,
        "waited": result.standing.waited,
        "media_losses": result.standing.media_losses,
    }
    if result.answered:
        columns["attempts"] = ONE_MORE
    if result.event is Event.DOUBT and claimed is State.SENDING:
        columns |= {"doubts": row.doubts + 1, "doubted_at": tick.now}
        state.may_doubt = True
    if result.event is Event.MEDIA_LOST:
        forget_media(tick.connection, row.upload_key, row.remote_id)
    state.may_wait |= result.due > tick.now
    state.may_upload = True
    state.may_send.add(row.recipient)
    tick.changes.append(Change(row.id, result.event, claimed, result.cause, columns))


_SAID: Final = {
    Event.REJECT: Log.FAILED,
    Event.SKIP: Log.SKIPPED,
    Event.VANISH: Log.WITHDRAWN,
}


def _log_consequence(
    tick: TickContext, row: Delivery, claimed: State, result: Consequence, verdict: Verdict
) -> None:
    text = _SAID.get(result.event)
    if result.event is Event.DOUBT and claimed is State.SENDING:
        text = Log.DOUBTED
    elif result.event is Event.RETRY and verdict.scope is Scope.ROW and result.cause.code != "stopped":
        text = Log.RETRYING
    if text is not None and not isinstance(verdict, TypeRefused):
        tick.log_row(text, row, result.cause.code, result.cause.message, result.cause.advice)


def person_missed(state: LoopState, tick: TickContext, row: Delivery, verdict: Verdict) -> None:
    """Enter what a call that reached others says of one person."""
    _pause(state, tick, target_of_rows(send_api(row), [row]), verdict)
    row_failed(state, tick, row, _in_time(tick, row, verdict))


def line_missed(state: LoopState, tick: TickContext, row: Delivery, verdict: Verdict) -> None:
    """Enter the same of a line; of what is neither a limit nor the person's, the file says what is wrong."""
    _pause(state, tick, target_of_rows(send_api(row), [row]), verdict)
    if isinstance(verdict, Throttled) or verdict.scope is not Scope.ROW:
        caption_not_sent(state, tick, [row], _in_time(tick, row, verdict))


def _in_time(tick: TickContext, row: Delivery, verdict: Verdict) -> Verdict:
    """Who may not be written to for now is tried again after as long as the file has waited already."""
    if not isinstance(verdict, Throttled):
        return verdict
    return replace(verdict, retry_after=policy.waited_again(tick.now - (row.uploaded_at or tick.now)))


def caption_not_sent(state: LoopState, tick: TickContext, rows: Sequence[Delivery], verdict: Verdict) -> None:
    """The line certainly was not sent: it goes again."""
    own = isinstance(verdict, Throttled) and verdict.scope is Scope.ROW
    due = tick.now + (verdict.retry_after if isinstance(verdict, Throttled) and own else 0.0)
    refused = isinstance(verdict, TokenRejected)
    clear_caption(tick.connection, [row.id for row in rows], due, refused=refused)
    state.may_wait |= due > tick.now
    for row in rows:
        state.captioned.pop(row.recipient, None)
        state.may_send.add(row.recipient)
