"""Bytes that are sent from elsewhere: how many there are, and how to read them, anew for each try."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dingwatch.dingtalk.wire import Stream

PIECE: Final = 1 << 18
"""Bytes that are read at a time, and held at a time for each request in flight."""


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes; `pieces` begins to read them, from their first byte, each time it is called."""

    size: int
    pieces: Callable[[], Iterable[bytes | memoryview]]

    @classmethod
    def of(cls, buffer: bytes | memoryview) -> Content:
        """Return a buffer as content; it is not copied."""
        return cls(len(memoryview(buffer).cast("B")), lambda: (buffer,))

    @classmethod
    def of_descriptor(cls, descriptor: int, size: int, offset: int = 0) -> Content:
        """Return so many bytes of an open file from an offset on; the file's own position stays.

        A file that is shorter is found when it is read; so is an OSError, which comes through as it is.
        """
        return cls(size, lambda: _pieces(descriptor, size, offset))

    def body(self) -> Stream:
        """Return a request's body, to be used once."""
        return Stream(self.pieces(), self.size)


def _pieces(descriptor: int, size: int, offset: int) -> Iterator[bytes]:
    end = offset + size
    while offset < end and (piece := os.pread(descriptor, min(PIECE, end - offset), offset)):
        offset += len(piece)
        yield piece
