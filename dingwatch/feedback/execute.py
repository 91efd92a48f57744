"""Carries out the jobs of the feedback loop: all that touches files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Final

from dingwatch import file_writes, files, settle
from dingwatch.feedback.jobs import (
    Arrived,
    Blocked,
    CameBack,
    Changed,
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
from dingwatch.feedback.moving import Places, Step, is_same, next_step
from dingwatch.feedback.sidecars import free_name
from dingwatch.file_writes import NameTakenError
from dingwatch.files import Root
from dingwatch.ledger.feedback import Sidecar
from dingwatch.ledger.moves import Move, Phase
from dingwatch.ledger.versions import join, split
from dingwatch.model import Failure, Fingerprint, FolderDown, Vanished
from dingwatch.watch import is_steady, kind_of

_GONE: Final = frozenset({"absent", "not_regular", "changed"})


class Executor:
    """Carries out jobs, each in whatever thread calls it."""

    def __call__(self, job: Job) -> Outcome:
        """Return what came of a job."""
        try:
            with closing(files.open_root(job.root, steady=partial(is_steady, job.root))) as root:
                steps = _sync(root, job) if isinstance(job, SyncSidecars) else _move(root, job)
                return Outcome(job, tuple(steps))
        except Failure as failure:
            return Outcome(job, (FolderFailed(failure.verdict),))


# --- Sidecars --------------------------------------------------------------------------------------


def _sync(root: Root, job: SyncSidecars) -> Iterator[Result]:
    for one in job.remove:
        yield _remove(root, one)
    for new in job.create:
        yield _create(root, new)


def _remove(root: Root, one: Sidecar) -> Result:
    try:
        # It may have been planned by a run that was killed while it wrote.
        return Removed(one, file_writes.remove(root, one.path, one.content, unfinished=True))
    except Failure as failure:
        return NotRemoved(one, failure.verdict)


def _create(root: Root, new: NewSidecar) -> Result:
    one = new.sidecar
    try:
        # Beneath a share that is not mounted there is none of them, and nothing is to be left in its place.
        if not any(_is_there(root, path) for path in new.beside):
            return NotCreated(one, taken=False)
        if new.again:
            file_writes.remove(root, one.path, one.content, unfinished=True)
        file_writes.create(root, one.path, one.content)
    except NameTakenError:
        return NotCreated(one, taken=True)
    except Failure as failure:
        return NotCreated(one, taken=False, verdict=failure.verdict)
    return Created(one)


def _is_there(root: Root, path: bytes) -> bool:
    return _find(root, path) is not None


def _find(root: Root, path: bytes) -> Fingerprint | None:
    """Return a file's fingerprint; None where there is no file. Raise Failure where nobody can tell."""
    try:
        return files.observe(root, path)
    except Failure as failure:
        if isinstance(failure.verdict, Vanished):
            return None
        raise


# --- Moves -----------------------------------------------------------------------------------------


def _move(root: Root, job: MoveFiles) -> Iterator[Result]:
    network = kind_of(job.root).network
    for move in job.moves:
        carry = _carry_back if move.phase is Phase.BACK else _carry_away
        yield _attempt(move.version, partial(carry, root, move, network=network), move)
    for move in job.verify:
        yield _attempt(move.version, partial(_verify, root, move), move)
    for one in job.survey:
        yield _attempt(
            one.file.version, partial(_survey, root, one, job.locks_since, lease=not network), None
        )


def _attempt(version: int, work: Callable[[], Result], move: Move | None) -> Result:
    try:
        return work()
    except Failure as failure:
        if isinstance(failure.verdict, FolderDown):
            raise
        return Blocked(version, failure.verdict, move)


def _survey(root: Root, one: ToSurvey, locks_since: float, *, lease: bool) -> Result:
    """See that a file is what was sent and that nobody is at it, and find a name for it."""
    file = one.file
    name = split(file.path)[1]
    try:
        seen = files.observe(root, file.path, opened=not lease)
        if not seen.known_as(file.fingerprint.size, file.fingerprint.mtime_ns):
            return Unfit(file.version)
        files.require_unlocked(root, file.path, settle.lock_names(name), locks_since)
        if root.steady and file.digest is not None and seen != file.fingerprint:
            # Its permissions were changed, or its content was by somebody who has set the time back.
            if files.digest(root, file.path, seen, lease=lease) != file.digest:
                return Unfit(file.version)
        else:
            files.require_rest(root, file.path, seen, lease=lease)
    except Failure as failure:
        if isinstance(failure.verdict, Vanished) and failure.verdict.cause.code in _GONE:
            return Unfit(file.version)
        raise
    taken = file_writes.list_names(root, one.directory)
    return Surveyed(file, seen, join(one.directory, free_name(name, taken)))


def _carry_away(root: Root, move: Move, *, network: bool) -> Result:
    places = Places(_find(root, move.origin), _find(root, move.place))
    match next_step(move.fingerprint, places, steady=root.steady):
        case Step.DROP:
            return Over(move)
        case Step.RENAME:
            directory = split(move.place)[0]
            try:
                file_writes.make_directories(root, directory)
            except Failure as failure:
                return Refused(move, failure.verdict, directory)
            try:
                file_writes.rename(root, move.origin, move.place)
            except NameTakenError:
                return NameTaken(move)
            except Failure as failure:
                return Refused(move, failure.verdict)
    return Arrived(move, _is_unchanged(root, move), network)


def _is_unchanged(root: Root, move: Move) -> bool:
    """Return whether a file is certain to be, right after its move, what it was before."""
    try:
        found = files.observe(root, move.place)
    except Failure:
        return False
    return is_same(move.fingerprint, found, steady=root.steady)


def _verify(root: Root, move: Move) -> Result:
    found = _find(root, move.place)
    if found is None or is_same(move.fingerprint, found, steady=root.steady):
        return Over(move)
    directory, name = split(move.origin)
    return Changed(move, join(directory, free_name(name, _names(root, directory))))


def _names(root: Root, directory: bytes) -> frozenset[bytes]:
    return file_writes.list_names(root, directory or b".")


def _carry_back(root: Root, move: Move, *, network: bool) -> Result:  # noqa: ARG001 (as `_carry_away`)
    assert move.back is not None  # noqa: S101 (written down with the phase)
    if _find(root, move.place) is None:
        return CameBack(move) if _is_there(root, move.back) else Over(move)
    directory = split(move.back)[0]
    if directory:
        file_writes.make_directories(root, directory)
    try:
        file_writes.rename(root, move.place, move.back)
    except NameTakenError:
        return NameTaken(move)
    return CameBack(move)
