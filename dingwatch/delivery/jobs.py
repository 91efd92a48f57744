"""Jobs that the delivery loop hands out, and their outcomes: frozen values both ways."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.delivery.limits import Target
from dingwatch.dingtalk import Host, Part, Room
from dingwatch.ledger.deletions import Deletion
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.uploads import UploadDone, UploadSession
from dingwatch.model import Verdict
from dingwatch.notice_text import Message
from dingwatch.payload import Payload


@dataclass(frozen=True, slots=True)
class ClaimedContent:
    """One content that is claimed for upload; `rows` are all deliveries that were claimed with it."""

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

    @property
    def claim(self) -> int:
        """The number of the claim, which its rows and their upload share."""
        return self.source.claim or 0


@dataclass(frozen=True, slots=True)
class Upload(ClaimedContent):
    """Read one file, whole, and upload it."""

    target: Target


@dataclass(frozen=True, slots=True)
class UploadArchive(Upload):
    """Pack the files of a bundle into one archive, and upload it.

    `rows` are those of all recipients who are to get the same files; `members` has a row of each file, and
    its entry in the archive.
    """

    members: tuple[tuple[Delivery, str], ...]


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
    addresses: tuple[int, ...] = ()
    """Numbers of the parts whose addresses are needed now or next, this one's first."""


@dataclass(frozen=True, slots=True)
class Commit(ClaimedContent):
    """Make an entry of an upload session whose parts are all at the store."""

    target: Target
    session: UploadSession


@dataclass(frozen=True, slots=True)
class _ToRecipients:
    """A message; it has several rows where one call takes several recipients, or files share it."""

    rows: tuple[Delivery, ...]
    target: Target

    @property
    def row(self) -> Delivery:
        """The first of its rows."""
        return self.rows[0]

    @property
    def recipients(self) -> tuple[str, ...]:
        """To whom it goes: several rows of a recipient are files of one bundle."""
        return tuple(dict.fromkeys(row.recipient for row in self.rows))

    @property
    def claim(self) -> int:
        """The number of the claim, which its rows and their recipients share."""
        return self.row.claim or 0


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
class Screening:
    """The program that a folder's files must pass before anything of them leaves (`before_send`)."""

    program: tuple[str, ...]
    """The program and its arguments, with the fields `{fd}`, `{name}` and `{size}`."""
    patience: float
    """Seconds that it may take for one file."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Have a version's file pass its folder's program; its rows stay as they are meanwhile."""

    rows: tuple[Delivery, ...]
    screening: Screening
    claim: int
    """The number of the claim that the version is under."""

    @property
    def row(self) -> Delivery:
        """The row whose file is read."""
        return self.rows[0]

    @property
    def target(self) -> None:
        """It makes no call, and none of DingTalk's limits and troubles concerns it."""
        return


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """Delete an entry of the drive that no delivery needs any more."""

    deletion: Deletion
    target: Target
    rows: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class AskRoom:
    """Ask how much room the organisation's storage has; `kind` is the type of uploads to a space of ours."""

    kind: str
    target: Target
    rows: tuple[Delivery, ...] = ()


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
"""Jobs that people see: calls that are never repeated, in the order of their recipients."""
Question = FetchToken | ProbeStore
"""Calls that serve no single delivery, and are free."""
Upkeep = DeleteEntry | AskRoom
"""Calls to the drive that serve no delivery."""
Job = Screen | Upload | DriveJob | Upkeep | ToPeople | Question


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
    """The location of the recipient's own copy of a drive entry."""
    missed: tuple[tuple[int, Verdict], ...] = ()
    """The rows, by their ids, whose recipients it has certainly not reached, and why."""


@dataclass(frozen=True, slots=True)
class MembersLost:
    """An archive was not packed, because some of its files cannot go with it: their versions, and why."""

    failed: tuple[tuple[int, Verdict], ...]


@dataclass(frozen=True, slots=True)
class Done:
    """It worked, and there is nothing more to say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a job."""

    job: Job
    result: UploadDone | UploadSession | PutDone | SendDone | MembersLost | Room | Done | Verdict
