"""Keeps contents in one nameless temporary file: no growing memory, nothing left after a crash."""

import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of the file, in bytes."""

    offset: int
    length: int


Extents = tuple[Extent, ...]


class Disk:
    """Bytes by extents. Safe for use from several threads.

    What is no longer wanted keeps its place until `reset`: a stand-in lives for hours, not for years.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end = 0
        self._fd, name = tempfile.mkstemp(prefix="dingwatch-sandbox-")
        Path(name).unlink()
        # A finalizer and not a close(): contents stay readable after the server was stopped, and the
        # descriptor goes with the last reference.
        weakref.finalize(self, os.close, self._fd)

    def write(self, content: bytes | bytearray | memoryview) -> Extent:
        """Stores these bytes behind everything else.

        Raises:
            OSError: the disk is full.
        """
        with self._lock:
            extent = Extent(self._end, len(content))
            self._end += len(content)
        rest, offset = memoryview(content), extent.offset
        while rest:
            written = os.pwrite(self._fd, rest, offset)
            rest = rest[written:]
            offset += written
        return extent

    def blocks(self, extents: Iterable[Extent]) -> Iterator[bytes]:
        """The bytes of these extents one after another, at most 1 MiB at a time."""
        for extent in extents:
            position, left = extent.offset, extent.length
            while left:
                block = os.pread(self._fd, min(left, _BLOCK), position)
                if not block:  # reset() truncated the file under a running download
                    return
                position += len(block)
                left -= len(block)
                yield block

    def reset(self) -> None:
        """Forgets everything and gives the space back."""
        with self._lock:
            self._end = 0
            os.ftruncate(self._fd, 0)


def joined(extents: Iterable[Extent]) -> Extents:
    """The same bytes in as few extents as there can be: neighbours become one."""
    found: list[Extent] = []
    for extent in extents:
        if found and found[-1].offset + found[-1].length == extent.offset:
            found[-1] = Extent(found[-1].offset, found[-1].length + extent.length)
        elif extent.length:
            found.append(extent)
    return tuple(found)


def part_of(extents: Iterable[Extent], start: int, length: int) -> Extents:
    """The extents of `length` bytes from the byte number `start` on."""
    found: list[Extent] = []
    for extent in extents:
        taken = min(extent.length - start, length)
        if taken > 0:
            found.append(Extent(extent.offset + start, taken))
            start, length = 0, length - taken
        else:
            start -= extent.length
    return tuple(found)
