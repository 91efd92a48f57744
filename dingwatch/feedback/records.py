"""Results of jobs, as they are written to the ledger in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dingwatch.feedback.jobs import (
    Arrived,
    CameBack,
    Changed,
    Created,
    NameTaken,
    NotCreated,
    Over,
    Refused,
    Removed,
    Result,
    Surveyed,
)
from dingwatch.ledger import feedback, moves
from dingwatch.ledger.feedback import Phase, Sidecar
from dingwatch.ledger.moves import Move
from dingwatch.ledger.moves import Phase as MovePhase


@dataclass(frozen=True, slots=True)
class Look:
    """A path for intake to look at; `must_read` where size and mtime do not tell its content."""

    folder: int
    path: bytes
    must_read: bool


@dataclass(slots=True)
class Records:
    """All that a tick has to write of what came in."""

    created: list[Sidecar] = field(default_factory=list)
    forgotten: list[Sidecar] = field(default_factory=list)
    planned: dict[int, Move] = field(default_factory=dict)
    arrived: list[Move] = field(default_factory=list)
    returned: list[Move] = field(default_factory=list)
    changed: dict[int, bytes] = field(default_factory=dict)
    not_returned: list[int] = field(default_factory=list)
    over: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, results: Iterable[Result]) -> Records:
        """Sort what came in by what is to be written."""
        made = cls()
        for result in results:
            made._add(result)
        return made

    def _add(self, result: Result) -> None:
        match result:
            case Created(sidecar):
                self.created.append(sidecar)
            case Removed(sidecar) | NotCreated(sidecar):
                self.forgotten.append(sidecar)
            case Surveyed(file, seen, place):
                planned = Move(file.version, file.folder, MovePhase.AWAY, file.path, place, seen)
                self.planned[file.version] = planned
            case Arrived(move):
                self.arrived.append(move)
            case CameBack(move):
                self.returned.append(move)
            case Changed(move, back):
                self.changed[move.version] = back
            case NameTaken(move) if move.phase is MovePhase.BACK:
                self.not_returned.append(move.version)
            case NameTaken(move) | Refused(move) | Over(move):
                self.over.append(move.version)

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        sidecars = self.created or self.forgotten
        under_way = self.planned or self.arrived or self.returned or self.changed or self.not_returned
        return not (sidecars or under_way or self.over)

    def write(self, connection: Connection, now: float) -> None:
        """Write all of it."""
        feedback.set_phase(connection, self.created, Phase.WRITTEN)
        feedback.forget_sidecars(connection, self.forgotten)
        # Intake may have found since that a file was renamed, or replaced by a newer version.
        still = moves.find_movable(connection, list(self.planned))
        planned = [self.planned[one.version] for one in still if one.path == self.planned[one.version].origin]
        moves.plan_moves(connection, planned, now)
        moves.note_there(connection, self.arrived, now)
        moves.note_back(connection, self.returned, now)
        moves.plan_back(connection, self.changed)
        moves.note_not_back(connection, self.not_returned)
        moves.finish_moves(connection, self.over)

    def looks(self) -> list[Look]:
        """Return the paths at which files may lie that were not there, or not by these names."""
        return [
            *(Look(one.folder, one.origin, must_read=False) for one in self.arrived),
            *(Look(one.folder, one.back or one.origin, must_read=True) for one in self.returned),
        ]
