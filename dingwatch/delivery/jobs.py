"""What the delivery loop asks to have done, and what comes back: frozen values both ways."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.dingtalk import Host, Part
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Verdict
from dingwatch.notice_text import Message
from dingwatch.payload import Payload


@dataclass(frozen=True, slots=True)
class _OfContent:
    """A job for one content; `rows` are all deliveries that wait for it."""

    rows: tuple[Delivery, ...]
    payload: Payload

    @property
    def source(self) -> Delivery:
        """The row whose file is read."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Upload(_OfContent):
    """Read one file, whole, and upload it; `rows` are all deliveries that wait for this content."""


@dataclass(frozen=True, slots=True)
class Begin(_OfContent):
    """Begin an upload to the drive, in parts."""


@dataclass(frozen=True, slots=True)
class Put(_OfContent):
    """Hand one part of a begun upload to the store; without a begun one, begin and hand over all of it."""

    part: Part
    session: UploadSession | None
    ahead: tuple[int, ...] = ()
    """Numbers of the parts whose addresses will be needed next, this one's first."""


@dataclass(frozen=True, slots=True)
class Commit(_OfContent):
    """Make an entry of an upload whose parts are all at the store."""

    session: UploadSession


@dataclass(frozen=True, slots=True)
class Send:
    """Send one uploaded file, or the notice of it, to one recipient; to several persons in one call."""

    row: Delivery
    media_id: str
    payload: Payload
    notice: Message | None = None
    """What goes instead of the file."""
    others: tuple[Delivery, ...] = ()
    """The rows of the same version for the other persons."""

    @property
    def rows(self) -> tuple[Delivery, ...]:
        """All rows that it is for."""
        return (self.row, *self.others)


@dataclass(frozen=True, slots=True)
class SendCaption:
    """Send the line before a file; its rows stay as they are, and their conversations wait for it."""

    row: Delivery
    line: Message
    others: tuple[Delivery, ...] = ()
    """As in `Send`."""

    @property
    def rows(self) -> tuple[Delivery, ...]:
        """All rows that it is for."""
        return (self.row, *self.others)


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Get a token; `force` asks DingTalk even when one is cached (the probe after an outage)."""

    host: Host
    force: bool = False


DriveJob = Begin | Put | Commit
"""The steps of an upload to the drive."""
ToPeople = Send | SendCaption
"""What people get to see: a call that is never made twice, in its conversations' order."""
Job = Upload | DriveJob | ToPeople | FetchToken


@dataclass(frozen=True, slots=True)
class PutDone:
    """The store has a part, or all of an upload."""

    session: UploadSession


@dataclass(frozen=True, slots=True)
class SendDone:
    """DingTalk took the message."""

    process_query_key: str | None
    space_id: str | None = None
    entry_id: str | None = None
    """Where the conversation's own copy of an entry of the drive is."""
    missed: tuple[tuple[int, Verdict], ...] = ()
    """The rows, by their ids, whose persons it has certainly not reached, and why."""


@dataclass(frozen=True, slots=True)
class Done:
    """It worked, and there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    job: Job
    result: UploadDone | UploadSession | PutDone | SendDone | Done | Verdict
