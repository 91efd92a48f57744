"""Claims: what is uploaded and sent next, and when to look again.

Each function returns the earliest instant at which its answer may be another one, and WHEN_WOKEN where only
an outcome, a command or a new file can change it. The loop sleeps until the earliest of all of them, so a
branch that claims nothing has to say what it waits for.
"""

from __future__ import annotations

from collections.abc import Sequence

from dingwatch import policy
from dingwatch.delivery import drive_upkeep
from dingwatch.delivery.jobs import FetchToken, ProbeStore
from dingwatch.delivery.limits import Target
from dingwatch.delivery.message_claims import claim_first, claim_messages
from dingwatch.delivery.state import WHEN_WOKEN, TickContext, about_message, messages
from dingwatch.delivery.upload_claims import claim_content, claim_uploads
from dingwatch.dingtalk import API_UPLOAD, Host
from dingwatch.ledger import queues
from dingwatch.ledger.bundles import list_members
from dingwatch.ledger.delivery import Delivery, find_deliveries
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import IN_WORK, Event, State
from dingwatch.pace import LONG_AGO
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Log


def claim(tick: TickContext) -> float:
    """Claim what may go now: doubted rows, then what a crash interrupted, then messages, then uploads."""
    again = [_resend_doubted(tick)]
    for host in sorted(tick.state.pauses.probes(tick.now)):
        tick.needs_token(host, force=True)
    again.append(_probe_stores(tick))
    if tick.state.crashed:
        again.append(_claim_crashed(tick))
    if not tick.state.crashed:
        again += [claim_messages(tick), claim_uploads(tick), drive_upkeep.claim(tick)]
    again += [tick.state.pauses.next_end(tick.now), queues.next_due(tick.connection, tick.now)]
    return min(again)


def _probe_stores(tick: TickContext) -> float:
    """Probe paused stores of the drive, each by one job at a time."""
    asked = {job.address for job in tick.in_hand if isinstance(job, ProbeStore)}
    waiting = {at: due for at, due in tick.state.pauses.due_probes(tick.now).items() if at not in asked}
    for address, due in waiting.items():
        if due <= tick.now:
            tick.issue(ProbeStore(address))
    return min((due for due in waiting.values() if due > tick.now), default=WHEN_WOKEN)


# --- Doubts and crashes --------------------------------------------------------------------------


def _resend_doubted(tick: TickContext) -> float:
    """Send doubted rows once more, when a call that is safe to repeat has shown that DingTalk answers."""
    if not tick.settings.resend_uncertain:
        return WHEN_WOKEN
    by_hand = tick.state.pauses.by_hand
    rows = [row for row in queues.list_doubted_once(tick.connection, tick.now) if row.folder not in by_hand]
    return min((_resend_when_ready(tick, together) for together in messages(rows)), default=WHEN_WOKEN)


def _resend_when_ready(tick: TickContext, rows: Sequence[Delivery]) -> float:
    doubted_at = rows[0].doubted_at or 0.0
    ready = doubted_at + policy.DOUBT_WAIT
    if ready > tick.now:
        return ready
    if max(tick.state.served_at.values(), default=LONG_AGO) > doubted_at:
        columns = {"due": tick.now, "uncertain_resent": True}
        tick.apply(*(Change(row.id, Event.REQUEUE, State.UNCERTAIN, None, columns) for row in rows))
        tick.log(Log.RESENDING, **about_message(rows))
    else:
        # Only the token call can be repeated without anybody seeing it.
        tick.needs_token(Host.API, force=True)
    return WHEN_WOKEN


def _claim_crashed(tick: TickContext) -> float:
    """Claim one of the rows that were in hand at a crash.

    A file whose reading kills the process would kill it again and again. One at a time, it is found: after
    three crashes with the same row alone in hand, `recover` puts that row aside.
    """
    state = tick.state
    rows = find_deliveries(tick.connection, state.crashed)
    state.crashed = [row for row in state.crashed if row in rows and rows[row].state in IN_WORK]
    if not state.crashed or tick.count_working():
        return WHEN_WOKEN
    row = rows[state.crashed[0]]
    if row.folder in state.pauses.by_hand:
        state.crashed = state.crashed[1:]
        return tick.now
    if row.state is State.UPLOADED:
        again = claim_first(tick, [row])
    elif row.bundle is None:
        again = claim_content(tick, [row])
    else:
        again = claim_content(tick, list_members(tick.connection, row.bundle, State.PENDING, tick.now))
    if tick.count_working() or _is_held_with_all(tick, row):
        return again
    for current in find_deliveries(tick.connection, [row.id]).values():
        if (current.upload_key, current.bundle) != (row.upload_key, row.bundle):
            return tick.now  # it goes in another way, and is still the next
    state.crashed = state.crashed[1:]  # something of its own holds it, which may take hours
    return tick.now


def _is_held_with_all(tick: TickContext, row: Delivery) -> bool:
    """Return whether what holds a row back would hold any other: a token, the API's pause or its pace."""
    uploaded = row.state is State.UPLOADED
    target = Target(recipient_kind(row.recipient).api_by(row.route) if uploaded else API_UPLOAD)
    token = any(isinstance(job, FetchToken) for job in tick.in_hand)
    return token or tick.is_paused(target) or tick.next_slot(target) > tick.now
