"""Claims of sends: the next message of every conversation, one at a time each, earliest settled first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from dingwatch.delivery.jobs import Send, SendCaption
from dingwatch.delivery.limits import APP, Target, hosts_of, message_target
from dingwatch.delivery.state import LoopState, TickContext, send_api, target_of_rows
from dingwatch.ledger import queues
from dingwatch.ledger.delivery import Delivery, mark_caption_sent
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Form, Route
from dingwatch.notice_text import Message, line, notice
from dingwatch.payload import Payload, rebuild_payload
from dingwatch.recipients import recipient_kind

FEW: Final = 4
HOLD_FOR_UPLOAD: Final = 5.0
"""Seconds that a file waits for the first upload of one that settled earlier."""


def claim(state: LoopState, tick: TickContext) -> None:
    """Claim the next message of every conversation: one at a time each, earliest settled first."""
    if not state.may_send or state.free_workers(tick) <= 0 or state.blocks(tick, Target(APP)):
        return
    for conversation in sorted(state.may_send - tick.conversations()):
        target = message_target(conversation)
        slot = state.slot(tick, target)
        if conversation in tick.conversations():
            continue  # with another person's message
        if slot > tick.now:
            tick.wakes.append(slot)
        elif state.free_workers(tick) <= 0:
            return
        elif state.blocks(tick, target):
            # What holds the robot need not hold the drive.
            where = (tick.connection, state.paused(tick.now), tick.now, conversation)
            claim_first(state, tick, queues.next_entry_to_send(*where))
        else:
            _claim_next(state, tick, conversation)


def _claim_next(state: LoopState, tick: TickContext, conversation: str) -> None:
    rows = _ready(state, tick, conversation)
    first = next(rows, None)
    if first is None:
        state.may_send.discard(conversation)
    else:
        claim_first(state, tick, chain([first], rows))


def _ready(state: LoopState, tick: TickContext, conversation: str) -> Iterator[Delivery]:
    """Yield a conversation's rows that are uploaded and due, earliest settled first.

    Before all others goes the one whose line was sent. Mostly the first is all that is wanted, so few are
    asked for at once.
    """
    seen: set[int] = set()
    where = (tick.connection, state.paused(tick.now), tick.now, conversation)
    captioned = state.captioned.get(conversation)
    if captioned is not None:
        rows = queues.find_to_send(*where, captioned)
        if not rows:
            state.captioned.pop(conversation)
        yield from rows
        seen.add(captioned)
    limit = FEW
    while True:
        rows = queues.next_to_send(*where, limit)
        yield from (row for row in rows if row.id not in seen)
        if len(rows) < limit:
            return
        seen.update(row.id for row in rows)
        limit *= FEW


def claim_first(state: LoopState, tick: TickContext, rows: Iterable[Delivery]) -> None:
    """Claim the first of a conversation's rows that nothing holds back."""
    found = _first(state, tick, rows)
    if found is not None:
        _claim_send(state, tick, *found)


def _first(state: LoopState, tick: TickContext, rows: Iterable[Delivery]) -> tuple[Delivery, Payload] | None:
    """Return the first of a conversation's rows that nothing holds back, if it may go now."""
    for row in rows:
        # Its upload was lost by another row, or it was renamed to what it cannot be called: no failure of
        # this one.
        named = bool(row.upload_name)
        payload = rebuild_payload(
            row.name, row.digest, state.settings.app, row.form, row.upload_type, named=named
        )
        if row.remote_id is None or _unfit(row, payload):
            tick.changes.append(Change(row.id, Event.MEDIA_LOST, State.UPLOADED))
            tick.apply()  # this very tick looks for uploads, and would find none for long
            state.may_upload = True
            continue
        if row.older_in_flight and queues.is_blocked_by_older(
            tick.connection, row.id, resends=state.settings.resend_uncertain
        ):
            continue
        if row.route is Route.DRIVE and _drive_waits(state, tick, row):
            continue
        hold_until = (row.uploaded_at or row.settled_at) + HOLD_FOR_UPLOAD
        if row.upload_ahead and row.caption_sent_at is None and hold_until > tick.now:
            tick.wakes.append(hold_until)
            return None
        return row, payload
    return None


def _drive_waits(state: LoopState, tick: TickContext, row: Delivery) -> bool:
    """Say whether an entry may not be sent now, while what goes by the robot may."""
    return state.blocks(tick, Target(send_api(row), row.recipient)) or queues.is_name_uploading(
        tick.connection, row.upload_type, row.upload_name, row.upload_key
    )


def _unfit(row: Delivery, payload: Payload) -> bool:
    """Say whether a file was renamed so that what was uploaded cannot go under its name."""
    if row.upload_name:
        return payload.key.id != row.upload_key  # people are shown the upload's own name
    return row.form is Form.PLAIN and not payload.notice and not payload.key.extension


def _claim_send(state: LoopState, tick: TickContext, row: Delivery, payload: Payload) -> None:
    """Claim a row's message: the line before its file where that is to come, else the file or notice."""
    messages = _line(state, tick, row, payload)
    kind = recipient_kind(row.recipient)
    api = send_api(row) if messages is None else kind.message_api
    target = Target(api, row.recipient)
    slot = state.slot(tick, target)
    if slot > tick.now:
        tick.wakes.append(slot)
        return
    if state.blocks(tick, target) or any(state.needs_token(tick, host) for host in hosts_of(api)):
        return
    shared = kind.batch > 1 and api == kind.message_api
    others = tuple(_others(state, tick, row, messages)) if shared else ()
    if messages is None:
        _claim_file(state, tick, (row, *others), payload)
    else:
        mark_caption_sent(tick.connection, [one.id for one in (row, *others)], tick.now)
        state.captioned |= {one.recipient: one.id for one in (row, *others)}
        tick.jobs.append(SendCaption(row, messages, others))
    tick.slots.append(target_of_rows(api, (row, *others)))


def _claim_file(state: LoopState, tick: TickContext, rows: Sequence[Delivery], payload: Payload) -> None:
    for row in rows:
        state.captioned.pop(row.recipient, None)
        tick.changes.append(
            Change(row.id, Event.CLAIM, State.UPLOADED, None, {"claimed_at": tick.now}, row.version)
        )
    row, *others = rows
    wording = state.settings.of_folder(row.folder).wording
    instead = notice(wording, row.path, row.fingerprint.size) if payload.notice else None
    tick.jobs.append(Send(row, row.remote_id or "", payload, instead, tuple(others)))


def _line(state: LoopState, tick: TickContext, row: Delivery, payload: Payload) -> Message | None:
    """Return the line that is to go before a row's file; None where there is none, or it has gone."""
    wording = state.settings.of_folder(row.folder).wording
    if payload.notice or row.caption_sent_at is not None or wording.template is None:
        return None
    changed = queues.was_sent_before(tick.connection, row.id)
    return line(wording, row.path, row.fingerprint.size, changed=changed)


def _others(
    state: LoopState, tick: TickContext, row: Delivery, messages: Message | None
) -> Iterator[Delivery]:
    """Yield the rows of the same version whose recipients can be sent the same in the same call."""
    if row.id in state.alone or state.crashed:
        return
    kind, number = recipient_kind(row.recipient), 1
    for conversation in queues.recipients_of_version(tick.connection, tick.now, row.version):
        target = Target(kind.message_api, conversation)
        if (
            conversation == row.recipient
            or recipient_kind(conversation) is not kind
            or conversation in tick.conversations()
            or state.blocks(tick, target)
            or state.slot(tick, target) > tick.now
        ):
            continue
        found = _first(state, tick, _ready(state, tick, conversation))
        if found is None or found[0].id in state.alone:
            continue
        other, payload = found
        same = other.version == row.version and other.remote_id == row.remote_id
        if same and _line(state, tick, other, payload) == messages:
            number += 1
            yield other
        if number == kind.batch:
            return
