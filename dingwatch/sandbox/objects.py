"""The objects of the storage host: what was PUT, whole or in parts, and what became of it."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from dingwatch.sandbox.disk import Disk, Extent, Extents, joined, part_of


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one version of one file.

    Attributes:
        key: the object that holds them.
        extents: where they are on the disk.
        size: bytes.
        sha256: hexadecimal digest.
    """

    key: str
    extents: Extents
    size: int
    sha256: str


class _Digest:
    """Digests parts while they come, as far as they are there without a gap, so that a commit is quick."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._sha256 = hashlib.sha256()
        self._done: list[Extents] = []

    def follow(self, parts: dict[int, Extents]) -> None:
        """Goes on through the parts 1, 2, 3, … of this object, as many as there are."""
        there = itertools.takewhile(lambda number: number in parts, itertools.count(1))
        self._advance([parts[number] for number in there])

    def of(self, parts: dict[int, Extents]) -> str:
        """The digest of all parts in the order of their numbers."""
        return self._advance([parts[number] for number in sorted(parts)])

    def _advance(self, wanted: list[Extents]) -> str:
        with self._lock:
            if self._done != wanted[: len(self._done)]:  # a part was PUT anew
                self._sha256, self._done = hashlib.sha256(), []
            for extents in wanted[len(self._done) :]:
                for block in self._disk.blocks(extents):
                    self._sha256.update(block)
                self._done.append(extents)
            return self._sha256.hexdigest()


@dataclass(slots=True)
class _Object:
    multipart: bool
    digest: _Digest
    parts: dict[int, Extents] = field(default_factory=dict)  # part number → bytes; a whole object is part 1
    content: Content | None = None


class Objects:
    """Objects by key. Safe for use from several threads."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}

    def begin(self, key: str, *, multipart: bool) -> None:
        """Makes room for an object that will be PUT."""
        with self._lock:
            self._objects[key] = _Object(multipart, _Digest(self._disk))

    def expects(self, key: str, *, multipart: bool) -> bool:
        """Whether a PUT to this key still has a use."""
        found = self._objects.get(key)
        return found is not None and found.multipart is multipart and found.content is None

    def put(self, key: str, number: int, extents: list[Extent]) -> None:
        """Keeps one part, or the whole object as part 1; the newest bytes of a part count.

        Raises:
            KeyError: for a key that was never given out.
        """
        with self._lock:
            found = self._objects[key]
            found.parts[number] = joined(extents)
            parts = dict(found.parts)
        found.digest.follow(parts)

    def part_sizes(self, key: str) -> dict[int, int]:
        """What has arrived: bytes by part number, in order."""
        with self._lock:
            parts = self._objects[key].parts
            return {number: _size(parts[number]) for number in sorted(parts)}

    def content(self, key: str) -> Content | None:
        """The finished object."""
        found = self._objects.get(key)
        return found.content if found else None

    def assemble(self, key: str) -> Content:
        """Finishes an object: its parts in the order of their numbers."""
        with self._lock:
            found = self._objects[key]
            parts = dict(found.parts)
        if found.content is None:
            extents = joined(extent for number in sorted(parts) for extent in parts[number])
            found.content = Content(key, extents, _size(extents), found.digest.of(parts))
        return found.content

    def md5(self, content: Content) -> str:
        """The MD5 of a finished object, in hexadecimal. Reads all of it."""
        digest = hashlib.md5(usedforsecurity=False)
        for block in self.blocks(content):
            digest.update(block)
        return digest.hexdigest()

    def blocks(self, content: Content, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of a finished object, or a stretch of them, at most 1 MiB at a time."""
        wanted = content.size - start if length is None else length
        return self._disk.blocks(part_of(content.extents, start, wanted))

    def reset(self) -> None:
        """Forgets everything; the disk gives the space back."""
        with self._lock:
            self._objects.clear()


def _size(extents: Extents) -> int:
    return sum(extent.length for extent in extents)
