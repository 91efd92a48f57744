"""Enter failed outcomes: what they mean for the rows, their upload, the pauses over them, the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dingwatch import policy, quota
from dingwatch.delivery import bundles, drives, late_outcomes
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    DriveJob,
    FetchToken,
    Job,
    MembersLost,
    Put,
    Send,
    SendCaption,
    ToPeople,
    Upload,
    UploadArchive,
)
from dingwatch.delivery.limits import Target, hosts_of
from dingwatch.delivery.state import DRIVE_APIS, TickContext, about, messages
from dingwatch.dingtalk import API_PUT, API_SEND, API_UPLOAD, Host, SignatureExpired
from dingwatch.ledger import pauses
from dingwatch.ledger.bundles import leave_bundles
from dingwatch.ledger.delivery import Delivery, clear_caption, find_deliveries, list_sent_since
from dingwatch.ledger.transitions import ONE_MORE, Change
from dingwatch.ledger.uploads import forget_media, release_upload
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


def fail(tick: TickContext, job: Job, raw: Verdict | MembersLost) -> None:
    """Enter a job's failure: pauses, what it teaches of the pace, and what becomes of its rows."""
    if isinstance(raw, MembersLost):
        _lose_members(tick, job, raw)
        return
    _count_refused_token(tick, job, raw)
    verdict = _widen(tick, job, raw)
    target = _target_of_failure(job, verdict)
    verdict = replace(verdict, scope=target.reach(verdict.scope))
    if isinstance(job, ToPeople) and len(job.recipients) > 1 and _is_of_one_recipient(verdict):
        _part(tick, job, verdict)
        return
    pause(tick, target, verdict, free=isinstance(job, FetchToken))
    if isinstance(verdict, Misconfigured) and verdict.ambiguous and _concerns_all(tick, target, verdict):
        everywhere = replace(verdict.cause, advice="ROBOT_CODE")
        pause(tick, target, Misconfigured(everywhere, Scope.API))
    if isinstance(verdict, Throttled):
        lessons = tick.state.rates.learn_refusal(target, verdict.scope, tick.now)
        pauses.save_learned_rates(tick.state.store, tick.connection, lessons)
    match job:
        case Begin() | Put() | Commit() if not drives.is_current(tick, job):
            pass  # three parts were out, and the first that failed has given up the claim
        case Upload() | Begin() | Put() | Commit():
            _fail_upload(tick, job, verdict)
        case Send():
            for rows in messages(job.rows):
                _fail_message(tick, rows, verdict)
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


def pause(tick: TickContext, target: Target, verdict: Verdict, *, free: bool = False) -> None:
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
    made = replace(made, own=tick.state.store.shared and _is_own(made, free=free))
    tick.state.pauses.known[made.scope, made.key] = made
    pauses.save_pauses(tick.state.store, tick.connection, [made], tick.now)
    # A person resumed it to see whether its cause has gone, and shall read that it has not.
    resumed = made.fixed and before is not None and before.failures == 0
    if before is None or before.cause.code != made.cause.code or resumed:
        _log_pause(tick, made, verdict)


def _is_own(made: Pause, *, free: bool) -> bool:
    """Return whether a pause is the trouble of this node alone, and others that share the ledger go on.

    Its network may be cut, a mount hang, its address be missing on DingTalk's list, its file of the secret be
    old. Each node finds out for itself, by calls that are free or that DingTalk refuses at its door.
    """
    return free or made.by_token or made.scope is Scope.FOLDER or made.cause.advice == "IP_LIST"


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
    release_upload(tick.connection, job.upload, job.claim)
    source = job.source
    if job.payload.key.type == IMAGE and _is_no_image(verdict):
        _send_as_file(tick, job, verdict)
        return
    if isinstance(job, UploadArchive):
        _fail_archive(tick, job, verdict)
        return
    if isinstance(verdict, TypeRefused) and job.payload.form is Form.PLAIN:
        _refuse_extension(tick, job)
    for row in job.rows:
        same_file = (row.folder, row.path) == (source.folder, source.path)
        if same_file or not isinstance(verdict, policy.OWN_FILE):
            _fail_message(tick, [row], verdict)
        else:
            # Somebody copied one PDF into two folders and deleted the first copy: the second is still there.
            _retry_at_once(tick, [row], State.UPLOADING)


def _fail_archive(tick: TickContext, job: UploadArchive, verdict: Verdict) -> None:
    """Enter that an archive was not uploaded; if it is refused, each of its files goes alone."""
    if not isinstance(verdict, Rejected):
        for rows in messages(job.rows):
            _fail_message(tick, rows, verdict)
        return
    if isinstance(verdict, TypeRefused):
        _remember_refused(tick, job.payload.key.extension)  # so there are no more bundles
    # One of many files may be what is refused, and DingTalk does not say which. They go out all the same, so
    # nobody needs advice.
    tick.log_message(Log.BUNDLE_REFUSED, messages(job.rows)[0], replace(verdict.cause, advice=""))
    rows = _still_claimed(tick, job.rows, State.UPLOADING)
    _retry_at_once(tick, rows, State.UPLOADING)
    bundles.dissolve(tick, rows)


def _lose_members(tick: TickContext, job: Job, lost: MembersLost) -> None:
    """Enter that some files cannot go with an archive: it is packed again without them."""
    if not isinstance(job, UploadArchive):
        raise TypeError(job)  # no other job packs several files
    release_upload(tick.connection, job.upload, job.claim)
    failed = dict(lost.failed)
    rows = _still_claimed(tick, job.rows, State.UPLOADING)
    without = [row for row in rows if row.version in failed]
    leave_bundles(tick.connection, [row.id for row in without])
    for row in without:
        _fail_message(tick, [row], failed[row.version])
    _retry_at_once(tick, [row for row in rows if row.version not in failed], State.UPLOADING)


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
        *(
            Change(row.id, Event.RETRY, State.UPLOADING, verdict.cause, columns, row.version, row.claim)
            for row in job.rows
        ),
    )


def _refuse_extension(tick: TickContext, job: Upload | DriveJob) -> None:
    extension = job.payload.key.extension
    _remember_refused(tick, extension)
    tick.log(Log.EXTENSION_REFUSED, extension=extension, **about(job.source))


def _remember_refused(tick: TickContext, word: str) -> None:
    state = tick.state
    state.refused |= {word}
    pauses.refuse_extension(state.store, tick.connection, state.settings.app, word, tick.now)


def _retry_at_once(tick: TickContext, rows: Sequence[Delivery], claimed: State) -> None:
    due = {"due": tick.now}
    tick.apply(*(Change(row.id, Event.RETRY, claimed, None, due, row.version, row.claim) for row in rows))


# --- Rows ----------------------------------------------------------------------------------------


def _fail_message(tick: TickContext, rows: Sequence[Delivery], verdict: Verdict) -> None:
    """Write down what a verdict means for a row, or for all of a bundle, if they are still where claimed."""
    claimed = State.UPLOADING if rows[0].state is State.PENDING else State.SENDING
    current = find_deliveries(tick.connection, [row.id for row in rows])
    rows = [row for row in rows if _is_claimed(row, current, claimed)]
    if not rows:
        return
    if isinstance(verdict, policy.OWN_FILE) and any(
        (current[row.id].path, current[row.id].fingerprint) != (row.path, row.fingerprint) for row in rows
    ):
        # It was moved or touched while it was read, and what failed was the file of before.
        _retry_at_once(tick, rows, claimed)
        return
    row = rows[0]  # those of a bundle have all failed alike
    # An outage of a day must not use up the three days after which a row is given up. Its waits only count
    # while the same API serves others, so that the trouble is its own.
    served_at = max(tick.state.served_at.get(api, LONG_AGO) for api in _apis_of(row, claimed))
    alone = row.failures == 0 or served_at > row.due
    rules = Rules(tick.settings.give_up_after, tick.settings.of_folder(row.folder).unsupported)
    standing = replace(row.standing, state=claimed)
    result = policy.consequence(verdict, standing, tick.now, tick.state.chance(), rules, alone=alone)
    _write_consequence(tick, rows, claimed, result)
    if claimed is State.SENDING:
        late_outcomes.confirm_arrived(tick, rows)
    _log_consequence(tick, rows, claimed, result, verdict)


def _still_claimed(tick: TickContext, rows: Sequence[Delivery], claimed: State) -> list[Delivery]:
    """Return a job's rows that are still where they were claimed, and by this claim."""
    current = find_deliveries(tick.connection, [row.id for row in rows])
    return [row for row in rows if _is_claimed(row, current, claimed)]


def _is_claimed(row: Delivery, current: Mapping[int, Delivery], claimed: State) -> bool:
    now = current.get(row.id)
    return now is not None and (now.state, now.claim) == (claimed, row.claim)


def _apis_of(row: Delivery, claimed: State) -> Collection[str]:
    """Return the APIs of which any that serves others shows that a row's trouble is its own."""
    if claimed is State.SENDING:
        return {recipient_kind(row.recipient).api_by(row.route)}
    return DRIVE_APIS if row.route is Route.DRIVE else {API_UPLOAD}


def _write_consequence(
    tick: TickContext, rows: Sequence[Delivery], claimed: State, result: Consequence
) -> None:
    row = rows[0]
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
    tick.apply(
        *(
            Change(one.id, result.event, claimed, result.cause, columns, one.version, one.claim)
            for one in rows
        )
    )


_LOGGED: Final = {
    Event.REJECT: Log.FAILED,
    Event.SKIP: Log.SKIPPED,
    Event.VANISH: Log.WITHDRAWN,
}


def _log_consequence(
    tick: TickContext, rows: Sequence[Delivery], claimed: State, result: Consequence, verdict: Verdict
) -> None:
    text = _LOGGED.get(result.event)
    if result.event is Event.DOUBT and claimed is State.SENDING:
        text = Log.DOUBTED
    elif result.event is Event.RETRY and verdict.scope is Scope.ROW and result.cause.code != "stopped":
        text = Log.RETRYING
    if text is not None and not isinstance(verdict, TypeRefused):
        tick.log_message(text, rows, result.cause)


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
        *(
            Change(row.id, Event.RETRY, State.SENDING, verdict.cause, columns, row.version, row.claim)
            for row in job.rows
        ),
    )


def miss_recipient(tick: TickContext, rows: Sequence[Delivery], verdict: Verdict) -> None:
    """Enter that a call which reached others did not reach one recipient."""
    pause(tick, _target_of(rows[0]), verdict)
    _fail_message(tick, rows, _slow_down(tick, rows[0], verdict))


def miss_caption(tick: TickContext, rows: Sequence[Delivery], verdict: Verdict) -> None:
    """Enter the same of a caption; what is wrong with the message itself, its file will show."""
    pause(tick, _target_of(rows[0]), verdict)
    if isinstance(verdict, Throttled) or verdict.scope is not Scope.ROW:
        _caption_again(tick, rows, _slow_down(tick, rows[0], verdict))


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
    for rows in messages(job.rows):
        tick.log_message(Log.LINE_REFUSED, rows, verdict.cause)


def _caption_again(tick: TickContext, rows: Sequence[Delivery], verdict: Verdict) -> None:
    own = isinstance(verdict, Throttled) and verdict.scope is Scope.ROW
    wait = verdict.retry_after if isinstance(verdict, Throttled) and own else 0.0
    refused = isinstance(verdict, TokenRejected)
    clear_caption(tick.connection, rows, tick.now, wait, refused=refused)
    for row in rows:
        tick.state.captioned.pop(row.recipient, None)
