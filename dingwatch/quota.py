"""The month's quota of billed calls: its days, and when it is used up. Pure; `now` is wall-clock seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from dingwatch.model import Pause
from dingwatch.texts import Calls

SHANGHAI: Final = timezone(timedelta(hours=8))
"""Months of the quota are Asia/Shanghai's, which has had no daylight saving since 1991."""
WARNINGS: Final = (80, 100)
"""Per cent of the month's calls, at each of which people are warned once."""
LONGEST_MONTH: Final = 31
_STATED: Final = re.compile(r"调用量\D{0,3}([0-9]{1,12})\s*次\D{0,9}额度\D{0,3}([0-9]{1,12})\s*次", re.ASCII)
WEBHOOK_LIMIT: Final = 3000
"""Webhook & Stream calls a month of a standard organisation, a quota of their own (KB:1431)."""


def day(now: float) -> str:
    """Return the quota's day as `YYYY-MM-DD`."""
    return _day(now).isoformat()


def month(now: float) -> str:
    """Return the quota's month as `YYYY-MM`."""
    return day(now)[:7]


def month_end(now: float) -> float:
    """Return the instant at which the next month of the quota begins."""
    first = _next_month(_day(now))
    return datetime(first.year, first.month, first.day, tzinfo=SHANGHAI).astimezone(UTC).timestamp()


def _day(now: float) -> date:
    return datetime.fromtimestamp(now, SHANGHAI).date()


def _next_month(today: date) -> date:
    return date(today.year + today.month // 12, today.month % 12 + 1, 1)


def days_of_month(now: float) -> list[str]:
    """Return every day of the quota's month as `YYYY-MM-DD`."""
    today = _day(now)
    last = (_next_month(today) - timedelta(days=1)).day
    return [today.replace(day=number).isoformat() for number in range(1, last + 1)]


def forecast(used: int, now: float) -> int:
    """Return how many calls the month will have used at the rate of its days so far; today counts whole."""
    return round(used * len(days_of_month(now)) / _day(now).day)


@dataclass(frozen=True, slots=True)
class Use:
    """The calls that a month has used of its quota; `limit` is None where none is configured."""

    month: str
    used: int
    limit: int | None
    left: int | None
    runs_out_on: date | None
    """The day at whose end nothing is left, at the rate of this month's days so far; None when it lasts."""


def use(used: int, limit: int | None, now: float) -> Use:
    """Judge how many calls have been used."""
    left = None if limit is None else max(limit - used, 0)
    return Use(month(now), used, limit, left, _runs_out_on(used, left, _day(now)))


@dataclass(frozen=True, slots=True)
class Stated:
    """The calls that DingTalk says the organisation has used of its quota."""

    used: int
    limit: int


def stated(message: str) -> Stated | None:
    """Read the figures of a refusal (90020), `…,调用量:10001次,额度:10000次,…`; None if it has none."""
    found = _STATED.search(message)
    return Stated(int(found[1]), int(found[2])) if found else None


def refused(pause: Pause, now: float) -> bool:
    """Return whether DingTalk refuses calls for now because the month's are used up."""
    return pause.cause.advice == "QUOTA" and pause.until > now


def use_of_all(used: int, limit: int | None, pauses: Iterable[Pause], now: float) -> Use:
    """Judge the calls that were counted here, and those that DingTalk stated when it refused more.

    The quota is the organisation's: other apps use it too, and its plan may not be the configured one.
    """
    for pause in pauses:
        if refused(pause, now) and (figures := stated(pause.cause.message)):
            used, limit = max(used, figures.used), figures.limit
    return use(used, limit, now)


def _runs_out_on(used: int, left: int | None, today: date) -> date | None:
    """Find the day: today counts whole, as does every day of this month before it."""
    if left is None:
        return None
    if left == 0:
        return today
    if used == 0:
        return None
    last = today + timedelta(days=min(-(-left * today.day // used), LONGEST_MONTH))
    return last if last < _next_month(today) else None


def crossed(before: int, after: int, limit: int | None) -> int | None:
    """Return the highest per cent of WARNINGS that calls have crossed; None when they crossed none.

    What is counted survives a restart, so no crossing is told twice.
    """
    if limit is None:
        return None
    return max((mark for mark in WARNINGS if before * 100 < mark * limit <= after * 100), default=None)


def describe(of: Use) -> tuple[Calls, dict[str, object]]:
    """Return the sentence on a month's calls, and the values that it is filled in with."""
    values = {"month": of.month, "used": of.used, "limit": of.limit, "left": of.left, "day": of.runs_out_on}
    if of.limit is None:
        return Calls.COUNTED, values
    if of.left == 0:
        return Calls.USED_UP, values
    return (Calls.LAST if of.runs_out_on is None else Calls.RUN_OUT), values
