"""Novelty: compare a settled file with the versions that the ledger knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dingwatch.lifecycle import IN_WORK, PERHAPS_SEEN, WITHDRAWABLE, State
from dingwatch.model import Fingerprint


@dataclass(frozen=True, slots=True)
class Known:
    """A version that the ledger knows, for deciding whether a file is new."""

    id: int
    path: bytes
    size: int
    mtime_ns: int
    inode: int
    digest: str | None
    baseline: bool
    states: frozenset[State]
    noticed_at: float
    ctime_ns: int = 0
    missing_since: float | None = None
    """When its path was first seen without it (wall clock); None while it is there, as far as is known."""
    noticed: bool = False
    """Whether people got a notice instead of the file."""
    seen: bool = True
    """Whether this node has seen it; else its mtime is what another one saw of a shared folder."""
    recorded_ns: int | None = None
    """The mtime that any node has last recorded of a shared folder's file."""
    unconfirmed: bool = False
    """Whether only this node misses it, and others may see it."""
    seen_elsewhere: bool = False
    """Whether another live node has seen it, and does not miss it."""

    @property
    def missing(self) -> bool:
        """Whether its file was not there when it was last looked for."""
        return self.missing_since is not None

    @property
    def counts(self) -> bool:
        """Whether it makes its content known: baseline, in work, sent, uncertain or told of by a notice."""
        return self.baseline or self.noticed or bool(self.states & (IN_WORK | PERHAPS_SEEN))

    def same_as(self, fingerprint: Fingerprint) -> bool:
        """Compare by what the ledger holds to: size and mtime.

        What this node has not seen yet, it knows by the mtime that another one saw, as far as that goes.
        Where there is no digest, the file would else be sent for its mtime alone.
        """
        if self.seen:
            return fingerprint.known_as(self.size, self.mtime_ns)
        if self.size != fingerprint.size or self.baseline:
            return self.size == fingerprint.size
        return is_same_time(self.mtime_ns, fingerprint.mtime_ns, compared=self.digest is not None)

    def is_recorded_as(self, fingerprint: Fingerprint) -> bool:
        """Return whether a node has recorded it as this one sees it now."""
        mtime = self.mtime_ns if self.recorded_ns is None else self.recorded_ns
        return self.size == fingerprint.size and is_same_time(mtime, fingerprint.mtime_ns, compared=True)

    def was_there(self, since: float) -> bool:
        """Return whether its file was still there at an instant (wall clock), as far as is known."""
        return self.missing_since is None or self.missing_since >= since

    def is_in_place(self, there: Fingerprint, found: Fingerprint, *, steady: bool) -> bool:
        """Return whether this is the file `there` at its own path, and not the one that was found elsewhere.

        After `touch a; cp a b`, a lies where it did. A rotated log has given its name to another file, which
        may have its size and mtime.
        """
        if steady and self.inode in {there.inode, found.inode}:
            return self.inode == there.inode
        return self.same_as(there)

    def is_moved_unread(self, fingerprint: Fingerprint, *, steady: bool, reads: bool = True) -> bool:
        """Return whether a file is known to be this one, moved, without a look at its content.

        An inode is used again within seconds of a removal, so size, mtime and inode prove little. With the
        ctime they prove all: it stays when a directory above was renamed, and no new file can have it. But
        where there is no digest, and where none is taken (not `reads`), there is nothing better. Where files
        are not `steady`, inodes prove nothing.
        """
        if not self.same_as(fingerprint):
            return False
        compared = reads and self.digest is not None
        if not steady:
            return not compared
        same_inode = self.inode == fingerprint.inode
        return same_inode and (not compared or self.ctime_ns == fingerprint.ctime_ns)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A known version: nothing is to be done."""

    version: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A known version that was gone is there again: its gone deliveries are work again."""

    version: int


@dataclass(frozen=True, slots=True)
class Touched:
    """The same content with a new mtime: known by that from now on."""

    version: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A known version under a new path; what else was known there is superseded."""

    version: int
    supersedes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class New:
    """A version to be written; `ignored` when only the folder's `on_change` keeps it from being sent."""

    supersedes: tuple[int, ...] = ()
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Cannot be decided before the digest is known."""


Novelty = Unchanged | Returned | Touched | Moved | New | Read


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a file is compared with known versions: by the folder's `on_change` (`send` or `ignore`).

    `steady` says whether files keep their inodes and ctimes here, `reads` whether a digest is taken where one
    is needed; none is taken of a file that only gets a notice.
    """

    on_change: str = "send"
    steady: bool = True
    reads: bool = True


def classify(
    fingerprint: Fingerprint,
    digest: str | None,
    here: Sequence[Known],
    movable: Sequence[Known],
    comparison: Comparison,
) -> Novelty:
    """Decide what a settled file is.

    Args:
        fingerprint: what it settled with.
        digest: its sha256, or None when it has not been read.
        here: the known versions of its path, oldest first.
        movable: known versions elsewhere in the folder that were there when this path was first seen, and
            whose own path no longer holds them.
        comparison: how this file is compared with them.
    """
    same = _same_state(fingerprint, digest, here)
    there = next((known for known in same if State.GONE not in known.states), None)
    if there is not None:
        return Unchanged(there.id)
    newest = next((known for known in reversed(here) if known.counts), None)
    if not same and digest is not None and newest is not None and newest.digest == digest:
        return Touched(newest.id)
    older = tuple(known.id for known in here if known.states & WITHDRAWABLE)
    # Where a thousand copies of one form move at once, each takes its own version: none is left without.
    for known in sorted(movable, key=lambda known: (known.inode != fingerprint.inode, -known.id)):
        if known.counts and _has_moved(known, fingerprint, digest, comparison):
            return Moved(known.id, older)
    if same:
        return Returned(same[0].id)
    if digest is None and comparison.reads:
        return Read()
    seen_before = any(known.baseline or known.noticed or known.states & PERHAPS_SEEN for known in here)
    return New(older, ignored=seen_before and comparison.on_change == "ignore")


def _same_state(fingerprint: Fingerprint, digest: str | None, here: Sequence[Known]) -> list[Known]:
    """Find what is known by size and mtime, newest first; once the file was read, digests must not differ.

    A camera with a set time writes a, then b, then a again, all of one size and mtime. The last is not the
    first one that was known all along: it replaces b.
    """
    same = []
    for known in reversed(here):
        if known.same_as(fingerprint):
            if digest is None or known.digest in {None, digest}:
                same.append(known)
            elif known.counts:
                break
    return same


def _has_moved(known: Known, fingerprint: Fingerprint, digest: str | None, comparison: Comparison) -> bool:
    """Return whether a file is this version, moved: the same content, whatever its mtime is now."""
    if digest is None or known.digest is None:
        return known.is_moved_unread(fingerprint, steady=comparison.steady, reads=comparison.reads)
    return known.digest == digest


# --- Times of one file on several nodes --------------------------------------------------------------

_PRECISIONS: Final = (1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000)
"""Nanoseconds; CIFS has 100 ns, and FAT 2 s."""


def is_same_time(one: int, other: int, *, compared: bool) -> bool:
    """Return whether two mtimes (ns) may be those of one file, as file systems of other precision show it.

    They are less than 2 s apart. Of a file that can be `compared` by its digest, one of them must be the
    other, rounded: a file that was overwritten within the same second is then read.
    """
    apart = abs(one - other)
    if not compared:
        return apart <= _PRECISIONS[-1]
    return any(apart < step and (one % step == 0 or other % step == 0) for step in _PRECISIONS)


# --- A mass change of times ------------------------------------------------------------------------

_STEP: Final = 900 * 10**9
"""Nanoseconds; time zones differ by whole quarters of an hour."""
_SLACK: Final = 2 * 10**9
"""Nanoseconds; FAT keeps times to two seconds."""
_MOST_STEPS: Final = 96
_LEAST_FILES: Final = 3


def time_shift(before: int, after: int) -> int | None:
    """Return by how many quarters of an hour a time (ns) was shifted, at most 24 h; None for another change.

    A FAT disk keeps local times. When daylight saving begins or the time zone is set, all of its files seem
    to have changed at once.
    """
    steps = round((after - before) / _STEP)
    exact = abs(after - before - steps * _STEP) <= _SLACK
    return steps if exact and 0 < abs(steps) <= _MOST_STEPS else None


def shifted_together(changes: Sequence[tuple[tuple[int, int], Fingerprint]]) -> bool:
    """Return whether all files of a directory had their times shifted by the same amount, and nothing else.

    Args:
        changes: the known (size, mtime_ns) of each baseline file, and what a scan saw of it.
    """
    shifts = {
        time_shift(mtime_ns, seen.mtime_ns) if seen.size == size else None
        for (size, mtime_ns), seen in changes
    }
    return len(changes) >= _LEAST_FILES and len(shifts) == 1 and None not in shifts


def find_touched_baseline(fingerprint: Fingerprint, here: Sequence[Known]) -> Known | None:
    """Return the baseline version from which a file differs in its mtime alone; None where there is none.

    Args:
        fingerprint: what it settled with.
        here: the known versions of its path, oldest first.
    """
    newest = next((known for known in reversed(here) if known.counts), None)
    if newest is None or not newest.baseline or newest.size != fingerprint.size:
        return None
    return None if newest.mtime_ns == fingerprint.mtime_ns else newest
