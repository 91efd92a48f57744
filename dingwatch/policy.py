"""Policy: what a verdict means for a row and its pauses, and how long to wait.

Pure functions from values to values. `now` (wall-clock seconds) and `chance` (a number in [0, 1)) come in
as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dingwatch import quota
from dingwatch.lifecycle import Event, State
from dingwatch.model import (
    Cause,
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
    ScreenedOut,
    ScreeningFailed,
    Throttled,
    TokenRejected,
    TypeRefused,
    Vanished,
    Verdict,
)

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
    """The history of a row, as far as it decides what comes next."""

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
    """The effect of a verdict on a row: an event, its next due time, and what the ledger records."""

    event: Event
    due: float
    standing: Standing
    cause: Cause
    answered: bool = True
    """Whether the request was answered or doubted, so that it counts as an attempt."""


def consequence(  # noqa: PLR0911 (one return for each kind of verdict)
    verdict: Verdict, row: Standing, now: float, chance: float, rules: Rules, *, alone: bool = True
) -> Consequence:
    """Return what a verdict means for the row whose upload or send it ended.

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
        case ScreenedOut() | ScreeningFailed():
            return _screened(made, verdict, row, chance)
    return _again(made, verdict, row, chance, rules, alone=alone)


def _screened(made: _Maker, verdict: Verdict, row: Standing, chance: float) -> Consequence:
    if isinstance(verdict, ScreenedOut):
        return made(Event.SKIP, answered=False)
    # To ask again costs no call, and the file must not leave unseen: it waits for as long as it takes.
    failures = row.failures + 1
    standing = replace(row, failures=failures)
    return made(Event.RETRY, wait=backoff(failures, chance), standing=standing, answered=False)


def _throttle_wait(verdict: Verdict) -> float:
    return verdict.retry_after if isinstance(verdict, Throttled) and verdict.scope is Scope.ROW else 0.0


def _again(
    made: _Maker, verdict: Verdict, row: Standing, chance: float, rules: Rules, *, alone: bool
) -> Consequence:
    """Try again after a wait, unless the row's own waits have reached `give_up_after`."""
    own = verdict.scope is Scope.ROW or (isinstance(verdict, NoAnswer) and alone)
    failures = row.failures + 1
    if _is_costly(verdict, row, alone=alone):
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


def _is_costly(verdict: Verdict, row: Standing, *, alone: bool) -> bool:
    """Return whether a row waits as for a person: it would only repeat what failed, and be billed for it."""
    if verdict.scope is Scope.ROW and (isinstance(verdict, Misconfigured) or verdict.billed):
        return True
    # An upload that DingTalk has lost begins anew at once, and is billed anew: once.
    lost = isinstance(verdict, MediaLost)
    # While others wait too, the pause is what waits. A row that fails alone waits by itself.
    return row.failures > 0 and (lost or (verdict.billed and alone))


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


def pause_after(
    verdict: Verdict, key: str, before: Pause | None, now: float, chance: float, *, free: bool = False
) -> Pause | None:
    """Return the pause that a verdict begins or prolongs; no pause for what is the row's own.

    `free` says that the failed call costs nothing (a token call).
    """
    if verdict.scope is Scope.ROW or isinstance(verdict, TokenRejected):
        return None
    failures = (before.failures if before else 0) + 1
    since = before.since if before else now
    if isinstance(verdict, Throttled):
        wait = verdict.retry_after
    elif isinstance(verdict, QuotaExhausted):
        wait = quota.month_end(now) - now
    elif isinstance(verdict, Misconfigured) or verdict.billed:
        if before is None or before.cause.code != verdict.cause.code:
            failures = 1  # those of an outage before it say nothing of this
        wait = for_a_person(failures)
    else:
        # When the token call works and another does not, each try is billed: after an hour, one an hour.
        wait = backoff(failures, chance, late=not free and now - since >= LATE)
        if verdict.cause.code == "gate_page" and before and before.cause.code == "gate_page":
            wait = max(wait, GATE_PAGE_WAIT) if now - since >= LATE else GATE_PAGE_WAIT
    outage = isinstance(verdict, NotReached | NoAnswer)
    fixed = isinstance(verdict, Throttled | QuotaExhausted)
    return Pause(verdict.scope, key, now + wait, verdict.cause, failures, since, by_token=outage, fixed=fixed)
