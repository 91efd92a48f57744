"""The scan: lists what is in a folder now, one directory at a time and never through a link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dingwatch.files import Root, fingerprint_of, verdict_of
from dingwatch.model import Failure, Fingerprint, Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file: its name within its directory, and its fingerprint."""

    name: bytes
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Directory:
    """The regular files of one directory; `unreadable` is why it could not be listed, else None.

    `others` are the names of links, pipes, sockets and devices, which are never sent.
    """

    path: bytes
    entries: tuple[Entry, ...]
    others: tuple[bytes, ...] = ()
    unreadable: Verdict | None = None


def walk(root: Root, prunes: Callable[[bytes], bool]) -> Iterator[Directory]:
    """Yield every directory of a folder that `prunes` lets pass, the root first.

    Raises:
        Failure: FolderDown, when the root is not there any more or not the one that was opened.
    """
    waiting = [b""]  # a list, not recursion: people nest directories deeper than Python nests calls
    while waiting:
        path = waiting.pop()
        try:
            entries, below, others = _list(root, path)
        except Failure as failure:
            root.verify()  # beneath a root that is gone, every directory is unreadable
            yield Directory(path, (), unreadable=failure.verdict)
            continue
        yield Directory(path, tuple(entries), tuple(others))
        prefix = path + b"/" if path else b""
        waiting += [child for name in sorted(below, reverse=True) if not prunes(child := prefix + name)]
    root.verify()


def _list(root: Root, path: bytes) -> tuple[list[Entry], list[bytes], list[bytes]]:
    """Return the regular files, the directories and the names of everything else."""
    descriptor = _descend(root, path)
    try:
        entries, below, others = [], [], []
        with os.scandir(descriptor) as listing:
            for entry in listing:
                name = os.fsencode(entry.name)
                # The listing says what kind an entry is; only regular files cost a stat.
                if entry.is_dir(follow_symlinks=False):
                    below.append(name)
                elif entry.is_file(follow_symlinks=False):
                    status = _stat(entry)
                    if status is not None:
                        entries.append(Entry(name, fingerprint_of(status)))
                else:
                    others.append(name)
    except OSError as error:
        raise Failure(verdict_of(error)) from None
    finally:
        os.close(descriptor)
    return entries, below, others


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return an entry's status; None when it has gone since it was listed, as temporary files do."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


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
