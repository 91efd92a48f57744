"""The month's quota of billed calls: its days and months. Pure; `now` is wall-clock seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

SHANGHAI: Final = timezone(timedelta(hours=8))
"""Months of the quota are Asia/Shanghai's, which has had no daylight saving since 1991."""


def day(now: float) -> str:
    """Return the quota's day as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(now, SHANGHAI).strftime("%Y-%m-%d")


def month_end(now: float) -> float:
    """Return the instant at which the next month of the quota begins."""
    here = datetime.fromtimestamp(now, SHANGHAI)
    first = datetime(here.year + here.month // 12, here.month % 12 + 1, 1, tzinfo=SHANGHAI)
    return first.astimezone(UTC).timestamp()
