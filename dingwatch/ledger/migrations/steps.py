"""What several revisions need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, text

ID: Final = BigInteger().with_variant(Integer, "sqlite")
"""The type of ids of which there may be billions; an integer of SQLite is as large."""


def on_postgresql() -> bool:
    """Return whether the ledger is in PostgreSQL."""
    return op.get_context().dialect.name == "postgresql"


def add_columns(table: str, *columns: Column[Any]) -> None:
    """Add columns to a table."""
    for column in columns:
        op.add_column(table, column)


def create_partial_index(name: str, table: str, columns: Sequence[str], where: str) -> None:
    """Make an index of some rows; a boolean in `where` is written as PostgreSQL has it."""
    on_sqlite = where.replace("IS true", "IS 1").replace("IS false", "IS 0")
    op.create_index(name, table, columns, sqlite_where=text(on_sqlite), postgresql_where=text(where))
