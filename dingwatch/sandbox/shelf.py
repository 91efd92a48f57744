"""Keeps what was uploaded, in one nameless temporary file: no growing memory, nothing left after a crash."""

import hashlib
import os
import secrets
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dingwatch.sandbox.model import Upload

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    upload: Upload
    offset: int


class Shelf:
    """Contents by media id. Safe for use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._end = 0
        self._fd, name = tempfile.mkstemp(prefix="dingwatch-sandbox-")
        Path(name).unlink()
        # A finalizer and not a close(): contents stay readable after the server was stopped, and the
        # descriptor goes with the last reference.
        weakref.finalize(self, os.close, self._fd)

    def put(self, name: str, content: bytes | memoryview, kind: str, now: float) -> Upload:
        """Stores one upload; the same bytes again get another id, as at DingTalk."""
        upload = Upload(_media_id(kind), name, len(content), hashlib.sha256(content).hexdigest(), now)
        with self._lock:
            offset = self._end
            self._end += len(content)
        self._write(content, offset)
        with self._lock:
            self._places[upload.media_id] = _Place(upload, offset)
        return upload

    def find(self, media_id: str) -> Upload | None:
        """What is known of this id."""
        place = self._places.get(media_id)
        return place.upload if place else None

    def blocks(self, media_id: str) -> Iterator[bytes]:
        """The bytes of one upload, at most 1 MiB at a time.

        Raises:
            KeyError: for an id that was never given out.
        """
        place = self._places[media_id]
        position, left = place.offset, place.upload.size
        while left:
            block = os.pread(self._fd, min(left, _BLOCK), position)
            if not block:  # reset() truncated the file under a running download
                return
            position += len(block)
            left -= len(block)
            yield block

    def uploads(self) -> tuple[Upload, ...]:
        """Everything stored, in the order it came."""
        with self._lock:
            return tuple(place.upload for place in self._places.values())

    def reset(self) -> None:
        """Forgets everything and gives the disk space back."""
        with self._lock:
            self._places.clear()
            self._end = 0
            os.ftruncate(self._fd, 0)

    def _write(self, content: bytes | memoryview, offset: int) -> None:
        rest = memoryview(content)
        while rest:
            written = os.pwrite(self._fd, rest, offset)
            rest = rest[written:]
            offset += written


_KIND_LETTERS = {"image": "L", "voice": "X", "video": "j", "file": "z"}


def _media_id(kind: str) -> str:
    """Looks like the real ones, `@lAXPDf0i-aScwdDOL8R2ns58ioBS`: opaque, may hold `-` and `_`."""
    return f"@lA{_KIND_LETTERS.get(kind, 'z')}PD{secrets.token_urlsafe(17)}"
