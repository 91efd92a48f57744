"""Downloads written beside their target, verified, and renamed to it only when they are the right file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 1 << 18
_PART: Final = (".dingwatch-", ".part")
"""The beginning and the end of the name of a file that is being written."""
_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_ARCHIVE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""Exceptions of `zipfile` for bytes that are no archive, or none that dingwatch packed."""


class ContentError(Exception):
    """The bytes are not those that were sent."""


class NotAFileError(Exception):
    """The target is something other than a regular file, or `-`."""


class VerifyingWriter:
    """Writes at most `size` bytes to a file and verifies that they are all of the right one.

    `report` is called with the number of bytes written so far.
    """

    def __init__(self, file: BinaryIO, size: int, digest: str, report: Callable[[int], None]) -> None:
        self._file, self._size, self._digest, self._report = file, size, digest, report
        self._hash = hashlib.sha256()
        self._written = 0

    def write(self, block: bytes, /) -> None:
        """Write a block; raise ContentError when the file becomes longer than the one that was sent."""
        self._written += len(block)
        if self._written > self._size:
            raise ContentError
        self._hash.update(block)
        self._file.write(block)
        self._report(self._written)

    def verify(self) -> None:
        """Raise ContentError unless exactly the right bytes were written."""
        if self._hash.hexdigest() != self._digest:
            raise ContentError


@contextmanager
def unpacking(into: VerifyingWriter) -> Iterator[BinaryIO]:
    """Yield a temporary file for an archive; at the end, write its only entry into `into`.

    Raises:
        ContentError: it is not an archive of one file.
    """
    with tempfile.TemporaryFile() as archive:
        yield archive
        try:
            with zipfile.ZipFile(archive) as opened:
                (entry,) = opened.infolist()
                with opened.open(entry) as packed:
                    while block := packed.read(BLOCK):
                        into.write(block)
        except (*_NO_ARCHIVE, ValueError):
            raise ContentError from None


@contextmanager
def unpacking_one(into: VerifyingWriter, size: int, digest: str) -> Iterator[BinaryIO]:
    """Yield a temporary file for an archive of several files; at the end, write the right one into `into`.

    It is found by its size and digest: its name in the archive may be another one than it has since.

    Raises:
        ContentError: it is not an archive, or the file is not in it.
    """
    with tempfile.TemporaryFile() as archive:
        yield archive
        try:
            with zipfile.ZipFile(archive) as opened:
                alike = (entry for entry in opened.infolist() if entry.file_size == size)
                entry = next(one for one in alike if _digest_of(opened, one) == digest)
                with opened.open(entry) as packed:
                    while block := packed.read(BLOCK):
                        into.write(block)
        except (*_NO_ARCHIVE, ValueError, StopIteration):
            raise ContentError from None


def _digest_of(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    with archive.open(entry) as packed:
        return hashlib.file_digest(packed, "sha256").hexdigest()  # type: ignore[arg-type]


def _require_free(target: Path, *, force: bool) -> None:
    """Check that the target may be written.

    Raises:
        FileExistsError: it exists, without `force`.
        NotAFileError: it is no regular file; a rename would replace that, too.
    """
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        if str(target) == "-":
            raise NotAFileError from None
        return
    if not stat.S_ISREG(mode):
        raise NotAFileError
    if not force:
        raise FileExistsError


@contextmanager
def beside(target: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield a new file beside the target; rename it to the target at the end, if nothing was raised.

    Its name begins with a dot, so that dingwatch does not send it when the target is in a watched folder.

    Raises:
        FileExistsError: the target exists, without `force`.
        NotAFileError: it is no regular file, or `-`.
        OSError: it cannot be written.
    """
    _require_free(target, force=force)
    _remove_left_over(target.parent)
    temporary, file = _create_part(target.parent)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, target, force=force)
    finally:
        temporary.unlink(missing_ok=True)


def _create_part(directory: Path) -> tuple[Path, BinaryIO]:
    """Create and lock a file to write to; raise OSError if that cannot be done."""
    while True:
        path = directory / f"{_PART[0]}{secrets.token_hex(8)}{_PART[1]}"
        file = open(path, "xb")  # noqa: SIM115 (the caller closes it)
        with suppress(OSError):  # a network share without locks, where what is left over stays
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return path, file
        file.close()  # another `fetch` took it for left over in the instant before it was locked


def _remove_left_over(directory: Path) -> None:
    """Remove what a `fetch` that was killed has left behind: one that runs holds a lock on its file."""
    for left in directory.glob("*".join(_PART)):
        with suppress(OSError), open(os.open(left, _LOOK), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _rename(temporary: Path, target: Path, *, force: bool) -> None:
    if not force:
        try:
            # Somebody may have created the target since the check; a rename would destroy that file.
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:
            pass  # FAT and some network shares have no hard links
        else:
            return
    _require_free(target, force=force)
    os.replace(temporary, target)
