"""What the intake loop asks to have done, and what comes back: frozen values both ways.

Folders are named by their id in the ledger; `asked` is the monotonic instant at which a look was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.ledger import LedgerError
from dingwatch.model import Cause, Fingerprint, Home, Verdict, WatchKind
from dingwatch.novelty import Known
from dingwatch.watch import Hint, Overflow


@dataclass(frozen=True, slots=True)
class Arm:
    """Open the root and begin to watch it; `poll` says that kernel events have failed there."""

    folder: int
    poll: bool = False
    home: Home | None = None
    """Where the root lay at the first look; it is down while what was mounted there is missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """See whether the root is there, is the one that was opened, and is being watched."""

    folder: int


@dataclass(frozen=True, slots=True)
class TakeBaseline:
    """List everything, for the first look."""

    folder: int


@dataclass(frozen=True, slots=True)
class Scan:
    """Compare everything that lies there with the ledger."""

    folder: int


@dataclass(frozen=True, slots=True)
class Look:
    """Take the fingerprints of some paths."""

    folder: int
    paths: tuple[bytes, ...]
    asked: float


@dataclass(frozen=True, slots=True)
class Examine:
    """Read a settled file's digest, after a look at the versions that it may be a moved one of.

    An editor's lock beside it holds it back when it changed at `locks_since` (wall clock) or later; None
    when no lock does.
    """

    folder: int
    path: bytes
    fingerprint: Fingerprint
    rivals: tuple[Known, ...]
    locks_since: float | None = None


@dataclass(frozen=True, slots=True)
class FindExpired:
    """Find versions that were missing before an instant (wall clock) and still are, by id after `after`.

    Folder None stands for what `send` was given.
    """

    folder: int | None
    before: float
    after: int = 0


Job = Arm | Check | TakeBaseline | Scan | Look | Examine | FindExpired


@dataclass(frozen=True, slots=True)
class Armed:
    """The folder is watched; `mounted` says whether its root is a mount point, `home` where it lies now.

    `refused` is why the kernel makes no events for it, where it should.
    """

    folder: int
    kind: WatchKind
    network: bool
    home: Home
    mounted: bool
    refused: Cause | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The root is as it was."""

    folder: int


@dataclass(frozen=True, slots=True)
class Down:
    """The folder cannot be watched."""

    folder: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything that lies in the folder."""

    folder: int
    files: tuple[tuple[bytes, Fingerprint], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A part of what a scan found.

    Paths in a state unknown to the ledger, paths that are missing, links and the like that are never sent,
    and directories that cannot be listed.
    """

    folder: int
    unknown: tuple[bytes, ...] = ()
    missing: tuple[bytes, ...] = ()
    irregular: tuple[bytes, ...] = ()
    unlisted: tuple[tuple[bytes, Verdict], ...] = ()


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan came to its end; `unwatched` are directories in it that make no events."""

    folder: int
    unwatched: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class LedgerFailed:
    """The ledger could not be read for a job: it is asked for again."""

    job: Scan | FindExpired
    error: LedgerError


@dataclass(frozen=True, slots=True)
class Expired:
    """Versions whose files are really not there; the search goes on after the id `last`, if any."""

    ids: tuple[int, ...]
    job: FindExpired
    last: int | None


@dataclass(frozen=True, slots=True)
class Looked:
    """What looks saw."""

    job: Look
    seen: tuple[tuple[bytes, Fingerprint | Verdict], ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """The digest (None where a moved version was recognised without it), and the rivals that have moved."""

    job: Examine
    digest: str | None
    movable: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class ExamineFailed:
    """The file could not be read as it settled."""

    job: Examine
    verdict: Verdict


Input = (
    Hint
    | Overflow
    | Armed
    | Checked
    | Down
    | Listed
    | Found
    | Scanned
    | Expired
    | LedgerFailed
    | Looked
    | Examined
    | ExamineFailed
)
