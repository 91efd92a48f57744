"""Jobs that the delivery loop hands out, and their outcomes: frozen values both ways."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.delivery.limits import Target
from dingwatch.dingtalk import Host, Part
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Verdict
from dingwatch.notice_text import Message
from dingwatch.payload import Payload


@dataclass(frozen=True, slots=True)
class ClaimedContent:
    """One content that is claimed for upload; `rows` are all deliveries that wait for it."""

    rows: tuple[Delivery, ...]
    payload: Payload

    @property
    def source(self) -> Delivery:
        """The row whose file is read."""
        return self.rows[0]

    @property
    def upload(self) -> str:
        """The upload's key in the ledger."""
        return self.source.upload_key


@dataclass(frozen=True, slots=True)
class Upload(ClaimedContent):
    """Read one file, whole, and upload it."""

    target: Target


@dataclass(frozen=True, slots=True)
class Begin(ClaimedContent):
    """Begin an upload session in the drive."""

    target: Target


@dataclass(frozen=True, slots=True)
class Put(ClaimedContent):
    """Hand one part to the store; without a session, begin one and hand over the whole file."""

    target: Target
    part: Part
    session: UploadSession | None
    ahead: tuple[int, ...] = ()
    """Numbers of the parts whose addresses will be needed next, this one's first."""


@dataclass(frozen=True, slots=True)
class Commit(ClaimedContent):
    """Make an entry of an upload session whose parts are all at the store."""

    target: Target
    session: UploadSession


@dataclass(frozen=True, slots=True)
class _ToRecipients:
    """A message; it has more than one row where one call takes several recipients."""

    rows: tuple[Delivery, ...]
    target: Target

    @property
    def row(self) -> Delivery:
        """The first of its rows."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Send(_ToRecipients):
    """Send one uploaded file, or the notice in its place."""

    media_id: str
    payload: Payload
    notice: Message | None = None


@dataclass(frozen=True, slots=True)
class SendCaption(_ToRecipients):
    """Send the caption before a file; its rows stay as they are, and their recipients wait for it."""

    caption: Message


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Get a token; `force` asks DingTalk even when one is cached (the probe after an outage)."""

    host: Host
    force: bool = False

    @property
    def target(self) -> None:
        """No pause and no pace stands over a token."""
        return


@dataclass(frozen=True, slots=True)
class ProbeStore:
    """Find out whether the drive's store can be reached, which costs no billed call."""

    address: str

    @property
    def target(self) -> None:
        """No pause and no pace stands over it: it is asked during the pause of the store."""
        return


DriveJob = Begin | Put | Commit
"""The steps of an upload to the drive."""
ToPeople = Send | SendCaption
"""What people get to see: a call that is never made twice, in the order of its recipients."""
Question = FetchToken | ProbeStore
"""What is asked for no delivery in particular, and costs nothing."""
Job = Upload | DriveJob | ToPeople | Question


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
    """Where the recipient's own copy of a drive entry is."""
    missed: tuple[tuple[int, Verdict], ...] = ()
    """The rows, by their ids, whose recipients it has certainly not reached, and why."""


@dataclass(frozen=True, slots=True)
class Done:
    """It worked, and there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a job."""

    job: Job
    result: UploadDone | UploadSession | PutDone | SendDone | Done | Verdict
