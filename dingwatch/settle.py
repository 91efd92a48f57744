"""When a file is complete: judged apart from events, the same way for a noticed and a scanned file.

A candidate is looked at when it is noticed and again when it has been quiet for long enough; it has
settled when both looks saw the same. Pure arithmetic on values; all instants are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dingwatch.model import Fingerprint

EMPTY_WAIT: Final = 600.0
"""Seconds after which a file of no size is no longer expected to be filled."""
LONGEST_QUIET: Final = 300.0
"""Seconds; the most that frequent versions of one path stretch its quiet period to."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path that is settling.

    `changed` is when something last happened to it; `seen` is what the last look saw, None when
    something happened since; `quiet` is the quiet period in seconds that it needs; `anew` asks for its
    digest even when size and mtime are those of a known version. `not_before` holds back the look at a file
    that could not be looked at.
    """

    first: float
    changed: float
    quiet: float
    seen: Fingerprint | None = None
    anew: bool = False
    not_before: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Look:
    """The candidate must be looked at now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before `until`."""

    until: float


def notice(candidate: Candidate | None, now: float, quiet: float, *, anew: bool = False) -> Candidate:
    """Something happened to the path: whatever was seen of it is out of date."""
    if candidate is None:
        return Candidate(first=now, changed=now, quiet=quiet, anew=anew)
    return replace(candidate, changed=now, seen=None, anew=candidate.anew or anew, not_before=float("-inf"))


def needed(candidate: Candidate, size: int) -> float:
    """Return the quiet period in seconds: an empty file is most likely one that is about to be filled."""
    return max(candidate.quiet, EMPTY_WAIT) if size == 0 else candidate.quiet


def step(candidate: Candidate, now: float) -> Look | Wait:
    """Say what is to be done with a candidate now."""
    if candidate.seen is None:
        return Look() if candidate.not_before <= now else Wait(candidate.not_before)
    until = candidate.changed + needed(candidate, candidate.seen.size)
    return Wait(until) if until > now else Look()


def look(candidate: Candidate, fingerprint: Fingerprint, asked: float, now: float) -> Candidate:
    """Enter what a look saw; `asked` is when the look was asked for.

    A look that is older than the last happening proves nothing and is dropped.
    """
    if asked < candidate.changed:
        return candidate
    if candidate.seen is None:
        return replace(candidate, seen=fingerprint)
    if candidate.seen != fingerprint:
        return replace(candidate, seen=fingerprint, changed=now)
    return candidate


def settled(candidate: Candidate, fingerprint: Fingerprint, asked: float) -> bool:
    """Say whether this look, asked for at `asked`, completes the quiet period with nothing changed."""
    return candidate.seen == fingerprint and asked >= candidate.changed + needed(candidate, fingerprint.size)


def quiet_for(settle: float, recent: int) -> float:
    """Return the quiet period for a path of which `recent` versions came within the last hour.

    An editor that saves all the time is to send its pauses, not its saves.
    """
    return max(settle, min(settle * 2.0 ** min(recent, 32), LONGEST_QUIET))
