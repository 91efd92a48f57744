"""The feedback loop: what has changed in the ledger in, jobs out, and what became of them into the ledger.

It is woken when something was written to the ledger, and sees by the history's last line whether that
concerns it. Whatever it does to files is in the ledger before, and is found there after a crash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from dingwatch.feedback.jobs import (
    Arrived,
    Blocked,
    CameBack,
    Created,
    FolderFailed,
    Job,
    MoveFiles,
    NameTaken,
    NewSidecar,
    NotCreated,
    NotRemoved,
    Outcome,
    Over,
    Refused,
    Removed,
    Result,
    Surveyed,
    SyncSidecars,
    ToSurvey,
    Unfit,
)
from dingwatch.feedback.moving import directory_for, quiet_for
from dingwatch.feedback.records import Look, Records
from dingwatch.feedback.settings import FolderFeedback, Settings
from dingwatch.feedback.sidecars import MOST, Changes, compare, list_wanted
from dingwatch.feedback.wording import MOST_LISTED
from dingwatch.ledger import feedback, moves
from dingwatch.ledger.feedback import Duty, Line, Sidecar
from dingwatch.ledger.feedback import Phase as SidecarPhase
from dingwatch.ledger.moves import Move, Phase
from dingwatch.ledger.store import RETRY_SECONDS, Outage, Store
from dingwatch.lifecycle import State
from dingwatch.model import InUse, LedgerError, Now, Vanished, Verdict
from dingwatch.names import readable
from dingwatch.settle import LOCK_AGES
from dingwatch.texts import Log

MOVES_AT_ONCE: Final = 100
"""Files of one folder that are surveyed in one job."""
LIST_SECONDS: Final = 2.0
"""The shortest time between two lists of one folder: a thousand files may fail one after the other."""
DOWN_SECONDS: Final = 5.0
"""When a folder that is down is tried again."""
IN_USE_SECONDS: Final = 30.0
"""When a file is tried again that somebody has open, or that cannot be looked at."""
TAKEN_SECONDS: Final = 60.0
"""How long a name counts as taken: whoever has it may delete it. The list of all files has no other."""
ABSENT_SECONDS: Final = 60.0
"""When the sidecar of a file is tried again that was not there: intake has still to find out."""
REFUSED_SECONDS: Final = 600.0
"""When that is tried again which a folder does not allow."""
DUTY_SECONDS: Final = 15.0
"""How often a node asks whether it leads shares that another one led."""
UNSEEN_SECONDS: Final = 5.0
"""When a file of a share is tried again that this node has not seen yet."""
_MAY_BE_MOVED: Final = frozenset({"touched", "moved", "returned", "put_back"})
"""Events after which a file that was sent before may be moved away."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to carry out, when the loop is next needed (monotonic), and paths for intake to look at."""

    jobs: list[Job] = field(default_factory=list)
    next_at: float | None = None
    looks: list[Look] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    """The state of one folder in this run; instants are monotonic."""

    dirty: bool = True
    """Whether what people should be told may have changed."""
    syncing: bool = False
    moving: bool = False
    listed: bool = False
    """Whether the ledger was asked for all that may be moved."""
    candidates: dict[int, float] = field(default_factory=dict)
    """Versions that may be moved away, and when each is next surveyed."""
    due: dict[int, float] = field(default_factory=dict)
    """When to go on with moves that are written down."""
    sync_at: float = 0.0
    move_at: float = 0.0
    """Until then no sidecars are made, or no files moved, because the folder is down."""
    told_all_at: float = float("-inf")
    """When the list of all files was last written."""
    postponed: dict[int | bytes | None, float] = field(default_factory=dict)
    """Versions whose sidecars cannot be made, and paths of those that cannot be removed, until when."""
    taken: dict[bytes, float] = field(default_factory=dict)
    """Names for sidecars that others have taken, until when they count as such."""
    planned: set[bytes] = field(default_factory=set)
    """Sidecars that this run has planned: no earlier one can have made them."""
    failures: set[str] = field(default_factory=set)
    """The codes of failures that were logged."""
    obstructed: set[bytes] = field(default_factory=set)
    """Directories for what was sent whose names others have; it was logged."""

    def has_waited(self, at: float) -> bool:
        """Return whether a sidecar that could not be made or removed is to be tried again."""
        return any(until <= at for until in (*self.postponed.values(), *self.taken.values()))


class FeedbackLoop:
    """Decides which sidecars are made and removed, and which files are moved."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        log: Callable[..., None],
        outage: Outage,
        is_up: Callable[[int], bool],
        month_of: Callable[[float], str],
    ) -> None:
        """Take what it works with.

        Args:
            store: the ledger.
            settings: how folders give feedback.
            log: what writes a line of log.
            outage: the ledger's outages, which all loops share.
            is_up: whether the files of a folder (by its id) can be touched now.
            month_of: the month of an instant in local time, as `2026-11`.
        """
        self._store = store
        self._settings = settings
        self._log = log
        self._outage = outage
        self._is_up = is_up
        self._month_of = month_of
        self._came: list[Outcome] = []
        self._looks: list[Look] = []
        self._folders: defaultdict[int, _Folder] = defaultdict(_Folder)
        self._last: int | None = None
        """The history's last line that was seen; None while all folders are to be looked at."""
        self._left = True
        """Whether the ledger may have sidecars or moves."""
        self._duty = Duty()
        self._next_at: float | None = None

    @property
    def idle(self) -> bool:
        """Whether no folder gives feedback, and nothing of earlier feedback is left."""
        return not self._settings.asked and not self._left

    def change_settings(self, settings: Settings) -> None:
        """Go on by other settings: all folders are looked at again."""
        self._settings, self._last = settings, None
        for one in self._folders.values():
            one.dirty, one.listed, one.sync_at, one.move_at = True, False, 0.0, 0.0
            one.candidates.clear()
            one.postponed.clear()

    def note_files(self) -> None:
        """Note that files have come or gone, of which the history may say nothing."""
        for one in self._folders.values():
            one.dirty = True

    def tick(self, now: Now, outcomes: Sequence[Outcome]) -> Plan:
        """Enter what came in, and return what is to be done.

        When the ledger cannot be used, what came in stays in hand for the next tick.
        """
        self._came += outcomes
        if self.idle:
            return Plan()
        jobs: list[Job] = []
        try:
            self._enter(now)
            if self._is_due(now.monotonic):
                jobs = self._decide(now)
        except LedgerError as error:
            self._outage.begin(self, error)
            self._next_at = now.monotonic + RETRY_SECONDS
        else:
            self._outage.end(self)
        looks, self._looks = self._looks, []
        return Plan(jobs, self._next_at, looks)

    def _is_due(self, at: float) -> bool:
        """Return whether anything has changed in the ledger, or waits no longer."""
        with self._store.reading() as connection:
            changed = feedback.last_line(connection) != self._last
        dirty = any(one.dirty and not one.syncing for one in self._folders.values())
        return changed or dirty or (self._next_at is not None and self._next_at <= at)

    # --- What came in ----------------------------------------------------------------------------

    def _enter(self, now: Now) -> None:
        """Write down what became of jobs, and act by it."""
        if not self._came:
            return
        records = Records.of(result for outcome in self._came for result in outcome.results)
        if not records.empty:
            with self._store.writing() as connection:
                records.write(connection, now.ledger)
        came, self._came = self._came, []
        self._looks += records.looks()
        for outcome in came:
            self._take_over(outcome, now.monotonic)
        self._next_at = now.monotonic

    def _take_over(self, outcome: Outcome, at: float) -> None:
        number = outcome.job.folder
        folder = self._folders[number]
        if isinstance(outcome.job, MoveFiles):
            folder.moving = False
            bad = [one for result in outcome.results for one in self._take_over_move(number, result, at)]
        else:
            folder.syncing = False
            bad = [one for result in outcome.results for one in _take_over_sidecar(folder, result, at)]
        for verdict in bad:
            self._log_once(number, folder, verdict)

    def _log_once(self, number: int, folder: _Folder, verdict: Verdict) -> None:
        if verdict.cause.code not in folder.failures:
            folder.failures.add(verdict.cause.code)
            name = self._feedback(number).name
            self._log(Log.NO_FEEDBACK, folder=name, **verdict.cause.log_values())

    def _take_over_move(self, number: int, result: Result, at: float) -> list[Verdict]:
        """Act by what became of one file; return what the folder does not allow."""
        folder = self._folders[number]
        match result:
            case Surveyed() | Unfit():
                folder.candidates.pop(result.version, None)
            case Arrived(move, same, network):
                quiet = quiet_for(self._feedback(number).settle, network=network)
                folder.due[move.version] = at + quiet if same else at
                self._log(Log.PUT_AWAY, folder=number, path=readable(move.origin), place=readable(move.place))
            case CameBack(move):
                folder.due.pop(move.version, None)
                back = readable(move.back or move.origin)
                self._log(Log.PUT_BACK, folder=number, path=back, place=readable(move.place))
            case Over(move):
                folder.due.pop(move.version, None)
            case NameTaken(move):
                waits = folder.due if move.phase is Phase.BACK else folder.candidates
                waits[move.version] = at
            case _:
                return self._postpone(number, result, at)
        return []

    def _postpone(self, number: int, result: Result, at: float) -> list[Verdict]:
        """Wait with a move that cannot be made now; return what the folder does not allow."""
        match result:
            case Refused(move, Vanished() as verdict, bytes(directory)):
                folder = self._folders[number]
                folder.candidates[move.version] = at + REFUSED_SECONDS
                if directory not in folder.obstructed:
                    folder.obstructed.add(directory)
                    place = readable(directory)
                    self._log(Log.NO_DIRECTORY, folder=number, place=place, **verdict.cause.log_values())
                return []
        return _postpone(self._folders[number], result, at)

    def _feedback(self, number: int) -> FolderFeedback:
        """Return how a folder gives feedback; one that has left the configuration gives none."""
        return self._settings.folders.get(number) or FolderFeedback(str(number))

    # --- What is to be done ----------------------------------------------------------------------

    def _decide(self, now: Now) -> list[Job]:
        """Look at what has changed, write down what is about to be done, and return the jobs."""
        with self._store.reading() as connection:
            view = self._look(connection)
            plans = [self._plan(connection, view, number, now) for number in sorted(view.numbers)]
        changes = [(plan.number, plan.changes) for plan in plans if plan.changes is not None]
        if any(one.new or one.unwanted for _, one in changes):
            with self._store.writing() as connection:
                for _, one in changes:
                    feedback.plan_sidecars(connection, one.new)
                    feedback.set_phase(connection, one.unwanted, SidecarPhase.UNWANTED)
        self._last, self._left = view.last, bool(view.moves or view.sidecars or changes)
        wakes = [plan.next_at for plan in plans if plan.next_at is not None]
        if self._waits_for_duty():
            wakes.append(now.monotonic + DUTY_SECONDS)
        self._next_at = now.monotonic if view.more else min(wakes, default=None)
        return [job for plan in plans for job in self._take_up(plan, now.monotonic)]

    def _look(self, connection: Connection) -> _View:
        """Read what has changed, and note what that may concern; what is noted twice does no harm."""
        lines: list[Line] = []
        last = feedback.last_line(connection)
        if self._last is None:
            for number in self._settings.folders:
                self._folders[number].dirty = True
        else:
            lines = list(feedback.lines_since(connection, self._last))
        more = len(lines) == feedback.READ_AT_ONCE
        if more:
            last = lines[-1].id
        view = _View(last, more)
        self._take_duty(feedback.read_duty(connection))
        for move in moves.list_moves(connection, self._duty):
            view.moves[move.folder].append(move)
        for sidecar in feedback.list_sidecars(connection, self._duty):
            view.sidecars[sidecar.folder].append(sidecar)
        view.numbers |= {*view.moves, *view.sidecars, *self._asked()}
        left = view.numbers - self._settings.folders.keys()
        view.roots = feedback.find_roots(connection, left) if left else {}
        view.numbers -= left - view.roots.keys()  # a share is left to the nodes that have it
        self._note(lines)
        for number, one in self._settings.folders.items():
            folder = self._folders[number]
            if one.moves and not folder.listed and self._duty.covers(number):
                folder.candidates |= dict.fromkeys(moves.list_movable(connection, number), 0.0)
                folder.listed = True
        return view

    def _take_duty(self, duty: Duty) -> None:
        """Look afresh at the shares that this node leads from now on; another one did before."""
        before, self._duty = self._duty, duty
        for number in duty.led - before.led:
            folder = self._folders[number]
            folder.dirty, folder.listed = True, False
            folder.due.clear()
        for number in self._settings.folders:
            if not duty.covers(number):
                self._folders[number].dirty = False

    def _asked(self) -> list[int]:
        """Return the folders in which this node gives feedback."""
        return [
            number
            for number, one in self._settings.folders.items()
            if (one.sidecars or one.moves) and self._duty.covers(number)
        ]

    def _waits_for_duty(self) -> bool:
        """Return whether the nodes that lead shares may be lost, and this one have to go on for them."""
        return any(not self._duty.covers(number) for number in self._settings.folders)

    def _note(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if line.folder is None or line.folder not in self._settings.folders:
                continue
            if not self._duty.covers(line.folder):
                continue
            folder = self._folders[line.folder]
            folder.dirty = True
            if self._settings.folders[line.folder].moves and (
                line.after == State.SENT or line.event in _MAY_BE_MOVED
            ):
                folder.candidates.setdefault(line.version, 0.0)

    def _plan(self, connection: Connection, view: _View, number: int, now: Now) -> _FolderPlan:
        """Return what is to be done in one folder."""
        folder, asked = self._folders[number], self._feedback(number)
        plan = _FolderPlan(number)
        there, under_way = view.sidecars.get(number, []), view.moves.get(number, [])
        folder.dirty = folder.dirty or folder.has_waited(now.monotonic)
        busy = bool(folder.dirty or folder.candidates or under_way or _unfinished(there))
        if not busy:
            return plan
        if number in self._settings.folders and not self._is_up(number):
            plan.next_at = now.monotonic + DOWN_SECONDS
            return plan
        root = asked.root or view.roots[number]
        if not folder.syncing and not plan.waits_until(folder.sync_at, now.monotonic):
            self._plan_sidecars(connection, plan, root, there, now)
        if not folder.moving and not plan.waits_until(folder.move_at, now.monotonic):
            self._plan_moves(connection, plan, root, under_way, now)
        return plan

    def _plan_sidecars(
        self, connection: Connection, plan: _FolderPlan, root: bytes, there: Sequence[Sidecar], now: Now
    ) -> None:
        folder, asked, at = self._folders[plan.number], self._feedback(plan.number), now.monotonic
        folder.postponed = {key: until for key, until in folder.postponed.items() if until > at}
        plan.wake(min(folder.postponed.values(), default=None))
        folder.taken = {path: until for path, until in folder.taken.items() if until > at}
        holds, unsent, total = self._settings.holds_uncertain, [], 0
        if asked.sidecars:
            unsent = feedback.list_unsent(connection, plan.number, MOST_LISTED, holds=holds)
            if len(unsent) > MOST:
                total = feedback.count_unsent(connection, plan.number, holds=holds)
        if total > MOST and plan.waits_until(folder.told_all_at + LIST_SECONDS, at):
            return
        wanted = [
            one
            for one in list_wanted(unsent, total, self._settings)
            if one.version not in folder.postponed or any(row.version == one.version for row in there)
        ]
        plan.changes = changes = compare(plan.number, wanted, there, folder.taken)
        if changes.lacks_name:
            plan.wake(min(folder.taken.values(), default=None))
        paths = {one.version: one.path for one in unsent}
        again = [one for one in there if one.phase is SidecarPhase.PLANNED and one not in changes.unwanted]
        remove = [one for one in there if one.phase is SidecarPhase.UNWANTED] + [*changes.unwanted]
        remove = [one for one in remove if one.path not in folder.postponed]
        create = [
            *(NewSidecar(one, _beside(one, paths), one.path not in folder.planned) for one in again),
            *(NewSidecar(one, _beside(one, paths)) for one in changes.new),
        ]
        if remove or create:
            plan.jobs.append(SyncSidecars(plan.number, root, tuple(remove), tuple(create)))
        else:
            folder.dirty = False

    def _plan_moves(
        self, connection: Connection, plan: _FolderPlan, root: bytes, under_way: Sequence[Move], now: Now
    ) -> None:
        folder, asked, at = self._folders[plan.number], self._feedback(plan.number), now.monotonic
        for move in under_way:
            # After a start, a file rests for a quiet period of this run.
            folder.due.setdefault(move.version, at + asked.settle if move.phase is Phase.THERE else at)
        ready = [move for move in under_way if folder.due[move.version] <= at]
        waited = (version for version, until in folder.candidates.items() if until <= at)
        due = list(islice(waited, MOVES_AT_ONCE))
        found = {one.version: one for one in moves.find_movable(connection, due)} if asked.moves else {}
        for version in due:
            if version not in found:
                del folder.candidates[version]
            elif not found[version].seen:  # another node saw it, and this one will in a moment
                folder.candidates[version] = at + UNSEEN_SECONDS
        survey = [
            ToSurvey(one, directory_for(one.path, self._month_of(one.sent_at), self._settings.language))
            for one in found.values()
            if one.seen
        ]
        carry = tuple(move for move in ready if move.phase is not Phase.THERE)
        verify = tuple(move for move in ready if move.phase is Phase.THERE)
        if carry or verify or survey:
            since = now.wall - LOCK_AGES
            plan.jobs.append(MoveFiles(plan.number, root, carry, verify, tuple(survey), since))
        else:
            waits = [*folder.candidates.values(), *(folder.due[move.version] for move in under_way)]
            plan.wake(min(waits, default=None))

    def _take_up(self, plan: _FolderPlan, at: float) -> list[Job]:
        """Note that jobs are out; what they are about to do is written down."""
        folder = self._folders[plan.number]
        for job in plan.jobs:
            if isinstance(job, MoveFiles):
                folder.moving = True
                continue
            folder.syncing, folder.dirty = True, False
            folder.planned |= {one.sidecar.path for one in job.create if not one.again}
            if any(one.sidecar.version is None for one in job.create):
                folder.told_all_at = at
        return plan.jobs


@dataclass(slots=True)
class _View:
    """The contents of the ledger that a tick decides by."""

    last: int
    more: bool
    """Whether the history has more lines than were read."""
    moves: defaultdict[int, list[Move]] = field(default_factory=lambda: defaultdict(list))
    sidecars: defaultdict[int, list[Sidecar]] = field(default_factory=lambda: defaultdict(list))
    numbers: set[int] = field(default_factory=set)
    """Folders in which something may be to be done."""
    roots: dict[int, bytes] = field(default_factory=dict)
    """The roots of folders that have left the configuration."""


@dataclass(slots=True)
class _FolderPlan:
    """The jobs in one folder; `changes` are written down before the jobs begin."""

    number: int
    changes: Changes | None = None
    jobs: list[Job] = field(default_factory=list)
    next_at: float | None = None

    def wake(self, at: float | None) -> None:
        """Have the loop come back at an instant; None is never."""
        if at is not None:
            self.next_at = at if self.next_at is None else min(self.next_at, at)

    def waits_until(self, until: float, at: float) -> bool:
        """Return whether an instant is still to come; the loop comes back then."""
        if until > at:
            self.wake(until)
        return until > at


def _unfinished(there: Iterable[Sidecar]) -> bool:
    return any(one.phase is not SidecarPhase.WRITTEN for one in there)


def _beside(one: Sidecar, paths: dict[int, bytes]) -> tuple[bytes, ...]:
    """Return the files of which one at least must be there for a sidecar to be made."""
    if one.version is None:
        return tuple(paths.values())
    return (paths[one.version],) if one.version in paths else ()


def _take_over_sidecar(folder: _Folder, result: Result, at: float) -> list[Verdict]:
    """Act by what became of one sidecar; return what the folder does not allow."""
    folder.dirty = True
    match result:
        case Created(sidecar) | Removed(sidecar):
            folder.planned.discard(sidecar.path)
        case NotCreated(sidecar, taken, verdict):
            folder.planned.discard(sidecar.path)
            if taken:
                folder.taken[sidecar.path] = at + TAKEN_SECONDS
                return []
            folder.postponed[sidecar.version] = at + (REFUSED_SECONDS if verdict else ABSENT_SECONDS)
            return [verdict] if verdict else []
        case NotRemoved(sidecar, verdict):
            folder.postponed[sidecar.path] = at + REFUSED_SECONDS
            return [verdict]
        case FolderFailed(verdict):
            folder.sync_at = at + DOWN_SECONDS
            return [verdict]
    return []


def _postpone(folder: _Folder, result: Result, at: float) -> list[Verdict]:
    """Wait with a move that cannot be made now; return what the folder does not allow."""
    match result:
        case Refused(move, verdict):
            folder.candidates[move.version] = at + REFUSED_SECONDS
        case Blocked(version, verdict, move):
            waits = folder.candidates if move is None else folder.due
            waits[version] = at + IN_USE_SECONDS
            return [] if isinstance(verdict, InUse) else [verdict]
        case FolderFailed(verdict):
            folder.move_at = at + DOWN_SECONDS
        case _:
            return []
    return [verdict]
