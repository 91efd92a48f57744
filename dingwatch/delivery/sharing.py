"""What a tick reads and writes on a shared ledger, so that all nodes together keep to the limits of one app.

It happens under the ledger's lock: a tick begins with what every other node has done before, and what it does
itself is written in the same transaction. Where the ledger is not shared, nothing here runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from sqlalchemy import Connection

from dingwatch.delivery.jobs import DriveJob, Outcome, ToPeople, Upload
from dingwatch.delivery.limits import RateLimits, Target
from dingwatch.delivery.state import WHEN_WOKEN, LoopState, TickContext
from dingwatch.ledger import pauses, sharing
from dingwatch.ledger.nodes import wake_others
from dingwatch.model import Pause, Scope

PROBE_SECONDS: Final = 60.0
"""How long a node keeps others from probing a pause; while its job is out, it renews that."""
SHORTEST_KEPT: Final = 60.0
"""Seconds for which slots are kept at least."""
FORGET_SECONDS: Final = 30.0
"""Seconds from one removal of old slots to the next."""


def begin(tick: TickContext) -> None:
    """Take up what other nodes have done since the last tick."""
    take_up_rates(tick.state, tick.connection, tick.now)
    tick.others = sharing.list_others(tick.connection, tick.now)
    tick.elsewhere = sharing.list_busy_elsewhere(tick.connection, tick.now)
    tick.recipients |= tick.elsewhere
    for recipient in tick.elsewhere:
        tick.state.left_to_others.pop(recipient, None)


def take_up_rates(state: LoopState, connection: Connection, now: float) -> None:
    """Take up the slots that were taken by whatever node, and what was learnt from refusals."""
    since = now - state.rates.longest_period()
    for slot in sharing.read_slots(connection, state.slots_read, since, now):
        # Clocks differ by milliseconds: a slot in the future was taken right before this instant.
        state.rates.note((slot.scope, slot.key), min(slot.at, now))
        _note_turn(state, slot.scope, slot.key, slot.node, slot.id)
        state.slots_read = slot.id
    for key, lesson in pauses.read_learned_rates(connection).items():
        state.rates.take_up(key, lesson)


def _note_turn(state: LoopState, scope: Scope, key: str, node: str, number: int) -> None:
    if scope is Scope.API:
        state.slot_turns.setdefault(key, {})[node] = number


def take_slots(
    state: LoopState, connection: Connection, taken: Iterable[tuple[Target, float]], now: float
) -> None:
    """Write the slots that this node has taken, so that no other takes them, too."""
    slots = [(scope, key, at) for target, at in taken for scope, key in RateLimits.keys(target)]
    if not slots:
        return
    state.slots_read = sharing.take_slots(connection, slots)
    for scope, key, _ in slots:
        _note_turn(state, scope, key, state.store.node, state.slots_read)
    if not 0.0 <= now - state.slots_forgotten_at < FORGET_SECONDS:
        state.slots_forgotten_at = now
        kept = max(state.rates.longest_period(), SHORTEST_KEPT)
        sharing.forget_slots(connection, now - 2.0 * kept)


def end(tick: TickContext, outcomes: Sequence[Outcome]) -> float:
    """Write what other nodes must know, and wake those that may wait for it; return when to look again."""
    if not tick.state.store.shared:
        return WHEN_WOKEN
    take_slots(tick.state, tick.connection, tick.slots, tick.now)
    _note_captions(tick)
    again = _keep_probes(tick)
    if tick.wakes_others or _frees_others(tick, outcomes):
        wake_others(tick.connection)
    return again


def _note_captions(tick: TickContext) -> None:
    now = frozenset(tick.state.captioned)
    if now != tick.state.captions_noted:
        tick.state.captions_noted = now
        sharing.note_captions(tick.connection, now, tick.now)


# --- Probes --------------------------------------------------------------------------------------


def _keep_probes(tick: TickContext) -> float:
    """Reserve the probes that this node has out, and give back those that are over; return when to renew."""
    state, again = tick.state, WHEN_WOKEN
    under = {key for target in tick.targets for key in target.scopes()}
    for key, pause in state.pauses.known.items():
        if pause.own or pause.until > tick.now:
            continue
        if key not in under:
            again = min(again, _give_back(tick, pause))
            continue
        until = tick.now + PROBE_SECONDS
        if pause.probed_by != state.store.node or not tick.now < pause.probed_until - PROBE_SECONDS / 2:
            sharing.reserve_probe(tick.connection, pause, until)
            again = min(again, tick.now + PROBE_SECONDS / 2)
        else:
            again = min(again, pause.probed_until - PROBE_SECONDS / 2)
    return again


def _give_back(tick: TickContext, pause: Pause) -> float:
    if pause.probed_by == tick.state.store.node:
        sharing.release_probe(tick.connection, pause)
        tick.wakes_others = True
        return WHEN_WOKEN
    # Another node's probe is out; should that node be lost, this one goes on when the time is over.
    return pause.probed_until if pause.probed_by and pause.probed_until > tick.now else inf


# --- Waking others -------------------------------------------------------------------------------


def _frees_others(tick: TickContext, outcomes: Iterable[Outcome]) -> bool:
    """Return whether what has come back may be what another node waits for.

    A node that finds nothing to do when it is woken changes nothing, so it wakes nobody.
    """
    jobs = [outcome.job for outcome in outcomes]
    recipients = {one for job in jobs if isinstance(job, ToPeople) for one in job.recipients}
    uploads = {job.upload for job in jobs if isinstance(job, Upload | DriveJob)}
    return any(_frees(tick, one) for one in sorted(recipients)) or any(
        sharing.waits_for_upload(tick.connection, one) for one in sorted(uploads)
    )


def _frees(tick: TickContext, recipient: str) -> bool:
    free = not any(isinstance(job, ToPeople) and recipient in job.recipients for job in tick.in_hand)
    return (free and sharing.is_anything_uploaded(tick.connection, recipient)) or sharing.waits_elsewhere(
        tick.connection, recipient
    )


def reserve(state: LoopState, connection: Connection, target: Target, now: float) -> float:
    """Take a slot for a message that is no delivery; return when it is free, and taken if that is now."""
    take_up_rates(state, connection, now)
    free = max(state.pauses.free_at(target), state.rates.next_slot(target, now))
    if free <= now:
        state.rates.take(target, now)
        take_slots(state, connection, [(target, now)], now)
    return free
