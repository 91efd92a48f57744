"""The frozen value that describes one kind of recipient, and what is passed to it and comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dingwatch.dingtalk import Client, ConversationFiles, Host, ReadStatus, Recalled, SentEntry
from dingwatch.model import Cause, Failure, RecipientKind, Rejected, Route, Verdict
from dingwatch.notice_text import Message


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file as it is shown; an `image` goes inline."""

    media_id: str
    name: str
    extension: str
    image: bool = False


Content = File | Message
"""The content of a message: a file, or the text of a caption or a notice."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a custom robot: the URL with its token, and the secret that signs its calls."""

    url: str = field(repr=False)
    secret: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Order:
    """One message to send, to as many recipients of one kind as the kind takes in a call.

    `uuid` is the same for each try of one message; `addresses` are those of custom robots, by their ids.
    """

    ids: Sequence[str]
    content: Content
    uuid: str
    addresses: Mapping[str, Address]


@dataclass(frozen=True, slots=True)
class Receipt:
    """DingTalk took the message: its key, if it can be recalled, and the ids that it did not reach."""

    key: str | None = None
    missed: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entries:
    """How a kind gets entries of the drive, which know recipients by other ids than messages do."""

    api: str
    id_of: Callable[[Client, str], str]
    """Asks for the drive's id of a recipient."""
    send: Callable[[ConversationFiles, str, str, str], SentEntry]
    """Sends an entry: called with the recipient's id by the drive, the space's id and the entry's."""
    copies: bool
    """Whether what the recipient gets certainly is a copy, so that the entry need not stay."""


@dataclass(frozen=True, slots=True)
class Recall:
    """How a message is taken back, and for how many `hours` after it was sent; None: for ever."""

    hours: int | None
    call: Callable[[Client, str, str], Recalled]
    """Called with the recipient's id and the message's key."""


@dataclass(frozen=True, slots=True)
class ReadReceipts:
    """How it is asked who has read a message, and for how many `hours` after it was sent; None: unknown."""

    hours: int | None
    ask: Callable[[Client, str, str, str, bool], ReadStatus]
    """Called with the recipient's id, the message's key, a page (empty: the first), and whether to be patient
    where DingTalk has no data yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """All that distinguishes one kind of recipient from the others.

    No field has a default: whoever adds a field must decide about it for each kind.
    """

    kind: RecipientKind
    id_prefix: str
    """The beginning of every id, by which a mistyped one is recognised."""
    message_api: str
    """The API that files, captions and notices go by."""
    host: Host | None
    """The host whose token that API needs."""
    batch: int
    """How many recipients one message can be for."""
    takes_files: bool
    shows_upload_name: bool
    """Whether people see the name that a file was uploaded with, instead of one that the message gives."""
    inspectable: bool
    """Whether `check` can ask which robots are there, and which space of the drive belongs to it."""
    judge: Callable[[Verdict], Verdict]
    """Returns what a failed send means for this kind; DingTalk's codes are the same for all."""
    send: Callable[[Client, Order], Receipt]
    entries: Entries | None
    """None where the drive's entries cannot go."""
    recall: Recall | None
    """None where DingTalk has no call for it."""
    receipts: ReadReceipts | None
    """None where DingTalk has no call for it."""

    @property
    def apis(self) -> frozenset[str]:
        """The APIs that this kind is sent to by."""
        return frozenset(self.api_by(route) for route in Route)

    def api_by(self, route: Route) -> str:
        """Return the API that a delivery of this route goes by."""
        return self.entries.api if self.entries and route is Route.DRIVE else self.message_api


def as_it_is(verdict: Verdict) -> Verdict:
    """Return a verdict unchanged: the table of codes is written for groups."""
    return verdict


def advise(advice: str) -> Callable[[Verdict], Verdict]:
    """Return a judge that replaces the advice how to find a group's id."""

    def judge(verdict: Verdict) -> Verdict:
        if verdict.cause.advice != "CONVERSATION":
            return verdict
        return replace(verdict, cause=replace(verdict.cause, advice=advice))

    return judge


def no_files() -> Failure:
    """Return the failure of a file on its way to somebody who cannot get any."""
    return Failure(Rejected(Cause("webhook_files", "", "WEBHOOK_FILES")))
