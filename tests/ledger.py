"""A look into the ledger of a service, which may be writing it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from sqlalchemy import text

from dingwatch.config.values import LEDGER_FILE
from dingwatch.ledger import Store, sqlite_url

on_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
"""Marks a test whose ledger is in a file alone: what it is about, PostgreSQL does otherwise."""


def open_ledger(ledger: Path | str, path: Path) -> Store:
    """Open an empty ledger by its URL, or a copy of a file at a path."""
    if isinstance(ledger, Path):
        ledger = sqlite_url(Path(shutil.copy(ledger, path)))
    _OPENED.append(Store.open(ledger))
    return _OPENED[-1]


_OPENED: Final[list[Store]] = []


def close_ledgers() -> None:
    """Close what `open_ledger` has opened."""
    while _OPENED:
        _OPENED.pop().close()


def query(store: Store, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Return the rows that a query finds; SQLite and PostgreSQL both understand `:name`."""
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]


def change(store: Store, statement: str, **values: object) -> None:
    """Change rows as the program would not."""
    with store.writing() as connection:
        connection.execute(text(statement), values)


class Installation(Protocol):
    """Anything with a state directory: a configuration, or a machine."""

    @property
    def state_dir(self) -> Path:
        """Return the directory in which the ledger is."""


def execute(at: Installation, statement: str) -> list[tuple[Any, ...]]:
    """Run one SQL statement and return its rows."""
    with closing(sqlite3.connect(at.state_dir / LEDGER_FILE)) as ledger, ledger:
        return ledger.execute(statement).fetchall()


def deliveries(at: Installation, *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of all deliveries, the oldest first."""
    return execute(at, f"SELECT {', '.join(columns)} FROM deliveries ORDER BY id")  # noqa: S608


def states(at: Installation) -> Counter[str]:
    """Count the deliveries by their state."""
    return Counter(state for (state,) in deliveries(at, "state"))


def pauses(at: Installation) -> list[tuple[str, str, str]]:
    """Return (scope, key, code) of every pause."""
    return execute(at, "SELECT scope, key, code FROM pauses")


def missing(at: Installation) -> set[str]:
    """Return the paths of which every version is known to be gone."""
    found = execute(
        at,
        "SELECT directory, name FROM versions GROUP BY directory, name HAVING min(missing_since IS NOT NULL)",
    )
    return {os.fsdecode(os.path.join(directory, name)) for directory, name in found}
