"""Claims of sends: the next message of every conversation, one at a time each, earliest settled first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from dingwatch.delivery.jobs import Announce, Send
from dingwatch.delivery.limits import APP, Place, hosts_of
from dingwatch.delivery.state import Memory, Tick, message_api, place_of_rows, send_api
from dingwatch.dingtalk import API_SEND_PERSONS, MOST_PERSONS
from dingwatch.ledger import captions, ordering, send_queue, upload_sessions
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Form, Route
from dingwatch.notice_text import Message, line, notice
from dingwatch.payload import Dress, worn

FEW: Final = 4
HOLD_FOR_UPLOAD: Final = 5.0
"""Seconds that a file waits for the first upload of one that settled earlier."""


def claim(memory: Memory, tick: Tick) -> None:
    """Claim the next message of every conversation: one at a time each, earliest settled first."""
    if not memory.may_send or memory.free_workers(tick) <= 0 or memory.holds(tick, Place(APP)):
        return
    for conversation in sorted(memory.may_send - tick.conversations()):
        place = Place(message_api(conversation), conversation)
        slot = memory.slot(tick, place)
        if conversation in tick.conversations():
            continue  # with another person's message
        if slot > tick.now:
            tick.wakes.append(slot)
        elif memory.free_workers(tick) <= 0:
            return
        elif memory.holds(tick, place):
            # What holds the robot need not hold the drive.
            where = (tick.connection, memory.held(tick.now), tick.now, conversation)
            claim_first(memory, tick, send_queue.next_entry_to_send(*where))
        else:
            _claim_next(memory, tick, conversation)


def _claim_next(memory: Memory, tick: Tick, conversation: str) -> None:
    rows = _ready(memory, tick, conversation)
    first = next(rows, None)
    if first is None:
        memory.may_send.discard(conversation)
    else:
        claim_first(memory, tick, chain([first], rows))


def _ready(memory: Memory, tick: Tick, conversation: str) -> Iterator[Delivery]:
    """Yield a conversation's rows that are uploaded and due, earliest settled first.

    Before all others goes the one whose line was sent. Mostly the first is all that is wanted, so few are
    asked for at once.
    """
    seen: set[int] = set()
    where = (tick.connection, memory.held(tick.now), tick.now, conversation)
    announced = memory.announced.get(conversation)
    if announced is not None:
        rows = send_queue.this_to_send(*where, announced)
        if not rows:
            memory.announced.pop(conversation)
        yield from rows
        seen.add(announced)
    limit = FEW
    while True:
        rows = send_queue.next_to_send(*where, limit)
        yield from (row for row in rows if row.id not in seen)
        if len(rows) < limit:
            return
        seen.update(row.id for row in rows)
        limit *= FEW


def claim_first(memory: Memory, tick: Tick, rows: Iterable[Delivery]) -> None:
    """Claim the first of a conversation's rows that nothing holds back."""
    found = _first(memory, tick, rows)
    if found is not None:
        _claim_send(memory, tick, *found)


def _first(memory: Memory, tick: Tick, rows: Iterable[Delivery]) -> tuple[Delivery, Dress] | None:
    """Return the first of a conversation's rows that nothing holds back, if it may go now."""
    for row in rows:
        # Its upload was lost by another row, or it was renamed to what it cannot be called: no failure of
        # this one.
        named = bool(row.upload_name)
        dress = worn(row.name, row.digest, memory.settings.app, row.form, row.upload_type, named=named)
        if row.media_id is None or _unfit(row, dress):
            tick.changes.append(Change(row.id, Event.MEDIA_LOST, State.UPLOADED))
            tick.apply()  # this very tick looks for uploads, and would find none for long
            memory.may_upload = True
            continue
        if row.older_in_flight and ordering.older_blocks(
            tick.connection, row, resends=memory.settings.resend_uncertain
        ):
            continue
        if row.route is Route.DRIVE and _drive_waits(memory, tick, row):
            continue
        hold_until = (row.uploaded_at or row.settled_at) + HOLD_FOR_UPLOAD
        if row.upload_ahead and row.announced_at is None and hold_until > tick.now:
            tick.wakes.append(hold_until)
            return None
        return row, dress
    return None


def _drive_waits(memory: Memory, tick: Tick, row: Delivery) -> bool:
    """Say whether an entry may not be sent now, while what goes by the robot may."""
    return memory.holds(tick, Place(send_api(row), row.conversation)) or upload_sessions.being_committed(
        tick.connection, row.upload_type, row.upload_name, row.upload_key
    )


def _unfit(row: Delivery, dress: Dress) -> bool:
    """Say whether a file was renamed so that what was uploaded cannot go under its name."""
    if row.upload_name:
        return dress.key.id != row.upload_key  # people are shown the upload's own name
    return row.form is Form.PLAIN and not dress.notice and not dress.key.extension


def _claim_send(memory: Memory, tick: Tick, row: Delivery, dress: Dress) -> None:
    """Claim a row's message: the line before its file where that is to come, else the file or notice."""
    said = _line(memory, tick, row, dress)
    api = send_api(row) if said is None else message_api(row.conversation)
    place = Place(api, row.conversation)
    slot = memory.slot(tick, place)
    if slot > tick.now:
        tick.wakes.append(slot)
        return
    if memory.holds(tick, place) or any(memory.needs_token(tick, host) for host in hosts_of(api)):
        return
    others = tuple(_others(memory, tick, row, said)) if api == API_SEND_PERSONS else ()
    if said is None:
        _claim_file(memory, tick, (row, *others), dress)
    else:
        captions.announce(tick.connection, [one.id for one in (row, *others)], tick.now)
        memory.announced |= {one.conversation: one.id for one in (row, *others)}
        tick.jobs.append(Announce(row, said, others))
    tick.slots.append(place_of_rows(api, (row, *others)))


def _claim_file(memory: Memory, tick: Tick, rows: Sequence[Delivery], dress: Dress) -> None:
    for row in rows:
        memory.announced.pop(row.conversation, None)
        tick.changes.append(
            Change(row.id, Event.CLAIM, State.UPLOADED, None, {"claimed_at": tick.now}, row.version)
        )
    row, *others = rows
    wording = memory.settings.wording_of(row.folder)
    instead = notice(wording, row.path, row.fingerprint.size) if dress.notice else None
    tick.jobs.append(Send(row, row.media_id or "", dress, instead, tuple(others)))


def _line(memory: Memory, tick: Tick, row: Delivery, dress: Dress) -> Message | None:
    """Return the line that is to go before a row's file; None where there is none, or it has gone."""
    wording = memory.settings.wording_of(row.folder)
    if dress.notice or row.announced_at is not None or wording.template is None:
        return None
    changed = ordering.sent_before(tick.connection, row.id)
    return line(wording, row.path, row.fingerprint.size, changed=changed)


def _others(memory: Memory, tick: Tick, row: Delivery, said: Message | None) -> Iterator[Delivery]:
    """Yield the rows of the same version whose persons can be sent the same in the same call."""
    if row.id in memory.alone or memory.crashed:
        return
    number = 1
    for conversation in send_queue.persons_waiting(tick.connection, tick.now, row.version):
        place = Place(API_SEND_PERSONS, conversation)
        if (
            conversation == row.conversation
            or conversation in tick.conversations()
            or memory.holds(tick, place)
            or memory.slot(tick, place) > tick.now
        ):
            continue
        found = _first(memory, tick, _ready(memory, tick, conversation))
        if found is None or found[0].id in memory.alone:
            continue
        other, dress = found
        same = other.version == row.version and other.media_id == row.media_id
        if same and _line(memory, tick, other, dress) == said:
            number += 1
            yield other
        if number == MOST_PERSONS:
            return
