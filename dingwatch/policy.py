"""Decisions: filters and names, what is new, what a verdict means and backoff.

Pure functions from values to values. No clock and no chance in here: `now` (wall-clock seconds) and
`chance` (a number in [0, 1)) come in as arguments.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pathspec import GitIgnoreSpec

from dingwatch import quota
from dingwatch.lifecycle import IN_WORK, PERHAPS_SEEN, WITHDRAWABLE, Event, State
from dingwatch.model import (
    Cause,
    Fingerprint,
    FolderDown,
    Form,
    MediaLost,
    Misconfigured,
    NoAnswer,
    NotReached,
    Pause,
    QuotaExhausted,
    Rejected,
    Scope,
    Throttled,
    TokenRejected,
    TypeRefused,
    Vanished,
    Verdict,
)

# --- Filters -----------------------------------------------------------------------------------

BUILT_IN_EXCLUDES: Final = (
    ".*", "~*", "*~", "*.tmp", "*.temp", "*.part", "*.partial", "*.crdownload", "*.download", "*.filepart",
    "*.swp", "*.swx", "Thumbs.db", "desktop.ini", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found",
    "__MACOSX", "System Volume Information",
)  # fmt: skip


def caseless(pattern: str) -> str:
    """Return a gitignore pattern that matches in any case: `*.tmp` becomes `*.[tT][mM][pP]`."""
    escaped = f"\\{pattern}" if pattern.startswith("#") else pattern
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in escaped)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which paths of a folder count, by gitignore patterns."""

    excluded: GitIgnoreSpec
    included: GitIgnoreSpec | None
    recursive: bool
    patterns: tuple[str, ...] = ()
    """The exclude patterns as people write them, in the order of `excluded`."""

    def prunes(self, directory: bytes) -> bool:
        """Say whether nothing beneath this directory (relative path) can count."""
        return not self.recursive or self.excluded.match_file(_text(directory) + "/")

    def accepts(self, path: bytes) -> bool:
        """Say whether the file at this relative path counts."""
        if not self.recursive and b"/" in path:
            return False
        name = _text(path)
        if self.excluded.match_file(name):
            return False
        return self.included is None or self.included.match_file(name)

    def excluding(self, path: bytes) -> str | None:
        """Return the exclude pattern that keeps a path out; None when none does."""
        found = self.excluded.check_file(_text(path))
        return self.patterns[found.index] if found.include and found.index is not None else None


def path_filter(include: Sequence[str], exclude: Sequence[str], *, recursive: bool) -> Filter:
    """Build a folder's filter; `!pattern` in `exclude` takes a pattern out of the built-in list."""
    taken_out = {pattern[1:].casefold() for pattern in exclude if pattern.startswith("!")}
    built_in = [pattern for pattern in BUILT_IN_EXCLUDES if pattern.casefold() not in taken_out]
    return Filter(
        GitIgnoreSpec.from_lines([*map(caseless, built_in), *exclude]),
        GitIgnoreSpec.from_lines(include) if include else None,
        recursive,
        (*built_in, *exclude),
    )


# --- Names -------------------------------------------------------------------------------------

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LONGEST_EXTENSION: Final = 16


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def readable(path: bytes) -> str:
    r"""Return a path for people and JSON; bytes that are not UTF-8 are shown as `\xNN`."""
    return path.decode("utf-8", "backslashreplace")


def displayed_name(name: bytes) -> str:
    """Return the name a conversation sees: the file's own, only control and bidi characters replaced.

    A name that is not UTF-8 most likely came from an old Windows or archive in Chinese.
    """
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        text = name.decode("gb18030", "replace")
    return "".join("_" if unicodedata.category(c) in {"Cc", "Zl", "Zp"} or c in _BIDI else c for c in text)


def extension(name: str) -> str:
    """Return the lower-case extension without its dot; empty when there is none."""
    stem, dot, last = name.rpartition(".")
    plausible = dot and stem.strip(".") and last.isalnum() and len(last) <= _LONGEST_EXTENSION
    return last.lower() if plausible else ""


# --- Novelty -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of a version, for deciding whether a file is new."""

    id: int
    path: bytes
    size: int
    mtime_ns: int
    inode: int
    digest: str | None
    baseline: bool
    states: frozenset[State]
    noticed_at: float

    @property
    def counts(self) -> bool:
        """Whether it makes its content known: baseline, in work, sent or uncertain."""
        return self.baseline or bool(self.states & (IN_WORK | PERHAPS_SEEN))

    def same_as(self, fingerprint: Fingerprint) -> bool:
        """Compare by what the ledger holds to: size and mtime."""
        return fingerprint.known_as(self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A known version: nothing is to be done."""

    version: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A known version that was gone is there again: its gone deliveries are work again."""

    version: int


@dataclass(frozen=True, slots=True)
class Touched:
    """The same content with a new mtime: known by that from now on."""

    version: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A known version under a new path; what else was known there is superseded."""

    version: int
    supersedes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class New:
    """A version to be written; `ignored` when only the folder's `on_change` keeps it from being sent."""

    supersedes: tuple[int, ...] = ()
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Cannot be decided before the digest is known."""


Novelty = Unchanged | Returned | Touched | Moved | New | Read


def novelty(
    fingerprint: Fingerprint,
    digest: str | None,
    here: Sequence[Known],
    movable: Sequence[Known],
    *,
    on_change: str,
) -> Novelty:
    """Decide what a settled file is.

    Args:
        fingerprint: what it settled with.
        digest: its sha256, or None when it has not been read.
        here: the known versions of its path, oldest first.
        movable: known versions elsewhere in the folder whose own path no longer holds them.
        on_change: the folder's `send` or `ignore`.
    """
    same = _same_state(fingerprint, digest, here)
    there = next((known for known in same if State.GONE not in known.states), None)
    if there is not None:
        return Unchanged(there.id)
    older = tuple(known.id for known in here if known.states & WITHDRAWABLE)
    for known in reversed(movable):
        if known.counts and known.same_as(fingerprint) and _is(known, fingerprint, digest):
            return Moved(known.id, older)
    if same:
        return Returned(same[0].id)
    if digest is None:
        return Read()
    newest = next((known for known in reversed(here) if known.counts), None)
    if newest is not None and newest.digest == digest:
        return Touched(newest.id)
    seen_before = any(known.baseline or known.states & PERHAPS_SEEN for known in here)
    return New(older, ignored=seen_before and on_change == "ignore")


def _same_state(fingerprint: Fingerprint, digest: str | None, here: Sequence[Known]) -> list[Known]:
    """Find what is known by size and mtime, newest first; once the file was read, digests must not differ."""
    return [
        known
        for known in reversed(here)
        if known.same_as(fingerprint) and (digest is None or known.digest in {None, digest})
    ]


def _is(known: Known, fingerprint: Fingerprint, digest: str | None) -> bool:
    return known.inode == fingerprint.inode or (digest is not None and known.digest == digest)


# --- Backoff -----------------------------------------------------------------------------------

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 300.0
LONGEST_WAIT_LATE: Final = 3600.0
PERSON_FIRST: Final = 60.0
PERSON_LONGEST: Final = 6 * 3600.0
DOUBT_WAIT: Final = 30.0
GATE_PAGE_WAIT: Final = 300.0
"""Seconds that an address is shut out when DingTalk answers with a page instead of an answer."""
LATE: Final = 3600.0


def backoff(failures: int, chance: float, *, late: bool = False) -> float:
    """Return seconds to wait after the `failures`-th failure in a row: doubled, give or take 20 %."""
    longest = LONGEST_WAIT_LATE if late else LONGEST_WAIT
    wait = min(FIRST_WAIT * 2.0 ** min(failures - 1, 40), longest)
    return wait * (0.8 + 0.4 * chance)


def for_a_person(failures: int) -> float:
    """Return seconds until the next probe of what only a person can end."""
    return min(PERSON_FIRST * 2.0 ** min(failures - 1, 40), PERSON_LONGEST)


def waited_again(waited: float) -> float:
    """Return seconds until the next try for a person who may not be written to for now."""
    return min(max(waited, PERSON_FIRST), PERSON_LONGEST)


# --- What a verdict means ------------------------------------------------------------------------


OWN_FILE: Final = (Vanished, Rejected)
"""Verdicts on the file itself, which say nothing of other rows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a row has been through, as far as it decides what comes next."""

    state: State
    failures: int = 0
    waited: float = 0.0
    media_losses: int = 0
    form: Form = Form.PLAIN


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide what a verdict means."""

    give_up_after: float = 3 * 86400.0
    unsupported: str = "zip"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a verdict does to a row: an event, when it is due again, and what is written down of it."""

    event: Event
    due: float
    standing: Standing
    cause: Cause
    answered: bool = True
    """Whether the request was answered or doubted, so that it counts as an attempt."""


def consequence(  # noqa: PLR0911 (one return for each kind of verdict)
    verdict: Verdict, row: Standing, now: float, chance: float, rules: Rules, *, alone: bool = True
) -> Consequence:
    """Say what a verdict means for the row whose upload or send it ended.

    `alone` says that the same API served others since this row's last refusal: only then does the time
    it waits count towards `give_up_after` (an outage is nobody's own fault).
    """
    made = _Maker(verdict.cause, row, now)
    match verdict:
        case Vanished():
            return made(Event.VANISH, answered=False)
        case TypeRefused() if row.form is Form.PLAIN:
            return made(Event.RETRY) if rules.unsupported == "zip" else made(Event.SKIP)
        case Rejected():
            return made(Event.REJECT)
        case MediaLost() if row.state is State.SENDING:
            if row.media_losses:
                return made(Event.REJECT)
            return made(Event.MEDIA_LOST, standing=replace(row, media_losses=row.media_losses + 1))
        case NoAnswer() if row.state is State.SENDING:
            return made(Event.DOUBT)
        case TokenRejected():
            return made(Event.RETRY, standing=replace(row, failures=row.failures + 1))
        case Throttled() | QuotaExhausted():
            return made(Event.RETRY, wait=_throttle_wait(verdict))
    own = verdict.scope is Scope.ROW or (isinstance(verdict, NoAnswer) and alone)
    return _again(made, verdict, row, chance, rules, own=own)


def _throttle_wait(verdict: Verdict) -> float:
    return verdict.retry_after if isinstance(verdict, Throttled) and verdict.scope is Scope.ROW else 0.0


def _again(
    made: _Maker, verdict: Verdict, row: Standing, chance: float, rules: Rules, *, own: bool
) -> Consequence:
    """Try again after a wait, unless the row's own waits have reached `give_up_after`."""
    failures = row.failures + 1
    if isinstance(verdict, Misconfigured) and verdict.scope is Scope.ROW:
        wait = for_a_person(failures)
    elif verdict.scope in {Scope.ROW, Scope.API}:
        wait = backoff(failures, chance, late=row.waited >= LATE)
    else:
        wait = 0.0  # the pause of the wider scope is what waits
    if own and row.waited >= rules.give_up_after:
        return made(Event.REJECT)
    event = Event.DOUBT if isinstance(verdict, NoAnswer) else Event.RETRY
    standing = replace(row, failures=failures, waited=row.waited + (wait if own else 0.0))
    answered = not isinstance(verdict, NotReached | FolderDown)
    return made(event, wait=wait, standing=standing, answered=answered)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Builds consequences that differ from the plain one in little."""

    cause: Cause
    row: Standing
    now: float

    def __call__(
        self, event: Event, *, wait: float = 0.0, standing: Standing | None = None, answered: bool = True
    ) -> Consequence:
        return Consequence(event, self.now + wait, standing or self.row, self.cause, answered)


def pause_after(verdict: Verdict, key: str, before: Pause | None, now: float, chance: float) -> Pause | None:
    """Return the pause that a verdict begins or prolongs; no pause for what is the row's own."""
    if verdict.scope is Scope.ROW or isinstance(verdict, TokenRejected):
        return None
    failures = (before.failures if before else 0) + 1
    since = before.since if before else now
    if isinstance(verdict, Throttled):
        wait = verdict.retry_after
    elif isinstance(verdict, QuotaExhausted):
        wait = quota.month_end(now) - now
    elif isinstance(verdict, Misconfigured):
        if before is None or before.cause.code != verdict.cause.code:
            failures = 1  # those of an outage before it say nothing of this
        wait = for_a_person(failures)
    elif verdict.cause.code == "gate_page" and before and before.cause.code == "gate_page":
        wait = GATE_PAGE_WAIT
    else:
        wait = backoff(failures, chance)
    outage = isinstance(verdict, NotReached | NoAnswer)
    fixed = isinstance(verdict, Throttled | QuotaExhausted)
    return Pause(verdict.scope, key, now + wait, verdict.cause, failures, since, by_token=outage, fixed=fixed)
