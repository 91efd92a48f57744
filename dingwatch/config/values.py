"""The configuration as the rest of dingwatch sees it: frozen values, or the problems of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from dingwatch.model import Recipient, RecipientKind
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
    exclusive: bool = True
    shared: str | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody whom its files are for, as `model.Recipient` words."""
        return recipients(self.conversation_ids, self.user_ids, self.chat_ids, self.webhook)

    @property
    def addresses(self) -> dict[str, Webhook]:
        """The custom robots among its recipients, by their ids."""
        return {self.webhook.id: self.webhook} if self.webhook else {}


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
    later: tuple[str, ...] = ()
    """Keys that ask for what this version does not do yet, as people write them: `folders[0].bundle`."""
    digest: str = field(default="", compare=False)
    """Of the file as it was read; empty for a configuration that was not read from one."""

    @property
    def ledger_file(self) -> Path | None:
        """The file of a SQLite ledger; None for a ledger on a server."""
        return self.state_dir / LEDGER_FILE if self.ledger is None else None


@dataclass(frozen=True, slots=True)
class Glance:
    """Where the service is that may have read a file, and the language of the file."""

    state_dir: Path
    language: Language
    digest: str
