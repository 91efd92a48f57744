"""Decisions on files that settled, were read or are missing: versions and their deliveries.

`decide` only reads the ledger and `write` writes what was decided; the loop takes it over once that is on
disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from dingwatch import novelty, settle
from dingwatch.intake.candidates import Key, Settled
from dingwatch.intake.first_look import LookStep
from dingwatch.intake.folder import Folder
from dingwatch.intake.jobs import Examine, Examined
from dingwatch.ledger import fingerprints, moves, pauses, versions
from dingwatch.ledger import folders as bound
from dingwatch.ledger.bundles import find_uploaded, join_burst
from dingwatch.ledger.fingerprints import Adopted
from dingwatch.ledger.folders import ScanMark
from dingwatch.ledger.moves import UnderWay
from dingwatch.ledger.store import Store
from dingwatch.ledger.versions import File, NewVersion, Renewal
from dingwatch.lifecycle import IGNORED, WITHDRAWABLE
from dingwatch.model import Cause, Fingerprint, Now
from dingwatch.novelty import Comparison, Known, Moved, New, Novelty, Read, Returned, Touched, Unchanged
from dingwatch.payload import NOTICE, carries_content, choose_payload, joins_bundle

HOUR: Final = 3600.0
DOUBTED_AT_ONCE: Final = 1000
"""Files that only this node misses which are asked about in one transaction."""
UNDER_WAY: Final = 1.0
"""Seconds by which a file waits longer that may be one which dingwatch is moving; that takes milliseconds."""


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
    adopted: Sequence[Adopted] = ()
    """Versions of shared folders that a scan has recognised; they are recorded without a decision."""
    doubted: Sequence[int] = ()
    """Shared folders of which it is to be asked whether what only this node misses is missing indeed."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to decide."""
        found = self.steps or self.settled or self.examined or self.gone or self.left_out
        return not (found or self.adopted or self.doubted)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Old files of a step of a folder's first look; `blank_device` as the ledger's mark has it."""

    folder: Folder
    step: LookStep
    old: Sequence[File]
    blank_device: str | None
    scan: ScanMark


@dataclass(slots=True)
class Writes:
    """All that one tick writes to the ledger."""

    baselines: list[Baseline] = field(default_factory=list)
    left_out: dict[int, list[File]] = field(default_factory=dict)
    """Old files of each folder that the filter of its last scan left out."""
    new: list[NewVersion] = field(default_factory=list)
    renewed: list[Renewal] = field(default_factory=list)
    present: list[int] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    """Versions that their paths no longer hold, because they hold another."""
    superseded: list[int] = field(default_factory=list)
    withdrawn: dict[int, float] = field(default_factory=dict)
    """Versions whose files were removed, and when each was first missed (wall clock)."""
    returned: list[int] = field(default_factory=list)
    seen: dict[int, Fingerprint] = field(default_factory=dict)
    """Versions of shared folders, as this node sees them."""
    missed: dict[int, float] = field(default_factory=dict)
    """Versions of shared folders that this node misses, and since when (ledger's clock)."""

    @property
    def concern_delivery(self) -> bool:
        """Whether delivery has something to look at."""
        return bool(self.new or self.renewed or self.superseded or self.withdrawn or self.returned)

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        shared = self.seen or self.missed
        return not (self.concern_delivery or self.present or self.baselines or self.left_out or shared)


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
    refused: list[int] = field(default_factory=list)
    """Shared folders whose first look another node is taking, or has taken."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be decided on, and the versions of its path; `digest` is None until it has been read."""

    key: Key
    fingerprint: Fingerprint
    known: Sequence[Known]
    digest: str | None = None


def _name(file: _File) -> bytes:
    return file.key[1].rpartition(b"/")[2]


def _by_folder(files: Mapping[Key, Fingerprint]) -> dict[int, list[File]]:
    found = defaultdict(list)
    for (folder, path), seen in files.items():
        found[folder].append((path, seen))
    return found


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


def _list_unknown(connection: Connection, folder: Folder, files: Iterable[File]) -> list[File]:
    """Return those of these files that the ledger does not know as they are."""
    shared = folder.settings.shared
    return [one for one in files if not versions.is_known(connection, folder.id, *one, shared=shared)]


def _shows_former(file: _File) -> bool:
    """Return whether a share shows this node what its path held before another node saw the present version.

    A mount may show for a minute what it showed before. Were that taken for a file that was restored, it
    would go out after the newer one.
    """
    newer = max((one.id for one in file.known if one.seen_elsewhere and not one.missing), default=0)
    return any(
        one.seen and one.same_as(file.fingerprint) and one.id < newer for one in file.known
    ) and not any(one.same_as(file.fingerprint) and one.id >= newer for one in file.known)


class Decisions:
    """Decides by `novelty.classify`, with what the ledger knows."""

    def __init__(
        self,
        store: Store,
        folders: Mapping[int, Folder],
        missing_since: Callable[[Key], float | None],
        is_followed: Callable[[Key], bool],
        app: str,
        refused: frozenset[str],
    ) -> None:
        self._store = store
        self._folders = folders
        self._missing_since = missing_since
        self._is_followed = is_followed
        self._app = app
        self._refused = refused

    def decide(self, connection: Connection, batch: Batch, now: Now) -> Decided:
        """Decide on everything in a batch, without writing anything."""
        decided = Decided(waiting=batch.touched)
        # Of a file that is being moved away or back, nobody knows at this moment at which path it is: what
        # lies there may be the file itself, or another one that was dropped since.
        under_way = moves.find_under_way(connection)
        for one in batch.steps:
            if self._may_look(connection, one.folder):
                decided.writes.baselines.append(self._baseline(connection, one, now))
            elif one.folder not in decided.refused:
                decided.refused.append(one.folder)
        for folder, files in _by_folder(batch.left_out).items():
            if unknown := _list_unknown(connection, self._folders[folder], files):
                decided.writes.left_out[folder] = unknown
        self._decide_settled(connection, decided, batch.settled, now, under_way)
        self._decide_examined(connection, decided, batch.examined, now, under_way)
        moved = {one.version for one in decided.writes.renewed} | batch.claimed
        for key, known in self._here(connection, [*batch.gone, *self._doubted(connection, batch)]).items():
            missing_since = self._missed_at(key, now)
            missed = {
                one.id: now.ledger if missing_since is None else missing_since
                for one in known
                if one.id not in moved and (not one.missing or one.unconfirmed or one.states & WITHDRAWABLE)
            }
            if self._folders[key[0]].settings.shared:
                missed = self._confirm(connection, decided.writes, known, missed)
            decided.writes.withdrawn |= missed
        return decided

    def _may_look(self, connection: Connection, folder: int) -> bool:
        """Return whether this node takes the first look at a folder."""
        if not self._folders[folder].settings.shared:
            return True
        share = bound.read_share(connection, folder)
        return not share.looked and share.looker is None

    def _doubted(self, connection: Connection, batch: Batch) -> list[Key]:
        """Return the paths that only this node misses in shared folders; not those that are back."""
        return [
            (folder, path)
            for folder in batch.doubted
            for path in fingerprints.list_doubted(connection, folder, DOUBTED_AT_ONCE)
            if not self._is_followed((folder, path))
        ]

    @staticmethod
    def _confirm(
        connection: Connection, writes: Writes, known: Sequence[Known], missed: Mapping[int, float]
    ) -> dict[int, float]:
        """Return the versions whose absence is believed, of those that this node misses in a share.

        The others are only noted. What it has never seen, it cannot miss.
        """
        writes.missed |= {one.id: missed[one.id] for one in known if one.id in missed and not one.missing}
        believed = fingerprints.list_believed(connection, list(missed))
        return {number: since for number, since in missed.items() if number in believed}

    def _missed_at(self, key: Key, now: Now) -> float | None:
        """Return when a file was first looked for in vain (ledger's clock), as far as this run knows."""
        missed = self._missing_since(key)
        return None if missed is None else now.ledger - (now.monotonic - missed)

    def _was_there(self, key: Key, known: Known, since: float, now: Now) -> bool:
        """Return whether the file of a version was still there at an instant (ledger's clock).

        That it is missing may not have been written down yet: a path is looked for twice before.
        """
        missed = self._missed_at((key[0], known.path), now)
        return known.was_there(since) and (missed is None or missed >= since)

    # --- What settled ----------------------------------------------------------------------------

    def _decide_settled(
        self,
        connection: Connection,
        decided: Decided,
        settled: Sequence[Settled],
        now: Now,
        under_way: UnderWay,
    ) -> None:
        here = self._here(connection, [one.key for one in settled])
        alike = self._alike(connection, settled)
        for one in settled:
            file = _File(one.key, one.fingerprint, here[one.key])
            since = now.ledger - (now.monotonic - one.since)
            # A version like it under another path may be this file before it was moved. Whether it has left
            # that path is seen when this file is read.
            others = tuple(
                rival
                for rival in alike[one.key]
                if rival.path != one.key[1] and rival.counts and self._was_there(one.key, rival, since, now)
            )
            if _shows_former(file):
                decided.finished.append(one)
                continue
            if under_way.concerns(one.key, others):
                decided.to_wait.append((one, one.candidate.quiet + UNDER_WAY, False))
                continue
            reads = self._is_to_be_read(file)
            found = self._classify(file, (), reads=True)
            known = isinstance(found, Unchanged) or (isinstance(found, Returned) and not others)
            if known and not _needs_digest(file, found, must_read=one.candidate.must_read, reads=reads):
                decided.finished.append(one)
                self._enter(decided.writes, file, found, now)
                continue
            ages = (now.ledger - known.noticed_at for known in file.known if not known.baseline)
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
        self,
        connection: Connection,
        decided: Decided,
        examined: Sequence[Examined],
        now: Now,
        under_way: UnderWay,
    ) -> None:
        if not examined:
            return
        self._refused |= pauses.list_refused_extensions(connection, self._app)
        paths = {(one.job.folder, known.path) for one in examined for known in one.movable}
        here = self._here(connection, sorted(paths | {(one.job.folder, one.job.path) for one in examined}))
        taken: set[int] = set()
        for one in examined:
            key = (one.job.folder, one.job.path)
            if under_way.concerns(key, one.movable):
                decided.to_look.append(key)
                continue
            file = _File(key, one.job.fingerprint, here[key], one.digest)
            if _shows_former(file):
                continue
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
            for path, known in versions.find_by_path(
                connection, folder, listed, shared=self._folders[folder].settings.shared
            ).items()
        }

    def _alike(self, connection: Connection, settled: Sequence[Settled]) -> dict[Key, list[Known]]:
        """Return the versions with the size, mtime and inode of each file; where inodes change, with any."""
        by_folder = defaultdict(list)
        for one in settled:
            by_folder[one.key[0]].append(one)
        found: dict[Key, list[Known]] = {}
        for folder, listed in by_folder.items():
            seen, shared = [one.fingerprint for one in listed], self._folders[folder].settings.shared
            if self._folders[folder].steady:
                numbers = [one.inode for one in seen]
                inodes = versions.find_by_inode(connection, folder, numbers, shared=shared)
                alike = [inodes.get(one.inode, []) for one in seen]
            else:
                states = versions.find_by_size_and_mtime(connection, folder, seen, shared=shared)
                alike = [states.get((one.size, one.mtime_ns), []) for one in seen]
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
        if self._folders[file.key[0]].settings.shared:
            found = self._enter_shared(writes, file, found)
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

    @staticmethod
    def _enter_shared(writes: Writes, file: _File, found: Novelty) -> Novelty:
        """Enter how this node sees a version of a share; return what is still to be written of it.

        Two nodes see the same file. What the other one has written down already, of a file that was touched,
        is recorded for this one without another line in its history.
        """
        if isinstance(found, New | Read):
            return found
        known = next((one for one in file.known if one.id == found.version), None)
        if known is None or not known.seen or known.missing or not isinstance(found, Unchanged):
            writes.seen[found.version] = file.fingerprint
        recorded = known is not None and (not known.seen or known.is_recorded_as(file.fingerprint))
        if isinstance(found, Touched) and recorded:
            writes.returned.append(found.version)
            return Unchanged(found.version)
        return found

    def _new(self, file: _File, now: Now, *, ignored: bool) -> NewVersion:
        folder, path = file.key
        skipped = None
        if ignored:
            skipped = Cause(IGNORED, "", "ON_CHANGE_IGNORE")
        elif file.fingerprint.size == 0:
            skipped = Cause("empty", "", "EMPTY")
        settings, size, digest = self._folders[folder].settings, file.fingerprint.size, file.digest
        return NewVersion(
            folder=folder,
            path=path,
            fingerprint=file.fingerprint,
            digest=digest,
            noticed_at=now.ledger,
            settled_at=now.ledger,
            payload=choose_payload(_name(file), size, digest or "", settings.code, self._refused),
            recipients=settings.conversations,
            skipped=skipped,
            touched=novelty.find_touched_baseline(file.fingerprint, file.known) is not None,
            shared=settings.shared,
        )

    def _baseline(self, connection: Connection, step: LookStep, now: Now) -> Baseline:
        folder = self._folders[step.folder]
        old = self._old(connection, folder, step, now) if folder.settings.existing == "skip" else []
        return Baseline(folder, step, old, folder.blank_device, folder.mark_scan(now))

    def _old(self, connection: Connection, folder: Folder, step: LookStep, now: Now) -> list[File]:
        """Return what was there before; what came while it was listed is new."""
        old = folder.list_old(step.files, now)
        return _list_unknown(connection, folder, old) if step.again else old

    # --- Writing ---------------------------------------------------------------------------------

    def write(self, connection: Connection, decided: Decided, now: Now) -> None:
        """Write what was decided. Withdraw before adding: an older version never follows a newer one."""
        writes = decided.writes
        for one in writes.baselines:
            shared = one.folder.settings.shared
            versions.add_baseline(self._store, connection, one.folder.id, one.old, now.ledger, shared=shared)
            versions.forget_baseline(connection, one.folder.id, one.step.written_since)
            if one.step.last:
                bound.mark_first_look(connection, one.folder.id, now.wall, one.blank_device)
                bound.save_scans(connection, {one.folder.id: one.scan})
        for folder, files in writes.left_out.items():
            shared = self._folders[folder].settings.shared
            versions.add_baseline(self._store, connection, folder, files, now.ledger, shared=shared)
        versions.mark_missing(connection, dict.fromkeys(writes.replaced, now.ledger))
        versions.withdraw(connection, writes.superseded, Cause("superseded", "", "SUPERSEDED"), now.ledger)
        versions.renew(connection, writes.renewed, now.ledger)
        versions.revive(connection, writes.returned, now.ledger)
        versions.withdraw(connection, list(writes.withdrawn), Cause("withdrawn", "", "FILE_GONE"), now.ledger)
        versions.mark_missing(connection, writes.withdrawn)
        fingerprints.note_missing(connection, writes.missed)
        versions.mark_present(connection, writes.present)
        fingerprints.note_seen(self._store, connection, writes.seen, now.ledger)
        new = self._join_bursts(connection, writes.new, now)
        versions.add(self._store, connection, [one for one in new if not one.touched], now.ledger)
        self._add_touched(connection, decided, [one for one in new if one.touched], now)
        bound.note_looked(
            connection, sorted({one.folder for one in new if one.folder and one.shared}), now.ledger
        )
        for number in sorted({one.folder for one in writes.new if one.folder is not None}):
            self._hold_flood(connection, decided, self._folders[number], now)

    def _join_bursts(
        self, connection: Connection, new: Sequence[NewVersion], now: Now
    ) -> Sequence[NewVersion]:
        """Let files of folders with `bundle` wait for others, unless each goes by itself in any case."""
        waiting = {one.payload.key for one in new if self._may_wait(one)}
        if not waiting:
            return new
        # What DingTalk has costs no upload, and a notice is never uploaded.
        have = find_uploaded(connection, [key for key in waiting if key.type != NOTICE])
        until: dict[int, float] = {}
        found = []
        for one in new:
            if one.folder is not None and self._may_wait(one) and one.payload.key not in have:
                wait = self._folders[one.folder].settings.bundle_wait or 0.0
                if one.folder not in until:
                    until[one.folder] = join_burst(connection, one.folder, wait, now.ledger)
                found.append(replace(one, gathers_until=until[one.folder]))
            else:
                found.append(one)
        return found

    def _may_wait(self, one: NewVersion) -> bool:
        if one.folder is None or one.skipped is not None:
            return False
        settings = self._folders[one.folder].settings
        return settings.bundle_wait is not None and joins_bundle(
            one.payload, one.fingerprint.size, settings.code
        )

    def _add_touched(
        self, connection: Connection, decided: Decided, touched: Sequence[NewVersion], now: Now
    ) -> None:
        by_folder = defaultdict(list)
        for one in touched:
            if one.folder is not None:
                by_folder[one.folder].append(one)
        for number, new in by_folder.items():
            added = versions.add(self._store, connection, new, now.ledger)
            waiting = decided.waiting.get(number, 0) - len(new)
            if bound.hold_touched(connection, number, added, now.ledger, max(0, waiting)):
                decided.touched.append(self._folders[number])

    def _hold_flood(self, connection: Connection, decided: Decided, folder: Folder, now: Now) -> None:
        most = folder.settings.hold_over
        if most is not None and bound.hold_flood(connection, folder.id, now.ledger - HOUR, most, now.ledger):
            decided.floods.append(folder)
