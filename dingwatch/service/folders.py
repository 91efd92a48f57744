"""The folders of the configuration, bound to the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dingwatch import filters
from dingwatch.config import Config, DingTalk, Folder
from dingwatch.delivery import FolderPolicy
from dingwatch.dingtalk import MEDIA_LIMIT, Account
from dingwatch.intake import FolderSettings
from dingwatch.ledger import Store
from dingwatch.ledger.folders import FolderMark, MappedFolder, bind
from dingwatch.notice_text import Wording
from dingwatch.payload import PayloadPolicy
from dingwatch.recipients import Address, recipient_kind


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders in the order of the configuration: their settings, and the ledger's marks."""

    settings: tuple[FolderSettings, ...]
    marks: tuple[FolderMark, ...]

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


def folder_policies(config: Config, ids: Iterable[int]) -> dict[int | None, FolderPolicy]:
    """Return how delivery treats the files of each folder, by its id in the ledger; None is for `send`."""
    policies: dict[int | None, FolderPolicy] = {None: FolderPolicy(payload_policy(config, None, None))}
    # `send` runs delivery for its own files alone, and binds no more folders than it needs.
    for number, folder in zip(ids, config.folders, strict=False):
        wording = Wording(
            config.language, folder.name, folder.notice_location, folder.message, folder.notice_text
        )
        payload = payload_policy(config, folder, number)
        policies[number] = FolderPolicy(payload, wording, folder.unsupported)
    return policies


def addresses(config: Config) -> dict[str, Address]:
    """Return where custom robots are called, by their ids in the ledger."""
    robots = (robot for folder in config.folders for robot in folder.addresses.items())
    return {number: Address(robot.address, robot.secret) for number, robot in robots}


def describe_config(config: Config) -> dict[str, object]:
    """Return what commands have to know of the running configuration, as JSON; it holds no secret."""
    folders = [
        {
            "name": one.name,
            "path": str(one.path),
            "root": one.root.hex(),  # it may hold bytes that are not UTF-8
            "recipients": one.recipients,
            "recursive": one.recursive,
            "include": one.include,
            "exclude": one.exclude,
        }
        for one in config.folders
    ]
    return {"folders": folders, "monthly_calls": config.dingtalk.monthly_calls}


def bind_folders(store: Store, config: Config) -> Folders:
    """Bind the folders of the configuration to the ledger."""
    mapped = [MappedFolder(f.root, f.name, f.recipients) for f in config.folders]
    with store.writing() as connection:
        marks = tuple(bind(connection, mapped))
    settings = tuple(
        FolderSettings(
            id=mark.id,
            root=folder.root,
            name=folder.name,
            conversations=folder.recipients,
            filter=filters.path_filter(folder.include, folder.exclude, recursive=folder.recursive),
            code=payload_policy(config, folder, mark.id),
            settle=folder.settle,
            existing=folder.existing,
            on_change=folder.on_change,
            watch=folder.watch,
            poll_interval=folder.poll_interval,
            rescan=folder.rescan,
            hold_over=folder.hold_over,
            exclusive=folder.exclusive and folder.shared is None,
        )
        for folder, mark in zip(config.folders, marks, strict=True)
    )
    return Folders(settings, marks)
