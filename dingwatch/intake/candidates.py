"""Paths between a hint and a decision: settling, looked at, read, missing.

Everything here is made again by a scan, so nothing of it is on disk. All instants are monotonic.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from dingwatch import names, settle
from dingwatch.intake.folder import Folder, Phase
from dingwatch.intake.jobs import Examined, Found, Look, Looked, Unexamined
from dingwatch.model import Cause, Fingerprint, InUse, Vanished, Verdict
from dingwatch.settle import Candidate
from dingwatch.texts import Log

LOOKS_AT_ONCE: Final = 256
ABSENT_WAIT: Final = 2.0
"""Seconds, beyond two quiet periods, that a missing file may turn up under another name."""
RESTLESS_EVERY: Final = 60.0
"""Seconds between two looks at which files never come to rest."""

_CHANGING: Final = Cause("changing", "", "IN_USE")

Key = tuple[int, bytes]
"""A folder's id, and a path in it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A candidate that has come to rest, and what it is then."""

    key: Key
    candidate: Candidate
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Restless:
    """A file that has not come to rest for a day or longer, and since when (monotonic)."""

    folder: int
    path: bytes
    since: float


@dataclass(frozen=True, slots=True)
class Settling:
    """A path that is not yet decided on: since when (monotonic), and what holds it back, if anything does."""

    since: float
    reason: Cause | None


class Candidates:
    """Keeps every path that is settling, and says which are to be looked at when."""

    def __init__(self, folders: Mapping[int, Folder], log: Callable[..., None]) -> None:
        self._folders = folders
        self._log = log
        self._settling: dict[Key, Candidate] = {}
        self._agenda: list[tuple[float, Key]] = []
        self._looking: set[Key] = set()
        self._settled: dict[Key, Settled] = {}
        self._examining: dict[Key, Candidate] = {}
        self._absent: dict[Key, float] = {}
        self._confirming: set[Key] = set()
        self._locks: dict[Key, Key] = {}
        self._reasons: dict[Key, Cause] = {}
        self._told: set[tuple[Log, Key]] = set()
        self._met: dict[int, set[tuple[Log, bytes]]] = defaultdict(set)
        """By folder, what scans find anew as long as it is there, and that was told; met since the last."""
        self._met_before: dict[int, set[tuple[Log, bytes]]] = {}
        self._tell_restless_at = 0.0
        self.gone: set[Key] = set()
        """Missing files whose absence has been confirmed."""
        self.restless: tuple[Restless, ...] = ()

    # --- What others ask -----------------------------------------------------------------------

    def settling(self) -> Counter[int]:
        """Count the files that are not yet decided on, by folder."""
        return Counter(folder for folder, _ in self._undecided())

    def _undecided(self) -> set[Key]:
        return {*self._settling, *self._examining, *self._settled}

    def standing(self, key: Key) -> Settling | None:
        """Return how a path stands that is not yet decided on."""
        waits = self._settled.get(key)
        candidate = self._settling.get(key) or self._examining.get(key) or (waits and waits.candidate)
        return Settling(candidate.first, self._reasons.get(key)) if candidate else None

    @property
    def reading(self) -> int:
        """How many files are out to be read."""
        return len(self._examining)

    @property
    def any_settled(self) -> bool:
        """Whether anything waits for a decision."""
        return bool(self._settled)

    def settled(self, limit: int) -> list[Settled]:
        """Return the first files that have settled."""
        return list(islice(self._settled.values(), max(limit, 0)))

    def is_settling(self, key: Key) -> bool:
        """Say whether something has happened to a path since it was decided on."""
        return key in self._settling

    # --- Hints ---------------------------------------------------------------------------------

    def hint(self, key: Key, at: float, *, must_read: bool = False) -> None:
        """Something happened to a path."""
        self._unlock(key, at)
        folder = self._folders.get(key[0])
        if folder is None or not folder.settings.filter.accepts(key[1]):
            return
        if folder.phase is not Phase.UP:
            folder.hinted.add(key[1])
        self._absent.pop(key, None)
        self.gone.discard(key)
        self._put(key, settle.hint(self._settling.get(key), at, folder.quiet, must_read=must_read))

    def _unlock(self, key: Key, at: float) -> None:
        """Something happened to an editor's lock: the file beside it need not wait for its next look."""
        held = self._locks.pop(key, None)
        if held in self._settling:
            self._put(held, replace(self._settling[held], not_before=at))

    def found(self, found: Found, at: float) -> None:
        """Enter what a scan found."""
        for path in found.unknown:
            key = (found.folder, path)
            if key not in self._settling and key not in self._examining and key not in self._settled:
                self.hint(key, at)
        for path in found.missing:
            self._miss((found.folder, path), at)
        self._tell_irregular([(found.folder, path) for path in found.irregular])
        for path, verdict in found.unlisted:
            key = (found.folder, path or b".")
            if self._meets(Log.UNREADABLE, key):
                self._say_of(Log.UNREADABLE, key, verdict.cause)

    def scanned(self, folder: int) -> None:
        """A scan came to its end: what was not met since the one before is there no more."""
        self._met_before[folder] = self._met.pop(folder, set())

    def _miss(self, key: Key, at: float) -> None:
        self._absent.setdefault(key, at + 2 * self._folders[key[0]].quiet + ABSENT_WAIT)

    def _put(self, key: Key, candidate: Candidate) -> None:
        self._settling[key] = candidate
        heappush(self._agenda, (settle.due(candidate), key))

    # --- Looks ---------------------------------------------------------------------------------

    def looks(self, at: float) -> list[Look]:
        """Return the looks that are due, many paths to a job."""
        due: dict[int, list[bytes]] = defaultdict(list)
        for key in (*self._due(at), *self._overdue(at)):
            due[key[0]].append(key[1])
            self._looking.add(key)
        return [
            Look(folder, tuple(paths[i : i + LOOKS_AT_ONCE]), at)
            for folder, paths in due.items()
            for i in range(0, len(paths), LOOKS_AT_ONCE)
        ]

    def _due(self, at: float) -> Iterable[Key]:
        """Take from the agenda; what is out or whose folder is down comes back to it by itself."""
        while self._agenda and self._agenda[0][0] <= at:
            _, key = heappop(self._agenda)
            candidate = self._settling.get(key)
            free = key not in self._looking and key not in self._examining
            if candidate is not None and free and self._is_up(key) and settle.due(candidate) <= at:
                yield key

    def _overdue(self, at: float) -> Iterable[Key]:
        """Missing files that had their time to turn up elsewhere."""
        for key in [key for key, until in self._absent.items() if until <= at and self._is_up(key)]:
            del self._absent[key]
            self._confirming.add(key)
            yield key

    def _is_up(self, key: Key) -> bool:
        return self._folders[key[0]].phase is Phase.UP

    def next_at(self) -> float | None:
        """Return when the next look is due; None when nothing waits for one."""
        wakes = [until for key, until in self._absent.items() if self._is_up(key)]
        return min((*wakes, *(when for when, _ in self._agenda[:1])), default=None)

    def looked(self, looked: Looked, at: float) -> None:
        """Enter what looks saw; one that is older than the last happening proves nothing."""
        for path, seen in looked.seen:
            key = (looked.job.folder, path)
            self._looking.discard(key)
            confirming = key in self._confirming
            self._confirming.discard(key)
            candidate = self._settling.get(key)
            if candidate is not None and looked.job.asked < candidate.changed:
                self._put(key, candidate)
            elif isinstance(seen, Vanished):
                self._saw_nothing(key, seen, at, confirming=confirming)
            elif candidate is not None and isinstance(seen, Fingerprint):
                self._saw(key, candidate, seen, looked.job.asked, at)
            elif candidate is not None and not isinstance(seen, Fingerprint):
                self._cannot_look(key, candidate, seen, at)
            elif confirming and isinstance(seen, Fingerprint):
                self.hint(key, at)

    def _saw(self, key: Key, candidate: Candidate, seen: Fingerprint, asked: float, at: float) -> None:
        if settle.is_settled(candidate, seen, asked):
            self._settled[key] = Settled(key, candidate, seen)
            del self._settling[key]
        else:
            self._put(key, settle.look(candidate, seen, asked, at))

    def _saw_nothing(self, key: Key, verdict: Vanished, at: float, *, confirming: bool) -> None:
        if self._settling.pop(key, None) is not None:
            self._nothing_holds(key)
        if confirming:
            self.gone.add(key)
        else:
            self._miss(key, at)
        if verdict.cause.code == "not_regular":
            self._tell_irregular([key])

    def _cannot_look(self, key: Key, candidate: Candidate, verdict: Verdict, at: float) -> None:
        """Keep a file that cannot be read now; look again ever more seldom, and say so once."""
        self._tell(Log.UNREADABLE, key, verdict.cause)
        self._reasons[key] = verdict.cause
        self._put(key, settle.postpone(candidate, at))

    # --- Digests -------------------------------------------------------------------------------

    def decided(self, settled: Iterable[Settled]) -> None:
        """These wait for no decision any more; some may have to be read first."""
        for one in settled:
            self._settled.pop(one.key, None)
            if one.key not in self._examining:
                self._nothing_holds(one.key)

    def being_read(self, settled: Settled) -> None:
        """A settled file goes out to be read."""
        self._examining[settled.key] = settled.candidate

    def wait_longer(self, settled: Settled, quiet: float) -> None:
        """A path whose versions come often needs a longer quiet period; nothing else has changed."""
        if settled.key not in self._settling:
            self._put(settled.key, replace(settled.candidate, quiet=quiet, seen=settled.fingerprint))

    def examined(self, examined: Sequence[Examined]) -> None:
        """These were read and decided on."""
        for one in examined:
            key = (one.job.folder, one.job.path)
            self._come_back(key)
            self._nothing_holds(key)

    def unexamined(self, one: Unexamined, at: float) -> None:
        """A settled file could not be read as it had settled."""
        key = (one.job.folder, one.job.path)
        candidate = self._come_back(key)
        if key in self._settling or candidate is None:
            return
        match one.verdict:
            case InUse(cause=cause, lock=lock):
                self._reasons[key] = cause
                self._hold(key, replace(candidate, seen=one.job.fingerprint), lock, at)
            case Vanished():
                self._put(key, settle.hint(candidate, at, candidate.quiet))
            case verdict:
                self._cannot_look(key, candidate, verdict, at)

    def _come_back(self, key: Key) -> Candidate | None:
        """Take a file out of those being read; what happened to it meanwhile is looked at now."""
        candidate = self._examining.pop(key, None)
        if key in self._settling:
            self._put(key, self._settling[key])
        return candidate

    def _nothing_holds(self, key: Key) -> None:
        """What held a path back holds no more; should it come again, it is told again."""
        self._told.discard((Log.UNREADABLE, key))
        self._reasons.pop(key, None)

    def _hold(self, key: Key, candidate: Candidate, lock: bytes | None, at: float) -> None:
        if lock is not None:
            directory, slash, _ = key[1].rpartition(b"/")
            self._locks[key[0], directory + slash + lock] = key
        self._put(key, settle.postpone(candidate, at))

    # --- Folders -------------------------------------------------------------------------------

    def folder_down(self, folder: int) -> None:
        """Looks that were out may come back as the folder's failure, naming no path."""
        self._looking = {key for key in self._looking if key[0] != folder}
        self._confirming = {key for key in self._confirming if key[0] != folder}

    def folder_up(self, folder: int) -> None:
        """Its candidates may be looked at (again)."""
        for key, candidate in self._settling.items():
            if key[0] == folder:
                heappush(self._agenda, (settle.due(candidate), key))

    # --- What people are told, once ------------------------------------------------------------

    def _tell(self, text: Log, key: Key, cause: Cause, **values: object) -> None:
        if (text, key) not in self._told:
            self._told.add((text, key))
            self._say_of(text, key, cause, **values)

    def _say_of(self, text: Log, key: Key, cause: Cause, **values: object) -> None:
        path = names.readable(key[1])
        self._log(text, path=path, code=cause.code, message=cause.message, advice=cause.advice, **values)

    def _meets(self, text: Log, key: Key) -> bool:
        """Say whether something that scans find was not met before."""
        folder, path = key
        before = self._met_before.get(folder, ())
        new = (text, path) not in self._met[folder] and (text, path) not in before
        self._met[folder].add((text, path))
        return new

    def _tell_irregular(self, keys: Sequence[Key]) -> None:
        """One line for what one scan found: a share may be full of links."""
        new = [key for key in keys if self._meets(Log.NOT_REGULAR, key)]
        if new:
            self._log(Log.NOT_REGULAR, path=names.readable(new[0][1]), count=len(new))

    def tell_restless(self, at: float) -> None:
        """Say which files never come to rest; each once."""
        if at < self._tell_restless_at:
            return
        self._tell_restless_at = at + RESTLESS_EVERY
        undecided = self._undecided()
        self._told = {one for one in self._told if one[1] in undecided}
        self.restless = tuple(
            Restless(*key, candidate.first)
            for key, candidate in (*self._settling.items(), *self._examining.items())
            if settle.is_past_ceiling(candidate, at) and self._is_up(key)
        )
        for one in self.restless:
            key = (one.folder, one.path)
            cause = self._reasons.get(key, _CHANGING)
            hours = int((at - one.since) // 3600)
            self._tell(Log.RESTLESS, key, cause, hours=hours)
