"""Differences between two configurations, in the words of the config file. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from dingwatch.config.values import Config, Folder

_KEYS: Final = {
    "conversation_ids": "conversation_id",
    "chat_ids": "chat_id",
    "token": "token_file",
    "robots": "to",
}
"""The keys of the config file whose values have another name here."""
_SECTIONS: Final = ("dingtalk", "delivery", "pace", "log", "http", "alerts")
_SINGLE: Final = ("language", "keep", "aliases")


@dataclass(frozen=True, slots=True)
class FolderDifference:
    """A folder that was `added` or `removed`, or of which some keys were `changed`."""

    kind: str
    name: str
    path: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Differences:
    """The changes of a reload: folders, and keys that are no folder's (`pace.per_api`)."""

    folders: tuple[FolderDifference, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether both configurations are the same."""
        return not self.folders and not self.keys


def list_restarts(before: Config, after: Config) -> tuple[str, ...]:
    """Return the keys whose change needs a restart: they say where the service works, and as what."""
    wanted = {
        "state_dir": before.state_dir != after.state_dir,
        "ledger": before.ledger != after.ledger,
        "node": before.node != after.node,
        "client_id": before.dingtalk.client_id != after.dingtalk.client_id,
        "http.listen": _listen(before) != _listen(after),
    }
    return tuple(key for key, changed in wanted.items() if changed)


def _listen(config: Config) -> object:
    return None if config.http is None else config.http.listen


def keep_roots(before: Config, after: Config) -> Config:
    """Return a configuration whose folders lie where those of the same path lie that are in force.

    The service follows the links in paths by itself, at every `poll_interval`. While a share hangs, nobody
    can tell where a path leads, and what is in force is right.
    """
    known = {(one.path, one.name): one for one in before.folders}
    by_path: dict[Path, list[Folder]] = {}
    for one in before.folders:
        by_path.setdefault(one.path, []).append(one)
    wanted = Counter(one.path for one in after.folders)

    def keep(folder: Folder) -> Folder:
        alike = by_path.get(folder.path, [])
        same = known.get((folder.path, folder.name))
        if same is None and len(alike) == 1 and wanted[folder.path] == 1:
            (same,) = alike  # it was given another name
        # The links in the path of a share are followed at a start and a reload alone.
        if same is None or folder.shared is not None:
            return folder
        return replace(folder, root=same.root)

    return replace(after, folders=tuple(map(keep, after.folders)))


def list_new(before: Config, after: Config) -> list[Folder]:
    """Return the folders that lie where none lay before."""
    roots = {(one.path, one.root) for one in before.folders}
    return [one for one in after.folders if (one.path, one.root) not in roots]


def compare(before: Config, after: Config) -> Differences:
    """Return what differs; `after` has passed `keep_roots`."""
    keys = [key for key in _SINGLE if getattr(before, key) != getattr(after, key)]
    for section in _SECTIONS:
        if getattr(before, section) is None or getattr(after, section) is None:
            continue  # without `http` nothing listens, and that needs a restart
        keys += [f"{section}.{key}" for key in _changed(getattr(before, section), getattr(after, section))]
    return Differences(tuple(_compare_folders(before.folders, after.folders)), tuple(keys))


def _changed(before: Any, after: Any) -> list[str]:  # noqa: ANN401 (a section, whichever)
    found = [one.name for one in fields(before) if getattr(before, one.name) != getattr(after, one.name)]
    return list(dict.fromkeys(_KEYS.get(name, name) for name in found))


def _compare_folders(before: Sequence[Folder], after: Sequence[Folder]) -> Iterator[FolderDifference]:
    pairs = dict(_pair(before, after))
    kept = {_identity(one) for one in pairs.values()}
    for one in before:
        if _identity(one) not in kept:
            yield FolderDifference("removed", one.name, str(one.path))
    for one in after:
        former = pairs.get(_identity(one))
        if former is None:
            yield FolderDifference("added", one.name, str(one.path))
        elif keys := _changed(former, one):
            shown = tuple(key for key in keys if key not in {"root", "star"})
            if shown:
                yield FolderDifference("changed", one.name, str(one.path), shown)


def _identity(folder: Folder) -> tuple[bytes, str]:
    return folder.root, folder.name


def _pair(before: Sequence[Folder], after: Sequence[Folder]) -> Iterator[tuple[tuple[bytes, str], Folder]]:
    """Yield the folders of the second with those of the first that they are: by root, and then by name.

    As in the ledger: only where one root is configured more than once do the names tell the entries apart.
    """
    named = {_identity(one): one for one in before}
    wanted = {_identity(one) for one in after}
    left: dict[bytes, deque[Folder]] = {}
    for one in before:
        if _identity(one) not in wanted:
            left.setdefault(one.root, deque()).append(one)
    for one in after:
        if (same := named.get(_identity(one))) is not None:
            yield _identity(one), same
        elif left.get(one.root):
            yield _identity(one), left[one.root].popleft()
