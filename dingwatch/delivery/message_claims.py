"""Claims of messages: whose file or caption is sent next, and what holds it back.

As in `claims`, each function that claims returns when its answer may be another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dingwatch import notice_text
from dingwatch.delivery import bundles, drive_upkeep, screening
from dingwatch.delivery.jobs import Send, SendCaption, Upload
from dingwatch.delivery.limits import APP, Target, hosts_of, message_target
from dingwatch.delivery.state import WHEN_WOKEN, TickContext
from dingwatch.ledger import queues
from dingwatch.ledger.bundles import list_members
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.fencing import begin_message, end_messages
from dingwatch.ledger.transitions import Change
from dingwatch.lifecycle import Event, State
from dingwatch.model import Form, Route
from dingwatch.notice_text import Message
from dingwatch.payload import Payload, rebuild_payload
from dingwatch.recipients import recipient_kind

MORE: Final = 4
"""How many times more rows of a recipient's queue are read when none can go; mostly the very first can."""
HOLD_FOR_OTHERS: Final = 60.0
"""Seconds that the probe of an API waits for the upload of a recipient that was not refused."""
MESSAGES: Final = "messages"
"""Kinds of turns that recipients take, besides the routes of uploads."""
HOLD_FOR_UPLOAD: Final = 5.0
"""Seconds that a file waits for the first upload of one that settled earlier."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that nothing holds back: the rows of one recipient that share it, and what was uploaded."""

    rows: tuple[Delivery, ...]
    payload: Payload

    @property
    def row(self) -> Delivery:
        """The first of its rows."""
        return self.rows[0]


def claim_messages(tick: TickContext) -> float:
    """Claim the next message of every recipient in turn: one at a time each, earliest settled first."""
    again = WHEN_WOKEN
    if not tick.can_send() or tick.is_paused(Target(APP)):
        return again
    waiting = tick.state.turns.sort(queues.recipients_to_send(tick.connection, tick.now), MESSAGES)
    # When the pause of a whole API is probed, the probe is for somebody who was not refused.
    for recipient in sorted(waiting, key=tick.state.pauses.is_refused):
        # Two messages to one group at the same time may arrive in either order.
        if recipient not in tick.recipients:
            again = min(again, _claim_for(tick, recipient))
        if not tick.can_send():
            break
    return again


def _claim_for(tick: TickContext, recipient: str) -> float:
    target = message_target(recipient)
    slot = max(tick.next_slot(target), _free_for_refused(tick, target))
    if slot > tick.now:
        return slot
    if not tick.is_paused(target):
        return claim_first(tick, _ready_rows(tick, recipient))
    # The robot may be refused in a group where the drive's entries still arrive.
    if tick.is_paused(Target(recipient_kind(recipient).api_by(Route.DRIVE), (recipient,))):
        return WHEN_WOKEN
    rows = queues.next_entry_to_send(tick.connection, tick.paused, tick.now, recipient)
    return claim_first(tick, rows)


def _free_for_refused(tick: TickContext, target: Target) -> float:
    """Return when a refused recipient may be the probe of its whole API: others go first, if they can soon.

    Two groups without the robot were refused, so all groups wait. Were one of these two the probe each time,
    the others would wait until somebody adds the robot there.
    """
    pauses = tick.state.pauses
    since = pauses.probing_since(target.api, tick.now)
    if since is None or not all(map(pauses.is_refused, target.recipients)):
        return tick.now
    uploading = (row.recipient for job in tick.in_hand if isinstance(job, Upload) for row in job.rows)
    soon = {*uploading, *queues.recipients_to_upload(tick.connection, Route.ROBOT)}
    others = any(recipient_kind(one).message_api == target.api and not pauses.is_refused(one) for one in soon)
    return since + HOLD_FOR_OTHERS if others else tick.now


def _ready_rows(tick: TickContext, recipient: str) -> Iterator[Delivery]:
    """Yield a recipient's rows that are uploaded and due: first the one whose caption was sent."""
    where = (tick.connection, tick.paused, tick.now, recipient)
    seen: set[int] = set()
    # The caption "a.pdf" stands in the chat. Were b.pdf to follow, people would take it for a.pdf.
    captioned = tick.state.captioned.get(recipient)
    if captioned is not None:
        # A person who pauses the folder between the two finds the caption in the chat already.
        rows = queues.find_to_send(tick.connection, tick.paused_by_itself, tick.now, recipient, captioned)
        if not rows:
            tick.state.captioned.pop(recipient)
        yield from rows
        seen.add(captioned)
    limit = 1
    while True:
        rows = queues.next_to_send(*where, limit)
        yield from (row for row in rows if row.id not in seen)
        if len(rows) < limit:
            return
        seen.update(row.id for row in rows)
        limit *= MORE


def claim_first(tick: TickContext, rows: Iterable[Delivery]) -> float:
    """Claim the message of the first of a recipient's rows that nothing holds back."""
    found = _first_ready(tick, rows)
    return _claim_message(tick, found) if isinstance(found, _Ready) else found


def _first_ready(tick: TickContext, rows: Iterable[Delivery]) -> _Ready | float:
    """Return the first of a recipient's rows that nothing holds back; else when to look again."""
    looked_at: set[int] = set()
    for row in rows:
        if row.bundle in looked_at:
            continue  # one of its rows stands for all
        if row.bundle is not None:
            looked_at.add(row.bundle)
        ready = _ready_file(tick, row) if row.bundle is None else _ready_bundle(tick, row.bundle)
        if ready is not None:
            return max(_hold_for_upload(tick, row), _hold_for_another(tick, row)) or ready
    return WHEN_WOKEN


def _hold_for_another(tick: TickContext, row: Delivery) -> float:
    """Return until when a row waits for an earlier one that only another node can send; 0 if it does not.

    That node may be slow, or unable to for a reason that only it knows, so it is not waited for long.
    """
    if not tick.others or row.caption_sent_at is not None:
        return 0.0
    waiting = tick.state.left_to_others
    first = queues.first_elsewhere(tick.connection, tick.paused, tick.now, row.recipient)
    if first is None or first > (row.settled_at, row.id):
        waiting.pop(row.recipient, None)
        return 0.0
    hold_until = waiting.setdefault(row.recipient, tick.now) + HOLD_FOR_UPLOAD
    return hold_until if hold_until > tick.now else 0.0


def _ready_file(tick: TickContext, row: Delivery) -> _Ready | None:
    """Return the message of a row's file; None where something of its own holds it back."""
    payload = rebuild_payload(
        row.name, row.digest, tick.settings.app, row.form, row.upload_type, named=bool(row.upload_name)
    )
    if row.remote_id is None or _is_unfit(row, payload):
        # DingTalk forgot the upload and told it to another row, or the file was renamed. This row has
        # failed at nothing, so its count of lost uploads stays; the uploads of this tick look at it.
        tick.apply(Change(row.id, Event.MEDIA_LOST, State.UPLOADED))
        return None
    if screening.is_unscreened(tick, row):
        _wait_for_screening(tick, [row])
        return None
    # The newer version waits for the older one that is on its way; rows of other files may go.
    held = _is_blocked(tick, row) or (row.route is Route.DRIVE and _is_entry_held(tick, row))
    return None if held else _Ready((row,), payload)


def _ready_bundle(tick: TickContext, bundle: int) -> _Ready | None:
    """Return the message of a bundle's files; None where something of theirs holds it back."""
    rows = list_members(tick.connection, bundle, State.UPLOADED, tick.now)
    if not rows:
        return None  # it was looked at a moment ago, and is packed anew
    archive = bundles.archive_of(tick, rows)
    if archive.rows[0].remote_id is None or not archive.holds:
        # A file was removed or replaced since the archive was uploaded, and must not be sent with it.
        bundles.rebuild(tick, archive)
        return None
    if any(screening.is_unscreened(tick, row) for row in archive.rows):
        _wait_for_screening(tick, archive.rows)
        return None
    if any(_is_blocked(tick, row) for row in archive.rows):
        return None
    return _Ready(tuple(archive.rows), archive.payload)


def _wait_for_screening(tick: TickContext, rows: Sequence[Delivery]) -> None:
    """Let uploaded rows wait for a program that their folder has got since."""
    cause, due = screening.UNSCREENED, {"due": tick.now}
    tick.apply(*(Change(row.id, Event.MEDIA_LOST, State.UPLOADED, cause, due) for row in rows))


def _is_blocked(tick: TickContext, row: Delivery) -> bool:
    """Return whether a row waits for an older version of its path, which is on its way."""
    resends = tick.settings.resend_uncertain
    return bool(row.older_in_flight) and queues.is_blocked_by_older(tick.connection, row.id, resends=resends)


def _hold_for_upload(tick: TickContext, row: Delivery) -> float:
    """Return until when a row waits for the upload of an earlier one; 0 where it does not.

    People see files in the order in which they were dropped.
    """
    hold_until = (row.uploaded_at or row.settled_at) + HOLD_FOR_UPLOAD
    waits = row.upload_ahead and row.caption_sent_at is None and hold_until > tick.now
    return hold_until if waits else 0.0


def _is_entry_held(tick: TickContext, row: Delivery) -> bool:
    """Return whether a drive entry may not be sent now, while messages of the robot may."""
    target = Target(recipient_kind(row.recipient).api_by(row.route), (row.recipient,))
    return tick.is_paused(target) or queues.is_name_uploading(
        tick.connection, row.upload_type, row.upload_name, row.upload_key
    )


def _is_unfit(row: Delivery, payload: Payload) -> bool:
    """Return whether a file was renamed so that what was uploaded cannot go under its name."""
    if row.upload_name:
        return payload.key.id != row.upload_key  # people are shown the upload's own name
    return row.form is Form.PLAIN and not payload.notice and not payload.key.extension


def _claim_message(tick: TickContext, ready: _Ready) -> float:
    """Claim a row's message: the caption before its file where that is to come, else the file or notice."""
    row = ready.row
    caption = _caption_before(tick, ready)
    kind = recipient_kind(row.recipient)
    api = kind.api_by(row.route) if caption is None else kind.message_api
    target = Target(api, (row.recipient,))
    slot = tick.next_slot(target)
    if slot > tick.now:
        return slot
    if tick.is_paused(target) or any(tick.needs_token(host) for host in hosts_of(api)):
        return WHEN_WOKEN
    # A file for 30 persons is one call instead of 30, of 5,000 in a month.
    others = _others_ready(tick, ready, caption) if kind.batch > 1 and api == kind.message_api else ()
    rows = _claim_rows(tick, (*ready.rows, *others), captioned=caption is not None)
    if not rows:
        return WHEN_WOKEN
    target = Target(api, tuple(dict.fromkeys(one.recipient for one in rows)))
    for recipient in target.recipients:
        tick.turns.append((MESSAGES, recipient))
    if caption is None:
        _issue_file(tick, rows, target, ready.payload)
    else:
        # Of the files of a bundle, any stands for all.
        tick.state.captioned |= {one.recipient: one.id for one in rows}
        tick.issue(SendCaption(rows, target, caption))
    return WHEN_WOKEN


def _claim_rows(tick: TickContext, rows: Sequence[Delivery], *, captioned: bool) -> tuple[Delivery, ...]:
    """Claim rows and their recipients for a message, or for the caption before it.

    Return the rows that it is for: no other host has claimed them, or has a message on its way to their
    recipient.
    """
    number = tick.draw_claim()
    recipients = dict.fromkeys(row.recipient for row in rows)
    free = {one for one in recipients if begin_message(tick.state.store, tick.connection, one, number)}
    there = [row for row in rows if row.recipient in free]
    claimed = tick.claim_captions(there, number) if captioned else tick.claim(there, number)
    end_messages(tick.connection, free.difference(row.recipient for row in claimed), number)
    return claimed


def _issue_file(tick: TickContext, rows: tuple[Delivery, ...], target: Target, payload: Payload) -> None:
    for one in rows:
        tick.state.captioned.pop(one.recipient, None)
        drive_upkeep.keep_entry(tick, one)
    instead = _notice(tick, rows) if payload.notice else None
    tick.issue(Send(rows, target, rows[0].remote_id or "", payload, instead))


def _notice(tick: TickContext, rows: Sequence[Delivery]) -> Message:
    row, wording = rows[0], tick.settings.of_folder(rows[0].folder).wording
    if row.bundle is not None:
        files = [(one.path, one.fingerprint.size) for one in rows if one.bundle == row.bundle]
        return notice_text.notice_of_several(wording, files)
    changed = wording.notice is not None and queues.was_noticed_before(tick.connection, row.id)
    return notice_text.notice(wording, row.path, row.fingerprint.size, changed=changed)


def _caption_before(tick: TickContext, ready: _Ready) -> Message | None:
    """Return the caption that is to go before a row's file; None where there is none, or it has gone."""
    row = ready.row
    wording = tick.settings.of_folder(row.folder).wording
    if ready.payload.notice or row.caption_sent_at is not None or wording.caption is None:
        return None
    if row.bundle is not None:
        return notice_text.caption_of_several(wording, [one.path for one in ready.rows])
    changed = queues.was_sent_before(tick.connection, row.id)
    return notice_text.caption(wording, row.path, row.fingerprint.size, changed=changed)


def _others_ready(tick: TickContext, ready: _Ready, caption: Message | None) -> Iterator[Delivery]:
    """Yield the rows of the same version whose recipients can be sent the same in the same call."""
    row, kind, number = ready.row, recipient_kind(ready.row.recipient), 1
    if row.id in tick.state.alone or tick.state.crashed:
        return
    for recipient in queues.recipients_of_version(tick.connection, tick.now, row.version):
        target = Target(kind.message_api, (recipient,))
        if (
            recipient == row.recipient
            or recipient in tick.recipients
            or recipient_kind(recipient) is not kind
            or tick.is_paused(target)
            or tick.next_slot(target) > tick.now
        ):
            continue
        # The other's queue may begin with another file, which must not be overtaken.
        found = _first_ready(tick, _ready_rows(tick, recipient))
        if not isinstance(found, _Ready) or found.row.id in tick.state.alone:
            continue
        same = found.row.version == row.version and found.row.remote_id == row.remote_id
        if row.bundle is not None or found.row.bundle is not None:
            mine, theirs = ({one.version for one in each.rows} for each in (ready, found))
            same = same and mine == theirs and found.payload.name == ready.payload.name
        if same and _caption_before(tick, found) == caption:
            number += 1
            yield from found.rows
        if number == kind.batch:
            return
