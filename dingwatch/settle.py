"""When a file is complete: judged apart from events, the same way for a file found by an event and by a scan.

A candidate is looked at at the first hint and again when it has been quiet for long enough. When both
looks saw the same, and neither a writer nor an editor's lock holds it, it has settled. Pure arithmetic on
values; all instants are monotonic seconds unless a name says `wall`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dingwatch.model import Fingerprint

EMPTY_WAIT: Final = 600.0
"""Seconds after which a file of no size is no longer expected to be filled."""
LONGEST_QUIET: Final = 300.0
"""Seconds; the most that frequent versions of one path stretch its quiet period to."""
LONGEST_WAIT: Final = 60.0
"""Seconds; the longest until a file that a writer or an editor's lock holds is looked at again."""
LOCK_HOLDS: Final = 1800.0
"""Seconds after a file's last change for which an editor's lock beside it holds it back."""
LOCK_AGES: Final = 86400.0
"""Seconds; a lock older than this was left behind by an editor that died."""
CEILING: Final = 86400.0
"""Seconds after which a file that never comes to rest is shown to people."""
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path that is settling.

    `changed` is when something last happened to it; `seen` is what the last look saw, None when
    something happened since; `quiet` is the quiet period in seconds that it needs; `must_read` asks for its
    digest even when size and mtime are those of a known version. `not_before` holds back the look at a file
    that could not be looked at, or that somebody is working on.
    """

    first: float
    changed: float
    quiet: float
    seen: Fingerprint | None = None
    must_read: bool = False
    not_before: float = _NEVER


def hint(candidate: Candidate | None, now: float, quiet: float, *, must_read: bool = False) -> Candidate:
    """Something happened to the path: whatever was seen of it is out of date."""
    if candidate is None:
        return Candidate(first=now, changed=now, quiet=quiet, must_read=must_read)
    return replace(
        candidate, changed=now, seen=None, must_read=candidate.must_read or must_read, not_before=_NEVER
    )


def quiet_needed(candidate: Candidate, size: int) -> float:
    """Return the quiet period in seconds: an empty file is most likely one that is about to be filled."""
    return max(candidate.quiet, EMPTY_WAIT) if size == 0 else candidate.quiet


def due(candidate: Candidate) -> float:
    """Return when a candidate is to be looked at; minus infinity means at once."""
    if candidate.seen is None:
        return candidate.not_before
    return max(candidate.changed + candidate.quiet, candidate.not_before)


def look(candidate: Candidate, fingerprint: Fingerprint, asked: float, now: float) -> Candidate:
    """Enter what a look saw; `asked` is when the look was asked for.

    A look that is older than the last happening proves nothing and is dropped. What is empty is looked at
    time and again: no event may tell that it was filled.
    """
    if asked < candidate.changed:
        return candidate
    if candidate.seen != fingerprint:  # the look may have come late: it has rested only since it was seen
        return replace(candidate, seen=fingerprint, changed=now)
    if fingerprint.size == 0:
        again = postpone(candidate, now)
        return replace(again, not_before=min(again.not_before, candidate.changed + EMPTY_WAIT))
    return candidate


def is_settled(candidate: Candidate, fingerprint: Fingerprint, asked: float) -> bool:
    """Say whether this look, asked for at `asked`, completes the quiet period with nothing changed."""
    return candidate.seen == fingerprint and asked >= candidate.changed + quiet_needed(
        candidate, fingerprint.size
    )


def quiet_for(settle: float, recent: int) -> float:
    """Return the quiet period for a path of which `recent` versions came within the last hour.

    An editor that saves all the time is to send its pauses, not its saves.
    """
    return max(settle, min(settle * 2.0 ** min(recent, 32), LONGEST_QUIET))


# --- Held by somebody ----------------------------------------------------------------------------


def postpone(candidate: Candidate, now: float) -> Candidate:
    """Somebody works on the file, or is about to: look again, the more seldom the longer it takes."""
    wait = min(max(candidate.quiet, (now - candidate.first) / 4), LONGEST_WAIT)
    return replace(candidate, not_before=now + wait)


def lock_names(name: bytes) -> tuple[bytes, ...]:
    """Return the names of the files that say that an editor has this one open.

    Microsoft Office and WPS replace the first characters of a long name; LibreOffice adds a frame.
    """
    text = name.decode("utf-8", "surrogateescape")
    locks = (f"~${text}", f"~${text[1:]}", f"~${text[2:]}", f".~lock.{text}#", f".~{text}")
    # A lock that is let through by the configuration would for long be its own.
    return tuple(lock.encode("utf-8", "surrogateescape") for lock in locks if lock != text)


def locks_since(candidate: Candidate, now: float, wall: float) -> float | None:
    """Return the mtime (wall clock) from which on a lock holds the file; None when no lock does any more."""
    return None if now - candidate.changed > LOCK_HOLDS else wall - LOCK_AGES


def is_past_ceiling(candidate: Candidate, now: float) -> bool:
    """Say whether a file has not come to rest for so long that people should know."""
    return now - candidate.first >= CEILING
