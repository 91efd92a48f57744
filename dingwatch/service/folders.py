"""The folders of the configuration, bound to the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch import policy
from dingwatch.config import Config
from dingwatch.intake import FolderSettings
from dingwatch.ledger import Store, versions
from dingwatch.ledger.versions import FolderMark, Mapped


@dataclass(frozen=True, slots=True)
class Folders:
    """What the loops are to know of each folder, and what the ledger remembers of it, in order."""

    settings: tuple[FolderSettings, ...]
    marks: tuple[FolderMark, ...]

    @property
    def roots(self) -> dict[int, bytes]:
        """Return the real paths of the folders by their id in the ledger."""
        return {one.id: one.root for one in self.settings}


def bind_folders(store: Store, config: Config) -> Folders:
    """Bind the folders of the configuration to the ledger."""
    mapped = [Mapped(f.root, f.name, f.conversation_ids) for f in config.folders]
    with store.writing() as connection:
        marks = tuple(versions.bind(connection, mapped))
    settings = tuple(
        FolderSettings(
            id=mark.id,
            root=folder.root,
            name=folder.name,
            conversations=folder.conversation_ids,
            filter=policy.path_filter(folder.include, folder.exclude, recursive=folder.recursive),
            settle=folder.settle,
            existing=folder.existing,
            on_change=folder.on_change,
            watch=folder.watch,
            poll_interval=folder.poll_interval,
            rescan=folder.rescan,
            hold_over=folder.hold_over,
        )
        for folder, mark in zip(config.folders, marks, strict=True)
    )
    return Folders(settings, marks)
