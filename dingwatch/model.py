"""The frozen values that all layers share, and the verdicts on what happened.

Nothing here does anything: no I/O, no clock. Paths are `bytes` (what the file system holds; names
need not be UTF-8), relative to their folder's root; instants are seconds since the epoch (wall clock)
unless a name says `monotonic`; sizes are bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Now:
    """The current time in seconds: settling is monotonic, and files have times of the wall clock."""

    wall: float
    monotonic: float
    skew: float = 0.0
    """How far the clock of a shared ledger is ahead of the wall clock."""

    @property
    def ledger(self) -> float:
        """The time by the ledger's clock, which all times in the ledger are of but those of files."""
        return self.wall + self.skew


class Fingerprint(NamedTuple):
    """The metadata by which one content of one file is recognised without reading it.

    A tuple, because a scan makes one for each file, and a frozen dataclass takes four times as long to make.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    def known_as(self, size: int, mtime_ns: int) -> bool:
        """Compare with the ledger: a remount or `chown -R` changes all but these two."""
        return self.size == size and self.mtime_ns == mtime_ns

    def changed_at(self, *, steady: bool) -> float:
        """Return when it was last changed (wall clock), by its mtime where a ctime proves nothing.

        A file that is moved into a folder keeps its mtime, however old; its ctime is new.
        """
        return (self.ctime_ns if steady else self.mtime_ns) / 1e9

    def unchanged_from(self, before: Fingerprint, *, steady: bool) -> bool:
        """Compare two looks at one file, a moment apart: all five fields on a `steady` file system.

        Elsewhere (FUSE, network shares, FAT) an inode may have another number at every look, and a virus
        scanner that notes what it has read moves the ctime: only size and mtime prove anything.
        """
        return self == before if steady else self.known_as(before.size, before.mtime_ns)


class Scope(StrEnum):
    """How far a verdict reaches; a pause holds back everything within its scope."""

    ROW = "row"
    CONVERSATION = "conversation"
    API = "api"
    APP = "app"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something did not work: for the ledger, the log and people.

    `code` is DingTalk's own (`40005`, `send.too.fast`) or one of dingwatch's (`vanished`, `empty`);
    `message` is what the other side said, already free of secrets; `advice` names the sentence of
    `texts.Advice` that tells a person what to do.
    """

    code: str
    message: str
    advice: str
    request_id: str | None = None

    def log_values(self) -> dict[str, object]:
        """Return the values that a line of log about this cause is filled in with."""
        values: dict[str, object] = {"code": self.code, "message": self.message, "advice": self.advice}
        return values if self.request_id is None else {**values, "request_id": self.request_id}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of an outcome that is not a success; every failure ends as one of its kinds."""

    cause: Cause
    scope: Scope = Scope.ROW
    billed: bool = field(default=False, kw_only=True)
    """Whether a billed call was answered before it failed, so that each new try costs another such call."""


class NotReached(Verdict):
    """The request never left this machine whole: it certainly had no effect."""


@dataclass(frozen=True, slots=True)
class StoreUnreached(NotReached):
    """The drive's store was not reached, although DingTalk has given an address there."""

    address: str = ""
    """Its scheme and host (`https://host`), which can be tried without a billed call."""


class NoAnswer(Verdict):
    """The request left, and no answer that can be trusted came back: it may have had its effect."""


class StoreFailed(NoAnswer):
    """The drive's store, or a firewall before it, took no bytes and did not say why."""


@dataclass(frozen=True, slots=True)
class Throttled(Verdict):
    """Refused for its rate, certainly without effect."""

    retry_after: float = 1.0
    """Seconds to wait."""


class TokenRejected(Verdict):
    """The access token is not valid (any more)."""


class MediaLost(Verdict):
    """DingTalk does not know this media id."""


class Rejected(Verdict):
    """This request will never succeed as it is: only what is wrong with the file or message itself."""


class TypeRefused(Rejected):
    """The file's extension is refused (40005): the same file goes zipped."""


class QuotaExhausted(Verdict):
    """The organisation's calls of this month are used up."""


@dataclass(frozen=True, slots=True)
class Misconfigured(Verdict):
    """Only a person can end this: credentials, permission, robot, conversation, IP list."""

    ambiguous: bool = False
    """Whether it may concern more than its scope: the API, if other recipients get the same."""


class Vanished(Verdict):
    """The file, or the state of it that was to be sent, is not there any more."""


class ScreenedOut(Verdict):
    """The program of `before_send` refused the file; its own words are the cause's message."""


class ScreeningFailed(Verdict):
    """The program of `before_send` neither passed nor refused the file: it is asked again."""


@dataclass(frozen=True, slots=True)
class InUse(Verdict):
    """Somebody works on the file: a program has it open for writing, or an editor's lock lies beside it."""

    lock: bytes | None = None
    """The name of the lock, in the file's own directory; None for a writer."""


class FolderDown(Verdict):
    """The folder's root is absent, unreadable or not the one that was opened."""


class Failure(Exception):  # noqa: N818 (it carries a verdict, which may be no error)
    """Carries a verdict from the edge where it was found to the loop that acts on it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{type(verdict).__name__}: {verdict.cause.code} {verdict.cause.message}")
        self.verdict = verdict


class LedgerError(Exception):
    """The ledger cannot be read or written now. Nothing is claimed until it can be."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.code}: {cause.message}")
        self.cause = cause


class Route(StrEnum):
    """How bytes reach a conversation."""

    ROBOT = "robot"
    DRIVE = "drive"


class RecipientKind(StrEnum):
    """The kinds of recipients."""

    GROUP = "group"
    PERSON = "user"
    CHAT = "chat"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Recipient:
    """The recipient of a delivery; the ledger and people see it as one word.

    A group's `openConversationId` (`cid…`) stands for itself; else it is `user:` and a userId, `chat:` and
    a chatId of old, or `webhook:` and what a custom robot's address is known by.
    """

    kind: RecipientKind
    id: str

    @classmethod
    def of(cls, word: str) -> Recipient:
        """Read the word."""
        kind, colon, rest = word.partition(":")
        if colon and kind in set(RecipientKind) - {RecipientKind.GROUP}:
            return cls(RecipientKind(kind), rest)
        return cls(RecipientKind.GROUP, word)

    def __str__(self) -> str:
        return self.id if self.kind is RecipientKind.GROUP else f"{self.kind}:{self.id}"


class Form(StrEnum):
    """In what shape a file goes out."""

    PLAIN = "plain"
    ZIP = "zip"


@dataclass(frozen=True, slots=True)
class BundleRule:
    """When the files of a folder share a message: `least` or more that settle within `wait` seconds."""

    wait: float
    least: int


@dataclass(frozen=True, slots=True)
class UploadKey:
    """The identity of one content at DingTalk.

    `content` stands for the bytes as uploaded: the file's sha256, or for an archive (which is a pure
    function of the two) a hash of the entry's name and the file's sha256, so that it is known before
    anything is read. `name` is empty where the route does not show the upload's name.
    """

    app: str
    type: str
    content: str
    extension: str
    name: str = ""

    @property
    def id(self) -> str:
        """One short text for all five, to be a key in the ledger."""
        parts = f"{self.app}\0{self.type}\0{self.content}\0{self.extension}\0{self.name}"
        return hashlib.blake2b(parts.encode(), digest_size=20).hexdigest()


@dataclass(frozen=True, slots=True)
class Version:
    """One content state of one path in one folder."""

    id: int
    folder: int | None
    path: bytes
    fingerprint: Fingerprint
    digest: str | None
    noticed_at: float
    baseline: bool = False

    @property
    def name(self) -> bytes:
        """The last component of the path."""
        return self.path.rpartition(b"/")[2]


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing within (scope, key) is claimed before `until`; after that one probe at a time."""

    scope: Scope
    key: str
    until: float
    cause: Cause
    failures: int
    since: float
    by_token: bool = False
    """Whether the token call must succeed before anything else is tried (an outage)."""
    fixed: bool = False
    """Whether DingTalk has said when it ends: trying earlier is one more refused call."""
    own: bool = False
    """Whether it is the trouble of one node that shares the ledger, as of its network, and stops no other."""
    probed_by: str = ""
    """The node that probes it, now that it is over, and until when the others leave that to it."""
    probed_until: float = 0.0


@dataclass(frozen=True, slots=True)
class FolderPause:
    """A person has paused a folder, by its id in the ledger: what comes waits until `until` (None: `resume`).

    Nothing else ends it, neither a restart nor a `retry` nor a success elsewhere. Instants are wall-clock.
    """

    folder: int
    since: float
    until: float | None
    by: str
    """The user who has paused it."""
    reason: str = ""

    def in_force(self, now: float) -> bool:
        """Return whether its time is not over."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True)
class Home:
    """The place of a folder's root: the mount point that holds it, and the device's number as text."""

    mount_point: bytes
    device: str

    def lost(self, now: Home) -> bool:
        """Return whether what was mounted there is missing: another device, held by a mount point further up.

        Numbers of devices change with a restart, and mount points with a service's sandbox; both together
        only when a share is not mounted.
        """
        above = self.mount_point != now.mount_point and is_beneath(self.mount_point, now.mount_point)
        return above and self.device != now.device


def is_beneath(path: bytes, above: bytes) -> bool:
    """Return whether an absolute path is another one or lies beneath it."""
    return path == above or path.startswith(above.rstrip(b"/") + b"/")


@dataclass(frozen=True, slots=True)
class DriveRoom:
    """Bytes of the organisation's storage in use and in all, as DingTalk said at `asked_at` (wall clock)."""

    used: int
    size: int
    asked_at: float


class WatchKind(StrEnum):
    """How a folder is being watched."""

    INOTIFY = "inotify"
    POLL = "poll"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the story of a path; `id` is the delivery's, or the version's if `recipient` is None."""

    at: float
    id: int
    recipient: str | None
    event: str
    after: str | None = None
    cause: Cause | None = None
    other: str | None = None
    """The path that it was moved from (event `moved`) or to (`moved away`); its archive (`bundled`)."""
    node: str | None = None
    """On a shared ledger the node that has found the file or done this, as far as that is known."""
