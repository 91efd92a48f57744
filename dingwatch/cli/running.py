"""The folders that commands show: those that the running service watches, and those of the config file.

After the config was edited, the service goes on with what it had read until it is restarted. What commands
say has to be true of the service that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from dingwatch.config import Config, Folder


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
    loaded: bool = True
    """False for a folder that the running service does not know yet."""

    @classmethod
    def of(cls, folder: Folder) -> Self:
        """Return a folder of the config file."""
        return cls(
            name=folder.name,
            path=str(folder.path),
            root=folder.root,
            recipients=folder.recipients,
            recursive=folder.recursive,
            include=folder.include,
            exclude=folder.exclude,
        )

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """Return a folder as the service tells it (`service.folders.describe_config`)."""
        return cls(
            name=told["name"],
            path=told["path"],
            root=bytes.fromhex(told["root"]),
            recipients=tuple(told["recipients"]),
            recursive=told["recursive"],
            include=tuple(told["include"]),
            exclude=tuple(told["exclude"]),
        )


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force: the configuration of the running service, else that of the file."""

    folders: tuple[ShownFolder, ...]
    monthly_calls: int | None
    by_service: bool = True
    """Whether a running service has told it."""

    def equals(self, other: InForce) -> bool:
        """Return whether both configurations are the same, whoever told them and wherever links lead now."""
        ours, theirs = ([replace(one, root=b"") for one in each.folders] for each in (self, other))
        return (ours, self.monthly_calls) == (theirs, other.monthly_calls)


def of_file(config: Config) -> InForce:
    """Return what will be in force when a service starts."""
    folders = tuple(map(ShownFolder.of, config.folders))
    return InForce(folders, config.dingtalk.monthly_calls, by_service=False)


def of_service(told: Mapping[str, Any]) -> InForce:
    """Return what the service has told."""
    return InForce(tuple(map(ShownFolder.load, told["folders"])), told["monthly_calls"])


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
