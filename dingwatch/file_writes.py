"""Everything that writes into watched folders: the files that tell people what was not sent, and moves.

Nothing here replaces a file. As in `files`, a name is reached from its folder's opened root, one component at
a time and never through a link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import cache
from typing import Final

from dingwatch.files import Root, beneath, failures, fingerprint_of, open_regular
from dingwatch.model import Failure

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MODE: Final = 0o644
UNFINISHED: Final = b".dingwatch-new"
"""The name of a directory until it has its mode and group; like all hidden names, it is left out."""
_RENAME_NOREPLACE: Final = 1
_NO_FLAGS: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""How a kernel, or a file system, says that it cannot rename without replacing."""


class NameTakenError(Exception):
    """Something has this name already; nothing was changed."""


class Removal(StrEnum):
    """The outcome of a removal."""

    REMOVED = "removed"
    ABSENT = "absent"
    EDITED = "edited"
    """It has other content by now, and was left."""


# --- Files -----------------------------------------------------------------------------------------


def create(root: Root, path: bytes, content: bytes) -> None:
    """Make a file that anybody may read, with its directory's group.

    Raises:
        NameTakenError: something has this name.
        Failure: as `files.observe`; nothing is left of the file.
    """
    with failures(root), beneath(root, path) as (parent, name):
        descriptor = _create(parent, name)
        try:
            _take_group(descriptor, parent)
            with suppress(OSError):  # FAT and CIFS have modes of their own
                os.fchmod(descriptor, MODE)
            _write(descriptor, content)
        except OSError:
            os.unlink(name, dir_fd=parent)
            raise
        finally:
            os.close(descriptor)


def _create(parent: int, name: bytes) -> int:
    try:
        return os.open(name, _NEW, MODE, dir_fd=parent)
    except FileExistsError:
        raise NameTakenError from None


def _take_group(descriptor: int, parent: int) -> None:
    """Give a new file or directory the group of the directory that it lies in."""
    group = os.fstat(parent).st_gid
    if os.fstat(descriptor).st_gid != group:
        with suppress(OSError):  # only a member of a group, or root, may give it away
            os.fchown(descriptor, -1, group)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def remove(root: Root, path: bytes, content: bytes, *, unfinished: bool = False) -> Removal:
    """Remove a file if its content is what was written; leave what somebody has edited.

    With `unfinished`, the beginning of the content counts too: whoever wrote it was interrupted.

    Raises:
        Failure: as `files.observe`, but not for a file that is absent.
    """
    try:
        with failures(root):
            # It is closed before it is removed: NFS and FUSE rename a file that is open instead.
            with open_regular(root, path) as descriptor:
                found, seen = _read(descriptor, len(content) + 1), fingerprint_of(os.fstat(descriptor))
            if found != content and not (unfinished and content.startswith(found)):
                return Removal.EDITED
            with beneath(root, path) as (parent, name):
                # Its name may have been given to another file since, or somebody is editing it.
                if not fingerprint_of(_look(parent, name)).unchanged_from(seen, steady=root.steady):
                    return Removal.EDITED
                os.unlink(name, dir_fd=parent)
    except Failure as failure:
        if failure.verdict.cause.code == "absent":
            return Removal.ABSENT
        if failure.verdict.cause.code == "not_regular":
            return Removal.EDITED
        raise
    return Removal.REMOVED


def _read(descriptor: int, most: int) -> bytes:
    parts = []
    while most and (block := os.read(descriptor, most)):
        parts.append(block)
        most -= len(block)
    return b"".join(parts)


def _look(parent: int, name: bytes) -> os.stat_result:
    return os.stat(name, dir_fd=parent, follow_symlinks=False)


# --- Directories -----------------------------------------------------------------------------------


def list_names(root: Root, directory: bytes) -> frozenset[bytes]:
    """Return all names in a directory beneath a root; none where the directory is absent.

    Raises:
        Failure: as `files.observe`.
    """
    try:
        with failures(root), beneath(root, directory + b"/.") as (parent, _):
            descriptor = os.open(b".", _DIRECTORY, dir_fd=parent)
            try:
                return frozenset(map(os.fsencode, os.listdir(descriptor)))
            finally:
                os.close(descriptor)
    except Failure as failure:
        if failure.verdict.cause.code == "absent":
            return frozenset()
        raise


def make_directories(root: Root, path: bytes) -> None:
    """Make those directories of a path beneath a root that are missing, each like the one that it lies in.

    They get the mode and the group of that one: who may use a folder may use what is made in it.

    Raises:
        Failure: as `files.observe`; Vanished where a link or a file has the name of a directory.
    """
    with failures(root):
        held = os.open(b".", _DIRECTORY, dir_fd=root.descriptor)
        try:
            for name in path.split(b"/"):
                step = _enter(held, name)
                os.close(held)
                held = step
        finally:
            os.close(held)


def _enter(parent: int, name: bytes) -> int:
    """Open a directory, which is made if it is missing."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        _make_directory(parent, name)
        return os.open(name, _DIRECTORY, dir_fd=parent)


def _make_directory(parent: int, name: bytes) -> None:
    """Make a directory that has its mode and group from the first moment that it can be found.

    Were it made under its own name, a kill before its mode is set would leave it as the umask made it, and
    nobody would know later that this was no person's choice.
    """
    with suppress(FileExistsError):  # a run that was killed has left it
        os.mkdir(UNFINISHED, 0o700, dir_fd=parent)
    made = os.open(UNFINISHED, _DIRECTORY, dir_fd=parent)
    try:
        _take_group(made, parent)
        with suppress(OSError):  # FAT and CIFS have modes of their own
            os.fchmod(made, stat.S_IMODE(os.fstat(parent).st_mode))
    finally:
        os.close(made)
    try:
        # Of all that may have taken the name meanwhile, this can replace an empty directory alone.
        os.rename(UNFINISHED, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        os.rmdir(UNFINISHED, dir_fd=parent)
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise


# --- Moves -----------------------------------------------------------------------------------------


def rename(root: Root, source: bytes, target: bytes) -> None:
    """Give a file another path beneath the same root, which nothing may have; it is on disk on return.

    A move by two names that was interrupted between them is finished.

    Raises:
        NameTakenError: something lies at the target; nothing was changed.
        Failure: as `files.observe`; nothing was changed.
    """
    with failures(root), beneath(root, source) as old, beneath(root, target) as new:
        try:
            _rename(old, new)
        except FileExistsError:
            if not _is_same_file(old, new):
                raise NameTakenError from None
            os.unlink(old[1], dir_fd=old[0])
        for parent in (new[0], old[0]):
            _sync(parent)


_Place = tuple[int, bytes]
"""A directory's descriptor, and a name in it."""


def _rename(old: _Place, new: _Place) -> None:
    number = _renameat2()(old[0], old[1], new[0], new[1])
    if number in _NO_FLAGS:
        # A hard link fails where its name is taken. For a moment the file has both names.
        os.link(old[1], new[1], src_dir_fd=old[0], dst_dir_fd=new[0], follow_symlinks=False)
        try:
            os.unlink(old[1], dir_fd=old[0])
        except OSError:
            os.unlink(new[1], dir_fd=new[0])
            raise
    elif number:
        raise OSError(number, os.strerror(number))


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes], int]:
    """Return renameat2(2) with RENAME_NOREPLACE, which returns an error's number; 0 is success."""
    import ctypes  # noqa: PLC0415 (1 MB, for folders with `after_send: move` alone)

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

    def call(old_parent: int, old: bytes, new_parent: int, new: bytes) -> int:
        if function is None:  # a C library that is older than the kernel's call
            return errno.ENOSYS
        done = function(old_parent, old, new_parent, new, ctypes.c_uint(_RENAME_NOREPLACE))
        return ctypes.get_errno() if done else 0

    return call


def _is_same_file(old: _Place, new: _Place) -> bool:
    """Return whether two names are one file's, as a move by two names leaves them when it is interrupted."""
    found, other = _look(old[0], old[1]), _look(new[0], new[1])
    return stat.S_ISREG(found.st_mode) and os.path.samestat(found, other)


def _sync(parent: int) -> None:
    """Have a directory's names on disk: the ledger must not know of a move that a power cut takes back."""
    with suppress(OSError):  # some file systems have nothing to sync, and some directories are not readable
        descriptor = os.open(b".", _DIRECTORY, dir_fd=parent)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- What a folder allows --------------------------------------------------------------------------


def require_writable(root: Root) -> None:
    """See that files can be made in a folder: a hidden one is, and is removed at once.

    Raises:
        Failure: it cannot; as `files.observe`.
    """
    (name,) = _make(root, b"a")
    remove(root, name, b"")


def require_movable(root: Root, directory: bytes) -> None:
    """See that files can be moved into a directory beneath a root without replacing others.

    That is seen with a hidden file; directories that are missing are not made.

    Raises:
        Failure: they cannot; as `files.observe`. Vanished where a link or a file has the directory's name.
    """
    deepest = _deepest(root, directory)
    source, target = _make(root, b"a", b"b")
    names = source, deepest + target
    try:
        rename(root, *names)
    finally:
        for name in names:
            remove(root, name, b"")


def _deepest(root: Root, directory: bytes) -> bytes:
    """Return as much of a directory's path as is there, with a slash; empty if nothing is."""
    found = b""
    with failures(root), suppress(FileNotFoundError):
        for name in directory.split(b"/"):
            with beneath(root, found + name + b"/."):
                found += name + b"/"
    return found


def _make(root: Root, *ends: bytes) -> list[bytes]:
    """Make an empty file of the first of these names; return all names."""
    names = [b".dingwatch-check-%d%s" % (os.getpid(), end) for end in ends]
    with suppress(NameTakenError):  # a check that was killed has left it, which had the same number
        create(root, names[0], b"")
    return names
