"""Statements that are compiled once and then run on the driver itself.

For the statements of every tick, what SQLAlchemy does around an execution costs several times what SQLite
does within it. Its Core still writes them; only the way to the driver is shorter. No types are converted:
columns of these statements are numbers, text and bytes as the driver gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.sql.dml import UpdateBase


class Prepared:
    """A statement of Core, compiled at its first use for each dialect; it must hold no `IN`."""

    def __init__(self, statement: Select[Any] | UpdateBase) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None, Mapping[str, Any]]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a query and return its rows as plain tuples."""
        sql, order, fixed = self._for(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(sql, _bound(order, fixed, values))
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each row of values."""
        sql, order, fixed = self._for(connection)
        bound: Any = [_bound(order, fixed, row) for row in rows]
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(sql, bound)
        finally:
            cursor.close()

    def _for(self, connection: Connection) -> tuple[str, tuple[str, ...] | None, Mapping[str, Any]]:
        name = connection.dialect.name
        if name not in self._compiled:
            compiled = self._statement.compile(connection.engine)
            order = tuple(compiled.positiontup) if compiled.positiontup is not None else None
            # Values that the statement itself holds (a state in a WHERE) come with every execution.
            fixed = {key: value for key, value in compiled.params.items() if value is not None}
            self._compiled[name] = (str(compiled), order, fixed)
        return self._compiled[name]


def _bound(
    order: tuple[str, ...] | None, fixed: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[Any, ...] | dict[str, Any]:
    if order is None:
        return {**fixed, **values}
    return tuple(values[name] if name in values else fixed.get(name) for name in order)
