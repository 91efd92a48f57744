"""Upkeep of the drive: deletes old entries of folders with `drive_keep`, and asks how much room is left.

It deletes one entry at a time, and none while most of the month's calls are used. An entry is deleted when
its last upload is old enough, no delivery under its name is unsent, and everybody who was sent it has a copy
of their own.
"""

from __future__ import annotations

from typing import Final

from dingwatch import policy, quota
from dingwatch.delivery import failures
from dingwatch.delivery.jobs import AskRoom, DeleteEntry
from dingwatch.delivery.limits import Target
from dingwatch.delivery.state import WHEN_WOKEN, TickContext
from dingwatch.dingtalk import API_DELETE_ENTRY, API_ORGANISATION, BILLED, Host, Room
from dingwatch.ledger import calls, deletions
from dingwatch.ledger.deletions import RESERVED, Deletion
from dingwatch.ledger.delivery import Delivery
from dingwatch.model import DriveRoom, NotReached, Rejected, Route, Verdict
from dingwatch.pace import LONG_AGO
from dingwatch.payload import DRIVE
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Log

SPACING: Final = 1.0
"""Seconds from one deletion to the next."""
LONGEST_PAUSE: Final = 3600.0
"""Seconds after which it is looked again at what still was needed."""
MOST_TRIES: Final = 5
"""Refusals of one deletion after which its entry stays."""
ROOM_DELAY: Final = 10.0
ROOM_SECONDS: Final = 86400.0
"""The room is asked for once a day, some seconds after an upload to the drive: a billed call."""


def claim(tick: TickContext) -> float:
    """Delete the next entry that is old enough, and ask for the room when it is time; return when to look."""
    return min(_claim_deletion(tick), _claim_room(tick))


def begin_settings(tick: TickContext) -> None:
    """Look at once by another configuration, and try again what has failed."""
    tick.state.upkeep_at = LONG_AGO
    deletions.retry(tick.connection, tick.now)


# --- Deletions -------------------------------------------------------------------------------------


def _claim_deletion(tick: TickContext) -> float:
    keeps = {
        number: policy.drive_keep
        for number, policy in tick.settings.folders.items()
        if number is not None and policy.drive_keep is not None
    }
    if not keeps or any(isinstance(job, DeleteEntry) for job in tick.in_hand):
        return WHEN_WOKEN
    state = tick.state
    if state.upkeep_at > tick.now:
        return state.upkeep_at
    deletions.forget_done(tick.connection, tick.now)
    if _is_scarce(tick):
        state.upkeep_at = tick.now + LONGEST_PAUSE
        return state.upkeep_at
    due = deletions.list_due(tick.connection, list(keeps), tick.now) or _begin_oldest(tick, keeps)
    if due:
        return _issue(tick, due[0])
    state.upkeep_at = _next_look(tick, keeps)
    return state.upkeep_at


def _is_scarce(tick: TickContext) -> bool:
    """Return whether most of the month's calls are used: the rest is for files."""
    used = calls.total(tick.connection, quota.month(tick.now), BILLED)
    return quota.crossed(0, used, tick.settings.monthly_calls) is not None


def _begin_oldest(tick: TickContext, keeps: dict[int, float]) -> list[Deletion]:
    for number, keep in keeps.items():
        for oldest in deletions.find_oldest(tick.connection, _kind(tick, number), number):
            if oldest.uploaded_at + keep <= tick.now:
                deletions.begin(tick.state.store, tick.connection, oldest, tick.now)
                return [oldest.deletion]
    return []


def _kind(tick: TickContext, folder: int) -> str:
    return DRIVE + tick.settings.of_folder(folder).payload.space


def _issue(tick: TickContext, one: Deletion) -> float:
    target = Target(API_DELETE_ENTRY, folder=one.folder)
    slot = tick.next_slot(target)
    if slot > tick.now:
        return slot
    if tick.is_paused(target) or tick.needs_token(Host.API):
        return WHEN_WOKEN
    deletions.note_asked(tick.connection, one, tick.now)
    tick.issue(DeleteEntry(one, target))
    return WHEN_WOKEN


def _next_look(tick: TickContext, keeps: dict[int, float]) -> float:
    """Return when the next entry may be old enough; one that is needed still is looked at again."""
    looks = [tick.now + min(LONGEST_PAUSE, max(SPACING, keep / 10)) for keep in keeps.values()]
    for number, keep in keeps.items():
        found = deletions.find_oldest(tick.connection, _kind(tick, number), number)
        looks += [one.uploaded_at + keep for one in found]
    due = deletions.next_due(tick.connection, tick.now)
    return max(min(looks if due is None else [*looks, due]), tick.now + SPACING)


def hold_name(tick: TickContext, kind: str, name: str) -> float | None:
    """Return until when nothing may be uploaded under a name, because its entry is being deleted.

    A deletion that has not left is given up: the upload will overwrite the entry.
    """
    found = deletions.find_of_name(tick.connection, kind, name)
    if not found:
        return None
    out = [job.deletion for job in tick.in_hand if isinstance(job, DeleteEntry)]
    if any((one.kind, one.name) == (kind, name) for one in out):
        return WHEN_WOKEN
    until = max((one.asked_at or LONG_AGO) for one in found) + RESERVED
    if tick.now < until <= tick.now + RESERVED:  # else the clock was set back
        return until
    for one in found:
        deletions.give_up(tick.connection, one)
    return None


def keep_entry(tick: TickContext, row: Delivery) -> None:
    """Never delete the entry of a row that is about to be sent to somebody without a copy of their own."""
    entries = recipient_kind(row.recipient).entries
    if row.route is Route.DRIVE and entries is not None and not entries.copies:
        deletions.keep_entry(tick.connection, row.upload_key)


def enter_deleted(tick: TickContext, job: DeleteEntry) -> None:
    """Enter that an entry is deleted."""
    deletions.finish(tick.connection, job.deletion, tick.now)
    tick.state.upkeep_at = tick.now + SPACING
    tick.log(Log.ENTRY_DELETED, folder=job.deletion.folder, name=job.deletion.name)


def enter_failure(tick: TickContext, job: DeleteEntry, verdict: Verdict) -> None:
    """Enter that a deletion has failed: it is tried again, ever less often, or given up."""
    if verdict.cause.code == "stopped":
        return
    failures.fail(tick, job, verdict)
    one = job.deletion
    tick.state.upkeep_at = tick.now + SPACING
    if isinstance(verdict, Rejected) and one.failures + 1 >= MOST_TRIES:
        deletions.give_up(tick.connection, one)
        tick.log(Log.ENTRY_STAYS, folder=one.folder, name=one.name, **verdict.cause.log_values())
        return
    unbilled = isinstance(verdict, NotReached) and not verdict.billed
    count = one.failures + 1
    wait = policy.backoff(count, tick.state.chance()) if unbilled else policy.for_a_person(count)
    deletions.postpone(tick.connection, one, tick.now + wait)


# --- Room ------------------------------------------------------------------------------------------


def note_uploaded(tick: TickContext, kind: str) -> None:
    """An entry was made: it will be old one day, and the room is another."""
    state = tick.state
    state.upkeep_at = min(state.upkeep_at, tick.now + SPACING)
    asked_at = deletions.room_asked_at(tick.connection)
    if asked_at is not None and asked_at > tick.now:
        asked_at = None  # the clock was set back
    first = tick.now + ROOM_DELAY
    state.room_at = first if asked_at is None else max(first, asked_at + ROOM_SECONDS)
    state.room_kind = kind


def _claim_room(tick: TickContext) -> float:
    state = tick.state
    if not state.room_kind or any(isinstance(job, AskRoom) for job in tick.in_hand):
        return WHEN_WOKEN
    if state.room_at > tick.now:
        return state.room_at
    target = Target(API_ORGANISATION)
    if _is_scarce(tick) or tick.is_paused(target):
        state.room_kind = ""  # the next upload to the drive has it asked for
        return WHEN_WOKEN
    slot = tick.next_slot(target)
    if slot > tick.now:
        return slot
    if not tick.needs_token(Host.API):
        tick.issue(AskRoom(state.room_kind, target))
        state.room_kind = ""
    return WHEN_WOKEN


def enter_room(tick: TickContext, result: object) -> None:
    """Enter what DingTalk said of the room; without the permission it says nothing, and is asked tomorrow."""
    if isinstance(result, Room):
        room = DriveRoom(result.used, result.limit, tick.now)
        deletions.save_room(tick.state.store, tick.connection, room)
    else:
        deletions.note_room_asked(tick.connection, tick.now)
