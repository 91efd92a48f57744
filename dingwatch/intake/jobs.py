"""The jobs of the intake loop and their outcomes: frozen values both ways.

Folders are named by their id in the ledger; `asked` is the monotonic instant at which a look was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dingwatch.filters import LastScan
from dingwatch.ledger import LedgerError
from dingwatch.ledger.fingerprints import Adopted
from dingwatch.ledger.folders import ShareState
from dingwatch.ledger.pruning import FIRST, Place
from dingwatch.ledger.versions import File
from dingwatch.model import Cause, Fingerprint, Home, Verdict, WatchKind
from dingwatch.novelty import Known
from dingwatch.watch import Hint, Overflow

LOOKING: Final = "first_look"
"""The code of a folder's failure while another node takes its first look."""
CLOSED: Final = "closed"
"""The code of a job's failure when its folder's former root is closed and the next one is not open yet."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Open the root and begin to watch it; with `poll` without kernel events, which have failed there."""

    folder: int
    poll: bool = False
    home: Home | None = None
    """The root's mount at the first look; the folder is down while that is missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """Check that roots are there, are those that were opened, and are being watched.

    They lie on one `device`; None for a root that is checked alone, because its device may hang.
    """

    folders: tuple[int, ...]
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Watch a former target of the folder's path no more: everything in it is done."""

    folder: int


@dataclass(frozen=True, slots=True)
class TakeBaseline:
    """List the next files for the first look that `began` (monotonic), at most so many."""

    folder: int
    began: float
    most: int


@dataclass(frozen=True, slots=True)
class Compare:
    """Find out whether another directory lies where the root was, or the same files in another mount."""

    folder: int


@dataclass(frozen=True, slots=True)
class Scan:
    """Compare everything that lies there with the ledger; `last` is given where it had another filter.

    What the ledger does not know and was changed before `old_before` (wall clock) is not new.
    """

    folder: int
    last: LastScan | None = None
    old_before: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Take the fingerprints of some paths."""

    folder: int
    paths: tuple[bytes, ...]
    asked: float


@dataclass(frozen=True, slots=True)
class Examine:
    """Take the digest of a settled file, unless it turns out to be one of its `rivals` that was moved.

    An editor's lock beside it keeps it waiting when the lock changed at `locks_since` (wall clock) or later;
    None when no lock does. `known` says that its size and mtime are those of a known version of its path.
    Only what was there at `since` (ledger's clock), before the path was first seen, can have moved to it.
    Without `reads` no digest is taken: none of its bytes will be uploaded.
    """

    folder: int
    path: bytes
    fingerprint: Fingerprint
    rivals: tuple[Known, ...]
    locks_since: float | None = None
    known: bool = False
    since: float = 0.0
    reads: bool = True


@dataclass(frozen=True, slots=True)
class FindPrunable:
    """Find versions that were missing before an instant (wall clock) and still are, the oldest first.

    `after` is the place of the last version that was found before. Folder None stands for the files that
    `send` was given.
    """

    folder: int | None
    before: float
    after: Place = FIRST


Job = Arm | Check | Leave | TakeBaseline | Compare | Scan | Look | Examine | FindPrunable


@dataclass(frozen=True, slots=True)
class Armed:
    """The folder is watched; `home` is where its root lies now, `mounted` whether that is a mount point.

    `refused` is why the kernel makes no events for it although it should; else None. `steady` says whether
    its files keep their inodes' numbers, and their ctimes until somebody changes them.
    """

    folder: int
    kind: WatchKind
    network: bool
    home: Home
    mounted: bool
    refused: Cause | None = None
    steady: bool = True
    root: tuple[int, int] | None = None
    """The device and inode of the directory that is watched."""
    share: ShareState | None = None
    """How far the first look is of a folder that several nodes share."""


@dataclass(frozen=True, slots=True)
class Switched:
    """The folder's path leads to another root; the newest link on the way was changed at `linked_at`.

    `moved` says that this is the very directory that was watched, under another path.
    """

    folder: int
    root: bytes
    linked_at: float | None
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """A former target is watched no more."""

    folder: int


@dataclass(frozen=True, slots=True)
class Down:
    """The folder cannot be watched, or is not the one that was."""

    folder: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """These roots are as they were, others are not."""

    folders: tuple[int, ...]
    others: tuple[Switched | Down, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """Files in the folder that pass its filter, for the first look that `began`.

    Others follow unless these are the `last`.
    """

    folder: int
    began: float
    files: tuple[File, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Whether the root was replaced: fewer than half of the known files are there."""

    folder: int
    replaced: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A part of what a scan found.

    These are paths in a state unknown to the ledger, paths that are missing, links and the like, which are
    never sent, directories that cannot be listed, files that the filter of the last scan left out, and old
    files whose times were shifted together with those of all others in their directory. `adopted` are files
    of a shared folder in which versions were recognised that this node had not seen yet.
    """

    folder: int
    unknown: tuple[bytes, ...] = ()
    missing: tuple[bytes, ...] = ()
    irregular: tuple[bytes, ...] = ()
    unlisted: tuple[tuple[bytes, Verdict], ...] = ()
    left_out: tuple[File, ...] = ()
    shifted: tuple[bytes, ...] = ()
    adopted: tuple[Adopted, ...] = ()


@dataclass(frozen=True, slots=True)
class Widened:
    """How many files a wider filter or another root brought: those that are old, and those that are new."""

    old: int = 0
    new: int = 0


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan came to its end; `unwatched` are directories in it that make no events.

    With `more`, more files may be missing than one scan finds.
    """

    folder: int
    unwatched: frozenset[bytes] = frozenset()
    widened: Widened = Widened()
    more: bool = False


@dataclass(frozen=True, slots=True)
class LedgerFailed:
    """The ledger could not be read for a job, which is to be asked for again."""

    job: Compare | Scan | FindPrunable | Examine
    error: LedgerError


@dataclass(frozen=True, slots=True)
class FoundPrunable:
    """Versions whose files are not there indeed; where `last` is a place, more may follow it."""

    ids: tuple[int, ...]
    job: FindPrunable
    last: Place | None


@dataclass(frozen=True, slots=True)
class Looked:
    """The fingerprints that looks saw, or why there are none."""

    job: Look
    seen: tuple[tuple[bytes, Fingerprint | Verdict], ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """The digest, and the rivals that were moved; None where a moved file was recognised without it.

    It is also None where the job asked for none.
    """

    job: Examine
    digest: str | None
    movable: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class ExamineFailed:
    """The file could not be read as it had settled."""

    job: Examine
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ScanWanted:
    """A person wants a folder to be scanned now."""

    folder: int


Input = (
    Hint
    | Overflow
    | ScanWanted
    | Armed
    | Checked
    | Switched
    | Left
    | Down
    | Listed
    | Compared
    | Found
    | Scanned
    | FoundPrunable
    | LedgerFailed
    | Looked
    | Examined
    | ExamineFailed
)
