"""What the delivery loop keeps between ticks, and what one tick gathers.

All of it can be made again from the ledger: after a transaction that failed, and when a command has
written, it is (`stale`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from dingwatch import names
from dingwatch.delivery.jobs import (
    Begin,
    Commit,
    DriveJob,
    FetchToken,
    Job,
    Put,
    Send,
    SendCaption,
    ToPeople,
    Upload,
)
from dingwatch.delivery.limits import APP, Pauses, RateLimits, Target
from dingwatch.dingtalk import (
    API_COMMIT,
    API_PARTS_BEGIN,
    API_PUT,
    API_UPLOAD,
    API_UPLOAD_INFO,
    MEDIA_LIMIT,
    REFUSED_EXTENSIONS,
    Host,
)
from dingwatch.ledger import pauses, queues, transitions
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.queues import Paused
from dingwatch.ledger.store import Store
from dingwatch.ledger.transitions import Change
from dingwatch.ledger.uploads import UploadDone
from dingwatch.model import Scope
from dingwatch.notice_text import Wording
from dingwatch.pace import Limit
from dingwatch.payload import Payload, PayloadPolicy
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Text

LogLine = Callable[..., None]
DRIVE_APIS: Final = frozenset({API_PARTS_BEGIN, API_PUT, API_UPLOAD_INFO, API_COMMIT})
"""Where the steps of an upload to the drive stand."""


@dataclass(frozen=True, slots=True)
class FolderPolicy:
    """How the files of one folder go out, and what people read about them."""

    payload: PayloadPolicy
    wording: Wording = field(default=Wording())
    unsupported: str = "zip"
    """`zip` or `skip`: what happens to extensions that DingTalk refuses."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration as the delivery loop needs it."""

    app: str
    workers: int = 4
    give_up_after: float = 3 * 86400.0
    resend_uncertain: bool = True
    per_api: Limit | None = None
    per_conversation: Limit | None = None
    monthly_calls: int | None = None
    folders: Mapping[int | None, FolderPolicy] = field(default_factory=dict)
    """By folder id; None is for files that `send` was given."""

    def of_folder(self, folder: int | None) -> FolderPolicy:
        """Return the policy of a folder; the plain one where the configuration has none."""
        return self.folders.get(folder) or FolderPolicy(PayloadPolicy(self.app, MEDIA_LIMIT))

    def payload_policy(self, row: Delivery) -> PayloadPolicy:
        """Return how a row's file goes out."""
        policy = self.of_folder(row.folder).payload
        if row.folder is None:
            return replace(policy, named=recipient_kind(row.recipient).shows_upload_name)
        return policy


@dataclass(frozen=True, slots=True)
class Drive:
    """A claimed upload to the drive; how far it is stands in the ledger."""

    rows: tuple[Delivery, ...]
    payload: Payload


@dataclass(slots=True)
class TickContext:
    """What one tick decides; taken over only when its transaction has been committed."""

    connection: Connection
    now: float
    out: Mapping[Job, Target | None]
    """Jobs that are out and whose outcome is not among those of this tick."""
    jobs: list[Job] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    messages: list[tuple[Text, dict[str, object]]] = field(default_factory=list)
    slots: list[Target] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """Transitions that are written together."""
    uploads_done: dict[str, UploadDone] = field(default_factory=dict)
    """The contents that DingTalk has now, by the keys of their uploads."""
    drives: dict[str, Drive] = field(default_factory=dict)
    """Uploads to the drive that are claimed, by the upload's key."""

    def apply(self) -> None:
        """Write the transitions gathered so far."""
        transitions.apply(self.connection, self.now, self.changes)
        self.changes.clear()

    def log(self, text: Text, **values: object) -> None:
        """Have something said once the transaction is on disk."""
        self.messages.append((text, values))

    def log_row(self, text: Text, row: Delivery, code: str, message: str, advice: str) -> None:
        """Have something said about one delivery."""
        path = names.readable(row.path)
        self.log(text, path=path, conversation=row.recipient, code=code, message=message, advice=advice)

    def busy(self) -> list[Target]:
        """Return where jobs are at work, those of this tick counted in."""
        return [target for target in (*self.out.values(), *map(target_of, self.jobs)) if target is not None]

    def conversations(self) -> set[str]:
        """Return the conversations that a message is on its way to."""
        return {conversation for target in self.busy() for conversation in target.conversations}


@dataclass(slots=True)
class LoopState:
    """What is kept between ticks."""

    store: Store
    settings: Settings
    token_fresh: Callable[[Host], bool]
    chance: Callable[[], float]
    pauses: Pauses = field(default_factory=Pauses)
    rates: RateLimits = field(init=False)
    crashed: list[int] = field(default_factory=list)
    """Rows that were in hand at a crash: they go first and one at a time."""
    served_at: dict[str, float] = field(default_factory=dict)
    """When an API, or a host's token call, last worked."""
    refused: frozenset[str] = REFUSED_EXTENSIONS
    stale: bool = True
    may_upload: bool = True
    """Whether there may be pending rows; asked of the ledger only then."""
    may_send: set[str] = field(default_factory=set)
    """Conversations that may have uploaded rows."""
    drives: dict[str, Drive] = field(default_factory=dict)
    """Uploads to the drive that are claimed, by the upload's key."""
    captioned: dict[str, int] = field(default_factory=dict)
    """By conversation, the row whose line was the last message there: its file is the next."""
    alone: set[int] = field(default_factory=set)
    """Rows whose call for several persons was refused for one of them: each goes in a call of its own."""
    tokens_refused: Counter[Host] = field(default_factory=Counter)
    """How many new tokens of a host were refused in a row."""
    doubted_tokens: set[Host] = field(default_factory=set)
    """Hosts whose token in use is counted among them."""
    may_wait: bool = True
    may_doubt: bool = True

    def __post_init__(self) -> None:
        self.rates = RateLimits(self.settings.per_api, self.settings.per_conversation)

    def refresh(self, tick: TickContext) -> None:
        """Make it again from the ledger, when something else wrote there."""
        stale, self.stale = self.stale, False  # a poke from now on is for the next tick
        if stale:
            self.pauses.load(pauses.list_pauses(tick.connection))
            self.refused |= pauses.list_refused_extensions(tick.connection, self.settings.app)
            self.may_wait = self.may_doubt = True
        if stale or self.pauses.known:  # what a pause held needs nothing written to be work
            self.may_upload = True
            self.may_send = set(queues.recipients_to_send(tick.connection))

    def paused(self, now: float) -> Paused:
        """Return what pauses keep from being claimed."""
        return Paused(self.pauses.paused_conversations(now), self.pauses.paused_folders(now))

    def free_workers(self, tick: TickContext) -> int:
        """Return how many more uploads and sends may be out; the drive has threads of its own."""
        return self.settings.workers - sum(target.api not in DRIVE_APIS for target in tick.busy())

    def blocks(self, tick: TickContext, target: Target) -> bool:
        """Say whether a pause keeps a job from beginning."""
        return self.pauses.blocks(target, tick.now, tick.busy())

    def slot(self, tick: TickContext, target: Target) -> float:
        """Return the next free slot, those of this tick counted in."""
        rates = self.rates.copy() if tick.slots else self.rates
        for taken in tick.slots:
            rates.take(taken, tick.now)
        return rates.next_slot(target, tick.now)

    def needs_token(self, tick: TickContext, host: Host, *, force: bool = False) -> bool:
        """Say whether a token must be waited for, and see to it that it is being fetched."""
        if any(isinstance(job, FetchToken) and job.host is host for job in (*tick.out, *tick.jobs)):
            return True
        if not force and self.token_fresh(host):
            return False
        app = self.pauses.known.get((Scope.APP, APP))
        if app is None or app.until <= tick.now:
            tick.jobs.append(FetchToken(host, force))
        return True


def rows_of(job: Upload | DriveJob | ToPeople) -> Sequence[Delivery]:
    """Return the rows that a job is for."""
    return job.rows


def send_api(row: Delivery) -> str:
    """Return the API by which a row is sent."""
    return recipient_kind(row.recipient).api_by(row.route)


def target_of_rows(api: str, rows: Sequence[Delivery]) -> Target:
    """Return where a message for these rows stands."""
    first, *others = (row.recipient for row in rows)
    return Target(api, first, others=tuple(others))


def target_of(job: Job) -> Target | None:  # noqa: PLR0911 (one for each kind of job)
    """Return where a job stands; token calls stand above all places."""
    match job:
        case Upload():
            return Target(API_UPLOAD, folder=job.source.folder)
        case Begin():
            return Target(API_PARTS_BEGIN, folder=job.source.folder)
        case Put():
            return Target(API_PUT if job.session else API_UPLOAD_INFO, folder=job.source.folder)
        case Commit():
            return Target(API_COMMIT, folder=job.source.folder)
        case Send():
            return target_of_rows(send_api(job.row), job.rows)
        case SendCaption():
            return target_of_rows(recipient_kind(job.row.recipient).message_api, job.rows)
    return None
