"""What may go now: doubted rows back to work, what was in hand at a crash, then sends, then uploads."""

from __future__ import annotations

from dingwatch import names, policy
from dingwatch.delivery import drives, sends, uploads
from dingwatch.delivery.jobs import FetchToken, Upload
from dingwatch.delivery.limits import Place
from dingwatch.delivery.state import Memory, Tick, send_api
from dingwatch.dingtalk import API_UPLOAD, Host
from dingwatch.ledger import send_queue
from dingwatch.ledger.delivery import Delivery, by_id
from dingwatch.ledger.due import next_due
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import upload_states
from dingwatch.lifecycle import Event, State
from dingwatch.texts import Log


def claim(memory: Memory, tick: Tick) -> None:
    """Claim what may go now; the jobs and the next instant of interest are left in the tick."""
    _requeue_doubted(memory, tick)
    for host in sorted(memory.pauses.probes(tick.now)):
        memory.needs_token(tick, host, force=True)
    if memory.crashed:
        _claim_crashed(memory, tick)
        tick.apply()
    if not memory.crashed:
        sends.claim(memory, tick)
        uploads.claim(memory, tick)
        drives.go_on(memory, tick)
    busy = [job.dress.key.id for job in tick.jobs if isinstance(job, Upload)]
    upload_states(tick.connection, busy, "busy")
    tick.apply()
    _wakes(memory, tick)


def _wakes(memory: Memory, tick: Tick) -> None:
    end = memory.pauses.next_end(tick.now)
    if end is not None:
        tick.wakes.append(end)
    if memory.may_wait:
        due = next_due(tick.connection, tick.now)
        memory.may_wait = due is not None
        if due is not None:
            tick.wakes.append(due)
            memory.may_upload = True
            memory.may_send |= set(send_queue.conversations_waiting(tick.connection))


# --- Doubts and crashes --------------------------------------------------------------------------


def _requeue_doubted(memory: Memory, tick: Tick) -> None:
    """Send doubted rows once more, when a call that is safe to repeat has shown that DingTalk answers."""
    if not memory.settings.resend_uncertain or not memory.may_doubt:
        return
    rows = send_queue.doubted_once(tick.connection)
    memory.may_doubt = bool(rows)
    for row in rows:
        _requeue_when_ready(memory, tick, row, row.doubted_at or 0.0)
    tick.apply()


def _requeue_when_ready(memory: Memory, tick: Tick, row: Delivery, doubted_at: float) -> None:
    ready = doubted_at + policy.DOUBT_WAIT
    if ready > tick.now:
        tick.wakes.append(ready)
    elif max(memory.served_at.values(), default=float("-inf")) > doubted_at:
        columns = {"due": tick.now, "uncertain_resent": True}
        tick.changes.append(Change(row.id, Event.REQUEUE, State.UNCERTAIN, None, columns))
        memory.may_send.add(row.conversation)
        tick.say(Log.RESENDING, path=names.readable(row.path), conversation=row.conversation)
    else:
        memory.needs_token(tick, Host.API, force=True)


def _claim_crashed(memory: Memory, tick: Tick) -> None:
    """After a crash what was in hand goes first and one at a time, so that a culprit stands alone."""
    rows = by_id(tick.connection, memory.crashed)
    unfinished = {State.PENDING, State.UPLOADED, State.UPLOADING, State.SENDING}
    memory.crashed = [row for row in memory.crashed if row in rows and rows[row].state in unfinished]
    if not memory.crashed or tick.busy():
        return
    row = rows[memory.crashed[0]]
    if row.state is State.UPLOADED:
        sends.claim_first(memory, tick, [row])
    else:
        uploads.claim_content(memory, tick, [row])
    if not tick.busy() and not _waits_for_all(memory, tick, row):
        memory.crashed = memory.crashed[1:]  # held by something of its own: let the others go on
        tick.wakes.append(tick.now)


def _waits_for_all(memory: Memory, tick: Tick, row: Delivery) -> bool:
    """Say whether what holds back a row would hold back any other: a token, the API's pause or its pace."""
    place = Place(send_api(row) if row.state is State.UPLOADED else API_UPLOAD)
    token = any(isinstance(job, FetchToken) for job in (*tick.out, *tick.jobs))
    return token or memory.holds(tick, place) or memory.slot(tick, place) > tick.now
