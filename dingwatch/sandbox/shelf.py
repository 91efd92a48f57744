"""What was uploaded as media, by media id. The bytes are on the disk."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from dingwatch.sandbox.disk import Disk, Extent
from dingwatch.sandbox.keys import opaque_key
from dingwatch.sandbox.model import Upload


@dataclass(frozen=True, slots=True)
class _Place:
    upload: Upload
    extent: Extent


class Shelf:
    """Contents by media id. Safe for use from several threads."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}

    def put(self, name: str, content: bytes | memoryview, kind: str, now: float) -> Upload:
        """Stores one upload; the same bytes again get another id, as at DingTalk."""
        upload = Upload(_media_id(kind), name, len(content), hashlib.sha256(content).hexdigest(), now)
        extent = self._disk.write(content)
        with self._lock:
            self._places[upload.media_id] = _Place(upload, extent)
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
        return self._disk.blocks([self._places[media_id].extent])

    def uploads(self) -> tuple[Upload, ...]:
        """Everything stored, in the order it came."""
        with self._lock:
            return tuple(place.upload for place in self._places.values())

    def forget(self, media_id: str) -> None:
        """Loses one content, so that its id means nothing any more.

        Raises:
            KeyError: for an id that was never given out.
        """
        with self._lock:
            del self._places[media_id]

    def reset(self) -> None:
        """Forgets everything; the disk gives the space back."""
        with self._lock:
            self._places.clear()


_KIND_LETTERS = {"image": "L", "voice": "X", "video": "j", "file": "z"}


def _media_id(kind: str) -> str:
    """Looks like a real one, `@lAXPDf0i-aScwdDOL8R2ns58ioBS`; none was seen that held `+`, `/` or `=` [?]."""
    return f"@lA{_KIND_LETTERS.get(kind, 'z')}PD{opaque_key(15)}"
