"""The scan: lists what is in a folder now, one directory at a time and never through a link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dingwatch.files import Root, verdict_of
from dingwatch.model import Failure, Verdict

FILES_AT_ONCE: Final = 5000
"""Files of one directory that are looked at before they are handed over; it may hold a million."""


@dataclass(frozen=True, slots=True)
class Directory:
    """The regular files of one directory by name; `unreadable` is why it could not be listed, else None.

    A directory of many files comes in parts, in the order of names: this one has all files whose names are
    greater than `after`, up to the name `last`; None where no part follows. `others` are the names of links,
    pipes, sockets and devices, which are never sent.
    """

    path: bytes
    files: Mapping[bytes, os.stat_result]
    others: tuple[bytes, ...] = ()
    unreadable: Verdict | None = None
    after: bytes = b""
    last: bytes | None = None


def walk(root: Root, prunes: Callable[[bytes], bool]) -> Iterator[Directory]:
    """Yield every directory of a folder that `prunes` lets pass, the root first.

    Raises:
        Failure: FolderDown, when the root is not there any more or not the one that was opened.
    """
    waiting = [b""]  # a list, not recursion: people nest directories deeper than Python nests calls
    while waiting:
        path = waiting.pop()
        below: list[bytes] = []
        try:
            yield from _list(root, path, below)
        except Failure as failure:
            root.verify()  # beneath a root that is gone, every directory is unreadable
            yield Directory(path, {}, unreadable=failure.verdict)
            continue
        prefix = path + b"/" if path else b""
        waiting += [child for name in sorted(below, reverse=True) if not prunes(child := prefix + name)]
    root.verify()


def _list(root: Root, path: bytes, below: list[bytes]) -> Iterator[Directory]:
    """Yield a directory, in parts where it is big; add the names of the directories in it to `below`."""
    descriptor = _descend(root, path)
    try:
        names, others = [], []
        with os.scandir(descriptor) as listing:
            for entry in listing:
                # The listing says what kind an entry is; only regular files cost a stat.
                if entry.is_file(follow_symlinks=False):
                    names.append(os.fsencode(entry.name))
                elif entry.is_dir(follow_symlinks=False):
                    below.append(os.fsencode(entry.name))
                else:
                    others.append(os.fsencode(entry.name))
        names.sort()
        after = b""
        for start in range(0, max(len(names), 1), FILES_AT_ONCE):
            some = names[start : start + FILES_AT_ONCE]
            last = some[-1] if start + FILES_AT_ONCE < len(names) else None
            yield Directory(path, _look(descriptor, some), tuple(others), after=after, last=last)
            after = last or b""
            others.clear()
    except OSError as error:
        raise Failure(verdict_of(error)) from None
    finally:
        os.close(descriptor)


def _look(descriptor: int, names: list[bytes]) -> dict[bytes, os.stat_result]:
    """Return the status of each file, without those that have gone since, as temporary files do."""
    found = {}
    for name in names:
        try:
            found[name] = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue
    return found


def _descend(root: Root, path: bytes) -> int:
    """Open a directory beneath the root, one component at a time and never through a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        held = os.open(b".", flags, dir_fd=root.descriptor)
        for part in path.split(b"/") if path else []:
            try:
                step = os.open(part, flags, dir_fd=held)
            finally:
                os.close(held)
            held = step
    except OSError as error:
        raise Failure(verdict_of(error)) from None
    return held
