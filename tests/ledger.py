"""A look into the ledger of a service, which may be writing it."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from dingwatch.config.values import LEDGER_FILE


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
