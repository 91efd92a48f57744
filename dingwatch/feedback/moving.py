"""Moves of what was sent: where to, and how one that was written down goes on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from dingwatch.filters import SENT_DIRECTORIES
from dingwatch.model import Fingerprint
from dingwatch.texts import Language

NETWORK_QUIET: Final = 10.0
"""Seconds; the least quiet period where another host's writes show late."""


def directory_for(path: bytes, month: str, language: Language) -> bytes:
    """Return the directory beneath the root for a file that was sent in a month (`2026-11`)."""
    directory = path.rpartition(b"/")[0]
    parts = (SENT_DIRECTORIES[language].encode(), month.encode(), directory)
    return b"/".join(filter(None, parts))


def quiet_for(settle: float, *, network: bool) -> float:
    """Return for how many seconds a file must rest after its move."""
    return max(settle, NETWORK_QUIET) if network else settle


def is_same(before: Fingerprint, found: Fingerprint, *, steady: bool) -> bool:
    """Return whether a file is what it was before it was moved; a move changes its ctime alone."""
    if not steady:
        return found.known_as(before.size, before.mtime_ns)
    return found._replace(ctime_ns=0) == before._replace(ctime_ns=0)


@dataclass(frozen=True, slots=True)
class Places:
    """The files at the two paths of one that is being moved away; None where there is none."""

    origin: Fingerprint | None
    place: Fingerprint | None


class Step(Enum):
    """How a move goes on that was written down."""

    RENAME = "rename"
    DONE = "done"
    DROP = "drop"


def next_step(before: Fingerprint, places: Places, *, steady: bool) -> Step:
    """Return how a move away goes on.

    The process may have been killed after it had written the move down, before or after the rename. By then
    people may have put another file at the path that it came from, or taken it out of where it went.
    """
    if places.origin is not None and is_same(before, places.origin, steady=steady):
        # The file has both names where a move by two names was interrupted; renaming finishes that.
        return Step.RENAME
    if places.place is None:
        return Step.DROP
    # Somebody may have written to it since: that is seen when it is looked at there, and it is moved back.
    same_file = steady and before.inode == places.place.inode and before.device == places.place.device
    if places.origin is None or same_file or is_same(before, places.place, steady=steady):
        return Step.DONE
    return Step.DROP
