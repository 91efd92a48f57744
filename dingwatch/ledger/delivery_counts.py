"""How many deliveries there are of each folder, recipient and state, kept up to date by the history.

To count a million takes SQLite a tenth of a second, and an open status page may ask every second.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from dingwatch.ledger.schema import deliveries, history, numbers
from dingwatch.ledger.store import Prepared

MOST_LINES: Final = 100_000
"""Lines of history that are read; beyond, it is faster to count anew."""
Key = tuple[int | None, str, str]
"""The folder (None: given to `send`), the recipient and the state."""
_KEY: Final = (deliveries.c.folder_id, deliveries.c.recipient, deliveries.c.state)
_ALL: Final = Prepared(select(*_KEY, func.count()).group_by(*_KEY))
_CHANGES: Final = Prepared(
    select(deliveries.c.folder_id, deliveries.c.recipient, history.c.before, history.c.after, func.count())
    .select_from(history)
    .join(deliveries, deliveries.c.id == history.c.delivery_id)
    .where(
        history.c.id > bindparam("since"),
        history.c.id <= bindparam("until"),
        history.c.after.is_not(None),
    )
    .group_by(deliveries.c.folder_id, deliveries.c.recipient, history.c.before, history.c.after)
)
_LAST: Final = Prepared(select(func.coalesce(func.max(history.c.id), 0)))
_PRUNED: Final = Prepared(select(numbers.c.value).where(numbers.c.name == "pruned"))


class DeliveryCounts:
    """Counts once, and afterwards adds what has happened since. Callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._until: int | None = None
        self._pruned: list[tuple[int]] = []

    def read(self, connection: Connection) -> Mapping[Key, int]:
        """Return the counts as the connection sees the ledger, or as another has seen it since."""
        if connection.dialect.name != "sqlite":  # where lines may be committed in another order than numbered
            return _count(connection)
        with self._lock:
            ((until,),), pruned = _LAST.rows(connection, {}), _PRUNED.rows(connection, {})
            since = self._until
            # What is pruned is gone with its history.
            if since is None or pruned != self._pruned or until - since > MOST_LINES:
                self._counts = _count(connection)
            elif until > since:
                self._add(connection, since, until)
            self._until, self._pruned = max(until, since or 0), pruned
            return +self._counts

    def _add(self, connection: Connection, since: int, until: int) -> None:
        rows = _CHANGES.rows(connection, {"since": since, "until": until})
        for folder, recipient, before, after, number in rows:
            self._counts[folder, recipient, after] += number
            if before is not None:
                self._counts[folder, recipient, before] -= number


def _count(connection: Connection) -> Counter[Key]:
    found = _ALL.rows(connection, {})
    return Counter({(folder, recipient, state): number for folder, recipient, state, number in found})
