"""The state that the delivery loop keeps between ticks, and the context of one tick.

A tick works on a copy of the state. The loop takes the copy over once the tick's transaction is on disk, so
a transaction that fails leaves no trace in memory either. Turns are not copied, for there may be thousands:
a tick notes those that it gives, and they are taken then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Final

from sqlalchemy import Connection

from dingwatch import names
from dingwatch.delivery.jobs import ClaimedContent, FetchToken, Job, ToPeople
from dingwatch.delivery.limits import APP, Pauses, RateLimits, Target
from dingwatch.delivery.turns import Turns
from dingwatch.dingtalk import (
    API_COMMIT,
    API_PARTS_BEGIN,
    API_PUT,
    API_UPLOAD_INFO,
    MEDIA_LIMIT,
    REFUSED_EXTENSIONS,
    Host,
)
from dingwatch.ledger import pauses, transitions
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.queues import Paused
from dingwatch.ledger.store import Store
from dingwatch.ledger.transitions import Change
from dingwatch.model import Cause, Scope
from dingwatch.notice_text import Wording
from dingwatch.pace import Limit
from dingwatch.payload import PayloadPolicy
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Text

LogLine = Callable[..., None]
DRIVE_APIS: Final = frozenset({API_PARTS_BEGIN, API_PUT, API_UPLOAD_INFO, API_COMMIT})
"""The APIs of an upload to the drive, step by step."""
WHEN_WOKEN: Final = inf
"""The instant to look again at what waits for no instant: for an outcome, a command, a new file."""


@dataclass(frozen=True, slots=True)
class FolderPolicy:
    """How the files of one folder go out, and what people read about them."""

    payload: PayloadPolicy
    wording: Wording = field(default=Wording())
    unsupported: str = "zip"
    """`zip` or `skip`: what happens to extensions that DingTalk refuses."""


@dataclass(frozen=True)
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

    # Intake adds a folder when a link leads elsewhere. Its policy is that of the folder whose link it is, so
    # it changes neither of these; but it is added by another thread, so both look at a copy.
    @cached_property
    def uses_drive(self) -> bool:
        """Whether any folder's large files go by the drive."""
        return any(one.payload.large == "drive" for one in tuple(self.folders.values()))

    @cached_property
    def has_captions(self) -> bool:
        """Whether any folder has a caption before its files."""
        return any(one.wording.caption for one in tuple(self.folders.values()))

    def of_folder(self, folder: int | None) -> FolderPolicy:
        """Return the policy of a folder; the plain one where the configuration has none."""
        return self.folders.get(folder) or FolderPolicy(PayloadPolicy(self.app, MEDIA_LIMIT))

    def payload_policy(self, row: Delivery) -> PayloadPolicy:
        """Return how a row's file goes out."""
        policy = self.of_folder(row.folder).payload
        if row.folder is None:
            # A folder's upload is named when any of its recipients shows the name. `send` is told its
            # recipients one by one, so each decides for itself.
            return replace(policy, named=recipient_kind(row.recipient).shows_upload_name)
        return policy


@dataclass(slots=True)
class LoopState:
    """The state between ticks; all of it can be made again from the ledger."""

    store: Store
    settings: Settings
    token_fresh: Callable[[Host], bool]
    chance: Callable[[], float]
    rates: RateLimits
    pauses: Pauses = field(default_factory=Pauses)
    turns: Turns = field(default_factory=Turns)
    refused: frozenset[str] = REFUSED_EXTENSIONS
    crashed: list[int] = field(default_factory=list)
    """Rows that were in hand at a crash: they go first and one at a time."""
    drives: dict[str, ClaimedContent] = field(default_factory=dict)
    """Uploads to the drive that are claimed, by the upload's key."""
    captioned: dict[str, int] = field(default_factory=dict)
    """By recipient, the row whose caption was the last message there: its file is the next."""
    alone: set[int] = field(default_factory=set)
    """Rows whose call for several persons was refused for one of them: each goes in a call of its own."""
    served_at: dict[str, float] = field(default_factory=dict)
    """When an API, or a host's token call, last worked."""
    tokens_refused: Counter[Host] = field(default_factory=Counter)
    """How many new tokens of a host were refused in a row."""
    doubted_tokens: set[Host] = field(default_factory=set)
    """Hosts whose token in use is counted among them."""

    def copy(self) -> LoopState:
        """Return a copy for a tick to change."""
        return replace(
            self,
            rates=self.rates.copy(),
            pauses=self.pauses.copy(),
            crashed=list(self.crashed),
            drives=dict(self.drives),
            captioned=dict(self.captioned),
            alone=set(self.alone),
            served_at=dict(self.served_at),
            tokens_refused=Counter(self.tokens_refused),
            doubted_tokens=set(self.doubted_tokens),
        )

    def set_back(self, now: float) -> None:
        """Forget what was noted in the future: the clock was set back."""
        self.pauses.set_back(now)
        self.rates.set_back(now)
        self.served_at = {api: at for api, at in self.served_at.items() if at <= now}

    def reload(self, connection: Connection) -> None:
        """Read again what others may have written: commands end pauses, intake learns refused extensions."""
        self.pauses.load(pauses.list_pauses(connection))
        self.refused |= pauses.list_refused_extensions(connection, self.settings.app)


@dataclass(slots=True)
class TickContext:
    """One tick: its transaction, its instant, the state that it changes, and what it decides."""

    connection: Connection
    now: float
    state: LoopState
    in_hand: list[Job]
    """Jobs whose outcome is unknown, those of this tick included."""
    jobs: list[Job] = field(default_factory=list)
    """Jobs of this tick."""
    unread: list[Delivery] = field(default_factory=list)
    """Rows whose files are to settle and be read once more."""
    messages: list[tuple[Text, dict[str, object]]] = field(default_factory=list)
    """What is logged once the transaction is on disk."""
    turns: list[tuple[object, ...]] = field(default_factory=list)
    """Turns that are taken once the transaction is on disk, as paths of names."""
    targets: list[Target] = field(default_factory=list)
    """Where jobs are at work, those of this tick included."""
    recipients: set[str] = field(default_factory=set)
    """To whom a message is on its way."""

    def __post_init__(self) -> None:
        for job in self.in_hand:
            self._occupy(job)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self.state.settings

    # --- Decisions -----------------------------------------------------------------------------

    def apply(self, *changes: Change) -> None:
        """Write transitions now, so that whatever is asked next of the ledger knows of them."""
        transitions.apply(self.connection, self.now, changes)

    def issue(self, job: Job) -> None:
        """Have a job carried out; it takes a slot of its target's pace."""
        self.jobs.append(job)
        self.in_hand.append(job)
        self._occupy(job)
        if job.target is not None:
            self.state.rates.take(job.target, self.now)

    def _occupy(self, job: Job) -> None:
        if job.target is not None:
            self.targets.append(job.target)
            self.recipients.update(job.target.recipients)

    def log(self, text: Text, **values: object) -> None:
        """Log a line once the transaction is on disk."""
        self.messages.append((text, values))

    def log_row(self, text: Text, row: Delivery, cause: Cause) -> None:
        """Log a line about one delivery."""
        self.log(text, path=names.readable(row.path), conversation=row.recipient, **cause.log_values())

    # --- What holds jobs back ------------------------------------------------------------------

    @property
    def paused(self) -> Paused:
        """The recipients and folders under a pause that has not ended."""
        return self.state.pauses.paused(self.now)

    def free_workers(self) -> int:
        """Return how many more uploads and sends may be out; the drive has threads of its own."""
        # A file of 100 GB is uploaded for hours. Were its parts to count, no PDF would be sent meanwhile.
        return self.settings.workers - sum(target.api not in DRIVE_APIS for target in self.targets)

    def can_send(self) -> bool:
        """Return whether a message may be out in addition to what is."""
        # Uploads may use every worker. What is ready to go must not wait for them, for a slow line may take
        # minutes: so one message is out whatever the workers do.
        return self.free_workers() > 0 or not any(isinstance(job, ToPeople) for job in self.in_hand)

    def most_ahead(self, target: Target) -> int:
        """Return how many uploads may be made ahead of what is sent to a target's recipient."""
        most = self.state.rates.most_ahead(target, self.now)
        return self.state.pauses.most_ahead(target, most, self.now)

    def is_paused(self, target: Target) -> bool:
        """Return whether a pause keeps a job from beginning; its end or its probe wakes the loop."""
        return self.state.pauses.blocks(target, self.now, self.targets)

    def next_slot(self, target: Target) -> float:
        """Return the earliest instant at which a job keeps to the pace."""
        return self.state.rates.next_slot(target, self.now)

    def needs_token(self, host: Host, *, force: bool = False) -> bool:
        """Return whether a token must be waited for; if so, have it fetched."""
        # Jobs that need a token in the same tick share one call: DingTalk limits token calls as well.
        if any(isinstance(job, FetchToken) and job.host is host for job in self.in_hand):
            return True
        if not force and self.state.token_fresh(host):
            return False
        app = self.state.pauses.known.get((Scope.APP, APP))
        if app is None or app.until <= self.now:
            self.issue(FetchToken(host, force))
        return True
