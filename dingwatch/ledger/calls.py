"""The meter: how often each API was called on each day (of the quota, `2026-11-24`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from dingwatch.ledger.schema import calls
from dingwatch.ledger.store import Prepared, Store


def count(store: Store, connection: Connection, day: str, made: Mapping[str, int]) -> None:
    """Add the calls of a day to the meter."""
    rows = [{"day": day, "api": api, "count": times} for api, times in made.items() if times]
    store.upsert(connection, calls, rows, add="count")


_BY_API: Final = Prepared(
    select(calls.c.api, func.sum(calls.c.count))
    # A `LIKE` would read the days of all years.
    .where(calls.c.day.between(bindparam("first"), bindparam("last")))
    .group_by(calls.c.api)
)


def by_api(connection: Connection, month: str) -> Counter[str]:
    """Return the calls of each API in a month (`2026-11`)."""
    found = _BY_API.rows(connection, {"first": f"{month}-01", "last": f"{month}-31"})
    return Counter({api: int(times) for api, times in found})


_BY_DAY: Final = Prepared(
    select(calls.c.day, calls.c.api, calls.c.count).where(
        calls.c.day.between(bindparam("first"), bindparam("last"))
    )
)


def by_day(connection: Connection, month: str, apis: Collection[str]) -> Counter[str]:
    """Return the calls of these APIs together on each day (`2026-11-24`) of a month."""
    found: Counter[str] = Counter()
    for day, api, times in _BY_DAY.rows(connection, {"first": f"{month}-01", "last": f"{month}-31"}):
        found[day] += times if api in apis else 0
    return found


def total(connection: Connection, month: str, apis: Collection[str]) -> int:
    """Return the calls of these APIs together in a month."""
    return sum(times for api, times in by_api(connection, month).items() if api in apis)
