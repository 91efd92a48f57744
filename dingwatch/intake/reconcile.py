"""Compares what lies in a folder with what the ledger knows of it, one directory at a time.

A folder may hold a million files, or have lost them all at once. So nothing is kept of a file that is as the
ledger knows it, and what differs is handed over in batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from dingwatch.files import fingerprint_of
from dingwatch.filters import Filter
from dingwatch.intake.jobs import Found, Input, Scan
from dingwatch.ledger import Store, versions
from dingwatch.model import Fingerprint, Vanished, Verdict
from dingwatch.novelty import shifted_together
from dingwatch.watch import Directory

BATCH: Final = 1000
"""Paths that a scan hands over at a time."""
MISSED_AT_ONCE: Final = 10_000
"""Missing files that one scan finds: half a million that are gone at once are followed a part at a time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a directory differs from what the ledger knows.

    These are the files in a state unknown to it, and the names that are missing, no more than were asked for.
    """

    unknown: Mapping[bytes, Fingerprint]
    missing: Sequence[bytes]


def compare(connection: Connection, folder: int, directory: Directory, most: int = 0) -> Difference:
    """Compare a directory, or a part of it, with the ledger; return at most so many missing names.

    A `gone` version makes nothing known: seen again, it is work.
    """
    files, unknown = directory.files, set(directory.files)
    others: dict[bytes, set[tuple[int, int]]] = defaultdict(set)
    missing: dict[bytes, None] = {}
    rows = versions.stream_directory(connection, folder, directory.path, directory.after, directory.last)
    for name, size, mtime_ns, gone in rows:
        seen = files.get(name)
        if seen is None:
            if len(missing) < most:
                missing[name] = None
        elif not gone and seen.st_mtime_ns == mtime_ns and seen.st_size == size:
            unknown.discard(name)
        elif not gone:
            others[name].add((size, mtime_ns))
    differing = {name: fingerprint_of(files[name]) for name in sorted(unknown)}
    # A time that does not fit into the ledger's columns equals the known one only as a fingerprint has it.
    return Difference(
        {name: one for name, one in differing.items() if (one.size, one.mtime_ns) not in others[name]},
        tuple(missing),
    )


def find_shifted(connection: Connection, folder: int, directory: Directory) -> frozenset[bytes]:
    """Return the names of a directory's old files, if the times of all of them were shifted alike."""
    rows = versions.stream_baseline(connection, folder, directory.path, directory.after, directory.last)
    changes = {
        name: ((size, mtime_ns), fingerprint_of(directory.files[name]))
        for name, size, mtime_ns in rows
        if name in directory.files
    }
    return frozenset(changes) if shifted_together(list(changes.values())) else frozenset()


def portions(directories: Iterable[Directory]) -> Iterator[list[Directory]]:
    """Put directories together until they hold some hundreds of files.

    The ledger is asked about a portion once that is listed. A share may hang while it is being listed: its
    scan must keep none of the ledger's few connections then, and no transaction, without whose end SQLite
    cannot reset its log.
    """
    portion: list[Directory] = []
    size = 0
    for directory in directories:
        portion.append(directory)
        size += 1 + len(directory.files)
        if size >= BATCH:
            yield portion
            portion, size = [], 0
    yield portion


def is_replaced(store: Store, folder: int, directories: Iterable[Directory]) -> bool | None:
    """Return whether fewer than half of the known files are there; None where no file is known."""
    with store.reading() as connection:
        there, known = 0, versions.count_present(connection, folder)
    for portion in portions(directories):
        with store.reading() as connection:
            for directory in portion:
                there += len(directory.files) - len(compare(connection, folder, directory).unknown)
        if known and 2 * there >= known:
            return False
    return True if known else None


@dataclass(slots=True)
class Reconciliation:
    """A scan that goes on: what it has found and not yet handed over, and where it has been.

    `steady` says whether files keep their inodes' numbers and their ctimes in this folder.
    """

    job: Scan
    chosen: Filter
    emit: Callable[[Input], None]
    steady: bool
    visited: set[bytes] = field(default_factory=set)
    """Directories whose files were looked for; those of one that cannot be listed are not missing."""
    old: int = 0
    new: int = 0
    """How many files so far a wider filter or another root brought, by whether they are new."""
    may_miss: int = field(default_factory=lambda: MISSED_AT_ONCE)
    """How many more missing files it may find."""
    _unknown: list[bytes] = field(default_factory=list)
    _missing: list[bytes] = field(default_factory=list)
    _irregular: list[bytes] = field(default_factory=list)
    _unlisted: list[tuple[bytes, Verdict]] = field(default_factory=list)
    _left_out: list[tuple[bytes, Fingerprint]] = field(default_factory=list)
    _shifted: list[bytes] = field(default_factory=list)

    def enter(self, connection: Connection, directory: Directory) -> None:
        """Compare a directory with the ledger."""
        if directory.unreadable is not None:
            if not isinstance(directory.unreadable, Vanished):
                # Its files are not missing: a subdirectory may be forbidden for an hour.
                self.visited.add(directory.path)
                self._unlisted.append((directory.path, directory.unreadable))
            return
        self.visited.add(directory.path)
        difference = compare(connection, self.job.folder, directory, self.may_miss)
        self._miss(directory.path, difference)
        if difference.unknown:
            shifted = find_shifted(connection, self.job.folder, directory)
            for name, seen in difference.unknown.items():
                path = versions.join(directory.path, name)
                if self.chosen.accepts(path):
                    self._enter_unknown(path, seen, shifted=name in shifted)
        others = (versions.join(directory.path, name) for name in directory.others)
        self._irregular += filter(self.chosen.accepts, others)
        self._hand_over(BATCH)

    def finish(self, connection: Connection) -> None:
        """Look for the files of directories that are gone, which the walk did not meet.

        A directory that is now excluded is not gone, and nobody is to look for each of its files at every
        scan.
        """
        for path in versions.list_directories(connection, self.job.folder):
            if self.may_miss and path not in self.visited and self.chosen.reaches(path):
                gone = Directory(path, {})
                self._miss(path, compare(connection, self.job.folder, gone, self.may_miss))
                self._hand_over(BATCH)

    def close(self) -> None:
        """Hand over the rest."""
        self._hand_over(1)

    def _enter_unknown(self, path: bytes, seen: Fingerprint, *, shifted: bool) -> None:
        if shifted:
            self._shifted.append(path)
            return
        last, old_before = self.job.last, self.job.old_before
        brought = old_before is not None or (last is not None and not last.filter.accepts(path))
        old = old_before is not None and seen.changed_at(steady=self.steady) <= old_before
        if old or (last is not None and last.left_out(path, seen.ctime_ns)):
            self._left_out.append((path, seen))
            self.old += 1
        else:
            self._unknown.append(path)
            self.new += brought

    def _miss(self, directory: bytes, difference: Difference) -> None:
        self._missing += [versions.join(directory, name) for name in difference.missing]
        self.may_miss -= len(difference.missing)

    def _hand_over(self, least: int) -> None:
        """Hand over the findings, once there are `least` of them or more."""
        findings = (
            self._unknown,
            self._missing,
            self._irregular,
            self._unlisted,
            self._left_out,
            self._shifted,
        )
        if sum(len(some) for some in findings) < least:
            return
        self.emit(
            Found(
                self.job.folder,
                tuple(self._unknown),
                tuple(self._missing),
                tuple(self._irregular),
                tuple(self._unlisted),
                tuple(self._left_out),
                tuple(self._shifted),
            )
        )
        for some in findings:
            some.clear()
