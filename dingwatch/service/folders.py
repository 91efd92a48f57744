"""The folders of the configuration, bound to the ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from dingwatch import files, filters
from dingwatch.config.values import Config, DingTalk, Folder
from dingwatch.delivery import FolderPolicy
from dingwatch.dingtalk import MEDIA_LIMIT, Account
from dingwatch.intake import FolderSettings
from dingwatch.intake.moves import lies_at, read_traces
from dingwatch.ledger import Store, links
from dingwatch.ledger.folders import FolderMark, MappedFolder, add_routes, bind, mark_of
from dingwatch.model import Failure
from dingwatch.notice_text import Wording
from dingwatch.payload import PayloadPolicy
from dingwatch.recipients import Address, recipient_kind


@dataclass(slots=True)
class Folders:
    """The watched folders: those of the configuration in its order, and then the former targets of links.

    `owners` says which folder of the configuration each one belongs to, by its id in the ledger. `switched`
    has those whose path leads elsewhere since the last run, and where it led then.
    """

    settings: list[FolderSettings] = field(default_factory=list)
    marks: list[FolderMark] = field(default_factory=list)
    owners: dict[int, Folder] = field(default_factory=dict)
    switched: list[tuple[Folder, bytes]] = field(default_factory=list)

    def add(self, owner: Folder, mark: FolderMark, settings: FolderSettings) -> None:
        """Add one folder."""
        self.settings.append(settings)
        self.marks.append(mark)
        self.owners[mark.id] = owner

    @property
    def roots(self) -> dict[int, bytes]:
        """Return the real paths of the folders by their id in the ledger."""
        return {one.id: one.root for one in self.settings}


SENT_BY_HAND: Final = "send"
"""The name of the space in the drive for what `send` was given."""


def account_of(dingtalk: DingTalk) -> Account:
    """Return whose calls they are."""
    return Account(
        dingtalk.client_id, dingtalk.client_secret, dingtalk.robot_code, dingtalk.api_url, dingtalk.oapi_url
    )


def payload_policy(config: Config, folder: Folder | None, number: int | None) -> PayloadPolicy:
    """Return how the files of a folder go out; None and None for what `send` was given.

    Without an operator there is no drive: of a large file people are told where it lies instead. What a
    person sends by hand lies nowhere that others could look.
    """
    large = folder.large_files if folder else "drive"
    if large == "drive" and config.dingtalk.operator_union_id is None:
        large = "notice" if folder else "fail"
    return PayloadPolicy(
        app=config.dingtalk.client_id,
        media_limit=MEDIA_LIMIT,
        space=SENT_BY_HAND if number is None else str(number),
        send_as=folder.send_as if folder else "file",
        large=large,
        named=folder is not None and any(recipient_kind(one).shows_upload_name for one in folder.recipients),
    )


def folder_policies(config: Config, owners: Mapping[int, Folder]) -> dict[int | None, FolderPolicy]:
    """Return how delivery treats the files of each folder, by its id in the ledger; None is for `send`."""
    policies: dict[int | None, FolderPolicy] = {None: FolderPolicy(payload_policy(config, None, None))}
    return policies | {number: folder_policy(config, folder, number) for number, folder in owners.items()}


def folder_policy(config: Config, folder: Folder, number: int) -> FolderPolicy:
    """Return how delivery treats the files of one folder."""
    wording = Wording(
        config.language, folder.name, folder.notice_location, folder.message, folder.notice_text
    )
    return FolderPolicy(payload_policy(config, folder, number), wording, folder.unsupported)


def addresses(config: Config) -> dict[str, Address]:
    """Return where custom robots are called, by their ids in the ledger."""
    robots = (robot for folder in config.folders for robot in folder.addresses.items())
    return {number: Address(robot.address, robot.secret) for number, robot in robots}


def bind_folders(store: Store, config: Config) -> Folders:
    """Bind the folders of the configuration to the ledger, and the former targets of their paths."""
    mapped = [_map(folder) for folder in config.folders]
    moved = _find_moved(store, mapped)
    bound = Folders()
    with store.writing() as connection:
        for number, root in moved.items():
            links.move(connection, number, root)
        noted = links.note_paths(connection, mapped, bind(connection, mapped))
        for folder, (mark, before) in zip(config.folders, noted, strict=True):
            bound.add(folder, mark, folder_settings(config, folder, mark.id, folder.root))
            if before is not None:
                bound.switched.append((folder, before))
        former = links.list_former(connection)
        for folder, one in zip(config.folders, mapped, strict=True):
            for mark, root in ((mark_of(row), row.root) for row in former.get((one.path, one.name), ())):
                add_routes(connection, mark.id, one.recipients)
                settings = folder_settings(config, folder, mark.id, root)
                bound.add(folder, mark, replace(settings, path=None, successor=folder.root))
    return bound


def _find_moved(store: Store, mapped: Sequence[MappedFolder]) -> dict[int, bytes]:
    """Return the folders whose roots were moved, since the last run, to where their paths lead now."""
    moved: dict[int, bytes] = {}
    with store.reading() as connection:
        present = links.list_present(connection)
    for one in mapped:
        before = next(iter(present.get((one.path, one.name), ())), None)
        if before is not None and before.root != one.root and _lies_at(store, before.id, one.root):
            moved[before.id] = one.root
    return moved


def _lies_at(store: Store, number: int, root: bytes) -> bool:
    with store.reading() as connection:
        traces = read_traces(connection, number)
    with suppress(Failure):  # a share that hangs is no directory that was moved
        return files.in_time(partial(lies_at, traces, root))
    return False


def _map(folder: Folder) -> MappedFolder:
    path, linked_at = os.fsencode(folder.path), None
    with suppress(Failure):  # nothing is there, or the share hangs: no link is known to have changed
        linked_at = files.in_time(partial(files.follow, path))[1]
    return MappedFolder(folder.root, folder.name, folder.recipients, path, linked_at)


def folder_settings(config: Config, folder: Folder, number: int, root: bytes) -> FolderSettings:
    """Return a folder's settings for intake; `number` is its id in the ledger."""
    return FolderSettings(
        id=number,
        root=root,
        name=folder.name,
        conversations=folder.recipients,
        filter=filters.path_filter(folder.include, folder.exclude, recursive=folder.recursive),
        code=payload_policy(config, folder, number),
        settle=folder.settle,
        existing=folder.existing,
        on_change=folder.on_change,
        watch=folder.watch,
        poll_interval=folder.poll_interval,
        rescan=folder.rescan,
        hold_over=folder.hold_over,
        exclusive=folder.exclusive and folder.shared is None,
        path=os.fsencode(folder.path),
    )
