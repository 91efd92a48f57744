"""Carries out intake's jobs: watches, lists, looks and reads. Runs in the service's pools."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice
from typing import Final

from dingwatch import files, names, settle
from dingwatch.files import Root, fingerprint_of
from dingwatch.intake.folder import FolderSettings
from dingwatch.intake.jobs import (
    CLOSED,
    LOOKING,
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
from dingwatch.intake.reconcile import Reconciliation, is_replaced, portions
from dingwatch.ledger import LedgerError, pruning, routing, versions
from dingwatch.ledger.folders import Difference, ShareState, find_differing, read_share
from dingwatch.ledger.store import Store
from dingwatch.ledger.versions import File
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
from dingwatch.novelty import Known
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

LONGEST_PATH: Final = 2600
"""Bytes of a path that fit into an entry of PostgreSQL's indexes (2,704), beside what else is in it.

One of them has paths as people are shown them, in which a byte that is not UTF-8 takes four.
"""
TOO_LONG: Final = NotReached(Cause("ENAMETOOLONG", os.strerror(errno.ENAMETOOLONG), "PATH_TOO_LONG"))


@dataclass(slots=True)
class _Watched:
    """How an opened root is watched, and what was mounted within it then, by which table of mounts."""

    root: Root
    kind: WatchKind
    network: bool
    mounts: frozenset[Mount]
    table: tuple[Mount, ...]
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
    listings: dict[int, tuple[float, Iterator[File]]] = field(default_factory=dict)
    """When the first look at a folder began, and the files that it has still to list."""

    def __call__(self, job: Job) -> Input:
        """Carry out one job; a failure comes back as a value."""
        try:
            return self._do(job)
        except Failure as failure:
            if isinstance(job, Examine):
                return ExamineFailed(job, failure.verdict)
            if isinstance(job, FindPrunable):
                return FoundPrunable((), job, None)  # the folder is down; it is asked again another day
            assert not isinstance(job, Check)  # noqa: S101 (it has an answer for each of its folders)
            return Down(job.folder, failure.verdict)
        except LedgerError as error:
            assert isinstance(job, Compare | Scan | FindPrunable | Examine)  # noqa: S101
            return LedgerFailed(job, error)

    def device(self, folder: int | None) -> str | None:
        """Return the device on which a folder lay when it was last armed, as `Home` has it."""
        watched = None if folder is None else self.watched.get(folder)
        return None if watched is None else str(watched.root.identity[0])

    def close(self) -> None:
        """Close all roots, and give up their locks."""
        self.locks.close()
        while self.watched:
            self.watched.popitem()[1].root.close()

    def _do(self, job: Job) -> Input:
        match job:
            case TakeBaseline():
                return self._list(job)
            case Compare():
                return self._compare(job)
            case Arm() | Check() | Leave() | Scan():
                return self._watch(job)
        return self._file(job)

    def _watch(self, job: Arm | Check | Leave | Scan) -> Input:
        match job:
            case Arm():
                try:
                    return self._follow(job.folder) or self._arm(job)
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
            raise Failure(FolderDown(Cause(CLOSED, "", "FOLDER_DOWN"), Scope.FOLDER))
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
        self.listings.pop(folder, None)
        self.watched.pop(folder, None)  # jobs that still use the old root keep it open

    def _arm(self, job: Arm) -> Armed:
        """Open a root and watch it.

        The watch is set before anything is listed: a file that comes in between makes an event.
        """
        settings = self.folders[job.folder]
        self._close(job.folder)
        share = self._read_share(settings)
        read_mounts = cache(partial(_read_mounts, settings.root))
        root = files.open_root(settings.root, steady=lambda: read_mounts()[1])
        # inotify sees only what this kernel writes. That holds for a share that is mounted beneath the root,
        # too, so one network mount anywhere in the folder makes all of it polled. Were the table read before
        # the root is opened, a share that is mounted in between would pass for a local disk.
        table, _ = read_mounts()
        within = mounted_beneath(settings.root, table)
        above = holding(settings.root, table)
        now = Home(above.point, str(root.identity[0]))
        if job.home is not None and job.home.lost(now):
            raise Failure(FolderDown(Cause("not_mounted", "", "NOT_MOUNTED"), Scope.FOLDER))
        if settings.shared and not root.mounted and self._is_blank(settings, root):
            raise Failure(FolderDown(Cause("not_mounted", "", "NOT_MOUNTED"), Scope.FOLDER))
        if settings.exclusive and not above.kind.network:
            self.locks.take(job.folder, root)
        else:
            self.locks.release(job.folder)  # the settings may have been others when it was armed before
        network = any(mount.kind.network for mount in (above, *within))
        polls = job.poll or settings.watch == "poll" or (settings.watch == "auto" and network)
        refused = None if polls else self._arm_observer(settings)
        kind = WatchKind.POLL if polls or refused else WatchKind.INOTIFY
        self.watched[job.folder] = _Watched(root, kind, network, within, table)
        root.verify()  # it may have been replaced before the watch was set
        return Armed(job.folder, kind, network, now, root.mounted, refused, root.steady, root.identity, share)

    def _read_share(self, settings: FolderSettings) -> ShareState | None:
        """Return how far the nodes of a share are with its first look.

        Raises:
            Failure: FolderDown if this node must not watch it now: another one has set it up otherwise, or
                is taking the first look, or the ledger cannot tell.
        """
        if not settings.shared:
            return None
        try:
            self._require_alike(self._find_differing([settings.id]))
            with self.store.reading() as connection:
                state = read_share(connection, settings.id)
        except LedgerError:
            raise Failure(FolderDown(Cause(CLOSED, "", "FOLDER_DOWN"), Scope.FOLDER)) from None
        if state.looker is not None:
            raise Failure(FolderDown(Cause(LOOKING, state.looker, "SHARE_LOOKING"), Scope.FOLDER))
        return state

    def _is_blank(self, settings: FolderSettings, root: Root) -> bool:
        """Return whether nothing lies in a share of which other nodes see files, and this one has seen none.

        Most likely it is not mounted here yet. Were this taken for its home, nobody would notice when the
        share, mounted at last, goes away.
        """
        if any(directory.files for directory in walk(root, settings.filter.prunes)):
            return False
        try:
            with self.store.reading() as connection:
                return versions.is_unseen(connection, settings.id)
        except LedgerError:
            return True

    @staticmethod
    def _require_alike(differing: Mapping[int, Difference]) -> None:
        """Raise Failure if another node has set up a share otherwise."""
        for one in differing.values():
            found = f"{one.node}: {', '.join(one.keys)}"
            raise Failure(FolderDown(Cause("differs", found, "SHARE_DIFFERS"), Scope.FOLDER))

    def _list_differing(self, folders: Iterable[int]) -> Mapping[int, Difference]:
        """Return the shares that other nodes have set up otherwise; while nobody can tell, all go on."""
        shared = [one for one in folders if self.folders[one].shared]
        if shared:
            with suppress(LedgerError):
                return self._find_differing(shared)
        return {}

    def _find_differing(self, folders: Sequence[int]) -> Mapping[int, Difference]:
        """Return the shares that other nodes have set up otherwise: nothing of them is claimed here.

        Raises:
            LedgerError: nobody can tell.
        """
        with self.store.reading() as connection:
            differing = find_differing(connection, folders)
            routed = routing.list_routed(connection, folders)
        changed = [one for one in folders if (one in routed) == (one in differing)]
        if changed:
            with self.store.writing() as connection:
                for number in changed:
                    routing.remove_routes(connection, number)
                    one = self.folders[number]
                    if number not in differing:
                        recipients, any_node = one.conversations, one.by_any_node
                        routing.add_routes(connection, number, recipients, by_any_node=any_node)
        return differing

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
        """Check roots one after the other, by one look at the table of mounts."""
        table = mounts()
        differing = self._list_differing(job.folders)
        answers = [
            self._check_one(folder, table, differing) for folder in job.folders if folder in self.watched
        ]
        fine = tuple(one for one in answers if isinstance(one, int))
        return Checked(fine, tuple(one for one in answers if not isinstance(one, int)))

    def _check_one(
        self, folder: int, table: tuple[Mount, ...], differing: Mapping[int, Difference]
    ) -> int | Switched | Down:
        """Return the folder, or what is wrong with its root."""
        try:
            self._require_alike({folder: differing[folder]} if folder in differing else {})
            switched = self._follow(folder)
            if switched is None:
                self._check_root(folder, table)
        except Failure as failure:
            return Down(folder, failure.verdict)
        return folder if switched is None else switched

    def _check_root(self, folder: int, table: tuple[Mount, ...]) -> None:
        """Check what makes no event: another root, another mount within it, a dead thread of watchdog."""
        watched = self._watched(folder)
        files.open_root(watched.root.path).close()  # it may be forbidden by now
        watched.root.verify()
        if table is not watched.table:
            if mounted_beneath(watched.root.path, table) != watched.mounts:
                raise Failure(FolderDown(Cause("mounts_changed", "", "FOLDER_DOWN"), Scope.FOLDER))
            watched.table = table
        if watched.kind is WatchKind.INOTIFY and not self.observer.alive(folder):
            raise Failure(FolderDown(Cause("watch_died", "", "FOLDER_DOWN"), Scope.FOLDER))

    def _list(self, job: TakeBaseline) -> Listed:
        """List the next files of a first look, from where the job before this one came to."""
        began, listing = self.listings.get(job.folder, (None, None))
        if listing is None or began != job.began:
            listing = self._list_all(job.folder)
            self.listings[job.folder] = job.began, listing
        found = tuple(islice(listing, job.most))
        return Listed(job.folder, job.began, found, last=len(found) < job.most)

    def _list_all(self, folder: int) -> Iterator[File]:
        chosen, root = self.folders[folder].filter, self._watched(folder).root
        for directory in self._keepable(walk(root, chosen.prunes)):
            for name, status in directory.files.items():
                path = versions.join(directory.path, name)
                if chosen.accepts(path):
                    yield path, fingerprint_of(status)

    def _compare(self, job: Compare) -> Compared:
        """Find out whether the root was replaced; nothing says that an empty folder is the same."""
        root = self._watched(job.folder).root
        directories = walk(root, self.folders[job.folder].filter.prunes)
        shared = self.folders[job.folder].shared
        replaced = is_replaced(self.store, job.folder, directories, shared=shared)
        # Of a share, this node may just not have seen anything yet: what is unknown there is new.
        unknown = root.steady and not shared
        return Compared(job.folder, replaced=unknown if replaced is None else replaced)

    def _scan(self, job: Scan) -> Scanned:
        """Compare a folder with the ledger, in memory that does not grow with the number of files."""
        watched, chosen = self._watched(job.folder), self.folders[job.folder].filter
        shared = self.folders[job.folder].shared
        scan = Reconciliation(job, chosen, self.emit, watched.root.steady, shared)
        for portion in portions(self._keepable(walk(watched.root, chosen.prunes))):
            with self.store.reading() as connection:
                for directory in portion:
                    scan.enter(connection, directory)
        with self.store.reading() as connection:
            scan.finish(connection)
        watched.root.verify()  # else the last batch may have been found missing beneath another root
        scan.close()
        widened, more = Widened(scan.old, scan.new), not scan.may_miss
        if watched.kind is WatchKind.POLL:
            return Scanned(job.folder, widened=widened, more=more)
        expected = scan.visited if chosen.recursive else {b""}
        unwatched = self.observer.unwatched(job.folder, watched.root.path, expected)
        return Scanned(job.folder, unwatched, widened, more)

    def _look(self, job: Look) -> Looked:
        watched = self._watched(job.folder)
        found = (
            (path, TOO_LONG if self._is_too_long(path) else _observe(watched, path)) for path in job.paths
        )
        return Looked(job, tuple(found))

    def _is_too_long(self, path: bytes) -> bool:
        """Return whether the ledger cannot keep a path; Linux allows 4,096 bytes."""
        if not self.store.shared or len(path) * 4 <= LONGEST_PATH:
            return False
        return len(names.readable(path).encode()) > LONGEST_PATH

    def _keepable(self, directories: Iterable[Directory]) -> Iterator[Directory]:
        """Yield directories without the files whose paths the ledger cannot keep, and say where such are."""
        for one in directories:
            long = [name for name in one.files if self._is_too_long(versions.join(one.path, name))]
            if long:
                yield Directory(one.path, {}, unreadable=TOO_LONG)
                files = {name: status for name, status in one.files.items() if name not in long}
                yield replace(one, files=files)
            else:
                yield one

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
            alike = versions.find_by_content(
                connection,
                job.folder,
                digest,
                seen.inode,
                job.since,
                shared=self.folders[job.folder].shared,
            )
        others = (one for one in alike if one.path != job.path and one not in job.rivals)
        movable += [one for one in others if not _is_in_place(watched, one, seen)]
        return Examined(job, digest, tuple(movable))

    def _find_prunable(self, job: FindPrunable) -> FoundPrunable:
        """Look once more before a version is forgotten: while its file is there, it never is."""
        with self.store.reading() as connection:
            old = pruning.list_prunable(connection, job.folder, job.before, job.after)
        last = old[-1].place if len(old) == pruning.PRUNED_AT_ONCE else None
        if job.folder is not None:
            watched = self._watched(job.folder)
            old = [one for one in old if one.moved or _is_absent(watched, one.path)]
        return FoundPrunable(tuple(one.id for one in old), job, last)


def _read_mounts(root: bytes) -> tuple[tuple[Mount, ...], bool]:
    """Return the table of mounts, and whether inodes and ctimes prove anything beneath a root."""
    table = mounts()
    return table, is_steady(root, table)


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
