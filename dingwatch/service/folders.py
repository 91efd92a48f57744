"""The folders of the configuration, bound to the ledger."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from dingwatch import files, filters
from dingwatch.config.values import Config, DingTalk, Folder
from dingwatch.delivery import FolderPolicy, Screening
from dingwatch.dingtalk import MEDIA_LIMIT, Account
from dingwatch.feedback import FolderFeedback, Settings
from dingwatch.intake import FolderSettings
from dingwatch.intake.moves import lies_at, read_traces
from dingwatch.ledger import Store, links, stars
from dingwatch.ledger.folders import FolderMark, MappedFolder, Share, bind, mark_of
from dingwatch.ledger.moves import note_moving
from dingwatch.ledger.routing import add_routes
from dingwatch.ledger.store import node_of
from dingwatch.model import Failure, is_beneath
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
    program = folder.before_send
    screening = None if program is None else Screening(program, folder.before_send_timeout)
    payload = payload_policy(config, folder, number)
    # Without an operator nobody has the right to delete what a former one has uploaded.
    keep = None if config.dingtalk.operator_union_id is None else folder.drive_keep
    return FolderPolicy(payload, wording, folder.unsupported, screening, folder.bundle, keep)


def addresses(config: Config) -> dict[str, Address]:
    """Return where custom robots are called, by their ids in the ledger."""
    # Where alerts go to a folder's robot, the folder knows the secret that signs its calls.
    robots = [(robot.id, robot) for robot in config.alerts.robots]
    robots += [robot for folder in config.folders for robot in folder.addresses.items()]
    return {number: Address(robot.address, robot.secret) for number, robot in robots}


def bind_folders(store: Store, config: Config, looked_at: float | None = None) -> Folders:
    """Bind the folders of the configuration to the ledger, and the former targets of their paths.

    `looked_at` is when the directories of folders with a `*` were listed for this configuration (wall clock);
    None leaves it to a later call which of their files are new.
    """
    looked_up = look_up(store, config.folders)
    with store.writing() as connection:
        return bind_looked_up(connection, config, looked_up, looked_at)


@dataclass(slots=True)
class LookedUp:
    """The directories found for folders, by path and name; looking takes seconds while a share hangs."""

    linked_at: dict[tuple[Path, str], float | None] = field(default_factory=dict)
    """When the newest link in the path was made or changed (wall clock)."""
    moved: dict[int, bytes] = field(default_factory=dict)
    """By their ids the folders that lie elsewhere now, with all that is in them."""


def look_up(store: Store, folders: Iterable[Folder]) -> LookedUp:
    """Look at the links in folders' paths, and find out which folders were moved."""
    found = LookedUp()
    mapped = []
    for folder in folders:
        found.linked_at[folder.path, folder.name] = linked_at = _linked_at(folder)
        if folder.shared is None or not store.shared:
            mapped.append(_map(folder, linked_at))
    found.moved = _find_moved(store, mapped)
    return found


def bind_looked_up(
    connection: Connection, config: Config, looked_up: LookedUp, looked_at: float | None
) -> Folders:
    """Bind the folders of the configuration; those that were not looked up lie where they lay before."""
    mapped = [_map(folder, looked_up.linked_at.get((folder.path, folder.name))) for folder in config.folders]
    shares = bool(node_of(connection))  # else nobody is there to share a folder with
    if shares:
        mapped = [_map_share(config, *pair) for pair in zip(config.folders, mapped, strict=True)]
    bound = Folders()
    for number, root in looked_up.moved.items():
        links.move(connection, number, root)
    noted = links.note_paths(connection, mapped, bind(connection, mapped), time.time())
    if looked_at is not None:
        noted = _note_stars(connection, config, noted, looked_at)
    for folder, (mark, before) in zip(config.folders, noted, strict=True):
        settings = folder_settings(config, folder, mark.id, folder.root, moved=mark.moves)
        if shares and folder.shared is not None:
            any_node = _needs_no_settings(folder)
            settings = replace(settings, path=None, shared=True, by_any_node=any_node)
        bound.add(folder, mark, settings)
        if before is not None:
            bound.switched.append((folder, before))
    former = links.list_former(connection)
    for folder, one in zip(config.folders, mapped, strict=True):
        for mark, root in ((mark_of(row), row.root) for row in former.get((one.path, one.name), ())):
            add_routes(connection, mark.id, one.recipients, by_any_node=one.by_any_node)
            settings = folder_settings(config, folder, mark.id, root, moved=mark.moves)
            bound.add(folder, mark, replace(settings, path=None, successor=folder.root))
    moving = {number for number, folder in bound.owners.items() if folder.after_send == "move"}
    note_moving(connection, moving, time.time())
    return bound


Noted = list[tuple[FolderMark, bytes | None]]
"""The folders as the ledger has them, each with the root to which its path led before."""


def _note_stars(connection: Connection, config: Config, noted: Noted, looked_at: float) -> Noted:
    """Record a look at the directories of `*`, and begin the first looks at those that came since the last.

    What was changed in such a directory since that look is new, however old the directory itself may be: it
    may have been moved there. Where the directory was there, but in no table, all that it holds is old.
    """
    before = stars.read_stars(connection)
    began: dict[int, float] = {}
    for folder, (mark, _) in zip(config.folders, noted, strict=True):
        last = None if folder.star is None else before.get(os.fsencode(folder.star))
        known = mark.looked_at is not None or mark.look.began is not None
        if last is not None and not known and os.fsencode(folder.path) not in last.unlisted:
            began[mark.id] = min(last.looked_at, looked_at)  # the clock may have been set back
    stars.begin_first_looks(connection, began)
    note_look(connection, config, looked_at)
    return [(_begin_at(one, began.get(one.id)), root) for one, root in noted]


def note_look(connection: Connection, config: Config, looked_at: float) -> None:
    """Record a look at the directories of `*`, which began at an instant (wall clock)."""
    stars.forget_stars(connection, [os.fsencode(star.pattern) for star in config.stars])
    for star in config.stars:
        if star.pattern in config.seen:  # else the share was not there, and there was no look
            theirs = (path / star.inner for path in config.unlisted if path.parent == star.parent)
            look = stars.StarMark(looked_at, frozenset(map(os.fsencode, theirs)))
            stars.save_star(connection, os.fsencode(star.pattern), look)


def _begin_at(mark: FolderMark, at: float | None) -> FolderMark:
    return mark if at is None else replace(mark, look=replace(mark.look, began=at))


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


def _linked_at(folder: Folder) -> float | None:
    with suppress(Failure):  # nothing is there, or the share hangs: no link is known to have changed
        return files.in_time(partial(files.follow, os.fsencode(folder.path)))[1]
    return None


def _map(folder: Folder, linked_at: float | None) -> MappedFolder:
    path = os.fsencode(folder.path)
    return MappedFolder(
        folder.root, folder.name, folder.recipients, path, linked_at, by_any_node=_needs_no_settings(folder)
    )


def _map_share(config: Config, folder: Folder, mapped: MappedFolder) -> MappedFolder:
    """Return a folder that several nodes share as the ledger binds it.

    The links in its path are not followed while the service runs: where the share lies is each node's own
    affair, and is no reason for a former target.
    """
    if folder.shared is None:
        return mapped
    return replace(mapped, path=None, share=Share(folder.shared, share_settings(config, folder)))


_ALIKE: Final = (
    *("name", "recipients", "recursive", "include", "exclude", "existing", "on_change", "unsupported"),
    *("hold_over", "send_as", "message", "notice_text", "notice_location", "before_send", "bundle"),
    *("feedback", "after_send", "drive_keep"),
)
"""Settings that all nodes of a share must have alike: which of its files go out, to whom, and as what."""


def share_settings(config: Config, folder: Folder) -> dict[str, str]:
    """Return the settings that all nodes of a share must have alike, as digests by their keys."""
    values = {key: getattr(folder, key) for key in _ALIKE}
    values["recipients"] = sorted(folder.recipients)
    values["large_files"] = payload_policy(config, folder, 0).large  # without an operator there is no drive
    return {
        key: hashlib.blake2b(repr(value).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        for key, value in values.items()
    }


def _needs_no_settings(folder: Folder) -> bool:
    """Return whether a node without the folder can send what is uploaded: it knows none of its settings."""
    return folder.message is None and folder.before_send is None and folder.bundle is None


def feedback_settings(config: Config, folders: Folders) -> Settings:
    """Return how folders give feedback.

    Where another folder watches the same files, they are not moved away from it. The configuration has no
    such folders, but a link in a path may lead there by now.
    """
    roots = [(one.id, one.root) for one in folders.settings]
    found = {
        one.id: folder_feedback(folders.owners[one.id], one.root, [r for n, r in roots if n != one.id])
        for one in folders.settings
    }
    holds = config.delivery.on_uncertain == "hold"
    return Settings(config.language, holds, config.recipient_names, found)


def folder_feedback(folder: Folder, root: bytes, others: Iterable[bytes]) -> FolderFeedback:
    """Return how a folder gives feedback; `others` are the roots of all other folders."""
    moves = folder.after_send == "move" and not any(_overlap(root, other) for other in others)
    return FolderFeedback(folder.name, root, folder.feedback == "sidecar", moves, folder.settle)


def _overlap(one: bytes, other: bytes) -> bool:
    return is_beneath(one, other) or is_beneath(other, one)


def folder_settings(
    config: Config, folder: Folder, number: int, root: bytes, *, moved: bool = False
) -> FolderSettings:
    """Return a folder's settings for intake.

    `number` is its id in the ledger; `moved` says whether sent files were ever moved in it.
    """
    moves = moved or folder.after_send == "move"
    return FolderSettings(
        id=number,
        root=root,
        name=folder.name,
        conversations=folder.recipients,
        filter=filters.path_filter(folder.include, folder.exclude, recursive=folder.recursive, moves=moves),
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
        bundle_wait=None if folder.bundle is None else folder.bundle.wait,
    )
