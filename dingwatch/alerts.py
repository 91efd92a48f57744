"""Alerts: what people are told of, when, and what they have been told. Pure; `now` is wall-clock seconds.

What needs a person is a `Condition`, read again at each look. `observe` makes troubles of conditions, which
are remembered; `news_for` says what of them a recipient has yet to hear. A message counts as heard before it
leaves, so nothing is told twice, whatever becomes of its answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import Final

from dingwatch.model import Cause, Scope

MOST_MESSAGES: Final = 6
"""Messages in an hour, of all kinds and to all recipients; one to several persons is one."""
HOUR: Final = 3600.0
LONGEST_CALM: Final = 60.0
"""Seconds for which a trouble must be over until that is told: a share may come and go."""


class Topic(StrEnum):
    """The kinds of trouble, the most pressing first."""

    LEDGER = "ledger"
    REFUSED = "refused"
    QUOTA = "quota"
    NODE_LOST = "node_lost"
    FOLDER_DOWN = "folder_down"
    HELD = "held"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    GATE = "gate"
    """The program that is asked before a file is sent gave no verdict."""


SUMMARY: Final = "summary"
"""Stands for the daily summary where topics stand for troubles."""

Place = tuple[str, str]
"""A topic and a key, which together name a trouble."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that needs a person now.

    `key` tells it from others of its topic: a folder's number in the ledger, empty for what `send` was given,
    or the name of a node; for what DingTalk refuses a scope and what is paused (`conversation/cid…`); for a
    folder that is down on a shared ledger its number and the node (`7/files-01`), as several nodes may share
    it. `name` is what people call it.
    """

    topic: Topic
    since: float
    key: str = ""
    name: str = ""
    newest: int = 0
    """Rises whenever there is more of it to be told: the last event in the history, per cent of the quota."""
    count: int = 1
    file: str = ""
    """The newest of the files."""
    cause: Cause | None = None
    limit: int = 0
    """The limit of `count`, for the quota."""

    @property
    def place(self) -> Place:
        """Its topic and key."""
        return self.topic, self.key


@dataclass(frozen=True, slots=True)
class Trouble:
    """A condition as it is remembered."""

    topic: Topic
    key: str
    name: str
    since: float
    newest: int
    risen_at: float | None
    """When there came more to tell than everybody had heard; None while there is no more."""
    gone_at: float | None = None
    """When it was over; None while it lasts."""
    told_at: float | None = None
    """When somebody was last told that there is it, or more of it."""

    @property
    def place(self) -> Place:
        """Its topic and key."""
        return self.topic, self.key


@dataclass(frozen=True, slots=True)
class Record:
    """All that is remembered: of troubles, of what each recipient has heard, of messages."""

    troubles: Mapping[Place, Trouble] = field(default_factory=dict)
    heard: Mapping[tuple[str, Place], int] = field(default_factory=dict)
    """By recipient and trouble, the `newest` that was told; for summaries the number of the day."""
    messages: tuple[float, ...] = ()
    """When the messages of the last hour were sent."""
    first_event: int = 0
    """The last event of the history before alerts were turned on: failures up to it are never told."""
    first_id: int = 0
    """The last delivery before alerts were turned on: holds up to it are never told."""


@dataclass(frozen=True, slots=True)
class News:
    """News for a recipient: troubles that have lasted, and those that are over."""

    begun: tuple[Place, ...] = ()
    over: tuple[Place, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.over)


# --- Troubles ------------------------------------------------------------------------------------


def observe(
    memory: Record, conditions: Iterable[Condition], unknown: Collection[Place | Topic], now: float
) -> Record:
    """Return the memory after a look.

    `unknown` names topics and troubles of which nothing can be said now: they neither begin nor end.
    """
    found = {one.place: one for one in conditions}
    heard = {place for _, place in memory.heard}
    troubles = {place: _observe(memory.troubles.get(place), one, now) for place, one in found.items()}
    for place, trouble in memory.troubles.items():
        if place in found:
            continue
        if place in unknown or trouble.topic in unknown:
            troubles[place] = trouble
        elif place in heard:
            gone_at = now if trouble.gone_at is None else min(trouble.gone_at, now)
            troubles[place] = replace(trouble, gone_at=gone_at)
    return replace(memory, troubles=troubles, messages=_recent(memory.messages, now))


def _observe(before: Trouble | None, one: Condition, now: float) -> Trouble:
    since = min(one.since, now)  # the clock may have been set back
    if before is None:
        return Trouble(one.topic, one.key, one.name, since, one.newest, since)
    # One that was over for a while is another, although not everybody has heard yet that it was.
    other = before.gone_at is not None and now - before.gone_at >= LONGEST_CALM
    risen_at = before.risen_at if before.risen_at is None else min(before.risen_at, now)
    if one.newest > before.newest and risen_at is None:
        risen_at = now
    return replace(
        before,
        name=one.name,
        since=since if other else min(before.since, now),
        newest=max(before.newest, one.newest),
        risen_at=risen_at,
        gone_at=None,
    )


def is_about(place: Place, recipient: str) -> bool:
    """Return whether a trouble is that DingTalk refuses messages to this very recipient."""
    return place == (Topic.REFUSED, f"{Scope.CONVERSATION}/{recipient}")


def news_for(memory: Record, recipient: str, after: float, now: float) -> News:
    """Return what a recipient has yet to hear of troubles that have lasted `after` seconds."""
    begun, over = [], []
    order = list(Topic)
    for trouble in sorted(memory.troubles.values(), key=lambda one: (order.index(one.topic), one.key)):
        heard = memory.heard.get((recipient, trouble.place))
        if is_about(trouble.place, recipient):
            continue
        if trouble.gone_at is not None:
            if heard is not None and now - trouble.gone_at >= min(after, LONGEST_CALM):
                over.append(trouble.place)
        elif heard is None or heard < trouble.newest:
            began = trouble.since if heard is None else trouble.risen_at
            lasted = began is not None and now - began >= after
            if lasted and (heard is None or _may_tell_again(trouble, now)):
                begun.append(trouble.place)
    return News(tuple(begun), tuple(over))


def _may_tell_again(trouble: Trouble, now: float) -> bool:
    """Return whether there may be another message about a trouble that goes on.

    A folder may have a file that fails every minute. That the quota is used up is another thing than 80 %.
    """
    told_at = now if trouble.told_at is None else min(trouble.told_at, now)
    return trouble.topic is Topic.QUOTA or now - told_at >= HOUR


# --- Messages ------------------------------------------------------------------------------------


def _recent(messages: Iterable[float], now: float) -> tuple[float, ...]:
    # A message of the future was sent by a clock that was ahead: it counts as sent just now.
    return tuple(min(at, now) for at in messages if at > now - HOUR)


def messages_left(memory: Record, now: float) -> int:
    """Return how many messages may be sent now."""
    return max(MOST_MESSAGES - len(_recent(memory.messages, now)), 0)


def count_message(memory: Record, now: float) -> Record:
    """Return the memory after one more message."""
    return replace(memory, messages=(*_recent(memory.messages, now), now))


def tell(memory: Record, recipient: str, news: News, everybody: Collection[str], now: float) -> Record:
    """Return the memory after a recipient was told; a trouble that all have heard is over of is forgotten."""
    heard = dict(memory.heard)
    for place in news.begun:
        heard[recipient, place] = memory.troubles[place].newest
    for place in news.over:
        heard.pop((recipient, place), None)
    still_known = {place for _, place in heard}
    troubles = dict(memory.troubles)
    for place in news.begun:
        trouble = replace(troubles[place], told_at=now)
        risen_at = None if _all_heard(heard, trouble, everybody) else trouble.risen_at
        troubles[place] = replace(trouble, risen_at=risen_at)
    for place in news.over:
        if place not in still_known:
            del troubles[place]
    return replace(memory, heard=heard, troubles=troubles)


def _all_heard(heard: Mapping[tuple[str, Place], int], trouble: Trouble, everybody: Collection[str]) -> bool:
    return all(
        heard.get((one, trouble.place), -1) >= trouble.newest
        for one in everybody
        if not is_about(trouble.place, one)
    )


def keep_recipients(memory: Record, everybody: Collection[str]) -> Record:
    """Return the memory without those who are no longer told."""
    kept = {key: newest for key, newest in memory.heard.items() if key[0] in everybody}
    return memory if len(kept) == len(memory.heard) else replace(memory, heard=kept)


def take_back(memory: Record, before: Record, recipients: Iterable[str]) -> Record:
    """Return the memory after a message that certainly did not reach these recipients.

    `before` is the memory from before they were counted as told.
    """
    missed = frozenset(recipients)
    others = {key: newest for key, newest in memory.heard.items() if key[0] not in missed}
    theirs = {key: newest for key, newest in before.heard.items() if key[0] in missed}
    changed = {
        place: trouble
        for place, trouble in before.troubles.items()
        if any(memory.heard.get((one, place)) != before.heard.get((one, place)) for one in missed)
    }
    return replace(memory, heard={**others, **theirs}, troubles={**memory.troubles, **changed})


# --- The daily summary ---------------------------------------------------------------------------


def summary_due(memory: Record, recipient: str, at: str, local: datetime) -> bool:
    """Return whether a recipient has not had the summary of this day, and it is time for it.

    `local` is the local time, `at` a time of day (`18:00`).
    """
    last = memory.heard.get((recipient, (SUMMARY, "")))
    return last is not None and last < local.toordinal() and local.time() >= time.fromisoformat(at)


def tell_summary(memory: Record, recipient: str, today: date) -> Record:
    """Return the memory after a recipient got a summary."""
    return replace(memory, heard={**memory.heard, (recipient, (SUMMARY, "")): today.toordinal()})


def begin_summaries(memory: Record, recipients: Iterable[str], at: str | None, local: datetime) -> Record:
    """Return the memory with a first day for recipients of whom nothing is known yet.

    Whoever sets a time that is past today waits until tomorrow. A day in the future was noted by a clock that
    was ahead: it is today's.
    """
    heard = {key: number for key, number in memory.heard.items() if key[1] != (SUMMARY, "")}
    if at is not None:
        today = local.toordinal()
        first = today if local.time() >= time.fromisoformat(at) else today - 1
        for one in recipients:
            heard[one, (SUMMARY, "")] = min(memory.heard.get((one, (SUMMARY, "")), first), today)
    return memory if heard == memory.heard else replace(memory, heard=heard)
