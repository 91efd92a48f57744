"""What refusals have taught about the pace, so that a restart does not have to be taught again."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from dingwatch.ledger.schema import paces
from dingwatch.ledger.store import Store
from dingwatch.model import Scope
from dingwatch.pace import Lesson


def kept(connection: Connection) -> dict[tuple[Scope, str], Lesson]:
    """Return what was learnt about each API and conversation."""
    rows = connection.execute(select(paces))
    return {(Scope(row.scope), row.key): Lesson(row.slowdown, row.refused_at) for row in rows}


def keep(store: Store, connection: Connection, lessons: Mapping[tuple[Scope, str], Lesson]) -> None:
    """Write down what was learnt."""
    rows = [
        {"scope": scope, "key": key, "slowdown": lesson.slowdown, "refused_at": lesson.refused_at}
        for (scope, key), lesson in lessons.items()
    ]
    store.upsert(connection, paces, rows)
