"""What a tick does on a ledger that several nodes share: see to the lease, and take over from lost nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sqlalchemy import Connection

from dingwatch.delivery import drives
from dingwatch.delivery.jobs import ClaimedContent, DriveJob, Job, Screen, Send, SendCaption
from dingwatch.delivery.state import TickContext
from dingwatch.ledger import fencing, screening, sharing
from dingwatch.ledger.delivery import find_deliveries, last_captions, recover_lost, recover_unheld
from dingwatch.ledger.nodes import Members, note_timeline, read_members, wake_others
from dingwatch.ledger.replay import Sent, write_again
from dingwatch.ledger.transitions import lasting_columns
from dingwatch.lifecycle import IN_HAND, State
from dingwatch.texts import Log

LIVE_BEFORE: Final = 0.5
"""The part of a lease for which a node must have been live before it takes over from others.

When the database was away for minutes, all leases are over at once. Whoever comes back first must not take
the others for lost, who come back a moment later.
"""


class Lease(Protocol):
    """The time in which nobody else touches what this node has in hand."""

    @property
    def number(self) -> int:
        """Return another number after each time that the lease was over."""

    @property
    def since(self) -> float:
        """Return since when it has lasted without a gap, by the ledger's clock."""


class Member(Protocol):
    """This host as a node."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def instance(self) -> str:
        """Return what distinguishes this process from others of that name."""

    @property
    def seconds(self) -> float:
        """Return how long a lease lasts."""

    @property
    def lease(self) -> Lease:
        """Return the lease as it was last renewed."""


KEPT: Final = 300.0
"""For how many seconds a node remembers what it has sent: a failover takes less."""


class SentLately:
    """The messages of this node in the last minutes, should a promoted standby not know of them."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[float, Sent]] = {}

    def note(self, tick: TickContext) -> None:
        """Remember what a tick has claimed to be sent, and what has become of such rows."""
        for one in tick.applied:
            if (known := self._rows.get(one.change.delivery)) is not None:
                columns = {**known[1].columns, **lasting_columns(one.change)}
                self._set(tick.now, replace(known[1], state=one.after, columns=columns))
        for job in tick.jobs:
            if isinstance(job, Send):
                for row in job.rows:
                    self._set(tick.now, Sent(row, job.payload, State.SENDING, {"claimed_at": tick.now}))
        while self._rows and (oldest := next(iter(self._rows.values())))[0] < tick.now - KEPT:
            del self._rows[oldest[1].row.id]

    def _set(self, now: float, sent: Sent) -> None:
        self._rows.pop(sent.row.id, None)  # so that the oldest stays the first
        self._rows[sent.row.id] = now, sent

    def list(self) -> list[Sent]:
        """Return what is remembered."""
        return [sent for _, sent in self._rows.values()]


def compare_with_timeline(tick: TickContext, member: Member, lately: SentLately) -> Members:
    """Write again what the ledger lacks of this node's work, if the database has failed over.

    Return the nodes as they are then.
    """
    members = read_members(tick.connection)
    own = members.find(member.name)
    if own is None or own.instance != member.instance or own.timeline == members.timeline:
        return members
    count = write_again(tick.state.store, tick.connection, tick.now, lately.list())
    held = {
        job.claim for job in tick.in_hand if isinstance(job, ClaimedContent | Screen | Send | SendCaption)
    }
    held |= {claimed.claim for claimed in tick.state.drives.values()}
    recover_unheld(tick.connection, tick.now, member.name, held or {0})
    note_timeline(tick.connection, member.name, member.instance, members.timeline)
    wake_others(tick.connection)  # they may wait for this node
    tick.log(Log.FAILED_OVER, count=count)
    return read_members(tick.connection)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether this node may claim anything now."""

    live: bool
    draining: bool
    agree: bool
    """Whether all nodes know of the last failover, and have written again what was lost in it."""

    @property
    def may_claim(self) -> bool:
        """Whether it has a lease, and neither a person nor a failover asks it to wait."""
        return self.live and not self.draining and self.agree


def stand(member: Member, members: Members) -> Standing:
    """Return how this node stands in the ledger: by the database's clock, whatever it thinks itself."""
    own = members.find(member.name)
    live = own is not None and own.instance == member.instance and own.is_live(members.now)
    return Standing(live, own is not None and own.draining, members.agree)


def take_over(tick: TickContext, member: Member, members: Members) -> None:
    """Put back what lost nodes had in hand, once for each lease that has ended."""
    if members.now - member.lease.since < LIVE_BEFORE * member.seconds:
        return
    lost = [one for one in members.lost(member.name) if tick.state.lost.get(one.name) != one.lease_until]
    if not lost:
        return
    tick.state.lost |= {one.name: one.lease_until for one in lost}
    for one in lost:
        if rows := recover_lost(tick.connection, tick.now, one.name):
            tick.log(Log.NODE_LOST, node=one.name, count=len(rows))
        _take_over_captions(tick, one.name)


def _take_over_captions(tick: TickContext, lost: str) -> None:
    """Send the files of a shared folder next whose captions a lost node has sent."""
    recipients = sharing.list_captions(tick.connection, lost)
    rows = last_captions(tick.connection) if recipients else {}
    tick.state.captioned |= {to: row for to, row in rows.items() if to in recipients}


def list_current(connection: Connection, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs whose claims are still in force."""
    out = fencing.list_out(connection)
    now = find_deliveries(
        connection, [row.id for job in jobs if isinstance(job, ClaimedContent) for row in job.rows]
    )
    held = {(row.id, row.claim) for row in now.values() if row.state in IN_HAND}

    def is_current(job: Job) -> bool:
        match job:
            case ClaimedContent():
                return all((row.id, row.claim) in held for row in job.rows)
            case Send() | SendCaption():
                return all(out.get(recipient) == job.claim for recipient in job.recipients)
            case Screen():
                return screening.find_claim(connection, job.row.version) == job.claim
            case _:
                return True

    return list(filter(is_current, jobs))


def drain(tick: TickContext) -> None:
    """Let uploads to the drive wait again whose step has come back: others, or the next start, go on."""
    out = {job.upload for job in tick.in_hand if isinstance(job, DriveJob)}
    drives.release(tick, [one for one in tick.state.drives.values() if one.upload not in out])
