"""The intake loop: notices and outcomes in, jobs out, versions and their deliveries into the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from dingwatch import policy, settle
from dingwatch.intake.folder import Folder, FolderSettings, Phase
from dingwatch.intake.jobs import (
    Anew,
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
from dingwatch.ledger import outbox, versions
from dingwatch.ledger.store import LedgerError, Store
from dingwatch.ledger.transitions import chunks
from dingwatch.ledger.versions import FolderMark, NewVersion, Renewed
from dingwatch.model import Cause, Fingerprint, FolderDown, Vanished, Verdict, WatchKind
from dingwatch.policy import Known, Moved, New, Returned, Touched, Unchanged
from dingwatch.settle import Candidate
from dingwatch.texts import Log
from dingwatch.watch import Notice, Overflow

HOUR: Final = 3600.0
LOOKS_AT_ONCE: Final = 256
EXAMINE_AT_ONCE: Final = 64
"""Files in hand for their digests; the others wait as candidates."""
ABSENT_WAIT: Final = 2.0
"""Seconds, beyond two quiet periods, that a missing file may turn up under another name."""
CLOCK_JUMP: Final = 60.0
LEDGER_RETRY: Final = 1.0

Key = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Instant:
    """Now, by both clocks: due times are of the wall clock, settling is of the monotonic one."""

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to carry out, when the loop is next needed (monotonic), and whether delivery has new work."""

    jobs: list[Job]
    next_at: float | None
    written: bool


@dataclass(slots=True)
class _Writes:
    """What one tick writes to the ledger."""

    new: list[NewVersion] = field(default_factory=list)
    renewed: list[Renewed] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)

    def any(self) -> bool:
        """Say whether there is anything to write."""
        return bool(self.new or self.renewed or self.superseded or self.withdrawn or self.returned)


class IntakeLoop:
    """Decides what is looked at, read and written down. `tick` takes outcomes in and gives jobs out."""

    def __init__(
        self,
        store: Store,
        folders: Sequence[tuple[FolderSettings, FolderMark]],
        *,
        app: str,
        refused: frozenset[str],
        say: Callable[..., None],
    ) -> None:
        self._store = store
        self._app = app
        self._refused = refused
        self._say = say
        self._folders = {
            settings.id: Folder(settings, mark.looked_at is not None, mark.blank_device)
            for settings, mark in folders
        }
        self._candidates: dict[Key, Candidate] = {}
        self._looking: set[Key] = set()
        self._settled: dict[Key, tuple[Candidate, Fingerprint]] = {}
        self._examining: dict[Key, Candidate] = {}
        self._absent: dict[Key, float] = {}
        self._confirming: set[Key] = set()
        self._shown: set[Key] = set()
        self._examined: list[Examined] = []
        self._listed: list[Listed] = []
        self._gone: set[Key] = set()
        self._offset: float | None = None
        self._ledger_down = False

    # --- What others may ask -----------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every folder is watched, with its first look taken, or reported down."""
        return all(f.phase is Phase.UP or f.reported for f in self._folders.values())

    def watching(self) -> dict[int, tuple[WatchKind, int]]:
        """Return how each folder is watched and how many of its files are settling."""
        settling: dict[int, int] = defaultdict(int)
        for folder, _ in {*self._candidates, *self._examining, *self._settled}:
            settling[folder] += 1
        return {f.id: (f.kind, settling[f.id]) for f in self._folders.values()}

    # --- One tick ----------------------------------------------------------------------------------

    def tick(self, now: Instant, inputs: Sequence[Input]) -> Plan:
        """Enter what came in, write what is decided, and return the jobs.

        When the ledger cannot be written, what was decided stays in hand for the next tick.
        """
        self._watch_the_clock(now)
        for one in inputs:
            self._enter(one, now)
        jobs = self._folder_jobs(now)
        written = False
        try:
            if self._examined or self._listed or self._settled or self._gone:
                jobs_more, written = self._decide(now)
                jobs += jobs_more
            self._ledger_down = False
        except LedgerError as error:
            self._ledger_lost(error)
        jobs += self._looks(now)
        return Plan(jobs, self._next_at(now), written)

    def _watch_the_clock(self, now: Instant) -> None:
        """A wall clock that jumped, or a machine that slept, may have missed events: look everywhere."""
        offset = now.wall - now.monotonic
        if self._offset is not None and abs(offset - self._offset) > CLOCK_JUMP:
            self._scan_all(now.monotonic)
        self._offset = offset

    def _scan_all(self, at: float) -> None:
        for folder in self._folders.values():
            folder.next_scan = min(folder.next_scan, at)

    def _ledger_lost(self, error: LedgerError) -> None:
        if not self._ledger_down:
            self._say(Log.LEDGER_DOWN, code=error.cause.code, message=error.cause.message)
        self._ledger_down = True

    # --- What comes in -----------------------------------------------------------------------------

    def _enter(self, one: Input, now: Instant) -> None:
        match one:
            case Notice(folder, path):
                self._notice((folder, path), now.monotonic)
            case Anew(folder, path):
                self._notice((folder, path), now.monotonic, anew=True)
            case Found():
                self._found(one, now.monotonic)
            case Looked():
                self._looked(one, now.monotonic)
            case Examined():
                self._examined.append(one)
            case Unexamined():
                self._unexamined(one, now.monotonic)
            case Listed():
                self._listed.append(one)
            case Overflow():
                self._scan_all(now.monotonic)
            case Scanned() | Checked() | Armed() | Down():
                self._folder_outcome(one, now.monotonic)

    def _notice(self, key: Key, at: float, *, anew: bool = False) -> None:
        folder = self._folders.get(key[0])
        if folder is None or not folder.settings.filter.accepts(key[1]):
            return
        if folder.phase is not Phase.UP:
            folder.noticed.add(key[1])
        self._absent.pop(key, None)
        self._candidates[key] = settle.notice(self._candidates.get(key), at, folder.quiet, anew=anew)

    def _found(self, found: Found, at: float) -> None:
        for path in found.unknown:
            key = (found.folder, path)
            if key not in self._candidates and key not in self._examining and key not in self._settled:
                self._notice(key, at)
        for path in found.missing:
            self._absent.setdefault((found.folder, path), self._absent_until((found.folder, path), at))

    def _absent_until(self, key: Key, at: float) -> float:
        return at + 2 * self._folders[key[0]].quiet + ABSENT_WAIT

    def _looked(self, looked: Looked, at: float) -> None:
        for path, seen in looked.seen:
            key = (looked.job.folder, path)
            self._looking.discard(key)
            if isinstance(seen, Fingerprint):
                self._saw(key, seen, looked.job.asked, at)
            else:
                self._saw_nothing(key, seen, at)

    def _saw(self, key: Key, seen: Fingerprint, asked: float, at: float) -> None:
        if key in self._confirming:
            self._confirming.discard(key)
            self._notice(key, at)
            return
        candidate = self._candidates.get(key)
        if candidate is None:
            return
        if settle.settled(candidate, seen, asked):
            self._settled[key] = (candidate, seen)
            del self._candidates[key]
        else:
            self._candidates[key] = settle.look(candidate, seen, asked, at)

    def _saw_nothing(self, key: Key, verdict: Verdict, at: float) -> None:
        if isinstance(verdict, FolderDown):
            self._folder_down(self._folders[key[0]], verdict, at)
        elif not isinstance(verdict, Vanished):
            self._unreadable(key, self._candidates.get(key), verdict, at)
        elif key in self._confirming:
            self._confirming.discard(key)
            self._gone.add(key)
        elif self._candidates.pop(key, None) is not None:
            self._shown.discard(key)
            self._absent.setdefault(key, self._absent_until(key, at))

    def _unreadable(self, key: Key, candidate: Candidate | None, verdict: Verdict, at: float) -> None:
        """Keep a file that cannot be read now; look again ever more seldom, and say so once."""
        if key not in self._shown:
            self._shown.add(key)
            self._say(
                Log.UNREADABLE,
                path=policy.readable(key[1]),
                code=verdict.cause.code,
                message=verdict.cause.message,
                advice=verdict.cause.advice,
            )
        known = candidate or settle.notice(None, at, self._folders[key[0]].quiet)
        quiet = min(known.quiet * 2, settle.LONGEST_QUIET)
        self._candidates[key] = replace(known, changed=at, quiet=quiet, not_before=at + quiet)

    def _unexamined(self, one: Unexamined, at: float) -> None:
        key = (one.job.folder, one.job.path)
        candidate = self._examining.pop(key, None)
        if key in self._candidates or candidate is None:
            return
        if isinstance(one.verdict, Vanished):
            self._candidates[key] = settle.notice(candidate, at, candidate.quiet)
        elif isinstance(one.verdict, FolderDown):
            self._folder_down(self._folders[key[0]], one.verdict, at)
        else:
            self._unreadable(key, candidate, one.verdict, at)

    # --- Folders -----------------------------------------------------------------------------------

    def _folder_outcome(self, one: Scanned | Checked | Armed | Down, at: float) -> None:
        folder = self._folders[one.folder]
        match one:
            case Checked():
                folder.checking = False
                folder.next_check = at + folder.settings.poll_interval
            case Armed():
                self._armed(folder, one, at)
            case Scanned():
                began = at if folder.scan_began is None else folder.scan_began
                folder.scan_began = None
                folder.next_scan = folder.rest_until(at, at - began)
            case Down():
                self._folder_down(folder, one.verdict, at)

    def _armed(self, folder: Folder, armed: Armed, at: float) -> None:
        folder.kind, folder.network, folder.device, folder.mounted = (
            armed.kind,
            armed.network,
            armed.device,
            armed.mounted,
        )
        folder.checking = False
        folder.next_check = at + folder.settings.poll_interval
        mounted_since = folder.blank_device not in {None, str(armed.device)}
        folder.phase = Phase.UP if folder.looked and not mounted_since else Phase.FIRST_LOOK
        folder.next_scan = at
        if folder.said_down:
            self._say(
                Log.FOLDER_BACK, folder=folder.settings.name, path=policy.readable(folder.settings.root)
            )
            folder.said_down = ""
        folder.reported = folder.phase is Phase.UP

    def _folder_down(self, folder: Folder, verdict: Verdict, at: float) -> None:
        folder.phase, folder.kind = Phase.DOWN, WatchKind.DOWN
        folder.checking, folder.scan_began, folder.reported = False, None, True
        folder.next_check = at + folder.settings.poll_interval
        # Looks that were out may come back as the folder's failure, naming no path.
        self._looking = {key for key in self._looking if key[0] != folder.id}
        self._confirming = {key for key in self._confirming if key[0] != folder.id}
        if folder.said_down != verdict.cause.code:
            folder.said_down = verdict.cause.code
            self._say(
                Log.FOLDER_DOWN,
                folder=folder.settings.name,
                path=policy.readable(folder.settings.root),
                code=verdict.cause.code,
            )

    def _folder_jobs(self, now: Instant) -> list[Job]:
        jobs: list[Job] = []
        for folder in self._folders.values():
            jobs += self._jobs_of(folder, now.monotonic)
        return jobs

    def _jobs_of(self, folder: Folder, at: float) -> list[Job]:
        if folder.checking:
            return []
        if folder.phase is Phase.DOWN and folder.next_check <= at:
            folder.phase, folder.checking = Phase.ARMING, True
            return [Arm(folder.id)]
        if folder.phase is Phase.FIRST_LOOK and folder.scan_began is None:
            folder.scan_began = at
            return [TakeBaseline(folder.id)]
        jobs: list[Job] = []
        if folder.phase is Phase.UP and folder.scan_began is None and folder.next_scan <= at:
            folder.scan_began = at
            jobs.append(Scan(folder.id))
        if folder.phase is Phase.UP and folder.next_check <= at:
            folder.checking = True
            jobs.append(Check(folder.id))
        return jobs

    # --- Decisions ---------------------------------------------------------------------------------

    def _decide(self, now: Instant) -> tuple[list[Job], bool]:
        """Decide what settled, was read, listed or is missing, in one transaction."""
        writes = _Writes()
        jobs: list[Job] = []
        waiting: list[tuple[Key, Candidate]] = []
        batch = list(self._settled.items())[: max(EXAMINE_AT_ONCE - len(self._examining), 0)]
        with self._store.writing() as connection:
            for one in self._listed:
                self._baseline(connection, one, now)
            self._decide_settled(connection, batch, writes, jobs, waiting, now)
            self._decide_examined(connection, writes, now)
            self._decide_gone(connection, writes)
            self._write(connection, writes, now)
        self._after_commit(batch, jobs, waiting, writes)
        return jobs, writes.any()

    def _after_commit(
        self,
        batch: Sequence[tuple[Key, tuple[Candidate, Fingerprint]]],
        jobs: Sequence[Job],
        waiting: Sequence[tuple[Key, Candidate]],
        writes: _Writes,
    ) -> None:
        candidates = {key: candidate for key, (candidate, _) in batch}
        for key in candidates:
            del self._settled[key]
            self._shown.discard(key)
        for job in jobs:
            if isinstance(job, Examine):
                self._examining[job.folder, job.path] = candidates[job.folder, job.path]
        for key, candidate in waiting:
            self._candidates.setdefault(key, candidate)
        for examined in self._examined:
            self._examining.pop((examined.job.folder, examined.job.path), None)
        for listed in self._listed:
            self._first_look_taken(self._folders[listed.folder])
        for new in writes.new:
            if new.skipped is None and not new.baseline:
                self._say(Log.QUEUED, path=policy.readable(new.path))
        self._examined, self._listed, self._gone = [], [], set()

    def _decide_settled(
        self,
        connection: Connection,
        batch: Sequence[tuple[Key, tuple[Candidate, Fingerprint]]],
        writes: _Writes,
        jobs: list[Job],
        waiting: list[tuple[Key, Candidate]],
        now: Instant,
    ) -> None:
        here = self._here(connection, [key for key, _ in batch])
        alike = self._alike(connection, [(key[0], fingerprint) for key, (_, fingerprint) in batch])
        for key, (candidate, fingerprint) in batch:
            known = here[key]
            decision = policy.novelty(
                fingerprint, None, known, (), on_change=self._folders[key[0]].settings.on_change
            )
            if not candidate.anew and isinstance(decision, Unchanged | Returned):
                self._write_decision(key, fingerprint, None, decision, writes, now)
                continue
            recent = sum(one.noticed_at > now.wall - HOUR for one in known if not one.baseline)
            quiet = settle.quiet_for(self._folders[key[0]].quiet, recent)
            if quiet > candidate.quiet and recent:
                waiting.append((key, replace(candidate, quiet=quiet, seen=fingerprint)))
                continue
            rivals = alike.get((key[0], fingerprint.size, fingerprint.mtime_ns), [])
            others = tuple(one for one in rivals if one.path != key[1] and one.counts)
            jobs.append(Examine(key[0], key[1], fingerprint, others))

    def _decide_examined(self, connection: Connection, writes: _Writes, now: Instant) -> None:
        self._refused |= outbox.extensions_refused(connection, self._app)
        fresh = [one for one in self._examined if (one.job.folder, one.job.path) not in self._candidates]
        here = self._here(connection, [(one.job.folder, one.job.path) for one in fresh])
        taken: set[int] = set()
        for one in fresh:
            key = (one.job.folder, one.job.path)
            movable = [known for known in one.movable if known.id not in taken]
            decision = policy.novelty(
                one.job.fingerprint,
                one.digest,
                here[key],
                movable,
                on_change=self._folders[key[0]].settings.on_change,
            )
            if isinstance(decision, Moved):
                taken.add(decision.version)
            self._write_decision(key, one.job.fingerprint, one.digest, decision, writes, now)

    def _decide_gone(self, connection: Connection, writes: _Writes) -> None:
        here = self._here(connection, sorted(self._gone))
        for known in here.values():
            writes.withdrawn += [one.id for one in known]

    def _here(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, list[Known]]:
        paths = defaultdict(list)
        for folder, path in keys:
            paths[folder].append(path)
        return {
            (folder, path): known
            for folder, listed in paths.items()
            for path, known in versions.here(connection, folder, listed).items()
        }

    def _alike(
        self, connection: Connection, states: Sequence[tuple[int, Fingerprint]]
    ) -> dict[tuple[int, int, int], list[Known]]:
        fingerprints = defaultdict(list)
        for folder, fingerprint in states:
            fingerprints[folder].append(fingerprint)
        return {
            (folder, *state): known
            for folder, listed in fingerprints.items()
            for state, known in versions.alike(connection, folder, listed).items()
        }

    def _write_decision(
        self,
        key: Key,
        fingerprint: Fingerprint,
        digest: str | None,
        decision: policy.Novelty,
        writes: _Writes,
        now: Instant,
    ) -> None:
        match decision:
            case Returned(version):
                writes.returned.append(version)
                writes.renewed.append(Renewed(version, key[1], fingerprint, "returned"))
            case Touched(version):
                writes.renewed.append(Renewed(version, key[1], fingerprint, "touched"))
            case Moved(version, supersedes):
                writes.renewed.append(Renewed(version, key[1], fingerprint, "moved"))
                writes.superseded += supersedes
            case New(supersedes, ignored):
                writes.superseded += supersedes
                writes.new.append(self._new(key, fingerprint, digest or "", now, ignored=ignored))

    def _new(
        self, key: Key, fingerprint: Fingerprint, digest: str, now: Instant, *, ignored: bool
    ) -> NewVersion:
        skipped = None
        if ignored:
            skipped = Cause("on_change", "", "ON_CHANGE_IGNORE")
        elif fingerprint.size == 0:
            skipped = Cause("empty", "", "EMPTY")
        name = key[1].rpartition(b"/")[2]
        return NewVersion(
            folder=key[0],
            path=key[1],
            fingerprint=fingerprint,
            digest=digest,
            noticed_at=now.wall,
            settled_at=now.wall,
            dress=policy.dress(name, digest, self._app, self._refused),
            conversations=self._folders[key[0]].settings.conversations,
            skipped=skipped,
        )

    def _write(self, connection: Connection, writes: _Writes, now: Instant) -> None:
        """Withdraw before adding: an older version never follows a newer one."""
        superseded = Cause("superseded", "", "SUPERSEDED")
        versions.withdraw(connection, writes.superseded, superseded, now.wall)
        versions.renew(connection, writes.renewed, now.wall)
        versions.revive(connection, writes.returned, now.wall)
        versions.withdraw(connection, writes.withdrawn, Cause("withdrawn", "", "FILE_GONE"), now.wall)
        versions.missing(connection, writes.withdrawn, now.wall)
        versions.add(self._store, connection, writes.new, now.wall)

    # --- The first look ----------------------------------------------------------------------------

    def _baseline(self, connection: Connection, listed: Listed, now: Instant) -> None:
        """Write what was there with the folder's mark; what had an event meanwhile is no baseline."""
        folder = self._folders[listed.folder]
        if folder.settings.existing == "skip":
            known = {
                (one.path, one.size, one.mtime_ns)
                for paths in chunks([path for path, _ in listed.files])
                for here in versions.here(connection, folder.id, paths).values()
                for one in here
            }
            old = [
                NewVersion(folder.id, path, fingerprint, None, now.wall, now.wall)
                for path, fingerprint in listed.files
                if path not in folder.noticed and (path, fingerprint.size, fingerprint.mtime_ns) not in known
            ]
            versions.add(self._store, connection, old, now.wall)
            if old:
                self._say(Log.BASELINE, folder=folder.settings.name, count=len(old))
        blank = str(folder.device) if not listed.files and not folder.mounted else None
        versions.mark_looked(connection, folder.id, now.wall, blank)

    def _first_look_taken(self, folder: Folder) -> None:
        folder.phase, folder.looked, folder.reported = Phase.UP, True, True
        folder.blank_device = None
        folder.scan_began = None
        folder.noticed.clear()

    # --- Looks and waiting -------------------------------------------------------------------------

    def _looks(self, now: Instant) -> list[Job]:
        """Ask for the looks that are due, many paths to a job."""
        due = defaultdict(list)
        for key, candidate in self._candidates.items():
            folder = self._folders[key[0]]
            ready = key not in self._looking and key not in self._examining and folder.phase is Phase.UP
            if ready and isinstance(settle.step(candidate, now.monotonic), settle.Look):
                due[key[0]].append(key[1])
        for key, until in list(self._absent.items()):
            if until <= now.monotonic and self._folders[key[0]].phase is Phase.UP:
                del self._absent[key]
                self._confirming.add(key)
                due[key[0]].append(key[1])
        jobs: list[Job] = []
        for folder_id, paths in due.items():
            self._looking |= {(folder_id, path) for path in paths}
            jobs += [
                Look(folder_id, tuple(paths[i : i + LOOKS_AT_ONCE]), now.monotonic)
                for i in range(0, len(paths), LOOKS_AT_ONCE)
            ]
        return jobs

    def _next_at(self, now: Instant) -> float | None:
        up = {folder.id for folder in self._folders.values() if folder.phase is Phase.UP}
        wakes = [until for key, until in self._absent.items() if key[0] in up]
        for key, candidate in self._candidates.items():
            step = settle.step(candidate, now.monotonic)
            if isinstance(step, settle.Wait) and key not in self._looking and key[0] in up:
                wakes.append(step.until)
        for folder in self._folders.values():
            if folder.phase in {Phase.DOWN, Phase.UP} and not folder.checking:
                wakes.append(folder.next_check)
            if folder.phase is Phase.UP and folder.scan_began is None:
                wakes.append(folder.next_scan)
        if self._ledger_down or (self._settled and len(self._examining) < EXAMINE_AT_ONCE):
            wakes.append(now.monotonic + LEDGER_RETRY if self._ledger_down else now.monotonic)
        return min(wakes, default=None)
