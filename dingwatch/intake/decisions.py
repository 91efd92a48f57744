"""What becomes of files that settled, were read, or are missing: versions and their deliveries.

Called within one transaction of the ledger; what it returns is taken over once that is on disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dingwatch import novelty, settle
from dingwatch.intake.candidates import Key, Settled
from dingwatch.intake.folder import Folder
from dingwatch.intake.jobs import Examine, Examined, Listed
from dingwatch.ledger import folders as bound
from dingwatch.ledger import pauses, versions
from dingwatch.ledger.store import Store, chunks
from dingwatch.ledger.versions import NewVersion, Renewal
from dingwatch.model import Cause, Fingerprint, Now
from dingwatch.novelty import Known, Moved, New, Read, Returned, Touched, Unchanged
from dingwatch.payload import choose_payload

HOUR = 3600.0


@dataclass(slots=True)
class Writes:
    """What one tick writes to the ledger."""

    new: list[NewVersion] = field(default_factory=list)
    renewed: list[Renewal] = field(default_factory=list)
    present: list[int] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)

    def any(self) -> bool:
        """Say whether delivery has something to look at."""
        return bool(self.new or self.renewed or self.superseded or self.withdrawn or self.returned)


@dataclass(slots=True)
class Decided:
    """What was decided in one transaction."""

    writes: Writes = field(default_factory=Writes)
    to_read: list[tuple[Settled, Examine]] = field(default_factory=list)
    to_wait: list[tuple[Settled, float]] = field(default_factory=list)
    """Files that need a longer quiet period, and which."""
    to_look: list[Key] = field(default_factory=list)
    """Paths that were taken for moved versions, which have meanwhile been found elsewhere."""
    baselines: list[tuple[Folder, int]] = field(default_factory=list)
    """Folders whose first look was written, and how many files were there."""
    floods: list[Folder] = field(default_factory=list)
    """Folders in which more settled within an hour than may go without a person's word."""


class Decisions:
    """Decides by `novelty.novelty`, with what the ledger knows."""

    def __init__(
        self, store: Store, folders: Mapping[int, Folder], app: str, refused: frozenset[str]
    ) -> None:
        self._store = store
        self._folders = folders
        self._app = app
        self._refused = refused

    def decide(
        self,
        connection: Connection,
        now: Now,
        *,
        listed: Sequence[Listed],
        settled: Sequence[Settled],
        examined: Sequence[Examined],
        gone: Iterable[Key],
    ) -> Decided:
        """Decide on all of it, and write it."""
        decided = Decided()
        for one in listed:
            self._baseline(connection, decided, one, now)
        self._settled(connection, decided, settled, now)
        self._examined(connection, decided, examined, now)
        moved = {one.version for one in decided.writes.renewed}
        for known in self._here(connection, sorted(gone)).values():
            decided.writes.withdrawn += [one.id for one in known if one.id not in moved]
        self._write(connection, decided, now)
        return decided

    # --- What settled ----------------------------------------------------------------------------

    def _settled(
        self, connection: Connection, decided: Decided, settled: Sequence[Settled], now: Now
    ) -> None:
        here = self._here(connection, [one.key for one in settled])
        alike = self._alike(connection, settled)
        for one in settled:
            known = here[one.key]
            rivals = alike.get((one.key[0], one.fingerprint.size, one.fingerprint.mtime_ns), [])
            others = tuple(rival for rival in rivals if rival.path != one.key[1] and rival.counts)
            found = novelty.classify(one.fingerprint, None, known, (), on_change=self._on_change(one.key))
            decided_now = isinstance(found, Unchanged) or (isinstance(found, Returned) and not others)
            if decided_now and not one.candidate.must_read:
                self._enter(decided.writes, one.key, one.fingerprint, None, found, now)
                continue
            recent = sum(version.noticed_at > now.wall - HOUR for version in known if not version.baseline)
            quiet = settle.quiet_for(self._folders[one.key[0]].quiet, recent)
            if quiet > one.candidate.quiet and recent:
                decided.to_wait.append((one, quiet))
                continue
            locks_since = settle.locks_since(one.candidate, now.monotonic, now.wall)
            decided.to_read.append((one, Examine(*one.key, one.fingerprint, others, locks_since)))

    def _on_change(self, key: Key) -> str:
        return self._folders[key[0]].settings.on_change

    # --- What was read ---------------------------------------------------------------------------

    def _examined(
        self, connection: Connection, decided: Decided, examined: Sequence[Examined], now: Now
    ) -> None:
        if not examined:
            return
        self._refused |= pauses.list_refused_extensions(connection, self._app)
        places = {(one.job.folder, known.path) for one in examined for known in one.movable}
        here = self._here(connection, sorted(places | {(one.job.folder, one.job.path) for one in examined}))
        taken: set[int] = set()
        for one in examined:
            key = (one.job.folder, one.job.path)
            left = {there.id for known in one.movable for there in here[key[0], known.path]} - taken
            movable = [known for known in one.movable if known.id in left]
            found = novelty.classify(
                one.job.fingerprint, one.digest, here[key], movable, on_change=self._on_change(key)
            )
            if isinstance(found, Moved):
                taken.add(found.version)
            if isinstance(found, Read):
                decided.to_look.append(key)
            self._enter(decided.writes, key, one.job.fingerprint, one.digest, found, now)

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

    def _alike(
        self, connection: Connection, settled: Sequence[Settled]
    ) -> dict[tuple[int, int, int], list[Known]]:
        fingerprints = defaultdict(list)
        for one in settled:
            fingerprints[one.key[0]].append(one.fingerprint)
        return {
            (folder, *state): known
            for folder, listed in fingerprints.items()
            for state, known in versions.find_by_size_and_mtime(connection, folder, listed).items()
        }

    # --- What is written -------------------------------------------------------------------------

    def _enter(
        self,
        writes: Writes,
        key: Key,
        fingerprint: Fingerprint,
        digest: str | None,
        novelty: novelty.Novelty,
        now: Now,
    ) -> None:
        match novelty:
            case Unchanged(version):
                writes.present.append(version)
            case Returned(version):
                writes.returned.append(version)
                writes.renewed.append(Renewal(version, key[1], fingerprint, "returned"))
            case Touched(version):
                writes.returned.append(version)  # what is gone of it may be sent after all
                writes.renewed.append(Renewal(version, key[1], fingerprint, "touched"))
            case Moved(version, supersedes):
                writes.returned.append(version)
                writes.renewed.append(Renewal(version, key[1], fingerprint, "moved"))
                writes.superseded += supersedes
            case New(supersedes, ignored):
                writes.superseded += supersedes
                writes.new.append(self._new(key, fingerprint, digest or "", now, ignored=ignored))

    def _new(self, key: Key, fingerprint: Fingerprint, digest: str, now: Now, *, ignored: bool) -> NewVersion:
        skipped = None
        if ignored:
            skipped = Cause("on_change", "", "ON_CHANGE_IGNORE")
        elif fingerprint.size == 0:
            skipped = Cause("empty", "", "EMPTY")
        name = key[1].rpartition(b"/")[2]
        settings = self._folders[key[0]].settings
        return NewVersion(
            folder=key[0],
            path=key[1],
            fingerprint=fingerprint,
            digest=digest,
            noticed_at=now.wall,
            settled_at=now.wall,
            payload=choose_payload(name, fingerprint.size, digest, settings.code, self._refused),
            recipients=settings.conversations,
            skipped=skipped,
        )

    def _write(self, connection: Connection, decided: Decided, now: Now) -> None:
        """Withdraw before adding: an older version never follows a newer one."""
        writes = decided.writes
        versions.withdraw(connection, writes.superseded, Cause("superseded", "", "SUPERSEDED"), now.wall)
        versions.renew(connection, writes.renewed, now.wall)
        versions.revive(connection, writes.returned, now.wall)
        versions.withdraw(connection, writes.withdrawn, Cause("withdrawn", "", "FILE_GONE"), now.wall)
        versions.mark_missing(connection, writes.withdrawn, now.wall)
        versions.mark_present(connection, writes.present)
        versions.add(self._store, connection, writes.new, now.wall)
        for number in sorted({one.folder for one in writes.new if one.folder is not None}):
            self._hold_flood(connection, decided, self._folders[number], now)

    def _hold_flood(self, connection: Connection, decided: Decided, folder: Folder, now: Now) -> None:
        most = folder.settings.hold_over
        if most is not None and bound.hold_flood(connection, folder.id, now.wall - HOUR, most, now.wall):
            decided.floods.append(folder)

    # --- The first look --------------------------------------------------------------------------

    def _baseline(self, connection: Connection, decided: Decided, listed: Listed, now: Now) -> None:
        """Write what was there with the folder's mark; what had an event meanwhile is no baseline."""
        folder = self._folders[listed.folder]
        old = self._old(connection, folder, listed, now) if folder.settings.existing == "skip" else []
        versions.add(self._store, connection, old, now.wall)
        blank = folder.home.device if folder.home and not listed.files and not folder.mounted else None
        bound.mark_first_look(connection, folder.id, now.wall, blank)
        decided.baselines.append((folder, len(old)))

    def _old(self, connection: Connection, folder: Folder, listed: Listed, now: Now) -> list[NewVersion]:
        known = {
            (one.path, one.size, one.mtime_ns)
            for paths in chunks([path for path, _ in listed.files])
            for here in versions.find_by_path(connection, folder.id, paths).values()
            for one in here
        }
        return [
            NewVersion(folder.id, path, fingerprint, None, now.wall, now.wall)
            for path, fingerprint in listed.files
            if path not in folder.hinted and (path, fingerprint.size, fingerprint.mtime_ns) not in known
        ]
