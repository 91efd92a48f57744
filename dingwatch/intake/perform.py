"""Carries out intake's jobs: watches, lists, looks and reads. Runs in the service's pools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dingwatch import files
from dingwatch.files import Root
from dingwatch.intake.folder import FolderSettings
from dingwatch.intake.jobs import (
    Arm,
    Armed,
    Check,
    Checked,
    Down,
    Examine,
    Examined,
    Found,
    Input,
    Job,
    Listed,
    Look,
    Looked,
    Scan,
    Scanned,
    TakeBaseline,
    Unexamined,
)
from dingwatch.ledger import versions
from dingwatch.ledger.store import Store
from dingwatch.model import Cause, Failure, Fingerprint, FolderDown, Scope, Verdict, WatchKind
from dingwatch.policy import Known
from dingwatch.watch import Directory, Observer, kind_of, walk

BATCH: Final = 1000
"""Paths that a scan hands over at a time."""


@dataclass(slots=True)
class Performer:
    """Carries out jobs, keeping the opened roots; `emit` takes what a scan finds on its way."""

    store: Store
    observer: Observer
    folders: Mapping[int, FolderSettings]
    emit: Callable[[Input], None]
    roots: dict[int, Root] = field(default_factory=dict)

    def __call__(self, job: Job) -> Input:
        """Carry out one job; a failure comes back as a value."""
        try:
            return self._do(job)
        except Failure as failure:
            if isinstance(job, Examine):
                return Unexamined(job, failure.verdict)
            return Down(job.folder, failure.verdict)

    def close(self) -> None:
        """Close all roots."""
        while self.roots:
            self.roots.popitem()[1].close()

    def _do(self, job: Job) -> Input:
        match job:
            case Arm():
                return self._arm(job)
            case Check():
                return self._check(job)
            case TakeBaseline():
                return Listed(job.folder, tuple(self._listing(job.folder)))
            case Scan():
                return self._scan(job)
            case Look():
                root = self._root(job.folder)
                return Looked(job, tuple((path, _observe(root, path)) for path in job.paths))
            case Examine():
                return self._examine(job)

    def _root(self, folder: int) -> Root:
        root = self.roots.get(folder)
        if root is None:
            raise Failure(FolderDown(Cause("closed", "", "FOLDER_DOWN"), Scope.FOLDER))
        return root

    def _arm(self, job: Arm) -> Armed:
        """Watch first, then let the loop list: what comes in between is noticed."""
        settings = self.folders[job.folder]
        self.observer.disarm(job.folder)
        old = self.roots.pop(job.folder, None)
        if old is not None:
            old.close()
        root = self.roots[job.folder] = files.open_root(settings.root)
        network = kind_of(settings.root).network
        polls = settings.watch == "poll" or (settings.watch == "auto" and network)
        if not polls:
            self.observer.arm(job.folder, settings.root, recursive=settings.filter.recursive)
        root.verify()
        kind = WatchKind.POLL if polls else WatchKind.INOTIFY
        return Armed(job.folder, kind, network, root.identity[0], root.mounted)

    def _check(self, job: Check) -> Checked:
        self._root(job.folder).verify()
        settings = self.folders[job.folder]
        polls = settings.watch == "poll" or (settings.watch == "auto" and kind_of(settings.root).network)
        if not polls and not self.observer.alive(job.folder):
            raise Failure(FolderDown(Cause("watch_died", "", "FOLDER_DOWN"), Scope.FOLDER))
        return Checked(job.folder)

    def _listing(self, folder: int) -> Iterator[tuple[bytes, Fingerprint]]:
        accepts = self.folders[folder].filter.accepts
        for directory in walk(self._root(folder), self.folders[folder].filter.prunes):
            for entry in directory.entries:
                path = versions.join(directory.path, entry.name)
                if accepts(path):
                    yield path, entry.fingerprint

    def _scan(self, job: Scan) -> Scanned:
        """Compare by the directory: one query each, memory that does not grow with the tree."""
        visited = set()
        unknown: list[bytes] = []
        missing: list[bytes] = []
        with self.store.reading() as connection:
            for directory in walk(self._root(job.folder), self.folders[job.folder].filter.prunes):
                visited.add(directory.path)
                listed = versions.listed(connection, job.folder, directory.path)
                unknown += self._unknown(job.folder, directory, listed)
                if directory.unreadable is None:
                    there = {entry.name for entry in directory.entries}
                    missing += [versions.join(directory.path, n) for n in listed.present if n not in there]
                if len(unknown) + len(missing) >= BATCH:
                    self.emit(Found(job.folder, tuple(unknown), tuple(missing)))
                    unknown, missing = [], []
            for path in versions.directories(connection, job.folder):
                if path not in visited:
                    listed = versions.listed(connection, job.folder, path)
                    missing += [versions.join(path, name) for name in listed.present]
        self._root(job.folder).verify()
        self.emit(Found(job.folder, tuple(unknown), tuple(missing)))
        return Scanned(job.folder)

    def _unknown(self, folder: int, directory: Directory, listed: versions.Listed) -> Iterator[bytes]:
        accepts = self.folders[folder].filter.accepts
        nothing: frozenset[tuple[int, int]] = frozenset()
        for entry in directory.entries:
            state = (entry.fingerprint.size, entry.fingerprint.mtime_ns)
            if state not in listed.known.get(entry.name, nothing):
                path = versions.join(directory.path, entry.name)
                if accepts(path):
                    yield path

    def _examine(self, job: Examine) -> Examined:
        root = self._root(job.folder)
        movable = tuple(rival for rival in job.rivals if not _holds(root, rival))
        if any(rival.inode == job.fingerprint.inode for rival in movable):
            return Examined(job, None, movable)
        return Examined(job, files.digest(root, job.path, job.fingerprint), movable)


def _observe(root: Root, path: bytes) -> Fingerprint | Verdict:
    try:
        return files.observe(root, path)
    except Failure as failure:
        return failure.verdict


def _holds(root: Root, known: Known) -> bool:
    """Say whether a version's own path still holds it."""
    seen = _observe(root, known.path)
    return isinstance(seen, Fingerprint) and known.same_as(seen)
