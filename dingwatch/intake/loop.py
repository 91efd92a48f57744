"""The intake loop: hints and outcomes in, jobs out, versions and their deliveries into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dingwatch import names
from dingwatch.intake.candidates import Candidates, Restless, Settled, Settling
from dingwatch.intake.decisions import Decided, Decisions
from dingwatch.intake.folder import Folder, FolderSettings, Phase
from dingwatch.intake.jobs import (
    Armed,
    Checked,
    Down,
    Examined,
    Forget,
    Forgettable,
    Found,
    Input,
    Job,
    Listed,
    Looked,
    Scan,
    Scanned,
    Unexamined,
    Unread,
)
from dingwatch.intake.watches import Watches
from dingwatch.ledger import versions
from dingwatch.ledger.folders import FolderMark, save_homes
from dingwatch.ledger.store import RETRY_SECONDS, LedgerError, Outage, Store
from dingwatch.model import FolderDown, Home, Now, Verdict, WatchKind
from dingwatch.texts import Log
from dingwatch.watch import Hint, Overflow

EXAMINE_AT_ONCE: Final = 64
"""Files in hand for their digests; the others wait as candidates."""
CLOCK_JUMP: Final = 60.0
DAY: Final = 86400.0
FOREVER: Final = 1e12


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to carry out, when the loop is next needed (monotonic), and whether delivery has new work."""

    jobs: list[Job]
    next_at: float | None
    written: bool


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
    ) -> None:
        self._store = store
        self._log = log
        self._outage = outage
        self._keep = keep
        self._folders = {
            settings.id: Folder(settings, mark.looked_at is not None, mark.blank_device, home=mark.home)
            for settings, mark in folders
        }
        self._watches = Watches(self._folders, log)
        self._candidates = Candidates(self._folders, log)
        self._decisions = Decisions(store, self._folders, app, refused)
        self._examined: list[Examined] = []
        self._listed: list[Listed] = []
        self._forget: list[Forget] = []
        self._forgot_at: dict[int | None, float] = {}
        self._forgotten: list[Forgettable] = []
        self._homes: dict[int, Home] = {}
        self._offset: float | None = None

    # --- What others may ask ---------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every folder is watched, with its first look taken, or reported down."""
        return all(f.phase is Phase.UP or f.reported for f in self._folders.values())

    def watching(self) -> dict[int, tuple[WatchKind, int]]:
        """Return how each folder is watched and how many of its files are settling."""
        settling = self._candidates.settling()
        return {f.id: (f.kind, settling[f.id]) for f in self._folders.values()}

    def restless(self) -> tuple[Restless, ...]:
        """Return the files that have not come to rest for a day or longer."""
        return self._candidates.restless

    def standing(self, folder: int, path: bytes) -> Settling | None:
        """Return how a path stands that is not yet decided on."""
        return self._candidates.standing((folder, path))

    # --- One tick --------------------------------------------------------------------------------

    def tick(self, now: Now, inputs: Sequence[Input]) -> Plan:
        """Enter what came in, write what is decided, and return the jobs.

        When the ledger cannot be written, what was decided stays in hand for the next tick.
        """
        self._watch_the_clock(now)
        for one in inputs:
            self._enter(one, now)
        jobs = self._watches.jobs(now.monotonic)
        if not self._outage.affects(self):
            jobs += self._forget
            self._forget.clear()
        written = False
        try:
            more, written = self._decide(now)
            jobs += more
        except LedgerError as error:
            self._outage.begin(self, error)
        self._candidates.tell_restless(now.monotonic)
        jobs += self._candidates.looks(now.monotonic)
        return Plan(jobs, self._next_at(now), written)

    def _watch_the_clock(self, now: Now) -> None:
        """A wall clock that jumped, or a machine that slept, may have missed events: look everywhere."""
        offset = now.wall - now.monotonic
        if self._offset is not None and abs(offset - self._offset) > CLOCK_JUMP:
            self._watches.scan_all(now.monotonic)
        self._offset = offset

    def _next_at(self, now: Now) -> float | None:
        wakes = [*self._watches.wakes()]
        look = self._candidates.next_at()
        if look is not None:
            wakes.append(look)
        if self._outage.affects(self):
            wakes.append(now.monotonic + RETRY_SECONDS)
        elif self._candidates.any_settled and self._candidates.reading < EXAMINE_AT_ONCE:
            wakes.append(now.monotonic)
        return min(wakes, default=None)

    # --- What comes in ---------------------------------------------------------------------------

    def _enter(self, one: Input, now: Now) -> None:
        match one:
            case Examined():
                self._examined.append(one)
            case Listed(folder):
                if self._folders[folder].phase is Phase.FIRST_LOOK:  # else it is of a watch that has ended
                    self._listed.append(one)
            case Forgettable():
                self._forgettable(one)
            case Overflow():
                self._watches.scan_all(now.monotonic)
            case Unread(job, error):
                self._outage.begin(self, error)
                self._unread(job, now.monotonic)
            case Armed() | Checked() | Scanned() | Down():
                self._enter_folder(one, now)
            case Hint() | Found() | Looked() | Unexamined():
                self._enter_path(one, now.monotonic)

    def _unread(self, job: Scan | Forget, at: float) -> None:
        match job:
            case Scan(folder):
                self._watches.scan_again(folder, at + RETRY_SECONDS)
            case Forget():
                self._forget.append(job)

    def _enter_folder(self, one: Armed | Checked | Scanned | Down, now: Now) -> None:
        at = now.monotonic
        match one:
            case Armed():
                self._watches.armed(one, at)
                if self._folders[one.folder].home is one.home:
                    self._homes[one.folder] = one.home
                self._candidates.folder_up(one.folder)
            case Checked():
                self._watches.checked(one, at)
            case Scanned():
                self._outage.end(self)  # it has read it
                self._watches.scanned(one, at)
                self._candidates.scanned(one.folder)
                self._forget_later(one.folder, now)
            case Down(folder, verdict):
                self._down(folder, verdict, at)

    def _enter_path(self, one: Hint | Found | Looked | Unexamined, at: float) -> None:
        match one:
            case Hint(folder, path, must_read):
                self._candidates.hint((folder, path), at, must_read=must_read)
            case Found():
                self._candidates.found(one, at)
            case Looked():
                self._candidates.looked(one, at)
            case Unexamined():
                self._candidates.unexamined(one, at)
                if isinstance(one.verdict, FolderDown):
                    self._down(one.job.folder, one.verdict, at)

    def _down(self, folder: int, verdict: Verdict, at: float) -> None:
        self._watches.down(self._folders[folder], verdict, at)
        self._candidates.folder_down(folder)

    # --- Decisions -------------------------------------------------------------------------------

    def _decide(self, now: Now) -> tuple[list[Job], bool]:
        """Decide what settled, was read, listed or is missing, in one transaction."""
        candidates = self._candidates
        settled = candidates.settled(EXAMINE_AT_ONCE - candidates.reading)
        waiting = (settled, self._examined, self._listed, candidates.gone, self._forgotten, self._homes)
        if not any(waiting):
            return [], False
        fresh = [one for one in self._examined if not candidates.is_settling((one.job.folder, one.job.path))]
        with self._store.writing() as connection:
            decided = self._decisions.decide(
                connection, now, listed=self._listed, settled=settled, examined=fresh, gone=candidates.gone
            )
            save_homes(connection, self._homes)
            for one in self._forgotten:
                versions.prune(connection, one.job.folder, one.job.before, one.ids)
        self._outage.end(self)
        candidates.examined(self._examined)
        self._take_over(decided, settled, now.monotonic)
        return [job for _, job in decided.to_read], decided.writes.any()

    def _take_over(self, decided: Decided, settled: Sequence[Settled], at: float) -> None:
        """What was decided is on disk: act by it, and tell people."""
        for one, _ in decided.to_read:
            self._candidates.being_read(one)
        self._candidates.decided(settled)
        for one, quiet in decided.to_wait:
            self._candidates.wait_longer(one, quiet)
        for key in decided.to_look:
            self._candidates.hint(key, at)
        for folder, count in decided.baselines:
            self._watches.first_look_taken(folder)
            self._candidates.folder_up(folder.id)
            if count:
                self._log(Log.BASELINE, folder=folder.settings.name, count=count)
        for new in decided.writes.new:
            if new.skipped is None and not new.baseline:
                self._log(Log.QUEUED, path=names.readable(new.path))
        for folder in decided.floods:
            name, most = folder.settings.name, folder.settings.hold_over
            self._log(Log.FLOOD, folder=name, most=most)
        self._examined, self._listed, self._candidates.gone = [], [], set()
        self._forgotten.clear()
        self._homes.clear()

    # --- Forgetting ------------------------------------------------------------------------------

    def _forget_later(self, folder: int, now: Now) -> None:
        """Once a day, after a scan: forget what has been gone for longer than `keep`."""
        for one in (folder, None):
            if now.monotonic >= self._forgot_at.get(one, float("-inf")) + DAY:
                self._forgot_at[one] = now.monotonic
                self._forget.append(Forget(one, now.wall - self._keep))

    def _forgettable(self, one: Forgettable) -> None:
        self._forgotten.append(one)
        if one.last is not None:
            self._forget.append(replace(one.job, after=one.last))
