"""Carries out intake's jobs: watches, lists, looks and reads. Runs in the service's pools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dingwatch import files, settle
from dingwatch.files import Root
from dingwatch.intake.folder import FolderSettings
from dingwatch.intake.jobs import (
    Arm,
    Armed,
    Check,
    Checked,
    Compare,
    Compared,
    Down,
    Examine,
    Examined,
    ExamineFailed,
    FindPrunable,
    Found,
    FoundPrunable,
    Input,
    Job,
    Leave,
    LedgerFailed,
    Left,
    Listed,
    Look,
    Looked,
    Scan,
    Scanned,
    Switched,
    TakeBaseline,
    Widened,
)
from dingwatch.intake.moves import lies_at, read_traces
from dingwatch.ledger import LedgerError, versions
from dingwatch.ledger.store import Store
from dingwatch.model import (
    Cause,
    Failure,
    Fingerprint,
    FolderDown,
    Home,
    Misconfigured,
    NotReached,
    Scope,
    Vanished,
    Verdict,
    WatchKind,
)
from dingwatch.novelty import Known, shifted_together
from dingwatch.watch import (
    Directory,
    Mount,
    Observer,
    RootLocks,
    holding,
    is_steady,
    mounted_beneath,
    mounts,
    walk,
)

BATCH: Final = 1000
"""Paths that a scan hands over at a time."""
MISSED_AT_ONCE: Final = 20_000
"""Missing files that one scan finds: half a million that are gone at once are followed a part at a time."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """How an opened root is watched, and what was mounted within it then."""

    root: Root
    kind: WatchKind
    network: bool
    mounts: frozenset[Mount]
    exact: set[bytes] = field(default_factory=set)
    """Directories that are known to tell names in another case apart."""


@dataclass(slots=True)
class Executor:
    """Carries out jobs and keeps the opened roots; `emit` takes what a scan finds before its end."""

    store: Store
    observer: Observer
    folders: dict[int, FolderSettings]
    emit: Callable[[Input], None]
    watched: dict[int, _Watched] = field(default_factory=dict)
    locks: RootLocks = field(default_factory=RootLocks)

    def __call__(self, job: Job) -> Input:
        """Carry out one job; a failure comes back as a value."""
        try:
            return self._do(job)
        except Failure as failure:
            if isinstance(job, Examine):
                return ExamineFailed(job, failure.verdict)
            if isinstance(job, FindPrunable):
                return FoundPrunable((), job, None)  # the folder is down; it is asked again another day
            return Down(job.folder, failure.verdict)
        except LedgerError as error:
            assert isinstance(job, Compare | Scan | FindPrunable | Examine)  # noqa: S101
            return LedgerFailed(job, error)

    def close(self) -> None:
        """Close all roots, and give up their locks."""
        self.locks.close()
        while self.watched:
            self.watched.popitem()[1].root.close()

    def _do(self, job: Job) -> Input:
        match job:
            case TakeBaseline():
                return Listed(job.folder, tuple(self._list(job)))
            case Compare():
                return self._compare(job)
            case Arm() | Check() | Leave() | Scan():
                return self._watch(job)
        return self._file(job)

    def _watch(self, job: Arm | Check | Leave | Scan) -> Input:
        if isinstance(job, Arm | Check) and (switched := self._follow(job.folder)):
            return switched
        match job:
            case Arm():
                try:
                    return self._arm(job)
                except Failure:
                    self.locks.release(job.folder)  # a root that is gone is nobody's
                    raise
            case Check():
                return self._check(job)
            case Leave():
                self._close(job.folder)
                self.locks.release(job.folder)
                return Left(job.folder)
            case Scan():
                return self._scan(job)

    def _file(self, job: Look | Examine | FindPrunable) -> Input:
        match job:
            case Look():
                return self._look(job)
            case Examine():
                return self._examine(job)
            case FindPrunable():
                return self._find_prunable(job)

    def _watched(self, folder: int) -> _Watched:
        """Return how a folder is watched; raise Failure(FolderDown) when it has not been armed."""
        watched = self.watched.get(folder)
        if watched is None:
            raise Failure(FolderDown(Cause("closed", "", "FOLDER_DOWN"), Scope.FOLDER))
        return watched

    def _follow(self, folder: int) -> Switched | None:
        """Return where the folder's path leads, unless to the root that is watched or to nothing."""
        settings = self.folders[folder]
        if settings.path is None:
            return None
        try:
            root, linked_at = files.follow(settings.path)
        except Failure:
            return None
        if root == settings.root:
            return None
        try:
            with self.store.reading() as connection:
                traces = read_traces(connection, folder)
        except LedgerError:  # whether it was moved or replaced is asked again at the next check
            return None
        return Switched(folder, root, linked_at, moved=lies_at(traces, root))

    def _close(self, folder: int) -> None:
        self.observer.disarm(folder)  # of a root that was renamed, it goes on reporting the old path
        self.watched.pop(folder, None)  # jobs that still use the old root keep it open

    def _arm(self, job: Arm) -> Armed:
        """Open a root and watch it.

        The watch is set before anything is listed: a file that comes in between makes an event.
        """
        settings = self.folders[job.folder]
        self._close(job.folder)
        # inotify sees only what this kernel writes. That holds for a share that is mounted beneath the root,
        # too, so one network mount anywhere in the folder makes all of it polled.
        table = mounts()
        steady = is_steady(settings.root, table)
        root = files.open_root(settings.root, steady=lambda: steady)
        within = mounted_beneath(settings.root, table)
        above = holding(settings.root, table)
        now = Home(above.point, str(root.identity[0]))
        if job.home is not None and job.home.lost(now):
            raise Failure(FolderDown(Cause("not_mounted", "", "NOT_MOUNTED"), Scope.FOLDER))
        if settings.exclusive and not above.kind.network:
            self.locks.take(job.folder, root)
        network = any(mount.kind.network for mount in (above, *within))
        polls = job.poll or settings.watch == "poll" or (settings.watch == "auto" and network)
        refused = None if polls else self._arm_observer(settings)
        kind = WatchKind.POLL if polls or refused else WatchKind.INOTIFY
        self.watched[job.folder] = _Watched(root, kind, network, within)
        root.verify()  # it may have been replaced before the watch was set
        return Armed(job.folder, kind, network, now, root.mounted, refused, root.steady, root.identity)

    def _arm_observer(self, settings: FolderSettings) -> Cause | None:
        """Ask the kernel for events; return why there are none, where it has no watch left."""
        try:
            self.observer.arm(settings.id, settings.root, recursive=settings.filter.recursive)
        except Failure as failure:
            if isinstance(failure.verdict, Misconfigured):
                return failure.verdict.cause
            raise
        return None

    def _check(self, job: Check) -> Checked:
        """Check what makes no event: another root, another mount within it, a dead thread of watchdog."""
        watched = self._watched(job.folder)
        files.open_root(watched.root.path).close()  # it may be forbidden by now
        watched.root.verify()
        if mounted_beneath(watched.root.path, mounts()) != watched.mounts:
            raise Failure(FolderDown(Cause("mounts_changed", "", "FOLDER_DOWN"), Scope.FOLDER))
        if watched.kind is WatchKind.INOTIFY and not self.observer.alive(job.folder):
            raise Failure(FolderDown(Cause("watch_died", "", "FOLDER_DOWN"), Scope.FOLDER))
        return Checked(job.folder)

    def _list(self, job: TakeBaseline) -> Iterator[tuple[bytes, Fingerprint]]:
        chosen, root = self.folders[job.folder].filter, self._watched(job.folder).root
        for directory in walk(root, chosen.prunes):
            for entry in directory.entries:
                path = versions.join(directory.path, entry.name)
                if chosen.accepts(path):
                    yield path, entry.fingerprint

    def _compare(self, job: Compare) -> Compared:
        """Count known files until half of them are found; nothing says that an empty folder is the same."""
        there, root = 0, self._watched(job.folder).root
        with self.store.reading() as connection:
            known = versions.count_present(connection, job.folder)
            for directory in walk(root, self.folders[job.folder].filter.prunes):
                names = {entry.name for entry in directory.entries}
                listed = versions.read_directory(connection, job.folder, directory.path, names).known
                for entry in directory.entries:
                    state = entry.fingerprint.size, entry.fingerprint.mtime_ns
                    there += state in listed.get(entry.name, ())
                if known and 2 * there >= known:
                    return Compared(job.folder, replaced=False)
        return Compared(job.folder, replaced=known > 0 or root.steady)

    def _scan(self, job: Scan) -> Scanned:
        """Compare a folder with the ledger, directory by directory.

        One query for each, and memory that does not grow with the number of files, be they there or gone.
        """
        visited: set[bytes] = set()
        batch = _Batch(job, self.emit, steady=self._watched(job.folder).root.steady)
        with self.store.reading() as connection:
            for directory in walk(self._watched(job.folder).root, self.folders[job.folder].filter.prunes):
                if directory.unreadable is not None:
                    if not isinstance(directory.unreadable, Vanished):
                        # Its files are not missing: a subdirectory may be forbidden for an hour.
                        batch.unlisted.append((directory.path, directory.unreadable))
                    continue
                visited.add(directory.path)
                there = {entry.name for entry in directory.entries}
                listed = versions.read_directory(
                    connection, job.folder, directory.path, there, batch.may_miss
                )
                shifted = _find_shifted(directory, listed)
                for path, seen in self._unknown(job.folder, directory, listed):
                    if versions.split(path)[1] in shifted:
                        batch.shifted.append(path)
                    else:
                        batch.enter(path, seen)
                batch.miss(directory.path, listed)
                batch.irregular += self._filter(job.folder, directory.path, directory.others)
                batch.flush(BATCH)
            # A directory that is gone is not met on the walk: its files are missing, too. One that is now
            # excluded is not gone, and nobody is to look for each of its files at every scan.
            visited |= {path for path, _ in batch.unlisted}
            reaches = self.folders[job.folder].filter.reaches
            for path in versions.list_directories(connection, job.folder):
                if path not in visited and reaches(path) and batch.may_miss:
                    listed = versions.read_directory(connection, job.folder, path, (), batch.may_miss)
                    batch.miss(path, listed)
                    batch.flush(BATCH)
        watched = self._watched(job.folder)
        watched.root.verify()  # else the last batch may have been found missing beneath another root
        batch.flush(0)
        widened = Widened(batch.old, batch.new)
        more = not batch.may_miss
        if watched.kind is WatchKind.POLL:
            return Scanned(job.folder, widened=widened, more=more)
        recursive = self.folders[job.folder].filter.recursive
        expected = visited if recursive else {b""}
        unwatched = self.observer.unwatched(job.folder, watched.root.path, expected)
        return Scanned(job.folder, unwatched, widened, more)

    def _unknown(
        self, folder: int, directory: Directory, listed: versions.KnownDirectory
    ) -> Iterator[tuple[bytes, Fingerprint]]:
        accepts = self.folders[folder].filter.accepts
        nothing: frozenset[tuple[int, int]] = frozenset()
        for one in directory.entries:
            seen, path = one.fingerprint, versions.join(directory.path, one.name)
            if (seen.size, seen.mtime_ns) not in listed.known.get(one.name, nothing) and accepts(path):
                yield path, seen

    def _filter(self, folder: int, directory: bytes, names: Iterable[bytes]) -> Iterator[bytes]:
        accepts = self.folders[folder].filter.accepts
        return (path for name in names if accepts(path := versions.join(directory, name)))

    def _look(self, job: Look) -> Looked:
        watched = self._watched(job.folder)
        return Looked(job, tuple((path, _observe(watched, path)) for path in job.paths))

    def _examine(self, job: Examine) -> Examined:
        watched, seen = self._watched(job.folder), job.fingerprint
        movable = [rival for rival in job.rivals if not _is_in_place(watched, rival, seen)]
        steady = watched.root.steady
        if any(rival.is_moved_unread(seen, steady=steady, reads=job.reads) for rival in movable):
            # A renamed directory of films is recognised without reading them all.
            return Examined(job, None, tuple(movable))
        if job.locks_since is not None:
            locks = settle.lock_names(job.path.rpartition(b"/")[2])
            files.require_unlocked(watched.root, job.path, locks, job.locks_since)
        if not job.reads:
            files.require_rest(watched.root, job.path, seen, lease=not watched.network)
            return Examined(job, None, tuple(movable))
        digest = files.digest(watched.root, job.path, seen, lease=not watched.network)
        with self.store.reading() as connection:
            alike = versions.find_by_content(connection, job.folder, digest, seen.inode, job.since)
        others = (one for one in alike if one.path != job.path and one not in job.rivals)
        movable += [one for one in others if not _is_in_place(watched, one, seen)]
        return Examined(job, digest, tuple(movable))

    def _find_prunable(self, job: FindPrunable) -> FoundPrunable:
        """Look once more before a version is forgotten: while its file is there, it never is."""
        with self.store.reading() as connection:
            old = versions.list_prunable(connection, job.folder, job.before, job.after)
        last = old[-1].id if len(old) == versions.PRUNED_AT_ONCE else None
        if job.folder is not None:
            watched = self._watched(job.folder)
            old = [one for one in old if _is_absent(watched, one.path)]
        return FoundPrunable(tuple(one.id for one in old), job, last)


@dataclass(slots=True)
class _Batch:
    """Findings of a scan that are not yet handed over."""

    job: Scan
    emit: Callable[[Input], None]
    steady: bool
    unknown: list[bytes] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    irregular: list[bytes] = field(default_factory=list)
    unlisted: list[tuple[bytes, Verdict]] = field(default_factory=list)
    left_out: list[tuple[bytes, Fingerprint]] = field(default_factory=list)
    shifted: list[bytes] = field(default_factory=list)
    old: int = 0
    new: int = 0
    """How many files so far a wider filter or another root brought, by whether they are new."""
    may_miss: int = field(default_factory=lambda: MISSED_AT_ONCE)
    """How many more missing files it may find."""

    @property
    def _paths(self) -> tuple[list[bytes], ...]:
        return self.unknown, self.missing, self.irregular, self.shifted

    def enter(self, path: bytes, seen: Fingerprint) -> None:
        """Enter a file that the ledger does not know."""
        last, old_before = self.job.last, self.job.old_before
        brought = old_before is not None or (last is not None and not last.filter.accepts(path))
        old = old_before is not None and seen.changed_at(steady=self.steady) <= old_before
        if old or (last is not None and last.left_out(path, seen.ctime_ns)):
            self.left_out.append((path, seen))
            self.old += 1
        else:
            self.unknown.append(path)
            self.new += brought

    def miss(self, directory: bytes, listed: versions.KnownDirectory) -> None:
        """Enter the files of a directory that are missing."""
        self.missing += [versions.join(directory, name) for name in listed.missing]
        self.may_miss -= len(listed.missing)

    def flush(self, least: int) -> None:
        """Hand over the findings, once they are `least` paths or more."""
        if sum(len(paths) for paths in self._paths) + len(self.left_out) < least:
            return
        self.emit(
            Found(
                self.job.folder,
                tuple(self.unknown),
                tuple(self.missing),
                tuple(self.irregular),
                tuple(self.unlisted),
                tuple(self.left_out),
                tuple(self.shifted),
            )
        )
        for paths in self._paths:  # `unlisted` is needed at the end
            paths.clear()
        self.left_out.clear()


def _find_shifted(directory: Directory, listed: versions.KnownDirectory) -> frozenset[bytes]:
    """Return the names of a directory's old files, if the times of all of them were shifted alike."""
    changes = {
        entry.name: (listed.baseline[entry.name], entry.fingerprint)
        for entry in directory.entries
        if entry.name in listed.baseline
    }
    return frozenset(changes) if shifted_together(list(changes.values())) else frozenset()


def _observe(watched: _Watched, path: bytes) -> Fingerprint | Verdict:
    """Return a file's fingerprint, or why there is none; raise Failure when the folder itself is down."""
    try:
        seen = files.observe(watched.root, path, opened=watched.network)
        if files.is_listed(watched.root, path, watched.exact):
            return seen
        return files.absent().verdict
    except Failure as failure:
        if isinstance(failure.verdict, FolderDown):
            raise
        return failure.verdict


def _is_absent(watched: _Watched, path: bytes) -> bool:
    """Return whether nothing lies at a path."""
    seen = _observe(watched, path)
    return isinstance(seen, Vanished) and seen.cause.code == "absent"


def _is_in_place(watched: _Watched, known: Known, found: Fingerprint) -> bool:
    """Return whether a version still lies at its own path, and was not found elsewhere.

    Raises Failure while nobody can tell.

    A directory is renamed, and its old path answers EBUSY for a moment: if its files counted as still there,
    those beneath the new path would be new, and sent a second time.
    """
    seen = _observe(watched, known.path)
    if isinstance(seen, Fingerprint):
        return known.is_in_place(seen, found, steady=watched.root.steady)
    if isinstance(seen, NotReached):
        raise Failure(seen)
    return not isinstance(seen, Vanished)  # a directory that nobody may enter would hold the file up for good
