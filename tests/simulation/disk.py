"""A simulated disk: folders that hold files, and what the kernel would say of them.

It also stands where `dingwatch.files` and the scan's `walk` stand for those who carry out jobs: a `Disk` has
their functions, by their names. Between two blocks of a reading, and between two directories of a scan, the
story may go on (`meanwhile`).
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dingwatch import files
from dingwatch.model import Cause, Failure, Fingerprint, FolderDown, InUse, Scope, Vanished
from dingwatch.watch import Directory, Kind, Mount

Place = tuple[bytes, bytes]
"""The root of a folder, and a path beneath it."""


def digest_of(content: bytes) -> str:
    """Return the digest that a version of this content has."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Inode:
    """One file, under however many names; `padding` makes it larger than what it holds."""

    number: int
    content: bytes
    mtime: int
    ctime: int
    padding: int = 0
    writers: int = 0
    """How many have it open for writing."""

    @property
    def size(self) -> int:
        """What a stat says."""
        return len(self.content) + self.padding


@dataclass
class Tree:
    """One folder: its root, whether it is there, and the files by their path."""

    root: bytes
    device: int
    inode: int
    up: bool = True
    mounted: bool = False
    files: dict[bytes, Inode] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[int, int]:
        """What tells its root from another that is mounted in its place."""
        return self.device, self.inode


@dataclass(frozen=True)
class Root:
    """An opened root."""

    tree: Tree
    identity: tuple[int, int]
    mounted: bool = False
    steady: bool = True

    @property
    def path(self) -> bytes:
        """Where it is."""
        return self.tree.root

    def verify(self) -> None:
        """Raise FolderDown unless the root is there and the one that was opened."""
        if not self.tree.up or self.tree.identity != self.identity:
            raise _down("replaced" if self.tree.up else "ENOENT")

    def close(self) -> None:
        """Nothing is held."""


def _down(code: str) -> Failure:
    return Failure(FolderDown(Cause(code, "", "FOLDER_DOWN"), Scope.FOLDER))


def _absent() -> Failure:
    return Failure(Vanished(Cause("absent", "", "FILE_GONE")))


def _status_of(seen: Fingerprint) -> os.stat_result:
    times = {"st_mtime_ns": seen.mtime_ns, "st_ctime_ns": seen.ctime_ns}
    return os.stat_result((stat.S_IFREG, seen.inode, seen.device, 1, 0, 0, seen.size, 0, 0, 0), times)


def nothing(*_: object) -> None:
    """Do nothing."""


class Disk:
    """All folders of a life. What changes a file returns the places of which the kernel would tell."""

    wait_for = staticmethod(files.wait_for)
    ArchiveWriter = files.ArchiveWriter

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.trees: dict[bytes, Tree] = {}
        self.meanwhile: Callable[[], None] = nothing
        self.hinder: Callable[[str], None] = nothing
        """Called with what is about to be done to a file; may raise a Failure."""
        self.rested: dict[tuple[bytes, str], float] = {}
        """How long a content stayed as it was, at most, by root and digest."""
        self.made: Counter[tuple[bytes, str]] = Counter()
        """How often a content came into a folder in a way that makes it new there."""
        self.tells_all = False
        """Whether the kernel tells of all names of a file that is written to; in truth only a scan does."""
        self._wall = wall
        self._monotonic = monotonic
        self._number = 100
        self._meanings: dict[tuple[object, ...], bytes] = {}
        self._since: dict[Place, tuple[bytes, float]] = {}

    def number(self) -> int:
        """Return a number that was not used before, for an inode or a device."""
        self._number += 1
        return self._number

    def fingerprint(self, tree: Tree, inode: Inode) -> Fingerprint:
        """Return what a stat gives."""
        return Fingerprint(inode.size, inode.mtime, inode.ctime, inode.number, tree.device)

    # --- What people and programs do -----------------------------------------------------------

    def write(
        self, place: Place, content: bytes, *, mtime: int | None = None, padding: int = 0
    ) -> list[Place]:
        """Make a file, or write one anew in place."""
        tree = self.trees[place[0]]
        inode = tree.files.get(place[1])
        if inode is None:
            inode = tree.files[place[1]] = Inode(self.number(), b"", 0, 0)
        inode.padding = padding
        self._fill(inode, content, self._instant() if mtime is None else mtime)
        return self.events_of(place)

    def append(self, place: Place, more: bytes) -> list[Place]:
        """Write on at the end, as a writer does that keeps the file open; nothing is told."""
        inode = self.trees[place[0]].files.get(place[1])
        if inode is not None:
            self._fill(inode, inode.content + more, self._instant())
        return []

    def touch(self, place: Place) -> list[Place]:
        """Give a file another mtime."""
        inode = self.trees[place[0]].files[place[1]]
        self._fill(inode, inode.content, self._instant())
        return self.events_of(place)

    def chmod(self, place: Place) -> list[Place]:
        """Change only the ctime; nothing is told."""
        self.trees[place[0]].files[place[1]].ctime = self._ctime()
        return []

    def rename(self, old: Place, new: Place) -> list[Place]:
        """Move a file, over another if there is one."""
        source, target = self.trees[old[0]], self.trees[new[0]]
        inode = source.files[old[1]]
        if old == new or not self._fits(new, inode):
            return []
        del source.files[old[1]]
        inode.ctime = self._ctime()
        self._enter(target, new[1], inode)
        if source is not target:
            self._made(new, inode)
        self._rest()
        return [old, new]

    def link(self, old: Place, new: Place) -> list[Place]:
        """Give a file another name."""
        inode = self.trees[old[0]].files[old[1]]
        if old[0] != new[0] or new[1] in self.trees[new[0]].files or not self._fits(new, inode):
            return []
        inode.ctime = self._ctime()
        self._enter(self.trees[new[0]], new[1], inode)
        self._made(new, inode)
        self._rest()
        return [new]

    def events_of(self, place: Place) -> list[Place]:
        """Return the names of a file of which the kernel tells when it was written to by one of them."""
        if not self.tells_all:
            return [place]
        return self.names(self.trees[place[0]].files[place[1]])

    def names(self, inode: Inode) -> list[Place]:
        """Return the names of a file."""
        return [p for p in self.places() if self.trees[p[0]].files[p[1]] is inode]

    def delete(self, place: Place) -> list[Place]:
        """Take a name away."""
        inode = self.trees[place[0]].files.pop(place[1])
        inode.ctime = self._ctime()
        self._rest()
        return [place]

    def _enter(self, tree: Tree, path: bytes, inode: Inode) -> None:
        replaced = tree.files.get(path)
        if replaced is not None:
            replaced.ctime = self._ctime()
        tree.files[path] = inode

    def _instant(self) -> int:
        return int(self._wall() * 1000) * 1_000_000

    def _ctime(self) -> int:
        return self._instant() + self.number()

    def _fill(self, inode: Inode, content: bytes, mtime: int) -> None:
        """Change content and times. One state of one path or inode never stands for two contents."""
        inode.content = content
        places = self.names(inode)
        while not all(self._means(key, content) for key in self._keys(places, inode, mtime)):
            mtime += 1
        inode.mtime, inode.ctime = mtime, self._ctime()
        for key in self._keys(places, inode, mtime):
            self._meanings[key] = content
        for place in places:
            self._made(place, inode)
        self._rest()

    def _keys(self, places: list[Place], inode: Inode, mtime: int) -> list[tuple[object, ...]]:
        return [(*p, inode.size, mtime) for p in places] + [(inode.number, inode.size, mtime)]

    def _means(self, key: tuple[object, ...], content: bytes) -> bool:
        return self._meanings.get(key, content) == content

    def _fits(self, place: Place, inode: Inode) -> bool:
        """Return whether this state of this path never stood for another content (no ledger could tell)."""
        key = (*place, inode.size, inode.mtime)
        return self._meanings.setdefault(key, inode.content) == inode.content

    def _made(self, place: Place, inode: Inode) -> None:
        digest = digest_of(inode.content)
        self.made[place[0], digest] += 1

    def count(self, root: bytes, content: bytes) -> None:
        """Count a content that came into a folder in a way that this disk does not see as new."""
        self.made[root, digest_of(content)] += 1

    def places(self) -> list[Place]:
        """Return where there is a file."""
        return [(root, path) for root, tree in self.trees.items() for path in tree.files]

    def _rest(self) -> None:
        """Note how long contents stayed where they were."""
        now = self._monotonic()
        here = {(r, p): i.content for r, tree in self.trees.items() for p, i in tree.files.items()}
        for place, (content, since) in list(self._since.items()):
            key = place[0], digest_of(content)
            self.rested[key] = max(self.rested.get(key, 0.0), now - since)
            if here.get(place) != content:
                del self._since[place]
        for place, content in here.items():
            self._since.setdefault(place, (content, now))

    def close(self) -> None:
        """The story is over: what lies there has rested until now."""
        self._rest()

    # --- What stands for `dingwatch.files` and `dingwatch.watch` ----------------------------------

    def open_root(self, path: bytes, *, steady: Callable[[], bool] = lambda: True) -> Root:
        """Open a root, as files.open_root."""
        assert steady()
        tree = self.trees[path]
        if not tree.up:
            raise _down("ENOENT")
        return Root(tree, tree.identity, tree.mounted)

    def mounts(self) -> tuple[Mount, ...]:
        """Return what is mounted, as watch.mounts."""
        return ()

    def holding(self, _: bytes, table: tuple[Mount, ...]) -> Mount:
        """Return what file system it is, as watch.holding."""
        assert not table
        return Mount(1, b"/", Kind("ext4", network=False))

    def _open(self, root: Root, path: bytes, what: str) -> Inode:
        root.verify()
        self.hinder(what)
        inode = root.tree.files.get(path)
        if inode is None:
            raise _absent()
        return inode

    def observe(self, root: Root, path: bytes, *, opened: bool) -> Fingerprint:
        """Look at a file, as files.observe."""
        assert not opened
        return self.fingerprint(root.tree, self._open(root, path, "look"))

    def is_listed(self, root: Root, path: bytes, exact: set[bytes]) -> bool:
        """See whether a file's directory lists it, as files.is_listed: no other spelling finds it here."""
        del root, path, exact
        return True

    def require_unlocked(self, root: Root, path: bytes, locks: Sequence[bytes], since: float) -> None:
        """See whether an editor's lock lies beside a file, as files.require_unlocked."""
        directory, slash, _ = path.rpartition(b"/")
        for lock in locks:
            inode = root.tree.files.get(directory + slash + lock)
            if inode is not None and inode.mtime >= since * 1e9:
                raise Failure(InUse(Cause("locked", "", "IN_USE"), lock=lock))

    def digest(self, root: Root, path: bytes, expected: Fingerprint, *, lease: bool) -> str:
        """Read a file for its digest, as files.digest."""
        inode = self._open(root, path, "digest")
        self._require_rest(root, inode, expected, lease=lease)
        content = self._read(inode)
        self._require_rest(root, inode, expected, lease=lease)
        return digest_of(content)

    def require_rest(self, root: Root, path: bytes, expected: Fingerprint, *, lease: bool) -> None:
        """See that a file is as it settled, as files.require_rest."""
        self._require_rest(root, self._open(root, path, "digest"), expected, lease=lease)

    def _require_rest(self, root: Root, inode: Inode, expected: Fingerprint, *, lease: bool) -> None:
        if self.fingerprint(root.tree, inode) != expected:
            raise files.changed()
        if lease and inode.writers:
            raise Failure(InUse(Cause("being_written", "", "IN_USE")))

    def read(self, root: Root, path: bytes, version: Fingerprint, sha256: str) -> bytes:
        """Read a file for its upload, as files.read."""
        inode = self._open(root, path, "read")
        before = self.fingerprint(root.tree, inode)
        if not before.known_as(version.size, version.mtime_ns):
            raise files.changed()
        content = self._read(inode)
        if self.fingerprint(root.tree, inode) != before or digest_of(content) != sha256:
            raise files.changed()
        return content

    def zip_file(
        self, root: Root, path: bytes, version: Fingerprint, sha256: str, name: str, limit: int
    ) -> memoryview:
        """Pack a file for its upload, as files.zip_file."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), self.read(root, path, version, sha256))
        assert packed.tell() <= limit
        return packed.getbuffer()

    def _read(self, inode: Inode) -> bytes:
        half = len(inode.content) // 2
        first = inode.content[:half]
        self.meanwhile()
        return first + inode.content[half:]

    def walk(self, root: Root, prunes: Callable[[bytes], bool]) -> Iterator[Directory]:
        """List all directories, as watch.walk."""
        root.verify()
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            try:
                root.verify()
                self.hinder("list")
            except Failure as failure:
                root.verify()
                yield Directory(path, {}, unreadable=failure.verdict)
                continue
            prefix = path + b"/" if path else b""
            beneath = [one for one in root.tree.files if one.startswith(prefix)]
            names = {one[len(prefix) :] for one in beneath}
            here = {
                name: _status_of(self.fingerprint(root.tree, root.tree.files[prefix + name]))
                for name in sorted(names)
                if b"/" not in name
            }
            below = {prefix + name.split(b"/")[0] for name in names if b"/" in name}
            yield Directory(path, here)
            self.meanwhile()
            waiting += [child for child in sorted(below) if not prunes(child)]
        root.verify()
