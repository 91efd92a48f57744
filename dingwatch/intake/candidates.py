"""Paths between a hint and a decision: what is known of each, and which are to be looked at when.

Nothing here is on disk: after a restart, a scan finds every path again. All instants are monotonic.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from dingwatch import names, settle
from dingwatch.filters import Filter
from dingwatch.intake.folder import Folder
from dingwatch.intake.jobs import Examine, Examined, ExamineFailed, Found, Look, Looked
from dingwatch.intake.phases import (
    AWAITING_LOOK,
    LOOK_OUT,
    MISSING,
    PATHS,
    UNDECIDED,
    PathEvent,
    PathPhase,
    WatchPhase,
    advance,
)
from dingwatch.model import Cause, Fingerprint, FolderDown, InUse, Vanished, Verdict
from dingwatch.settle import Candidate
from dingwatch.texts import Log

LOOKS_AT_ONCE: Final = 256
REMOVED_AT_ONCE: Final = 5000
"""Files whose removal is followed by its event; should more be gone at once, a scan finds the others."""
CEILING_INTERVAL: Final = 60.0
"""Seconds between two searches for files that are past the ceiling."""

_CHANGING: Final = Cause("changing", "", "IN_USE")
ONLY_METADATA: Final = "only_metadata"
"""The code of a file that changes in its inode, device or ctime alone."""

Key = tuple[int, bytes]
"""A folder's id, and a path in it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A path that has settled, and its fingerprint then."""

    key: Key
    candidate: Candidate
    fingerprint: Fingerprint
    since: float
    """When nobody had seen it yet (monotonic): what was moved to it was still elsewhere then."""


@dataclass(frozen=True, slots=True)
class PastCeiling:
    """A file that has been settling for a day or longer, and since when (monotonic)."""

    folder: int
    path: bytes
    since: float


@dataclass(frozen=True, slots=True)
class Settling:
    """A path that is not yet decided on: since when (monotonic), and why it waits, where that is known.

    `changed` is when something last happened to it, `quiet` its quiet period in seconds, and `size` what the
    last look saw.
    """

    since: float
    reason: Cause | None
    changed: float
    quiet: float
    size: int | None


@dataclass(slots=True)
class _Record:
    """All that is kept of one path. `phase` is changed by `Candidates._advance` alone."""

    key: Key
    candidate: Candidate
    phase: PathPhase = PathPhase.IDLE
    since: float = 0.0
    """When nobody had seen it yet."""
    asked: float = 0.0
    """When the look that is out was asked for."""
    reason: Cause | None = None
    """Why it cannot be read yet."""
    lock: Key | None = None
    """The editor's lock that it waits for."""
    job: Examine | None = None
    """The reading that is out."""
    looked: Fingerprint | None = None
    """The fingerprint of the last look, whatever has happened since."""
    removed: bool = False
    """Whether it is followed because its file was removed or renamed, as an event told."""
    unreadable_logged: bool = False
    restless_logged: bool = False
    ceiling_logged: bool = False


def _settling(record: _Record) -> Settling:
    candidate = record.candidate
    seen = candidate.seen or record.looked
    size = None if seen is None else seen.size
    return Settling(candidate.first, record.reason, candidate.changed, candidate.quiet, size)


class Candidates:
    """Follows every path from its first hint to the decision on it."""

    def __init__(self, folders: Mapping[int, Folder], log: Callable[..., None]) -> None:
        self._folders = folders
        self._log = log
        self._rivals: dict[Key, frozenset[int]] = {}
        """The versions that a file may be, moved, which went out to be read and is not decided on."""
        self._records: dict[Key, _Record] = {}
        """In the order of `candidate.first`: a path that begins to settle afresh goes to the end."""
        # A plain dict keeps the slots of deleted entries: to find the first of a million settled files, again
        # and again, would walk through all that are done.
        self._by_phase: dict[PathPhase, OrderedDict[Key, _Record]] = {
            phase: OrderedDict() for phase in set(PathPhase) - AWAITING_LOOK - {PathPhase.IDLE}
        }
        self._undecided: Counter[int] = Counter()
        """How many files of each folder are not yet decided on."""
        self._touched: Counter[int] = Counter()
        """How many files of each folder wait because only their times have changed, where any do."""
        self._missing: Counter[int] = Counter()
        """How many paths of each folder are missing."""
        self._removed: Counter[int] = Counter()
        """How many paths of each folder are followed because their files were removed."""
        self.unfollowed: set[int] = set()
        """Folders from which more files were removed than are followed."""
        self._agenda: list[tuple[float, Key]] = []
        """A heap of the next looks. Entries that are out of date are dropped when they are met."""
        self._locks: dict[Key, Key] = {}
        """Which path waits for an editor's lock."""
        self._ceiling_at = 0.0
        self.past_ceiling: tuple[PastCeiling, ...] = ()

    # --- What others ask -----------------------------------------------------------------------

    def count_settling(self) -> Counter[int]:
        """Return how many files of each folder are not yet decided on."""
        return self._undecided.copy()

    def follows(self, folder: int) -> bool:
        """Return whether any path of a folder is not yet decided on."""
        return self._undecided[folder] + self._missing[folder] > 0

    def is_followed(self, key: Key) -> bool:
        """Return whether a path is not yet decided on, or missing."""
        return key in self._records

    def misses(self, folder: int) -> bool:
        """Return whether any path of a folder is missing, and that is not yet written down."""
        return self._missing[folder] > 0

    @property
    def touched(self) -> dict[int, int]:
        """How many files of each folder wait because only their times have changed, where any do."""
        return dict(self._touched)

    def list_settling(self, most: int, folder: int | None = None) -> list[tuple[int, bytes, Settling]]:
        """Return the paths that have been settling for longest, in one folder or in all.

        The loop may go on meanwhile.
        """
        records = list(self._records.values())  # in one step, while no other thread runs
        undecided = (one for one in records if one.phase in UNDECIDED and folder in {None, one.key[0]})
        return [(*one.key, _settling(one)) for one in islice(undecided, most)]

    def describe(self, key: Key) -> Settling | None:
        """Return since when a path has been settling and why; None when it is not."""
        record = self._records.get(key)
        if record is None or record.phase not in UNDECIDED:
            return None
        return _settling(record)

    @property
    def reading(self) -> int:
        """How many files are being read."""
        return len(self._by_phase[PathPhase.READING])

    @property
    def any_settled(self) -> bool:
        """Whether anything has settled and waits for a decision."""
        return bool(self._by_phase[PathPhase.SETTLED])

    @property
    def empty(self) -> bool:
        """Whether every path is decided on."""
        return not self._records

    def next_settled(self, limit: int) -> list[Settled]:
        """Return the first files that have settled and wait for a decision."""
        settled = islice(self._by_phase[PathPhase.SETTLED].values(), max(limit, 0))
        return [
            Settled(one.key, one.candidate, one.candidate.seen, one.since)
            for one in settled
            if one.candidate.seen
        ]

    @property
    def any_gone(self) -> bool:
        """Whether the absence of any path is confirmed and waits to be written down."""
        return bool(self._by_phase[PathPhase.GONE])

    def next_gone(self, limit: int) -> list[Key]:
        """Return the first missing paths whose absence has been confirmed."""
        return sorted(islice(self._by_phase[PathPhase.GONE], limit))

    def list_claimed(self) -> frozenset[int]:
        """Return the versions that a file may turn out to be, moved, once it can be read.

        A message may have arrived, and its file is renamed before it is sent once more. While a virus scanner
        holds the file, its version is not given up: read at last, the file would be new.
        """
        return frozenset().union(*self._rivals.values())

    def missing_since(self, key: Key) -> float | None:
        """Return when a file was first looked for in vain (monotonic); None unless it is missing."""
        record = self._records.get(key)
        return record.candidate.first if record is not None and record.phase in MISSING else None

    def awaits(self, job: Examine) -> bool:
        """Return whether a reading is still waited for.

        It is not once the configuration no longer has the path. Should the path come back with its folder,
        it is read again.
        """
        record = self._records.get((job.folder, job.path))
        return record is not None and record.phase is PathPhase.READING and record.job == job

    def is_outdated(self, one: Examined) -> bool:
        """Return whether a path got a hint while it was being read."""
        return self._records[one.job.folder, one.job.path].candidate.seen is None

    # --- The one place where a phase changes ------------------------------------------------------

    def _advance(self, record: _Record, event: PathEvent, candidate: Candidate | None = None) -> None:
        """Let something happen to a path: change its phase by the table, and every index with it."""
        touched = record.phase in UNDECIDED and record.candidate.touched
        before, after = record.phase, advance(PATHS, record.phase, event)
        key, record.phase = record.key, after
        if candidate is not None:
            if candidate.first != record.candidate.first:
                self._records[key] = self._records.pop(key)
            record.candidate = candidate
        self._count_touched(key[0], (after in UNDECIDED and record.candidate.touched) - touched)
        if after is not before:
            self._undecided[key[0]] += (after in UNDECIDED) - (before in UNDECIDED)
            self._missing[key[0]] += (after in MISSING) - (before in MISSING)
            if before in self._by_phase:
                del self._by_phase[before][key]
            if after in self._by_phase:
                self._by_phase[after][key] = record
        if after is PathPhase.IDLE:
            self._forget_lock(record)
            self._rivals.pop(key, None)
            self._removed[key[0]] -= record.removed
            del self._records[key]
        elif after in AWAITING_LOOK and (after is not before or candidate is not None):
            heappush(self._agenda, (settle.due(record.candidate), key))

    def _count_touched(self, folder: int, change: int) -> None:
        self._touched[folder] += change
        if not self._touched[folder]:
            del self._touched[folder]  # every tick copies this

    def _record(self, key: Key, candidate: Candidate) -> _Record:
        """Return what is kept of a path, beginning to follow it where nothing is."""
        return self._records.get(key) or self._records.setdefault(key, _Record(key, candidate))

    # --- Hints -------------------------------------------------------------------------------

    def on_hint(self, key: Key, at: float, *, must_read: bool = False, by_scan: bool = False) -> None:
        """Follow a path to which something may have happened, as an event or a scan shows."""
        self._end_lock(key, at)
        folder = self._folders.get(key[0])
        if folder is None or not folder.settings.filter.accepts(key[1]) or folder.settings.cedes(key[1]):
            return
        record = self._records.get(key)
        removed = record is None and not (must_read or by_scan)
        if removed and self._removed[key[0]] >= REMOVED_AT_ONCE:
            self.unfollowed.add(folder.id)
            return
        folder.on_hint(key[1], must_read=must_read)
        settling = record.candidate if record is not None and record.phase in UNDECIDED else None
        quiet = settle.quiet_of(key[1], folder.quiet)
        candidate = settle.hint(settling, at, quiet, must_read=must_read)
        record = self._record(key, candidate)
        if removed:
            record.removed = True
            self._removed[key[0]] += 1
        if settling is None:
            record.since = folder.unseen_until(at, by_scan=by_scan)
        self._advance(record, PathEvent.HINT, candidate)

    def on_renamed(self, source: Key, key: Key) -> None:
        """Take over since when a renamed file had not been seen, if its former name was not yet decided on.

        Somebody corrects a name three times. When the last one settles, the first has been gone for long.
        """
        before, record = self._records.get(source), self._records.get(key)
        if before is not None and record is not None and before.phase in UNDECIDED:
            record.since = min(record.since, before.since)

    def on_found(self, found: Found, at: float) -> None:
        """Follow the paths that a scan found in a state unknown to the ledger, or missing."""
        for path in found.unknown:
            record = self._records.get((found.folder, path))
            if record is None or record.phase not in UNDECIDED:
                # It came after the scan before. A file that was moved during that scan, from a directory that
                # it read later into one that it had read, was missing for a whole interval.
                self.on_hint((found.folder, path), at, by_scan=True)
        for path in found.shifted:
            self._shift((found.folder, path), at)
        for path in found.missing:
            self._miss((found.folder, path), at)

    def _shift(self, key: Key, at: float) -> None:
        """Follow an old file whose time was shifted; one that is being followed had an event."""
        if key in self._records or not self._folders[key[0]].settings.filter.accepts(key[1]):
            return
        candidate = settle.shifted(at, settle.quiet_of(key[1], self._folders[key[0]].quiet))
        self._advance(self._record(key, candidate), PathEvent.HINT, candidate)

    def _miss(self, key: Key, at: float) -> None:
        """Follow a path that a scan did not find where the ledger has it."""
        absent = settle.absent(at, self._folders[key[0]].quiet)
        record, candidate = self._record(key, absent), None
        if record.phase is PathPhase.IDLE:
            candidate = absent
        elif record.phase in UNDECIDED - AWAITING_LOOK:
            # What a look or a reading that is out has seen may be older than the scan's listing.
            candidate = settle.hint(record.candidate, at, absent.quiet)
        self._advance(record, PathEvent.MISS, candidate)

    # --- Looks ---------------------------------------------------------------------------------

    def looks(self, at: float) -> list[Look]:
        """Return the looks that are due, many paths to a job."""
        due: dict[int, list[bytes]] = defaultdict(list)
        for record in self._due(at):
            folder, path = record.key
            due[folder].append(path)
            record.asked = at
            self._advance(record, PathEvent.LOOK)
        return [
            Look(folder, tuple(paths[i : i + LOOKS_AT_ONCE]), at)
            for folder, paths in due.items()
            for i in range(0, len(paths), LOOKS_AT_ONCE)
        ]

    def _due(self, at: float) -> Iterator[_Record]:
        while self._agenda and self._agenda[0][0] <= at:
            record = self._on_agenda()
            heappop(self._agenda)
            if record is not None:
                yield record

    def next_at(self) -> float | None:
        """Return when the next look is due; None when nothing waits for one."""
        while self._agenda and self._on_agenda() is None:
            heappop(self._agenda)
        return self._agenda[0][0] if self._agenda else None

    def _on_agenda(self) -> _Record | None:
        """Return the record whose look is the first on the agenda; None when that is out of date.

        While its folder is down nothing is looked at; `on_folder_up` puts its paths on the agenda again.
        """
        when, key = self._agenda[0]
        record = self._records.get(key)
        if record is None or record.phase not in AWAITING_LOOK or settle.due(record.candidate) != when:
            return None
        return record if self._folders[key[0]].phase is WatchPhase.UP else None

    def on_looked(self, looked: Looked, at: float) -> list[bytes]:
        """Enter what looks saw; return the paths at which something lies that is no regular file."""
        irregular = []
        for path, seen in looked.seen:
            record = self._records.get((looked.job.folder, path))
            # A look that was out when the folder went down may come back after the next one was asked for.
            if record is None or record.phase not in LOOK_OUT or record.asked != looked.job.asked:
                continue
            if record.phase is PathPhase.CONFIRMING:
                self._confirm(record, seen, at)
            else:
                self._see(record, seen, at)
            if isinstance(seen, Vanished) and seen.cause.code == "not_regular":
                irregular.append(path)
        return irregular

    def _see(self, record: _Record, seen: Fingerprint | Verdict, at: float) -> None:
        steady = self._folders[record.key[0]].steady
        if record.asked < record.candidate.changed:
            self._advance(record, PathEvent.UNSETTLE)
        elif isinstance(seen, Vanished):
            self._clear_reason(record)
            absent = settle.absent(at, self._folders[record.key[0]].quiet)
            self._advance(record, PathEvent.VANISH, absent)
        elif not isinstance(seen, Fingerprint):
            self._cannot_read(record, seen, at)
        else:
            self._note_odd_changes(record, seen, at, steady=steady)
            self._settle(record, seen, at, steady=steady)

    def _settle(self, record: _Record, seen: Fingerprint, at: float, *, steady: bool) -> None:
        candidate, asked = record.candidate, record.asked
        if settle.is_settled(candidate, seen, asked, steady=steady):
            self._advance(record, PathEvent.SETTLE)
        else:
            looked = settle.look(candidate, seen, asked, at, steady=steady)
            self._advance(record, PathEvent.UNSETTLE, looked)

    def _note_odd_changes(self, record: _Record, seen: Fingerprint, at: float, *, steady: bool) -> None:
        """Note that a file does not settle though size and mtime stay; log it once when that goes on."""
        before, record.looked = record.looked, seen
        fields = () if before is None or not steady else settle.odd_changes(before, seen)
        if not fields or (record.reason is not None and record.reason.code != ONLY_METADATA):
            return
        record.reason = Cause(ONLY_METADATA, ", ".join(fields), "ONLY_METADATA")
        if settle.is_restless(record.candidate, at) and not record.restless_logged:
            record.restless_logged = True
            self._log_path(Log.RESTLESS, record.key, record.reason)

    def _confirm(self, record: _Record, seen: Fingerprint | Verdict, at: float) -> None:
        if isinstance(seen, Vanished):
            self._advance(record, PathEvent.VANISH)
        elif isinstance(seen, Fingerprint):
            folder, path = record.key
            there = settle.hint(None, at, settle.quiet_of(path, self._folders[folder].quiet))
            self._advance(record, PathEvent.UNSETTLE, there)
        else:  # it is neither there nor known to be missing: the next scan asks again
            self._advance(record, PathEvent.FINISH)

    def _cannot_read(self, record: _Record, verdict: Verdict, at: float) -> None:
        """Keep a file that cannot be read now; look again ever more seldom, and log it once."""
        cause = record.reason = verdict.cause
        if not record.unreadable_logged:
            record.unreadable_logged = True
            self._log_path(Log.UNREADABLE, record.key, cause)
        self._advance(record, PathEvent.UNSETTLE, settle.postpone(record.candidate, at))

    # --- Decisions and digests -------------------------------------------------------------------

    def finish(self, settled: Settled) -> None:
        """Follow a settled path no more: it is decided on."""
        self._advance(self._records[settled.key], PathEvent.FINISH)

    def finish_gone(self, key: Key) -> None:
        """Follow a missing path no more: its absence is written down."""
        self._advance(self._records[key], PathEvent.FINISH)

    def begin_reading(self, settled: Settled, job: Examine) -> None:
        """Note that a settled file goes out to be read."""
        self._rivals.pop(settled.key, None)
        if job.rivals:
            self._rivals[settled.key] = frozenset(rival.id for rival in job.rivals)
        self._records[settled.key].job = job
        self._advance(self._records[settled.key], PathEvent.READ)

    def wait_longer(self, settled: Settled, quiet: float, *, touched: bool) -> None:
        """Give a path a longer quiet period, which has begun already.

        Its versions come often, or only its time has changed (`touched`).
        """
        record = self._records[settled.key]
        self._clear_reason(record)
        self._advance(record, PathEvent.UNSETTLE, replace(record.candidate, quiet=quiet, touched=touched))

    def on_examined(self, one: Examined) -> None:
        """Follow a path no more that was read and decided on, unless it got a hint meanwhile."""
        record = self._records[one.job.folder, one.job.path]
        self._clear_reason(record)
        self._advance(record, PathEvent.UNSETTLE if self.is_outdated(one) else PathEvent.FINISH)

    def read_again(self, job: Examine, at: float) -> None:
        """Let a file settle again whose reading came to nothing, through no fault of the file."""
        record = self._records[job.folder, job.path]
        again = settle.hint(record.candidate, at, record.candidate.quiet)
        self._advance(record, PathEvent.UNSETTLE, again if record.candidate.seen else None)

    def on_examine_failed(self, one: ExamineFailed, at: float) -> None:
        """Let a file settle again that could not be read as it had settled."""
        record = self._records[one.job.folder, one.job.path]
        candidate = record.candidate
        if candidate.seen is None:  # it got a hint meanwhile: the reading says nothing new
            self._advance(record, PathEvent.UNSETTLE)
            return
        match one.verdict:
            case InUse(cause=cause, lock=lock):
                record.reason = cause
                self._wait_for_lock(record, lock)
                self._advance(record, PathEvent.UNSETTLE, settle.postpone(candidate, at))
            case Vanished() | FolderDown():  # that the folder is down is no fact about the file
                self._advance(record, PathEvent.UNSETTLE, settle.hint(candidate, at, candidate.quiet))
            case verdict:
                self._cannot_read(record, verdict, at)

    def _clear_reason(self, record: _Record) -> None:
        """Forget why a file could not be read; should that happen again, it is logged again."""
        record.reason, record.unreadable_logged, record.restless_logged = None, False, False
        self._forget_lock(record)

    # --- Editors' locks ------------------------------------------------------------------------

    def _wait_for_lock(self, record: _Record, lock: bytes | None) -> None:
        self._forget_lock(record)
        if lock is not None:
            folder, path = record.key
            directory, slash, _ = path.rpartition(b"/")
            record.lock = (folder, directory + slash + lock)
            self._locks[record.lock] = record.key

    def _forget_lock(self, record: _Record) -> None:
        if record.lock is not None and self._locks.get(record.lock) == record.key:
            del self._locks[record.lock]
        record.lock = None

    def _end_lock(self, lock: Key, at: float) -> None:
        """Look at once at the file beside an editor's lock to which something happened.

        The editor has most likely been closed, and the next look might be a minute away.
        """
        if lock not in self._locks:
            return
        record = self._records[self._locks[lock]]
        self._forget_lock(record)
        if record.phase is PathPhase.SETTLING:
            record.candidate = replace(record.candidate, not_before=at)
            heappush(self._agenda, (settle.due(record.candidate), record.key))

    # --- Folders -------------------------------------------------------------------------------

    def on_folder_down(self, folder: int) -> None:
        """Take back the looks that are out: they may come back as the folder's failure, naming no path."""
        for phase in LOOK_OUT:
            for record in [one for key, one in self._by_phase[phase].items() if key[0] == folder]:
                self._advance(record, PathEvent.SUSPEND)

    def on_folder_up(self, folder: int) -> None:
        """Put the paths of a folder on the agenda (again)."""
        for key, record in self._records.items():
            if key[0] == folder and record.phase in AWAITING_LOOK:
                heappush(self._agenda, (settle.due(record.candidate), key))

    def leave(self, folder: int, chosen: Filter | None = None) -> None:
        """Follow the paths of a folder no more: all of them, or those that its filter no longer accepts."""
        for record in [one for key, one in self._records.items() if key[0] == folder]:
            if chosen is None or not chosen.accepts(record.key[1]):
                self._advance(record, PathEvent.LEAVE)
        if chosen is None:
            self.unfollowed.discard(folder)
            self.past_ceiling = tuple(one for one in self.past_ceiling if one.folder != folder)

    # --- The log -------------------------------------------------------------------------------

    def _log_path(self, text: Log, key: Key, cause: Cause, **values: object) -> None:
        self._log(text, folder=key[0], path=names.readable(key[1]), **cause.log_values(), **values)

    def log_past_ceiling(self, at: float) -> None:
        """Log the files that have been settling for a day; each once."""
        if at < self._ceiling_at:
            return
        self._ceiling_at = at + CEILING_INTERVAL
        late = list(self._past_ceiling(at))
        self.past_ceiling = tuple(PastCeiling(*one.key, one.candidate.first) for one in late)
        for one in late:
            if not one.ceiling_logged:
                one.ceiling_logged = True
                hours = int((at - one.candidate.first) // 3600)
                self._log_path(Log.UNSETTLED, one.key, one.reason or _CHANGING, hours=hours)

    def _past_ceiling(self, at: float) -> Iterator[_Record]:
        """Yield the oldest records, up to the first that is not yet past the ceiling."""
        for record in self._records.values():
            if not settle.is_past_ceiling(record.candidate, at):
                return
            up = self._folders[record.key[0]].phase is WatchPhase.UP
            if up and record.phase in UNDECIDED:
                yield record
