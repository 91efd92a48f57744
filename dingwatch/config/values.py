"""The configuration as the rest of dingwatch sees it: frozen values, or the problems of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from dingwatch.model import BundleRule, Recipient, RecipientKind
from dingwatch.pace import Limit
from dingwatch.texts import Language

LEDGER_FILE: Final = "ledger.db"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: at which key (`folders[1].settle`), in which line, in plain words."""

    key: str
    line: int | None
    text: str


class ConfigError(Exception):
    """The configuration cannot be used; holds every problem that was found, and the language they are in.

    The language is None where the file could not be read far enough to set one.
    """

    def __init__(self, problems: tuple[Problem, ...], language: Language | None = None) -> None:
        super().__init__("; ".join(f"{p.key} ({p.line}): {p.text}" for p in problems))
        self.problems = problems
        self.language = language


@dataclass(frozen=True, slots=True)
class DingTalk:
    """The app, and where DingTalk is. No address ends with a slash."""

    client_id: str
    client_secret: str = field(repr=False)
    robot_code: str
    operator_union_id: str | None
    api_url: str
    oapi_url: str
    monthly_calls: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How deliveries are made. `give_up_after` is in seconds."""

    workers: int
    give_up_after: float
    on_uncertain: Literal["resend", "hold"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast at most; None is no limit."""

    per_api: Limit | None
    per_conversation: Limit | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A custom robot: its address with the token in it, and the secret that it may be signed with."""

    address: str = field(repr=False)
    secret: str | None = field(repr=False)

    @property
    def id(self) -> str:
        """Its name in the ledger and for people; nothing of the token can be read from it."""
        return hashlib.blake2b(self.address.encode(), digest_size=6).hexdigest()


LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The level and the format of the log: lines for people, or JSON."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: LogFormat = "text"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (an IPv6 address without brackets) and a port; 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Http:
    """The address of the HTTP API beside the control socket, and who may use it.

    `token` opens it; None asks for none, which is possible on loopback alone. It is empty for commands that
    do not need it. `hosts` are the names by which it may be called, beside the address itself and localhost.
    """

    listen: TcpAddress | UnixAddress
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alerts:
    """Recipients and times of alerts; `after` is in seconds, `daily` a time of day (`18:00`)."""

    to: tuple[str, ...] = ()
    """As `model.Recipient` words."""
    robots: tuple[Webhook, ...] = field(default=(), repr=False)
    """The custom robots among them."""
    after: float = 300.0
    heartbeat_url: str | None = field(default=None, repr=False)
    """Whoever knows it can report this service well."""
    daily: str | None = None


def recipients(
    conversations: Iterable[str], users: Iterable[str], chats: Iterable[str], webhook: Webhook | None
) -> tuple[str, ...]:
    """Return a folder's recipients as `model.Recipient` words."""
    return (
        *conversations,
        *(str(Recipient(RecipientKind.PERSON, one)) for one in users),
        *(str(Recipient(RecipientKind.CHAT, one)) for one in chats),
        *((str(Recipient(RecipientKind.WEBHOOK, webhook.id)),) if webhook else ()),
    )


@dataclass(frozen=True, slots=True)
class Folder:
    """A watched folder. All times are in seconds.

    `path` is what people wrote and are shown; `root` is where it really is, and the folder's identity.
    """

    path: Path
    root: bytes
    name: str
    conversation_ids: tuple[str, ...]
    recursive: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    settle: float
    existing: Literal["skip", "send"]
    on_change: Literal["send", "ignore"]
    unsupported: Literal["zip", "skip"]
    large_files: Literal["drive", "notice", "fail"]
    hold_over: int | None
    watch: Literal["auto", "inotify", "poll"]
    poll_interval: float
    rescan: float
    user_ids: tuple[str, ...] = ()
    chat_ids: tuple[str, ...] = ()
    webhook: Webhook | None = None
    send_as: Literal["file", "image", "notice"] = "file"
    notice_location: str | None = None
    notice_text: str | None = None
    message: str | None = None
    before_send: tuple[str, ...] | None = None
    before_send_timeout: float = 60.0
    drive_keep: float | None = None
    exclusive: bool = True
    shared: str | None = None
    bundle: BundleRule | None = None
    feedback: Literal["none", "sidecar"] = "none"
    after_send: Literal["keep", "move"] = "keep"
    star: Path | None = None
    """The path with a `*` that it was found by."""

    @property
    def is_written_to(self) -> bool:
        """Whether its settings have dingwatch make or move files in it."""
        return self.feedback == "sidecar" or self.after_send == "move"

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody whom its files are for, as `model.Recipient` words."""
        return recipients(self.conversation_ids, self.user_ids, self.chat_ids, self.webhook)

    @property
    def addresses(self) -> dict[str, Webhook]:
        """The custom robots among its recipients, by their ids."""
        return {self.webhook.id: self.webhook} if self.webhook else {}


@dataclass(frozen=True, slots=True)
class Star:
    """A folder with a `*` in its path, which stands for one folder for each directory in `parent`.

    `root` is where `parent` really is; `inner` is the path of the watched folder within each directory.
    """

    pattern: Path
    parent: Path
    root: bytes
    inner: str
    template: Folder
    """Its settings, for each of the folders."""
    label: str | None
    """The beginning of their names; None if they are named by their whole path."""
    position: int
    """How many folders without a `*` stand before it."""
    table: Path | None = None
    rows: Mapping[str, tuple[str, ...]] | None = None
    """Whom the files in each directory are for, by its name; None if all are for those of `template`."""
    stamp: tuple[int, ...] = ()
    """Size and time of the table, which differ once it is edited."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `keep` is in seconds; `ledger` may hold a password."""

    language: Language
    dingtalk: DingTalk
    state_dir: Path
    ledger: str | None = field(repr=False)
    keep: float
    delivery: Delivery
    pace: Pace
    folders: tuple[Folder, ...]
    log: LogOptions = LogOptions()
    http: Http | None = None
    """None while nothing but the control socket is to be served."""
    alerts: Alerts = Alerts()
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names for recipients, and the recipients as `model.Recipient` words; in the order of the file."""
    recipient_names: Mapping[str, str] = field(default_factory=dict)
    """The name by which people are shown each recipient that has one."""
    stars: tuple[Star, ...] = ()
    unlisted: tuple[Path, ...] = ()
    """Directories of a `*` that are not watched, because its table does not have them."""
    absent: tuple[tuple[Path, str], ...] = ()
    """Tables, and the directories in them that are not there."""
    seen: frozenset[Path] = frozenset()
    """The paths with a `*` where there was something to see."""
    node: str | None = None
    """This host's name on a shared ledger."""
    digest: str = field(default="", compare=False)
    """Of the file as it was read; empty for a configuration that was not read from one."""

    @property
    def ledger_file(self) -> Path | None:
        """The file of a SQLite ledger; None for a ledger on a server."""
        return self.state_dir / LEDGER_FILE if self.ledger is None else None


@dataclass(frozen=True, slots=True)
class Glance:
    """The state directory of the service that may have read a file, and the language of the file."""

    state_dir: Path
    language: Language
    digest: str
