"""The folders that commands show: those that the running service watches, and those of the config file.

After the config was edited, the service goes on with what it had read until it is restarted. What commands
say has to be true of the service that runs.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from dingwatch import names
from dingwatch.config.values import Config, Folder
from dingwatch.texts import Language


@dataclass(frozen=True, slots=True)
class ShownFolder:
    """A folder as commands show it; `root` is its real path."""

    name: str
    path: str
    root: bytes
    recipients: tuple[str, ...]
    recursive: bool
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    watch: str = "auto"
    """How it is to be watched, as the config has it."""
    shared: str | None = None
    """The name under which several nodes share it."""
    loaded: bool = True
    """False for a folder that the running service does not know yet."""

    @classmethod
    def of(cls, folder: Folder) -> Self:
        """Return a folder of the configuration."""
        shown = {one.name: getattr(folder, one.name) for one in fields(cls) if one.name != "loaded"}
        return cls(**{**shown, "path": str(folder.path)})

    def dump(self) -> dict[str, object]:
        """Return it as JSON; its root may hold bytes that are not UTF-8."""
        return {**asdict(self), "root": self.root.hex()}

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """Read what `dump` made, also that of another version with other fields."""
        known = {one.name: told[one.name] for one in fields(cls) if one.name in told}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**{**known, **lists, "root": bytes.fromhex(told["root"])})


@dataclass(frozen=True, slots=True)
class InForce:
    """The configuration in force: that of the running service, else that of the file."""

    folders: tuple[ShownFolder, ...]
    monthly_calls: int | None
    digest: str = ""
    """Of the config file that it was read from."""
    by_service: bool = True
    """Whether a running service has told it."""
    recipient_names: Mapping[str, str] = field(default_factory=dict)
    """The aliases by the recipients that they name."""
    unlisted: tuple[str, ...] = ()
    """Directories of a folder with a `*` that are not watched, because its table does not have them."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The recipients by their names; unlike `recipient_names` it has every name, for what people write."""
    ledger_in_file: bool = True
    """Whether the ledger is the file in the state directory."""
    node: str = ""
    """The name of this host on a ledger that others share; empty where it is a file."""
    language: Language | None = None
    """The language of messages to people; None if the service has not told it."""
    file: str = ""
    """The real path of the config file that a running service reads."""

    @classmethod
    def of(cls, config: Config, *, by_service: bool) -> Self:
        """Return a configuration that a service runs with, or will run with when it starts."""
        folders = tuple(map(ShownFolder.of, config.folders))
        unlisted = tuple(names.readable(path) for path in config.unlisted)
        return cls(
            folders,
            config.dingtalk.monthly_calls,
            config.digest,
            by_service,
            config.recipient_names,
            unlisted,
            config.aliases,
            ledger_in_file=config.ledger_file is not None,
            node="" if config.ledger is None else config.node or socket.gethostname(),
            language=config.language,
        )

    def dump(self) -> dict[str, object]:
        """Return as JSON what the service tells; it holds no secret."""
        folders = [one.dump() for one in self.folders]
        return {
            "folders": folders,
            "monthly_calls": self.monthly_calls,
            "digest": self.digest,
            "recipient_names": dict(self.recipient_names),
            "unlisted": list(self.unlisted),
            "aliases": dict(self.aliases),
            "ledger_in_file": self.ledger_in_file,
            "node": self.node,
            "language": self.language,
        }

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """Read what the service has told."""
        folders = tuple(map(ShownFolder.load, told["folders"]))
        return cls(
            folders,
            told["monthly_calls"],
            told.get("digest", ""),
            recipient_names=told.get("recipient_names", {}),
            unlisted=tuple(told.get("unlisted", ())),
            aliases=told.get("aliases", {}),
            ledger_in_file=told.get("ledger_in_file", True),
            node=told.get("node", ""),
            language=Language(told["language"]) if told.get("language") else None,
            file=told.get("file", ""),
        )

    def equals(self, other: InForce) -> bool:
        """Return whether both configurations are the same, whoever told them and wherever links lead now."""
        ours, theirs = ([replace(one, root=b"") for one in each.folders] for each in (self, other))
        return (ours, self.monthly_calls) == (theirs, other.monthly_calls)


def not_loaded(in_force: Iterable[ShownFolder], in_file: Iterable[ShownFolder]) -> list[ShownFolder]:
    """Return the folders of the file that the service does not know yet.

    A folder is identified by its root. Only where one root is configured more than once do the names tell
    the entries apart; so one that was merely renamed is not new. Nor is one whose path is a link that was
    switched just now, which the service notices within `poll_interval`.
    """
    known = {(one.root, one.name) for one in in_force}
    paths = {(one.path, one.name) for one in in_force}
    wanted = {(one.root, one.name) for one in in_file}
    renamed = {root for root, name in known if (root, name) not in wanted}
    new = [
        one
        for one in in_file
        if (one.root, one.name) not in known and (one.path, one.name) not in paths and one.root not in renamed
    ]
    return [replace(one, loaded=False) for one in new]
