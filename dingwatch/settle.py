"""Settling: judge when a file is complete, apart from events and in the same way for every file.

No event says that a file is complete: `mv` and rsync end without a close, `touch` closes without new data,
and a program that maps a file writes to it after it has closed it. So a candidate is looked at after the
first hint and again when it has been quiet for long enough. It has settled when both looks saw the same, and
neither a writer nor an editor's lock is on it. Pure arithmetic on values; all instants are monotonic seconds
unless a name says `wall`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from dingwatch.model import Fingerprint

EMPTY_WAIT: Final = 600.0
"""Seconds after which a file of no size is no longer expected to be filled."""
TEMPORARY_QUIET: Final = 60.0
"""Seconds; the least quiet period of a name that a program gives a file while it saves it."""
LONGEST_QUIET: Final = 300.0
"""Seconds; the most that frequent versions of one path stretch its quiet period to."""
LONGEST_WAIT: Final = 60.0
"""Seconds; the longest wait between two looks at a file that is in use or cannot be read."""
ABSENT_WAIT: Final = 2.0
"""Seconds, beyond two quiet periods, that a missing file may turn up under another name."""
LOCK_HOLDS: Final = 1800.0
"""Seconds after a file's last change for which an editor's lock beside it keeps it from being sent."""
LOCK_AGES: Final = 86400.0
"""Seconds; a lock older than this was left behind by an editor that died."""
RESTLESS: Final = 60.0
"""Seconds after which people are told of a file that changes only in its inode, device or ctime."""
CEILING: Final = 86400.0
"""Seconds after which people are shown a file that is still settling."""
TOUCHED_WAIT: Final = 60.0
"""Seconds, beyond the quiet period, for an old file of which only the time has changed.

A restore without times, or a `touch` of a whole tree, is told by how many files come with it.
"""
_AT_ONCE: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path that is settling.

    `first` is when it got its first hint, `changed` when something last happened to it. `seen` is what the
    last look saw, None when something happened since. `quiet` is the quiet period in seconds that it needs.
    `must_read` asks for its digest even when size and mtime are those of a known version. `not_before` puts
    off the look at a file that is in use, empty, unreadable or missing. `shifted` is set while all that is
    known of it is that a scan found its time shifted with those of all old files in its directory, `touched`
    while it waits because only its time has changed.
    """

    first: float
    changed: float
    quiet: float
    seen: Fingerprint | None = None
    must_read: bool = False
    not_before: float = _AT_ONCE
    shifted: bool = False
    touched: bool = False


def hint(candidate: Candidate | None, now: float, quiet: float, *, must_read: bool = False) -> Candidate:
    """Return a path's candidate after a hint: whatever was seen of it is out of date."""
    if candidate is None:
        return Candidate(first=now, changed=now, quiet=quiet, must_read=must_read)
    must_read = candidate.must_read or must_read
    return Candidate(candidate.first, now, candidate.quiet, must_read=must_read)


def shifted(now: float, quiet: float) -> Candidate:
    """Return the candidate of a file whose time was shifted; an event that is on its way would show more."""
    return Candidate(first=now, changed=now, quiet=quiet, shifted=True)


def absent(now: float, quiet: float) -> Candidate:
    """Return the candidate of a missing path, to be looked for once more after it had time to be moved.

    A file that was renamed is missing at once, and found under its new name only after its quiet period
    there.
    """
    return Candidate(first=now, changed=now, quiet=quiet, not_before=now + 2 * quiet + ABSENT_WAIT)


def quiet_needed(candidate: Candidate, size: int) -> float:
    """Return the quiet period in seconds: an empty file is most likely one that is about to be filled."""
    return max(candidate.quiet, EMPTY_WAIT) if size == 0 else candidate.quiet


def due(candidate: Candidate) -> float:
    """Return when a candidate is to be looked at; minus infinity means at once."""
    if candidate.seen is None:
        return candidate.not_before
    return max(candidate.changed + candidate.quiet, candidate.not_before)


def look(
    candidate: Candidate, fingerprint: Fingerprint, asked: float, now: float, *, steady: bool = True
) -> Candidate:
    """Return the candidate after a look that was asked for at `asked`, on a `steady` file system or another.

    A look that is older than the last hint proves nothing and is dropped. An empty file is looked at time and
    again: in a directory that was made a moment before, no event may tell that it was filled.
    """
    if asked < candidate.changed:
        return candidate
    if not _is_seen_again(candidate, fingerprint, steady=steady):
        # The look may have come late: it has rested only since it was seen.
        return replace(candidate, seen=fingerprint, changed=now)
    if fingerprint.size == 0:
        again = postpone(candidate, now)
        return replace(again, not_before=min(again.not_before, candidate.changed + EMPTY_WAIT))
    return candidate


def is_settled(candidate: Candidate, fingerprint: Fingerprint, asked: float, *, steady: bool = True) -> bool:
    """Return whether this look, asked for at `asked`, completes the quiet period with nothing changed."""
    rested = asked >= candidate.changed + quiet_needed(candidate, fingerprint.size)
    return rested and _is_seen_again(candidate, fingerprint, steady=steady)


def _is_seen_again(candidate: Candidate, fingerprint: Fingerprint, *, steady: bool) -> bool:
    return candidate.seen is not None and fingerprint.unchanged_from(candidate.seen, steady=steady)


def odd_changes(before: Fingerprint, seen: Fingerprint) -> tuple[str, ...]:
    """Return which of inode, device and ctime changed between two looks, while size and mtime stayed.

    A program that sets permissions or attributes again and again does that, one that writes and sets the time
    back, and a file system that numbers its files at every look. Such a file never settles.
    """
    if not seen.known_as(before.size, before.mtime_ns):
        return ()
    changed = {
        "inode": seen.inode != before.inode,
        "device": seen.device != before.device,
        "ctime": seen.ctime_ns != before.ctime_ns,
    }
    return tuple(name for name, differs in changed.items() if differs)


def is_restless(candidate: Candidate, now: float) -> bool:
    """Return whether a file has been settling for so long that people should know of its odd changes."""
    return now - candidate.first >= RESTLESS


_TEMPORARY: Final = re.compile(rb"(?:.*/)?[0-9A-Fa-f]{8}", re.DOTALL)


def quiet_of(path: bytes, settle: float) -> float:
    """Return the quiet period that a path's name needs.

    Excel saves to a name of eight hex digits, such as `A1B2C3D0`, and renames it. On a slow share it may
    rest in between, and sent under this name it would be known and never go under its own.
    """
    return max(settle, TEMPORARY_QUIET) if _TEMPORARY.fullmatch(path) else settle


def quiet_for(settle: float, recent: int) -> float:
    """Return the quiet period for a path of which `recent` versions came within the last hour.

    An editor that saves all the time sends its pauses, not its saves.
    """
    return max(settle, min(settle * 2.0 ** min(recent, 32), LONGEST_QUIET))


# --- Files in use --------------------------------------------------------------------------------


def postpone(candidate: Candidate, now: float) -> Candidate:
    """Look again later, the more seldom the longer the file has been settling.

    Most writers close a file within seconds; a download or a virtual machine's disk may take a day, and a
    look every two seconds would tell nothing new.
    """
    wait = min(max(candidate.quiet, (now - candidate.first) / 4), LONGEST_WAIT)
    return replace(candidate, not_before=now + wait)


def lock_names(name: bytes) -> tuple[bytes, ...]:
    """Return the names of the files that say that an editor has this one open.

    Microsoft Office puts `~$` before the name, or in the place of its first or first two characters when the
    name is long; WPS writes `.~` before it, LibreOffice a frame around it.
    """
    text = name.decode("utf-8", "surrogateescape")
    locks = (f"~${text}", f"~${text[1:]}", f"~${text[2:]}", f".~lock.{text}#", f".~{text}")
    # `!~*` in the configuration lets `~$a` through, and the lock name of `~$a` may be `~$a` itself.
    return tuple(lock.encode("utf-8", "surrogateescape") for lock in locks if lock != text)


def locks_since(candidate: Candidate, now: float, wall: float) -> float | None:
    """Return the mtime (wall clock) from which on a lock keeps the file waiting; None when no lock does."""
    return None if now - candidate.changed > LOCK_HOLDS else wall - LOCK_AGES


def is_past_ceiling(candidate: Candidate, now: float) -> bool:
    """Return whether a file has been settling for so long that people should know."""
    return now - candidate.first >= CEILING
