"""The first look at a folder: what lies there already becomes baseline, and is not sent.

A share may hold a million old files. They are listed in parts, each of which is written down in a transaction
of its own while the next one is being listed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Self

from dingwatch.intake.jobs import Listed, TakeBaseline
from dingwatch.ledger.versions import File
from dingwatch.model import Now

ROWS_AT_ONCE: Final = 2000
"""Rows that a first look or a scan writes in one transaction; delivery waits for it, a tenth of a second."""
PARTS_AHEAD: Final = 2
"""Parts that are listed and wait to be written down."""


@dataclass(frozen=True, slots=True)
class LookStep:
    """A part of what a first look found, to be written in one transaction; with the `last`, so is its end.

    `written_since` are paths that were written, or moved in, since the look began: their events may have come
    after they were listed and became baseline. `again` says that an earlier look may have found the same
    files.
    """

    folder: int
    files: tuple[File, ...]
    written_since: tuple[bytes, ...]
    again: bool
    last: bool


@dataclass(frozen=True, slots=True)
class LookClock:
    """How far the wall clock has been ahead of the monotonic one since a first look began, in seconds."""

    first: float
    least: float
    most: float

    @classmethod
    def start(cls, now: Now) -> Self:
        """Return the clock of a look that begins."""
        lead = now.wall - now.monotonic
        return cls(lead, lead, lead)

    def at(self, now: Now) -> Self:
        """Return the clock with what it shows now."""
        lead = now.wall - now.monotonic
        return replace(self, least=min(self.least, lead), most=max(self.most, lead))

    def bounds(self, began: float, now: Now) -> tuple[float, float]:
        """Return between which times (wall clock) lies what came since the look `began`.

        When the clock is set back meanwhile, a file that came before that has a time in the future, and one
        that comes after it has a time before the beginning. Neither is to be taken for old, or it would never
        be sent; a file that is old, and was changed in the time by which the clock was set back, may be.
        """
        return began - (self.first - self.least), now.monotonic + self.most


class FirstLook:
    """The progress of the first look at a folder; `again` says that one before it was cut off."""

    def __init__(self, folder: int, *, again: bool) -> None:
        self._folder = folder
        self._again = again
        self._began: float | None = None
        self._lists = False
        """Whether a part is being listed."""
        self._parts: deque[Listed] = deque()
        """The parts that are listed and not yet written down."""
        self._hinted: set[bytes] = set()
        self._written_since: dict[bytes, None] = {}
        self.found = 0
        """How many files it has found."""
        self.old = 0
        """How many of them were old, and are written down."""
        self.steps = 0
        """How many of its parts are written down."""

    def begin(self, at: float) -> None:
        """Enter that the look begins (monotonic)."""
        self._again = self._again or self._began is not None
        self._began, self.found, self.old, self.steps = at, 0, 0, 0

    def stop(self) -> None:
        """Enter that the look ended or was cut off; what is still listed for it counts for nothing."""
        self._lists = False
        self._parts.clear()

    def forget_hints(self) -> None:
        """Forget which paths had events: there is no first look any more for which that matters."""
        self._hinted.clear()
        self._written_since.clear()

    def on_hint(self, path: bytes, *, must_read: bool) -> None:
        """Note that a path had an event since before the look: it is new, and no baseline."""
        self._hinted.add(path)
        if must_read:  # else it was removed or renamed, and a renamed file is known by its baseline version
            self._written_since[path] = None

    def without_hinted(self, files: Iterable[File]) -> list[File]:
        """Return the files of paths that had no event since before the look."""
        return [one for one in files if one[0] not in self._hinted]

    def jobs(self) -> Iterator[TakeBaseline]:
        """Yield the job that lists the next part, while those before it are written down."""
        complete = any(part.last for part in self._parts)
        if self._began is not None and not self._lists and not complete and len(self._parts) < PARTS_AHEAD:
            self._lists = True
            yield TakeBaseline(self._folder, self._began, ROWS_AT_ONCE)

    def on_listed(self, part: Listed) -> None:
        """Enter a part; one of a look that was cut off counts for nothing."""
        if self._lists and part.began == self._began:
            self._lists = False
            self._parts.append(part)
            self.found += len(part.files)

    def next_step(self) -> LookStep | None:
        """Return the next part that is to be written down; None where there is none."""
        if not self._parts:
            return None
        part, written = self._parts[0], tuple(islice(self._written_since, ROWS_AT_ONCE))
        last = part.last and len(written) == len(self._written_since)
        return LookStep(self._folder, part.files, written, self._again, last)

    def on_step_written(self, step: LookStep, old: int) -> None:
        """Enter that a part is written down, with so many old files in it."""
        self.old += old
        self.steps += 1
        for path in step.written_since:
            del self._written_since[path]
        part = self._parts.popleft()
        if part.last and not step.last:  # more paths were written meanwhile than one transaction is to have
            self._parts.append(replace(part, files=()))
