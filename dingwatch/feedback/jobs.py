"""The jobs of the feedback loop, each for one folder, and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass

from dingwatch.file_writes import Removal
from dingwatch.ledger.feedback import Sidecar
from dingwatch.ledger.moves import Move, SentFile
from dingwatch.model import Fingerprint, Verdict


@dataclass(frozen=True, slots=True)
class NewSidecar:
    """A sidecar to be made, if one of these files (paths) is there to be told of.

    `again` says that an earlier run may have made it, or only its beginning.
    """

    sidecar: Sidecar
    beside: tuple[bytes, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class SyncSidecars:
    """Remove sidecars, and then make others."""

    folder: int
    root: bytes
    remove: tuple[Sidecar, ...]
    create: tuple[NewSidecar, ...]


@dataclass(frozen=True, slots=True)
class ToSurvey:
    """A file that may be moved away, and the directory beneath the root for it."""

    file: SentFile
    directory: bytes


@dataclass(frozen=True, slots=True)
class MoveFiles:
    """Carry on with moves that are written down, look at files that were moved, and at those to be moved.

    An editor's lock older than `locks_since` (wall clock) was left behind.
    """

    folder: int
    root: bytes
    moves: tuple[Move, ...]
    verify: tuple[Move, ...]
    survey: tuple[ToSurvey, ...]
    locks_since: float


Job = SyncSidecars | MoveFiles


# --- Outcomes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Removed:
    """A sidecar that is not there any more, or none of ours."""

    sidecar: Sidecar
    how: Removal


@dataclass(frozen=True, slots=True)
class Created:
    """A sidecar that was made."""

    sidecar: Sidecar


@dataclass(frozen=True, slots=True)
class NotCreated:
    """A sidecar that was not made: its name is taken, or no file that it is about is there (no verdict)."""

    sidecar: Sidecar
    taken: bool
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class NotRemoved:
    """A sidecar that could not be removed."""

    sidecar: Sidecar
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A file that may be moved, as it is now, and the free path for it."""

    file: SentFile
    fingerprint: Fingerprint
    place: bytes

    @property
    def version(self) -> int:
        """The version whose file it is."""
        return self.file.version


@dataclass(frozen=True, slots=True)
class Unfit:
    """A file that is not what was sent any more."""

    version: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A move away that the file system refuses: the file is where it was.

    `directory` is set where that could not be made or entered.
    """

    move: Move
    verdict: Verdict
    directory: bytes | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A file that cannot be looked at or moved back now; `move` is set where that was written down."""

    version: int
    verdict: Verdict
    move: Move | None = None


@dataclass(frozen=True, slots=True)
class NameTaken:
    """A move, away or back, whose target another file has taken."""

    move: Move


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that was moved away; `same` is whether it was unchanged right after that."""

    move: Move
    same: bool
    network: bool
    """Whether it lies where another host's writes show late."""


@dataclass(frozen=True, slots=True)
class CameBack:
    """A file that was moved back."""

    move: Move


@dataclass(frozen=True, slots=True)
class Over:
    """A move of which nothing is left to be done: the file rests where it went, or somebody has taken it."""

    move: Move


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that has changed since it was moved, and the free path for it."""

    move: Move
    back: bytes


@dataclass(frozen=True, slots=True)
class FolderFailed:
    """A job of which nothing could be carried out, because the folder is down."""

    verdict: Verdict


Result = (
    Removed
    | Created
    | NotCreated
    | NotRemoved
    | Surveyed
    | Unfit
    | Refused
    | Blocked
    | NameTaken
    | Arrived
    | CameBack
    | Over
    | Changed
    | FolderFailed
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a job."""

    job: Job
    results: tuple[Result, ...]
