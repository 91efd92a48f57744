"""Compares what lies in a folder with what the ledger knows of it, one directory at a time.

A folder may hold a million files, or have lost them all at once. So nothing is kept of a file that is as the
ledger knows it, and what differs is handed over in batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from sqlalchemy import Connection

from dingwatch.files import fingerprint_of
from dingwatch.filters import Filter
from dingwatch.intake.jobs import Found, Input, Scan
from dingwatch.ledger import Store, versions
from dingwatch.ledger.fingerprints import Adopted
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
    In a shared folder, `adopted` are files in which versions are recognised that another node has written.
    """

    unknown: Mapping[bytes, Fingerprint]
    missing: Sequence[bytes]
    adopted: Sequence[Adopted] = ()


def compare(
    connection: Connection, folder: int, directory: Directory, most: int = 0, *, shared: bool = False
) -> Difference:
    """Compare a directory, or a part of it, with the ledger; return at most so many missing names.

    A `gone` version makes nothing known: seen again, it is work.
    """
    if shared:
        return _compare_shared(connection, folder, directory, most)
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


def _compare_shared(connection: Connection, folder: int, directory: Directory, most: int) -> Difference:
    """Compare with what this node has seen; what it has never seen, it does not miss."""
    unknown = {name: fingerprint_of(status) for name, status in directory.files.items()}
    missing: dict[bytes, None] = {}
    adopted = []
    here = (directory.path, directory.after, directory.last)
    for one in versions.stream_shared_directory(connection, folder, *here):
        if one.name not in directory.files:
            if one.seen and len(missing) < most:
                missing[one.name] = None
        elif one.name in unknown and not one.gone and one.is_like(unknown[one.name]):
            seen = unknown.pop(one.name)
            if not one.seen or one.mtime_ns != seen.mtime_ns:
                former = one.mtime_ns if one.seen else None
                adopted.append(Adopted(one.version, versions.join(directory.path, one.name), seen, former))
    return Difference({name: unknown[name] for name in sorted(unknown)}, tuple(missing), adopted)


def find_shifted(
    connection: Connection, folder: int, directory: Directory, *, shared: bool = False
) -> frozenset[bytes]:
    """Return the names of a directory's old files, if the times of all of them were shifted alike."""
    part = (directory.path, directory.after, directory.last)
    rows = versions.stream_baseline(connection, folder, *part, shared=shared)
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


def is_replaced(
    store: Store, folder: int, directories: Iterable[Directory], *, shared: bool = False
) -> bool | None:
    """Return whether fewer than half of the known files are there; None where no file is known."""
    with store.reading() as connection:
        there, known = 0, versions.count_present(connection, folder, shared=shared)
    for portion in portions(directories):
        with store.reading() as connection:
            for directory in portion:
                difference = compare(connection, folder, directory, shared=shared)
                new = [one for one in difference.adopted if one.former is None]
                there += len(directory.files) - len(difference.unknown) - len(new)
        if known and 2 * there >= known:
            return False
    return True if known else None


@dataclass(slots=True)
class _Findings:
    """Findings of a scan that were not handed over yet; the fields are those of `Found`."""

    unknown: list[bytes] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    irregular: list[bytes] = field(default_factory=list)
    unlisted: list[tuple[bytes, Verdict]] = field(default_factory=list)
    left_out: list[tuple[bytes, Fingerprint]] = field(default_factory=list)
    shifted: list[bytes] = field(default_factory=list)
    adopted: list[Adopted] = field(default_factory=list)

    def count(self) -> int:
        """Return how many findings there are."""
        return sum(len(getattr(self, one.name)) for one in fields(self))

    def found(self, folder: int) -> Found:
        """Return them as they are handed over."""
        return Found(folder, **{one.name: tuple(getattr(self, one.name)) for one in fields(self)})


@dataclass(slots=True)
class Reconciliation:
    """A scan that goes on: what it has found and not yet handed over, and where it has been.

    `steady` says whether files keep their inodes' numbers and their ctimes in this folder, and `shared`
    whether several nodes share it.
    """

    job: Scan
    chosen: Filter
    emit: Callable[[Input], None]
    steady: bool
    shared: bool = False
    visited: set[bytes] = field(default_factory=set)
    """Directories whose files were looked for; those of one that cannot be listed are not missing."""
    old: int = 0
    new: int = 0
    """How many files so far a wider filter or another root brought, by whether they are new."""
    may_miss: int = field(default_factory=lambda: MISSED_AT_ONCE)
    """How many more missing files it may find."""
    _findings: _Findings = field(default_factory=_Findings)

    def enter(self, connection: Connection, directory: Directory) -> None:
        """Compare a directory with the ledger."""
        if directory.unreadable is not None:
            if not isinstance(directory.unreadable, Vanished):
                # Its files are not missing: a subdirectory may be forbidden for an hour.
                self.visited.add(directory.path)
                self._findings.unlisted.append((directory.path, directory.unreadable))
            return
        self.visited.add(directory.path)
        difference = compare(connection, self.job.folder, directory, self.may_miss, shared=self.shared)
        self._miss(directory.path, difference)
        self._findings.adopted += difference.adopted
        if difference.unknown:
            shifted = find_shifted(connection, self.job.folder, directory, shared=self.shared)
            for name, seen in difference.unknown.items():
                path = versions.join(directory.path, name)
                if self.chosen.accepts(path):
                    self._enter_unknown(path, seen, shifted=name in shifted)
        others = (versions.join(directory.path, name) for name in directory.others)
        self._findings.irregular += filter(self.chosen.accepts, others)
        self._hand_over(BATCH)

    def finish(self, connection: Connection) -> None:
        """Look for the files of directories that are gone, which the walk did not meet.

        A directory that is now excluded is not gone, and nobody is to look for each of its files at every
        scan.
        """
        for path in versions.list_directories(connection, self.job.folder):
            if self.may_miss and path not in self.visited and self.chosen.reaches(path):
                gone = Directory(path, {})
                self._miss(
                    path, compare(connection, self.job.folder, gone, self.may_miss, shared=self.shared)
                )
                self._hand_over(BATCH)

    def close(self) -> None:
        """Hand over the rest."""
        self._hand_over(1)

    def _enter_unknown(self, path: bytes, seen: Fingerprint, *, shifted: bool) -> None:
        if shifted:
            self._findings.shifted.append(path)
            return
        last, old_before = self.job.last, self.job.old_before
        brought = old_before is not None or (last is not None and not last.filter.accepts(path))
        old = old_before is not None and seen.changed_at(steady=self.steady) <= old_before
        if old or (last is not None and last.left_out(path, seen.ctime_ns)):
            self._findings.left_out.append((path, seen))
            self.old += 1
        else:
            self._findings.unknown.append(path)
            self.new += brought

    def _miss(self, directory: bytes, difference: Difference) -> None:
        self._findings.missing += [versions.join(directory, name) for name in difference.missing]
        self.may_miss -= len(difference.missing)

    def _hand_over(self, least: int) -> None:
        """Hand over the findings, once there are `least` of them or more."""
        if self._findings.count() >= least:
            self.emit(self._findings.found(self.job.folder))
            self._findings = _Findings()
