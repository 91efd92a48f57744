"""Where a daemon keeps its things in its state directory."""

from __future__ import annotations

from typing import Final

from dingwatch.config import Config
from dingwatch.ledger import sqlite_url

LEDGER_FILE: Final = "ledger.db"
LOCK_FILE: Final = "lock"


def ledger_url(config: Config) -> str:
    """Return the ledger's URL."""
    return config.ledger or sqlite_url(config.state_dir / LEDGER_FILE)
