"""Folders with a `*` in their path: one watched folder for each directory that is there.

Nothing here is remembered. The service looks at the parents again at every `rescan`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dingwatch import files, filters, names
from dingwatch.config.values import Config, Folder, Star
from dingwatch.model import Failure, Recipient, RecipientKind, is_beneath

STAR: Final = "*"
LISTING_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """The folders of a `*`, and what its table and the directories do not have in common."""

    folders: tuple[Folder, ...]
    unlisted: tuple[Path, ...]
    """Directories that the table does not have."""
    absent: tuple[str, ...]
    """Names in the table of which there is no directory."""
    seen: bool
    """Whether there was something to see; a share may not be mounted."""


def normalize(name: str) -> str:
    """Return a name with composed characters: a Mac writes é as two, and a table of Windows as one."""
    return unicodedata.normalize("NFC", name)


def split_path(path: Path) -> tuple[Path, str] | None:
    """Return the parent of a `*`, and the path within each directory; None for a path without one."""
    if STAR not in path.parts:
        return None
    at = path.parts.index(STAR)
    return Path(*path.parts[:at]), "/".join(path.parts[at + 1 :])


def find_folders(star: Star, taken: Collection[str]) -> Found:
    """Return what is there now; `taken` are the names of the folders without a `*`.

    A parent that cannot be listed, or is empty, is most likely a share that is not mounted: its folders are
    those of the table then, so that they are reported down, and what waits for them is not given up.
    """
    try:
        present = files.in_time(lambda: list(_list(star)), LISTING_SECONDS)
    except (Failure, OSError):
        present = []
    seen, rows = bool(present), {} if star.rows is None else dict(star.rows)
    if not seen:
        present = [os.fsencode(name) for name in rows]
    folders, unlisted = [], []
    for name in present:
        key = normalize(os.fsdecode(name))
        if star.rows is None:
            folders.append(_folder(star, name, taken))
        elif key in star.rows:
            folders.append(_send_to(_folder(star, name, taken), star.rows[key]))
            rows.pop(key, None)
        else:
            unlisted.append(star.parent / os.fsdecode(name))
    return Found(tuple(folders), tuple(unlisted), tuple(rows), seen)


def stamp_of(table: Path) -> tuple[int, ...]:
    """Return what tells a table from one that was edited; empty if it cannot be read."""
    try:
        status = table.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino


def expand(config: Config) -> Config:
    """Return the configuration with a folder for each directory that is there now.

    Where nothing is to be seen, the folders that were found before stay.
    """
    plain = [folder for folder in config.folders if folder.star is None]
    taken = frozenset(folder.name for folder in plain)
    found = [(star, _keep_unseen(config, star, find_folders(star, taken))) for star in config.stars]
    folders: list[Folder] = []
    for position in range(len(plain) + 1):
        for star, theirs in found:
            folders += theirs.folders if star.position == position else ()
        folders += plain[position : position + 1]
    return replace(
        config,
        folders=tuple(folders),
        unlisted=tuple(path for _, theirs in found for path in theirs.unlisted),
        absent=tuple((star.table or star.pattern, name) for star, theirs in found for name in theirs.absent),
        seen=frozenset(star.pattern for star, theirs in found if theirs.seen),
    )


def _keep_unseen(config: Config, star: Star, found: Found) -> Found:
    before = tuple(folder for folder in config.folders if folder.star == star.pattern)
    return found if found.seen or not before else replace(found, folders=before)


def _list(star: Star) -> Iterator[bytes]:
    """Yield the names of the directories, in order; links are not followed, wherever they lead."""
    with os.scandir(star.root) as entries:
        found = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    built_in = filters.path_filter((), (), recursive=True)
    for name in found:
        if not built_in.prunes(name) and _is_directory(star.root, name, star.inner):
            yield name


def _is_directory(root: bytes, name: bytes, inner: str) -> bool:
    path = os.path.join(root, name)
    for part in os.fsencode(inner).split(b"/") if inner else ():
        path = os.path.join(path, part)
        if os.path.islink(path) or not os.path.isdir(path):
            return False
    return True


def _folder(star: Star, directory: bytes, taken: Collection[str]) -> Folder:
    path = star.parent / os.fsdecode(directory) / star.inner
    root = os.path.join(star.root, directory, os.fsencode(star.inner)).rstrip(b"/")
    name = _name(star, directory, path, taken)
    shared = star.template.shared  # each directory is a share of its own
    if shared is not None:
        shared = f"{shared}/{names.readable(directory)}"
    return replace(star.template, path=path, root=root, name=name, shared=shared)


def _name(star: Star, directory: bytes, path: Path, taken: Collection[str]) -> str:
    """Return a name that nothing else in the config has, and that no other directory changes."""
    own = names.readable(directory)
    whole = names.readable(path)
    if star.label is None:
        return whole
    name = f"{star.label}/{own}" if star.label else own
    return whole if name in taken else name


def reaches(star: Star, path: bytes) -> bool:
    """Return whether a directory of a `*` could be around a path, or within it."""
    if is_beneath(star.root, path):
        return True
    if not is_beneath(path, star.root):
        return False
    _, *within = os.path.relpath(path, star.root).split(b"/")
    inner = os.fsencode(star.inner).split(b"/") if star.inner else []
    return all(one == other for one, other in zip(within, inner, strict=False))


def _send_to(folder: Folder, recipients: Iterable[str]) -> Folder:
    kinds: dict[RecipientKind, list[str]] = {kind: [] for kind in RecipientKind}
    for one in map(Recipient.of, recipients):
        kinds[one.kind].append(one.id)
    return replace(
        folder,
        conversation_ids=tuple(kinds[RecipientKind.GROUP]),
        user_ids=tuple(kinds[RecipientKind.PERSON]),
        chat_ids=tuple(kinds[RecipientKind.CHAT]),
    )
