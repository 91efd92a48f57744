"""Decisions on files that settled, were read or are missing: versions and their deliveries.

`decide` only reads the ledger and `write` writes what was decided; the loop takes it over once that is on
disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from dingwatch import novelty, settle
from dingwatch.intake.candidates import Key, Settled
from dingwatch.intake.first_look import LookStep
from dingwatch.intake.folder import Folder
from dingwatch.intake.jobs import Examine, Examined
from dingwatch.ledger import folders as bound
from dingwatch.ledger import pauses, versions
from dingwatch.ledger.folders import ScanMark
from dingwatch.ledger.store import Store
from dingwatch.ledger.versions import NewVersion, Renewal
from dingwatch.lifecycle import WITHDRAWABLE
from dingwatch.model import Cause, Fingerprint, Now
from dingwatch.novelty import Comparison, Known, Moved, New, Novelty, Read, Returned, Touched, Unchanged
from dingwatch.payload import carries_content, choose_payload

HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one tick has to decide on."""

    steps: Sequence[LookStep]
    settled: Sequence[Settled]
    examined: Sequence[Examined]
    gone: Sequence[Key]
    claimed: AbstractSet[int]
    """Versions that may have moved to a path which is still to be read."""
    left_out: Mapping[Key, Fingerprint]
    touched: Mapping[int, int] = field(default_factory=dict)
    """How many files of each folder wait or are read because only their times have changed."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to decide."""
        return not (self.steps or self.settled or self.examined or self.gone or self.left_out)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Old files of a step of a folder's first look; `blank_device` as the ledger's mark has it."""

    folder: Folder
    step: LookStep
    old: Sequence[NewVersion]
    blank_device: str | None
    scan: ScanMark


@dataclass(slots=True)
class Writes:
    """All that one tick writes to the ledger."""

    baselines: list[Baseline] = field(default_factory=list)
    left_out: list[NewVersion] = field(default_factory=list)
    new: list[NewVersion] = field(default_factory=list)
    renewed: list[Renewal] = field(default_factory=list)
    present: list[int] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    """Versions that their paths no longer hold, because they hold another."""
    superseded: list[int] = field(default_factory=list)
    withdrawn: dict[int, float] = field(default_factory=dict)
    """Versions whose files were removed, and when each was first missed (wall clock)."""
    returned: list[int] = field(default_factory=list)

    @property
    def concern_delivery(self) -> bool:
        """Whether delivery has something to look at."""
        return bool(self.new or self.renewed or self.superseded or self.withdrawn or self.returned)

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.concern_delivery or self.present or self.baselines or self.left_out)


@dataclass(slots=True)
class Decided:
    """All that one tick has decided."""

    writes: Writes = field(default_factory=Writes)
    finished: list[Settled] = field(default_factory=list)
    """Files that are decided on without being read."""
    to_read: list[tuple[Settled, Examine]] = field(default_factory=list)
    to_wait: list[tuple[Settled, float, bool]] = field(default_factory=list)
    """Files that need a longer quiet period, which, and whether because only their times have changed."""
    waiting: Mapping[int, int] = field(default_factory=dict)
    """How many files of each folder wait or are read because only their times have changed."""
    to_look: list[Key] = field(default_factory=list)
    """Paths that were taken for moved versions, which have meanwhile been found elsewhere."""
    floods: list[Folder] = field(default_factory=list)
    """Folders in which more settled within an hour than may go without a person's word."""
    touched: list[Folder] = field(default_factory=list)
    """Folders in which so many old files have another time and nothing else that a person must decide."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be decided on, and the versions of its path; `digest` is None until it has been read."""

    key: Key
    fingerprint: Fingerprint
    known: Sequence[Known]
    digest: str | None = None


def _name(file: _File) -> bytes:
    return file.key[1].rpartition(b"/")[2]


def _needs_digest(file: _File, found: Novelty, *, must_read: bool, reads: bool) -> bool:
    """Return whether a file that is known by its size and mtime is to be read all the same.

    Its event may tell of other content; but a baseline has no digest to be compared with, and neither has a
    version of which people only got a notice. When that one is to be sent as a file after all, its digest is
    taken late.
    """
    versions = [
        one for one in file.known if isinstance(found, Unchanged | Returned) and one.id == found.version
    ]
    has_digest = any(one.digest is not None for one in versions)
    return (must_read and has_digest) or (reads and isinstance(found, Returned) and not has_digest)


def _baseline_versions(there: Mapping[Key, Fingerprint], now: Now) -> list[NewVersion]:
    return [NewVersion(*key, seen, None, now.wall, now.wall) for key, seen in there.items()]


class Decisions:
    """Decides by `novelty.classify`, with what the ledger knows."""

    def __init__(
        self,
        store: Store,
        folders: Mapping[int, Folder],
        missing_since: Callable[[Key], float | None],
        app: str,
        refused: frozenset[str],
    ) -> None:
        self._store = store
        self._folders = folders
        self._missing_since = missing_since
        self._app = app
        self._refused = refused

    def decide(self, connection: Connection, batch: Batch, now: Now) -> Decided:
        """Decide on everything in a batch, without writing anything."""
        decided = Decided(waiting=batch.touched)
        for one in batch.steps:
            decided.writes.baselines.append(self._baseline(connection, one, now))
        decided.writes.left_out = self._list_unknown(connection, batch.left_out, now)
        self._decide_settled(connection, decided, batch.settled, now)
        self._decide_examined(connection, decided, batch.examined, now)
        moved = {one.version for one in decided.writes.renewed} | batch.claimed
        for key, known in self._here(connection, batch.gone).items():
            missing_since = self._missed_at(key, now)
            decided.writes.withdrawn |= {
                one.id: now.wall if missing_since is None else missing_since
                for one in known
                if one.id not in moved and (not one.missing or one.states & WITHDRAWABLE)
            }
        return decided

    def _missed_at(self, key: Key, now: Now) -> float | None:
        """Return when a file was first looked for in vain (wall clock), as far as this run knows."""
        missed = self._missing_since(key)
        return None if missed is None else now.wall - (now.monotonic - missed)

    def _was_there(self, key: Key, known: Known, since: float, now: Now) -> bool:
        """Return whether the file of a version was still there at an instant (wall clock).

        That it is missing may not have been written down yet: a path is looked for twice before.
        """
        missed = self._missed_at((key[0], known.path), now)
        return known.was_there(since) and (missed is None or missed >= since)

    # --- What settled ----------------------------------------------------------------------------

    def _decide_settled(
        self, connection: Connection, decided: Decided, settled: Sequence[Settled], now: Now
    ) -> None:
        here = self._here(connection, [one.key for one in settled])
        alike = self._alike(connection, settled)
        for one in settled:
            file = _File(one.key, one.fingerprint, here[one.key])
            since = now.wall - (now.monotonic - one.since)
            # A version like it under another path may be this file before it was moved. Whether it has left
            # that path is seen when this file is read.
            others = tuple(
                rival
                for rival in alike[one.key]
                if rival.path != one.key[1] and rival.counts and self._was_there(one.key, rival, since, now)
            )
            reads = self._is_to_be_read(file)
            found = self._classify(file, (), reads=True)
            known = isinstance(found, Unchanged) or (isinstance(found, Returned) and not others)
            if known and not _needs_digest(file, found, must_read=one.candidate.must_read, reads=reads):
                decided.finished.append(one)
                self._enter(decided.writes, file, found, now)
                continue
            ages = (now.wall - known.noticed_at for known in file.known if not known.baseline)
            recent = sum(0.0 <= age < HOUR for age in ages)  # less than 0 after the clock was set back
            touched = novelty.find_touched_baseline(one.fingerprint, file.known)
            if touched is not None and one.candidate.shifted:
                decided.finished.append(one)
                self._enter(decided.writes, file, Touched(touched.id), now)
                continue
            quiet = settle.quiet_for(self._folders[one.key[0]].quiet, recent)
            if touched is not None:
                quiet = max(quiet, settle.quiet_of(one.key[1], quiet)) + settle.TOUCHED_WAIT
            # An editor that saves every ten seconds would send every save: each further version of a path
            # within an hour must keep still for twice as long as the one before.
            if quiet > one.candidate.quiet and (recent or touched is not None):
                decided.to_wait.append((one, quiet, touched is not None))
                continue
            locks_since = settle.locks_since(one.candidate, now.monotonic, now.wall)
            job = Examine(*one.key, one.fingerprint, others, locks_since, known, since, reads)
            decided.to_read.append((one, job))

    def _is_to_be_read(self, file: _File) -> bool:
        """Return whether bytes of a file will be uploaded, so that its digest is needed.

        A film of 60 GB of which people get a notice would be read for minutes, for nothing.
        """
        code, size = self._folders[file.key[0]].settings.code, file.fingerprint.size
        payload = choose_payload(_name(file), size, "", code, self._refused)
        return carries_content(payload, size, code.media_limit)

    def _classify(self, file: _File, movable: Sequence[Known], *, reads: bool) -> Novelty:
        folder = self._folders[file.key[0]]
        comparison = Comparison(folder.settings.on_change, steady=folder.steady, reads=reads)
        return novelty.classify(file.fingerprint, file.digest, file.known, movable, comparison)

    # --- What was read ---------------------------------------------------------------------------

    def _decide_examined(
        self, connection: Connection, decided: Decided, examined: Sequence[Examined], now: Now
    ) -> None:
        if not examined:
            return
        self._refused |= pauses.list_refused_extensions(connection, self._app)
        paths = {(one.job.folder, known.path) for one in examined for known in one.movable}
        here = self._here(connection, sorted(paths | {(one.job.folder, one.job.path) for one in examined}))
        taken: set[int] = set()
        for one in examined:
            key = (one.job.folder, one.job.path)
            file = _File(key, one.job.fingerprint, here[key], one.digest)
            # The ledger may have learnt since the reading that a rival lies elsewhere, and of two names of
            # one file that move at once, each takes a version of its own.
            left = {there.id for known in one.movable for there in here[key[0], known.path]} - taken
            movable = [
                known
                for known in one.movable
                if known.id in left and self._was_there(key, known, one.job.since, now)
            ]
            # DingTalk may have refused its extension meanwhile: it goes zipped, and is read after all.
            reads = one.job.reads or self._is_to_be_read(file)
            found = self._classify(file, movable, reads=reads)
            if isinstance(found, Moved):
                taken.add(found.version)
            if isinstance(found, Read):
                decided.to_look.append(key)
            self._enter(decided.writes, file, found, now)

    # --- What is known ---------------------------------------------------------------------------

    def _here(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, list[Known]]:
        paths = defaultdict(list)
        for folder, path in keys:
            paths[folder].append(path)
        return {
            (folder, path): known
            for folder, listed in paths.items()
            for path, known in versions.find_by_path(connection, folder, listed).items()
        }

    def _alike(self, connection: Connection, settled: Sequence[Settled]) -> dict[Key, list[Known]]:
        """Return the versions with the size, mtime and inode of each file; where inodes change, with any."""
        by_folder = defaultdict(list)
        for one in settled:
            by_folder[one.key[0]].append(one)
        found: dict[Key, list[Known]] = {}
        for folder, listed in by_folder.items():
            fingerprints = [one.fingerprint for one in listed]
            if self._folders[folder].steady:
                inodes = versions.find_by_inode(connection, folder, [one.inode for one in fingerprints])
                alike = [inodes.get(one.inode, []) for one in fingerprints]
            else:
                states = versions.find_by_size_and_mtime(connection, folder, fingerprints)
                alike = [states.get((one.size, one.mtime_ns), []) for one in fingerprints]
            for one, known in zip(listed, alike, strict=True):
                found[one.key] = [like for like in known if like.same_as(one.fingerprint)]
        return found

    # --- What is to be written -------------------------------------------------------------------

    def _enter(self, writes: Writes, file: _File, found: Novelty, now: Now) -> None:
        """Enter what is to be written of one file."""
        path, fingerprint = file.key[1], file.fingerprint
        current = None if isinstance(found, New | Read) else found.version
        if not any(one.id == current and not one.missing for one in file.known):
            # What a name held before this is not there any more: found elsewhere, it has not just moved.
            writes.replaced += [one.id for one in file.known if one.id != current and not one.missing]
        match found:
            case Unchanged(version):
                writes.present += [one.id for one in file.known if one.id == version and one.missing]
            case Returned(version):
                writes.returned.append(version)
                writes.renewed.append(Renewal(version, path, fingerprint, "returned", file.digest))
            case Touched(version):
                writes.returned.append(version)  # what is gone of it may be sent after all
                writes.renewed.append(Renewal(version, path, fingerprint, "touched"))
            case Moved(version, supersedes):
                writes.returned.append(version)
                writes.renewed.append(Renewal(version, path, fingerprint, "moved"))
                writes.superseded += supersedes
            case New(supersedes, ignored):
                writes.superseded += supersedes
                writes.new.append(self._new(file, now, ignored=ignored))

    def _new(self, file: _File, now: Now, *, ignored: bool) -> NewVersion:
        folder, path = file.key
        skipped = None
        if ignored:
            skipped = Cause("on_change", "", "ON_CHANGE_IGNORE")
        elif file.fingerprint.size == 0:
            skipped = Cause("empty", "", "EMPTY")
        settings, size, digest = self._folders[folder].settings, file.fingerprint.size, file.digest
        return NewVersion(
            folder=folder,
            path=path,
            fingerprint=file.fingerprint,
            digest=digest,
            noticed_at=now.wall,
            settled_at=now.wall,
            payload=choose_payload(_name(file), size, digest or "", settings.code, self._refused),
            recipients=settings.conversations,
            skipped=skipped,
            touched=novelty.find_touched_baseline(file.fingerprint, file.known) is not None,
        )

    def _baseline(self, connection: Connection, step: LookStep, now: Now) -> Baseline:
        folder = self._folders[step.folder]
        old = self._old(connection, folder, step, now) if folder.settings.existing == "skip" else []
        return Baseline(folder, step, old, folder.blank_device, folder.mark_scan(now))

    def _old(self, connection: Connection, folder: Folder, step: LookStep, now: Now) -> list[NewVersion]:
        """Return what was there before; what came while it was listed is new."""
        there = {(folder.id, path): seen for path, seen in step.files if not folder.is_new(path, seen, now)}
        return self._list_unknown(connection, there, now) if step.again else _baseline_versions(there, now)

    def _list_unknown(
        self, connection: Connection, there: Mapping[Key, Fingerprint], now: Now
    ) -> list[NewVersion]:
        """Return the baseline versions of files, without those that the ledger knows as they are."""
        unknown = {key: seen for key, seen in there.items() if not versions.is_known(connection, *key, seen)}
        return _baseline_versions(unknown, now)

    # --- Writing ---------------------------------------------------------------------------------

    def write(self, connection: Connection, decided: Decided, now: Now) -> None:
        """Write what was decided. Withdraw before adding: an older version never follows a newer one."""
        writes = decided.writes
        for one in writes.baselines:
            versions.add(self._store, connection, one.old, now.wall)
            versions.forget_baseline(connection, one.folder.id, one.step.written_since)
            if one.step.last:
                bound.mark_first_look(connection, one.folder.id, now.wall, one.blank_device)
                bound.save_scans(connection, {one.folder.id: one.scan})
        versions.add(self._store, connection, writes.left_out, now.wall)
        versions.mark_missing(connection, dict.fromkeys(writes.replaced, now.wall))
        versions.withdraw(connection, writes.superseded, Cause("superseded", "", "SUPERSEDED"), now.wall)
        versions.renew(connection, writes.renewed, now.wall)
        versions.revive(connection, writes.returned, now.wall)
        versions.withdraw(connection, list(writes.withdrawn), Cause("withdrawn", "", "FILE_GONE"), now.wall)
        versions.mark_missing(connection, writes.withdrawn)
        versions.mark_present(connection, writes.present)
        versions.add(self._store, connection, [one for one in writes.new if not one.touched], now.wall)
        self._add_touched(connection, decided, [one for one in writes.new if one.touched], now)
        for number in sorted({one.folder for one in writes.new if one.folder is not None}):
            self._hold_flood(connection, decided, self._folders[number], now)

    def _add_touched(
        self, connection: Connection, decided: Decided, touched: Sequence[NewVersion], now: Now
    ) -> None:
        by_folder = defaultdict(list)
        for one in touched:
            if one.folder is not None:
                by_folder[one.folder].append(one)
        for number, new in by_folder.items():
            added = versions.add(self._store, connection, new, now.wall)
            waiting = decided.waiting.get(number, 0) - len(new)
            if bound.hold_touched(connection, number, added, now.wall, max(0, waiting)):
                decided.touched.append(self._folders[number])

    def _hold_flood(self, connection: Connection, decided: Decided, folder: Folder, now: Now) -> None:
        most = folder.settings.hold_over
        if most is not None and bound.hold_flood(connection, folder.id, now.wall - HOUR, most, now.wall):
            decided.floods.append(folder)
