"""What may go now: doubted rows back to work, what was in hand at a crash, then sends, then uploads."""

from __future__ import annotations

from dingwatch import names, policy
from dingwatch.delivery import drives, sends, uploads
from dingwatch.delivery.jobs import FetchToken, Upload
from dingwatch.delivery.limits import Target
from dingwatch.delivery.state import LoopState, TickContext, send_api
from dingwatch.dingtalk import API_UPLOAD, Host
from dingwatch.ledger import queues
from dingwatch.ledger.delivery import Delivery, find_deliveries
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import set_upload_states
from dingwatch.lifecycle import Event, State
from dingwatch.texts import Log


def claim(state: LoopState, tick: TickContext) -> None:
    """Claim what may go now; the jobs and the next instant of interest are left in the tick."""
    _requeue_doubted(state, tick)
    for host in sorted(state.pauses.probes(tick.now)):
        state.needs_token(tick, host, force=True)
    if state.crashed:
        _claim_crashed(state, tick)
        tick.apply()
    if not state.crashed:
        sends.claim(state, tick)
        uploads.claim(state, tick)
        drives.go_on(state, tick)
    busy = [job.payload.key.id for job in tick.jobs if isinstance(job, Upload)]
    set_upload_states(tick.connection, busy, "busy")
    tick.apply()
    _wakes(state, tick)


def _wakes(state: LoopState, tick: TickContext) -> None:
    end = state.pauses.next_end(tick.now)
    if end is not None:
        tick.wakes.append(end)
    if state.may_wait:
        due = queues.next_due(tick.connection, tick.now)
        state.may_wait = due is not None
        if due is not None:
            tick.wakes.append(due)
            state.may_upload = True
            state.may_send |= set(queues.recipients_to_send(tick.connection))


# --- Doubts and crashes --------------------------------------------------------------------------


def _requeue_doubted(state: LoopState, tick: TickContext) -> None:
    """Send doubted rows once more, when a call that is safe to repeat has shown that DingTalk answers."""
    if not state.settings.resend_uncertain or not state.may_doubt:
        return
    rows = queues.list_doubted_once(tick.connection)
    state.may_doubt = bool(rows)
    for row in rows:
        _requeue_when_ready(state, tick, row, row.doubted_at or 0.0)
    tick.apply()


def _requeue_when_ready(state: LoopState, tick: TickContext, row: Delivery, doubted_at: float) -> None:
    ready = doubted_at + policy.DOUBT_WAIT
    if ready > tick.now:
        tick.wakes.append(ready)
    elif max(state.served_at.values(), default=float("-inf")) > doubted_at:
        columns = {"due": tick.now, "uncertain_resent": True}
        tick.changes.append(Change(row.id, Event.REQUEUE, State.UNCERTAIN, None, columns))
        state.may_send.add(row.recipient)
        tick.log(Log.RESENDING, path=names.readable(row.path), conversation=row.recipient)
    else:
        state.needs_token(tick, Host.API, force=True)


def _claim_crashed(state: LoopState, tick: TickContext) -> None:
    """After a crash what was in hand goes first and one at a time, so that a culprit stands alone."""
    rows = find_deliveries(tick.connection, state.crashed)
    unfinished = {State.PENDING, State.UPLOADED, State.UPLOADING, State.SENDING}
    state.crashed = [row for row in state.crashed if row in rows and rows[row].state in unfinished]
    if not state.crashed or tick.busy():
        return
    row = rows[state.crashed[0]]
    if row.state is State.UPLOADED:
        sends.claim_first(state, tick, [row])
    else:
        uploads.claim_content(state, tick, [row])
    if not tick.busy() and not _waits_for_all(state, tick, row):
        state.crashed = state.crashed[1:]  # held by something of its own: let the others go on
        tick.wakes.append(tick.now)


def _waits_for_all(state: LoopState, tick: TickContext, row: Delivery) -> bool:
    """Say whether what holds back a row would hold back any other: a token, the API's pause or its pace."""
    target = Target(send_api(row) if row.state is State.UPLOADED else API_UPLOAD)
    token = any(isinstance(job, FetchToken) for job in (*tick.out, *tick.jobs))
    return token or state.blocks(tick, target) or state.slot(tick, target) > tick.now
