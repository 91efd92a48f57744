"""The intake loop: hints and outcomes in, jobs out, versions and their deliveries into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter
from typing import Final

from dingwatch import names
from dingwatch.intake.agenda import Agenda
from dingwatch.intake.candidates import Candidates, Key, PastCeiling, Settling
from dingwatch.intake.changes import FoldersChanged, compare
from dingwatch.intake.decisions import Batch, Decided, Decisions
from dingwatch.intake.first_look import ROWS_AT_ONCE, LookStep
from dingwatch.intake.folder import Folder, FolderSettings
from dingwatch.intake.jobs import (
    LOOKING,
    Armed,
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
    Looked,
    Scan,
    Scanned,
    ScanWanted,
    Switched,
)
from dingwatch.intake.phases import WatchPhase
from dingwatch.ledger import fingerprints, links, pruning
from dingwatch.ledger.fingerprints import Adopted
from dingwatch.ledger.folders import FolderMark, LookMark, ScanMark, save_homes, save_looks, save_scans
from dingwatch.ledger.store import RETRY_SECONDS, Outage, Store
from dingwatch.model import (
    Cause,
    Fingerprint,
    FolderDown,
    Home,
    LedgerError,
    Now,
    Scope,
    Verdict,
    WatchKind,
    is_beneath,
)
from dingwatch.texts import Log
from dingwatch.watch import Hint, Overflow

EXAMINE_AT_ONCE: Final = 64
"""Files that are being read at one time; the others wait, settled."""
GONE_AT_ONCE: Final = 1000
"""Missing files that are written down in one transaction."""
MANY_GONE: Final = 100
CLOCK_JUMP: Final = 60.0
DAY: Final = 86400.0
FOREVER: Final = 1e12
DOUBT_INTERVAL: Final = 15.0
"""Seconds between two questions whether what only this node misses is missing indeed."""
_LOOKED_AT_ELSEWHERE: Final = FolderDown(Cause(LOOKING, "", "SHARE_LOOKING"), Scope.FOLDER)


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to carry out, when the loop is next needed (monotonic), and whether delivery has new work."""

    jobs: list[Job]
    next_at: float | None
    written: bool


@dataclass(frozen=True, slots=True)
class DownFolder:
    """A folder that cannot be watched: its root, and the mount point that held it when it was last seen."""

    id: int
    root: bytes
    mount_point: bytes | None
    cause: Cause
    since: float
    """Monotonic."""


class IntakeLoop:
    """Decides what is looked at, read and written down. `tick` takes outcomes in and gives jobs out."""

    def __init__(  # noqa: PLR0913 (each is one thing that the loop must not have of its own)
        self,
        store: Store,
        folders: Sequence[tuple[FolderSettings, FolderMark]],
        *,
        app: str,
        refused: frozenset[str],
        log: Callable[..., None],
        outage: Outage,
        keep: float = FOREVER,
        state_dir: bytes | None = None,
        follow: Callable[[FolderSettings, int, bytes], FolderSettings] | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._follow = follow
        self._switched: dict[int, Switched] = {}
        """Folders whose paths lead elsewhere, until the ledger knows."""
        self._checked_former: set[int] = set()
        """Former targets that were checked just now, and may be done."""
        self._store = store
        self._log = log
        self._outage = outage
        self._keep = keep
        self._folders = {settings.id: Folder(settings, mark, log) for settings, mark in folders}
        self._agenda = Agenda(self._folders)
        self._leaves: list[Leave] = []
        """Watches that are to end."""
        self._leaving: set[int] = set()
        """Folders whose watch is being ended: jobs of before may still come back."""
        self._joining: dict[int, tuple[FolderSettings, FolderMark]] = {}
        """Folders that came back to the configuration while their watch was being ended."""
        self._unready = set(self._folders)
        """Folders that are neither watched, with their first look taken, nor reported down."""
        self._unsaved: set[int] = set()
        """Folders of whose looks and scans the ledger may have to know more than it does."""
        self._first_looks: set[int] = set()
        """Folders of whose first look a part may wait to be written down."""
        self._missing_more: set[int] = set()
        """Folders in which more files may be missing than their last scan has found."""
        self._candidates = Candidates(self._folders, log)
        candidates = self._candidates
        self._decisions = Decisions(
            store, self._folders, candidates.missing_since, candidates.is_followed, app, refused
        )
        self._examined: list[Examined] = []
        self._homes: dict[int, Home] = {}
        self._adopted: dict[int, tuple[int, Adopted]] = {}
        """Files of shared folders in which versions were recognised, by version, with their folders."""
        self._doubting: set[int] = set()
        """Shared folders of which it is to be asked whether what only this node misses is missing indeed."""
        self._doubted_at: dict[int, float] = {}
        self._left_out: dict[Key, Fingerprint] = {}
        """Files that the filter of the last scan left out, and that are to become baseline."""
        self._find_prunable: list[FindPrunable] = []
        self._prunable_asked_at: dict[int | None, float] = {}
        self._prunable: list[FoundPrunable] = []
        self._event_at: dict[int, float] = {}
        """When the last event of each folder came."""
        self._offset: float | None = None

    # --- What others may ask ---------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every folder is watched, with its first look taken, or reported down."""
        return not self._unready

    def watching(self) -> dict[int, tuple[WatchKind, int]]:
        """Return how each folder is watched and how many of its files are settling."""
        settling = self._candidates.count_settling()
        return {one.id: (one.kind, settling[one.id]) for one in self._folders.values()}

    def last_scans(self) -> dict[int, float]:
        """Return when the last complete scan of each folder began (wall clock), where there was one."""
        scans = [(one.id, one.scanned_at) for one in self._folders.values()]
        return {number: at for number, at in scans if at is not None}

    def last_events(self) -> dict[int, float]:
        """Return when the last event came in each folder (monotonic), where one has since the start."""
        return self._event_at.copy()

    def list_down(self) -> list[DownFolder]:
        """Return the folders that cannot be watched."""
        found = [(one, one.down) for one in list(self._folders.values())]
        return [
            DownFolder(one.id, one.settings.root, None if one.home is None else one.home.mount_point, *down)
            for one, down in found
            if down is not None
        ]

    def list_shares_down(self) -> list[int]:
        """Return the folders that several nodes share, and that this one cannot watch; any thread may ask."""
        folders = list(self._folders.values())
        return [one.id for one in folders if one.settings.shared and one.down is not None]

    @property
    def past_ceiling(self) -> tuple[PastCeiling, ...]:
        """The files that have been settling for a day or longer."""
        return self._candidates.past_ceiling

    def list_settling(self, most: int, folder: int | None = None) -> list[tuple[int, bytes, Settling]]:
        """Return the files that have been settling for longest, in a folder or in all; any thread may ask."""
        return self._candidates.list_settling(most, folder)

    def describe(self, folder: int, path: bytes) -> Settling | None:
        """Return since when a path has been settling and why; None when it is not."""
        return self._candidates.describe((folder, path))

    # --- One tick --------------------------------------------------------------------------------

    def tick(self, now: Now, inputs: Sequence[Input | FoldersChanged]) -> Plan:
        """Enter what came in, write what is decided, and return the jobs.

        When the ledger cannot be written, what was decided stays in hand for the next tick.
        """
        self._watch_the_clock(now)
        for one in inputs:
            self._enter(one, now)
        jobs: list[Job] = [*self._leaves, *self._agenda.jobs(now.monotonic)]
        self._leaves.clear()
        if not self._outage.affects(self):  # pruning reads and writes the ledger, and can wait
            jobs += self._find_prunable
            self._find_prunable.clear()
        written = False
        try:
            self._follow_links(now)
            jobs += self._leave_former()
            decided = self._decide(now)
        except LedgerError as error:
            self._outage.begin(self, error)
        else:
            jobs += [job for _, job in decided.to_read]
            written = decided.writes.concern_delivery
        self._candidates.log_past_ceiling(now.monotonic)
        jobs += self._candidates.looks(now.monotonic)
        self._find_more_missing(now.monotonic)
        if self._unready:
            self._unready -= {one for one in self._agenda.touched if self._folders[one].ready}
        return Plan(jobs, self._next_at(now), written)

    def save_scans(self) -> None:
        """Record the last complete scan of each folder; the service is about to stop.

        Its config may be edited now, and at the next start the ledger tells which files a wider filter finds
        that the last scan left out.
        """
        scans = {f.id: scan for f in self._folders.values() if (scan := f.scan_to_save(stopping=True))}
        looks = {f.id: look for f in self._folders.values() if (look := f.look_to_save(with_scan=True))}
        if scans or looks:
            with self._store.writing() as connection:
                save_scans(connection, scans)
                save_looks(connection, looks)

    def _watch_the_clock(self, now: Now) -> None:
        """Scan everything after the wall clock jumped: the machine may have slept, and missed events."""
        offset = now.wall - now.monotonic
        if self._offset is not None and abs(offset - self._offset) > CLOCK_JUMP:
            self._scan_all(now.monotonic)
        self._offset = offset

    def _scan_all(self, at: float) -> None:
        for number in self._folders:
            self._touch(number).scan_soon(at)

    def _find_more_missing(self, at: float) -> None:
        """Scan a folder again once all its missing files that are followed are written down."""
        self._missing_more |= self._candidates.unfollowed
        self._candidates.unfollowed.clear()
        for number in list(self._missing_more):
            if not self._candidates.misses(number):
                self._missing_more.remove(number)
                if number in self._folders:
                    self._touch(number).scan_soon(at)

    def _touch(self, number: int) -> Folder:
        """Return a folder to which something happens: this tick asks it what is to be done and saved.

        There may be a thousand others, to which most ticks have nothing to say.
        """
        self._agenda.touch(number)
        self._unsaved.add(number)
        return self._folders[number]

    def _next_at(self, now: Now) -> float | None:
        wakes = [at for at in (self._agenda.next_at(), self._candidates.next_at()) if at is not None]
        if self._outage.affects(self):
            wakes.append(now.monotonic + RETRY_SECONDS)
        elif (
            (self._candidates.any_settled and self._candidates.reading < EXAMINE_AT_ONCE)
            or self._candidates.any_gone
            or self._left_out
            or self._adopted
            or self._prunable
            or self._first_looks
        ):
            wakes.append(now.monotonic)
        return min(wakes, default=None)

    # --- What comes in ---------------------------------------------------------------------------

    def _enter(self, one: Input | FoldersChanged, now: Now) -> None:
        if isinstance(one, Left | FoldersChanged):
            self._enter_change(one, now)
            return
        folder = _folder_of(one)
        if folder is not None and folder not in self._folders:
            return  # it was left meanwhile
        match one:
            case Examined():
                self._examined.append(one)
            case FoundPrunable():
                self._on_prunable(one)
            case Overflow() | Checked():
                self._enter_several(one, now)
            case ScanWanted():
                self._touch(one.folder).scan_soon(now.monotonic)
            case LedgerFailed(job, error):
                self._outage.begin(self, error)
                self._ask_again(job, now.monotonic)
            case Armed() | Switched() | Listed() | Compared() | Scanned() | Down():
                self._enter_folder(one, now)
            case Hint() | Found() | Looked() | ExamineFailed():
                self._enter_path(one, now.monotonic)

    def _ask_again(self, job: Compare | Scan | FindPrunable | Examine, at: float) -> None:
        match job:
            case Examine():
                if self._candidates.awaits(job):
                    self._candidates.read_again(job, at)
            case Compare() | Scan():
                self._touch(job.folder).on_scan_failed(at + RETRY_SECONDS)
            case FindPrunable():
                self._find_prunable.append(job)

    def _enter_folder(self, one: Armed | Switched | Listed | Compared | Scanned | Down, now: Now) -> None:
        at, folder = now.monotonic, self._touch(one.folder)
        match one:
            case Armed():
                folder.on_armed(one, now)
                if folder.home is one.home:  # it was taken for the folder's home just now
                    self._homes[folder.id] = one.home
                if folder.phase is WatchPhase.UP:
                    self._candidates.on_folder_up(folder.id)
            case Switched():
                self._on_switched(folder, one, at)
            case Listed():
                folder.on_listed(one, now)
                self._first_looks.add(folder.id)
            case Compared():
                folder.on_compared(one, now)
            case Scanned():
                self._on_scanned(folder, one, now)
            case Down(verdict=verdict):
                self._on_down(folder, verdict, at)

    def _enter_several(self, one: Overflow | Checked, now: Now) -> None:
        if isinstance(one, Overflow):
            self._scan_all(now.monotonic)
            return
        for number in one.folders:
            if number in self._folders:
                folder = self._touch(number)
                folder.on_checked(now)
                self._doubt(folder, now)
                self._checked_former |= {number} if folder.retired else set()
        for other in one.others:
            self._enter(other, now)

    def _doubt(self, folder: Folder, now: Now) -> None:
        """Have it asked again what only this node misses in a shared folder.

        The node that saw it last may have been lost since, or have noted that it misses it, too.
        """
        due = self._doubted_at.get(folder.id, float("-inf")) + DOUBT_INTERVAL
        if folder.settings.shared and folder.phase is WatchPhase.UP and due <= now.monotonic:
            self._doubted_at[folder.id] = now.monotonic
            self._doubting.add(folder.id)

    def _on_scanned(self, folder: Folder, one: Scanned, now: Now) -> None:
        self._outage.end(self)  # the scan has read the ledger
        folder.on_scanned(one, now)
        if one.more:
            self._missing_more.add(folder.id)
        self._prune_daily(folder.id, now)

    def _enter_path(self, one: Hint | Found | Looked | ExamineFailed, at: float) -> None:
        match one:
            case Hint(folder, path, must_read, source):
                self._event_at[folder] = at
                self._candidates.on_hint((folder, path), at, must_read=must_read)
                if source is not None:
                    self._candidates.on_renamed((folder, source), (folder, path))
            case Found():
                self._on_found(one, at)
                self._folders[one.folder].log_irregular(one.irregular)
                self._folders[one.folder].log_unlisted(one.unlisted)
            case Looked():
                irregular = self._candidates.on_looked(one, at)
                self._folders[one.job.folder].log_irregular(irregular)
            case ExamineFailed():
                if self._candidates.awaits(one.job):
                    self._candidates.on_examine_failed(one, at)
                if isinstance(one.verdict, FolderDown):
                    self._on_down(self._folders[one.job.folder], one.verdict, at)

    def _on_found(self, found: Found, at: float) -> None:
        """Follow what a scan found; files that its last filter left out go by `existing`."""
        if self._folders[found.folder].settings.existing == "skip":
            self._left_out |= {(found.folder, path): seen for path, seen in found.left_out}
        else:
            found = replace(found, unknown=(*found.unknown, *(path for path, _ in found.left_out)))
        self._adopted |= {one.version: (found.folder, one) for one in found.adopted}
        self._candidates.on_found(found, at)

    def _on_down(self, folder: Folder, verdict: Verdict, at: float) -> None:
        self._touch(folder.id).on_failed(verdict, at)
        self._candidates.on_folder_down(folder.id)

    # --- Links in folders' paths -----------------------------------------------------------------

    def _on_switched(self, folder: Folder, one: Switched, at: float) -> None:
        if folder.settings.path is None:  # it is a former target already
            return
        if self._overlaps(folder, one.root):
            cause = Cause("overlap", names.readable(one.root), "OVERLAP")
            self._on_down(folder, FolderDown(cause, Scope.FOLDER), at)
            return
        folder.retire(one.root, at)
        self._candidates.on_folder_down(folder.id)
        self._switched[folder.id] = one

    def _overlaps(self, folder: Folder, root: bytes) -> bool:
        """Return whether a root would send the ledger itself, or a file twice to one recipient."""
        others = [
            one.settings.root
            for one in self._folders.values()
            if one is not folder
            and one.settings.name != folder.settings.name
            and set(one.settings.conversations) & set(folder.settings.conversations)
        ]
        taken = others if self._state_dir is None else [*others, self._state_dir]
        return any(is_beneath(one, root) or is_beneath(root, one) for one in taken)

    def _follow_links(self, now: Now) -> None:
        """Watch where the paths of folders lead now; what they led to before is watched until it is done."""
        for number, one in list(self._switched.items()):
            former = self._folders[number].settings
            assert self._follow is not None  # noqa: S101 (else no path is followed)
            with self._store.writing() as connection:
                moved = one.moved and links.move(connection, number, one.root)
                mark = None if moved else links.switch(connection, number, one.root, one.linked_at, now.wall)
            self._outage.end(self)
            settings = self._follow(former, number if mark is None else mark.id, one.root)
            if mark is None:
                self._touch(number).move(settings)
            elif mark.id in self._folders:
                self._touch(mark.id).come_back(settings, mark.look, now.monotonic)
            else:
                self._folders[mark.id] = Folder(settings, mark, self._log)
                self._touch(mark.id)
                self._unready.add(mark.id)
            del self._switched[number]

    def _leave_former(self) -> Iterator[Job]:
        """Yield what ends the watch of former targets in which everything is done."""
        while self._checked_former:
            number = self._checked_former.pop()
            if self._folders[number].retired and not self._candidates.follows(number):
                with self._store.writing() as connection:
                    left = links.leave(connection, number)
                if left:
                    del self._folders[number]
                    self._leaving.add(number)
                    yield Leave(number)

    # --- Another configuration -------------------------------------------------------------------

    def _enter_change(self, one: Left | FoldersChanged, now: Now) -> None:
        if isinstance(one, FoldersChanged):
            self._on_folders_changed(one, now)
            return
        self._leaving.discard(one.folder)
        if one.folder in self._joining:
            self._join(*self._joining.pop(one.folder))

    def _on_folders_changed(self, one: FoldersChanged, now: Now) -> None:
        """Follow other folders, and the same ones by other settings; the others go on as they were."""
        wanted = one.bind()
        if wanted is None:
            return
        self._keep = one.keep
        have = {number: folder.settings for number, folder in self._folders.items()}
        have |= {number: settings for number, (settings, _) in self._joining.items()}
        changes = compare(have, wanted)
        refiltered = [one.id for one in changes.changed if have[one.id].filter.rules != one.filter.rules]
        self._save_marks([*changes.removed, *refiltered])
        for number in changes.removed:
            self._remove(number)
        for settings in changes.changed:
            self._change(settings, now.monotonic)
        for settings, mark in changes.added:
            if settings.id in self._leaving:
                self._joining[settings.id] = settings, mark
            else:
                self._join(settings, mark)
        one.applied(changes)

    def _save_marks(self, numbers: Iterable[int]) -> None:
        """Record the last complete scans of these folders, by which the next filter is judged."""
        unwritten = {number for number, _ in self._left_out}  # what a scan left out comes before its mark
        folders = [self._folders[one] for one in numbers if one in self._folders and one not in unwritten]
        scans = {f.id: scan for f in folders if (scan := f.scan_to_save(stopping=True))}
        looks = {f.id: look for f in folders if (look := f.look_to_save(with_scan=True))}
        if not scans and not looks:
            return
        try:
            with self._store.writing() as connection:
                save_scans(connection, scans)
                save_looks(connection, looks)
        except LedgerError as error:  # an older mark will do
            self._outage.begin(self, error)
            return
        for number, scan in scans.items():
            self._folders[number].on_scan_saved(scan)
        for number, look in looks.items():
            self._folders[number].on_look_saved(look)

    def _join(self, settings: FolderSettings, mark: FolderMark) -> None:
        self._folders[settings.id] = Folder(settings, mark, self._log)
        self._touch(settings.id)
        self._unready.add(settings.id)

    def _change(self, settings: FolderSettings, at: float) -> None:
        number = settings.id
        if number in self._joining:
            self._joining[number] = settings, self._joining[number][1]
            return
        folder = self._touch(number)
        before = folder.phase
        refiltered = folder.settings.filter.rules != settings.filter.rules
        folder.change(settings, at)
        if refiltered:
            self._candidates.leave(number, settings.filter)
        if folder.phase is not before:
            self._candidates.on_folder_down(number)
            self._unready.add(number)

    def _remove(self, number: int) -> None:
        """Follow a folder no more; its unsent deliveries stay, and are unmapped until it comes back."""
        if self._joining.pop(number, None) is not None:
            return
        self._candidates.leave(number)
        del self._folders[number]
        for one in (
            self._unready,
            self._unsaved,
            self._first_looks,
            self._missing_more,
            self._checked_former,
            self._doubting,
        ):
            one.discard(number)
        self._switched.pop(number, None)
        self._homes.pop(number, None)
        for key in [key for key in self._left_out if key[0] == number]:
            del self._left_out[key]
        self._adopted = {one: found for one, found in self._adopted.items() if found[0] != number}
        self._find_prunable = [one for one in self._find_prunable if one.folder != number]
        self._prunable = [one for one in self._prunable if one.job.folder != number]
        self._leaving.add(number)
        self._leaves.append(Leave(number))

    # --- Decisions -------------------------------------------------------------------------------

    def _decide(self, now: Now) -> Decided:
        """Decide what settled, was read, listed or is missing, and write that in one transaction.

        Most of what settles is only sent to be read, and most of what goes missing is a temporary file that
        the ledger never knew. So where nothing is certain to be written, the decision is first made by
        reading alone, and the ledger is not locked for nothing. It is made again under the lock, because
        delivery may have written meanwhile.
        """
        batch = self._batch()
        scans, looks = self._to_save()
        decided = Decided()
        certain = bool(scans or looks) or self._is_certain(batch)
        if not certain and not batch.empty:
            with self._store.reading() as connection:
                decided = self._decisions.decide(connection, batch, now)
        if certain or not decided.writes.empty:
            with self._store.writing() as connection:
                decided = self._decisions.decide(connection, batch, now)
                self._decisions.write(connection, decided, now)
                fingerprints.adopt(connection, batch.adopted, now.ledger)
                save_homes(connection, self._homes)
                save_looks(connection, looks)
                save_scans(connection, scans)
                for one in self._prunable[:1]:  # a thousand folders may have been asked at once
                    pruning.prune(connection, one.job.folder, one.job.before, one.ids)
            self._outage.end(self)
        self._take_over(batch, decided, now.monotonic)
        for folder, look in looks.items():
            self._folders[folder].on_look_saved(look)
        for folder, scan in scans.items():
            self._folders[folder].on_scan_saved(scan)
        return decided

    def _to_save(self) -> tuple[dict[int, ScanMark], dict[int, LookMark]]:
        """Return the scans and the looks of which the ledger has to know now, by folder."""
        # A scan's old files come first: should the service be killed in between, the rest would be new.
        unwritten = {key[0] for key in islice(self._left_out, ROWS_AT_ONCE, None)}
        folders = [self._folders[one] for one in self._unsaved - unwritten if one in self._folders]
        scans = {one.id: scan for one in folders if (scan := one.scan_to_save())}
        looks = {one.id: look for one in folders if (look := one.look_to_save(with_scan=one.id in scans))}
        self._unsaved = {*scans, *looks, *unwritten}
        return scans, looks

    def _batch(self) -> Batch:
        candidates = self._candidates
        # The configuration may have lost a path that was being read.
        self._examined = [one for one in self._examined if candidates.awaits(one.job)]
        return Batch(
            steps=self._next_steps(),
            settled=candidates.next_settled(EXAMINE_AT_ONCE - candidates.reading),
            examined=[one for one in self._examined if not candidates.is_outdated(one)],
            gone=candidates.next_gone(GONE_AT_ONCE),
            claimed=candidates.list_claimed(),
            touched=candidates.touched,
            # A file to which something has happened since is not what it was at the last scan.
            left_out={
                key: seen
                for key, seen in islice(self._left_out.items(), ROWS_AT_ONCE)
                if not candidates.describe(key)
            },
            adopted=[one for _, one in islice(self._adopted.values(), ROWS_AT_ONCE)],
            doubted=sorted(self._doubting),
        )

    def _next_steps(self) -> list[LookStep]:
        """Return the next parts of first looks, no more than a transaction is to have.

        The look with the fewest parts comes first: a small folder does not wait for a share with a million
        files.
        """
        found = {one: self._folders[one].first_look for one in self._first_looks if one in self._folders}
        self._first_looks = {number for number, look in found.items() if look.next_step()}
        looks = sorted((found[number] for number in self._first_looks), key=attrgetter("steps"))
        steps: list[LookStep] = []
        rows = 0
        for step in filter(None, (look.next_step() for look in looks)):
            rows += len(step.files)
            if not steps or rows <= ROWS_AT_ONCE:
                steps.append(step)
        return steps

    def _is_certain(self, batch: Batch) -> bool:
        """Return whether something is certain to be written; in an outage, whether writing is to be tried."""
        new = any(not one.job.known for one in batch.examined) or bool(batch.adopted)
        tried = self._outage.affects(self) and not batch.empty
        # A single missing file is most often a temporary one, which is not worth a lock; not so hundreds.
        many = len(batch.gone) >= MANY_GONE
        return bool(new or many or batch.steps or self._homes or self._prunable or tried)

    def _take_over(self, batch: Batch, decided: Decided, at: float) -> None:
        """Act by what was decided and is on disk, and log it."""
        candidates = self._candidates
        for examined in self._examined:
            candidates.on_examined(examined)
        for settled, job in decided.to_read:
            candidates.begin_reading(settled, job)
        for settled in decided.finished:
            candidates.finish(settled)
        for settled, quiet, touched in decided.to_wait:
            candidates.wait_longer(settled, quiet, touched=touched)
        for key in batch.gone:
            candidates.finish_gone(key)
        for key in decided.to_look:
            candidates.on_hint(key, at)
        self._take_over_looks(decided, at)
        self._examined.clear()
        del self._prunable[:1]
        self._homes.clear()
        for key in list(islice(self._left_out, ROWS_AT_ONCE)):
            del self._left_out[key]
        for one in batch.adopted:
            del self._adopted[one.version]
        self._doubting.difference_update(batch.doubted)
        self._log_decided(decided)

    def _take_over_looks(self, decided: Decided, at: float) -> None:
        """Go on with first looks whose parts are on disk; leave those that another node takes."""
        for baseline in decided.writes.baselines:
            self._touch(baseline.folder.id).on_step_written(baseline.step, len(baseline.old), baseline.scan)
            if baseline.step.last:
                self._candidates.on_folder_up(baseline.folder.id)
        for number in decided.refused:
            self._on_down(self._folders[number], _LOOKED_AT_ELSEWHERE, at)

    def _log_decided(self, decided: Decided) -> None:
        for new in decided.writes.new:
            if new.skipped is None:
                size = new.fingerprint.size
                self._log(Log.QUEUED, folder=new.folder, path=names.readable(new.path), size=size)
        for folder in decided.floods:
            self._log(Log.FLOOD, folder=folder.settings.name, most=folder.settings.hold_over)
        for folder in decided.touched:
            self._log(Log.TOUCHED, folder=folder.settings.name)

    # --- Pruning ---------------------------------------------------------------------------------

    def _prune_daily(self, folder: int, now: Now) -> None:
        """Ask once a day, after a scan, for versions that have been missing for longer than `keep`."""
        for one in (folder, None):
            if now.monotonic >= self._prunable_asked_at.get(one, float("-inf")) + DAY:
                self._prunable_asked_at[one] = now.monotonic
                self._find_prunable.append(FindPrunable(one, now.ledger - self._keep))

    def _on_prunable(self, one: FoundPrunable) -> None:
        if one.ids:
            self._prunable.append(one)
        if one.last is not None:
            self._find_prunable.append(replace(one.job, after=one.last))


def _folder_of(one: Input | FoldersChanged) -> int | None:
    """Return the folder that an input is about; None for one that may be about several."""
    match one:
        case Overflow() | Checked() | FoldersChanged():
            return None
        case Looked() | Examined() | ExamineFailed() | FoundPrunable() | LedgerFailed():
            return one.job.folder
    return one.folder
