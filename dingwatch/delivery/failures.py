"""Enter failed outcomes: what they mean for the rows, their upload, the pauses over them, the log."""

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
from dingwatch.delivery.state import DRIVE_APIS, TickContext
from dingwatch.dingtalk import API_PUT, API_SEND, API_UPLOAD, Host, SignatureExpired
from dingwatch.ledger import pauses
from dingwatch.ledger.delivery import Delivery, clear_caption, find_deliveries, list_sent_since
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
    StoreFailed,
    StoreUnreached,
    Throttled,
    TokenRejected,
    TypeRefused,
    Verdict,
)
from dingwatch.pace import LONG_AGO
from dingwatch.payload import IMAGE, image_refusal
from dingwatch.policy import Consequence, Rules
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Log

TOKEN_TRIES: Final = 3
"""New tokens refused in a row, after which a person must look at it."""


def fail(tick: TickContext, job: Job, raw: Verdict) -> None:
    """Enter a job's failure: pauses, what it teaches of the pace, and what becomes of its rows."""
    _count_refused_token(tick, job, raw)
    verdict = _widen(tick, job, raw)
    target = _target_of_failure(job, verdict)
    verdict = replace(verdict, scope=target.reach(verdict.scope))
    if isinstance(job, ToPeople) and len(job.rows) > 1 and _is_of_one_recipient(verdict):
        _part(tick, job, verdict)
        return
    _pause(tick, target, verdict, free=isinstance(job, FetchToken))
    if isinstance(verdict, Misconfigured) and verdict.ambiguous and _concerns_all(tick, target, verdict):
        everywhere = replace(verdict.cause, advice="ROBOT_CODE")
        _pause(tick, target, Misconfigured(everywhere, Scope.API))
    if isinstance(verdict, Throttled):
        lessons = tick.state.rates.learn_refusal(target, verdict.scope, tick.now)
        pauses.save_learned_rates(tick.state.store, tick.connection, lessons)
    match job:
        case Begin() | Put() | Commit() if not drives.is_current(tick, job):
            pass  # three parts were out, and the first that failed has given up the claim
        case Upload() | Begin() | Put() | Commit():
            _fail_upload(tick, job, verdict)
        case Send():
            for row in job.rows:
                _fail_row(tick, row, verdict)
        case SendCaption():
            _fail_caption(tick, job, verdict)


# --- Verdicts ------------------------------------------------------------------------------------


def _count_refused_token(tick: TickContext, job: Job, verdict: Verdict) -> None:
    """Count each token once, however many were in flight with it."""
    if not isinstance(verdict, TokenRejected) or isinstance(verdict, SignatureExpired):
        return
    # Four calls carry the same expired token and are refused together: that is one refused token, and no
    # reason to call a person.
    hosts = set(_hosts_of(job)) - tick.state.doubted_tokens
    tick.state.tokens_refused.update(hosts)
    tick.state.doubted_tokens |= hosts


def _hosts_of(job: Job) -> tuple[Host, ...]:
    return hosts_of(job.target.api) if job.target else ()


def _widen(tick: TickContext, job: Job, verdict: Verdict) -> Verdict:
    """Return the verdict for the whole app when its token cannot be fetched, or is refused each time."""
    if isinstance(job, FetchToken):
        if isinstance(verdict, NoAnswer):
            return NotReached(verdict.cause, Scope.APP)
        return replace(verdict, scope=Scope.APP)
    if isinstance(verdict, SignatureExpired):
        return NotReached(verdict.cause, billed=True)  # new ones did not help: the clock, or the store
    refused = max((tick.state.tokens_refused[host] for host in _hosts_of(job)), default=0)
    if isinstance(verdict, TokenRejected) and refused > TOKEN_TRIES:
        return Misconfigured(verdict.cause, Scope.APP)
    if isinstance(job, ToPeople):
        return recipient_kind(job.row.recipient).judge(verdict)
    return verdict


def _target_of_failure(job: Job, verdict: Verdict) -> Target:
    """Return what a failure pauses, of all that a job acts on."""
    if job.target is None:
        return Target(API_SEND)  # a token call: its trouble is the whole app's, whatever API stands here
    if isinstance(verdict, StoreUnreached | StoreFailed):
        # For a file in one piece, DingTalk has given the address. It is the store that fails, for parts too.
        return Target(API_PUT, folder=job.target.folder)
    return replace(job.target, also=None)


def _is_of_one_recipient(verdict: Verdict) -> bool:
    return verdict.scope is Scope.CONVERSATION and not isinstance(verdict, NoAnswer)


# --- Pauses --------------------------------------------------------------------------------------


def _pause(tick: TickContext, target: Target, verdict: Verdict, *, free: bool = False) -> None:
    """Begin or prolong the pauses that a verdict asks for: of a call for several persons, one for each."""
    for key in target.keys(verdict.scope):
        _pause_one(tick, key, verdict, free=free)


def _concerns_all(tick: TickContext, target: Target, verdict: Verdict) -> bool:
    """Return whether a second recipient is refused alike, and nobody was served since the first was."""
    # The latest of the others: one group may have been wrong for days while all others were served.
    first = max(
        (
            pause.since
            for (scope, key), pause in tick.state.pauses.known.items()
            if scope is Scope.CONVERSATION
            and key not in target.recipients
            and pause.cause.code == verdict.cause.code
            and target.api in recipient_kind(key).apis
        ),
        default=None,
    )
    if first is None or not target.recipients:
        return False
    if tick.state.served_at.get(target.api, LONG_AGO) >= first:
        return False
    # A restart has forgotten when the API last served.
    return not any(
        recipient_kind(recipient).api_by(route) == target.api
        for recipient, route in list_sent_since(tick.connection, first)
    )


def _pause_one(tick: TickContext, key: str, verdict: Verdict, *, free: bool) -> None:
    pauses_known = tick.state.pauses
    before = pauses_known.known.get((verdict.scope, key))
    if before is not None and before.until > tick.now:
        # Four workers that are refused in the same second met one trouble, not four: their failures must not
        # double the wait three times.
        return
    chance = tick.state.chance()
    if isinstance(verdict, StoreUnreached):
        pauses_known.probe_store((verdict.scope, key), verdict.address, tick.now, chance)
    made = policy.pause_after(verdict, key, before, tick.now, chance, free=free)
    if made is None or made.cause.code == "stopped":
        return
    tick.state.pauses.known[made.scope, made.key] = made
    pauses.save_pauses(tick.state.store, tick.connection, [made], tick.now)
    # A person resumed it to see whether its cause has gone, and shall read that it has not.
    resumed = made.fixed and before is not None and before.failures == 0
    if before is None or before.cause.code != made.cause.code or resumed:
        _log_pause(tick, made, verdict)


def _log_pause(tick: TickContext, made: Pause, verdict: Verdict) -> None:
    tick.log(
        Log.OUT_OF_CALLS if isinstance(verdict, QuotaExhausted) and made.scope is Scope.APP else Log.PAUSED,
        day=quota.day(made.until),
        scope=made.scope,
        key=made.key,
        seconds=round(made.until - tick.now, 1),
        **made.cause.log_values(),
    )


# --- Uploads -------------------------------------------------------------------------------------


def _fail_upload(tick: TickContext, job: Upload | DriveJob, verdict: Verdict) -> None:
    if isinstance(job, DriveJob):
        drives.give_up(tick, job, verdict)
    set_upload_states(tick.connection, [job.upload], "none")
    source = job.source
    if job.payload.key.type == IMAGE and _is_no_image(verdict):
        _send_as_file(tick, job, verdict)
        return
    if isinstance(verdict, TypeRefused) and job.payload.form is Form.PLAIN:
        _refuse_extension(tick, job)
    for row in job.rows:
        same_file = (row.folder, row.path) == (source.folder, source.path)
        if same_file or not isinstance(verdict, policy.OWN_FILE):
            _fail_row(tick, row, verdict)
        else:
            # Somebody copied one PDF into two folders and deleted the first copy: the second is still there.
            _retry_at_once(tick, row, State.UPLOADING)


def _is_no_image(verdict: Verdict) -> bool:
    return isinstance(verdict, Rejected) and (
        isinstance(verdict, TypeRefused) or verdict.cause.advice == "TOO_BIG"
    )


def _send_as_file(tick: TickContext, job: Upload | DriveJob, verdict: Verdict) -> None:
    """Remember what is not taken as an image, and have it go as a file."""
    size = None if isinstance(verdict, TypeRefused) else job.source.fingerprint.size
    _remember_refused(tick, image_refusal(job.payload.key.extension, size))
    # The file goes out all the same, so nobody needs advice.
    tick.log_row(Log.IMAGE_REFUSED, job.source, replace(verdict.cause, advice=""))
    columns = {"due": tick.now, "attempts": ONE_MORE}
    tick.apply(
        *(Change(row.id, Event.RETRY, State.UPLOADING, verdict.cause, columns) for row in job.rows),
    )


def _refuse_extension(tick: TickContext, job: Upload | DriveJob) -> None:
    extension = job.payload.key.extension
    _remember_refused(tick, extension)
    tick.log(Log.EXTENSION_REFUSED, extension=extension, path=names.readable(job.source.path))


def _remember_refused(tick: TickContext, word: str) -> None:
    state = tick.state
    state.refused |= {word}
    pauses.refuse_extension(state.store, tick.connection, state.settings.app, word, tick.now)


def _retry_at_once(tick: TickContext, row: Delivery, claimed: State) -> None:
    tick.apply(Change(row.id, Event.RETRY, claimed, None, {"due": tick.now}))


# --- Rows ----------------------------------------------------------------------------------------


def _fail_row(tick: TickContext, row: Delivery, verdict: Verdict) -> None:
    """Write down what a verdict means for one row, if it is still where it was claimed."""
    claimed = State.UPLOADING if row.state is State.PENDING else State.SENDING
    current = find_deliveries(tick.connection, [row.id]).get(row.id)
    if current is None or current.state is not claimed:
        return
    if isinstance(verdict, policy.OWN_FILE) and (current.path, current.fingerprint) != (
        row.path,
        row.fingerprint,
    ):
        # It was moved or touched while it was read, and what failed was the file of before.
        _retry_at_once(tick, row, claimed)
        return
    # An outage of a day must not use up the three days after which a row is given up. Its waits only count
    # while the same API serves others, so that the trouble is its own.
    served_at = max(tick.state.served_at.get(api, LONG_AGO) for api in _apis_of(row, claimed))
    alone = row.failures == 0 or served_at > row.due
    rules = Rules(tick.settings.give_up_after, tick.settings.of_folder(row.folder).unsupported)
    standing = replace(row.standing, state=claimed)
    result = policy.consequence(verdict, standing, tick.now, tick.state.chance(), rules, alone=alone)
    _write_consequence(tick, row, claimed, result)
    _log_consequence(tick, row, claimed, result, verdict)


def _apis_of(row: Delivery, claimed: State) -> Collection[str]:
    """Return the APIs of which any that serves others shows that a row's trouble is its own."""
    if claimed is State.SENDING:
        return {recipient_kind(row.recipient).api_by(row.route)}
    return DRIVE_APIS if row.route is Route.DRIVE else {API_UPLOAD}


def _write_consequence(tick: TickContext, row: Delivery, claimed: State, result: Consequence) -> None:
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
    if result.event is Event.MEDIA_LOST:
        forget_media(tick.connection, row.upload_key, row.remote_id)
    tick.apply(Change(row.id, result.event, claimed, result.cause, columns))


_LOGGED: Final = {
    Event.REJECT: Log.FAILED,
    Event.SKIP: Log.SKIPPED,
    Event.VANISH: Log.WITHDRAWN,
}


def _log_consequence(
    tick: TickContext, row: Delivery, claimed: State, result: Consequence, verdict: Verdict
) -> None:
    text = _LOGGED.get(result.event)
    if result.event is Event.DOUBT and claimed is State.SENDING:
        text = Log.DOUBTED
    elif result.event is Event.RETRY and verdict.scope is Scope.ROW and result.cause.code != "stopped":
        text = Log.RETRYING
    if text is not None and not isinstance(verdict, TypeRefused):
        tick.log_row(text, row, result.cause)


# --- Messages to several recipients, and captions ------------------------------------------------


def _part(tick: TickContext, job: ToPeople, verdict: Verdict) -> None:
    """Send to each recipient alone: DingTalk refused a call for one of them, and does not say for which."""
    tick.state.alone |= {row.id for row in job.rows}
    if isinstance(job, SendCaption):
        _caption_again(tick, job.rows, replace(verdict, scope=Scope.ROW))
        return
    due = tick.now + (verdict.retry_after if isinstance(verdict, Throttled) else 0.0)
    columns = {"due": due, "attempts": ONE_MORE}
    tick.apply(
        *(Change(row.id, Event.RETRY, State.SENDING, verdict.cause, columns) for row in job.rows),
    )


def miss_recipient(tick: TickContext, row: Delivery, verdict: Verdict) -> None:
    """Enter that a call which reached others did not reach one recipient."""
    _pause(tick, _target_of(row), verdict)
    _fail_row(tick, row, _slow_down(tick, row, verdict))


def miss_caption(tick: TickContext, row: Delivery, verdict: Verdict) -> None:
    """Enter the same of a caption; what is wrong with the message itself, its file will show."""
    _pause(tick, _target_of(row), verdict)
    if isinstance(verdict, Throttled) or verdict.scope is not Scope.ROW:
        _caption_again(tick, [row], _slow_down(tick, row, verdict))


def _target_of(row: Delivery) -> Target:
    return Target(recipient_kind(row.recipient).api_by(row.route), (row.recipient,))


def _slow_down(tick: TickContext, row: Delivery, verdict: Verdict) -> Verdict:
    """Back off a flow-controlled recipient by doubling the time that the file has waited so far."""
    if not isinstance(verdict, Throttled):
        return verdict
    return replace(verdict, retry_after=policy.waited_again(tick.now - (row.uploaded_at or tick.now)))


def _fail_caption(tick: TickContext, job: SendCaption, verdict: Verdict) -> None:
    """Send the caption again where it certainly was not sent; else its file goes without waiting for it."""
    if isinstance(verdict, NoAnswer):
        return  # it may have arrived, and twice the same caption is worse than none
    if isinstance(verdict, NotReached | Throttled | TokenRejected) or verdict.scope is not Scope.ROW:
        _caption_again(tick, job.rows, verdict)
        return
    for row in job.rows:
        tick.log_row(Log.LINE_REFUSED, row, verdict.cause)


def _caption_again(tick: TickContext, rows: Sequence[Delivery], verdict: Verdict) -> None:
    own = isinstance(verdict, Throttled) and verdict.scope is Scope.ROW
    wait = verdict.retry_after if isinstance(verdict, Throttled) and own else 0.0
    refused = isinstance(verdict, TokenRejected)
    clear_caption(tick.connection, [row.id for row in rows], tick.now, wait, refused=refused)
    for row in rows:
        tick.state.captioned.pop(row.recipient, None)
