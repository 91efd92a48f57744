"""A file that arrives: written beside its place, compared, and put there only when it is the right one."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 1 << 18
_NO_ARCHIVE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What `zipfile` raises for bytes that are none, or not one of dingwatch's."""


class Differs(Exception):  # noqa: N818 (a fact about the bytes)
    """The bytes are not those that were sent."""


class Taken(Exception):  # noqa: N818 (a fact about the place)
    """At the place is something other than a regular file."""


class Compared:
    """Hands on what it is given, up to `size` bytes, and knows whether it was all of the right file.

    `told` hears how many bytes there are so far.
    """

    def __init__(self, file: BinaryIO, size: int, digest: str, told: Callable[[int], None]) -> None:
        self._file, self._size, self._digest, self._told = file, size, digest, told
        self._hash = hashlib.sha256()
        self._came = 0

    def write(self, block: bytes, /) -> None:
        """Take a block; raises Differs when that is more than there may be."""
        self._came += len(block)
        if self._came > self._size:
            raise Differs
        self._hash.update(block)
        self._file.write(block)
        self._told(self._came)

    def require_same(self) -> None:
        """Raise Differs unless what came is the file."""
        if self._hash.hexdigest() != self._digest:
            raise Differs


@contextmanager
def unpacked(into: Compared) -> Iterator[BinaryIO]:
    """Yield a file for an archive; at the end its only entry is written into `into`.

    Raises:
        Differs: it is no archive of one file.
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
            raise Differs from None


def _require_free(target: Path, *, force: bool) -> None:
    """See that a file may be put there.

    Raises:
        FileExistsError: there is one, and `force` does not hold.
        Taken: there is something else: a rename would take its place, too.
    """
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        if str(target) == "-":
            raise Taken from None
        return
    if not stat.S_ISREG(mode):
        raise Taken
    if not force:
        raise FileExistsError


@contextmanager
def beside(target: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield a new file in the same directory; it takes its place at the end, when nothing was raised.

    Its name begins with a dot: no watched folder sends it meanwhile.

    Raises:
        FileExistsError: there is a file already, and `force` does not hold.
        Taken: there is something else, or it is `-`.
        OSError: it cannot be written.
    """
    _require_free(target, force=force)
    temporary = target.parent / f".dingwatch-{secrets.token_hex(8)}.part"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put(temporary, target, force=force)
    finally:
        temporary.unlink(missing_ok=True)


def _put(temporary: Path, target: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(temporary, target)  # unlike a rename it takes nobody's place
        except FileExistsError:
            raise
        except OSError:
            pass  # this file system has no links
        else:
            return
    _require_free(target, force=force)
    os.replace(temporary, target)
