"""The state that the delivery loop keeps between ticks, and the context of one tick.

A tick works on a copy of the state. The loop takes the copy over once the tick's transaction is on disk, so
a transaction that fails leaves no trace in memory either. Turns are not copied, for there may be thousands:
a tick notes those that it gives, and they are taken then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Final

from sqlalchemy import Connection

from dingwatch import names
from dingwatch.delivery.jobs import ClaimedContent, FetchToken, Job, Question, Screening, ToPeople
from dingwatch.delivery.limits import APP, Pauses, RateLimits, Target
from dingwatch.delivery.turns import Turns
from dingwatch.dingtalk import (
    API_COMMIT,
    API_DELETE_ENTRY,
    API_ORGANISATION,
    API_PARTS_BEGIN,
    API_PUT,
    API_UPLOAD_INFO,
    MEDIA_LIMIT,
    REFUSED_EXTENSIONS,
    Host,
)
from dingwatch.ledger import delivery, fencing, pauses, transitions, uploads
from dingwatch.ledger.delivery import Delivery
from dingwatch.ledger.folder_pauses import list_folder_pauses
from dingwatch.ledger.nodes import Members
from dingwatch.ledger.queues import Paused
from dingwatch.ledger.store import Store
from dingwatch.ledger.transitions import Applied, Change
from dingwatch.lifecycle import Event, advance
from dingwatch.model import BundleRule, Cause, Scope
from dingwatch.notice_text import Wording
from dingwatch.pace import LONG_AGO, Limit
from dingwatch.payload import Payload, PayloadPolicy, choose_payload
from dingwatch.recipients import recipient_kind
from dingwatch.texts import Text

LogLine = Callable[..., None]
DRIVE_APIS: Final = frozenset({API_PARTS_BEGIN, API_PUT, API_UPLOAD_INFO, API_COMMIT})
"""The APIs of an upload to the drive, step by step."""
YIELD_SECONDS: Final = 0.004
"""How long a node leaves a free slot to each other one that has waited for longer, should it want it."""
LATE_SECONDS: Final = 0.08
"""How much later than a slot became free a node may come to it, and take it as if it had come in time.

It waited for the ledger, or for its recipient's last answer, and its request leaves the sooner for that."""
ENTRY_SECONDS: Final = 0.15
"""From a slot to its request, where several nodes take their slots in turn: until then the claim is written.

If each request left as soon as it could, one that waited long for the ledger and a later one that did not
might come within a window that is full."""
WHEN_WOKEN: Final = inf
"""The instant to look again at what waits for no instant: for an outcome, a command, a new file."""


@dataclass(frozen=True, slots=True)
class FolderPolicy:
    """How the files of one folder go out, and what people read about them."""

    payload: PayloadPolicy
    wording: Wording = field(default=Wording())
    unsupported: str = "zip"
    """`zip` or `skip`: what happens to extensions that DingTalk refuses."""
    screening: Screening | None = None
    bundle: BundleRule | None = None
    """When several files share a message; None: each goes alone."""
    drive_keep: float | None = None
    """Seconds after which entries of the folder's space are deleted; None: never."""


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
    left: Collection[int] = ()
    """Folders that have left the configuration since the start."""

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

    def bundle_waits(self) -> dict[int, float]:
        """Return how long files wait for others in each folder that bundles them."""
        policies = tuple(self.folders.items())
        return {number: one.bundle.wait for number, one in policies if number is not None and one.bundle}

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
    upkeep_at: float = LONG_AGO
    """When to look again for entries of the drive that are old enough."""
    room_at: float = LONG_AGO
    """When to ask for the room in the drive."""
    lost: dict[str, float] = field(default_factory=dict)
    """Nodes whose rows were put back, and when the lease ended after which they were."""
    claims: range = range(0)
    """Numbers for the next claims."""
    room_kind: str = ""
    """By which uploads its space is known; empty while nothing is to be asked."""
    served_at: dict[str, float] = field(default_factory=dict)
    """When an API, or a host's token call, last worked."""
    tokens_refused: Counter[Host] = field(default_factory=Counter)
    """How many new tokens of a host were refused in a row."""
    doubted_tokens: set[Host] = field(default_factory=set)
    """Hosts whose token in use is counted among them."""
    slot_turns: dict[str, dict[str, int]] = field(default_factory=dict)
    """By API, the last slot of each node that shares the ledger: who used it longest ago is next."""
    left_to_others: dict[str, float] = field(default_factory=dict)
    """By recipient, since when the next file there is one that only another node can send."""
    slots_read: int = 0
    """The id of the last slot on a shared ledger that the rates know of."""
    slots_forgotten_at: float = LONG_AGO
    """When old slots were last removed from it."""
    captions_noted: frozenset[str] = frozenset()
    """The recipients that the ledger says to wait for the file after a caption of this node."""

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
            lost=dict(self.lost),
            served_at=dict(self.served_at),
            tokens_refused=Counter(self.tokens_refused),
            doubted_tokens=set(self.doubted_tokens),
            left_to_others=dict(self.left_to_others),
            slot_turns={api: dict(turns) for api, turns in self.slot_turns.items()},
        )

    def set_back(self, now: float) -> None:
        """Forget what was noted in the future: the clock was set back."""
        self.pauses.set_back(now)
        self.rates.set_back(now)
        self.served_at = {api: at for api, at in self.served_at.items() if at <= now}
        self.upkeep_at, self.room_at = LONG_AGO, min(self.room_at, now)

    def reload(self, connection: Connection) -> None:
        """Read again what others may have written: commands end pauses, intake learns refused extensions."""
        self.pauses.load(pauses.list_pauses(connection), list_folder_pauses(connection))
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
    """Log lines that wait until the transaction is on disk."""
    applied: list[Applied] = field(default_factory=list)
    """Transitions of this tick."""
    turns: list[tuple[object, ...]] = field(default_factory=list)
    """Turns that are taken once the transaction is on disk, as paths of names."""
    slots: list[tuple[Target, float]] = field(default_factory=list)
    """What the jobs of this tick may use of the pace, and from when on."""
    departures: dict[int, float] = field(default_factory=dict)
    """When jobs of this tick make their first request, by the `id` of each that has to wait for that."""
    targets: list[Target] = field(default_factory=list)
    """Targets with a job in flight, those of this tick included."""
    recipients: set[str] = field(default_factory=set)
    """To whom a message is on its way."""
    members: Members | None = None
    """All nodes of a shared ledger, for a service."""
    others: tuple[str, ...] = ()
    """The other nodes that work on a shared ledger now."""
    elsewhere: set[str] = field(default_factory=set)
    """To whom another node sends one, of all that share the ledger."""
    shares_down: frozenset[int] = frozenset()
    """The folders that several nodes share, and that this one cannot watch now."""
    wakes_others: bool = False
    """Whether other nodes may have waited for what is written now."""

    def __post_init__(self) -> None:
        for job in self.in_hand:
            self._occupy(job)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self.state.settings

    # --- Decisions -----------------------------------------------------------------------------

    def apply(self, *changes: Change) -> list[Applied]:
        """Write transitions now, so that whatever is asked next of the ledger knows of them.

        Return those that took place.
        """
        applied = transitions.apply(self.connection, self.now, changes)
        self.applied += applied
        return applied

    def draw_claim(self) -> int:
        """Return the number of another claim."""
        state = self.state
        if not state.claims:
            state.claims = fencing.draw(state.store, self.connection)
        number, state.claims = state.claims[0], state.claims[1:]
        return number

    def claim(self, rows: Sequence[Delivery], number: int) -> tuple[Delivery, ...]:
        """Claim waiting rows for one job; return those that are claimed, of a bundle all or none.

        A row that another host has claimed first is left out, and its job has no such row.
        """
        columns = {"claimed_at": self.now, "claim": number, "node": self.state.store.node or None}
        applied = self.apply(
            *(Change(row.id, Event.CLAIM, row.state, None, columns, row.version) for row in rows)
        )
        whole, split = _by_bundles(rows, {one.change.delivery for one in applied}, number)
        self.unclaim(split)
        return whole

    def claim_captions(self, rows: Sequence[Delivery], number: int) -> tuple[Delivery, ...]:
        """Claim uploaded rows for the caption before their file; else the same as `claim`."""
        ids, node = [row.id for row in rows], self.state.store.node
        done = delivery.mark_caption_sent(self.connection, ids, self.now, number, node)
        whole, split = _by_bundles(rows, done, number)
        delivery.clear_caption(self.connection, split, self.now, 0.0, refused=False)
        return whole

    def claim_upload(self, rows: Sequence[Delivery], *, whole: bool = False) -> tuple[Delivery, ...]:
        """Claim the rows of one content and their upload; return those for which it is to be made.

        With `whole` it is for all of them or for none.
        """
        number, upload = self.draw_claim(), rows[0].upload_key
        if not uploads.claim_upload(self.connection, upload, number, self.state.store.node):
            return ()
        claimed = self.claim(rows, number)
        if whole and len(claimed) < len(rows):
            self.unclaim(claimed)
            claimed = ()
        if not claimed:
            uploads.release_upload(self.connection, upload, number)
        return claimed

    def unclaim(self, rows: Iterable[Delivery]) -> None:
        """Give claimed rows back: there will be no job for them."""
        self.apply(
            *(Change(row.id, Event.RETRY, advance(row.state, Event.CLAIM), claim=row.claim) for row in rows)
        )

    def issue(self, job: Job) -> None:
        """Have a job carried out; it takes a slot of its target's pace."""
        self.jobs.append(job)
        self.in_hand.append(job)
        self._occupy(job)
        if job.target is not None:
            self._take_slot(job, job.target)

    def _take_slot(self, job: Job, target: Target) -> None:
        slot = self.now
        if self.others and self.state.rates.is_tight(target, slot):
            slot = max(self.state.rates.free_since(target, slot), slot - LATE_SECONDS)
            self.departures[id(job)] = slot + ENTRY_SECONDS
        self.state.rates.take(target, slot)
        self.slots.append((target, slot))

    def count_working(self) -> int:
        """Return how many jobs for deliveries are out."""
        return sum(not isinstance(job, Question) for job in self.in_hand)

    def _occupy(self, job: Job) -> None:
        if job.target is not None:
            self.targets.append(job.target)
            self.recipients.update(job.target.recipients)

    def log(self, text: Text, **values: object) -> None:
        """Log a line once the transaction is on disk."""
        self.messages.append((text, values))

    def log_row(self, text: Text, row: Delivery, cause: Cause) -> None:
        """Log a line about one delivery."""
        self.log(text, **about(row), **cause.log_values())

    def log_message(self, text: Text, rows: Sequence[Delivery], cause: Cause) -> None:
        """Log a line about the deliveries of one recipient that share a message."""
        self.log(text, **about_message(rows), **cause.log_values())

    def choose_payload(self, row: Delivery) -> Payload:
        """Return how a row's file goes out alone, by the present settings."""
        policy = self.settings.payload_policy(row)
        return choose_payload(row.name, row.fingerprint.size, row.digest, policy, self.state.refused)

    # --- What holds jobs back ------------------------------------------------------------------

    @property
    def paused(self) -> Paused:
        """The recipients and folders under a pause that has not ended."""
        return self.state.pauses.paused(self.now)

    @property
    def paused_by_itself(self) -> Paused:
        """The same without the folders that only a person has paused."""
        return replace(self.state.pauses, by_hand={}).paused(self.now)

    def free_workers(self) -> int:
        """Return how many more uploads and sends may be out; the drive has threads of its own."""
        # A file of 100 GB is uploaded for hours. Were its parts to count, no PDF would be sent meanwhile.
        free = DRIVE_APIS | {API_DELETE_ENTRY, API_ORGANISATION}
        return self.settings.workers - sum(target.api not in free for target in self.targets)

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
        """Return the earliest instant at which a job keeps to the pace, and it is this node's turn."""
        slot = self.state.rates.next_slot(target, self.now)
        if not self.others:
            return slot
        # All nodes wait for the same instant. Whoever had a slot last lets the others go first.
        turns = self.state.slot_turns.get(target.api, {})
        own = turns.get(self.state.store.node, 0)
        ahead = sum(turns.get(other, 0) < own for other in self.others)
        return max(slot, self.state.rates.free_since(target, self.now) + ahead * YIELD_SECONDS)

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


def _by_bundles(
    rows: Sequence[Delivery], done: Container[int], number: int
) -> tuple[tuple[Delivery, ...], tuple[Delivery, ...]]:
    """Return the rows that are `done` with the number of their claim: whole bundles, and parts of bundles."""
    claimed = [replace(row, claim=number) for row in rows if row.id in done]
    split = {row.bundle for row in rows if row.id not in done and row.bundle is not None}
    return (
        tuple(row for row in claimed if row.bundle not in split),
        tuple(row for row in claimed if row.bundle in split),
    )


def about(row: Delivery) -> dict[str, object]:
    """Return what a line of log says of a delivery."""
    return {
        "folder": row.folder,
        "path": names.readable(row.path),
        "conversation": row.recipient,
        "size": row.fingerprint.size,
    }


def about_message(rows: Sequence[Delivery]) -> dict[str, object]:
    """Return what a line of log says of the deliveries that share a message: the first, and how many more."""
    if len(rows) == 1:
        return about(rows[0])
    size = sum(row.fingerprint.size for row in rows)
    return {**about(rows[0]), "size": size, "count": len(rows), "more": len(rows) - 1}


def messages(rows: Sequence[Delivery]) -> list[list[Delivery]]:
    """Return rows by the message that they share; most have one of their own."""
    found: dict[tuple[int | None, int], list[Delivery]] = {}
    for row in rows:
        found.setdefault((row.bundle, 0 if row.bundle is not None else row.id), []).append(row)
    return list(found.values())
