"""The meter: how often each API was called, by the quota's days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from dingwatch.ledger.schema import calls
from dingwatch.ledger.store import Store


def count(store: Store, connection: Connection, day: str, made: Mapping[str, int]) -> None:
    """Add calls to the meter."""
    rows = [{"day": day, "api": api, "count": times} for api, times in made.items() if times]
    store.upsert(connection, calls, rows, add="count")


def used(connection: Connection, month: str, apis: Sequence[str]) -> int:
    """Return how many calls of these APIs a month (`2026-11`) has seen."""
    total = select(func.sum(calls.c.count)).where(calls.c.day.startswith(month), calls.c.api.in_(apis))
    return int(connection.scalar(total) or 0)
